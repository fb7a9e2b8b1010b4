"""Many processes that register versions of one model at once: each acknowledged, contiguous, none lost, none in error.

python bench/race.py [PROCESSES [VERSIONS]]      # 32 processes of 500 versions unless told
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lin.models.registry import list_versions, read_registry
from lin.project import create_project, open_project
from lin.runs.fit import MODEL
from lin.runs.record import begin_run, capture

WORK = """
import sys
from pathlib import Path
from lin.models.changes import register_model
from lin.project import open_project
run, process, versions = sys.argv[1], sys.argv[2], int(sys.argv[3])
project = open_project(Path.cwd())
for turn in range(versions):
    print(register_model(project, run, "boston", description=f"{process}.{turn}").version, flush=True)
"""


def main() -> int:
    asked = [int(word) for word in sys.argv[1:]]
    processes, versions = [*asked, *(32, 500)[len(asked) :]]
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR", Path.cwd()), prefix=".bench-"))
    try:
        run = make_run(folder)
        began = time.perf_counter()
        acknowledged, failed = race(folder, run, processes, versions)
        seconds = time.perf_counter() - began
        project = open_project(folder)
        kept = {version.version: version.description for version in list_versions(read_registry(project.store))}
        events = len(project.store.events.read())
    finally:
        shutil.rmtree(folder)
    wanted = processes * versions
    lost = sum(kept.get(number) != word for number, word in acknowledged.items())
    print(f"{processes} processes, {versions} versions each, {seconds:.1f} s: {wanted / seconds:.0f} a second")
    print(f"acknowledged {len(acknowledged)} of {wanted}, lost {lost}, processes in error {failed}, events {events}")
    whole = len(acknowledged) == events == wanted and sorted(kept) == list(range(1, wanted + 1))
    return 0 if whole and not lost and not failed else 1


def make_run(folder: Path) -> str:
    """A project in `folder`, with a run that has a model. Returns the run's id."""
    project, _ = create_project(folder, name="boston")
    run = begin_run(project, capture(project), kind="train", name="Ridge")
    run.log_artifact(b"a model", MODEL)
    run.seal("finished")
    return run.id


def race(folder: Path, run: str, processes: int, versions: int) -> tuple[dict[int, str], int]:
    """What was acknowledged: the version, and the process and turn that got it. And how many processes failed."""
    words = [sys.executable, "-c", WORK, run]
    workers = [
        subprocess.Popen([*words, str(process), str(versions)], cwd=folder, stdout=subprocess.PIPE, text=True)
        for process in range(processes)
    ]
    acknowledged: dict[int, str] = {}
    failed = 0
    for process, worker in enumerate(workers):
        said, _ = worker.communicate()
        failed += worker.returncode != 0
        acknowledged |= {int(word): f"{process}.{turn}" for turn, word in enumerate(said.split())}
    return acknowledged, failed


if __name__ == "__main__":
    sys.exit(main())
