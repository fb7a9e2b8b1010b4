"""`lin history`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import AsOf, Json, StorePath, at_moment, open_project
from lin.cli.printing import emit
from lin.cli.printing import table as grid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.data.history import VersionInfo


def history(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The table.", show_default=False)],
    *,
    as_of: AsOf = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Show a table's versions: who wrote each, how, in which run.

    With --as-of, those that there were at that time.
    """
    from lin.data.history import read_history
    from lin.data.tables import open_table

    opened = open_table(open_project(store), table)
    newest = None if as_of is None else at_moment(opened, as_of)
    versions = [entry for entry in read_history(opened) if newest is None or entry.version <= newest]
    emit(versions, _view, as_json=as_json)


def _view(versions: "list[VersionInfo]") -> "list[RenderableType]":
    columns = ("version", "time (UTC)", "operation", "rows", "user", "run", "model", "reason")
    rows = [
        (v.version, v.time, v.operation, v.rows, v.user, v.run and v.run[-8:], v.model, v.reason)
        for v in reversed(versions)
    ]
    return [grid(columns, rows, right=("version", "rows"))]
