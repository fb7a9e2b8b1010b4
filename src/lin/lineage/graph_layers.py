"""Which layer of a drawn graph each thing stands in, and where the lines between layers far apart bend.

Every line leads from a layer to a later one, but for those that close a circle. Source: K. Sugiyama, S. Tagawa,
M. Toda, "Methods for visual understanding of hierarchical system structures" (1981).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

Arc = tuple[int, int]
"""A line from one node to another, by their numbers."""

_LEAST_SPLIT = 20
"""A layer of so many is never too wide."""


def find_backward(count: int, edges: Sequence[Arc]) -> frozenset[int]:
    """The numbers of edges without which the graph has no circle: those that lead back in a depth-first walk."""
    ways: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    entered = [False] * count
    for number, (source, target) in enumerate(edges):
        ways[source].append((number, target))
        entered[target] = True
    fresh, open_, done = 0, 1, 2
    state = [fresh] * count
    backward = set()
    for start in sorted(range(count), key=lambda node: entered[node]):
        stack = [(start, iter(ways[start]))] if state[start] == fresh else []
        state[start] = max(state[start], open_)
        while stack:
            node, rest = stack[-1]
            for number, target in rest:
                if state[target] == open_:
                    backward.add(number)
                elif state[target] == fresh:
                    state[target] = open_
                    stack.append((target, iter(ways[target])))
                    break
            else:
                state[node] = done
                stack.pop()
    return frozenset(backward)


def assign_layers(count: int, arcs: Iterable[Arc]) -> list[int]:
    """The layer of each node, by the longest path to it; one that more leaves than enters stands near what it went to.

    `arcs` have no circle.
    """
    after: list[list[int]] = [[] for _ in range(count)]
    entering = [0] * count
    for source, target in arcs:
        after[source].append(target)
        entering[target] += 1
    waiting = entering.copy()
    order = [node for node in range(count) if not waiting[node]]
    layers = [0] * count
    for node in order:  # grows as it is walked
        for target in after[node]:
            layers[target] = max(layers[target], layers[node] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    for node in reversed(order):
        if len(after[node]) > entering[node]:
            layers[node] = min(layers[target] for target in after[node]) - 1
    return _close_up(layers)


def _close_up(layers: Sequence[int]) -> list[int]:
    """The same layers, numbered without gaps."""
    numbers = {layer: number for number, layer in enumerate(sorted(set(layers)))}
    return [numbers[layer] for layer in layers]


def split_wide(layers: Sequence[int], arcs: Iterable[Arc]) -> list[int]:
    """Layers of which none has too many nodes: a column as high as a tower is of no use.

    Nodes that nothing was made from stand in front, so that few lines pass the others.
    """
    most = max(_LEAST_SPLIT, round(2 * math.sqrt(len(layers))))
    first_before: dict[int, int] = {}
    has_after = set()
    for source, target in arcs:
        first_before.setdefault(target, source)
        has_after.add(source)
    members = defaultdict(list)
    for node, layer in enumerate(layers):
        members[layer].append(node)
    split = [0] * len(layers)
    number = 0
    for layer in sorted(members):
        nodes = sorted(members[layer], key=lambda node: (node in has_after, first_before.get(node, -1), node))
        parts = math.ceil(len(nodes) / most)
        for place, node in enumerate(nodes):
            split[node] = number + place * parts // len(nodes)
        number += parts
    return split


class Bent:
    """The graph with a bend wherever a line passes a layer, so that each segment joins two layers side by side.

    Bends are numbered after the nodes. A bend belongs to its line's busier end and is shared by the lines of that end.
    `layers` and `home` tell the layer of each item, node or bend, and the node that it belongs to; `chains` what each
    line passes, its ends included; `segments` all that joins two items.
    """

    def __init__(self, layers: Sequence[int], arcs: Sequence[Arc]) -> None:
        self.count = len(layers)
        self.layers = list(layers)
        self.home = list(range(self.count))
        self._most = 4 * self.count + 2000
        self._bends: dict[tuple[int, bool, int], int] = {}
        self.chains: dict[Arc, list[int]] = {}
        self._leaving, self._entering = [0] * self.count, [0] * self.count
        for source, target in arcs:
            self._leaving[source] += 1
            self._entering[target] += 1
        for arc in sorted(arcs, key=lambda arc: layers[arc[1]] - layers[arc[0]]):
            self.chains[arc] = [arc[0], *self._bend(*arc), arc[1]]
        self.segments = sorted(
            {
                (a, b)
                for chain in self.chains.values()
                for a, b in pairwise(chain)
                if self.layers[b] - self.layers[a] == 1
            }
        )

    def _bend(self, source: int, target: int) -> list[int]:
        """The bends of a line; none where there are too many already: it will pass behind things."""
        if len(self.layers) > self.count + self._most:
            return []
        leaves = self._leaving[source] >= self._entering[target]
        hub = source if leaves else target
        bends = []
        for layer in range(self.layers[source] + 1, self.layers[target]):
            key = (hub, leaves, layer)
            if key not in self._bends:
                self._bends[key] = len(self.layers)
                self.layers.append(layer)
                self.home.append(hub)
            bends.append(self._bends[key])
        return bends

    def is_bend(self, item: int) -> bool:
        """Whether an item is no node."""
        return item >= self.count
