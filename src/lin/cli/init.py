"""`lin init`."""

from pathlib import Path
from typing import Annotated

import typer

from lin.cli.options import Json
from lin.cli.printing import emit


def init(
    *,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The project's name (default: the folder's).")
    ] = None,
    store: Annotated[
        str | None, typer.Option(metavar="PATH", help="Where the store is to lie (default: .lin).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a project here: lineage.toml and the store.

    What exists already is kept: running it twice changes nothing.
    """
    from lin.project import create_project

    project, fresh = create_project(Path.cwd(), name=name, store=store)
    result = {
        "project": project.config.project.name,
        "root": str(project.root),
        "store": project.config.project.store if store is None else store,
        "created": fresh,
    }
    emit(result, _view, as_json=as_json)


def _view(result: dict[str, object]) -> list[str]:
    if not result["created"]:
        return [f"project '{result['project']}' is here already; nothing changed"]
    return [
        f"project '{result['project']}': lineage.toml, and the store in {result['store']}",
        "next: lin add NAME FILE.csv --key COLUMN",
    ]
