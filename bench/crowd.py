"""Many processes that record runs into one store at once: all are sealed, none is lost, the index has every one.

    python bench/crowd.py [PROCESSES [RUNS]]      # 16 processes of 200 runs unless told

Every process asks for the best runs now and then, so that the index is written while runs come in.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lin.project import create_project
from lin.runs.catalog import describe_index, rebuild_index
from lin.runs.query import list_runs

WORK = """
import sys
import lin
number, runs = int(sys.argv[1]), int(sys.argv[2])
for turn in range(runs):
    with lin.start_run(f"{number}.{turn}"):
        lin.log_params({"process": number, "turn": turn})
        lin.log_metrics({"score": number * turn, "loss": 1 / (turn + 1)})
    if turn % 50 == 0:
        lin.search_runs("metrics.loss < 0.5", sort="metrics.score", limit=3)
"""


def main() -> int:
    asked = [int(word) for word in sys.argv[1:]]
    processes, runs = [*asked, *(16, 200)[len(asked) :]]
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR", Path.cwd()), prefix=".bench-"))
    try:
        project, _ = create_project(folder, name="bench")
        began = time.perf_counter()
        words = [sys.executable, "-c", WORK]
        workers = [subprocess.Popen([*words, str(n), str(runs)], cwd=folder) for n in range(processes)]
        codes = [worker.wait() for worker in workers]
        seconds = time.perf_counter() - began
        found = list_runs(project.store)
        names = {run.name for run in found.runs if run.status == "finished"}
        before = describe_index(project.store)
        rebuild_index(project.store)
        after = describe_index(project.store)
    finally:
        shutil.rmtree(folder)
    expected = {f"{number}.{turn}" for number in range(processes) for turn in range(runs)}
    print(f"{processes} processes, {runs} runs each, {seconds:.1f} s: {len(found.runs) / seconds:.0f} runs a second")
    print(f"ended well: {codes.count(0)} of {processes}; sealed: {len(names)} of {len(expected)}")
    print(f"in the index as it was: {before.runs}, to come: {before.lacking}; made anew: {after.runs}")
    good = names == expected and len(found.runs) == len(expected) == after.runs == before.runs + before.lacking
    return 0 if good and not any(codes) and not found.damaged else 1


if __name__ == "__main__":
    sys.exit(main())
