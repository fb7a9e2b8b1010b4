"""What it costs to run a program under lin, and to watch what it opens, as whole processes, in one run.

    python bench/capture.py [ROUNDS]

Each round runs every command once, in turn, so that a busy machine slows all alike; the best of each is compared. The
project has 500 files in git. The first run of all keeps their content, later ones find it.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import lin
from lin.runs.execute import CAPTURE_VARIABLE, RUN_VARIABLE

FILES = 500
MEGABYTES = 50
LIMIT = 0.5
"""Seconds that `lin run -- CMD` may take beyond CMD."""

NOTHING = [sys.executable, "-c", "pass"]
READ = [sys.executable, "-c", "for line in open('big.csv', 'rb'): pass"]
COPY = [sys.executable, "-c", "import copy; copy.deepcopy([[number] for number in range(100_000)])"]
"""The worst case: Python tells a watched program of every `id()`, and a deep copy asks for two with each object."""
PANDAS = [sys.executable, "-c", "import pandas; pandas.read_csv('big.csv')"]


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    command = str(Path(sys.executable).with_name("lin"))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR", Path.cwd()), prefix=".bench-") as name:
        folder = Path(name)
        make_project(folder, command)
        first = timed([command, "run", "--", "true"], folder, {})
        watched = hook_of(folder)
        commands: dict[str, tuple[list[str], Mapping[str, str]]] = {
            "true": (["true"], {}),
            "lin run -- true": ([command, "run", "--", "true"], {}),
            "python -c pass": (NOTHING, {}),
            "python -c pass, watched": (NOTHING, watched),
            "a deep copy": (COPY, {}),
            "a deep copy, watched": (COPY, watched),
            f"Python reads {MEGABYTES} MB": (READ, {}),
            f"Python reads {MEGABYTES} MB, watched": (READ, watched),
            f"pandas reads {MEGABYTES} MB": (PANDAS, {}),
            f"pandas reads {MEGABYTES} MB, watched": (PANDAS, watched),
        }
        best = dict.fromkeys(commands, float("inf"))
        for _ in range(rounds):
            for what, (argv, variables) in commands.items():
                best[what] = min(best[what], timed(argv, folder, variables))
    print(f"{'command':32}{'ms':>8}{'beyond':>8}{'ratio':>8}")
    for what, seconds in best.items():
        peer = {"lin run -- true": "true"}.get(what, what.removesuffix(", watched"))
        beside = f"{(seconds - best[peer]) * 1000:8.1f}{seconds / best[peer]:8.2f}" if peer != what else ""
        print(f"{what:32}{seconds * 1000:8.1f}{beside}")
    over = best["lin run -- true"] - best["true"]
    print(f"the first run, which keeps {FILES} files: {first:.2f} s")
    print(f"lin run -- true beyond true: {over:.2f} s, limit {LIMIT} s")
    return 0 if over <= LIMIT else 1


def make_project(folder: Path, command: str) -> None:
    """A project of many small files in git, and a large CSV that git ignores."""
    for number in range(FILES):
        place = folder / f"package{number % 20}" / f"module{number}.py"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"value = {number}\n" * 50)
    (folder / ".gitignore").write_text("*.csv\n.lin/\n")
    row = b"1234567,0.123456789,some text,2026-11-22,17\n"
    (folder / "big.csv").write_bytes(b"a,b,c,d,e\n" + row * (MEGABYTES * 1_000_000 // len(row)))
    author = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for argv in (["git", "init", "-q"], ["git", "add", "-A"], ["git", *author, "commit", "-qm", "all"]):
        subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    subprocess.run([command, "init"], cwd=folder, check=True, capture_output=True)


def hook_of(folder: Path) -> dict[str, str]:
    """The variables with which `lin run` starts a program; here they go to a log that no run owns."""
    names = [RUN_VARIABLE, CAPTURE_VARIABLE, "PYTHONPATH"]
    script = f"import os; print(*(os.environ[name] for name in {names}), sep=chr(10))"
    command = [str(Path(sys.executable).with_name("lin")), "run", "--", sys.executable, "-c", script]
    answer = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.splitlines()
    run, settings, path = answer
    log = next((folder / ".lin" / "runs").glob(f"*/{run}"))
    return {RUN_VARIABLE: run, CAPTURE_VARIABLE: settings.replace(str(log), str(folder)), "PYTHONPATH": path}


def timed(argv: list[str], folder: Path, variables: Mapping[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(argv, cwd=folder, env=os.environ | variables, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    print(f"lin {lin.__version__}, python {sys.version.split()[0]}")
    sys.exit(main())
