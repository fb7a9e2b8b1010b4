"""`lin run`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from lin.cli.fits import tell_unsafe, view_sweep
from lin.cli.options import Json, Params, StorePath, With, open_project
from lin.cli.printing import emit, note
from lin.cli.progress import Jobs, exit_code, follow
from lin.errors import UsageError


def run(
    ctx: typer.Context,
    experiment: Annotated[
        str | None, typer.Argument(metavar="EXPERIMENT", help="A declared experiment; not needed where there is one.")
    ] = None,
    *,
    params: Params = None,
    other: With = None,
    at: Annotated[
        int | None, typer.Option("--table-version", metavar="N", help="Fit on this version of the table.")
    ] = None,
    jobs: Jobs = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Finish the newest sweep of these points instead of a new one.")
    ] = False,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name the run of a program.")] = None,
    no_capture: Annotated[
        bool, typer.Option("--no-capture", help="Do not record what a Python program opens.")
    ] = False,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Run an experiment, or any program after --, as recorded runs.

    A list of values makes a grid: each of its points is a run, and one that fails does not stop the others. --resume
    does what an interrupted sweep has left, with the version of the table that it began with; give it the same -P.
    The exit code of a program is passed through. --with runs in a copy of the environment with other versions.
    """
    from lin.runs.experiment import choose_experiment, run_experiment, run_program
    from lin.runs.feedback import tell_recorded

    project = open_project(store)
    program: list[str] = ctx.obj
    if program and (experiment or params or resume or jobs > 1 or at is not None):
        raise UsageError("an experiment or a program, not both", hint="lin run EXPERIMENT, or lin run -- CMD …")
    if other:
        from lin.cli.variation import run_in_variation

        run_in_variation(project, other, ctx, program)
    if program:
        sinks = (sys.stderr.buffer if as_json else sys.stdout.buffer, sys.stderr.buffer)
        info = run_program(project, program, folder=Path.cwd(), sinks=sinks, name=name, capture=not no_capture)
        for text in tell_recorded(project, info):
            note(f"warning: {text}")
        if as_json:
            emit(info, view_sweep, as_json=True)
        else:
            note(f"run {info.id[-8:]}: {info.status}, exit code {info.exit_code}")
        raise typer.Exit(info.exit_code or 0)
    with follow(interrupted="the same command with --resume does what is left") as report:
        runs = run_experiment(
            project,
            choose_experiment(project, experiment),
            params or [],
            version=at,
            jobs=jobs,
            resume=resume,
            capture=not no_capture,
            report=report,
        )
    emit(runs, view_sweep, as_json=as_json)
    tell_unsafe(runs)
    raise typer.Exit(exit_code(runs))
