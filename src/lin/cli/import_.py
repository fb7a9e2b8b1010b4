"""`lin import`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, Trusted, open_project
from lin.cli.printing import emit, note

if TYPE_CHECKING:
    from lin.models.import_ import Imported


def import_(
    source: Annotated[
        Path, typer.Argument(metavar="PLACE", help="A model folder of lin or MLflow, or a zip.", show_default=False)
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model.", show_default=False)],
    *,
    pickle: Annotated[bool, typer.Option("--pickle", help="Keep a pickle, too: unloaded, and marked unsafe.")] = False,
    trust: Trusted = None,
    description: Annotated[
        str | None, typer.Option("--description", "-m", metavar="TEXT", help="What is special about it.")
    ] = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Register a model from such a folder or zip, fully checked.

    Only scikit-learn models are taken. The digests in lin.json are checked where it is there, the model file is
    examined and loaded without code of its own, and it scores the example of the folder.
    """
    from lin.models.import_ import import_folder
    from lin.runs.trust import read_trust

    project, trusted = open_project(store), read_trust(trust, os.environ)
    imported = import_folder(project, source, name, pickle=pickle, trust=trusted, description=description, report=note)
    emit(imported, _view, as_json=as_json)
    if imported.unsafe:
        note(f"warning: unsafe: the model of {imported.version} is a pickle, which runs code when it is loaded")


def _view(imported: "Imported") -> list[str]:
    origin = f", there {imported.origin}" if imported.origin else ""
    lines = [f"{imported.version} is the model of run {imported.run[-8:]}, made by {imported.made_by}{origin}"]
    lines += [f"it takes {', '.join(imported.features)}"] if imported.features else []
    told = {
        "same": "its example is predicted as the folder says, bit for bit",
        "within tolerance": "its example is predicted as the folder says, but for the last bits",
        "different": "its example is predicted otherwise than the folder says",
        "nothing to compare with": "its example is scored; the folder does not say what was predicted",
    }
    return [*lines, told[imported.example]] if imported.example in told else lines
