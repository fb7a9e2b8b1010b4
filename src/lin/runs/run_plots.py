"""Pictures of runs as files, PNG or HTML: runs as points of a scatter, and the curves of their metrics.

The same runs give the same bytes. What is not drawn is named with the reason, never dropped.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from lin.errors import OutsideError, UsageError
from lin.ids import short
from lin.runs.curve_panels import gather_curves, picture_curves
from lin.runs.curves import summarise_points
from lin.runs.drawing import Sheet, draw_png
from lin.runs.query import RunInfo
from lin.runs.run_page import page_picture
from lin.runs.run_panels import WIDTH, Picture, draw_head, draw_panels, head_of
from lin.runs.scatter import LeftOut, picture_scatter, scatter_runs, show_value
from lin.runs.where import Field, format_field
from lin.store.store import Store
from lin.store.whole import write_whole

_DOTS = 150
"""To the inch of a PNG."""


class DrawnRuns(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that was written: of which fields and runs, who is left out, and what is told above it."""

    path: str
    bytes: int
    kind: Literal["scatter", "curves"]
    fields: list[str]
    runs: list[str]
    left_out: list[LeftOut]
    notes: list[str]


def draw_scatter(
    runs: Sequence[RunInfo], x: Field, y: Field, color: Field | None = None, *, output: Path | None = None
) -> DrawnRuns:
    """Draw `y` against `x`, a point for each run, the first on top, into a file that is replaced.

    Args:
        runs: the runs; those without a value for an axis are left out and named.
        x: the field along.
        y: the field upwards.
        color: the field that colours the points, if any.
        output: a file whose name ends in `.png` or `.html` (default: `runs.png` in the current folder).

    Raises:
        UsageError: there is nothing to draw, or the file's name ends in something else.
        OutsideError: the file cannot be written.
    """
    path = _check_output(output, "runs.png")
    scatter = scatter_runs(runs, x, y, color)
    if not scatter.runs:
        what = f"none of {len(runs)} runs has both {format_field(x)} and {format_field(y)}"
        raise UsageError(what if runs else "there are no such runs", hint="lin runs --csv shows what they have")
    picture = picture_scatter(scatter)
    rows = [
        [short(run.id), run.name, *(axis.shown[at] for axis in scatter.axes)] for at, run in enumerate(scatter.runs)
    ]
    fields = [axis.field for axis in scatter.axes]
    return DrawnRuns(
        path=str(path),
        bytes=_write(path, picture, ["run", "name", *fields], rows),
        kind="scatter",
        fields=fields,
        runs=[run.id for run in scatter.runs],
        left_out=scatter.left_out,
        notes=list(picture.facts),
    )


def draw_curves(
    store: Store, runs: Sequence[RunInfo], metrics: Sequence[str] = (), *, output: Path | None = None
) -> DrawnRuns:
    """Draw metrics over their steps, a line for each run, into a file that is replaced.

    Args:
        store: where the runs are.
        runs: the runs, of which `curve_panels.MOST_RUNS` are drawn; those without such a curve are left out and named.
        metrics: these, in one pair of axes (default: all that have several points, each in its own).
        output: a file whose name ends in `.png` or `.html` (default: named after the run, or `runs.png`).

    Raises:
        UsageError: there is nothing to draw, or the file's name ends in something else.
        OutsideError: the file cannot be written.
    """
    path = _check_output(output, f"{short(runs[0].id)}.png" if len(runs) == 1 else "runs.png")
    curves = gather_curves(store, runs, metrics)
    if not curves.runs:
        what = f"no curve: none of {len(runs)} runs has several points of {' or '.join(metrics) or 'any metric'}"
        hint = "--x FIELD draws the last value of each run" if runs else "lin runs"
        raise UsageError(what if runs else "there are no such runs", hint=hint)
    picture = picture_curves(curves, together=bool(metrics))
    columns = ["run", "name", "metric", "points", "first", "last", "least", "greatest"]
    rows = []
    for run, found in zip(curves.runs, curves.points, strict=True):
        for key, points in found.items():
            curve = summarise_points(points)
            numbers = (curve.first, curve.last, curve.least, curve.greatest)
            rows.append([short(run.id), run.name, key, f"{curve.points:,}", *map(show_value, numbers)])
    return DrawnRuns(
        path=str(path),
        bytes=_write(path, picture, columns, rows),
        kind="curves",
        fields=[format_field(Field("metrics", key)) for key in curves.metrics],
        runs=[run.id for run in curves.runs],
        left_out=curves.left_out,
        notes=list(picture.facts),
    )


def _check_output(output: Path | None, default: str) -> Path:
    """The file to write. Raises `UsageError` if it is neither a picture nor a page."""
    if output and output.suffix not in {".png", ".html"}:
        raise UsageError(f"'{output}' is neither a .png nor a .html", hint="--output runs.html")
    return output or Path(default)


def _write(path: Path, picture: Picture, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Write the picture as a PNG, or with a table of its numbers as a page; returns how many bytes that took."""
    data = page_picture(picture, columns, rows).encode() if path.suffix == ".html" else _picture_png(picture)
    try:
        return write_whole(path, data)
    except OSError as error:
        raise OutsideError(f"'{path}' cannot be written: {error.strerror}") from error


def _picture_png(picture: Picture) -> bytes:
    head, height = head_of(picture), picture.height

    def draw(figure: object) -> None:
        sheet = Sheet(figure, WIDTH, head + height)
        draw_head(sheet, picture)
        draw_panels(sheet.part(head, height), picture)

    return draw_png(draw, (WIDTH, head + height), dpi=_DOTS)
