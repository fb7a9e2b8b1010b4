"""How everything stands: what needs attention, what is only told, and that damage hides nothing else."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lin.events import Gate, Receipt, Refuse, Stage, Verdict
from lin.lineage.status import DataStatus, ModelStatus, Status, read_status
from lin.models.changes import append_change, promote, register_model
from lin.records import Fit
from lin.runs.feedback import UNKNOWN_TAG, find_predicted
from lin.runs.fit import MODEL
from lin.runs.index import open_index
from lin.runs.query import read_each
from lin.runs.record import begin_run, capture
from lin.runs.writes import pin_input

NOW = datetime.now(UTC)
FIT = Fit(estimator=["sklearn.linear_model.Ridge"], target="guess")


def status_of(story) -> Status:
    return read_status(story.project, datetime.now(UTC))


def model_of(story) -> ModelStatus:
    (model,) = status_of(story).models
    return model


def train(story, *, fit: Fit | None = None, features: tuple[str, ...] = (), tags: dict[str, str] | None = None) -> str:
    """A fit on the newest version, with what models wrote of it, that becomes the next `boston` and in production."""
    read = pin_input(story.project, story.table)[1]
    recorder = begin_run(
        story.project, capture(story.project), kind="train", name="Ridge", fit=fit, inputs=[read], tags=tags
    )
    recorder.log_artifact(recorder.id.encode(), MODEL)
    predicted = find_predicted(story.project, [read], fit=fit, features=features)
    recorder.seal("finished", features=[*features], predicted=predicted)
    version = register_model(story.project, recorder.id, "boston")
    promote(story.project, version.reference, "production")
    return recorder.id


def receipt(story, verdict: Verdict, *, run: str, rerun: str = "f" * 32, changed: list[str] | None = None) -> None:
    append_change(story.project, lambda _: Receipt(run=run, rerun=rerun, verdict=verdict, changed=changed or []))


def test_a_project_of_which_nothing_is_known_needs_nothing(project) -> None:
    found = read_status(project, NOW)
    assert (found.attention, found.tables, found.models, found.running, found.failed) == ([], [], [], [], 0)


def test_a_table_is_told_with_who_moved_it(told) -> None:
    (table,) = status_of(told.story).tables
    assert (table.name, table.version, table.operation, table.restored) == ("housing", 2, "RESTORE", 0)
    assert (table.user, table.run, table.problem) == ("ann", told.runs["restored"], None)


def test_models_are_told_by_stage_and_the_others_by_name(told) -> None:
    assert status_of(told.story).unstaged == ["boston"]
    promote(told.story.project, "boston@3", "staging")
    promote(told.story.project, "boston@1", "production", reason="the best")
    found = status_of(told.story)
    assert found.unstaged == []
    assert [(m.reference, m.stage, m.by, m.reason) for m in found.models] == [
        ("boston@1", "production", "ann", "the best"),
        ("boston@3", "staging", "ann", None),
    ]


# --- the data ---------------------------------------------------------------------------------------------------------


def test_data_that_was_restored_is_the_same_and_what_was_appended_is_a_note(told) -> None:
    story = told.story
    promote(story.project, "boston@1", "production")
    assert model_of(story).data == [DataStatus(table="housing", read=0, head=2, changed=False)]
    story.append(9)
    assert model_of(story).data == [DataStatus(table="housing", read=0, head=3, changed=True)]
    assert status_of(story).attention == []


def test_a_table_that_is_gone_is_told_once_for_itself_and_once_for_the_model(told) -> None:
    story = told.story
    promote(story.project, "boston@1", "production")
    shutil.rmtree(story.table.root)
    found = status_of(story)
    assert [(d.head, d.changed, d.problem is None) for d in found.models[0].data] == [(None, None, False)]
    assert [text.partition(":")[0] for text in found.attention] == [
        "table housing cannot be read",
        "boston@1 in production",
    ]


# --- predictions ------------------------------------------------------------------------------------------------------


def test_predictions_in_the_target_need_attention(told) -> None:
    told.story.restore(1)
    train(told.story, fit=FIT, features=("rm",))
    (text,) = status_of(told.story).attention
    assert text.startswith("boston@4 in production: 2 of 2 values of the target guess in housing@3 were written by")


def test_predictions_in_a_feature_are_told_and_no_more(told) -> None:
    told.story.restore(1)
    train(told.story, fit=Fit(estimator=["x"], target="rm"), features=("guess",))
    assert status_of(told.story).attention == []
    assert [(each.column, each.role) for each in model_of(told.story).feedback] == [("guess", "feature")]


def test_that_nobody_knows_of_predictions_is_told(told) -> None:
    train(told.story, fit=FIT, tags={UNKNOWN_TAG: "not known: why"})
    assert model_of(told.story).feedback_unknown == "not known: why"


# --- the proof --------------------------------------------------------------------------------------------------------


def test_the_newest_receipt_counts_and_only_one_that_is_different_needs_attention(told) -> None:
    story = told.story
    run = train(story)
    assert model_of(story).proof is None
    receipt(story, "different", run=run)
    assert status_of(story).attention == [f"boston@4 in production: a re-run on {NOW:%Y-%m-%d} came out different"]
    receipt(story, "identical", run=run)
    receipt(story, "different", run=run, changed=["alpha"])
    proof = model_of(story).proof
    assert proof is not None
    assert (proof.verdict, proof.against) == ("identical", "f" * 32)
    assert status_of(story).attention == []


@pytest.mark.parametrize(("verdict", "proven"), [("identical", True), ("different", False)])
def test_a_re_run_that_came_out_as_it_should_is_proven_by_that(told, verdict: Verdict, proven: bool) -> None:
    run = train(told.story)
    receipt(told.story, verdict, run="e" * 32, rerun=run)
    proof = model_of(told.story).proof
    assert (proof is not None and proof.against == "e" * 32) is proven


# --- decisions --------------------------------------------------------------------------------------------------------


def test_what_was_forced_needs_attention_for_a_day_and_what_was_refused_does_not(told) -> None:
    project = told.story.project
    failed = Gate(gate="metrics.rmse < 1", passed=False, evidence="it is 2")
    move = Stage(model="boston", version=2, stage="production", reason="now", gates=[failed], forced=True)
    append_change(project, lambda _: move)
    append_change(project, lambda _: Refuse(model="boston", action="move boston@3 to staging", why="a gate"))
    found = status_of(told.story)
    assert found.attention == ["boston@2 to production was forced by ann: now"]
    assert [(each.forced, each.why) for each in found.decisions] == [(False, "a gate"), (True, "now")]
    assert found.models[0].forced == [failed]
    later = read_status(project, datetime.now(UTC) + timedelta(days=2))
    assert (later.attention, later.decisions) == ([], [])


# --- runs -------------------------------------------------------------------------------------------------------------


def open_elsewhere(story, *, wait: bool) -> "subprocess.Popen[bytes]":
    """A process that begins a run and does not seal it."""
    program = (
        "import sys, time; from pathlib import Path; from lin.project import open_project;"
        "from lin.runs.record import begin_run, capture; p = open_project(Path(sys.argv[1]));"
        "begin_run(p, capture(p), kind='command', name='long'); print('begun', flush=True);"
        "time.sleep(60 if sys.argv[2] == 'wait' else 0)"
    )
    words = [sys.executable, "-c", program, str(story.project.root), "wait" if wait else "no"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    return process


def test_open_runs_are_told_and_abandoned_ones_counted(told) -> None:
    gone, alive = open_elsewhere(told.story, wait=False), open_elsewhere(told.story, wait=True)
    gone.communicate()
    try:
        found = status_of(told.story)
    finally:
        alive.kill()
        alive.communicate()
    assert [(run.name, run.actor) for run in found.running] == [("long", "ann")]
    assert found.abandoned == 1
    assert status_of(told.story).abandoned == 2


@pytest.mark.parametrize("indexed", [False, True])
def test_what_failed_within_a_day_is_told_with_the_reason(told, indexed: bool) -> None:
    project = told.story.project
    captured = capture(project)
    for number in range(12):
        begin_run(project, captured, kind="command", name=f"n{number}").seal("failed", exit_code=3)
    begin_run(project, captured, kind="cell", name="cell").seal("failed", error="as it should")
    begin_run(project, captured, kind="train", name="last").seal("interrupted", error="by hand")
    if indexed:
        assert project.store.index is not None
        assert open_index(project.store.index).extend(read_each(project.store, project.store.runs.ids(), []))
    found = status_of(told.story)
    assert (found.failed, len(found.failures)) == (13, 10)
    assert [(run.name, run.error) for run in found.failures[:2]] == [("last", "by hand"), ("n11", "exit code 3")]
    assert read_status(project, datetime.now(UTC) + timedelta(days=2)).failed == 0


# --- damage -----------------------------------------------------------------------------------------------------------


def test_a_damaged_run_is_told_and_the_rest_is_shown(told) -> None:
    story = told.story
    promote(story.project, "boston@1", "production")
    run = told.runs["first"]
    (path,) = Path(story.project.store_root).glob(f"runs/*/{run}/run.json")
    path.write_bytes(b"{")
    found = status_of(story)
    (model,) = found.models
    assert model.problem is not None
    assert "damaged" in model.problem
    assert model.feedback_unknown == "not known: its record cannot be read"
    assert any(text.startswith("boston@1 in production: ") for text in found.attention)
    assert [table.version for table in found.tables] == [2]


def test_a_model_whose_file_is_gone_needs_attention(told) -> None:
    story = told.story
    promote(story.project, "boston@1", "production")
    sha256 = model_of(story).run.encode()
    from lin.records import digest

    blob = digest(sha256)
    (Path(story.project.store_root) / "blobs" / blob[:2] / blob).unlink()
    assert status_of(story).attention == [
        f"boston@1 in production: its file {MODEL} is gone from the store",
    ]


def test_events_that_are_damaged_hide_no_table(told) -> None:
    (Path(told.story.project.store_root) / "events" / f"{1:012d}.json").write_bytes(b"{")
    found = status_of(told.story)
    assert [text.partition(":")[0] for text in found.attention] == ["the registry cannot be read"]
    assert (found.models, [table.version for table in found.tables]) == ([], [2])
