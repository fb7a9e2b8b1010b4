"""Failpoints: what `LIN_FAILPOINTS` says happens to a whole process, and nothing where it is not set."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lin.errors import UsageError
from lin.store import failpoints
from lin.store.backend import ObjectMissingError
from lin.store.failpoints import FailingSystem
from lin.store.local import LocalBackend

PUT = "import sys; from pathlib import Path; from lin.store.local import LocalBackend\n"
PUT += "LocalBackend(Path(sys.argv[1])).put_if_absent('a/b', b'content' * 100)"


def put(root: Path, plan: str) -> int:
    words = [sys.executable, "-c", PUT, str(root)]
    ended = subprocess.run(words, env={**os.environ, failpoints.VARIABLE: plan}, capture_output=True, check=False)
    return ended.returncode


def test_without_the_variable_it_is_the_module_itself() -> None:
    assert failpoints.os is os


@pytest.mark.parametrize("plan", ["link:1:kill", "fsync:3:kill", "write:1:torn", "mkdir:2:killed"])
def test_a_kill_before_the_link_leaves_nothing(tmp_path: Path, plan: str) -> None:
    assert put(tmp_path / "store", plan) == -signal.SIGKILL
    with pytest.raises(ObjectMissingError):
        LocalBackend(tmp_path / "store").read("a/b")
    assert put(tmp_path / "store", "") == 0


@pytest.mark.parametrize("plan", ["link:1:killed", "unlink:1:kill"])
def test_a_kill_after_the_link_leaves_all(tmp_path: Path, plan: str) -> None:
    assert put(tmp_path / "store", plan) == -signal.SIGKILL
    assert LocalBackend(tmp_path / "store").read("a/b") == b"content" * 100


def test_a_short_write_is_gone_on_with(tmp_path: Path) -> None:
    assert put(tmp_path / "store", "write:1:short write:2:short") == 0
    assert LocalBackend(tmp_path / "store").read("a/b") == b"content" * 100


@pytest.mark.parametrize("plan", ["write:1:EIO", "fsync:3:EIO", "open:2:ENOSPC", "close:3:EIO", "link:1:EDQUOT"])
def test_an_error_is_told_and_leaves_nothing(tmp_path: Path, plan: str) -> None:
    assert put(tmp_path / "store", plan) == 1
    assert LocalBackend(tmp_path / "store").size("a/b") is None


@pytest.mark.parametrize(
    "plan", ["fsync:1", "fsync:x:EIO", "fsync:1:EXY", "fork:1:kill", "fsync:1:torn", "\N{SUPERSCRIPT TWO}"]
)
def test_a_plan_that_cannot_be_read_is_refused(plan: str) -> None:
    with pytest.raises(UsageError, match="LIN_FAILPOINTS"):
        FailingSystem(plan)


def test_an_error_after_the_link_is_told_although_all_is_there(tmp_path: Path) -> None:
    assert put(tmp_path / "store", "fsync:4:EIO") == 1
    assert LocalBackend(tmp_path / "store").read("a/b") == b"content" * 100
