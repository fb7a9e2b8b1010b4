"""Scoring rows, files and tables, and writing predictions back: only the nulls change, and who wrote them is told."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lin.config import ExperimentSetting, ModelSetting
from lin.data.commit import Attribution
from lin.data.history import read_history
from lin.data.pins import pin_digest, pin_version
from lin.data.read import read_version
from lin.data.tables import Table, open_table
from lin.data.write import fill_column
from lin.errors import ConflictError, NotFoundError, OutsideError, UsageError
from lin.models.changes import register_model
from lin.models.predict import Scorer, fill_table, predict_file, predict_row, predict_table
from lin.project import Project
from lin.records import ModelRef, digest
from lin.runs.feedback import find_feedback
from lin.runs.persist import dump_model, load_model
from lin.runs.query import RunInfo, list_runs, read_run
from lin.runs.record import begin_run, capture
from lin.runs.train import MODEL, plan_fits, run_sweep
from lin.runs.trust import Trust


@pytest.fixture
def table(trained: Project) -> Table:
    return open_table(trained, "housing")


@pytest.fixture
def model(trained: Project) -> Any:
    """The model `boston@1`, to predict with by hand."""
    scorer = Scorer(trained, "boston@1")
    return load_model(trained.store.blobs.read(scorer.version.sha256))


def frame_of(table: Table, version: int | None = None) -> pd.DataFrame:
    return read_version(table, version)[1].to_pandas()


def write_backs(project: Project) -> list[RunInfo]:
    return list_runs(project.store, kinds=frozenset({"predict"})).runs


# --- scoring ----------------------------------------------------------------------------------------------------------


def test_a_row_is_scored_as_by_hand(trained: Project, model: Any) -> None:
    found = predict_row(trained, "boston@latest", {"lstat": 9.1, "rm": 6.5, "other": "ignored"})
    by_hand = model.predict(pd.DataFrame({"rm": [6.5], "lstat": [9.1]}))
    assert (found.model, found.rows, found.table, found.keys) == ("boston@1", 1, None, {})
    assert found.predictions == by_hand.tolist()


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
def test_a_file_is_scored_as_by_hand(trained: Project, model: Any, tmp_path: Path, ending: str) -> None:
    frame = pd.DataFrame({"lstat": [9.1, 30.0, 0.1], "rm": [6.5, 4.0, 8.25]})
    path = tmp_path / f"new.{ending}"
    {"csv": lambda: frame.to_csv(path, index=False), "parquet": lambda: frame.to_parquet(path)}.get(
        ending, lambda: path.write_text(json.dumps(frame.to_dict("records")))
    )()
    assert predict_file(trained, "boston@1", path).predictions == model.predict(frame[["rm", "lstat"]]).tolist()


def test_a_table_is_scored_in_its_order_with_its_key(trained: Project, table: Table, model: Any) -> None:
    frame = frame_of(table)
    found = predict_table(trained, "models:/boston/1", table)
    assert (found.table, found.version, found.rows) == ("housing", 0, 45)
    assert found.keys == {"ID": frame["ID"].tolist()}
    assert found.predictions == model.predict(frame[["rm", "lstat"]]).tolist()
    some = predict_table(trained, "boston@1", table, version=0, where="rm > 6.5 and medv is null")
    kept = frame[(frame["rm"] > 6.5) & frame["medv"].isna()]
    assert 0 < some.rows == len(kept) < 15
    assert some.keys == {"ID": kept["ID"].tolist()}
    assert some.predictions == model.predict(kept[["rm", "lstat"]]).tolist()
    assert predict_table(trained, "boston@1", table, where="rm > 1000").predictions == []


def test_a_declared_order_is_that_of_the_answers(trained: Project, table: Table, model: Any, tmp_path: Path) -> None:
    frame = frame_of(table).sort_values(["name"], kind="stable")
    ordered = Table(table.name, table.root, key=table.key, order=("name",))
    found = predict_table(trained, "boston@1", ordered)
    assert found.keys == {"ID": frame["ID"].tolist()}
    np.testing.assert_allclose(found.predictions, model.predict(frame[["rm", "lstat"]]), rtol=1e-13)
    predict_table(trained, "names@1", ordered, where="rm > 1000", output=tmp_path / "none.parquet")
    assert pq.read_table(tmp_path / "none.parquet").column_names == ["ID", "prediction"]
    predict_table(trained, "names@1", ordered, output=tmp_path / "all.parquet")
    written = pq.read_table(tmp_path / "all.parquet")
    assert written.column_names[:2] == ["ID", "prediction"]
    assert written.column("ID").to_pylist() == frame["ID"].tolist()


def test_a_result_holds_as_many_answers_as_are_asked_for(trained: Project, table: Table) -> None:
    whole = predict_table(trained, "names@1", table)
    some = predict_table(trained, "names@1", table, keep=3)
    assert (some.rows, some.predictions, some.keys["ID"]) == (45, whole.predictions[:3], whole.keys["ID"][:3])
    assert some.probabilities == {name: cells[:3] for name, cells in whole.probabilities.items()}


def test_a_name_that_the_file_has_already_is_not_taken(trained: Project) -> None:
    (trained.root / "new.csv").write_text("rm,Prediction,lstat\n6.5,before,9.1\n")
    predict_file(trained, "boston@1", trained.root / "new.csv", output=trained.root / "said.csv")
    assert (trained.root / "said.csv").read_text().splitlines()[0] == '"rm","Prediction","lstat","prediction_"'


def test_a_failed_batch_leaves_the_file_that_was_there(trained: Project) -> None:
    rows = ["6.5,9.1"] * 1_500_000
    (trained.root / "new.csv").write_text("\n".join(["rm,lstat", *rows, "much,1"]) + "\n")
    (trained.root / "said.csv").write_text("before")
    with pytest.raises(UsageError, match="'rm' is not of type double: row 1500001 has 'much'"):
        predict_file(trained, "boston@1", trained.root / "new.csv", output=trained.root / "said.csv")
    assert (trained.root / "said.csv").read_text() == "before"
    assert [(run.status, run.outputs) for run in write_backs(trained)] == [("failed", [])]
    assert sorted(path.name for path in trained.root.iterdir() if path.name.endswith("csv")) == [
        "housing.csv",
        "new.csv",
        "said.csv",
    ]


def test_labels_are_predicted_too(trained: Project, table: Table) -> None:
    (label,) = predict_row(trained, "names@1", {"rm": 6.5, "lstat": 9.1}).predictions
    assert label in frame_of(table)["name"].tolist()


def test_a_row_is_no_run_and_a_batch_is_one(trained: Project, table: Table) -> None:
    predict_row(trained, "boston@1", {"rm": 1, "lstat": 2})
    assert write_backs(trained) == []
    scored = predict_table(trained, "boston@1", table, where="rm > 6")
    (run,) = write_backs(trained)
    assert (run.id, run.status, run.name) == (scored.run, "finished", "boston@1 over housing@0")
    assert run.params == {"where": "rm > 6", "rows": scored.rows}
    assert [(t.table, t.version) for t in run.table_inputs] == [("housing", 0)]
    assert [m.model for m in run.model_inputs] == ["boston"]
    (trained.root / "new.csv").write_text("rm,lstat\n6.5,9.1\n")
    scored = predict_file(trained, "boston@1", trained.root / "new.csv", output=trained.root / "told.csv")
    run = read_run(trained.store, scored.run or "")
    digests = [digest((trained.root / name).read_bytes()) for name in ("new.csv", "told.csv")]
    assert [(f.path, f.sha256) for f in (*run.file_inputs, *run.file_outputs)] == [
        ("new.csv", digests[0]),
        ("told.csv", digests[1]),
    ]
    assert run.params == {"rows": 1}
    assert table.log.head() == 0


def test_missing_columns_are_named(trained: Project, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"do not fit model boston@1: 'lstat' is missing \(there is 'lstad'\)$"
    ) as caught:
        predict_row(trained, "boston@1", {"rm": 6.5, "lstad": 1})
    assert caught.value.hint == "it needs: rm double, lstat double"
    (tmp_path / "x.csv").write_text("a\n1\n")
    with pytest.raises(UsageError, match="'rm' is missing; 'lstat' is missing"):
        predict_file(trained, "boston@1", tmp_path / "x.csv")
    assert write_backs(trained) == []


def test_values_that_cannot_be_scored_are_named(trained: Project, table: Table) -> None:
    with pytest.raises(OutsideError, match="boston@1 cannot score these rows") as caught:
        predict_row(trained, "boston@1", {"rm": None, "lstat": 1.0})
    assert caught.value.hint == "columns with nulls or NaN: rm"
    with pytest.raises(OutsideError, match=r"boston@1 cannot score these rows: .*NaN"):
        predict_row(trained, "boston@1", {"rm": math.nan, "lstat": 1.0})
    with pytest.raises(UsageError, match=r"'rm' is not of type double: 'much'; 'lstat' .*: True$") as unfit:
        predict_row(trained, "boston@1", {"rm": "much", "lstat": True})
    assert unfit.value.hint == "it needs: rm double, lstat double"
    for value, why in [
        (1 << 70, "'rm' is a whole number beyond 64 bits"),
        (2**53 + 1, "'rm' is not of type double: 9007199254740993"),
        ({"a": [1]}, r"'rm' is not of type double: \{'a': \[1\]\}"),
        ([1, "a"], "'rm' is list"),
    ]:
        with pytest.raises(UsageError, match=why):
            predict_row(trained, "boston@1", {"rm": value, "lstat": 1.0})
    with pytest.raises(UsageError, match="not a JSON object"):
        predict_row(trained, "boston@1", [1])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="price"):
        predict_table(trained, "boston@1", table, where="price > 1")


def test_no_such_model(trained: Project) -> None:
    for reference in ("bostom@1", "boston@2", "boston@production"):
        with pytest.raises(NotFoundError):
            predict_row(trained, reference, {})
    with pytest.raises(UsageError, match="names no version"):
        predict_row(trained, "boston", {})


def register_by_hand(project: Project, model: Any, name: str) -> None:
    """A model that a program fitted itself: its run has no features recorded."""
    run = begin_run(project, capture(project), kind="program", name="by hand")
    run.log_artifact(dump_model(model), MODEL)
    run.seal("finished")
    register_model(project, run.id, name)


def test_a_model_of_a_program_knows_its_own_columns(trained: Project, table: Table) -> None:
    from sklearn.linear_model import LinearRegression

    frame = frame_of(table).dropna()
    mine = LinearRegression().fit(frame[["lstat", "rm"]], frame["medv"])
    register_by_hand(trained, mine, "mine")
    expected = mine.predict(pd.DataFrame({"lstat": [9.1], "rm": [6.5]})).tolist()
    assert predict_row(trained, "mine@1", {"rm": 6.5, "lstat": 9.1}).predictions == expected


def test_a_model_of_the_projects_own_class_is_trained_but_not_loaded(trained: Project, table: Table) -> None:
    source = "from sklearn.linear_model import Ridge\n\n\nclass Own(Ridge):\n    pass\n"
    (trained.root / "predict_models.py").write_text(source)
    experiment = ExperimentSetting(
        table="housing",
        target="medv",
        rows="medv is not null",
        features=["rm"],
        models=[ModelSetting(estimator="predict_models.Own")],
    )
    (run,) = run_sweep(trained, table, plan_fits(experiment, table), experiment=None)
    assert run.status == "finished"
    register_model(trained, run.id, "own")
    with pytest.raises(UsageError, match=r"own@1 is not loaded: .* does not trust: predict_models\.Own") as caught:
        predict_row(trained, "own@1", {"rm": 6.5})
    assert "--trust predict_models.Own" in (caught.value.hint or "")
    trust = Trust(types=frozenset({"predict_models.Own"}))
    assert predict_row(trained, "own@1", {"rm": 6.5}, trust=trust).rows == 1


# --- writing back -----------------------------------------------------------------------------------------------------


def test_only_nulls_are_filled_and_no_row_moves(trained: Project, table: Table, model: Any) -> None:
    before = frame_of(table)
    made = fill_table(trained, "boston@1", table, "medv", reason="gaps")
    expected = before.copy()
    gaps = before["medv"].isna()
    expected.loc[gaps, "medv"] = model.predict(before.loc[gaps, ["rm", "lstat"]])
    after = frame_of(table)
    pd.testing.assert_frame_equal(after, expected, check_exact=True)
    assert after["ID"].tolist() == before["ID"].tolist() != sorted(before["ID"])
    assert (made.filled, made.base, made.version, made.column) == (15, 0, 1, "medv")
    pd.testing.assert_frame_equal(frame_of(table, 0), before, check_exact=True)


def test_a_write_back_tells_who_wrote_it_and_is_a_run(trained: Project, table: Table) -> None:
    made = fill_table(trained, "boston@latest", table, "medv", reason="gaps")
    assert made.run is not None
    run = read_run(trained.store, made.run)
    info = table.log.commit(1).info
    facts = {"lin.run": run.id, "lin.user": "ann", "lin.model": "boston@1", "lin.reason": "gaps"}
    assert {key: info[key] for key in facts} == facts
    assert json.loads(info["userMetadata"]).items() >= facts.items()
    assert (run.kind, run.status, run.name, run.reason) == ("predict", "finished", "boston@1 into housing.medv", "gaps")
    assert run.params == {"column": "medv", "rows": 15}
    digests = [pin_digest(pin_version(table, table.log.snapshot(version))) for version in (0, 1)]
    assert [(t.version, t.pin) for t in run.table_inputs] == [(0, digests[0])]
    assert [(t.version, t.pin) for t in run.outputs] == [(1, digests[1])]
    version = Scorer(trained, "boston@1").version
    assert run.model_inputs == [ModelRef(model="boston", version=1, sha256=version.sha256)]
    assert read_history(table)[1].model == "boston@1"
    after = run_sweep(trained, table, plan_fits(simple(), table), experiment=None)[0]
    assert [(f.written, f.model) for f in find_feedback(trained, after)] == [(1, "boston@1")]


def simple() -> ExperimentSetting:
    models = [ModelSetting(estimator="sklearn.linear_model.Ridge")]
    return ExperimentSetting(table="housing", target="medv", features=["rm"], models=models)


def test_a_condition_narrows_what_is_filled(trained: Project, table: Table) -> None:
    before = frame_of(table)
    made = fill_table(trained, "boston@1", table, "medv", where="ID < 20 or medv is not null")
    after = frame_of(table)
    changed = before["medv"].isna() & after["medv"].notna()
    assert made.filled == changed.sum() == (before["medv"].isna() & (before["ID"] < 20)).sum() > 0
    assert after["medv"].isna().sum() == 15 - made.filled


def test_nothing_to_fill_makes_no_version_and_no_run(trained: Project, table: Table) -> None:
    fill_table(trained, "boston@1", table, "medv")
    again = fill_table(trained, "boston@1", table, "medv")
    assert (again.filled, again.base, again.version, again.run) == (0, 1, None, None)
    nowhere = fill_table(trained, "boston@1", table, "fresh", where="rm > 1000")
    assert (nowhere.filled, nowhere.version) == (0, None)
    assert table.log.head() == 1
    assert len(write_backs(trained)) == 1


def test_a_new_column_gets_a_prediction_where_asked(trained: Project, table: Table, model: Any) -> None:
    before = frame_of(table)
    made = fill_table(trained, "boston@1", table, "medv_predicted", where="ID >= 10")
    after = frame_of(table)
    asked = before["ID"] >= 10
    expected = np.where(asked, model.predict(before[["rm", "lstat"]]), np.nan)
    assert made.filled == asked.sum()
    np.testing.assert_array_equal(after["medv_predicted"], expected)
    pd.testing.assert_frame_equal(after.drop(columns="medv_predicted"), before, check_exact=True)
    assert read_version(table)[1].column("medv_predicted").null_count == 10


def test_labels_are_filled_in_too(trained: Project, table: Table) -> None:
    fill_table(trained, "names@1", table, "like", where="ID < 3")
    filled = frame_of(table)["like"].dropna()
    assert len(filled) == 3
    assert set(filled) <= set(frame_of(table)["name"])


def test_nan_is_a_value_and_stays(trained: Project, tmp_path: Path) -> None:
    from deltalake import write_deltalake

    root = tmp_path / "nans"
    rows = pa.table({"rm": [6.0, 6.0, 6.0], "lstat": [1.0, 1.0, 1.0], "medv": [math.nan, None, 2.0]})
    write_deltalake(root, rows)
    table = Table("nans", root)
    assert fill_table(trained, "boston@1", table, "medv").filled == 1
    values = read_version(table)[1].column("medv").to_pylist()
    assert math.isnan(values[0])
    assert values[1:] == [*predict_row(trained, "boston@1", {"rm": 6, "lstat": 1}).predictions, 2.0]


def test_a_declared_order_is_for_reading_and_is_not_written(trained: Project, table: Table, model: Any) -> None:
    before = frame_of(table)
    ordered = Table(table.name, table.root, key=table.key, order=("ID",))
    made = fill_table(trained, "boston@1", ordered, "medv")
    expected = before.copy()
    gaps = before["medv"].isna()
    expected.loc[gaps, "medv"] = model.predict(before.loc[gaps, ["rm", "lstat"]])
    pd.testing.assert_frame_equal(frame_of(table), expected, check_exact=True)
    assert frame_of(ordered)["ID"].tolist() == list(range(45))
    assert made.run is not None
    assert read_run(trained.store, made.run).table_inputs[0].order == ["ID"]


def test_predictions_that_do_not_fit_the_column_change_nothing(trained: Project, tmp_path: Path) -> None:
    from deltalake import write_deltalake

    root = tmp_path / "whole"
    write_deltalake(root, pa.table({"rm": [6.1], "lstat": [1.0], "medv": pa.array([None], pa.int64())}))
    table = Table("whole", root)
    with pytest.raises(UsageError, match="do not fit column 'medv' of type int64"):
        fill_table(trained, "boston@1", table, "medv")
    assert table.log.head() == 0
    assert [run.status for run in write_backs(trained)] == ["failed"]
    assert len(list(root.glob("*.parquet"))) == 1


def test_somebody_who_writes_in_between_is_not_overwritten(table: Table) -> None:
    from deltalake import write_deltalake

    base, rows = read_version(table)
    write_deltalake(table.root, rows.slice(0, 1), mode="append")
    files = sorted(table.root.glob("*.parquet"))
    attribution = Attribution(run="0" * 32, user="ann", reason="late", lin="0")
    values = pa.array([1.0] * rows.num_rows)
    with pytest.raises(ConflictError, match="somebody wrote version 1 of 'housing' meanwhile"):
        fill_column(table, base, "medv", values, attribution, now_ms=0)
    assert table.log.head() == 1
    assert sorted(table.root.glob("*.parquet")) == files
    assert frame_of(table)["medv"].isna().sum() >= 15


class WrittenMeanwhile(Project):
    """A project whose table gets another row the moment that a write-back has begun."""

    meanwhile: Callable[[], None]

    @property
    def folders_of_data(self) -> list[str]:
        self.meanwhile()
        return super().folders_of_data


def test_a_write_back_that_comes_second_is_a_failed_run(trained: Project, table: Table) -> None:
    from deltalake import write_deltalake

    rows = read_version(table)[1]
    late = WrittenMeanwhile(trained.root, trained.config, trained.store, trained.store_root, trained.actor)
    object.__setattr__(late, "meanwhile", lambda: write_deltalake(table.root, rows.slice(0, 1), mode="append"))
    with pytest.raises(ConflictError, match="somebody wrote version 1 of 'housing' meanwhile"):
        fill_table(late, "boston@1", table, "medv")
    (run,) = write_backs(trained)
    assert (run.status, run.outputs) == ("failed", [])
    assert "somebody wrote version 1" in (run.error or "")
    assert table.log.head() == 1
    assert len(list(table.root.glob("*.parquet"))) == 2


def test_a_file_altered_since_it_was_written_is_refused(trained: Project, table: Table) -> None:
    path = table.root / table.log.snapshot().files[0].path
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(OutsideError, match="was altered"):
        fill_table(trained, "boston@1", table, "medv")
    assert write_backs(trained) == []


def test_a_missing_column_is_named_before_a_run_begins(trained: Project, tmp_path: Path) -> None:
    from deltalake import write_deltalake

    root = tmp_path / "thin"
    write_deltalake(root, pa.table({"rm": [6.1], "medv": pa.array([None], pa.float64())}))
    with pytest.raises(UsageError, match="'lstat' is missing"):
        fill_table(trained, "boston@1", Table("thin", root), "medv")
    assert write_backs(trained) == []
