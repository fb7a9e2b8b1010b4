"""Model folders and the real MLflow, in an environment of its own: each loads what the other wrote."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lin.data.tables import open_table
from lin.errors import OutsideError, UsageError
from lin.models.changes import register_model
from lin.models.export import export_version
from lin.models.import_ import import_folder
from lin.models.registry import find_version, read_registry
from lin.models.yaml import read_yaml, write_yaml
from lin.project import Project, open_project
from lin.records import Fit
from lin.runs.golden import GOLDEN, read_golden
from lin.runs.persist import PICKLED_MODEL
from lin.runs.query import read_run
from lin.runs.train import run_sweep

WANTED = [
    "mlflow-skinny==3.17.2",
    *(f"{name}=={version(name)}" for name in ("scikit-learn", "numpy", "pandas", "skops")),
]
LETTERS = "ab '\"\n:#-\\\t,[]{}!&*é😀\x7f\x85\u20280123.~|>"


class Told(NamedTuple):
    """A project whose models MLflow has loaded, and what it said."""

    root: Path
    folders: Path
    saved: Path
    answer: dict[str, Any]
    values: list[Any]


@pytest.fixture(scope="session")
def mlflow_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment with MLflow and these versions of the libraries."""
    from uv import find_uv_bin

    place = tmp_path_factory.mktemp("mlflow") / "venv"
    subprocess.run([find_uv_bin(), "venv", "--quiet", "--python", sys.executable, place], check=True)
    python = place / "bin/python"
    subprocess.run([find_uv_bin(), "pip", "install", "--quiet", "--python", python, *WANTED], check=True)
    return python


@pytest.fixture(scope="session")
def _told(_trained: Path, mlflow_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """One process of MLflow, for it takes long to start: it is asked everything at once."""
    place = tmp_path_factory.mktemp("folders")
    root = Path(shutil.copytree(_trained, place / "project"))
    project = open_project(root)
    table = open_table(project, "housing")
    for name, estimator, pickle in (("forest", "sklearn.ensemble.RandomForestRegressor", False), ("safe", "", True)):
        fit = Fit(
            estimator=[estimator or "sklearn.linear_model.Ridge"],
            target="medv",
            rows="medv is not null",
            features=["rm", "lstat"],
            pickle=pickle,
        )
        register_model(project, run_sweep(project, table, [fit], experiment=None)[0].id, name)
    for name in ("boston", "names", "forest"):
        export_version(project, f"{name}@1", place / name)
    export_version(project, "boston@1", place / "pickled", pickle=True)
    export_version(project, "safe@1", place / "safe", pickle=True)
    (place / "saved").mkdir()
    values = [*_values()]
    asked = {
        "load": {name: str(place / name) for name in ("boston", "names", "forest", "pickled", "safe")},
        "save": str(place / "saved"),
        "yaml": [write_yaml(value) for value in values],
        "values": values,
    }
    done = subprocess.run(
        [mlflow_python, Path(__file__).with_name("mlflow_side.py")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=place,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Told(root, place, place / "saved", json.loads(done.stdout.splitlines()[-1]), values)


def _values() -> Iterator[Any]:
    """Maps with texts of all that YAML makes much of."""
    draw = random.Random(5)

    def text() -> str:
        return "".join(draw.choice(LETTERS) for _ in range(draw.choice([1, 4, 100])))

    for _ in range(300):
        scalars = [text(), draw.choice(["yes", "null", "1.5", "- a", "a: b", ""]), draw.random(), None, True, 7]
        yield {"a": {f"k{at}": [draw.choice(scalars), {"b": draw.choice(scalars)}] for at in range(3)}, "z": text()}


@pytest.fixture
def told(_told: Told, tmp_path: Path) -> Told:
    """The same with a project of the test's own."""
    return _told._replace(root=Path(shutil.copytree(_told.root, tmp_path / "project")))


def golden_of(project: Project, reference: str, rows: int) -> list[Any]:
    found = find_version(read_registry(project.store), reference).golden
    assert found is not None
    return read_golden(project.store.blobs.read(found)).predicted[:rows]


# --- what lin writes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["boston", "names", "forest", "pickled", "safe"])
def test_mlflow_predicts_what_lin_does(told: Told, name: str) -> None:
    project = open_project(told.root)
    said = told.answer["loaded"][name]
    expected = golden_of(project, "boston@1" if name == "pickled" else f"{name}@1", 5)
    assert said["predicted"] == said["again"] == expected


def test_mlflow_enforces_the_signature(told: Told) -> None:
    said = told.answer["loaded"]["boston"]
    assert said["inputs"] == [
        {"type": "double", "name": "rm", "required": True},
        {"type": "double", "name": "lstat", "required": True},
    ]
    assert "Model is missing inputs ['rm']" in said["missing"]


def test_mlflow_shows_where_it_came_from(told: Told) -> None:
    project = open_project(told.root)
    said = told.answer["loaded"]["boston"]
    assert said["run"] == find_version(read_registry(project.store), "boston@1").run
    assert said["metadata"] == {"lin": "boston@1"}
    assert f"scikit-learn=={version('scikit-learn')}\n" in said["requirements"]
    pickled = told.answer["loaded"]["pickled"]
    assert pickled["metadata"]["unsafe"].startswith("model.pkl runs code when it is loaded")
    assert said["uuid"] != pickled["uuid"]


def test_pyyaml_reads_what_is_written_and_is_read(told: Told) -> None:
    assert told.answer["read"] == told.values
    read = 0
    for value, text in zip(told.values, told.answer["written"], strict=True):
        try:
            assert read_yaml(text.encode(), "file") == value
            read += 1
        except OutsideError:
            assert "#" in text  # a line inside of a text looks like a remark
    assert read > 200


# --- what MLflow writes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ridge", "forest"])
def test_a_folder_of_mlflow_is_imported(told: Told, name: str) -> None:
    project = open_project(told.root)
    done = import_folder(project, told.saved / name, "theirs")
    assert (done.version, done.made_by, done.origin) == ("theirs@1", "MLflow 3.17.2", None)
    assert (done.features, done.example, done.unsafe) == (["rm", "lstat", "floors"], "nothing to compare with", False)
    assert golden_of(project, "theirs@1", 3) == told.answer["saved"][name]
    run = read_run(project.store, done.run)
    assert (run.kind, run.features) == ("import", ["rm", "lstat", "floors"])
    assert {each.path for each in run.artifacts} >= {
        "model/model.skops",
        "model/MLmodel",
        "model/signature.json",
        GOLDEN,
    }


def test_a_pickle_of_mlflow_is_kept_unloaded(told: Told) -> None:
    project = open_project(told.root)
    with pytest.raises(UsageError, match="holds a pickle"):
        import_folder(project, told.saved / "cloud", "theirs")
    done = import_folder(project, told.saved / "cloud", "theirs", pickle=True)
    assert (done.unsafe, done.example) == (True, "not scored")
    found = find_version(read_registry(project.store), "theirs@1")
    assert (found.unsafe, found.artifact, found.golden) == (True, PICKLED_MODEL, None)
