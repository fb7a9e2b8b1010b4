"""`lin vacuum`."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import count, emit, size

if TYPE_CHECKING:
    from lin.runs.vacuum import SparedVersion, Vacuumed

_SHOWN = 5


def vacuum(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The table.", show_default=False)],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it, only show what would be deleted.")] = False,
    retain: Annotated[
        str | None,
        typer.Option(
            "--retain", metavar="TIME", help="Keep what was removed since, as '7 days' (default: the table's)."
        ),
    ] = None,
    orphans: Annotated[
        bool,
        typer.Option("--orphans", help="Also data files that the log does not name, if unchanged for that long."),
    ] = False,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="Show this many files.")] = 20,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Delete files that no run and no recent version needs.

    What a run of this store read or wrote stays readable, its deletion vectors and change data too. Other versions
    that are older than --retain do not: they are listed. By default a table keeps removed files for its
    delta.deletedFileRetentionDuration, or 7 days. Runs of other stores are not known here.
    """
    from lin.data.tables import open_table, split_reference
    from lin.lineage.holders import name_models
    from lin.runs.vacuum import vacuum_table
    from lin.store.whole import earlier_time

    project = open_project(store)
    opened = open_table(project, split_reference(table)[0])
    result = vacuum_table(
        project,
        opened,
        models=name_models(project),
        now_ms=int(earlier_time(opened.root, time.time()) * 1000),
        retain=retain,
        orphans=orphans,
        delete=yes,
        limit=limit,
    )
    emit(result, _view, as_json=as_json)


def _view(result: "Vacuumed") -> list[str]:
    rest = result.files - len(result.paths)
    more = [f"  … and {rest} more (--limit {result.files})"] if rest else []
    kept = [
        (result.young, "removed too short a time ago"),
        (result.untimed, "removed nobody knows when"),
        (result.refused, "whose name or place is not that of a data file"),
    ]
    lost = ", ".join(map(str, result.lost_versions))
    done = result.deleted is not None
    become = "can no longer be read" if done else "would no longer be readable"
    return [
        _headline(result),
        *(f"  {path}" for path in result.paths),
        *more,
        *([f"versions that no run needs and that {become}: {lost}"] if lost else []),
        *(["spared:"] if result.spared else []),
        *(f"  {_spared(version)}" for version in result.spared),
        *(f"kept: {count(number, 'file')} {why}" for number, why in kept if number),
        *([] if done or not result.files else [f"delete them: lin vacuum {result.table} --yes"]),
    ]


def _headline(result: "Vacuumed") -> str:
    if not result.files:
        return f"{result.table}@{result.head}: nothing to delete"
    what = f"{count(result.files, 'file')}, {size(result.bytes)}"
    if result.deleted is None:
        return f"{result.table}@{result.head}: would delete {what}"
    gone = result.files - result.deleted
    return f"{result.table}@{result.head}: deleted {what}" + (f" ({gone} were gone already)" if gone else "")


def _spared(version: "SparedVersion") -> str:
    runs = ", ".join(run[-8:] for run in version.runs[:_SHOWN])
    more = f" and {len(version.runs) - _SHOWN} more" if len(version.runs) > _SHOWN else ""
    models = f" and {', '.join(version.models)}" if version.models else ""
    files = f"{count(version.files, 'file')}, {size(version.bytes)}"
    return f"{version.table}@{version.version}: {files}, for run{'s' * (len(version.runs) > 1)} {runs}{more}{models}"
