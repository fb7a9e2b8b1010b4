"""Points of metrics a second through the Python API, what a kill leaves of them, and what a call of `lin log` costs.

    python bench/metrics.py [POINTS]

Rates are those of a fresh process each, from the first point until all are written; the best of three. `lin log` is a
whole process beside a bare Typer command that appends a line to a file and fsyncs it, in turn, the best of each.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lin.project import create_project, open_project
from lin.runs.record import begin_run, capture
from lin.store.runs import LOG

LEAST_POINTS = 200_000
LEAST_LINES = 500_000
MOST_RATIO = 1.3
ROUNDS = 15

PROGRAM = """
import os, sys, threading, time
import lin
way, count = sys.argv[1], int(sys.argv[2])
run = lin.start_run(way)
print(run.id)
started = time.perf_counter()
if way == "log_metrics":
    for step in range(count // 10):
        lin.log_metrics({name: step / 7 for name in "abcdefghij"}, step=step)
elif way == "four threads":
    def work(name):
        for step in range(count // 4):
            lin.log_metric(name, step / 7, step=step)
    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
else:
    child = os.fork() if way == "a forked worker" else None
    if not child:
        for step in range(count):
            lin.log_metric("loss", step / 7, step=step)
        lin.flush()
        if child == 0:
            os._exit(0)
    else:
        os.waitpid(child, 0)
lin.flush()
print(count / (time.perf_counter() - started), flush=True)
if way == "killed after a flush":
    os.kill(os.getpid(), 9)
started = time.perf_counter()
run.end()
print(count / (time.perf_counter() - started))
"""

BARE = '''
import os
import typer
app = typer.Typer()

@app.command()
def one(name: str, value: str, *, step: int = 0) -> None:
    """Append a line."""
    file = os.open("bare.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{name} {value} {step}\\n".encode())
    os.fsync(file)

@app.command()
def two(name: str = "x", *, loud: bool = False) -> None:
    """Do another thing."""

if __name__ == "__main__":
    app()
'''


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # both sides start from compiled modules
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR", Path.cwd()), prefix=".bench-"))
    try:
        create_project(folder, name="bench")
        return max(measure_points(folder, count), measure_calls(folder))
    finally:
        shutil.rmtree(folder)


def measure_points(folder: Path, count: int) -> int:
    script = folder / "program.py"
    script.write_text(PROGRAM)
    failed = 0
    print(f"{'points a second':24}{'logged':>12}{'sealed':>12}{'lost':>8}")
    for way in ("log_metric", "log_metrics", "four threads", "a forked worker", "killed after a flush"):
        rates, seals, lost = [], [], 0
        for _ in range(3):
            done = subprocess.run(
                [sys.executable, script, way, str(count)], cwd=folder, stdout=subprocess.PIPE, check=False
            )
            assert done.returncode in {0, -signal.SIGKILL}, done
            run_id, rate, *sealed = done.stdout.decode().split()
            rates.append(float(rate))
            seals += map(float, sealed)
            lines = (open_project(folder).store.runs.file(run_id, LOG) or b"").count(b"\n")
            lost += count - lines
        print(f"{way:24}{max(rates):12,.0f}{max(seals, default=0):12,.0f}{lost:8}")
        failed |= lost != 0 or (way != "a forked worker" and max(rates) < LEAST_POINTS)
        failed |= bool(seals) and max(seals) < LEAST_LINES
    print(f"limits: {LEAST_POINTS:,} logged, {LEAST_LINES:,} sealed, none lost\n")
    return int(failed)


def measure_calls(folder: Path) -> int:
    bare = folder / "bare.py"
    bare.write_text(BARE)
    project = open_project(folder)
    run = begin_run(project, capture(project), kind="program", name="calls")
    variables = os.environ | {"LIN_RUN": run.id, "LIN_STORE": str(project.store_root)}
    lin = str(Path(sys.executable).with_name("lin"))
    (folder / "file.txt").write_text("x" * 1000)
    commands = {
        "a bare command, one fsync": [sys.executable, str(bare), "one", "rmse", "4.7", "--step", "3"],
        "lin log metric": [lin, "log", "metric", "rmse", "4.7", "--step", "3"],
        "lin log param, ten": [lin, "log", "param", *(f"p{number}={number}" for number in range(10))],
        "lin log artifact": [lin, "log", "artifact", "file.txt"],
    }
    best = dict.fromkeys(commands, float("inf"))
    for _ in range(ROUNDS):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, cwd=folder, env=variables, check=True)
            best[name] = min(best[name], time.perf_counter() - started)
    run.seal("finished")
    base = next(iter(best.values()))
    print(f"{'a whole process':28}{'ms':>8}{'ratio':>8}")
    for name, seconds in best.items():
        print(f"{name:28}{seconds * 1000:8.0f}{seconds / base:8.2f}")
    worst = max(seconds for name, seconds in best.items() if re.match("lin log (metric|param)", name)) / base
    print(f"limit {MOST_RATIO}, worst {worst:.2f}")
    return int(worst > MOST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
