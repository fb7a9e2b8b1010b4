"""Running one command in a fork of a process that has imported everything, killed at a call that it makes."""

import atexit
import ctypes
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from kill_cases import Case

from lin.cli.main import main as lin
from lin.store import failpoints

CALLS = [
    "openat",
    "write",
    "pwrite64",
    "writev",
    "copy_file_range",
    "fsync",
    "fdatasync",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
    "ftruncate",
    "fallocate",
    "rmdir",
    "symlinkat",
    "fchmod",
    "fchmodat",
    "flock",
]
POINTS = ("open", "write", "fsync", "link", "mkdir", "rename", "unlink", "rmdir")
"""What failpoints know and may change a file."""
HEAVY = [
    "deltalake",
    "duckdb",
    "matplotlib.pyplot",
    "pandas",
    "pyarrow.csv",
    "pyarrow.parquet",
    "skops.io",
    "sklearn.linear_model",
    "lin.api.tables",
]
WRITING = re.compile(r"O_(WRONLY|RDWR|CREAT)")
LINE = re.compile(r"(\d+) +(\w+)\((.*)")
DECORATED = re.compile(r"(?:AT_FDCWD|\d+)<([^>]*)>")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Zygote:
    """A process that has imported everything, and forks one command at a time: it stops itself before it begins."""

    def __init__(self) -> None:
        settings = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", failpoints.VARIABLE: ""}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def serve() -> int:
    """The zygote: forks for each request, answers with the pid, and then, asked again, with how it ended."""
    for name in HEAVY:
        importlib.import_module(name)
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(2, 1)
    for line in requests:
        request = json.loads(line)
        if "wait" in request:
            answer: Any = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                requests.close()
                answers.close()
                perform(**request)
            os.waitpid(answer, os.WUNTRACED)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


def perform(folder: str, words: list[str], is_python: bool, actor: str, plan: str, said: str) -> None:
    """Stop, and when continued run one command; what it prints and which calls it made go to files."""
    code = 99
    try:
        os.chdir(folder)
        os.environ.pop(failpoints.VARIABLE)
        os.environ["LIN_ACTOR"] = actor
        system = failpoints.os
        system._plan = failpoints.FailingSystem(plan)._plan  # noqa: SLF001
        descriptor = os.open(f"{said}/out", os.O_CREAT | os.O_WRONLY)
        os.dup2(descriptor, 1)
        os.dup2(os.open(f"{said}/err", os.O_CREAT | os.O_WRONLY), 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)  # PR_SET_PTRACER: strace may attach
        os.kill(os.getpid(), signal.SIGSTOP)
        system._seen.clear()  # noqa: SLF001
        if is_python:
            exec(words[0], {"__name__": "__main__"})
            code = 0
        else:
            lin(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        seen = dict(system._seen)  # noqa: SLF001
        sys.stdout.flush()
        atexit._run_exitfuncs()  # noqa: SLF001
        Path(said, "seen").write_text(json.dumps(seen))
        os._exit(code)


def run_killed(
    zygote: Zygote, folder: Path, case: Case, *, plan: str = "", inject: str = "", log: Path | None = None
) -> tuple[int, Path]:
    """Run the command, killed as a `plan` of failpoints or an injection of strace says, or its calls written to `log`.

    Returns its exit code, and the folder with what it said.
    """
    words: list[str] = []
    if inject:
        words = ["-o", os.devnull, "-e", f"trace={inject.partition(':')[0]}", "-e", f"inject={inject}"]
    elif log:
        words = ["-o", str(log), "-y", "-s", "4096", "-e", f"trace={','.join(CALLS)}"]
    return run_traced(zygote, folder, case, *words, plan=plan)


def run_traced(
    zygote: Zygote, folder: Path, case: Case, *words: str, plan: str = "", seconds: float | None = None
) -> tuple[int, Path]:
    """Run the command, under strace with these words if there are any, and for so many seconds at most.

    Returns its exit code, and the folder with what it said.
    """
    said = folder.parent / "said"
    said.mkdir()
    pid = zygote.ask(
        folder=str(folder), words=case.words, is_python=case.is_python, actor=case.actor, plan=plan, said=str(said)
    )
    tracer = trace(pid, *words) if words else None
    limit = threading.Timer(seconds or 0, os.kill, (pid, signal.SIGKILL))
    if seconds is not None:
        limit.start()
    os.kill(pid, signal.SIGCONT)
    code = zygote.ask(wait=pid)
    limit.cancel()
    if tracer is not None:
        try:
            tracer.wait(30)
        except subprocess.TimeoutExpired:
            print("! processes were left running")
            tracer.terminate()
            tracer.wait()
    return code, said


def trace(pid: int, *words: str) -> subprocess.Popen[bytes]:
    """Attach strace to a process that has stopped itself."""
    tracer = subprocess.Popen(["strace", "-f", "-qq", *words, "-p", str(pid)], stderr=subprocess.PIPE)
    while "TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text():
        if tracer.poll() is not None:
            sys.exit(f"strace: {tracer.communicate()[1].decode()}")
        time.sleep(0.002)
    return tracer


def trace_points(log: Path, folder: Path) -> list[str]:
    """Each call in the project by which something may change, as the words of an injection."""
    seen: Counter[tuple[str, str]] = Counter()
    points: dict[str, None] = {}
    for line in log.read_text(errors="replace").splitlines():
        found = LINE.match(line)
        if found is None:
            continue
        pid, call, rest = found.groups()
        seen[pid, call] += 1
        if (call != "openat" or WRITING.search(rest)) and is_inside(rest, folder):
            points[f"{call}:signal=KILL:when={seen[pid, call]}"] = None
    return list(points)


def is_inside(rest: str, folder: Path) -> bool:
    """Whether the arguments of a call name something in the project."""
    base = (DECORATED.match(rest) or ["", ""])[1]
    names = QUOTED.findall(rest.rpartition(" = ")[0] or rest)
    paths = [os.path.join(base, name) for name in names] or [base]  # noqa: PTH118  as the system does
    return any(path == str(folder) or path.startswith(f"{folder}/") for path in paths)


def plan_points(seen: dict[str, int]) -> list[str]:
    """Each call that failpoints saw, as their words: killed before it, a write in its middle, the last after it."""
    points = [f"{call}:{n}:kill" for call in POINTS for n in range(1, seen.get(call, 0) + 1)]
    points += [f"write:{n}:torn" for n in range(1, seen.get("write", 0) + 1)]
    return points + [f"{call}:{seen[call]}:killed" for call in POINTS if seen.get(call)]


if __name__ == "__main__":
    sys.exit(serve())
