"""Files of an environment held against what its distributions say of themselves, and against what they were."""

import hashlib
import os
from base64 import urlsafe_b64encode

import pytest

from lin.proof.environments.installed import diff_files, digest_files, untrue_files


def line(path: str, data: bytes, algorithm: str = "sha256") -> str:
    told = urlsafe_b64encode(hashlib.new(algorithm, data).digest()).decode().rstrip("=")
    return f"{path},{algorithm}={told},{len(data)}\n"


@pytest.fixture
def root(tmp_path):
    """An environment with one distribution, true in every line."""
    site = tmp_path / "env/lib/python3/site-packages"
    info = site / "Odd_Name-1.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "env/bin").mkdir()
    (tmp_path / "env/bin/tool").write_bytes(b"tool")
    (site / "a.py").write_bytes(b"a")
    (site / "b, c.py").write_bytes(b"b")
    (site / "__pycache__").mkdir()
    (site / "__pycache__/a.pyc").write_bytes(b"compiled")
    record = line("a.py", b"a") + line('"b, c.py"', b"b", "sha512") + line("../../../bin/tool", b"tool")
    (info / "RECORD").write_text(record + "Odd_Name-1.dist-info/RECORD,,\n__pycache__/a.pyc,,\n")
    return tmp_path / "env"


def untrue(root):
    return untrue_files(root, root / "lib/python3/site-packages", digest_files(root))


def test_true_files(root):
    assert untrue(root) == {}


@pytest.mark.parametrize("path", ["a.py", "b, c.py", "../../../bin/tool"])
def test_an_altered_or_removed_file_is_named(root, path):
    file = root / "lib/python3/site-packages" / path
    times = file.stat()
    file.write_bytes(b"?")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert untrue(root) == {"odd-name": [path]}
    file.unlink()
    assert untrue(root) == {"odd-name": [path]}


@pytest.mark.parametrize("told", ["md5=AAAA", "sha256=\N{SNOWMAN}", "sha256=A", "sha256"])
def test_a_digest_that_says_nothing_is_not_believed(root, told):
    record = root / "lib/python3/site-packages/Odd_Name-1.dist-info/RECORD"
    record.write_text(f"a.py,{told},1\n")
    assert untrue(root) == {"odd-name": ["a.py"]}


def test_what_became_of_files(root):
    before = digest_files(root)
    (root / "link").symlink_to("bin")
    (root / "bin/tool").write_bytes(b"TOOL")
    (root / "lib/python3/site-packages/a.py").unlink()
    (root / "lib/python3/site-packages/__pycache__/a.pyc").write_bytes(b"again")
    after = digest_files(root)
    assert after["link"] == "-> bin"
    assert diff_files(before, after) == [
        "file bin/tool was altered",
        "file lib/python3/site-packages/a.py was removed",
        "file link was added",
    ]
    os.mkfifo(root / "pipe")
    assert digest_files(root)["pipe"] == "not a file"
