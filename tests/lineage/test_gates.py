"""Each gate is passed, and is not, for a real cause; what cannot be looked at is not passed."""

import dataclasses
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from lin.config import parse_config
from lin.errors import RefusedError, UsageError
from lin.events import Approve, Comment, Gate, Grant, Receipt, Refuse, Stage, Verdict
from lin.lineage.gates import judge_gates, preview
from lin.models.changes import append_change, promote, register_model
from lin.models.registry import find_version, read_registry
from lin.project import Project
from lin.records import Fit, PredictedInput
from lin.runs.execute import UNPINNED_TAG
from lin.runs.record import begin_run, capture
from lin.runs.train import MODEL
from lin.runs.writes import pin_input

EXAMPLE = Path(__file__).parents[2] / "lineage.toml.example"
FIT = Fit(estimator=["x"], target="medv", rows="medv is not null", seed=1)


@pytest.fixture
def project(begun) -> Project:
    return begun.project


def fit(project: Project, *, metrics: dict[str, float] | None = None, model: str = "boston", **more: Any) -> str:
    """A run that is a version of a model; returns the run's id."""
    captured = capture(project)
    if more.pop("bare", False):
        captured = dataclasses.replace(captured, environment=None)
    tags, predicted = more.pop("tags", None), more.pop("predicted", [])
    recorder = begin_run(project, captured, kind="train", name="Ridge", **more)
    recorder.log_metrics(metrics or {})
    recorder.set_tags(tags or {})
    recorder.log_artifact(recorder.id.encode(), MODEL)
    recorder.seal("finished", features=["rm"], predicted=predicted)
    register_model(project, recorder.id, model)
    return recorder.id


def declare(project: Project, *gates: str, stage: str = "production", model: str = "boston") -> Project:
    setting = msgspec.to_builtins(project.config)
    setting["models"] = {model: {"gates": {stage: list(gates)}}}
    import tomli_w

    return dataclasses.replace(project, config=parse_config(tomli_w.dumps(setting)))


def ask(project: Project, gate: str, reference: str = "boston@1", *, stage: str = "production", **more: Any) -> Gate:
    """What is found of one gate now."""
    registry = read_registry(project.store)
    version = find_version(registry, reference)
    (found,) = judge_gates(declare(project, gate, stage=stage), **more)(registry[version.model], version, stage)
    assert found.gate == gate
    return found


def say(project: Project, change: Any, *, actor: str = "ann", email: str | None = None) -> None:
    who = dataclasses.replace(project, actor=actor)
    who.__dict__["email"] = email
    append_change(who, lambda _: change)


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "passed", "evidence"),
    [
        ("metrics.rmse < 6", True, "metrics.rmse is 4.71"),
        ("metrics.rmse < 4.71", False, "metrics.rmse is 4.71"),
        ("params.alpha <= 1 and metrics.r2 > 0.8", True, "params.alpha is 0.5, metrics.r2 is 0.875"),
        ("metrics.mae < 6", False, "metrics.mae is missing"),
        ("not metrics.mae > 6", False, "metrics.mae is missing"),
        ("status = 'finished' or metrics.rmse is null", True, "status is finished, metrics.rmse is 4.71"),
        ("metrics.odd = nan", True, "metrics.odd is nan"),
        ("inputs.housing = 0", False, "inputs.housing is missing"),
    ],
)
def test_a_filter_tells_the_values_that_it_asks_for(project, gate, passed, evidence) -> None:
    fit(project, metrics={"rmse": 4.71, "r2": 0.875, "odd": math.nan}, params={"alpha": 0.5})
    assert ask(project, gate) == Gate(gate=gate, passed=passed, evidence=evidence)


def test_better_than_the_version_that_holds_the_stage(begun) -> None:
    project, gate = begun.project, "metrics.rmse < current"
    read = pin_input(project, begun.table)[1]
    fit(project, metrics={"rmse": 5.0}, inputs=[read])
    assert ask(project, gate) == Gate(
        gate=gate, passed=True, evidence="metrics.rmse is 5.0; no version holds production"
    )
    promote(project, "boston@1", "production")
    assert ask(project, gate).evidence == "metrics.rmse is 5.0; boston@1 itself holds production"
    fit(project, metrics={"rmse": 4.0}, inputs=[read])
    fit(project, metrics={"rmse": 5.0}, inputs=[read])
    fit(project, metrics={"r2": 1.0}, inputs=[read])
    told = "metrics.rmse is 4.0, that of boston@1 in production 5.0"
    assert ask(project, gate, "boston@2") == Gate(gate=gate, passed=True, evidence=told)
    assert not ask(project, gate, "boston@3").passed
    assert ask(project, "metrics.rmse <= current", "boston@3").passed
    assert not ask(project, "metrics.rmse > current", "boston@2").passed
    assert ask(project, gate, "boston@4") == Gate(gate=gate, passed=False, evidence="metrics.rmse is missing")
    promote(project, "boston@4", "production")
    missing = ask(project, gate, "boston@2")
    assert (missing.passed, missing.evidence) == (
        False,
        "metrics.rmse is 4.0; boston@4 in production has none",
    )


def test_better_on_other_data_is_said_and_a_restored_version_is_the_same_data(begun) -> None:
    project, gate = begun.project, "metrics.rmse < current"
    fit(project, metrics={"rmse": 5.0}, inputs=[pin_input(project, begun.table)[1]], fit=FIT)
    promote(project, "boston@1", "production")
    begun.append(3)
    other = msgspec.structs.replace(FIT, rows=None, seed=2)
    fit(project, metrics={"rmse": 4.0}, inputs=[pin_input(project, begun.table)[1]], fit=other)
    assert ask(project, gate, "boston@2").evidence == (
        "metrics.rmse is 4.0, that of boston@1 in production 5.0; measured on other data: "
        "housing@1 against housing@0, rows unset against 'medv is not null', seed 2 against 1"
    )
    begun.restore(0)
    fit(project, metrics={"rmse": 4.0}, inputs=[pin_input(project, begun.table)[1]], fit=FIT)
    assert ask(project, gate, "boston@3").evidence == "metrics.rmse is 4.0, that of boston@1 in production 5.0"
    fit(project, metrics={"rmse": 4.0}, fit=FIT)
    assert ask(project, gate, "boston@4").evidence.endswith("5.0; measured on data that is not recorded")


def test_nothing_is_better_than_nan_and_nan_is_better_than_nothing(project) -> None:
    for value in (math.nan, 5.0):
        fit(project, metrics={"rmse": value})
    for held, asked in (("boston@1", "boston@2"), ("boston@2", "boston@1")):
        promote(project, held, "production")
        assert not any(ask(project, f"metrics.rmse {op} current", asked).passed for op in ("<", "<=", ">", ">="))


# --- what was said and done -------------------------------------------------------------------------------------------


def receipt(run: str, verdict: Verdict, **more: Any) -> Receipt:
    return Receipt(run=run, rerun="0" * 24 + "deadbeef", verdict=verdict, **more)


def test_reproduced_is_what_the_newest_rerun_without_changes_says(project) -> None:
    run = fit(project)
    assert ask(project, "reproduced") == Gate(
        gate="reproduced", passed=False, evidence="nobody has re-run it: lin rerun boston@1"
    )
    say(project, receipt(run, "identical", changed=["alpha"]))
    assert not ask(project, "reproduced").passed
    say(project, receipt(run, "same predictions"))
    found = ask(project, "reproduced")
    assert (found.passed, found.evidence[:39]) == (True, "same predictions: re-run deadbeef by an")
    say(project, receipt(run, "within tolerance", tolerance=0.01, differences=["metrics"]))
    assert ask(project, "reproduced").evidence.startswith("within tolerance of 0.01 (metrics): re-run deadbeef by ann")
    assert not ask(project, "reproduced").passed
    assert ask(project, "Reproduced  within tolerance").passed
    say(project, receipt(run, "different", differences=["metrics", "model"]))
    assert not ask(project, "reproduced within tolerance").passed
    say(project, receipt(run, "identical"))
    assert ask(project, "reproduced").passed


def test_a_run_that_reproduced_another_needs_no_further_rerun(project) -> None:
    first, again = fit(project), fit(project)
    say(project, Receipt(run=first, rerun=again, verdict="within tolerance", tolerance=0.1))
    assert not ask(project, "reproduced", "boston@2").passed
    say(project, Receipt(run=first, rerun=again, verdict="identical"))
    found = ask(project, "reproduced", "boston@2")
    assert (found.passed, found.evidence.partition(" by ")[0]) == (
        True,
        f"identical: it is itself the re-run of {first[-8:]}",
    )
    say(project, receipt(again, "different"))
    assert not ask(project, "reproduced", "boston@2").passed


def test_a_comment_on_the_version_is_required_and_not_one_on_another(project) -> None:
    fit(project)
    fit(project)
    say(project, Comment(model="boston", text="about all"))
    say(project, Comment(model="boston", version=2, text="about another"))
    gate = "comment required"
    assert ask(project, gate) == Gate(
        gate=gate, passed=False, evidence="nobody commented on it: lin comment boston@1 TEXT"
    )
    say(project, Comment(model="boston", version=1, text="looked at\nthe residuals\x1b[31m" + "!" * 200), actor="bob")
    found = ask(project, gate)
    assert (found.passed, found.evidence[:4], found.evidence[-1]) == (True, "bob,", "…")
    assert "looked at the residuals?[31m!" in found.evidence


def test_approved_by_others_than_who_registered_it_each_counted_once(project) -> None:
    fit(project)
    yes = Approve(model="boston", version=1)
    assert ask(project, "approved by 1").evidence == "nobody approves, and it takes 1"
    say(project, yes, actor="ann")
    found = ask(project, "approved by 1")
    assert (found.passed, "ann does not count, who registered it" in found.evidence) == (False, True)
    say(project, yes, actor="bob", email="bob@example.com")
    assert ask(project, "approved by 1").passed
    say(project, yes, actor="bob2", email="Bob@example.com")
    assert not ask(project, "approved by 2").passed
    say(project, yes, actor="eve")
    found = ask(project, "approved by 2")
    assert (found.passed, found.evidence.partition(";")[0][-12:]) == (True, " eve approve")
    say(project, Approve(model="boston", version=1, approved=False), actor="eve")
    assert not ask(project, "approved by 2").passed


def test_where_a_model_has_an_owner_only_promoters_and_owners_count(project) -> None:
    fit(project)
    say(project, Approve(model="boston", version=1), actor="eve")
    assert ask(project, "approved by 1").passed
    say(project, Grant(model="boston", who="ann", role="owner"))
    assert ask(project, "approved by 1").evidence == (
        "nobody approves, and it takes 1; eve does not count, who is no promoter"
    )
    say(project, Grant(model="boston", who="eve", role="promoter"))
    assert ask(project, "approved by 1") == Gate(gate="approved by 1", passed=True, evidence="eve approves")


def test_an_environment_is_recorded_if_its_record_can_be_read(project) -> None:
    gate = "environment recorded"
    fit(project, bare=True)
    run = fit(project)
    assert not ask(project, gate).passed
    found = ask(project, gate, "boston@2")
    assert (found.passed, " packages" in found.evidence) == (True, True)
    sha256 = project.store.runs.start(run).environment
    assert sha256 is not None
    blob = project.store_root / "blobs" / sha256[:2] / sha256
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes() + b" ")
    damaged = ask(project, gate, "boston@2")
    assert (damaged.passed, damaged.evidence[:24]) == (False, "it cannot be looked at: ")
    assert "is damaged" in damaged.evidence
    blob.unlink()
    assert "is missing" in ask(project, gate, "boston@2").evidence


# --- feedback ---------------------------------------------------------------------------------------------------------


def test_no_feedback_is_not_passed_by_a_model_trained_on_predictions(told) -> None:
    project = told.story.project
    assert ask(project, "no feedback").evidence == "no model wrote what it used of housing@0"
    found = ask(project, "no feedback", "boston@2")
    assert (found.passed, found.evidence.partition(" (")[0]) == (
        False,
        "2 of 2 values of the column guess in housing@1 were written by boston@1",
    )
    assert ask(project, "no feedback", "boston@3").passed  # restored to before the fill


def test_predictions_in_a_column_that_the_fit_did_not_use_are_told_and_pass(told) -> None:
    story = told.story
    story.restore(1)
    fit(story.project, inputs=[pin_input(story.project, story.table)[1]], fit=FIT)
    found = ask(story.project, "no feedback", "boston@4")
    assert (found.passed, found.evidence) == (
        True,
        "no model wrote what it used of housing@3; models wrote guess, which it did not use",
    )
    asked = msgspec.structs.replace(FIT, target="guess")
    fit(story.project, inputs=[pin_input(story.project, story.table)[1]], fit=asked)
    found = ask(story.project, "no feedback", "boston@5")
    assert (found.passed, "2 of 2 values of the target guess in" in found.evidence) == (False, True)


def test_what_the_record_tells_counts_whatever_the_table_tells_now(begun) -> None:
    read = pin_input(begun.project, begun.table)[1]
    said = PredictedInput(table="housing", version=0, column="rm", written=0, model="old@7", rows=2, role="feature")
    fit(begun.project, inputs=[read], fit=FIT, predicted=[said])
    found = ask(begun.project, "no feedback")
    assert (found.passed, found.evidence.partition(" (")[0]) == (
        False,
        "2 of 2 values of the feature rm in housing@0 were written by old@7",
    )


def test_what_read_no_table_or_one_that_could_not_be_pinned_cannot_be_told(begun) -> None:
    project = begun.project
    fit(project)
    found = ask(project, "no feedback")
    assert (found.passed, "read no table" in found.evidence) == (False, True)
    fit(project, inputs=[pin_input(project, begun.table)[1]], tags={UNPINNED_TAG: "other: too new"})
    found = ask(project, "no feedback", "boston@2")
    assert (found.passed, found.evidence) == (False, "tables that it read could not be pinned: other: too new")


def test_a_table_that_is_gone_or_another_one_now_cannot_be_asked(told) -> None:
    story, project = told.story, told.story.project
    assert ask(project, "no feedback").passed
    shutil.rmtree(story.table.root)
    gone = ask(project, "no feedback")
    assert (gone.passed, gone.evidence[:23]) == (False, "it cannot be looked at:")
    from deltalake import write_deltalake

    write_deltalake(story.table.root, pa.table({"ID": [1], "rm": [6.5]}))
    other = ask(project, "no feedback")
    assert (other.passed, other.evidence) == (
        False,
        "it cannot be looked at: housing@0 is no longer what the run read",
    )


def test_a_log_that_no_longer_goes_back_to_the_first_version_cannot_be_asked(told) -> None:
    from deltalake import DeltaTable

    story, project = told.story, told.story.project
    story.append(7)
    story.train()
    assert ask(project, "no feedback", "boston@4").passed
    DeltaTable(story.table.root).create_checkpoint()
    for number in range(3):
        (story.table.root / "_delta_log" / f"{number:020d}.json").unlink()
    found = ask(project, "no feedback", "boston@4")
    assert (found.passed, found.evidence) == (
        False,
        "it cannot be looked at: the log of table 'housing' goes back to version 3 only",
    )


# --- programs ---------------------------------------------------------------------------------------------------------

CHECK = """
import os, sys
names = ["LIN_MODEL", "LIN_VERSION", "LIN_STAGE", "LIN_RUN"]
assert sys.argv[1:5] == [os.environ[name] for name in names], sys.argv
assert os.path.exists("lineage.toml")
assert os.path.exists(os.environ["LIN_STORE"] + "/store.json")
assert sys.stdin.read() == ""
print(sys.argv[5])
print("the error \x1b[31m rate is", sys.argv[2], file=sys.stderr)
print()
sys.exit(int(sys.argv[2]) - 1)
"""


def test_a_program_is_passed_by_exit_code_0_and_its_last_line_is_told(project) -> None:
    (project.root / "check.py").write_text(CHECK)
    fit(project)
    fit(project)
    gate = f"command: '{sys.executable}' check.py {{model}} {{version}} {{stage}} {{run}} '$HOME; {{{{x}}}}'"
    printed: list[str] = []
    found = ask(project, gate, report=printed.append)
    assert (found.passed, found.evidence) == (True, "exit code 0: the error ?[31m rate is 1")
    assert sorted(printed) == ["", "$HOME; {x}", "the error \x1b[31m rate is 1"]
    assert ask(project, gate, "boston@2").evidence == "exit code 1: the error ?[31m rate is 2"
    assert not ask(project, gate, "boston@2").passed


def test_a_program_that_is_not_there_or_dies_does_not_pass(project) -> None:
    fit(project)
    found = ask(project, "command: no-such-program {version}")
    assert (found.passed, found.evidence[:31]) == (False, "no-such-program cannot be run: ")
    found = ask(project, "command: sh -c 'kill -9 $$'")
    assert (found.passed, found.evidence) == (False, "ended by signal 9")


def test_evidence_is_one_line_and_no_longer_than_it_may_be(project) -> None:
    fit(project, params={"note": "a\nb\t" + "x" * 1000})
    found = ask(project, "params.note = 'a'")
    assert (len(found.evidence), found.evidence[:22], found.evidence[-1]) == (500, "params.note is a b xxx", "…")


# --- what is declared -------------------------------------------------------------------------------------------------


def test_the_gates_of_the_example_are_gates(project) -> None:
    assert judge_gates(dataclasses.replace(project, config=parse_config(EXAMPLE.read_text())))


@pytest.mark.parametrize(
    ("gate", "stage", "message"),
    [
        ("metrics.rmse < < 6", "production", "[models.other] gates.production: expected a value"),
        ("metrcs.rmse < 6", "production", "there are no 'metrcs' in a run"),
        ("params.alpha < current", "production", "'params.alpha' is no metric"),
        ("metrics.rmse < current", "archived", "any number of versions can be in archived"),
        ("reproduced", "prodution", "'prodution' is not a stage"),
    ],
)
def test_a_wrong_gate_of_any_model_is_refused_before_anything_moves(project, gate, stage, message) -> None:
    fit(project)
    with pytest.raises(UsageError) as caught:
        judge_gates(declare(project, gate, stage=stage, model="other"))
    assert message in caught.value.message


def test_gates_are_those_of_the_model_and_the_stage_whatever_its_case(project) -> None:
    fit(project)
    declared = declare(project, "metrics.rmse < 6", "no feedback", stage="Production")
    assert [g.gate for g in promote(declared, "boston@1", "PRODUCTION", judge=judge_gates(declared)).gates] == [
        "metrics.rmse < 6",
        "no feedback",
    ]
    assert promote(declared, "boston@1", "staging", judge=judge_gates(declared)).gates == []


# --- promoting --------------------------------------------------------------------------------------------------------


def test_a_refusal_is_kept_and_what_was_forced_stays_visible(project) -> None:
    fit(project, metrics={"rmse": 7.0})
    declared = declare(project, "metrics.rmse < 6", "status = 'finished'")
    judge = judge_gates(declared)
    refused = promote(declared, "boston@1", "production", judge=judge)
    assert (refused.refused, refused.forced, [g.passed for g in refused.gates]) == (True, False, [False, True])
    model = read_registry(project.store)["boston"]
    assert model.versions[0].stage == "none"
    assert [(r.why, r.gates) for r in model.refusals] == [("not passed: metrics.rmse < 6", refused.gates)]
    forced = promote(declared, "boston@1", "production", judge=judge, force=True, reason="at night")
    assert (forced.refused, forced.forced) == (False, True)
    promote(declared, "boston@1", "archived", judge=judge)
    (move, _) = read_registry(project.store)["boston"].versions[0].history
    assert (move.forced, move.reason, move.gates) == (True, "at night", refused.gates)


def test_a_preview_tells_the_same_and_appends_nothing(project) -> None:
    fit(project, metrics={"rmse": 5.0})
    fit(project, metrics={"rmse": 7.0})
    declared = declare(project, "metrics.rmse < 6")
    judge = judge_gates(declared)
    for reference, force in (("boston@1", False), ("boston@2", False), ("boston@2", True)):
        events = [*project.store.events.read()]
        seen = preview(declared, reference, "Production", judge=judge, force=force)
        assert [*project.store.events.read()] == events
        assert promote(declared, reference, "Production", judge=judge, force=force, reason="why") == seen
    say(project, Grant(model="boston", who="eve", role="owner"))
    events = [*project.store.events.read()]
    with pytest.raises(RefusedError):
        preview(declared, "boston@1", "production", judge=judge)
    assert [*project.store.events.read()] == events


PROMOTE = """
import dataclasses, sys
from pathlib import Path
from lin.lineage.gates import judge_gates
from lin.models.changes import promote
from lin.project import open_project

project = open_project(Path(sys.argv[1]))
promotion = promote(project, sys.argv[2], "production", judge=judge_gates(project))
"""
WAIT = """
import pathlib, sys, time

pathlib.Path(f"looked-{sys.argv[1]}").touch()
for _ in range(600):
    if len(list(pathlib.Path().glob("looked-*"))) == 2:
        break
    time.sleep(0.05)
"""


def test_of_two_that_promote_at_once_the_second_is_judged_against_the_first(project) -> None:
    for rmse in (6.0, 5.0, 4.0):
        fit(project, metrics={"rmse": rmse})
    promote(project, "boston@1", "production")
    (project.root / "wait.py").write_text(WAIT)  # both have looked at every gate before either moves
    with (project.root / "lineage.toml").open("a") as file:
        file.write(
            "[models.boston.gates]\nproduction = "
            f'["metrics.rmse < current", "command: \'{sys.executable}\' wait.py {{version}}"]\n'
        )
    begun = [
        subprocess.Popen([sys.executable, "-c", PROMOTE, project.root, reference])
        for reference in ("boston@2", "boston@3")
    ]
    assert [process.wait(60) for process in begun] == [0, 0]
    changes = [event.change for event in project.store.events.read() if isinstance(event.change, Stage | Refuse)]
    moved = [change.version for change in changes if isinstance(change, Stage)]
    assert moved in ([1, 2, 3], [1, 3])
    holder = 1
    for change in changes[1:]:
        assert f"that of boston@{holder} in production" in change.gates[0].evidence
        if isinstance(change, Stage):
            assert change.archived == [holder]
            holder = change.version or 0
    assert len(changes) == 3
    assert find_version(read_registry(project.store), "boston@production").version == 3
