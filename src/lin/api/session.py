"""The active run of a process: begun or joined, shared by its threads and its workers, sealed once and by its owner.

Inside `lin run -- python …` it is the run of the program; elsewhere `start_run` begins one. Processes that are started
while it is open belong to it: they find it in `LIN_RUN`, forks find it in their memory. Source, environment and host
are captured once in a process, when its first run begins: that is the code it runs.
"""

import atexit
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from traceback import TracebackException
from types import TracebackType
from typing import Any, Self, get_args

from lin.errors import LinError, UsageError
from lin.project import Project, open_project
from lin.records import Status
from lin.runs.execute import RUN_VARIABLE, STORE_VARIABLE
from lin.runs.host import capture_process
from lin.runs.log import RunLog, attach, plain_text, shown
from lin.runs.query import RunInfo, read_run
from lin.runs.record import Capture, Recorder, begin_run, capture
from lin.runs.redact import redact_command
from lin.store.store import Store


class ActiveRun:
    """The run that is being recorded. Leaving its `with` block, `end`, or the end of the process seals it.

    It has failed where an exception leaves the block or ends the process. At the end of the process only an exception
    can be seen: leave through the block, or call `end`, where `sys.exit(1)` is to count.
    """

    def __init__(self, store: Store, log: RunLog, *, implied: bool = False) -> None:
        self._store = store
        self._log = log
        self._process = os.getpid()
        self._implied = implied
        """Nobody started it: inside `lin run` it is simply there, until `start_run` takes it over."""
        self._ended = False

    @property
    def id(self) -> str:
        """The run's id, 32 hex digits."""
        return self._log.id

    @property
    def info(self) -> RunInfo:
        """The run as it is now: what was logged so far, or the sealed record."""
        if not self._ended:
            self._log.flush()
        return read_run(self._store, self.id)

    def end(self, status: Status = "finished", *, error: str | None = None) -> None:
        """Seal the run, unless `lin run` or the process that this one was started from will. Twice does nothing.

        Raises:
            UsageError: there is no such status; the run stays open.
        """
        if status not in get_args(Status):
            raise UsageError(f"a run does not end as {shown(status)}", hint=f"one of: {', '.join(get_args(Status))}")
        error = None if error is None else plain_text(error)
        with _session.lock:
            if self._ended:
                return
            self._ended = True
            if _session.active is self:
                _session.active = _session.log = None
                _withdraw()
        if self._process != os.getpid():
            return
        if isinstance(self._log, Recorder):
            self._log.seal(status, error=error)
        else:
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_by(error)

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        from lin.runs.cards import run_html

        return run_html(self.info)

    def _end_by(self, error: BaseException | None) -> None:
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.end()
        elif isinstance(error, KeyboardInterrupt):
            self.end("interrupted", error="interrupted from the keyboard")
        else:
            said = TracebackException(type(error), error, None)  # its text may fail: a program's own class makes it
            self.end("failed", error=f"{type(error).__name__}: {said}")


@dataclass
class _Session:
    """What a process shares: where it records to, what was captured, and the active run."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    project: Project | None = None
    captured: Capture | None = None
    active: ActiveRun | None = None
    log: RunLog | None = None
    """The log of the active run, where nobody but this process ends it: found without a lock, a million times."""
    process: int = 0
    forked: bool = False
    replaced: dict[str, str | None] | None = None
    """What `LIN_RUN` and `LIN_STORE` were before they named the active run."""


_session = _Session()  # a process has one active run: this is it


def _before_fork() -> None:
    """What was logged before a fork stands before what the child logs."""
    if _session.log is not None:
        with suppress(LinError):  # whoever logs next is told
            _session.log.flush()


def _after_fork_in_child() -> None:
    """A fork copies a lock as it is, but not the thread that would give it back."""
    _session.lock = threading.RLock()
    _session.log = None
    _session.forked = True


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)


def start_run(
    name: str | None = None,
    *,
    experiment: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> ActiveRun:
    """Begin a run, best in a `with` block; inside `lin run` this is the run of the program.

    Args:
        name: what to call it (default: the experiment, or "run"); the run of `lin run` keeps its own.
        experiment: the group it belongs to.
        params: parameters to begin with.
        tags: tags to begin with.

    Raises:
        NotFoundError: there is no project here. UsageError: a run is active already.
    """
    with _session.lock:
        active = _active_here()
        if active is not None and not active._implied:  # noqa: SLF001  a run and its session are one thing
            raise UsageError("a run is active already", hint="end it first: with lin.start_run(): …")
        project = current_project()
        if RUN_VARIABLE in os.environ:
            log = _join(project.store, os.environ[RUN_VARIABLE])
            log.log_params(params or {})
            log.set_tags(tags or {})
        else:
            log = begin_run(
                project,
                replace(_capture(project), process=capture_process()),  # it may have been captured before a fork
                kind="program",
                name=name or experiment or "run",
                experiment=experiment,
                command=_command(),
                folder=Path(os.path.relpath(Path.cwd(), project.root)).as_posix(),
                params=params,
                tags=tags,
            )
            _announce(project, log.id)
        return _activate(ActiveRun(project.store, log))


def active_run() -> ActiveRun | None:
    """The active run, if there is one; inside `lin run` there always is."""
    with _session.lock:
        if _active_here() is None and RUN_VARIABLE in os.environ:
            store = current_project().store
            _activate(ActiveRun(store, _join(store, os.environ[RUN_VARIABLE]), implied=True))
        return _session.active


def end_run(status: Status = "finished") -> None:
    """End the active run, if there is one: see `ActiveRun.end`."""
    run = active_run()
    if run is not None:
        run.end(status)


def current_log() -> RunLog:
    """The log of the active run. Raises `UsageError` if there is none."""
    return _session.log or _find_log()


def current_project() -> Project:
    """The project that this process works in, opened once. Raises `NotFoundError` if there is none."""
    if _session.project is None:
        _session.project = open_project(Path.cwd(), store=os.environ.get(STORE_VARIABLE))
    return _session.project


def reopen_project() -> Project:
    """The same project with its `lineage.toml` as it is now.

    Its store stays: what was captured is announced there, and no run may name it yet.
    """
    project = current_project()
    found = open_project(project.root, store=str(project.store_root.resolve()))
    _session.project = replace(found, store=project.store)
    return _session.project


def _find_log() -> RunLog:
    with _session.lock:
        run = active_run()
        if run is None:
            raise UsageError("no run is active", hint="with lin.start_run(): …, or lin run -- python …")
        if not _is_worker():  # a worker may outlive the run, and looks each time
            _session.log = run._log  # noqa: SLF001
        return run._log  # noqa: SLF001


def _activate(run: ActiveRun) -> ActiveRun:
    _session.active, _session.log, _session.process = run, None, os.getpid()
    return run


def _active_here() -> ActiveRun | None:
    """The active run. A fork logs to its parent's run while that is open, but does not own it."""
    run = _session.active
    if run is None or (_session.process == os.getpid() and not _is_worker()):
        return run
    store = current_project().store
    is_open = not store.runs.is_sealed(run.id)
    if is_open and _session.process == os.getpid():
        return run
    run_id = run.id if is_open else _next_run(store, run.id)
    if run_id is not None:
        return _activate(ActiveRun(store, _join(store, run_id), implied=run._implied))  # noqa: SLF001
    _session.active = None
    _withdraw()
    return None


def _join(store: Store, run_id: str) -> RunLog:
    """The log of a run that another process began; a worker whose run has ended takes the next one of that process."""
    worker = _is_worker()
    if worker and store.runs.is_sealed(run_id):
        run_id = _next_run(store, run_id) or run_id
    return attach(store, run_id, gathers=not worker)  # a pool kills its workers when they have done their work


def _next_run(store: Store, run_id: str) -> str | None:
    """The run that the process which began `run_id` through this API has open now: it has one at a time."""
    ended = store.runs.start(run_id)
    for later in takewhile(lambda other: other > run_id, store.runs.ids()):
        start = store.runs.start(later)
        if (start.kind, start.process) == (ended.kind, ended.process) and not store.runs.is_sealed(later):
            return later if start.kind == "program" else None
    return None


def _is_worker() -> bool:
    """Whether another Python process made this one to work for it: a fork, or a child of multiprocessing or joblib."""
    processes = sys.modules.get("multiprocessing.process")
    return _session.forked or (processes is not None and processes.parent_process() is not None)


def _announce(project: Project, run_id: str) -> None:
    """Tell the processes that are started from now on to which run they belong."""
    named = {RUN_VARIABLE: run_id, STORE_VARIABLE: str(project.store_root.resolve())}
    _session.replaced = {variable: os.environ.get(variable) for variable in named}
    os.environ.update(named)


def _withdraw() -> None:
    for variable, value in (_session.replaced or {}).items():
        if value is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = value
    _session.replaced = None


def _command() -> list[str]:
    """How this process was started, so that it can be started again; nothing for a prompt or a notebook."""
    is_asked = hasattr(sys, "ps1") or "ipykernel" in sys.modules or sys.flags.interactive
    return [] if is_asked else redact_command(sys.orig_argv)


def _capture(project: Project) -> Capture:
    if _session.captured is None:
        _session.captured = capture(project)
        atexit.register(_end_at_exit)
    return _session.captured


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
