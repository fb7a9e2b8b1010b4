"""An error at each system call that a command makes in the project: told in a line, and nothing lost or half done?

    python bench/errors.py [--most K] [--seed N] [--calls close,read,...] [COMMAND...]

Each command runs as in `bench/kills.py`: in a fork, on a copy of one project, first undisturbed under `strace -y` to
see its calls there, then K times with one call failing (`-e inject=CALL:error=EIO:when=N`; calls that name no file, as
clone3, wherever they are). Then: its exit code is not zero and stderr is lin's one line, or it is zero and all is done;
and all that holds after a kill holds: nothing lost or changed, no finding, the same command again does what is left.
"""

import argparse
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kill_cases import CASES, Case, build, copy, make_key, name_runs, prepare
from kill_checks import Known, check, learn
from kill_fork import LINE, Zygote, is_inside, run_traced

ERRORS = {
    "openat": "EIO EMFILE ENFILE EACCES ENOMEM ESTALE EINTR ENOSPC EDQUOT EROFS",
    "read": "EIO EINTR ESTALE",
    "pread64": "EIO EINTR ESTALE",
    "write": "EIO EINTR ENOSPC EDQUOT EFBIG retval=0",
    "pwrite64": "EIO EINTR ENOSPC EDQUOT retval=0",
    "writev": "EIO ENOSPC",
    "close": "EIO EDQUOT ENOSPC EINTR",
    "fstat": "EIO ESTALE ENOMEM",
    "newfstatat": "EIO ESTALE EACCES ENOMEM",
    "statx": "EIO ESTALE EACCES ENOSYS",
    "lstat": "EIO EACCES",
    "getdents64": "EIO ESTALE ENOMEM",
    "lseek": "EIO EOVERFLOW",
    "mmap": "ENOMEM EACCES ENODEV",
    "flock": "EIO ENOLCK EINTR EOPNOTSUPP ENOSYS",
    "fcntl": "EIO EMFILE ENOLCK",
    "fsync": "EIO ENOSPC EDQUOT EINTR EROFS",
    "fdatasync": "EIO ENOSPC",
    "ftruncate": "EIO EINTR ENOSPC",
    "fallocate": "ENOSPC EOPNOTSUPP",
    "copy_file_range": "EIO ENOSPC EXDEV EOPNOTSUPP ENOSYS",
    "sendfile": "EIO ENOSPC EINVAL",
    "utimensat": "EPERM EIO",
    "fchmod": "EPERM EIO EROFS",
    "fchmodat": "EPERM EIO",
    "linkat": "EIO EEXIST EPERM EMLINK ENOSPC EDQUOT EACCES ESTALE",
    "link": "EIO EEXIST EPERM ENOSPC",
    "rename": "EIO ENOSPC EACCES EBUSY",
    "renameat": "EIO ENOSPC EACCES EBUSY",
    "renameat2": "EIO ENOSPC EEXIST EINVAL ENOSYS EACCES",
    "mkdir": "EIO ENOSPC EACCES EROFS",
    "mkdirat": "EIO ENOSPC EDQUOT EACCES EEXIST EMLINK EROFS",
    "unlink": "EIO EACCES EBUSY EROFS",
    "unlinkat": "EIO EACCES EBUSY EROFS ENOENT",
    "rmdir": "EIO EACCES ENOTEMPTY",
    "readlink": "EIO EACCES",
    "getrandom": "ENOSYS EINTR",
    "epoll_create1": "EMFILE",
    "eventfd2": "EMFILE",
    "pipe2": "EMFILE ENFILE",
    "socketpair": "EMFILE",
    "clone3": "EAGAIN ENOMEM EPERM",
    "clone": "EAGAIN ENOMEM",
    "vfork": "EAGAIN ENOMEM",
    "execve": "ENOENT EACCES ENOMEM E2BIG",
}
"""How each call may fail; `retval=` is what it then answers."""
NAMELESS = {"getrandom", "epoll_create1", "eventfd2", "pipe2", "socketpair", "clone3", "clone", "vfork", "execve"}
"""Calls that name no file of the project."""
OF_LIBRARIES = ("panicked at", "terminate called", "OpenBLAS", "failed to spawn thread")
"""What compiled libraries say where they give up by themselves: counted, and no fault of lin's."""
SAYS = re.compile("error: |: cannot |run [0-9a-f]{8}: failed|prog.py")
SECONDS = 60
GUARD = """
from lin.errors import LinError
try:
{program}
except LinError as error:
    import sys
    print("error:", error, file=sys.stderr)
    sys.exit(13)
except Exception:
    import sys, traceback
    traceback.print_exc()
    sys.exit(70)
"""


def main() -> int:
    options = parse()
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
    total, faults, began = 0, 0, time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="errors-", dir=os.environ.get("BENCH_DIR")) as temporary:
        place = Path(temporary).resolve()
        os.environ |= {"HOME": str(place), "XDG_CACHE_HOME": str(place)}
        make_key(place)
        template, zygote = build(place / "boston"), Zygote()
        cases = {name: guard(CASES[name], template) for name in options.commands or CASES}
        for name, case in cases.items():
            tried, points, wrong = fail_command(zygote, name, case, template, place, options)
            print(f"{name}: {tried} of {points} errors: {len(wrong)} faults", flush=True)
            for text, number in Counter(wrong).items():
                print(f"! {text}" + (f" ({number} times)" if number > 1 else ""), flush=True)
            total, faults = total + tried, faults + len(wrong)
        zygote.close()
    print(f"{total} errors in {time.perf_counter() - began:.0f} s: {faults} faults")
    return 1 if faults else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("commands", nargs="*", default=[], metavar="COMMAND", help=", ".join(CASES))
    parser.add_argument("--most", type=int, default=30, help="errors of each command (default: 30)")
    parser.add_argument("--all", action="store_const", const=sys.maxsize, dest="most", help="every error at every call")
    parser.add_argument("--calls", default=",".join(ERRORS), help="system calls that fail (default: all known)")
    parser.add_argument("--seed", type=int, default=7, help="which of them are drawn")
    options = parser.parse_args()
    if unknown := {*options.commands} - {*CASES} or {*options.calls.split(",")} - {*ERRORS}:
        parser.error(f"there is no {', '.join(unknown)}")
    return options


def guard(case: Case, template: Path) -> Case:
    """The case with the run that it names; a program tells errors as `lin` does."""
    if case.is_python:
        program = textwrap.indent(case.words[0], "    ")
        return replace(case, words=[GUARD.format(program=program)])
    return replace(case, words=name_runs(case.words, template))


def fail_command(
    zygote: Zygote, name: str, case: Case, template: Path, place: Path, options: argparse.Namespace
) -> tuple[int, int, list[str]]:
    """Let calls of one command fail; returns how many of how many, and what was wrong."""
    prepared = prepare(name, template, place / "prepared")
    known = learn(case, copy(prepared, place / "known"))
    folder = copy(prepared, place / "counted")
    calls, log = options.calls.split(","), place / "log"
    code, said = run_traced(
        zygote, folder, case, "-o", str(log), "-y", "-s", "4096", "-e", f"trace={names(calls)}", seconds=SECONDS
    )
    if code != known.usual:
        return 0, 0, [f"{name}: exit code {code}: {(said / 'err').read_text()}"]
    points = [*list_points(log, folder)]
    shutil.rmtree(place / "counted")
    tried = points if len(points) <= options.most else draw(points, options)
    wrong = [text for point in tried for text in fail_at(zygote, name, known, prepared, place, point)]
    for used in ("prepared", "known"):
        shutil.rmtree(place / used)
    return len(tried), len(points), wrong


def names(calls: list[str]) -> str:
    """As words of strace, which may not know each of them on this machine."""
    return ",".join(f"?{call}" for call in calls)


def list_points(log: Path, folder: Path) -> Iterator[str]:
    """Each error of each call in the project, as the words of an injection."""
    seen: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, int], None] = {}
    for line in log.read_text(errors="replace").splitlines():
        if (parts := LINE.match(line)) is None:
            continue
        pid, call, rest = parts.groups()
        seen[pid, call] += 1
        if call in NAMELESS or f"{folder}/" in rest or is_inside(rest, folder):
            found[call, seen[pid, call]] = None
    for call, number in found:
        for error in ERRORS[call].split():
            how = error if error.startswith("retval") else f"error={error}"
            yield f"{call}:{how}:when={number}"


def draw(points: list[str], options: argparse.Namespace) -> list[str]:
    """Some of them, each kind of call as likely as the others."""
    chance = random.Random(options.seed)
    by_call: dict[str, list[str]] = {}
    for point in points:
        by_call.setdefault(point.partition(":")[0], []).append(point)
    for of_call in by_call.values():
        chance.shuffle(of_call)
    drawn: list[str] = []
    while len(drawn) < options.most:
        drawn += [of_call.pop() for of_call in by_call.values() if of_call]
    return drawn[: options.most]


def fail_at(zygote: Zygote, name: str, known: Known, prepared: Path, place: Path, point: str) -> Iterator[str]:
    folder = copy(prepared, place / "failed")
    call = point.partition(":")[0]
    words = ["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={point}"]
    code, said = run_traced(zygote, folder, known.case, *words, seconds=SECONDS)
    errors, out = (said / "err").read_text(), (said / "out").read_text()
    found = [*check_told(known, code, errors, point), *check(folder, known, out, code)]
    found = [what for what in found if not is_failed_run(what)]
    yield from (f"{name} at {point} ({code}): {what}" for what in found)
    shutil.rmtree(place / "failed")


def is_failed_run(what: str) -> bool:
    """Whether only the run of a write differs, which failed after the write was done: the next one goes on from it."""
    return what.startswith("the same again: runs is not") and "'failed'): 1" in what


def check_told(known: Known, code: int, errors: str, point: str) -> Iterator[str]:
    """An error is told as one, in lin's words, or there was none. What is left damaged is the result of a repair."""
    is_library = any(words in errors for words in OF_LIBRARIES)
    if is_library:
        print(f"  a library gave up at {point} ({code}): {errors.strip()[-200:]}", flush=True)
    elif code == -signal.SIGKILL:
        yield f"did not end in {SECONDS} seconds: {errors.strip()[-600:]}"
    elif code < 0 or code in {70, 99} or "bug in lin" in errors or "Exception ignored" in errors:
        yield f"no clear end: {errors.strip()[-1500:]}"
    elif "Traceback" in errors and "prog.py" not in errors:
        yield f"a traceback: {errors.strip()[-1500:]}"
    elif code not in {0, known.usual, int(known.case.damage)} and errors and not SAYS.search(errors):
        yield f"says nothing: {errors.strip()[-300:]}"


if __name__ == "__main__":
    sys.exit(main())
