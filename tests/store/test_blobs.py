from pathlib import Path

import pytest

from lin.errors import NotFoundError, StoreError
from lin.records import digest
from lin.store.backend import ObjectMissingError
from lin.store.blobs import Blobs
from lin.store.local import LocalBackend


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(LocalBackend(tmp_path / "store"))


def test_content_is_kept_once_under_its_digest(blobs: Blobs, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 3_000_000)
    sha256, size = blobs.put_file(file)
    assert (sha256, size) == (digest(b"x" * 3_000_000), 3_000_000)
    assert blobs.put(b"x" * 3_000_000) == sha256
    assert blobs.read(sha256) == b"x" * 3_000_000
    assert len([p for p in (tmp_path / "store/blobs").rglob("*") if p.is_file()]) == 1


def test_rot_is_noticed_when_read(blobs: Blobs, tmp_path: Path) -> None:
    sha256 = blobs.put(b"precious")
    path = tmp_path / "store/blobs" / sha256[:2] / sha256
    path.chmod(0o600)
    path.write_bytes(b"Precious")
    with pytest.raises(StoreError, match=f"{sha256} is damaged"):
        blobs.read(sha256)
    with pytest.raises(StoreError, match="its content is another"):
        blobs.put(b"precious")  # what is acknowledged must be there


def test_a_torn_blob_is_not_taken_for_the_content(blobs: Blobs, tmp_path: Path) -> None:
    sha256 = blobs.put(b"precious")
    (tmp_path / "store/blobs" / sha256[:2] / sha256).write_bytes(b"prec")
    with pytest.raises(StoreError, match="4 bytes instead of 8"):
        blobs.put(b"precious")


def test_a_missing_file_is_named(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"there is no file '.*/nowhere'"):
        blobs.put_file(tmp_path / "nowhere")


def test_what_is_put_or_held_is_announced_before_it_is_named(blobs: Blobs, tmp_path: Path) -> None:
    kept = blobs.put(b"kept")
    other = Blobs(LocalBackend(tmp_path / "store"))
    assert other.hold([kept]) == {kept}
    assert (other.hold([kept]), blobs.hold([kept])) == (set(), set())
    fresh = Blobs(LocalBackend(tmp_path / "store"))
    fresh.put(b"kept")  # it is there: nothing is written, but it will be named
    del blobs, other
    assert fresh.backend.announced() == {f"blobs/{kept[:2]}/{kept}"}


def test_what_was_collected_cannot_be_held(blobs: Blobs) -> None:
    kept, gone = blobs.put(b"kept"), digest(b"gone")
    for _ in range(2):
        with pytest.raises(ObjectMissingError, match=f"{gone} is missing"):
            blobs.hold([kept, gone])
