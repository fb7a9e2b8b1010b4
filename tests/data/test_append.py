"""Rows that are appended come last and are there for good; a key stays one; what is refused leaves no file."""

import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.append import append_rows, require_key
from lin.data.commit import Attribution
from lin.data.read import read_version
from lin.data.tables import Table
from lin.data.write import create_table
from lin.errors import ConflictError, OutsideError, UsageError

NOW = 1_795_305_600_000
BY = Attribution(run="0197a000000070008000000000000001", user="ada", reason="a test", lin="0.1.0")
MakeTable = Callable[..., Table]


def rows(*ids: int) -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.int64()), "x": [number / 7 for number in ids]})


def append(table: Table, new: pa.Table, *, now_ms: int = NOW) -> int:
    return append_rows(table, table.log.snapshot(), new, BY, now_ms=now_ms)


def files_in(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("now_ms", [NOW, 1, NOW * 2])
def test_appended_rows_come_last_whatever_the_clock_says(make_table: MakeTable, now_ms: int) -> None:
    table = make_table(rows(5, 4), rows(3))
    before = table.log.snapshot()
    assert append(table, rows(2, 9).select(["x", "id"]), now_ms=now_ms) == 2
    assert append(table, rows(1), now_ms=now_ms) == 3
    snapshot, found = read_version(table)
    assert found.column("id").to_pylist() == [*read_version(table, 1)[1].column("id").to_pylist(), 2, 9, 1]
    assert before.keys < snapshot.keys
    info = table.log.commit(3).info
    assert (info["lin.run"], info["operationParameters"]["mode"]) == (BY.run, "Append")
    assert DeltaTable(table.root).to_pyarrow_table().num_rows == 6


def test_no_rows_are_a_version_too(make_table: MakeTable) -> None:
    table = make_table(rows(1))
    assert append(table, rows()) == 1
    assert read_version(table)[1].num_rows == 1


def test_values_are_taken_exactly_or_not_at_all(make_table: MakeTable) -> None:
    table = make_table(rows(1))
    append(table, pa.table({"id": pa.array([2], pa.int8()), "x": pa.array([3], pa.int64())}))
    assert read_version(table)[1].to_pylist()[1] == {"id": 2, "x": 3.0}
    before = files_in(table.root)
    for wrong in ({"id": [1.5], "x": [1.0]}, {"id": [1], "x": ["a"]}, {"id": [2**60], "x": [2**60 + 1]}):
        with pytest.raises(UsageError, match="do not fit column"):
            append(table, pa.table(wrong))
    assert files_in(table.root) == before


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ({"id": [1]}, "the new rows lack column 'x' of table 'housing'"),
        ({"id": [1], "x": [1.0], "idd": [1]}, "table 'housing' has no column 'idd'"),
        ({"ID": [1], "x": [1.0]}, "lack column 'id'"),
    ],
)
def test_the_columns_are_those_of_the_table(make_table: MakeTable, new: dict[str, list[object]], told: str) -> None:
    table = make_table(rows(1))
    with pytest.raises(UsageError, match=told):
        append(table, pa.table(new))
    assert table.log.head() == 0


def test_somebody_who_wrote_meanwhile_is_not_overwritten(make_table: MakeTable) -> None:
    table = make_table(rows(1))
    base = table.log.snapshot()
    write_deltalake(table.root, rows(7), mode="append")
    before = files_in(table.root)
    with pytest.raises(ConflictError, match="somebody wrote version 1"):
        append_rows(table, base, rows(2), BY, now_ms=NOW)
    assert files_in(table.root) == before


def test_of_many_who_append_at_once_each_is_told_whether_it_did(make_table: MakeTable) -> None:
    table = make_table(rows(0))
    gate = threading.Barrier(4)
    done: list[int] = []

    def work(number: int) -> None:
        by = Attribution(run=f"{number:032x}", user="ada", reason="a test", lin="0.1.0")
        base = table.log.snapshot()
        gate.wait()
        try:
            append_rows(table, base, rows(number), by, now_ms=NOW)
        except ConflictError:
            return
        done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = done
    assert read_version(table)[1].column("id").to_pylist() == [0, winner]
    assert len(list(table.root.glob("*.parquet"))) == 2


def test_what_lin_does_not_write_is_refused_before_a_file_is(make_table: MakeTable) -> None:
    parted = make_table(rows(1), name="parted", partition_by=["id"])
    only = make_table(rows(1), name="only", configuration={"delta.appendOnly": "true"})
    before = files_in(parted.root) | files_in(only.root)
    with pytest.raises(OutsideError, match="does not append to a partitioned table"):
        append(parted, rows(2))
    with pytest.raises(OutsideError, match="append-only"):
        append(only, rows(2))
    assert files_in(parted.root) | files_in(only.root) == before


# --- keys -------------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(old=st.lists(st.integers(0, 12), max_size=4, unique=True), new=st.lists(st.integers(0, 12), max_size=4))
def test_a_key_is_checked_among_the_new_rows_and_beside_the_old(
    tmp_path_factory: pytest.TempPathFactory, old: list[int], new: list[int]
) -> None:
    root = tmp_path_factory.mktemp("t") / "housing"
    create_table(root, rows(*old).to_reader(), BY, now_ms=NOW)
    table = Table("housing", root, ("id",))
    for base, together in ((None, new), (table.log.snapshot(), old + new)):
        if len(set(together)) == len(together):
            require_key(table, rows(*new), base)
        else:
            with pytest.raises(UsageError, match="would not be unique: two rows have id = "):
                require_key(table, rows(*new), base)


def test_a_key_of_several_columns_is_one_key(tmp_path: Path) -> None:
    table = Table("housing", tmp_path, ('odd "name"', "at"))
    at = pa.array([0, 0, 1], pa.timestamp("us", "UTC"))
    require_key(table, pa.table({'odd "name"': ["a", "b", "a"], "at": at}))
    with pytest.raises(UsageError, match="two rows have odd \"name\" = 'a', at = "):
        require_key(table, pa.table({'odd "name"': ["a", "b", "a"], "at": at.take(pa.array([0, 1, 0]))}))
    with pytest.raises(UsageError, match="1 of the new rows have no value in 'at'"):
        require_key(table, pa.table({'odd "name"': ["a"], "at": pa.array([None], at.type)}))
    with pytest.raises(UsageError, match="lack 'at', which is in the key"):
        require_key(table, pa.table({'odd "name"': ["a"]}))
    require_key(Table("housing", tmp_path), pa.table({"a": [1, 1]}))
