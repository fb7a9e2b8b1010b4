"""Source trees between two snapshots: one of them, with chosen files or chosen lines of the other.

Trees and files that come out are kept as blobs. With nothing chosen they are the one to the bit, with everything the
other. Lines are matched as `lin.runs.hunks` does; a change of its executable bit goes with the last change of a file.
"""

import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from lin.records import LeftOut, SourceFile, SourceTree, encode
from lin.runs.hunks import LARGEST, match_lines
from lin.runs.source import Blobs, read_tree

_CONTEXT = 3

Entry = SourceFile | LeftOut


@dataclass(frozen=True)
class Block:
    """Lines that differ: those from `start` to `end` of one file became those of the other; counted from 0."""

    start: int
    end: int
    other_start: int
    other_end: int


@dataclass(frozen=True)
class Lines:
    """A file of both trees, as lines with their ends, and the blocks in which they differ."""

    low: list[str]
    high: list[str]
    blocks: list[Block]

    def hunks(self) -> list[list[int]]:
        """The numbers of the blocks that stand near each other, as `git diff` puts them into one hunk."""
        groups: list[list[int]] = []
        for number, block in enumerate(self.blocks):
            if groups and block.start - self.blocks[groups[-1][-1]].end <= 2 * _CONTEXT:
                groups[-1].append(number)
            else:
                groups.append([number])
        return groups

    def mix(self, chosen: Collection[int]) -> str:
        """The low file with the blocks of these numbers as they are in the high one."""
        text: list[str] = []
        done = 0
        for number, block in enumerate(self.blocks):
            text += self.low[done : block.start]
            taken = self.high[block.other_start : block.other_end]
            text += taken if number in chosen else self.low[block.start : block.end]
            done = block.end
        return "".join([*text, *self.low[done:]])


def differing_files(low: SourceTree, high: SourceTree) -> list[list[str]]:
    """The paths at which the trees do not have the same, in groups that cannot be taken over one by one.

    A group is a file that moved, from its old path to the new one, or a file and what lies below it where the other
    tree has a folder of its name.
    """
    before, after = _entries(low), _entries(high)
    groups = {path: [path] for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    moved: dict[tuple[str, bool], list[str]] = {}
    for path in sorted(groups.keys() - after.keys()):
        moved.setdefault(_content(before[path]), []).append(path)
    for path in sorted(groups.keys() - before.keys()):
        if olds := moved.get(_content(after[path])):
            _unite(groups, olds.pop(0), path)
    for path in sorted(groups):
        for folder in _folders(path):
            if folder in groups:
                _unite(groups, folder, path)
    return sorted(sorted(group) for group in {id(group): group for group in groups.values()}.values())


def mix_trees(blobs: Blobs, low: str, high: str, paths: Collection[str]) -> str:
    """The tree `low` with these paths as they are in the tree `high`; returns its digest.

    Raises:
        StoreError: a tree is missing or damaged.
    """
    first, second = read_tree(blobs, low), read_tree(blobs, high)
    differing = {path for group in differing_files(first, second) for path in group}
    if not differing & {*paths}:
        return low
    if differing <= {*paths}:
        return high
    entries = {path: entry for path, entry in _entries(first).items() if path not in paths}
    return _keep(blobs, entries | {path: entry for path, entry in _entries(second).items() if path in paths})


def mix_lines(blobs: Blobs, low: str, high: str, path: str, chosen: Collection[int]) -> str:
    """The tree `low` with those blocks of `compare_lines` of one file as they are in the tree `high`; its digest.

    Raises:
        StoreError: a tree or a file is missing or damaged. ValueError: the file is no text of both trees.
    """
    first, second = read_tree(blobs, low), read_tree(blobs, high)
    lines = compare_lines(blobs, first, second, path)
    if lines is None:
        raise ValueError(f"{path} is no text of both trees")
    if not chosen:
        return low
    if {*chosen} >= {*range(len(lines.blocks))}:
        return mix_trees(blobs, low, high, [path])
    data = lines.mix(chosen).encode()
    entries = _entries(first)
    old = entries[path]
    executable = isinstance(old, SourceFile) and old.executable
    return _keep(blobs, entries | {path: SourceFile(path, blobs.put(data), len(data), executable)})


def compare_lines(blobs: Blobs, low: SourceTree, high: SourceTree, path: str) -> Lines | None:
    """The lines in which a file differs; None where it is not in both trees, is no text, or too long.

    Raises:
        StoreError: its content is missing or damaged.
    """
    texts = [_read_lines(blobs, _entries(tree).get(path)) for tree in (low, high)]
    if texts[0] is None or texts[1] is None:
        return None
    return Lines(texts[0], texts[1], list(_find_blocks(texts[0], texts[1])))


def _entries(tree: SourceTree) -> dict[str, Entry]:
    entries: Sequence[Entry] = [*tree.files, *tree.left_out]
    return {entry.path: entry for entry in entries}


def _keep(blobs: Blobs, entries: dict[str, Entry]) -> str:
    ordered = [entries[path] for path in sorted(entries)]
    tree = SourceTree(
        files=[entry for entry in ordered if isinstance(entry, SourceFile)],
        left_out=[entry for entry in ordered if isinstance(entry, LeftOut)],
    )
    return blobs.put(encode(tree))


def _content(entry: Entry) -> tuple[str, bool]:
    """What a file that moved has at both paths; empty files and those that were left out are only like themselves."""
    if isinstance(entry, SourceFile) and entry.bytes:
        return entry.sha256, entry.executable
    return entry.path, False


def _folders(path: str) -> Iterator[str]:
    return (path[:place] for place, letter in enumerate(path) if letter == "/")


def _unite(groups: dict[str, list[str]], one: str, other: str) -> None:
    if groups[one] is not groups[other]:
        groups[one].extend(groups[other])
        for path in groups[other]:
            groups[path] = groups[one]


def _read_lines(blobs: Blobs, entry: Entry | None) -> list[str] | None:
    if not isinstance(entry, SourceFile) or entry.bytes > LARGEST:
        return None
    data = blobs.read(entry.sha256)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else io.StringIO(text, newline="\n").readlines()


def _find_blocks(low: list[str], high: list[str]) -> Iterator[Block]:
    """What lies between the lines that match."""
    matches = match_lines(low, high)
    ends = [(0, 0), *((match.a + match.size, match.b + match.size) for match in matches)]
    starts = [*((match.a, match.b) for match in matches), (len(low), len(high))]
    for (end, other_end), (start, other_start) in zip(ends, starts, strict=True):
        if end < start or other_end < other_start:
            yield Block(end, start, other_end, other_start)
