"""A re-run from its record alone: whatever the table, the files and the folder are now; or a clear refusal."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lin.config import ExperimentSetting, ModelSetting
from lin.data.tables import open_table
from lin.errors import NotFoundError, NotReproducibleError, OutsideError, UsageError
from lin.events import Receipt
from lin.ids import new_id
from lin.lineage.card import read_model_card
from lin.models.predict import fill_table
from lin.models.registry import find_version, read_receipts, read_registry
from lin.project import Project, open_project
from lin.proof.rerun import Rerun, execute_plan, plan_rerun, recorded_environment
from lin.records import SourceTree, decode, encode
from lin.runs.execute import run_command
from lin.runs.query import RunInfo, list_runs, read_run
from lin.runs.record import Recorder
from lin.runs.train import plan_fits, run_sweep


def rerun(project: Project, reference: str) -> Rerun:
    return execute_plan(project, plan_rerun(project, reference))


def all_runs(project: Project) -> list[str]:
    found = list_runs(project.store, kinds=None)
    assert found.damaged == []
    return [run.id for run in found.runs]


def model_run(project: Project, reference: str) -> RunInfo:
    return read_run(project.store, find_version(read_registry(project.store), reference).run)


# --- the same again ---------------------------------------------------------------------------------------------------


def test_it_reads_the_recorded_version_and_leaves_a_receipt(fitted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    table = open_table(fitted, "housing")
    fill_table(fitted, "boston@1", table, "medv")  # the live table has moved on
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # and so has the shell
    original = model_run(fitted, "boston@1")
    result = rerun(fitted, "boston@1")
    assert (result.verdict, result.verification.same, result.run) == ("identical", True, original.id)
    assert table.log.head() == 1

    again = read_run(fitted.store, result.rerun)
    assert (again.parent, again.fit, again.experiment) == (original.id, original.fit, "housing")
    assert (again.metrics, again.artifacts, again.inputs) == (original.metrics, original.artifacts, original.inputs)
    assert again.source == original.source
    assert again.actor == "ann"
    assert not [line for line in result.verification.context if line.startswith(("source", "input", "host"))]
    environment = recorded_environment(fitted, again)
    assert environment is not None
    assert "OMP_NUM_THREADS" not in environment.variables

    (receipt,) = read_receipts(fitted.store, original.id)
    assert receipt == Receipt(
        run=original.id, rerun=again.id, verdict="identical", differences=result.verification.context
    )
    assert fitted.store.events.read()[-1].actor == "ann"
    card = read_model_card(fitted, find_version(read_registry(fitted.store), "boston@1"))
    assert card.run.receipts == [receipt]


def test_it_runs_the_recorded_source_of_the_projects_own_estimator(fitted: Project) -> None:
    (fitted.root / "shift.py").write_text("SHIFT = 1000\n")
    (fitted.root / "proof_models.py").unlink()
    result = rerun(fitted, "own@1")
    assert result.verdict == "identical"
    again = read_run(fitted.store, result.rerun)
    assert again.source == model_run(fitted, "own@1").source
    assert not [line for line in result.verification.context if line.startswith("source")]


def test_it_works_after_the_project_was_moved(fitted: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "some where" / "else"
    shutil.move(fitted.root, elsewhere)
    moved = open_project(elsewhere)
    assert rerun(moved, "boston@1").verdict == "identical"


def test_a_failing_re_run_says_why_and_is_a_failed_run(fitted: Project) -> None:
    plan = plan_rerun(fitted, "boston@1")
    table = open_table(fitted, "housing")
    path = table.root / table.log.snapshot().files[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"?")  # between the look and the run
    before = all_runs(fitted)
    with pytest.raises(OutsideError, match=rf"the re-run of {plan.run.id[-8:]} failed: data file .* was altered"):
        execute_plan(fitted, plan)
    assert all_runs(fitted) == before
    assert read_receipts(fitted.store, plan.run.id) == []


# --- what cannot be re-run --------------------------------------------------------------------------------------------


def data_file(project: Project) -> Path:
    table = open_table(project, "housing")
    return table.root / table.log.snapshot(0).files[0].path


def append_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def rewrite_link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (Path.unlink, "is missing"),
        (append_byte, "was altered"),
        (flip_byte, "was altered"),
        (rewrite_link, "symbolic link"),
    ],
)
def test_data_that_is_not_what_it_was_is_named_and_nothing_runs(
    fitted: Project, damage: Callable[[Path], object], told: str
) -> None:
    path, before = data_file(fitted), all_runs(fitted)
    damage(path)
    with pytest.raises(NotReproducibleError, match="1 data files of housing@0 are not what they were") as caught:
        plan_rerun(fitted, "boston@1")
    assert path.name in caught.value.message
    assert told in caught.value.message
    assert caught.value.exit_code == 14
    assert all_runs(fitted) == before
    assert read_receipts(fitted.store, model_run(fitted, "boston@1").id) == []


def test_a_table_that_is_gone_is_told(fitted: Project) -> None:
    name = data_file(fitted).name
    shutil.rmtree(fitted.root / "data")
    with pytest.raises(NotReproducibleError, match=name):
        plan_rerun(fitted, "boston@1")


def blob(project: Project, sha256: str) -> Path:
    return project.store_root / "blobs" / sha256[:2] / sha256


def test_a_pin_or_source_that_the_store_has_lost_is_told_before_anything_runs(fitted: Project) -> None:
    run = model_run(fitted, "boston@1")
    assert run.source is not None
    tree = fitted.store.blobs.read(run.source.tree)
    before = all_runs(fitted)
    shift = next(f for f in decode(tree, SourceTree, where="it").files if f.path == "shift.py")
    for lost, told in (
        (run.table_inputs[0].pin, "is missing from the store"),
        (shift.sha256, r"1 files of its source are gone from the store: shift\.py"),
        (run.source.tree, "the list of its files"),
    ):
        kept = blob(fitted, lost).read_bytes()
        blob(fitted, lost).unlink()
        with pytest.raises(NotReproducibleError, match=told):
            plan_rerun(fitted, "boston@1")
        fitted.store.blobs.put(kept)
    assert all_runs(fitted) == before
    assert plan_rerun(fitted, "boston@1").run == run


def test_what_is_no_fit_is_refused(fitted: Project) -> None:
    command, _ = run_command(fitted, ["true"], folder=fitted.root)
    with pytest.raises(NotReproducibleError, match="it is a command run") as caught:
        plan_rerun(fitted, command)
    assert caught.value.exit_code == 14
    imported = next(run for run in list_runs(fitted.store, kinds=None).runs if run.kind == "import")
    with pytest.raises(NotReproducibleError, match="it is an import run"):
        plan_rerun(fitted, imported.id)
    for reference, kind in (("boston@9", NotFoundError), ("zz", NotFoundError), ("housing@0", UsageError)):
        with pytest.raises(kind):
            plan_rerun(fitted, reference)


def test_a_fit_that_failed_is_not_re_run(fitted: Project) -> None:
    models = [ModelSetting(estimator="sklearn.linear_model.Ridge", params={"alpha": -1.0})]
    table = open_table(fitted, "housing")
    experiment = ExperimentSetting(table="housing", target="medv", rows="medv is not null", models=models)
    (run,) = run_sweep(fitted, table, plan_fits(experiment, table), experiment=None)
    with pytest.raises(NotReproducibleError, match="it is failed"):
        plan_rerun(fitted, run.id)


def test_a_wrong_tolerance_is_refused_before_anything_runs(fitted: Project) -> None:
    before = all_runs(fitted)
    with pytest.raises(UsageError, match="the tolerance nan"):
        execute_plan(fitted, plan_rerun(fitted, "boston@1"), tolerance=float("nan"))
    assert all_runs(fitted) == before


def test_the_plan_tells_how_the_environment_has_drifted(fitted: Project) -> None:
    plan = plan_rerun(fitted, "boston@1")
    assert plan.drift == []
    assert (plan.fit, plan.input) == (plan.run.fit, plan.run.table_inputs[0])
    recorded = recorded_environment(fitted, plan.run)
    assert recorded is not None
    other = fitted.store.blobs.put(encode(msgspec.structs.replace(recorded, python="3.99.0")))
    start = msgspec.structs.replace(fitted.store.runs.start(plan.run.id), id=new_id(), environment=other)
    Recorder(fitted.store, start.id, start, fitted.store.runs.begin(start)).seal("finished")
    assert plan_rerun(fitted, start.id).drift == [f"python 3.99.0 -> {recorded.python}"]
