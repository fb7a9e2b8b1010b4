"""`lin tables`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import count, emit, size, table
from lin.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.data.tables import TableInfo
    from lin.runs.pinned import TablesCheck


def tables(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Check that every version that a run needs can still be read.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="With --check: look at sizes only, read no file.")] = False,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """List the tables.

    With --check, exits with 1 if a version that a run read or wrote can no longer be read.
    """
    from lin.data.tables import list_tables

    project = open_project(store)
    if not check:
        if quick:
            raise UsageError("--quick is for --check", hint="lin tables --check --quick")
        emit(list_tables(project), _view, as_json=as_json)
        return
    from lin.lineage.holders import name_models
    from lin.runs.pinned import check_tables

    found = check_tables(project, models=name_models(project), quick=quick)
    emit(found, _view_check, as_json=as_json)
    if found.lost or found.damaged:
        raise typer.Exit(ExitCode.NO)


def _view(found: "list[TableInfo]") -> "list[RenderableType]":
    if not found:
        return ["no tables yet; add one: lin add NAME FILE.csv --key COLUMN"]
    columns = ("table", "version", "rows", "columns", "size", "key", "written (UTC)", "path")
    rows = [
        (t.name, t.version, t.rows, t.columns, size(t.bytes), ", ".join(t.key), t.time, t.problem or t.path)
        for t in found
    ]
    return [table(columns, rows, right=("version", "rows", "columns", "size"))]


def _view_check(found: "TablesCheck") -> "list[RenderableType]":
    parts: list[RenderableType] = []
    for lost in found.lost:
        stranded = ", ".join([*lost.models, *(f"run {run[-8:]}" for run in lost.runs)])
        parts += [f"{lost.table}@{lost.version} can no longer be read: {'; '.join(lost.problems)}"]
        parts += [f"  stranded: {stranded}"]
    parts += [f"not known what a run needs: {why}" for why in found.damaged]
    how = "every file of the right size" if found.quick else "every file there and unaltered"
    whole = len(found.versions) - len(found.lost)
    return [*parts, f"{whole} of {count(len(found.versions), 'pinned version')} can be read: {how}"]
