"""The Python API: `lin.start_run`, `lin.log_param`, `lin.log_metric`, `lin.log_artifact`, `lin.read_table` and friends.

A process has one active run. Inside `lin run -- python …` that is the run of the program; elsewhere `start_run` begins
one. Source, environment and host are captured once in a process, when its first run begins: that is the code it runs.
"""

import atexit
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from lin.data.read import read_pin
from lin.data.tables import open_table
from lin.errors import UsageError
from lin.project import Project, open_project
from lin.records import Status
from lin.runs.execute import RUN_VARIABLE, STORE_VARIABLE
from lin.runs.host import capture_process
from lin.runs.record import Capture, Recorder, attach, begin_run, capture
from lin.runs.writes import pin_input

if TYPE_CHECKING:
    import pyarrow as pa


class ActiveRun:
    """The run that is being recorded. Leaving its `with` block, `end`, or the end of the process seals it.

    It has failed where an exception leaves the block or ends the process. At the end of the process only an exception
    can be seen: leave through the block, or call `end`, where `sys.exit(1)` is to count.
    """

    def __init__(self, recorder: Recorder, *, owned: bool, implied: bool = False) -> None:
        self._recorder = recorder
        self._owner = os.getpid() if owned else None
        self._implied = implied
        """Nobody started it: inside `lin run` it is simply there, until `start_run` takes it over."""
        self._ended = False

    @property
    def id(self) -> str:
        """The run's id, 32 hex digits."""
        return self._recorder.id

    def end(self, status: Status = "finished", *, error: str | None = None) -> None:
        """Seal the run, unless `lin run` or the process that this one was forked from will. Twice does nothing."""
        with _session.lock:
            if self._ended:
                return
            self._ended = True
            if _session.active is self:
                _session.active = None
        if self._owner == os.getpid():
            self._recorder.seal(status, error=error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_by(error)

    def _end_by(self, error: BaseException | None) -> None:
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.end()
        elif isinstance(error, KeyboardInterrupt):
            self.end("interrupted", error="interrupted from the keyboard")
        else:
            self.end("failed", error=f"{type(error).__name__}: {error}")


@dataclass
class _Session:
    """What a process shares: where it records to, what was captured, and the active run."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    project: Project | None = None
    captured: Capture | None = None
    active: ActiveRun | None = None
    process: int = 0


_session = _Session()  # a process has one active run: this is it


def _unlock_in_child() -> None:
    """A fork copies a lock as it is, but not the thread that would give it back."""
    _session.lock = threading.RLock()


os.register_at_fork(after_in_child=_unlock_in_child)


def start_run(
    name: str | None = None,
    *,
    experiment: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> ActiveRun:
    """Begin a run, best in a `with` block; inside `lin run` this is the run of the program.

    Raises:
        NotFoundError: there is no project here. UsageError: a run is active already.
    """
    with _session.lock:
        active = _active_here()
        if active is not None and not active._implied:  # noqa: SLF001  the API and its run are one thing
            raise UsageError("a run is active already", hint="end it first: with lin.start_run(): …")
        project = _project()
        if RUN_VARIABLE in os.environ:
            run = ActiveRun(attach(project.store, os.environ[RUN_VARIABLE]), owned=False)
            for key, value in (params or {}).items():
                run._recorder.log_param(key, value)  # noqa: SLF001
            for key, text in (tags or {}).items():
                run._recorder.set_tag(key, text)  # noqa: SLF001
        else:
            if _session.captured is None:
                _session.captured = capture(project)
                atexit.register(_end_at_exit)
            recorder = begin_run(
                project,
                replace(_session.captured, process=capture_process()),  # it may have been captured before a fork
                kind="program",
                name=name or experiment or "run",
                experiment=experiment,
                params=params,
                tags=tags,
            )
            run = ActiveRun(recorder, owned=True)
        _session.active = run
        _session.process = os.getpid()
        return run


def active_run() -> ActiveRun | None:
    """The active run, if there is one; inside `lin run` there always is."""
    with _session.lock:
        if _active_here() is None and RUN_VARIABLE in os.environ:
            recorder = attach(_project().store, os.environ[RUN_VARIABLE])
            _session.active = ActiveRun(recorder, owned=False, implied=True)
            _session.process = os.getpid()
        return _session.active


def log_param(key: str, value: Any) -> None:
    """Record a parameter of the active run."""
    _recorder().log_param(key, value)


def log_params(params: Mapping[str, Any]) -> None:
    """Record several parameters."""
    recorder = _recorder()
    for key, value in params.items():
        recorder.log_param(key, value)


def log_metric(key: str, value: float, *, step: int = 0) -> None:
    """Record a point of a metric of the active run; the one with the highest step, then the last, is its value."""
    _recorder().log_metric(key, value, step=step)


def log_metrics(metrics: Mapping[str, float], *, step: int = 0) -> None:
    """Record a point of several metrics."""
    recorder = _recorder()
    for key, value in metrics.items():
        recorder.log_metric(key, value, step=step)


def log_artifact(path: str | Path, name: str | None = None) -> None:
    """Keep a file with the active run, under `name` (default: the file's)."""
    path = Path(path)
    _recorder().log_artifact(path, name or path.name)


def set_tag(key: str, value: str) -> None:
    """Tag the active run."""
    _recorder().set_tag(key, value)


def read_table(name: str, *, version: int | None = None) -> "pa.Table":
    """The rows of a table version (default: the newest) in canonical order; the active run records what was read.

    Every data file is checked against the pin that is recorded.

    Raises:
        NotFoundError: no such table or version. OutsideError: it cannot be read.
    """
    project = _project()
    table = open_table(project, name)
    pin, reference = pin_input(project, table, version)
    rows = read_pin(table, pin)
    run = active_run()
    if run is not None:
        run._recorder.log_input(reference)  # noqa: SLF001
    return rows


def _recorder() -> Recorder:
    run = active_run()
    if run is None:
        raise UsageError("no run is active", hint="with lin.start_run(): …, or lin run -- python …")
    return run._recorder  # noqa: SLF001


def _active_here() -> ActiveRun | None:
    """The active run. A forked child logs to its parent's run while that is open, but does not own it."""
    run = _session.active
    if run is not None and _session.process != os.getpid():
        store = _project().store
        is_open = store.runs.sealed(run.id) is None
        implied = run._implied  # noqa: SLF001
        _session.active = run = ActiveRun(attach(store, run.id), owned=False, implied=implied) if is_open else None
        _session.process = os.getpid()
    return run


def _project() -> Project:
    if _session.project is None:
        _session.project = open_project(Path.cwd(), store=os.environ.get(STORE_VARIABLE))
    return _session.project


def _end_at_exit() -> None:
    run = _active_here()
    if run is not None:
        run._end_by(_uncaught())  # noqa: SLF001


def _uncaught() -> BaseException | None:
    """The exception that ends this process. A prompt keeps the last one that it showed, which ended nothing."""
    if hasattr(sys, "ps1"):
        return None
    error: BaseException | None = getattr(sys, "last_value", None)
    return error
