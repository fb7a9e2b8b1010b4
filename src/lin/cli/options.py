"""The options that several commands share, and how they open the project."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lin.project import Project

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, and nothing else.")]
StorePath = Annotated[
    str | None,
    typer.Option("--store", envvar="LIN_STORE", metavar="PATH", help="Use this store instead of the declared one."),
]
Reason = Annotated[str | None, typer.Option("--reason", "-m", metavar="TEXT", help="Why; kept with the change.")]
Params = Annotated[
    list[str] | None,
    typer.Option("-P", "--param", metavar="NAME=VALUE[,VALUE…]", help="A parameter; several values make a grid."),
]


def open_project(store: str | None) -> "Project":
    """The project that the current folder lies in."""
    from lin.project import open_project as open_at

    return open_at(Path.cwd(), store=store)
