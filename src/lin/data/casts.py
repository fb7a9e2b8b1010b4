"""The types that Delta has, and values put into them: exactly, or not at all."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.log import Snapshot
from lin.data.schema import DEEPEST, fits
from lin.data.tables import Table
from lin.errors import OutsideError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa


def delta_schema(schema: "pa.Schema") -> "pa.Schema":
    """The schema in the types that Delta has, every column nullable.

    Raises:
        UsageError: two columns have the same name but for case, one has none, or a type that Delta lacks, or one that
            is nested deeper than lin reads.
    """
    import pyarrow as pa

    check_names(schema.names)
    for field in schema:
        _require_shallow(field)
    return arrow_fields([pa.field(field.name, delta_type(field.type, field.name)) for field in schema])


def _require_shallow(field: "pa.Field") -> None:
    level = [field.type]
    for _ in range(DEEPEST):
        level = [kind.field(at).type for kind in level for at in range(kind.num_fields)]
        if not level:
            return
    raise UsageError(
        f"column '{field.name}' is nested more than {DEEPEST} levels deep", hint="keep it as text, or flatten it"
    )


def check_names(names: list[str]) -> None:
    """Refuse names that a table cannot have. Raises `UsageError`."""
    seen: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        if not name:
            raise UsageError(f"column {number} has no name", hint="is it an index? pandas: to_csv(…, index=False)")
        other = seen.setdefault(name.casefold(), name)
        if other is not name or names.count(name) > 1:
            what = f"there are two columns '{name}'" if other == name else f"columns '{other}' and '{name}' are alike"
            raise UsageError(f"{what}; most engines take upper and lower case for the same", hint="rename one of them")


def delta_type(kind: "pa.DataType", column: str) -> "pa.DataType":  # noqa: PLR0911 - a table of cases
    """The type as Delta has it: dictionaries as their values, unsigned integers wider, times in microseconds.

    Raises:
        UsageError: names the column; Delta has no such type.
    """
    import pyarrow as pa

    is_ = pa.types
    if isinstance(kind, pa.BaseExtensionType):  # before it is hashed, which may fail
        return delta_type(kind.storage_type, column)
    if kind in (found := _delta_types()):
        return found[kind]
    if is_.is_dictionary(kind):
        return delta_type(kind.value_type, column)
    if is_.is_fixed_size_binary(kind):
        return pa.binary()
    if is_.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if is_.is_decimal(kind) and 0 <= kind.scale <= kind.precision <= 38:  # noqa: PLR2004 - as Delta's protocol has it
        return pa.decimal128(kind.precision, kind.scale)
    if is_.is_struct(kind) and kind.num_fields:
        return pa.struct([pa.field(field.name, delta_type(field.type, column)) for field in kind])
    if is_.is_map(kind):
        return pa.map_(delta_type(kind.key_type, column), delta_type(kind.item_type, column))
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind):
        return pa.list_(pa.field("element", delta_type(kind.value_type, column)))
    raise UsageError(
        f"column '{column}' is of type {kind}, which Delta lacks",
        hint="convert it to text or to a number first",
    )


def _delta_types() -> "dict[pa.DataType, pa.DataType]":
    import pyarrow as pa

    same = [
        pa.bool_(),
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.float32(),
        pa.float64(),
        pa.string(),
    ]
    return {kind: kind for kind in [*same, pa.binary(), pa.date32()]} | {
        pa.null(): pa.string(),
        pa.uint8(): pa.int16(),
        pa.uint16(): pa.int32(),
        pa.uint32(): pa.int64(),
        pa.uint64(): pa.decimal128(20, 0),
        pa.float16(): pa.float32(),
        pa.large_string(): pa.string(),
        pa.string_view(): pa.string(),
        pa.large_binary(): pa.binary(),
        pa.binary_view(): pa.binary(),
        pa.date64(): pa.date32(),
    }


def cast_exactly(values: Any, kind: "pa.DataType", column: str, *, hint: str | None = None) -> Any:
    """The Arrow array in another type, every value the same: numbers may change their kind, texts stay texts.

    Raises:
        UsageError: a value would change.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found = values.type
    if found == kind:
        return values
    try:
        if fits(found, kind) or delta_type(found, column) == kind:
            return values.cast(kind)
        if _is_number(found) and _is_number(kind):
            cast = values.cast(kind)
            back = cast.cast(found)
            if pc.all(pc.or_(pc.equal(back, values), _is_nan(values))).as_py() in {True, None}:
                return cast
    except pa.ArrowException as error:
        raise _misfit(found, kind, column, hint) from error
    raise _misfit(found, kind, column, hint)


def _misfit(found: "pa.DataType", kind: "pa.DataType", column: str, hint: str | None) -> UsageError:
    return UsageError(f"values of type {found} do not fit column '{column}' of type {kind} without loss", hint=hint)


def _is_number(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_nan(values: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_nan(values) if pa.types.is_floating(values.type) else pa.scalar(False)


def arrow_fields(fields: "list[pa.Field]") -> "pa.Schema":
    """An Arrow schema of these fields."""
    import pyarrow as pa

    return pa.schema(fields)


def conform(batches: "pa.RecordBatchReader", schema: "pa.Schema") -> "pa.RecordBatchReader":
    """The rows with exactly the columns of `schema`, checked as they pass."""
    import pyarrow as pa

    def columns(batch: "pa.RecordBatch") -> Iterator[Any]:
        for field in schema:
            values = cast_exactly(batch.column(field.name), field.type, field.name)
            if values.null_count and not field.nullable:
                raise UsageError(f"column '{field.name}' of the table takes no nulls, and there are some")
            yield values

    rows = (pa.RecordBatch.from_arrays(list(columns(batch)), schema=schema) for batch in batches)
    return pa.RecordBatchReader.from_batches(schema, rows)


def extend_schema(table: Table, base: Snapshot, new: "list[pa.Field]") -> dict[str, Any]:
    """Delta's schema of `base` with more columns; what it says of its own is kept."""
    from deltalake import Schema

    if not new:
        return base.metadata.schema
    check_names([*base.metadata.columns, *(field.name for field in new)])
    fields = msgspec.json.decode(Schema.from_arrow(delta_schema(arrow_fields(new))).to_json())["fields"]
    if b"timestamp_ntz" in msgspec.json.encode(fields) and "timestampNtz" not in base.protocol.writer_features:
        raise OutsideError(
            f"table '{table.name}' has no times without a zone so far, and lin does not change its protocol",
            hint="give the new times a zone: UTC",
        )
    return {**base.metadata.schema, "fields": [*base.metadata.schema["fields"], *fields]}
