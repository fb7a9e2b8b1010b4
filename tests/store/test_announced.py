"""Announcements live as long as the process that made them, or its forks, and die with it however it dies."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lin.errors import OutsideError
from lin.store.local import LocalBackend

ANNOUNCER = """
import sys, time
from pathlib import Path
from lin.store.local import LocalBackend
backend = LocalBackend(Path(sys.argv[1]))
backend.announce(["blobs/ab/one"])
backend.announce(["blobs/ab/two"])
print("announced", flush=True)
sys.stdin.read()
"""

FORKER = """
import os, sys
from pathlib import Path
from lin.store.local import LocalBackend
backend = LocalBackend(Path(sys.argv[1]))
backend.announce(["blobs/ab/parent"])
if os.fork() == 0:
    backend.announce(["blobs/ab/child"])
    print("announced", flush=True)
    sys.stdin.read()
sys.exit()
"""


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path / "store")


def start(code: str, backend: LocalBackend) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", code, str(backend.root)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"announced\n"
    return process


def lists(backend: LocalBackend) -> list[str]:
    return [path.name for path in (backend.root / ".announced").iterdir() if path.name != "gate"]


@pytest.mark.parametrize("end", ["exit", "kill"])
def test_what_a_process_announced_counts_until_it_ends(backend: LocalBackend, end: str) -> None:
    with start(ANNOUNCER, backend) as process:
        with backend.alone():
            assert backend.announced() == {"blobs/ab/one", "blobs/ab/two"}
        if end == "kill":
            process.send_signal(signal.SIGKILL)
        else:
            process.communicate(b"")
        process.wait()
        assert backend.announced() == set()
        assert len(lists(backend)) == (1 if end == "kill" else 0)
        with backend.alone():
            assert lists(backend) == []


def test_a_fork_keeps_what_its_parent_announced(backend: LocalBackend) -> None:
    with start(FORKER, backend) as parent:
        parent.wait()
        with backend.alone():
            assert backend.announced() == {"blobs/ab/parent", "blobs/ab/child"}
        parent.communicate(b"")  # the fork reads the same end of file, and ends
        while backend.announced():
            pass
    with backend.alone():
        assert lists(backend) == []


def test_a_list_goes_with_the_backend(backend: LocalBackend) -> None:
    other = LocalBackend(backend.root)
    backend.announce(["blobs/ab/ours"])
    other.announce(["blobs/ab/theirs"])
    assert backend.announced() == {"blobs/ab/ours", "blobs/ab/theirs"}
    del other
    assert backend.announced() == {"blobs/ab/ours"}
    assert len(lists(backend)) == 1


def test_a_list_of_a_store_that_was_copied_is_nobodys(backend: LocalBackend, tmp_path: Path) -> None:
    backend.announce(["blobs/ab/ours"])
    copy = tmp_path / "copy"
    (copy / ".announced").mkdir(parents=True)
    for name in lists(backend):
        (copy / ".announced" / name).write_bytes((backend.root / ".announced" / name).read_bytes())
    assert LocalBackend(copy).announced() == set()


def test_asking_writes_nothing(backend: LocalBackend) -> None:
    assert backend.announced() == set()
    assert not backend.root.exists()


def test_a_store_that_is_not_there_cannot_be_locked(backend: LocalBackend) -> None:
    with pytest.raises(OutsideError, match="cannot lock"), backend.alone():
        pass


def test_what_fails_while_alone_frees_the_gate(backend: LocalBackend) -> None:
    backend.announce(["a"])
    with pytest.raises(ValueError, match="ours"), backend.alone():
        raise ValueError("ours")
    assert backend.announce(["b"]) == {"b"}
