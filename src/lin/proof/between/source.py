"""What differs in the source of two recipes: files; hunks, if it is one file; blocks of lines, if it is one hunk."""

from collections.abc import Iterator
from functools import partial

import msgspec

from lin.project import Project
from lin.proof.between.level import Split, split_into
from lin.recipes import Recipe
from lin.records import LeftOut, SourceTree
from lin.runs.mixing import Block, Entry, Lines, compare_lines, differing_files, mix_lines, mix_trees
from lin.runs.source import Blobs, read_tree

_LONGEST = 40


def is_source_different(project: Project, low: Recipe, high: Recipe) -> bool:
    """Whether a file differs that a snapshot holds; what both left out cannot be laid out either.

    Raises:
        StoreError: a snapshot is missing or damaged.
    """
    if low.source is None or high.source is None:
        return low.source != high.source
    return bool(_changed_files(*(read_tree(project.store.blobs, tree) for tree in (low.source, high.source))))


def take_source(low: Recipe, high: Recipe) -> Recipe:
    """`low` with the source of `high`."""
    return msgspec.structs.replace(low, source=high.source)


def split_source(project: Project, low: Recipe, high: Recipe) -> Iterator[Split]:
    """The levels of a difference in source, from files to blocks of lines.

    Raises:
        StoreError: a snapshot, or a file that both have, is missing or damaged.
    """
    if low.source is None or high.source is None:
        return
    blobs = project.store.blobs
    first, second = (read_tree(blobs, tree) for tree in (low.source, high.source))
    groups = _changed_files(first, second)
    parts = [(_label_files(group, first, second), group) for group in groups]
    mix = partial(mix_trees, blobs, low.source, high.source)
    yield split_into(low, high, parts, lambda chosen: _with(low, mix([path for group in chosen for path in group])))
    if len(groups) == 1 and len(groups[0]) == 1:
        yield from _split_lines(blobs, low, high, groups[0][0], compare_lines(blobs, first, second, groups[0][0]))


def _split_lines(blobs: Blobs, low: Recipe, high: Recipe, path: str, lines: Lines | None) -> Iterator[Split]:
    if lines is None or not lines.blocks or low.source is None or high.source is None:
        return
    hunks = lines.hunks()
    mix = partial(mix_lines, blobs, low.source, high.source, path)
    for groups in (hunks, [[number] for number in hunks[0]]) if len(hunks) == 1 else (hunks,):
        parts = [(_label_lines(path, lines, [lines.blocks[n] for n in group]), group) for group in groups]
        yield split_into(low, high, parts, lambda chosen: _with(low, mix([n for group in chosen for n in group])))


def _with(recipe: Recipe, tree: str) -> Recipe:
    return msgspec.structs.replace(recipe, source=tree)


def _changed_files(low: SourceTree, high: SourceTree) -> list[list[str]]:
    """The groups of paths of which one tree at least holds the content."""
    held = {file.path for tree in (low, high) for file in tree.files}
    return [group for group in differing_files(low, high) if held & {*group}]


def _label_files(group: list[str], low: SourceTree, high: SourceTree) -> str:
    before, after = (_entries(tree) for tree in (low, high))
    match [path for path in group if path not in after], [path for path in group if path not in before]:
        case [old], [new]:
            return f"{old} -> {new}"
        case [old], [] if len(group) == 1:
            return f"{old} removed"
        case [], [new] if len(group) == 1:
            return f"{new} added"
        case [], []:
            return _label_changed(group[0], before[group[0]], after[group[0]])
    return ", ".join(group)


def _label_changed(path: str, old: Entry, new: Entry) -> str:
    if isinstance(old, LeftOut) or isinstance(new, LeftOut):
        return f"{path}, left out of a snapshot"
    if old.sha256 == new.sha256:
        return f"{path}: {'' if new.executable else 'not '}executable"
    return path


def _entries(tree: SourceTree) -> dict[str, Entry]:
    entries: list[Entry] = [*tree.files, *tree.left_out]
    return {entry.path: entry for entry in entries}


def _label_lines(path: str, lines: Lines, blocks: list[Block]) -> str:
    """Where the lines stand in the high file, or in the low one if they were removed, and the first of them."""
    come = any(block.other_start < block.other_end for block in blocks)
    spans = [(b.other_start, b.other_end) if come else (b.start, b.end) for b in blocks]
    text = lines.high if come else lines.low
    start, end = spans[0][0], spans[-1][1]
    where = f"line {start + 1}" if end - start == 1 else f"lines {start + 1}-{end}"
    first = next((line.strip() for start, end in spans for line in text[start:end] if line.strip()), "")
    shown = f"{first[: _LONGEST - 1]}…" if len(first) > _LONGEST else first
    return f"{path}: {where}{'' if come else ' removed'}{f': {shown}' if shown else ''}"
