"""Runs as points: what kind of axis a field makes, where each run stands, and why others do not."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from lin.project import Project
from lin.runs.query import RunInfo, read_run
from lin.runs.record import Recorder
from lin.runs.scatter import Axis, make_axis, picture_scatter, scatter_runs, sort_categories, spans_decades
from lin.runs.where import parse_field

Record = Callable[..., RunInfo]


@pytest.fixture
def record(project: Project, begin: Callable[..., Recorder]) -> Record:
    """A run with these params and metrics."""

    def record(name: str = "fit", params: dict[str, Any] | None = None, **metrics: float) -> RunInfo:
        run = begin(name=name, params=params or {})
        for key, value in metrics.items():
            run.log_metric(key, value)
        run.seal("finished")
        return read_run(project.store, run.id)

    return record


def axis(field: str, *cells: object) -> Axis:
    return make_axis(parse_field(field), cells)


def test_params_that_are_numbers_or_read_as_such_make_an_axis_of_numbers() -> None:
    made = axis("params.alpha", 1, "0.5", 2.5, None)
    assert (made.kind, made.places[:3], made.is_log) == ("number", [1.0, 0.5, 2.5], False)
    assert math.isnan(made.places[3])
    assert made.shown == ["1", "0.5", "2.5", "none"]


def test_one_text_among_them_makes_categories_with_the_numbers_first() -> None:
    made = axis("params.depth", 10, "auto", "2", None, True)
    assert (made.kind, made.categories) == ("category", ["2", "10", "auto", "True"])
    assert made.places[:3] == [1.0, 2.0, 0.0]
    assert math.isnan(made.places[3])
    assert axis("params.m", ["a", 1], {"b": 2}).categories == ['["a", 1]', '{"b": 2}']
    assert axis("status", "finished", "failed").kind == "category"


def test_booleans_and_several_versions_are_categories() -> None:
    assert axis("params.on", True, False).categories == ["False", "True"]
    assert axis("inputs.housing", 0, 3).kind == "number"
    assert axis("inputs.housing", (0, 3), 3).kind == "category"


def test_categories_are_in_a_sensible_order() -> None:
    texts = {"fold 10", "fold 2", "Fold 1", "-1", "1e2", "nan", "", "9" * 5000}
    assert sort_categories(texts) == ["-1", "1e2", "9" * 5000, "", "Fold 1", "fold 2", "fold 10", "nan"]


@pytest.mark.parametrize(
    ("values", "is_log"),
    [
        ([0.001, 1.0], True),
        ([0.01, 1.0], False),
        ([0.0, 1000.0], False),
        ([-1.0, 1000.0], False),
        ([math.nan, 0.1, 1000.0], True),
        ([5e-324, 1.0], False),
        ([1e-99, 1e99], True),
        ([], False),
        ([math.nan], False),
    ],
)
def test_an_axis_is_logarithmic_over_more_than_two_powers_of_ten(values: list[float], is_log: bool) -> None:
    assert spans_decades(values) is is_log


def test_a_logarithmic_axis_says_so() -> None:
    assert axis("params.alpha", 0.001, 1).label == "params.alpha (log scale)"
    assert axis("params.alpha", 0.1, 1).label == "params.alpha"


def test_runs_without_a_place_are_left_out_with_the_reason(record: Record) -> None:
    runs = [
        record("a", {"alpha": 0.1}, rmse=5.0),
        record("b", {}, rmse=5.0),
        record("c", {"alpha": 0.1}),
        record("d", {"alpha": 0.1}, rmse=math.nan),
        record("e", {"alpha": 0.1}, rmse=-math.inf),
        record("f", {"alpha": 10**400}, rmse=1.0),
    ]
    scatter = scatter_runs(runs, parse_field("params.alpha"), parse_field("metrics.rmse"))
    assert [run.name for run in scatter.runs] == ["a"]
    assert {each.name: each.reason for each in scatter.left_out} == {
        "b": "without params.alpha",
        "c": "without metrics.rmse",
        "d": "metrics.rmse is NaN",
        "e": "metrics.rmse is beyond 1e+100",
        "f": "params.alpha is beyond 1e+100",
    }


def test_what_is_left_out_is_counted_and_named_above_the_picture(record: Record) -> None:
    runs = [record("good", {"alpha": 0.1}, rmse=5.0), *(record(f"bad {at}", {}, rmse=5.0) for at in range(5))]
    facts = picture_scatter(scatter_runs(runs, parse_field("params.alpha"), parse_field("metrics.rmse"))).facts
    names = ", ".join(f"bad {at} ({runs[at + 1].id[-8:]})" for at in range(3))
    assert facts == ["1 of 6 runs", f"not drawn, without params.alpha: {names} and 2 more"]


def test_a_category_that_no_drawn_run_has_takes_no_room(record: Record) -> None:
    runs = [record("a", {"model": "Ridge"}, rmse=5.0), record("b", {"model": "Lasso"})]
    scatter = scatter_runs(runs, parse_field("params.model"), parse_field("metrics.rmse"))
    assert scatter.x.categories == ["Ridge"]


def test_colours_of_categories_numbers_and_of_neither(record: Record) -> None:
    runs = [
        record("a", {"model": "Ridge", "depth": 1}, rmse=1.0),
        record("b", {"model": "Lasso", "depth": 3}, rmse=2.0),
        record("c", {}, rmse=3.0),
    ]
    x = y = parse_field("metrics.rmse")
    by_model = picture_scatter(scatter_runs(runs, x, y, parse_field("params.model")))
    assert [label for label, *_ in by_model.key.labels] == ["Lasso", "Ridge", "none"]
    colours = {label: colour for label, colour, _ in by_model.key.labels}
    marks = {mark.tip[0][:1]: mark for mark in by_model.panels[0].marks}
    assert [marks[name].colour for name in "abc"] == [colours[name] for name in ("Ridge", "Lasso", "none")]
    by_depth = picture_scatter(scatter_runs(runs, x, y, parse_field("params.depth")))
    assert (by_depth.key.low, by_depth.key.high, by_depth.key.title) == ("1", "3", "params.depth")
    ends = [mark.colour for mark in reversed(by_depth.panels[0].marks)][:2]
    assert ends == [by_depth.key.scale[0], by_depth.key.scale[-1]]
    nobody = picture_scatter(scatter_runs(runs, x, y, parse_field("params.none")))
    assert [label for label, *_ in nobody.key.labels] == ["none"]


def test_of_many_categories_the_most_frequent_have_a_colour(record: Record) -> None:
    runs = [record("a", {"model": f"m{at % 20}"}, rmse=1.0 + at) for at in range(25)]
    y = parse_field("metrics.rmse")
    labels = [label for label, *_ in picture_scatter(scatter_runs(runs, y, y, parse_field("params.model"))).key.labels]
    assert labels[:5] == [f"m{at}" for at in range(5)]
    assert (len(labels), labels[-1]) == (9, "12 others")


def test_the_first_run_lies_on_top_and_its_tip_names_it(record: Record) -> None:
    runs = [record("new", {"a": 1}, rmse=1.0), record("old", {"a": 1}, rmse=1.0)]
    (panel,) = picture_scatter(scatter_runs(runs, parse_field("params.a"), parse_field("metrics.rmse"))).panels
    assert list(panel.marks[-1].tip) == [f"new ({runs[0].id[-8:]})", "params.a = 1", "metrics.rmse = 1"]
