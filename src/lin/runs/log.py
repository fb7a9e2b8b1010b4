"""Logging to an open run, from any process: params, metrics, tags, artifacts, inputs and outputs.

Each is checked, made plain, and one line of the run's `log.jsonl` when the call returns; only points of metrics may
wait a second, as `lin.runs.logfile` has it. The content of an artifact is in the blobs before its line is written.
"""

import math
import time
from collections.abc import Mapping
from operator import index
from pathlib import Path
from reprlib import Repr
from typing import Any

from lin.errors import NotFoundError, UsageError
from lin.records import (
    Artifact,
    ArtifactKept,
    Input,
    InputRead,
    LogLine,
    Output,
    OutputWritten,
    Param,
    ParamSet,
    TagSet,
)
from lin.runs.logfile import LogFile, has_ended
from lin.store.runs import encode_line, encode_point
from lin.store.store import Store

_LONGEST_KEY = 250
_FIRST_PRINTABLE = 32
_STEPS = 1 << 63
_DEEPEST = 50
"""The most levels of lists and maps in a parameter."""


class RunLog:
    """Logs to one run, from any thread.

    Logging raises `UsageError` for a name or value that cannot be recorded and once the run has ended, and
    `OutsideError` where the store cannot be written.
    """

    def __init__(self, store: Store, run_id: str, file: LogFile) -> None:
        self.id = run_id
        self._store = store
        self._file = file
        self._known: dict[str, str] = {}
        """The keys of metrics that were checked, as plain texts: they come again and again."""

    def log_param(self, key: str, value: Any) -> None:
        """Record a parameter; the last value of a key counts."""
        self.log_params({key: value})

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record several parameters; all of them, or where one is refused none."""
        self._write(*[ParamSet(key=check_key(key), value=plain_param(value)) for key, value in params.items()])

    def log_metric(self, key: str, value: float, *, step: int = 0) -> None:
        """Record one point of a metric; the one with the highest step, then the last, is its value."""
        self._file.gather(self._point(key, value, time.time(), step))

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Record one point of several metrics, of the same time; all of them, or where one is refused none."""
        now = time.time()
        self._file.gather(b"".join([self._point(key, value, now, step) for key, value in metrics.items()]))

    def set_tag(self, key: str, value: str) -> None:
        """Record a tag; the last value of a key counts."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Record several tags; all of them, or where one is refused none."""
        self._write(*[TagSet(key=check_key(key), value=text_of(value)) for key, value in tags.items()])

    def log_input(self, read: Input) -> None:
        """Record a table version, model version or file that the run read."""
        self._write(InputRead(input=read))

    def log_output(self, written: Output) -> None:
        """Record a table version or file that the run wrote."""
        self._write(OutputWritten(output=written))

    def log_artifact(self, content: bytes | Path, path: str) -> Artifact:
        """Keep bytes or a file as the run's artifact `path`, a relative POSIX path."""
        name = check_artifact_path(path)
        if isinstance(content, Path):
            sha256, size = self._store.blobs.put_file(content)
        else:
            sha256, size = self._store.blobs.put(content), len(content)
        artifact = Artifact(path=name, sha256=sha256, bytes=size)
        self._write(ArtifactKept(artifact=artifact))
        return artifact

    def flush(self) -> None:
        """Write the points that wait: from now on a kill of this process loses nothing that was logged before."""
        self._file.flush()

    def sync(self) -> None:
        """Put everything that was logged on disk, so that it outlives a loss of power."""
        self._file.sync()

    def close(self) -> None:
        """Write the points that wait and take no more. The run stays open for others."""
        self._file.close(sync=False)

    def _write(self, *lines: LogLine) -> None:
        self._file.append(b"".join([encode_line(line) for line in lines]))

    def _point(self, key: str, value: float, now: float, step: int) -> bytes:
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = check_key(key)
        try:
            real = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise UsageError(f"metric '{known}' is not a number: {shown(value)}") from error
        return encode_point(known, real, now, step if type(step) is int and -_STEPS <= step < _STEPS else _whole(step))


def attach(store: Store, run_id: str, *, gathers: bool = True) -> RunLog:
    """The log of a run that another process began and will seal; for `gathers` see `LogFile`.

    Raises:
        NotFoundError: there is no such run. UsageError: it has ended.
    """
    if not store.runs.has_begun(run_id):
        raise NotFoundError(f"there is no run {run_id} in this store", hint="lin runs")
    if store.runs.is_sealed(run_id):
        raise has_ended(run_id)
    return RunLog(store, run_id, LogFile(store.runs, run_id, theirs=True, gathers=gathers))


def plain_param(value: Any, *, level: int = 0) -> Param:
    """`value` as JSON can hold it: numbers, text, booleans, None, lists and maps stay; the rest becomes its text.

    Raises:
        UsageError: it is nested deeper than `_DEEPEST` levels (`level` counts them), or has no text.
    """
    if level > _DEEPEST:
        raise UsageError(f"a value has more than {_DEEPEST} levels of lists and maps", hint="keep it as a file")
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a numpy scalar
        value = value.item()
    match value:
        case None | bool():
            return value
        case int() if -(2**63) <= value < 2**63:
            return int(value)
        case float() if math.isfinite(value):  # JSON has no NaN and no infinity
            return float(value)
        case Mapping():
            return {text_of(key): plain_param(item, level=level + 1) for key, item in value.items()}
        case list() | tuple():
            return [plain_param(item, level=level + 1) for item in value]
        case _:
            return text_of(value)


def plain_text(text: str) -> str:
    """`text` as UTF-8 can hold it: what stands for a byte that was none, in a file name say, is spelled out.

    It is a `str` and nothing that only inherits from it. Raises `TypeError` for what is no text.
    """
    return str.encode(text, "utf-8", "backslashreplace").decode()


def text_of(value: Any) -> str:
    """What `str` says of a value, as `plain_text`. Raises `UsageError` where it has no text."""
    try:
        return plain_text(str(value))
    except (ValueError, TypeError, RecursionError) as error:  # a whole number of thousands of digits, say
        raise UsageError(f"a {type(value).__name__} cannot be recorded as text: {error}") from error


def check_key(key: str) -> str:
    """The name of a parameter, metric or tag, as plain text. Raises `UsageError` if it cannot be one."""
    if isinstance(key, str):
        plain = str.__str__(key)  # an enumeration's text is its value
        if 0 < len(plain) <= _LONGEST_KEY and _is_shown(plain):
            return plain
    raise UsageError(f"{shown(key)} cannot name a parameter, metric or tag", hint="use 1 to 250 printable characters")


def check_artifact_path(path: str) -> str:
    """The name of an artifact. Raises `UsageError` if it is no relative POSIX path, `TypeError` if no text."""
    plain = str.__str__(path)
    if {"", ".", ".."} & set(plain.split("/")) or "\\" in plain or not _is_shown(plain):
        raise UsageError(f"{shown(plain)} cannot name an artifact", hint="use a relative path such as plots/errors.png")
    return plain


def _is_shown(text: str) -> bool:
    return min(map(ord, text)) >= _FIRST_PRINTABLE and plain_text(text) == text


def _whole(step: Any) -> int:
    """A step that is no plain whole number as one. Raises `UsageError`."""
    try:
        whole = index(step)
    except TypeError as error:
        raise UsageError(f"a step is a whole number, not {shown(step)}") from error
    if not -_STEPS <= whole < _STEPS:
        raise UsageError(f"step {shown(whole)} is beyond 64 bits")
    return whole


def shown(value: object) -> str:
    """A value for a message: not all of a long one, and something where it has no text of its own."""
    shortened = Repr()
    shortened.maxstring = shortened.maxother = _LONGEST_KEY
    try:
        return shortened.repr(value)
    except ValueError:
        return f"a {type(value).__name__} of thousands of digits"
