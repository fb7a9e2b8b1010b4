"""Runs started, logged and sealed durably through the Python API, beside bare durable writes, in one process.

    python bench/runs.py [RUNS]

The limit of any run is two durable put-if-absent writes in a new folder: these are timed in turn with the runs.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import lin
from lin.project import create_project
from lin.store.local import LocalBackend

LIMIT = 3.0


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR", Path.cwd()), prefix=".bench-"))
    try:
        create_project(folder, name="bench")
        os.chdir(folder)
        bare, run = [], []
        backend = LocalBackend(folder / "bare")
        one_run(0)  # the first captures source and environment
        for number in range(count):
            bare.append(timed(lambda n=number: two_writes(backend, n)))
            run.append(timed(lambda n=number: one_run(n)))
    finally:
        os.chdir("/")
        shutil.rmtree(folder)
    ratio = statistics.median(run) / statistics.median(bare)
    print(f"two bare durable writes in a new folder  {statistics.median(bare) * 1000:6.2f} ms (median of {count})")
    print(f"a run: 5 params, 5 metrics, sealed       {statistics.median(run) * 1000:6.2f} ms")
    print(f"ratio {ratio:.2f}, limit {LIMIT}; of the means {sum(run) / sum(bare):.2f}")
    return 0 if ratio <= LIMIT else 1


def two_writes(backend: LocalBackend, number: int) -> None:
    backend.put_if_absent(f"runs/{number}/start.json", b"x" * 1000)
    backend.put_if_absent(f"runs/{number}/run.json", b"x" * 1000)


def one_run(number: int) -> None:
    with lin.start_run(f"run {number}"):
        lin.log_params({"alpha": 0.1, "model": "ridge", "seed": number, "depth": 3, "on": True})
        for step in range(5):
            lin.log_metric(f"metric{step}", step / 7)


def timed(action) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
