"""Everything that lies on disk: frozen structs, each with a format tag, and the one codec for them.

An id that hashes a record hashes its stored bytes; an existing record is never encoded again. Times are UTC, digests
are sha256 in hex, paths are POSIX paths relative to what the field says, and units stand in the names.
"""

import hashlib
import re
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

from lin.errors import NewerError, StoreError
from lin.numbers import Real, from_json, to_json

R = TypeVar("R")
Param = str | int | float | bool | list[Any] | dict[str, Any] | None
Kind = Literal["train", "command", "program", "import", "predict", "restore", "cell"]
WORK: frozenset[Kind] = frozenset({"train", "command", "program"})
"""The kinds that people start to learn something: `lin runs` lists these, and `last` is one of them."""
Status = Literal["finished", "failed", "interrupted"]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The base of every record: immutable, unknown fields refused, defaults left out."""


# --- the store itself -------------------------------------------------------------------------------------------------


class StoreInfo(Record, frozen=True, tag_field="format", tag="store/1"):
    """`store.json`: which format the store is in, and its own id."""

    id: str
    created: datetime


# --- blobs ------------------------------------------------------------------------------------------------------------


class SourceFile(Record, frozen=True):
    """One file of a source snapshot."""

    path: str
    sha256: str
    bytes: int
    executable: bool = False


class LeftOut(Record, frozen=True):
    """A file that a source snapshot does not hold, and why."""

    path: str
    bytes: int
    reason: str


class SourceTree(Record, frozen=True, tag_field="format", tag="source/1"):
    """The project's files as they were, by content. Its digest is the identity of the code."""

    files: list[SourceFile]
    left_out: list[LeftOut] = []


class Package(Record, frozen=True):
    """An installed distribution.

    `record` is the sha256 of the paths and hashes in its RECORD file, sorted, without what the installer itself makes
    (launchers, compiled files, notes): the same wheel has the same one, whoever installed it. An editable one is code
    in a folder: `source` is the `source/1` snapshot of it, where it lies outside the project.
    """

    name: str
    version: str
    record: str | None = None
    editable: bool = False
    source: str | None = None


class Blas(Record, frozen=True):
    """A linear-algebra or threading library that the process had loaded, and its thread count."""

    library: str
    version: str | None
    threads: int
    kernel: str | None = None


class Environment(Record, frozen=True, tag_field="format", tag="environment/1"):
    """What code ran on. Its digest is the environment's identity."""

    python: str
    implementation: str
    abi: str
    system: str
    machine: str
    packages: list[Package]
    blas: list[Blas] = []
    variables: dict[str, str] = {}
    cpu_features: list[str] = []


class PinnedVector(Record, frozen=True):
    """The rows of a data file that are deleted: a bitmap of `bytes`, in a file of the table or in the log itself.

    `sha256` is that of the bitmap alone; `path` is relative to the table's folder, `inline` is Z85.
    """

    rows: int
    bytes: int
    sha256: str
    path: str | None = None
    offset: int | None = None
    inline: str | None = None


class DataFile(Record, frozen=True):
    """One data file of a table version. `path` is relative to the table's folder, decoded."""

    path: str
    bytes: int
    sha256: str
    partition: dict[str, str | None] = {}
    vector: PinnedVector | None = None


class Pin(Record, frozen=True, tag_field="format", tag="pin/1"):
    """The exact content of one table version, files in canonical order. Its digest is the identity of that data.

    `schema` is the Delta schema as JSON with sorted keys; `reader` names what a reader must support.
    """

    schema: str
    reader: list[str]
    partition_columns: list[str]
    files: list[DataFile]


# --- runs -------------------------------------------------------------------------------------------------------------


class TableRef(Record, frozen=True, tag_field="type", tag="table"):
    """A table version that a run read or wrote. `location` is relative to the store; `pin` is a blob.

    `commit` is the sha256 of the version's file in the table's log as it was, where it lay there: Delta has none.
    """

    table: str
    location: str
    version: int
    pin: str
    rows: int
    order: list[str] = []
    commit: str | None = None


class ModelRef(Record, frozen=True, tag_field="type", tag="model"):
    """A model version that a run used."""

    model: str
    version: int
    sha256: str


class FileRef(Record, frozen=True, tag_field="type", tag="file"):
    """A plain file that a program read or wrote, as it was then. `path` is relative to the project's folder."""

    path: str
    sha256: str
    bytes: int


Input = TableRef | ModelRef | FileRef
Output = TableRef | FileRef


class PredictedInput(Record, frozen=True):
    """Predictions in a column of a table version that a run read: which commit wrote them, by which model.

    `rows` counts the cells of that commit which nobody wrote again before `version`; None where that is not known.
    `role` is what the run took the column for, None where it does not tell. `by_run`: no commit names the model; the
    run that wrote the version used it.
    """

    table: str
    version: int
    column: str
    written: int
    model: str
    rows: int | None
    role: Literal["target", "feature", "not used"] | None = None
    by_run: bool = False


class Artifact(Record, frozen=True):
    """A file that a run produced: its name in the run, and the blob with its content."""

    path: str
    sha256: str
    bytes: int


class Git(Record, frozen=True):
    """Where the source stood in git. `remote` has no credentials in it."""

    commit: str | None
    branch: str | None
    remote: str | None
    dirty: bool


class Source(Record, frozen=True):
    """The source snapshot of a run: a `source/1` blob, and git's view of it."""

    tree: str
    git: Git | None = None


class Host(Record, frozen=True):
    """The machine that a run ran on."""

    name: str
    system: str
    cpu: str
    cores: int
    memory_bytes: int


class Process(Record, frozen=True):
    """Identifies a process for ever: pids are reused, but not with the same start on the same boot."""

    host: str
    boot: str
    pid_namespace: str
    pid: int
    started: float


class Fit(Record, frozen=True):
    """What the built-in trainer was asked to do: with the pin it read, all that it takes to do it again."""

    estimator: list[str]
    target: str
    params: dict[str, Param] = {}
    features: Literal["all"] | list[str] | dict[str, float] = "all"
    exclude: list[str] = []
    rows: str | None = None
    test_size: float = 0.2
    seed: int = 0
    metrics: list[str] = []
    pickle: bool = False
    """Keep the model as a pickle, which runs code when it is loaded."""


class Start(Record, frozen=True, tag_field="format", tag="start/1"):
    """`start.json`: what was asked and what was captured, written once before anything runs.

    A re-run has the run that it re-runs as `parent`, and a `recipe/1` blob.
    """

    id: str
    kind: Kind
    name: str
    started: datetime
    actor: str
    lin: str
    host: Host
    process: Process
    experiment: str | None = None
    sweep: str | None = None
    parent: str | None = None
    reason: str | None = None
    command: list[str] = []
    folder: str = "."
    params: dict[str, Param] = {}
    tags: dict[str, str] = {}
    fit: Fit | None = None
    inputs: list[Input] = []
    source: Source | None = None
    environment: str | None = None
    recipe: str | None = None


class Log(Record, frozen=True):
    """A file beside the record that grew while the run ran, as it was when the run was sealed."""

    sha256: str
    bytes: int


class Sealed(Record, frozen=True, tag_field="format", tag="run/1"):
    """`run.json`: the sealed record, written last. It names every blob it needs, and the start it belongs to."""

    id: str
    start: str
    status: Status
    ended: datetime
    seconds: float
    exit_code: int | None = None
    error: str | None = None
    params: dict[str, Param] = {}
    tags: dict[str, str] = {}
    metrics: dict[str, Real] = {}
    features: list[str] = []
    artifacts: list[Artifact] = []
    inputs: list[Input] = []
    outputs: list[Output] = []
    predicted: list[PredictedInput] = []
    log: Log | None = None
    output: Log | None = None
    peak_memory_bytes: int | None = None


class MetricPoint(Record, frozen=True, tag_field="type", tag="metric"):
    """A line of `log.jsonl`: one value of a metric. `time` is in seconds since 1970 UTC."""

    key: str
    value: Real
    time: float
    step: int = 0


class ParamSet(Record, frozen=True, tag_field="type", tag="param"):
    """A line of `log.jsonl`: a parameter."""

    key: str
    value: Param


class TagSet(Record, frozen=True, tag_field="type", tag="tag"):
    """A line of `log.jsonl`: a tag."""

    key: str
    value: str


class ArtifactKept(Record, frozen=True, tag_field="type", tag="artifact"):
    """A line of `log.jsonl`: a file whose content is in the blobs by now."""

    artifact: Artifact


class InputRead(Record, frozen=True, tag_field="type", tag="input"):
    """A line of `log.jsonl`: a table version, model version or file that the run read."""

    input: Input


class OutputWritten(Record, frozen=True, tag_field="type", tag="output"):
    """A line of `log.jsonl`: a table version or file that the run wrote."""

    output: Output


class Seen(Record, frozen=True, tag_field="type", tag="seen"):
    """A line of `log.jsonl`: what a program was seen to open, before anybody looked what that is.

    `path` is absolute, or the address of a table. A table has the `version` that was read or made; a file that was
    read has the `sha256` and `bytes` that it had then.
    """

    mode: Literal["read", "wrote"]
    path: str
    version: int | None = None
    sha256: str | None = None
    bytes: int | None = None


LogLine = MetricPoint | ParamSet | TagSet | ArtifactKept | InputRead | OutputWritten | Seen


# --- the codec --------------------------------------------------------------------------------------------------------


class _Format(msgspec.Struct):
    format: str


def _encode_hook(value: object) -> object:
    if isinstance(value, Real):
        return to_json(value)
    raise TypeError(f"records cannot hold a {type(value).__name__}: {value!r}")


def _decode_hook(kind: type, value: object) -> object:
    if kind is Real:
        return from_json(value)
    raise TypeError(f"records cannot hold a {kind.__name__}")


def encode(record: Any) -> bytes:
    """The record as JSON bytes: fields in their order, maps by sorted key, one line ending in a newline."""
    return msgspec.json.encode(record, enc_hook=_encode_hook, order="deterministic") + b"\n"


def decode(data: bytes, kind: type[R], *, where: str) -> R:
    """Decode one record. `where` names the file in messages.

    Raises:
        StoreError: not such a record, or one in a newer format.
    """
    try:
        record = msgspec.json.decode(data, type=kind, dec_hook=_decode_hook)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise _explain(data, kind, where, error) from error
    if _tag(kind) and not data[1:].lstrip().startswith(b'"format"'):  # msgspec takes a missing tag for the right one
        raise StoreError(f"{where} is damaged: it does not begin with its format")
    return record


def _tag(kind: Any) -> str | None:
    """The format of a record that is a file of its own."""
    config = getattr(kind, "__struct_config__", None)
    return config.tag if config is not None and config.tag_field == "format" else None


def _explain(data: bytes, kind: type, where: str, error: Exception) -> StoreError:
    tag = _tag(kind)
    try:
        found = msgspec.json.decode(data, type=_Format).format
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = None
    if tag and found and _is_newer(found, tag):
        return NewerError(
            f"{where} is in format '{found}', written by a newer lin; this one reads '{tag}'", hint=UPGRADE
        )
    return StoreError(f"{where} is damaged: {error}", hint="restore that file from a backup of the store")


def _is_newer(found: str, known: str) -> bool:
    name, _, number = found.partition("/")
    known_name, _, known_number = known.partition("/")
    return name == known_name and _NUMBER.fullmatch(number) is not None and int(number) > int(known_number)


_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
UPGRADE = "upgrade lin: pip install --upgrade lin-lineage"


def encode_in_full(value: Any) -> bytes:
    """`value` as JSON with every member of its records, those with their default too: the shape of `--json`."""
    return msgspec.json.encode(_in_full(value), enc_hook=_encode_hook) + b"\n"


def _in_full(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        tag = {config.tag_field: config.tag} if config.tag_field else {}
        return tag | {name: _in_full(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {key: _in_full(item) for key, item in value.items()}
    if isinstance(value, list | tuple):  # of text there may be a hundred thousand
        return [item if item.__class__ is str else _in_full(item) for item in value]
    return value


def digest(data: bytes) -> str:
    """The sha256 of `data` in hex."""
    return hashlib.sha256(data).hexdigest()
