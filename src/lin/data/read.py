"""Rows of a table version, always in one order: files as the version lists them, then position in the file.

A table that declares an order is sorted by it instead. Rows of a pin are parsed from the very bytes whose
sha256 was checked. What a reader of tables needs beside these is offered here too.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.columns import Place, column_array, locate_columns, physical_name, stored_fields
from lin.data.files import open_data_file
from lin.data.log import AddFile, Metadata, Snapshot, require_readable
from lin.data.parquet import open_parquet, parquet_errors
from lin.data.pins import missing_file, pinned_metadata, pinned_positions
from lin.data.schema import arrow_schema, duckdb_type, quote
from lin.data.sql import altered_file, connect, filter_rows, literal, matching_positions, partition_value, relation
from lin.data.tables import Table
from lin.data.vectors import read_deleted
from lin.errors import OutsideError, UsageError, nearest
from lin.records import DataFile, Pin, digest

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
    "stream_file",
    "stream_pin",
]

BATCH = 1 << 16
"""So many rows at most are in a batch of a stream: where a file is cut depends on the file alone."""


def read_version(table: Table, version: int | None = None) -> "tuple[Snapshot, pa.Table]":
    """The rows of one version (default: the newest) in canonical order, with the snapshot they are of.

    Raises:
        NotFoundError: no such version. OutsideError: a file is missing, damaged or refused, or the version
            needs a feature that lin lacks. UsageError: the table's order names no column.
    """
    snapshot = table.log.snapshot(version)
    require_readable(table.log, snapshot)
    parts = [_open_part(table, file, snapshot.version) for file in snapshot.files]
    return snapshot, _rows(table, snapshot.metadata, parts)


def read_pin(table: Table, pin: Pin) -> "pa.Table":
    """The rows of a pin in canonical order. A file is read once, and these bytes are checked and then parsed.

    Raises:
        OutsideError: names the file that is missing, altered or refused, or the feature that lin lacks.
    """
    metadata = pinned_metadata(table, pin)
    return _rows(table, metadata, [_open_pinned(table, file) for file in pin.files])


def stream_pin(table: Table, pin: Pin, *, columns: Collection[str] | None = None) -> "Iterator[pa.RecordBatch]":
    """The rows of a pin as written, whatever order the table declares, in batches of at most `BATCH` rows.

    Only `columns` of them (default: all), in their order. One data file at a time is in memory, as it lies on disk,
    and these bytes are checked before a row of it is seen; of what is in it, one batch or group of rows.

    Raises:
        OutsideError: as `read_pin`, when the rows before were handed out already.
    """
    metadata = pinned_metadata(table, pin)
    for file in pin.files:
        yield from stream_file(table, metadata, file, columns=columns)


def stream_file(
    table: Table,
    metadata: Metadata,
    file: AddFile | DataFile,
    *,
    version: int | None = None,
    columns: Collection[str] | None = None,
) -> "Iterator[pa.RecordBatch]":
    """The rows of one data file in the table's columns, as `stream_pin`.

    A pinned file is checked by its sha256; one that the log of `version` names, by its size alone.
    """
    part = _open_pinned(table, file) if isinstance(file, DataFile) else _open_part(table, file, version)
    yield from _parse_batches(part, metadata, columns)


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


def _open_part(table: Table, file: AddFile, version: int | None) -> _Part:
    data = _read_bytes(table, file.path, version)
    if len(data) != file.bytes:
        raise altered_file(f"data file {file.path!r} of {table.name}@{version}", len(data), file.bytes)
    find = partial(read_deleted, table.root, file.vector, of=file.path) if file.vector else None
    return _Part(file.path, file.partition, data, find)


def _open_pinned(table: Table, file: DataFile) -> _Part:
    data = _read_bytes(table, file.path)
    if digest(data) != file.sha256:
        raise OutsideError(
            f"data file {file.path!r} of table '{table.name}' was altered: its sha256 is not as pinned",
            hint="restore that file from a backup of the table",
        )
    find = partial(pinned_positions, table, file) if file.vector else None
    return _Part(file.path, file.partition, data, find)


def _rows(table: Table, metadata: Metadata, parts: "list[_Part]") -> "pa.Table":
    import pyarrow as pa

    wanted = arrow_schema(metadata.schema)
    tables = [_parse(part, wanted, metadata) for part in parts]
    return sort_rows(pa.concat_tables([wanted.empty_table(), *tables]), table.order)


def _parse(part: _Part, wanted: "pa.Schema", metadata: Metadata) -> "pa.Table":
    import numpy as np
    import pyarrow as pa

    try:
        file = open_parquet(pa.BufferReader(part.data)).read()
        rows = _conform(file, wanted, metadata, part, _places(part, file.schema, metadata))
    except parquet_errors() as error:
        raise _unreadable(part, error) from error
    if part.find_deleted is None:
        return rows
    deleted = part.find_deleted(within=rows.num_rows)
    return rows.take(np.setdiff1d(np.arange(rows.num_rows), deleted, assume_unique=True))


def _parse_batches(part: _Part, metadata: Metadata, columns: Collection[str] | None) -> "Iterator[pa.RecordBatch]":
    import numpy as np
    import pyarrow as pa

    whole = arrow_schema(metadata.schema)
    wanted = whole if columns is None else pa.schema([whole.field(name) for name in columns])
    try:
        parquet = open_parquet(pa.BufferReader(part.data))
        places = _places(part, parquet.schema_arrow, metadata)
        count = parquet.metadata.num_rows
        deleted = part.find_deleted(within=count) if part.find_deleted else np.empty(0, np.int64)
        at = 0
        for batch in parquet.iter_batches(BATCH, columns=_projection(wanted, places)):
            rows = _conform(pa.Table.from_batches([batch]), wanted, metadata, part, places)
            gone = deleted[(deleted >= at) & (deleted < at + batch.num_rows)] - at
            at += batch.num_rows
            if len(gone):
                rows = rows.take(np.setdiff1d(np.arange(rows.num_rows), gone, assume_unique=True))
            yield from rows.combine_chunks().to_batches()
    except parquet_errors() as error:
        raise _unreadable(part, error) from error


def _unreadable(part: _Part, error: Exception) -> OutsideError:
    return OutsideError(f"data file {part.path!r} cannot be read: {error}")


def _places(part: _Part, found: "pa.Schema", metadata: Metadata) -> dict[str, Place]:
    names = [field["name"] for field in stored_fields(metadata)]
    return dict(zip(names, locate_columns(part.path, found, metadata), strict=True))


def _projection(wanted: "pa.Schema", places: dict[str, Place]) -> list[str] | None:
    """The columns of the file to read, None for all: to Parquet a dot in a name may stand for a part of a column."""
    names = [places[name].name for name in wanted.names if name in places]
    known = [name for name in names if name is not None]
    return None if not known or any("." in name for name in known) else known


def _conform(
    file: "pa.Table", wanted: "pa.Schema", metadata: Metadata, part: _Part, places: dict[str, Place]
) -> "pa.Table":
    """Rows of the file in the table's columns, each value looked at."""
    import pyarrow as pa

    told = {field["name"]: field for field in metadata.schema["fields"]}
    columns = []
    for field in wanted:
        kind = told[field.name]["type"]
        if field.name in places:
            columns.append(column_array(file, field, kind, places[field.name]))
        else:
            name = physical_name(told[field.name], metadata.mapping)
            value = partition_value(part.path, part.partition, name, kind)
            columns.append(pa.chunked_array([pa.repeat(value, file.num_rows)]))
    rows = pa.Table.from_arrays(columns, schema=wanted)
    rows.validate(full=True)  # a text need not be UTF-8, nor a decimal have as few digits as it says
    return rows


def _read_bytes(table: Table, path: str, version: int | None = None) -> bytes:
    try:
        with open_data_file(table.root, path) as stream:
            return stream.read()
    except FileNotFoundError:
        raise missing_file(table, path, version) from None
    except OSError as error:
        raise OutsideError(f"data file {path!r} of table '{table.name}' cannot be read: {error}") from error
