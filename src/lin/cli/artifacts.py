"""`lin artifacts`."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import count, emit, size, table
from lin.cli.raw import pour
from lin.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.runs.artifacts import Got, Kept, Opened


def artifacts(
    reference: Annotated[
        str, typer.Argument(metavar="RUN", help="A run, a model version, or runs:/ID/PATH.", show_default=False)
    ],
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH…]", help="Only these, and what is below them (default: all).")
    ] = None,
    *,
    to: Annotated[
        str | None, typer.Option("--to", metavar="PLACE", help="Write them below this folder, or one as this file.")
    ] = None,
    cat: Annotated[bool, typer.Option("--cat", help="Print one on stdout.")] = False,
    view: Annotated[bool, typer.Option("--open", help="Open a copy of one in the system's viewer.")] = False,
    force: Annotated[bool, typer.Option("--force", help="With --to: overwrite other files.")] = False,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """List a run's artifacts, get them as files, or look at one.

    What is written or shown is checked against its sha256. With --to, a folder gets each under its path in the run;
    PLACE is a folder if it is one, if it ends in a slash, or where there are several.
    """
    from lin.lineage.references import find_run_behind
    from lin.runs import artifacts as kept

    _refuse(to=to, cat=cat, view=view, force=force, as_json=as_json)
    project = open_project(store)
    name, within = kept.split_uri(reference)
    run = find_run_behind(project, name)
    wanted = [*within, *(paths or [])]
    if cat:
        chosen = kept.choose_one(run, wanted)
        _print(project.store.blobs.read(chosen.sha256), chosen.path)
    elif view:
        viewer = kept.find_viewer(os.environ)
        emit(kept.open_artifact(project.store, kept.choose_one(run, wanted), viewer), _view_opened, as_json=as_json)
    elif to is not None:
        got = kept.get_artifacts(project.store, kept.choose_artifacts(run, wanted), to, force=force)
        emit(got, _view_got, as_json=as_json)
    else:
        emit(kept.list_artifacts(run, wanted), _view, as_json=as_json)


def _refuse(*, to: str | None, cat: bool, view: bool, force: bool, as_json: bool) -> None:
    """Refuse options that do not belong together. Raises `UsageError`."""
    chosen = [name for name, given in (("--to", to is not None), ("--cat", cat), ("--open", view)) if given]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} do not go together", hint="lin artifacts --help")
    if force and to is None:
        raise UsageError("--force belongs to --to", hint="lin artifacts --help")
    if cat and as_json:
        raise UsageError("--cat prints the artifact itself, so there is no --json of it", hint="leave one of them out")


def _print(data: bytes, path: str) -> None:
    if sys.stdout.isatty() and b"\0" in data:
        raise UsageError(f"'{path}' is no text", hint=f"--to FILE gets it, or | into a program: {size(len(data))}")
    pour([data])


def _view(found: "list[Kept]") -> "list[RenderableType]":
    if not found:
        return ["no artifacts"]
    rows = [(each.path, each.kind, size(each.bytes), each.sha256[:12]) for each in found]
    return [table(("artifact", "kind", "size", "sha256"), rows, right=("size",))]


def _view_got(got: "list[Got]") -> "list[RenderableType]":
    written = [each for each in got if each.written]
    there = f", {len(got) - len(written)} there already" if len(written) < len(got) else ""
    total = size(sum(each.bytes for each in written))
    rows = [(each.file, size(each.bytes), "" if each.written else "is there") for each in got]
    return [table(("", "", ""), rows, right=()), f"{count(len(written), 'file')} written, {total}{there}"]


def _view_opened(opened: "Opened") -> "list[RenderableType]":
    return [f"{opened.path}: {opened.viewer[0]} shows {opened.file}"]
