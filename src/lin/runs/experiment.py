"""From what is asked for to runs: a declared experiment, an ad hoc fit, or a program."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal

from lin.config import ExperimentSetting, ModelSetting, Split
from lin.data.tables import Table, open_table, split_reference
from lin.errors import UsageError
from lin.project import Project
from lin.records import Fit, Param, Pin, decode
from lin.runs.commands import CommandWork, capture_programs, fill_in
from lin.runs.estimators import expand_grid, parse_param
from lin.runs.execute import run_command
from lin.runs.query import RunInfo, read_run
from lin.runs.resume import ask_command, ask_fit, resume_sweep, tell_changes
from lin.runs.sweep import Progress, new_sweep, run_points
from lin.runs.train import plan_fits, run_fits, run_sweep

Report = Callable[[Progress], None]


def choose_experiment(project: Project, name: str | None) -> str:
    """The experiment of that name, or the only one where none is named. Raises `UsageError` if there are several."""
    names = list(project.config.experiments)
    if name or len(names) == 1:
        return name or names[0]
    raise UsageError(
        f"which experiment? lineage.toml has: {', '.join(names) or 'none'}",
        hint=f"lin run {names[0]}" if names else "lin run -- CMD …, or declare [experiments.NAME]",
    )


def run_experiment(
    project: Project,
    name: str,
    params: Sequence[str],
    *,
    version: int | None = None,
    jobs: int = 1,
    resume: bool = False,
    capture: bool = True,
    report: Report,
) -> list[RunInfo]:
    """Run every point of the declared experiment `name`; returns their runs in the order of its grid.

    Args:
        project: where it is declared.
        name: of the experiment.
        params: `NAME=VALUE[,VALUE…]`, which replace its own.
        version: of the table that is fitted on (default: the newest, or that of the sweep that is resumed).
        jobs: how many points may be done at a time.
        resume: finish the experiment's newest sweep of these points instead of beginning one; what of it is sealed as
            finished or failed is not done again.
        capture: whether to record what a Python program opens.
        report: is told how far it has come.

    Raises:
        NotFoundError: no such experiment, table or version, or no sweep to resume. UsageError: its settings are wrong,
            or not those of the sweep any more. ConflictError: the sweep is still running.
    """
    experiment = project.config.experiment(name)
    overrides = dict(parse_param(text) for text in params)
    if experiment.command is not None:
        if version is not None:
            raise UsageError(f"experiment '{name}' is a command: it reads what it wants", hint=f"lin run {name}")
        return _run_commands(
            project, name, experiment, overrides, jobs=jobs, resume=resume, capture=capture, report=report
        )
    table = open_table(project, experiment.table or "")
    fits = plan_fits(experiment, table, overrides)
    if resume:
        return _resume_fits(project, name, table, fits, version=version, jobs=jobs, report=report)
    return run_sweep(project, table, fits, experiment=name, version=version, jobs=jobs, report=report)


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
    pickle: bool = False,
    jobs: int = 1,
    report: Report,
) -> list[RunInfo]:
    """Fit an estimator on a table without declaring an experiment, `jobs` points of its grid at a time.

    With `pickle` the models are kept as files that run code when they are loaded.

    Raises as `run_experiment` does.
    """
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
        pickle=pickle,
    )
    fits = plan_fits(experiment, table)
    return run_sweep(project, table, fits, experiment=None, version=version, jobs=jobs, report=report)


def run_program(
    project: Project,
    argv: Sequence[str],
    *,
    folder: Path,
    sinks: tuple[BinaryIO, BinaryIO],
    name: str | None,
    capture: bool = True,
) -> RunInfo:
    """Run any program as a recorded run; `sinks` take its output and its errors. Raises `NotFoundError`.

    With `capture`, what a Python program opens is recorded: see `run_command`.
    """
    run_id, _ = run_command(project, argv, folder=folder, stdout=sinks[0], stderr=sinks[1], name=name, capture=capture)
    return read_run(project.store, run_id)


def _run_commands(
    project: Project,
    name: str,
    experiment: ExperimentSetting,
    overrides: dict[str, list[Param]],
    *,
    jobs: int,
    resume: bool,
    capture: bool,
    report: Report,
) -> list[RunInfo]:
    points = expand_grid(experiment.params | overrides)
    commands = [fill_in(name, experiment.command or "", point) for point in points]
    sweep = new_sweep(len(commands))
    if resume:
        sweep = resume_sweep(project, name, [ask_command(*command) for command in commands], report)
    if not sweep.pending:
        return sweep.runs
    captured = capture_programs(project, commands)
    tell_changes(project.store, sweep, captured[commands[0].argv[0]], report)
    work = CommandWork(name, sweep.id, captured, capture)
    return run_points(project, sweep, commands, work, jobs=jobs, report=report)


def _resume_fits(
    project: Project,
    name: str,
    table: Table,
    fits: Sequence[Fit],
    *,
    version: int | None,
    jobs: int,
    report: Report,
) -> list[RunInfo]:
    """Do what is left of a sweep, on the very version of the table that it pinned."""
    sweep = resume_sweep(project, name, [ask_fit(fit) for fit in fits], report)
    if sweep.newest is None or not sweep.pending:
        return sweep.runs
    read = sweep.newest.table_inputs[0]
    if version not in {None, read.version}:
        raise UsageError(
            f"sweep {sweep.id} reads {table.name}@{read.version}, not @{version}",
            hint=f"resume it without --table-version, or start a new one: lin run {name}",
        )
    newest = table.log.snapshot().version
    if newest != read.version:
        report(sweep.progress([f"it reads {table.name}@{read.version} as before; the newest version is {newest}"]))
    pin = decode(project.store.blobs.read(read.pin), Pin, where=f"pin of {read.table}@{read.version}")
    as_read = replace(table, order=tuple(read.order))
    return run_fits(project, as_read, pin, read, fits, experiment=name, sweep=sweep, jobs=jobs, report=report)


def _grid(params: Sequence[str]) -> dict[str, list[Param]]:
    return dict(parse_param(text) for text in params)
