"""The ladder of verdicts: each rung is reached by what it names, and by nothing less."""

import dataclasses
import math
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.errors import NotFoundError, UsageError
from lin.project import Project
from lin.proof.verify import Verification, _close, verify_runs
from lin.records import Environment, Source, SourceTree, TableRef, decode, digest, encode
from lin.runs.query import RunInfo
from lin.runs.record import Capture
from lin.runs.train import PREDICTIONS

MakeUp = Callable[..., RunInfo]
PAYLOAD = struct.unpack(">d", bytes.fromhex("7ff8000000000001"))[0]
"""A NaN with other bits than the usual one."""


@pytest.fixture
def judge(project: Project, made_up: MakeUp) -> Callable[..., Verification]:
    """Compares two made-up runs both ways round, which must give the same verdict; returns the first comparison."""

    def judge(first: dict[str, Any], second: dict[str, Any], tolerance: float | None = None) -> Verification:
        a, b = made_up(**first), made_up(**second)
        there = verify_runs(project, a.id, b.id, tolerance=tolerance)
        back = verify_runs(project, b.id, a.id, tolerance=tolerance)
        assert there.verdict == back.verdict
        assert [(d.what, d.name) for d in there.differences] == [(d.what, d.name) for d in back.differences]
        assert [repr(d.first) for d in there.differences] == [repr(d.second) for d in back.differences]
        assert (there.first, there.second) == (a.id, b.id)
        return there

    return judge


Judge = Callable[..., Verification]
FIT: dict[str, Any] = {
    "params": {"alpha": 0.1},
    "metrics": {"rmse": 4.5},
    "artifacts": {"model": b"m"},
    "predicted": [1.0, 2.0],
}


def named(found: Verification) -> list[tuple[str, str]]:
    return [(d.what, d.name) for d in found.differences]


# --- the rungs --------------------------------------------------------------------------------------------------------


def test_identical_is_every_parameter_metric_and_byte(judge: Judge) -> None:
    found = judge(FIT, FIT)
    assert (found.verdict, found.same, found.differences, found.context) == ("identical", True, [], [])
    assert found.largest == 0


def test_another_file_alone_leaves_the_same_predictions(judge: Judge) -> None:
    found = judge(FIT, FIT | {"artifacts": {"model": b"other"}})
    assert (found.verdict, found.same) == ("same predictions", True)
    assert named(found) == [("artifact", "model")]


def test_predictions_are_compared_by_value_not_by_file(judge: Judge) -> None:
    renamed = {"predicted": [1.0, 2.0], "ID": [7, 8]}
    same = judge(FIT | {"predicted": renamed}, FIT | {"predicted": dict(reversed(renamed.items()))})
    assert (same.verdict, named(same)) == ("same predictions", [("artifact", PREDICTIONS)])


def test_other_parameters_with_the_same_predictions_are_named(judge: Judge) -> None:
    found = judge(FIT, FIT | {"params": {"alpha": 0.2, "extra": None}})
    assert found.verdict == "same predictions"
    assert [(d.what, d.name, d.first, d.second) for d in found.differences] == [
        ("param", "alpha", 0.1, 0.2),
        ("param", "extra", None, None),
    ]


def test_within_tolerance_is_only_said_when_asked_for(judge: Judge) -> None:
    near = FIT | {"metrics": {"rmse": 4.5 + 1e-9}, "predicted": [1.0, 2.0 + 1e-9]}
    assert judge(FIT, near).verdict == "different"
    found = judge(FIT, near, tolerance=1e-8)
    assert (found.verdict, found.same, found.tolerance) == ("within tolerance", True, 1e-8)
    assert ("metric", "rmse") in named(found)
    assert ("predictions", "1 of 2 rows") in named(found)
    assert found.largest == pytest.approx(1e-9, rel=1e-6)
    assert judge(FIT, near, tolerance=1e-11).verdict == "different"
    assert judge(FIT, FIT, tolerance=1e-8).verdict == "identical"


def test_one_far_prediction_or_metric_is_different(judge: Judge) -> None:
    for change in ({"predicted": [1.0, 3.0]}, {"metrics": {"rmse": 5.5}}):
        found = judge(FIT, FIT | change, tolerance=1e-3)
        assert (found.verdict, found.same, found.largest) == ("different", False, 1.0)


# --- missing and extra ------------------------------------------------------------------------------------------------


def test_a_missing_or_extra_artifact_counts_both_ways(judge: Judge) -> None:
    extra = FIT | {"artifacts": {"model": b"m", "plot.png": b"p"}}
    for first, second in ((FIT, extra), (extra, FIT)):
        found = judge(first, second)
        assert (found.verdict, named(found)) == ("same predictions", [("artifact", "plot.png")])
        assert [found.differences[0].first is None, found.differences[0].second is None] == [
            first is FIT,
            second is FIT,
        ]


def test_a_missing_metric_or_prediction_is_never_within_tolerance(judge: Judge) -> None:
    for change in (
        {"metrics": {}},
        {"metrics": {"rmse": 4.5, "r2": 0.5}},
        {"predicted": None},
        {"predicted": [1.0]},
        {"predicted": [1.0, 2.0, 3.0]},
        {"predicted": {"other": [1.0, 2.0]}},
    ):
        assert judge(FIT, FIT | change, tolerance=1.0).verdict == "different", change


def test_what_has_no_predictions_is_judged_by_all_that_it_has(judge: Judge) -> None:
    metrics = {"metrics": {"rmse": 4.5}}
    assert judge(metrics, metrics).verdict == "identical"
    assert judge(metrics | {"artifacts": {"a": b"1"}}, metrics | {"artifacts": {"a": b"2"}}).verdict == "different"
    assert judge(metrics, {"metrics": {"rmse": 4.6}}, tolerance=0.1).verdict == "within tolerance"


def test_files_alone_are_never_within_tolerance(judge: Judge) -> None:
    assert judge({"artifacts": {"a": b"1"}}, {"artifacts": {"a": b"2"}}, tolerance=1.0).verdict == "different"


def test_runs_that_left_nothing_are_not_called_identical(judge: Judge) -> None:
    found = judge({"params": {"a": 1}}, {"params": {"a": 1}})
    assert (found.verdict, found.same) == ("inconclusive", False)
    assert "nothing to compare" in found.context[0]
    assert judge({}, {"metrics": {"m": 1.0}}).verdict == "different"


def written(pin: str) -> list[TableRef]:
    return [TableRef(table="housing", location="../data", version=0, pin=pin * 64, rows=1)]


def test_the_tables_that_a_run_wrote_are_compared_by_content(judge: Judge) -> None:
    assert judge({"outputs": written("a")}, {"outputs": written("a")}).verdict == "identical"
    found = judge({"outputs": written("a")}, {"outputs": written("b")})
    assert (found.verdict, named(found)) == ("different", [("output", "housing")])


# --- bits -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (math.nan, math.nan, True),
        (math.nan, PAYLOAD, False),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        (0.0, -0.0, False),
        (1.0, math.nextafter(1.0, 2), False),
    ],
)
def test_metrics_and_predictions_are_the_same_only_bit_for_bit(
    judge: Judge, first: float, second: float, same: bool
) -> None:
    for key, x, y in (
        ("metrics", {"m": first}, {"m": second}),
        ("predicted", [first, 1.0], [second, 1.0]),
    ):
        found = judge(FIT | {key: x}, FIT | {key: y})
        assert (found.verdict == "identical") is same
        assert found.same is same
        assert bool(found.differences) is not same


def test_what_differs_is_told_with_its_bits(judge: Judge) -> None:
    found = judge(FIT | {"predicted": [math.nan, -0.0]}, FIT | {"predicted": [0.5, 0.0]})
    told = msgspec.json.decode(encode(found))["differences"][0]
    assert (told["name"], told["first"], told["second"]) == ("2 of 2 rows", "NaN", 0.5)
    far = judge(FIT | {"metrics": {"m": math.inf}}, FIT | {"metrics": {"m": 1.0}})
    assert msgspec.json.decode(encode(far))["largest"] == "Infinity"


@pytest.mark.parametrize(("first", "second"), [(1, 1.0), (1, True), ([1], [1.0]), (0.0, -0.0), ("1", 1), (None, "")])
def test_parameters_are_compared_with_their_type(judge: Judge, first: Any, second: Any) -> None:
    found = judge({"params": {"p": first}, "metrics": {"m": 1.0}}, {"params": {"p": second}, "metrics": {"m": 1.0}})
    assert (found.verdict, named(found)) == ("different", [("param", "p")])


def test_every_column_of_the_predictions_counts(judge: Judge) -> None:
    likely = {"ID": [1, 2], "predicted": ["a", "b"], "probability of a": [0.75, 0.25]}
    other = FIT | {"predicted": likely | {"probability of a": [0.75, 0.375]}}
    found = judge(FIT | {"predicted": likely}, other)
    assert found.verdict == "different"
    assert named(found)[0] == ("predictions", "1 of 2 rows of 'probability of a'")
    assert found.largest == 0.125
    assert judge(FIT | {"predicted": likely}, other, tolerance=0.2).verdict == "within tolerance"
    rows = FIT | {"predicted": likely | {"ID": [1, 3]}}
    assert judge(FIT | {"predicted": likely}, rows, tolerance=1.0).verdict == "different"


def test_labels_must_be_equal_whatever_the_tolerance(judge: Judge) -> None:
    first, second = FIT | {"predicted": ["a", "b"]}, FIT | {"predicted": ["a", "c"]}
    assert judge(first, second, tolerance=1e9).verdict == "different"
    assert judge(FIT | {"predicted": [1, 2]}, FIT | {"predicted": [1, 3]}, tolerance=5.0).verdict == "different"


def test_a_file_that_is_no_parquet_is_compared_as_a_file(judge: Judge) -> None:
    for other in (b"not parquet", b"PAR1\x00PAR1"):
        found = judge({"artifacts": {PREDICTIONS: b"x"}}, {"artifacts": {PREDICTIONS: other}}, tolerance=1.0)
        assert (found.verdict, named(found)) == ("different", [("artifact", PREDICTIONS)])


# --- tolerance --------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(x=st.floats(), y=st.floats(), tolerance=st.floats(0, 10))
def test_closeness_is_symmetric_and_absolute_plus_relative(x: float, y: float, tolerance: float) -> None:
    assert _close(x, y, tolerance) == _close(y, x, tolerance)
    if math.isfinite(x) and math.isfinite(y):
        assert _close(x, y, tolerance) == (abs(x - y) <= tolerance + tolerance * max(abs(x), abs(y)))
    else:
        assert _close(x, y, tolerance) == (x == y or (math.isnan(x) and math.isnan(y)))


@pytest.mark.parametrize("tolerance", [-1e-9, math.nan, math.inf])
def test_a_tolerance_that_is_none_is_refused(project: Project, made_up: MakeUp, tolerance: float) -> None:
    run = made_up(**FIT)
    with pytest.raises(UsageError, match="is not a number of at least 0"):
        verify_runs(project, run.id, run.id, tolerance=tolerance)


# --- which runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_only_finished_runs_are_compared(project: Project, made_up: MakeUp, status: str) -> None:
    good, bad = made_up(**FIT), made_up(**FIT, status=status)
    for first, second in ((good, bad), (bad, good)):
        with pytest.raises(UsageError, match=f"is {status}; only finished runs can be compared"):
            verify_runs(project, first.id, second.id)
    with pytest.raises(NotFoundError):
        verify_runs(project, good.id, "zz")


# --- what lies around them --------------------------------------------------------------------------------------------


def read(version: int, pin: str, *order: str, table: str = "housing") -> TableRef:
    return TableRef(table=table, location="../x", version=version, pin=digest(pin.encode()), rows=1, order=list(order))


def test_the_context_names_other_data(project: Project, judge: Judge) -> None:
    for pin in (b"a", b"b"):
        project.store.blobs.put(pin)

    def context(first: list[TableRef], second: list[TableRef]) -> list[str]:
        found = judge(FIT | {"inputs": first}, FIT | {"inputs": second})
        assert found.verdict == "identical"
        return found.context

    assert context([read(0, "a")], [read(2, "a")]) == []  # a restored version is the same data
    assert context([read(0, "a")], [read(1, "b")]) == ["input: housing@0 -> housing@1, other data"]
    assert context([read(0, "a")], []) == ["input: table housing is read by only one of them"]
    assert context([read(0, "a")], [read(0, "a", "ID")]) == [
        "input: housing is read in another order: as written -> ['ID']"
    ]


def test_the_context_names_other_source_environment_and_host(
    project: Project, captured: Capture, made_up: MakeUp
) -> None:
    blobs = project.store.blobs
    environment = decode(blobs.read(captured.environment), Environment, where="it")
    other = msgspec.structs.replace(
        environment, python="3.99.0", variables=environment.variables | {"OMP_NUM_THREADS": "3"}
    )
    around = dataclasses.replace(
        captured,
        source=Source(tree=blobs.put(encode(SourceTree(files=[])))),
        environment=blobs.put(encode(other)),
        host=msgspec.structs.replace(captured.host, name="elsewhere", cpu="Z80"),
    )
    a, b = made_up(**FIT), made_up(**FIT, around=around)
    found = verify_runs(project, a.id, b.id)
    assert found.verdict == "identical"
    assert found.context == [
        "source: the project's files differ",
        f"environment: python {environment.python} -> 3.99.0",
        "environment: OMP_NUM_THREADS unset -> 3",
        f"host: {captured.host.name} ({captured.host.cpu}) -> elsewhere (Z80)",
    ]
