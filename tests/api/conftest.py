"""A project in whose folder this process works, and scripts that use the API in processes of their own."""

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lin.api import session
from lin.project import Project, open_project
from lin.runs.add import add_table
from lin.runs.query import RunInfo, list_runs


@pytest.fixture
def here(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project with a table, in whose folder this process works; the API knows nothing of earlier tests."""
    source = tmp_path / "housing.csv"
    source.write_text("ID,rm\n1,6.5\n2,7.25\n")
    add_table(project, "housing", source, key=["ID"])
    monkeypatch.chdir(project.root)
    forget()
    yield open_project(project.root)
    forget()


def forget() -> None:
    if session._session.active is not None:
        session._session.active.end()
    session._session.project = session._session.captured = session._session.active = session._session.log = None


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process works in a folder without a project."""
    forget()
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def runs(here: Project) -> Callable[[], list[RunInfo]]:
    """Lists the runs of programs and commands, oldest first."""

    def runs() -> list[RunInfo]:
        found = list_runs(here.store)
        assert found.damaged == []
        return found.runs[::-1]

    return runs


@pytest.fixture
def only(runs: Callable[[], list[RunInfo]]) -> Callable[[], RunInfo]:
    """Reads the one run that there is."""

    def only() -> RunInfo:
        (run,) = runs()
        return run

    return only


@pytest.fixture
def script(here: Project) -> Callable[..., str]:
    """Runs a script in the project's folder and returns what it printed; `code` is how it must end."""

    def script(text: str, *, code: int = 0, name: str = "script.py") -> str:
        path = here.root / name
        path.write_text("import os, sys\nimport lin\n" + textwrap.dedent(text))
        done = subprocess.run([sys.executable, path], cwd=here.root, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout

    return script
