"""What is measured of a run: its metrics, and its prediction for one row."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lin.errors import NotFoundError, UsageError
from lin.project import Project
from lin.proof.attribution.outcome import (
    MetricOutcome,
    PredictionOutcome,
    choose_outcome,
    keep_row,
    parse_key,
    pick_row,
    require_row,
)
from lin.recipes import Recipe
from lin.records import Fit
from lin.runs.golden import GOLDEN, Layout, read_golden, with_layout, write_golden
from lin.runs.query import RunInfo

Make = Callable[..., RunInfo]


def golden(columns: Mapping[str, Sequence[Any]], **layout: Any) -> bytes:
    return write_golden(with_layout(pa.table({k: list(v) for k, v in columns.items()}), Layout(**layout)))


# --- metrics ----------------------------------------------------------------------------------------------------------


def choose(project: Project, a: RunInfo, b: RunInfo, on: str | None = None) -> str:
    return choose_outcome(project.store.blobs, a, b, on).name


def test_the_first_metric_that_differs(project: Project, made_up: Make) -> None:
    a = made_up(metrics={"own": 1.0, "r2": 0.5, "rmse": 2.0, "only": 1.0, "nan": math.nan})
    b = made_up(metrics={"nan": math.nan, "rmse": 2.0, "r2": 0.4, "own": 3.0})
    assert choose(project, a, b) == "metrics.r2"
    same = made_up(metrics={"rmse": 2.0, "r2": 0.5, "own": 3.0, "nan": math.nan})
    assert choose(project, a, same) == "metrics.own"
    assert choose(project, a, a) == "metrics.rmse"
    assert choose(project, a, b, "metrics.own") == choose(project, a, b, "own") == "metrics.own"


def test_a_metric_that_is_not_there_is_refused_with_what_is(project: Project, made_up: Make) -> None:
    a, b = made_up(metrics={"loss": 1.0, "other": 2.0}), made_up(metrics={"loss": 1.0})
    with pytest.raises(UsageError, match="B has no metric 'other'") as caught:
        choose(project, a, b, "metrics.other")
    assert caught.value.hint == "--on metrics.loss"
    bare = made_up(predicted=[1.0])
    with pytest.raises(UsageError, match="no metric in common") as caught:
        choose(project, bare, bare)
    assert caught.value.hint == '--on "prediction KEY=VALUE"'


def test_a_metric_is_read_if_it_is_a_number(made_up: Make) -> None:
    run = made_up(metrics={"loss": 0.1, "bad": math.inf})
    assert MetricOutcome("loss").read(run) == (0.1, None)
    assert MetricOutcome("bad").read(run) == (None, "its metric 'bad' is inf")
    assert MetricOutcome("none").read(run) == (None, "it has no metric 'none'")


# --- predictions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key"),
    [("ID=454", {"ID": "454"}), (" city = Bern , day=3", {"city": "Bern", "day": "3"}), ("ID=a=b", {"ID": "a=b"})],
)
def test_a_row_in_words(text: str, key: dict[str, str]) -> None:
    assert parse_key(text) == key


@pytest.mark.parametrize("text", ["", "ID", "ID=1, x", "=1"])
def test_words_that_name_no_row(text: str) -> None:
    with pytest.raises(UsageError, match="does not name a row"):
        parse_key(text)


def test_the_golden_prediction_of_a_row(project: Project, made_up: Make) -> None:
    file = golden(
        {"ID": [1, 2], "x": [0.5, 0.6], "predicted": [3.5, 4.5]}, key=["ID"], features=["x"], predicted="predicted"
    )
    run = made_up(artifacts={GOLDEN: file}, predicted={"ID": [3], "predicted": [9.0]})
    blobs = project.store.blobs
    assert PredictionOutcome(blobs, {"ID": "2"}).read(run) == (4.5, None)
    assert PredictionOutcome(blobs, {"ID": "3"}).read(run) == (9.0, None)  # of the test rows
    assert PredictionOutcome(blobs, {"ID": "4"}).read(run) == (None, "it predicts nothing for ID=4")
    assert PredictionOutcome(blobs, {"id": "4"}).read(run)[1] == "the table has no column 'id'"
    assert PredictionOutcome(blobs, {"ID": "2"}).read(made_up())[1] == "it predicts nothing for ID=2"


def test_of_a_class_the_probability_of_what_b_says(project: Project, made_up: Make) -> None:
    columns = {"ID": [7], "predicted": ["no"], "p no": [0.7], "p yes": [0.3]}
    file = golden(
        columns,
        key=["ID"],
        features=[],
        predicted="predicted",
        labels=True,
        probabilities={"no": "p no", "yes": "p yes"},
    )
    a = made_up(artifacts={GOLDEN: file})
    b = made_up(predicted={"ID": [7], "predicted": ["yes"], "probability of yes": [0.9], "probability of no": [0.1]})
    outcome = PredictionOutcome(project.store.blobs, {"ID": "7"}).answering(b)
    assert outcome.answer == "yes"
    assert (outcome.read(a), outcome.read(b)) == ((0.3, None), (0.9, None))


def test_of_a_class_without_probabilities_whether_it_is_that(project: Project, made_up: Make) -> None:
    a, b = (made_up(predicted={"ID": [7], "predicted": [label]}) for label in ("no", "yes"))
    outcome = PredictionOutcome(project.store.blobs, {"ID": "7"}).answering(b)
    assert (outcome.read(a), outcome.read(b)) == ((0.0, None), (1.0, None))


def test_a_file_that_holds_no_predictions(project: Project, made_up: Make) -> None:
    outcome = PredictionOutcome(project.store.blobs, {"ID": "7"})
    assert outcome.read(made_up(artifacts={"predictions.parquet": b"text"}))[1] is not None
    sink = io.BytesIO()
    pq.write_table(pa.table({"ID": [7]}), sink)
    run = made_up(artifacts={"predictions.parquet": sink.getvalue()})
    assert outcome.read(run) == (None, "the file has no column of predictions")


# --- the row ----------------------------------------------------------------------------------------------------------


def test_a_row_by_its_key(project: Project) -> None:
    rows = pa.table({"ID": [1, 2, None], "city": ["a", "b", "b"], "x": [0.1, math.nan, None]})
    row = require_row(pick_row(rows, {"ID": "2", "city": "b"}), {})
    assert row.num_rows == 1
    kept = read_golden(project.store.blobs.read(keep_row(project.store.blobs, row, ["ID"])))
    assert kept.layout == Layout(key=["ID"], features=["city", "x"])
    assert kept.rows.column("city").to_pylist() == ["b"]
    assert pick_row(rows, {"ID": "None"}) is None
    with pytest.raises(UsageError, match="2 rows have"):
        pick_row(rows, {"city": "b"})
    with pytest.raises(UsageError, match="no column 'y'"):
        pick_row(rows, {"y": "1"})
    with pytest.raises(NotFoundError, match="a row with ID=9"):
        require_row(pick_row(rows, {"ID": "9"}), {"ID": "9"})


def test_a_fit_is_asked_for_the_row_and_a_program_is_not(project: Project) -> None:
    outcome = PredictionOutcome(project.store.blobs, {"ID": "1"}, golden="ab")
    fit = Recipe(kind="train", name="cell", fit=Fit(estimator=["a"], target="y"))
    assert outcome.ask(fit) == msgspec.structs.replace(fit, golden="ab")
    command = Recipe(kind="command", name="cell")
    assert outcome.ask(command) == command
    assert MetricOutcome("rmse").ask(fit) == fit
