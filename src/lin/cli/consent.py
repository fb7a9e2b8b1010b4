"""Asking before code is run that others recorded."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.printing import note, safe
from lin.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from lin.runs.query import RunInfo

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before running what others recorded.")]


def ask_to_run(run: "RunInfo", unasked: str) -> None:
    """Let somebody at a terminal say yes to it; `unasked` is the command that needs nobody.

    Raises:
        UsageError: there is nobody to ask. Exit: the answer is no.
    """
    whose = f"run {run.id[-8:]} was recorded by {run.actor} on {run.host.name}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{whose}: it is not run unasked", hint=f"look at what it runs, then: {unasked}")
    sys.stderr.write(f"{safe(whose)}. Run it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        note("nothing was run")
        raise typer.Exit(ExitCode.NO)
