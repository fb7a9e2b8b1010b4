"""Files that the system keeps back: told as such, never moved aside, and what was remembered of the store stays."""

import dataclasses
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lin.data.actions import AddFile
from lin.data.tables import Table
from lin.errors import OutsideError
from lin.lineage.fsck.check import check_store
from lin.lineage.fsck.findings import Fsck
from lin.lineage.fsck.mending import tell_mend_of_table
from lin.lineage.fsck.reading import Reading
from lin.lineage.fsck.repair import plan_repair, repair_store
from lin.lineage.fsck.tables import PinnedFiles, _check_head, _hash, check_log
from lin.project import Project
from lin.records import DataFile, Pin, digest
from lin.store.failpoints import VARIABLE
from lin.store.fsck import blob_key, run_folder
from lin.store.local import LocalBackend
from lin.store.store import Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LookAt = Callable[..., tuple[Project, Fsck]]


class RefusingBackend(LocalBackend):
    """A disk that gives some files and folders back no more."""

    def __init__(self, root: Path, kept: Collection[str], code: int) -> None:
        super().__init__(root)
        self._kept = frozenset(kept)
        self._error = OSError(code, os.strerror(code))

    def open_file(self, key: str) -> int:
        if key in self._kept:
            raise self._error
        return super().open_file(key)

    def _enter(self, folder: str) -> int:
        if any(f"{folder}/".startswith(f"{each}/") for each in self._kept):
            raise self._error
        return super()._enter(folder)


@pytest.fixture
def look_at(tmp_path: Path) -> LookAt:
    """Looks at a store on such a disk."""

    def look_at(project: Project, *kept: str, code: int = errno.EIO) -> tuple[Project, Fsck]:
        sick = dataclasses.replace(project, store=Store(RefusingBackend(project.store_root, kept, code)))
        cache = tmp_path / "cache"
        return sick, check_store(sick, share=1, chance=lambda: 0.0, pause=lambda: None, now=NOW, cache=cache)

    return look_at


def files(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.EMFILE])
def test_what_the_system_keeps_back_is_told_and_stays(told, look_at: LookAt, code: int) -> None:
    story, runs = told
    root = story.project.store_root
    pin = next(path for path in (root / "blobs").rglob("*") if path.is_file() and b'"pin/1"' in path.read_bytes())
    stray_blob = blob_key(story.project.store.blobs.put(b"nothing needs it"))
    needed_blob = blob_key(digest((story.project.root / "lineage.toml").read_bytes()))  # and lies elsewhere too
    run = run_folder(runs["first"])
    kept = [
        needed_blob,
        stray_blob,
        pin.relative_to(root).as_posix(),
        f"{run}/start.json",
        f"{run_folder(runs['second'])}/run.json",
        f"{run_folder(runs['filled'])}/log.jsonl",
        "events/000000000002.json",
    ]
    before = files(root)
    sick, found = look_at(story.project, *kept, code=code)
    there = [key for key in kept if (root / key).exists()]
    assert {(finding.file, finding.ill) for finding in found.findings} >= {(key, "unreadable") for key in there}
    assert {finding.ill for finding in found.findings} == {"unreadable"}
    assert all(os.strerror(code) in finding.what for finding in found.findings)
    plan = plan_repair(found)
    assert (plan.moves, plan.put_back, plan.left) == ([], [], len(found.findings))
    assert repair_store(sick, plan, now=NOW) is None
    assert files(root) == before
    assert look_at(story.project)[1].whole


@pytest.mark.parametrize("folder", ["run", "day", "blobs/", "runs", "blobs"])
def test_a_folder_that_cannot_be_entered(told, look_at: LookAt, folder: str) -> None:
    story, runs = told
    root, run = story.project.store_root, run_folder(runs["first"])
    blob = blob_key(digest((story.project.root / "lineage.toml").read_bytes()))
    key = {"run": run, "day": run.rpartition("/")[0], "blobs/": blob.rpartition("/")[0]}.get(folder, folder)
    before = files(root)
    sick, found = look_at(story.project, key)
    assert key in {finding.file for finding in found.findings}
    assert {finding.ill for finding in found.findings} == {"unreadable"}
    assert repair_store(sick, plan_repair(found), now=NOW) is None
    assert files(root) == before


def test_a_data_file_that_may_not_be_opened_is_not_damaged() -> None:
    with TemporaryDirectory() as folder:  # the folders of pytest let nobody else in
        root = Path(folder)
        root.chmod(0o755)
        (root / "x.parquet").write_bytes(b"rows")
        (root / "x.parquet").chmod(0)
        added = AddFile(path="x.parquet", bytes=4, modified=0, partition={}, rows=None, data_change=True)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            table = Table("t", root)
            pinned = _hash(table, "t", DataFile(path="x.parquet", bytes=4, sha256="0" * 64, partition={}))
            (newest,) = _check_head(table.log, "t", 0, [added])
        finally:
            os.seteuid(user)
    for fault in (pinned, newest):
        assert fault is not None
        assert (fault.ill, fault.key) == ("unreadable", "t/x.parquet")
        assert os.strerror(errno.EACCES) in fault.what


@contextmanager
def nobody() -> Iterator[None]:
    """As a user whom nothing belongs to, where the test has the right to become one."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("shut", ["", "t", "t/_delta_log", "t/_delta_log/00000000000000000000.json", "t/x.parquet"])
def test_a_table_that_is_kept_back_is_neither_gone_nor_damaged(shut: str) -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        inside = Path(folder) / "inside"
        write_deltalake(str(inside / "t"), pa.table({"x": [1]}))
        (data,) = (inside / "t").glob("*.parquet")
        data = data.rename(inside / "t/x.parquet")
        commit = inside / "t/_delta_log/00000000000000000000.json"
        commit.write_text(re.sub(r'"path":"[^"]*"', '"path":"x.parquet"', commit.read_text()))
        pinned = DataFile(path="x.parquet", bytes=data.stat().st_size, sha256=digest(data.read_bytes()), partition={})
        pin = Pin(schema="{}", reader=[], partition_columns=[], files=[pinned])
        mode = (inside / shut).stat().st_mode
        (inside / shut).chmod(0)
        try:
            with nobody():
                reading = Reading(1, chance=lambda: 0.0)
                faults = PinnedFiles(inside, reading).check("t", pin) + check_log(inside, "t", "t", {})
        finally:
            (inside / shut).chmod(mode)
    assert {fault.ill for fault in faults} == {"unreadable"}
    assert all(os.strerror(errno.EACCES) in fault.what for fault in faults)
    assert all("who may read it" in tell_mend_of_table(fault, "a copy of it") for fault in faults)


def test_events_that_cannot_be_listed_are_no_empty_log(told, look_at: LookAt) -> None:
    with pytest.raises(OutsideError, match="events"):
        look_at(told.story.project, "events")


def test_what_was_remembered_stays(told, look_at: LookAt, tmp_path: Path) -> None:
    story, _ = told
    late = story.train(name=None)  # only who saw it knows of it
    last = "events/000000000003.json"
    assert look_at(story.project)[1].whole
    _, found = look_at(story.project, last, run_folder(late.id))
    assert not found.whole
    (memory,) = (tmp_path / "cache").iterdir()
    (story.project.store_root / last).unlink()
    shutil.rmtree(story.project.store_root / run_folder(late.id))
    known = memory.read_bytes()
    memory.unlink()
    memory.symlink_to(memory)  # cannot be read either, and may be whole another time
    look_at(story.project)
    assert memory.is_symlink()
    memory.unlink()
    memory.write_bytes(known)
    gone = look_at(story.project)[1].findings
    assert {(finding.file, finding.ill) for finding in gone} == {(last, "missing"), (run_folder(late.id), "missing")}


def test_one_refusal_anywhere_moves_nothing(told) -> None:
    """Each call of `open` in turn, by a real process: a note, an error or nothing, and never a repair."""
    root = told.story.project.root
    before = files(root / ".lineage")
    for number in (3, 9, 27, 50, 81):
        plan = f"open:{number}:EIO open:{number + 1}:EMFILE open:{number + 40}:EACCES"
        words = [sys.executable, "-m", "lin", "fsck", "--read-data", "--repair", "--yes", "--json"]
        done = subprocess.run(words, cwd=root, env={**os.environ, VARIABLE: plan}, capture_output=True, check=False)
        assert done.returncode in {0, 1, 13}, done.stderr
        assert b"Traceback" not in done.stderr
        assert b"bug in lin" not in done.stderr
        if done.returncode != 13:
            assert {finding["ill"] for finding in json.loads(done.stdout)["found"]["findings"]} <= {"unreadable"}
        assert files(root / ".lineage") == before
