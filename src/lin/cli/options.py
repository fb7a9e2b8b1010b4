"""The options that several commands share, and how they open the project."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lin.errors import UsageError

if TYPE_CHECKING:
    from lin.data.tables import Table
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
With = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="PACKAGE==VERSION", help="Have this version of a package instead; repeatable."),
]
Trusted = Annotated[
    list[str] | None,
    typer.Option("--trust", metavar="TYPE|sha256:…", help="Load this type, or run the code of this very file."),
]

Columns = Annotated[
    str | None, typer.Option("--columns", metavar="NAME,NAME…", help="Only these columns (default: all).")
]
Memory = Annotated[
    str | None, typer.Option("--memory", metavar="SIZE", help="Spill to disk beyond this much memory, as 400MB.")
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="TIME", help="The version at this time: 2026-11-22, '2026-11-22 14:30', '2 days ago'."
    ),
]


def split_names(text: str | None) -> list[str]:
    """The names in a line of CSV: one that holds a comma or a line break stands in quotes. Raises `UsageError`."""
    import csv

    try:
        names = next(csv.reader([text or ""], skipinitialspace=True), [])
    except csv.Error as error:
        raise UsageError(f"{text!r} is no list of names", hint="""write it as 'a,b,"c, d"'""") from error
    return [name.strip() for name in names if name.strip()]


def at_moment(table: "Table", text: str) -> int:
    """The version of `table` at the time that `text` means; says on stderr which one that is."""
    from datetime import UTC, datetime

    from lin.cli.printing import note
    from lin.data.history import version_at
    from lin.data.moments import parse_moment, show_moment

    moment = parse_moment(text, datetime.now(UTC))
    version = version_at(table, moment)
    time = table.log.commit(version).time
    written = f" (written {show_moment(time)})" if time else ""
    note(f"{table.name} as of {show_moment(moment)} is version {version}{written}")
    return version


def choose_version(table: "Table", version: int | None, as_of: str | None) -> int | None:
    """The version that was asked for, by number or by time; None where neither was. Raises `UsageError` for both."""
    if as_of is None:
        return version
    if version is not None:
        raise UsageError(
            f"'{table.name}@{version}' is a version already",
            hint=f"{table.name} --as-of TIME, or {table.name}@{version}",
        )
    return at_moment(table, as_of)


def open_project(store: str | None) -> "Project":
    """The project that the current folder lies in."""
    from lin.project import open_project as open_at

    return open_at(Path.cwd(), store=store)
