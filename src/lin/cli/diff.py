"""`lin diff`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import AsOf, Columns, Json, Memory, StorePath, at_moment, open_project, split_names
from lin.cli.printing import emit
from lin.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from lin.data.tables import Table


def diff(
    versions: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE@OLD TABLE@NEW", help="Also: TABLE OLD NEW, or TABLE --as-of TIME.", show_default=False
        ),
    ],
    *,
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="COLUMN", help="Match rows by this; repeatable.")
    ] = None,
    multiset: Annotated[bool, typer.Option("--multiset", help="Compare whole rows, whatever the key.")] = False,
    columns: Columns = None,
    where: Annotated[
        str | None, typer.Option("--where", metavar="SQL", help="Only rows for which this is true in either version.")
    ] = None,
    bitwise: Annotated[bool, typer.Option("--bitwise", help="Compare floats bit by bit: 0.0 is not -0.0.")] = False,
    check_rewrites: Annotated[
        bool, typer.Option("--check-rewrites", help="Compare also what an OPTIMIZE says it only rewrote.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="Show this many changed rows.")] = 20,
    summary: Annotated[bool, typer.Option("--summary", help="Show no rows.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all changed rows to a .parquet, .csv, .json, .jsonl or .html file."),
    ] = None,
    as_of: AsOf = None,
    memory: Memory = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if there is a difference.")] = False,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Show the rows and cells that differ between two versions."""
    from lin.cli.changes import view
    from lin.data.diff import diff_versions

    table, old, new = _two_versions(store, versions, as_of)
    result = diff_versions(
        table,
        old,
        new,
        key=[] if multiset else key,
        columns=split_names(columns) or None,
        where=where,
        bitwise=bitwise,
        check_rewrites=check_rewrites,
        limit=0 if summary else limit,
        memory=memory,
        output=output,
    )
    emit(result, view, as_json=as_json)
    if exit_code and not result.identical:
        raise typer.Exit(ExitCode.NO)


def _two_versions(store: str | None, words: list[str], as_of: str | None) -> "tuple[Table, int, int]":
    """The table, its old and its new version; with a time, what it was then and the one named, or the newest."""
    from lin.data.tables import open_table, split_reference

    if as_of is not None and len(words) == 1:
        name, new = split_reference(words[0])
        table = open_table(open_project(store), name)
        return table, at_moment(table, as_of), table.log.head() if new is None else new
    if len(words) == 3 and as_of is None:  # noqa: PLR2004
        words = [f"{words[0]}@{words[1]}", f"{words[0]}@{words[2]}"]
    if len(words) != 2 or as_of is not None:  # noqa: PLR2004
        raise UsageError(
            "a diff takes two versions of one table",
            hint="lin diff housing@0 housing@1, or lin diff housing --as-of TIME",
        )
    (name, old), (other, newer) = (split_reference(word) for word in words)
    if name != other or old is None or newer is None:
        raise UsageError(f"'{words[0]}' and '{words[1]}' are not two versions of one table", hint=f"lin history {name}")
    return open_table(open_project(store), name), old, newer
