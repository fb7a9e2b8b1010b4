"""What lies in a store is seen as it lies there, and what `lin` did not name is not seen at all."""

from pathlib import Path

import pytest

from lin.ids import day_of, new_id
from lin.records import digest
from lin.store.blobs import Blobs
from lin.store.local import LocalBackend
from lin.store.removal import Removal
from lin.store.runs import Runs


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path)


@pytest.fixture
def removal(backend: LocalBackend) -> Removal:
    return Removal(backend)


def test_runs_and_blobs_are_told_and_strangers_are_not(backend: LocalBackend, removal: Removal, make_start) -> None:
    start = make_start()
    Runs(backend).begin(start)
    half = new_id()
    for stranger in (f"runs/{day_of(half)}/{half}/x", f"runs/2020-01-01/{new_id()}/start.json", "runs/notes/x"):
        backend.put_if_absent(stranger, b"")
    (backend.root / "runs/é").mkdir()
    sha256 = Blobs(backend).put(b"content")
    for stranger in (f"blobs/00/{sha256}", f"blobs/{sha256[:2]}/notes", f"blobs/zz/{digest(b'')}"):
        backend.put_if_absent(stranger, b"")
    assert set(removal.runs()) == {start.id, half}
    assert list(removal.blobs()) == [bytes.fromhex(sha256)]
    assert removal.blob_bytes(bytes.fromhex(sha256)) == 7
    assert removal.announced() == {bytes.fromhex(sha256)}


def test_a_run_goes_with_all_its_files(backend: LocalBackend, removal: Removal, make_start) -> None:
    runs, start, other = Runs(backend), make_start(), make_start()
    runs.begin(start)
    runs.begin(other)
    folder = backend.root / "runs" / day_of(start.id) / start.id
    (folder / ".tmp-1-a").write_bytes(b"half")
    size = (folder / "start.json").stat().st_size
    assert removal.run_bytes(start.id) == size
    assert [write.name for write in removal.unfinished([start.id, other.id])] == [".tmp-1-a"]
    removal.remove_run(start.id)
    removal.remove_run(start.id)
    assert list(removal.runs()) == [other.id]
    assert removal.run_bytes(start.id) == 0


def test_a_blob_goes_once(backend: LocalBackend, removal: Removal) -> None:
    blobs = Blobs(backend)
    kept, gone = bytes.fromhex(blobs.put(b"kept")), bytes.fromhex(blobs.put(b"gone"))
    for _ in range(2):
        removal.remove_blob(gone)
    assert list(removal.blobs()) == [kept]
    assert (removal.blob_bytes(gone), removal.blob_changed(gone)) == (0, None)
