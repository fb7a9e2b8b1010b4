"""A store that may not be written: what reads works and changes nothing, what writes is refused."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lin.errors import ExitCode
from lin.project import create_project
from lin.runs.add import add_table

READERS = ["runs", "tables", "status", "show housing", "history housing", "trace housing@0", "fsck --read-data", "gc"]
WRITERS = ["init", "run -- true", "index --rebuild", "gc --yes"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a table, that everybody may read."""
    folder = tmp_path / "boston"
    folder.mkdir()
    (folder / "housing.csv").write_text("ID,rm\n1,6.5\n2,7.25\n")
    add_table(create_project(folder, name="boston")[0], "housing", folder / "housing.csv", key=["ID"])
    return folder


@pytest.fixture
def mounted(root: Path, tmp_path: Path) -> Iterator[Path]:
    """The project on a read-only mount."""
    place = tmp_path / "mounted"
    place.mkdir()
    words = f"mount --bind {root} {place} && mount -o remount,ro,bind {place}"
    if subprocess.run(["/bin/sh", "-c", words], capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def look(root: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in root.rglob("*")}


def lin(folder: Path, words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lin", *words.split()]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_what_reads_works_on_a_read_only_mount(mounted: Path, root: Path) -> None:
    before = look(root)
    for words in READERS:
        done = lin(mounted, words)
        assert (done.returncode, done.stderr) == (0, ""), words
    assert look(root) == before


def test_what_writes_is_refused_on_a_read_only_mount(mounted: Path, root: Path) -> None:
    before = look(root)
    for words in WRITERS:
        done = lin(mounted, words)
        assert done.returncode == ExitCode.OUTSIDE, words
        assert "Read-only file system" in done.stderr
    assert look(root) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root becomes somebody else")
def test_somebody_else_reads_and_does_not_write(root: Path, tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("there is no setpriv")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005:
            pytest.skip("somebody else cannot reach the folder of this test")
    subprocess.run(["chmod", "-R", "a+rX", str(root)], check=True)
    before = look(root)
    other = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", sys.executable, "-m", "lin"]
    codes = [
        subprocess.run([*other, *words.split()], cwd=root, capture_output=True, check=False).returncode
        for words in ("runs", "fsck --read-data", "run -- true")
    ]
    assert codes == [0, 0, ExitCode.OUTSIDE]
    assert look(root) == before
