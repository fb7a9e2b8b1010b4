"""Source trees in between: laws over random trees and texts, and how lines fall into blocks and hunks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.errors import StoreError
from lin.records import LeftOut, SourceFile, SourceTree, encode
from lin.runs.mixing import compare_lines, differing_files, mix_lines, mix_trees
from lin.runs.source import read_tree
from lin.store.blobs import Blobs
from lin.store.memory import MemoryBackend

PATHS = ["a", "a/b", "a/c.py", "d.py", "é", "e/f/g"]
TEXTS = st.lists(st.sampled_from(["a\n", "b\n", "c\r\n", "\n", "d", "é\u2028", "\x0c\n"]), max_size=8).map("".join)
CONTENTS = st.tuples(TEXTS, st.booleans()) | st.integers(0, 3)
FILES = st.dictionaries(st.sampled_from(PATHS), CONTENTS)
Content = tuple[str, bool] | int


@pytest.fixture
def blobs() -> Blobs:
    return Blobs(MemoryBackend())


def keep(blobs: Blobs, files: dict[str, Content]) -> str:
    """A tree of files; a number is the size of one that was left out. What lies below a file is no part of it."""
    files = {path: files[path] for path in sorted(files) if not any(path.startswith(f"{other}/") for other in files)}
    held = {path: (c[0].encode(), c[1]) for path, c in files.items() if isinstance(c, tuple)}
    tree = SourceTree(
        files=[SourceFile(path, blobs.put(data), len(data), executable) for path, (data, executable) in held.items()],
        left_out=[LeftOut(path, c, "too large") for path, c in files.items() if isinstance(c, int)],
    )
    return blobs.put(encode(tree))


def text(blobs: Blobs, tree: str, path: str) -> str:
    (file,) = [file for file in read_tree(blobs, tree).files if file.path == path]
    return blobs.read(file.sha256).decode()


@given(FILES, FILES, st.data())
@settings(max_examples=50, deadline=None)
def test_trees_mix(before: dict[str, Content], after: dict[str, Content], data: st.DataObject) -> None:
    blobs = Blobs(MemoryBackend())
    low, high = keep(blobs, before), keep(blobs, after)
    groups = differing_files(read_tree(blobs, low), read_tree(blobs, high))
    paths = [path for group in groups for path in group]
    assert len(paths) == len({*paths})
    assert mix_trees(blobs, low, high, []) == low
    assert mix_trees(blobs, low, high, paths) == high
    some = data.draw(st.lists(st.sampled_from(groups), unique_by=tuple)) if groups else []
    mixed = mix_trees(blobs, low, high, [path for group in some for path in group])
    others = [path for group in groups if group not in some for path in group]
    assert mix_trees(blobs, mixed, high, others) == high
    assert mix_trees(blobs, mixed, low, [path for group in some for path in group]) == low
    names = [entry.path for tree in [read_tree(blobs, mixed)] for entry in [*tree.files, *tree.left_out]]
    assert not any(other.startswith(f"{name}/") for name in names for other in names)


@given(TEXTS, TEXTS, st.booleans(), st.data())
@settings(max_examples=50, deadline=None)
def test_lines_mix(before: str, after: str, executable: bool, data: st.DataObject) -> None:
    blobs = Blobs(MemoryBackend())
    low = keep(blobs, {"a.py": (before, False), "b": ("", True)})
    high = keep(blobs, {"a.py": (after, executable), "c": ("new", True)})
    lines = compare_lines(blobs, read_tree(blobs, low), read_tree(blobs, high), "a.py")
    assert lines is not None
    everything = range(len(lines.blocks))
    assert [number for hunk in lines.hunks() for number in hunk] == [*everything]
    assert (lines.mix([]), lines.mix(everything)) == (before, after)
    assert mix_lines(blobs, low, high, "a.py", []) == low
    if everything:
        assert mix_lines(blobs, low, high, "a.py", everything) == mix_trees(blobs, low, high, ["a.py"])
    some = data.draw(st.sets(st.sampled_from(everything))) if everything else set()
    mixed = mix_lines(blobs, low, high, "a.py", some)
    assert text(blobs, mixed, "a.py") == lines.mix(some)
    untaken = [file for file in read_tree(blobs, mixed).files if file.path != "a.py"]
    assert untaken == [file for file in read_tree(blobs, low).files if file.path != "a.py"]


LOW = "".join(f"{n}\n" for n in range(30))
HIGH = LOW.replace("3\n4\n", "three\n4\n", 1).replace("\n8\n", "\neight\n").replace("\n25\n", "\n25\nmore\n")


def test_blocks_near_each_other_are_one_hunk(blobs: Blobs) -> None:
    low, high = keep(blobs, {"a": (LOW, False)}), keep(blobs, {"a": (HIGH, False)})
    lines = compare_lines(blobs, read_tree(blobs, low), read_tree(blobs, high), "a")
    assert lines is not None
    assert [(b.start, b.end, b.other_start, b.other_end) for b in lines.blocks] == [
        (3, 4, 3, 4),
        (8, 9, 8, 9),
        (26, 26, 26, 27),
    ]
    assert lines.hunks() == [[0, 1], [2]]
    assert text(blobs, mix_lines(blobs, low, high, "a", [1]), "a") == LOW.replace("\n8\n", "\neight\n")


def test_an_executable_bit_goes_with_all_lines(blobs: Blobs) -> None:
    low, high = keep(blobs, {"a": (LOW, False)}), keep(blobs, {"a": (HIGH, True)})
    assert mix_lines(blobs, low, high, "a", [0, 1, 2]) == high
    (file,) = read_tree(blobs, mix_lines(blobs, low, high, "a", [0, 1])).files
    assert not file.executable


def test_what_moved_is_one_and_what_is_in_its_way_goes_with_it(blobs: Blobs) -> None:
    low = keep(blobs, {"old.py": ("x", False), "a": ("y", False), "same": ("", False), "empty": ("", False)})
    high = keep(blobs, {"new.py": ("x", False), "a/b": ("z", False), "same": ("", False), "none": ("", False)})
    groups = differing_files(read_tree(blobs, low), read_tree(blobs, high))
    assert groups == [["a", "a/b"], ["empty"], ["new.py", "old.py"], ["none"]]


@pytest.mark.parametrize("content", ["\0", "x" * (1 << 20) + "y", 5])
def test_what_is_no_text_has_no_lines(blobs: Blobs, content: str | int) -> None:
    low = keep(blobs, {"a": ("x", False)})
    high = keep(blobs, {"a": (content, False) if isinstance(content, str) else content})
    assert compare_lines(blobs, read_tree(blobs, low), read_tree(blobs, high), "a") is None
    with pytest.raises(ValueError, match="a is no text of both trees"):
        mix_lines(blobs, low, high, "a", [0])


def test_a_lost_tree_is_told(blobs: Blobs) -> None:
    with pytest.raises(StoreError):
        mix_trees(blobs, "0" * 64, "1" * 64, [])
