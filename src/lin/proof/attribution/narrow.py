"""Finding which of many parts did it, by trying sets of them: delta debugging and bisection over an oracle. Pure.

The oracle answers with a number for each set of parts, None where such a thing cannot be. Parts are numbered from 0.
What is found reaches the whole's value by itself, and what is left of the whole without it does nothing: only then is
it confirmed. Nothing is inferred of a set that gave no answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")
Parts = frozenset[int]
Measure = Callable[[Sequence[Parts]], list[float | None]]

MOST_ALONE = 4


@dataclass(frozen=True)
class Goal:
    """From which value to which the parts lead, how far off is as good as there, and how many to try at a time."""

    base: float
    target: float
    tolerance: float
    width: int = 1

    def reached(self, value: float | None) -> bool:
        """Whether that is the value of the whole."""
        return value is not None and self.is_near(value, self.target)

    def unmoved(self, value: float | None) -> bool:
        """Whether that is the value without any part."""
        return value is not None and self.is_near(value, self.base)

    def is_near(self, one: float, other: float) -> bool:
        """Whether two values are as good as one; what rounding does at the limit is let pass."""
        return abs(one - other) <= self.tolerance * (1 + 1e-9)


@dataclass(frozen=True)
class Found:
    """The parts that do it. `alone`: the value with only them; `rest`: with all but them.

    `each`: the value with each by itself, where there are at most `MOST_ALONE`.

    `confirmed`: they reach the whole alone, and the others do nothing.
    """

    parts: Parts
    alone: float | None
    rest: float | None
    each: dict[int, float | None]
    confirmed: bool


@dataclass(frozen=True)
class Jump:
    """Steps after each other, of which the first is number `low`, that carry a change; `high` is one past the last."""

    low: int
    high: int
    before: float
    after: float


# --- parts in no order ------------------------------------------------------------------------------------------------


def find_parts(measure: Measure, count: int, goal: Goal) -> Found:
    """The smallest set of parts that reaches the goal alone, and all others that do something without them.

    Where two of them do the same, both are found: what is left after the first is searched as well.
    """
    every = frozenset(range(count))
    found = minimise(measure, every, goal)
    rest = every - found
    left = _left(measure, rest, goal)
    while left is not None and not goal.unmoved(left):
        found |= minimise(measure, rest, Goal(goal.base, left, goal.tolerance, goal.width))
        rest = every - found
        left = _left(measure, rest, goal)
    (alone,) = measure([found])
    if not goal.reached(alone):  # apart they do it, together they do something else: nothing less than all is known
        found, alone, left = every, goal.target, goal.base
    each = {next(iter(found)): alone} if len(found) == 1 else {}
    if 1 < len(found) <= MOST_ALONE:
        each = dict(zip(sorted(found), measure([frozenset({part}) for part in sorted(found)]), strict=True))
    return Found(found, alone, left, each, goal.reached(alone) and goal.unmoved(left))


def minimise(measure: Measure, parts: Parts, goal: Goal) -> Parts:
    """A set of the parts that reaches the goal, of which none can be left out: `ddmin`.

    Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002. The third outcome, a set
    that gives no answer, counts as one that does not reach the goal.
    """
    kept, pieces = sorted(parts), 2
    while len(kept) > 1:
        chunks = _divide(kept, pieces)
        smaller = _first(measure, chunks, goal)
        if smaller is not None:
            kept, pieces = sorted(smaller), 2
            continue
        without = [frozenset(kept) - chunk for chunk in chunks] if pieces > 2 else []  # noqa: PLR2004  halves
        smaller = _first(measure, without, goal)
        if smaller is not None:
            kept, pieces = sorted(smaller), max(pieces - 1, 2)
        elif pieces < len(kept):
            pieces = min(2 * pieces, len(kept))
        else:
            break
    return frozenset(kept)


def _left(measure: Measure, rest: Parts, goal: Goal) -> float | None:
    return measure([rest])[0] if rest else goal.base


def _first(measure: Measure, sets: Sequence[Parts], goal: Goal) -> Parts | None:
    """The first of the sets that reaches the goal; after it no more are tried than go together."""
    for batch in _batches(sets, goal.width):
        for parts, value in zip(batch, measure(batch), strict=True):
            if goal.reached(value):
                return parts
    return None


def _divide(parts: Sequence[int], pieces: int) -> list[Parts]:
    ends = [round(at * len(parts) / pieces) for at in range(pieces + 1)]
    return [frozenset(parts[low:high]) for low, high in pairwise(ends)]


# --- steps one after the other ----------------------------------------------------------------------------------------


def find_jumps(measure: Callable[[Sequence[int]], list[float | None]], count: int, goal: Goal) -> list[Jump]:
    """The steps that carry the way from base to target, by bisection.

    Args:
        measure: the values after so many steps of `count`, for several numbers at once.
        count: how many steps there are.
        goal: where the way begins and ends; a stretch that ends as near as the tolerance to where it begins is passed
            over, even if something happens within it that is undone again.
    """
    return _jumps(measure, Jump(0, count, goal.base, goal.target), goal)


def _jumps(measure: Callable[[Sequence[int]], list[float | None]], stretch: Jump, goal: Goal) -> list[Jump]:
    if goal.is_near(stretch.before, stretch.after):
        return []
    between = _middle(measure, stretch, goal)
    if between is None:
        return [stretch]
    at, value = between
    first = Jump(stretch.low, at, stretch.before, value)
    second = Jump(at, stretch.high, value, stretch.after)
    found = [*_jumps(measure, first, goal), *_jumps(measure, second, goal)]
    carried = sum(jump.after - jump.before for jump in found)
    # many small steps: none of them carries it, the stretch does
    return found if goal.is_near(carried, stretch.after - stretch.before) else [stretch]


def _middle(
    measure: Callable[[Sequence[int]], list[float | None]], stretch: Jump, goal: Goal
) -> tuple[int, float] | None:
    """The place nearest to the middle of a stretch that has a value, and the value; None where there is none."""
    middle = (stretch.low + stretch.high) // 2
    places = sorted(range(stretch.low + 1, stretch.high), key=lambda at: abs(at - middle))
    for batch in [places[:1], *_batches(places[1:], goal.width)]:  # the first does nearly always
        for at, value in zip(batch, measure(batch), strict=True):
            if value is not None:
                return at, value
    return None


def _batches(items: Sequence[T], width: int) -> list[Sequence[T]]:
    return [items[at : at + width] for at in range(0, len(items), width)]
