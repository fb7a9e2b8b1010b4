"""A project with a registered model that was trained once, and copies of it to work on."""

import dataclasses
import random
import shutil
from pathlib import Path

import pytest

from lin.config import ExperimentSetting, ModelSetting, Split
from lin.data.tables import open_table
from lin.models.changes import register_model
from lin.project import Project, create_project, open_project
from lin.runs.add import add_table
from lin.runs.train import plan_fits, run_sweep

FEATURES = ["rm", "lstat"]


def _write_housing(path: Path) -> Path:
    """45 homes, every third one without a value, not in the order of their ids."""
    draw = random.Random(11)
    lines = ["ID,name,rm,lstat,medv"]
    for number in draw.sample(range(45), 45):
        rm, lstat = draw.gauss(6, 1), draw.uniform(1, 30)
        medv = "" if number % 3 == 2 else repr(5 * rm - 0.4 * lstat + draw.gauss(0, 1))
        lines.append(f"{number},home {number},{rm!r},{lstat!r},{medv}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained") / "project"
    root.mkdir()
    project, _ = create_project(root, name="boston")
    add_table(project, "housing", _write_housing(root / "housing.csv"), key=["ID"])
    project = dataclasses.replace(open_project(root), actor="ann")
    table = open_table(project, "housing")
    for target, rows, estimator in (
        ("medv", "medv is not null", "sklearn.linear_model.Ridge"),
        ("name", None, "sklearn.neighbors.KNeighborsClassifier"),
    ):
        experiment = ExperimentSetting(
            table="housing",
            target=target,
            rows=rows,
            features=FEATURES,
            split=Split(test_size=0.2, seed=1),
            metrics=[] if target == "medv" else ["accuracy"],
            models=[ModelSetting(estimator=estimator)],
        )
        (run,) = run_sweep(project, table, plan_fits(experiment, table), experiment=None)
        register_model(project, run.id, "boston" if target == "medv" else "names")
    return root


@pytest.fixture
def trained(_trained: Path, tmp_path: Path) -> Project:
    """A copy of a project with table `housing` and the models `boston` (of medv) and `names`."""
    return open_project(Path(shutil.copytree(_trained, tmp_path / "copy")))
