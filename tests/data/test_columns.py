"""Tables whose files name their columns otherwise: column mapping by name and by id, against delta-rs."""

from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from lin.data.diff import diff_versions
from lin.data.pins import pin_version
from lin.data.read import read_pin, read_version
from lin.data.summary import summarise_version
from lin.errors import OutsideError

ID = b"PARQUET:field_id"
NESTED = {
    "type": "struct",
    "fields": [
        {
            "name": "a",
            "type": "long",
            "nullable": True,
            "metadata": {"delta.columnMapping.id": 11, "delta.columnMapping.physicalName": "p-11"},
        },
        {
            "name": "b",
            "type": "string",
            "nullable": True,
            "metadata": {"delta.columnMapping.id": 12, "delta.columnMapping.physicalName": "p-12"},
        },
    ],
}


def stored(columns: dict[str, tuple[int, Any, pa.DataType]]) -> pa.Table:
    """A table whose fields have ids, as writers with column mapping make it."""
    fields = [pa.field(name, kind, metadata={ID: str(number)}) for name, (number, _, kind) in columns.items()]
    return pa.table([pa.array(values, kind) for _, values, kind in columns.values()], schema=pa.schema(fields))


def delta_rs_rows(root: Any, version: int) -> list[dict[str, Any]]:
    """The rows as delta-rs reads them, through its query engine: its other readers give nulls here."""
    found = QueryBuilder().register("t", DeltaTable(root, version=version)).execute("SELECT * FROM t")
    return sorted(pa.table(found.read_all()).to_pylist(), key=lambda row: row["id"])


@pytest.fixture(params=["name", "id"])
def mapped(request: pytest.FixtureRequest, foreign: Any) -> Any:
    """Two versions: in the second, `rm` is called `rooms`, and `medv` is gone and a new one of that name there."""
    made = foreign(mapping=request.param)
    first = stored(
        {
            "col-1": (1, [1, 2], pa.int64()),
            "col-2": (2, [6.5, None], pa.float64()),
            "col-3": (3, ["x", "y"], pa.string()),
        }
    )
    made.commit(
        made.protocol(),
        made.metadata(made.field("id", "long", 1), made.field("rm", "double", 2), made.field("medv", "string", 3)),
        made.add("a.parquet", first),
    )
    second = stored({"col-1": (1, [3], pa.int64()), "col-2": (2, [7.5], pa.float64()), "col-4": (4, [23], pa.int64())})
    made.commit(
        made.metadata(made.field("id", "long", 1), made.field("rooms", "double", 2), made.field("medv", "long", 4)),
        made.add("b.parquet", second),
    )
    return made


def test_mapped_columns_are_read_under_their_names(mapped: Any) -> None:
    for version in (0, 1):
        _, rows = read_version(mapped.table, version)
        assert sorted(rows.to_pylist(), key=lambda row: row["id"]) == delta_rs_rows(mapped.root, version)
    summary = summarise_version(mapped.table, 1)
    assert [(c.name, c.nulls, c.min, c.max) for c in summary.columns] == [
        ("id", 0, "1", "3"),
        ("rooms", 1, "6.5", "7.5"),
        ("medv", 2, "23", "23"),
    ]
    assert summary.sample == [
        {"id": 1, "rooms": 6.5, "medv": None},
        {"id": 2, "rooms": None, "medv": None},
        {"id": 3, "rooms": 7.5, "medv": 23},
    ]


def test_a_renamed_column_is_no_change_of_its_cells(mapped: Any) -> None:
    diff = diff_versions(mapped.table, 0, 1)
    assert diff.renamed_columns == {"rm": "rooms"}
    assert (diff.added_columns, diff.dropped_columns, diff.retyped_columns) == (["medv"], ["medv"], [])
    assert (diff.inserted, diff.deleted, diff.updated, diff.identical) == (1, 0, 0, False)


def test_a_pin_of_mapped_columns_reads_the_same_rows(mapped: Any) -> None:
    for version in (0, 1):
        snapshot, rows = read_version(mapped.table, version)
        pin = pin_version(mapped.table, snapshot)
        assert pin.reader == ["reader-version-3", f"columnMapping:{mapped.mapping}"]
        assert read_pin(mapped.table, pin).equals(rows)


def test_a_file_without_ids_is_not_read_as_nulls(foreign: Any) -> None:
    made = foreign(mapping="id")
    made.commit(
        made.protocol(), made.metadata(made.field("id", "long", 1)), made.add("a.parquet", pa.table({"col-1": [1]}))
    )
    for read in (read_version, summarise_version):
        with pytest.raises(OutsideError, match=r"data file 'a.parquet' has no field ids"):
            read(made.table)


def test_ids_decide_and_not_names(foreign: Any) -> None:
    made = foreign(mapping="id")
    rows = stored({"col-2": (1, [1, 2], pa.int64()), "col-1": (2, [10, 20], pa.int64())})
    made.commit(
        made.protocol(),
        made.metadata(made.field("id", "long", 1), made.field("x", "long", 2)),
        made.add("a.parquet", rows),
    )
    assert read_version(made.table)[1].to_pylist() == [{"id": 1, "x": 10}, {"id": 2, "x": 20}]
    assert [c.max for c in summarise_version(made.table).columns] == ["2", "20"]


@pytest.mark.parametrize("kind", ["struct", "array", "map"])
def test_the_parts_of_nested_columns_are_mapped_too(foreign: Any, kind: str) -> None:
    made = foreign(mapping="name")
    parts = pa.struct([pa.field("p-12", pa.string()), pa.field("p-11", pa.int32())])
    values, wanted = {
        "struct": ([{"p-11": 1, "p-12": "x"}, None, {"p-11": None, "p-12": "y"}], parts),
        "array": ([[{"p-11": 1, "p-12": "x"}, None], None, []], pa.list_(parts)),
        "map": ([[("k", {"p-11": 1, "p-12": "x"}), ("l", None)], None, []], pa.map_(pa.string(), parts)),
    }[kind]
    delta = {
        "struct": NESTED,
        "array": {"type": "array", "elementType": NESTED, "containsNull": True},
        "map": {"type": "map", "keyType": "string", "valueType": NESTED, "valueContainsNull": True},
    }[kind]
    file = stored({"col-1": (1, [1, 2, 3], pa.int64()), "col-2": (2, values, wanted)})
    made.commit(
        made.protocol(),
        made.metadata(made.field("id", "long", 1), made.field("n", delta, 2)),
        made.add("a.parquet", file),
    )
    one = {"a": 1, "b": "x"}
    expected = {
        "struct": [one, None, {"a": None, "b": "y"}],
        "array": [[one, None], None, []],
        "map": [[("k", one), ("l", None)], None, []],
    }[kind]
    assert read_version(made.table)[1].column("n").to_pylist() == expected
    shown = {"struct": expected, "array": expected, "map": [[["k", one], ["l", None]], None, []]}[kind]
    assert [row["n"] for row in summarise_version(made.table).sample] == shown


def test_a_part_that_older_files_lack_is_null(foreign: Any) -> None:
    made = foreign(mapping="name")
    old = stored({"col-1": (1, [1], pa.int64()), "col-2": (2, [{"p-11": 7}], pa.struct([("p-11", pa.int64())]))})
    made.commit(
        made.protocol(),
        made.metadata(made.field("id", "long", 1), made.field("n", NESTED, 2)),
        made.add("a.parquet", old),
    )
    assert read_version(made.table)[1].column("n").to_pylist() == [{"a": 7, "b": None}]
    assert summarise_version(made.table).sample == [{"id": 1, "n": {"a": 7, "b": None}}]


def test_partition_values_go_by_the_physical_name(foreign: Any) -> None:
    made = foreign(mapping="name")
    file = stored({"col-1": (1, [1], pa.int64())})
    fields = (made.field("id", "long", 1), made.field("town", "string", 2))
    made.commit(
        made.protocol(),
        made.metadata(*fields, partitions=["town"]),
        made.add("xy/a.parquet", file, partition={"col-2": "Oak"}),
        made.add("b.parquet", file, partition={"col-2": None}),
    )
    towns = {"Oak", None}
    assert set(read_version(made.table)[1].column("town").to_pylist()) == towns
    assert {row["town"] for row in summarise_version(made.table).sample} == towns
    assert {row["town"] for row in delta_rs_rows(made.root, 0)} == towns


def test_widened_types_keep_their_values(foreign: Any) -> None:
    made = foreign(features=["typeWidening"])
    narrow = pa.table(
        {
            "id": pa.array([1], pa.int32()),
            "f": pa.array([0.5], pa.float32()),
            "d": pa.array([7], pa.int16()),
            "n": pa.array([3], pa.int32()),
            "t": pa.array([1], pa.date32()),
        }
    )
    kinds = {"id": "long", "f": "double", "d": "double", "n": "decimal(12,2)", "t": "timestamp_ntz"}
    made.features.append("timestampNtz")
    made.commit(
        made.protocol(), made.metadata(*(made.field(n, k) for n, k in kinds.items())), made.add("a.parquet", narrow)
    )
    (row,) = read_version(made.table)[1].to_pylist()
    assert [str(value) for value in row.values()] == ["1", "0.5", "7.0", "3.00", "1970-01-02 00:00:00"]
    assert summarise_version(made.table).sample == [
        {"id": 1, "f": 0.5, "d": 7.0, "n": "3.00", "t": "1970-01-02T00:00:00"}
    ]


def test_times_finer_than_deltas_are_not_cut(foreign: Any) -> None:
    made = foreign()
    fine = pa.table({"id": [1], "t": pa.array([1_500], pa.timestamp("ns", "UTC"))})
    made.commit(
        made.protocol(),
        made.metadata(made.field("id", "long"), made.field("t", "timestamp")),
        made.add("a.parquet", fine),
    )
    for read in (read_version, summarise_version):
        with pytest.raises(OutsideError, match=r"'a.parquet' has column 't' as timestamp\[ns, tz=UTC\]"):
            read(made.table)


@pytest.mark.parametrize("second", ["./a.parquet", "a.parquet with a vector"])
def test_a_file_that_is_there_twice_is_refused(foreign: Any, second: str) -> None:
    made = foreign(features=["deletionVectors"])
    one = made.add("a.parquet", pa.table({"id": [1, 2]}))
    other = {"add": one["add"] | {"path": second}} if second.startswith(".") else made.delete(one, [0])
    made.commit(made.protocol(), made.metadata(made.field("id", "long")), one, other)
    with pytest.raises(OutsideError, match=r"data file 'a.parquet' is in that version twice"):
        read_version(made.table)
