"""`lin register`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import emit, note

if TYPE_CHECKING:
    from lin.models.fold import ModelVersion


def register(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run: any part of its id, its name, or last.", show_default=False)
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model.", show_default=False)],
    *,
    description: Annotated[
        str | None, typer.Option("--description", "-m", metavar="TEXT", help="What is special about it.")
    ] = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Make a run's model the next version of a named model."""
    from lin.models.changes import register_model
    from lin.runs.feedback import find_feedback
    from lin.runs.query import read_run

    project = open_project(store)
    version = register_model(project, run, name, description=description, report=note)
    emit(version, _view, as_json=as_json)
    for found in find_feedback(project, read_run(project.store, version.run)):
        note(
            f"warning: {version.reference} was trained on predictions of {found.model}: "
            f"{found.table}@{found.written} wrote them"
        )


def _view(version: "ModelVersion") -> list[str]:
    unsafe = "; unsafe: its file runs code when it is loaded" if version.unsafe else ""
    return [f"{version.reference} is the model of run {version.run[-8:]}{unsafe}"]
