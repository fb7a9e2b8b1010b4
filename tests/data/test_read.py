import math
import os
import re
import urllib.parse
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, QueryBuilder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lin.data.diff import diff_versions
from lin.data.pins import pin_version
from lin.data.read import read_pin, read_version, sort_rows
from lin.data.summary import summarise_version
from lin.data.tables import Table
from lin.errors import NotFoundError, OutsideError, UsageError
from lin.numbers import to_json
from lin.records import Pin, digest

Row = dict[str, Any]
INT96 = {"use_deprecated_int96_timestamps": True, "store_schema": False}
CODECS = ("none", "snappy", "gzip", "zstd", "lz4", "brotli")
MOMENT = datetime(2026, 11, 22, 9, 30, 0, 5, tzinfo=UTC)


def ids(*values: int | None) -> pa.Table:
    return pa.table({"id": pa.array(values, pa.int64())})


def read_ids(table: Table, version: int | None = None) -> list[int]:
    return read_version(table, version)[1].column("id").to_pylist()


def pin_of(table: Table, version: int | None = None) -> Pin:
    return pin_version(table, table.log.snapshot(version))


def overwrite(table: Table, rows: pa.Table, **options: Any) -> Path:
    """Put other rows into the one data file of a table, as if its writer had; returns where it is."""
    (file,) = table.log.snapshot().files
    path = table.root / file.path
    pq.write_table(rows, path, **options)
    commit = table.log.folder / f"{0:020d}.json"
    commit.write_text(commit.read_text().replace(f'"size":{file.bytes}', f'"size":{path.stat().st_size}'))
    return path


def delta_rs_rows(root: Path, version: int | None = None) -> list[Row]:
    """The rows as delta-rs reads them, through its query engine: its other readers give nulls on mapped columns."""
    found = QueryBuilder().register("t", DeltaTable(root, version=version)).execute("SELECT * FROM t")
    return pa.table(found.read_all()).to_pylist()


def by_id(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["id"])


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
    overwrite(table, pa.table({"d": [9], "id": [1]}))
    assert read_version(table)[1].to_pylist() == [{"d": "x", "id": 1}]


def test_files_written_by_a_merge_have_plain_strings(make_table: Any) -> None:
    table = make_table(pa.table({"id": [1, 2], "s": ["a", "b"]}))
    source = pa.table({"id": [2, 3], "s": ["B", "c"]})
    merge = DeltaTable(table.root).merge(source, "t.id = s.id", source_alias="s", target_alias="t")
    merge.when_matched_update_all().when_not_matched_insert_all().execute()
    _, rows = read_version(table)
    assert rows.schema == pa.schema([("id", pa.int64()), ("s", pa.string())])
    assert sorted(rows.column("s").to_pylist()) == ["B", "a", "c"]


def test_other_spellings_of_a_type_become_the_tables(make_table: Any) -> None:
    table = make_table(pa.table({"id": [1], "t": [MOMENT]}))
    far = MOMENT.replace(year=3000)  # past what 64 bits of nanoseconds hold
    spelled = pa.table({"t": pa.array([far], pa.timestamp("us", "UTC")), "id": pa.array([7], pa.int8())})
    overwrite(table, spelled, use_deprecated_int96_timestamps=True, store_schema=False)
    _, rows = read_version(table)
    assert rows.schema.types == [pa.int64(), pa.timestamp("us", "UTC")]
    assert rows.to_pylist() == [{"id": 7, "t": far}]


def test_a_type_that_could_change_values_is_refused(make_table: Any) -> None:
    table = make_table(ids(1))
    path = overwrite(table, pa.table({"id": ["1"]}))
    with pytest.raises(OutsideError, match=f"'{path.name}' has column 'id' as string, which is not the table's long"):
        read_version(table)


def test_a_restored_version_reads_as_the_old_one(make_table: Any) -> None:
    table = make_table(ids(3, 1), ids(2))
    DeltaTable(table.root).delete("id = 1")
    DeltaTable(table.root).restore(1)
    assert read_ids(table) == read_ids(table, 1) == [3, 1, 2]


def test_a_table_without_rows_has_its_columns(make_table: Any) -> None:
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
    data = path.read_bytes()
    path.write_bytes(data[:-9])
    with pytest.raises(OutsideError, match=f"'{path.name}' of housing@0 was altered: it has {len(data) - 9} bytes"):
        read_version(table)
    path.write_bytes(data[:-4] + b"no 1")
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
    pin = msgspec.structs.replace(pin_of(table), reader=["variantType", "reader-version-3"])
    with pytest.raises(OutsideError, match="the feature 'variantType'"):
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


# --- partition columns ------------------------------------------------------------------------------------------------

TOWNS = [
    "a/b",
    "a=b",
    "100%",
    "%2F",
    "a b ",
    "#1",
    "q?",
    "é日本🏠",
    "it's",
    '"x"',
    "a\\b",
    "a\nb",
    "a:b",
    "..",
    "[x]*",
    "\x7f",
]
TOWNS += ["", "null", "__HIVE_DEFAULT_PARTITION__", "a+b&c", "-"]


def spark_path(town: str | None, name: str) -> tuple[str, str]:
    """A path as Spark makes it, on disk and in the log: escaped once for the folder, and encoded once more."""
    escaped = "".join(f"%{ord(c):02X}" if c in "\"#%'*/:=?\\{[]^\x7f" or c < " " else c for c in town or "")
    path = f"town={escaped or '__HIVE_DEFAULT_PARTITION__'}/{name}.parquet"
    return path, urllib.parse.quote(path, safe="/=!$&'()*+,;:@~")


def test_texts_of_every_kind_are_partition_values(foreign: Any) -> None:
    made = foreign()
    adds, expected = [], []
    for number, town in enumerate([*TOWNS, None]):
        path, encoded = spark_path(town, f"part-{number}")
        adds.append(made.add(path, pa.table({"id": [number]}), partition={"town": town}, encoded=encoded))
        expected.append({"id": number, "town": town})
    fields = made.field("id", "long"), made.field("town", "string")
    made.commit(made.protocol(), made.metadata(*fields, partitions=["town"]), *adds)
    found = by_id(read_version(made.table)[1].to_pylist())
    assert (
        found == by_id(summarise_version(made.table, sample=99).sample) == by_id(delta_rs_rows(made.root)) == expected
    )
    assert summarise_version(made.table).columns[1].nulls == 1
    pin = pin_version(made.table, made.table.log.snapshot())
    assert by_id(read_pin(made.table, pin).to_pylist()) == expected


def test_texts_that_delta_rs_wrote_are_read_as_it_reads_them(make_table: Any) -> None:
    # delta-rs itself writes what Hive calls null as null
    towns = pa.array([*(town for town in TOWNS if "HIVE" not in town), None], pa.string())
    table = make_table(pa.table({"id": range(len(towns)), "town": towns}), partition_by=["town"])
    DeltaTable(table.root).create_checkpoint()
    expected = [{"id": number, "town": town} for number, town in enumerate(towns.to_pylist())]
    assert by_id(read_version(table)[1].to_pylist()) == by_id(delta_rs_rows(table.root)) == expected
    assert by_id(summarise_version(table, sample=99).sample) == expected


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("boolean", {"true": True, "false": False}),
        ("byte", {"-128": -128}),
        ("short", {"-1": -1}),
        ("integer", {"2147483647": 2147483647}),
        ("long", {"-9223372036854775808": -(2**63), "0": 0}),
        ("float", {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf, "1.0E-5": 9.999999747378752e-06}),
        ("double", {"NaN": math.nan, "-Infinity": -math.inf, "-0.0": -0.0, "4.9E-324": 5e-324, "1.0E10": 1e10}),
        ("decimal(10,2)", {"-1.20": Decimal("-1.20"), "12345678.90": Decimal("12345678.90")}),
        ("decimal(38,0)", {"-" + 38 * "9": Decimal("-" + 38 * "9")}),
        ("date", {"1969-12-31": date(1969, 12, 31), "0001-01-01": date(1, 1, 1)}),
        (
            "timestamp",
            {
                "2026-11-22 09:30:00": datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
                "2026-11-22 09:30:00.000001": datetime(2026, 11, 22, 9, 30, 0, 1, tzinfo=UTC),
                "2026-11-22T09:30:00.000001Z": datetime(2026, 11, 22, 9, 30, 0, 1, tzinfo=UTC),
                "1500-01-01T00:00:00+02:00": datetime(1499, 12, 31, 22, tzinfo=UTC),
            },
        ),
        ("timestamp_ntz", {"2026-11-22 09:30:00.123456": datetime(2026, 11, 22, 9, 30, 0, 123456)}),  # noqa: DTZ001
    ],
)
def test_values_of_every_type_are_partition_values(foreign: Any, kind: str, values: dict[str, Any]) -> None:
    made = foreign(features=["timestampNtz"])
    texts = [*values, "", None]
    adds = [made.add(f"{n}.parquet", pa.table({"id": [n]}), partition={"d": text}) for n, text in enumerate(texts)]
    made.commit(
        made.protocol(), made.metadata(made.field("id", "long"), made.field("d", kind), partitions=["d"]), *adds
    )
    rows = read_version(made.table)[1]
    expected = [*values.values(), None, None]
    assert list(map(repr, rows.column("d").to_pylist())) == list(map(repr, expected_in(rows, expected)))
    assert repr(by_id(delta_rs_rows(made.root))) == repr(rows.to_pylist())
    (_, column) = summarise_version(made.table).columns
    assert column.nulls == 2
    sample = [row["d"] for row in summarise_version(made.table, sample=99).sample]
    assert sample == [as_json(value) for value in expected]


def expected_in(rows: pa.Table, values: list[Any]) -> list[Any]:
    """The values as Arrow gives them: with its own zone where they have one."""
    return pa.array(values, rows.schema.field("d").type).to_pylist()


def as_json(value: Any) -> Any:
    match value:
        case float():
            return to_json(value)
        case Decimal():
            return str(value)
        case date():
            return value.isoformat()
    return value


@pytest.mark.parametrize(
    ("kind", "partition", "message"),
    [
        ("string", {}, "data file 'a.parquet' has no value for the partition column 'd'"),
        ("string", {"D": "x"}, "data file 'a.parquet' has no value for the partition column 'd'"),
        ("long", {"d": "1e3"}, "data file 'a.parquet': the partition value '1e3' is not of type 'long'"),
        ("decimal(3,1)", {"d": "1.25"}, "data file 'a.parquet': the partition value '1.25' is not of type 'decimal"),
        ("timestamp_ntz", {"d": "2026-11-22T09:30:00Z"}, "'2026-11-22T09:30:00Z' is not of type 'timestamp_ntz'"),
        ("date", {"d": "10000-01-01"}, "'10000-01-01' is not of type 'date'"),
        ("binary", {"d": "\\u0001"}, "data file 'a.parquet': lin does not read partition columns of type 'binary'"),
        ("byte", {"d": "300"}, "'300' is not of type 'byte'"),
    ],
)
def test_a_partition_value_that_is_none_is_refused(
    foreign: Any, kind: str, partition: dict[str, str | None], message: str
) -> None:
    made = foreign(features=["timestampNtz"])
    fields = made.field("id", "long"), made.field("d", kind)
    add = made.add("a.parquet", pa.table({"id": [1]}), partition=partition)
    made.commit(made.protocol(), made.metadata(*fields, partitions=["d"]), add)
    for read in (read_version, summarise_version):
        with pytest.raises(OutsideError, match=re.escape(message)):
            read(made.table)


# --- types and how files spell them -----------------------------------------------------------------------------------

MOMENTS = [datetime(2026, 11, 22, 9, 30, 0, 5), datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), None]  # noqa: DTZ001
ZONED = [moment and moment.replace(tzinfo=UTC) for moment in MOMENTS]
ARRAY = {"type": "array", "elementType": "string", "containsNull": True}
DEEP = {
    "type": "array",
    "elementType": {
        "type": "struct",
        "fields": [
            {
                "name": "m",
                "type": {"type": "map", "keyType": "string", "valueType": "decimal(10,2)", "valueContainsNull": True},
                "nullable": True,
                "metadata": {},
            },
            {"name": "t", "type": "timestamp", "nullable": False, "metadata": {}},
        ],
    },
    "containsNull": True,
}
DEEP_ARROW = pa.list_(pa.struct({"m": pa.map_(pa.string(), pa.decimal128(10, 2)), "t": pa.timestamp("us", "UTC")}))
DEEP_ROWS = [[{"m": [("k", Decimal("1.20")), ("l", None)], "t": ZONED[0]}, None], None, []]


@pytest.mark.parametrize(
    ("kind", "values", "stored", "options"),
    [
        ("decimal(4,2)", [Decimal("-12.34"), None], pa.decimal128(4, 2), {}),
        ("decimal(9,2)", [Decimal("-12.34"), None], pa.decimal128(9, 2), {"store_decimal_as_integer": True}),
        ("decimal(18,4)", [Decimal("-12345678901234.5678")], pa.decimal128(18, 4), {"store_decimal_as_integer": True}),
        ("decimal(38,10)", [Decimal("1" * 28 + ".0123456789"), None], pa.decimal128(38, 10), {}),
        ("timestamp", ZONED, pa.timestamp("us", "UTC"), {}),
        ("timestamp", ZONED, pa.timestamp("us", "UTC"), INT96),
        ("timestamp", ZONED[1:2], pa.timestamp("ms", "UTC"), {}),
        ("timestamp_ntz", MOMENTS, pa.timestamp("us"), {}),
        ("timestamp_ntz", MOMENTS, pa.timestamp("us"), INT96),
        ("date", [date(1, 1, 1), date(9999, 12, 31), None], pa.date32(), {}),
        ("string", ["a", None, "a"], pa.dictionary(pa.int8(), pa.string()), {}),
        ("string", ["a" * 13, None, ""], pa.string_view(), {}),
        ("string", ["x" * 1_000_000], pa.large_string(), {}),
        ("binary", [b"\0\xff", b"", None], pa.large_binary(), {}),
        ("double", [1.5, -0.0, None], pa.dictionary(pa.int32(), pa.float64()), {}),
        ("long", [None, None], pa.null(), {}),
        (ARRAY, [["a", None], None, []], pa.large_list(pa.string()), {}),
        (ARRAY, [["a", None], None], pa.list_(pa.string(), 2), {}),
        (DEEP, DEEP_ROWS, DEEP_ARROW, {}),
        ("long", list(range(500)), pa.int64(), {"row_group_size": 60, "data_page_version": "2.0", "version": "1.0"}),
        *(("string", ["a", None] * 50, pa.string(), {"compression": codec, "row_group_size": 40}) for codec in CODECS),
    ],
)  # fmt: skip
def test_every_spelling_of_a_type_holds_its_values(
    foreign: Any, kind: Any, values: list[Any], stored: pa.DataType, options: dict[str, Any]
) -> None:
    made = foreign(features=["timestampNtz"])
    table = pa.table({"id": range(len(values)), "v": pa.array(values, stored)})
    add = made.add("a.parquet", table)
    pq.write_table(table, made.root / "a.parquet", **options)
    add["add"]["size"] = (made.root / "a.parquet").stat().st_size
    made.commit(made.protocol(), made.metadata(made.field("id", "long"), made.field("v", kind)), add)
    snapshot, rows = read_version(made.table)
    assert str(rows.column("v").to_pylist()) == str(pa.array(values, rows.schema.field("v").type).to_pylist())
    summary = summarise_version(made.table, sample=len(values))
    assert [row["v"] for row in summary.sample] == [plain(value) for value in values]
    assert summary.columns[1].nulls == values.count(None)
    assert read_pin(made.table, pin_version(made.table, snapshot)).equals(rows)


def plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
    return as_json(value)


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        ("string", pa.binary()),
        ("binary", pa.string()),
        ("integer", pa.int64()),
        ("long", pa.uint64()),
        ("long", pa.float64()),
        ("decimal(5,2)", pa.decimal128(10, 2)),
        ("decimal(10,1)", pa.decimal128(10, 2)),
        ("timestamp_ntz", pa.timestamp("us", "UTC")),
        ("timestamp", pa.timestamp("ns")),
        ("float", pa.float64()),
        ("boolean", pa.int8()),
        ("long", pa.list_(pa.int64())),
        (ARRAY, pa.list_(pa.int64())),
        (ARRAY, pa.string()),
    ],
)
def test_a_spelling_that_holds_other_values_is_refused(foreign: Any, kind: Any, stored: pa.DataType) -> None:
    made = foreign(features=["timestampNtz"])
    table = pa.table({"id": [1], "v": pa.nulls(1, stored)})
    fields = made.field("id", "long"), made.field("v", kind)
    made.commit(made.protocol(), made.metadata(*fields), made.add("a.parquet", table))
    for read in (read_version, summarise_version):
        with pytest.raises(OutsideError, match=r"data file 'a.parquet' has column 'v' as .*, which is not the table's"):
            read(made.table)


@pytest.mark.parametrize(
    "kind",
    [
        "variant",
        "void",
        "interval year to month",
        "calendarInterval",
        "char(3)",
        "geometry(OGC:CRS84)",
        "decimal(39,0)",
    ],
)
def test_a_type_that_lin_does_not_know_is_refused_by_name(foreign: Any, kind: str) -> None:
    made = foreign()
    fields = made.field("id", "long"), made.field("v", {"type": "array", "elementType": kind, "containsNull": True})
    made.commit(made.protocol(), made.metadata(*fields), made.add("a.parquet", pa.table({"id": [1]})))
    for read in (read_version, summarise_version):
        with pytest.raises(OutsideError, match=rf"lin does not read columns of type '{re.escape(kind)}'"):
            read(made.table)


DEEPER: list[Any] = [
    lambda kind: {"type": "array", "elementType": kind, "containsNull": True},
    lambda kind: {"type": "struct", "fields": [{"name": "x", "type": kind, "nullable": True, "metadata": {}}]},
    lambda kind: {"type": "map", "keyType": "string", "valueType": kind, "valueContainsNull": True},
]


@pytest.mark.parametrize("levels", [16, 300])
@pytest.mark.parametrize("outer", DEEPER, ids=["list", "struct", "map"])
def test_a_type_without_end_is_refused(foreign: Any, outer: Any, levels: int) -> None:
    made = foreign()
    kind: Any = "long"
    for _ in range(levels):
        kind = outer(kind)
    made.commit(made.protocol(), made.metadata(made.field("v", kind)), made.add("a.parquet", pa.table({"v": [1]})))
    for read in (read_version, summarise_version, lambda table: diff_versions(table, 0, 0)):
        with pytest.raises(OutsideError, match="column 'v' is nested more than 16 levels deep"):
            read(made.table)


def test_times_that_python_does_not_have_are_shown(foreign: Any) -> None:
    made = foreign(features=["timestampNtz"])
    days = pa.array([3_000_000, -800_000, None], pa.int32()).cast(pa.date32())
    times = pa.array([2 * 253402300800000000, None, 0], pa.int64()).cast(pa.timestamp("us", "UTC"))
    fields = made.field("id", "long"), made.field("d", "date"), made.field("t", "timestamp")
    add = made.add("a.parquet", pa.table({"id": [1, 2, 3], "d": days, "t": times}))
    made.commit(made.protocol(), made.metadata(*fields), add)
    summary = summarise_version(made.table)
    assert [(row["d"], row["t"]) for row in summary.sample] == [
        ("10183-09-21", "18029-12-31T00:00:00.000000+00:00"),
        ("-221-09-04", None),
        (None, "1970-01-01T00:00:00.000000+00:00"),
    ]
    assert (summary.columns[1].min, summary.columns[1].max) == ("-221-09-04", "10183-09-21")
    assert read_version(made.table)[1].column("d").equals(pa.chunked_array([days]))


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
