"""All about a run or model version on one page."""

import shutil
import subprocess
from datetime import UTC, datetime

from lin.events import Delete, Receipt, Refuse
from lin.ids import new_id
from lin.lineage.card import read_model_card, read_run_card
from lin.models.changes import register_model
from lin.models.registry import find_version, read_registry
from lin.project import Project
from lin.runs.feedback import Feedback
from lin.runs.query import read_run
from lin.runs.record import begin_run, capture


def test_a_model_card_holds_the_run_its_models_and_feedback(told) -> None:
    project = told.story.project
    register_model(project, told.runs["second"], "other")
    card = read_model_card(project, find_version(read_registry(project.store), "boston@2"))
    assert (card.version.reference, card.run.run.id) == ("boston@2", told.runs["second"])
    assert card.run.models == ["boston@2", "other@1"]
    assert card.run.feedback == [
        Feedback(table="housing", read=1, written=1, model="boston@1", run=told.runs["filled"])
    ]
    assert card.run.receipts == []


def test_receipts_are_those_of_the_run_oldest_first(told) -> None:
    project = told.story.project
    receipts = [
        Receipt(run=told.runs[name], rerun=told.runs["third"], verdict=verdict, differences=["metric rmse"])
        for name, verdict in (("first", "identical"), ("second", "identical"), ("first", "different"))
    ]
    for receipt in receipts:
        project.store.events.append(
            lambda _, receipt=receipt: receipt, actor="ann", op_id=new_id(), now=datetime.now(UTC)
        )
    card = read_run_card(project, read_run(project.store, told.runs["first"]))
    assert [(found.verdict, found.actor) for found in card.receipts] == [("identical", "ann"), ("different", "ann")]
    assert (card.models, card.feedback) == (["boston@1"], [])


def test_as_of_a_moment_what_came_later_is_left_out(told) -> None:
    project = told.story.project
    run = told.runs["second"]
    begin = datetime.now(UTC)
    receipt = Receipt(run=run, rerun=told.runs["third"], verdict="identical")
    refuse = Refuse(model="boston", version=2, action="move boston@2 to production", why="not passed: reproduced")
    other = Refuse(model="boston", version=1, action="move boston@1 to production", why="not passed: reproduced")
    for change in (receipt, refuse, other, Delete(run=run)):
        project.store.events.append(lambda _, change=change: change, actor="ann", op_id=new_id(), now=datetime.now(UTC))
    register_model(project, told.runs["third"], "boston")
    now = read_model_card(project, find_version(read_registry(project.store), "boston@2"))
    assert ([r.why for r in now.refusals], len(now.run.receipts)) == (["not passed: reproduced"], 1)
    assert now.run.deletion is not None
    then = read_model_card(project, find_version(read_registry(project.store, as_of=begin), "boston@2"), as_of=begin)
    assert (then.refusals, then.run.receipts, then.run.deletion) == ([], [], None)
    assert (then.version.proof, now.version.proof) == (None, "identical")
    third = read_run(project.store, told.runs["third"])
    assert read_run_card(project, third, as_of=begin).models == ["boston@3"]
    assert read_run_card(project, third).models == ["boston@3", "boston@4"]


def test_a_run_is_shown_although_its_table_is_gone(told) -> None:
    project = told.story.project
    shutil.rmtree(told.story.table.root)
    card = read_run_card(project, read_run(project.store, told.runs["second"]))
    assert card.run.table_inputs[0].version == 1
    assert card.feedback is None


def test_source_and_environment_are_told_in_a_line(project: Project) -> None:
    def card():
        recorder = begin_run(project, capture(project), kind="program", name="x")
        recorder.seal("finished")
        return read_run_card(project, read_run(project.store, recorder.id))

    def git(*arguments: str) -> None:
        user = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *user, *arguments], cwd=project.root, check=True, capture_output=True)

    (project.root / ".env").write_text("TOKEN=x\n")
    plain = card()
    assert plain.run.source is not None
    assert plain.source == f"1 file, 1 left out ({plain.run.source.tree[:12]})"
    git("init", "-q")
    assert ", git no commit with uncommitted changes (" in (card().source or "")
    git("add", "lineage.toml", ".env")
    git("commit", "-qm", "first")
    clean = card()
    assert clean.run.source is not None
    assert clean.run.source.git is not None
    assert f", git {(clean.run.source.git.commit or '')[:12]} (" in (clean.source or "")
    import platform

    assert clean.run.environment is not None
    assert (clean.environment or "").startswith(f"python {platform.python_version()}, ")
    assert (clean.environment or "").endswith(f" packages ({clean.run.environment[:12]})")


def test_what_cannot_be_read_is_told_in_its_place(told) -> None:
    project = told.story.project
    shutil.rmtree(project.store_root / "blobs")
    card = read_run_card(project, read_run(project.store, told.runs["first"]))
    assert (card.source or "").startswith("cannot be read: blobs/")
    assert (card.environment or "").startswith("cannot be read: blobs/")
    assert (card.models, card.curves, card.deletion) == (["boston@1"], {}, None)
