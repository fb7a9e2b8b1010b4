"""`lin models`."""

from typing import TYPE_CHECKING

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import emit, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.models.fold import ModelVersion


def models(*, store: StorePath = None, as_json: Json = False) -> None:
    """List the registered models and their versions."""
    from lin.models.registry import list_versions, read_registry

    registry = read_registry(open_project(store).store)
    emit(list_versions(registry), view, as_json=as_json)


def view(versions: "list[ModelVersion]") -> "list[RenderableType]":
    """One line a version."""
    if not versions:
        return ["no models yet; register one: lin register RUN NAME"]
    columns = ("model", "stage", "run", "registered (UTC)", "by", "re-run", "description")
    rows = [
        (v.reference, "" if v.stage == "none" else v.stage, v.run[-8:], v.registered, v.actor, v.proof, v.description)
        for v in versions
    ]
    return [table(columns, rows)]
