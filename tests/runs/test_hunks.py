"""Hunks of source files: git itself applies them, and what cannot be compared by line says why."""

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from lin.project import Project
from lin.records import LeftOut, SourceFile, SourceTree
from lin.runs.hunks import LARGEST, FileChange, diff_files, match_lines
from lin.runs.source import Blobs
from lin.store.blobs import Blobs as StoredBlobs
from lin.store.memory import MemoryBackend

LINES = st.lists(
    st.sampled_from(["a", "b", "c", "d e", "", "-", "-- x", "++ y", "@@ -1 +1 @@", "\r", "\x0c", "é\u2028"])
)
TEXTS = st.builds(lambda lines, end: "\n".join(lines) + end, LINES, st.sampled_from(["", "\n"]))
NAMES = st.sampled_from(["a.py", "b c.py", "lib/d.py", 'q"\\.py', "tab\there", "line\nfeed", "é", "x → y", "-e"])
FILES = st.dictionaries(NAMES, st.tuples(TEXTS, st.booleans()), max_size=5)


@pytest.fixture
def blobs() -> StoredBlobs:
    return StoredBlobs(MemoryBackend())


def make_tree(blobs: Blobs, files: dict[str, str | bytes], *, executable: frozenset[str] = frozenset()) -> SourceTree:
    entries = []
    for path, content in sorted(files.items()):
        data = content.encode() if isinstance(content, str) else content
        entries.append(SourceFile(path, blobs.put(data), len(data), path in executable))
    return SourceTree(files=entries)


def compare(blobs: Blobs, old: dict[str, str | bytes], new: dict[str, str | bytes]) -> list[FileChange]:
    return diff_files(make_tree(blobs, old), make_tree(blobs, new), blobs)


def test_hunks_are_those_of_git(blobs: StoredBlobs):
    old = "import lin\n#\n#\ndef fit(alpha):\n    return alpha\n#\n#\ndef show(x):\n    print(x)\n#\n#\nshow(fit(1))\n"
    new = old.replace("(alpha)", "(alpha, beta)").replace("show(fit(1))\n", "show(fit(1, 2))")
    [change] = compare(blobs, {"train.py": old}, {"train.py": new})
    assert (change.kind, change.plus, change.minus, change.note) == ("changed", 2, 2, None)
    assert change.hunks == snapshot("""\
diff --git a/train.py b/train.py
--- a/train.py
+++ b/train.py
@@ -1,7 +1,7 @@
 import lin
 #
 #
-def fit(alpha):
+def fit(alpha, beta):
     return alpha
 #
 #
@@ -9,4 +9,4 @@
     print(x)
 #
 #
-show(fit(1))
+show(fit(1, 2))
\\ No newline at end of file
""")


@settings(max_examples=40, deadline=None)
@given(FILES, FILES)
def test_git_applies_them(tmp_path_factory: pytest.TempPathFactory, old: dict, new: dict):
    blobs = StoredBlobs(MemoryBackend())
    trees = [
        make_tree(
            blobs,
            {path: text for path, (text, _) in files.items()},
            executable=frozenset(path for path, (_, executable) in files.items() if executable),
        )
        for files in (old, new)
    ]
    changes = diff_files(*trees, blobs)
    folder = tmp_path_factory.mktemp("applied")
    for path, (text, executable) in old.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(text.encode())
        (folder / path).chmod(0o755 if executable else 0o644)
    patch = "".join(change.hunks or "" for change in changes)
    applied = subprocess.run(
        ["git", "-c", "core.fileMode=true", "apply", "--whitespace=nowarn", "-"],
        cwd=folder,
        input=patch.encode(),
        capture_output=True,
        check=False,
    )
    assert applied.returncode == 0 or not patch, applied.stderr.decode()
    found = {
        path.relative_to(folder).as_posix(): (path.read_bytes().decode(), bool(path.stat().st_mode & 0o100))
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == new


@settings(max_examples=50, deadline=None)
@given(LINES, LINES, st.sampled_from([0, 5, 30, 1_000_000]))
def test_matched_lines_are_equal_and_rise(a: list[str], b: list[str], effort: int):
    blocks = match_lines(a, b, effort=effort)
    assert all(a[m.a : m.a + m.size] == b[m.b : m.b + m.size] and m.size for m in blocks)
    for before, after in pairwise(blocks):
        assert before.a + before.size <= after.a
        assert before.b + before.size <= after.b
        assert (before.a + before.size, before.b + before.size) != (after.a, after.b)
    if a == b:
        assert sum(block.size for block in blocks) == len(a)


@settings(max_examples=50, deadline=None)
@given(st.permutations("abcdefgh"))
def test_of_lines_found_once_the_most_are_matched(lines: list[str]):
    longest: list[int] = []
    for at, line in enumerate(lines):
        longest.append(1 + max((longest[i] for i in range(at) if lines[i] < line), default=0))
    blocks = match_lines("abcdefgh", lines)
    assert sum(block.size for block in blocks) == max(longest)
    assert all(before.b < after.b for before, after in pairwise(blocks))


def test_a_small_change_of_a_long_file_is_small():
    a = [f"line {number}" for number in range(20_000)]
    b = [*a[5:9_000], "new", *a[9_000:15_000], *a[15_001:], "end"]
    assert sum(block.size for block in match_lines(a, b)) == len(a) - 6


def test_lines_found_once_are_anchors_and_not_the_first_that_fit():
    a = ["}", "", "def g():", "    1", "}", ""]
    b = ["}", "", "def f():", "    0", "}", "", "def g():", "    1", "}", ""]
    assert [(m.a, m.b, m.size) for m in match_lines(a, b)] == [(0, 0, 2), (2, 6, 4)]


def test_a_file_that_comes_or_goes(blobs: StoredBlobs):
    added, removed = compare(blobs, {"old.py": "x"}, {"new.py": "a\nb\n"})
    assert (added.kind, added.hunks) == snapshot(
        (
            "added",
            """\
diff --git a/new.py b/new.py
new file mode 100644
--- /dev/null
+++ b/new.py
@@ -0,0 +1,2 @@
+a
+b
""",
        )
    )
    assert (removed.kind, removed.hunks) == snapshot(
        (
            "removed",
            """\
diff --git a/old.py b/old.py
deleted file mode 100644
--- a/old.py
+++ /dev/null
@@ -1 +0,0 @@
-x
\\ No newline at end of file
""",
        )
    )


def test_a_moved_file_is_a_renamed_one(blobs: StoredBlobs):
    [change] = compare(blobs, {"a b.py": "x\n"}, {"lib/a.py": "x\n"})
    assert (change.kind, change.old, change.path, change.plus) == ("renamed", "a b.py", "lib/a.py", 0)
    assert change.hunks == snapshot("""\
diff --git a/a b.py b/lib/a.py
similarity index 100%
rename from a b.py
rename to lib/a.py
""")
    kinds = [change.kind for change in compare(blobs, {"a": "", "b": "y"}, {"c": "", "d": "y", "e": "y"})]
    assert kinds == ["renamed", "added", "added", "removed"]


def test_the_mode_alone(blobs: StoredBlobs):
    trees = make_tree(blobs, {"run.sh": "x"}), make_tree(blobs, {"run.sh": "x"}, executable=frozenset({"run.sh"}))
    [change] = diff_files(*trees, blobs)
    assert change.hunks == "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n"
    assert (change.plus, change.minus) == (0, 0)


def test_a_path_forges_no_line(blobs: StoredBlobs):
    [change] = compare(blobs, {}, {'a"\n+++ b/evil\x1b': "x\n"})
    assert change.hunks is not None
    assert [line for line in change.hunks.split("\n") if line.startswith("+++")] == ['+++ "b/a\\"\\n+++ b/evil\\033"\t']


def test_what_is_no_text_or_too_long_is_named(blobs: StoredBlobs):
    old = {"a.bin": b"\0\1", "b.txt": b"\xff\n", "c.csv": "x\n" * (LARGEST // 2), "d.py": "x"}
    new = {"a.bin": b"\0\1\2", "b.txt": "\n", "c.csv": "x\n" * (LARGEST // 2 + 1), "e.bin": b"\0"}
    changes = compare(blobs, old, new)
    assert [(c.kind, c.path, c.hunks is None, c.note) for c in changes] == snapshot(
        [
            ("changed", "a.bin", True, "no text, or too long: 2 bytes -> 3 bytes"),
            ("changed", "b.txt", True, "no text, or too long: 2 bytes -> 1 bytes"),
            ("changed", "c.csv", True, "no text, or too long: 1,048,576 bytes -> 1,048,578 bytes"),
            ("added", "e.bin", True, "no text, or too long: 1 bytes"),
            ("removed", "d.py", False, None),
        ]
    )


def test_what_a_snapshot_left_out_says_why(blobs: StoredBlobs):
    large, small = LeftOut("data.csv", 99, "it is larger than 9 bytes"), LeftOut("data.csv", 98, "it is a link")
    same = [SourceTree(files=[], left_out=[large]), SourceTree(files=[], left_out=[large])]
    [unknown] = diff_files(*same, blobs)
    assert (unknown.kind, unknown.note) == ("unknown", "left out of the snapshot: it is larger than 9 bytes")
    [changed] = diff_files(same[0], SourceTree(files=[], left_out=[small]), blobs)
    assert changed.kind == "changed"
    assert changed.note == "left out of the snapshot: it is larger than 9 bytes, it is a link"


def test_a_missing_or_damaged_blob_hides_nothing_else(project: Project):
    blobs = project.store.blobs
    trees = [make_tree(blobs, {"a.py": f"a{n}\n", "b.py": f"b{n}\n", "c.py": f"c{n}\n"}) for n in (0, 1)]
    gone, damaged = (project.store_root / f"blobs/{f.sha256[:2]}/{f.sha256}" for f in trees[0].files[:2])
    gone.unlink()
    _overwrite(damaged, b"xx\n")
    changes = diff_files(*trees, blobs)
    assert [change.hunks is None for change in changes] == [True, True, False]
    assert "is missing" in (changes[0].note or "")
    assert "is damaged" in (changes[1].note or "")


def _overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)
