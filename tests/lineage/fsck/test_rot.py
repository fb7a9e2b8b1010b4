"""Rot of every kind in every file of a store: each is found, and the file is named. `bench/rot.py` does all bytes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from lin.lineage.fsck.findings import Fsck

BYTES = 12
"""Of each file so many, spread over it."""


@pytest.fixture(scope="session")
def small(rot: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rot.make_store(tmp_path_factory.mktemp("rot") / "boston")


def test_each_change_of_each_file_is_found(rot: ModuleType, small: Path) -> None:
    changes = list(rot.changes(small, BYTES))
    assert len(changes) > 800
    assert {name.split("/")[0] for name, _ in changes} == {"..", "blobs", "events", "runs", "store.json"}
    assert [each for each in changes if not rot.is_found(small, *each)] == []
    assert rot.look(small) == []


def test_the_last_bytes_of_records_too(rot: ModuleType, small: Path) -> None:
    """Their own sha256 stands there."""
    last = max((small / ".lin/events").iterdir())
    for name in ("store.json", f"events/{last.name}"):
        size = (small / ".lin" / name).stat().st_size
        for at in range(size - 80, size):
            assert rot.is_found(small, name, ("flip", at)), (name, at)


DAMAGED = sorted((Path(__file__).parents[2] / "stores/damaged").iterdir())


@pytest.mark.parametrize("store", DAMAGED, ids=lambda path: path.name)
def test_what_was_wrong_with_old_stores_is_found(store: Path, tmp_path: Path, look: Callable[..., Fsck]) -> None:
    shutil.copytree(store, tmp_path / "moved")
    expected = json.loads((store / "findings.json").read_text())
    found = {finding.file: finding.ill for finding in look(tmp_path / "moved").findings}
    assert expected.items() <= found.items()
