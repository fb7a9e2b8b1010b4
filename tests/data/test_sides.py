"""Which files a diff reads: those that differ, of these only rows that can, and not what only was rewritten."""

from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lin.data.diff import TableDiff, diff_versions
from lin.data.sides import Sides, choose_columns, pair_columns
from lin.data.sql import connect
from lin.errors import OutsideError

ROWS = pa.table({"id": pa.array(range(100), pa.int64()), "x": [n / 4 for n in range(100)]})
FIELDS = {"id": "long", "x": "double"}


def counts(diff: TableDiff) -> tuple[int, int, int]:
    return diff.inserted, diff.deleted, diff.updated


def start(made: Any, *actions: dict[str, Any]) -> None:
    made.commit(made.protocol(), made.metadata(*(made.field(n, k) for n, k in FIELDS.items())), *actions)


def test_deleted_rows_are_told_by_their_positions(foreign: Any) -> None:
    made = foreign(features=["deletionVectors"])
    whole = made.add("a.parquet", ROWS)
    start(made, whole)
    one, other = made.delete(whole, [3, 4, 5]), made.delete(whole, [5, 6])
    made.commit(made.remove(whole), one)
    made.commit(made.remove(one), other)
    first = diff_versions(made.table, 0, 1)
    assert counts(first) == (0, 3, 0)
    assert [row.key["id"] for row in first.rows] == [3, 4, 5]
    second = diff_versions(made.table, 1, 2)
    assert [(row.kind, row.key["id"]) for row in second.rows] == [("inserted", 3), ("inserted", 4), ("deleted", 6)]
    assert counts(diff_versions(made.table, 2, 0)) == (2, 0, 0)
    assert counts(diff_versions(made.table, 0, 2, key=[])) == (0, 2, 0)


def test_of_a_file_with_another_vector_only_other_rows_are_read(foreign: Any) -> None:
    made = foreign(features=["deletionVectors"])
    whole = made.add("a.parquet", ROWS)
    start(made, whole)
    one, other = made.delete(whole, [1, 2]), made.delete(whole, [1, 3])
    made.commit(made.remove(whole), one)
    made.commit(made.remove(one), other)
    sides = Sides(made.table, made.table.log.snapshot(1), made.table.log.snapshot(2))
    compared = choose_columns(pair_columns(*(s.metadata for s in sides.snapshots)), ["id"], None)
    with connect() as connection:
        rows = [
            connection.execute(sides.select(connection, side, compared, files)).fetchall()
            for side, files in enumerate((sides.gone, sides.come))
        ]
    assert rows == [[(3, 0.75)], [(2, 0.5)]]


def test_an_update_with_a_deletion_vector_is_an_update(foreign: Any) -> None:
    made = foreign(features=["deletionVectors"])
    whole = made.add("a.parquet", ROWS)
    start(made, whole)
    made.commit(made.remove(whole), made.delete(whole, [7]), made.add("b.parquet", pa.table({"id": [7], "x": [0.5]})))
    diff = diff_versions(made.table, 0, 1)
    assert counts(diff) == (0, 0, 1)
    assert (diff.rows[0].key, diff.rows[0].old, diff.rows[0].new) == ({"id": 7}, {"x": 1.75}, {"x": 0.5})
    largest = diff.details["x"].largest
    assert largest is not None
    assert (largest.key, largest.old, largest.new) == ({"id": 7}, 1.75, 0.5)


def test_an_optimize_is_not_read(make_table: Any) -> None:
    table = make_table(*(ROWS.slice(n * 20, 20) for n in range(4)))
    DeltaTable(table.root).optimize.compact()
    (written,) = table.log.snapshot(4).files
    (table.root / written.path).unlink()
    diff = diff_versions(table, 3, 4)
    assert (diff.identical, diff.taken_at_their_word) == (True, [4])
    assert diff_versions(table, 4, 3).identical


def test_what_came_after_an_optimize_is_read(make_table: Any) -> None:
    table = make_table(*(ROWS.slice(n * 20, 20) for n in range(4)))
    DeltaTable(table.root).optimize.compact()
    make_table(ROWS.slice(80))
    diff = diff_versions(table, 3, 5)
    assert (counts(diff), diff.taken_at_their_word) == ((20, 0, 0), [4])
    assert counts(diff_versions(table, 0, 5)) == (80, 0, 0)


def test_an_optimize_of_files_that_are_gone_is_read_after_all(make_table: Any) -> None:
    table = make_table(*(ROWS.slice(n * 20, 20) for n in range(4)))
    DeltaTable(table.root).optimize.compact()
    for file in table.log.snapshot(3).files[1:]:
        (table.root / file.path).unlink()
    diff = diff_versions(table, 0, 4)
    assert (counts(diff), diff.taken_at_their_word) == ((60, 0, 0), [])


@pytest.mark.parametrize("lie", ["other rows", "a removal that changes rows"])
def test_a_rewrite_that_lies_is_found_when_asked_for(foreign: Any, lie: str) -> None:
    made = foreign()
    whole = made.add("a.parquet", ROWS)
    start(made, whole)
    rows = ROWS.slice(1) if lie == "other rows" else ROWS.slice(1, 50)
    made.commit(made.remove(whole, change=lie != "other rows"), made.add("b.parquet", rows, change=False))
    believed = diff_versions(made.table, 0, 1)
    assert believed.identical == (lie == "other rows")
    assert diff_versions(made.table, 0, 1, check_rewrites=True).deleted == 100 - len(rows)


def test_two_versions_that_share_all_files_need_none_of_them(make_table: Any) -> None:
    table = make_table(ROWS)
    DeltaTable(table.root).alter.set_table_properties({"a.b": "c"}, raise_if_not_exists=False)
    for file in table.log.snapshot().files:
        (table.root / file.path).unlink()
    assert diff_versions(table, 0, 1).identical


def test_columns_without_ids_are_matched_by_what_files_call_them(foreign: Any) -> None:
    made = foreign(mapping="name")
    fields = [made.field(name, "long", number) for number, name in enumerate(("id", "x", "y"), 1)]
    for field in fields:
        del field["metadata"]["delta.columnMapping.id"]
    made.commit(
        made.protocol(), made.metadata(*fields[:2]), made.add("a.parquet", pa.table({"col-1": [1], "col-2": [10]}))
    )
    made.commit(made.metadata(*fields), made.add("b.parquet", pa.table({"col-1": [2], "col-2": [20], "col-3": [5]})))
    diff = diff_versions(made.table, 0, 1)
    assert (diff.added_columns, diff.dropped_columns, diff.renamed_columns) == (["y"], [], {})
    assert counts(diff) == (1, 0, 0)


def test_a_vector_that_deletes_rows_the_file_has_not_is_refused(foreign: Any) -> None:
    made = foreign(features=["deletionVectors"])
    whole = made.add("a.parquet", ROWS)
    start(made, whole)
    made.commit(made.remove(whole), made.delete(whole, [1, 60_000]))
    with pytest.raises(OutsideError, match=r"'a.parquet' cannot be read: it deletes row 60000 of 100"):
        diff_versions(made.table, 0, 1)


def test_a_file_whose_rows_are_rotten_is_named(foreign: Any) -> None:
    made = foreign()
    start(made)
    texts = pa.table({"id": [1, 2], "x": [0.5, 1.5]})
    made.commit(made.add("good.parquet", ROWS), made.add("rotten.parquet", texts))
    path = made.root / "rotten.parquet"
    data = bytearray(path.read_bytes())
    data[4:60] = bytes(56)  # the first page of the first column
    path.write_bytes(data)
    with pytest.raises(OutsideError, match=r"'rotten.parquet' of housing@1 cannot be read"):
        diff_versions(made.table, 0, 1)


def test_dates_that_python_has_not_are_shown(foreign: Any) -> None:
    made = foreign()
    made.commit(made.protocol(), made.metadata(made.field("id", "long"), made.field("d", "date")))
    far = pa.array([3_000_000], pa.int32()).cast(pa.date32())
    made.commit(made.add("a.parquet", pa.table({"id": [1], "d": far})))
    assert diff_versions(made.table, 0, 1).rows[0].new == {"id": 1, "d": "10183-09-21"}


@pytest.mark.parametrize("more", ["old", "new"])
def test_counts_that_the_log_has_wrong_make_no_rows(foreign: Any, more: str) -> None:
    made = foreign()
    short, long = ROWS.slice(0, 99), ROWS
    old, new = (long, short) if more == "old" else (short, long)
    first = made.add("a.parquet", old)
    start(made, first)
    second = made.add("b.parquet", new)
    second["add"]["stats"] = first["add"]["stats"]
    made.commit(made.remove(first), second)
    diff = diff_versions(made.table, 0, 1)
    assert counts(diff) == ((0, 1, 0) if more == "old" else (1, 0, 0))
    assert [row.key["id"] for row in diff.rows] == [99]
