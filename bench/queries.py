"""Questions to a store of many runs, whole processes, beside a bare Typer command, in one run.

    python bench/queries.py [RUNS]         # 100,000 unless told; each with 10 params and 10 metrics, over 30 days

The runs are written as the store has them, without fsync: it is the asking that is measured. Ratios are of medians.
"""

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from lin.ids import day_of, new_id
from lin.numbers import Real
from lin.project import create_project
from lin.records import Log, MetricPoint, ParamSet, Sealed, Start, digest
from lin.runs.record import begin_run, capture
from lin.sealed import encode_sealed
from lin.store.runs import encode_line

DAYS = 30
REPEATS = 9
WHERE = "metrics.rmse < 5 and (params.alpha = '0.1' or tags.team like 'a%')"
BARE = """
import typer
app = typer.Typer()
@app.command()
def main(where: str, limit: int = 20) -> None: print(where, limit)
app()
"""


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR", Path.cwd()), prefix=".bench-"))
    try:
        os.chdir(folder)
        print(f"making {runs} runs …", flush=True)
        last = make_runs(folder, runs)
        return measure(folder, runs, last)
    finally:
        os.chdir("/")
        shutil.rmtree(folder)


def measure(folder: Path, runs: int, last: str) -> int:
    asked = ["runs", "--where", WHERE, "--sort", "metrics.rmse", "--limit", "20"]
    files = sum(len(names) for _, _, names in os.walk(folder / ".lin" / "runs"))
    first = once(lin(*asked))
    bare = seconds([sys.executable, "-c", BARE, "x"])
    rebuild = once(lin("index", "--rebuild"))
    figures = [
        ("lin runs --where … --sort … --limit 20, beside a bare Typer command", seconds(lin(*asked)) / bare, 3),
        ("the same with --json", seconds(lin(*asked, "--json")) / bare, 3),
        ("lin show by the end of an id, beside a bare Typer command", seconds(lin("show", last[-10:])) / bare, 2),
        ("lin runs, which shows the newest", seconds(lin("runs")) / bare, None),
        ("the first question of all, seconds", first, None),
        ("lin index --rebuild, seconds", rebuild, 60),
        ("files a run", files / runs, 4),
    ]
    make_runs(folder, 1000)
    figures.append(("the first question after 1,000 more runs, seconds", once(lin(*asked)), 1))
    figures.append(("the next", once(lin(*asked)) / bare, None))
    missed = 0
    for what, figure, limit in figures:
        good = limit is None or figure <= limit
        missed += not good
        print(f"{'  ' if good else '! '}{figure:8.2f}  {'' if limit is None else f'limit {limit}':10}{what}")
    return 1 if missed else 0


def make_runs(folder: Path, count: int) -> str:
    """Runs like one that was really recorded; returns the id of the last."""
    project, _ = create_project(folder, name="bench")
    recorder = begin_run(project, capture(project), kind="program", name="template")
    recorder.seal("finished")
    template = recorder.start
    chance = random.Random(count)
    now = time.time_ns()
    run_id = ""
    for number in range(count):
        at = now - (count - number) * (DAYS * 86_400_000_000_000 // count if count > 1000 else 1_000_000)
        run_id = new_id(at)
        write_run(folder / ".lin" / "runs" / day_of(run_id) / run_id, template, run_id, at, chance)
    return run_id


def write_run(folder: Path, template: Start, run_id: str, at: int, chance: random.Random) -> None:
    began = datetime.fromtimestamp(at / 1e9, UTC)
    params = {"alpha": chance.choice([0.1, 0.5, 1.0]), **{f"p{n}": chance.random() for n in range(9)}}
    metrics = {"rmse": Real(chance.random() * 50), **{f"m{n}": Real(chance.random()) for n in range(9)}}
    start = msgspec.structs.replace(
        template, id=run_id, name=f"fit {run_id[-4:]}", started=began, tags={"team": chance.choice(["a1", "b2"])}
    )
    data = encode_sealed(start)
    log = b"".join(encode_line(ParamSet(key=key, value=value)) for key, value in params.items())
    log += b"".join(encode_line(MetricPoint(key=key, value=value, time=at / 1e9)) for key, value in metrics.items())
    sealed = Sealed(
        id=run_id,
        start=digest(data),
        status="finished",
        ended=began + timedelta(seconds=1),
        seconds=chance.random(),
        params=params,
        tags=start.tags,
        metrics=metrics,
        log=Log(sha256=digest(log), bytes=len(log)),
    )
    folder.mkdir(parents=True)
    (folder / "start.json").write_bytes(data)
    (folder / "log.jsonl").write_bytes(log)
    (folder / "run.json").write_bytes(encode_sealed(sealed))


def lin(*words: str) -> list[str]:
    return [sys.executable, "-m", "lin", *words]


def once(words: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def seconds(words: Sequence[str]) -> float:
    return statistics.median(once(words) for _ in range(REPEATS))


if __name__ == "__main__":
    sys.exit(main())
