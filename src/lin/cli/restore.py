"""`lin restore`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import AsOf, Json, Reason, StorePath, at_moment, open_project
from lin.cli.printing import count, emit
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
    as_of: AsOf = None,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Back to what this run read.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    reason: Reason = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Make a table equal to an old version, as a new version."""
    from lin.data.tables import open_table, split_reference
    from lin.runs.restore import read_by_run, restore_table

    project = open_project(store)
    name, at = split_reference(table or _only_table(project))
    opened = open_table(project, name)
    version = at if version is None else version
    if sum(choice is not None for choice in (version, as_of, run)) != 1:
        raise UsageError("say to which version: one of --version, --as-of, --run", hint=f"lin history {name}")
    read = read_by_run(project, opened, run) if run is not None else None
    target = read.version if read else version
    if target is None:
        target = at_moment(opened, as_of or "")
    pin = read.pin if read else None
    emit(restore_table(project, opened, target, pin=pin, dry_run=dry_run, reason=reason), _view, as_json=as_json)


def _only_table(project: "Project") -> str:
    names = sorted(project.config.tables)
    if len(names) != 1:
        raise UsageError(
            f"which table? The project has {len(names)}", hint=f"lin restore {names[0] if names else 'TABLE'}"
        )
    return names[0]


def _view(result: "Restored") -> "list[RenderableType]":
    from lin.cli.changes import view

    if result.nothing_to_do:
        return [f"{result.table}@{result.head} is equal to version {result.restored} already; nothing to do"]
    settings = [f"table properties that go back too: {', '.join(result.settings)}"] if result.settings else []
    if result.dry_run:
        files = f"{count(result.added_files, 'file')} would come back, {result.removed_files} would go"
        told = view(result.diff) if result.diff else [f"its log no longer has it; from its pin, {files}"]
        return [f"would make {result.table}@{result.head + 1} equal to version {result.restored}:", *told, *settings]
    source = "from its pin, " if result.from_pin else ""
    how = f"{source}the same files, checked (run {(result.run or '')[-8:]})"
    return [f"{result.table}@{result.version} is now equal to version {result.restored}: {how}", *settings]
