from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from lin.data.schema import (
    arrow_schema,
    arrow_type,
    duckdb_type,
    fits,
    parse_partition_value,
    quote,
    type_name,
)
from lin.data.sql import connect
from lin.errors import OutsideError

STRUCT = {
    "type": "struct",
    "fields": [
        {"name": "x y", "type": "long", "nullable": False, "metadata": {}},
        {"name": 'q"', "type": "string", "nullable": True, "metadata": {}},
    ],
}
ARRAY = {"type": "array", "elementType": STRUCT, "containsNull": False}
MAP = {"type": "map", "keyType": "string", "valueType": ARRAY, "valueContainsNull": True}
PRIMITIVES = {
    "boolean": pa.bool_(),
    "byte": pa.int8(),
    "short": pa.int16(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "decimal(10,2)": pa.decimal128(10, 2),
    "decimal(38, 38)": pa.decimal128(38, 38),
    "decimal": pa.decimal128(10, 0),
}


@pytest.mark.parametrize(("name", "expected"), PRIMITIVES.items())
def test_a_primitive_type_has_one_arrow_type(name: str, expected: pa.DataType) -> None:
    assert arrow_type(name) == expected


def test_nested_types_keep_their_names_and_nullability() -> None:
    struct = pa.struct([pa.field("x y", pa.int64(), False), pa.field('q"', pa.string())])
    assert arrow_type(STRUCT) == struct
    assert arrow_type(ARRAY) == pa.list_(pa.field("element", struct, False))
    assert arrow_type(MAP) == pa.map_(pa.string(), arrow_type(ARRAY))


def test_a_schema_keeps_order_and_nullability() -> None:
    assert arrow_schema(STRUCT) == pa.schema([pa.field("x y", pa.int64(), False), pa.field('q"', pa.string())])


@pytest.mark.parametrize("kind", [*PRIMITIVES, STRUCT, ARRAY, MAP])
def test_duckdb_gives_the_same_arrow_type(kind: Any) -> None:
    with connect() as connection:
        query = f"SELECT CAST(NULL AS {duckdb_type(kind)}) AS x"
        found = connection.sql(query).to_arrow_table().schema.field("x").type
    assert fits(found, arrow_type(kind))
    assert fits(arrow_type(kind), found)


DIGITS = f"decimal({'9' * 5_000},1)"
"""More than Python takes for a number."""


@pytest.mark.parametrize(
    "kind", ["variant", "void", "decimal(39,2)", "decimal(2,3)", "decimal(0,0)", DIGITS, {"type": "x"}]
)
def test_an_unknown_type_is_named(kind: Any) -> None:
    for convert in (arrow_type, duckdb_type):
        with pytest.raises(OutsideError, match="lin does not read columns of type"):
            convert(kind)


def test_an_empty_struct_is_refused() -> None:
    for convert in (arrow_type, duckdb_type):
        with pytest.raises(OutsideError, match="struct<>"):
            convert({"type": "struct", "fields": []})


def test_a_type_is_told_in_one_line() -> None:
    assert type_name(MAP) == 'map<string,array<struct<x y:long,q":string>>>'
    assert type_name("decimal(10,2)") == "decimal(10,2)"


def test_names_are_quoted_whatever_is_in_them() -> None:
    assert quote('a"b; drop') == '"a""b; drop"'


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("-2", "byte", -2),
        ("true", "boolean", True),
        ("1.5", "float", 1.5),
        ("-inf", "double", float("-inf")),
        ("a/b é", "string", "a/b é"),
        ("2020-01-02", "date", date(2020, 1, 2)),
        ("-1.20", "decimal(10,2)", Decimal("-1.20")),
        ("2020-01-01 01:02:03.000004", "timestamp", datetime(2020, 1, 1, 1, 2, 3, 4, UTC)),
        ("2020-01-01T01:02:03.000004Z", "timestamp", datetime(2020, 1, 1, 1, 2, 3, 4, UTC)),
        ("2020-01-01 01:02:03", "timestamp", datetime(2020, 1, 1, 1, 2, 3, 0, UTC)),
        ("2020-01-01 05:00:00.000000", "timestamp_ntz", datetime(2020, 1, 1, 5)),  # noqa: DTZ001
        (None, "long", None),
        ("", "string", ""),
        ("", "double", None),
    ],
)
def test_partition_values_have_the_type_of_their_column(text: str | None, kind: str, expected: object) -> None:
    value = parse_partition_value(text, kind)
    assert value.type == arrow_type(kind)
    assert value.as_py() == expected


@pytest.mark.parametrize(("text", "kind"), [("x", "long"), ("300", "byte"), ("1.234", "decimal(10,2)")])
def test_a_partition_value_of_another_type_is_refused(text: str, kind: str) -> None:
    with pytest.raises(OutsideError, match=f"the partition value '{text}' is not of type"):
        parse_partition_value(text, kind)


def test_binary_partition_columns_are_refused() -> None:
    with pytest.raises(OutsideError, match="partition columns of type 'binary'"):
        parse_partition_value("\\u0001", "binary")


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (pa.string_view(), pa.string()),
        (pa.large_string(), pa.string()),
        (pa.dictionary(pa.int32(), pa.string()), pa.string()),
        (pa.binary_view(), pa.binary()),
        (pa.int32(), pa.int64()),
        (pa.uint16(), pa.int32()),
        (pa.float32(), pa.float64()),
        (pa.decimal128(9, 2), pa.decimal128(12, 4)),
        (pa.timestamp("ms"), pa.timestamp("us", "UTC")),
        (pa.int32(), pa.float64()),
        (pa.int16(), pa.float32()),
        (pa.int32(), pa.decimal128(10, 0)),
        (pa.int64(), pa.decimal128(20, 0)),
        (pa.date32(), pa.timestamp("us")),
        (pa.timestamp("ms", "UTC"), pa.timestamp("us", "UTC")),
        (pa.null(), pa.list_(pa.int64())),
        (pa.large_list(pa.int32()), pa.list_(pa.int64())),
        (
            pa.struct([("y", pa.string_view()), ("gone", pa.int8())]),
            pa.struct([("x", pa.int8()), ("y", pa.string())]),
        ),
        (pa.map_(pa.string_view(), pa.int8()), pa.map_(pa.string(), pa.int16())),
    ],
)
def test_other_spellings_of_a_type_fit_and_convert(found: pa.DataType, wanted: pa.DataType) -> None:
    assert fits(found, wanted)
    assert pa.nulls(1, found).cast(wanted).type == wanted


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (pa.string(), pa.int64()),
        (pa.int64(), pa.int32()),
        (pa.uint32(), pa.int32()),
        (pa.int64(), pa.float64()),
        (pa.float64(), pa.float32()),
        (pa.decimal128(12, 2), pa.decimal128(12, 4)),
        (pa.binary(), pa.string()),
        (pa.timestamp("us", "UTC"), pa.timestamp("us")),
        (pa.int64(), pa.date32()),
        (pa.list_(pa.string()), pa.list_(pa.int64())),
        (pa.struct([("x", pa.string())]), pa.struct([("x", pa.int64())])),
        (pa.struct([("x", pa.int64())]), pa.map_(pa.string(), pa.int64())),
        (pa.int64(), pa.struct([("x", pa.int64())])),
    ],
)
def test_a_type_that_could_change_a_value_does_not_fit(found: pa.DataType, wanted: pa.DataType) -> None:
    assert not fits(found, wanted)
