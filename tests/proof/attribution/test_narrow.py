"""Planted causes among parts and steps: found, and only they; what gives no answer is no evidence."""

import random
from collections.abc import Callable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from lin.proof.attribution.narrow import Found, Goal, Jump, find_jumps, find_parts, minimise

GOAL = Goal(base=5.0, target=7.0, tolerance=0.2, width=2)


class Oracle:
    """Answers by a rule, and counts."""

    def __init__(self, rule: Callable[[frozenset[int]], float | None]) -> None:
        self.rule = rule
        self.asked: list[frozenset[int]] = []

    def __call__(self, sets: Sequence[frozenset[int]]) -> list[float | None]:
        self.asked += sets
        return [self.rule(chosen) for chosen in sets]


def search(count: int, rule: Callable[[frozenset[int]], float | None]) -> Found:
    return find_parts(Oracle(rule), count, GOAL)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 40), st.data())
def test_one_among_many(count: int, data: st.DataObject) -> None:
    guilty = data.draw(st.integers(0, count - 1))
    oracle = Oracle(lambda chosen: 7.0 if guilty in chosen else 5.0)
    found = find_parts(oracle, count, GOAL)
    assert (found.parts, found.alone, found.rest, found.confirmed) == ({guilty}, 7.0, 5.0, True)
    assert len(oracle.asked) <= 4 * count.bit_length() + 4


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 19), min_size=2, max_size=4))
def test_only_together(guilty: set[int]) -> None:
    found = search(20, lambda chosen: 7.0 if guilty <= chosen else 5.0)
    assert (found.parts, found.confirmed) == (guilty, True)
    assert set(found.each.values()) == {5.0}


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 19), min_size=1, max_size=4))
def test_each_alone_would_do_and_none_is_lost(guilty: set[int]) -> None:
    found = search(20, lambda chosen: 7.0 if guilty & chosen else 5.0)
    assert (found.parts, found.confirmed) == (guilty, True)
    assert set(found.each.values()) == {7.0}


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 19), min_size=2, max_size=4))
def test_causes_that_add_up(guilty: set[int]) -> None:
    found = search(20, lambda chosen: 5.0 + 2 * len(guilty & chosen) / len(guilty))
    assert (found.parts, found.confirmed) == (guilty, True)


def test_parts_against_each_other_are_all_named() -> None:
    effects = {3: 3.0, 8: -1.0}
    found = search(12, lambda chosen: 5.0 + sum(effects.get(part, 0.0) for part in chosen))
    assert (found.parts, found.confirmed) == ({3, 8}, True)
    assert found.each == {3: 8.0, 8: 4.0}


def test_what_cannot_run_is_no_evidence() -> None:
    """Part 4 only runs with parts 5 and 6, and 5 is the one; so only the three are known to do it."""
    rule = lambda chosen: None if 4 in chosen and not {5, 6} <= chosen else 5.0 + 2 * (5 in chosen)  # noqa: E731
    assert search(9, rule).parts == {5}
    needy = search(9, lambda chosen: None if 5 in chosen and not {4, 6} <= chosen else 5.0 + 2 * (5 in chosen))
    assert (needy.parts, needy.confirmed) == ({4, 5, 6}, True)


def test_a_rest_that_cannot_run_is_not_confirmed() -> None:
    found = search(6, lambda chosen: 7.0 if 2 in chosen else 5.0 if not chosen else None)
    assert (found.parts, found.rest, found.confirmed) == ({2}, None, False)


def test_apart_they_do_it_and_together_something_else() -> None:
    """Two parts that each do all of it, and together nothing without a third: no less than all is known to do it."""

    def rule(chosen: frozenset[int]) -> float:
        if {0, 1} <= chosen and 2 not in chosen:
            return 5.0
        return 7.0 if chosen & {0, 1} else 5.0

    found = search(4, rule)
    assert (found.parts, found.confirmed) == (frozenset(range(4)), True)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_the_result_of_minimising_has_no_part_too_many(seed: int) -> None:
    """Whatever the oracle, also one without any order in it."""
    values: dict[frozenset[int], float | None] = {frozenset(range(8)): 7.0}

    def rule(chosen: frozenset[int]) -> float | None:
        if chosen not in values:
            values[chosen] = random.Random(f"{seed} {sorted(chosen)}").choice([5.0, 5.0, 7.0, None])
        return values[chosen]

    found = minimise(Oracle(rule), frozenset(range(8)), GOAL)
    assert rule(found) == 7.0
    assert len(found) == 1 or not any(GOAL.reached(rule(found - {part})) for part in found)


# --- steps ------------------------------------------------------------------------------------------------------------


class Walk:
    """Values after so many steps."""

    def __init__(self, values: Sequence[float | None]) -> None:
        self.values = values
        self.asked: list[int] = []

    def __call__(self, counts: Sequence[int]) -> list[float | None]:
        self.asked += counts
        return [self.values[count] for count in counts]

    def jumps(self) -> list[Jump]:
        return find_jumps(self, len(self.values) - 1, GOAL)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.data())
def test_the_step_with_the_jump(count: int, data: st.DataObject) -> None:
    guilty = data.draw(st.integers(0, count - 1))
    walk = Walk([5.0 if after <= guilty else 7.0 for after in range(count + 1)])
    assert walk.jumps() == [Jump(guilty, guilty + 1, 5.0, 7.0)]
    assert len(walk.asked) <= count.bit_length() + 1


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 29), min_size=2, max_size=4))
def test_several_steps_that_carry_it(guilty: set[int]) -> None:
    values = [5.0 + 2 * sum(step < after for step in guilty) / len(guilty) for after in range(31)]
    assert [jump.low for jump in Walk(values).jumps()] == sorted(guilty)


def test_of_many_small_steps_none_is_singled_out() -> None:
    jumps = Walk([5.0 + after / 10 for after in range(21)]).jumps()
    assert jumps == [Jump(0, 10, 5.0, 6.0), Jump(10, 20, 6.0, 7.0)]


def test_steps_that_cannot_run_are_not_told_apart() -> None:
    values: list[float | None] = [5.0] * 4 + [None] * 3 + [7.0] * 4
    assert Walk(values).jumps() == [Jump(3, 7, 5.0, 7.0)]
    assert Walk([5.0, None, None, 7.0]).jumps() == [Jump(0, 3, 5.0, 7.0)]


def test_what_is_undone_again_is_not_named() -> None:
    walk = Walk([5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 7.0, 7.0])
    assert walk.jumps() == [Jump(6, 7, 5.0, 7.0)]
    assert Walk([5.0, 9.0, 5.0, 5.0, 5.0, 5.0, 7.0]).jumps() == [Jump(5, 6, 5.0, 7.0)]
