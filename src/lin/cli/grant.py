"""`lin grant`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, Reason, StorePath, open_project
from lin.cli.printing import emit

if TYPE_CHECKING:
    from lin.models.talk import GrantOutcome


def grant(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model.", show_default=False)],
    who: Annotated[
        str, typer.Argument(metavar="WHO", help="A login name, or the email that git knows.", show_default=False)
    ],
    role: Annotated[str, typer.Argument(metavar="ROLE", help="owner, promoter, reader, or none.", show_default=False)],
    *,
    reason: Reason = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Say who owns, promotes or only reads a model.

    A model without an owner is everybody's; the first role to give makes one. From then on promoters move, name, tag,
    describe and approve of versions, owners also give roles and force promotions, and all others read, comment and
    register.
    """
    from lin.models.roles import parse_role
    from lin.models.talk import grant as grant_role

    outcome = grant_role(open_project(store), name, who, parse_role(role), reason=reason)
    emit(outcome, _view, as_json=as_json)


def _view(outcome: "GrantOutcome") -> list[str]:
    change, already = outcome.change, "" if outcome.event else " already"
    if change.role is None:
        gone = f"{change.who} is {outcome.before} of model '{change.model}' no more"
        return [gone if outcome.event else f"{change.who} has no role for model '{change.model}'"]
    own = "" if outcome.own_role == "owner" else f"; you are {outcome.own_role} of it"
    return [f"{change.who} is {change.role} of model '{change.model}'{already}{own}"]
