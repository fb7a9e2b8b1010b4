"""The command line in-process, and a project with a table, runs and models to use it on.

The project is built once in a worker and copied for each test: whatever a test does to it, it does to its own.
"""

import contextlib
import io
import json
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lin.cli.main import main

COLUMNS = ("crim", "rm", "lstat")
EXPERIMENT = """
[experiments.housing]
table = "housing"
target = "medv"
rows = "medv is not null"
split = { test_size = 0.2, seed = 567248 }
metrics = ["rmse", "r2"]

[[experiments.housing.models]]
estimator = "sklearn.linear_model.Ridge"
params = { alpha = [1.0, 0.1] }

[[experiments.housing.models]]
estimator = "sklearn.linear_model.Lasso"
params = { alpha = 0.5 }
"""
BUILD = [
    ["init", "--name", "boston"],
    ["add", "housing", "housing.csv", "--key", "ID"],
    ["run", "housing"],
    ["register", "Ridge alpha=1.0", "boston", "-m", "the first"],
    ["promote", "boston@1", "production"],
    ["predict", "boston@production", "--table", "housing", "--into", "medv"],
    ["train", "--table", "housing", "--target", "medv", "--model", "sklearn.linear_model.Ridge", "--seed", "1"],
    ["register", "last", "boston"],
]


@dataclass(frozen=True)
class Result:
    """What a command answered."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one JSON document on stdout: nothing stands before or behind it."""
        assert self.out.endswith("}\n") or self.out.endswith("]\n")
        return json.loads(self.out)

    @property
    def text(self) -> str:
        """stdout with what is never twice the same blotted out."""
        return blot(self.out)


def blot(text: str) -> str:
    """Blot out ids, digests, times, seconds, sizes, the host, and of numbers with every digit the last ones."""
    text = re.sub(
        r"(?<![\w.])([0-9a-f]{32}|[0-9a-f]{12}|[0-9a-f]{8})(?![\w.])", lambda found: "#" * len(found[0]), text
    )
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "0000-00-00 00:00:00", text)
    text = re.sub(r"\b\d+\.\d+ (s|k?B)\b", lambda found: re.sub(r"\d", "0", found[0]), text)
    text = re.sub(r"(\.\d{5})\d{7,} *", r"\1… ", text)
    return re.sub(r"(?<=UTC by ann on )\S+", "HOST", text)


Lin = Callable[..., Result]


@pytest.fixture
def lin(built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lin:
    """Runs `lin` in this process, in a copy of the built project."""
    monkeypatch.chdir(built)

    def run(*argv: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in argv])
        captured = capsys.readouterr()
        return Result(code=int(ended.value.code or 0), out=captured.out, err=captured.err)

    return run


@pytest.fixture
def built(_template: Path, tmp_path: Path) -> Path:
    """A copy of a project: `housing` in two versions, four runs that train, two versions of model `boston`.

    Version 0 has 506 rows, 173 of them without `medv`; in version 1 `boston@1` has filled these.
    """
    folder = tmp_path / "boston"
    shutil.copytree(_template, folder)
    return folder


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")):
        patch.chdir(folder)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("LIN_ACTOR", "ann")
        write_housing(folder / "housing.csv")
        for argv in BUILD:
            if argv[0] == "run":
                with (folder / "lineage.toml").open("a") as file:
                    file.write(EXPERIMENT)
            with pytest.raises(SystemExit) as ended:
                main(argv)
            assert not ended.value.code, argv
    return folder


def write_housing(path: Path) -> None:
    """506 houses; the first of each three has no `medv`, and so have four more: 173 in all."""
    numbers = random.Random(7)
    with path.open("w") as file:
        file.write(",".join(["ID", *COLUMNS, "medv"]) + "\n")
        for house in range(1, 507):
            crim, rm, lstat = (round(numbers.gauss(0, 1), 3) for _ in COLUMNS)
            medv = round(22 + 3 * rm - 4 * lstat - crim + numbers.gauss(0, 2), 1)
            missing = house % 3 == 1 or house in {2, 3, 5, 6}
            file.write(f"{house},{crim},{rm},{lstat},{'' if missing else medv}\n")
