"""`lin runs`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.fits import order_metrics
from lin.cli.options import Json, StorePath, open_project
from lin.cli.output import emit, note, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.runs.query import RunInfo


def runs(
    *,
    where: Annotated[
        str | None, typer.Option(metavar="FILTER", help="\"metrics.rmse < 5 and params.alpha = '0.1'\"")
    ] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="FIELD", help="metrics.rmse, params.alpha, started, …")
    ] = None,
    desc: Annotated[bool, typer.Option("--desc", help="Sort the largest first.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Imports, restores and write-backs too.")] = False,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """List the runs: filter, sort, cut.

    The newest come first. Fields are metrics.NAME, params.NAME, tags.NAME, inputs.TABLE (the version read), and id,
    name, kind, status, experiment, sweep, parent, started, seconds, actor.
    """
    from lin.records import WORK
    from lin.runs.query import list_runs

    kinds = None if every else WORK
    found = list_runs(
        open_project(store).store, where=where, sort=sort, descending=desc, limit=limit, kinds=kinds
    )
    emit(found.runs, _view, as_json=as_json)
    for problem in found.damaged:
        note(f"warning: {problem}")


def _view(found: "list[RunInfo]") -> "list[RenderableType]":
    if not found:
        return ["no runs"]
    metrics = order_metrics(found)[:6]
    rows = [
        (
            run.id[-8:],
            run.started,
            run.experiment or run.kind,
            run.name,
            run.status,
            ", ".join(f"{read.table}@{read.version}" for read in run.table_inputs),
            *(float(run.metrics[key]) if key in run.metrics else None for key in metrics),
        )
        for run in found
    ]
    return [
        table(("run", "started (UTC)", "experiment", "name", "status", "read", *metrics), rows, right=metrics)
    ]
