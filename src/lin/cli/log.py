"""`lin log`: from inside a running program, in any language. What a call has logged is on disk when it returns."""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import StorePath, open_project
from lin.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lin.runs.log import RunLog

log = typer.Typer(
    help="Record params, metrics, tags, artifacts from inside a program.",
    rich_markup_mode=None,
)

Run = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN", envvar="LIN_RUN", help="The run; inside `lin run -- CMD` it is known."),
]
Pairs = Annotated[
    list[str], typer.Argument(metavar="NAME=VALUE", help="One or more; or NAME VALUE for one.", show_default=False)
]
NEGATIVE = {"ignore_unknown_options": True}
"""So that -0.5 is a value."""


@log.command(context_settings=NEGATIVE)
def param(pairs: Pairs, *, run: Run = None, store: StorePath = None) -> None:
    """Record parameters."""
    values = _split(pairs)
    with _open_log(run, store) as opened:
        opened.log_params(values)


@log.command(context_settings=NEGATIVE)
def metric(
    pairs: Pairs,
    *,
    step: Annotated[int, typer.Option(metavar="N", help="The step they belong to.")] = 0,
    run: Run = None,
    store: StorePath = None,
) -> None:
    """Record metrics: numbers, nan and inf among them."""
    values = _split(pairs)
    with _open_log(run, store) as opened:
        opened.log_metrics(values, step=step)  # type: ignore[arg-type]  # texts that are numbers


@log.command(context_settings=NEGATIVE)
def tag(pairs: Pairs, *, run: Run = None, store: StorePath = None) -> None:
    """Record tags."""
    values = _split(pairs)
    with _open_log(run, store) as opened:
        opened.set_tags(values)


@log.command()
def artifact(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file.", show_default=False)],
    *,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its name in the run (default: the file's).")] = None,
    run: Run = None,
    store: StorePath = None,
) -> None:
    """Keep a file with the run."""
    with _open_log(run, store) as opened:
        opened.log_artifact(file, name or file.name)


def _split(words: list[str]) -> dict[str, str]:
    """`NAME VALUE`, or `NAME=VALUE` in each word."""
    if unknown := [word for word in words if word.startswith("--")]:
        raise UsageError(f"there is no option '{unknown[0]}'", hint="for a value that looks like one: NAME=VALUE")
    if len(words) == 2 and "=" not in words[0]:  # noqa: PLR2004  a name and its value
        return {words[0]: words[1]}
    if bare := [word for word in words if "=" not in word]:
        raise UsageError(f"'{bare[0]}' is not NAME=VALUE", hint="rmse=4.7 r2=0.8, or for one: rmse 4.7")
    return dict(word.split("=", 1) for word in words)


@contextmanager
def _open_log(run: str | None, store: str | None) -> "Iterator[RunLog]":
    """The log of the run, put on disk at the end. Within `lin run` nothing but that run's log is opened."""
    from lin.runs.log import attach

    if run is None:
        raise UsageError("which run? This is not inside `lin run -- CMD`", hint="--run RUN, or set LIN_RUN")
    if store is not None and run == os.environ.get("LIN_RUN"):
        from lin.store.store import local_backend, open_store

        opened = attach(open_store(local_backend(store, Path.cwd())), run)
    else:
        from lin.runs.query import find_run_id

        project = open_project(store)
        opened = attach(project.store, find_run_id(project.store, run))
    yield opened
    opened.sync()
    opened.close()
