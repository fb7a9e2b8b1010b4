"""What sets of axes do, from the outcome with each of them: blocks that run, and the smallest set that did it. Pure.

Where a set of axes cannot run, nothing is put in its place: axes are told apart only as far as every cell between
them has a value.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from lin.proof.attribution.answer import Relation
from lin.proof.attribution.narrow import Goal
from lin.proof.attribution.shapley import Players, interactions, shapley_values, subsets

Cells = Mapping[Players, float | None]
Blocks = tuple[Players, ...]


@dataclass(frozen=True)
class Culprit:
    """The blocks of axes that did it, among all blocks. `several`: sets of the same size would each explain it."""

    blocks: Blocks
    found: Blocks
    several: bool

    @property
    def axes(self) -> Players:
        """The axes of what was found."""
        return frozenset().union(*self.found)


def find_culprit(cells: Cells, axes: int, goal: Goal) -> Culprit:
    """The smallest set of blocks that reaches the goal by itself, and without which B is as A.

    Of several finest ways to make blocks it is the one that blames the fewest axes. Where several sets fit, all their
    blocks are found.
    """
    culprits = []
    for blocks in finest_blocks(cells, axes):
        sets = smallest_sets(cells, blocks, goal)
        found = tuple(block for block in blocks if any(block in chosen for chosen in sets))
        culprits.append(Culprit(blocks, found, several=len(sets) > 1))
    return min(culprits, key=lambda culprit: len(culprit.axes))


def finest_blocks(cells: Cells, axes: int) -> list[Blocks]:
    """The ways to put the axes into most blocks such that every set of blocks has a value.

    One block of all axes always does: with none of them it is A, and with all B.
    """
    ways = [blocks for blocks in _partitions(list(range(axes))) if _is_whole(cells, blocks)]
    most = max(map(len, ways))
    return [blocks for blocks in ways if len(blocks) == most]


def smallest_sets(cells: Cells, blocks: Blocks, goal: Goal) -> list[Blocks]:
    """The sets of fewest blocks that reach the goal alone, while all other blocks together do nothing."""
    every = frozenset().union(*blocks)
    for size in range(1, len(blocks) + 1):
        sets = [
            chosen
            for chosen in combinations(blocks, size)
            if goal.reached(cells[_union(chosen)]) and goal.unmoved(cells[every - _union(chosen)])
        ]
        if sets:
            return sets
    return [blocks]


def relate(cells: Cells, found: Blocks, goal: Goal) -> Relation:
    """How these blocks make the effect: see `Relation`."""
    if len(found) == 1:
        return "one"
    every = _union(found)
    alone = [cells.get(block) for block in found]
    without = [cells.get(every - block) for block in found]
    return relate_values(alone, without, cells.get(every), goal)


def relate_values(
    alone: Sequence[float | None], without: Sequence[float | None], together: float | None, goal: Goal
) -> Relation:
    """The same, from the outcome with each alone, with all of them but each, and with all of them."""
    if together is None or None in alone or None in without:
        return "together"
    added = [value - goal.base for value in alone if value is not None]
    lost = [together - value for value in without if value is not None]
    if all(goal.is_near(one, other) for one, other in zip(added, lost, strict=True)):
        return "sum"
    if all(map(goal.reached, alone)):
        return "either"
    if all(map(goal.unmoved, without)):
        return "only together"
    return "together"


def share_blocks(cells: Cells, blocks: Blocks) -> tuple[list[float], dict[tuple[int, int], float]]:
    """The Shapley value of each block, and the interaction of each pair."""
    count = len(blocks)
    game = {
        chosen: value
        for chosen in subsets(count)
        if (value := cells[_union([blocks[at] for at in chosen])]) is not None
    }
    return shapley_values(game, count), interactions(game, count)


def _union(blocks: Sequence[Players]) -> Players:
    return frozenset().union(*blocks)


def _is_whole(cells: Cells, blocks: Blocks) -> bool:
    return all(cells[_union([blocks[at] for at in chosen])] is not None for chosen in subsets(len(blocks)))


def _partitions(items: list[int]) -> Iterator[Blocks]:
    """Every way to put the items into blocks."""
    if not items:
        yield ()
        return
    first, rest = items[0], items[1:]
    for blocks in _partitions(rest):
        yield (frozenset({first}), *blocks)
        for at, block in enumerate(blocks):
            yield (*blocks[:at], block | {first}, *blocks[at + 1 :])
