"""Records of a newer lin: no damage, so `lin fsck` refuses the store as a whole, and nothing is moved aside."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from lin.errors import NewerError
from lin.records import digest


@pytest.fixture
def root(tmp_path: Path, rot: ModuleType) -> Path:
    return rot.make_store(tmp_path / "boston")


def newer(data: bytes) -> bytes:
    return re.sub(rb'^(\{"format":"[a-z]+/)\d+"', rb'\g<1>99"', data)


@pytest.mark.parametrize("place", ["events/000000000001.json", "runs/*/*/start.json", "runs/*/*/run.json"])
def test_a_record_of_a_newer_lin_is_no_damage(root: Path, look: Callable[..., object], place: str) -> None:
    path = next((root / ".lin").glob(place))
    path.write_bytes(newer(path.read_bytes()))
    with pytest.raises(NewerError, match=r"/99', written by a newer lin") as refused:
        look(root)
    assert refused.value.hint == "upgrade lin: pip install --upgrade lin-lineage"
    assert path.exists()


@pytest.mark.parametrize("kind", ["pin", "source", "environment"])
def test_a_blob_of_a_newer_lin_is_no_damage(root: Path, look: Callable[..., object], kind: str) -> None:
    """The start of the run that names it is as a newer lin would have written it."""
    store = root / ".lin"
    blob = next(p for p in store.glob("blobs/??/*") if p.read_bytes().startswith(b'{"format":"%s/' % kind.encode()))
    data = newer(blob.read_bytes())
    (store / f"blobs/{digest(data)[:2]}").mkdir(exist_ok=True)
    (store / f"blobs/{digest(data)[:2]}/{digest(data)}").write_bytes(data)
    for path in (*store.glob("runs/*/*/start.json"), *store.glob("runs/*/*/run.json")):
        record = path.read_bytes().replace(blob.name.encode(), digest(data).encode())
        path.write_bytes(re.sub(rb',"sha256":"[0-9a-f]{64}"\}\n$', b"}\n", record))
    with pytest.raises(NewerError, match=f"'{kind}/99', written by a newer lin"):
        look(root)


def test_what_only_looks_newer_is_damage(root: Path, look: Callable[..., object]) -> None:
    path = next((root / ".lin").glob("events/*1.json"))
    path.write_bytes(path.read_bytes().replace(b"event/1", b"evens/9"))
    assert [finding.ill for finding in look(root).findings][:1] == ["damaged"]


def test_what_no_lin_of_today_knows_is_no_damage_if_it_is_whole(root: Path, look: Callable[..., object]) -> None:
    """Another kind of change, with the sha256 that it has to have."""
    path = next((root / ".lin").glob("events/*1.json"))
    body = path.read_bytes().replace(b'"type":"register"', b'"type":"bless"')[: -len(b',"sha256":""}\n') - 64] + b"}\n"
    path.write_bytes(body[:-2] + b',"sha256":"' + digest(body).encode() + b'"}\n')
    with pytest.raises(NewerError, match=r"1\.json is whole, and holds what this lin does not know: .*bless"):
        look(root)
    path.write_bytes(path.read_bytes().replace(b'"bless"', b'"blame"'))
    assert [finding.ill for finding in look(root).findings][:1] == ["damaged"]
