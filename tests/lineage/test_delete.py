"""Deleting runs and bringing them back: events that hide, and runs that must stay."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lin.errors import ConflictError, NotFoundError, UsageError
from lin.events import Change, Collect, Delete, Event, Receipt, Undelete
from lin.ids import day_of, short
from lin.lineage.card import read_run_card
from lin.lineage.delete import delete_runs, undelete_runs
from lin.models.changes import promote, register_model
from lin.runs.deleted import collected_runs, deleted_runs, fold_deletions, read_deletions
from lin.runs.host import capture_process
from lin.runs.pinned import find_pinned
from lin.runs.query import find_run, read_run
from lin.runs.record import begin_run, capture

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_a_deleted_run_is_hidden_and_comes_back_whole(begun) -> None:
    store, run = begun.project.store, begun.train(None)
    (done,) = delete_runs(begun.project, [run.id], now=NOW, reason="wrong data")
    assert (done.run, done.name, done.outcome, done.actor) == (run.id, "Ridge alpha=0.1", "deleted", "ann")
    assert deleted_runs(store) == {run.id}
    assert collected_runs(store) == frozenset()
    deletion = read_deletions(store)[run.id]
    assert (deletion.time, deletion.actor, deletion.reason) == (NOW, "ann", "wrong data")
    assert read_run(store, run.id) == run  # by its whole id it can be shown
    (back,) = undelete_runs(begun.project, [short(run.id)], now=NOW)
    assert back.outcome == "brought back"
    assert deleted_runs(store) == frozenset()


def test_to_delete_or_bring_back_twice_says_so_and_writes_nothing(begun) -> None:
    store, run = begun.project.store, begun.train(None)
    assert undelete_runs(begun.project, [run.id], now=NOW)[0].outcome == "was not deleted"
    assert len(store.events.read()) == 0
    delete_runs(begun.project, [run.id], now=NOW, reason="first")
    (again,) = delete_runs(begun.project, [run.id], now=NOW.replace(hour=13), reason="second")
    assert (again.outcome, again.time, again.reason) == ("was deleted before", NOW, "first")
    assert len(store.events.read()) == 1


def test_a_run_is_meant_by_id_ends_of_it_name_or_last(begun) -> None:
    runs = [begun.train(None) for _ in range(4)]
    meant = [runs[0].id, f"run:{short(runs[1].id)}", "last", "Ridge alpha=0.1"]
    done = delete_runs(begun.project, [*meant[:2]], now=NOW)
    assert [one.run for one in done] == [runs[0].id, runs[1].id]
    assert delete_runs(begun.project, [meant[2]], now=NOW)[0].run == runs[3].id
    assert delete_runs(begun.project, [meant[3]], now=NOW)[0].run == runs[2].id
    for reference in ("nowhere", "Ridge alpha=0.1", "0" * 12 + "7" + "0" * 19):
        with pytest.raises(NotFoundError):
            delete_runs(begun.project, [reference], now=NOW)
    shared = runs[0].id[:4]
    with pytest.raises(UsageError, match="runs: "):
        undelete_runs(begun.project, [shared], now=NOW)


def test_a_run_named_twice_is_deleted_once(begun) -> None:
    run = begun.train(None)
    assert len(delete_runs(begun.project, [run.id, short(run.id)], now=NOW)) == 1


def test_a_run_behind_a_model_version_stays_and_so_do_the_others_named(begun) -> None:
    kept, other = begun.train("boston"), begun.train(None)
    register_model(begun.project, kept.id, "another")
    promote(begun.project, "boston@1", "production")
    with pytest.raises(ConflictError) as refused:
        delete_runs(begun.project, [other.id, kept.id], now=NOW)
    assert refused.value.message == f"run {short(kept.id)} is behind another@1, boston@1 (production), so it stays"
    assert deleted_runs(begun.project.store) == frozenset()


def test_a_registration_that_comes_first_counts(begun) -> None:
    """It was not there at the first look, and took the number that the deletion wanted."""
    run = begun.train(None)
    project = begun.project
    store = type(project.store)(project.store.blobs.backend)

    class Late(type(store.events)):  # type: ignore[misc]
        """The log of somebody who is overtaken right before he appends."""

        def append(self, *args, **options):
            register_model(project, run.id, "boston")
            return super().append(*args, **options)

    store.events = Late(project.store.blobs.backend)
    with pytest.raises(ConflictError, match="is behind boston@1"):
        delete_runs(replace(project, store=store), [run.id], now=NOW)
    assert deleted_runs(project.store) == frozenset()


def test_a_run_that_is_running_stays(begun) -> None:
    recorder = begin_run(begun.project, capture(begun.project), kind="program", name="busy")
    with pytest.raises(ConflictError, match=f"is still running, as process {capture_process().pid}"):
        delete_runs(begun.project, [recorder.id], now=NOW, ended=True)
    recorder.seal("finished")
    assert delete_runs(begun.project, [recorder.id], now=NOW)[0].outcome == "deleted"


def test_a_run_whose_process_cannot_be_seen_takes_a_word_for_its_end(begun) -> None:
    captured = capture(begun.project)
    elsewhere = replace(captured, process=msgspec.structs.replace(captured.process, host="lab#0123"))
    run = begin_run(begun.project, elsewhere, kind="program", name="far").id
    with pytest.raises(ConflictError, match="may still be running, on lab: ") as refused:
        delete_runs(begun.project, [run], now=NOW)
    assert refused.value.hint == f"if it has surely ended: lin delete {short(run)} --ended"
    assert delete_runs(begun.project, [run], now=NOW, ended=True)[0].outcome == "deleted"


def test_an_abandoned_run_goes(begun) -> None:
    captured = capture(begun.project)
    dead = replace(captured, process=msgspec.structs.replace(captured.process, pid=0))
    run = begin_run(begun.project, dead, kind="program", name="dead").id
    assert delete_runs(begun.project, [run], now=NOW)[0].outcome == "deleted"


@pytest.mark.parametrize("name", ["start.json", "run.json"])
def test_a_damaged_run_can_be_deleted(begun, name: str) -> None:
    run = begun.train(None)
    record = begun.project.store_root / "runs" / day_of(run.id) / run.id / name
    record.write_bytes(record.read_bytes()[:-9])
    (done,) = delete_runs(begun.project, [run.id], now=NOW)
    assert (done.outcome, done.name) == ("deleted", "" if name == "start.json" else "Ridge alpha=0.1")


def test_a_receipt_that_names_a_deleted_run_stays_readable(begun) -> None:
    first, second = begun.train(None), begun.train(None)
    receipt = Receipt(run=first.id, rerun=second.id, verdict="identical")
    begun.project.store.events.append(lambda _: receipt, actor="ann", op_id="1", now=NOW)
    delete_runs(begun.project, [second.id], now=NOW)
    (found,) = read_run_card(begun.project, first).receipts
    assert (found.rerun, found.verdict, found.time) == (second.id, "identical", NOW)
    assert find_run(begun.project.store, first.id) == first


def test_pins_hold_until_the_run_is_collected(begun) -> None:
    run = begun.train(None)
    store = begun.project.store

    def holders() -> set[str]:
        return {holder for version in find_pinned(store).versions for holder in version.runs}

    delete_runs(begun.project, [run.id], now=NOW)
    assert run.id in holders()
    store.events.append(lambda _: Collect(runs=[run.id]), actor="ann", op_id="1", now=NOW)
    assert run.id not in holders()
    assert find_pinned(store).damaged == []


changes = st.lists(
    st.one_of(
        st.builds(Delete, run=st.sampled_from("abc"), reason=st.sampled_from(["x", None])),
        st.builds(Undelete, run=st.sampled_from("abc")),
        st.builds(Collect, runs=st.lists(st.sampled_from("abc"), max_size=3)),
    ),
    max_size=12,
)


@given(changes)
def test_the_fold_is_what_a_person_would_say(changes: list[Change]) -> None:
    events = [
        Event(number=number, op_id="", time=NOW.replace(minute=number), actor="ann", previous=None, change=change)
        for number, change in enumerate(changes)
    ]
    deletions = fold_deletions(events)
    for run in "abc":
        collected = next((e.time for e in events if isinstance(e.change, Collect) and run in e.change.runs), None)
        said = [e for e in events if isinstance(e.change, Delete | Undelete) and e.change.run == run]
        if collected:
            said = [e for e in said if e.time < collected]
        back = max((at for at, e in enumerate(said) if isinstance(e.change, Undelete)), default=-1)
        since = [e.time for e in said[back + 1 :]]
        assert (run in deletions) == bool(since or collected)
        if run in deletions:
            assert (deletions[run].time, deletions[run].collected) == (since[0] if since else collected, collected)
