"""A store put in order: dry first, nothing is deleted, and after a kill at any step the same finishes."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lin.errors import StoreError
from lin.lineage.fsck.findings import Fsck
from lin.lineage.fsck.repair import Quarantine, plan_repair, repair_store, tell_repair
from lin.project import Project
from lin.records import decode, digest
from lin.runs.catalog import rebuild_index
from lin.store.fsck import blob_key, run_folder
from lin.store.local import LocalBackend

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
Look = Callable[..., Fsck]


@pytest.fixture
def damaged(told, flip: Callable[..., None]) -> Project:
    """A store with strays, a blob that can be put back, one that cannot, a damaged index, and a damaged record."""
    story, runs = told
    root = story.project.store_root
    rebuild_index(story.project.store)
    for path in (root / "index/_delta_log").iterdir():
        path.write_bytes(b"")
    (root / "blobs/zz").mkdir()
    (root / os.fsdecode(b"bad\xff name")).write_text("stray")
    (root / "why.json").write_text("stray")
    flip(root / blob_key(digest((story.project.root / "lineage.toml").read_bytes())))
    flip(root / blob_key(digest(runs["second"].encode())))
    flip(root / run_folder(runs["filled"]) / "run.json")
    return story.project


def files(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and "index" not in path.parts}


def test_what_would_be_done_is_told_and_nothing_is(damaged: Project, look: Look) -> None:
    before = files(damaged.root)
    found = look(damaged.root)
    told = tell_repair(plan_repair(found), found)
    settings = blob_key(digest((damaged.root / "lineage.toml").read_bytes()))
    assert (told.done, told.rebuilt, told.quarantine) == (False, True, None)
    assert told.put_back == [settings]
    assert {"bad\\xff name", "blobs/zz", "why.json", "index", settings} < set(told.moved)
    assert told.left == 2  # the other blob and the record
    assert files(damaged.root) == before


def test_it_is_done_and_every_byte_is_still_there(damaged: Project, look: Look) -> None:
    before = files(damaged.root)
    found = look(damaged.root)
    folder = repair_store(damaged, plan_repair(found), now=NOW)
    assert folder is not None
    after = look(damaged.root)
    assert [(finding.file.split("/")[0], finding.ill) for finding in after.findings] == [
        ("runs", "damaged"),
        ("blobs", "missing"),
    ]
    assert after.rows == 5
    assert set(before.values()) <= set(files(damaged.root).values())
    why = decode((damaged.store_root / folder / "why.json").read_bytes(), Quarantine, where="why.json")
    assert {each.path for each in why.files} == {move.file for move in plan_repair(found).moves}
    assert (damaged.store_root / folder / "blobs/zz").is_dir()
    assert (damaged.store_root / folder / "root/why.json").read_text() == "stray"
    assert plan_repair(after)[:3] == ([], [], False)


def test_what_was_moved_can_be_kept_again(told, look: Look, flip: Callable[..., None]) -> None:
    story, runs = told
    content = runs["second"].encode()
    flip(story.project.store_root / blob_key(digest(content)))
    repair_store(story.project, plan_repair(look(story.project.root)), now=NOW)
    story.project.store.blobs.put(content)
    assert look(story.project.root).whole


class _KilledError(Exception):
    pass


class Killed(LocalBackend):
    """Dies at its n-th change."""

    def __init__(self, root: Path, at: int) -> None:
        super().__init__(root)
        self.left = at

    def put_if_absent(self, *args) -> None:
        self._step()
        super().put_if_absent(*args)

    def move(self, *args) -> None:
        self._step()
        super().move(*args)

    def _step(self) -> None:
        self.left -= 1
        if not self.left:
            raise _KilledError


def test_after_a_kill_at_any_step_the_same_finishes(damaged: Project, look: Look) -> None:
    for at in range(1, 9):
        backend = Killed(damaged.store_root, at)
        damaged.store.blobs._backend = backend
        try:
            repair_store(damaged, plan_repair(look(damaged.root)), now=NOW.replace(second=at))
        except _KilledError:
            assert not look(damaged.root).whole
        else:
            break
    assert at > 3
    assert [finding.ill for finding in look(damaged.root).findings] == ["damaged", "missing"]


@pytest.mark.parametrize("folder", ["runs", "events", "blobs"])
def test_a_linked_folder_of_the_store_stays(told, look: Look, tmp_path: Path, folder: str) -> None:
    """Somebody may have put it on another disk: it is told, and left to them."""
    story, _ = told
    (story.project.store_root / folder).rename(tmp_path / "elsewhere")
    (story.project.store_root / folder).symlink_to(tmp_path / "elsewhere")
    found = look(story.project.root)
    assert (folder, "damaged") in [(finding.file, finding.ill) for finding in found.findings]
    assert plan_repair(found).moves == []


def test_nothing_leaves_the_store_through_a_link(damaged: Project, look: Look, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (damaged.store_root / "quarantine").symlink_to(tmp_path / "outside")
    with pytest.raises(StoreError, match="quarantine in the store is no folder"):
        repair_store(damaged, plan_repair(look(damaged.root)), now=NOW)
    assert list((tmp_path / "outside").iterdir()) == []
