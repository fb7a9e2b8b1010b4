"""What all tests share: an environment without the user's settings, and a project to work in."""

import os
from pathlib import Path

import pytest

from lin.project import Project, create_project


@pytest.fixture(autouse=True)
def _hermetic(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of whoever runs the tests: an empty home, no LIN_… and no GIT_… variables, a known actor."""
    for name in list(os.environ):
        if name.startswith(("LIN_", "GIT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("LIN_ACTOR", "ann")
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project in a folder of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    return create_project(folder, name="boston")[0]
