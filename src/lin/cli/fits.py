"""The runs of a sweep as `lin run` and `lin train` show them at the end: the best first, then those that failed."""

import math
from typing import TYPE_CHECKING

from lin.cli.printing import count, line, note, show, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.runs.query import RunInfo

METRICS = ("rmse", "mae", "r2", "log_loss", "accuracy", "f1")
"""The trainer's metrics in the order of the columns; the first of them that there is ranks the fits."""
LOWER_IS_BETTER = ("rmse", "mae", "log_loss")
MOST = 20
"""So many runs are shown, and as many that failed."""


def view_sweep(runs: "list[RunInfo]") -> "list[RenderableType]":
    """The runs of a grid, the best first, those that failed with their errors, and what to type next."""
    names = order_metrics(runs)
    ranked = rank([run for run in runs if run.status == "finished"], names)
    failed = [run for run in runs if run.status != "finished"]
    parts: list[RenderableType] = []
    if ranked:
        rows = [(run.id[-8:], run.name, *(metric_of(run, key) for key in names)) for run in ranked[:MOST]]
        parts.append(table(["run", "fit", *names], rows, right=names))
    if failed:
        unlike = [(run.id[-8:], run.name, run.status, explain(run)) for run in failed[:MOST]]
        parts.append(table(["run", "fit", "status", "error"], unlike))
    parts += [line(text, "dim") for text in (*_cut(ranked, failed), *_read(runs))]
    if ranked and ranked[0].kind == "train":
        parts.append(line(f"next: lin register {ranked[0].id[-8:]} NAME", "dim"))
    return parts


def tell_unsafe(runs: "list[RunInfo]") -> None:
    """Say on stderr which models run code when they are loaded."""
    pickled = [run.id[-8:] for run in runs if run.fit and run.fit.pickle and run.status == "finished"]
    if pickled:
        named = ", ".join(pickled[:MOST]) + ", …" * (len(pickled) > MOST)
        note(f"warning: unsafe: kept as pickles, which run code when they are loaded: the models of {named}")


def explain(run: "RunInfo") -> str:
    """Why a run is not finished, as far as its record tells."""
    return run.error or (f"exit code {run.exit_code}" if run.exit_code is not None else "")


def rank(runs: "list[RunInfo]", metrics: list[str]) -> "list[RunInfo]":
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


def tell_metrics(run: "RunInfo") -> str:
    """`rmse 1.96593 r2 0.884604`, or how the run ended where it has no metrics."""
    return " ".join(f"{key} {show(metric_of(run, key))}" for key in order_metrics([run])) or run.status


def _cut(ranked: "list[RunInfo]", failed: "list[RunInfo]") -> list[str]:
    """What is not shown, and how to see it."""
    cut = [f"{MOST} {word} of {len(runs)}" for word, runs in (("best", ranked), ("failed", failed)) if len(runs) > MOST]
    return [f"{', '.join(cut)}; all: lin runs --where \"sweep = '{(ranked or failed)[0].sweep}'\""] if cut else []


def _read(runs: "list[RunInfo]") -> list[str]:
    """What the runs of the trainer were fitted on."""
    if not runs or not runs[0].table_inputs:
        return []
    read, fit = runs[0].table_inputs[0], runs[0].fit
    kept = f", those where {fit.rows}" if fit and fit.rows else ""
    return [f"on {read.table}@{read.version}, {count(read.rows, 'row')}{kept}"]
