import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lin.data.pins import pin_version
from lin.data.read import read_pin, read_version, sort_rows
from lin.data.tables import Table
from lin.errors import NotFoundError, OutsideError, UsageError
from lin.records import Pin, digest

MOMENT = datetime(2026, 11, 22, 9, 30, 0, 5, tzinfo=UTC)


def ids(*values: int | None) -> pa.Table:
    return pa.table({"id": pa.array(values, pa.int64())})


def read_ids(table: Table, version: int | None = None) -> list[int]:
    return read_version(table, version)[1].column("id").to_pylist()


def pin_of(table: Table, version: int | None = None) -> Pin:
    return pin_version(table, table.log.snapshot(version))


@pytest.fixture
def everything() -> pa.Table:
    """Two rows with every type that Delta has, the second one null."""
    map_type = pa.map_(pa.string(), pa.int32())
    columns = {
        "id": pa.array([1, 2], pa.int64()),
        "boolean": pa.array([True, None]),
        "byte": pa.array([-1, None], pa.int8()),
        "short": pa.array([-2, None], pa.int16()),
        "integer": pa.array([-3, None], pa.int32()),
        "float": pa.array([0.1, None], pa.float32()),
        "double": pa.array([-0.0, None]),
        "string": pa.array(["é", None]),
        "binary": pa.array([b"\0\xff", None]),
        "date": pa.array([date(1969, 1, 2), None]),
        "time": pa.array([MOMENT, None], pa.timestamp("us", "UTC")),
        "local": pa.array([MOMENT.replace(tzinfo=None), None], pa.timestamp("us")),
        "decimal": pa.array([Decimal("-1.20"), None], pa.decimal128(10, 2)),
        "list": pa.array([[1, None], None], pa.list_(pa.field("element", pa.int64()))),
        "map": pa.array([[("a", 1)], None], map_type),
        "struct": pa.array([{"x": 1, "y": [{"z": "q"}]}, None]),
    }
    return pa.table(columns)


# --- one version --------------------------------------------------------------------------------------------


def test_rows_come_as_they_were_appended(make_table: Any) -> None:
    table = make_table(ids(5, 4), ids(9), ids(1, 7))
    snapshot, rows = read_version(table)
    assert (snapshot.version, rows.column("id").to_pylist()) == (2, [5, 4, 9, 1, 7])
    assert read_ids(table, 0) == [5, 4]
    assert read_ids(table, 1) == [5, 4, 9]


def test_every_type_comes_back(make_table: Any, everything: pa.Table) -> None:
    _, rows = read_version(make_table(everything))
    assert rows.schema.equals(everything.schema.set(15, rows.schema.field("struct")))
    assert rows.to_pylist() == everything.to_pylist()


def test_a_pin_reads_as_its_version(make_table: Any, everything: pa.Table) -> None:
    table = make_table(everything, everything, partition_by=["string"])
    _, rows = read_version(table)
    assert read_pin(table, pin_of(table)).equals(rows)


def test_columns_that_older_files_lack_are_null(make_table: Any) -> None:
    table = make_table(ids(1))
    make_table(pa.table({"id": [2], "x": [1.5]}), schema_mode="merge")
    assert read_version(table)[1].to_pylist() == [{"id": 1, "x": None}, {"id": 2, "x": 1.5}]
    assert read_version(table, 0)[1].column_names == ["id"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a/b c", None], pa.string()),
        ([-1, None], pa.int16()),
        ([date(2026, 11, 22), None], pa.date32()),
        ([MOMENT, None], pa.timestamp("us", "UTC")),
        ([MOMENT.replace(tzinfo=None), None], pa.timestamp("us")),
        ([True, None], pa.bool_()),
        ([1.5, None], pa.float64()),
    ],
)
def test_partition_columns_are_filled_with_their_type(make_table: Any, values: list[Any], kind: pa.DataType) -> None:
    part = pa.table({"d": pa.array(values, kind), "id": [1, 2]})
    _, rows = read_version(make_table(part, partition_by=["d"]))
    assert rows.column_names == ["d", "id"]
    assert rows.schema.field("d").type == kind
    assert rows.sort_by("id").column("d").to_pylist() == values


def test_the_log_has_the_last_word_on_partition_values(make_table: Any) -> None:
    table = make_table(pa.table({"d": ["x"], "id": [1]}), partition_by=["d"])
    pq.write_table(pa.table({"d": [9], "id": [1]}), table.root / table.log.snapshot().files[0].path)
    assert read_version(table)[1].to_pylist() == [{"d": "x", "id": 1}]


def test_files_written_by_a_merge_have_plain_strings(make_table: Any) -> None:
    from deltalake import DeltaTable

    table = make_table(pa.table({"id": [1, 2], "s": ["a", "b"]}))
    source = pa.table({"id": [2, 3], "s": ["B", "c"]})
    merge = DeltaTable(table.root).merge(source, "t.id = s.id", source_alias="s", target_alias="t")
    merge.when_matched_update_all().when_not_matched_insert_all().execute()
    _, rows = read_version(table)
    assert rows.schema == pa.schema([("id", pa.int64()), ("s", pa.string())])
    assert sorted(rows.column("s").to_pylist()) == ["B", "a", "c"]


def test_other_spellings_of_a_type_become_the_tables(make_table: Any) -> None:
    table = make_table(pa.table({"id": [1], "t": [MOMENT]}))
    path = table.root / table.log.snapshot().files[0].path
    far = MOMENT.replace(year=3000)  # past what 64 bits of nanoseconds hold
    spelled = pa.table({"t": pa.array([far], pa.timestamp("us", "UTC")), "id": pa.array([7], pa.int8())})
    pq.write_table(spelled, path, use_deprecated_int96_timestamps=True, store_schema=False)
    _, rows = read_version(table)
    assert rows.schema.types == [pa.int64(), pa.timestamp("us", "UTC")]
    assert rows.to_pylist() == [{"id": 7, "t": far}]


def test_a_type_that_could_change_values_is_refused(make_table: Any) -> None:
    table = make_table(ids(1))
    path = table.log.snapshot().files[0].path
    pq.write_table(pa.table({"id": ["1"]}), table.root / path)
    with pytest.raises(OutsideError, match=f"'{path}' has column 'id' as string, which is not the table's int64"):
        read_version(table)


def test_a_restored_version_reads_as_the_old_one(make_table: Any) -> None:
    from deltalake import DeltaTable

    table = make_table(ids(3, 1), ids(2))
    DeltaTable(table.root).delete("id = 1")
    DeltaTable(table.root).restore(1)
    assert read_ids(table) == read_ids(table, 1) == [3, 1, 2]


def test_a_table_without_rows_has_its_columns(make_table: Any) -> None:
    from deltalake import DeltaTable

    table = make_table(ids(1))
    DeltaTable(table.root).delete()
    _, rows = read_version(table)
    assert (rows.num_rows, rows.schema) == (0, ids().schema)


def test_a_version_that_is_not_there_is_told(make_table: Any) -> None:
    with pytest.raises(NotFoundError, match="no version 7"):
        read_version(make_table(ids(1)), 7)


def test_a_missing_file_is_named_with_its_version(make_table: Any) -> None:
    table = make_table(ids(1), ids(2))
    (table.root / table.log.snapshot().files[1].path).unlink()
    assert read_ids(table, 0) == [1]
    with pytest.raises(OutsideError, match="of housing@1 is missing"):
        read_version(table)


def test_a_damaged_file_is_named(make_table: Any) -> None:
    table = make_table(ids(1))
    path = table.root / table.log.snapshot().files[0].path
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(OutsideError, match=f"'{path.name}' cannot be read"):
        read_version(table)


# --- a pin --------------------------------------------------------------------------------------------------


def test_altered_bytes_are_never_read(make_table: Any) -> None:
    table = make_table(ids(1, 2))
    pin = pin_of(table)
    path = table.root / pin.files[0].path
    stamp = path.stat()
    pq.write_table(ids(1, 666), path)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(OutsideError, match=f"'{path.name}' of table 'housing' was altered"):
        read_pin(table, pin)


def test_a_pin_outlives_the_log(make_table: Any) -> None:
    from shutil import rmtree

    table = make_table(ids(1, 2), ids(3))
    pin = pin_of(table, 0)
    rmtree(table.root / "_delta_log")
    assert read_pin(table, pin).column("id").to_pylist() == [1, 2]
    (table.root / pin.files[0].path).unlink()
    with pytest.raises(OutsideError, match="of a pinned version of table 'housing' is missing"):
        read_pin(table, pin)


def test_a_pin_that_needs_more_than_lin_has_is_refused(make_table: Any) -> None:
    table = make_table(ids(1))
    pin = msgspec.structs.replace(pin_of(table), reader=["deletionVectors", "reader-version-3"])
    with pytest.raises(OutsideError, match="the feature 'deletionVectors'"):
        read_pin(table, pin)


def test_a_pin_with_no_schema_is_refused(make_table: Any) -> None:
    table = make_table(ids(1))
    with pytest.raises(OutsideError, match="schema is not one of Delta's"):
        read_pin(table, msgspec.structs.replace(pin_of(table), schema="{}"))


def test_a_pin_cannot_reach_outside(make_table: Any, tmp_path: Path) -> None:
    table = make_table(ids(1))
    pq.write_table(ids(666), tmp_path / "x.parquet")
    pin = pin_of(table)
    sha256 = digest((tmp_path / "x.parquet").read_bytes())
    hostile = msgspec.structs.replace(pin.files[0], path="../x.parquet", sha256=sha256)
    with pytest.raises(OutsideError, match="is refused"):
        read_pin(table, msgspec.structs.replace(pin, files=[hostile]))


# --- order --------------------------------------------------------------------------------------------------


def test_a_declared_order_sorts_with_nulls_last(make_table: Any) -> None:
    table = make_table(ids(3, None), ids(1, 2), order=["id"])
    assert read_ids(table) == [1, 2, 3, None]
    assert read_pin(table, pin_of(table)).column("id").to_pylist() == [1, 2, 3, None]


def test_equal_rows_stay_as_they_came(make_table: Any) -> None:
    parts = [pa.table({"id": list(range(n * 50, n * 50 + 50)), "g": [i % 3 for i in range(50)]}) for n in range(3)]
    _, rows = read_version(make_table(*parts, order=["g"]))
    expected = sorted(pa.concat_tables(parts).to_pylist(), key=lambda row: row["g"])
    assert rows.to_pylist() == expected


def test_several_columns_order_and_nan_comes_before_null() -> None:
    rows = pa.table({"a": [1.0, None, float("nan"), 1.0], "b": ["y", "x", "x", "x"]})
    assert [(str(row["a"]), row["b"]) for row in sort_rows(rows, ["a", "b"]).to_pylist()] == [
        ("1.0", "x"),
        ("1.0", "y"),
        ("nan", "x"),
        ("None", "x"),
    ]
    assert sort_rows(rows, []) is rows


def test_an_order_that_cannot_be_is_told(make_table: Any) -> None:
    with pytest.raises(UsageError, match="no column 'idd' to order by") as caught:
        read_version(make_table(ids(1), order=["idd"]))
    assert caught.value.hint == "did you mean 'id'?"
    with pytest.raises(UsageError, match="cannot be ordered by 'l'"):
        sort_rows(pa.table({"l": [[1]]}), ["l"])


# --- laws ---------------------------------------------------------------------------------------------------

VALUES = st.fixed_dictionaries(
    {
        "id": st.none() | st.integers(-(2**63), 2**63 - 1),
        "x": st.none() | st.floats(allow_nan=False),
        "s": st.none() | st.text(st.characters(codec="utf-8"), max_size=5),
        "b": st.none() | st.binary(max_size=4),
    }
)
SCHEMA = pa.schema([("id", pa.int64()), ("x", pa.float64()), ("s", pa.string()), ("b", pa.binary())])


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.lists(VALUES, min_size=1, max_size=5), min_size=1, max_size=4))
def test_what_was_appended_is_read_back_in_order(make_table: Any, tmp_path_factory: Any, batches: Any) -> None:
    parts = [pa.Table.from_pylist(batch, schema=SCHEMA) for batch in batches]
    table = make_table(*parts, name=tmp_path_factory.mktemp("law").name)
    _, rows = read_version(table)
    expected = pa.concat_tables(parts)
    assert rows.to_pylist() == expected.to_pylist()
    assert read_pin(table, pin_of(table)).equals(rows)
    for version in range(len(parts)):
        assert read_version(table, version)[1].num_rows == sum(part.num_rows for part in parts[: version + 1])
