"""A project with fits that were recorded once, copies of it to work on, and runs that are made up by hand."""

import dataclasses
import io
import random
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lin.config import ExperimentSetting, ModelSetting, Split
from lin.data.tables import open_table
from lin.models.changes import register_model
from lin.project import Project, create_project, open_project
from lin.runs.add import add_table
from lin.runs.query import RunInfo, read_run
from lin.runs.record import Capture, begin_run, capture
from lin.runs.train import PREDICTIONS, plan_fits, run_sweep

OWN_MODEL = """\
import os

from sklearn.linear_model import Ridge

from shift import SHIFT


class Shifted(Ridge):
    def fit(self, X, y):
        print("fitting", flush=True)
        os.system("echo from a child")
        return super().fit(X, y)

    def predict(self, X):
        return super().predict(X) + SHIFT
"""


def _write_housing(path: Path) -> None:
    draw = random.Random(5)
    lines = ["ID,rm,lstat,medv"]
    for number in range(45):
        rm, lstat = draw.gauss(6, 1), draw.uniform(1, 30)
        medv = "" if number % 3 == 2 else repr(5 * rm - 0.4 * lstat + draw.gauss(0, 1))
        lines.append(f"{number},{rm!r},{lstat!r},{medv}")
    path.write_text("\n".join(lines) + "\n")


def _git(folder: Path, *arguments: str) -> None:
    user = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *user, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def _fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fitted") / "project"
    root.mkdir()
    (root / "proof_models.py").write_text(OWN_MODEL)
    (root / "shift.py").write_text("SHIFT = 1\n")
    (root / "random.py").write_text("raise ImportError('not the one of Python')\n")
    (root / "big.bin").symlink_to("/dev/null")  # what a snapshot leaves out belongs to its identity
    (root / ".github").mkdir()
    (root / ".github" / "ci.yml").write_text("on: push\n")
    _git(root, "init", "-q")
    _git(root, "add", ".")
    _git(root, "commit", "-qm", "first")
    project, _ = create_project(root, name="boston")
    _write_housing(root / "housing.csv")
    add_table(project, "housing", root / "housing.csv", key=["ID"])
    project = dataclasses.replace(open_project(root), actor="ann")
    table = open_table(project, "housing")
    experiment = ExperimentSetting(
        table="housing",
        target="medv",
        rows="medv is not null",
        split=Split(test_size=0.2, seed=1),
        models=[
            ModelSetting(estimator="sklearn.linear_model.Ridge", params={"alpha": [0.1, 1.0]}),
            ModelSetting(estimator="proof_models.Shifted", params={"alpha": 0.1}),
        ],
    )
    runs = run_sweep(project, table, plan_fits(experiment, table), experiment="housing")
    assert [run.status for run in runs] == ["finished"] * 3, [run.error for run in runs]
    for run, name in zip(runs, ("boston", "other", "own"), strict=True):
        register_model(project, run.id, name)
    return root


@pytest.fixture
def fitted(_fitted: Path, tmp_path: Path) -> Project:
    """A copy of a git project with the models `boston`, `other` (another alpha) and `own` (of its own class)."""
    return open_project(Path(shutil.copytree(_fitted, tmp_path / "copy", symlinks=True)))


@pytest.fixture
def captured(project: Project) -> Capture:
    return capture(project)


@pytest.fixture
def made_up(project: Project, captured: Capture) -> Callable[..., RunInfo]:
    """Records a finished run with these params, metrics and artifacts; `predicted` becomes the predictions."""

    def make(
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        artifacts: Mapping[str, bytes] | None = None,
        predicted: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
        status: Any = "finished",
        outputs: Any = None,
        around: Capture = captured,
        **options: Any,
    ) -> RunInfo:
        recorder = begin_run(project, around, kind="program", name="fit", params=params, **options)
        for key, value in (metrics or {}).items():
            recorder.log_metric(key, value)
        for path, content in (artifacts or {}).items():
            recorder.log_artifact(content, path)
        if predicted is not None:
            columns = predicted if isinstance(predicted, Mapping) else {"predicted": predicted}
            sink = io.BytesIO()
            pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), sink)
            recorder.log_artifact(sink.getvalue(), PREDICTIONS)
        for written in outputs or []:
            recorder.log_output(written)
        recorder.seal(status)
        return read_run(project.store, recorder.id)

    return make
