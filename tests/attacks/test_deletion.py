"""A folder that is swapped for a link while lin removes, writes or lists: a canary with the same name survives.

Hostile names and links that stand still are tried where each command is: tests/store/test_local.py,
tests/lineage/test_collect.py, tests/data/test_vacuum.py and test_links.py here.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lin.data.unlink import delete_files
from lin.errors import LinError
from lin.store.backend import Unfinished
from lin.store.local import LocalBackend

ROUNDS = 300
NAME = "ab" * 32


@contextmanager
def flipping(folder: Path, outside: Path) -> Iterator[None]:
    """Put a link to `outside` into the place of `folder` and the folder back, again and again."""
    done = threading.Event()
    aside = folder.with_name("aside")

    def flip() -> None:
        while not done.is_set():
            with suppress(OSError):
                folder.rename(aside)
                folder.symlink_to(outside)
            with suppress(OSError):
                folder.unlink()
            with suppress(OSError):
                aside.rename(folder)

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def remove(root: Path) -> None:
    LocalBackend(root).remove(f"blobs/ab/{NAME}")


def remove_folder(root: Path) -> None:
    LocalBackend(root).remove_folder("blobs/ab")


def discard(root: Path) -> None:
    LocalBackend(root).discard(Unfinished("blobs/ab", f".tmp-1-{NAME}", 1, 0.0))


def vacuum(root: Path) -> None:
    delete_files(root, [f"blobs/ab/{NAME}"])


def move(root: Path) -> None:
    LocalBackend(root).move("blobs/ab", NAME, "quarantine/now")


def write(root: Path) -> None:
    LocalBackend(root).put_if_absent("blobs/ab/fresh", b"fresh")


def append(root: Path) -> None:
    appender = LocalBackend(root).appender("blobs/ab/log")
    appender.append(b"more")
    appender.sync()
    appender.close()


@pytest.mark.parametrize("act", [remove, remove_folder, discard, vacuum, move, write, append])
def test_a_folder_swapped_for_a_link_leads_nobody_outside(
    tmp_path: Path, outside: Path, state: Callable, act: Callable[[Path], None]
) -> None:
    root = tmp_path / "store"
    folder = root / "blobs/ab"
    folder.mkdir(parents=True)
    for name in (NAME, f".tmp-1-{NAME}"):
        (outside / name).write_text("canary")
    before = state(outside)
    with flipping(folder, outside):
        for _ in range(ROUNDS):
            with suppress(LinError, OSError):
                (folder.with_name("aside") / NAME).touch()
            with suppress(LinError):
                act(root)
    assert state(outside) == before


@pytest.mark.parametrize("read", ["read", "size", "changed"])
def test_a_folder_swapped_for_a_link_shows_nobody_what_is_outside(tmp_path: Path, outside: Path, read: str) -> None:
    root = tmp_path / "store"
    folder = root / "blobs/ab"
    folder.mkdir(parents=True)
    (outside / NAME).write_text("canary")
    backend = LocalBackend(root)
    found = set()
    with flipping(folder, outside):
        for _ in range(ROUNDS):
            with suppress(LinError):
                found.add(getattr(backend, read)(f"blobs/ab/{NAME}"))
            with suppress(LinError):
                found.update(backend.list("blobs/ab"))
    assert found <= {None}


def test_gc_takes_no_file_that_lies_behind_a_link(lab: Path, lin: Callable, outside: Path, state: Callable) -> None:
    """What nobody locks in the folder of announcements goes with `gc`: whatever it is, if that is a link."""
    (outside / NAME[:32]).write_text("canary")
    announced = lab / ".lin/.announced"
    for path in announced.iterdir():
        path.unlink()
    announced.rmdir()
    announced.symlink_to(outside)
    before = state(outside)
    assert lin("delete", "job").code == 0
    assert lin("gc", "--yes").code == 13
    assert state(outside) == before
