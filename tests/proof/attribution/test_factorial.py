"""Blocks that run, the smallest set that did it, and how its members work together."""

import itertools

import pytest

from lin.proof.attribution.factorial import Cells, Culprit, find_culprit, finest_blocks, relate, share_blocks
from lin.proof.attribution.narrow import Goal
from lin.proof.attribution.shapley import subsets

GOAL = Goal(base=0.0, target=1.0, tolerance=0.1)


def cells(players: int, values: dict[str, float | None], default: float | None = 0.0) -> Cells:
    """A table of cells: `values` by the players' digits."""
    table = {chosen: values.get("".join(map(str, sorted(chosen))), default) for chosen in subsets(players)}
    return table | {frozenset(): 0.0, frozenset(range(players)): 1.0}


def blocks(*groups: str) -> tuple[frozenset[int], ...]:
    return tuple(frozenset(map(int, group)) for group in groups)


def test_where_all_runs_each_axis_is_a_block() -> None:
    assert finest_blocks(cells(3, {}), 3) == [blocks("0", "1", "2")]


def test_two_that_only_run_together_are_one_block() -> None:
    table = cells(3, dict.fromkeys(("0", "1", "02", "12")))
    assert [set(found) for found in finest_blocks(table, 3)] == [set(blocks("01", "2"))]


def test_where_nothing_runs_there_is_one_block() -> None:
    assert finest_blocks(cells(4, {}, default=None), 4) == [blocks("0123")]


def test_several_ways_to_make_blocks_and_the_least_blame() -> None:
    """Only axis 0 alone does not run, so that it may go with 1 or with 2; axis 1 did it by itself."""
    table = cells(3, {"0": None, "1": 1.0, "01": 1.0, "12": 1.0})
    ways = finest_blocks(table, 3)
    assert {frozenset(way) for way in ways} == {frozenset(blocks("01", "2")), frozenset(blocks("02", "1"))}
    assert find_culprit(table, 3, GOAL).axes == {1}


@pytest.mark.parametrize("players", [1, 2, 3, 4, 5])
def test_the_smallest_set_that_did_it(players: int) -> None:
    for size in range(1, players + 1):
        for guilty in itertools.combinations(range(players), size):
            table = {chosen: float(chosen >= set(guilty)) for chosen in subsets(players)}
            found = find_culprit(table, players, GOAL)
            assert (found.axes, found.several) == (set(guilty), False)


def test_two_sets_that_would_each_explain_it_are_both_named() -> None:
    """With 0 it is as in B and without it as in A; and so it is with 1."""
    table = cells(3, {"0": 1.0, "1": 1.0, "02": 0.0, "12": 0.0, "01": 0.0})
    found = find_culprit(table, 3, GOAL)
    assert found == Culprit(found.blocks, blocks("0", "1"), several=True)


@pytest.mark.parametrize(
    ("one", "two", "relation"),
    [(0.6, 0.4, "sum"), (0.0, 0.0, "only together"), (1.0, 1.0, "either"), (0.8, 0.9, "together")],
)
def test_how_two_make_the_effect(one: float, two: float, relation: str) -> None:
    table = cells(2, {"0": one, "1": two})
    assert relate(table, blocks("0", "1"), GOAL) == relation
    assert relate(table, blocks("0"), GOAL) == "one"


def test_shares_of_blocks_are_those_of_a_smaller_game() -> None:
    table = cells(3, {"2": 0.25, "01": 0.5, "0": None, "1": None, "02": None, "12": None})
    shares, pairs = share_blocks(table, blocks("01", "2"))
    assert shares == [0.625, 0.375]
    assert pairs == {(0, 1): 0.25}
