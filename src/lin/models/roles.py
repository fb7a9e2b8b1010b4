"""Who may change what of a model. Decided with all events before a change in view, and never again.

A model without an owner is everybody's. Once it has one, all may read, comment on it and register versions; promoters
also move, name, tag, describe and approve of them; owners also give roles, and promote past a gate. People are who
they say: a login name, or what git calls them. Where signatures are checked, see `lin.store.signatures`, they are
whose key it is, and what is not signed by somebody with the role does not count.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lin.errors import RefusedError, UsageError, nearest
from lin.events import Alias, Approve, Change, CheckedEvent, Describe, Grant, Role, Rollback, Stage, Tag

if TYPE_CHECKING:
    from lin.models.fold import Model

RIGHTS: dict[Role, int] = {"reader": 0, "promoter": 1, "owner": 2}
"""The roles from the least to the most; each has the rights of those before it."""


NOBODY = "none"
"""The word for having no role."""


def role_needed(change: Change) -> Role:
    """The role that a change of a governed model takes."""
    match change:
        case Stage():
            return "owner" if change.forced else "promoter"
        case Alias() | Approve() | Describe() | Rollback() | Tag():
            return "promoter"
        case Grant():
            return "owner"
        case _:
            return "reader"


def tell_change(change: Change) -> str:
    """What a change of a model is, as in `move boston@2 to production`."""
    name = getattr(change, "model", "")
    version = getattr(change, "version", None)
    label = name if version is None else f"{name}@{version}"
    match change:
        case Stage():
            what = f"{'force' if change.forced else 'move'} {label} to {change.stage}"
        case Alias():
            what = f"give {label} the alias {change.alias}" if version else f"take the alias {change.alias} away"
        case Tag():
            what = f"tag {label} with {change.key}"
        case Describe():
            what = f"describe {label}"
        case Approve():
            what = f"{'approve' if change.approved else 'withdraw the approval'} of {label}"
        case Grant():
            what = f"make {change.who} {change.role or 'nobody'} of {label}"
        case Rollback():
            what = f"roll {label} back"
        case _:
            what = f"change {label}"
    return what


def find_objection(event: CheckedEvent, roles: Mapping[str, Role]) -> str | None:
    """Why an event does not count for a model in which people have these roles; None if it does."""
    needed = role_needed(event.change)
    if needed == "reader" or event.is_vouched:
        return None
    if event.signer is None:
        return "it is not signed" if event.signature is None else "its signature is that of none of the signers"
    role: Role = roles.get(event.signer, "reader") if "owner" in roles.values() else "owner"
    return None if RIGHTS[role] >= RIGHTS[needed] else f"it takes the role {needed}, and {event.signer} is {role}"


def parse_role(word: str) -> Role | None:
    """The role of that name, in any case; None for `none`. Raises `UsageError`."""
    known = [*RIGHTS, NOBODY]
    if word.lower() not in known:
        hint = nearest(word.lower(), known, instead=f"roles are {', '.join(known)}")
        raise UsageError(f"'{word}' is not a role", hint=hint)
    return next((role for role in RIGHTS if role == word.lower()), None)


def is_same_person(one: tuple[str, str | None], other: tuple[str, str | None]) -> bool:
    """Whether two who acted, each with login name and email, may be one: if either is the same."""
    (login, email), (other_login, other_email) = one, other
    return login == other_login or (
        email is not None and other_email is not None and email.casefold() == other_email.casefold()
    )


def role_of(model: "Model", actor: str, email: str | None) -> Role:
    """The greater of the roles that a person has by login name and by email; everybody owns what nobody owns."""
    if not is_governed(model):
        return "owner"
    given = [model.roles[who] for who in (actor, email) if who is not None and who in model.roles]
    return max(given, key=RIGHTS.__getitem__, default="reader")


def is_governed(model: "Model") -> bool:
    """Whether the model has an owner."""
    return "owner" in model.roles.values()


def require_role(model: "Model", needed: Role, action: str, *, actor: str, email: str | None) -> None:
    """Raise `RefusedError` if that person may not do this; `action` says what it is, as in `promote boston@3`."""
    role = role_of(model, actor, email)
    if RIGHTS[role] >= RIGHTS[needed]:
        return
    named = f"{actor} ({email})" if email else actor
    owners = sorted(who for who, given in model.roles.items() if given == "owner")
    raise RefusedError(
        f"{named} may not {action}: that takes the role {needed} for model '{model.name}', and {actor} is {role}",
        hint=f"ask an owner ({', '.join(owners)}) for: lin grant {model.name} {actor} {needed}",
    )
