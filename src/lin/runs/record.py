"""Recording a run: begin it, log to it from any process, seal it.

`start.json` is on disk before anything runs; everything logged goes to the run's `log.jsonl` as it happens; sealing
folds that log into `run.json`, which is written last. A run without `run.json` is running or abandoned.
"""

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lin.errors import UsageError
from lin.ids import new_id
from lin.numbers import Real
from lin.project import Project
from lin.records import (
    Artifact,
    ArtifactKept,
    Fit,
    Host,
    Input,
    InputRead,
    Kind,
    Log,
    LogLine,
    MetricPoint,
    Output,
    OutputWritten,
    Param,
    ParamSet,
    Process,
    Sealed,
    Seen,
    Source,
    Start,
    Status,
    TagSet,
    digest,
    encode,
)
from lin.runs.environment import capture_environment
from lin.runs.host import capture_host, capture_process
from lin.runs.source import capture_source
from lin.store.backend import Appender
from lin.store.runs import LOG, OUTPUT, decode_lines, encode_line
from lin.store.store import Store
from lin.version import __version__


@dataclass(frozen=True)
class Capture:
    """What surrounds a run: taken once and shared by the runs of one sweep or one process."""

    source: Source
    environment: str
    host: Host
    process: Process


@dataclass(frozen=True)
class Logged:
    """What a run's log amounts to."""

    params: dict[str, Param]
    tags: dict[str, str]
    metrics: dict[str, Real]
    artifacts: list[Artifact]
    inputs: list[Input]
    outputs: list[Output]
    seen: list[Seen]
    damaged_lines: int


def capture(project: Project, *, source: Source | None = None) -> Capture:
    """Take the source snapshot, the environment, the host and this process, blobs included.

    `source` is given where the project's folder was laid out from a snapshot: that is the code which runs.
    """
    return Capture(
        source=source or capture_source(project.root, project.store.blobs, exclude=project.folders_of_data),
        environment=project.store.blobs.put(encode(capture_environment())),
        host=capture_host(),
        process=capture_process(),
    )


def begin_run(
    project: Project,
    captured: Capture,
    *,
    kind: Kind,
    name: str,
    experiment: str | None = None,
    sweep: str | None = None,
    parent: str | None = None,
    reason: str | None = None,
    command: list[str] | None = None,
    folder: str = ".",
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    fit: Fit | None = None,
    inputs: list[Input] | None = None,
) -> "Recorder":
    """Write `start.json` and return the recorder of the new run. Raises `UsageError` for a key that cannot be one."""
    start = Start(
        id=new_id(),
        kind=kind,
        name=_text(name),
        started=datetime.now(UTC),
        actor=_text(project.actor),
        lin=__version__,
        host=captured.host,
        process=captured.process,
        experiment=experiment,
        sweep=sweep,
        parent=parent,
        reason=None if reason is None else _text(reason),
        command=[_text(word) for word in command or []],
        folder=_text(folder),
        params={_key(key): plain_param(value) for key, value in (params or {}).items()},
        tags={_key(key): _text(str(value)) for key, value in (tags or {}).items()},
        fit=fit,
        inputs=inputs or [],
        source=captured.source,
        environment=captured.environment,
    )
    return Recorder(project.store, start.id, start, project.store.runs.begin(start))


class Recorder:
    """Logs to one run, from any thread.

    Made by `begin_run` for the process that will seal it, or by `attach` for others. Logging raises `UsageError` for
    a name or value that cannot be recorded, and once this recorder has sealed the run.
    """

    def __init__(self, store: Store, run_id: str, start: Start, start_digest: str) -> None:
        self.id = run_id
        self.start = start
        self._store = store
        self._start_digest = start_digest
        self._begun = time.monotonic()
        self._log: Appender | None = None
        self._lock = threading.Lock()
        self._sealed = False

    def log_param(self, key: str, value: Any) -> None:
        """Record a parameter; the last value of a key counts."""
        self._write(ParamSet(key=_key(key), value=plain_param(value)))

    def log_metric(self, key: str, value: float, *, step: int = 0) -> None:
        """Record one point of a metric; the one with the highest step, then the last, is its value."""
        self._write(MetricPoint(key=_key(key), value=_real(key, value), time=time.time(), step=step))

    def set_tag(self, key: str, value: str) -> None:
        """Record a tag; the last value of a key counts."""
        self._write(TagSet(key=_key(key), value=_text(str(value))))

    def log_input(self, read: Input) -> None:
        """Record a table or model version that the run read."""
        self._write(InputRead(input=read))

    def log_output(self, written: Output) -> None:
        """Record a table version or file that the run wrote."""
        self._write(OutputWritten(output=written))

    def log_artifact(self, content: bytes | Path, path: str) -> Artifact:
        """Keep bytes or a file as the run's artifact `path`, a relative POSIX path."""
        name = _artifact_path(path)
        if isinstance(content, Path):
            sha256, size = self._store.blobs.put_file(content)
        else:
            sha256, size = self._store.blobs.put(content), len(content)
        artifact = Artifact(path=name, sha256=sha256, bytes=size)
        self._write(ArtifactKept(artifact=artifact))
        return artifact

    def output(self) -> Appender:
        """Open the run's output log for appending."""
        return self._store.runs.appender(self.id, OUTPUT)

    def seal(
        self,
        status: Status,
        *,
        exit_code: int | None = None,
        error: str | None = None,
        features: list[str] | None = None,
        peak_memory_bytes: int | None = None,
    ) -> Sealed:
        """Fold the log into `run.json` and write it. From now on the run is on disk, whole, and never changes.

        Raises:
            ConflictError: it is sealed already.
        """
        self._end_log()
        log = self._store.runs.file(self.id, LOG)
        output = self._store.runs.file(self.id, OUTPUT)
        logged = fold_log(self.start, log or b"")
        sealed = Sealed(
            id=self.id,
            start=self._start_digest,
            status=status,
            ended=datetime.now(UTC),
            seconds=round(time.monotonic() - self._begun, 6),
            exit_code=exit_code,
            error=None if error is None else _text(error),
            params=logged.params,
            tags=logged.tags,
            metrics=logged.metrics,
            features=features or [],
            artifacts=logged.artifacts,
            inputs=logged.inputs,
            outputs=logged.outputs,
            log=None if log is None else Log(sha256=digest(log), bytes=len(log)),
            output=None if output is None else Log(sha256=digest(output), bytes=len(output)),
            peak_memory_bytes=peak_memory_bytes,
        )
        self._store.runs.seal(sealed)
        return sealed

    def _write(self, line: LogLine) -> None:
        encoded = encode_line(line)
        with self._lock:
            if self._sealed:
                raise _ended(self.id)
            if self._log is None:
                self._log = self._store.runs.appender(self.id, LOG)
            self._log.append(encoded)

    def _end_log(self) -> None:
        """Put the log on disk. What a thread writes from now on is refused rather than lost."""
        with self._lock:
            self._sealed = True
            if self._log is None and self._store.runs.file(self.id, LOG) is not None:
                self._log = self._store.runs.appender(self.id, LOG)  # only other processes logged: that counts too
            if self._log is not None:
                self._log.sync()
                self._log.close()
                self._log = None


def attach(store: Store, run_id: str) -> Recorder:
    """A recorder for a run that another process began and will seal.

    Raises:
        UsageError: the run is sealed already.
    """
    if store.runs.sealed(run_id) is not None:
        raise _ended(run_id)
    start, start_digest = store.runs.start_and_digest(run_id)
    return Recorder(store, run_id, start, start_digest)


def _ended(run_id: str) -> UsageError:
    return UsageError(f"run {run_id} has ended: nothing can be logged to it any more", hint="lin runs")


def fold_log(start: Start, log: bytes) -> Logged:
    """What the lines of a `log.jsonl`, after what `start.json` says, amount to."""
    lines, damaged = decode_lines(log, f"the log of run {start.id}")
    logged = Logged(dict(start.params), dict(start.tags), {}, [], list(start.inputs), [], [], damaged)
    steps: dict[str, int] = {}
    artifacts: dict[str, Artifact] = {}
    for line in lines:
        match line:
            case MetricPoint(key=key, value=value, step=step) if step >= steps.get(key, step):
                steps[key] = step
                logged.metrics[key] = value
            case ParamSet(key=key, value=param):
                logged.params[key] = param
            case TagSet(key=key, value=tag):
                logged.tags[key] = tag
            case ArtifactKept(artifact=artifact):
                artifacts[artifact.path] = artifact
            case InputRead(input=read) if read not in logged.inputs:
                logged.inputs.append(read)
            case OutputWritten(output=written) if written not in logged.outputs:
                logged.outputs.append(written)
            case Seen():
                logged.seen.append(line)
    logged.artifacts.extend(artifacts[path] for path in sorted(artifacts))
    return logged


def plain_param(value: Any) -> Param:
    """`value` as JSON can hold it: numbers, text, booleans, None, lists and maps stay; the rest becomes its text."""
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
            return {_text(str(key)): plain_param(item) for key, item in value.items()}
        case list() | tuple():
            return [plain_param(item) for item in value]
        case _:
            return _text(str(value))


def _real(key: str, value: Any) -> Real:
    try:
        return Real(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"metric '{key}' is not a number: {value!r}") from error


def _text(text: str) -> str:
    """`text` as UTF-8 can hold it: what stands for a byte that was none, in a file name say, is spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _key(key: str) -> str:
    if not key or len(key) > 250 or any(ord(c) < 32 for c in key) or _text(key) != key:  # noqa: PLR2004
        raise UsageError(f"{key!r} cannot name a parameter, metric or tag", hint="use 1 to 250 printable characters")
    return key


def _artifact_path(path: str) -> str:
    steps = {"", ".", ".."} & set(path.split("/"))
    if steps or "\\" in path or any(ord(c) < 32 for c in path) or _text(path) != path:  # noqa: PLR2004
        raise UsageError(f"{path!r} cannot name an artifact", hint="use a relative path such as plots/errors.png")
    return path
