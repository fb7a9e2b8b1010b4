"""`lin diff`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.output import emit, line, show, table
from lin.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.data.diff import RowChange, TableDiff


def diff(
    versions: Annotated[
        list[str],
        typer.Argument(metavar="TABLE@OLD TABLE@NEW", help="Also: TABLE OLD NEW.", show_default=False),
    ],
    *,
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="COLUMN", help="Match rows by this; repeatable.")
    ] = None,
    multiset: Annotated[bool, typer.Option("--multiset", help="Compare whole rows, whatever the key.")] = False,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="Show this many changed rows.")] = 20,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if there is a difference.")] = False,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Show the rows and cells that differ between two versions."""
    from lin.data.diff import diff_versions
    from lin.data.tables import open_table

    name, old, new = _versions(versions)
    chosen = [] if multiset else key
    result = diff_versions(open_table(open_project(store), name), old, new, key=chosen, limit=limit)
    emit(result, view, as_json=as_json)
    if exit_code and not result.identical:
        raise typer.Exit(ExitCode.NO)


def _versions(words: list[str]) -> tuple[str, int, int]:
    from lin.data.tables import split_reference

    if len(words) == 3:  # noqa: PLR2004
        words = [f"{words[0]}@{words[1]}", f"{words[0]}@{words[2]}"]
    if len(words) != 2:  # noqa: PLR2004
        raise UsageError("a diff takes two versions of one table", hint="lin diff housing@0 housing@1")
    (name, old), (other, new) = (split_reference(word) for word in words)
    if name != other or old is None or new is None:
        raise UsageError(f"'{words[0]}' and '{words[1]}' are not two versions of one table", hint=f"lin history {name}")
    return name, old, new


def view(result: "TableDiff") -> "list[RenderableType]":
    """The summary by operation and column, then the rows, old -> new."""
    title = f"{result.table}@{result.old} -> {result.table}@{result.new}"
    order = ["rows that are equal stand in another order"] if result.order_changed else []
    if result.identical:
        return [f"{title}: no difference", *order]
    how = f"by {', '.join(result.key)}" if result.key else "as a multiset of rows"
    parts: list[RenderableType] = [
        line(
            f"{title}: {result.inserted} inserted, {result.deleted} deleted, {result.updated} updated, {how}",
            "bold",
        )
    ]
    parts += order
    if result.ambiguous:
        parts.append("the key is ambiguous: some rows share one, and are paired as far as they can be")
    schema = [
        ("added", result.added_columns),
        ("dropped", result.dropped_columns),
        ("retyped", result.retyped_columns),
    ]
    parts += [f"{what} columns: {', '.join(map(str, names))}" for what, names in schema if names]
    if result.columns:
        parts.append("changed cells: " + ", ".join(f"{name} {count}" for name, count in result.columns.items()))
    if result.rows:
        parts += ["", table(("", "row", "change"), [_row(change) for change in result.rows])]
        rest = result.inserted + result.deleted + result.updated - len(result.rows)
        parts += [f"… and {rest} more (--limit {len(result.rows) + rest})"] if rest > 0 else []
    return parts


def _row(change: "RowChange") -> tuple[str, str, str]:
    mark = {"inserted": "+", "deleted": "-", "updated": "~"}[change.kind]
    key = ", ".join(f"{name} {show(value)}" for name, value in change.key.items())
    old, new = change.old or {}, change.new or {}
    if change.kind == "updated":
        return mark, key, ", ".join(f"{c}: {_cell(old.get(c))} -> {_cell(new.get(c))}" for c in new)
    values = {c: v for c, v in (new or old).items() if c not in change.key}
    return mark, key, ", ".join(f"{c} {_cell(v)}" for c, v in values.items())


def _cell(value: object) -> str:
    return "null" if value is None else show(value)
