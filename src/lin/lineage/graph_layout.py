"""Where the things of a graph stand on paper: in layers from left to right, with few crossings and none on another.

The same graph is laid out the same each time. Sources: K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual
understanding of hierarchical system structures" (1981); E. Gansner et al., "A technique for drawing directed graphs"
(1993); isotonic regression by pooling adjacent violators for the places within a layer.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from lin.lineage.graph_layers import Arc, Bent, assign_layers, find_backward, split_wide
from lin.lineage.graph_order import order_layers

NODE_WIDTH, NODE_HEIGHT = 216, 48
"""What a thing takes, in pixels."""

_GAP = 16
"""Between things of a layer."""
_BEND, _BEND_GAP = 4, 7
"""What a line that passes a layer takes, and what it keeps free."""
_AISLE, _WIDEST_AISLE = 52, 200
"""Between layers: more where lines are steep."""
_MARGIN = 28
_ROUNDS = 8
"""So often each layer is moved towards its neighbours on either side."""

_PULLS, _MUCH = (0.0, 0.03, 0.1, 0.3), 1.5
"""How strongly things are drawn to the middle: in turn, until the whole is not much higher than its highest layer."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """`places` are the upper left corners of the nodes; `routes` the way of each edge, from its source to its target.

    The first stretch of a route lies between two layers, the second passes a layer, and so on by turns.
    `backward` numbers the edges that go from right to left, since they close a circle.
    """

    places: list[Point]
    layers: list[int]
    routes: list[list[Point]]
    backward: frozenset[int]
    width: float
    height: float


def lay_out(count: int, edges: Sequence[Arc]) -> Layout:
    """Lay out the nodes 0 to `count` - 1; an edge is a source and a target. Takes under a second for 2,000 and 5,000.

    Layers are those of the longest path, and wide ones are split. Lines that leave or enter the same node pass layers
    together.
    """
    backward = find_backward(count, edges)
    arcs = [(target, source) if n in backward else (source, target) for n, (source, target) in enumerate(edges)]
    forward = sorted({(source, target) for source, target in arcs if source != target})
    layers = split_wide(assign_layers(count, forward), forward)
    bent = Bent(layers, forward)
    order = order_layers(bent.layers, bent.home, bent.segments)
    down = _place_down(order, bent)
    across = _place_across(down, bent)
    router = _Router(bent, across, down)
    return Layout(
        places=[(across[layer], down[node] - NODE_HEIGHT / 2) for node, layer in enumerate(layers)],
        layers=layers,
        routes=[router.route(*edge, back=number in backward) for number, edge in enumerate(edges)],
        backward=backward,
        width=max((x + NODE_WIDTH for x in across), default=0.0) + _MARGIN,
        height=max((y + NODE_HEIGHT / 2 for y in down), default=0.0) + _MARGIN,
    )


def _place_down(order: Sequence[Sequence[int]], bent: Bent) -> list[float]:
    """The middle of each item, from the top: as near to its neighbours as its layer's order and the gaps allow.

    Where that makes stairs much higher than any layer must be, all are drawn to the middle.
    """
    gaps = [[0.0, *(_gap(bent, a, b) for a, b in pairwise(layer))] for layer in order]
    highest = max(map(sum, gaps), default=0.0)
    down: list[float] = []
    for pull in _PULLS:
        down = _settle(order, gaps, bent, pull)
        if max(down, default=0.0) - min(down, default=0.0) <= _MUCH * highest:
            break
    top = min(
        [*(place - NODE_HEIGHT / 2 for place in down[: bent.count]), *(place - _BEND / 2 for place in down)] or [0]
    )
    return [round(place - top + _MARGIN, 1) for place in down]


def _settle(order: Sequence[Sequence[int]], gaps: Sequence[Sequence[float]], bent: Bent, pull: float) -> list[float]:
    """The middle of each item, from an axis in the middle."""
    before: list[list[int]] = [[] for _ in bent.layers]
    after: list[list[int]] = [[] for _ in bent.layers]
    for a, b in bent.segments:
        after[a].append(b)
        before[b].append(a)
    down = [0.0] * len(bent.layers)
    for layer, apart in zip(order, gaps, strict=True):
        for item, place in zip(layer, accumulate(apart), strict=True):
            down[item] = place - sum(apart) / 2
    both = [[*a, *b] for a, b in zip(before, after, strict=True)]
    for number, near in enumerate([before, after] * _ROUNDS + [both, both]):
        for layer, apart in list(zip(order, gaps, strict=True))[:: -1 if number % 2 else 1]:
            wanted = [_mean([down[each] for each in near[item]], down[item]) * (1 - pull) for item in layer]
            weights = [_weight(bent, item, near[item]) for item in layer]
            for item, place in zip(layer, spread(wanted, weights, apart), strict=True):
                down[item] = place
    return down


def _gap(bent: Bent, a: int, b: int) -> float:
    sizes = sum((_BEND if bent.is_bend(item) else NODE_HEIGHT) / 2 for item in (a, b))
    return sizes + (_BEND_GAP if bent.is_bend(a) or bent.is_bend(b) else _GAP)


def _weight(bent: Bent, item: int, near: Sequence[int]) -> float:
    """How much it matters that an item is where its neighbours want it: long lines should be straight."""
    if not near:
        return 0.1
    return 4.0 if bent.is_bend(item) and any(bent.is_bend(each) for each in near) else 1.0


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def spread(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Places in their order, each at least its gap behind the one before, and least far from those that are wanted.

    The weighted squares of the distances are least. `gaps[0]` is of no meaning.
    """
    offsets = list(accumulate(gaps, initial=0.0))[1:]
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many: their means rise
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, total, many = want - offset, weight, 1
        while blocks and blocks[-1][0] >= mean:
            above, heavy, more = blocks.pop()
            mean, total, many = (mean * total + above * heavy) / (total + heavy), total + heavy, many + more
        blocks.append((mean, total, many))
    means = [mean for mean, _, many in blocks for _ in range(many)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _place_across(down: Sequence[float], bent: Bent) -> list[float]:
    """The left of each layer."""
    steepest: dict[int, float] = defaultdict(float)
    for a, b in bent.segments:
        steepest[bent.layers[a]] = max(steepest[bent.layers[a]], abs(down[a] - down[b]))
    aisles = [min(_AISLE + steepest[layer] / 12, _WIDEST_AISLE) for layer in range(max(bent.layers, default=0))]
    return [round(x, 1) for x in accumulate((NODE_WIDTH + aisle for aisle in aisles), initial=float(_MARGIN))]


@dataclass(frozen=True)
class _Router:
    """Tells the ways of lines."""

    bent: Bent
    across: Sequence[float]
    down: Sequence[float]

    def route(self, source: int, target: int, *, back: bool) -> list[Point]:
        """Through the bends; a backward line from right to left, that of a node to itself from its end to its start."""
        if source == target:
            x, y = self.across[self.bent.layers[source]], self.down[source]
            return [(x + NODE_WIDTH, y), (x, y)]
        if back:
            return self.route(target, source, back=False)[::-1]
        chain = self.bent.chains[source, target]
        points = []
        for item in chain:
            x, y = self.across[self.bent.layers[item]], self.down[item]
            points += [(x, y), (x + NODE_WIDTH, y)]
        return points[1:-1]
