"""The order of things within the layers of a drawn graph, such that few of the lines between the layers cross.

The method is that of the layer-by-layer sweep with medians. Sources: P. Eades, N. Wormald, "Edge crossings in drawings
of bipartite graphs" (1994); W. Barth, P. Mutzel, M. Jünger, "Simple and efficient bilayer cross counting" (2002).
"""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby

Order = list[list[int]]
Segment = tuple[int, int]

_SWEEPS, _SWEEPS_OF_MANY = 16, 8
_FEW = 600
"""So many items are compared with their neighbours one by one as well."""


def order_layers(layers: Sequence[int], home: Sequence[int], segments: Sequence[Segment]) -> Order:
    """The items of each layer from top to bottom, in the best order that was found.

    Args:
        layers: the layer of each item, from 0.
        home: what each item stands beside at first.
        segments: lines between items of layers side by side, the left one first.
    """
    order: Order = [[] for _ in range(max(layers, default=-1) + 1)]
    for item in sorted(range(len(layers)), key=lambda item: (home[item], item)):
        order[layers[item]].append(item)
    before: list[list[int]] = [[] for _ in layers]
    after: list[list[int]] = [[] for _ in layers]
    for a, b in segments:
        after[a].append(b)
        before[b].append(a)
    best, fewest = order, count_crossings(order, segments)
    for sweep in range(_SWEEPS if len(layers) <= _FEW else _SWEEPS_OF_MANY):
        if not fewest:
            break
        order = _sweep(order, before) if sweep % 2 == 0 else _sweep(order[::-1], after)[::-1]
        if len(layers) <= _FEW:
            order = _exchange(order, before, after)
        crossings = count_crossings(order, segments)
        if crossings < fewest:
            best, fewest = order, crossings
    return [_centre(layer, before, after) for layer in best]


def count_crossings(order: Sequence[Sequence[int]], segments: Iterable[Segment]) -> int:
    """How many pairs of segments cross."""
    place = {item: number for layer in order for number, item in enumerate(layer)}
    layer_of = {item: number for number, layer in enumerate(order) for item in layer}
    between = defaultdict(list)
    for a, b in segments:
        between[layer_of[a]].append((place[a], place[b]))
    crossings = 0
    for lines in between.values():
        above: list[int] = []
        for _, end in sorted(lines):
            crossings += len(above) - bisect_right(above, end)
            insort(above, end)
    return crossings


def _sweep(order: Order, near: Sequence[Sequence[int]]) -> Order:
    """Each layer after the first sorted by the medians of where its neighbours stand in the one before."""
    swept = [list(layer) for layer in order]
    for number in range(1, len(swept)):
        fixed, layer = swept[number - 1], swept[number]
        place = {item: at for at, item in enumerate(fixed)}
        scale = len(fixed) / max(len(layer), 1)
        keys = {item: _middle(sorted(place[each] for each in near[item]), at * scale) for at, item in enumerate(layer)}
        layer.sort(key=keys.__getitem__)
    return swept


def _middle(places: Sequence[int], otherwise: float) -> tuple[float, float]:
    """The median, and the mean for those of the same median."""
    if not places:
        return otherwise, otherwise
    half = len(places) // 2
    median = places[half] if len(places) % 2 else (places[half - 1] + places[half]) / 2
    return median, sum(places) / len(places)


def _exchange(order: Order, before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> Order:
    """The order with items side by side exchanged where fewer lines cross then."""
    exchanged = [list(layer) for layer in order]
    place = {item: number for layer in exchanged for number, item in enumerate(layer)}
    for layer in exchanged:
        for number in range(len(layer) - 1):
            a, b = layer[number], layer[number + 1]
            gain = sum(
                _crossed(near[a], near[b], place) - _crossed(near[b], near[a], place) for near in (before, after)
            )
            if gain > 0:
                layer[number], layer[number + 1] = b, a
                place[a], place[b] = number + 1, number
    return exchanged


def _crossed(upper: Sequence[int], lower: Sequence[int], place: dict[int, int]) -> int:
    """How many lines cross of two items one above the other, with these neighbours."""
    ends = sorted(place[item] for item in upper)
    return sum(len(ends) - bisect_right(ends, place[item]) for item in lower)


def _centre(layer: Sequence[int], before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> list[int]:
    """The layer with a line that goes on in the middle of those that end beside it, where no line crosses more then."""
    for near, far in ((before, after), (after, before)):
        centred: list[int] = []
        for _, group in groupby(layer, key=near.__getitem__):
            items = list(group)
            going_on = [item for item in items if far[item]]
            if len(going_on) == 1 and near[items[0]]:
                items = [item for item in items if not far[item]]
                items.insert(len(items) // 2, going_on[0])
            centred += items
        layer = centred
    return list(layer)
