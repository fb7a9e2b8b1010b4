"""The ladder of verdicts: each rung is reached by what it names, and by nothing less."""

import dataclasses
import io
import math
import shutil
import struct
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.tables import Table
from lin.errors import NotFoundError, UsageError
from lin.project import Project
from lin.proof.verdict.verify import Verification, verify_runs
from lin.records import Blas, Environment, FileRef, Fit, ModelRef, Source, SourceTree, TableRef, decode, digest, encode
from lin.runs.golden import GOLDEN
from lin.runs.golden import is_close as _close
from lin.runs.query import RunInfo
from lin.runs.record import Capture, begin_run
from lin.runs.train import PREDICTIONS
from lin.runs.writes import pin_input

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


# --- how they ended ---------------------------------------------------------------------------------------------------


def test_another_ending_is_different_whatever_else_is_the_same(judge: Judge) -> None:
    found = judge(FIT, FIT | {"status": "failed"}, tolerance=1.0)
    assert (found.verdict, named(found)) == ("different", [("status", "")])
    assert judge(FIT | {"status": "failed"}, FIT | {"status": "failed"}).verdict == "identical"
    assert judge({"status": "failed"}, {}).verdict == "different"


def test_another_exit_code_is_different(project: Project, captured: Capture) -> None:
    runs = []
    for code in (1, 2):
        recorder = begin_run(project, captured, kind="command", name="it")
        recorder.log_metric("m", 1.0)
        recorder.seal("failed", exit_code=code, error=f"it broke {code} times")
        runs.append(recorder.id)
    found = verify_runs(project, *runs)
    assert (found.verdict, named(found)) == ("different", [("exit code", "")])
    assert [line.partition(": ")[2] for line in found.context] == ["it broke 1 times", "it broke 2 times"]


def test_a_program_that_failed_without_a_word_points_to_what_it_printed(project: Project, captured: Capture) -> None:
    runs = []
    for status, code in (("finished", 0), ("failed", 3)):
        recorder = begin_run(project, captured, kind="command", name="it")
        recorder.log_metric("m", 1.0)
        recorder.seal(status, exit_code=code)
        runs.append(recorder.id)
    (line,) = verify_runs(project, *runs).context
    assert line == f"run {runs[1][-8:]} ended with exit code 3: see lin output {runs[1][-8:]}"


# --- golden predictions -----------------------------------------------------------------------------------------------


def golden(*predicted: float) -> dict[str, Any]:
    sink = io.BytesIO()
    pq.write_table(pa.table({"ID": [1, 2], "predicted": list(predicted)}), sink)
    return FIT | {"artifacts": {GOLDEN: sink.getvalue()}}


def test_golden_predictions_count_as_predictions(judge: Judge) -> None:
    assert judge(golden(1.0, 2.0), golden(1.0, 2.0)).compared.golden == 2
    near = judge(golden(1.0, 2.0), golden(1.0, 2.5))
    assert (near.verdict, near.largest) == ("different", 0.5)
    assert ("golden predictions", "1 of 2 rows") in named(near)
    assert judge(golden(1.0, 2.0), golden(1.0, 2.5), tolerance=0.2).verdict == "within tolerance"


def test_golden_predictions_that_only_one_has_are_a_file_that_is_named(judge: Judge) -> None:
    found = judge(FIT | {"artifacts": {}}, golden(1.0, 2.0))
    assert (found.verdict, named(found)) == ("same predictions", [("artifact", GOLDEN)])
    without = {"metrics": {"m": 1.0}}
    assert judge(without, without | {"artifacts": golden(1.0, 2.0)["artifacts"]}).verdict == "different"


def test_equal_golden_predictions_do_not_stand_for_predictions_that_are_missing(judge: Judge) -> None:
    found = judge(golden(1.0, 2.0), golden(1.0, 2.0) | {"predicted": None}, tolerance=1.0)
    assert (found.verdict, named(found)) == ("different", [("artifact", PREDICTIONS)])


# --- files and tables written -----------------------------------------------------------------------------------------


def file(content: bytes, path: str = "out.csv") -> FileRef:
    return FileRef(path=path, sha256=digest(content), bytes=len(content))


def test_the_files_that_a_run_wrote_are_compared_by_path_and_content(judge: Judge) -> None:
    assert judge({"outputs": [file(b"1")]}, {"outputs": [file(b"1")]}).verdict == "identical"
    for other in ([file(b"2")], [], [file(b"1"), file(b"1", "more.csv")], [file(b"1", "other.csv")]):
        found = judge({"outputs": [file(b"1")]}, {"outputs": other}, tolerance=1.0)
        assert found.verdict == "different", other
        assert {what for what, _ in named(found)} == {"file"}
    found = judge(FIT | {"outputs": [file(b"1")]}, FIT | {"outputs": [file(b"2")]})
    assert (found.verdict, named(found)) == ("same predictions", [("file", "out.csv")])


@pytest.fixture
def write(project: Project) -> Callable[..., TableRef]:
    """Writes rows as the newest version of a table in a place of its own; the reference is called `out`."""
    numbers = count()

    def write(rows: pa.Table, *more: pa.Table, order: Sequence[str] = (), name: str = "out") -> TableRef:
        root = project.root / "data" / str(next(numbers))
        for part in (rows, *more):
            write_deltalake(str(root), part, mode="append")
        _, written = pin_input(project, Table(name, root, order=tuple(order)))
        return written

    return write


Write = Callable[..., TableRef]


def rows(*medv: float, **more: Any) -> pa.Table:
    return pa.table({"ID": list(range(len(medv))), "medv": list(medv)} | more)


def outputs(*written: TableRef) -> dict[str, Any]:
    return {"outputs": list(written)}


def test_tables_are_the_same_by_content_whatever_their_files_are_called(judge: Judge, write: Write) -> None:
    first, second = write(rows(1.0, 2.0)), write(rows(1.0, 2.0))
    assert first.pin != second.pin
    found = judge(outputs(first), outputs(second))
    assert (found.verdict, found.differences, found.compared.tables) == ("identical", [], 1)


def test_a_table_in_other_files_is_compared_row_by_row(judge: Judge, write: Write) -> None:
    first, second = write(rows(1.0, 2.0)), write(rows(1.0), rows(1.0, 2.0).slice(1))
    found = judge(outputs(first), outputs(second))
    assert (found.verdict, named(found)) == ("same predictions", [("output", "out")])
    assert found.context == ["output out: other files, but row by row the same"]


def test_rows_in_another_order_are_told(judge: Judge, write: Write) -> None:
    halves = rows(1.0, 2.0).slice(0, 1), rows(1.0, 2.0).slice(1)
    shuffled = judge(outputs(write(rows(1.0, 2.0))), outputs(write(rows(1.0, 2.0).take([1, 0]))))
    assert (shuffled.verdict, shuffled.context) == ("same predictions", ["output out: the same rows in another order"])
    turned = judge(outputs(write(*halves)), outputs(write(*reversed(halves))))
    assert turned.context == ["output out: the same files in another order, and so the same rows"]
    ordered = judge(outputs(write(*halves, order=["ID"])), outputs(write(*reversed(halves), order=["ID"])))
    assert ordered.verdict == "same predictions"


def test_one_other_cell_of_a_table_is_different_or_close(judge: Judge, write: Write) -> None:
    first, second = write(rows(1.0, 2.0)), write(rows(1.0, 2.25))
    found = judge(outputs(first), outputs(second))
    assert (found.verdict, found.largest) == ("different", 0.25)
    assert named(found) == [("output", "out"), ("rows of out", "1 of 2 rows of 'medv'")]
    assert judge(outputs(first), outputs(second), tolerance=0.1).verdict == "within tolerance"
    assert judge(outputs(first), outputs(second), tolerance=0.01).verdict == "different"
    assert judge(FIT | outputs(first), FIT | outputs(second)).verdict == "different"


def test_missing_and_extra_tables_rows_and_columns_are_different(judge: Judge, write: Write) -> None:
    first = write(rows(1.0, 2.0))
    for other in (
        [],
        [first, write(rows(1.0), name="more")],
        [first, write(rows(1.0, 2.0))],
        [write(rows(1.0))],
        [write(rows(1.0, 2.0, extra=[1, 2]))],
        [write(rows(1.0, 2.0), name="elsewhere")],
    ):
        found = judge(outputs(first), outputs(*other), tolerance=1.0)
        assert found.verdict == "different", other
        assert named(found)[0][0] == "output"


def test_rows_that_cannot_be_read_any_more_are_said_not_to_be_compared(
    project: Project, judge: Judge, write: Write
) -> None:
    first, second = write(rows(1.0, 2.0)), write(rows(1.0), rows(1.0, 2.0).slice(1))
    shutil.rmtree(project.root / "data" / "1")
    found = judge(outputs(first), outputs(second), tolerance=1.0)
    assert (found.verdict, named(found)) == ("different", [("output", "out")])
    assert found.context[0].startswith("output out: its files differ, and the rows cannot be compared: data file ")


def test_a_pin_that_is_gone_is_said_to_be(judge: Judge) -> None:
    gone = TableRef(table="out", location="../data", version=0, pin="a" * 64, rows=1)
    found = judge(outputs(gone), outputs(msgspec.structs.replace(gone, pin="b" * 64)))
    assert (found.verdict, named(found)) == ("different", [("output", "out")])
    assert "is missing from the store" in found.context[0]
    assert judge(outputs(gone), outputs(gone)).verdict == "identical"


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
    assert (found.largest, found.largest_probability, found.flips) == (0.125, 0.125, 0)
    assert judge(FIT | {"predicted": likely}, other, tolerance=0.2).verdict == "within tolerance"
    rows = FIT | {"predicted": likely | {"ID": [1, 3], "probability of a": [0.75, 0.5]}}
    found = judge(FIT | {"predicted": likely}, rows, tolerance=1.0)
    assert (found.verdict, found.largest_probability) == ("different", None)  # of other rows, no distance is told


def test_labels_must_be_equal_whatever_the_tolerance(judge: Judge) -> None:
    first, second = FIT | {"predicted": ["a", "b"]}, FIT | {"predicted": ["a", "c"]}
    found = judge(first, second, tolerance=1e9)
    assert (found.verdict, found.flips) == ("different", 1)
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


def test_only_runs_that_ended_are_compared(project: Project, made_up: MakeUp) -> None:
    good, bad = made_up(**FIT), made_up(**FIT, status="interrupted")
    for first, second in ((good, bad), (bad, good)):
        with pytest.raises(UsageError, match="is interrupted; only runs that ended can be compared"):
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
    assert context([read(0, "a")], [read(1, "b")]) == ["data: housing@0 -> housing@1, other data"]
    assert context([read(0, "a")], []) == ["data: table housing is read by only one of them"]
    assert context([read(0, "a")], [read(0, "a", "ID")]) == ["data: housing is read in another order: as written -> ID"]
    model = ModelRef(model="boston", version=1, sha256=digest(b"a"))
    other = msgspec.structs.replace(model, version=2, sha256=digest(b"b"))
    assert context([file(b"1"), model], [file(b"2"), other]) == [
        "data: file out.csv has other content",
        "data: boston@1 -> boston@2",
    ]


def test_the_axes_are_told_apart(project: Project, captured: Capture, made_up: MakeUp) -> None:
    blobs = project.store.blobs
    environment = decode(blobs.read(captured.environment), Environment, where="it")
    blas = Blas(library="openblas", version="0.3", threads=2, kernel="Zen")
    variables = {"OMP_NUM_THREADS": "3", "PYTHONHASHSEED": "1", "TZ": "UTC"}
    here, there = (
        msgspec.structs.replace(environment, blas=[blas], variables={}),
        msgspec.structs.replace(
            environment,
            python="3.99.0",
            variables=variables,
            blas=[msgspec.structs.replace(blas, version="0.4", threads=1, kernel="Haswell")],
            cpu_features=[*environment.cpu_features, "avx10"],
        ),
    )
    first = dataclasses.replace(captured, environment=blobs.put(encode(here)))
    second = dataclasses.replace(
        captured,
        source=Source(tree=blobs.put(encode(SourceTree(files=[])))),
        environment=blobs.put(encode(there)),
        host=msgspec.structs.replace(captured.host, cpu="Z80"),
    )
    a = made_up(**FIT, around=first)
    b = made_up(**(FIT | {"params": {"alpha": 0.2, "ridge__random_state": 4}}), around=second)
    found = verify_runs(project, a.id, b.id)
    assert found.verdict == "same predictions"
    assert found.axes == ["source", "environment", "params", "seed", "host"]
    assert found.context == [
        "source: the project's files differ",
        f"environment: python {environment.python} -> 3.99.0",
        "environment: openblas 0.3 -> 0.4",
        "environment: TZ unset -> UTC",
        "seed: PYTHONHASHSEED unset -> 1",
        "host: threads of openblas 2 -> 1",
        "host: kernel of openblas Zen -> Haswell",
        "host: OMP_NUM_THREADS unset -> 3",
        *(["host: CPU feature avx10: only in the second"] if environment.cpu_features else []),
        f"host: cpu {captured.host.cpu} -> Z80",
    ]


def test_an_environment_that_is_gone_is_said_to_be(project: Project, captured: Capture, made_up: MakeUp) -> None:
    a = made_up(**FIT)
    kept = project.store.blobs.put(b"it")
    b = made_up(**FIT, around=dataclasses.replace(captured, environment=kept))
    found = verify_runs(project, a.id, b.id)
    assert (found.verdict, found.axes) == ("identical", ["environment"])
    assert found.context[0].startswith("environment: it cannot be compared: environment ")


def test_settings_of_a_fit_are_told(project: Project, made_up: MakeUp) -> None:
    fit = Fit(estimator=["sklearn.linear_model.Ridge"], target="medv", test_size=0.2, seed=1)
    other = msgspec.structs.replace(fit, test_size=0.3, seed=2, rows="ID > 1")
    found = verify_runs(project, made_up(**FIT, fit=fit).id, made_up(**FIT, fit=other).id)
    assert found.axes == ["params", "seed"]
    assert found.context == ["params: rows none -> ID > 1", "params: test_size 0.2 -> 0.3", "seed: seed 1 -> 2"]
