"""Why two fits differ, from real records: the data with the commits behind it, predictions, and runs in between."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from lin.config import ExperimentSetting, ModelSetting, Split
from lin.data.tables import open_table
from lin.events import Receipt
from lin.ids import new_id
from lin.lineage.references import Meant, find_meant
from lin.models.changes import promote, register_model
from lin.models.predict import fill_table
from lin.project import Project, open_project
from lin.proof.why.explain import Why, explain
from lin.records import encode_in_full
from lin.runs.query import RunInfo, read_run
from lin.runs.restore import restore_table
from lin.runs.train import plan_fits, run_sweep

ALPHAS = [0.1, 1.0]


def train(project: Project, *, alphas: list[Any] | None = None, seed: int = 1) -> list[RunInfo]:
    table = open_table(project, "housing")
    experiment = ExperimentSetting(
        table="housing",
        target="medv",
        rows="medv is not null",
        split=Split(test_size=0.2, seed=seed),
        models=[ModelSetting(estimator="sklearn.linear_model.Ridge", params={"alpha": alphas or ALPHAS})],
    )
    return run_sweep(project, table, plan_fits(experiment, table), experiment="housing")


def why(project: Project, a: str, b: str) -> Why:
    return explain(project, find_meant(project, a), find_meant(project, b))


@pytest.fixture(scope="module")
def _fed(tmp_path_factory: pytest.TempPathFactory, _fitted: Path) -> Path:
    """The nulls of the target are filled with predictions of `boston@1`; `boston@2` is fitted on that, with alpha=1."""
    root = Path(shutil.copytree(_fitted, tmp_path_factory.mktemp("fed") / "project", symlinks=True))
    project = dataclasses.replace(open_project(root), actor="ann")
    promote(project, "boston@1", "production")
    fill_table(project, "boston@1", open_table(project, "housing"), "medv")
    for run in train(project):
        register_model(project, run.id, "boston")
    return root


@pytest.fixture
def fed(_fed: Path, tmp_path: Path) -> Project:
    return open_project(Path(shutil.copytree(_fed, tmp_path / "fed", symlinks=True)))


# --- what differs and what it did -------------------------------------------------------------------------------------


def test_a_parameter_alone(fitted: Project) -> None:
    found = why(fitted, "boston@1", "other@1")
    assert (found.cause.kind, found.cause.blamed) == ("one axis", "params")
    assert [(c.name, c.old, c.new) for c in found.axes.params] == [("alpha", 0.1, 1.0)]
    assert found.same == ["data", "source", "environment", "seed", "host"]
    assert [each.command for each in found.cause.remedies] == ["lin rerun other@1 -P alpha=0.1"]
    golden, test = found.effects.predictions
    assert golden.diff is not None
    assert test.diff is not None
    assert (golden.kind, golden.diff.rows, golden.diff.changed) == ("golden", 45, 45)
    assert (test.kind, test.diff.rows, test.diff.changed) == ("test", 6, 6)
    assert found.headline.startswith("other@1 predicts otherwise than boston@1: rmse ")
    assert found.headline.endswith("45 of 45 golden predictions changed")


def test_a_run_and_itself(fitted: Project) -> None:
    found = why(fitted, "boston@1", "boston@1")
    assert (found.cause.kind, found.effects.differs, found.problems) == ("nothing to explain", [], [])
    assert found.headline.startswith("both are boston@1, run ")


def test_predictions_of_one_in_the_data_of_the_other_come_first(fed: Project) -> None:
    found = why(fed, "boston@1", "boston@2")
    (only,) = found.feedback
    written = only.written
    assert (only.side, only.of_other, only.counts, only.stage) == ("b", True, True, "production")
    assert (written.model, written.column, written.role) == ("boston@1", "medv", "target")
    assert (written.cells, written.kept, written.rows) == (15, 15, 45)
    assert (found.cause.kind, found.cause.blamed) == ("feedback", "data")
    assert found.cause.sentence.startswith(
        "boston@2 was trained on predictions of boston@1 itself: 15 cells of its target medv. Only the data differs "
        "(housing@0 -> housing@1), so it is the cause"
    )
    assert [each.command for each in found.cause.remedies] == ["lin restore housing --version 0", "lin run housing"]
    (change,) = found.data
    assert change.change is not None
    assert change.change.diff is not None
    assert change.change.diff.columns == {"medv": 15}
    assert [(s.side, s.version, s.operation, s.user, s.model) for s in change.steps] == [
        ("b", 1, "WRITE", "ann", "boston@1")
    ]


def test_the_other_way_round_nothing_is_put_back(fed: Project) -> None:
    found = why(fed, "boston@2", "boston@1")
    assert [(each.side, each.of_other) for each in found.feedback] == [("a", True)]
    assert found.cause.sentence.startswith("boston@2 was trained on predictions of boston@1 itself")
    assert "and boston@1 was not" in found.cause.sentence
    assert found.cause.remedies == []
    assert [step.side for step in found.data[0].steps] == ["a"]


def test_predictions_that_both_were_trained_on_explain_nothing(fed: Project) -> None:
    found = why(fed, "boston@2", "boston@3")
    assert [each.side for each in found.feedback] == ["both"]
    assert (found.cause.kind, found.cause.blamed) == ("one axis", "params")


def test_runs_of_the_same_grids_tell_data_and_params_apart(fed: Project) -> None:
    found = why(fed, "boston@1", "boston@3")
    assert found.cause.axes == ["data", "params"]
    assert [each.taken for each in found.between] == [["data"], ["params"]]
    with_data, with_params = found.between
    assert with_data.run == find_meant(fed, "boston@2").run.id
    assert with_params.run == find_meant(fed, "other@1").run.id
    assert with_data.metrics == find_meant(fed, "boston@2").run.metrics


def test_a_restored_table_is_the_old_one(fed: Project) -> None:
    restore_table(fed, open_table(fed, "housing"), 0)
    again = train(fed, alphas=[0.1])[0]
    found = explain(fed, find_meant(fed, "boston@1"), Meant(again))
    assert (found.data, found.feedback, found.cause.kind) == ([], [], "nothing to explain")
    assert "data" in found.same
    healed = explain(fed, find_meant(fed, "boston@2"), Meant(again))
    assert [(s.side, s.version, s.operation) for s in healed.data[0].steps] == [("b", 2, "RESTORE"), ("a", 1, "WRITE")]
    undone = why(fed, "boston@1", "boston@2")
    assert undone.data[0].undone
    assert [each.command for each in undone.cause.remedies] == ["lin run housing"]


def test_predictions_that_were_written_over_do_not_count(fed: Project) -> None:
    from deltalake import DeltaTable, write_deltalake

    root = open_table(fed, "housing").root
    rows = DeltaTable(root, version=1).to_pyarrow_table()
    measured = pa.array([20.0 + n for n in range(rows.num_rows)])
    write_deltalake(root, rows.set_column(rows.column_names.index("medv"), "medv", measured), mode="overwrite")
    after = train(fed, alphas=[0.1])[0]
    found = explain(fed, find_meant(fed, "boston@1"), Meant(after))
    assert [(each.written.cells, each.written.kept, each.counts) for each in found.feedback] == [(15, 0, False)]
    assert found.cause.kind == "one axis"


def test_a_re_run_that_came_out_the_same_rules_chance_out(fitted: Project) -> None:
    from datetime import UTC, datetime

    run = find_meant(fitted, "boston@1").run
    receipts = {
        "changed": Receipt(run=run.id, rerun=run.id, verdict="identical", changed=["-P alpha=1"]),
        "different": Receipt(run=run.id, rerun=run.id, verdict="different"),
        "plain": Receipt(run=run.id, rerun=run.id, verdict="identical"),
    }
    seen = {}
    for name, receipt in receipts.items():
        fitted.store.events.append(lambda _, made=receipt: made, actor="ann", op_id=new_id(), now=datetime.now(UTC))  # type: ignore[misc]
        seen[name] = why(fitted, "boston@1", "other@1").cause.repeats
    assert seen == {"changed": False, "different": False, "plain": True}


def test_a_table_that_is_gone_hides_nothing_else(fed: Project) -> None:
    shutil.rmtree(open_table(fed, "housing").root)
    found = why(fed, "boston@1", "boston@3")
    assert found.cause.axes == ["data", "params"]
    assert found.data[0].change is not None
    assert found.data[0].change.note is not None
    assert found.data[0].change.note.startswith("the rows cannot be compared")
    assert [problem.partition(":")[0] for problem in found.problems] == [
        "whether predictions are in the data is not known"
    ]


# --- made-up runs -----------------------------------------------------------------------------------------------------


def held_against(project: Project, a: RunInfo, b: RunInfo) -> Why:
    return explain(project, Meant(a), Meant(b))


def test_the_same_program_with_another_result_does_not_repeat_itself(
    project: Project, made_up: Callable[..., RunInfo]
) -> None:
    found = held_against(project, made_up(metrics={"loss": 1.0}), made_up(metrics={"loss": 1.5}))
    assert found.cause.kind == "unexplained"
    assert found.headline.endswith("loss 1 -> 1.5")


def test_files_alone(project: Project, made_up: Callable[..., RunInfo]) -> None:
    runs = [made_up(metrics={"loss": 1.0}, artifacts={"a.bin": data}, predicted=[1.0]) for data in (b"1", b"2")]
    found = held_against(project, *runs)
    assert found.effects.differs == ["artifacts"]
    assert found.headline.endswith("in all metrics and predictions, and 1 file differs")


def test_predictions_that_cannot_be_paired_are_not_compared(project: Project, made_up: Callable[..., RunInfo]) -> None:
    runs = [
        made_up(metrics={"loss": 1.0}, predicted={"measured": m, "predicted": [1.0, 2.0]})
        for m in ([3.0, 4.0], [5.0, 6.0])
    ]
    (effect,) = held_against(project, *runs).effects.predictions
    assert (effect.diff, effect.note) == (None, "they have no rows in common that can be told apart")


def test_a_failed_run_and_one_that_left_nothing(project: Project, made_up: Callable[..., RunInfo]) -> None:
    fine, failed, empty = made_up(metrics={"loss": 1.0}), made_up(metrics={"loss": 1.0}, status="failed"), made_up()
    assert held_against(project, fine, failed).headline.endswith(f"failed, {fine.id[-8:]} finished")
    found = held_against(project, empty, read_run(project.store, made_up().id))
    assert (found.cause.kind, found.effects.results) == ("nothing to compare", False)


def test_it_is_told_as_json(fed: Project) -> None:
    found = msgspec.json.decode(encode_in_full(why(fed, "boston@1", "boston@3")))
    assert [*found] == [
        "a", "b", "headline", "feedback", "data", "axes", "effects", "between", "cause", "same", "problems",
    ]  # fmt: skip
