"""`lin export`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, Trusted, open_project
from lin.cli.printing import count, emit, note, size, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.models.export import Exported


def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="boston@1, boston@production, models:/boston/1.", show_default=False)
    ],
    to: Annotated[Path, typer.Argument(metavar="PLACE", help="A folder, or FILE.zip.", show_default=False)],
    *,
    pickle: Annotated[
        bool, typer.Option("--pickle", help="As a pickle, which runs code when it is loaded: unsafe.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a model folder or zip that is there.")] = False,
    trust: Trusted = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Write a model version as a folder or zip that MLflow loads.

    It has the model, MLmodel with the signature, what it needs, an example of its input, and lin.json: the sha256 of
    each file, and the run, metrics and data that the version came from.
    """
    from lin.models.export import export_version
    from lin.runs.trust import read_trust

    project, trusted = open_project(store), read_trust(trust, os.environ)
    exported = export_version(project, model, to, pickle=pickle, force=force, trust=trusted)
    emit(exported, _view, as_json=as_json)
    if exported.unsafe:
        note(f"warning: unsafe: the model in {exported.place} is a pickle, which runs code when it is loaded")
    for lack in exported.lacks:
        note(f"note: {lack}")


def _view(exported: "Exported") -> "list[RenderableType]":
    rows = [(each.path, size(each.bytes), each.sha256[:12]) for each in exported.files]
    done = "written" if exported.written else "there already"
    told = f"{exported.version} in {exported.place}: {count(len(rows), 'file')} {done}"
    return [table(("file", "size", "sha256"), rows, right=("size",)), told]
