"""A project with a small table, and runs that are recorded by hand."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lin.project import Project, open_project
from lin.records import Kind
from lin.runs.add import add_table
from lin.runs.query import RunInfo, list_runs
from lin.runs.record import Capture, Recorder, begin_run, capture


def _write_housing(path: Path, rows: int = 60) -> Path:
    """Homes with a value, every third one without: a CSV whose floats need all their digits."""
    draw = random.Random(7)
    lines = ["ID,rm,lstat,noise,medv"]
    for number in range(rows):
        rm, lstat, noise = draw.gauss(6, 1), draw.uniform(1, 30), draw.random()
        medv = "" if number % 3 == 2 else repr(5 * rm - 0.4 * lstat + draw.gauss(0, 1))
        lines.append(f"{number},{rm!r},{lstat!r},{noise!r},{medv}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def write_housing() -> Callable[..., Path]:
    return _write_housing


@pytest.fixture
def housing(project: Project, tmp_path: Path) -> Project:
    """The project with the table `housing`."""
    add_table(project, "housing", _write_housing(tmp_path / "housing.csv"), key=["ID"])
    return open_project(project.root)


@pytest.fixture
def captured(project: Project) -> Capture:
    return capture(project)


@pytest.fixture
def begin(project: Project, captured: Capture) -> Callable[..., Recorder]:
    """Begins a run, by default one of a program."""

    def begin(*, kind: Kind = "program", name: str = "fit", **options: Any) -> Recorder:
        return begin_run(project, captured, kind=kind, name=name, **options)

    return begin


@pytest.fixture(scope="session")
def every_run() -> Callable[..., list[RunInfo]]:
    """Lists the runs of a project, of every kind unless told, and fails where a record is damaged."""

    def every(project: Project, *kinds: Kind) -> list[RunInfo]:
        found = list_runs(project.store, kinds=frozenset(kinds) or None)
        assert found.damaged == []
        return found.runs

    return every
