"""`lin` beside MLflow with its SQLite store: the same runs logged and searched, on this machine, in one run.

    python bench/peers.py [RUNS]           # 2,000 unless told; each with 5 params and 5 metrics
    PEER=/path/to/venv python bench/peers.py

MLflow is installed into an environment of its own, in a temporary folder, unless PEER names one that has it. Inside one
process: medians over the runs, or over repeated questions. Whole processes: medians of five.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 5

LIN = """
import json, os, statistics, sys, time
import lin
from lin.project import create_project
from pathlib import Path
create_project(Path.cwd(), name="bench")
def log(number):
    with lin.start_run(f"run {number}"):
        for key in range(5): lin.log_param(f"p{key}", number % (key + 2))
        for key in range(5): lin.log_metric(f"m{key}", (number * 7919 % 10007) / 7)
def search(): return len(lin.search_runs("metrics.m0 < 300 and params.p1 = '1'"))
def top(): return len(lin.search_runs("metrics.m0 < 300", sort="metrics.m0", limit=20))
def points(count):
    with lin.start_run("points"):
        for step in range(count): lin.log_metric("loss", 1 / (step + 1), step=step)
"""
MLFLOW = """
import json, os, statistics, sys, time
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
experiment = mlflow.set_experiment("bench").experiment_id
client = mlflow.MlflowClient()
def log(number):
    with mlflow.start_run(run_name=f"run {number}"):
        mlflow.log_params({f"p{key}": number % (key + 2) for key in range(5)})
        mlflow.log_metrics({f"m{key}": (number * 7919 % 10007) / 7 for key in range(5)})
def search():
    found, token = 0, None
    while True:
        where = "metrics.m0 < 300 and params.p1 = '1'"
        page = client.search_runs([experiment], where, max_results=50000, page_token=token)
        found, token = found + len(page), page.token
        if not token: return found
def top(): return len(client.search_runs([experiment], "metrics.m0 < 300", order_by=["metrics.m0"], max_results=20))
def points(count):
    with mlflow.start_run(run_name="points"):
        for step in range(count): mlflow.log_metric("loss", 1 / (step + 1), step=step)
"""
MEASURE = """
def median(action, repeats):
    times = []
    for number in range(repeats):
        began = time.perf_counter(); action(number); times.append(time.perf_counter() - began)
    return statistics.median(times)
runs, count = int(sys.argv[1]), int(sys.argv[2])
log(0)
told = {"a run of 5 params and 5 metrics, ms": median(log, runs) * 1000}
began = time.perf_counter(); points(count); told["metric points a second"] = count / (time.perf_counter() - began)
search()
told["filtered search of all runs, ms"] = median(lambda _: search(), 5) * 1000
told["top 20 by a metric, ms"] = median(lambda _: top(), 5) * 1000
told["found"] = [search(), top()]
print(json.dumps(told))
"""


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR", Path.cwd()), prefix=".bench-"))
    try:
        peer = Path(os.environ.get("PEER") or install(folder / "peer"))
        return compare(folder, peer / "bin", runs)
    finally:
        shutil.rmtree(folder)


def compare(folder: Path, peer: Path, runs: int) -> int:
    inside = {
        "lin": inside_one(folder / "lin", Path(sys.executable), LIN, runs, 200_000),
        "mlflow": inside_one(folder / "mlflow", peer / "python", MLFLOW, runs, 1000),
    }
    if inside["lin"].pop("found") != inside["mlflow"].pop("found"):
        print("the two did not find the same runs")
        return 1
    lin = [sys.executable, "-m", "lin"]
    asked = "print(search())"
    whole = {
        "--version, ms": ([*lin, "--version"], [str(peer / "mlflow"), "--version"]),
        "import, ms": ([sys.executable, "-c", "import lin.api"], [str(peer / "python"), "-c", "import mlflow"]),
        "filtered search, a whole process, ms": (
            [*lin, "runs", "--where", "metrics.m0 < 300 and params.p1 = '1'", "--json"],
            [str(peer / "python"), "-c", f"{MLFLOW}\n{asked}"],
        ),
        "top 20, a whole process, ms": (
            [*lin, "runs", "--where", "metrics.m0 < 300", "--sort", "metrics.m0", "--limit", "20"],
            [str(peer / "python"), "-c", f"{MLFLOW}\nprint(top())"],
        ),
    }
    rows = [(what, inside["lin"][what], inside["mlflow"][what]) for what in inside["lin"]]
    for what, (ours, theirs) in whole.items():
        rows.append((what, process_ms(ours, folder / "lin"), process_ms(theirs, folder / "mlflow")))
    print(f"{runs} runs; {version(peer)}\n")
    print(f"{'':42}{'lin':>12}{'MLflow':>12}{'ratio':>8}")
    for what, ours, theirs in rows:
        ratio = ours / theirs if "second" in what else theirs / ours
        print(f"{what:42}{ours:12,.1f}{theirs:12,.1f}{ratio:8.1f}")
    return 0


def install(folder: Path) -> Path:
    print("installing MLflow into an environment of its own …", flush=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", "mlflow"], check=True)
    return folder


def inside_one(folder: Path, python: Path, code: str, runs: int, points: int) -> dict:
    folder.mkdir()
    done = subprocess.run(
        [python, "-c", code + MEASURE, str(runs), str(points)],
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def process_ms(words: list[str], folder: Path) -> float:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def version(peer: Path) -> str:
    told = subprocess.run([peer / "mlflow", "--version"], check=True, capture_output=True, text=True).stdout
    return told.strip().replace("mlflow, version", "MLflow")


if __name__ == "__main__":
    sys.exit(main())
