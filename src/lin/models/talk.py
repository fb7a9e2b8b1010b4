"""What people say about models: aliases, tags, descriptions, comments, approvals, roles. One event each.

What is so already makes no event. That is decided with all events before it in view, as is who may say it. Which
version a reference means is settled before.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from shlex import quote
from typing import Generic, NoReturn, TypeVar

import msgspec

from lin.config import check_name
from lin.errors import ConflictError, RefusedError, UsageError
from lin.events import Alias, Approve, Change, Comment, Describe, Grant, Role, Tag
from lin.models.changes import change_model, list_stages
from lin.models.fold import Model, ModelVersion
from lin.models.registry import LATEST, find_model, find_version, read_registry, split_reference
from lin.models.roles import is_governed, is_same_person, role_of
from lin.models.words import check_label, check_reason, check_text
from lin.project import Project

C = TypeVar("C", bound=Change)
Value = int | str | None


class Outcome(msgspec.Struct, Generic[C], frozen=True, kw_only=True):
    """What was said: the change, what it took the place of, and the number of its event.

    `before` is what was so for the alias, tag, description or person until then: None for nothing. Without an `event`
    it was so already.
    """

    change: C
    before: Value
    event: int | None


class GrantOutcome(Outcome[Grant], frozen=True, kw_only=True):
    """As `Outcome`, with the role that whoever gave it has from then on."""

    own_role: Role


@dataclass(frozen=True)
class _Target:
    """What something is said about: a model, or one of its versions."""

    model: str
    version: int | None

    @property
    def label(self) -> str:
        """As it is written: `boston` or `boston@3`."""
        return self.model if self.version is None else f"{self.model}@{self.version}"


@dataclass(frozen=True)
class _VersionTarget(_Target):
    """A version, and no whole model."""

    version: int


@dataclass(frozen=True)
class _Said(Generic[C]):
    """A change, what it makes so, and what is so."""

    change: C
    after: Value
    before: Value


class _SaidAlreadyError(Exception):
    """Nothing is to be changed."""


def _say(
    project: Project, target: _Target, needed: Role, action: str, decide: Callable[[Model], _Said[C]]
) -> Outcome[C]:
    """Append the change that `decide` makes of the model as it is then, unless it is so already."""
    said: list[_Said[C]] = []

    def change_it(model: Model) -> C:
        said.append(decide(model))
        if said[-1].before == said[-1].after:
            raise _SaidAlreadyError
        return said[-1].change

    number = None
    with suppress(_SaidAlreadyError):
        number = change_model(project, target.model, needed, action, change_it, version=target.version)[0].number
    return Outcome(change=said[-1].change, before=said[-1].before, event=number)


# --- aliases ----------------------------------------------------------------------------------------------------------


def set_alias(project: Project, reference: str, alias: str, *, reason: str | None = None) -> Outcome[Alias]:
    """Give a version a name of its own; another version that had it loses it.

    Raises:
        NotFoundError: no such version. UsageError: this cannot be an alias. RefusedError: a promoter may, or an owner.
    """
    check_reason(reason)
    target = _find_version(project, reference)
    _check_alias(project, alias)

    def decide(model: Model) -> _Said[Alias]:
        _require_no_stage(model, alias)
        change = Alias(model=model.name, alias=alias, version=target.version, reason=reason)
        return _Said(change, target.version, model.aliases.get(alias))

    return _say(project, target, "promoter", f"give {target.label} the alias {alias}", decide)


def drop_alias(project: Project, reference: str, alias: str, *, reason: str | None = None) -> Outcome[Alias]:
    """Take an alias away from a model, or from the version that is named.

    Raises:
        NotFoundError: no such model or version. ConflictError: another version has the alias.
        UsageError: this cannot be an alias. RefusedError: a promoter may, or an owner.
    """
    check_name(alias, "an alias")
    check_reason(reason)
    target = _find(project, reference)

    def decide(model: Model) -> _Said[Alias]:
        holder = model.aliases.get(alias)
        if target.version is not None and holder not in {None, target.version}:
            raise ConflictError(
                f"'{alias}' is the alias of {model.name}@{holder}, not of {target.label}",
                hint=f"lin alias {model.name} {alias} --drop",
            )
        return _Said(Alias(model=model.name, alias=alias, version=None, reason=reason), None, holder)

    return _say(project, target, "promoter", f"take the alias {alias} of {target.label} away", decide)


def _check_alias(project: Project, alias: str) -> None:
    check_name(alias, "an alias")
    if alias.isdecimal():
        _refuse_alias(alias, "a version")
    if alias.lower() == LATEST:
        _refuse_alias(alias, "the newest version")
    if alias.lower() in list_stages(project):
        _refuse_alias(alias, "a stage")


def _require_no_stage(model: Model, alias: str) -> None:
    """Raise `UsageError` if a version was ever in a stage of that name, which the project may have no more."""
    if alias.lower() in {move.stage for version in model.versions for move in version.history}:
        _refuse_alias(alias, "a stage")


def _refuse_alias(alias: str, what: str) -> NoReturn:
    raise UsageError(f"'{alias}' cannot be an alias: it means {what}", hint="take another name, as champion")


# --- tags, descriptions, comments -------------------------------------------------------------------------------------


def set_tag(project: Project, reference: str, key: str, value: str | None) -> Outcome[Tag]:
    """Tag a model or a version; None takes the tag away.

    Raises:
        NotFoundError: no such model or version. UsageError: this cannot be a tag.
        RefusedError: a promoter may, or an owner.
    """
    check_label(key, "a tag")
    if value:  # a tag may be a mere mark
        check_text(value, f"the value of tag '{key}'")
    target = _find(project, reference)

    def decide(model: Model) -> _Said[Tag]:
        change = Tag(model=model.name, key=key, value=value, version=target.version)
        return _Said(change, value, _about(model, target).tags.get(key))

    action = f"tag {target.label} with {key}" if value is not None else f"take the tag {key} of {target.label} away"
    return _say(project, target, "promoter", action, decide)


def describe(project: Project, reference: str, text: str | None) -> Outcome[Describe]:
    """Say what a model or a version is; None takes the description away.

    Raises:
        NotFoundError: no such model or version. UsageError: this is no text. RefusedError: a promoter may, or an owner.
    """
    if text is not None:
        check_text(text, "the description")
    target = _find(project, reference)

    def decide(model: Model) -> _Said[Describe]:
        change = Describe(model=model.name, text=text, version=target.version)
        return _Said(change, text, _about(model, target).description)

    return _say(project, target, "promoter", f"describe {target.label}", decide)


def comment(project: Project, reference: str, text: str) -> Outcome[Comment]:
    """Say something about a model or a version, as everybody may.

    Raises:
        NotFoundError: no such model or version. UsageError: this is no text.
    """
    check_text(text, "the comment")
    target = _find(project, reference)
    said = _Said(Comment(model=target.model, text=text, version=target.version), text, None)
    return _say(project, target, "reader", f"comment on {target.label}", lambda _: said)


# --- approvals and roles ----------------------------------------------------------------------------------------------


def approve(project: Project, reference: str, *, withdraw: bool = False, reason: str | None = None) -> Outcome[Approve]:
    """Approve of a version, or do so no longer. Whoever registered it cannot: that takes a second pair of eyes.

    Raises:
        NotFoundError: no such version. RefusedError: who asks registered it, or is neither a promoter nor an owner.
    """
    check_reason(reason)
    target = _find_version(project, reference)
    person = (project.actor, project.email)

    def decide(model: Model) -> _Said[Approve]:
        version = model.versions[target.version - 1]
        if not withdraw and is_same_person(person, (version.actor, version.email)):
            same = "" if version.actor == project.actor else f", whose email {project.actor} has,"
            raise RefusedError(
                f"{version.actor}{same} registered {target.label}, and cannot approve of it too",
                hint=f"ask somebody else for: lin approve {target.label}",
            )
        given = any(is_same_person(person, (each.actor, each.email)) for each in version.approvals)
        change = Approve(model=model.name, version=target.version, approved=not withdraw, reason=reason)
        return _Said(change, None if withdraw else "approved", "approved" if given else None)

    action = f"withdraw the approval of {target.label}" if withdraw else f"approve of {target.label}"
    return _say(project, target, "promoter", action, decide)


def grant(project: Project, name: str, who: str, role: Role | None, *, reason: str | None = None) -> GrantOutcome:
    """Give somebody, by login name or email, a role for a model; None takes it away.

    Raises:
        NotFoundError: no such model. RefusedError: the model has an owner, and who asks is none.
        UsageError: this names nobody, or there would be roles and no owner.
    """
    check_label(who, "a person")
    check_reason(reason)
    target = _find(project, name)
    if target.version is not None:
        raise UsageError(
            f"a role is for a model, not for {target.label}",
            hint=f"lin grant {target.model} {quote(who)} {role or 'none'}",
        )

    def decide(model: Model) -> _Said[Grant]:
        _require_owner(model, who, role)
        return _Said(Grant(model=model.name, who=who, role=role, reason=reason), role, model.roles.get(who))

    action = f"make {who} {role} of {target.model}" if role else f"take the role of {who} for {target.model} away"
    done = _say(project, target, "owner", action, decide)
    after = find_model(read_registry(project.store), target.model)
    return GrantOutcome(**msgspec.structs.asdict(done), own_role=role_of(after, project.actor, project.email))


def _require_owner(model: Model, who: str, role: Role | None) -> None:
    """Raise `UsageError` if somebody would have a role, and nobody be the owner."""
    others = [given for person, given in model.roles.items() if person != who]
    left = others if role is None else [*others, role]
    if not left or "owner" in left:
        return
    if is_governed(model):
        raise UsageError(
            f"{who} is the last owner of model '{model.name}', and others have roles",
            hint=f"first: lin grant {model.name} SOMEBODY owner",
        )
    raise UsageError(
        f"model '{model.name}' has no owner, and the first role to give makes one",
        hint=f"lin grant {model.name} {quote(who)} owner",
    )


# --- what is meant ----------------------------------------------------------------------------------------------------


def _find(project: Project, reference: str) -> _Target:
    """The model that is meant, or the version where one is named. Raises `NotFoundError` or `UsageError`."""
    name, selector = split_reference(reference)
    if selector is not None:
        return _find_version(project, reference)
    return _Target(find_model(read_registry(project.store), name).name, None)


def _find_version(project: Project, reference: str) -> _VersionTarget:
    found = find_version(read_registry(project.store), reference)
    return _VersionTarget(found.model, found.version)


def _about(model: Model, target: _Target) -> Model | ModelVersion:
    return model if target.version is None else model.versions[target.version - 1]
