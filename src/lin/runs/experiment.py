"""From what is asked for to runs: a declared experiment, an ad hoc fit, or a program."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

from lin.config import ExperimentSetting, ModelSetting, Split
from lin.data.tables import open_table, split_reference
from lin.errors import UsageError
from lin.ids import new_id
from lin.project import Project
from lin.records import Param
from lin.runs.estimators import expand_grid, parse_param
from lin.runs.execute import run_command
from lin.runs.query import RunInfo, read_run
from lin.runs.train import Progress, plan_fits, run_sweep

Report = Callable[[Progress], None]


def run_experiment(
    project: Project, name: str, params: Sequence[str], *, version: int | None = None, report: Report
) -> list[RunInfo]:
    """Run every point of the declared experiment `name`; `params` are `NAME=VALUE[,VALUE…]` that replace its own.

    Raises:
        NotFoundError: no such experiment, table or version. UsageError: its settings are wrong.
    """
    experiment = project.config.experiment(name)
    overrides = dict(parse_param(text) for text in params)
    if experiment.command is not None:
        if version is not None:
            raise UsageError(f"experiment '{name}' is a command: it reads what it wants", hint=f"lin run {name}")
        return _run_commands(project, name, experiment, overrides, report)
    table = open_table(project, experiment.table or "")
    fits = plan_fits(experiment, table, overrides)
    return run_sweep(project, table, fits, experiment=name, version=version, report=report)


def train_table(
    project: Project,
    reference: str,
    target: str,
    model: Sequence[str],
    *,
    params: Sequence[str],
    features: list[str] | None,
    min_abs_correlation: float | None,
    rows: str | None,
    test_size: float,
    seed: int,
    metrics: list[str],
    report: Report,
) -> list[RunInfo]:
    """Fit an estimator on a table without declaring an experiment. Raises as `run_experiment` does."""
    if features is not None and min_abs_correlation is not None:
        raise UsageError("features are given by name or by correlation, not both", hint="lin train --help")
    chosen: Literal["all"] | list[str] | dict[str, float] = features or "all"
    if min_abs_correlation is not None:
        chosen = {"min_abs_correlation": min_abs_correlation}
    name, version = split_reference(reference)
    table = open_table(project, name)
    experiment = ExperimentSetting(
        table=name,
        target=target,
        features=chosen,
        rows=rows,
        split=Split(test_size=test_size, seed=seed),
        metrics=metrics,
        models=[ModelSetting(estimator=list(model), params=_grid(params))],
    )
    fits = plan_fits(experiment, table)
    return run_sweep(project, table, fits, experiment=None, version=version, report=report)


def run_program(
    project: Project, argv: Sequence[str], *, folder: Path, sinks: tuple[BinaryIO, BinaryIO], name: str | None
) -> RunInfo:
    """Run any program as a recorded run; `sinks` take its output and its errors. Raises `NotFoundError`."""
    run_id, _ = run_command(project, argv, folder=folder, stdout=sinks[0], stderr=sinks[1], name=name)
    return read_run(project.store, run_id)


def _run_commands(
    project: Project,
    name: str,
    experiment: ExperimentSetting,
    overrides: dict[str, list[Param]],
    report: Report,
) -> list[RunInfo]:
    points = expand_grid(experiment.params | overrides)
    commands = [_command(name, experiment.command or "", point) for point in points]
    sweep = new_id() if len(points) > 1 else None
    runs = []
    for done, (argv, point) in enumerate(zip(commands, points, strict=True), 1):
        run_id, _ = run_command(
            project, argv, folder=project.root, name=name, experiment=name, sweep=sweep, params=dict(point)
        )
        runs.append(read_run(project.store, run_id))
        report(Progress(done=done, total=len(points), run=runs[-1], warnings=[]))
    return runs


def _command(name: str, template: str, params: dict[str, Param]) -> list[str]:
    """The command line with `{name}` replaced in each word, so that a value never becomes more than one word."""
    try:
        words = [word.format_map(params) for word in shlex.split(template)]
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise UsageError(
            f"the command of experiment '{name}' cannot be filled in: {template!r} with {params}: {error}",
            hint="each {name} needs a parameter of that name; write {{ and }} for braces",
        ) from error
    if not words:
        raise UsageError(f"the command of experiment '{name}' is empty", hint='command = "python train.py"')
    return words


def _grid(params: Sequence[str]) -> dict[str, list[Param]]:
    return dict(parse_param(text) for text in params)
