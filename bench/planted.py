"""Pairs of runs that differ in known ways, and whether `lin why A B --attribute` names what was planted, and only it.

    python bench/planted.py [KIND …]      # all 40 unless kinds are named: params, fill, …; about half an hour

Each case is a project of its own. Beside the planted cause there are always differences that do nothing: other
parameters, other commits, other packages, other lines. A case is right where the verdict, the axes and the parts that
are named are the planted ones; wrong where anything else is named. An answer of "inconclusive" names nothing wrong, and
is counted by itself. The exit code is 1 where fewer than 95 % are right, or any wrong cause is named.
"""

import csv
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ENOUGH = 0.95
OTHERS = {  # ten packages that matter to nothing, each in two versions
    "six": ("1.16.0", "1.17.0"),
    "toolz": ("0.12.1", "1.0.0"),
    "idna": ("3.6", "3.7"),
    "certifi": ("2024.2.2", "2024.7.4"),
    "attrs": ("23.1.0", "23.2.0"),
    "tabulate": ("0.8.10", "0.9.0"),
    "zipp": ("3.18.1", "3.19.2"),
    "colorama": ("0.4.5", "0.4.6"),
    "more-itertools": ("10.2.0", "10.3.0"),
    "sniffio": ("1.3.0", "1.3.1"),
}
PROGRAM = """
import argparse, csv, os, sys
import lin
from helpers import scale

options = argparse.ArgumentParser()
options.add_argument("--alpha", type=float, default=1.0)
options.add_argument("--seed", type=int, default=0)
options.add_argument("--verbose", type=int, default=0)
OPTIONS
given = options.parse_args()
rows = lin.read_table("points").to_pylist()
mean = round(sum(row["x0"] for row in rows) / len(rows), 6)  # whatever their order
score = EXPRESSION
lin.log_metric("score", float(score))
"""
HELPERS = """
# how much
def scale(value):
    unused = 1
    return value * 2


def spare():
    return 3
"""


class Case(NamedTuple):
    """What is planted: how it is to be called, where, and words that the named parts must have, one of each group."""

    kind: str
    number: int
    plant: Callable[["Project", random.Random], tuple[str, str]]
    verdict: str
    axes: frozenset[str]
    words: tuple[str, ...] = ()


class Project:
    """A scratch project, and lin's answers in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env: dict[str, str] = {}

    def lin(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "lin", *words],
            cwd=self.folder,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **self.env},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"lin {' '.join(words)}: {done.returncode}: {done.stderr[-1500:]}")
        return done.stdout

    def run(self, *words: str) -> str:
        """Run or train; returns the id of the (only) run."""
        answer = json.loads(self.lin(*words[:1], "--json", *words[1:]))
        return str((answer[0] if isinstance(answer, list) else answer)["id"])

    def points(self, numbers: random.Random, *, rows: int = 240, blank: int = 0) -> None:
        table = []
        for number in range(rows):
            xs = [numbers.gauss(0, 1) for _ in range(5)]
            y = 20 + 3 * xs[0] - 2 * xs[1] + numbers.gauss(0, 0.5)
            shown = "" if blank and number % blank == 0 else repr(y)
            table.append([number, *map(repr, xs), shown, f"note {number}"])
        with (self.folder / "points.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["ID", *(f"x{n}" for n in range(5)), "y", "note"], *table])
        self.lin("init", "--name", "planted")
        self.lin("add", "points", "points.csv", "--key", "ID")
        (self.folder / "points.csv").unlink()

    def commit(self, updates: dict[str, str], where: str) -> None:
        from deltalake import DeltaTable

        DeltaTable(str(self.folder / "data/points")).update(updates, predicate=where)

    def rewrite(self, change: Callable[[list[dict[str, object]]], list[dict[str, object]]]) -> None:
        import pyarrow as pa
        from deltalake import DeltaTable, write_deltalake

        place = str(self.folder / "data/points")
        table = DeltaTable(place).to_pyarrow_table()
        rows = change(table.to_pylist())
        write_deltalake(place, pa.Table.from_pylist(rows, schema=table.schema), mode="overwrite")

    def distract(self, numbers: random.Random) -> None:
        """A commit that no model can feel."""
        self.commit({"note": "'seen'"}, f"ID % 7 = {numbers.randrange(7)}")

    def train(self, model: str, *words: str) -> str:
        features = ("--features", "x0,x1,x2,x3", "--rows", "y is not null")
        return self.run("train", "--table", "points", "--target", "y", "--model", model, *features, *words)

    def program(self, expression: str, *, options: str = "", helpers: str = HELPERS) -> None:
        text = PROGRAM.replace("EXPRESSION", expression).replace("OPTIONS", options)
        (self.folder / "train.py").write_text(text)
        (self.folder / "helpers.py").write_text(helpers)

    def execute(self, *words: str, packages: tuple[str, ...] = ()) -> str:
        given = [word for package in packages for word in ("--with", package)]
        return self.run("run", *given, "--", "python", "train.py", *words)


# --- what is planted --------------------------------------------------------------------------------------------------

RIDGE = "sklearn.linear_model.Ridge"


def one_param(project: Project, numbers: random.Random) -> tuple[str, str]:
    project.points(numbers)
    alpha = numbers.choice([20, 50, 100])
    a = project.train(RIDGE, "-P", "solver=cholesky", "-P", "alpha=0.1", "-P", "tol=0.001", "-P", "copy_X=true")
    b = project.train(RIDGE, "-P", "solver=cholesky", "-P", f"alpha={alpha}", "-P", "tol=0.0001", "-P", "copy_X=false")
    return a, b


def filled_targets(project: Project, numbers: random.Random) -> tuple[str, str]:
    project.points(numbers, blank=numbers.choice([3, 4, 5]))
    a = project.train(RIDGE, "-P", "alpha=0.1")
    for _ in range(numbers.randrange(1, 4)):
        project.distract(numbers)
    project.commit({"y": "20.0"}, "y is null")
    for _ in range(numbers.randrange(1, 3)):
        project.distract(numbers)
    return a, project.train(RIDGE, "-P", "alpha=0.1")


def deleted_rows(project: Project, numbers: random.Random) -> tuple[str, str]:
    project.points(numbers)
    a = project.train(RIDGE, "-P", "alpha=0.1")
    project.distract(numbers)
    project.rewrite(lambda rows: [row for row in rows if float(str(row["x0"])) < 1])
    project.distract(numbers)
    return a, project.train(RIDGE, "-P", "alpha=0.1")


def row_order(project: Project, numbers: random.Random) -> tuple[str, str]:
    project.points(numbers)
    forest = ("sklearn.ensemble.RandomForestRegressor", "-P", "n_estimators=5", "-P", "max_depth=4")
    a = project.train(*forest)
    project.rewrite(lambda rows: numbers.sample(rows, len(rows)))
    return a, project.train(*forest)


def seed(project: Project, numbers: random.Random) -> tuple[str, str]:
    project.points(numbers)
    a = project.train(RIDGE, "-P", "alpha=0.1", "-P", "tol=0.001", "--seed", "1")
    return a, project.train(RIDGE, "-P", "alpha=0.1", "-P", "tol=0.0001", "--seed", str(numbers.randrange(2, 99)))


def library(project: Project, numbers: random.Random) -> tuple[str, str]:
    """One of eleven packages: the only one that the fit can feel. It splits some trees otherwise since 1.8."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False, as_frame=True).frame
    data[data.index % 3 != 2].to_csv(project.folder / "patients.csv", index_label="ID")
    project.lin("init", "--name", "planted")
    project.lin("add", "patients", "patients.csv", "--key", "ID")
    trees = numbers.choice([50, 60, 80, 100])
    estimator = "sklearn.ensemble.GradientBoostingRegressor"
    declare = f"""
[experiments.patients]
table = "patients"
target = "target"
split = {{ test_size = 0.2, seed = 567248 }}
models = [{{ estimator = "{estimator}", params = {{ n_estimators = {trees}, learning_rate = 0.1, max_depth = 3 }} }}]
"""
    with (project.folder / "lineage.toml").open("a") as file:
        file.write(declare)
    a = project.run("run", "patients", *others(0))
    return a, project.run(
        "run", "patients", *others(1), "--with", numbers.choice(["scikit-learn==1.6.1", "scikit-learn==1.7.2"])
    )


def library_of_program(project: Project, numbers: random.Random) -> tuple[str, str]:
    guilty = numbers.choice(["toolz", "idna", "six", "attrs"])
    project.points(numbers)
    version = f"__import__('importlib.metadata').metadata.version('{guilty}')"
    project.program(f"mean + len({version}) + sum(map(int, {version}.split('.')))")
    a, b = (
        project.execute(packages=tuple(f"{name}=={versions[side]}" for name, versions in OTHERS.items()))
        for side in (0, 1)
    )
    (project.folder / "guilty").write_text(guilty)
    return a, b


def one_line(project: Project, numbers: random.Random) -> tuple[str, str]:
    project.points(numbers)
    project.program("scale(mean) + given.alpha")
    (project.folder / "notes.md").write_text("first\n")
    a = project.execute()
    factor = numbers.choice([3, 4, 5])
    changed = HELPERS.replace("value * 2", f"value * {factor}").replace("# how much", "# how much of it")
    project.program("scale(mean) + given.alpha", helpers=changed.replace("return 3", "return 4"))
    (project.folder / "notes.md").write_text("second\n")
    (project.folder / "more.py").write_text("other = 1\n")
    return a, project.execute()


def threads(project: Project, numbers: random.Random) -> tuple[str, str]:
    project.points(numbers)
    project.program("mean + int(os.environ['OMP_NUM_THREADS'])")
    project.env = {"OMP_NUM_THREADS": "1", "LANG": "C.UTF-8"}
    a = project.execute()
    project.env = {"OMP_NUM_THREADS": "2", "LANG": "C"}
    return a, project.execute()


def params_and_data(project: Project, numbers: random.Random) -> tuple[str, str]:
    """Two causes that add up."""
    project.points(numbers)
    project.program("10 * mean + given.alpha")
    a = project.execute("--alpha", "1", "--verbose", "0")
    project.distract(numbers)
    shift = numbers.choice([0.5, 0.7])
    project.commit({"x0": f"x0 + {shift}"}, "ID >= 0")
    return a, project.execute("--alpha", str(1 + numbers.choice([4, 6])), "--verbose", "1")


def only_together(project: Project, numbers: random.Random) -> tuple[str, str]:
    """Neither of two does anything without the other."""
    project.points(numbers)
    project.program("1 + (given.alpha > 2) * (mean > 5)")
    a = project.execute("--alpha", "1", "--verbose", "0")
    project.distract(numbers)
    project.commit({"x0": "x0 + 10"}, "ID >= 0")
    return a, project.execute("--alpha", "3", "--verbose", "1")


def new_option(project: Project, numbers: random.Random) -> tuple[str, str]:
    """The new option means nothing to the old code: a cell between them cannot run."""
    project.points(numbers)
    project.program("mean")
    a = project.execute("--verbose", "0")
    project.program("mean + given.beta", options='options.add_argument("--beta", type=float, required=True)')
    return a, project.execute("--verbose", "0", "--beta", str(numbers.choice([2, 3])))


def nothing(project: Project, numbers: random.Random) -> tuple[str, str]:
    project.points(numbers)
    project.program("scale(mean)")
    a = project.execute("--verbose", "0", "--seed", "1")
    project.distract(numbers)
    project.program("scale(mean)", helpers=HELPERS.replace("unused = 1", "unused = 2"))
    return a, project.execute("--verbose", "1", "--seed", "2")


def chance(project: Project, numbers: random.Random) -> tuple[str, str]:
    project.points(numbers)
    project.program("mean + __import__('random').random()")
    a = project.execute("--verbose", "0")
    return a, project.execute("--verbose", "1")


def others(side: int) -> list[str]:
    return [word for name, versions in OTHERS.items() for word in ("--with", f"{name}=={versions[side]}")]


def cases() -> Iterator[Case]:
    one = "cause"
    table = [
        ("params", 4, one_param, one, {"params"}, ("alpha",)),
        ("fill", 5, filled_targets, one, {"data"}, ("y",)),
        ("deleted", 3, deleted_rows, one, {"data"}, ("deleted",)),
        ("order", 3, row_order, one, {"data"}, ("order",)),
        ("seed", 2, seed, one, {"seed"}, ()),
        ("library", 3, library, one, {"environment"}, ("scikit-learn",)),
        ("package", 4, library_of_program, one, {"environment"}, ("GUILTY",)),
        ("line", 4, one_line, one, {"source"}, ("helpers.py",)),
        ("threads", 2, threads, one, {"host"}, ("OMP_NUM_THREADS",)),
        ("additive", 3, params_and_data, one, {"params", "data"}, ("alpha", "x0")),
        ("together", 3, only_together, "joint cause", {"params", "data"}, ("alpha", "x0")),
        ("option", 1, new_option, "joint cause", {"params", "source"}, ()),
        ("nothing", 2, nothing, "nothing to explain", set(), ()),
        ("chance", 1, chance, "inconclusive", set(), ()),
    ]
    for kind, count, plant, verdict, axes, words in table:
        for number in range(count):
            yield Case(kind, number, plant, verdict, frozenset(axes), words)


# --- what is named ----------------------------------------------------------------------------------------------------


def judge(case: Case, answer: dict[str, object], folder: Path) -> str:
    """ "right", "inconclusive", or what is wrong."""
    causes = answer["causes"]
    named = frozenset(cause["axis"] for cause in causes)
    verdict = str(answer["verdict"])
    if case.verdict in {"nothing to explain", "inconclusive"}:
        return "right" if verdict in {"nothing to explain", "inconclusive"} else f"named {sorted(named)}"
    if verdict == "inconclusive":
        return verdict
    if case.kind != "additive" and verdict != case.verdict:
        return f"{verdict} instead of {case.verdict}"
    if named != case.axes:
        return f"named {sorted(named)} instead of {sorted(case.axes)}"
    parts = [part for cause in causes for part in cause["parts"]]
    guilty = (folder / "guilty").read_text() if (folder / "guilty").exists() else ""
    words = [guilty if word == "GUILTY" else word for word in case.words]
    missing = [word for word in words if not any(word in part for part in parts)]
    if missing or (words and len(parts) != max(len(words), 1) and case.kind not in {"additive", "together"}):
        return f"named the parts {parts}"
    return "right"


def main() -> int:
    asked = set(sys.argv[1:])
    counted: dict[str, int] = {"right": 0, "inconclusive": 0, "wrong": 0}
    for case in cases():
        if asked and case.kind not in asked:
            continue
        folder = Path(tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR", Path.cwd()), prefix=".bench-"))
        began = time.perf_counter()
        try:
            project = Project(folder)
            a, b = case.plant(project, random.Random(f"{case.kind} {case.number}"))
            answer = json.loads(project.lin("why", a, b, "--attribute", "--json"))
            found = judge(case, answer, folder)
        finally:
            if not os.environ.get("BENCH_KEEP"):
                shutil.rmtree(folder)
        counted[found if found in counted else "wrong"] += 1
        seconds = time.perf_counter() - began
        cells = len(answer["cells"])
        print(
            f"{case.kind:10} {case.number}  {seconds:6.1f} s  {cells:3} cells  {found}: {answer['sentence']}",
            flush=True,
        )
    total = sum(counted.values())
    print(f"{counted['right']} of {total} right, {counted['inconclusive']} inconclusive, {counted['wrong']} wrong")
    return 0 if not counted["wrong"] and counted["right"] >= ENOUGH * total else 1


if __name__ == "__main__":
    sys.exit(main())
