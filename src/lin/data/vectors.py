"""Deletion vectors: which rows of a data file are deleted, as a bitmap in a file of the table or in the log itself.

A vector is believed only whole: its file's version, size and checksum, and the number of rows that the log gives
for it. The bitmap's own form is in `lin.data.roaring`. Source: Delta's PROTOCOL.md, "Deletion Vector Format".
"""

import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.files import open_data_file
from lin.data.roaring import BitmapError, parse_bitmap
from lin.errors import OutsideError

if TYPE_CHECKING:
    import numpy as np

MOST_ROWS = 1 << 28
"""More deleted rows of one file than these are refused: their positions alone would take 2 GiB."""

_FILE_VERSION = b"\x01"
_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_UUID_LENGTH = 20


class DeletionVector(msgspec.Struct, frozen=True, kw_only=True):
    """A deletion vector as the log names it. `bytes` is the size of its bitmap, `rows` how many rows it deletes."""

    id: str
    """What tells it from every other vector of the table: storage type, path or content, and offset."""
    path: str | None
    """The file that holds it, decoded and relative to the table's folder; None where it is inline."""
    inline: str | None
    """Its content as Z85 text, where it is inline."""
    offset: int | None
    """Where in the file it starts, in bytes."""
    bytes: int
    rows: int


def read_deleted(
    root: Path, vector: DeletionVector, *, of: str, within: int | None = None
) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """The positions of the deleted rows in the data file `of`, from 0: int64, increasing, each once.

    Args:
        root: the table's folder.
        vector: as the log names it.
        of: the path of the data file.
        within: how many rows the data file has, if known. A vector that deletes others is refused.

    Raises:
        OutsideError: names `of`, and the vector's own file: it is missing, refused or damaged, it does not delete
            as many rows as the log says, or more than `MOST_ROWS`.
    """
    most = MOST_ROWS if within is None else min(within, MOST_ROWS)
    if vector.rows > most:
        raise _unreadable(vector, of, f"it deletes {vector.rows} rows, more than {most}")
    data = vector_bytes(root, vector, of=of)
    try:
        positions = parse_bitmap(data, count=vector.rows)
    except BitmapError as error:
        raise _unreadable(vector, of, str(error)) from error
    if within is not None and positions.size and positions[-1] >= within:
        raise _unreadable(vector, of, f"it deletes row {positions[-1]} of {within}")
    return positions


def vector_bytes(root: Path, vector: DeletionVector, *, of: str) -> bytes:
    """The serialized bitmap of `vector` as it is stored, its size and checksum checked. Raises as `read_deleted`."""
    if vector.inline is not None:
        return _inline_bytes(vector, vector.inline, of)
    path = vector.path or ""
    start = vector.offset or 0
    try:
        with open_data_file(root, path) as stream:
            # before anything is read: a size from the log must not decide how much memory is taken
            if start + vector.bytes + 8 > os.fstat(stream.fileno()).st_size:
                raise _unreadable(vector, of, "the file is too short")
            version = stream.read(1)
            stream.seek(start)
            framed = stream.read(vector.bytes + 8)
    except FileNotFoundError:
        raise _unreadable(vector, of, "the file is missing") from None
    except OSError as error:
        raise _unreadable(vector, of, str(error)) from error
    if version != _FILE_VERSION:
        raise _unreadable(vector, of, f"it starts with {version.hex()}, which is no version that lin reads")
    size, data, checksum = framed[:4], framed[4:-4], framed[-4:]
    if int.from_bytes(size) != vector.bytes or len(data) != vector.bytes:
        raise _unreadable(vector, of, f"it has another size than the {vector.bytes} bytes that the log says")
    if int.from_bytes(checksum) != zlib.crc32(data):
        raise _unreadable(vector, of, "its checksum is wrong")
    return data


def parse_vector(storage: str, text: str, *, offset: int | None, size: int, rows: int) -> DeletionVector:
    """A vector from the words of the log. `path` is not yet checked to lie in the table's folder.

    Raises:
        ValueError: the storage type is unknown, or the path or the offset is none.
    """
    identity = f"{storage}{text}" + ("" if offset is None else f"@{offset}")
    if storage == "i":
        return DeletionVector(id=identity, path=None, inline=text, offset=None, bytes=size, rows=rows)
    if storage not in {"u", "p"}:
        raise ValueError(f"the storage type {storage!r} of a deletion vector is unknown")
    # the first vector of a file follows its version
    start = 1 if offset is None else offset
    path = text if storage == "p" else _relative_path(text)
    return DeletionVector(id=identity, path=path, inline=None, offset=start, bytes=size, rows=rows)


def decode_z85(text: str) -> bytes:
    """The bytes of a Z85 text. Raises `ValueError`. Source: ZeroMQ RFC 32."""
    if len(text) % 5:
        raise ValueError(f"a Z85 text of {len(text)} characters is cut off")
    values = [_Z85.find(character) for character in text]
    if -1 in values:
        raise ValueError(f"{text[values.index(-1)]!r} is no character of Z85")
    words = []
    for start in range(0, len(values), 5):
        word = 0
        for value in values[start : start + 5]:
            word = word * 85 + value
        if word >= 1 << 32:
            raise ValueError(f"{text[start : start + 5]!r} is no Z85")
        words.append(word.to_bytes(4))
    return b"".join(words)


def _relative_path(text: str) -> str:
    """An optional folder, then a UUID in Z85. The folder stands as it is: it is not percent-encoded."""
    from uuid import UUID

    folder, encoded = text[:-_UUID_LENGTH], text[-_UUID_LENGTH:]
    if len(encoded) != _UUID_LENGTH:
        raise ValueError(f"{text!r} does not name the file of a deletion vector")
    name = f"deletion_vector_{UUID(bytes=decode_z85(encoded))}.bin"
    return f"{folder}/{name}" if folder else name


def _inline_bytes(vector: DeletionVector, text: str, of: str) -> bytes:
    try:
        data = decode_z85(text)
    except ValueError as error:
        raise _unreadable(vector, of, str(error)) from error
    # Z85 comes in words of four bytes: the last may be filled up
    if not len(data) - 4 < vector.bytes <= len(data):
        raise _unreadable(vector, of, f"it has {len(data)} bytes, and the log says {vector.bytes}")
    return data[: vector.bytes]


def _unreadable(vector: DeletionVector, of: str, why: str) -> OutsideError:
    where = "in the table's log" if vector.path is None else repr(vector.path)
    return OutsideError(
        f"the deletion vector {where} of data file {of!r} cannot be read: {why}",
        hint="restore that file from a backup of the table",
    )
