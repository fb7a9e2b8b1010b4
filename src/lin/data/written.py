"""The words of a Delta log as they are written: one struct for each action, checked for types and counts.

Fields and actions that are not named here are ignored, as Delta's protocol asks of a reader. What the words mean is in
`lin.data.actions`.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Union

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0)]


class ActionError(ValueError):
    """An action of the log that cannot be taken as it stands."""


class _Written(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The base of what lies in the log. None of it refers back to itself, so the garbage collector can leave it."""


class Vector(_Written, frozen=True, gc=False):
    """A deletion vector; `storage_type` says how to read `path_or_inline_dv`."""

    storage_type: str
    path_or_inline_dv: str
    size_in_bytes: Count
    cardinality: Count
    offset: Count | None = None


class Add(_Written, frozen=True, gc=False):
    """A data file that a version has."""

    path: str
    size: Count
    modification_time: int
    partition_values: dict[str, str | None] | None = None
    data_change: bool = True
    stats: str | None = None
    deletion_vector: Vector | None = None


class Remove(_Written, frozen=True, gc=False):
    """A data file that a version no longer has; `deletion_timestamp` is in milliseconds since 1970 UTC."""

    path: str
    data_change: bool = True
    deletion_vector: Vector | None = None
    deletion_timestamp: int | None = None


class Change(_Written, frozen=True, gc=False):
    """A file with the rows that a commit changed, for readers of the change data feed."""

    path: str


class Format(_Written, frozen=True, gc=False):
    """The format of the data files."""

    provider: str = "parquet"


class MetaData(_Written, frozen=True, gc=False):
    """The table's schema, as JSON text, and its settings."""

    id: str
    schema_string: str
    partition_columns: list[str] | None = None
    configuration: dict[str, str] | None = None
    format: Format | None = None


class Protocol(_Written, frozen=True, gc=False):
    """What a reader and a writer of the table must support."""

    min_reader_version: int
    min_writer_version: int
    reader_features: list[str] | None = None
    writer_features: list[str] | None = None


class Sidecar(_Written, frozen=True, gc=False):
    """A file of `_sidecars` with more of a checkpoint's actions."""

    path: str
    size_in_bytes: Count | None = None


class Action(_Written, frozen=True, gc=False):
    """One line of a commit, or one row of a checkpoint: at most one of these."""

    add: Add | None = None
    remove: Remove | None = None
    cdc: Change | None = None
    meta_data: MetaData | None = None
    protocol: Protocol | None = None
    commit_info: dict[str, Any] | None = None
    sidecar: Sidecar | None = None


class Stats(_Written, frozen=True, gc=False):
    """The statistics of a data file, as far as everybody needs them."""

    num_records: Count | None = None


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
    metadata: dict[str, Any] | None = None


def parse_actions(data: bytes) -> list[Action]:
    """The actions of a commit file, one a line. Raises `ActionError` where a line is no action."""
    decode = msgspec.json.Decoder(Action).decode
    try:
        return [decode(line) for line in data.split(b"\n") if line.strip()]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ActionError(str(error)) from error


def parse_stats(text: str, path: str) -> Stats:
    """The statistics of the file `path`. Raises `ActionError` where the text is none."""
    try:
        return msgspec.json.decode(text, type=Stats)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ActionError(f"the statistics of {path!r} cannot be read: {error}") from error


def parse_schema(text: str) -> dict[str, Any]:
    """A Delta schema from its JSON, as it was written.

    Raises:
        ActionError: it is none, or a struct of it has two fields of one name.
    """
    try:
        schema = msgspec.json.decode(text, type=_StructType)
        written: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
        twice = [name for struct in _structs(schema) for name in _repeated(struct)]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ActionError(f"its schema is not one of Delta's: {error}") from error
    if twice:
        raise ActionError(f"its schema has a column {twice[0]!r} twice")
    return written


def _repeated(struct: _StructType) -> list[str]:
    counts = Counter(field.name for field in struct.fields)
    return [name for name, count in counts.items() if count > 1]


def _structs(kind: _Type) -> Iterator[_StructType]:
    match kind:
        case _StructType(fields=fields):
            yield kind
            for field in fields:
                yield from _structs(field.type)
        case _ArrayType(element_type=element):
            yield from _structs(element)
        case _MapType(key_type=key, value_type=value):
            yield from _structs(key)
            yield from _structs(value)
