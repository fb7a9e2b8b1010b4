"""Things stand from left to right, none on another, and lines end where they should."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.lineage.graph_layers import Arc
from lin.lineage.graph_layout import NODE_HEIGHT, NODE_WIDTH, Layout, lay_out, spread


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[Arc]]:
    count = draw(st.integers(1, 30))
    node = st.integers(0, count - 1)
    return count, draw(st.lists(st.tuples(node, node), max_size=60))


@settings(max_examples=50, deadline=None)
@given(graphs())
def test_no_thing_stands_on_another_and_all_are_on_the_paper(graph: tuple[int, list[Arc]]) -> None:
    layout = lay_out(*graph)
    for (x, y), (other_x, other_y) in combinations(layout.places, 2):
        assert abs(x - other_x) >= NODE_WIDTH or abs(y - other_y) >= NODE_HEIGHT
    points = [*layout.places, *((x + NODE_WIDTH, y + NODE_HEIGHT) for x, y in layout.places)]
    for x, y in [*points, *(point for route in layout.routes for point in route)]:
        assert 0 <= x <= layout.width
        assert 0 <= y <= layout.height


@settings(max_examples=50, deadline=None)
@given(graphs())
def test_lines_go_right_and_the_others_are_named(graph: tuple[int, list[Arc]]) -> None:
    count, edges = graph
    layout = lay_out(count, edges)
    for number, ((source, target), route) in enumerate(zip(edges, layout.routes, strict=True)):
        start, end = layout.places[source], layout.places[target]
        if source == target:
            assert number in layout.backward
            assert [point[0] for point in route] == [start[0] + NODE_WIDTH, start[0]]
        elif number in layout.backward:
            assert layout.layers[source] > layout.layers[target]
            assert (route[0], route[-1]) == (_left(start), _right(end))
        else:
            assert layout.layers[source] < layout.layers[target]
            assert (route[0], route[-1]) == (_right(start), _left(end))


@settings(max_examples=50, deadline=None)
@given(graphs())
def test_lines_pass_between_things(graph: tuple[int, list[Arc]]) -> None:
    layout = lay_out(*graph)
    for x, y, other_y in _passages(layout):
        assert y == other_y
        for left, top in layout.places:
            assert left != x or not top < y < top + NODE_HEIGHT


@pytest.mark.parametrize("edges", [[(0, end) for end in range(1, 400)], [(start, 0) for start in range(1, 400)]])
def test_a_crowd_stands_in_several_columns_along_one_line(edges: list[Arc]) -> None:
    layout = lay_out(400, edges)
    columns = [layout.layers.count(layer) for layer in set(layout.layers)]
    assert max(columns) <= 40
    assert layout.height < 50 * (NODE_HEIGHT + 20)
    trunks = {(x, y) for x, y, _ in _passages(layout)}
    assert len(trunks) == len(columns) - 2  # one for each column that is passed


def test_many_lines_side_by_side_make_no_stairs() -> None:
    edges = [(0, each) for each in range(1, 301)] + [(each, each + 300) for each in range(1, 301)]
    layout = lay_out(601, edges)
    columns = max(layout.layers) + 1
    assert layout.height < 601 / columns * (NODE_HEIGHT + 16) * 4


def test_no_depth_is_too_deep() -> None:
    count = 3000
    layout = lay_out(count, [(number, number + 1) for number in range(count - 1)] + [(count - 1, 0)])
    assert layout.layers == list(range(count))
    assert layout.backward == {count - 1}
    assert max(y for _, y in layout.places) - min(y for _, y in layout.places) < NODE_HEIGHT  # nearly straight


def test_lines_too_many_to_lead_around_things_are_drawn_all_the_same() -> None:
    rail = [(number, number + 1) for number in range(299)]
    chords = [(number, number + 40 + number % 7) for number in range(240)]
    layout = lay_out(300, rail + chords)
    straight = [route for route in layout.routes[len(rail) :] if len(route) == 2]
    assert straight
    assert len(straight) < len(chords)


def test_one_thing_and_none() -> None:
    assert len(lay_out(1, []).places) == 1
    assert lay_out(0, []).places == []


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 5), st.integers(1, 20)), min_size=1, max_size=8),
    st.lists(st.integers(0, 15), min_size=8, max_size=8),
    st.integers(-80, 80),
)
@settings(max_examples=50, deadline=None)
def test_places_are_the_nearest_that_keep_apart(
    items: list[tuple[int, int, int]], slack: list[int], start: int
) -> None:
    wanted, weights, gaps = ([item[place] for item in items] for place in range(3))
    places = spread(wanted, weights, gaps)
    for number in range(1, len(places)):
        assert places[number] - places[number - 1] >= gaps[number] - 1e-9
    other = [float(start)]
    for number in range(1, len(items)):
        other.append(other[-1] + gaps[number] + slack[number])
    assert _cost(places, wanted, weights) <= _cost(other, wanted, weights) + 1e-6


def _cost(places: list[float], wanted: list[int], weights: list[int]) -> float:
    return sum(weight * (place - want) ** 2 for place, want, weight in zip(places, wanted, weights, strict=True))


def _left(place: tuple[float, float]) -> tuple[float, float]:
    return place[0], pytest.approx(place[1] + NODE_HEIGHT / 2)


def _right(place: tuple[float, float]) -> tuple[float, float]:
    return place[0] + NODE_WIDTH, pytest.approx(place[1] + NODE_HEIGHT / 2)


def _passages(layout: Layout) -> list[tuple[float, float, float]]:
    """Where lines pass a layer: its left, and how high they are at its two sides."""
    return [
        (min(x, to_x), y, to_y)
        for route in layout.routes
        if len(route) > 2
        for (x, y), (to_x, to_y) in zip(route[1::2], route[2::2], strict=False)
    ]
