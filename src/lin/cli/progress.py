"""What is shown while a sweep runs: a live table on a terminal, a line for each of its points elsewhere."""

import sys
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.fits import explain, order_metrics, rank, tell_metrics
from lin.cli.printing import line, note, table
from lin.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

    from lin.runs.query import RunInfo
    from lin.runs.sweep import Progress

Jobs = Annotated[
    int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Do N points at a time, each in a process.")
]


def exit_code(runs: "list[RunInfo]") -> ExitCode:
    """What a sweep answers to its caller."""
    if any(run.status == "interrupted" for run in runs):
        return ExitCode.INTERRUPTED
    return ExitCode.OK if all(run.status == "finished" for run in runs) else ExitCode.OUTSIDE


@contextmanager
def follow(*, interrupted: str = "") -> "Iterator[Callable[[Progress], None]]":
    """A reporter of progress on stderr, as stdout is the result's; it tells what to do when it is `interrupted`."""
    try:
        with _live() if sys.stderr.isatty() else nullcontext(_say) as report:
            yield report
    except KeyboardInterrupt:
        note(f"interrupted{interrupted and f' (hint: {interrupted})'}")
        raise


@contextmanager
def _live() -> "Iterator[Callable[[Progress], None]]":
    from rich.live import Live

    from lin.cli.printing import console_for

    board = _Board(time.monotonic)
    with Live(get_renderable=board.draw, console=console_for(stderr=True), transient=True) as live:

        def report(progress: "Progress") -> None:
            board.show(progress)
            for text in _notes(progress):
                live.console.print(line(text, "yellow"))

        yield report


class _Board:
    """How many points are done and the best of them, drawn anew several times a second."""

    def __init__(self, clock: "Callable[[], float]") -> None:
        self._clock = clock
        self._begun = clock()
        self._counts = (0, 0, 0, 0)
        self._best: RunInfo | None = None

    def show(self, progress: "Progress") -> None:
        self._counts = (progress.done, progress.total, progress.failed, progress.running)
        if progress.run is not None and progress.run.status == "finished":
            found = [progress.run] if self._best is None else [self._best, progress.run]
            self._best = rank(found, order_metrics(found))[0]

    def draw(self) -> "RenderableType":
        done, total, failed, running = self._counts
        minutes, seconds = divmod(int(self._clock() - self._begun), 60)
        best = f"{self._best.name}: {tell_metrics(self._best)}" if self._best else ""
        columns = ["done", "failed", "running", "elapsed", "best so far"]
        row = (f"{done}/{total}" if total else "", failed, running, f"{minutes}:{seconds:02}", best)
        return table(columns, [row], right=columns[:-1])


def _say(progress: "Progress") -> None:
    if progress.run is not None:
        note(f"{progress.done}/{progress.total} {progress.run.name}: {tell_metrics(progress.run)}")
    for text in _notes(progress):
        note(text)


def _notes(progress: "Progress") -> list[str]:
    """What there is to say besides the numbers: a failure says why."""
    run = progress.run
    if run is None:
        return progress.notes
    why = [explain(run)] if run.status != "finished" and not progress.notes else []
    return [f"warning: {run.name}: {text}" for text in (*progress.notes, *filter(None, why))]
