import struct
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from lin.data.summary import VersionSummary, summarise_version
from lin.data.tables import Table
from lin.errors import NotFoundError, OutsideError, UsageError

INFINITY = float("inf")


@pytest.fixture
def table(make_table: Any) -> Table:
    first = {
        "id": [1, 2],
        "x": [1.5, None],
        "day": [date(2026, 1, 2), None],
        "time": pa.array([datetime(2026, 1, 2, 3, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
        "price": pa.array([Decimal("-1.20"), None], pa.decimal128(10, 2)),
        "raw": [b"\x00\xff", None],
        "on": [True, None],
        "tags": [["b", "a"], None],
    }
    second = {
        "id": [3],
        "x": [INFINITY],
        "day": [date(2025, 1, 2)],
        "time": pa.array([datetime(2025, 1, 2, 3, 4, 5, 6, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        "price": pa.array([Decimal("100.00")], pa.decimal128(10, 2)),
        "raw": [b"a"],
        "on": [False],
        "tags": [[]],
    }
    return make_table(pa.table(first), pa.table(second))


def column(summary: VersionSummary, name: str) -> tuple[str, int, str | None, str | None]:
    found = next(column for column in summary.columns if column.name == name)
    return found.type, found.nulls, found.min, found.max


def test_a_version_is_told_in_numbers(table: Table) -> None:
    summary = summarise_version(table)
    files = table.log.snapshot().files
    assert (summary.table, summary.version, summary.rows, summary.files) == ("housing", 1, 3, 2)
    assert summary.bytes == sum((table.root / file.path).stat().st_size for file in files)
    assert (summary.operation, summary.run) == ("WRITE", None)
    assert summary.time == table.log.commit(1).time
    assert summarise_version(table, 0).rows == 2


def test_columns_are_told_by_their_extremes(table: Table) -> None:
    summary = summarise_version(table)
    assert [column.name for column in summary.columns] == table.log.snapshot().metadata.columns
    assert column(summary, "id") == ("long", 0, "1", "3")
    assert column(summary, "x") == ("double", 1, "1.5", "Infinity")
    assert column(summary, "day") == ("date", 1, "2025-01-02", "2026-01-02")
    assert column(summary, "time") == (
        "timestamp",
        1,
        "2025-01-02T03:04:05.000006+00:00",
        "2026-01-02T03:00:00+00:00",
    )
    assert column(summary, "price") == ("decimal(10,2)", 1, "-1.20", "100.00")
    assert column(summary, "raw") == ("binary", 1, "00ff", "61")
    assert column(summary, "on") == ("boolean", 1, "false", "true")
    assert column(summary, "tags") == ("array<string>", 1, None, None)


def test_what_a_footer_claims_of_its_columns_is_not_asked(make_table: Any) -> None:
    table = make_table(pa.table({"id": [1, 2, 3], "x": [1.5, 2.5, 2.0]}))
    path = table.root / table.log.snapshot().files[0].path
    data = path.read_bytes()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    footer = data[start:]
    for true, false in ((1.5, -9.5), (2.5, 9.5)):
        assert struct.pack("<d", true) in footer
        footer = footer.replace(struct.pack("<d", true), struct.pack("<d", false))
    path.write_bytes(data[:start] + footer)
    assert column(summarise_version(table), "x") == ("double", 0, "1.5", "2.5")


def test_the_least_number_keeps_its_sign(make_table: Any) -> None:
    # delta-rs writes -0.0 into the footer, whichever zero it is
    assert column(summarise_version(make_table(pa.table({"id": [1], "x": [0.0]}))), "x")[2:] == ("0.0", "0.0")
    assert column(summarise_version(make_table(pa.table({"id": [1], "x": [-0.0]}), name="b")), "x")[2] == "-0.0"


def test_the_sample_is_the_first_rows_as_json(table: Table) -> None:
    summary = summarise_version(table, sample=2)
    assert summary.sample == [
        {
            "id": 1,
            "x": 1.5,
            "day": "2026-01-02",
            "time": "2026-01-02T03:00:00+00:00",
            "price": "-1.20",
            "raw": "00ff",
            "on": True,
            "tags": ["b", "a"],
        },
        dict.fromkeys(["id", "x", "day", "time", "price", "raw", "on", "tags"]) | {"id": 2},
    ]
    assert [row["x"] for row in summarise_version(table).sample] == [1.5, None, "Infinity"]
    assert summarise_version(table, sample=0).sample == []


def test_a_summary_has_a_json_form(table: Table) -> None:
    summary = summarise_version(table)
    assert msgspec.json.decode(msgspec.json.encode(summary), type=VersionSummary) == summary


def test_nested_values_have_a_json_form(make_table: Any) -> None:
    kind = pa.map_(pa.string(), pa.struct([("x", pa.float64()), ("d", pa.date32())]))
    table = make_table(pa.table({"m": pa.array([[("k", {"x": float("nan"), "d": date(2026, 1, 2)})]], kind)}))
    assert summarise_version(table).sample == [{"m": [["k", {"x": "NaN", "d": "2026-01-02"}]]}]


def test_the_sample_is_in_the_tables_order(make_table: Any) -> None:
    parts = [pa.table({"id": [3, None, 2], "n": [1, 2, 3]}), pa.table({"id": [2, 1], "n": [4, 5]})]
    table = make_table(*parts, order=["id"])
    assert [row["n"] for row in summarise_version(table).sample] == [5, 3, 4, 1, 2]
    plain = Table("housing", table.root)
    assert [row["n"] for row in summarise_version(plain).sample] == [1, 2, 3, 4, 5]


def test_an_order_that_cannot_be_is_told(table: Table) -> None:
    with pytest.raises(UsageError, match="no column 'idd' to order by"):
        summarise_version(Table("housing", table.root, order=("idd",)))


def test_nulls_of_missing_columns_are_counted(make_table: Any) -> None:
    table = make_table(pa.table({"id": [1, 2]}))
    make_table(pa.table({"id": [3], "new": ["x"]}), schema_mode="merge")
    assert column(summarise_version(table), "new") == ("string", 2, "x", "x")


def test_partition_columns_are_summarised(make_table: Any) -> None:
    table = make_table(pa.table({"id": [1, 2], "d": ["x", None]}), partition_by=["d"])
    assert column(summarise_version(table), "d") == ("string", 1, "x", "x")


def test_an_empty_version_is_told(table: Table) -> None:
    from deltalake import DeltaTable

    DeltaTable(table.root).delete()
    summary = summarise_version(table)
    assert (summary.rows, summary.files, summary.bytes, summary.sample) == (0, 0, 0, [])
    assert column(summary, "x") == ("double", 0, None, None)


def test_a_version_known_from_a_checkpoint_alone_has_no_time(table: Table) -> None:
    from deltalake import DeltaTable, write_deltalake

    DeltaTable(table.root).create_checkpoint()
    write_deltalake(table.root, pa.table({"id": [9]}), mode="append", schema_mode="merge")
    for version in (0, 1):
        (table.root / "_delta_log" / f"{version:020d}.json").unlink()
    summary = summarise_version(table, 1)
    assert (summary.rows, summary.time, summary.operation) == (3, None, None)


def test_what_cannot_be_read_is_told(table: Table) -> None:
    with pytest.raises(NotFoundError, match="no version 9"):
        summarise_version(table, 9)
    path = table.root / table.log.snapshot().files[0].path
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(396)
    path.write_bytes(data)
    with pytest.raises(OutsideError, match=f"data file '{path.name}' of housing@1 cannot be read"):
        summarise_version(table)
    path.unlink()
    with pytest.raises(OutsideError, match="is missing"):
        summarise_version(table)
