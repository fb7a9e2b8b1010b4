"""`lin index`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import count, emit, size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.runs.catalog import IndexState


def index(
    *,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make it anew from the records.")] = False,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Show the index of runs, or make it anew.

    It is a Delta table that makes queries fast, and is kept up to date by itself. Nothing is lost if it is deleted.
    """
    from lin.runs.catalog import describe_index, rebuild_index

    opened = open_project(store).store
    if rebuild:
        rebuild_index(opened)
    emit(describe_index(opened), _view, as_json=as_json)


def _view(state: "IndexState") -> "list[RenderableType]":
    lacks = f"{count(state.lacking, 'run')} to come" if state.lacking else "up to date"
    where = f"{size(state.bytes)} in {count(state.files, 'file')}, Delta version {state.version}"
    return [f"{state.path}: {count(state.runs, 'run')}, {lacks}; {where if state.files else 'nothing written yet'}"]
