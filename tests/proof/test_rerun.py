"""A re-run from its record alone: whatever the table, the files and the folder are now; or a clear refusal."""

import dataclasses
import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from lin.data.tables import open_table
from lin.errors import NotFoundError, NotReproducibleError, OutsideError, UsageError
from lin.lineage.card import read_model_card
from lin.models.predict import fill_table
from lin.models.registry import find_version, read_receipts, read_registry
from lin.project import Project, open_project
from lin.proof.changes import Changes
from lin.proof.environments.build import LIN, TOOLS
from lin.proof.recipe import read_environment, recipe_of
from lin.proof.rerun import Rerun, _differ_from_here, execute_plan, plan_rerun
from lin.records import encode
from lin.runs.execute import run_command
from lin.runs.query import RunInfo, list_runs, read_run
from lin.runs.record import begin_run, capture

MODES = """\
import os, random
from pathlib import Path
mode = os.environ.get("MODE", "plain")
open("out.csv", "w").write({"noisy": str(random.random()), "other": "two"}.get(mode, "one"))
raise SystemExit(3 if mode == "broken" else 0)
"""


def rerun(project: Project, reference: str, **options: int) -> Rerun:
    return execute_plan(project, plan_rerun(project, reference), **options)


def all_runs(project: Project) -> list[str]:
    found = list_runs(project.store, kinds=None)
    assert found.damaged == []
    return [run.id for run in found.runs]


def model_run(project: Project, reference: str) -> RunInfo:
    return read_run(project.store, find_version(read_registry(project.store), reference).run)


def record(project: Project, code: str = MODES) -> RunInfo:
    """A run of a program of the project's."""
    (project.root / "program.py").write_text(code)
    run_id, _ = run_command(project, [sys.executable, "program.py"], folder=project.root)
    return read_run(project.store, run_id)


# --- the same again ---------------------------------------------------------------------------------------------------


def test_a_fit_is_identical_wherever_the_project_is_now(
    fitted: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_table(fitted, "boston@1", open_table(fitted, "housing"), "medv")  # the live table has moved on
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # and so has the shell
    elsewhere = tmp_path / "some where" / "else"
    shutil.move(fitted.root, elsewhere)
    project = open_project(elsewhere)
    original = model_run(project, "boston@1")
    plan = plan_rerun(project, "boston@1")
    assert (plan.changed, plan.foreign) == ([], False)
    assert plan.lines[0].startswith(f"re-running {original.id[-8:]} of ann, ")
    assert plan.lines[1:] == [
        "  sklearn.linear_model.Ridge, on housing@0",
        "  in this environment, which is the recorded one",
    ]
    result = execute_plan(project, plan)
    assert (result.verdict, result.verification.same, result.run) == ("identical", True, original.id)
    assert (result.verification.axes, result.drift, result.disagreement) == ([], [], None)
    compared = result.verification.compared
    assert (compared.metrics, compared.predictions, compared.golden) == (3, 6, 45)
    assert open_table(project, "housing").log.head() == 1

    again = read_run(project.store, result.rerun)
    assert result.reruns == [again.id]
    assert (again.parent, again.fit, again.experiment) == (original.id, original.fit, "housing")
    assert (again.metrics, again.artifacts, again.inputs) == (original.metrics, original.artifacts, original.inputs)
    assert again.source == original.source
    environment = read_environment(project, again)
    assert environment is not None
    assert "OMP_NUM_THREADS" not in environment.variables

    (receipt,) = read_receipts(project.store, original.id)
    assert (receipt.rerun, receipt.verdict, receipt.changed) == (again.id, "identical", [])
    assert (receipt.repeats, receipt.tolerance, receipt.actor) == (1, None, "ann")
    assert receipt.time == project.store.events.read()[-1].time
    card = read_model_card(project, find_version(read_registry(project.store), "boston@1"))
    assert card.run.receipts == [receipt]


def test_it_runs_the_recorded_source_of_the_projects_own_estimator(fitted: Project) -> None:
    (fitted.root / "shift.py").write_text("SHIFT = 1000\n")
    (fitted.root / "proof_models.py").unlink()
    assert rerun(fitted, "own@1").verdict == "identical"


def test_a_command_is_judged_by_what_it_wrote(project: Project) -> None:
    run = record(project)
    result = rerun(project, run.id)
    assert (result.verdict, result.verification.compared.files, len(result.reruns)) == ("identical", 1, 1)
    assert read_run(project.store, result.rerun).kind == "command"
    assert rerun(project, result.rerun).verdict == "identical"  # a re-run can be re-run


# --- what is not the same ---------------------------------------------------------------------------------------------


def test_a_program_that_does_not_agree_with_itself_is_inconclusive(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODE", "noisy")
    run = record(project)
    said: list[str] = []
    result = execute_plan(project, plan_rerun(project, run.id), report=said.append)
    assert (result.verdict, result.verification.same, len(result.reruns)) == ("inconclusive", False, 2)
    assert result.disagreement is not None
    assert [result.disagreement.first, result.disagreement.second] == result.reruns
    assert result.verification.context[0].startswith("it does not agree with itself: re-runs ")
    assert result.verification.context[0].endswith("differ in file out.csv")
    assert said[-1].startswith("different: once more")
    (receipt,) = read_receipts(project.store, run.id)
    assert (receipt.verdict, receipt.repeats) == ("inconclusive", 2)


def test_a_program_that_agrees_with_itself_and_not_with_its_record_is_different(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record(project)
    monkeypatch.setenv("MODE", "other")  # nothing that was recorded
    result = rerun(project, run.id)
    assert (result.verdict, len(result.reruns), result.disagreement) == ("different", 2, None)
    assert result.verification.axes == []
    assert [(d.what, d.name) for d in result.verification.differences] == [("file", "out.csv")]
    once = rerun(project, run.id, repeat=1)
    assert (once.verdict, len(once.reruns)) == ("different", 1)


def test_a_program_that_fails_now_is_different(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    run = record(project)
    monkeypatch.setenv("MODE", "broken")
    result = rerun(project, run.id)
    assert (result.verdict, len(result.reruns)) == ("different", 2)
    assert [(d.what, d.first, d.second) for d in result.verification.differences] == [
        ("status", "finished", "failed"),
        ("exit code", 0, 3),
    ]
    assert rerun(project, result.rerun).verdict == "identical"  # it fails in the same way, and writes the same


def test_all_of_several_re_runs_must_agree(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    run = record(project)
    result = rerun(project, run.id, repeat=3)
    assert (result.verdict, len(result.reruns)) == ("identical", 3)
    (receipt,) = read_receipts(project.store, run.id)
    assert (receipt.repeats, receipt.rerun) == (3, result.rerun)
    monkeypatch.setenv("MODE", "noisy")
    noisy = rerun(project, run.id, repeat=5)
    assert (noisy.verdict, len(noisy.reruns)) == ("inconclusive", 2)  # it is known after two


def test_runs_that_leave_nothing_are_inconclusive_and_agree(project: Project) -> None:
    run_id, _ = run_command(project, ["true"], folder=project.root)
    result = rerun(project, run_id, repeat=2)
    assert (result.verdict, result.disagreement, len(result.reruns)) == ("inconclusive", None, 2)
    assert "nothing to compare" in result.verification.context[0]


# --- with something changed -------------------------------------------------------------------------------------------


def test_a_changed_parameter_is_named_in_verdict_and_receipt(fitted: Project) -> None:
    plan = plan_rerun(fitted, "boston@1", Changes(params={"alpha": 2.0}))
    assert plan.changed == ["alpha 0.1 -> 2.0"]
    assert plan.lines[-1] == "  changed: alpha 0.1 -> 2.0"
    result = execute_plan(fitted, plan, tolerance=1e-9)
    assert (result.verdict, result.changed, len(result.reruns)) == ("different", plan.changed, 1)
    assert result.verification.axes == ["params"]
    (receipt,) = read_receipts(fitted.store, plan.run.id)
    assert (receipt.changed, receipt.tolerance) == (plan.changed, 1e-9)
    assert {"param alpha", "metric rmse"} <= set(receipt.differences)


# --- what cannot be re-run --------------------------------------------------------------------------------------------


def data_file(project: Project) -> Path:
    table = open_table(project, "housing")
    return table.root / table.log.snapshot(0).files[0].path


def test_all_that_is_missing_is_listed_and_nothing_runs(fitted: Project) -> None:
    run = model_run(fitted, "boston@1")
    before = all_runs(fitted)
    data_file(fitted).unlink()
    assert run.source is not None
    tree = fitted.store_root / "blobs" / run.source.tree[:2] / run.source.tree
    tree.unlink()
    with pytest.raises(NotReproducibleError, match=r"1 of 1 data files of housing@0 are missing or altered") as caught:
        plan_rerun(fitted, "boston@1")
    assert "the list of its source files" in caught.value.message
    assert caught.value.hint is not None
    assert "restore the files of table 'housing' from a backup; restore the folder 'blobs'" in caught.value.hint
    assert caught.value.exit_code == 14
    assert all_runs(fitted) == before
    assert read_receipts(fitted.store, run.id) == []


def test_data_that_changes_after_the_look_makes_no_run(fitted: Project) -> None:
    plan = plan_rerun(fitted, "boston@1")
    path = data_file(fitted)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    before = all_runs(fitted)
    with pytest.raises((OutsideError, NotReproducibleError), match="was altered"):
        execute_plan(fitted, plan)
    assert all_runs(fitted) == before
    assert read_receipts(fitted.store, plan.run.id) == []


def test_what_is_no_fit_and_no_command_is_refused(fitted: Project) -> None:
    imported = next(run for run in list_runs(fitted.store, kinds=None).runs if run.kind == "import")
    with pytest.raises(NotReproducibleError, match="it is an import run"):
        plan_rerun(fitted, imported.id)
    for reference, kind in (("boston@9", NotFoundError), ("zz", NotFoundError), ("housing@0", UsageError)):
        with pytest.raises(kind):
            plan_rerun(fitted, reference)


def test_wrong_wishes_are_refused_before_anything_runs(project: Project) -> None:
    plan = plan_rerun(project, record(project).id)
    before = all_runs(project)
    with pytest.raises(UsageError, match="the tolerance nan"):
        execute_plan(project, plan, tolerance=float("nan"))
    with pytest.raises(UsageError, match="cannot be re-run 0 times"):
        execute_plan(project, plan, repeat=0)
    assert all_runs(project) == before


# --- whose it is ------------------------------------------------------------------------------------------------------


def test_code_that_somebody_else_recorded_is_foreign(fitted: Project) -> None:
    bob = dataclasses.replace(fitted, actor="bob")
    assert not plan_rerun(bob, "boston@1").foreign  # scikit-learn as it is installed here
    assert plan_rerun(bob, "own@1").foreign
    assert not plan_rerun(fitted, "own@1").foreign
    command = record(fitted, "print(1)\n")
    assert plan_rerun(bob, command.id).foreign
    assert not plan_rerun(fitted, command.id).foreign


def test_packages_that_would_be_installed_for_somebody_else_are_foreign(fitted: Project) -> None:
    changes = Changes(packages={"toolz": "1.0.0"})
    plan = plan_rerun(dataclasses.replace(fitted, actor="bob"), "boston@1", changes)
    assert plan.foreign
    assert plan.changed == ["environment: toolz none -> 1.0.0"]
    assert "  in an environment of its own: toolz none -> 1.0.0" in plan.lines
    assert not plan_rerun(fitted, "boston@1", changes).foreign


def test_what_another_machine_recorded_is_foreign(project: Project) -> None:
    here = capture(project)
    there = dataclasses.replace(here, process=msgspec.structs.replace(here.process, host="elsewhere#0123"))
    plans = []
    for around in (here, there):
        recorder = begin_run(project, around, kind="command", name="it", command=["true"])
        recorder.seal("finished", exit_code=0)
        plans.append(plan_rerun(project, recorder.id))
    assert [plan.foreign for plan in plans] == [False, True]


def test_the_plan_tells_which_packages_differ(project: Project) -> None:
    recipe = recipe_of(project, record(project))
    recorded = read_environment(project, read_run(project.store, all_runs(project)[0]))
    assert recorded is not None
    assert _differ_from_here(project, recipe) == []
    tools, (first, second, third, *rest) = TOOLS | {LIN}, [p for p in recorded.packages if p.name not in TOOLS | {LIN}]
    packages = [
        msgspec.structs.replace(first, version="0.0.1"),
        msgspec.structs.replace(second, record="0" * 64),
        *(package for package in recorded.packages if package.name in tools and package.name != "uv"),
        *rest,
    ]
    other = project.store.blobs.put(encode(msgspec.structs.replace(recorded, python="3.99.0", packages=packages)))
    changed = msgspec.structs.replace(recipe, environment=other, packages={"toolz": "1.0.0"})
    assert _differ_from_here(project, changed) == sorted(
        [
            f"{first.name} {first.version} -> 0.0.1",
            f"{second.name} {second.version}: other files",
            f"{third.name} {third.version} -> none",
            f"python {recorded.python} -> 3.99.0",
            "toolz none -> 1.0.0",
        ]
    )
