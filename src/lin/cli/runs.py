"""`lin runs`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.fits import metric_of, order_metrics
from lin.cli.options import Json, StorePath, open_project, split_names
from lin.cli.printing import emit, emit_csv, note, table
from lin.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.runs.query import RunInfo

SHOWN = 100
"""So many runs are listed as text where nothing else is said."""


def runs(
    *,
    where: Annotated[
        str | None, typer.Option(metavar="FILTER", help="\"metrics.rmse < 5 and params.alpha = '0.1'\"")
    ] = None,
    sort: Annotated[str | None, typer.Option(metavar="FIELD", help="metrics.rmse, params.alpha, started, …")] = None,
    desc: Annotated[bool, typer.Option("--desc", help="Sort the largest first.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=0, metavar="N", help=f"At most this many; 0: all (default: {SHOWN} as text).")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="FIELD,FIELD…", help="Show these fields: id,metrics.rmse,params.alpha.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Imports, restores and write-backs too.")] = False,
    store: StorePath = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the result as CSV on stdout.")] = False,
    as_json: Json = False,
) -> None:
    """List the runs: filter, sort, cut.

    The newest come first. Fields are metrics.NAME, params.NAME, tags.NAME, inputs.TABLE (the version read), and id,
    name, kind, status, experiment, sweep, parent, started, seconds, actor. A filter compares them with = != < <= > >=,
    LIKE, ILIKE, IN (…) and IS NULL, and joins that with AND, OR, NOT and parentheses.
    """
    from lin.records import WORK
    from lin.runs.fields import parse_fields, tabulate
    from lin.runs.query import list_runs

    if as_csv and as_json:
        raise UsageError("--csv and --json do not go together", hint="lin runs --help")
    fields = parse_fields(split_names(columns))
    most = limit if limit is not None else None if as_json or as_csv else SHOWN
    found = list_runs(
        open_project(store).store,
        where=where,
        sort=sort,
        descending=desc,
        limit=most + 1 if most else None,
        kinds=None if every else WORK,
    )
    shown = found.runs[: most or None]
    cells = tabulate(shown, fields) if as_csv or fields else None
    if cells and as_csv:
        emit_csv(cells.columns, cells.rows)
    elif cells:
        emit(cells.records, lambda _: [table(cells.columns, cells.rows, right=cells.numeric)], as_json=as_json)
    else:
        emit(shown, _view, as_json=as_json)
    for problem in found.damaged:
        note(f"warning: {problem}")
    if limit is None and len(shown) < len(found.runs):
        note(f"these are {len(shown)} of more runs: --limit 0 lists all")


def _view(found: "list[RunInfo]") -> "list[RenderableType]":
    if not found:
        return ["no runs"]
    metrics = order_metrics(found)[:6]
    columns: list[tuple[str, list[object]]] = [
        ("run", [run.id[-8:] for run in found]),
        ("started (UTC)", [run.started for run in found]),
        ("experiment", [run.experiment or run.kind for run in found]),
        ("name", [run.name for run in found]),
    ]
    if any(run.status != "finished" for run in found):
        columns.append(("status", [run.status for run in found]))
    if any(run.table_inputs for run in found):
        columns.append(("read", [_read(run) for run in found]))
    columns += [(key, [metric_of(run, key) for run in found]) for key in metrics]
    rows = zip(*(values for _, values in columns), strict=True)
    return [table([name for name, _ in columns], rows, right=metrics)]


def _read(run: "RunInfo") -> str:
    return ", ".join(f"{read.table}@{read.version}" for read in run.table_inputs)
