"""`lin blame`."""

from typing import Annotated

import typer

from lin.cli.options import AsOf, Json, Memory, StorePath, choose_version, open_project
from lin.cli.printing import emit
from lin.errors import UsageError


def blame(
    reference: Annotated[str, typer.Argument(metavar="TABLE[@N]", help="The table.", show_default=False)],
    *,
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="[COLUMN=]VALUE", help="Only the row with this key.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option("--column", metavar="COLUMN", help="Only this column; repeatable.")
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", metavar="COLUMN", help="Follow rows by this; repeatable.")
    ] = None,
    version: Annotated[int | None, typer.Option("--version", min=0, metavar="N", help="Blame this version.")] = None,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="Show this many rows.")] = 20,
    not_through_restore: Annotated[
        bool, typer.Option("--not-through-restore", help="Take a restore for the writer of what it changed.")
    ] = False,
    as_of: AsOf = None,
    memory: Memory = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Show who last wrote each cell: version, user, run, model."""
    from lin.cli.writers import view, view_row
    from lin.data.blame import blame_version
    from lin.data.tables import open_table, split_reference

    name, number = split_reference(reference)
    if None not in (number, version) and number != version:
        raise UsageError(f"'{reference}' and --version {version} are two versions", hint=f"lin blame {name}@{version}")
    table = open_table(open_project(store), name)
    result = blame_version(
        table,
        choose_version(table, version if number is None else number, as_of),
        key=key or None,
        by=by,
        columns=column,
        limit=limit,
        through_restore=not not_through_restore,
        memory=memory,
    )
    emit(result, view_row if key else view, as_json=as_json)
