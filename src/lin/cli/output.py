"""The one way out: results as JSON or as text on stdout, messages on stderr, and nothing foreign unescaped.

Whatever comes from data, files or other people may hold terminal escapes or markup: `safe` takes their power.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lin.numbers import to_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

WIDE = 200
"""The width of tables that go to a file or a pipe."""


def emit(result: Any, view: "Callable[[Any], Iterable[RenderableType]]", *, as_json: bool) -> None:
    """Print a result: its record as JSON, or what `view` makes of it."""
    if as_json:
        from lin.records import encode

        sys.stdout.write(encode(result).decode())
        sys.stdout.flush()
        return
    console = console_for(stderr=False)
    for part in view(result):
        console.print(part if not isinstance(part, str) else line(part))


def note(message: str) -> None:
    """Tell something on stderr."""
    sys.stderr.write(f"{safe(message)}\n")


def console_for(*, stderr: bool) -> "Console":
    """A console on stdout or stderr: as wide as the terminal, or wide enough where there is none."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, width=None if stream.isatty() else WIDE, emoji=False)


def safe(text: object) -> str:
    """`text` without control characters: each is shown as an escape, so that no terminal obeys it."""
    return "".join(c if c.isprintable() else _escape(c) for c in str(text))


def line(text: str, style: str = "") -> "Text":
    """A line of text in which no markup is obeyed."""
    from rich.text import Text

    return Text(safe(text), style=style)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()
) -> "RenderableType":
    """A table without lines; the columns in `right` are aligned right. Without names there is no head."""
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), show_header=any(columns))
    aligned = set(right)
    for column in columns:
        grid.add_column(line(column), justify="right" if column in aligned else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(line(show(cell)) for cell in row))
    return grid


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


def _escape(character: str) -> str:
    return character if character == "\t" else character.encode("unicode_escape").decode()
