"""Who may change what of a model. Decided with all events before a change in view, and never again.

A model without an owner is everybody's. Once it has one, all may read, comment on it and register versions; promoters
also move, name, tag, describe and approve of them; owners also give roles, and promote past a gate. People are who
they say: a login name, or what git calls them. Signatures are what ties a name to a person.
"""

from typing import TYPE_CHECKING

from lin.errors import RefusedError, UsageError, nearest
from lin.events import Role

if TYPE_CHECKING:
    from lin.models.fold import Model

RIGHTS: dict[Role, int] = {"reader": 0, "promoter": 1, "owner": 2}
"""The roles from the least to the most; each has the rights of those before it."""


NOBODY = "none"
"""The word for having no role."""


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
