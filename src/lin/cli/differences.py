"""What differs between runs on a terminal: a column for each run, then sentences, and hunks of the source."""

from typing import TYPE_CHECKING

from lin.cli.printing import count, line, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.text import Text

    from lin.cli.printing import Grid
    from lin.runs.differences import RunComparison
    from lin.runs.hunks import FileChange
    from lin.runs.wording import Cell, Line

MOST_LINES = 80
"""As many lines of hunks are shown, and as many differences of an environment."""

LONGEST = 400
"""A line of source is cut to so many characters."""

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_NARROW = 26
"""A column gets at least so much room where its values want it, before runs go to another block of columns."""


def view(comparison: "RunComparison", *, full: bool = False) -> "Iterator[RenderableType]":
    """Everything that differs; of hunks not too much, unless it is to be `full`."""
    from lin.runs.wording import comparison_lines, tell_source, tell_table

    yield _Columns(comparison, comparison_lines(comparison))
    if comparison.tables:
        yield ""
        yield from map(tell_table, comparison.tables)
    most = None if full else MOST_LINES
    for change in comparison.environment:
        yield ""
        yield _title(comparison, "environment", change.runs, change.note)
        yield from _some(change.differences, most, "difference")
    for source in comparison.source:
        yield ""
        yield _title(comparison, "source", source.runs, tell_source(source))
        yield from view_files(source.files, most)
    if comparison.same:
        yield ""
        yield line(f"the same: {', '.join(comparison.same)}", "dim")


class _Columns:
    """The table, in blocks of as many runs as the terminal has room for."""

    def __init__(self, comparison: "RunComparison", lines: "list[Line]") -> None:
        self.labels = [run.label for run in comparison.runs]
        self.names = [(one.what, one.name) for one in lines]
        self.columns = [[_cell(one.cells[at]) for one in lines] for at in range(len(self.labels))]

    def __rich_console__(self, _: "Console", options: "ConsoleOptions") -> "RenderResult":
        widths = [min(self._grid([at]).width - self._grid([]).width, _NARROW) for at in range(len(self.labels))]
        room = options.max_width - self._grid([]).width
        for number, block in enumerate(_fill(widths, room)):
            yield from [""] * (number > 0)
            yield self._grid(block)

    def _grid(self, block: "Sequence[int]") -> "Grid":
        columns = ["differs", "", *(self.labels[at] for at in block)]
        rows = zip(self.names, *(self.columns[at] for at in block), strict=True)
        return table(columns, [(*names, *cells) for names, *cells in rows])


def _fill(widths: "Sequence[int]", room: int) -> "Iterator[list[int]]":
    """The columns in blocks that fit; the first two are never apart."""
    block: list[int] = []
    for at, width in enumerate(widths):
        if at > 1 and sum(widths[i] for i in block) + width > room:
            yield block
            block = []
        block.append(at)
    yield block


def _cell(cell: "Cell") -> "Text":
    return line(cell.text, {None: "", True: "green", False: "red"}[cell.better])


def _title(comparison: "RunComparison", what: str, runs: "Sequence[str]", told: str | None) -> "Text":
    title = line(f"{what} {comparison.runs[0].label} -> {comparison.labels(runs)}", "bold")
    return title.append_text(line(f": {told}" if told else "", "not bold"))


def _some(told: "Sequence[str]", most: int | None, noun: str) -> "Iterator[RenderableType]":
    yield from told[:most]
    if most is not None and len(told) > most:
        yield line(f"… and {count(len(told) - most, f'more {noun}')} (--full)", "dim")


def view_files(files: "Sequence[FileChange]", most: int | None) -> "Iterator[RenderableType]":
    """The hunks of the files one after the other; those that there is no room for are named."""
    left = most
    for file in files[:most]:
        lines = (file.hunks or "").split("\n")[:-1]
        yield from _view_hunks(lines[:left], None if most is None else LONGEST)
        if file.hunks is None:
            yield line(f"{file.kind} {file.path}: {file.note}")
        elif left is not None and len(lines) > left:
            rest = count(len(lines) - left, "more line")
            yield line(f"… {rest} of {file.path}: +{file.plus} -{file.minus} (--full)", "dim")
        left = None if left is None else max(left - len(lines), 0)
    if most is not None and len(files) > most:
        yield line(f"… and {count(len(files) - most, 'more file')} (--full)", "dim")


def _view_hunks(lines: "Iterable[str]", longest: int | None) -> "Iterator[RenderableType]":
    in_head = True
    for text in lines:
        in_head = in_head and not text.startswith("@@")
        shown = text if longest is None or len(text) <= longest else f"{text[: longest - 1]}…"
        yield line(shown, "bold" if in_head else _COLOURS.get(text[:1], ""))
