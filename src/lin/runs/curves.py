"""The points of a run's metrics, from its log: all of them, what they amount to, or as few as draw the same line.

Points stand in the order of their steps, those of one step as they were logged, so that the last is the metric's
value. Every bit of a value is kept: NaN and infinities are points like others, and gaps of a line.
"""

import math
from array import array
from collections.abc import Container
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from lin.errors import StoreError
from lin.numbers import Real
from lin.store.runs import LOG, Point, read_lines, real_value
from lin.store.store import Store

PARTS = 40
"""A course has at most so many parts."""


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """What the points of one metric amount to.

    `least` and `greatest` are of the finite points, None where there is none. `course` is the curve in at most
    `PARTS` parts with as many points each: the mean of those that are finite, or else the part's first point.
    """

    points: int
    not_finite: int
    first_step: int
    last_step: int
    first: Real
    last: Real
    least: Real | None
    greatest: Real | None
    course: list[Real]


@dataclass(frozen=True)
class Points:
    """The points of one metric: whole numbers of 64 bits, and doubles."""

    steps: "array[int]"
    values: "array[float]"

    @property
    def has_steps(self) -> bool:
        """Whether there is more than one step: who logs without gives all points the same."""
        return self.steps[0] != self.steps[-1]


def read_points(store: Store, run_id: str, keys: Container[str] | None = None) -> dict[str, Points]:
    """The points of the run's metrics (default: of all) by name, in the order in which they first came.

    Takes 16 bytes a point beside the log itself.

    Raises:
        StoreError: the log is damaged beyond a torn line.
    """
    where = f"the log of run {run_id}"
    found: dict[str, Points] = {}
    for line in read_lines(store.runs.file(run_id, LOG) or b"", where):
        if not isinstance(line, Point) or (keys is not None and line.key not in keys):
            continue
        points = found.get(line.key)
        if points is None:
            points = found[line.key] = Points(array("q"), array("d"))
        value = line.value
        points.values.append(value if isinstance(value, float) else real_value(value, where))
        try:
            points.steps.append(line.step)
        except OverflowError as error:
            raise StoreError(f"{where} is damaged: step {line.step} is beyond 64 bits") from error
    return {key: _in_order(points) for key, points in found.items()}


def read_curves(store: Store, run_id: str) -> dict[str, Curve]:
    """What the run's metrics amount to, by name. Raises `StoreError` as `read_points`."""
    return {key: summarise_points(points) for key, points in read_points(store, run_id).items()}


def summarise_points(points: Points) -> Curve:
    """What these points, at least one, amount to."""
    values = points.values
    count = len(values)
    ends = [count * part // min(count, PARTS) for part in range(min(count, PARTS) + 1)]
    parts = [_summarise_part(values[low:high]) for low, high in pairwise(ends)]
    finite = [part for part in parts if part.finite]
    return Curve(
        points=count,
        not_finite=count - sum(part.finite for part in parts),
        first_step=points.steps[0],
        last_step=points.steps[-1],
        first=Real(values[0]),
        last=Real(values[-1]),
        least=Real(min(part.least for part in finite)) if finite else None,
        greatest=Real(max(part.greatest for part in finite)) if finite else None,
        course=[Real(part.mean) for part in parts],
    )


def mean_of(values: "array[float] | list[float]") -> float:
    """The mean of finite numbers, which may be so large that their sum is not."""
    total = sum(values)
    return total / len(values) if math.isfinite(total) else math.fsum(value / len(values) for value in values)


@dataclass(frozen=True)
class _Part:
    finite: int
    mean: float
    least: float
    greatest: float


def _summarise_part(values: "array[float]") -> _Part:
    kept = values
    if not math.isfinite(sum(values)):  # one look at all of them, where there is nothing else
        kept = array("d", filter(math.isfinite, values))
    if not kept:
        return _Part(0, values[0], math.nan, math.nan)
    return _Part(len(kept), mean_of(kept), min(kept), max(kept))


def _in_order(points: Points) -> Points:
    steps = points.steps
    if all(map(int.__le__, steps, steps[1:])):
        return points
    order = sorted(range(len(steps)), key=steps.__getitem__)
    return Points(array("q", [steps[at] for at in order]), array("d", [points.values[at] for at in order]))


def number_points(points: Points) -> Points:
    """The same values, with the number of each point for its step: for points that were logged without."""
    return Points(array("q", range(len(points.values))), points.values)


def thin_points(points: Points, columns: int) -> Points:
    """As few of the points as draw the same line on so many columns of pixels.

    Of each column the first, the last, the least and the greatest stay, and one that is not finite, which is a gap:
    M4 (Jugel, Jerzak, Hackenbroich and Markl, 2014).
    """
    if len(points.values) <= 5 * columns:
        return points
    import numpy as np

    values = np.frombuffer(points.values, dtype=np.float64)
    along = np.frombuffer(points.steps, dtype=np.int64).astype(np.float64)
    column = ((along - along[0]) * (columns / max(along[-1] - along[0], 1.0))).astype(np.int64).clip(max=columns - 1)
    begins = np.flatnonzero(np.diff(column, prepend=-1))
    ends = np.append(begins[1:], len(values)) - 1
    finite = np.isfinite(values)
    least = np.lexsort((np.where(finite, values, np.inf), column))[begins]
    greatest = np.lexsort((np.where(finite, values, -np.inf), column))[ends]
    gaps = np.flatnonzero(~finite)
    gaps = gaps[np.unique(column[gaps], return_index=True)[1]]
    kept = np.unique(np.concatenate([begins, ends, least, greatest, gaps])).tolist()
    return Points(array("q", [points.steps[at] for at in kept]), array("d", [points.values[at] for at in kept]))
