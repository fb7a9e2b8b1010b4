"""`lin approve`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, Reason, StorePath, open_project
from lin.cli.printing import emit

if TYPE_CHECKING:
    from lin.events import Approve
    from lin.models.talk import Outcome


def approve(
    version: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="A model version.", show_default=False)],
    *,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Approve of it no longer.")] = False,
    reason: Reason = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Approve of a model version, for gates that ask for it.

    Whoever registered the version cannot: that takes somebody else.
    """
    from lin.models.talk import approve as approve_version

    outcome = approve_version(open_project(store), version, withdraw=withdraw, reason=reason)
    emit(outcome, _view, as_json=as_json)


def _view(outcome: "Outcome[Approve]") -> list[str]:
    label = f"{outcome.change.model}@{outcome.change.version}"
    if outcome.change.approved:
        return [f"you approve of {label}{'' if outcome.event else ' already'}"]
    return [f"you approve of {label} no longer" if outcome.event else f"you had not approved of {label}"]
