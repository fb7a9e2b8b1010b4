"""Delta's types in the words of Arrow and of DuckDB, and the values that Delta keeps as text.

A data file may spell a type differently from its table (views, dictionaries, narrower numbers); `fits` says
which spellings hold the same values, so that a conversion never rounds or guesses.
"""

import re
from typing import TYPE_CHECKING, Any

from lin.errors import OutsideError

if TYPE_CHECKING:
    import pyarrow as pa

DeltaType = str | dict[str, Any]
"""A type as Delta's JSON has it: a name, or a `struct`, `array` or `map` object."""

_DECIMAL = re.compile(r"decimal(?:\((\d{1,3}), *(\d{1,3})\))?", re.ASCII)
_DUCKDB = {
    "boolean": "BOOLEAN",
    "byte": "TINYINT",
    "short": "SMALLINT",
    "integer": "INTEGER",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "timestamp_ntz": "TIMESTAMP",
}
_LARGEST_PRECISION = 38
DEEPEST = 16
"""The most levels of a column's type. DuckDB's time for a query doubles with each: 16 cost nothing, 24 cost 10 s."""


def quote(identifier: str) -> str:
    """The identifier as SQL has it, whatever characters are in it. Raises `OutsideError` for the empty one."""
    if not identifier:
        raise OutsideError("a column, or a part of one, has no name: lin does not read such tables")
    return '"' + identifier.replace('"', '""') + '"'


def refuse_deep(delta_schema: dict[str, Any]) -> None:
    """Refuse a schema with a column of more than `DEEPEST` levels. Raises `OutsideError`, which names the column."""
    for field in delta_schema["fields"]:
        _require_shallow(field["type"], f"column '{field['name']}'")


def arrow_schema(delta_schema: dict[str, Any]) -> "pa.Schema":
    """The Arrow schema of a Delta schema; timestamps are microseconds, in UTC except for `timestamp_ntz`.

    Raises:
        OutsideError: names a type that lin does not read, or the column that has more than `DEEPEST` levels.
    """
    import pyarrow as pa

    refuse_deep(delta_schema)
    return pa.schema([_arrow_field(field) for field in delta_schema["fields"]])


def arrow_type(delta_type: DeltaType) -> "pa.DataType":
    """The Arrow type of a Delta type. Raises `OutsideError` for one that lin does not read."""
    import pyarrow as pa

    _require_shallow(delta_type)
    match delta_type:
        case {"type": "struct", "fields": [_, *_] as fields}:
            return pa.struct([_arrow_field(field) for field in fields])
        case {"type": "array", "elementType": element, **rest}:
            return pa.list_(pa.field("element", arrow_type(element), rest.get("containsNull", True)))
        case {"type": "map", "keyType": key, "valueType": value, **rest}:
            nullable = rest.get("valueContainsNull", True)
            return pa.map_(arrow_type(key), pa.field("value", arrow_type(value), nullable))
    if decimal := _decimal(delta_type):
        return pa.decimal128(*decimal)
    primitive: dict[str, pa.DataType] = {
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
    }
    if isinstance(delta_type, str) and delta_type in primitive:
        return primitive[delta_type]
    raise _unknown(delta_type)


def duckdb_type(delta_type: DeltaType) -> str:
    """The DuckDB type of a Delta type, as SQL text. Raises `OutsideError` for one that lin does not read."""
    _require_shallow(delta_type)
    match delta_type:
        case {"type": "struct", "fields": [_, *_] as fields}:
            parts = (f"{quote(field['name'])} {duckdb_type(field['type'])}" for field in fields)
            return f"STRUCT({', '.join(parts)})"
        case {"type": "array", "elementType": element}:
            return f"{duckdb_type(element)}[]"
        case {"type": "map", "keyType": key, "valueType": value}:
            return f"MAP({duckdb_type(key)}, {duckdb_type(value)})"
    if decimal := _decimal(delta_type):
        return "DECIMAL({}, {})".format(*decimal)
    if isinstance(delta_type, str) and delta_type in _DUCKDB:
        return _DUCKDB[delta_type]
    raise _unknown(delta_type)


def type_name(delta_type: DeltaType) -> str:
    """The type in one line, as `array<struct<x:long>>`."""
    match delta_type:
        case {"type": "struct", "fields": [*fields]}:
            parts = (f"{each['name']}:{type_name(each['type'])}" for each in fields)
            return f"struct<{','.join(parts)}>"
        case {"type": "array", "elementType": element}:
            return f"array<{type_name(element)}>"
        case {"type": "map", "keyType": key, "valueType": value}:
            return f"map<{type_name(key)},{type_name(value)}>"
    return str(delta_type)


def parse_partition_value(text: str | None, delta_type: DeltaType) -> "pa.Scalar":
    """The value of a partition column from its text in the log.

    Empty means null, but for texts: Delta's protocol says null there too, and Spark and delta-rs read an empty text.

    Raises:
        OutsideError: the text is not of that type, or the type cannot be told from text (binary).
    """
    import pyarrow as pa

    kind = arrow_type(delta_type)
    if text is None or (not text and not pa.types.is_string(kind)):
        return pa.scalar(None, kind)
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        raise OutsideError(f"lin does not read partition columns of type '{type_name(delta_type)}'")
    try:
        if pa.types.is_timestamp(kind) and not re.search(r"(?:Z|[+-]\d\d:?\d\d)$", text):
            return pa.array([text]).cast(pa.timestamp("us")).cast(kind)[0]  # no zone means UTC
        return pa.array([text]).cast(kind)[0]
    except pa.ArrowException as error:
        raise OutsideError(f"the partition value {text!r} is not of type '{type_name(delta_type)}'") from error


def fits(found: "pa.DataType", wanted: "pa.DataType") -> bool:
    """Whether every value of a file's type `found` is also one of the table's type `wanted`, to the bit."""
    import pyarrow.types as kinds

    if kinds.is_dictionary(found):
        return fits(found.value_type, wanted)
    if kinds.is_nested(wanted):
        return kinds.is_null(found) or _nested_fits(found, wanted)
    return bool(found.equals(wanted) or kinds.is_null(found) or _primitive_fits(found, wanted))


def _primitive_fits(found: "pa.DataType", wanted: "pa.DataType") -> bool:
    import pyarrow.types as kinds

    if kinds.is_integer(wanted):
        spare = 1 if kinds.is_unsigned_integer(found) else 0
        fit = kinds.is_integer(found) and found.bit_width + spare <= wanted.bit_width
    elif kinds.is_floating(wanted):
        exact = kinds.is_signed_integer(found) and 2 * found.bit_width <= wanted.bit_width  # type widening
        fit = exact or (kinds.is_floating(found) and found.bit_width <= wanted.bit_width)
    elif kinds.is_timestamp(wanted):
        fit = _timestamp_fits(found, wanted)
    elif kinds.is_decimal(wanted):
        fit = _decimal_fits(found, wanted)
    elif kinds.is_string(wanted):
        fit = kinds.is_large_string(found) or kinds.is_string_view(found)
    else:
        fit = kinds.is_binary(wanted) and (kinds.is_large_binary(found) or kinds.is_binary_view(found))
    return bool(fit)


def _timestamp_fits(found: "pa.DataType", wanted: "pa.DataType") -> bool:
    import pyarrow.types as kinds

    if wanted.tz is None and kinds.is_date(found):
        return True  # type widening
    coarse = kinds.is_timestamp(found) and found.unit != "ns"
    return bool(coarse and (found.tz is None or wanted.tz is not None))


def _decimal_fits(found: "pa.DataType", wanted: "pa.DataType") -> bool:
    import pyarrow.types as kinds

    whole = wanted.precision - wanted.scale
    if kinds.is_signed_integer(found):  # type widening
        return bool(whole >= len(str(2 ** (found.bit_width - 1))))
    return bool(kinds.is_decimal(found) and found.scale <= wanted.scale and found.precision - found.scale <= whole)


def _nested_fits(found: "pa.DataType", wanted: "pa.DataType") -> bool:
    import pyarrow.types as kinds

    if kinds.is_struct(wanted) and kinds.is_struct(found):
        parts = {field.name: field.type for field in found}
        return all(fits(parts[field.name], field.type) for field in wanted if field.name in parts)
    if kinds.is_list(wanted):
        lists = kinds.is_list(found) or kinds.is_large_list(found) or kinds.is_fixed_size_list(found)
        return bool(lists) and fits(found.value_type, wanted.value_type)
    if kinds.is_map(wanted) and kinds.is_map(found):
        return fits(found.key_type, wanted.key_type) and fits(found.item_type, wanted.item_type)
    return False


def _require_shallow(delta_type: DeltaType, what: str = "a column") -> None:
    level: list[DeltaType] = [delta_type]
    for _ in range(DEEPEST):
        level = [part for kind in level if isinstance(kind, dict) for part in _parts(kind)]
        if not level:
            return
    raise OutsideError(f"{what} is nested more than {DEEPEST} levels deep, and lin does not read that")


def _parts(kind: dict[str, Any]) -> list[DeltaType]:
    match kind:
        case {"type": "struct", "fields": fields}:
            return [field["type"] for field in fields]
        case {"type": "array", "elementType": element}:
            return [element]
        case {"type": "map", "keyType": key, "valueType": value}:
            return [key, value]
    return []


def _arrow_field(field: dict[str, Any]) -> "pa.Field":
    import pyarrow as pa

    return pa.field(field["name"], arrow_type(field["type"]), field.get("nullable", True))


def _decimal(delta_type: DeltaType) -> tuple[int, int] | None:
    """Precision and scale, where this is a decimal that fits 16 bytes."""
    match = _DECIMAL.fullmatch(delta_type) if isinstance(delta_type, str) else None
    if not match:
        return None
    precision, scale = int(match[1] or 10), int(match[2] or 0)
    return (precision, scale) if scale <= precision <= _LARGEST_PRECISION and precision else None


def _unknown(delta_type: DeltaType) -> OutsideError:
    return OutsideError(f"lin does not read columns of type '{type_name(delta_type)}'")
