"""Rows of a table version, always in one order: files as the version lists them, then position in the file.

A table that declares an order is sorted by it instead. Rows of a pin are parsed from the very bytes whose
sha256 was checked. What a reader of tables needs beside these is offered here too.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.columns import column_array, locate_columns, physical_name, stored_fields
from lin.data.files import open_data_file
from lin.data.log import Metadata, Snapshot, require_readable
from lin.data.pins import missing_file, pinned_metadata, pinned_positions
from lin.data.schema import arrow_schema, duckdb_type, quote
from lin.data.sql import altered_file, connect, filter_rows, literal, matching_positions, partition_value, relation
from lin.data.tables import Table
from lin.data.vectors import read_deleted
from lin.errors import OutsideError, UsageError, nearest
from lin.records import Pin, digest

if TYPE_CHECKING:
    import numpy as np
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


def read_version(table: Table, version: int | None = None) -> "tuple[Snapshot, pa.Table]":
    """The rows of one version (default: the newest) in canonical order, with the snapshot they are of.

    Raises:
        NotFoundError: no such version. OutsideError: a file is missing, damaged or refused, or the version
            needs a feature that lin lacks. UsageError: the table's order names no column.
    """
    snapshot = table.log.snapshot(version)
    require_readable(table.log, snapshot)
    parts = []
    for file in snapshot.files:
        data = _read_bytes(table, file.path, snapshot.version)
        if len(data) != file.bytes:
            raise altered_file(f"data file {file.path!r} of {table.name}@{snapshot.version}", len(data), file.bytes)
        find = partial(read_deleted, table.root, file.vector, of=file.path) if file.vector else None
        parts.append(_Part(file.path, file.partition, data, find))
    return snapshot, _rows(table, snapshot.metadata, parts)


def read_pin(table: Table, pin: Pin) -> "pa.Table":
    """The rows of a pin in canonical order. A file is read once, and these bytes are checked and then parsed.

    Raises:
        OutsideError: names the file that is missing, altered or refused, or the feature that lin lacks.
    """
    metadata = pinned_metadata(table, pin)
    parts = []
    for file in pin.files:
        data = _read_bytes(table, file.path)
        if digest(data) != file.sha256:
            raise OutsideError(
                f"data file {file.path!r} of table '{table.name}' was altered: its sha256 is not as pinned",
                hint="restore that file from a backup of the table",
            )
        find = partial(pinned_positions, table, file) if file.vector else None
        parts.append(_Part(file.path, file.partition, data, find))
    return _rows(table, metadata, parts)


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
    """The bytes of one data file, with what the log says of it.

    `find_deleted` gives the positions of its deleted rows, if it is told how many rows there are.
    """

    path: str
    partition: dict[str, str | None]
    data: bytes
    find_deleted: "Callable[..., np.ndarray[Any, np.dtype[np.int64]]] | None" = None


def _rows(table: Table, metadata: Metadata, parts: "list[_Part]") -> "pa.Table":
    import pyarrow as pa

    wanted = arrow_schema(metadata.schema)
    tables = [_parse(part, wanted, metadata) for part in parts]
    return sort_rows(pa.concat_tables([wanted.empty_table(), *tables]), table.order)


def _parse(part: _Part, wanted: "pa.Schema", metadata: Metadata) -> "pa.Table":
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # old writers keep times as 96-bit numbers, which are microseconds in Delta
        file = pq.ParquetFile(pa.BufferReader(part.data), coerce_int96_timestamp_unit="us").read()
        rows = pa.Table.from_arrays(_columns(file, wanted, metadata, part), schema=wanted)
        rows.validate(full=True)  # a text need not be UTF-8, nor a decimal have as few digits as it says
    except (pa.ArrowException, OSError, ValueError) as error:
        raise OutsideError(f"data file {part.path!r} cannot be read: {error}") from error
    if part.find_deleted is None:
        return rows
    deleted = part.find_deleted(within=rows.num_rows)
    return rows.take(np.setdiff1d(np.arange(rows.num_rows), deleted, assume_unique=True))


def _columns(file: "pa.Table", wanted: "pa.Schema", metadata: Metadata, part: _Part) -> "list[pa.ChunkedArray]":
    import pyarrow as pa

    names = [field["name"] for field in stored_fields(metadata)]
    places = dict(zip(names, locate_columns(part.path, file.schema, metadata), strict=True))
    columns = []
    for field, told in zip(wanted, metadata.schema["fields"], strict=True):
        if field.name in places:
            columns.append(column_array(file, field, told["type"], places[field.name]))
        else:
            name = physical_name(told, metadata.mapping)
            value = partition_value(part.path, part.partition, name, told["type"])
            columns.append(pa.chunked_array([pa.repeat(value, file.num_rows)]))
    return columns


def _read_bytes(table: Table, path: str, version: int | None = None) -> bytes:
    try:
        with open_data_file(table.root, path) as stream:
            return stream.read()
    except FileNotFoundError:
        raise missing_file(table, path, version) from None
    except OSError as error:
        raise OutsideError(f"data file {path!r} of table '{table.name}' cannot be read: {error}") from error
