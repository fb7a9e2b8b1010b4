"""A diff on a terminal: counts, the columns that changed, then rows, old -> new, with the changed cells marked."""

from typing import TYPE_CHECKING, Any

from lin.cli.printing import count, line, show, table

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.text import Text

    from lin.data.diff import Movement, RowChange, TableDiff

_MARKS = {"inserted": ("+", "green"), "deleted": ("-", "red"), "updated": ("~", "yellow")}
_OLD, _NEW = "red", "green"


def view(diff: "TableDiff") -> "list[RenderableType]":
    """The whole diff; of the rows, those that it lists."""
    title = f"{diff.table}@{diff.old} -> {diff.table}@{diff.new}"
    where = f", where {diff.where}" if diff.where is not None else ""
    remarks = [line(remark) for remark in diff.remarks()]
    if diff.identical:
        return [f"{title}: no difference{where}", *remarks]
    how = f"by {', '.join(diff.key)}" if diff.key else "as a multiset of rows"
    counts = f"{diff.inserted:,} inserted, {diff.deleted:,} deleted, {diff.updated:,} updated"
    parts: list[RenderableType] = [line(f"{title}: {counts}, {how}{where}", "bold"), *remarks]
    if diff.columns:
        names = ("column", "cells", "were null", "are null", "largest movement")
        rows = [
            (name, f"{diff.columns[name]:,}", f"{c.filled:,}", f"{c.emptied:,}", c.largest and _movement(c.largest))
            for name, c in diff.details.items()
        ]
        parts += ["", table(names, rows, right=("cells", "were null", "are null"))]
    total = diff.inserted + diff.deleted + diff.updated
    if diff.rows:
        parts += ["", _Rows(diff)]
    if diff.rows and total > len(diff.rows):
        rest = total - len(diff.rows)
        parts.append(f"… and {count(rest, 'more row')} (--limit {total}, or --output FILE for all)")
    if diff.output is not None:
        parts.append(f"wrote {count(total, 'changed row')} to {diff.output}")
    return parts


class _Rows:
    """The rows in a table with a column for each that changed, or where that is too wide, a list of changes."""

    def __init__(self, diff: "TableDiff") -> None:
        self.diff = diff

    def __rich_console__(self, _: "Console", options: "ConsoleOptions") -> "RenderResult":
        key = self.diff.key or []
        whole_rows_first = sorted(self.diff.rows, key=lambda row: row.kind == "updated")  # these have all in order
        changed = dict.fromkeys(name for row in whole_rows_first for name in [*(row.new or {}), *(row.old or {})])
        names = [*key, *(name for name in changed if name not in key)]
        grid = table(("", *names), [_cells(row, names) for row in self.diff.rows])
        fits = grid.width <= options.max_width
        yield grid if fits else table(("", *key, "change"), [_listed(row, key) for row in self.diff.rows])


def _cells(row: "RowChange", names: "list[str]") -> "tuple[object, ...]":
    return _mark(row), *(_cell(row, name) for name in names)


def _cell(row: "RowChange", name: str) -> "Text":
    if name in row.key:
        return line(_show(row.key[name]))
    if row.kind == "updated":
        return _change(row.old, row.new, name) if name in (row.new or {}) else line("")
    return line(_show((row.new or row.old or {}).get(name)), _MARKS[row.kind][1])


def _listed(row: "RowChange", key: "list[str]") -> "tuple[object, ...]":
    from rich.text import Text

    cells = [name for name in (row.new or row.old or {}) if name not in row.key]
    if row.kind == "updated":
        changes = [line(f"{name} ").append_text(_change(row.old, row.new, name)) for name in cells]
    else:
        style = _MARKS[row.kind][1]
        changes = [line(f"{name} {_show((row.new or row.old or {})[name])}", style) for name in cells]
    return _mark(row), *(_show(row.key[name]) for name in key), Text(", ").join(changes)


def _mark(row: "RowChange") -> "Text":
    return line(*_MARKS[row.kind])


def _change(old: "dict[str, Any] | None", new: "dict[str, Any] | None", name: str) -> "Text":
    before, after = (line(_show((cells or {})[name]), style) for cells, style in ((old, _OLD), (new, _NEW)))
    return line("").append_text(before).append(" -> ").append_text(after)


def _movement(moved: "Movement") -> str:
    key = ", ".join(f"{name} {_show(value)}" for name, value in moved.key.items())
    return f"{key}: {_show(moved.old)} -> {_show(moved.new)}" if key else f"{_show(moved.old)} -> {_show(moved.new)}"


def _show(value: object) -> str:
    return "null" if value is None else show(value)
