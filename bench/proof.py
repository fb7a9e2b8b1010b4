"""What proof costs: capturing an environment, re-running in the same and in a re-created one, and asking why.

    python bench/proof.py [REPEATS]

Times are of whole processes, medians. "Beyond" is what is left when the time of the program itself is taken away: of a
program run bare, of a fit what `lin train` takes for it. The environment that is re-created is this one with
one small package otherwise, each time another version of it: uv's cache is warm, and lin's has other environments.
"The first" is made in an empty cache of lin's, each time another folder, since a file system may be slow to make
files where it has just removed as many: what is compiled comes from the environment that this runs in.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from uv import find_uv_bin

VERSIONS = iter(f"six==1.{minor}.0" for minor in (17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4))
PROGRAM = """
import time
from deltalake import DeltaTable
rows = DeltaTable("data/points").to_pyarrow_table()
time.sleep(0.5)
open("out.txt", "w").write(str(rows.num_rows))
"""
CAPTURE = """
import time
from lin.runs.environment import capture_environment
began = time.perf_counter(); capture_environment()
once = time.perf_counter(); found = capture_environment()
print(once - began, time.perf_counter() - once, len(found.packages))
"""


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    folder, cache = (
        Path(tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR", Path.cwd()), prefix=".bench-")) for _ in range(2)
    )
    try:
        os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        os.environ["LIN_CACHE"] = str(cache)
        measure(folder, cache, repeats)
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(cache, ignore_errors=True)


def measure(folder: Path, cache: Path, repeats: int) -> None:
    make_project(folder)
    told = [subprocess.check_output([sys.executable, "-c", CAPTURE], text=True).split() for _ in range(repeats)]
    first, again = (statistics.median(float(words[at]) for words in told) for at in (0, 1))
    show(f"environment of {told[0][2]} packages: captured", first, "limit 0.3 s")
    show("the same again, nothing installed since", again, "limit 0.03 s")

    bare = timed(folder, repeats, sys.executable, "program.py")
    train = ("train", "--table", "points", "--target", "y", "--model", "sklearn.linear_model.Ridge", "-P", "alpha=0.1")
    fit = timed(folder, repeats, *lin(*train))
    a, b = (one(folder, *train[:-1], f"alpha={alpha}") for alpha in (0.1, 10))
    program = one(folder, "run", "--", "python", "program.py")
    show(
        "lin rerun of a program, beyond the program", timed(folder, repeats, *lin("rerun", program)) - bare, "limit 1 s"
    )
    show("lin rerun of a fit, beyond lin train", timed(folder, repeats, *lin("rerun", a)) - fit, "limit 1 s")
    for what, run, base in (("program", program, bare), ("fit", a, fit)):
        varied = lin("rerun", run, "--with", next(VERSIONS))
        timed(folder, 1, *varied)
        fresh = statistics.median(timed(folder, 1, *varied[:-1], warm(cache, next(VERSIONS))) for _ in range(repeats))
        show(f"lin rerun of a {what}, environment re-created, beyond", fresh - base, "limit 5 s")
        show(f"lin rerun of a {what}, environment still there, beyond", timed(folder, repeats, *varied) - base, "")
    varied = lin("rerun", a, "--with", warm(cache, next(VERSIONS)))
    anew = timed(folder, repeats, *varied, before=lambda: use_empty_cache(cache))
    show("lin rerun of a fit, the first environment re-created, beyond", anew - fit, "limit 5 s")
    show("lin why A B", timed(folder, repeats, *lin("why", a, b)), "limit 1 s")
    show("lin compare A B", timed(folder, repeats, *lin("compare", a, b)), "")


def make_project(folder: Path) -> None:
    lines = [f"{n},{n % 17},{n % 5},{n % 17 + 2 * (n % 5)}" for n in range(500)]
    (folder / "points.csv").write_text("\n".join(["ID,a,b,y", *lines]) + "\n")
    (folder / "program.py").write_text(PROGRAM)
    for words in (("init", "--name", "bench"), ("add", "points", "points.csv", "--key", "ID")):
        subprocess.run(lin(*words), cwd=folder, check=True, capture_output=True)


def use_empty_cache(cache: Path) -> None:
    os.environ["LIN_CACHE"] = tempfile.mkdtemp(dir=cache)


def warm(cache: Path, package: str) -> str:
    """See to it that uv's cache has it, by way of an environment that lin does not know."""
    aside = cache.with_name(f"{cache.name}-aside")
    for words in (("venv", "--quiet", aside), ("pip", "install", "--quiet", "--python", aside / "bin/python", package)):
        subprocess.run([find_uv_bin(), *words], check=True, capture_output=True)
    shutil.rmtree(aside)
    return package


def lin(*words: str) -> list[str]:
    return [sys.executable, "-m", "lin", *words]


def one(folder: Path, *words: str) -> str:
    answer = json.loads(
        subprocess.check_output(lin(words[0], "--json", *words[1:]), cwd=folder, stderr=subprocess.PIPE)
    )
    return str((answer[0] if isinstance(answer, list) else answer)["id"])


def timed(folder: Path, repeats: int, *command: str, before: Callable[[], None] = lambda: None) -> float:
    taken = []
    for _ in range(repeats):
        before()
        began = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        taken.append(time.perf_counter() - began)
        if done.returncode not in {0, 1}:
            raise RuntimeError(f"{command}: {done.returncode}: {done.stderr[-1000:]}")
    return statistics.median(taken)


def show(what: str, seconds: float, limit: str) -> None:
    print(f"{what:60} {seconds:7.3f} s   {limit}", flush=True)


if __name__ == "__main__":
    main()
