"""`lin models`, and how a past state of the registry is asked for."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import count, emit, line, note, table

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import RenderableType

    from lin.models.fold import ModelVersion
    from lin.project import Project

NONE_YET = "no models yet; register one: lin register RUN NAME"

AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="TIME", help="As it was then: 2026-11-22, '2026-11-22 14:30', '2 days ago'."),
]


def models(
    *,
    stage: Annotated[str | None, typer.Option("--stage", metavar="STAGE", help="Only those in this stage.")] = None,
    as_of: AsOf = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """List the registered models and their versions."""
    from lin.models.registry import list_versions, read_registry

    project, moment = open_project(store), read_moment(as_of)
    none = NONE_YET if moment is None else "no models then"
    if stage is not None:
        from lin.models.changes import require_stage

        stage = require_stage(project, stage)
        none = f"no version {'is' if moment is None else 'was'} in {stage}"
    registry = read_registry(project.store, as_of=moment)
    look_back(project, moment)
    for model in registry.values():
        if model.discounted:
            verb = "does" if len(model.discounted) == 1 else "do"
            note(f"{model.name}: {count(len(model.discounted), 'change')} {verb} not count (lin show {model.name})")
    emit(list_versions(registry, stage=stage), partial(view, none=none), as_json=as_json)


def view(versions: "list[ModelVersion]", *, none: str = NONE_YET) -> "list[RenderableType]":
    """One line a version, or what there is to say where there is none."""
    if not versions:
        return [none]
    columns = ("model", "stage", "aliases", "run", "registered (UTC)", "by", "re-run", "description")
    return [table(columns, [_row(version) for version in versions])]


def _row(v: "ModelVersion") -> tuple[object, ...]:
    name = line(f"{v.reference} unsafe", "bold red") if v.unsafe else v.reference
    stage = "" if v.stage == "none" else v.stage
    description = v.description.partition("\n")[0] if v.description else None
    return name, stage, ", ".join(v.aliases), v.run[-8:], v.registered, v.actor, v.proof, description


def read_moment(text: str | None) -> "datetime | None":
    """The moment that `--as-of` means."""
    if text is None:
        return None
    from datetime import UTC, datetime

    from lin.data.moments import parse_moment

    return parse_moment(text, datetime.now(UTC))


def look_back(project: "Project", moment: "datetime | None") -> None:
    """Say on stderr which moment of the registry is shown, and how much of its log lies before it."""
    if moment is None:
        return
    from lin.data.moments import show_moment
    from lin.models.registry import read_events

    events, before = project.store.events.read(), len(read_events(project.store, as_of=moment))
    first = f"; the first is of {show_moment(events[0].time)}" if events and not before else ""
    note(f"the registry as of {show_moment(moment)}: {before or 'none'} of {count(len(events), 'event')}{first}")
