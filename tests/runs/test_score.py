"""Golden predictions as fits make them: of which rows, in which bits, and what is left out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from lin.config import ExperimentSetting, ModelSetting, Split
from lin.data.tables import open_table
from lin.errors import OutsideError, UsageError
from lin.project import Project
from lin.runs.golden import GOLDEN, arrange_rows, open_golden, read_golden, write_golden
from lin.runs.persist import load_model
from lin.runs.query import RunInfo
from lin.runs.score import predict_golden, sample_rows, score_again
from lin.runs.train import MODEL, plan_fits, run_fits, run_sweep
from lin.runs.writes import pin_input

RNG = np.random.RandomState(3)
ROWS = pa.table({"ID": list(range(40)), "rm": RNG.rand(40), "lstat": RNG.rand(40)})
FEATURES = ["rm", "lstat"]


def fitted(model: Any, rows: pa.Table = ROWS, features: list[str] = FEATURES) -> Any:
    frame = rows.select(features).to_pandas()
    return model.fit(frame, frame.iloc[:, 0])


# --- which rows -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 200), st.integers(1, 50))
@settings(max_examples=50, deadline=None)
def test_a_sample_is_evenly_spaced(rows: int, most: int) -> None:
    places = sample_rows(pa.table({"place": pa.array(range(rows), pa.int64())}), most).column("place").to_pylist()
    assert len(places) == min(rows, most)
    assert places[:1] == [0][:rows]
    steps = np.diff([*places, rows])
    assert rows == 0 or steps.max() - steps.min() <= 1
    assert rows == 0 or steps.min() >= 1


def test_rows_with_nulls_are_left_out_where_the_model_refuses_them() -> None:
    every = range(600)  # too many nulls to find them one by one
    rows = pa.table({"ID": every, "rm": [None if n % 3 == 0 else n / 600 for n in every], "lstat": RNG.rand(600)})
    refusing = open_golden(predict_golden(fitted(Ridge()), rows, ["ID"], FEATURES))
    assert refusing.rows.column("ID").to_pylist() == [n for n in every if n % 3]
    assert refusing.layout.left_out == 200
    taking = open_golden(predict_golden(fitted(HistGradientBoostingRegressor(max_iter=2)), rows, ["ID"], FEATURES))
    assert (taking.table.num_rows, taking.layout.left_out) == (600, 0)


def test_single_rows_that_the_model_refuses_are_left_out_by_themselves() -> None:
    words = pa.array(["x" if n % 2 else "y" for n in range(40)])
    known = ROWS.append_column("word", words)
    columns = ColumnTransformer([("word", OneHotEncoder(), ["word"])], remainder="passthrough")
    model = fitted(make_pipeline(columns, Ridge()), known, ["rm", "word"])
    strange = known.set_column(3, "word", pa.array(["z" if n in {3, 4, 31} else words[n].as_py() for n in range(40)]))
    found = open_golden(predict_golden(model, strange, ["ID"], ["rm", "word"]))
    assert found.rows.column("ID").to_pylist() == [n for n in range(40) if n not in {3, 4, 31}]
    assert found.layout.left_out == 3


def test_a_model_that_scores_nothing_is_named() -> None:
    with pytest.raises(OutsideError, match="LinearRegression cannot score the 40 golden rows: This LinearRegression"):
        predict_golden(LinearRegression(), ROWS, [], FEATURES)
    with pytest.raises(UsageError, match="no column 'crim'"):
        predict_golden(fitted(Ridge()), ROWS, [], ["crim"])
    with pytest.raises(OutsideError, match="there is no row to predict"):
        predict_golden(fitted(Ridge()), ROWS.slice(0, 0), [], FEATURES)
    two = LinearRegression().fit(ROWS.select(FEATURES).to_pandas(), RNG.rand(40, 2))
    with pytest.raises(OutsideError, match=r"answers \d+ rows in the shape"):
        predict_golden(two, ROWS, [], FEATURES)


# --- what it answers --------------------------------------------------------------------------------------------------


def test_a_name_that_is_taken_gets_underscores_behind_it() -> None:
    rows = pa.table({"Predicted": [1, 2], "predicted_": [0.5, 1.5], "probability of no": [0.1, 0.2]})
    features = ["predicted_", "probability of no"]
    model = LogisticRegression().fit(rows.select(features).to_pandas(), ["NO", "YES"])
    found = open_golden(predict_golden(model, rows, ["Predicted"], features))
    assert found.layout.predicted == "predicted__"
    assert found.layout.probabilities == {"NO": "probability of NO_", "YES": "probability of YES"}
    assert found.predicted == model.predict(rows.select(features).to_pandas()).tolist()
    assert found.rows.equals(rows)


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=30), st.booleans())
@settings(max_examples=25, deadline=None)
def test_scoring_again_what_was_written_gives_the_same_bits(rows: list[tuple[float, float]], classify: bool) -> None:
    frame = ROWS.select(FEATURES).to_pandas()
    model = LogisticRegression().fit(frame, frame.rm > 0.5) if classify else Ridge().fit(frame, frame.rm)
    table = pa.table({name: [row[at] for row in rows] for at, name in enumerate(FEATURES)})
    data = write_golden(predict_golden(model, table, [], FEATURES))
    assert write_golden(score_again(model, read_golden(data)).table) == data


def test_types_that_pandas_reads_in_its_own_way_come_back_as_they_were() -> None:
    rows = pa.table(
        {
            "count": pa.array([1, None, 3], pa.int32()),
            "word": pa.array(["x", "y", "x"], pa.large_string()),
            "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
            "day": pa.array([1, 2, 3], pa.timestamp("us", "UTC")),
        }
    )
    found = read_golden(write_golden(arrange_rows(rows, [], rows.column_names))).rows
    pd.testing.assert_frame_equal(found.to_pandas(), rows.to_pandas())


# --- as fits keep them ------------------------------------------------------------------------------------------------


def setting(estimator: str = "sklearn.linear_model.Ridge", **params: Any) -> ExperimentSetting:
    return ExperimentSetting(
        table="housing",
        target="medv",
        rows="medv is not null",
        split=Split(test_size=0.2, seed=1),
        models=[ModelSetting(estimator=estimator, params=params)],
    )


def kept(project: Project, run: RunInfo, path: str = GOLDEN) -> bytes:
    artifact = run.artifact(path)
    assert artifact is not None, run.error
    return project.store.blobs.read(artifact.sha256)


def test_a_fit_keeps_predictions_of_all_rows_also_of_those_without_a_target(housing: Project) -> None:
    table = open_table(housing, "housing")
    (run,) = run_sweep(housing, table, plan_fits(setting(), table), experiment=None)
    found = read_golden(kept(housing, run))
    assert found.table.column_names == ["ID", "rm", "lstat", "noise", "predicted"]
    assert found.rows.column("ID").to_pylist() == list(range(60))
    assert (found.layout.key, found.layout.features) == (["ID"], ["rm", "lstat", "noise"])
    model = load_model(kept(housing, run, MODEL))
    frame = found.rows.select(run.features).to_pandas()
    assert found.predicted == model.predict(frame).tolist()


def test_a_fit_may_be_given_the_rows_to_predict_here_or_in_another_process(housing: Project) -> None:
    table = open_table(housing, "housing")
    asked = pa.table({"ID": [454], "rm": [6.5], "lstat": [4.0], "noise": [0.5]})
    rows = write_golden(arrange_rows(asked, ["ID"], ["rm", "lstat", "noise"]))
    pin, reference = pin_input(housing, table, None)
    fits = plan_fits(setting(alpha=[0.1, 1.0]), table)
    here, there = (
        run_fits(housing, table, pin, reference, fits, experiment=None, golden_rows=rows, jobs=jobs) for jobs in (1, 2)
    )
    for run in here:
        found = read_golden(kept(housing, run))
        assert found.rows.equals(asked)
        assert found.predicted == load_model(kept(housing, run, MODEL)).predict(asked.drop(["ID"]).to_pandas()).tolist()
    assert [kept(housing, run) for run in there] == [kept(housing, run) for run in here]


def test_a_fit_whose_golden_rows_lack_a_feature_is_finished_without_them(
    housing: Project, every_run: Callable[..., list[RunInfo]]
) -> None:
    table = open_table(housing, "housing")
    rows = write_golden(arrange_rows(pa.table({"rm": [6.5]}), [], ["rm"]))
    pin, reference = pin_input(housing, table, None)
    told: list[str] = []
    runs = run_fits(
        housing,
        table,
        pin,
        reference,
        plan_fits(setting(), table),
        experiment=None,
        golden_rows=rows,
        report=lambda progress: told.extend(progress.notes),
    )
    assert (runs[0].status, runs[0].artifact(GOLDEN)) == ("finished", None)
    assert told == ["no golden predictions: the golden rows have no column 'lstat'"]
    assert [run.id for run in every_run(housing, "train")] == [runs[0].id]
