"""Stages, aliases and tables go back together: what differs, in one event, and again after any kill."""

import dataclasses
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.errors import NotFoundError, OutsideError, RefusedError, UsageError
from lin.events import Alias, Change, Event, Grant, Placed, Refuse, Register, Rollback, Stage
from lin.lineage.rollback import AsOf, StageBack, To, last_held, plan_rollback, roll_back
from lin.models.changes import append_change, promote
from lin.models.fold import Model, fold_events
from lin.models.registry import SHARED_STAGES, STAGES, read_registry
from lin.project import Project
from lin.runs.add import add_table
from lin.runs.record import begin_run, capture
from lin.runs.train import MODEL
from lin.runs.writes import pin_input

# --- the law ----------------------------------------------------------------------------------------------------------


def event(number: int, change: Change) -> Event:
    time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
    return Event(number=number, op_id=f"{number}", time=time, actor="ann", previous=None, change=change)


def move(model: Model, version: int, stage: str) -> Stage:
    held = [v.version for v in model.versions if v.stage == stage and v.version != version]
    return Stage(model="m", version=version, stage=stage, archived=[] if stage in SHARED_STAGES else held)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """A model from its first version on."""
    events = [event(1, Register(model="m", version=1, run="r1", artifact="a", sha256="0"))]
    for number in range(2, draw(st.integers(2, 14))):
        model = fold_events(events)["m"]
        version = draw(st.integers(1, len(model.versions)))
        what = draw(st.sampled_from(["register", "stage", "stage", "alias", "drop"]))
        change: Change
        if what == "register":
            fresh = len(model.versions) + 1
            change = Register(model="m", version=fresh, run=f"r{fresh}", artifact="a", sha256="0")
        elif what == "stage":
            change = move(model, version, draw(st.sampled_from(STAGES)))
        else:
            given = None if what == "drop" else version
            change = Alias(model="m", alias=draw(st.sampled_from(["champion", "hot"])), version=given)
        events.append(event(number, change))
    return events


@given(events=histories(), data=st.data())
@settings(max_examples=50, deadline=None)
def test_after_a_rollback_the_model_is_as_it_was(events: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(events)))
    now, then = fold_events(events)["m"], fold_events(events[:cut])["m"]
    target = AsOf(events[cut - 1].time)
    change = plan_rollback(now, then, target)
    after = fold_events([*events, event(99, change)])["m"]
    old, later = after.versions[: len(then.versions)], after.versions[len(then.versions) :]
    assert [v.stage for v in old] == [v.stage for v in then.versions]
    stays = [now.versions[v.version - 1].stage for v in later]
    assert [v.stage for v in later] == [stage if stage in SHARED_STAGES else "archived" for stage in stays]
    assert after.aliases == then.aliases
    again = plan_rollback(after, then, target)
    assert (again.stages, again.aliases) == ([], {})
    assert all(now.versions[put.version - 1].stage != put.stage for put in change.stages)


@given(events=histories(), data=st.data())
@settings(max_examples=50, deadline=None)
def test_a_version_goes_back_alone_and_its_holder_is_archived(events: list[Event], data: st.DataObject) -> None:
    events = [*events, event(98, move(fold_events(events)["m"], 1, "production"))] if len(events) % 2 else events
    prefixes = [fold_events(events[:count])["m"] for count in range(1, len(events) + 1)]
    now = prefixes[-1]
    ever = {(v.version, v.stage) for m in prefixes for v in m.versions if v.stage in {"staging", "production"}}
    target = To(*data.draw(st.sampled_from(sorted(ever or {(1, "production")}))))
    if not ever:
        return
    held = [m for m in prefixes if [v.stage for v in m.versions if v.version == target.version] == [target.stage]]
    then = last_held(events, "m", target)
    assert then == held[-1]
    change = plan_rollback(now, then, target)
    after = fold_events([*events, event(99, change)])["m"]
    assert [v.version for v in after.versions if v.stage == target.stage] == [target.version]
    assert len(change.stages) <= 2
    for alias, version in now.aliases.items():
        leaves = now.versions[version - 1].stage == target.stage and version != target.version
        assert after.aliases[alias] == (then.aliases.get(alias, version) if leaves else version)
    assert after.aliases.keys() == now.aliases.keys()


# --- on a real model --------------------------------------------------------------------------------------------------


def stages(project: Project) -> list[str]:
    return [version.stage for version in read_registry(project.store)["boston"].versions]


def name(project: Project, alias: str, version: int) -> None:
    append_change(project, lambda _: Alias(model="boston", alias=alias, version=version))


@pytest.fixture
def moved(told) -> Project:
    """boston@1 was in production as champion; now boston@2 is. boston@3 is in staging."""
    project = told.story.project
    promote(project, "boston@1", "production")
    name(project, "champion", 1)
    promote(project, "boston@2", "production")
    name(project, "champion", 2)
    name(project, "hot", 3)
    promote(project, "boston@3", "staging")
    return project


def moment(project: Project, number: int) -> AsOf:
    """As of the event with that number, counted from the end."""
    return AsOf(project.store.events.read()[number].time)


def test_what_differs_goes_back_in_one_event(moved: Project) -> None:
    target = moment(moved, -5)
    before = len(moved.store.events.read())
    done = roll_back(moved, "boston", target, reason="too hot")
    assert (done.event, done.nothing_to_do, len(moved.store.events.read())) == (before + 1, False, before + 1)
    assert [(s.version, s.before, s.after) for s in done.stages] == [
        (1, "archived", "production"),
        (2, "production", "none"),
        (3, "staging", "none"),
    ]
    assert [(a.alias, a.before, a.after) for a in done.aliases] == [("champion", 2, 1), ("hot", 3, None)]
    assert stages(moved) == ["production", "none", "none"]
    model = read_registry(moved.store)["boston"]
    assert (model.aliases, model.versions[0].history[-1].back, model.versions[0].history[-1].reason) == (
        {"champion": 1},
        True,
        "too hot",
    )


def test_a_version_registered_later_leaves_its_stage(told) -> None:
    project = told.story.project
    promote(project, "boston@1", "production")
    target = moment(project, -1)
    told.story.train()
    promote(project, "boston@4", "production")
    roll_back(project, "boston", target)
    assert stages(project) == ["production", "none", "none", "archived"]


def test_back_to_a_version_takes_the_aliases_of_the_one_that_leaves_along(moved: Project) -> None:
    name(moved, "new", 2)
    done = roll_back(moved, "boston", To(1))
    assert [(s.version, s.after) for s in done.stages] == [(1, "production"), (2, "archived")]
    assert stages(moved) == ["production", "archived", "staging"]
    assert read_registry(moved.store)["boston"].aliases == {"champion": 1, "hot": 3, "new": 2}


def test_nothing_to_do_is_no_event_and_a_dry_run_is_none_either(moved: Project) -> None:
    before = [*moved.store.events.read()]
    assert roll_back(moved, "boston", To(2)).nothing_to_do
    planned = roll_back(moved, "boston", To(1), tables=True, dry_run=True)
    assert (planned.event, planned.dry_run, planned.nothing_to_do) == (None, True, False)
    assert planned.stages[0] == StageBack(version=1, before="archived", after="production")
    assert [*moved.store.events.read()] == before


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (To(3), UsageError, "boston@3 never was in production, so there is no way back"),
        (To(9), NotFoundError, "model 'boston' has no version 9"),
        (To(1, "archived"), UsageError, "any number of versions can be in archived"),
        (To(1, "prodution"), UsageError, "'prodution' is not a stage"),
        (AsOf(datetime(2020, 1, 1, tzinfo=UTC)), NotFoundError, "at 2020-01-01 00:00:00 UTC, there is no model"),
    ],
)
def test_where_nobody_was_is_no_way_back(moved: Project, target, error, message) -> None:
    before = len(moved.store.events.read())
    with pytest.raises(error, match=message):
        roll_back(moved, "boston", target, tables=True)
    assert len(moved.store.events.read()) == before


def test_it_takes_a_promoter_before_any_table_is_touched(told, moved: Project) -> None:
    append_change(moved, lambda _: Grant(model="boston", who="bob", role="owner"))
    head = told.story.table.log.head()
    with pytest.raises(RefusedError, match="ann may not roll boston back to version 1 in production"):
        roll_back(moved, "boston", To(1), tables=True)
    (last,) = moved.store.events.read()[-1:]
    assert isinstance(last.change, Refuse)
    assert (last.change.action, stages(moved)[0]) == ("roll boston back to version 1 in production", "archived")
    assert told.story.table.log.head() == head
    before = len(moved.store.events.read())
    with pytest.raises(RefusedError):
        roll_back(moved, "boston", To(1), dry_run=True)
    assert len(moved.store.events.read()) == before
    bob = dataclasses.replace(moved, actor="bob")
    assert roll_back(bob, "boston", To(1)).event


# --- with its tables --------------------------------------------------------------------------------------------------


def test_the_tables_of_the_version_go_back_with_it_and_the_event_names_them(told, moved: Project) -> None:
    done = roll_back(moved, "boston", To(2), tables=True)  # in production already, but housing is at version 2
    assert (done.stages, [(t.restored, t.version) for t in done.tables]) == ([], [(1, 3)])
    (last,) = moved.store.events.read()[-1:]
    assert isinstance(last.change, Rollback)
    assert [(t.table, t.version) for t in last.change.tables] == [("housing", 1)]
    assert roll_back(moved, "boston", To(2), tables=True).nothing_to_do
    roll_back(moved, "boston", To(1), tables=True)
    now, then = (pin_input(moved, told.story.table, version)[1].pin for version in (None, 0))
    assert now == then


def test_a_dry_run_tells_the_rows_that_would_change(told, moved: Project) -> None:
    (table,) = roll_back(moved, "boston", To(2), tables=True, dry_run=True).tables
    assert table.diff is not None
    assert (table.version, table.diff.old, table.diff.new, table.diff.added_columns) == (None, 2, 1, ["guess"])
    assert told.story.table.log.head() == 2


def test_a_table_that_is_equal_already_is_named_and_left_alone(told, moved: Project) -> None:
    done = roll_back(moved, "boston", To(1), tables=True)
    assert [(t.nothing_to_do, t.version) for t in done.tables] == [(True, None)]
    assert told.story.table.log.head() == 2
    (last,) = moved.store.events.read()[-1:]
    assert isinstance(last.change, Rollback)
    assert [(t.table, t.version) for t in last.change.tables] == [("housing", 0)]


def test_one_table_that_cannot_be_restored_keeps_all_from_being_touched(told, moved: Project) -> None:
    begin_two(told, moved)
    lost = file_of(moved, 0)
    lost.write_bytes(lost.read_bytes()[:-1] + b"!")
    events, head = len(moved.store.events.read()), told.story.table.log.head()
    with pytest.raises(OutsideError, match=r"other@0 cannot be restored"):
        roll_back(moved, "boston", To(4), tables=True)
    assert (len(moved.store.events.read()), told.story.table.log.head()) == (events, head)


def test_a_newest_version_that_lost_its_files_is_no_reason_to_stay(told, moved: Project) -> None:
    begin_two(told, moved)
    file_of(moved, 1).unlink()
    done = roll_back(moved, "boston", To(4), tables=True)
    assert [(t.table, t.version) for t in done.tables] == [("housing", 4), ("other", 2)]


def test_it_is_the_pinned_data_that_comes_back_whatever_has_its_number_now(told, moved: Project) -> None:
    import pyarrow as pa
    from deltalake import write_deltalake

    table, read = told.story.table, pin_input(moved, told.story.table, 0)[1]
    shutil.rmtree(table.root / "_delta_log")
    write_deltalake(table.root, pa.table({"ID": [8, 9], "rm": [1.0, 2.0]}))
    (restored,) = roll_back(moved, "boston", To(1), tables=True).tables
    assert (restored.from_pin, pin_input(moved, table)[1].pin) == (True, read.pin)


def test_a_model_trained_on_no_table_has_none_to_restore(moved: Project) -> None:
    register(moved, [])
    promote(moved, "boston@4", "production")
    with pytest.raises(UsageError, match="boston@4 was trained on no table"):
        roll_back(moved, "boston", To(4), tables=True)


def test_a_run_that_read_two_versions_of_a_table_does_not_say_which(told, moved: Project) -> None:
    register(moved, [pin_input(moved, told.story.table, version)[1] for version in (0, 1)])
    promote(moved, "boston@4", "production")
    with pytest.raises(UsageError, match="read several versions of table 'housing'"):
        roll_back(moved, "boston", To(4), tables=True)


def file_of(project: Project, version: int) -> Path:
    """The data file that a version of table `other` added."""
    import json

    log = (project.root / f"data/other/_delta_log/{version:020d}.json").read_text().splitlines()
    (path,) = (action["add"]["path"] for action in map(json.loads, log) if "add" in action)
    return project.root / "data/other" / path


def register(project: Project, inputs: list) -> None:
    from lin.models.changes import register_model

    recorder = begin_run(project, capture(project), kind="train", name="Ridge", inputs=inputs)
    recorder.log_artifact(recorder.id.encode(), MODEL)
    recorder.seal("finished")
    register_model(project, recorder.id, "boston")


def begin_two(told, project: Project) -> None:
    """boston@4 was trained on two tables and in production; both have changed since, and so has production."""
    import pyarrow as pa
    from deltalake import write_deltalake

    from lin.data.tables import open_table
    from lin.project import open_project

    source = project.root / "other.csv"
    source.write_text("ID,x\n1,2\n")
    add_table(project, "other", source, key=["ID"])
    fresh = open_project(project.root)
    other = open_table(fresh, "other")
    register(fresh, [pin_input(fresh, told.story.table, 0)[1], pin_input(fresh, other)[1]])
    promote(fresh, "boston@4", "production")
    promote(fresh, "boston@2", "production")
    told.story.append(9)
    write_deltalake(other.root, pa.table({"ID": [5], "x": [6]}), mode="overwrite")


ROLL_BACK = """
import os, signal, sys
from pathlib import Path
from lin.lineage.rollback import To, roll_back
from lin.project import open_project

project = open_project(Path(sys.argv[1]))
left = int(sys.argv[3])

def hook(event, args):
    global left
    if event == "os.link" and os.fsdecode(args[1]).endswith(sys.argv[2]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
roll_back(project, "boston", To(4), tables=True)
"""


@pytest.mark.parametrize(
    ("killed_at", "count", "heads"),
    [("run.json", 1, (4, 1)), ("run.json", 2, (4, 2)), (".json", -1, (4, 2))],
    ids=["after the first table", "after the second table", "before the event"],
)
def test_after_a_kill_in_between_the_same_command_finishes(told, moved: Project, killed_at, count, heads) -> None:
    begin_two(told, moved)
    events = len(moved.store.events.read())
    name = f"{events + 1:012d}.json" if count < 0 else killed_at
    argv = [sys.executable, "-c", ROLL_BACK, moved.root, name]
    assert subprocess.run([*argv, str(abs(count))], check=False).returncode == -signal.SIGKILL
    assert len(moved.store.events.read()) == events
    assert (told.story.table.log.head(), len(list((moved.root / "data/other/_delta_log").glob("*.json"))) - 1) == heads
    assert subprocess.run([*argv, "0"], check=False).returncode == 0
    (last,) = moved.store.events.read()[events:]
    assert isinstance(last.change, Rollback)
    assert last.change.stages == [
        Placed(version=2, stage="archived"),
        Placed(version=4, stage="production"),
    ]
    assert [(t.table, t.version) for t in last.change.tables] == [("housing", 0), ("other", 0)]
    assert told.story.table.log.head() == 4
    assert Path(moved.root / "data/other/_delta_log" / f"{2:020d}.json").exists()
    assert not Path(moved.root / "data/other/_delta_log" / f"{3:020d}.json").exists()
