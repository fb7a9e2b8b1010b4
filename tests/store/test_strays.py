"""What lin did not put into a store is told, by whatever name; what it left unfinished is counted."""

import os
import socket
from pathlib import Path

import pytest

from lin.ids import day_of, new_id
from lin.store.fsck import Fault
from lin.store.local import LocalBackend
from lin.store.memory import MemoryBackend
from lin.store.store import create_store
from lin.store.strays import find_strays

RUN = new_id(1_795_305_600_000_000_000, b"8 bytes.")
EARLY = new_id(1, b"8 bytes.")
DAY = f"runs/{day_of(RUN)}"
SHA256 = "ab" * 32


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with one of everything that belongs there."""
    root = tmp_path / "store"
    create_store(LocalBackend(root))
    names = ("start.json", "log.jsonl", "output.log", "run.json")
    for key in [".gitignore", "events/000000000001.json", f"blobs/ab/{SHA256}", *(f"{DAY}/{RUN}/{n}" for n in names)]:
        make(root, key)
    for key in ("index/whatever", "quarantine/whatever", ".announced/gate", f".announced/{RUN}"):
        make(root, key)
    return root


def make(root: Path, key: str) -> None:
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)


def strays(root: Path) -> list[Fault]:
    return find_strays(LocalBackend(root)).faults


def test_what_lin_put_there_is_none(root: Path) -> None:
    assert find_strays(LocalBackend(root)) == ([], 0)
    store = create_store(MemoryBackend())
    store.blobs.put(b"x")
    assert find_strays(store.blobs.backend) == ([], 0)


@pytest.mark.parametrize(
    "key",
    [
        "notes.txt",
        ".announced/notes.txt",
        ".hidden",
        "events/000000000002.json.bak",
        "events/2.json",
        "blobs/zz",
        f"blobs/ac/{SHA256}",
        "blobs/ab/.DS_Store",
        "runs/yesterday",
        f"{DAY}/{EARLY}",
        f"{DAY}/ffffffffffff70000000000000000000",
        f"{DAY}/{RUN}/core",
        f"{DAY}/{RUN}/with blank and ünïcode",
    ],
)
def test_anything_else_is_named(root: Path, key: str) -> None:
    make(root, key)
    (fault,) = strays(root)
    assert (fault.key, fault.ill, fault.what) == (key, "stray", "a file that lin did not put there")


def test_a_name_that_is_no_text_is_shown_as_an_escape(root: Path) -> None:
    (root / os.fsdecode(b"bad\xff")).touch()
    assert [fault.key for fault in strays(root)] == ["bad\\xff"]


@pytest.mark.parametrize(
    "key", ["store.json", "events/000000000001.json", f"blobs/ab/{SHA256}", f"{DAY}/{RUN}/run.json", f"{DAY}/{RUN}"]
)
def test_links_and_special_files_are_not_what_belongs_there(root: Path, tmp_path: Path, key: str) -> None:
    path = root / key
    path.rename(tmp_path / "aside")
    path.symlink_to(tmp_path / "aside")
    (fault,) = strays(root)
    expected = "folder" if key.endswith(RUN) else "file"
    assert (fault.key, fault.ill) == (key, "damaged")
    assert fault.what == f"it is a link or a special file where a {expected} belongs"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as opened:
        here = Path.cwd()
        os.chdir(path.parent)
        opened.bind(path.name)
        os.chdir(here)
    assert [fault.ill for fault in strays(root)] == ["damaged"]


@pytest.mark.parametrize("folder", ["events", "blobs", "runs", "blobs/ab", DAY])
def test_a_linked_folder_is_not_entered(root: Path, tmp_path: Path, folder: str) -> None:
    make(root, f"{folder}/stray")
    (root / folder).rename(tmp_path / "aside")
    (root / folder).symlink_to(tmp_path / "aside")
    assert [(fault.key, fault.ill) for fault in strays(root)] == [(folder, "damaged")]


def test_unfinished_writes_are_counted(root: Path) -> None:
    left = [".tmp-1-ab", "..gitignore.123", "events/.tmp-1-ab", "blobs/ab/.tmp-1-ab", f"{DAY}/{RUN}/.nfs0001"]
    for key in left:
        make(root, key)
    (root / ".tmp-index-0").mkdir()
    assert find_strays(LocalBackend(root)) == ([], 6)


def test_what_everybody_may_write_to_is_one_finding(root: Path) -> None:
    (root / "blobs/ab").chmod(0o777)
    (root / f"{DAY}/{RUN}/run.json").chmod(0o666)
    (fault,) = strays(root)
    assert (fault.key, fault.ill) == ("blobs/ab", "exposed")
    assert fault.what == "everybody on this machine may write to it, and to 1 more"
