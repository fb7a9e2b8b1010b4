"""Committing the files of a pin once more, when the log no longer has the version that they were.

The commit is written here and not by delta-rs: its overwrite would add and remove the same file in one commit, which
Delta forbids and some readers take for removed. Files that are live keep the words by which the log names them, for
readers match files by these; the order of the pin goes into the modification times.
"""

import re
import stat
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec

from lin.data.actions import AddFile
from lin.data.commit import Attribution, Keys, conflict
from lin.data.files import open_data_file
from lin.data.log import Snapshot
from lin.data.mentions import Mention, read_mentions
from lin.data.pins import pinned_metadata
from lin.data.tables import Table
from lin.data.vectors import parse_vector
from lin.data.written import Vector
from lin.errors import NotFoundError, OutsideError
from lin.records import DataFile, Pin, PinnedVector
from lin.store.backend import ObjectExistsError
from lin.store.local import LocalBackend

_VECTOR_FILE = re.compile(
    r"(?:(?P<folder>.+)/)?deletion_vector_(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.bin"
)
_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

Place = tuple[str, str | None, str | None, int | None]


def place_of(file: AddFile | DataFile) -> Place:
    """Where a logical file lies: its path, and the path, content and offset of its deletion vector."""
    vector = file.vector
    return (file.path, vector.path, vector.inline, vector.offset) if vector else (file.path, None, None, None)


def commit_pin(table: Table, head: Snapshot, pin: Pin, attribution: Attribution, *, version: int) -> tuple[int, Keys]:
    """Commit a version after `head` with the files and the schema of a pin; returns it, and its logical files.

    Nothing but the commit is put on disk, and the files are not looked at: both is the caller's.

    Args:
        table: the pinned one.
        head: its newest version.
        pin: what the new version is to be.
        attribution: goes into the commit.
        version: the old version that the pin is of.

    Raises:
        ConflictError: `head` is not the newest version any more; nothing was changed.
        OutsideError: the table as it is now cannot take the pin, or the commit cannot be written.
    """
    metadata = _require_fitting(table, head, pin)
    live = {place_of(file): file.key for file in head.files}
    words = {m.key: m for m in read_mentions(table.log) if m.action == "add"}
    spelled = {m.path: m.written for m in words.values()}
    now_ms = int(time.time() * 1000)  # as delta-rs does in its own commits
    first = now_ms - len(pin.files)
    adds, keys = [], set()
    for position, file in enumerate(pin.files):
        mention = words.get(live[place_of(file)]) if place_of(file) in live else None
        vector = mention.vector if mention else vector_words(table, file.vector)
        keys.add((file.path, _vector_id(vector)))
        adds.append({
            "path": mention.written if mention else spelled.get(file.path) or quote(file.path, safe="/="),
            "partitionValues": file.partition,
            "size": file.bytes,
            "modificationTime": first + position,
            "dataChange": True,
            "stats": stats_of(table, file, mention),
            **({"deletionVector": vector} if vector else {}),
        })  # fmt: skip
    removes = [_remove(words[file.key], file, now_ms) for file in head.files if file.key not in keys]
    actions = [
        {"commitInfo": _info(head, attribution, version if _is_meant(table, head, pin, version) else None, now_ms)},
        *([{"metaData": metadata}] if metadata else []),
        *({"remove": remove} for remove in removes),
        *({"add": add} for add in adds),
    ]
    _put(table, head.version + 1, actions)
    return head.version + 1, keys


def _require_fitting(table: Table, head: Snapshot, pin: Pin) -> dict[str, Any] | None:
    """The metadata action that the pin needs after `head`, if any. Raises `OutsideError` where none will do."""
    wanted = pinned_metadata(table, pin)
    if wanted.mapping != head.metadata.mapping:
        raise OutsideError(
            f"a version with column mapping '{wanted.mapping}' cannot be committed again to table '{table.name}', "
            f"which has column mapping '{head.metadata.mapping}' now"
        )
    features = {"deletionVectors", "timestampNtz"}.intersection(pin.reader)
    missing = sorted(features.difference(head.protocol.reader_features))
    if missing:
        raise OutsideError(f"table '{table.name}' does not have the feature '{missing[0]}', which that version needs")
    same_schema = wanted.schema == head.metadata.schema
    if same_schema and wanted.partition_columns == head.metadata.partition_columns:
        return None
    return _described(table, head) | {"schemaString": pin.schema, "partitionColumns": pin.partition_columns}


def _described(table: Table, head: Snapshot) -> dict[str, Any]:
    """What the table's metadata says beside its schema."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        found = DeltaTable(table.root.absolute().as_uri(), version=head.version).metadata()
    except (DeltaError, OSError) as error:
        raise OutsideError(f"table '{table.name}' cannot be opened: {error}") from error
    return {
        "id": head.metadata.id,
        "name": found.name,
        "description": found.description,
        "format": {"provider": head.metadata.provider, "options": {}},
        "configuration": head.metadata.configuration,
        "createdTime": found.created_time,
    }


def _is_meant(table: Table, head: Snapshot, pin: Pin, version: int) -> bool:
    """Whether the log means the pin by that number, or nothing any more: a table made anew has the number again."""
    if version > head.version:
        return False
    try:
        old = table.log.snapshot(version)
    except (NotFoundError, OutsideError):
        return True
    return [place_of(file) for file in old.files] == [place_of(file) for file in pin.files]


def _info(head: Snapshot, attribution: Attribution, version: int | None, now_ms: int) -> dict[str, Any]:
    return {
        "timestamp": now_ms,
        "operation": "RESTORE",
        "operationParameters": {"version": None if version is None else str(version)},
        "readVersion": head.version,
        "isBlindAppend": False,
        "engineInfo": f"lin/{attribution.lin}",
        **attribution.commit_metadata(),
    }


def _remove(mention: Mention, file: AddFile, now_ms: int) -> dict[str, Any]:
    return {
        "path": mention.written,
        "deletionTimestamp": now_ms,
        "dataChange": True,
        "extendedFileMetadata": True,
        "partitionValues": file.partition,
        "size": file.bytes,
        **({"deletionVector": mention.vector} if mention.vector else {}),
    }


def stats_of(table: Table, file: DataFile, mention: Mention | None = None) -> str:
    """The file's statistics: those that the log has, else the number of its rows. Raises `OutsideError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if mention is not None and mention.stats:
        return mention.stats
    try:
        with open_data_file(table.root, file.path) as stream:
            rows = pq.read_metadata(stream).num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        raise OutsideError(f"data file {file.path!r} of table '{table.name}' cannot be read: {error}") from error
    return msgspec.json.encode({"numRecords": rows}).decode()


def vector_words(table: Table, vector: PinnedVector | None) -> Vector | None:
    """A deletion vector as a log names it. Raises `OutsideError` where its file has no name of Delta's own."""
    if vector is None:
        return None
    text = vector.inline
    if text is None:
        name = _VECTOR_FILE.fullmatch(vector.path or "")
        if name is None:
            raise OutsideError(f"the deletion vector {vector.path!r} of table '{table.name}' cannot be committed again")
        text = (name["folder"] or "") + _encode_z85(UUID(name["uuid"]).bytes)
    return Vector(
        storage_type="i" if vector.inline is not None else "u",
        path_or_inline_dv=text,
        size_in_bytes=vector.bytes,
        cardinality=vector.rows,
        offset=vector.offset,
    )


def _vector_id(words: Vector | None) -> str | None:
    if words is None:
        return None
    return parse_vector(
        words.storage_type,
        words.path_or_inline_dv,
        offset=words.offset,
        size=words.size_in_bytes,
        rows=words.cardinality,
    ).id


def _encode_z85(data: bytes) -> str:
    """Bytes in words of four as Z85. Source: ZeroMQ RFC 32."""
    words = (int.from_bytes(data[at : at + 4]) for at in range(0, len(data), 4))
    return "".join(_Z85[word // 85**power % 85] for word in words for power in (4, 3, 2, 1, 0))


def _put(table: Table, version: int, actions: Iterable[Mapping[str, Any]]) -> None:
    name = f"{version:020d}.json"
    try:
        LocalBackend(table.log.folder).put_if_absent(name, b"".join(msgspec.json.encode(a) + b"\n" for a in actions))
        # others may read the table: what a store keeps for its owner alone is not
        before = table.log.folder / f"{version - 1:020d}.json"
        (table.log.folder / name).chmod(stat.S_IMODE(before.stat().st_mode))
    except ObjectExistsError as error:
        raise conflict(table.name, version) from error
    except (OutsideError, OSError) as error:
        why = error.__cause__ or error
        raise OutsideError(f"version {version} of table '{table.name}' could not be committed: {why}") from error
