"""Running a program as a recorded run: its output passed through and kept, its exit code its own.

From before the program starts until it has ended, signals to this process are the program's: they end neither the
record nor, by themselves, the program. Afterwards they hurry: the run is sealed with what is known by then.
"""

import json
import os
import re
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, BinaryIO

from lin.errors import LinError, NotFoundError
from lin.ids import day_of
from lin.project import SCRATCH_VARIABLE, Project
from lin.records import Input, Kind, PredictedInput, Sealed, Status, encode
from lin.runs.environment import capture_environment, capture_interpreter
from lin.runs.fold import fold_log
from lin.runs.host import capture_host, capture_process
from lin.runs.record import Capture, Recorder, begin_run
from lin.runs.redact import redact_command
from lin.runs.source import capture_source
from lin.store.backend import Appender
from lin.store.runs import LOG

RUN_VARIABLE = "LIN_RUN"
STORE_VARIABLE = "LIN_STORE"
CAPTURE_VARIABLE = "LIN_CAPTURE"
UNPINNED_TAG = "lin.unpinned"
"""Names the tables that a program used and that could not be pinned, and why."""

_HOOK = Path(__file__).parents[1] / "hook"
_PYTHON = re.compile(r"python[\d.]*t?")
_LOOK_AGAIN = 0.1
"""After so many seconds without output it is looked whether anybody still wants it."""
_FIRST_LOOK, _LAST_LOOK = 0.01, 0.5
"""The memory of a program is looked at so many seconds after it started, then less and less often."""
_INTERRUPTING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Again:
    """How a command is run again, by its recipe: `project` and `folder` are then those of a scratch folder.

    `started` is what is started in place of the recorded words, which name paths of the project where it lay then.
    `variables` is the whole environment of the program, but for what tells it of its run. Its standard input is empty.
    """

    parent: str | None
    recipe: str
    kind: Kind
    started: Sequence[str]
    variables: Mapping[str, str]


def run_command(
    project: Project,
    argv: Sequence[str],
    *,
    folder: Path,
    stdout: BinaryIO | None = None,
    stderr: BinaryIO | None = None,
    name: str | None = None,
    experiment: str | None = None,
    sweep: str | None = None,
    params: dict[str, object] | None = None,
    captured: Capture | None = None,
    capture: bool = True,
    again: Again | None = None,
) -> tuple[str, Sealed]:
    """Run `argv` in `folder`; returns the run's id and record. The program's own exit code is in the record.

    Its output is kept with the run, and passed on to `stdout` and `stderr` where they are given, until nobody holds
    it any more. When the program has ended and a process that it left behind still does, an interrupt ends the wait.

    A program ended by signal n has the exit code 128 + n, as in a shell; SIGINT, SIGTERM and SIGHUP seal the run as
    interrupted. SIGTERM and SIGHUP to this process are passed on to the program; a terminal sends it SIGINT itself.

    Its peak memory is that of its largest process, as the system tells it. Linux counts what this process had when it
    started the program: below that, it is the most that was seen of the program itself in looks every so often.

    Args:
        project: whose run it is.
        argv: the program, by path or by PATH, and its arguments.
        folder: where it runs.
        stdout: takes what it prints.
        stderr: takes its errors.
        name: of the run (default: the program's).
        experiment: which it belongs to.
        sweep: which it belongs to.
        params: what it was asked to do.
        captured: source, environment and host, where they were taken before: see `capture_program`.
        capture: whether a program that is Python, or starts one, is watched: see `lin.hook.lin_hook`.
        again: how, where this is a re-run.

    Raises:
        NotFoundError: there is no such program.
    """
    started = again.started if again else argv
    program = find_program(started[0], folder)
    recorder = begin_run(
        project,
        captured or capture_program(project, program),
        kind=again.kind if again else "command",
        name=name or Path(argv[0]).name,
        experiment=experiment,
        sweep=sweep,
        parent=again.parent if again else None,
        recipe=again.recipe if again else None,
        command=redact_command(argv),
        folder=Path(os.path.relpath(folder, project.root)).as_posix(),
        params=params,
    )
    variables = _variables(project, recorder.id, again.variables if again else os.environ, capture=capture)
    stdin = subprocess.DEVNULL if again else None
    launch = _Launch([str(program), *started[1:]], folder, variables, stdin, stdout, stderr)
    return recorder.id, _supervise(project, recorder, launch)


def find_program(name: str, folder: Path) -> Path:
    """The program as it will be found from `folder`: by its path, or by PATH. Raises `NotFoundError`."""
    found = shutil.which(folder / name if "/" in name else name, path=os.environ.get("PATH"))
    if found is None:
        raise NotFoundError(f"there is no program '{name}'", hint="give its path, or check PATH")
    return Path(found).absolute()


def capture_program(project: Project, program: Path) -> Capture:
    """As `record.capture`, but the environment is that of the program where the program is another Python."""
    other = is_python(program) and not is_same_python(program, Path(sys.executable))
    blobs, root = project.store.blobs, project.root
    environment = capture_interpreter(program, blobs, root) if other else capture_environment(blobs, root)
    return Capture(
        source=capture_source(project.root, project.store.blobs, exclude=project.folders_of_data),
        environment=project.store.blobs.put(encode(environment)),
        host=capture_host(),
        process=capture_process(),
    )


def is_python(program: Path) -> bool:
    """Whether a program is a Python, by its name."""
    return _PYTHON.fullmatch(program.name) is not None


def is_same_python(first: Path, second: Path) -> bool:
    """Whether two interpreters have the same packages: one file, reached by way of the same folder of programs."""
    return first.resolve() == second.resolve() and first.parent.resolve() == second.parent.resolve()


def _variables(project: Project, run_id: str, given: Mapping[str, str], *, capture: bool) -> dict[str, str]:
    """The program's environment. Of a `lin run` around this one it keeps nothing."""
    variables = {name: value for name, value in given.items() if name not in {CAPTURE_VARIABLE, "PYTHONPATH"}}
    variables |= {RUN_VARIABLE: run_id, STORE_VARIABLE: str(project.store_root.resolve())}
    if project.scratch is not None:
        variables[SCRATCH_VARIABLE] = str(project.scratch)
    path = given.get("PYTHONPATH", "").removeprefix(str(_HOOK)).removeprefix(os.pathsep)
    if capture:
        variables[CAPTURE_VARIABLE] = _capture_settings(project, run_id)
        path = f"{_HOOK}{os.pathsep}{path}" if path else str(_HOOK)  # an empty entry would be the current folder
    return variables | ({"PYTHONPATH": path} if path else {})


def _capture_settings(project: Project, run_id: str) -> str:
    """What `lin.hook.lin_hook.log.Log` is told."""
    store = project.store_root.resolve()
    tables = [project.root / table.path for table in project.config.tables.values()]
    tables += [table.resolve() for table in tables]  # a program may take either way
    settings: dict[str, object] = {
        "log": str(store / "runs" / day_of(run_id) / run_id / LOG),
        "root": str(project.root.resolve()),
        "skip": list(dict.fromkeys(str(folder) for folder in (store, *tables))),
    }
    if project.scratch is not None:
        settings["scratch"] = str(project.scratch)
    return json.dumps(settings)  # a path that is no UTF-8 has surrogates, which only this writes


# --- while the program runs -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Launch:
    """What is started, and where its output goes."""

    argv: list[str]
    folder: Path
    variables: dict[str, str]
    stdin: int | None
    stdout: BinaryIO | None
    stderr: BinaryIO | None


@dataclass
class _Child:
    """The program, and what this process hears and sees while it runs."""

    process: "subprocess.Popen[bytes] | None" = None
    early: list[int] = field(default_factory=list)
    """Signals that came before there was a program."""
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    is_over: bool = False
    """Whether its output has ended too."""
    most_memory: int = 0

    def hear(self, number: int, _: FrameType | None) -> None:
        """Pass a signal on while the program runs; afterwards end the wait for its output, or what is done with it."""
        if self.process is None:
            self.early.append(number)
        elif self.is_over:
            raise KeyboardInterrupt
        elif self.ended.is_set():
            self.stop.set()
        elif number != signal.SIGINT:
            self.send(number)

    def send(self, number: int) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def watch_memory(self, known: int) -> None:
        """Look at the program's peak until it is above `known`, from where on the system's own word is exact."""
        wait = _FIRST_LOOK
        while self.process is not None and self.most_memory <= known:
            self.most_memory = max(self.most_memory, _high_water(self.process.pid))
            if self.ended.wait(wait):
                return
            wait = min(2 * wait, _LAST_LOOK)


@dataclass
class _Kept:
    """The run's `output.log`. When it takes no more the program goes on, and the record says that it is not whole."""

    file: Appender
    error: LinError | None = None

    def append(self, chunk: bytes) -> None:
        if self.error is None:
            try:
                self.file.append(chunk)
            except LinError as error:
                self.error = error

    def close(self) -> None:
        """Put it on disk."""
        try:
            self.file.sync()
        except LinError as error:
            self.error = self.error or error
        self.file.close()


def _supervise(project: Project, recorder: Recorder, launch: _Launch) -> Sealed:
    child, kept = _Child(), _Kept(recorder.output())
    with _signals_to(child):
        own = _high_water(os.getpid())
        try:
            child.process = subprocess.Popen(
                launch.argv,
                cwd=launch.folder,
                env=launch.variables,
                stdin=launch.stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except (OSError, ValueError) as failure:
            kept.file.close()
            reason = failure.strerror if isinstance(failure, OSError) else failure
            return recorder.seal("failed", exit_code=126, error=f"cannot start {launch.argv[0]}: {reason}")
        for number in child.early:
            child.send(number)
        try:
            code, peak = _wait(child, child.process, kept, launch, own)
        except RuntimeError as failure:
            kept.file.close()
            return recorder.seal("failed", exit_code=126, error=f"cannot watch {launch.argv[0]}: {failure}")
        return _conclude(project, recorder, kept, code, peak)


@contextmanager
def _signals_to(child: _Child) -> Iterator[None]:
    """Hear signals for the program, those that are not ignored; only a main thread can, others leave them alone."""
    mine = threading.current_thread() is threading.main_thread()
    heard = [number for number in _INTERRUPTING if mine and signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, child.hear) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(
    child: _Child, process: "subprocess.Popen[bytes]", kept: _Kept, launch: _Launch, own: int
) -> tuple[int, int | None]:
    """Pass the child's output on until it ends; its exit code in the shell's convention, and its peak memory."""
    pairs = [(process.stdout, launch.stdout), (process.stderr, launch.stderr)]
    pumps = [threading.Thread(target=_pump, args=(source, sink, kept, child.stop)) for source, sink in pairs]
    watcher = threading.Thread(target=child.watch_memory, args=(own,))
    try:
        for thread in (*pumps, watcher):
            thread.start()
    except RuntimeError:  # there are no more threads: a program that nobody hears would wait for ever
        child.stop.set()
        child.ended.set()
        process.kill()
        process.wait()
        raise
    _, status, usage = os.wait4(process.pid, 0)
    child.ended.set()
    process.returncode = os.waitstatus_to_exitcode(status)
    for thread in (*pumps, watcher):
        thread.join()
    child.is_over = True
    code = process.returncode
    return 128 - code if code < 0 else code, _peak_memory(usage, own, child.most_memory)


def _pump(source: IO[bytes] | None, sink: BinaryIO | None, kept: _Kept, stop: threading.Event) -> None:
    if source is None:
        return
    with source, selectors.PollSelector() as selector:  # takes no descriptor, of which there may be no more
        selector.register(source, selectors.EVENT_READ)
        while not stop.is_set():
            if selector.select(_LOOK_AGAIN):
                chunk = os.read(source.fileno(), 1 << 16)
                if not chunk:
                    return
                kept.append(chunk)
                sink = _pass_on(chunk, sink) if sink is not None else None


def _pass_on(chunk: bytes, sink: BinaryIO) -> BinaryIO | None:
    """Write to the sink; when it takes no more there is none from now on, and the record goes on."""
    try:
        sink.write(chunk)
        sink.flush()
    except (OSError, ValueError):  # nobody reads it, its disk is full, or it is closed
        return None
    return sink


def _high_water(pid: int) -> int:
    """The most memory in bytes that a process had since it became the program that it is; 0 where nobody tells."""
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return 0
    found = re.search(rb"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _peak_memory(usage: resource.struct_rusage, own: int, seen: int) -> int | None:
    """The system's word for it in bytes, unless that may be what this process had: then what was seen."""
    told = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return told if told > own else seen or None


# --- when it has ended ------------------------------------------------------------------------------------------------


def _conclude(project: Project, recorder: Recorder, kept: _Kept, code: int, peak: int | None) -> Sealed:
    """Record what the program was seen to read and write, and seal; whatever fails there does not lose the run."""
    interrupted = code in {128 + number for number in _INTERRUPTING}
    status: Status = "finished" if code == 0 else "interrupted" if interrupted else "failed"
    problem: str | None = None
    predicted: list[PredictedInput] = []
    try:
        kept.close()
        if kept.error is not None:
            problem = f"its output was not kept whole: {kept.error.message}"
        predicted = _look_back(recorder, _log_lineage(project, recorder))
    except BaseException as failure:
        problem = problem or f"what it read and wrote is not recorded: {str(failure) or type(failure).__name__}"
        recorder.seal(status, exit_code=code, error=problem, predicted=predicted, peak_memory_bytes=peak)
        raise
    return recorder.seal(status, exit_code=code, error=problem, predicted=predicted, peak_memory_bytes=peak)


def _log_lineage(project: Project, recorder: Recorder) -> list[Input]:
    """Log what the program was seen to read and write; returns all that it read, as far as it is known."""
    log = project.store.runs.file(recorder.id, LOG)
    logged = fold_log(recorder.start, log) if log else None
    if logged is None or not logged.seen:
        return logged.inputs if logged else []
    from lin.runs.observe import resolve_seen

    observed = resolve_seen(project, logged.seen)
    for read in observed.inputs:
        recorder.log_input(read)
    for written in observed.outputs:
        recorder.log_output(written)
    if observed.unpinned:
        recorder.set_tag(UNPINNED_TAG, "; ".join(observed.unpinned))
    return [*logged.inputs, *observed.inputs]


def _look_back(recorder: Recorder, inputs: list[Input]) -> list[PredictedInput]:
    """What models wrote of the tables that the program read; if that is not known, the run says so."""
    looked = recorder.look_back(inputs)
    if looked is None:
        return []
    for key, value in looked.tags.items():
        recorder.set_tag(key, value)
    return looked.predicted
