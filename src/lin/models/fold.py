"""The models of a store and their versions, as the fold of its events. A change is applied as its event says it.

Whether somebody might make a change was decided when its event was appended; here an event is only refused where it
does not fit those before it, which no writer of ours does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec

from lin.errors import StoreError
from lin.events import (
    Alias,
    Approve,
    Change,
    CheckedEvent,
    Comment,
    Describe,
    Event,
    Gate,
    Grant,
    Receipt,
    Refuse,
    Register,
    Role,
    Rollback,
    Stage,
    Tag,
    Verdict,
)
from lin.models.roles import find_objection, is_same_person, tell_change

T = TypeVar("T")

REPRODUCED: frozenset[Verdict] = frozenset({"identical", "same predictions"})
"""The verdicts of two runs of which each proves the other."""
PICKLED = ".pkl"
"""How the artifacts end that run code when they are loaded."""


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a version's stage history; `back` tells that a rollback moved it.

    `signer` is who signed it, where signatures are checked.
    """

    stage: str
    time: datetime
    actor: str
    reason: str | None
    gates: list[Gate] = []
    forced: bool = False
    back: bool = False
    signer: str | None = None


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said: a comment, or an approval with its reason."""

    text: str | None
    time: datetime
    actor: str
    email: str | None


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A change that was refused, see `lin.events.Refuse`."""

    action: str
    why: str
    version: int | None
    gates: list[Gate]
    time: datetime
    actor: str


class Discounted(msgspec.Struct, frozen=True, kw_only=True):
    """A change that does not count, and why: the event of that number was not signed by somebody with the role.

    `actor` is who it says that acted.
    """

    event: int
    action: str
    why: str
    version: int | None
    time: datetime
    actor: str


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a registered model."""

    model: str
    version: int
    stage: str
    run: str
    artifact: str
    sha256: str
    description: str | None
    registered: datetime
    actor: str
    history: list[Move]
    golden: str | None
    """The blob of its golden predictions."""
    proof: Verdict | None = None
    """The newest verdict of a re-run of its run in which nothing was changed on purpose, or what its run was as one."""
    email: str | None = None
    """What git called whoever registered it."""
    signer: str | None = None
    """Who signed the registration, where signatures are checked."""
    aliases: list[str] = []
    tags: dict[str, str] = {}
    comments: list[Remark] = []
    approvals: list[Remark] = []
    """One a person at most, the newest; whoever registered the version gives none."""
    unsafe: bool = False
    """Whether its file runs code when it is loaded."""

    @property
    def reference(self) -> str:
        """As it is written: `boston@1`."""
        return f"{self.model}@{self.version}"


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A registered model: its versions from 1, and what was said about all of them. `roles` are by login or email."""

    name: str
    versions: list[ModelVersion]
    aliases: dict[str, int] = {}
    tags: dict[str, str] = {}
    description: str | None = None
    comments: list[Remark] = []
    roles: dict[str, Role] = {}
    refusals: list[Refusal] = []
    discounted: list[Discounted] = []


Registry = dict[str, Model]


def fold_events(events: Iterable[Event]) -> Registry:
    """The models and their versions after these events. Raises `StoreError` if one does not fit those before it."""
    fold = _Fold()
    for event in events:
        fold.apply(event, event.change)
    return {name: fold.finish(model) for name, model in fold.models.items()}


def fold_version(events: Iterable[Event], name: str, number: int) -> ModelVersion:
    """One version of a model after these events: where there are thousands, it is quicker. Raises as `fold_events`."""
    fold = _Fold()
    for event in events:
        fold.apply(event, event.change)
    model = fold.models[name]
    return fold.finish_version(model, number, _by_version(model.aliases))


@dataclass
class _Growing:
    """A model as far as the events were read; the version n stands at n - 1."""

    name: str
    registered: list[tuple[Event, Register]] = field(default_factory=list)
    moves: list[list[Move]] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)
    tags: dict[int | None, dict[str, str]] = field(default_factory=dict)
    descriptions: dict[int | None, str | None] = field(default_factory=dict)
    comments: dict[int | None, list[Remark]] = field(default_factory=dict)
    approvals: dict[int, list[Remark]] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    discounted: list[Discounted] = field(default_factory=list)


class _Fold:
    """Takes one event after the other."""

    def __init__(self) -> None:
        self.models: dict[str, _Growing] = {}
        self._proven: dict[str, Verdict] = {}
        self._repeats: dict[str, Verdict] = {}

    def apply(self, event: Event, change: Change) -> None:
        """Apply a change, if it counts. Raises `StoreError`."""
        model = self.models.get(getattr(change, "model", ""))
        if model is not None and isinstance(event, CheckedEvent) and (why := find_objection(event, model.roles)):
            model.discounted.append(_discount(event, why))
            return
        match change:
            case Register():
                self._register(event, change)
            case Stage():
                self._stage(event, change)
            case Rollback():
                self._roll_back(event, change)
            case Receipt():
                if not change.changed:
                    self._proven[change.run] = change.verdict
                    if change.verdict in REPRODUCED:
                        self._repeats[change.rerun] = change.verdict
            case Refuse() | Alias() | Tag() | Describe() | Comment() | Approve() | Grant():
                self._say(self._model(event, change.model, getattr(change, "version", None)), event, change)

    def _model(self, event: Event, name: str, *versions: int | None) -> _Growing:
        model = self.models.get(name)
        _require_fit(event, model is not None)
        if model is None:
            raise TypeError(name)
        _require_fit(event, all(version is None or 1 <= version <= len(model.registered) for version in versions))
        return model

    def _register(self, event: Event, change: Register) -> None:
        model = self.models.setdefault(change.model, _Growing(change.model))
        _require_fit(event, change.version == len(model.registered) + 1)
        model.registered.append((event, change))
        model.moves.append([])
        model.descriptions[change.version] = change.description

    def _stage(self, event: Event, change: Stage) -> None:
        model = self._model(event, change.model, change.version, *change.archived)
        for number in change.archived:
            model.moves[number - 1].append(_move(event, "archived", change.reason))
        move = _move(event, change.stage, change.reason)
        move = msgspec.structs.replace(move, gates=change.gates, forced=change.forced)
        model.moves[change.version - 1].append(move)

    def _roll_back(self, event: Event, change: Rollback) -> None:
        model = self._model(event, change.model, *(p.version for p in change.stages), *change.aliases.values())
        for placed in change.stages:
            move = _move(event, placed.stage, change.reason)
            model.moves[placed.version - 1].append(msgspec.structs.replace(move, back=True))
        for alias, version in change.aliases.items():
            _put(model.aliases, alias, version)

    def _say(
        self,
        model: _Growing,
        event: Event,
        change: Refuse | Alias | Tag | Describe | Comment | Approve | Grant,
    ) -> None:
        match change:
            case Alias():
                _put(model.aliases, change.alias, change.version)
            case Tag():
                _put(model.tags.setdefault(change.version, {}), change.key, change.value)
            case Describe():
                model.descriptions[change.version] = change.text
            case Comment():
                model.comments.setdefault(change.version, []).append(_remark(event, change.text))
            case Approve():
                others = [each for each in model.approvals.get(change.version, []) if not _is_by(each, event)]
                model.approvals[change.version] = [*others, *([_remark(event, change.reason)] * change.approved)]
            case Grant():
                _put(model.roles, change.who, change.role)
            case Refuse():
                model.refusals.append(_refusal(event, change))

    def finish(self, model: _Growing) -> Model:
        """The model as it is now."""
        aliases = _by_version(model.aliases)
        return Model(
            name=model.name,
            versions=[self.finish_version(model, n, aliases) for n in range(1, len(model.registered) + 1)],
            aliases=model.aliases,
            tags=model.tags.get(None, {}),
            description=model.descriptions.get(None),
            comments=model.comments.get(None, []),
            roles=model.roles,
            refusals=model.refusals,
            discounted=model.discounted,
        )

    def finish_version(self, model: _Growing, number: int, aliases: Mapping[int, list[str]]) -> ModelVersion:
        """That version of the model as it is now."""
        (event, change), history = model.registered[number - 1], model.moves[number - 1]
        return ModelVersion(
            model=model.name,
            version=number,
            stage=history[-1].stage if history else "none",
            run=change.run,
            artifact=change.artifact,
            sha256=change.sha256,
            description=model.descriptions[number],
            registered=event.time,
            actor=event.actor,
            history=history,
            golden=change.golden,
            proof=self._proven.get(change.run, self._repeats.get(change.run)),
            email=event.email,
            signer=_signer(event),
            aliases=aliases.get(number, []),
            tags=model.tags.get(number, {}),
            comments=model.comments.get(number, []),
            approvals=model.approvals.get(number, []),
            unsafe=change.artifact.endswith(PICKLED),
        )


def _by_version(aliases: Mapping[str, int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for alias in sorted(aliases):
        found.setdefault(aliases[alias], []).append(alias)
    return found


def _require_fit(event: Event, fits: bool) -> None:
    if not fits:
        raise StoreError(
            f"event {event.number} of the store names a model version that the events before it do not allow",
            hint="restore the folder 'events' from a backup of the store",
        )


def _put(values: dict[str, T], key: str, value: T | None) -> None:
    """Set what a key stands for, or take it away."""
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value


def _move(event: Event, stage: str, reason: str | None) -> Move:
    return Move(stage=stage, time=event.time, actor=event.actor, reason=reason, signer=_signer(event))


def _signer(event: Event) -> str | None:
    return event.signer if isinstance(event, CheckedEvent) else None


def _remark(event: Event, text: str | None) -> Remark:
    return Remark(text=text, time=event.time, actor=event.actor, email=event.email)


def _is_by(remark: Remark, event: Event) -> bool:
    return is_same_person((remark.actor, remark.email), (event.actor, event.email))


def _refusal(event: Event, change: Refuse) -> Refusal:
    return Refusal(
        action=change.action,
        why=change.why,
        version=change.version,
        gates=change.gates,
        time=event.time,
        actor=event.actor,
    )


def _discount(event: CheckedEvent, why: str) -> Discounted:
    return Discounted(
        event=event.number,
        action=tell_change(event.change),
        why=why,
        version=getattr(event.change, "version", None),
        time=event.time,
        actor=event.actor,
    )
