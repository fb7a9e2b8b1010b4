"""A sweep of declared programs and one of fits, one at a time and several at a time, and beside the bare programs.

    python bench/sweeps.py [POINTS] [JOBS]

The whole process of `lin run` is timed. The programs sleep, so that what is seen is what lin itself costs; the fits do
what they can with the cores that there are.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 0.3
DECLARED = """
[experiments.programs]
command = "sleep SECONDS{digits}"
params = { digits = POINTS }

[experiments.fits]
table = "numbers"
target = "y"
models = [{ estimator = "sklearn.ensemble.RandomForestRegressor", params = { n_estimators = POINTS } }]
"""


def main() -> None:
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    jobs = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR", Path.cwd()), prefix=".bench-"))
    try:
        make_project(folder, points)
        bare = timed(folder, "sh", "-c", f"for i in $(seq {points}); do sleep {SECONDS}; done")
        print(f"{points} points, {jobs} jobs; seconds of whole processes, and beside one after another")
        print(f"sleep {SECONDS} by a shell, one after another  {bare:6.2f} s")
        for experiment in ("programs", "fits"):
            one = timed(folder, *lin("run", experiment))
            many = timed(folder, *lin("run", experiment, "--jobs", str(jobs)))
            again = timed(folder, *lin("run", experiment, "--resume"))
            print(f"{experiment:9} one at a time                   {one:6.2f} s")
            print(f"{experiment:9} {jobs} at a time                     {many:6.2f} s  {many / one:5.2f} x")
            print(f"{experiment:9} --resume with nothing left      {again:6.2f} s")
    finally:
        shutil.rmtree(folder)


def make_project(folder: Path, points: int) -> None:
    numbers = random.Random(7)
    rows = [[numbers.gauss(0, 1) for _ in range(10)] for _ in range(5000)]
    lines = [",".join(map(repr, [*row, sum(row) + numbers.gauss(0, 1)])) for row in rows]
    header = ",".join([*(f"x{number}" for number in range(10)), "y"])
    (folder / "numbers.csv").write_text("\n".join([header, *lines]) + "\n")
    timed(folder, *lin("init", "--name", "bench"))
    timed(folder, *lin("add", "numbers", "numbers.csv"))
    values = str(list(range(100, 100 + points)))
    with (folder / "lineage.toml").open("a") as file:
        file.write(DECLARED.replace("POINTS", values).replace("SECONDS", str(SECONDS)))


def lin(*words: str) -> list[str]:
    return [sys.executable, "-m", "lin", *words]


def timed(folder: Path, *command: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
