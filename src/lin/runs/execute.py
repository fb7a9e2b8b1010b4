"""Running a program as a recorded run: its output passed through and kept, its exit code its own."""

import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, BinaryIO

from lin.errors import NotFoundError
from lin.project import Project
from lin.records import Sealed, Status, encode
from lin.runs.environment import capture_environment, capture_interpreter
from lin.runs.host import capture_host, capture_process
from lin.runs.record import Capture, Recorder, begin_run
from lin.runs.redact import redact_command
from lin.runs.source import capture_source
from lin.store.backend import Appender

RUN_VARIABLE = "LIN_RUN"
STORE_VARIABLE = "LIN_STORE"

_PYTHON = re.compile(r"python[\d.]*t?")
_LOOK_AGAIN = 0.1
"""After so many seconds without output it is looked whether anybody still wants it."""


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
) -> tuple[str, Sealed]:
    """Run `argv` in `folder`; returns the run's id and record. The program's own exit code is in the record.

    Its output is kept with the run, and passed on to `stdout` and `stderr` where they are given, until nobody holds
    it any more. When the program has ended and a process that it left behind still does, an interrupt ends the wait.

    A program ended by signal n has the exit code 128 + n, as in a shell; SIGINT and SIGTERM seal the run as
    interrupted. SIGTERM to this process is passed on to the program.

    Raises:
        NotFoundError: there is no such program.
    """
    program = _find_program(argv[0], folder)
    if program is None:
        raise NotFoundError(f"there is no program '{argv[0]}'", hint="give its path, or check PATH")
    recorder = begin_run(
        project,
        _capture(project, program),
        kind="command",
        name=name or Path(argv[0]).name,
        experiment=experiment,
        sweep=sweep,
        command=redact_command(argv),
        folder=Path(os.path.relpath(folder, project.root)).as_posix(),
        params=params,
    )
    variables = os.environ | {RUN_VARIABLE: recorder.id, STORE_VARIABLE: str(project.store_root.resolve())}
    return recorder.id, _supervise(recorder, [str(program), *argv[1:]], folder, variables, stdout, stderr)


def _find_program(name: str, folder: Path) -> Path | None:
    """The program as it will be found from `folder`: by its path, or by PATH."""
    found = shutil.which(folder / name if "/" in name else name, path=os.environ.get("PATH"))
    return Path(found).absolute() if found else None


def _capture(project: Project, program: Path) -> Capture:
    """As `record.capture`, but the environment is that of the program where the program is another Python."""
    other = _PYTHON.fullmatch(program.name) and not is_same_python(program, Path(sys.executable))
    environment = capture_interpreter(program) if other else capture_environment()
    return Capture(
        source=capture_source(project.root, project.store.blobs, exclude=project.folders_of_data),
        environment=project.store.blobs.put(encode(environment)),
        host=capture_host(),
        process=capture_process(),
    )


def is_same_python(first: Path, second: Path) -> bool:
    """Whether two interpreters have the same packages: one file, reached by way of the same folder of programs."""
    return first.resolve() == second.resolve() and first.parent.resolve() == second.parent.resolve()


def _supervise(
    recorder: Recorder,
    argv: list[str],
    folder: Path,
    variables: dict[str, str],
    stdout: BinaryIO | None,
    stderr: BinaryIO | None,
) -> Sealed:
    output = recorder.output()
    try:
        child = subprocess.Popen(
            argv, cwd=folder, env=variables, stdin=None, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        output.close()
        message = f"cannot start {argv[0]}: {error.strerror}"
        return recorder.seal("failed", exit_code=126, error=message)
    code = _wait(child, output, stdout, stderr)
    output.sync()
    output.close()
    interrupted = code in {128 + signal.SIGINT, 128 + signal.SIGTERM}
    status: Status = "finished" if code == 0 else "interrupted" if interrupted else "failed"
    return recorder.seal(status, exit_code=code)


def _wait(child: "subprocess.Popen[bytes]", output: Appender, stdout: BinaryIO | None, stderr: BinaryIO | None) -> int:
    """Pass the child's output on until it ends; returns its exit code in the shell's convention."""
    stop = threading.Event()
    pairs = [(child.stdout, stdout), (child.stderr, stderr)]
    pumps = [threading.Thread(target=_pump, args=(source, sink, output, stop)) for source, sink in pairs]
    # the terminal sends Ctrl-C to the program too: it decides, and this process stays to record what it decides
    handlers = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: child.terminate()),
    }
    try:
        for pump in pumps:
            pump.start()
        code = child.wait()
        for number in handlers:
            signal.signal(number, lambda *_: stop.set())
        for pump in pumps:
            pump.join()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code


def _pump(source: IO[bytes] | None, sink: BinaryIO | None, output: Appender, stop: threading.Event) -> None:
    if source is None:
        return
    with source, selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ)
        while not stop.is_set():
            if selector.select(_LOOK_AGAIN):
                chunk = os.read(source.fileno(), 1 << 16)
                if not chunk:
                    return
                output.append(chunk)
                sink = _pass_on(chunk, sink) if sink is not None else None


def _pass_on(chunk: bytes, sink: BinaryIO) -> BinaryIO | None:
    """Write to the sink; when nobody reads it any more there is none from now on, and the record goes on."""
    try:
        sink.write(chunk)
        sink.flush()
    except BrokenPipeError:
        return None
    return sink
