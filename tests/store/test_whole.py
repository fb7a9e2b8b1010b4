"""Files and folders written whole: what a kill at each call leaves, what two writers do, and whose leftovers go."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lin.store import failpoints
from lin.store.whole import discard_unfinished, whole_file, whole_folder, write_whole

PUT = """
import sys
from pathlib import Path
from lin.store.whole import whole_folder, write_whole

place, replace = Path(sys.argv[1]), sys.argv[2] == "replace"
write_whole(place / "file", b"new" * 100, replace=replace)
with whole_folder(place / "folder") as made:
    (made / "one").write_bytes(b"new")
    (made / "two").write_bytes(b"new")
"""
CALLS = ["open", "fsync", "close", "mkdir", "rename"]
MOST = 12


def put(place: Path, how: str, plan: str = "") -> int:
    words = [sys.executable, "-c", PUT, str(place), how]
    return subprocess.run(words, env={**os.environ, failpoints.VARIABLE: plan}, check=False).returncode


def old_content(place: Path) -> None:
    place.mkdir()
    (place / "file").write_bytes(b"old")
    (place / "folder").mkdir()
    (place / "folder/zero").write_bytes(b"old")


def content(place: Path) -> tuple[bytes, dict[str, bytes]]:
    return (place / "file").read_bytes(), {file.name: file.read_bytes() for file in (place / "folder").iterdir()}


def names(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def spoil(place: Path) -> None:
    with whole_file(place / "file") as file:
        file.write(b"new")
        raise ValueError("no")


def spoil_folder(place: Path) -> None:
    with whole_folder(place / "folder") as made:
        (made / "one").touch()
        raise ValueError("no")


@pytest.mark.parametrize("call", CALLS)
def test_a_kill_at_any_call_leaves_the_old_or_the_new(tmp_path: Path, call: str):
    old, new = {"zero": b"old"}, {"one": b"new", "two": b"new"}
    for n in range(1, MOST):
        place = tmp_path / str(n)
        old_content(place)
        code = put(place, "replace", f"{call}:{n}:kill")
        if code == 0:
            break
        assert code == -signal.SIGKILL
        assert content(place) in [(b"old", old), (b"new" * 100, old), (b"new" * 100, new)]
        assert put(place, "replace") == 0
        assert content(place) == (b"new" * 100, new)
        assert names(place) == ["file", "folder"]
    else:
        pytest.fail(f"more than {MOST} calls of {call}")


@pytest.mark.parametrize("plan", ["fsync:1:kill", "link:1:kill", "link:1:killed", "unlink:1:kill"])
def test_a_file_that_is_made_only_once_is_absent_or_whole(tmp_path: Path, plan: str):
    assert put(tmp_path, "once", plan) == -signal.SIGKILL
    file = tmp_path / "file"
    assert not file.exists() or file.read_bytes() == b"new" * 100
    if file.exists():
        with pytest.raises(FileExistsError):
            write_whole(file, b"other", replace=False)
    else:
        write_whole(file, b"new" * 100, replace=False)
    assert names(tmp_path) == ["file"]
    assert file.read_bytes() == b"new" * 100


def test_what_somebody_is_writing_stays(tmp_path: Path):
    with whole_file(tmp_path / "file") as first:
        first.write(b"first")
        write_whole(tmp_path / "file", b"second")
        discard_unfinished(tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == b"second"
    assert (tmp_path / "file").read_bytes() == b"first"
    with whole_folder(tmp_path / "folder") as made:
        (made / "file").touch()
        discard_unfinished(tmp_path / "folder")
    assert names(tmp_path / "folder") == ["file"]


def test_an_error_in_the_block_changes_nothing(tmp_path: Path):
    old_content(tmp_path / "place")
    for change in (spoil, spoil_folder):
        with pytest.raises(ValueError, match="no"):
            change(tmp_path / "place")
    assert content(tmp_path / "place") == (b"old", {"zero": b"old"})
    assert names(tmp_path / "place") == ["file", "folder"]


def test_files_of_others_stay(tmp_path: Path):
    left = [".tmp-lin-notes", ".tmp-lin-0123456789ab-0123456789abcdef", ".file.1234abcd"]
    for name in left:
        (tmp_path / name).touch()
    write_whole(tmp_path / "file", b"new")
    assert names(tmp_path) == sorted([*left, "file"])


def test_a_name_as_long_as_a_name_can_be(tmp_path: Path):
    write_whole(tmp_path / ("n" * 255), b"new")
    assert names(tmp_path) == ["n" * 255]


def test_modes_are_those_of_the_umask(tmp_path: Path):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", b"")
        write_whole(tmp_path / "private", b"", mode=0o600)
        with whole_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "private", "folder")}
    assert modes == {"file": 0o640, "private": 0o600, "folder": 0o750}
