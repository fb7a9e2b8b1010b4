"""What `lin run` and `lin train` share: progress while a grid runs, and the table of its fits."""

import math
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lin.cli.output import console_for, count, line, note, show, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

    from lin.runs.query import RunInfo
    from lin.runs.train import Progress

METRICS = ("rmse", "mae", "r2", "log_loss", "accuracy", "f1")
"""The trainer's metrics in the order of the columns; the first of them that there is ranks the fits."""
LOWER_IS_BETTER = ("rmse", "mae", "log_loss")


@contextmanager
def follow() -> "Iterator[Callable[[Progress], None]]":
    """A reporter of progress on stderr: a bar on a terminal, a line for each fit elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    if not sys.stderr.isatty():
        yield _say
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=console_for(stderr=True), transient=True) as bar:
        task = bar.add_task("fitting", total=None)

        def report(progress: "Progress") -> None:
            bar.update(task, total=progress.total, completed=progress.done, description=line(_told(progress)).plain)
            for warning in progress.warnings:
                bar.console.print(line(f"warning: {progress.run.name}: {warning}", "yellow"))

        yield report


def _say(progress: "Progress") -> None:
    note(f"{progress.done}/{progress.total} {_told(progress)}")
    for warning in progress.warnings:
        note(f"warning: {progress.run.name}: {warning}")


def _told(progress: "Progress") -> str:
    values = progress.run.metrics
    metrics = " ".join(f"{key} {show(float(values[key]))}" for key in order_metrics([progress.run]))
    return f"{progress.run.name}: {metrics or progress.run.status}"


def view_sweep(runs: "list[RunInfo]") -> "list[RenderableType]":
    """The fits of a grid, the best first, and what to type next."""
    names = order_metrics(runs)
    ranked = _rank([run for run in runs if run.status == "finished"], names)
    failed = [run for run in runs if run.status != "finished"]
    columns = ["run", "fit", *names, *(["status"] if failed else [])]
    rows = [
        (run.id[-8:], run.name, *(metric_of(run, key) for key in names), *([run.status] if failed else []))
        for run in [*ranked, *failed]
    ]
    parts: list[RenderableType] = [table(columns, rows, right=names)]
    if runs and runs[0].table_inputs:
        read = runs[0].table_inputs[0]
        kept = f", those where {runs[0].fit.rows}" if runs[0].fit and runs[0].fit.rows else ""
        parts.append(line(f"on {read.table}@{read.version}, {count(read.rows, 'row')}{kept}", "dim"))
    if ranked and ranked[0].kind == "train":
        parts.append(line(f"next: lin register {ranked[0].id[-8:]} NAME", "dim"))
    return parts


def _rank(runs: "list[RunInfo]", metrics: list[str]) -> "list[RunInfo]":
    """The runs by their first metric, the best first; those without a number for it come last."""

    def badness(run: "RunInfo") -> tuple[bool, float]:
        value = metric_of(run, metrics[0])
        if value is None or math.isnan(value):
            return True, 0
        return False, value if metrics[0] in LOWER_IS_BETTER else -value

    return sorted(runs, key=badness) if metrics else runs


def order_metrics(runs: "list[RunInfo]") -> list[str]:
    """The names of all metrics of the runs: the trainer's own first."""
    names = dict.fromkeys(key for run in runs for key in run.metrics)
    return [name for name in METRICS if name in names] + [name for name in names if name not in METRICS]


def metric_of(run: "RunInfo", key: str) -> float | None:
    """The run's value of that metric, if it has one."""
    return float(run.metrics[key]) if key in run.metrics else None
