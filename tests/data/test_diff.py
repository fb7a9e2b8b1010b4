import datetime as dt
import math
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.commit import Attribution
from lin.data.diff import RowChange, TableDiff, diff_versions
from lin.data.restore import restore_version
from lin.data.tables import Table
from lin.data.write import create_table, fill_column, replace_rows
from lin.errors import NotFoundError, OutsideError, UsageError

BY = Attribution(run="r", user="ada", reason="a test", lin="0.1.0")
MakeTable = Callable[..., Table]


@pytest.fixture
def versions(tmp_path: Path) -> Callable[..., Table]:
    """Makes a table by lin with one version for each arrow table given, each a whole replacement."""

    def make(*contents: pa.Table, key: tuple[str, ...] = ("id",), name: str = "t") -> Table:
        table = Table(name, tmp_path / name, key=key)
        create_table(table.root, contents[0].to_reader(), BY, now_ms=0)
        for number, content in enumerate(contents[1:], 1):
            replace_rows(table, table.log.snapshot(), content.to_reader(), BY, now_ms=number)
        return table

    return make


Versions = Callable[..., Table]


def housing(rows: int = 506, missing: int = 173) -> pa.Table:
    """Rows of which `missing`, spread among them, lack a `medv`."""
    gaps = {n * rows // missing for n in range(missing)}
    medv = [None if n in gaps else n / 10 for n in range(rows)]
    return pa.table({"id": pa.array(range(rows), pa.int64()), "rm": [6.5] * rows, "medv": medv})


# --- the story ---


def test_a_fill_is_so_many_updates_of_one_column(versions: Versions) -> None:
    table = versions(housing())
    fill_column(table, table.log.snapshot(), "medv", pa.array([23.5] * 506), BY, now_ms=1)
    diff = diff_versions(table, 0, 1)
    assert (diff.inserted, diff.deleted, diff.updated, diff.ambiguous) == (0, 0, 173, False)
    assert diff.columns == {"medv": 173}
    assert diff.key == ["id"]
    assert not diff.identical
    assert len(diff.rows) == 20
    assert diff.rows[0] == RowChange(kind="updated", key={"id": 0}, old={"medv": None}, new={"medv": 23.5})
    assert [row.key["id"] for row in diff.rows] == sorted(row.key["id"] for row in diff.rows)
    assert diff_versions(table, 1, 0, limit=1).rows[0].new == {"medv": None}


def test_a_restored_version_is_identical_though_its_files_are_gone(versions: Versions) -> None:
    table = versions(housing())
    fill_column(table, table.log.snapshot(), "medv", pa.array([23.5] * 506), BY, now_ms=1)
    restore_version(table, 0, BY)
    for file in table.root.glob("*.parquet"):
        file.unlink()
    diff = diff_versions(table, 0, 2)
    assert diff == TableDiff(table="t", old=0, new=2, key=["id"], order_changed=False, identical=True)


def test_an_append_reads_only_what_was_appended(make_table: MakeTable) -> None:
    rows = housing()
    table = make_table(rows.slice(0, 500), rows.slice(500))
    (table.root / table.log.snapshot(0).files[0].path).unlink()
    diff = diff_versions(table, 0, 1)
    assert (diff.inserted, diff.deleted, diff.updated) == (6, 0, 0)
    assert diff.rows[0] == RowChange(
        kind="inserted", key={"id": 500}, old=None, new={"id": 500, "rm": 6.5, "medv": None}
    )
    back = diff_versions(table, 1, 0)
    assert (back.deleted, back.rows[5].kind, back.rows[5].new) == (6, "deleted", None)


@pytest.mark.parametrize("key", [["id"], []])
def test_optimize_diffs_empty(make_table: MakeTable, key: list[str]) -> None:
    rows = housing()
    table = make_table(*(rows.slice(n * 101, 101) for n in range(5)), rows.slice(505))
    DeltaTable(table.root).optimize.compact()
    assert diff_versions(table, 5, 6, key=key).taken_at_their_word == [6]
    diff = diff_versions(table, 5, 6, key=key, check_rewrites=True)
    assert diff.taken_at_their_word == []
    assert table.log.snapshot(6).keys.isdisjoint(table.log.snapshot(5).keys)
    assert (diff.inserted, diff.deleted, diff.updated, diff.identical) == (0, 0, 0, True)
    assert diff.order_changed is not None


def test_a_merge_diffs_as_what_it_did(make_table: MakeTable) -> None:
    table = make_table(housing())
    source = pa.table({"id": [3, 900], "rm": [1.0, 2.0], "medv": [0.3, 0.4]})
    merge = DeltaTable(table.root).merge(source, "t.id = s.id", source_alias="s", target_alias="t")
    merge.when_matched_update_all().when_not_matched_insert_all().execute()
    diff = diff_versions(table, 0, 1)
    assert (diff.inserted, diff.deleted, diff.updated) == (1, 0, 1)
    assert diff.columns == {"rm": 1}
    assert diff.rows == [
        RowChange(kind="updated", key={"id": 3}, old={"rm": 6.5}, new={"rm": 1.0}),
        RowChange(kind="inserted", key={"id": 900}, old=None, new={"id": 900, "rm": 2.0, "medv": 0.4}),
    ]


# --- order ---


def test_order_alone_is_told_apart(versions: Versions) -> None:
    rows = housing(50, 5)
    table = versions(rows, rows, rows.take([*range(49, -1, -1)]))
    assert diff_versions(table, 0, 1).order_changed is False
    turned = diff_versions(table, 1, 2)
    assert (turned.order_changed, turned.identical) == (True, True)
    assert diff_versions(table, 1, 2, key=[]).order_changed is True
    ordered = Table(table.name, table.root, key=("id",), order=("id",))
    assert diff_versions(ordered, 1, 2).order_changed is None


def test_order_is_not_told_where_shared_files_moved(make_table: MakeTable) -> None:
    table = make_table(housing(10, 1), housing(20, 1).slice(10))
    DeltaTable(table.root).update(predicate="id < 10", updates={"rm": "rm"})
    diff = diff_versions(table, 1, 2)
    assert (diff.identical, diff.order_changed) == (True, None)


# --- values ---


def test_nan_zero_and_null_are_equal_to_themselves(versions: Versions) -> None:
    old = pa.table({"id": [1, 2, 3, 4], "x": [math.nan, 0.0, None, math.inf]})
    new = pa.table({"id": [4, 3, 2, 1], "x": [math.inf, None, -0.0, -math.nan]})
    assert diff_versions(versions(old, new), 0, 1).identical
    assert diff_versions(versions(old, new, name="bag"), 0, 1, key=()).identical
    worse = pa.table({"id": [1, 2, 3, 4], "x": [None, math.nan, 0.0, -math.inf]})
    diff = diff_versions(versions(old, worse, name="worse"), 0, 1)
    assert [(row.old, row.new) for row in diff.rows] == [
        ({"x": "NaN"}, {"x": None}),
        ({"x": 0.0}, {"x": "NaN"}),
        ({"x": None}, {"x": 0.0}),
        ({"x": "Infinity"}, {"x": "-Infinity"}),
    ]


def test_null_and_nan_keys_match(versions: Versions) -> None:
    old = pa.table({"id": pa.array([None, math.nan, 1.0]), "x": [1, 2, 3]})
    new = pa.table({"id": pa.array([1.0, math.nan, None]), "x": [3, 5, 4]})
    diff = diff_versions(versions(old, new), 0, 1)
    assert (diff.updated, diff.inserted, diff.deleted, diff.ambiguous) == (2, 0, 0, False)
    changes = [(row.key["id"], row.old, row.new) for row in diff.rows]
    assert changes == [("NaN", {"x": 2}, {"x": 5}), (None, {"x": 1}, {"x": 4})]


def test_composite_keys_are_not_joined_as_text(versions: Versions) -> None:
    old = pa.table({"a": ["1", "x"], "b": ["11", "y"], "v": [1, 2]})
    new = pa.table({"a": ["11", "x"], "b": ["1", "y"], "v": [1, 3]})
    diff = diff_versions(versions(old, new, key=("a", "b")), 0, 1)
    assert (diff.inserted, diff.deleted, diff.updated) == (1, 1, 1)
    assert [(row.kind, row.key) for row in diff.rows] == [
        ("deleted", {"a": "1", "b": "11"}),
        ("inserted", {"a": "11", "b": "1"}),
        ("updated", {"a": "x", "b": "y"}),
    ]


def test_values_are_written_as_json(versions: Versions) -> None:
    row: dict[str, Any] = {
        "id": 1,
        "bytes": b"\xff",
        "price": Decimal("1.50"),
        "day": dt.date(2026, 11, 22),
        "time": dt.datetime(2026, 11, 22, 1, 2, 3, 4, tzinfo=dt.UTC),
        "local": dt.datetime(2026, 11, 22, 1, 2, 3),  # noqa: DTZ001 - a time without a zone
        "parts": {"list": [1.0, math.nan, None], "text": "é"},
        "yes": True,
    }
    rows = pa.Table.from_pylist([row])
    rows = rows.append_column("map", pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())))
    diff = diff_versions(versions(rows.slice(0, 0), rows), 0, 1)
    assert diff.rows[0].new == {
        "id": 1,
        "bytes": "ff",
        "price": "1.50",
        "day": "2026-11-22",
        "time": "2026-11-22T01:02:03.000004+00:00",
        "local": "2026-11-22T01:02:03",
        "parts": {"list": [1.0, "NaN", None], "text": "é"},
        "yes": True,
        "map": [["k", 1]],
    }
    assert msgspec.json.decode(msgspec.json.encode(diff))["rows"][0]["kind"] == "inserted"


def test_nested_columns_are_compared_whole(versions: Versions) -> None:
    old = pa.table({"id": [1, 2], "s": [{"a": [1, None]}, {"a": [2]}]})
    new = pa.table({"id": [1, 2], "s": [{"a": [1, None]}, {"a": [2, 3]}]})
    diff = diff_versions(versions(old, new), 0, 1)
    assert diff.columns == {"s": 1}
    assert diff.rows[0].new == {"s": {"a": [2, 3]}}
    assert diff_versions(versions(old, new, name="bag"), 0, 1, key=[]).inserted == 1


HOSTILE = ['a"b', "a b", "_file", "c0", "o", "'); DROP TABLE o; --", "é", "p1", "had", "list.element"]


def test_hostile_names(versions: Versions) -> None:
    old = pa.table({name: [number, 7] for number, name in enumerate(HOSTILE)})
    new = pa.table({name: [number, 8] for number, name in enumerate(HOSTILE)})
    diff = diff_versions(versions(old, new, key=(HOSTILE[0], HOSTILE[2])), 0, 1)
    assert (diff.inserted, diff.deleted) == (1, 1)
    diff = diff_versions(versions(old, new, key=(), name="bag"), 0, 1, columns=[HOSTILE[5]])
    assert [row.new for row in diff.rows] == [None, {HOSTILE[5]: 8}]
    turned = diff_versions(versions(old, old.take([1, 0]), name="turned", key=()), 0, 1)
    assert (turned.identical, turned.order_changed) == (True, None)


# --- no key, and keys that are none ---


def test_without_a_key_rows_are_counted(versions: Versions) -> None:
    old = pa.table({"x": ["a", "a", "a", "b", None]})
    new = pa.table({"x": ["a", "b", "b", None, None]})
    diff = diff_versions(versions(old, new, key=()), 0, 1)
    assert (diff.key, diff.inserted, diff.deleted, diff.updated, diff.ambiguous) == (None, 2, 2, 0, False)
    assert [(row.kind, row.key, row.old, row.new) for row in diff.rows] == [
        ("deleted", {}, {"x": "a"}, None),
        ("deleted", {}, {"x": "a"}, None),
        ("inserted", {}, None, {"x": "b"}),
        ("inserted", {}, None, {"x": None}),
    ]


def test_a_key_that_is_not_unique_is_ambiguous(versions: Versions) -> None:
    old = pa.table({"id": [1, 1, 2, 3, 3, None], "x": ["a", "b", "c", "d", "d", "e"]})
    new = pa.table({"id": [1, 1, 2, 3, None, 4], "x": ["b", "z", "c", "d", "e", "f"]})
    table = versions(old, new)
    diff = diff_versions(table, 0, 1)
    assert not diff.ambiguous  # row b is set aside, and what is left has one answer
    other = new.set_column(1, "x", [["y", "z", "c", "d", "e", "f"]])
    replace_rows(table, table.log.snapshot(), other.to_reader(), BY, now_ms=2)
    assert diff_versions(table, 0, 2).ambiguous
    assert (diff.inserted, diff.deleted, diff.updated) == (1, 1, 1)
    assert [(row.kind, row.key, row.old, row.new) for row in diff.rows] == [
        ("updated", {"id": 1}, {"x": "a"}, {"x": "z"}),
        ("deleted", {"id": 3}, {"id": 3, "x": "d"}, None),
        ("inserted", {"id": 4}, None, {"id": 4, "x": "f"}),
    ]
    assert diff.columns == {"x": 1}


# --- columns ---


def test_an_added_and_a_dropped_column_are_reported_and_the_rest_compared(versions: Versions) -> None:
    old = pa.table({"id": [1, 2], "x": [1, 2]})
    table = versions(old, old.set_column(1, "x", [[1, 3]]).append_column("new", [["a", "b"]]))
    diff = diff_versions(table, 0, 1)
    assert (diff.added_columns, diff.dropped_columns, diff.updated, diff.columns) == (
        ["new"],
        [],
        1,
        {"x": 1},
    )
    back = diff_versions(table, 1, 0)
    assert (back.added_columns, back.dropped_columns) == ([], ["new"])
    fill_column(table, table.log.snapshot(), "more", pa.array([1, 2]), BY, now_ms=3)
    only = diff_versions(table, 1, 2)
    assert (only.added_columns, only.updated, only.identical, only.order_changed) == (
        ["more"],
        0,
        False,
        False,
    )


def overwrite(table: Table, rows: pa.Table) -> None:
    """A new version with another schema, by delta-rs."""
    write_deltalake(table.root, rows, mode="overwrite", schema_mode="overwrite")


def test_a_retyped_column_is_compared_in_the_new_type(versions: Versions) -> None:
    table = versions(pa.table({"id": ["1", "2", "x"], "n": [1, 2, 2**53 + 1], "f": [1.0, 1.5, None]}))
    overwrite(table, pa.table({"id": [1, 2, 3], "n": [1.0, 2.5, 2.0**53], "f": [1, 2, None]}))
    diff = diff_versions(table, 0, 1)
    assert diff.retyped_columns == ["id", "n", "f"]
    assert [(row.kind, row.key, row.old, row.new) for row in diff.rows] == [
        ("updated", {"id": 2}, {"n": 2.0, "f": "1.5"}, {"n": 2.5, "f": 2}),
        ("inserted", {"id": 3}, None, {"id": 3, "n": 2.0**53, "f": None}),
        ("deleted", {"id": "x"}, {"id": "x", "n": "9007199254740993", "f": None}, None),
    ]
    bag = diff_versions(table, 0, 1, key=[])
    assert (bag.inserted, bag.deleted) == (2, 2)


def test_types_that_cannot_be_cast_differ(versions: Versions) -> None:
    table = versions(pa.table({"id": [1, 2], "s": [{"a": 1}, None]}))
    overwrite(table, pa.table({"id": [1, 2], "s": pa.array([7, None])}))
    diff = diff_versions(table, 0, 1)
    assert (diff.updated, diff.rows[0].old, diff.rows[0].new) == (1, {"s": "{'a': 1}"}, {"s": 7})


def test_only_the_chosen_columns_are_compared(versions: Versions) -> None:
    old = pa.table({"id": [1, 2], "x": [1, 2], "y": [1, 2]})
    new = pa.table({"id": [1, 2], "x": [9, 2], "y": [1, 9]})
    diff = diff_versions(versions(old, new), 0, 1, columns=["y"])
    assert (diff.updated, diff.columns, diff.rows[0].key) == (1, {"y": 1}, {"id": 2})


def test_partition_columns_are_compared(make_table: MakeTable) -> None:
    rows = pa.table({"id": [1, 2, 3], "p": ["a", "b", None]})
    table = make_table(rows, partition_by=["p"])
    moved = pa.table({"id": [1, 2, 3], "p": ["a", "b", "a"]})
    write_deltalake(table.root, moved, mode="overwrite", partition_by=["p"])
    diff = diff_versions(table, 0, 1)
    assert (diff.updated, diff.columns, diff.rows[0].new) == (1, {"p": 1}, {"p": "a"})


# --- refusals ---


def test_refusals(versions: Versions) -> None:
    table = versions(housing(), housing(10, 1))
    with pytest.raises(NotFoundError, match="no version 9"):
        diff_versions(table, 0, 9)
    with pytest.raises(UsageError, match="no key column 'ID' in version 0") as caught:
        diff_versions(table, 0, 1, key=["ID"])
    assert caught.value.hint == "the columns are: id, rm, medv"
    with pytest.raises(UsageError, match="no column 'mdev'"):
        diff_versions(table, 0, 1, columns=["mdev"])
    with pytest.raises(UsageError, match="not an amount of memory"):
        diff_versions(table, 0, 1, memory="lots")
    overwrite(table, pa.table({"other": [1]}))
    with pytest.raises(UsageError, match="none of these columns in common"):
        diff_versions(table, 0, 2, key=[])
    (table.root / table.log.snapshot(1).files[0].path).write_bytes(b"PAR1 no more")
    with pytest.raises(OutsideError, match="was altered: it has 12 bytes"):
        diff_versions(table, 0, 1)


def test_a_memory_cap_is_kept_to_by_spilling(versions: Versions) -> None:
    rows = pa.table({"id": range(200_000), "x": [f"{n:040}" for n in range(200_000)]})
    table = versions(rows, rows.set_column(1, "x", [[f"{n:041}" for n in range(200_000)]]))
    diff = diff_versions(table, 0, 1, memory="60MB")
    assert diff.updated == 200_000


# --- laws ---

cell = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.5, math.nan, math.inf]))
row = st.tuples(st.sampled_from([None, "1", "11", "é"]), st.sampled_from([None, 1, 11]), cell, cell)
content = st.lists(row, max_size=7)
SCHEMA = pa.schema([("a", pa.string()), ("b", pa.int64()), ("x", pa.float64()), ("y", pa.float64())])
Row = tuple[Any, ...]


def canonical(values: Row) -> Row:
    """The row with one spelling for each class of equal values."""
    return tuple(
        "NaN" if isinstance(v, float) and math.isnan(v) else 0.0 if v == 0 else "Infinity" if v == math.inf else v
        for v in values
    )


def as_table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_arrays(
        [pa.array([r[n] for r in rows], field.type) for n, field in enumerate(SCHEMA)], schema=SCHEMA
    )


def cells_of(cells: dict[str, Any] | None) -> Row:
    return canonical(tuple((cells or {})[name] for name in SCHEMA.names if name in (cells or {})))


def diff_of(root: Path, old: list[Row], new: list[Row], key: list[str]) -> TableDiff:
    import shutil

    shutil.rmtree(root, ignore_errors=True)
    table = Table("t", root)
    create_table(root, as_table(old).to_reader(), BY, now_ms=0)
    replace_rows(table, table.log.snapshot(), as_table(new).to_reader(), BY, now_ms=1)
    return diff_versions(table, 0, 1, key=key, limit=100)


@settings(max_examples=40, deadline=None)
@given(
    old=st.lists(row, max_size=7, unique_by=lambda r: r[:2]),
    new=st.lists(row, max_size=7, unique_by=lambda r: r[:2]),
)
def test_a_keyed_diff_applied_to_the_old_gives_the_new(
    tmp_path_factory: pytest.TempPathFactory, old: list[Row], new: list[Row]
) -> None:
    diff = diff_of(tmp_path_factory.getbasetemp() / "keyed", old, new, ["a", "b"])
    before = {r[:2]: dict(zip(SCHEMA.names, canonical(r), strict=True)) for r in old}
    after = {r[:2]: dict(zip(SCHEMA.names, canonical(r), strict=True)) for r in new}
    both = before.keys() & after.keys()
    assert not diff.ambiguous
    assert diff.inserted == len(after.keys() - both)
    assert diff.deleted == len(before.keys() - both)
    assert diff.updated == sum(before[k] != after[k] for k in both)
    counts = {name: sum(before[k][name] != after[k][name] for k in both) for name in SCHEMA.names}
    assert diff.columns == {name: count for name, count in counts.items() if count}
    for change in diff.rows:
        key = (change.key["a"], change.key["b"])
        if change.kind == "deleted":
            assert before.pop(key) == change.old
        elif change.kind == "inserted":
            assert key not in before
            before[key] = change.new or {}
        else:
            assert change.old == {name: before[key][name] for name in change.old or {}}
            before[key].update(change.new or {})
    assert before == after
    assert diff.identical == (not diff.rows)


@settings(max_examples=40, deadline=None)
@given(old=content, new=content, key=st.sampled_from([[], ["a"]]))
def test_a_diff_of_duplicates_applied_to_the_old_gives_the_new(
    tmp_path_factory: pytest.TempPathFactory, old: list[Row], new: list[Row], key: list[str]
) -> None:
    diff = diff_of(tmp_path_factory.getbasetemp() / "bag", old, new, key)
    before, after = Counter(map(canonical, old)), Counter(map(canonical, new))
    lost, found = before - after, after - before
    gone, come = (Counter(r[0] for r in rows.elements()) for rows in (lost, found))
    choice = any(gone[value] + come[value] > 2 for value in gone.keys() & come.keys())
    assert diff.ambiguous == (bool(key) and choice)
    assert diff.deleted + diff.updated == lost.total()
    assert diff.inserted + diff.updated == found.total()
    assert {canonical(cells_of(r.old)) for r in diff.rows if r.kind == "deleted"} <= set(lost)
    assert {canonical(cells_of(r.new)) for r in diff.rows if r.kind == "inserted"} <= set(found)
    if key:
        keys_lost, keys_found = (Counter(r[0] for r in rows.elements()) for rows in (lost, found))
        assert diff.updated == (keys_lost & keys_found).total()
    else:
        assert diff.updated == 0
        assert Counter(cells_of(r.old) for r in diff.rows if r.kind == "deleted") == lost
        assert Counter(cells_of(r.new) for r in diff.rows if r.kind == "inserted") == found
    assert diff.identical == (before == after)
    same = [canonical(r) for r in old] == [canonical(r) for r in new]
    assert diff.order_changed == (not same if diff.identical else None)
