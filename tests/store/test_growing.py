"""Logs that are read while they grow, on both backends."""

from pathlib import Path

import pytest

from lin.errors import OutsideError
from lin.ids import day_of, new_id
from lin.store.backend import Backend
from lin.store.growing import GrowingFile
from lin.store.local import LocalBackend
from lin.store.memory import MemoryBackend
from lin.store.runs import OUTPUT, Runs


@pytest.fixture(params=["local", "memory"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    return LocalBackend(tmp_path / "store") if request.param == "local" else MemoryBackend()


def test_what_is_there_and_what_comes(backend: Backend) -> None:
    run = new_id()
    file = GrowingFile(backend, run, OUTPUT)
    assert (file.size(), file.read(0, 10)) == (0, b"")
    log = Runs(backend).appender(run, OUTPUT)
    log.append(b"0123456789")
    assert (file.size(), file.read(3, 4), file.read(8, 4), file.read(10, 4)) == (10, b"3456", b"89", b"")
    log.append(b"abc")
    assert file.read(10, 4) == b"abc"


def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    run = new_id()
    folder = tmp_path / "runs" / day_of(run) / run
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (folder / OUTPUT).symlink_to(tmp_path / "secret")
    file = GrowingFile(LocalBackend(tmp_path), run, OUTPUT)
    with pytest.raises(OutsideError, match="cannot read"):
        file.read(0, 10)
    (folder / OUTPUT).unlink()
    (folder / OUTPUT).mkdir()
    with pytest.raises(OutsideError, match="not a regular file"):
        file.read(0, 10)
