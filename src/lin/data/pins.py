"""Pins: the exact content of a table version, every data file by the sha256 of its bytes.

A pin tells what the data is, not how the table came to it: a version restored from an old one has the old
pin. Files are hashed from disk each time, for a modification time proves nothing, and never reached through a
link.
"""

import hashlib
from io import BufferedReader
from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.actions import ActionError
from lin.data.files import open_data_file
from lin.data.log import AddFile, Metadata, Snapshot, parse_schema, require_readable
from lin.data.sql import altered_file
from lin.data.tables import Table
from lin.data.vectors import DeletionVector, read_deleted, vector_bytes
from lin.errors import OutsideError, refused
from lin.records import DataFile, Pin, PinnedVector, digest, encode

if TYPE_CHECKING:
    import numpy as np

_MAPPING = "columnMapping:"
_READERS = {"reader-version-1", "reader-version-3", "timestampNtz", "deletionVectors"}


def pin_version(table: Table, snapshot: Snapshot) -> Pin:
    """The pin of one version: its files in canonical order, each hashed as it lies on disk.

    Raises:
        OutsideError: the version needs a feature that lin lacks, or a file is missing, cut short or refused.
    """
    require_readable(table.log, snapshot)
    return Pin(
        schema=msgspec.json.encode(snapshot.metadata.schema, order="deterministic").decode(),
        reader=_reader(snapshot),
        partition_columns=snapshot.metadata.partition_columns,
        files=[_pin_file(table, snapshot.version, file) for file in snapshot.files],
    )


def pin_digest(pin: Pin) -> str:
    """The identity of the data: the sha256 of the pin's bytes."""
    return digest(encode(pin))


def check_pin(table: Table, pin: Pin) -> list[str]:
    """What of a pin no longer holds, a sentence for each file missing or altered; empty when whole."""
    return [problem for file in pin.files if (problem := _check_file(table, file))]


def pinned_metadata(table: Table, pin: Pin) -> Metadata:
    """How the files of a pin are to be read.

    Raises:
        OutsideError: the pin needs a feature that lin lacks, or its schema is damaged.
    """
    modes = {_MAPPING + mode: mode for mode in ("name", "id")}
    unknown = sorted(set(pin.reader) - _READERS - modes.keys())
    if unknown:
        raise OutsideError(f"table '{table.name}' uses the feature '{unknown[0]}', which this lin does not read yet")
    try:
        schema = parse_schema(pin.schema)
    except ActionError as error:
        raise OutsideError(f"a pinned version of table '{table.name}' cannot be read: {error}") from error
    mode = next((modes[word] for word in pin.reader if word in modes), "none")
    return Metadata(
        id="",
        schema=schema,
        partition_columns=pin.partition_columns,
        configuration={"delta.columnMapping.mode": mode},
    )


def pinned_positions(
    table: Table, file: DataFile, *, within: int | None = None
) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """The deleted rows of a pinned file, none if it has no deletion vector; what is read is checked first.

    Args:
        table: the pinned one.
        file: one of the pin's.
        within: how many rows the file has, if known.

    Raises:
        OutsideError: the deletion vector is missing, damaged, or not the pinned one.
    """
    import numpy as np

    if file.vector is None:
        return np.empty(0, np.int64)
    vector = _unpin_vector(file.vector)
    if digest(vector_bytes(table.root, vector, of=file.path)) != file.vector.sha256:
        raise OutsideError(
            f"the deletion vector of data file {file.path!r} of table '{table.name}' was altered",
            hint="restore the table's files from a backup",
        )
    return read_deleted(table.root, vector, of=file.path, within=within)


def missing_file(table: Table, path: str, version: int | None = None) -> OutsideError:
    """The error for a data file that is gone."""
    whose = f"{table.name}@{version}" if version is not None else f"a pinned version of table '{table.name}'"
    return OutsideError(
        f"data file {path!r} of {whose} is missing, so that version can no longer be read",
        hint=f"lin history {table.name}",
    )


def _reader(snapshot: Snapshot) -> list[str]:
    """What it takes to read these rows.

    A table's protocol only ever grows, and a restore keeps it grown. So the features are those that the
    content of this version needs; as `require_readable` passed, no others can touch the rows.
    """
    metadata = snapshot.metadata
    ntz = "timestampNtz" in snapshot.protocol.reader_features and _has_type(metadata.schema, "timestamp_ntz")
    needed = [
        *([_MAPPING + metadata.mapping] if metadata.mapping != "none" else []),
        *(["deletionVectors"] if any(file.vector for file in snapshot.files) else []),
        *(["timestampNtz"] if ntz else []),
    ]
    return ["reader-version-3", *needed] if needed else ["reader-version-1"]


def _has_type(delta_type: Any, name: str) -> bool:
    match delta_type:
        case {"type": "struct", "fields": fields}:
            return any(_has_type(field["type"], name) for field in fields)
        case {"type": "array", "elementType": element}:
            return _has_type(element, name)
        case {"type": "map", "keyType": key, "valueType": value}:
            return _has_type(key, name) or _has_type(value, name)
    return bool(delta_type == name)


def _pin_file(table: Table, version: int, file: AddFile) -> DataFile:
    what = f"data file {file.path!r} of {table.name}@{version}"
    try:
        with open_data_file(table.root, file.path) as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            if (size := stream.tell()) != file.bytes:
                raise altered_file(what, size, file.bytes)
            rows = _count_rows(stream, what)
    except FileNotFoundError:
        raise missing_file(table, file.path, version) from None
    except OSError as error:
        raise refused(f"cannot read {what}", error) from error
    vector = _pin_vector(table, file.vector, of=file.path, within=rows) if file.vector else None
    return DataFile(path=file.path, bytes=size, sha256=sha256, partition=file.partition, vector=vector)


def _count_rows(stream: BufferedReader, what: str) -> int:
    """How many rows a data file has: what is pinned can be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: int = pq.read_metadata(stream).num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        raise OutsideError(f"{what} cannot be read: {error}") from error
    return rows


def _pin_vector(table: Table, vector: DeletionVector, *, of: str, within: int) -> PinnedVector:
    read_deleted(table.root, vector, of=of, within=within)
    return PinnedVector(
        rows=vector.rows,
        bytes=vector.bytes,
        sha256=digest(vector_bytes(table.root, vector, of=of)),
        path=vector.path,
        offset=vector.offset,
        inline=vector.inline,
    )


def _unpin_vector(vector: PinnedVector) -> DeletionVector:
    return DeletionVector(
        id="", path=vector.path, inline=vector.inline, offset=vector.offset, bytes=vector.bytes, rows=vector.rows
    )


def _check_file(table: Table, file: DataFile) -> str | None:
    try:
        with open_data_file(table.root, file.path) as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return f"data file {file.path!r} is missing"
    except OutsideError as error:
        return error.message
    except OSError as error:
        return f"data file {file.path!r} cannot be read: {error.strerror}"
    if sha256 != file.sha256:
        return f"data file {file.path!r} was altered"
    try:
        pinned_positions(table, file)
    except OutsideError as error:
        return error.message
    return None
