"""`lin promote`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, Reason, StorePath, open_project
from lin.cli.printing import emit, note

if TYPE_CHECKING:
    from lin.models.changes import Promotion


def promote(
    version: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="A model version.", show_default=False)],
    stage: Annotated[
        str, typer.Argument(metavar="STAGE", help="staging, production, archived or none.", show_default=False)
    ],
    *,
    reason: Reason = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Move a model version to a stage; archive its holder."""
    from lin.models.changes import promote as promote_version

    project = open_project(store)
    promotion = promote_version(project, version, stage, reason=reason)
    emit(promotion, _view, as_json=as_json)
    declared = project.config.models.get(promotion.model)
    if declared and declared.gates.get(promotion.stage):
        note(f"warning: lineage.toml declares gates for {promotion.stage}; this lin does not check gates yet")


def _view(promotion: "Promotion") -> list[str]:
    archived = "".join(f"; {promotion.model}@{number} is archived" for number in promotion.archived)
    return [f"{promotion.model}@{promotion.version} is in {promotion.stage}{archived}"]
