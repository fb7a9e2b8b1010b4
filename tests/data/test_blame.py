import json
import math
import random
import struct
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.blame import TableBlame, blame_version
from lin.data.chains import FIRST_BATCH
from lin.data.commit import Attribution
from lin.data.restore import restore_version
from lin.data.tables import Table
from lin.data.write import fill_column
from lin.errors import NotFoundError, OutsideError, UsageError

MakeTable = Callable[..., Table]
Cells = dict[tuple[Any, ...], dict[str, int]]


def rows(**columns: list[Any]) -> pa.Table:
    return pa.table(columns)


def writers(blame: TableBlame) -> dict[int, dict[str, int]]:
    """The cells of each writer; of one that is not known, as a negative number."""
    return {(w.version if w.exact else -w.version): w.columns for w in blame.writers}


def cells(blame: TableBlame) -> Cells:
    """The version of each listed cell; of one that is not exact, as a negative number."""
    return {
        tuple(row.key.values()): {name: c.version if c.exact else -c.version for name, c in row.cells.items()}
        for row in blame.listed
    }


# --- against brute force --------------------------------------------------------------------------------------------


class History:
    """A table that random operations of delta-rs wrote, and what it takes to blame it by reading every version."""

    def __init__(self, folder: Path) -> None:
        self.table = Table("t", folder / "t", key=("id",))
        self.types: dict[str, pa.DataType] = {"id": pa.int64(), "x": pa.float64(), "s": pa.string(), "n": pa.int32()}
        self.restored: dict[int, int] = {}
        self.known: list[tuple[dict[str, pa.DataType], dict[Any, dict[str, Any]]]] = []

    def write(self, kind: str, given: dict[Any, tuple[Any, ...]], number: int) -> None:
        """One operation; those that would change nothing make no version."""
        restored = None
        if not self.known:
            self._write(self._rows(given), "append")
        elif kind in {"merge", "update", "delete", "compact"}:
            self._operate(DeltaTable(self.table.root), kind, given, number)
        elif kind != "restore":
            self._write_rows(kind, given, number)
        elif (restored := number % len(self.known)) != len(self.known) - 1:
            DeltaTable(self.table.root).restore(restored)
        self._look(restored)

    def _operate(self, handle: DeltaTable, kind: str, given: dict[Any, tuple[Any, ...]], number: int) -> None:
        if kind == "merge":
            given.pop(None, None)  # a null matches nothing, and would be there twice
            merge = handle.merge(self._rows(given), "t.id = s.id", source_alias="s", target_alias="t")
            merge.when_matched_update_all().when_not_matched_insert_all().execute()
        elif kind == "update":
            handle.update(updates={"s": "'a'"}, predicate=f"id % 2 = {number % 2}")
        elif kind == "delete":
            handle.delete(f"id = {number}")
        else:
            handle.optimize.compact()

    def _write_rows(self, kind: str, given: dict[Any, tuple[Any, ...]], number: int) -> None:
        now = self.known[-1][1]
        new = {key: value for key, value in given.items() if key not in now}
        if kind == "overwrite":
            self._write(self._rows(given), "overwrite")
        elif kind == "rewrite":
            self._write(pa.Table.from_pylist([*now.values()][::-1], pa.schema(self.types)), "overwrite")
        elif kind == "append" and new:
            self._write(self._rows(new), "append")
        elif kind == "column" and new:
            self.types = {**self.types, f"c{len(self.known)}": pa.float64()}
            self._write(self._rows(new), "append", schema_mode="merge")
        elif kind == "retype":
            self.types = {**self.types, "n": (pa.int32(), pa.int64(), pa.string())[number % 3]}
            content = [row | {"n": pa.scalar(row["n"]).cast(self.types["n"]).as_py()} for row in now.values()]
            self._write(pa.Table.from_pylist(content, pa.schema(self.types)), "overwrite", schema_mode="overwrite")

    def _rows(self, given: dict[Any, tuple[Any, ...]]) -> pa.Table:
        added = {name: float(len(name)) for name in self.types if name.startswith("c")}
        n = {pa.string(): str}.get(self.types["n"], int)
        content = [{"id": key, "x": x, "s": s, "n": n(each), **added} for key, (x, s, each) in given.items()]
        return pa.Table.from_pylist(content, pa.schema(self.types))

    def _write(self, content: pa.Table, mode: Any, **options: Any) -> None:
        write_deltalake(self.table.root, content, mode=mode, **options)

    def _look(self, restored: int | None) -> None:
        handle = DeltaTable(self.table.root)
        for version in range(len(self.known), handle.version() + 1):
            handle = DeltaTable(self.table.root, version=version)
            self.types = {field.name: field.type for field in pa.schema(handle.schema())}
            content = pa.table(handle.scan())
            self.known.append((self.types, {row["id"]: row for row in content.to_pylist()}))
            if restored is not None:
                self.restored[version] = restored

    def blame(self, *, through_restore: bool) -> Cells:
        types, content = self.known[-1]
        return {
            (key,): {name: self._written(key, name, through_restore=through_restore) for name in types}
            for key in content
        }

    def _written(self, key: Any, name: str, *, through_restore: bool) -> int:
        at = len(self.known) - 1
        types, content = self.known[-1]
        while True:
            before = self.restored.get(at, at - 1) if through_restore else at - 1
            if before < 0:
                return at
            old_types, old = self.known[before]
            widened = (old_types.get(name), types[name]) == (pa.int32(), pa.int64())
            if key not in old or (old_types.get(name) != types[name] and not widened):
                return at
            if not same(old[key][name], content[key][name]):
                return at
            at = before


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


KINDS = ["append", "merge", "merge", "update", "delete", "overwrite", "rewrite", "compact", "column", "retype"]
VALUES = st.tuples(
    st.sampled_from([None, 1.0, math.nan, 0.0, -0.0, math.inf]), st.sampled_from([None, "a", "q'\""]), st.integers(1, 2)
)
OPERATIONS = st.tuples(
    st.sampled_from([*KINDS, "restore", "restore"]),
    st.dictionaries(st.sampled_from([None, 0, 1, 2, 3, 4]), VALUES, min_size=1, max_size=4),
    st.integers(0, 5),
)


@given(st.lists(OPERATIONS, min_size=2, max_size=9))
@settings(max_examples=25, deadline=None)
def test_blame_is_what_reading_every_version_tells(operations: list[tuple[str, dict[Any, Any], int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder))
        for operation in operations:
            history.write(*operation)
        for through in (True, False):
            expected = history.blame(through_restore=through)
            found = blame_version(history.table, columns=list(history.types), through_restore=through)
            assert cells(found) == expected
            assert found.rows == len(expected)
        for key, versions in list(cells(found).items())[:2]:
            one = blame_version(history.table, key={"id": key[0]}, columns=["s", "id"], through_restore=False)
            assert cells(one) == {key: {name: versions[name] for name in ("s", "id")}}


def test_many_batches_tell_the_same(tmp_path: Path) -> None:
    numbers = random.Random(3)
    history = History(tmp_path)
    for _ in range(4 * FIRST_BATCH):
        given = {key: (float(numbers.randrange(3)), "a", 1) for key in numbers.sample(range(6), 2)}
        history.write(numbers.choice(["merge", "merge", "merge", "append", "update", "delete", "restore"]), given, 5)
    assert len(history.known) > 2 * FIRST_BATCH
    for through in (True, False):
        found = blame_version(history.table, columns=["x", "s", "id"], through_restore=through)
        expected = history.blame(through_restore=through)
        assert cells(found) == {key: {name: row[name] for name in ("x", "s", "id")} for key, row in expected.items()}
        assert len({version for row in expected.values() for version in row.values()}) > 3


# --- the story ------------------------------------------------------------------------------------------------------


def test_a_prediction_that_wrote_a_cell_is_named(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1, 2, 3], rm=[6.5, 6.6, 6.7], medv=[24.0, None, None]))
    by = Attribution(run="r" * 32, user="ada", reason="predicted", model="boston@2", lin="0.1.0")
    fill_column(table, table.log.snapshot(), "medv", pa.array([1.0, 2.0, None]), by, now_ms=1)
    blame = blame_version(table)
    assert (blame.rows, blame.key, blame.columns) == (3, ["id"], ["rm", "medv"])
    filled, created = blame.writers
    assert (filled.version, filled.model, filled.user, filled.run) == (1, "boston@2", "ada", "r" * 32)
    assert (filled.reason, filled.rows, filled.cells, filled.columns) == ("predicted", 1, 1, {"medv": 1})
    assert (created.model, created.rows, created.cells) == (None, 2, 5)
    assert created.time is not None
    (row,) = blame_version(table, key=["2"]).listed
    assert (row.key, row.version) == ({"id": 2}, 1)
    assert {name: (cell.value, cell.version) for name, cell in row.cells.items()} == {"rm": (6.6, 0), "medv": (2.0, 1)}
    assert writers(blame_version(table, 0)) == {0: {"rm": 3, "medv": 3}}


def test_a_restore_leaves_the_credit_with_the_original_writer(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1, 2], x=[1.0, 2.0]))
    DeltaTable(table.root).update(updates={"x": "9.0"}, predicate="id = 1")
    restore_version(table, 0, Attribution(run="r", user="ada", reason="back", lin="0.1.0"))
    assert writers(blame_version(table)) == {0: {"x": 2}}
    blame = blame_version(table, through_restore=False)
    assert cells(blame) == {(1,): {"x": 2}, (2,): {"x": 0}}
    assert (blame.through_restore, blame.writers[0].operation, blame.writers[0].user) == (False, "RESTORE", "ada")


@pytest.mark.parametrize("parameters", [{"datetime": "1"}, {"version": "1"}, {}], ids=["a time", "a lie", "nothing"])
def test_a_restore_is_known_by_its_files(make_table: MakeTable, parameters: dict[str, str]) -> None:
    table = make_table(rows(id=[1], x=[1.0]))
    DeltaTable(table.root).update(updates={"x": "9.0"})
    DeltaTable(table.root).restore(0)
    change(table, 2, operationParameters=parameters)
    assert writers(blame_version(table)) == {0: {"x": 1}}


def test_a_restore_that_brought_nothing_back_is_a_commit_like_any_other(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1], x=[1.0]), rows(id=[2], x=[2.0]))
    DeltaTable(table.root).update(updates={"x": "9.0"}, predicate="id = 1")
    change(table, 2, operation="RESTORE", operationParameters={"version": "0"})
    assert cells(blame_version(table)) == {(1,): {"x": 2}, (2,): {"x": 1}}


def test_rewriting_writes_nothing(make_table: MakeTable) -> None:
    table = make_table(*(rows(id=[n], x=[math.nan], s=[None if n else "a"]) for n in range(3)))
    DeltaTable(table.root).optimize.compact()
    write_deltalake(table.root, rows(id=[2, 0, 1], x=[math.nan] * 3, s=[None, "a", None]), mode="overwrite")
    assert cells(blame_version(table)) == {(n,): {"x": n, "s": n} for n in range(3)}


def test_a_column_is_written_by_the_commit_that_adds_it(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1], x=[1.0]))
    write_deltalake(table.root, rows(id=[2], x=[2.0], new=["a"]), mode="append", schema_mode="merge")
    make_table(rows(id=[3], x=[3.0], new=["b"]))
    assert cells(blame_version(table)) == {(1,): {"x": 0, "new": 1}, (2,): {"x": 1, "new": 1}, (3,): {"x": 2, "new": 2}}


def test_a_wider_type_keeps_the_values(make_table: MakeTable) -> None:
    table = make_table(pa.table({"id": [1, 2], "n": pa.array([5, 6], pa.int32())}))
    wide = pa.table({"id": [1, 2], "n": pa.array([5, 7], pa.int64())})
    write_deltalake(table.root, wide, mode="overwrite", schema_mode="overwrite")
    assert cells(blame_version(table)) == {(1,): {"n": 0}, (2,): {"n": 1}}
    write_deltalake(table.root, rows(id=["1"], n=[5]), mode="overwrite", schema_mode="overwrite")
    assert cells(blame_version(table)) == {("1",): {"n": 2}}  # its key is another


# --- where knowledge ends -------------------------------------------------------------------------------------------


@pytest.fixture
def cleaned(make_table: MakeTable) -> Table:
    """Versions 0 to 3, of which the log tells only 2 and 3."""
    table = make_table(rows(id=[1, 2], x=[1.0, 2.0]), rows(id=[3], x=[3.0]))
    DeltaTable(table.root).update(updates={"x": "9.0"}, predicate="id = 1")
    DeltaTable(table.root).create_checkpoint()
    DeltaTable(table.root).update(updates={"x": "8.0"}, predicate="id = 2")
    for version in (0, 1):
        commit_path(table, version).unlink()
    return table


def test_a_log_that_starts_late_says_at_or_before(cleaned: Table) -> None:
    assert cells(blame_version(cleaned)) == {(1,): {"x": -2}, (2,): {"x": 3}, (3,): {"x": -2}}
    blame = blame_version(cleaned, key=["1"])
    assert [(w.version, w.exact, w.operation, w.time) for w in blame.writers] == [(2, False, None, None)]
    assert (blame.listed[0].version, blame.listed[0].exact) == (2, False)
    assert writers(blame_version(cleaned, 2)) == {-2: {"x": 3}}
    with pytest.raises(NotFoundError, match="has no version 1"):
        blame_version(cleaned, 1)


def test_a_checkpoint_before_the_first_commit_is_where_it_starts(cleaned: Table) -> None:
    commit_path(cleaned, 2).unlink()
    assert cells(blame_version(cleaned)) == {(1,): {"x": -2}, (2,): {"x": 3}, (3,): {"x": -2}}
    assert writers(blame_version(cleaned, 2)) == {-2: {"x": 3}}


def test_a_restore_of_what_the_log_no_longer_tells_is_where_it_ends(cleaned: Table) -> None:
    change(cleaned, 3, operation="RESTORE", operationParameters={"version": "0"})
    assert writers(blame_version(cleaned)) == {-3: {"x": 3}}
    assert writers(blame_version(cleaned, through_restore=False)) == {3: {"x": 1}, -2: {"x": 2}}


def test_data_files_that_are_gone_say_at_or_before(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1, 2], x=[1.0, 2.0], y=[1.0, 2.0]), rows(id=[3], x=[3.0], y=[3.0]))
    for value in ("7.0", "8.0"):
        DeltaTable(table.root).update(updates={"x": value}, predicate="id = 1")
    (table.root / table.log.commit(0).adds[0].path).unlink()
    found = cells(blame_version(table))
    assert found == {(1,): {"x": 3, "y": -2}, (2,): {"x": -2, "y": -2}, (3,): {"x": 1, "y": 1}}
    blame = blame_version(table, columns=["y"])
    assert [(w.version, w.exact, w.user) for w in blame.writers] == [(2, False, None), (1, True, None)]


def test_a_file_of_the_version_itself_must_be_there(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1], x=[1.0]))
    (table.root / table.log.commit(0).adds[0].path).unlink()
    with pytest.raises(OutsideError, match="is missing"):
        blame_version(table)


def test_a_damaged_file_on_the_way_is_refused_by_name(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1], x=[1.0]))
    DeltaTable(table.root).update(updates={"x": "9.0"})
    path = table.log.commit(0).adds[0].path
    (table.root / path).write_bytes(b"PAR1 no more PAR1")
    with pytest.raises(OutsideError, match=path):
        blame_version(table, columns=["id"])


def test_only_files_that_can_hold_the_row_are_read(make_table: MakeTable) -> None:
    table = make_table(*(rows(id=[n, n + 1], x=[0.0, 0.0], s=["a", "b"]) for n in range(0, 40, 2)))
    DeltaTable(table.root).update(updates={"x": "1.0"}, predicate="id = 7")
    DeltaTable(table.root).update(updates={"x": "2.0"}, predicate="id = 12")
    needed = {table.log.commit(version).adds[0].path for version in (3, 20)}
    for path in table.root.glob("*.parquet"):
        if path.name not in needed:
            path.unlink()
    assert cells(blame_version(table, key=["7"])) == {(7,): {"x": 20, "s": 3}}
    assert cells(blame_version(table, key=["6"])) == {(6,): {"x": 3, "s": 3}}


def test_no_file_is_read_that_no_row_can_come_from(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1], x=[1.0]), rows(id=[2], x=[2.0]))
    DeltaTable(table.root).delete("id = 1")
    make_table(rows(id=[1], x=[1.0]))
    (table.root / table.log.commit(0).adds[0].path).write_bytes(b"PAR1 no more PAR1")
    assert cells(blame_version(table, columns=["id", "x"])) == {(1,): {"id": 3, "x": 3}, (2,): {"id": 1, "x": 1}}


# --- keys -----------------------------------------------------------------------------------------------------------


def test_composite_keys_are_not_run_together(make_table: MakeTable) -> None:
    table = make_table(rows(a=["1", "11"], b=["11", "1"], x=[1, 2]), key=("a", "b"))
    DeltaTable(table.root).update(updates={"x": "9"}, predicate="a = '11'")
    assert cells(blame_version(table)) == {("1", "11"): {"x": 0}, ("11", "1"): {"x": 1}}
    assert cells(blame_version(table, key=["b=1", "a=11"])) == {("11", "1"): {"x": 1}}
    assert cells(blame_version(table, key={"a": "1", "b": 11})) == {("1", "11"): {"x": 0}}


@pytest.mark.parametrize(
    ("key", "kind", "word"),
    [
        (None, pa.int64(), "null"),
        (-(2**63), pa.int64(), str(-(2**63))),
        ('it\'s "x"=1', pa.string(), 'id=it\'s "x"=1'),
        ("", pa.string(), ""),
        ("null", pa.string(), "null"),
        ("a\0b", pa.string(), "a\0b"),
        ("ä" * 40, pa.string(), "ä" * 40),
        (math.nan, pa.float64(), "nan"),
        (-0.0, pa.float64(), "0"),
        (b"\xff\x00", pa.binary(), "ff00"),
        (True, pa.bool_(), "true"),
        (date(2026, 11, 22), pa.date32(), "2026-11-22"),
        (datetime(2026, 11, 22, 1, 2, 3, 4567, tzinfo=UTC), pa.timestamp("us", "UTC"), "2026-11-22T02:02:03.004567+01"),
    ],
)
def test_a_row_is_found_by_the_words_for_its_key(make_table: MakeTable, key: Any, kind: Any, word: str) -> None:
    ids = pa.array([key], kind)
    table = make_table(pa.table({"id": ids, "x": [1], "y": [1]}))
    write_deltalake(table.root, pa.table({"id": ids, "x": [2], "y": [1]}), mode="overwrite")
    (row,) = blame_version(table, key=[word]).listed
    assert {name: cell.version for name, cell in row.cells.items()} == {"x": 1, "y": 0}
    assert blame_version(table, key={"id": key}).listed == [row]


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (pa.int32(), "1.6"),
        (pa.int32(), "x"),
        (pa.int8(), "300"),
        (pa.int64(), ""),
        (pa.decimal128(10, 2), "1.005"),
        (pa.date32(), "2026-11-22 12:00"),
        (pa.timestamp("us"), "2026-11-22T12:00:00+02:00"),
        (pa.binary(), "xy"),
    ],
)
def test_a_word_that_is_no_value_of_the_type_is_refused(make_table: MakeTable, kind: Any, word: str) -> None:
    table = make_table(pa.table({"id": pa.array([None], kind), "x": [1]}))
    with pytest.raises(UsageError, match=r"is not a value of 'id', a column of type"):
        blame_version(table, key=[word])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (["1"], "names no column of the key: a, b"),
        (["a=1", "a=2"], "two values for 'a'"),
        (["a=1"], "no value for 'b'"),
        ({"a": 1, "c": 1}, "'c' is no column of the key"),
    ],
)
def test_a_key_must_name_each_column_once(make_table: MakeTable, key: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        blame_version(make_table(rows(a=[1], b=[1], x=[1]), key=("a", "b")), key=key)


def test_a_row_cannot_be_asked_for_by_a_nested_value(make_table: MakeTable) -> None:
    table = make_table(rows(id=[[1]], x=[1]))
    assert writers(blame_version(table)) == {0: {"x": 1}}
    with pytest.raises(UsageError, match="array<long>"):
        blame_version(table, key=["[1]"])


def test_a_key_that_is_not_there_is_not_found(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1], x=[1]), rows(id=[2], x=[2]))
    with pytest.raises(NotFoundError, match="housing@0 has no row with id 2") as caught:
        blame_version(table, 0, key=["2"])
    assert caught.value.hint == "lin show housing@0 --sample 20"


def test_rows_with_one_key_are_refused(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1, 1, 2], x=[1, 2, 3]))
    with pytest.raises(UsageError, match="housing@0 has more than one row with id 1") as caught:
        blame_version(table)
    assert caught.value.hint is not None
    assert "--by COLUMN" in caught.value.hint
    assert cells(blame_version(table, by=["id", "x"])) == {(1, 1): {"id": 0, "x": 0}} | {
        key: {"id": 0, "x": 0} for key in ((1, 2), (2, 3))
    }
    assert cells(blame_version(table, key=["2"])) == {(2,): {"x": 0}}


def test_rows_that_had_one_key_on_the_way_are_refused(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1, 2], x=[1, 5]), rows(id=[1], x=[2]))
    write_deltalake(table.root, rows(id=[1, 2], x=[2, 5]), mode="overwrite")
    with pytest.raises(UsageError, match="housing@1 has more than one row with id 1"):
        blame_version(table)
    assert cells(blame_version(table, key=["2"])) == {(2,): {"x": 0}}


def test_a_table_without_a_key_needs_one(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1], x=[1]), key=())
    with pytest.raises(UsageError, match="has no key") as caught:
        blame_version(table)
    assert caught.value.hint == "name the columns that tell its rows apart: lin blame housing --by COLUMN"
    assert blame_version(table, by=["id"]).key == ["id"]


@pytest.mark.parametrize(("option", "what"), [("by", "key column"), ("columns", "column")])
def test_an_unknown_column_is_refused(make_table: MakeTable, option: str, what: str) -> None:
    with pytest.raises(UsageError, match=f"has no {what} 'medvv'") as caught:
        blame_version(make_table(rows(id=[1], medv=[1])), **{option: ["medvv"]})
    assert caught.value.hint == "did you mean 'medv'?"


def test_columns_may_have_any_name(make_table: MakeTable) -> None:
    names = ['a"b', "'; drop table head --", "c0", "k0", "w0", "i", "came", "gone", "newer", "x\ny", "ä"]
    table = make_table(pa.table({"id": [1, 2], **{name: [0, 0] for name in names}}))
    DeltaTable(table.root).update(updates={"came": "1"}, predicate="id = 2")
    versions = cells(blame_version(table))
    assert versions[1,] == dict.fromkeys(names, 0)
    assert versions[2,] == {**versions[1,], "came": 1}
    assert cells(blame_version(table, by=["id", "c0", names[0]], columns=["came"]))[2, 0, 0] == {"came": 1}


def test_the_rows_listed_are_the_first_by_their_key(make_table: MakeTable) -> None:
    table = make_table(rows(id=[3, 1, None, 2], x=[1, 1, 1, 1]))
    blame = blame_version(table, limit=3)
    assert [row.key["id"] for row in blame.listed] == [1, 2, 3]
    assert (blame.rows, blame.writers[0].rows) == (4, 4)
    assert blame_version(table, limit=0).listed == []
    assert len(blame_version(table, limit=0, key=["3"]).listed) == 1


def test_an_empty_version_has_no_writers(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1], x=[1]))
    DeltaTable(table.root).delete()
    blame = blame_version(table)
    assert (blame.rows, blame.writers, blame.listed) == (0, [], [])


def test_nested_values_and_partitions_are_followed(make_table: MakeTable) -> None:
    first = pa.table({"id": [1, 2], "p": ["a%b", None], "s": [{"v": [1.0, None]}, None]})
    table = make_table(first, partition_by=["p"])
    DeltaTable(table.root).update(updates={"p": "'z'"}, predicate="id = 2")
    assert cells(blame_version(table)) == {(1,): {"p": 0, "s": 0}, (2,): {"p": 1, "s": 0}}
    plain = pa.table({"id": [1, 2], "p": ["a%b", "z"], "s": [{"v": [1.0, None]}, {"v": []}]})
    write_deltalake(table.root, plain, mode="overwrite", schema_mode="overwrite", partition_by=["id"])
    assert cells(blame_version(table)) == {(1,): {"p": 0, "s": 0}, (2,): {"p": 1, "s": 2}}


def test_the_memory_must_be_an_amount(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1], x=[1]))
    assert writers(blame_version(table, memory="200MB")) == {0: {"x": 1}}
    with pytest.raises(UsageError, match="'much' is not an amount of memory"):
        blame_version(table, memory="much")


# --- tables that Spark wrote ----------------------------------------------------------------------------------------


def commit_path(table: Table, version: int) -> Path:
    return table.root / "_delta_log" / f"{version:020d}.json"


def read_actions(table: Table, version: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in commit_path(table, version).read_text().splitlines()]


def write_actions(table: Table, version: int, *actions: dict[str, Any]) -> None:
    commit_path(table, version).parent.mkdir(parents=True, exist_ok=True)
    commit_path(table, version).write_text("".join(json.dumps(action) + "\n" for action in actions))


def change(table: Table, version: int, **changes: Any) -> None:
    """Write other facts into a commit's `commitInfo`."""
    actions = read_actions(table, version)
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"].update(changes)
    write_actions(table, version, *actions)


def protocol(*features: str) -> dict[str, Any]:
    both = {"readerFeatures": list(features), "writerFeatures": list(features)}
    return {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **both}}


def inline_vector(*positions: int) -> dict[str, Any]:
    """A deletion vector that lies in the log, after Delta's specification."""
    array = struct.pack(f"<IIHHI{len(positions)}H", 12346, 1, 0, len(positions) - 1, 16, *positions)
    data = struct.pack("<IQI", 1681511377, 1, 0) + array
    padded = data + bytes(-len(data) % 4)
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    words = (int.from_bytes(padded[at : at + 4]) for at in range(0, len(padded), 4))
    text = "".join(alphabet[word // 85**power % 85] for word in words for power in (4, 3, 2, 1, 0))
    return {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(data), "cardinality": len(positions)}


def test_a_deletion_vector_leaves_the_other_rows_to_their_writer(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1, 2, 3], x=[1.0, 2.0, 3.0]))
    (add,) = (action["add"] for action in read_actions(table, 0) if "add" in action)
    new = make_table(rows(id=[2], x=[7.0]), name="new").log.commit(0).adds[0]
    (table.root / new.path).write_bytes((table.root.parent / "new" / new.path).read_bytes())
    updated = {"path": new.path, "size": new.bytes, "modificationTime": 1, "partitionValues": {}, "dataChange": True}
    whole = {"path": add["path"], "dataChange": True}
    first, second = inline_vector(1), inline_vector(0, 1)
    change_first = [{"remove": whole}, {"add": {**add, "deletionVector": first}}, {"add": updated}]
    write_actions(table, 1, protocol("deletionVectors"), *change_first)
    cut = {"remove": {**whole, "deletionVector": first}}
    write_actions(table, 2, cut, {"add": {**add, "deletionVector": second}})
    assert cells(blame_version(table, 1)) == {(1,): {"x": 0}, (2,): {"x": 1}, (3,): {"x": 0}}
    assert cells(blame_version(table, columns=["x", "id"])) == {(2,): {"x": 1, "id": 0}, (3,): {"x": 0, "id": 0}}


def metadata(*fields: tuple[str, str, int], kind: Any = "long") -> dict[str, Any]:
    """A schema with these columns: their names, physical names and ids."""
    described = [
        {
            "name": name,
            "type": kind if name == "s" else "long",
            "nullable": True,
            "metadata": {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": physical},
        }
        for name, physical, number in fields
    ]
    schema = json.dumps({"type": "struct", "fields": described})
    setting = {"delta.columnMapping.mode": "name"}
    return {"metaData": {"id": "m", "schemaString": schema, "partitionColumns": [], "configuration": setting}}


def add(table: Table, name: str, content: pa.Table) -> dict[str, Any]:
    """Write a data file, and the action that adds it."""
    table.root.mkdir(exist_ok=True)
    pq.write_table(content, table.root / name)
    size = (table.root / name).stat().st_size
    return {"add": {"path": name, "size": size, "modificationTime": 1, "partitionValues": {}, "dataChange": True}}


def test_columns_are_followed_by_their_ids(tmp_path: Path) -> None:
    table = Table("t", tmp_path / "t", key=("id",))
    old = pa.table({"p-id": [1, 2], "p-a": [5, 6]})
    new = pa.table({"p-id": [1, 2], "p-a": [5, 7], "p-new": pa.array([None, 5], pa.int64())})
    before = metadata(("id", "p-id", 1), ("a", "p-a", 2))
    write_actions(table, 0, protocol("columnMapping"), before, add(table, "0", old))
    write_actions(table, 1, metadata(("id", "p-id", 1), ("b", "p-a", 2), ("a", "p-new", 3)))
    write_actions(table, 2, {"remove": {"path": "0", "dataChange": True}}, add(table, "2", new))
    assert cells(blame_version(table)) == {(1,): {"b": 0, "a": 1}, (2,): {"b": 2, "a": 2}}
    assert cells(blame_version(table, key=["2"])) == {(2,): {"b": 2, "a": 2}}


def test_parts_that_were_renamed_are_not_followed(tmp_path: Path) -> None:
    table = Table("t", tmp_path / "t", key=("id",))

    def described(part: str) -> dict[str, Any]:
        ids = {"delta.columnMapping.id": 3, "delta.columnMapping.physicalName": "p-part"}
        fields = [{"name": part, "type": "long", "nullable": True, "metadata": ids}]
        return metadata(("id", "p-id", 1), ("s", "p-s", 2), kind={"type": "struct", "fields": fields})

    content = pa.table({"p-id": [1], "p-s": [{"p-part": 5}]})
    write_actions(table, 0, protocol("columnMapping"), described("a"), add(table, "0", content))
    write_actions(table, 1, described("b"))
    (row,) = blame_version(table).listed
    assert (row.cells["s"].value, row.version, row.exact) == ({"b": 5}, 1, False)


def test_a_restore_is_known_by_its_schema_too(make_table: MakeTable) -> None:
    table = make_table(rows(id=[1], x=[1.0]))
    (narrow,) = (action for action in read_actions(table, 0) if "metaData" in action)
    schema = json.loads(narrow["metaData"]["schemaString"])
    fields = [*schema["fields"], {"name": "new", "type": "long", "nullable": True, "metadata": {}}]
    wide = {"metaData": {**narrow["metaData"], "schemaString": json.dumps({**schema, "fields": fields})}}
    info = {"operation": "RESTORE", "timestamp": 1, "operationParameters": {}}
    write_actions(table, 1, wide)
    write_actions(table, 2, narrow)
    write_actions(table, 3, {"commitInfo": info}, wide)
    assert cells(blame_version(table)) == {(1,): {"x": 0, "new": 1}}
    change(table, 3, operationParameters={"version": "0"})
    assert cells(blame_version(table)) == {(1,): {"x": 0, "new": 3}}
