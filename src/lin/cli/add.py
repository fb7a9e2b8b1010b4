"""`lin add`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, Reason, StorePath, open_project
from lin.cli.printing import count, emit

if TYPE_CHECKING:
    from lin.runs.add import Added


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the table.", show_default=False)],
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A folder with a Delta table, or a CSV, Parquet or JSON file.",
            show_default=False,
        ),
    ],
    *,
    key: Annotated[list[str] | None, typer.Option("--key", metavar="COLUMN", help="A key column; repeatable.")] = None,
    order: Annotated[
        list[str] | None, typer.Option("--order", metavar="COLUMN", help="Read in this order; repeatable.")
    ] = None,
    path: Annotated[
        str | None,
        typer.Option(help="Where an imported table is to lie (default: data/NAME).", metavar="FOLDER"),
    ] = None,
    fill_short_rows: Annotated[
        bool, typer.Option("--fill-short-rows", help="Let CSV rows that are too short in, the rest as nulls.")
    ] = False,
    keep_log: Annotated[
        bool, typer.Option("--keep-log", help="Commit to an adopted table that its log is never cleaned up.")
    ] = False,
    reason: Reason = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Add a table: adopt Delta, or import CSV, Parquet or JSON.

    A file becomes version 0 of a new Delta table. A Delta table stays where it is and, but for --keep-log, is not
    changed. The table is declared in lineage.toml.
    """
    from lin.runs.add import add_table

    project = open_project(store)
    added = add_table(
        project,
        name,
        source,
        key=key,
        order=order,
        path=path,
        fill_short_rows=fill_short_rows,
        keep_log=keep_log,
        reason=reason,
    )
    emit(added, _view, as_json=as_json)


def _view(added: "Added") -> list[str]:
    how = "imported as" if added.imported else "adopted at"
    key = f", key {', '.join(added.key)}" if added.key else ", no key"
    rows = "rows not counted" if added.rows is None else count(added.rows, "row")
    told = f"table '{added.name}' {how} version {added.version}: {rows}, {count(added.columns, 'column')}{key}"
    if added.log_retention is None:
        return [told]
    keep = f"lin add {added.name} {shlex.quote(added.path)} --keep-log"
    return [told, f"its writers may drop old commits after '{added.log_retention}'; to keep them all: {keep}"]
