"""Few lines cross, and those that do are counted."""

from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from lin.lineage.graph_order import count_crossings, order_layers

LAYERS = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
SEGMENTS = [(a, b) for left, right in pairwise(LAYERS) for a in left for b in right]


@settings(max_examples=50, deadline=None)
@given(st.sets(st.sampled_from(SEGMENTS)), st.permutations(LAYERS[1]))
def test_crossings_are_those_that_one_counts_by_hand(chosen: set[tuple[int, int]], middle: list[int]) -> None:
    order = [LAYERS[0], middle, LAYERS[2]]
    place = {item: number for layer in order for number, item in enumerate(layer)}
    side_by_side = [(one, other) for one, other in combinations(chosen, 2) if one[0] // 4 == other[0] // 4]
    by_hand = sum((place[a] - place[c]) * (place[b] - place[d]) < 0 for (a, b), (c, d) in side_by_side)
    assert count_crossings(order, chosen) == by_hand


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(12)), st.permutations(range(12, 24)))
def test_a_ladder_is_disentangled(left: list[int], right: list[int]) -> None:
    rungs = sorted(zip(left, right, strict=True))
    layers = [0] * 12 + [1] * 12
    order = order_layers(layers, range(24), rungs)
    assert count_crossings(order, rungs) == 0
    assert [sorted(layer) for layer in order] == [list(range(12)), list(range(12, 24))]


@settings(max_examples=25, deadline=None)
@given(st.sets(st.sampled_from(SEGMENTS), min_size=1))
def test_the_order_is_no_worse_than_the_first(chosen: set[tuple[int, int]]) -> None:
    layers = [item // 4 for item in range(12)]
    order = order_layers(layers, range(12), sorted(chosen))
    assert count_crossings(order, chosen) <= count_crossings(LAYERS, chosen)
    assert [sorted(layer) for layer in order] == LAYERS


def test_a_line_that_goes_on_passes_in_the_middle_of_those_that_end() -> None:
    ends = list(range(1, 10))
    layers = [0, *[1] * 9, 1, 2]  # 10 is a bend on the way to 11
    order = order_layers(layers, [0, *ends, 0, 11], [*((0, end) for end in ends), (0, 10), (10, 11)])
    assert order[1].index(10) in {4, 5}


def test_the_best_order_is_kept_when_a_later_one_is_worse() -> None:
    segments = [(0, 10), (1, 7), (1, 11), (2, 8), (5, 11)]
    segments += [(6, 14), (7, 12), (7, 14), (8, 12), (8, 13), (8, 15), (9, 13), (11, 15), (11, 16)]
    order = order_layers([item // 6 for item in range(18)], range(18), segments)
    assert count_crossings(order, segments) == 2


def test_nothing_has_no_order() -> None:
    assert order_layers([], [], []) == []
