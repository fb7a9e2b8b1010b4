"""A look at the store of a project, and files of it that are changed by hand."""

import dataclasses
import importlib.util
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from lin.lineage.fsck.check import check_store
from lin.lineage.fsck.findings import Finding, Fsck
from lin.project import Project, open_project

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
Look = Callable[..., Fsck]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Looks at all of a store, its content too, and remembers what it saw."""

    def look(root: Path, **options) -> Fsck:
        project = dataclasses.replace(open_project(root), actor="ann")
        given = {"share": 1.0, "chance": random.random, "pause": lambda: None, "now": NOW, "cache": tmp_path / "cache"}
        return check_store(project, **(given | options))

    return look


@pytest.fixture
def only(look: Look) -> Callable[..., Finding]:
    """The one finding that there is."""

    def only(root: Path, **options) -> Finding:
        (finding,) = look(root, **options).findings
        return finding

    return only


def _flip(path: Path, at: int = -3) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


@pytest.fixture(scope="session")
def flip() -> Callable[..., None]:
    """Changes one bit of a file."""
    return _flip


@pytest.fixture(scope="session")
def run_of() -> Callable[[Project, str], Path]:
    """The folder of a run."""
    from lin.store.fsck import run_folder

    return lambda project, run: project.store_root / run_folder(run)


@pytest.fixture(scope="session")
def rot() -> ModuleType:
    """The harness in `bench/rot.py`."""
    path = Path(__file__).parents[3] / "bench/rot.py"
    spec = importlib.util.spec_from_file_location("rot", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
