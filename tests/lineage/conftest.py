"""The story of a table and its models, recorded without a single fit."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest

from lin.data.tables import Table, open_table
from lin.data.write import fill_column
from lin.models.registry import ModelVersion, register_model
from lin.project import Project, open_project
from lin.records import Input, ModelRef
from lin.runs.add import add_table
from lin.runs.query import RunInfo, read_run
from lin.runs.record import begin_run, capture
from lin.runs.restore import restore_table
from lin.runs.train import MODEL
from lin.runs.writes import pin_input, record_write


class Story:
    """A project with the table `housing`, and what people do with it."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._captured = capture(project)

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


@pytest.fixture
def begun(project: Project, tmp_path: Path) -> Story:
    """A project whose table was just imported."""
    source = tmp_path / "housing.csv"
    source.write_text("ID,rm\n1,6.5\n2,7.25\n")
    add_table(project, "housing", source, key=["ID"])
    return Story(open_project(project.root))


@pytest.fixture
def find_model() -> Callable[[Project, str], ModelVersion]:
    from lin.models.registry import find_version, read_registry

    return lambda project, reference: find_version(read_registry(project.store), reference)


@pytest.fixture
def told(begun: Story, find_model: Callable[[Project, str], ModelVersion]) -> Told:
    """boston@1 on housing@0; its predictions are housing@1; boston@2 on that; restored as housing@2; boston@3."""
    runs = {"first": begun.train().id}
    runs["filled"] = begun.write_back(find_model(begun.project, "boston@1"), "guess")
    runs["second"] = begun.train().id
    runs["restored"] = begun.restore(0)
    runs["third"] = begun.train().id
    return Told(begun, runs)
