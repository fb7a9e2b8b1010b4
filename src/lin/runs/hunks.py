"""What changed in source files, line by line, as `git diff` writes it; `git apply` takes it.

Lines are matched by those that both files have exactly once (Bram Cohen's patience diff), and in the gaps between by
`difflib`, with so much effort at most: a hostile file gets longer hunks, not longer time. A file is text if it is
UTF-8 without NUL.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import Match, SequenceMatcher
from itertools import pairwise, takewhile
from typing import Literal

import msgspec

from lin.errors import LinError
from lin.records import LeftOut, SourceFile, SourceTree
from lin.runs.source import Blobs, diff_sources

LARGEST = 1 << 20
"""Files of more bytes than this are named, and not compared by line."""

_EFFORT = 4_000_000
"""The most comparisons of lines for one file, counted as if none were ever saved."""

_CONTEXT = 3
_QUOTED = {'"': '\\"', "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}

Entry = SourceFile | LeftOut
Kind = Literal["changed", "added", "removed", "renamed", "unknown"]


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """A file that differs between two snapshots.

    `old` is the path that a renamed file had. `plus` and `minus` count lines; they and `hunks` are None where the file
    was not compared by line, and `note` says why. What is `unknown` could not be compared at all.
    """

    path: str
    kind: Kind
    old: str | None = None
    plus: int | None = None
    minus: int | None = None
    hunks: str | None = None
    note: str | None = None


def diff_files(a: SourceTree, b: SourceTree, blobs: Blobs) -> list[FileChange]:
    """The files that differ from `a` to `b`: changed, renamed, added, removed, then those that could not be compared.

    A file is renamed where its whole content went from one path to another. What a snapshot left out, is no text, is
    larger than `LARGEST`, or is missing or damaged in `blobs` has a note instead of hunks.
    """
    differ = diff_sources(a, b)
    before, after = _entries(a), _entries(b)
    moved = _match_moves([before[path] for path in differ.removed], [after[path] for path in differ.added])
    gone = set(moved.values())
    return [
        *(_compare(path, "changed", before[path], after[path], blobs) for path in differ.changed),
        *(_renamed(old, new) for new, old in moved.items()),
        *(_compare(path, "added", None, after[path], blobs) for path in differ.added if path not in moved),
        *(_compare(path, "removed", before[path], None, blobs) for path in differ.removed if path not in gone),
        *(FileChange(path=path, kind="unknown", note=_left_out(before[path], after[path])) for path in differ.unknown),
    ]


def _entries(tree: SourceTree) -> dict[str, Entry]:
    entries: list[Entry] = [*tree.files, *tree.left_out]
    return {entry.path: entry for entry in entries}


def _match_moves(removed: Iterable[Entry], added: Iterable[Entry]) -> dict[str, str]:
    """The old path of each file that only moved, by its new one. Empty files are all alike, and do not count."""
    left: dict[tuple[str, bool], list[str]] = {}
    for file in removed:
        if isinstance(file, SourceFile) and file.bytes:
            left.setdefault((file.sha256, file.executable), []).append(file.path)
    moved: dict[str, str] = {}
    for file in added:
        if isinstance(file, SourceFile) and (paths := left.get((file.sha256, file.executable))):
            moved[file.path] = paths.pop(0)
    return moved


def _renamed(old: str, new: str) -> FileChange:
    head = [f"diff --git {_quote(f'a/{old}')} {_quote(f'b/{new}')}", "similarity index 100%"]
    names = [f"rename from {_quote(old)}", f"rename to {_quote(new)}", ""]
    return FileChange(path=new, kind="renamed", old=old, plus=0, minus=0, hunks="\n".join([*head, *names]))


def _compare(path: str, kind: Kind, old: Entry | None, new: Entry | None, blobs: Blobs) -> FileChange:
    if note := _left_out(old, new):
        return FileChange(path=path, kind=kind, note=note)
    try:
        before, after = _read(old, blobs), _read(new, blobs)
    except LinError as error:
        return FileChange(path=path, kind=kind, note=error.message)
    if before is None or after is None:
        return FileChange(path=path, kind=kind, note=f"no text, or too long: {_sizes(old, new)}")
    matcher = _Patience(_split(before), _split(after))
    changed = [block for block in matcher.get_opcodes() if block[0] != "equal"]
    return FileChange(
        path=path,
        kind=kind,
        plus=sum(end - start for *_, start, end in changed),
        minus=sum(end - start for _, start, end, *_ in changed),
        hunks="".join([*_head(path, old, new, same=not changed), *_body(matcher)]),
    )


def _left_out(*entries: Entry | None) -> str | None:
    """Why the snapshots do not have the file, if one of them left it out."""
    reasons = dict.fromkeys(entry.reason for entry in entries if isinstance(entry, LeftOut))
    return f"left out of the snapshot: {', '.join(reasons)}" if reasons else None


def _read(entry: Entry | None, blobs: Blobs) -> str | None:
    """The text of a file, empty for none; None if it is no text, or too long."""
    if not isinstance(entry, SourceFile):
        return ""
    if entry.bytes > LARGEST:
        return None
    data = blobs.read(entry.sha256)
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def _sizes(*entries: Entry | None) -> str:
    return " -> ".join(f"{entry.bytes:,} bytes" for entry in entries if entry)


# --- writing hunks ----------------------------------------------------------------------------------------------------


def _head(path: str, old: Entry | None, new: Entry | None, *, same: bool) -> Iterator[str]:
    """The lines before the hunks; `same`: there are none, as only the mode differs or the file is empty."""
    names = _quote(f"a/{path}"), _quote(f"b/{path}")
    yield f"diff --git {names[0]} {names[1]}\n"
    if old is None:
        yield f"new file mode {_mode(new)}\n"
    elif new is None:
        yield f"deleted file mode {_mode(old)}\n"
    elif _mode(old) != _mode(new):
        yield f"old mode {_mode(old)}\nnew mode {_mode(new)}\n"
    if not same:
        yield f"--- {_end(names[0]) if old else '/dev/null'}\n+++ {_end(names[1]) if new else '/dev/null'}\n"


def _mode(entry: Entry | None) -> str:
    return "100755" if isinstance(entry, SourceFile) and entry.executable else "100644"


def _end(name: str) -> str:
    """A name in a line of its own: what follows a tab would be a time, so that blanks in it end nothing."""
    return f"{name}\t" if " " in name else name


def _quote(path: str) -> str:
    """A path as git writes it: in quotes where a character would end or forge the line."""
    quoted = "".join(_QUOTED.get(c) or (c if c >= " " and c != "\x7f" else f"\\{ord(c):03o}") for c in path)
    return path if quoted == path else f'"{quoted}"'


def _body(matcher: "_Patience") -> Iterator[str]:
    before, after = matcher.lines
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        _, i1, _, j1, _ = group[0]
        _, _, i2, _, j2 = group[-1]
        yield f"@@ -{_span(i1, i2)} +{_span(j1, j2)} @@\n"
        for tag, start, end, other_start, other_end in group:
            if tag == "equal":
                yield from _signed(" ", before[start:end])
            else:
                yield from _signed("-", before[start:end])
                yield from _signed("+", after[other_start:other_end])


def _span(start: int, end: int) -> str:
    """Lines are counted from 1, and an empty span names the line before it."""
    return f"{start + 1}" if end - start == 1 else f"{start + (end > start)},{end - start}"


def _signed(sign: str, lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield f"{sign}{line}" if line.endswith("\n") else f"{sign}{line}\n\\ No newline at end of file\n"


# --- matching lines ---------------------------------------------------------------------------------------------------


class _Patience(SequenceMatcher[str]):
    """The opcodes of `difflib` over the blocks of `match_lines`."""

    def __init__(self, before: list[str], after: list[str]) -> None:
        super().__init__(None, before, after)
        self.lines = before, after

    def get_matching_blocks(self) -> list[Match]:
        """Blocks of equal lines, rising in both files, and the empty one at the end that `difflib` wants."""
        before, after = self.lines
        return [*match_lines(before, after), Match(len(before), len(after), 0)]


def _split(text: str) -> list[str]:
    """Lines with their ends; only a line feed ends one, as in git."""
    lines = [f"{line}\n" for line in text.split("\n")]
    return [*lines[:-1], lines[-1][:-1]] if lines[-1] != "\n" else lines[:-1]


def match_lines(a: Sequence[str], b: Sequence[str], *, effort: int = _EFFORT) -> list[Match]:
    """Blocks of equal lines, as long as they go, rising in both; what takes more than `effort` is left unmatched."""
    blocks: list[Match] = []
    gaps = [(0, len(a), 0, len(b))]
    while gaps:
        i1, i2, j1, j2 = gaps.pop()
        head = _count_equal(zip(a[i1:i2], b[j1:j2], strict=False))
        tail = _count_equal(zip(reversed(a[i1 + head : i2]), reversed(b[j1 + head : j2]), strict=False))
        blocks += [Match(i1, j1, head), Match(i2 - tail, j2 - tail, tail)]
        i1, i2, j1, j2 = i1 + head, i2 - tail, j1 + head, j2 - tail
        effort -= i2 - i1 + j2 - j1
        if i1 == i2 or j1 == j2 or effort < 0:
            continue
        if anchors := _find_anchors(a[i1:i2], b[j1:j2]):
            places = [(i1, j1), *((i1 + i, j1 + j) for i, j in anchors), (i2, j2)]
            gaps += [(i, k, j, m) for (i, j), (k, m) in pairwise(places)]
        elif (i2 - i1) * (j2 - j1) <= effort:
            effort -= (i2 - i1) * (j2 - j1)
            found = SequenceMatcher(None, a[i1:i2], b[j1:j2]).get_matching_blocks()
            blocks += [Match(i1 + block.a, j1 + block.b, block.size) for block in found]
    return _join(sorted(block for block in blocks if block.size))


def _count_equal(pairs: Iterable[tuple[str, str]]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _find_anchors(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """The places of lines that both sides have exactly once: of these, the most that rise in both."""
    counts = Counter(a), Counter(b)
    places = {line: j for j, line in enumerate(b) if counts[1][line] == 1}
    return _longest_rise([(i, places[line]) for i, line in enumerate(a) if counts[0][line] == 1 and line in places])


def _longest_rise(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest chain of pairs in which the second numbers rise too, by patience sorting."""
    tops: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, (_, j) in enumerate(pairs):
        pile = bisect_left(tops, j)
        before.append(last[pile - 1] if pile else -1)
        tops[pile : pile + 1], last[pile : pile + 1] = [j], [number]
    chain: list[tuple[int, int]] = []
    number = last[-1] if last else -1
    while number >= 0:
        chain.append(pairs[number])
        number = before[number]
    return chain[::-1]


def _join(blocks: Iterable[Match]) -> list[Match]:
    """The blocks, those that touch each other made one."""
    joined: list[Match] = []
    for block in blocks:
        if joined and (joined[-1].a + joined[-1].size, joined[-1].b + joined[-1].size) == (block.a, block.b):
            block = Match(joined[-1].a, joined[-1].b, joined.pop().size + block.size)  # noqa: PLW2901  it grew
        joined.append(block)
    return joined
