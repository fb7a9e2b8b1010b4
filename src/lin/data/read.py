"""Rows of a table version, always in one order: files as the version lists them, then position in the file.

A table that declares an order is sorted by it instead. Rows of a pin are parsed from the very bytes whose
sha256 was checked. What a reader of tables needs beside these is offered here too.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.actions import ActionError
from lin.data.log import READABLE_FEATURES, Snapshot, parse_schema, require_readable
from lin.data.pins import missing_file, open_data_file
from lin.data.schema import arrow_schema, duckdb_type, quote
from lin.data.sql import (
    check_columns,
    connect,
    filter_rows,
    literal,
    matching_positions,
    partition_value,
    relation,
    stored_schema,
)
from lin.data.tables import Table
from lin.errors import OutsideError, UsageError, nearest
from lin.records import Pin, digest

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "arrow_schema",
    "check_order",
    "connect",
    "duckdb_type",
    "filter_rows",
    "literal",
    "matching_positions",
    "quote",
    "read_pin",
    "read_version",
    "relation",
    "sort_rows",
]

_READER_VERSIONS = {f"reader-version-{number}" for number in (1, 2, 3)}


def read_version(table: Table, version: int | None = None) -> "tuple[Snapshot, pa.Table]":
    """The rows of one version (default: the newest) in canonical order, with the snapshot they are of.

    Raises:
        NotFoundError: no such version. OutsideError: a file is missing, damaged or refused, or the version
            needs a feature that lin lacks. UsageError: the table's order names no column.
    """
    snapshot = table.log.snapshot(version)
    require_readable(table.log, snapshot)
    parts = [
        _Part(file.path, file.partition, _read_bytes(table, file.path, snapshot.version)) for file in snapshot.files
    ]
    return snapshot, _rows(table, snapshot.metadata.schema, snapshot.metadata.partition_columns, parts)


def read_pin(table: Table, pin: Pin) -> "pa.Table":
    """The rows of a pin in canonical order. A file is read once, and these bytes are checked and then parsed.

    Raises:
        OutsideError: names the file that is missing, altered or refused, or the feature that lin lacks.
    """
    unknown = sorted(set(pin.reader) - READABLE_FEATURES - _READER_VERSIONS)
    if unknown:
        raise OutsideError(f"table '{table.name}' uses the feature '{unknown[0]}', which this lin does not read yet")
    parts = []
    for file in pin.files:
        data = _read_bytes(table, file.path)
        if digest(data) != file.sha256:
            raise OutsideError(
                f"data file {file.path!r} of table '{table.name}' was altered: its sha256 is not as pinned",
                hint="restore that file from a backup of the table",
            )
        parts.append(_Part(file.path, file.partition, data))
    try:
        schema = parse_schema(pin.schema)
    except ActionError as error:
        raise OutsideError(f"a pinned version of table '{table.name}' cannot be read: {error}") from error
    return _rows(table, schema, pin.partition_columns, parts)


def sort_rows(rows: "pa.Table", order: Iterable[str]) -> "pa.Table":
    """The rows by the columns of `order`, ascending, nulls last, equal rows as they came.

    Raises:
        UsageError: no such column, or one of a nested type.
    """
    import pyarrow.compute as pc

    keys = [(name, "ascending") for name in check_order(rows.schema, order)]
    return rows.take(pc.sort_indices(rows, sort_keys=keys)) if keys else rows


def check_order(schema: "pa.Schema", order: Iterable[str]) -> list[str]:
    """The columns to order by, if rows of that schema can be. Raises `UsageError` as `sort_rows`."""
    import pyarrow as pa

    names = list(order)
    for name in names:
        if name not in schema.names:
            known = f"the columns are: {', '.join(schema.names)}"
            hint = nearest(name, schema.names, instead=known)
            raise UsageError(f"the table has no column '{name}' to order by", hint=hint)
        if pa.types.is_nested(schema.field(name).type):
            raise UsageError(f"the table cannot be ordered by '{name}', a {schema.field(name).type}")
    return names


class _Part(msgspec.Struct, frozen=True):
    """The bytes of one data file, with what the log says of it."""

    path: str
    partition: dict[str, str | None]
    data: bytes


def _rows(table: Table, schema: dict[str, Any], partition_columns: list[str], parts: "list[_Part]") -> "pa.Table":
    import pyarrow as pa

    wanted = arrow_schema(schema)
    kinds = {field["name"]: field["type"] for field in schema["fields"] if field["name"] in partition_columns}
    tables = [_parse(part, wanted, kinds) for part in parts]
    return sort_rows(pa.concat_tables([wanted.empty_table(), *tables]), table.order)


def _parse(part: _Part, wanted: "pa.Schema", partition_kinds: dict[str, Any]) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # old writers keep times as 96-bit numbers, which are microseconds in Delta
        file = pq.ParquetFile(pa.BufferReader(part.data), coerce_int96_timestamp_unit="us").read()
        check_columns(part.path, file.schema, stored_schema(wanted, partition_kinds))
        columns = [_column(file, field, part, partition_kinds) for field in wanted]
        return pa.Table.from_arrays(columns, schema=wanted)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise OutsideError(f"data file {part.path!r} cannot be read: {error}") from error


def _column(file: "pa.Table", field: "pa.Field", part: _Part, partition_kinds: dict[str, Any]) -> "pa.ChunkedArray":
    import pyarrow as pa

    if field.name in partition_kinds:
        value = partition_value(part.path, part.partition, field.name, partition_kinds[field.name])
        return pa.chunked_array([pa.repeat(value, file.num_rows)])
    if field.name in file.column_names:
        return file.column(field.name).cast(field.type)
    return pa.chunked_array([pa.nulls(file.num_rows, field.type)])


def _read_bytes(table: Table, path: str, version: int | None = None) -> bytes:
    try:
        with open_data_file(table.root, path) as stream:
            return stream.read()
    except FileNotFoundError:
        raise missing_file(table, path, version) from None
    except OSError as error:
        raise OutsideError(f"data file {path!r} of table '{table.name}' cannot be read: {error}") from error
