"""The points of metrics: in the order of their steps, every bit kept, summed up, and thinned without a trace."""

import math
import struct
from array import array
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.errors import StoreError
from lin.numbers import Real
from lin.project import Project
from lin.records import MetricPoint
from lin.runs.curves import PARTS, Points, number_points, read_curves, read_points, summarise_points, thin_points
from lin.runs.record import Recorder
from lin.store.runs import LOG, encode_line

Begin = Callable[..., Recorder]
VALUES = st.lists(st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 1.7e308, -1.7e308, 5e-324])), min_size=1)


def points_of(values: list[float], steps: list[int] | None = None) -> Points:
    return Points(array("q", steps or range(len(values))), array("d", values))


def bits(value: float) -> bytes:
    return struct.pack(">d", value)


def test_points_stand_in_the_order_of_steps_and_of_one_step_as_they_were_logged(project: Project, begin: Begin) -> None:
    run = begin()
    for step, value in ((2, 2.0), (0, 0.5), (1, 1.0), (0, 0.25)):
        run.log_metric("loss", value, step=step)
    run.log_metric("rmse", 4)
    run.log_param("loss", 1)
    run.seal("finished")
    found = read_points(project.store, run.id)
    assert list(found) == ["loss", "rmse"]
    assert (list(found["loss"].steps), list(found["loss"].values)) == ([0, 0, 1, 2], [0.5, 0.25, 1.0, 2.0])
    assert list(read_points(project.store, run.id, {"rmse"})) == ["rmse"]
    assert (found["loss"].has_steps, found["rmse"].has_steps) == (True, False)


def test_every_bit_of_a_value_is_kept(project: Project, begin: Begin) -> None:
    run = begin()
    odd = struct.unpack(">d", bytes.fromhex("fff80000000abcde"))[0]
    for step, value in enumerate((odd, math.inf, -math.inf, -0.0, 5e-324)):
        run.log_metric("m", value, step=step)
    run.seal("finished")
    values = read_points(project.store, run.id)["m"].values
    assert [bits(value) for value in values] == [bits(v) for v in (odd, math.inf, -math.inf, -0.0, 5e-324)]


def test_an_open_run_and_a_run_without_a_log(project: Project, begin: Begin) -> None:
    run = begin()
    assert read_curves(project.store, run.id) == {}
    run.log_metric("m", 1.0)
    run.flush()
    assert read_curves(project.store, run.id)["m"].points == 1


def test_torn_lines_are_passed_over_and_a_step_beyond_64_bits_is_refused(project: Project, begin: Begin) -> None:
    run = begin()
    run.log_metric("m", 1.0)
    run.flush()
    log = project.store.runs.appender(run.id, LOG)
    log.append(b'{"crc":"00000000","type":"metric"\n')
    log.append(encode_line(MetricPoint(key="m", value=Real(2.0), time=0.0, step=1)))
    assert list(read_points(project.store, run.id)["m"].values) == [1.0, 2.0]
    log.append(encode_line(MetricPoint(key="m", value=Real(2.0), time=0.0, step=2**63)))
    with pytest.raises(StoreError, match="beyond 64 bits"):
        read_points(project.store, run.id)


@settings(max_examples=50, deadline=None)
@given(VALUES)
def test_a_summary_is_what_the_points_are(values: list[float]) -> None:
    curve = summarise_points(points_of(values))
    finite = [value for value in values if math.isfinite(value)]
    assert (curve.points, curve.not_finite) == (len(values), len(values) - len(finite))
    assert (bits(curve.first), bits(curve.last)) == (bits(values[0]), bits(values[-1]))
    assert (curve.least, curve.greatest) == ((min(finite), max(finite)) if finite else (None, None))
    assert len(curve.course) == min(len(values), PARTS)
    assert sum(map(math.isfinite, curve.course)) <= len(finite)
    if curve.least is not None and curve.greatest is not None:
        slack = 1e-12 * max(abs(curve.least), abs(curve.greatest)) + 5e-324
        assert all(curve.least - slack <= v <= curve.greatest + slack for v in curve.course if math.isfinite(v))


def test_a_course_has_the_means_of_parts_and_what_is_not_finite_where_nothing_else_is() -> None:
    values = [float(at // 2) for at in range(2 * PARTS)]
    values[4:6] = [math.inf, math.nan]
    values[6] = math.nan
    course = summarise_points(points_of(values)).course
    assert course == [0.0, 1.0, math.inf, *map(float, range(3, PARTS))]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.floats(width=32)), min_size=30, max_size=200), st.integers(1, 5))
def test_thinned_points_draw_the_same_line(points: list[tuple[int, float]], columns: int) -> None:
    points.sort(key=lambda point: point[0])
    whole = points_of([value for _, value in points], [step for step, _ in points])
    thin = thin_points(whole, columns)
    assert len(thin.values) <= max(5 * columns, 1)
    rest = iter(zip(whole.steps, map(bits, whole.values), strict=True))
    assert all(point in rest for point in zip(thin.steps, map(bits, thin.values), strict=True))
    span = max(whole.steps[-1] - whole.steps[0], 1)

    def extremes(of: Points) -> dict[int, tuple[object, ...]]:
        found: dict[int, list[float]] = {}
        for step, value in zip(of.steps, of.values, strict=True):
            column = min(int((step - whole.steps[0]) * (columns / span)), columns - 1)
            found.setdefault(column, []).append(value)
        return {
            column: (
                bits(values[0]),
                bits(values[-1]),
                min(finite := [v for v in values if math.isfinite(v)], default=None),
                max(finite, default=None),
                len(finite) < len(values),
            )
            for column, values in found.items()
        }

    assert extremes(thin) == extremes(whole)


def test_extremes_and_gaps_survive_among_many_points() -> None:
    values = [0.0] * 1000
    values[333], values[666], values[999 // 2] = 9.0, -9.0, math.nan
    thin = thin_points(points_of(values), 7)
    assert len(thin.values) <= 35
    assert {9.0, -9.0} <= set(thin.values)
    assert sum(map(math.isnan, thin.values)) == 1


def test_points_without_steps_are_numbered() -> None:
    numbered = number_points(points_of([3.0, 2.0, 1.0], [7, 7, 7]))
    assert (list(numbered.steps), numbered.has_steps) == ([0, 1, 2], True)
