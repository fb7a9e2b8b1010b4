"""`lin gc`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import count, emit, size, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.lineage.collect import Collected

_SHOWN = 20


def gc(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Take it; without it, only show what would be taken.")] = False,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="TIME", help="Only what was deleted or left so long ago, as 7d."),
    ] = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Take away what deleted runs and killed programs left.

    It goes for good. Whatever a run, a model version or a program that is recording needs stays. Files of tables are
    for lin vacuum.
    """
    import time
    from datetime import UTC, datetime

    from lin.lineage.collect import collect
    from lin.store.whole import earlier_time

    project = open_project(store)
    now = datetime.fromtimestamp(earlier_time(project.store_root, time.time()), UTC)
    result = collect(project, now=now, older_than=older_than, take=yes)
    emit(result, _view, as_json=as_json)


def _view(result: "Collected") -> "list[RenderableType]":
    runs = [(run.run[-8:], run.name, run.deleted, run.actor, run.reason) for run in result.runs[:_SHOWN]]
    more = len(result.runs) - _SHOWN
    return [
        _headline(result),
        *([table(("run", "name", "deleted (UTC)", "by", "reason"), runs)] if runs else []),
        *([f"… and {more} more runs (--json lists all)"] if more > 0 else []),
        *_kept(result),
        *([] if result.taken or _is_nothing(result) else ["take it: lin gc --yes"]),
    ]


def _headline(result: "Collected") -> str:
    if _is_nothing(result):
        return "nothing to take"
    parts = [
        (len(result.runs), count(len(result.runs), "deleted run")),
        (result.rests, f"the rest of {count(result.rests, 'run')}"),
        (result.blobs, count(result.blobs, "blob")),
        (result.unfinished, count(result.unfinished, "unfinished write")),
    ]
    what = ", ".join(text for number, text in parts if number)
    return f"{'took' if result.taken else 'would take'} {what}: {size(result.bytes)}"


def _is_nothing(result: "Collected") -> bool:
    return not (result.runs or result.rests or result.blobs or result.unfinished)


def _kept(result: "Collected") -> list[str]:
    kept = result.kept
    reasons = [
        (kept.young_runs, "run", "that was deleted too recently, or is behind a model version"),
        (kept.young_blobs, "blob", "that was written too recently"),
        (kept.announced_blobs, "blob", "that a program may be about to record"),
        (kept.young_unfinished, "unfinished write", "that may go on"),
    ]
    needed = f"kept: {count(kept.runs, 'run')}, {count(kept.blobs, 'blob')} that are needed"
    return [needed, *(f"kept: {count(number, noun)} {why}" for number, noun, why in reasons if number)]
