"""The actions of a Delta log as values, checked as they are read: types, counts, schemas, paths.

Parsing is pure and knows no table: what is wrong is raised as an `ActionError`, and the log says where it
was. A data file's path is decoded here, once, and refused where it could lie outside the table's folder.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any, Union
from urllib.parse import unquote

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0)]
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ActionError(ValueError):
    """An action of the log that cannot be taken as it stands."""


class OutsidePathError(ActionError):
    """An action that names a file outside the table's folder."""


class AddFile(msgspec.Struct, frozen=True, kw_only=True):
    """A data file of a version. `path` is decoded and relative; `rows` is None where the log has no count."""

    path: str
    bytes: int
    modified: int
    """Milliseconds since 1970 UTC, as the log says: with the path, this orders the files."""
    partition: dict[str, str | None]
    rows: int | None
    data_change: bool
    vector: str | None = None
    """Identifies the deletion vector, if there is one."""

    @property
    def key(self) -> tuple[str, str | None]:
        """What makes a logical file: the same path with another deletion vector is another file."""
        return self.path, self.vector


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


# --- as they are written -----------------------------------------------------------------------------------


class _Written(msgspec.Struct, frozen=True, rename="camel"):
    """The base of what lies in the log: other fields are ignored, as Delta's protocol asks."""


class _Vector(_Written, frozen=True):
    storage_type: str
    path_or_inline_dv: str
    cardinality: Count
    offset: int | None = None


class _Stats(_Written, frozen=True):
    num_records: Count | None = None


class _Add(_Written, frozen=True):
    path: str
    size: Count
    modification_time: int
    partition_values: dict[str, str | None] | None = None
    data_change: bool = True
    stats: str | None = None
    stats_parsed: _Stats | None = msgspec.field(default=None, name="stats_parsed")
    deletion_vector: _Vector | None = None


class _Remove(_Written, frozen=True):
    path: str
    deletion_vector: _Vector | None = None


class _Format(_Written, frozen=True):
    provider: str = "parquet"


class _MetaData(_Written, frozen=True):
    id: str
    schema_string: str
    partition_columns: list[str] | None = None
    configuration: dict[str, str] | None = None
    format: _Format | None = None


class _Protocol(_Written, frozen=True):
    min_reader_version: int
    min_writer_version: int
    reader_features: list[str] | None = None
    writer_features: list[str] | None = None


class Action(_Written, frozen=True):
    """One line of a commit, or one row of a checkpoint."""

    add: _Add | None = None
    remove: _Remove | None = None
    meta_data: _MetaData | None = None
    protocol: _Protocol | None = None
    commit_info: dict[str, Any] | None = None


class _StructType(msgspec.Struct, tag_field="type", tag="struct"):
    fields: "list[_Field]"


class _ArrayType(msgspec.Struct, tag_field="type", tag="array", rename="camel"):
    element_type: "_Type"


class _MapType(msgspec.Struct, tag_field="type", tag="map", rename="camel"):
    key_type: "_Type"
    value_type: "_Type"


_Type = Union[str, _StructType, _ArrayType, _MapType]  # noqa: UP007 - msgspec resolves it by name


class _Field(msgspec.Struct):
    name: str
    type: _Type
    nullable: bool = True


# --- parsing ------------------------------------------------------------------------------------------------


def parse_actions(data: bytes) -> list[Action]:
    """The actions of a commit file, one a line. Raises `ActionError` where a line is no action."""
    try:
        return [msgspec.json.decode(line, type=Action) for line in data.split(b"\n") if line.strip()]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ActionError(str(error)) from error


def convert_actions(rows: Iterable[dict[str, Any]]) -> list[Action]:
    """The actions of a checkpoint's rows. Raises `ActionError` where a row is no action."""
    try:
        return [msgspec.convert(row, Action) for row in rows]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ActionError(str(error)) from error


def make_commit(version: int, actions: list[Action]) -> Commit:
    """One commit of these actions. Raises `ActionError`; for a path out of the table, `OutsidePathError`."""
    infos = [action.commit_info for action in actions if action.commit_info is not None]
    metadata = [_metadata(action.meta_data) for action in actions if action.meta_data]
    protocols = [_protocol(action.protocol) for action in actions if action.protocol]
    return Commit(
        version=version,
        info=infos[0] if infos else {},
        adds=[_add_file(action.add) for action in actions if action.add],
        removes=[_logical_file(action.remove) for action in actions if action.remove],
        metadata=metadata[-1] if metadata else None,
        protocol=protocols[-1] if protocols else None,
    )


def parse_schema(text: str) -> dict[str, Any]:
    """A Delta schema from its JSON, as it was written. Raises `ActionError` if it is none."""
    try:
        msgspec.json.decode(text, type=_StructType)
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ActionError(f"its schema is not one of Delta's: {error}") from error


def _add_file(add: _Add) -> AddFile:
    path, vector = _logical_file(add)
    return AddFile(
        path=path,
        bytes=add.size,
        modified=add.modification_time,
        partition=add.partition_values or {},
        rows=_count(add),
        data_change=add.data_change,
        vector=vector,
    )


def _count(add: _Add) -> int | None:
    try:
        stats = msgspec.json.decode(add.stats, type=_Stats) if add.stats else add.stats_parsed
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ActionError(f"the statistics of {add.path!r} cannot be read: {error}") from error
    if stats is None or stats.num_records is None:
        return None
    deleted = add.deletion_vector.cardinality if add.deletion_vector else 0
    if deleted > stats.num_records:
        raise ActionError(f"{add.path!r} has {stats.num_records} rows, and {deleted} of them deleted")
    return stats.num_records - deleted


def _logical_file(action: _Add | _Remove) -> tuple[str, str | None]:
    vector = action.deletion_vector
    identity = f"{vector.storage_type}{vector.path_or_inline_dv}@{vector.offset}" if vector else None
    return _path_inside(action.path), identity


def _path_inside(encoded: str) -> str:
    """The decoded path of a data file. Log paths are percent-encoded exactly once."""
    try:
        path = unquote(encoded, errors="strict")
    except UnicodeDecodeError as error:
        raise ActionError(f"the path {encoded!r} is not UTF-8") from error
    parts = PurePosixPath(path).parts
    if path.startswith("/") or _SCHEME.match(path) or ".." in parts or "\0" in path or not parts:
        raise OutsidePathError(repr(encoded))
    return path


def _metadata(action: _MetaData) -> Metadata:
    return Metadata(
        id=action.id,
        schema=parse_schema(action.schema_string),
        partition_columns=action.partition_columns or [],
        configuration=action.configuration or {},
        provider=action.format.provider if action.format else "parquet",
    )


def _protocol(action: _Protocol) -> Protocol:
    return Protocol(
        reader=action.min_reader_version,
        writer=action.min_writer_version,
        reader_features=sorted(action.reader_features or []),
        writer_features=sorted(action.writer_features or []),
    )
