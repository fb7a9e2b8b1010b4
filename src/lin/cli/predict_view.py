"""How predictions are shown, and how far a long scoring has come."""

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lin.cli.printing import console_for, count, note, table
from lin.ids import short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from lin.models.answers import Predictions, Report
    from lin.models.fill import Fill

SHOWN = 20
MOST_PROBABILITIES = 6
"""As many columns of probabilities at most are on a terminal."""


def view_predictions(result: "Predictions") -> "Iterator[RenderableType]":
    """The predictions with the keys and probabilities of their rows."""
    if result.output is not None:
        yield f"{count(result.rows, 'row')} scored by {result.model}: {result.output} (run {short(result.run or '')})"
        return
    if result.rows == 1 and not result.keys and not result.probabilities:
        yield str(result.predictions[0])
        return
    shown = dict(list(result.probabilities.items())[:MOST_PROBABILITIES])
    columns = {**result.keys, "prediction": [str(value) for value in result.predictions], **shown}
    rows = list(zip(*columns.values(), strict=True))[:SHOWN]
    yield table(list(columns), rows, right=["prediction", *shown])
    if hidden := len(result.probabilities) - len(shown):
        yield f"… and the probabilities of {count(hidden, 'label')} more (--json prints all)"
    if result.rows > SHOWN:
        yield f"… and {result.rows - SHOWN} more (--json prints all, --output FILE keeps all)"


def view_fill(result: "Fill") -> "Iterator[RenderableType]":
    """What a write-back made."""
    if result.version is None:
        empty = "no rows" if result.overwritten else f"no nulls in '{result.column}'"
        yield f"{result.table}@{result.base} has {empty} to fill; nothing to do"
        return
    made = f"{result.table}@{result.version} (run {short(result.run or '')})"
    what = count(result.filled, "row" if result.overwritten else "null")
    yield f"{what} of {result.column} filled by {result.model}: {made}"


def note_extra(result: "Predictions | Fill") -> None:
    """Tell of columns that the model has nothing to do with: one of them may be a slip."""
    if result.extra:
        note(f"note: {result.model} takes no account of: {', '.join(result.extra)}")


@contextmanager
def progress_bar() -> "Iterator[Report | None]":
    """A bar on stderr that is told how many rows passed; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console_for(stderr=True), transient=True) as progress:
        task = progress.add_task("rows", total=None)

        def report(passed: int, rows: int | None) -> None:
            progress.update(task, completed=passed, total=rows)

        yield report
