"""`lin plot`."""

from pathlib import Path
from typing import Annotated

import typer

from lin.cli.options import AsOf, Columns, Json, StorePath, open_project, split_names
from lin.cli.pictures import RunOptions, TableOptions, draw, view
from lin.cli.printing import emit


def plot(
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT…", help="A table (housing@0), runs by name or id, or the word runs.", show_default=False
        ),
    ],
    *,
    x: Annotated[str | None, typer.Option(metavar="FIELD", help="Runs as points: params.alpha, started, …")] = None,
    y: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Upwards: metrics.rmse; repeatable without --x.")
    ] = None,
    color: Annotated[str | None, typer.Option(metavar="FIELD", help="With --x: colour the points by this.")] = None,
    where: Annotated[
        str | None, typer.Option(metavar="FILTER", help="With runs: only these, as in lin runs --where.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Of a table: what is to be predicted, what goes with it?")
    ] = None,
    columns: Columns = None,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Of a table: at most so many rows (default: 100000).")
    ] = None,
    as_of: AsOf = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A .png or .html (default: a .png here).")
    ] = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Draw a table's columns, runs as points, or metrics as curves.

    lin plot housing --target medv draws each column, and what goes with the target: distributions and associations of
    an even sample of a large table. lin plot runs --x params.alpha --y metrics.rmse --color params.model draws a point
    for each run. Without --x, and for runs that are named, it draws metrics over their steps, a line for each run.

    An axis is logarithmic where positive numbers span more than two powers of ten. The file is a PNG, or one HTML
    page that needs nothing beside it.
    """
    of_table = TableOptions(target, split_names(columns), sample, as_of)
    drawn = draw(open_project(store), references, of_table, RunOptions(x, y or [], color, where), output)
    emit(drawn, view, as_json=as_json)
