"""A disk that is full or fails: told with a hint, what was acknowledged stays, and with room the same works again."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lin.errors import ExitCode, OutsideError
from lin.events import Tag
from lin.ids import new_id
from lin.project import Project, create_project, open_project


def tag(project: Project, value: str) -> None:
    project.store.events.append(
        lambda _: Tag(model="boston", key="k", value=value), actor="ann", op_id=new_id(), now=datetime.now(UTC)
    )


def values(root: Path) -> list[str]:
    return [event.change.value for event in open_project(root).store.events.read()]


@pytest.fixture(params=[64, 256, 1024])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={request.param}k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a tmpfs can only be mounted by root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_store_on_a_small_disk_fills_up_and_goes_on(small_disk: Path) -> None:
    project, _ = create_project(small_disk, name="boston")
    filler = small_disk / "filler"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    filler.write_bytes(b"x" * max(0, free - 20_000))
    done = []

    def fill() -> None:
        for number in range(1000):
            tag(project, str(number))
            done.append(str(number))

    with pytest.raises(OutsideError, match="No space left on device") as full:
        fill()
    assert full.value.hint == "free some space and run the command again"
    assert values(small_disk) == done
    filler.unlink()
    tag(open_project(small_disk), "again")
    assert values(small_disk) == [*done, "again"]
    assert project.store.blobs.backend.unfinished("events") == []


@pytest.mark.parametrize("plan", ["listdir:1:EIO", "lstat:1:EIO", "lstat:2:EMFILE", "open:1:EIO", "close:1:EIO"])
def test_a_disk_that_fails_a_reader_is_told(tmp_path: Path, plan: str) -> None:
    create_project(tmp_path, name="boston")
    words = [sys.executable, "-m", "lin", "models"]
    environment = {**os.environ, "LIN_FAILPOINTS": plan}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "bug in lin" not in done.stderr
    assert done.returncode in {ExitCode.OUTSIDE, ExitCode.OK}
    assert done.returncode == ExitCode.OK or done.stderr.startswith("error: cannot ")


def test_settings_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    create_project(tmp_path, name="boston")
    (tmp_path / "lineage.toml").unlink()
    (tmp_path / "lineage.toml").symlink_to("/proc/self/mem")
    with pytest.raises(OutsideError, match=r"cannot read .*lineage.toml"):
        open_project(tmp_path)


FEW = "import threading; threading.stack_size((1 << 47) - (1 << 16)); from lin.cli.main import main; main()"
"""A `lin` to which the system gives no second thread: no stack of that size can be had."""


def test_without_threads_a_program_is_not_left_waiting_and_a_write_is_told(tmp_path: Path) -> None:
    create_project(tmp_path, name="boston")
    (tmp_path / "wine.csv").write_text("id,ph\n1,3.2\n2,3.1\n")

    def lin(*words: str, few: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *(["-c", FEW] if few else ["-m", "lin"]), *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    ran = lin("run", "--", sys.executable, "-c", "print('x' * 100_000)")
    assert (ran.returncode, "Traceback" in ran.stderr) == (126, False)
    runs = open_project(tmp_path).store.runs
    sealed = [run.error for run in map(runs.sealed, runs.ids()) if run]
    assert sealed == [f"cannot watch {sys.executable}: can't start new thread"]
    added = lin("add", "wine", "wine.csv", "--key", "id")
    assert (added.returncode, added.stderr.partition(" (")[0]) == (
        ExitCode.OUTSIDE,
        "error: the system gives no more threads",
    )
    assert lin("add", "wine", "wine.csv", "--key", "id", few=False).returncode == ExitCode.OK
    assert lin("fsck", "--read-data").returncode == ExitCode.OK
