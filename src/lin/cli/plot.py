"""`lin plot`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import AsOf, Columns, Json, StorePath, choose_version, open_project, split_names
from lin.cli.output import count, emit, size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.runs.look import Drawn


def plot(
    reference: Annotated[
        str, typer.Argument(metavar="TABLE[@N]", help="The table, or a version of it: housing@0.", show_default=False)
    ],
    *,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="What is to be predicted: what goes with it?")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A .png or .html (default: TABLE@N.png).")
    ] = None,
    columns: Columns = None,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Draw from at most so many rows (default: 100000).")
    ] = None,
    as_of: AsOf = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Draw a table's columns, and what goes with a target.

    Counts, missing shares and means are of all rows; distributions and associations of an even sample of a
    large table, the same rows each time. A PNG, or one HTML page that needs nothing beside it.
    """
    from lin.data.tables import open_table, split_reference
    from lin.runs.look import draw_version

    name, version = split_reference(reference)
    table = open_table(open_project(store), name)
    chosen = choose_version(table, version, as_of)
    drawn = draw_version(table, chosen, output=output, target=target, columns=split_names(columns), sample=sample)
    emit(drawn, _view, as_json=as_json)


def _view(drawn: "Drawn") -> "list[RenderableType]":
    profile = drawn.profile
    of = count(profile.rows, "row") if profile.sampled == profile.rows else f"{profile.sampled} of {profile.rows} rows"
    strongest = [each for each in profile.associations if each.value is not None][:3]
    parts: list[RenderableType] = [f"{drawn.path}: {size(drawn.bytes)}, {profile.table}@{profile.version}, {of}"]
    if profile.target:
        told = [f"{each.column} {each.value:.3f} ({each.measure})" for each in strongest]
        parts.append(f"strongest with {profile.target.column}: {', '.join(told) or 'none is defined'}")
    return parts
