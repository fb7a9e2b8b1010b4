"""A blame on a terminal: of a table its writers and the version of each cell, of one row who wrote each cell."""

from typing import TYPE_CHECKING

from lin.cli.printing import count, line, show, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.data.blame import CellBlame, RowBlame, TableBlame, Writer

WHO = ("version", "time (UTC)", "operation", "user", "run", "model")
"""What is shown of a writer."""


def view(result: "TableBlame") -> "list[RenderableType]":
    """The writers, newest first, then the version of each cell of the rows."""
    title = f"{result.table}@{result.version}: who last wrote the cells of {count(result.rows, 'row')}"
    writers = [(*_who(w), w.rows, w.cells, _columns(w, result)) for w in result.writers]
    names = (*WHO, "rows", "cells", "columns")
    parts: list[RenderableType] = [line(title, "bold"), _grid(names, writers, right=("version", "rows", "cells"))]
    if result.listed:
        rows = [(_key(row), *(_version(row.cells[name]) for name in result.columns)) for row in result.listed]
        parts += ["", "the version of each cell:", table(("row", *result.columns), rows, right=result.columns)]
        rest = result.rows - len(rows)
        parts += [f"… and {count(rest, 'more row')} (--limit {result.rows})"] if rest > 0 else []
    return [*parts, *_legend(result)]


def view_row(result: "TableBlame") -> "list[RenderableType]":
    """A line for each column of the one row."""
    (row,) = result.listed
    writers = {(writer.version, writer.exact): writer for writer in result.writers}
    known = "" if row.exact else " or before"
    title = f"{result.table}@{result.version}, {_key(row)}: last written in version {row.version}{known}"
    cells = [(name, _value(c.value), *_who(writers[c.version, c.exact])) for name, c in row.cells.items()]
    return [line(title, "bold"), _grid(("column", "value", *WHO), cells, right=("version",)), *_legend(result)]


def _grid(names: "tuple[str, ...]", rows: "list[tuple[object, ...]]", right: "tuple[str, ...]") -> "RenderableType":
    """A table without what is not known of any writer, and without the operation where runs tell more."""
    known = {name for at, name in enumerate(names) if name not in WHO or any(row[at] is not None for row in rows)}
    if all(row[names.index("run")] is not None for row in rows):
        known.discard("operation")
    kept = [at for at, name in enumerate(names) if name in known]
    return table([names[at] for at in kept], [[row[at] for at in kept] for row in rows], right=right)


def _who(w: "Writer") -> "tuple[object, ...]":
    return _version(w), w.time, w.operation, w.user, w.run and w.run[-8:], w.model


def _legend(result: "TableBlame") -> list[str]:
    known = all(writer.exact for writer in result.writers)
    return [] if known else ["≤ N: in version N or before it; what is left of the table does not tell which"]


def _version(of: "Writer | RowBlame | CellBlame") -> str:
    return f"{of.version}" if of.exact else f"≤ {of.version}"


def _columns(writer: "Writer", result: "TableBlame") -> str:
    return "all" if len(writer.columns) == len(result.columns) > 1 else ", ".join(writer.columns)


def _key(row: "RowBlame") -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in row.key.items())


def _value(value: object) -> str:
    return "null" if value is None else show(value)
