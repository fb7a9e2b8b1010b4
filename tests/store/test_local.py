"""What the local backend promises beyond the contract: durability, permissions, no symlinks, clear failures."""

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lin.errors import OutsideError
from lin.store.backend import ObjectExistsError, ObjectMissingError, Unfinished
from lin.store.local import LocalBackend, rename_without_replacing


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_folders_and_files_are_private_under_any_umask(root: Path) -> None:
    before = os.umask(0)
    try:
        backend = LocalBackend(root)
        backend.put_if_absent("a/b/c", b"x")
        backend.appender("a/b/log").close()
    finally:
        os.umask(before)
    for folder in (root, root / "a", root / "a/b"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in (root / "a/b/c", root / "a/b/log"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_temporary_file_is_left(root: Path) -> None:
    backend = LocalBackend(root)
    backend.put_if_absent("a/b", b"x")
    with pytest.raises(ObjectExistsError):
        backend.put_if_absent("a/b", b"y")
    assert [p.name for p in (root / "a").iterdir()] == ["b"]


def test_a_temporary_file_of_a_killed_writer_is_not_listed(root: Path) -> None:
    backend = LocalBackend(root)
    backend.put_if_absent("a/b", b"x")
    (root / "a/.tmp-1-abc").write_bytes(b"half")
    assert backend.list("a") == ["b"]


def test_symlinks_and_other_things_are_not_read(root: Path, tmp_path: Path) -> None:
    backend = LocalBackend(root)
    backend.put_if_absent("a/b", b"x")
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "a/link").symlink_to(tmp_path / "secret")
    os.mkfifo(root / "a/pipe")
    for read in (backend.read, lambda key: [*backend.stream(key)]):
        with pytest.raises(ObjectMissingError, match="a/link in the store is not a regular file"):
            read("a/link")
    with pytest.raises(OutsideError, match="a/link"):
        backend.appender("a/link")
    with pytest.raises(ObjectMissingError, match="not a regular file"):
        backend.read("a/pipe")
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_rename_without_replacing_serves_where_links_do_not(root: Path) -> None:
    root.mkdir()
    (root / "new").write_bytes(b"new")
    (root / "taken").write_bytes(b"old")
    folder = os.open(root, os.O_RDONLY)
    try:
        with pytest.raises(FileExistsError):
            rename_without_replacing(folder, "new", "taken")
        rename_without_replacing(folder, "new", "free")
    finally:
        os.close(folder)
    assert (root / "taken").read_bytes() == b"old"
    assert (root / "free").read_bytes() == b"new"


def test_a_file_too_large_for_the_disk_is_a_clear_error(root: Path) -> None:
    """A real EFBIG, by a limit on the size of files in a process of its own."""
    code = f"""
import signal
from pathlib import Path
from lin.errors import OutsideError
from lin.store.local import LocalBackend
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
backend = LocalBackend(Path({str(root)!r}))
backend.put_if_absent("a/small", b"fits")
try:
    backend.put_if_absent("a/large", b"x" * 200_000)
except OutsideError as error:
    print(error.message)
print(backend.list("a"), backend.read("a/small"))
"""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run([sys.executable, "-c", code], preexec_fn=limit, capture_output=True, text=True, check=True)
    assert done.stdout == "cannot write a/large in the store: File too large\n['small'] b'fits'\n"


def test_an_acknowledged_put_was_fsynced_before_and_after_the_link(root: Path) -> None:
    """The system calls in their order, seen from inside by an audit hook and by a wrapper around fsync."""
    code = f"""
import os, sys
from pathlib import Path
from lin.store.local import LocalBackend
calls = []
real = os.fsync
def fsync(fd):
    calls.append("fsync folder" if os.path.isdir(f"/proc/self/fd/{{fd}}") else "fsync file")
    real(fd)
os.fsync = fsync
sys.addaudithook(lambda name, _: calls.append(name) if name in ("os.link", "os.remove", "os.mkdir") else None)
backend = LocalBackend(Path({str(root)!r}))
backend.put_if_absent("a/b", b"x")
print(calls)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(
        [
            "os.mkdir",
            "fsync folder",
            "os.mkdir",
            "fsync folder",
            "fsync file",
            "os.link",
            "fsync folder",
            "os.remove",
        ]
    )


def test_nothing_outside_of_the_store_is_removed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "canary").write_bytes(b"alive")
    backend = LocalBackend(root)
    backend.put_if_absent("runs/day/run/start.json", b"x")
    (root / "runs/day/run/link").symlink_to(outside)
    (root / "runs/day/run/file").symlink_to(outside / "canary")
    (root / "runs/day/linked").symlink_to(outside)
    (root / "runs/other").symlink_to(outside)
    (root / "direct").symlink_to(outside / "canary")
    backend.remove_folder("runs/day/run")
    backend.remove("direct")
    for refused in (
        lambda: backend.remove_folder("runs/day/linked"),
        lambda: backend.remove("runs/other/canary"),
        lambda: backend.discard(Unfinished("runs/other", "canary", 5, 0.0)),
    ):
        with pytest.raises(OutsideError, match="cannot remove runs/"):
            refused()
    assert (outside / "canary").read_bytes() == b"alive"
    assert not (root / "runs/day/run").exists()


def test_an_unfinished_write_is_told_with_its_age_and_discarded(root: Path) -> None:
    backend = LocalBackend(root)
    backend.put_if_absent("a/b", b"x")
    (root / "a/.tmp-1-abc").write_bytes(b"half")
    os.utime(root / "a/.tmp-1-abc", (5, 5))
    os.link(root / "a/b", root / "a/.tmp-1-def")  # killed between link and unlink: it takes no room of its own
    half, linked = sorted(backend.unfinished("a"))
    assert half == Unfinished("a", ".tmp-1-abc", 4, 5.0)
    assert (linked.name, linked.bytes) == (".tmp-1-def", 0)
    for write in (half, linked, half):
        backend.discard(write)
    assert [path.name for path in (root / "a").iterdir()] == ["b"]
    (root / ".tmp-2-x").touch()
    assert [write.name for write in backend.unfinished("")] == [".tmp-2-x"]


def test_two_may_remove_the_same_folder_at_once(root: Path) -> None:
    code = f"""
from pathlib import Path
from lin.store.local import LocalBackend
backend = LocalBackend(Path({str(root)!r}))
for number in range(100):
    backend.remove_folder(f"runs/{{number}}")
"""
    backend = LocalBackend(root)
    for number in range(100):
        for name in "abcd":
            (root / f"runs/{number}").mkdir(parents=True, exist_ok=True)
            (root / f"runs/{number}/{name}").touch()
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert backend.list("runs") == []
