"""The one way out: results as JSON or as text on stdout, messages on stderr, and nothing foreign unescaped.

Whatever comes from data, files or other people may hold terminal escapes or markup: `safe` takes their power.
"""

import os
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from lin.cli.streams import drop, tell
from lin.errors import OutsideError
from lin.numbers import to_json

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.text import Text

WIDE = 200
"""The width of tables that go to a file or a pipe."""

NARROW = 8
"""A column whose words have to break gets no narrower."""


def emit(result: Any, view: "Callable[[Any], Iterable[RenderableType]]", *, as_json: bool) -> None:
    """Print a result: its record as JSON, or what `view` makes of it. A reader that leaves early is no error."""
    if as_json:
        from lin.records import encode_in_full

        data = _escape_json(encode_in_full(result).decode()).encode()
    else:
        data = _render(view(result)).encode(sys.stdout.encoding, "backslashreplace")
    write(data)


def emit_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table as CSV: numbers with every digit, times in ISO form, nothing for None."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([safe(name) for name in columns])
    writer.writerows([_csv_cell(value) for value in row] for row in rows)
    write(text.getvalue().encode())


def _csv_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return str(to_json(value))
    return safe(value.isoformat() if isinstance(value, datetime) else value)


def write(data: bytes) -> None:
    """Write to stdout. A reader that leaves early is no error. Raises `OutsideError`."""
    with _writing():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        drop(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            raise OutsideError(f"the result cannot be written to stdout: {error.strerror}") from error


def _render(parts: "Iterable[RenderableType]") -> str:
    console = console_for(stderr=False)
    with _writing(), console.capture() as captured:  # at the end of a capture rich writes, if only nothing
        for part in parts:
            console.print(part if not isinstance(part, str) else line(part))
    return "\n".join(text.rstrip(" ") for text in captured.get().split("\n"))


def note(message: str) -> None:
    """Tell something on stderr."""
    tell(f"{safe(message)}\n")


def console_for(*, stderr: bool) -> "Console":
    """A console on stdout or stderr: as wide as the terminal, or wide enough where there is none."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDE
    return Console(file=stream, highlight=False, width=width, emoji=False, _environ=_without_odd_sizes(os.environ))


def _without_odd_sizes(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables without a width or height that is no number of up to four digits: rich fails on it."""
    sizes = {"COLUMNS", "LINES"}
    return {k: v for k, v in environ.items() if k not in sizes or (v.isascii() and v.isdigit() and len(v) < 5)}  # noqa: PLR2004


def safe(text: object) -> str:
    """`text` without control characters: each is shown as an escape, so that no terminal obeys it."""
    return "".join(c if c.isprintable() else _escape(c) for c in str(text))


def line(text: str, style: str = "") -> "Text":
    """A line of text in which no markup is obeyed."""
    from rich.text import Text

    return Text(safe(text), style=style)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()) -> "Grid":
    """A table without lines; the columns in `right` are aligned right. Without names there is no head.

    A cell that is a `Text`, made by `line`, keeps its style.
    """
    return Grid(columns, [tuple(row) for row in rows], set(right))


class Grid:
    """A table as wide as the console lets it be: lines break between words, then inside texts, then anywhere."""

    def __init__(self, columns: Sequence[str], rows: list[tuple[object, ...]], right: set[str]) -> None:
        self.columns = columns
        self.rows = rows
        self.right = right

    def __rich_console__(self, _: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.table import Table
        from rich.text import Text

        grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), show_header=any(self.columns))
        for name, width in zip(self.columns, self._fit(options.max_width), strict=True):
            side: Literal["left", "right"] = "right" if name in self.right else "left"
            grid.add_column(line(name), justify=side, overflow="fold", width=width)
        for row in self.rows:
            grid.add_row(*(cell if isinstance(cell, Text) else line(show(cell)) for cell in row))
        yield grid

    @property
    def width(self) -> int:
        """How many cells of a terminal it would take without a line break."""
        return sum(self._natural()) + 2 * (len(self.columns) - 1)

    def _texts(self) -> list[list[str]]:
        return [[name, *(safe(show(row[at])) for row in self.rows)] for at, name in enumerate(self.columns)]

    def _natural(self) -> list[int]:
        from rich.cells import cell_len

        return [max(map(cell_len, column)) for column in self._texts()]

    def _fit(self, room: int) -> Sequence[int | None]:
        from rich.cells import cell_len

        texts = self._texts()
        return fit_widths(
            self._natural(),
            [max((cell_len(word) for text in column for word in text.split()), default=0) for column in texts],
            room - 2 * (len(texts) - 1),
            firm={at for at, name in enumerate(self.columns) if name in self.right or self._has_times(at)},
        )

    def _has_times(self, at: int) -> bool:
        return any(isinstance(row[at], datetime) for row in self.rows)


def fit_widths(
    natural: Sequence[int], longest_word: Sequence[int], room: int, *, firm: Container[int] = ()
) -> Sequence[int | None]:
    """The widths of columns that together have `room`: the widest give way, down to their longest word.

    Where that does not do, words may break in the columns that are not `firm`; if that does not either, None for each.
    """
    broken = [width if at in firm else min(width, NARROW) for at, width in enumerate(longest_word)]
    least = next((widths for widths in (longest_word, broken) if sum(widths) <= room), None)
    if least is None:
        return [None] * len(natural)
    widths = [max(floor, min(width, room)) for width, floor in zip(natural, least, strict=True)]
    while sum(widths) > room:
        loose = [at for at, width in enumerate(widths) if width > least[at]]
        widths[max(loose, key=lambda at: widths[at])] -= 1
    return widths


def count(number: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def show(value: object) -> str:
    """A value in a cell: short numbers, UTC times to the second, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        number = to_json(value)
        return f"{number:.6g}" if isinstance(number, float) else number
    return str(value)


def size(count: int | None) -> str:
    """Bytes for people: `1.4 MB`."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:  # noqa: PLR2004
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _escape_json(document: str) -> str:
    """The same JSON, with every character that is not printable as an escape: JSON lets some of them stand."""
    if document.removesuffix("\n").isprintable():
        return document
    return "".join(c if c.isprintable() or c == "\n" else _utf16(c) for c in document)


def _utf16(character: str) -> str:
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _escape(character: str) -> str:
    return character if character == "\t" else character.encode("unicode_escape").decode()
