"""`lin output`."""

from functools import partial
from time import sleep
from typing import Annotated

import typer

from lin.cli.options import StorePath, open_project
from lin.cli.printing import note
from lin.cli.raw import pour
from lin.errors import ExitCode
from lin.ids import short

LOOK_EVERY = 0.2
"""In seconds."""


def output(
    reference: Annotated[
        str, typer.Argument(metavar="RUN", help="A run, or a model version: the run behind it.", show_default=False)
    ],
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", "-n", min=0, metavar="N", help="Begin with the last N lines.")
    ] = None,
    store: StorePath = None,
) -> None:
    """Show what a run's program printed, or prints.

    Into a file or a pipe it goes byte for byte. On a terminal colours stay and all else that would command it
    is shown as an escape.
    """
    from lin.lineage.references import find_run_behind
    from lin.runs.printed import follow_output, read_output

    project = open_project(store)
    run = find_run_behind(project, reference)
    try:
        if follow:
            poured = pour(follow_output(project.store, run.id, partial(sleep, LOOK_EVERY), tail=tail))
        else:
            poured = pour(read_output(project.store, run.id, tail=tail))
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if not poured and tail is None:
        note(f"no program has printed anything in run {short(run.id)}")
