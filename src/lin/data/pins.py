"""Pins: the exact content of a table version, every data file by the sha256 of its bytes.

A pin tells what the data is, not how the table came to it: a version restored from an old one has the old
pin. Files are hashed from disk each time, for a modification time proves nothing, and never reached through a
link.
"""

import errno
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

import msgspec

from lin.data.log import AddFile, Snapshot, require_readable
from lin.data.tables import Table
from lin.errors import OutsideError
from lin.records import DataFile, Pin, digest, encode


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


def open_data_file(root: Path, path: str) -> BufferedReader:
    """Open a data file by its path in the table at `root`.

    Raises:
        FileNotFoundError: there is no such file. OutsideError: it is a link, no file, or outside the folder.
    """
    where = root / path
    try:
        parent = where.parent.resolve(strict=True)
        if not parent.is_relative_to(root.resolve()):
            raise _refused(path, "it lies outside the table's folder")
        # not blocking, so that opening a pipe returns and is refused below
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        stream = os.fdopen(os.open(parent / where.name, flags), "rb")
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        link = isinstance(error, OSError) and error.errno == errno.ELOOP
        raise _refused(path, "it is a symbolic link" if link else str(error)) from error
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise _refused(path, "it is not a regular file")
    return stream


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
    content of this version needs; as `require_readable` passed, only one of them can touch the rows.
    """
    feature = "timestampNtz"
    if feature in snapshot.protocol.reader_features and _has_type(snapshot.metadata.schema, "timestamp_ntz"):
        return ["reader-version-3", feature]
    return ["reader-version-1"]


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
    try:
        with open_data_file(table.root, file.path) as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
    except FileNotFoundError:
        raise missing_file(table, file.path, version) from None
    if size != file.bytes:
        raise OutsideError(
            f"data file {file.path!r} of {table.name}@{version} was altered: it has {size} bytes, "
            f"and the table's log says {file.bytes}",
            hint="restore that file from a backup of the table",
        )
    return DataFile(path=file.path, bytes=size, sha256=sha256, partition=file.partition)


def _check_file(table: Table, file: DataFile) -> str | None:
    try:
        with open_data_file(table.root, file.path) as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return f"data file {file.path!r} is missing"
    except OutsideError as error:
        return error.message
    return None if sha256 == file.sha256 else f"data file {file.path!r} was altered"


def _refused(path: str, why: str) -> OutsideError:
    return OutsideError(
        f"data file {path!r} is refused: {why}", hint="lin reads only tables whose files lie in their folder"
    )
