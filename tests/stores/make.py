"""Makes the golden store of the present format: `python tests/stores/make.py v1`. Done once for each format, then kept.

A store made by an older lin stays as it is for ever: today's reader must read it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SETTINGS = """[project]
name = "golden"
store = "store"

[experiments.housing]
table = "housing"
target = "medv"
rows = "medv is not null"
split = { test_size = 0.25, seed = 7 }

[[experiments.housing.models]]
estimator = "sklearn.linear_model.Ridge"
params = { alpha = [1.0, 0.1] }
"""
QUESTIONS = {
    "runs": ["runs", "--all"],
    "models": ["models"],
    "history": ["history", "housing"],
    "diff": ["diff", "housing@0", "housing@1"],
    "verify": ["verify", "boston@1", "boston@2"],
    "trace": ["trace", "boston@2"],
}


def main() -> None:
    target = HERE / sys.argv[1]
    if target.exists():
        sys.exit(f"{target} is there already, and is to stay as it is")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "golden")
        folder.mkdir()
        make(folder)
        answers = {name: ask(folder, words) for name, words in QUESTIONS.items()}
        (folder / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")
        (folder / "store/.gitignore").unlink()  # this one does belong into git
        shutil.copytree(folder, target)


def make(folder: Path) -> None:
    measured = [(n, n % 7, n * 13 % 11) for n in range(1, 41)]
    rows = [f"{n},{rm},{lstat},{'' if n % 3 == 0 else 5 + rm - 0.5 * lstat}" for n, rm, lstat in measured]
    (folder / "housing.csv").write_text("\n".join(["ID,rm,lstat,medv", *rows]) + "\n")
    (folder / "lineage.toml").write_text(SETTINGS)
    lin(folder, "init")
    lin(folder, "add", "housing", "housing.csv", "--key", "ID")
    lin(folder, "run", "housing")
    lin(folder, "register", "Ridge alpha=0.1", "boston", "--description", "the first")
    lin(folder, "promote", "boston@1", "production", "--reason", "golden")
    lin(folder, "predict", "boston@1", "--table", "housing", "--into", "medv")
    lin(folder, "restore", "housing", "--version", "0")
    lin(folder, "rerun", "boston@1")
    lin(folder, "register", "last", "boston")
    program = "echo hello; lin log metric inf inf; lin log metric nan nan; exit 3"
    lin(folder, "run", "--", "sh", "-c", program, codes=(3,))


def lin(folder: Path, *words: str, codes: tuple[int, ...] = (0,)) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = {"PATH": path, "HOME": str(folder.parent), "LIN_ACTOR": "ann", "LANG": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-m", "lin", *words], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode not in codes:
        sys.exit(f"lin {' '.join(words)}: {done.returncode}: {done.stderr}")
    return done.stdout


def ask(folder: Path, words: list[str]) -> object:
    return json.loads(lin(folder, *words, "--json"))


if __name__ == "__main__":
    main()
