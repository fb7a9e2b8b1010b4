"""`lin rollback`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, Reason, StorePath, open_project
from lin.cli.printing import emit, line, note, table
from lin.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from lin.lineage.rollback import AsOf, RolledBack, To
    from lin.runs.restore import Restored


def rollback(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A registered model.", show_default=False)],
    *,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="Back to the stages and aliases of this time: '2 days ago'."),
    ] = None,
    to: Annotated[
        int | None, typer.Option("--to", metavar="N", help="Back to this version, which held the stage before.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option("--stage", metavar="STAGE", help="With --to: the stage (default: production).")
    ] = None,
    tables: Annotated[
        bool, typer.Option("--tables", help="Restore the tables too that the version was trained on.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    reason: Reason = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Put a model's stages and aliases, and its tables, back.

    All of it is one event. Gates are not asked: going back must be possible at night. A version that never was in the
    stage is none to go back to; lin promote moves it.
    """
    from lin.lineage.rollback import roll_back

    target = _choose_target(as_of, to, stage)
    done = roll_back(open_project(store), model, target, tables=tables, reason=reason, dry_run=dry_run)
    emit(done, _view, as_json=as_json)


def _choose_target(as_of: str | None, to: int | None, stage: str | None) -> "AsOf | To":
    from datetime import UTC, datetime

    from lin.data.moments import parse_moment
    from lin.lineage.rollback import PRODUCTION, AsOf, To

    if (as_of is None) == (to is None):
        raise UsageError("say where to: one of --as-of and --to", hint="lin rollback MODEL --as-of TIME, or --to N")
    if to is not None:
        return To(to, (stage or PRODUCTION).lower())
    if stage is not None:
        raise UsageError("--stage goes with --to; --as-of puts every stage back", hint="leave out --stage")
    target = AsOf(parse_moment(as_of or "", datetime.now(UTC)))
    note(f"as of {target}")
    return target


def _view(done: "RolledBack") -> "list[RenderableType]":
    if done.nothing_to_do:
        return [f"all of {done.model} is so already; nothing to do"]
    head = "would change, and nothing was" if done.dry_run else f"is rolled back, in event {done.event}"
    return [line(f"{done.model} {head}", "bold"), table(("", "from", "to"), [*_rows(done)])]


def _rows(done: "RolledBack") -> "Iterator[tuple[str, str, str]]":
    for moved in done.stages:
        yield f"{done.model}@{moved.version}", moved.before, moved.after
    for named in done.aliases:
        before, after = ("none" if number is None else str(number) for number in (named.before, named.after))
        yield f"{done.model}@{named.alias}", before, after
    for restored in done.tables:
        yield f"table {restored.table}", f"version {restored.head}", _tell_table(restored)


def _tell_table(restored: "Restored") -> str:
    if restored.nothing_to_do:
        return f"equal to version {restored.restored} already"
    new = "" if restored.version is None else f", as version {restored.version}"
    diff = restored.diff
    told = f": {diff.inserted:,} rows inserted, {diff.deleted:,} deleted, {diff.updated:,} updated" if diff else ""
    return f"version {restored.restored}{new}{told}"
