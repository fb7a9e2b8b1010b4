"""Golden predictions at registration: the run's own, or those that its model makes, or none with the reason."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sklearn.linear_model import Ridge

from lin.data.read import read_pin
from lin.data.tables import open_table
from lin.models.changes import register_model
from lin.models.predict import Scorer
from lin.models.registry import find_version, read_registry
from lin.project import Project, open_project
from lin.records import Environment, decode, encode
from lin.runs.golden import GOLDEN, read_golden
from lin.runs.persist import dump_model
from lin.runs.query import read_run
from lin.runs.record import begin_run, capture
from lin.runs.train import MODEL
from lin.runs.writes import pin_input

if TYPE_CHECKING:
    from lin.models.fold import ModelVersion

FEATURES = ["rm", "lstat"]


class Registered:
    """A model version, and what there was to say when it was registered."""

    def __init__(self, project: Project, run: str) -> None:
        told: list[str] = []
        self.version: ModelVersion = register_model(project, run, "mine", report=told.append)
        self.told = told


@pytest.fixture
def log_model(trained: Project) -> Callable[..., Registered]:
    """Records a program's run that read `housing` and logged a model, and registers it."""

    def log(
        *,
        model: bytes | None = None,
        reads: bool = True,
        features: bool = True,
        libraries: dict[str, str] | None = None,
    ) -> Registered:
        table = open_table(trained, "housing")
        pin, reference = pin_input(trained, table)
        captured = capture(trained)
        if libraries:
            here = decode(trained.store.blobs.read(captured.environment), Environment, where="here")
            packages = [
                msgspec.structs.replace(each, version=libraries.get(each.name, each.version)) for each in here.packages
            ]
            other = trained.store.blobs.put(encode(msgspec.structs.replace(here, packages=packages)))
            captured = dataclasses.replace(captured, environment=other)
        frame = read_pin(table, pin).to_pandas().dropna()
        rows = frame[FEATURES] if features else frame[FEATURES].to_numpy()
        recorder = begin_run(trained, captured, kind="program", name="fit", inputs=[reference] if reads else [])
        recorder.log_artifact(model or dump_model(Ridge().fit(rows, frame.medv)), MODEL)
        recorder.seal("finished")
        return Registered(trained, recorder.id)

    return log


def test_the_golden_predictions_of_a_fit_go_with_its_registration(trained: Project) -> None:
    version = find_version(read_registry(trained.store), "boston@1")
    artifact = read_run(trained.store, version.run).artifact(GOLDEN)
    assert artifact is not None
    assert version.golden == artifact.sha256


def test_a_model_that_a_program_logged_is_asked_when_it_is_registered(
    trained: Project, log_model: Callable[..., Registered]
) -> None:
    found = log_model()
    assert found.told == []
    assert found.version.golden is not None
    assert find_version(read_registry(trained.store), "mine@1") == found.version
    golden = read_golden(trained.store.blobs.read(found.version.golden))
    assert (golden.table.num_rows, golden.layout.key, golden.layout.features) == (45, ["ID"], FEATURES)
    assert golden.predicted == Scorer(trained, "mine@1").score(golden.rows).tolist()


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"reads": False}, "the run read no table"),
        ({"features": False}, "the model does not tell which columns it was trained on"),
        ({"model": b"no model"}, "the model file is refused: it is not a zip"),
        ({"libraries": {"numpy": "1.0"}}, "the run had numpy 1.0, and here is "),
    ],
    ids=["no table", "no features", "no model", "other libraries"],
)
def test_where_it_cannot_be_asked_the_reason_is_told(
    log_model: Callable[..., Registered], facts: dict[str, Any], why: str
) -> None:
    found = log_model(**facts)
    assert found.version.golden is None
    assert len(found.told) == 1
    assert found.told[0].startswith(f"no golden predictions are kept: {why}")


def test_a_model_of_types_that_nobody_trusts_is_registered_without(
    log_model: Callable[..., Registered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_ridge.py").write_text("from sklearn.linear_model import Ridge\n\n\nclass Own(Ridge):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import own_ridge  # type: ignore[import-not-found]

    found = log_model(model=dump_model(own_ridge.Own().fit([[1.0, 2.0], [2.0, 1.0]], [1.0, 2.0])))
    assert found.version.golden is None
    assert "the model file needs what lin does not trust: own_ridge.Own" in found.told[0]


def test_a_table_that_is_gone_is_named(trained: Project, log_model: Callable[..., Registered]) -> None:
    run = log_model().version.run
    for file in (trained.root / "data/housing").glob("*.parquet"):
        file.unlink()
    again = Registered(open_project(trained.root), run)
    assert again.version.golden is None
    assert "data file" in again.told[0]
