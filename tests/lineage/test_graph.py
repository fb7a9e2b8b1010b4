"""Walking: each thing once, nearest first, whatever leads where."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from lin.lineage.graph import Node
from lin.lineage.things import RunThing, Thing
from lin.lineage.walk import MOST, Step, draw, walk

edges = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30)


def follow(ways: list[tuple[int, int]]):
    def expand(things: Sequence[Thing]) -> list[Step]:
        here = {thing.run for thing in things if isinstance(thing, RunThing)}
        return [Step(RunThing(str(a)), RunThing(str(b)), "way") for a, b in ways if str(a) in here]

    return expand


def distances(ways: list[tuple[int, int]]) -> dict[str, int]:
    """How far each thing is from 0, by relaxing all ways until nothing changes."""
    found = {0: 0}
    for _ in range(10):
        for a, b in ways:
            if a in found:
                found[b] = min(found.get(b, 99), found[a] + 1)
    return {str(thing): distance for thing, distance in found.items()}


@given(edges, st.none() | st.integers(1, 6))
@settings(max_examples=50, deadline=None)
def test_a_walk_finds_all_that_is_near_enough_and_counts_what_is_next(ways, depth) -> None:
    walked = walk(RunThing("0"), follow(ways), depth=depth)
    far = distances(ways)
    near = {thing for thing, distance in far.items() if depth is None or distance <= depth}
    found = [thing.run for thing in walked.things if isinstance(thing, RunThing)]
    assert set(found) == near
    assert [far[thing] for thing in found] == sorted(far[thing] for thing in found)
    assert walked.left_out == sum(distance - 1 == depth for distance in far.values())
    told = {(int(s.origin.run), int(s.thing.run)) for s in walked.steps}  # type: ignore[union-attr]
    assert told == {(a, b) for a, b in ways if {str(a), str(b)} <= near}


@given(edges)
@settings(max_examples=25, deadline=None)
def test_edges_point_from_what_was_before_whichever_way_was_asked(ways) -> None:
    walked = walk(RunThing("0"), follow(ways))

    def describe(thing: Thing) -> Node:
        assert isinstance(thing, RunThing)
        return Node(id=thing.run, kind="run", name=thing.run, detail="")

    down, up = draw(walked, "down", describe, []), draw(walked, "up", describe, ["a note"])
    assert {(e.source, e.target) for e in down.edges} == {(e.target, e.source) for e in up.edges}
    assert {e.source for e in down.edges} | {e.target for e in down.edges} <= {node.id for node in down.nodes}
    assert (down.root, down.nodes[0].id, up.notes) == ("0", "0", ["a note"])


def test_a_walk_has_an_end() -> None:
    def expand(things: Sequence[Thing]) -> list[Step]:
        return [Step(t, RunThing(f"{t.run}{n}"), "way") for t in things if isinstance(t, RunThing) for n in range(10)]

    walked = walk(RunThing("r"), expand)
    assert len(walked.things) == MOST
    assert walked.left_out > 0
