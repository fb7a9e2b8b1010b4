"""The registry as the fold of events, held against a plain dict: now, and as of each event."""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.config import Config, ProjectSetting
from lin.errors import RefusedError, StoreError, UsageError
from lin.events import (
    Alias,
    Approve,
    Change,
    Comment,
    Describe,
    Event,
    Gate,
    Grant,
    Placed,
    Receipt,
    Refuse,
    Register,
    Rollback,
    Stage,
    Tag,
)
from lin.models.changes import append_change, promote
from lin.models.fold import Model, fold_events
from lin.models.registry import STAGES, read_registry
from lin.models.talk import Outcome, approve, comment, describe, drop_alias, grant, set_alias, set_tag
from lin.project import Project
from lin.runs.train import MODEL
from lin.store.events import Events
from lin.store.memory import MemoryBackend
from lin.store.store import create_store

START = datetime(2026, 6, 24, tzinfo=UTC)
FIRST = Register(model="boston", version=1, run="r1", artifact=MODEL, sha256="0" * 64)


def log_of(*changes: Change, actor: str = "ann") -> list[Event]:
    return [
        Event(
            number=number, op_id="x", time=START + timedelta(minutes=number), actor=actor, previous=None, change=change
        )
        for number, change in enumerate(changes, 1)
    ]


def fold(*changes: Change) -> Model:
    return fold_events(log_of(*changes))["boston"]


# --- single events ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        [Register(model="boston", version=2, run="r", artifact=MODEL, sha256="0" * 64)],
        [FIRST, FIRST],
        [Stage(model="boston", version=1, stage="production")],
        [FIRST, Stage(model="boston", version=2, stage="production")],
        [FIRST, Stage(model="boston", version=1, stage="production", archived=[2])],
        [FIRST, Alias(model="boston", alias="a", version=0)],
        [FIRST, Tag(model="other", key="k", value="v")],
        [FIRST, Comment(model="boston", text="x", version=2)],
        [FIRST, Approve(model="boston", version=-1)],
        [FIRST, Rollback(model="boston", stages=[Placed(version=3, stage="none")])],
        [FIRST, Rollback(model="boston", aliases={"a": 3})],
    ],
)
def test_an_event_that_does_not_fit_is_damage(changes: list[Change]) -> None:
    with pytest.raises(StoreError, match=f"event {len(changes)} of the store names a model version"):
        fold_events(log_of(*changes))


def test_a_version_has_the_newest_verdict_of_a_rerun_without_changes() -> None:
    receipts = [
        Receipt(run="r1", rerun="x", verdict="different"),
        Receipt(run="r1", rerun="x", verdict="identical"),
        Receipt(run="r1", rerun="x", verdict="different", changed=["alpha 1 -> 2"]),
        Receipt(run="other", rerun="x", verdict="different"),
    ]
    assert fold(*receipts, FIRST).versions[0].proof == "identical"  # whenever it was registered
    assert fold(FIRST).versions[0].proof is None


def test_a_model_whose_file_runs_code_is_unsafe() -> None:
    second = Register(model="boston", version=2, run="r", artifact="model/model.pkl", sha256="0" * 64)
    assert [version.unsafe for version in fold(FIRST, second).versions] == [False, True]


def test_a_move_tells_its_gates_and_whether_it_was_forced_or_a_way_back() -> None:
    gates = [Gate(gate="no feedback", passed=False, evidence="two rows")]
    (version,) = fold(
        FIRST,
        Stage(model="boston", version=1, stage="production", gates=gates, forced=True, reason="now"),
        Rollback(model="boston", stages=[Placed(version=1, stage="none")], reason="no"),
    ).versions
    assert [(m.stage, m.reason, m.gates, m.forced, m.back) for m in version.history] == [
        ("production", "now", gates, True, False),
        ("none", "no", [], False, True),
    ]
    assert version.stage == "none"


def test_a_way_back_names_those_aliases_that_it_changes() -> None:
    names = [Alias(model="boston", alias=alias, version=1) for alias in ("kept", "gone")]
    back = Rollback(model="boston", aliases={"gone": None, "again": 1})
    model = fold(FIRST, *names, back)
    assert model.aliases == {"kept": 1, "again": 1}
    assert model.versions[0].aliases == ["again", "kept"]


def test_a_person_approves_once_by_whatever_name() -> None:
    approvals = [("bob", "b@x", True), ("robert", "B@X", True), ("eve", None, True), ("bob", None, True)]
    said = [("ann", None, FIRST)] + [
        (actor, email, Approve(model="boston", version=1, approved=approved)) for actor, email, approved in approvals
    ]

    def approvers(count: int) -> list[str]:
        events = [
            event_of(number, actor, email, change) for number, (actor, email, change) in enumerate(said[: 1 + count], 1)
        ]
        return [approval.actor for approval in fold_events(events)["boston"].versions[0].approvals]

    assert [approvers(count) for count in range(5)] == [
        [],
        ["bob"],
        ["robert"],
        ["robert", "eve"],
        ["robert", "eve", "bob"],
    ]


def event_of(number: int, actor: str, email: str | None, change: Change) -> Event:
    return Event(number=number, op_id="x", time=START, actor=actor, email=email, previous=None, change=change)


def test_refusals_are_kept_and_change_nothing() -> None:
    gates = [Gate(gate="no feedback", passed=False, evidence="two rows")]
    refused = fold(FIRST, Refuse(model="boston", action="move it", why="not passed", version=1, gates=gates))
    assert [(r.action, r.why, r.version, r.gates, r.actor) for r in refused.refusals] == [
        ("move it", "not passed", 1, gates, "ann")
    ]
    assert refused.versions == fold(FIRST).versions


# --- any sequence of changes ------------------------------------------------------------------------------------------


class Ticking(Events):
    """A log in which each event comes a minute after the one before."""

    def append(self, decide: Callable[[Sequence[Event]], Change], **facts: Any) -> Event:
        return super().append(decide, **facts | {"now": START + len(self.read()) * timedelta(minutes=1)})


def make_project() -> Project:
    backend = MemoryBackend()
    store = create_store(backend)
    store.events = Ticking(backend)
    nowhere = Path("/nonexistent")
    project = Project(nowhere, Config(project=ProjectSetting(name="boston")), store, nowhere, "ann")
    vars(project)["email"] = None  # as if git had been asked
    return project


def acting(project: Project, actor: str) -> Project:
    other = dataclasses.replace(project, actor=actor)
    vars(other)["email"] = None
    return other


RIGHTS = {None: 0, "reader": 0, "promoter": 1, "owner": 2}
NOTHING: dict[str, Any] = {"tags": {}, "description": None, "comments": []}


class Plain:
    """A registry of one model, as one would write it down: what it says of each change is what should happen."""

    def __init__(self) -> None:
        self.versions: list[dict[str, Any]] = []
        self.model: dict[str, Any] = copy.deepcopy(NOTHING) | {"aliases": {}, "roles": {}, "refusals": 0}

    def state(self) -> dict[str, Any]:
        return copy.deepcopy(self.model | {"versions": self.versions}) if self.versions else {}

    def may(self, actor: str, needed: str) -> bool:
        roles = self.model["roles"]
        return "owner" not in roles.values() or RIGHTS[roles.get(actor)] >= RIGHTS[needed]

    def about(self, version: int | None) -> dict[str, Any]:
        return self.model if version is None else self.versions[version - 1]

    def register(self) -> None:
        self.versions.append(copy.deepcopy(NOTHING) | {"stage": "none", "approvals": []})

    def promote(self, version: int, stage: str) -> None:
        if stage in {"staging", "production"}:
            for other in self.versions:
                other["stage"] = "archived" if other["stage"] == stage else other["stage"]
        self.versions[version - 1]["stage"] = stage


def plain_of(project: Project, as_of: datetime | None = None) -> dict[str, Any]:
    """The same of the registry."""
    model = read_registry(project.store, as_of=as_of).get("boston")
    if model is None:
        return {}
    versions = [
        {
            "tags": v.tags,
            "description": v.description,
            "comments": [comment.text for comment in v.comments],
            "stage": v.stage,
            "approvals": [approval.actor for approval in v.approvals],
        }
        for v in model.versions
    ]
    for version in model.versions:
        assert version.aliases == sorted(name for name, held in model.aliases.items() if held == version.version)
        assert [move.stage for move in version.history][-1:] in ([], [version.stage])
    return {
        "aliases": model.aliases,
        "tags": model.tags,
        "description": model.description,
        "comments": [comment.text for comment in model.comments],
        "roles": model.roles,
        "refusals": len(model.refusals),
        "versions": versions,
    }


VERSIONS = st.integers(1, 3)
ABOUT = st.none() | VERSIONS
NAMES = st.sampled_from(["champion", "old"])
TEXTS = st.sampled_from(["x", "y"])
PEOPLE = st.sampled_from(["ann", "bob", "eve"])
STEPS = st.one_of(
    st.tuples(st.just("register")),
    st.tuples(st.just("promote"), VERSIONS, st.sampled_from(STAGES)),
    st.tuples(st.just("set_alias"), VERSIONS, NAMES),
    st.tuples(st.just("drop_alias"), NAMES),
    st.tuples(st.just("set_tag"), ABOUT, NAMES, st.none() | TEXTS),
    st.tuples(st.just("describe"), ABOUT, st.none() | TEXTS),
    st.tuples(st.just("comment"), ABOUT, TEXTS),
    st.tuples(st.just("approve"), VERSIONS, st.booleans()),
    st.tuples(st.just("grant"), PEOPLE, st.sampled_from(["owner", "promoter", "reader", None])),
    st.tuples(st.just("roll_back"), st.integers(0, 20)),
)


class Walk:
    """Does the same to a registry and to a plain one, and remembers what the plain one was after each event."""

    def __init__(self) -> None:
        self.project = make_project()
        self.plain = Plain()
        self.after: list[dict[str, Any]] = []

    def step(self, actor: str, name: str, *facts: Any) -> None:
        versions = [fact for fact in facts[:1] if isinstance(fact, int) and name != "roll_back"]
        if name != "register" and len(self.plain.versions) < max(versions, default=1):
            return
        before = len(self.project.store.events.read())
        happens = getattr(self, f"_{name}")(acting(self.project, actor), *facts)
        events = self.project.store.events.read()
        assert len(events) == before + happens
        self.after += [self.plain.state()] * happens
        assert plain_of(self.project) == self.plain.state()

    def _do(self, project: Project, needed: str, change: Callable[[], Outcome[Any]]) -> Outcome[Any] | None:
        """The outcome, or None where the role is missing: then the refusal is the event."""
        if self.plain.may(project.actor, needed):
            return change()
        with pytest.raises(RefusedError, match=f"that takes the role {needed}"):
            change()
        self.plain.model["refusals"] += 1
        return None

    def _register(self, project: Project) -> bool:
        number = len(self.plain.versions) + 1
        register = Register(model="boston", version=number, run="r", artifact=MODEL, sha256="0" * 64)
        append_change(acting(project, "ann"), lambda _: register)
        self.plain.register()
        return True

    def _promote(self, project: Project, version: int, stage: str) -> bool:
        if not self.plain.may(project.actor, "promoter"):
            with pytest.raises(RefusedError):
                promote(project, f"boston@{version}", stage)
            self.plain.model["refusals"] += 1
            return True
        promote(project, f"boston@{version}", stage)
        self.plain.promote(version, stage)
        return True

    def _put(self, outcome: Outcome[Any] | None, values: dict[str, Any], key: str, value: Any) -> bool:
        """One value that is set or taken away: whether there should be an event."""
        if outcome is None:
            return True
        before = values.get(key)
        assert outcome.before == before
        assert (outcome.event is None) == (before == value)
        values[key] = value
        return bool(before != value)

    def _set_alias(self, project: Project, version: int, name: str) -> bool:
        done = self._do(project, "promoter", lambda: set_alias(project, f"boston@{version}", name))
        return self._put(done, self.plain.model["aliases"], name, version)

    def _drop_alias(self, project: Project, name: str) -> bool:
        done = self._do(project, "promoter", lambda: drop_alias(project, "boston", name))
        happened = self._put(done, self.plain.model["aliases"], name, None)
        self.plain.model["aliases"] = {k: v for k, v in self.plain.model["aliases"].items() if v}
        return happened

    def _set_tag(self, project: Project, version: int | None, key: str, value: str | None) -> bool:
        about = self.plain.about(version)
        done = self._do(project, "promoter", lambda: set_tag(project, named(version), key, value))
        happened = self._put(done, about["tags"], key, value)
        about["tags"] = {k: v for k, v in about["tags"].items() if v is not None}
        return happened

    def _describe(self, project: Project, version: int | None, text: str | None) -> bool:
        done = self._do(project, "promoter", lambda: describe(project, named(version), text))
        return self._put(done, self.plain.about(version), "description", text)

    def _comment(self, project: Project, version: int | None, text: str) -> bool:
        assert comment(project, named(version), text).event is not None
        self.plain.about(version)["comments"].append(text)
        return True

    def _approve(self, project: Project, version: int, withdraw: bool) -> bool:
        given = self.plain.versions[version - 1]["approvals"]

        def change() -> Outcome[Any]:
            return approve(project, f"boston@{version}", withdraw=withdraw)

        if self.plain.may(project.actor, "promoter") and project.actor == "ann" and not withdraw:
            with pytest.raises(RefusedError, match="ann registered boston@"):
                change()
            self.plain.model["refusals"] += 1
            return True
        done = self._do(project, "promoter", change)
        if done is None:
            return True
        happens = withdraw == (project.actor in given)
        assert (done.event is not None) == happens
        self.plain.versions[version - 1]["approvals"] = [who for who in given if who != project.actor] + (
            [] if withdraw else [project.actor]
        )
        if not happens:
            self.plain.versions[version - 1]["approvals"] = given
        return happens

    def _grant(self, project: Project, who: str, role: str | None) -> bool:
        roles = {person: given for person, given in (self.plain.model["roles"] | {who: role}).items() if given}

        def change() -> Outcome[Any]:
            return grant(project, "boston", who, role)  # type: ignore[arg-type]

        if self.plain.may(project.actor, "owner") and roles and "owner" not in roles.values():
            with pytest.raises(UsageError, match=r"is the last owner|has no owner"):
                change()
            return False
        done = self._do(project, "owner", change)
        happened = self._put(done, dict(self.plain.model["roles"]), who, role)
        self.plain.model["roles"] = roles if done else self.plain.model["roles"]
        return happened

    def _roll_back(self, project: Project, number: int) -> bool:
        """To what was after an earlier event, of the versions that there were."""
        then = self.after[number % len(self.after)]
        stages = [Placed(version=n, stage=version["stage"]) for n, version in enumerate(then["versions"], 1)]
        names = self.plain.model["aliases"] | then["aliases"]
        aliases = {name: then["aliases"].get(name) for name in names}
        append_change(project, lambda _: Rollback(model="boston", stages=stages, aliases=aliases))
        for placed in stages:
            self.plain.versions[placed.version - 1]["stage"] = placed.stage
        self.plain.model["aliases"] = dict(then["aliases"])
        return True


def named(version: int | None) -> str:
    return "boston" if version is None else f"boston@{version}"


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.tuples(PEOPLE, STEPS), max_size=25))
def test_the_registry_as_of_each_event_is_what_a_dict_was_then(steps: list[tuple[str, tuple[Any, ...]]]) -> None:
    walk = Walk()
    walk.step("ann", "register")
    for actor, (name, *facts) in steps:
        walk.step(actor, name, *facts)
    store = walk.project.store
    events = [*store.events.read()]
    assert len(walk.after) == len(events)
    assert plain_of(walk.project, START - timedelta(seconds=1)) == {}
    for count, (event, expected) in enumerate(zip(events, walk.after, strict=True), 1):
        assert plain_of(walk.project, event.time) == expected
        assert plain_of(walk.project, event.time + timedelta(seconds=59)) == expected
        assert read_registry(store, as_of=event.time) == fold_events(events[:count])


def test_an_event_of_every_kind_is_folded() -> None:
    everything = fold(
        FIRST,
        Alias(model="boston", alias="champion", version=1),
        Tag(model="boston", key="k", value="v"),
        Describe(model="boston", text="prices"),
        Grant(model="boston", who="ann", role="owner"),
    )
    assert everything.aliases == {"champion": 1}
    assert (everything.tags, everything.description, everything.roles) == ({"k": "v"}, "prices", {"ann": "owner"})
