"""The actions of a Delta log as values: what each says, checked, with paths decoded.

Parsing is pure and knows no table: what is wrong is raised as an `ActionError`, and the log says where it
was. A file's path is decoded here, once, and refused where it could lie outside the table's folder.
"""

import re
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote

import msgspec

from lin.data import written
from lin.data.vectors import DeletionVector, parse_vector
from lin.data.written import Action, ActionError, parse_actions, parse_schema
from lin.errors import OutsideError

__all__ = [
    "Action",
    "ActionError",
    "AddFile",
    "Commit",
    "Metadata",
    "OutsidePathError",
    "Protocol",
    "make_commit",
    "parse_actions",
    "parse_schema",
]

_PLAIN_PATH = re.compile(r"[A-Za-z0-9_=-]+(?:[./][A-Za-z0-9_=-]+)*")
"""Nothing to decode, and no way out of a folder: nearly every path."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OutsidePathError(ActionError):
    """An action that names a file outside the table's folder."""


class AddFile(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A data file of a version. `path` is decoded and relative; `rows` is None where the log has no count."""

    path: str
    bytes: int
    modified: int
    """Milliseconds since 1970 UTC, as the log says: with the path, this orders the files."""
    partition: dict[str, str | None]
    """The values of the partition columns, by physical name where columns are mapped."""
    rows: int | None
    """How many rows a reader sees: those that are deleted do not count."""
    data_change: bool
    vector: DeletionVector | None = None
    stats: str | None = None
    """The statistics as JSON text; only the count in it was checked. `lin.data.bounds` reads the rest."""

    @property
    def key(self) -> tuple[str, str | None]:
        """What makes a logical file: the same path with another deletion vector is another file."""
        return self.path, self.vector.id if self.vector else None


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """The table's metadata action: the schema is Delta's own, parsed from its JSON."""

    id: str
    schema: dict[str, Any]
    partition_columns: list[str]
    configuration: dict[str, str]
    provider: str = "parquet"

    @property
    def columns(self) -> list[str]:
        """The column names in order."""
        return [field["name"] for field in self.schema["fields"]]

    @property
    def mapping(self) -> Literal["none", "name", "id"]:
        """How columns are found in the data files: by their names, their physical names, or their field ids.

        Raises:
            OutsideError: in a way that lin does not know.
        """
        match self.configuration.get("delta.columnMapping.mode", "none").lower():
            case "none" | "name" | "id" as mode:
                return mode
            case mode:
                raise OutsideError(f"the table uses column mapping (mode '{mode}'), which this lin does not read yet")


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader and a writer of the table must support."""

    reader: int
    writer: int
    reader_features: list[str]
    writer_features: list[str]


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the log. `info` is `commitInfo` as written, empty where there is none."""

    version: int
    info: dict[str, Any]
    adds: list[AddFile]
    removes: list[tuple[str, str | None]]
    metadata: Metadata | None
    protocol: Protocol | None
    data_change: bool = True
    """Whether an action on a file says that rows changed: an OPTIMIZE says that none did."""

    @property
    def time(self) -> datetime | None:
        """When the writer says it committed; the file's own time is not asked, for a copy changes it."""
        for key in ("inCommitTimestamp", "timestamp"):
            stamp = self.info.get(key)
            if isinstance(stamp, int) and not isinstance(stamp, bool):
                try:
                    return _EPOCH + timedelta(milliseconds=stamp)
                except OverflowError:
                    return None
        return None

    def text(self, *keys: str) -> str | None:
        """The first of these entries of `info` that is a text with something in it."""
        return next((value for key in keys if isinstance(value := self.info.get(key), str) and value), None)


def make_commit(version: int, actions: list[Action]) -> Commit:
    """One commit of these actions. The order of its adds and removes says nothing.

    Raises:
        ActionError: an action cannot be taken, or a file is both added and removed, which readers understand in
            different ways. OutsidePathError: a path leads out of the table.
    """
    infos = [action.commit_info for action in actions if action.commit_info is not None]
    metadata = [_metadata(action.meta_data) for action in actions if action.meta_data]
    protocols = [_protocol(action.protocol) for action in actions if action.protocol]
    adds = [_add_file(action.add) for action in actions if action.add]
    removes = [_removed(action.remove) for action in actions if action.remove]
    if removes and (both := {file.key for file in adds}.intersection(removes)):
        raise ActionError(f"it adds and removes {min(path for path, _ in both)!r} at once")
    return Commit(
        version=version,
        info=infos[0] if infos else {},
        adds=adds,
        removes=removes,
        metadata=metadata[-1] if metadata else None,
        protocol=protocols[-1] if protocols else None,
        data_change=any(file.data_change for action in actions if (file := action.add or action.remove)),
    )


def _add_file(add: written.Add) -> AddFile:
    return AddFile(
        path=_path_inside(add.path),
        bytes=add.size,
        modified=add.modification_time,
        partition=add.partition_values or {},
        rows=_count(add),
        data_change=add.data_change,
        vector=_deletion_vector(add.deletion_vector) if add.deletion_vector else None,
        stats=add.stats or None,
    )


def _count(add: written.Add) -> int | None:
    rows = written.parse_stats(add.stats, add.path).num_records if add.stats else None
    if rows is None:
        return None
    deleted = add.deletion_vector.cardinality if add.deletion_vector else 0
    if deleted > rows:
        raise ActionError(f"{add.path!r} has {rows} rows, and {deleted} of them deleted")
    return rows - deleted


def _removed(remove: written.Remove) -> tuple[str, str | None]:
    vector = _deletion_vector(remove.deletion_vector) if remove.deletion_vector else None
    return _path_inside(remove.path), vector.id if vector else None


def _deletion_vector(vector: written.Vector) -> DeletionVector:
    try:
        parsed = parse_vector(
            vector.storage_type,
            vector.path_or_inline_dv,
            offset=vector.offset,
            size=vector.size_in_bytes,
            rows=vector.cardinality,
        )
    except ValueError as error:
        raise ActionError(str(error)) from error
    if parsed.path is not None:
        _refuse_outside(parsed.path, parsed.path)
    return parsed


def _path_inside(encoded: str) -> str:
    """The decoded path of a data file. Log paths are percent-encoded exactly once."""
    if _PLAIN_PATH.fullmatch(encoded):
        return encoded
    try:
        path = unquote(encoded, errors="strict")
    except UnicodeDecodeError as error:
        raise ActionError(f"the path {encoded!r} is not UTF-8") from error
    _refuse_outside(path, encoded)
    return path


def _refuse_outside(path: str, encoded: str) -> None:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or _SCHEME.match(path) or ".." in parts or "\0" in path or not parts:
        raise OutsidePathError(repr(encoded))


def _metadata(action: written.MetaData) -> Metadata:
    return Metadata(
        id=action.id,
        schema=parse_schema(action.schema_string),
        partition_columns=action.partition_columns or [],
        configuration=action.configuration or {},
        provider=action.format.provider if action.format else "parquet",
    )


def _protocol(action: written.Protocol) -> Protocol:
    return Protocol(
        reader=action.min_reader_version,
        writer=action.min_writer_version,
        reader_features=sorted(action.reader_features or []),
        writer_features=sorted(action.writer_features or []),
    )
