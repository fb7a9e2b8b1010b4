"""The story of a table and its models, recorded without a single fit."""

import dataclasses
import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest

from lin.data.tables import Table, open_table
from lin.data.write import fill_column
from lin.models.changes import register_model
from lin.models.fold import ModelVersion
from lin.models.registry import find_version, read_registry
from lin.project import Project, create_project, open_project
from lin.records import Input, ModelRef
from lin.runs.add import add_table
from lin.runs.query import RunInfo, read_run
from lin.runs.record import Capture, begin_run, capture
from lin.runs.restore import restore_table
from lin.runs.train import MODEL
from lin.runs.writes import pin_input, record_write


class Story:
    """A project with the table `housing`, and what people do with it."""

    def __init__(self, root: Path) -> None:
        self.project = dataclasses.replace(open_project(root), actor="ann")

    @cached_property
    def _captured(self) -> Capture:
        return capture(self.project)

    @property
    def table(self) -> Table:
        return open_table(self.project, "housing")

    def train(self, name: str | None = "boston", *, version: int | None = None) -> RunInfo:
        """A fit on a version of the table (default: the newest), registered as the next version of `name`."""
        read = pin_input(self.project, self.table, version)[1]
        recorder = begin_run(self.project, self._captured, kind="train", name="Ridge alpha=0.1", inputs=[read])
        recorder.log_artifact(recorder.id.encode(), MODEL)
        recorder.seal("finished", features=["rm"])
        if name is not None:
            register_model(self.project, recorder.id, name)
        return read_run(self.project.store, recorder.id)

    def write_back(self, model: ModelVersion, column: str) -> str:
        """Predictions of a model version in a new column of the table; returns the run's id."""
        base = self.table.log.snapshot()
        inputs: list[Input] = [
            pin_input(self.project, self.table)[1],
            ModelRef(model=model.model, version=model.version, sha256=model.sha256),
        ]
        run, _ = record_write(
            self.project,
            self.table,
            lambda by: fill_column(self.table, base, column, pa.array([1.0, 2.0]), by, now_ms=0),
            kind="predict",
            name=f"{model.reference} into housing.{column}",
            reason="filled",
            inputs=inputs,
            model=model.reference,
        )
        return run

    def restore(self, version: int) -> str:
        made = restore_table(self.project, self.table, version)
        assert made.run is not None
        return made.run

    def append(self, number: int) -> None:
        """Somebody else's write, without lin."""
        from deltalake import write_deltalake

        write_deltalake(self.table.root, pa.table({"ID": [number], "rm": [1.5]}), mode="append", schema_mode="merge")


class Told(NamedTuple):
    """The story so far: see `story`."""

    story: Story
    runs: dict[str, str]


@pytest.fixture(scope="session")
def _begun(tmp_path_factory: pytest.TempPathFactory) -> Story:
    root = tmp_path_factory.mktemp("begun") / "project"
    root.mkdir()
    source = root.parent / "housing.csv"
    source.write_text("ID,rm\n1,6.5\n2,7.25\n")
    project = dataclasses.replace(create_project(root, name="boston")[0], actor="ann")
    add_table(project, "housing", source, key=["ID"])
    return Story(root)


@pytest.fixture(scope="session")
def _told(_begun: Story, tmp_path_factory: pytest.TempPathFactory) -> Told:
    story = Story(Path(shutil.copytree(_begun.project.root, tmp_path_factory.mktemp("told") / "project")))
    runs = {"first": story.train().id}
    runs["filled"] = story.write_back(_find_model(story.project, "boston@1"), "guess")
    runs["second"] = story.train().id
    runs["restored"] = story.restore(0)
    runs["third"] = story.train().id
    return Told(story, runs)


@pytest.fixture
def begun(_begun: Story, tmp_path: Path) -> Story:
    """A project whose table was just imported."""
    return Story(Path(shutil.copytree(_begun.project.root, tmp_path / "begun")))


@pytest.fixture
def told(_told: Told, tmp_path: Path) -> Told:
    """boston@1 on housing@0; its predictions are housing@1; boston@2 on that; restored as housing@2; boston@3."""
    return Told(Story(Path(shutil.copytree(_told.story.project.root, tmp_path / "told"))), _told.runs)


def _find_model(project: Project, reference: str) -> ModelVersion:
    return find_version(read_registry(project.store), reference)


@pytest.fixture(scope="session")
def find_model() -> Callable[[Project, str], ModelVersion]:
    return _find_model
