"""Zips that unpack to more than they should, or elsewhere: model files and model folders.

What one member alone may be is tried in tests/runs/test_persist.py and tests/models/test_unpack.py.
"""

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from lin.errors import LinError, OutsideError
from lin.models.unpack import MOST_FILES, read_files
from lin.runs.archive import SLACK, canonical, read_archive
from lin.runs.persist import dump_model, load_model

ZEROS = np.zeros(SLACK // 2, np.uint8)


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def array(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def sparse(number: int) -> dict[str, object]:
    return {"__class__": "csr_matrix", "__module__": "scipy.sparse", "__loader__": "SparseMatrixNode", "__id__": number,
            "type": "scipy", "file": f"{number}.npz"}  # fmt: skip


def nested(count: int) -> bytes:
    """A model file with so many archives in it, each of which is within the caps."""
    inner = zipped({"data.npy": array(ZEROS)})
    nodes = [sparse(number) for number in range(1, count + 1)]
    schema = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "__id__": 0, "content": nodes,
              "protocol": 1}  # fmt: skip
    members = {f"{number}.npz": inner for number in range(1, count + 1)}
    return zipped({"schema.json": json.dumps(schema).encode(), **members}, zipfile.ZIP_STORED)


def test_archives_in_a_model_file_have_one_budget_for_all_of_them() -> None:
    few = read_archive(nested(1))
    assert len(canonical(few).members) == 1
    with pytest.raises(OutsideError, match="unpacks to more than"):
        canonical(read_archive(nested(4)))


def test_an_archive_in_an_archive_does_not_multiply_the_ratio() -> None:
    """Zeros that are deflated twice: each step alone is within its ratio, and both together are 100,000 to one."""
    bomb = zipped({**{f"{n}.bin": bytes(1000) for n in range(3)}, "schema.json": b"{}", "a.npz": nested(4)})
    with pytest.raises(OutsideError):
        load_model(bomb)


def entries_of_one(content: bytes, count: int) -> bytes:
    """A zip whose table names one member under many names: all of them are the same bytes of the file."""
    one = zipped({"0000.npy": content})
    end = one.rindex(b"PK\x05\x06")
    start = struct.unpack("<I", one[end + 16 : end + 20])[0]
    entry = one[start:end]
    table = b"".join(entry.replace(b"0000.npy", b"%04d.npy" % number) for number in range(count))
    size = struct.pack("<HHII", count, count, len(table), start)
    return one[:start] + table + one[end : end + 8] + size + one[end + 20 :]


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    bomb = entries_of_one(bytes(4 << 20), 999)
    (tmp_path / "model.zip").write_bytes(bomb)
    assert len(bomb) < 1 << 20
    for read in (lambda: load_model(bomb), lambda: read_files(tmp_path / "model.zip", "MLmodel")):
        with pytest.raises(OutsideError, match="is refused"):
            read()


@pytest.mark.parametrize("name", ["a.npy", "schema.json"])
def test_a_member_that_is_there_twice_is_refused(name: str) -> None:
    good = dump_model(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]))
    buffer = io.BytesIO(good)
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "a") as file:
        warnings.simplefilter("ignore")
        file.writestr(name, b"{}")
        file.writestr(name, b"{}")
    with pytest.raises(OutsideError, match="unexpected member"):
        load_model(buffer.getvalue())


def test_too_many_files_are_refused(lab: Path, lin: Callable, tmp_path: Path) -> None:
    (tmp_path / "many.zip").write_bytes(zipped({"MLmodel": b"", **{f"f{n}": b"" for n in range(MOST_FILES)}}))
    answer = lin("import", tmp_path / "many.zip", "many")
    assert (answer.code, f"more than {MOST_FILES} files" in answer.err) == (13, True)
    assert not [*lab.glob("f*")]


def test_a_zip_with_a_wrong_byte_is_refused_or_read(tmp_path: Path) -> None:
    """Every field of its headers is somebody's to write: sizes, offsets, flags, the number of entries."""
    whole = zipped({"MLmodel": b"a: b\n", "x": bytes(300)})
    for place in range(len(whole)):
        wrong = bytearray(whole)
        wrong[place] ^= 0xFF
        (tmp_path / "model.zip").write_bytes(wrong)
        with suppress(LinError):
            read_files(tmp_path / "model.zip", "MLmodel")
