"""`lin tables`."""

from typing import TYPE_CHECKING

from lin.cli.options import Json, StorePath, open_project
from lin.cli.output import emit, size, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.data.tables import TableInfo


def tables(*, store: StorePath = None, as_json: Json = False) -> None:
    """List the tables."""
    from lin.data.tables import list_tables

    emit(list_tables(open_project(store)), _view, as_json=as_json)


def _view(found: "list[TableInfo]") -> "list[RenderableType]":
    if not found:
        return ["no tables yet; add one: lin add NAME FILE.csv --key COLUMN"]
    columns = ("table", "version", "rows", "columns", "size", "key", "written (UTC)", "path")
    rows = [
        (t.name, t.version, t.rows, t.columns, size(t.bytes), ", ".join(t.key), t.time, t.problem or t.path)
        for t in found
    ]
    return [table(columns, rows, right=("version", "rows", "columns", "size"))]
