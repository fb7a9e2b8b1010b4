"""A store against a dict: equal after any mix of changes, kills, stale handles, shifted clocks and collections.

Changes are made in this process, or in a process that a failpoint kills or fails in the midst of one: that change was
not acknowledged, and is there in whole or not at all. `STATEFUL=EXAMPLES,STEPS` walks further than `make test` does.
"""

import contextlib
import copy
import importlib.util
import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lin.errors import ConflictError, LinError, NotFoundError, RefusedError, UsageError
from lin.lineage.fsck.check import check_store
from lin.lineage.fsck.findings import Finding
from lin.runs.catalog import rebuild_index
from lin.runs.fit import MODEL
from lin.runs.query import list_runs


def load_side() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stateful_side", Path(__file__).with_name("stateful_side.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


side = load_side()

EXAMPLES, STEPS = map(int, os.environ.get("STATEFUL", "5,25").split(","))
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NEW = "a new run"
"""Stands for the id of a run until it is known."""


# --- the dict ---------------------------------------------------------------------------------------------------------

SAID: dict[str, Any] = {"tags": {}, "description": None, "comments": []}
RIGHTS = {None: 0, "reader": 0, "promoter": 1, "owner": 2}


class Plain:
    """All that a store holds, as one would write it down. An act that it refuses raises what the store should."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.deleted: dict[str, datetime] = {}
        self.collected: set[str] = set()
        self.events = 0
        self.model: dict[str, Any] = copy.deepcopy(SAID) | {"aliases": {}, "roles": {}, "refusals": 0, "versions": []}
        self.past: list[dict[str, Any]] = []
        """What the model was after each event."""
        self.rows: list[list[int]] = []

    def after(self, act: side.Act, who: str, now: datetime) -> "tuple[Plain, type[LinError] | None]":
        """What should be there after that, and how it should be refused."""
        later, (name, facts) = copy.deepcopy(self), act
        later.who, later.now = who, now
        refused = None
        try:
            getattr(later, name)(**facts)
        except LinError as error:
            refused = type(error)
        if later.events > self.events:
            later.past.append(copy.deepcopy(later.model))
        return later, refused

    def record(self, **facts: Any) -> None:
        self.runs[NEW] = {"kind": "program", "name": facts["name"], "status": facts["status"]} | logged_of(facts)

    def register(self, run: str) -> None:
        if run in self.collected:
            raise NotFoundError(run)
        if self.runs[run]["status"] != "finished" or MODEL not in self.runs[run]["artifacts"]:
            raise UsageError(run)
        if run in self.deleted:
            raise ConflictError(run)
        self.events += 1
        self.model["versions"].append(
            copy.deepcopy(SAID) | {"run": run, "stage": "none", "actor": self.who, "approvals": [], "stages": []}
        )

    def promote(self, version: int, stage: str) -> None:
        self._require("promoter")
        self.events += 1
        if stage in {"staging", "production"}:
            for number, other in enumerate(self.model["versions"], 1):
                if other["stage"] == stage and number != version:
                    self._move(number, "archived")
        self._move(version, stage)

    def _move(self, version: int, stage: str) -> None:
        moved = self.model["versions"][version - 1]
        moved["stage"] = stage
        moved["stages"].append(stage)

    def _require(self, role: str) -> None:
        roles = self.model["roles"]
        if "owner" in roles.values() and RIGHTS[roles.get(self.who)] < RIGHTS[role]:
            self._refuse()

    def _refuse(self) -> None:
        self.events += 1
        self.model["refusals"] += 1
        raise RefusedError("")

    def _put(self, values: dict[str, Any], key: str, value: Any) -> None:
        if values.get(key) == value:
            return
        self.events += 1
        values[key] = value
        if value is None:
            del values[key]

    def alias(self, version: int | None, alias: str) -> None:
        self._require("promoter")
        self._put(self.model["aliases"], alias, version)

    def _about(self, version: int | None) -> dict[str, Any]:
        return self.model if version is None else self.model["versions"][version - 1]

    def tag(self, version: int | None, key: str, value: str | None) -> None:
        self._require("promoter")
        self._put(self._about(version)["tags"], key, value)

    def describe(self, version: int | None, text: str | None) -> None:
        self._require("promoter")
        about = self._about(version)
        self.events += about["description"] != text
        about["description"] = text

    def comment(self, version: int | None, text: str) -> None:
        self.events += 1
        self._about(version)["comments"].append(text)

    def comment_elsewhere(self, text: str) -> None:
        self.comment(None, text)

    def approve(self, version: int, withdraw: bool) -> None:
        self._require("promoter")
        about = self._about(version)
        if about["actor"] == self.who and not withdraw:
            self._refuse()
        if (self.who in about["approvals"]) != withdraw:
            return
        self.events += 1
        about["approvals"] = [who for who in about["approvals"] if who != self.who] + [self.who] * (not withdraw)

    def grant(self, who: str, role: str | None) -> None:
        self._require("owner")
        given = [other for other in (self.model["roles"] | {who: role}).values() if other]
        if given and "owner" not in given:
            raise UsageError(who)
        self._put(self.model["roles"], who, role)

    def roll_back(self, version: int, stage: str) -> None:
        self._require("promoter")
        if stage not in self._about(version)["stages"]:
            raise UsageError(stage)
        stages = [m["versions"][version - 1]["stage"] if len(m["versions"]) >= version else "" for m in self.past]
        then = self.past[max(at for at, held in enumerate(stages) if held == stage)]
        leaving = [n for n, v in enumerate(self.model["versions"], 1) if v["stage"] == stage and n != version]
        now = self.model["aliases"]
        back = {
            name: then["aliases"][name] for name, held in now.items() if held in leaving and name in then["aliases"]
        }
        if self._about(version)["stage"] == stage and now | back == now:
            return
        self.events += 1
        for number in leaving:
            self._move(number, "archived")
        if self._about(version)["stage"] != stage:
            self._move(version, stage)
        now |= back

    def delete(self, run: str) -> None:
        self._require_there(run)
        if run in self.deleted:
            return
        if run in {version["run"] for version in self.model["versions"]} or self.runs[run]["status"] == "running":
            raise ConflictError(run)
        self.events += 1
        self.deleted[run] = self.now

    def undelete(self, run: str) -> None:
        self._require_there(run)
        self.events += run in self.deleted
        self.deleted.pop(run, None)

    def _require_there(self, run: str) -> None:
        if run in self.collected:
            raise NotFoundError(run)

    def collect(self, days: int | None) -> None:
        ripe = {run for run, when in self.deleted.items() if days is None or when <= self.now - timedelta(days=days)}
        going = ripe - self.collected
        self.events += bool(going)
        self.collected |= going

    def write(self, rows: list[int]) -> None:
        self.runs[NEW] = {"kind": "import", "name": "rows", "status": "finished"} | NOTHING_LOGGED
        self.rows.append(rows)

    def restore(self, version: int) -> None:
        if self.rows[version] != self.rows[-1]:
            made = {"kind": "restore", "name": f"{side.TABLE} to version {version}", "status": "finished"}
            self.runs[NEW] = made | NOTHING_LOGGED | {"params": {"version": version}}
            self.rows.append(self.rows[version])

    def state(self) -> dict[str, Any]:
        """All of it, in the shape of `look`."""
        return {
            "runs": {run: facts for run, facts in self.runs.items() if run not in self.deleted},
            "deleted": self.deleted,
            "collected": self.collected,
            "events": self.events,
            "model": {} if not self.model["versions"] else self.model,
            "rows": self.rows,
        }


NOTHING_LOGGED: dict[str, Any] = {"params": {}, "metrics": {}, "tags": {}, "artifacts": {}}


def logged_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: dict(facts[name]) for name in NOTHING_LOGGED}
    return given | {"params": {"first": 1} | facts["params"]}


FILTERS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "metrics.score > 1": lambda run: run["metrics"].get("score", 0) > 1,
    "params.depth = 2": lambda run: run["params"].get("depth") == 2,
    "tags.team = 'red' and status = 'finished'": lambda run: (
        run["tags"].get("team") == "red" and run["status"] == "finished"
    ),
    "name = 'fit'": lambda run: run["name"] == "fit",
}


# --- the machine ------------------------------------------------------------------------------------------------------

PEOPLE = st.sampled_from(["ann", "bob", "eve"])
TEXTS = st.sampled_from(["x", "y"])
NAMES = st.sampled_from(["champion", "old"])
PICK = st.integers(0, 1000)
FACTS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["fit", "try"]),
        "status": st.sampled_from(["finished", "finished", "failed"]),
        "params": st.dictionaries(st.sampled_from(["depth", "alpha"]), st.integers(1, 3)),
        "metrics": st.dictionaries(st.sampled_from(["score", "loss"]), st.floats(-2, 4, width=16)),
        "tags": st.dictionaries(st.just("team"), st.sampled_from(["red", "blue"])),
        "artifacts": st.dictionaries(st.sampled_from([MODEL, "a.txt"]), TEXTS),
    }
)
FITTED = {"name": "fit", "status": "finished", "params": {}, "metrics": {}, "tags": {}, "artifacts": {MODEL: "x"}}
FAILURES = st.one_of(
    st.tuples(st.sampled_from(["fsync", "link", "open", "close", "unlink"]), st.sampled_from(["kill", "killed"])),
    st.tuples(st.just("write"), st.sampled_from(["kill", "killed", "torn"])),
    st.tuples(st.sampled_from(["fsync", "write", "link"]), st.sampled_from(["EIO", "ENOSPC"])),
)
PLANS = st.tuples(FAILURES, st.integers(1, 25)).map(lambda drawn: f"{drawn[0][0]}:{drawn[1]}:{drawn[0][1]}")


def saying(name: str, **facts: st.SearchStrategy[Any]) -> st.SearchStrategy[side.Act]:
    return st.tuples(st.just(name), st.fixed_dictionaries(facts))


SAYINGS = st.one_of(
    saying("promote", version=PICK, stage=st.sampled_from(["none", "staging", "production", "archived"])),
    saying("alias", version=st.none() | PICK, alias=NAMES),
    saying("tag", version=st.none() | PICK, key=NAMES, value=st.none() | TEXTS),
    saying("describe", version=st.none() | PICK, text=st.none() | TEXTS),
    saying("comment", version=st.none() | PICK, text=TEXTS),
    saying("comment_elsewhere", text=TEXTS),
    saying("approve", version=PICK, withdraw=st.booleans()),
    saying("grant", who=PEOPLE, role=st.sampled_from(["owner", "promoter", "reader", None])),
    saying("roll_back", version=PICK, stage=st.sampled_from(["staging", "production"])),
)

How = tuple[str, int, str | None]
"""Who does it, by which handle, or as which plan fails."""
HOW = st.tuples(PEOPLE, st.integers(0, 1), st.none() | PLANS)


class StoreMachine(RuleBasedStateMachine):
    """Does the same to a store, by two handles of which one may be stale, and to a dict."""

    server: side.Server

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory(prefix="stateful-")
        self.root = Path(shutil.copytree(side.template(), f"{self.place.name}/project"))
        self.steps = 0
        self.plain = Plain()
        self.plain.rows = [[1, 2]]
        self.now = NOW
        self.handles = [side.open_as(self.root, "ann"), side.open_as(self.root, "ann")]
        self.open: list[side.Recorder] = []
        self.plain.runs = side.look_at_runs(self.handles[0])
        known = {*self.plain.runs}
        for _ in range(3):
            self.do("record", ("ann", 0, None), **FITTED)
        for run in sorted(self.plain.runs.keys() - known)[:2]:
            self.do("register", ("ann", 0, None), run=run)

    def teardown(self) -> None:
        for run in self.open:
            run.close()
        self.place.cleanup()

    # --- how a change is made

    def do(self, name: str, how: How, /, **facts: Any) -> None:
        """Do it in this process, or where there is a plan in one that fails."""
        who, which, plan = how
        act = (name, facts)
        later, refused = self.plain.after(act, who, self.now)
        if plan is None:
            expected: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
            made = None
            with pytest.raises(refused) if refused else expected:
                made = side.act_on(side.acting(self.handles[which], who), act, self.now)
            self.plain = settle(later, made)
            return
        code = self.server.ask(root=str(self.root), who=who, now=self.now.isoformat(), act=act, plan=plan)
        assert code in {0, 1, -signal.SIGKILL}, (act, plan)
        self.plain = learn(
            self.plain, later, side.look(side.open_as(self.root, who), later.rows), acknowledged=code == 0
        )

    def pick(self, runs: list[str], number: int) -> str:
        return sorted(runs)[number % len(runs)]

    # --- changes

    @rule(how=HOW, facts=FACTS)
    def record(self, how: How, facts: dict[str, Any]) -> None:
        self.do("record", how, **facts)

    @rule(how=HOW, run=PICK)
    def register(self, how: How, run: int) -> None:
        known = {run for run, facts in self.plain.runs.items() if MODEL in facts["artifacts"]}
        self.do("register", how, run=self.pick([*(known or self.plain.runs)], run))

    @precondition(lambda self: self.plain.model["versions"])
    @rule(how=HOW, said=SAYINGS)
    def say(self, how: How, said: side.Act) -> None:
        name, facts = said
        version = facts.get("version")
        if version is not None:
            facts = facts | {"version": 1 + version % len(self.plain.model["versions"])}
        self.do(name, how, **facts)

    @rule(how=HOW, run=PICK)
    def delete(self, how: How, run: int) -> None:
        self.do("delete", how, run=self.pick([*self.plain.runs], run))

    @rule(how=HOW, run=PICK)
    def undelete(self, how: How, run: int) -> None:
        self.do("undelete", how, run=self.pick([*(self.plain.deleted or self.plain.runs)], run))

    @rule(how=HOW, days=st.none() | st.integers(0, 1000))
    def collect(self, how: How, days: int | None) -> None:
        self.do("collect", how, days=days)

    @rule(how=HOW, rows=st.lists(st.integers(0, 9), unique=True, max_size=3))
    def write(self, how: How, rows: list[int]) -> None:
        self.do("write", how, rows=rows)

    @rule(how=HOW, version=PICK)
    def restore(self, how: How, version: int) -> None:
        self.do("restore", how, version=version % len(self.plain.rows))

    # --- runs that are open while other things happen

    @rule(which=st.integers(0, 1), facts=FACTS)
    def begin(self, which: int, facts: dict[str, Any]) -> None:
        run = side.Acts(self.handles[which], self.now).begin(facts)
        self.open.append(run)
        running = {"kind": "program", "name": facts["name"], "status": "running"}
        self.plain.runs[run.id] = running | copy.deepcopy(NOTHING_LOGGED) | {"params": {"first": 1}}

    @precondition(lambda self: self.open)
    @rule(run=PICK, facts=FACTS)
    def log(self, run: int, facts: dict[str, Any]) -> None:
        recorder = self.open[run % len(self.open)]
        side.Acts(self.handles[0], self.now).log(recorder, facts)
        recorder.flush()
        for name in NOTHING_LOGGED:
            self.plain.runs[recorder.id][name] |= facts[name]

    @precondition(lambda self: self.open)
    @rule(run=PICK, status=st.sampled_from(["finished", "failed"]))
    def seal(self, run: int, status: Any) -> None:
        recorder = self.open.pop(run % len(self.open))
        recorder.seal(status)
        self.plain.runs[recorder.id]["status"] = status

    # --- what happens to handles, clocks and the index

    @rule(which=st.integers(0, 1))
    def reopen(self, which: int) -> None:
        self.handles[which] = side.open_as(self.root, "ann")

    @rule(days=st.integers(-3650, 3650))
    def jump(self, days: int) -> None:
        self.now = NOW + timedelta(days=days)

    @rule(which=st.integers(0, 1))
    def rebuild_index(self, which: int) -> None:
        rebuild_index(self.handles[which].store)

    @rule()
    def delete_index(self) -> None:
        shutil.rmtree(self.root / ".lin/index", ignore_errors=True)

    @rule(at=st.floats(0, 1, exclude_max=True))
    def damage_index(self, at: float) -> None:
        rebuild_index(self.handles[0].store)
        for path in (self.root / ".lin/index").glob("*.parquet"):
            data = bytearray(path.read_bytes())
            data[int(at * len(data))] ^= 1
            path.write_bytes(bytes(data))
        assert {finding.ill for finding in self.fsck()} <= {"damaged", "altered"} != set()
        rebuild_index(self.handles[0].store)

    # --- what always holds

    def fsck(self) -> list[Finding]:
        looking = {"chance": random.random, "pause": lambda: None, "now": self.now}
        cache = Path(self.place.name, "cache")
        return check_store(side.open_as(self.root, "ann"), share=1, cache=cache, **looking).findings

    @invariant()
    def nothing_differs(self) -> None:
        assert side.look(self.handles[0], self.plain.rows) == self.plain.state()

    @invariant()
    def filters_choose_what_a_loop_would(self) -> None:
        runs = {run: facts for run, facts in self.plain.state()["runs"].items() if facts["kind"] == "program"}
        self.steps += 1
        where, fits = [*FILTERS.items()][self.steps % len(FILTERS)]  # each in turn: to ask takes long
        found = {run.id for run in list_runs(self.handles[0].store, where=where).runs}
        assert found == {run for run, facts in runs.items() if fits(facts)}, where

    @invariant()
    def the_store_is_whole(self) -> None:
        assert self.fsck() == []


def settle(plain: Plain, made: str | None) -> Plain:
    """With the id of the run that was made."""
    if NEW in plain.runs:
        assert made is not None
        plain.runs[made] = plain.runs.pop(NEW)
    return plain


def learn(before: Plain, later: Plain, seen: dict[str, Any], *, acknowledged: bool) -> Plain:
    """What is there after a change that failed: all of it, or nothing but a run that was begun."""
    made = next(iter(seen["runs"].keys() - before.runs.keys()), None)
    expected = later.runs.get(NEW)
    if acknowledged:
        assert settle(later, made).state() == seen
        return later
    later.runs.pop(NEW, None)
    if made is not None:
        assert expected is not None
        run = seen["runs"][made]
        assert run == expected or is_part(run, expected)
        before.runs[made] = later.runs[made] = run
    rows = later.rows
    later = later if seen["events"] > before.events else before
    later.rows = rows if len(seen["rows"]) > len(before.rows) else before.rows
    assert later.state() == seen
    return later


def is_part(run: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    """Whether a run that did not end has nothing but what was logged to it."""
    same = all(run[name] == whole[name] for name in ("kind", "name"))
    less = all(run[name].items() <= whole[name].items() for name in NOTHING_LOGGED)
    return same and less and run["status"] in {"abandoned", "failed"}


@pytest.fixture(scope="module")
def server() -> Iterator[side.Server]:
    server = side.Server()
    yield server
    server.end()


def test_a_store_is_what_a_dict_is(server: side.Server) -> None:
    machine = type("Machine", (StoreMachine,), {"server": server})
    options = settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, suppress_health_check=[*HealthCheck]
    )
    run_state_machine_as_test(machine, settings=options)


ANN: How = ("ann", 0, None)
"""In this process, by a handle that has read all."""
LATE: How = ("ann", 1, None)
"""The same by a handle that was opened before anything happened, and saw nothing of it."""
A_WALK: list[tuple[str, dict[str, Any]]] = [
    ("say", {"how": ANN, "said": ("promote", {"version": 0, "stage": "production"})}),
    ("say", {"how": ANN, "said": ("alias", {"version": 0, "alias": "champion"})}),
    ("say", {"how": LATE, "said": ("promote", {"version": 1, "stage": "production"})}),
    ("say", {"how": ANN, "said": ("alias", {"version": 1, "alias": "champion"})}),
    ("begin", {"which": 1, "facts": FITTED | {"artifacts": {}}}),
    ("log", {"run": 0, "facts": FITTED | {"artifacts": {"a.txt": "only here"}}}),
    ("write", {"how": ANN, "rows": [3]}),
    ("restore", {"how": LATE, "version": 0}),
    ("record", {"how": LATE, "facts": FITTED | {"artifacts": {"a.txt": "y"}}}),
    *[("delete", {"how": ANN, "run": number}) for number in range(7)],
    ("undelete", {"how": LATE, "run": 1}),
    ("jump", {"days": 40}),
    ("collect", {"how": ANN, "days": 30}),
    ("log", {"run": 0, "facts": FITTED | {"metrics": {"loss": 1.0}}}),
    ("seal", {"run": 0, "status": "finished"}),
    ("say", {"how": LATE, "said": ("roll_back", {"version": 0, "stage": "production"})}),
    ("say", {"how": ANN, "said": ("grant", {"who": "bob", "role": "owner"})}),
    ("say", {"how": LATE, "said": ("promote", {"version": 1, "stage": "production"})}),
    ("say", {"how": ("bob", 1, "link:1:kill"), "said": ("promote", {"version": 1, "stage": "staging"})}),
    ("say", {"how": ("bob", 1, None), "said": ("approve", {"version": 1, "withdraw": False})}),
    ("collect", {"how": ANN, "days": None}),
    ("jump", {"days": -3000}),
    ("collect", {"how": LATE, "days": None}),
    ("delete_index", {}),
]
"""What random walks come by seldom: versions that take each other's place, runs that are deleted, collected, open."""


def test_a_walk_through_what_chance_seldom_finds(server: side.Server) -> None:
    machine = type("Machine", (StoreMachine,), {"server": server})()
    for name, facts in A_WALK:
        getattr(machine, name)(**copy.deepcopy(facts))
        machine.nothing_differs()
        machine.filters_choose_what_a_loop_would()
    machine.the_store_is_whole()
    last = machine.plain
    assert [version["stage"] for version in last.model["versions"]] == ["production", "archived"]
    assert (last.model["refusals"], last.model["aliases"]) == (1, {"champion": 1})
    assert last.collected
    assert last.deleted
    machine.teardown()
