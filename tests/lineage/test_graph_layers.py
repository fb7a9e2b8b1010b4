"""Layers follow the lines, and circles are cut open."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from lin.lineage.graph_layers import Arc, Bent, assign_layers, find_backward, split_wide


@st.composite
def graphs(draw: st.DrawFn, *, circles: bool = True) -> tuple[int, list[Arc]]:
    count = draw(st.integers(1, 30))
    node = st.integers(0, count - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=60))
    return count, edges if circles else [(min(edge), max(edge)) for edge in edges if edge[0] != edge[1]]


@settings(max_examples=50, deadline=None)
@given(graphs(), graphs(circles=False))
def test_circles_alone_need_lines_that_go_back(graph: tuple[int, list[Arc]], plain: tuple[int, list[Arc]]) -> None:
    count, edges = graph
    backward = find_backward(count, edges)
    rest = [edge for number, edge in enumerate(edges) if number not in backward]
    assert not find_backward(count, rest)
    layers = assign_layers(count, sorted(set(rest)))
    assert all(layers[source] < layers[target] for source, target in rest)
    assert not find_backward(*plain)


def test_what_a_thing_was_made_from_stands_right_before_it() -> None:
    chain = [(0, 1), (1, 2), (2, 3)]
    assert assign_layers(6, [*chain, (4, 3), (5, 1)]) == [0, 1, 2, 3, 2, 0]


@settings(max_examples=50, deadline=None)
@given(graphs(circles=False))
def test_each_segment_joins_layers_side_by_side(graph: tuple[int, list[Arc]]) -> None:
    count, edges = graph
    arcs = sorted(set(edges))
    bent = Bent(split_wide(assign_layers(count, arcs), arcs), arcs)
    assert all(bent.layers[b] - bent.layers[a] == 1 for a, b in bent.segments)
    assert {segment for chain in bent.chains.values() for segment in pairwise(chain)} == set(bent.segments)
    for (source, target), chain in bent.chains.items():
        assert (chain[0], chain[-1]) == (source, target)
        assert all(bent.is_bend(item) and bent.home[item] in {source, target} for item in chain[1:-1])


def test_a_wide_layer_is_split_and_what_goes_on_stands_last() -> None:
    arcs = [(0, each) for each in range(1, 51)] + [(7, 51)]
    layers = split_wide(assign_layers(52, arcs), arcs)
    assert [layers.count(layer) for layer in range(5)] == [1, 17, 17, 16, 1]
    assert layers[7] == 3
