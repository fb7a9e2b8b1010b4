"""Walking from thing to thing, each looked at once however many ways lead to it, nearest first."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from lin.lineage.graph import Edge, Graph, Node
from lin.lineage.things import Thing

MOST = 2000
"""A graph has no more nodes than this."""


class Step(NamedTuple):
    """From a thing to one that it was made from, or that was made from it; `how` tells in a word or two."""

    origin: Thing
    thing: Thing
    how: str


class Walk(NamedTuple):
    """The things that were reached, in that order, the steps between them, and how many lie right behind them.

    `ends` are those things from which it did not go on.
    """

    things: list[Thing]
    steps: list[Step]
    left_out: int
    ends: frozenset[Thing]


def walk(root: Thing, expand: Callable[[Sequence[Thing]], Iterable[Step]], *, depth: int | None = None) -> Walk:
    """Walk from `root`, `depth` steps at most, and to `MOST` things at most.

    `expand` is given the things of one distance at once and makes the steps that lead on from them.
    """
    seen: dict[Thing, None] = {root: None}
    steps: dict[Step, None] = {}
    beyond: set[Thing] = set()
    level: list[Thing] = [root]
    ends: list[Thing] = []
    distance = 0
    while level:
        is_last = distance == depth
        ends = level if is_last else []
        following: list[Thing] = []
        for step in expand(level):
            if step.thing not in seen:
                if is_last or len(seen) >= MOST:
                    beyond.add(step.thing)
                    continue
                seen[step.thing] = None
                following.append(step.thing)
            steps[step] = None
        level = following
        distance += 1
    return Walk([*seen], [*steps], len(beyond), frozenset(ends))


def draw(
    walked: Walk, direction: Literal["up", "down"], describe: Callable[[Thing], Node], notes: Sequence[str]
) -> Graph:
    """The graph of a walk."""
    nodes = {thing: describe(thing) for thing in walked.things}
    ways = [(nodes[step.origin].id, nodes[step.thing].id, step.how) for step in walked.steps]
    edges = [
        Edge(source=start, target=end, how=how) if direction == "down" else Edge(source=end, target=start, how=how)
        for start, end, how in ways
    ]
    return Graph(
        root=nodes[walked.things[0]].id,
        direction=direction,
        nodes=[*nodes.values()],
        edges=edges,
        left_out=walked.left_out,
        notes=[*notes],
    )
