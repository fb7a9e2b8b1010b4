"""Tables that others wrote: every reader gives the rows that the protocol means, or a refusal that names why.

The tables are written by hand, action by action; what they hold is told by plain Python rows beside them, and by
delta-rs where it can read them.
"""

import itertools
import json
import os
import random
import re
import struct
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, QueryBuilder

from lin.data.commit import Attribution
from lin.data.diff import diff_versions
from lin.data.history import read_history
from lin.data.pins import check_pin, pin_digest, pin_version
from lin.data.read import read_pin, read_version
from lin.data.restore import restore_version
from lin.data.summary import summarise_version
from lin.data.tables import Table
from lin.errors import OutsideError
from lin.records import Pin

Row = dict[str, Any]
BY = Attribution(run="r1", user="ada", reason="as it was", lin="0.1.0")
FIELD_ID = b"PARQUET:field_id"
LIST = {"type": "array", "elementType": "string", "containsNull": True}
UUID = "80a083e8-7026-4e79-81be-64bd76c43a11"


def delta_rs_rows(root: Path, version: int | None = None) -> list[Row]:
    """The rows as delta-rs reads them, through its query engine: its other readers give nulls on mapped columns."""
    found = QueryBuilder().register("t", DeltaTable(root, version=version)).execute("SELECT * FROM t")
    return pa.table(found.read_all()).to_pylist()


def by_id(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["id"])


def shown(rows: list[Row]) -> list[Row]:
    """Rows as a summary has them; only for values that JSON has."""
    return json.loads(json.dumps(rows))


def require_alike(table: Table, expected: list[Row], version: int | None = None) -> None:
    """Every way to read a version gives these rows, in this order."""
    snapshot, rows = read_version(table, version)
    assert rows.to_pylist() == expected
    assert rows.validate(full=True) is None
    summary = summarise_version(table, version, sample=100)
    assert (summary.rows, summary.sample) == (len(expected), shown(expected))
    for column in summary.columns:
        assert column.nulls == sum(row[column.name] is None for row in expected)
    pin = pin_version(table, snapshot)
    assert check_pin(table, pin) == []
    assert read_pin(table, pin).equals(rows)


# --- every feature with every other -----------------------------------------------------------------------------------

KINDS = {"id": pa.int64(), "town": pa.string(), "s": pa.string(), "x": pa.int32(), "new": pa.float64()}
NUMBERS = {name: number for number, name in enumerate(KINDS, start=1)}


class Live:
    """A data file of the newest version: the action that added it, its rows, and which of them are deleted."""

    def __init__(self, action: dict[str, Any], rows: list[Row]) -> None:
        self.action = action
        self.rows = rows
        self.deleted: set[int] = set()

    @property
    def place(self) -> tuple[int, str]:
        return self.action["add"]["modificationTime"], self.action["add"]["path"]

    def left(self) -> list[Row]:
        return [row for number, row in enumerate(self.rows) if number not in self.deleted]


class Story:
    """A table of five versions; `told` has the rows of each, in order, and `files` how many files they are in.

    Version 1 deletes rows. Version 2 has a column `new`, and calls `s` now `label` if columns are mapped. In version 3,
    `x` is wider, if `wider`. Version 4 removes a file and deletes another row. The checkpoint is of version 2.
    """

    def __init__(self, made: Any, *, form: str, vectors: bool, partitioned: bool, wider: bool) -> None:
        self.made = made
        self.vectors = vectors
        self.partitions = ["town"] if partitioned else []
        self.names = {name: name for name in KINDS if name != "new"}
        self.kinds = {"id": "long", "town": "string", "s": "string", "x": "integer", "new": "double"}
        self.live: dict[str, Live] = {}
        self.told: list[list[Row]] = []
        self.files: list[int] = []
        first = [{"id": n, "town": "é /=%", "s": f"s{n}", "x": n} for n in range(6)]
        adds = [self.add("a", first), self.add("b", [{"id": 10, "town": None, "s": None, "x": None}])]
        self.commit(made.protocol(), self.metadata(), *adds)
        self.commit(*self.delete("a", {1, 3}))
        self.names |= {"new": "new", "s": "s" if made.mapping == "none" else "label"}
        self.commit(self.metadata(), self.add("c", [{"id": 20, "town": "x", "s": "t", "x": 7, "new": 0.5}]))
        self.checkpoint(form)
        self.kinds["x"] = "long" if wider else "integer"
        far = {"id": 30, "town": "x", "s": "u", "x": 2**40 if wider else 2**30, "new": -0.0}
        self.commit(*([self.metadata()] if wider else []), self.add("d", [far]))
        self.commit(*self.delete("a", {1, 3, 4}), made.remove(self.live.pop("b").action))

    def metadata(self) -> dict[str, Any]:
        fields = [self.made.field(shown, self.kinds[name], NUMBERS[name]) for name, shown in self.names.items()]
        return self.made.metadata(*fields, partitions=self.partitions)

    def add(self, name: str, rows: list[Row], *, copy: str = "") -> dict[str, Any]:
        mapped = self.made.mapping != "none"
        columns = [column for column in rows[0] if column not in self.partitions]
        kinds = KINDS | {"x": pa.int64() if self.kinds["x"] == "long" else pa.int32()}
        schema = pa.schema(
            [
                pa.field(f"col-{NUMBERS[column]}", kinds[column], metadata={FIELD_ID: str(NUMBERS[column])})
                if mapped
                else pa.field(column, kinds[column])
                for column in columns
            ]
        )
        partition = {"col-2" if mapped else column: rows[0][column] for column in self.partitions}
        path = f"{name}{copy} é%3D.parquet"
        table = pa.table([[row[column] for row in rows] for column in columns], schema=schema)
        action = self.made.add(path, table, partition=partition, encoded=f"{name}{copy}%20%C3%A9%253D.parquet")
        self.live[name] = Live(action, rows)
        return action

    def delete(self, name: str, positions: set[int]) -> list[dict[str, Any]]:
        """Delete rows of a file of the first version, by a deletion vector or by writing it anew."""
        old = self.live[name]
        gone = self.made.remove(old.action)
        if not self.vectors:
            kept = [row for row in old.rows if row["id"] not in positions]
            return [gone, self.add(name, kept, copy=str(len(positions)))]
        plain = {key: value for key, value in old.action["add"].items() if key != "deletionVector"}
        old.action, old.deleted = self.made.delete({"add": plain}, positions), positions
        return [gone, old.action]

    def commit(self, *actions: dict[str, Any]) -> None:
        self.made.commit(*actions)
        files = sorted(self.live.values(), key=lambda file: file.place)
        rows = [row for file in files for row in file.left()]
        self.told.append([{shown: row.get(name) for name, shown in self.names.items()} for row in rows])
        self.files.append(len(files))

    def checkpoint(self, form: str) -> None:
        """Put a checkpoint of the newest version into the log; with `after`, no commit is left up to it."""
        if form == "none":
            return
        version = self.made.version
        log = self.made.root / "_delta_log"
        whole = [self.made.protocol(), self.metadata()]
        adds = [file.action for file in self.live.values()]
        name = f"{version:020d}.checkpoint"
        if form != "v2":
            write_actions(log / f"{name}.parquet", [*whole, *adds])
        else:
            (log / "_sidecars").mkdir()
            lines = [{"checkpointMetadata": {"version": version}}, *whole]
            for number, part in enumerate([adds[:1], adds[1:]]):
                path = log / "_sidecars" / f"{number}-{UUID}.parquet"
                write_actions(path, part)
                told = {"path": path.name, "sizeInBytes": path.stat().st_size, "modificationTime": 1}
                lines.append({"sidecar": told})
            (log / f"{name}.{UUID}.json").write_text("\n".join(map(json.dumps, lines)))
        for number in range(version + 1 if form == "after" else 0):
            (log / f"{number:020d}.json").unlink()


TEXTS = pa.map_(pa.string(), pa.string())
WORDS = pa.list_(pa.string())
VECTOR = {"storageType": "string", "pathOrInlineDv": "string", "offset": "int32", "sizeInBytes": "int32"}
ACTIONS = {
    "protocol": pa.struct(
        {"minReaderVersion": "int32", "minWriterVersion": "int32", "readerFeatures": WORDS, "writerFeatures": WORDS}
    ),
    "metaData": pa.struct(
        {
            "id": "string",
            "format": pa.struct({"provider": pa.string(), "options": TEXTS}),
            "schemaString": "string",
            "partitionColumns": WORDS,
            "configuration": TEXTS,
        }
    ),
    "add": pa.struct(
        {
            "path": "string",
            "partitionValues": TEXTS,
            "size": "int64",
            "modificationTime": "int64",
            "dataChange": "bool",
            "stats": "string",
            "deletionVector": pa.struct({**VECTOR, "cardinality": "int64"}),
        }
    ),
}


def write_actions(path: Path, actions: list[dict[str, Any]]) -> None:
    """A Parquet file of actions, as Spark's checkpoints are: a column for each kind, one action in a row."""
    columns = {kind: [as_arrow(action.get(kind)) for action in actions] for kind in ACTIONS}
    pq.write_table(pa.table({kind: pa.array(rows, ACTIONS[kind]) for kind, rows in columns.items()}), path)


def as_arrow(value: Any) -> Any:
    """Objects whose names are data as lists of pairs, which is what a map is in Arrow."""
    if not isinstance(value, dict):
        return value
    maps = {"partitionValues", "configuration", "options"}
    return {key: list(each.items()) if key in maps else as_arrow(each) for key, each in value.items()}


def stories() -> list[Any]:
    """Each mapping with each form of checkpoint, and of the other features each with each."""
    flags = {
        (m, f): ((m + f) % 2 == 0, (m + f // 2) % 2 == 0, (m // 2 + f) % 2 == 1) for m in range(3) for f in range(4)
    }
    return [
        pytest.param((mapping, form, *flags[m, f]), id=" ".join([mapping, form, *map(str, flags[m, f])]))
        for m, mapping in enumerate(("none", "name", "id"))
        for f, form in enumerate(("none", "classic", "v2", "after"))
    ]


@pytest.fixture
def story(foreign: Any, request: pytest.FixtureRequest) -> Story:
    mapping, form, vectors, partitioned, wider = request.param
    named = {"deletionVectors": vectors, "typeWidening": wider, "v2Checkpoint": form == "v2"}
    made = foreign(mapping=mapping, features=[feature for feature, used in named.items() if used])
    return Story(made, form=form, vectors=vectors, partitioned=partitioned, wider=wider)


@pytest.mark.parametrize("story", stories(), indirect=True)
def test_every_version_is_read_as_it_was_written(story: Story) -> None:
    table, head = story.made.table, len(story.told) - 1
    first = 0 if 0 in table.log.versions() else 2
    for version in range(first, head + 1):
        require_alike(table, story.told[version], version)
        if "typeWidening" not in story.made.features:  # delta-rs lacks it
            assert by_id(delta_rs_rows(story.made.root, version)) == by_id(story.told[version])
    told = [(entry.rows, entry.files) for entry in read_history(table)]
    assert told == [(len(story.told[n]), story.files[n]) for n in table.log.versions()]


@pytest.mark.parametrize("story", stories(), indirect=True)
def test_versions_differ_by_what_was_written(story: Story) -> None:
    first = 0 if 0 in story.made.table.log.versions() else 2
    for old, new in itertools.permutations(range(first, len(story.told)), 2):
        diff = diff_versions(story.made.table, old, new)
        assert (diff.inserted, diff.deleted, diff.updated) == compare_by_hand(story.told[old], story.told[new])


def compare_by_hand(old: list[Row], new: list[Row]) -> tuple[int, int, int]:
    """How many rows were inserted, deleted and updated, in the columns that both have; `label` is what `s` was."""
    before, after = ({row["id"]: {"s": row.get("label"), **row} for row in rows} for rows in (old, new))
    both = set(before[0]) & set(after[0])
    both.discard("label")
    changed = [n for n in before.keys() & after.keys() if any(before[n][c] != after[n][c] for c in both)]
    return len(after.keys() - before.keys()), len(before.keys() - after.keys()), len(changed)


@pytest.mark.parametrize("story", stories(), indirect=True)
def test_a_restored_version_is_the_old_one_or_is_refused(story: Story) -> None:
    table = story.made.table
    first = 0 if 0 in table.log.versions() else 2
    for version in range(first, len(story.told)):
        before = pin_version(table, table.log.snapshot(version))
        if "typeWidening" in story.made.features:
            with pytest.raises(OutsideError, match="it uses the feature 'typeWidening'"):
                restore_version(table, first, BY)
            assert table.log.head() == len(story.told) - 1
            continue
        restore_version(table, version, BY)
        head = table.log.snapshot()
        assert head.version >= len(story.told) - 1
        assert pin_digest(pin_version(table, head)) == pin_digest(before)
        require_alike(table, story.told[version])
        assert by_id(delta_rs_rows(table.root)) == by_id(story.told[version])


# --- columns and rows -------------------------------------------------------------------------------------------------


def test_a_struct_that_is_null_has_no_parts_to_be_missed(foreign: Any) -> None:
    made = foreign()
    part = {"name": "a", "type": "long", "nullable": False, "metadata": {}}
    fields = made.field("id", "long"), made.field("v", {"type": "struct", "fields": [part]})
    rows = [{"id": 1, "v": None}, {"id": 2, "v": {"a": 7}}]
    made.commit(made.protocol(), made.metadata(*fields), made.add("a.parquet", pa.Table.from_pylist(rows)))
    require_alike(made.table, rows)


NAMES = [
    "a.b",
    "it's",
    '"q"',
    "🏠",
    "x; drop table t --",
    "x\x01\x1b[31my",
    "a\nb",
    " a",
    "a,b",
    "`b`",
    "\\",
    "%",
    "?",
    "$1",
]
NAMES += ["rowid", "filename", "c0", "p0", "rows", "given", "null", "count(*)", "select", "x" * 300, "nul\0"]


def test_columns_have_any_name(foreign: Any) -> None:
    made = foreign()
    stored, told = {"id": [1, 2]}, [made.field("id", "long")]
    for number, name in enumerate(NAMES):
        stored[f"{name} "] = [number, None]
        told += [made.field(f"{name} ", "long"), made.field(name, "string")]
    partition = {name: f"{number}" for number, name in enumerate(NAMES)}
    adds = [made.add(f"{n}.parquet", pa.table(stored), partition=partition) for n in range(2)]
    made.commit(made.protocol(), made.metadata(*told, partitions=NAMES), *adds)
    row: Row = {"id": 1}
    for number, name in enumerate(NAMES):
        row |= {f"{name} ": number, name: f"{number}"}
    empty = {key: None if key.endswith(" ") else value for key, value in row.items()} | {"id": 2}
    require_alike(made.table, [row, empty, row, empty])
    made.commit(made.remove(adds[0]))
    diff = diff_versions(made.table, 0, 1, key=[])
    assert (diff.inserted, diff.deleted, diff.updated) == (0, 2, 0)
    assert diff.rows[0].old == row


@pytest.mark.parametrize("name", ["_file", "_position", "file_index", "file_row_number", "FILE_INDEX"])
def test_a_column_whose_name_is_taken_is_right_or_refused(foreign: Any, name: str) -> None:
    made = foreign()
    fields = made.field("id", "long"), made.field(name, "long")
    made.commit(made.protocol(), made.metadata(*fields), made.add("a.parquet", pa.table({"id": [1], name: [7]})))
    made.commit(made.add("b.parquet", pa.table({"id": [2], name: [8]})))
    assert read_version(made.table)[1].to_pylist() == [{"id": 1, name: 7}, {"id": 2, name: 8}]
    with pytest.raises(OutsideError, match=rf"has a column '{name}', a name that (lin|DuckDB) keeps for itself"):
        summarise_version(made.table)
    diff = diff_versions(made.table, 0, 1)
    assert (diff.inserted, diff.deleted, diff.updated) == (1, 0, 0)
    assert diff.rows[0].new == {"id": 2, name: 8}


def test_a_column_without_a_name_is_refused(foreign: Any) -> None:
    made = foreign()
    made.commit(made.protocol(), made.metadata(made.field("", "long")), made.add("a.parquet", pa.table({"": [1]})))
    with pytest.raises(OutsideError, match="has no name"):
        summarise_version(made.table)


def test_a_table_without_columns_is_refused(foreign: Any) -> None:
    made = foreign()
    made.commit(made.protocol(), made.metadata())
    with pytest.raises(OutsideError, match="has no columns"):
        summarise_version(made.table)


def test_files_have_columns_in_any_order_and_more_than_the_table(foreign: Any) -> None:
    made = foreign()
    one = pa.table({"s": ["x"], "other": [[1]], "id": [1]})
    two = pa.table({"id": pa.array([2], pa.int8()), "S2": [5]})
    none = pa.table({"id": pa.array([], pa.int64()), "s": pa.array([], pa.string())})
    adds = [made.add(f"{n}.parquet", rows) for n, rows in enumerate([one, none, two])]
    made.commit(made.protocol(), made.metadata(made.field("id", "long"), made.field("s", "string")), *adds)
    require_alike(made.table, [{"id": 1, "s": "x"}, {"id": 2, "s": None}])


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (["ID"], "data file 'a.parquet' has a column 'ID' where the table has 'id'"),
        (["id", "ID"], "data file 'a.parquet' has columns 'id' and 'ID', which lin cannot tell apart"),
        (["id", "id"], "data file 'a.parquet' has columns 'id' and 'id', which lin cannot tell apart"),
        (["id", "x", "X"], "data file 'a.parquet' has columns 'x' and 'X', which lin cannot tell apart"),
        (["other"], "data file 'a.parquet' has no column 'id', which is never null in its table"),
    ],
)
def test_columns_that_would_be_taken_for_others_are_refused(foreign: Any, stored: list[str], message: str) -> None:
    made = foreign()
    rows = pa.Table.from_arrays([pa.array([n]) for n in range(len(stored))], names=stored)
    required = made.field("id", "long") | {"nullable": False}
    made.commit(made.protocol(), made.metadata(required), made.add("a.parquet", rows))
    for read in (read_version, summarise_version):
        with pytest.raises(OutsideError, match=message):
            read(made.table)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ((None, None), "data file 'a.parquet' has no field ids"),
        (("1", None), "data file 'a.parquet' has no field id for column 'col-2'"),
        (("1", "1"), "data file 'a.parquet' has two columns with the id 1"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_column_that_only_lacks_its_id_is_not_read_as_nulls(
    foreign: Any, ids: tuple[str | None, str | None], message: str, *, nested: bool
) -> None:
    made = foreign(mapping="id")
    stored = [pa.field(f"col-{n}", pa.int64(), metadata=i and {FIELD_ID: i}) for n, i in enumerate(ids, start=1)]
    fields = [made.field("a", "long", 1), made.field("b", "long", 2)]
    rows = pa.table([[1], [2]], schema=pa.schema(stored))
    if nested:
        fields = [made.field("v", {"type": "struct", "fields": fields}, 3)]
        outer = pa.field("col-3", pa.struct(stored), metadata={FIELD_ID: "3"})
        rows = pa.table([pa.array([{"col-1": 1, "col-2": 2}], outer.type)], schema=pa.schema([outer]))
    made.commit(made.protocol(), made.metadata(*fields), made.add("a.parquet", rows))
    for read in (read_version, summarise_version):
        with pytest.raises(OutsideError, match=message):
            read(made.table)


def test_two_columns_that_are_one_in_the_files_are_refused(foreign: Any) -> None:
    made = foreign(mapping="name")
    fields = made.field("a", "long", 1), made.field("b", "long", 1)
    made.commit(made.protocol(), made.metadata(*fields), made.add("a.parquet", pa.table({"col-1": [1]})))
    with pytest.raises(OutsideError, match="several columns that data files know as 'col-1'"):
        read_version(made.table)


def test_two_thousand_columns(foreign: Any) -> None:
    made = foreign()
    columns = [f"c{n}" for n in range(2000)]
    made.commit(
        made.protocol(),
        made.metadata(*(made.field(name, "long") for name in columns)),
        made.add("a.parquet", pa.table({name: [n, None] for n, name in enumerate(columns)})),
    )
    summary = summarise_version(made.table, sample=1)
    assert [(c.nulls, c.max) for c in summary.columns] == [(1, str(n)) for n in range(2000)]
    assert read_version(made.table)[1].num_columns == 2000


def test_tables_without_files_or_rows(foreign: Any) -> None:
    made = foreign(features=["deletionVectors"])
    made.commit(made.protocol(), made.metadata(made.field("id", "long"), made.field("v", LIST)))
    add = made.add("a.parquet", pa.table({"id": [1, 2]}))
    made.commit(add)
    deleted = made.delete(add, [0, 1])
    made.commit(made.remove(add), deleted)
    made.commit(made.remove(deleted))
    for version, rows in enumerate([[], [{"id": 1, "v": None}, {"id": 2, "v": None}], [], []]):
        require_alike(made.table, rows, version)
    assert [(entry.rows, entry.files) for entry in read_history(made.table)] == [(0, 0), (2, 1), (0, 1), (0, 0)]
    assert diff_versions(made.table, 2, 3).identical
    assert diff_versions(made.table, 0, 1).inserted == diff_versions(made.table, 1, 2).deleted == 2


def test_rows_are_counted_without_statistics(foreign: Any) -> None:
    made = foreign(features=["deletionVectors"])
    add = made.add("a.parquet", pa.table({"id": [1, 2, 3]}), stats=False)
    made.commit(made.protocol(), made.metadata(made.field("id", "long")), add)
    made.commit(made.remove(add), made.delete(add, [0, 2]))
    assert [entry.rows for entry in read_history(made.table)] == [3, 1]
    (made.root / "a.parquet").write_bytes(b"rotten")
    assert [entry.rows for entry in read_history(made.table)] == [None, None]


# --- what the log says of itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "time"),
    [
        ({}, None),
        ({"timestamp": "2026-11-22"}, None),
        ({"timestamp": -5}, datetime(1969, 12, 31, 23, 59, 59, 995000, tzinfo=UTC)),
        ({"timestamp": 10**30}, None),
        ({"timestamp": 1.5}, None),
        ({"timestamp": True}, None),
        ({"timestamp": 6, "inCommitTimestamp": 5}, datetime(1970, 1, 1, 0, 0, 0, 5000, tzinfo=UTC)),
        ({"operation": ["x"], "userName": 7, "userMetadata": {"a": 1}, "operationParameters": "x"}, None),
    ],
)
def test_odd_words_about_a_commit_change_nothing_about_its_rows(
    foreign: Any, info: dict[str, Any], time: datetime | None
) -> None:
    made = foreign()
    add = made.add("a.parquet", pa.table({"id": [1]}))
    made.commit(made.protocol(), made.metadata(made.field("id", "long")), add, info=info)
    require_alike(made.table, [{"id": 1}])
    (entry,) = read_history(made.table)
    assert (entry.time, entry.operation, entry.user, entry.reason, entry.rows) == (time, None, None, None, 1)
    assert summarise_version(made.table).time == time


@pytest.mark.parametrize(
    "feature", ["variantType", "variantType-preview", "variantShredding-preview", "catalogManaged", "made up"]
)
def test_a_feature_that_lin_does_not_know_is_refused_by_name(foreign: Any, feature: str) -> None:
    made = foreign(features=[feature])
    made.commit(made.protocol(), made.metadata(made.field("id", "long")), made.add("a.parquet", pa.table({"id": [1]})))
    commands: list[Callable[[Table], Any]] = [
        read_version,
        summarise_version,
        lambda table: pin_version(table, table.log.snapshot()),
        lambda table: diff_versions(table, 0, 0),
    ]
    for command in commands:
        with pytest.raises(OutsideError, match=f"the feature '{feature}', which this lin does not read yet"):
            command(made.table)
    assert read_history(made.table)[0].rows == 1


# --- damage -----------------------------------------------------------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def link(path: Path) -> None:
    path.symlink_to(path.rename(path.parent.parent / "elsewhere.parquet"))


def replace_by(make: Callable[[Path], Any]) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def commands(table: Table, pin: Pin) -> dict[str, Callable[[], Any]]:
    """Everything that reads the files of version 0, whose pin is given."""
    return {
        "read": lambda: read_version(table, 0),
        "show": lambda: summarise_version(table, 0),
        "diff": lambda: diff_versions(table, 0, 1),
        "restore": lambda: restore_version(table, 0, BY),
        "pin": lambda: pin_version(table, table.log.snapshot(0)),
        "read pin": lambda: read_pin(table, pin),
    }


@pytest.fixture
def two(foreign: Any) -> Any:
    """A table whose version 0 is in `a.parquet`, and whose version 1 is in another file."""
    made = foreign()
    one = made.add("a.parquet", pa.table({"id": [1, 2], "x": [1.5, 2.5]}))
    made.commit(made.protocol(), made.metadata(made.field("id", "long"), made.field("x", "double")), one)
    made.commit(made.remove(one), made.add("b.parquet", pa.table({"id": [1, 2], "x": [1.5, 3.5]})))
    return made


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (Path.unlink, "is missing"),
        (cut, "was altered"),
        (lambda path: path.write_bytes(b""), "was altered"),
        (lambda path: pq.write_table(pa.table({"other": ["a"]}), path), "was altered"),
        (lambda path: flip(path, -6), "cannot be read|was altered"),
        (lambda path: flip(path, -1), "cannot be read|was altered"),
        (link, "is refused: it is a symbolic link"),
        (replace_by(lambda path: path.symlink_to("/dev/zero")), "is refused: it is a symbolic link"),
        (replace_by(os.mkdir), "is refused: it is not a regular file"),
        (replace_by(os.mkfifo), "is refused: it is not a regular file"),
    ],
)
def test_a_spoiled_file_is_refused_by_name(two: Any, spoil: Callable[[Path], Any], message: str) -> None:
    pin = pin_version(two.table, two.table.log.snapshot(0))
    spoil(two.root / "a.parquet")
    start = time.monotonic()
    for command in commands(two.table, pin).values():
        with pytest.raises(OutsideError, match=rf"data file 'a.parquet'.*({message})"):
            command()
    assert len(check_pin(two.table, pin)) == 1
    assert [entry.rows for entry in read_history(two.table)] == [2, 2]
    assert two.table.log.head() == 1
    require_alike(two.table, [{"id": 1, "x": 1.5}, {"id": 2, "x": 3.5}], 1)
    assert time.monotonic() - start < 2 * 8


def test_values_that_changed_on_disk_are_never_read_from_a_pin(two: Any) -> None:
    table, path = two.table, two.root / "a.parquet"
    pin = pin_version(table, table.log.snapshot(0))
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<d", 2.5), struct.pack("<d", 9.5)))
    assert read_version(table, 0)[1].column("x").to_pylist() == [1.5, 9.5]
    with pytest.raises(OutsideError, match=r"data file 'a.parquet' of table 'housing' was altered: its sha256"):
        read_pin(table, pin)
    assert check_pin(table, pin) == ["data file 'a.parquet' was altered"]
    assert pin_digest(pin_version(table, table.log.snapshot(0))) != pin_digest(pin)


@pytest.mark.parametrize(
    "path",
    [
        "../x.parquet",
        "%2e%2e/x.parquet",
        "a/%2E%2E/../%2e%2e/x.parquet",
        "/etc/passwd",
        "%2Fetc/passwd",
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "s3://bucket/x.parquet",
        "hdfs:x.parquet",
        "a%00b",
        "..",
        "",
    ],
)
def test_a_path_that_leaves_the_table_is_refused_by_name(two: Any, path: str) -> None:
    pin = pin_version(two.table, two.table.log.snapshot(0))
    (two.root.parent / "x.parquet").write_bytes((two.root / "a.parquet").read_bytes())
    log = two.root / "_delta_log" / f"{0:020d}.json"
    log.write_text(log.read_text().replace('"a.parquet"', json.dumps(path)))
    for name, command in commands(two.table, pin).items():
        if name != "read pin":
            with pytest.raises(
                OutsideError, match=rf"names a data file outside its own folder: {re.escape(repr(path))}"
            ):
                command()
    with pytest.raises(OutsideError, match="outside its own folder"):
        read_history(two.table)


def test_a_text_that_is_none_is_refused_by_name(foreign: Any) -> None:
    made = foreign()
    texts = pa.array([b"fine", b"\xff\xfe"]).view(pa.string())
    add = made.add("a.parquet", pa.table({"id": [1, 2], "s": texts}))
    made.commit(made.protocol(), made.metadata(made.field("id", "long"), made.field("s", "string")), add)
    pin = pin_version(made.table, made.table.log.snapshot())
    for read in (read_version, summarise_version, lambda table: read_pin(table, pin)):
        with pytest.raises(OutsideError, match=r"data file 'a.parquet'.* cannot be read: .*(UTF8|encoding)"):
            read(made.table)


def test_random_damage_is_told_or_does_not_matter(foreign: Any) -> None:
    """Every outcome is rows or a refusal: nothing of the engines below comes through, and nothing ends the process."""
    made = foreign()
    rows = pa.table(
        {
            "id": range(12),
            "s": [f"é{n % 3}" if n % 4 else None for n in range(12)],
            "d": pa.array([date(2026, 1, 1 + n) for n in range(12)]),
            "l": [[n] * (n % 3) for n in range(12)],
            "v": [{"a": n / 3, "b": b"x" * n} if n % 3 else None for n in range(12)],
        }
    )
    part = {"nullable": True, "metadata": {}}
    struct_type = {
        "type": "struct",
        "fields": [{"name": "a", "type": "double", **part}, {"name": "b", "type": "binary", **part}],
    }
    kinds = {"id": "long", "s": "string", "d": "date", "l": {**LIST, "elementType": "long"}, "v": struct_type}
    add = made.add("a.parquet", rows)
    made.commit(made.protocol(), made.metadata(*(made.field(name, kind) for name, kind in kinds.items())), add)
    pin = pin_version(made.table, made.table.log.snapshot())
    path = made.root / "a.parquet"
    good = path.read_bytes()
    numbers = random.Random(20261122)
    outcomes: Counter[tuple[str, bool]] = Counter()
    for _ in range(120):
        data = bytearray(good)
        data[numbers.randrange(len(data))] ^= 1 << numbers.randrange(8)
        path.write_bytes(data)
        for read in (read_version, summarise_version):
            refusal = refusal_of(read, made.table)
            outcomes[read.__name__, refusal is None] += 1
            assert refusal is None or "a.parquet" in refusal
        with pytest.raises(OutsideError, match=r"'a.parquet' of table 'housing' was altered"):
            read_pin(made.table, pin)
    assert min(outcomes.values()) > 20
    assert len(outcomes) == 4


def refusal_of(read: Callable[[Table], Any], table: Table) -> str | None:
    try:
        read(table)
    except OutsideError as error:
        return error.message
    return None
