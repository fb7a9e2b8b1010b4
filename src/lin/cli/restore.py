"""`lin restore`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, Reason, StorePath, open_project
from lin.cli.output import emit
from lin.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.project import Project
    from lin.runs.restore import Restored


def restore(
    table: Annotated[
        str | None, typer.Argument(metavar="TABLE", help="The table; not needed where there is one.")
    ] = None,
    *,
    version: Annotated[int | None, typer.Option("--version", metavar="N", help="Back to this version.")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="Back to what it was then.")] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Back to what this run read.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    reason: Reason = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Make a table equal to an old version, as a new version."""
    from lin.data.tables import open_table, split_reference
    from lin.runs.restore import restore_table, version_at_time, version_of_run

    project = open_project(store)
    name, at = split_reference(table or _only_table(project))
    opened = open_table(project, name)
    version = at if version is None else version
    if sum(choice is not None for choice in (version, as_of, run)) != 1:
        raise UsageError("say to which version: one of --version, --as-of, --run", hint=f"lin history {name}")
    if version is not None:
        target = version
    else:
        target = version_at_time(opened, as_of) if as_of else version_of_run(project, opened, run or "")
    emit(restore_table(project, opened, target, dry_run=dry_run, reason=reason), _view, as_json=as_json)


def _only_table(project: "Project") -> str:
    names = sorted(project.config.tables)
    if len(names) != 1:
        raise UsageError(
            f"which table? The project has {len(names)}", hint=f"lin restore {names[0] if names else 'TABLE'}"
        )
    return names[0]


def _view(result: "Restored") -> "list[RenderableType]":
    from lin.cli.diff import view

    if result.nothing_to_do:
        return [f"{result.table}@{result.head} is equal to version {result.restored} already; nothing to do"]
    if result.diff is not None:
        return [
            f"would make {result.table}@{result.head + 1} equal to version {result.restored}:",
            *view(result.diff),
        ]
    how = f"the same files, checked (run {(result.run or '')[-8:]})"
    return [f"{result.table}@{result.version} is now equal to version {result.restored}: {how}"]
