"""`lin promote`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, Reason, StorePath, open_project
from lin.cli.printing import count, emit, line, note, table
from lin.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.models.changes import Promotion


def promote(
    version: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="A model version.", show_default=False)],
    stage: Annotated[
        str,
        typer.Argument(
            metavar="STAGE", help="staging, production, archived, none, or one that is declared.", show_default=False
        ),
    ],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Move it whatever the gates say; takes --reason, and stays visible.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look at the gates.")] = False,
    reason: Reason = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Move a model version to a stage, if its gates let it.

    Each gate that lineage.toml declares for the stage is looked at, and kept in the event with what was found. A
    refusal is kept too.
    """
    from lin.lineage.gates import judge_gates, preview
    from lin.models.changes import promote as promote_version

    project = open_project(store)
    judge = judge_gates(project, report=note)
    if dry_run:
        promotion = preview(project, version, stage, judge=judge, force=force)
    else:
        promotion = promote_version(project, version, stage, reason=reason, judge=judge, force=force)
    emit(promotion, lambda told: _view(told, dry_run=dry_run), as_json=as_json)
    if promotion.refused:
        note("nothing was changed" if dry_run else "nothing was moved; the refusal is kept")
        raise typer.Exit(ExitCode.NO)


def _view(promotion: "Promotion", *, dry_run: bool) -> "list[RenderableType]":
    marks = {True: line("passed", "green"), False: line("failed", "bold red")}
    rows = [(marks[gate.passed], gate.gate, gate.evidence) for gate in promotion.gates]
    return [*([table(("", "gate", "evidence"), rows)] if rows else []), _outcome(promotion, dry_run=dry_run)]


def _outcome(promotion: "Promotion", *, dry_run: bool) -> "RenderableType":
    name = f"{promotion.model}@{promotion.version}"
    failed = count(sum(not gate.passed for gate in promotion.gates), "gate")
    if promotion.refused:
        return line(f"{name} {'would not move' if dry_run else 'is not moved'} to {promotion.stage}: {failed} failed")
    moves, goes = ("would be in", "would be archived") if dry_run else ("is in", "is archived")
    past = f", forced past {failed}" if promotion.forced else ""
    archived = "".join(f"; {promotion.model}@{number} {goes}" for number in promotion.archived)
    return line(f"{name} {moves} {promotion.stage}{past}{archived}")
