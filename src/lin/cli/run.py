"""`lin run`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.fits import follow, view_sweep
from lin.cli.options import Json, Params, StorePath, open_project
from lin.cli.output import emit, note
from lin.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from lin.project import Project


def run(
    ctx: typer.Context,
    experiment: Annotated[
        str | None, typer.Argument(metavar="EXPERIMENT", help="A declared experiment; not needed where there is one.")
    ] = None,
    *,
    params: Params = None,
    at: Annotated[
        int | None, typer.Option("--table-version", metavar="N", help="Fit on this version of the table.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name the run of a program.")] = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Run an experiment, or any program after --, as recorded runs.

    A list of values makes a grid: each of its points is a run. The exit code of a program is passed through.
    """
    from lin.runs.experiment import run_experiment, run_program

    project = open_project(store)
    program: list[str] = ctx.obj
    if program:
        if experiment or params:
            raise UsageError("an experiment or a program, not both", hint="lin run EXPERIMENT, or lin run -- CMD …")
        sinks = (sys.stderr.buffer if as_json else sys.stdout.buffer, sys.stderr.buffer)
        info = run_program(project, program, folder=Path.cwd(), sinks=sinks, name=name)
        if as_json:
            emit(info, view_sweep, as_json=True)
        else:
            note(f"run {info.id[-8:]}: {info.status}, exit code {info.exit_code}")
        raise typer.Exit(info.exit_code or 0)
    with follow() as report:
        runs = run_experiment(project, experiment or _only(project), params or [], version=at, report=report)
    emit(runs, view_sweep, as_json=as_json)
    if any(r.status != "finished" for r in runs):
        raise typer.Exit(ExitCode.OUTSIDE)


def _only(project: "Project") -> str:
    names = list(project.config.experiments)
    if len(names) == 1:
        return names[0]
    raise UsageError(
        f"which experiment? lineage.toml has: {', '.join(names) or 'none'}",
        hint=f"lin run {names[0]}" if names else "lin run -- CMD …, or declare [experiments.NAME]",
    )
