"""`lin delete`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, Reason, StorePath, open_project
from lin.cli.printing import emit, show
from lin.errors import UsageError

if TYPE_CHECKING:
    from lin.lineage.delete import Deleted


def delete(
    run: Annotated[list[str], typer.Argument(metavar="RUN", help="Runs, by id or name.", show_default=False)],
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Bring deleted runs back.")] = False,
    reason: Reason = None,
    ended: Annotated[
        bool, typer.Option("--ended", help="Its process has surely ended, though it cannot be seen from here.")
    ] = False,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Delete runs; --undo brings them back until lin gc took them.

    A deleted run is listed no more, and all that it needs stays until lin gc takes it. A run behind a registered model
    version is refused, and so is one that is running; then none is deleted.
    """
    from datetime import UTC, datetime

    from lin.lineage.delete import delete_runs, undelete_runs

    if undo and ended:
        raise UsageError("--undo and --ended do not go together", hint="lin delete --help")
    project, now = open_project(store), datetime.now(UTC)
    if undo:
        done = undelete_runs(project, run, now=now, reason=reason)
    else:
        done = delete_runs(project, run, now=now, reason=reason, ended=ended)
    emit(done, _view, as_json=as_json)


def _view(done: "list[Deleted]") -> list[str]:
    fresh = [run.run[-8:] for run in done if run.outcome == "deleted"]
    return [*map(_told, done), *([f"bring back: lin delete {' '.join(fresh)} --undo"] if fresh else [])]


def _told(run: "Deleted") -> str:
    name = f" ({run.name})" if run.name else ""
    if run.outcome != "was deleted before":
        return f"run {run.run[-8:]}{name} {'is back' if run.outcome == 'brought back' else run.outcome}"
    reason = f": {run.reason}" if run.reason else ""
    return f"run {run.run[-8:]}{name} was deleted before, {show(run.time)} UTC by {run.actor}{reason}"
