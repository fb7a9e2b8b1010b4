"""`lin log`: from inside a running program, in any language."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import StorePath, open_project
from lin.errors import UsageError

if TYPE_CHECKING:
    from lin.runs.record import Recorder

log = typer.Typer(
    help="Record params, metrics, tags, artifacts from inside a program.",
    rich_markup_mode=None,
)

Run = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN", envvar="LIN_RUN", help="The run; inside `lin run -- CMD` it is known."),
]

Name = Annotated[str, typer.Argument(metavar="NAME", help="What to call it.", show_default=False)]
Value = Annotated[str, typer.Argument(metavar="VALUE", help="Its value, as text.", show_default=False)]


@log.command()
def param(name: Name, value: Value, *, run: Run = None, store: StorePath = None) -> None:
    """Record a parameter."""
    _recorder(run, store).log_param(name, value)


@log.command()
def metric(
    name: Name,
    value: Annotated[float, typer.Argument(metavar="VALUE", help="A number.", show_default=False)],
    *,
    step: Annotated[int, typer.Option(metavar="N", help="The step it belongs to.")] = 0,
    run: Run = None,
    store: StorePath = None,
) -> None:
    """Record a metric."""
    _recorder(run, store).log_metric(name, value, step=step)


@log.command()
def tag(name: Name, value: Value, *, run: Run = None, store: StorePath = None) -> None:
    """Record a tag."""
    _recorder(run, store).set_tag(name, value)


@log.command()
def artifact(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file.", show_default=False)],
    *,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its name in the run (default: the file's).")] = None,
    run: Run = None,
    store: StorePath = None,
) -> None:
    """Keep a file with the run."""
    _recorder(run, store).log_artifact(file, name or file.name)


def _recorder(run: str | None, store: str | None) -> "Recorder":
    from lin.runs.record import attach

    if run is None:
        raise UsageError("which run? This is not inside `lin run -- CMD`", hint="--run RUN, or set LIN_RUN")
    project = open_project(store)
    return attach(project.store, run if os.environ.get("LIN_RUN") == run else project.store.runs.find(run))
