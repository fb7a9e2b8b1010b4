"""Which difference between two recipes changed the outcome: the search, from anchors to the confirmed cause.

Recipes between the two are run and measured by a lab; nothing is inferred of what did not run. First A and B
themselves, then every set of the axes that differ, then the parts of the guilty axes, then what was found once more:
alone on A, and taken out of B. What is not confirmed is not called the cause.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from lin.numbers import Real
from lin.proof.attribution.anchors import OFTEN, ROUNDING, Anchors, Averaged, Lab, Trial, drop_anchors
from lin.proof.attribution.answer import (
    AttributionVerdict,
    AxisEffect,
    Cause,
    Check,
    Interaction,
    Relation,
    SeedSpread,
    Step,
)
from lin.proof.attribution.descend import Divide, Ends, Level, Narrowed, descend
from lin.proof.attribution.factorial import Culprit, find_culprit, relate, share_blocks
from lin.proof.attribution.narrow import Goal, find_parts
from lin.proof.attribution.seeds import spread_seeds
from lin.proof.attribution.shapley import Estimate, Players, draw_orders, estimate_shapley, prefixes, subsets
from lin.recipes import Recipe

MOST_CROSSED = 4
"""Of so many axes every set is run; of more, if the time allows."""

ENOUGH = 0.1
"""What moves the outcome by this part of the effect or less, or to as near as that, does nothing, or all of it."""

LOUDEST = 0.5
"""Where the noise is a larger part of the effect, no cell says anything."""

ORDERS_SEED = 1
_FEWEST_PAIRS, _MOST_PAIRS = 2, 32
_ABOUT_NARROWING = 5
"""How many cells the search in an axis takes, about."""

Take = Callable[[Recipe, Recipe, Collection[str]], Recipe]
Why = Literal["did not run", "not repeated", "no effect", "noise", "found"]


@dataclass(frozen=True)
class Question:
    """Two recipes, the axes on which they differ, and the outcomes that were recorded of them, where they are known.

    `take` gives the first recipe with these axes of the second, `divide` takes apart two that differ in one axis.
    `budget`: about so many seconds may go into running every set of more than `MOST_CROSSED` axes.
    """

    a: Recipe
    b: Recipe
    axes: Sequence[str]
    recorded: tuple[float | None, float | None]
    take: Take
    divide: Divide
    seeds: int = 3
    budget: float = 600.0


@dataclass(frozen=True)
class Findings:
    """What came of it; `why` says how far it got. Of what was not reached there is nothing."""

    why: Why
    verdict: AttributionVerdict
    anchors: Anchors
    noise: float
    estimated: bool = False
    blocks: list[list[str]] = field(default_factory=list)
    effects: list[AxisEffect] = field(default_factory=list)
    interactions: list[Interaction] = field(default_factory=list)
    seeds: SeedSpread | None = None
    steps: list[Step] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    relation: Relation | None = None
    several: bool = False


def search_cause(question: Question, lab: Lab) -> Findings:
    """Find what makes the outcome of `question.b` differ from that of `question.a`."""
    anchors = drop_anchors(question.a, question.b, lab)
    if not anchors.ran:
        return Findings("did not run", "inconclusive", anchors, anchors.noise)
    drift = _drift(anchors, question.recorded)
    allowed = anchors.noise + ROUNDING * max(abs(anchors.base), abs(anchors.target))
    noise = max(anchors.noise, drift)
    if drift > allowed:
        return Findings("not repeated", "inconclusive", anchors, anchors.noise)
    effect = abs(anchors.target - anchors.base)
    if effect <= noise:
        return Findings("no effect", "nothing to explain", anchors, noise)
    if noise > LOUDEST * effect:
        return Findings("noise", "inconclusive", anchors, noise)
    goal = Goal(anchors.base, anchors.target, max(noise, ENOUGH * effect), lab.width)
    search = _Search(question, Averaged(lab, OFTEN) if anchors.noise else lab, goal, noise)
    return replace(search.run(), anchors=anchors, noise=noise)


def expected_cells(axes: int) -> int:
    """About how many cells it takes where so many axes differ; only for the progress that is shown."""
    return 2 + (1 << min(axes, MOST_CROSSED)) + _ABOUT_NARROWING


def _drift(anchors: Anchors, recorded: tuple[float | None, float | None]) -> float:
    """How far the outcomes of now are from the recorded ones."""
    pairs = zip((anchors.base, anchors.target), recorded, strict=True)
    return max((abs(now - then) for now, then in pairs if then is not None), default=0.0)


class _Search:
    """The search between two anchors that differ by more than the noise."""

    def __init__(self, question: Question, lab: Lab, goal: Goal, noise: float) -> None:
        self.question = question
        self.axes = list(question.axes)
        self.lab = lab
        self.goal = goal
        self.noise = noise
        self.every: Players = frozenset(range(len(self.axes)))
        self.cells: dict[Players, float | None] = {frozenset(): goal.base, self.every: goal.target}

    def run(self) -> Findings:
        """All that comes after the anchors."""
        crossed = subsets(len(self.axes))
        whole = len(self.axes) <= MOST_CROSSED or self._fits(len(crossed))
        shared = self._cross(crossed) if whole else self._sample()
        culprit = shared.culprit
        guilty = [self.axes[at] for at in sorted(culprit.axes)]
        self.lab.expect(_ABOUT_NARROWING * len(guilty) + 2 * self.question.seeds)
        seeds = self._spread_seeds() if "seed" in self.axes else None
        narrowed = {axis: found for axis in guilty if (found := self._narrow(axis, culprit)) is not None}
        checks = self._check(guilty, narrowed)
        relation = "together" if any(len(block) > 1 for block in culprit.found) else self._relate(culprit)
        confirmed = all(found.confirmed for found in narrowed.values()) and all(check.holds for check in checks)
        apart = relation in {"one", "sum"} and not culprit.several
        apart = apart and all(found.relation in {"one", "sum"} for found in narrowed.values())
        return Findings(
            why="found",
            verdict="cause" if apart and confirmed else "joint cause",
            anchors=Anchors([], []),
            noise=self.noise,
            estimated=not whole,
            blocks=[self._names(block) for block in culprit.blocks if len(block) > 1],
            effects=shared.effects,
            interactions=shared.interactions,
            seeds=seeds,
            steps=[step for found in narrowed.values() for step in found.steps],
            checks=checks,
            causes=[self._cause(axis, narrowed.get(axis), shared.effects) for axis in guilty],
            relation=relation,
            several=culprit.several,
        )

    # --- sets of axes -------------------------------------------------------------------------------------------------

    def _measure(self, sets: Sequence[Players]) -> list[float | None]:
        """The outcome of A with each of these sets of axes at B's side."""
        new = [axes for axes in dict.fromkeys(sets) if axes not in self.cells]
        self.cells |= dict(zip(new, self.lab.measure([self._trial(axes) for axes in new]), strict=True))
        return [self.cells[axes] for axes in sets]

    def _trial(self, axes: Players) -> Trial:
        names = tuple(self._names(axes))
        question = self.question
        return Trial(question.take(question.a, question.b, names), f"A + {', '.join(names)}", names)

    def _names(self, axes: Players) -> list[str]:
        return [self.axes[at] for at in sorted(axes)]

    def _fits(self, cells: int) -> bool:
        return cells * self.lab.seconds() / self.lab.width <= self.question.budget

    def _cross(self, crossed: Sequence[Players]) -> "_Shared":
        """Every set of axes, and who did it."""
        self.lab.expect(len(crossed) - 2 + _ABOUT_NARROWING)
        self._measure(crossed)
        culprit = find_culprit(self.cells, len(self.axes), self.goal)
        shares, pairs = share_blocks(self.cells, culprit.blocks)
        blocks = culprit.blocks
        together = [
            Interaction(first=self._names(blocks[one]), second=self._names(blocks[two]), effect=Real(effect))
            for (one, two), effect in pairs.items()
        ]
        return _Shared(culprit, self._effects(blocks, [Estimate(share) for share in shares]), together)

    def _sample(self) -> "_Shared":
        """Each axis alone and taken out, and as many orders as there is time for; who did it is searched by halves."""
        count = len(self.axes)
        affordable = int(self.question.budget * self.lab.width / max(self.lab.seconds(), ROUNDING)) // (2 * count)
        orders = draw_orders(count, min(max(affordable, _FEWEST_PAIRS), _MOST_PAIRS), ORDERS_SEED)
        singles = [frozenset({at}) for at in range(count)]
        wanted = [*singles, *(self.every - one for one in singles), *(axes for way in orders for axes in prefixes(way))]
        self.lab.expect(len(set(wanted)) + _ABOUT_NARROWING)
        self._measure(wanted)
        shares = estimate_shapley(self.cells.get, count, orders)
        found = find_parts(self._measure, count, self.goal)
        chosen = tuple(frozenset({at}) for at in sorted(found.parts))
        culprit = Culprit(tuple(singles), chosen if found.confirmed else (found.parts,), several=False)
        return _Shared(culprit, self._effects(singles, shares or [None] * count), [])

    def _effects(self, blocks: Sequence[Players], shares: "Sequence[Estimate | None]") -> list[AxisEffect]:
        effect = self.goal.target - self.goal.base
        return [
            AxisEffect(
                axes=self._names(block),
                shapley=None if share is None else Real(share.value),
                share=None if share is None else Real(share.value / effect),
                low=None if share is None or share.low is None else Real(share.low),
                high=None if share is None or share.high is None else Real(share.high),
                alone=_minus(self.cells[block], self.goal.base),
                taken_out=_minus(self.goal.target, self.cells[self.every - block]),
            )
            for block, share in zip(blocks, shares, strict=True)
        ]

    def _relate(self, culprit: Culprit) -> Relation:
        self._measure([*culprit.found, *(culprit.axes - block for block in culprit.found), culprit.axes])
        return relate(self.cells, culprit.found, self.goal)

    def _spread_seeds(self) -> SeedSpread | None:
        """How far other seeds move both sides; what all other axes do is told beside it."""
        a, b, take = self.question.a, self.question.b, self.question.take
        if not self.question.seeds:
            return None
        found = spread_seeds((a, b), (take(a, b, ["seed"]), take(b, a, ["seed"])), self.question.seeds, self.lab)
        sides = [[self.goal.base, *found.a], [self.goal.target, *found.b]]
        known = [[value for value in side if value is not None] for side in sides]
        (others,) = self._measure([self.every - {self.axes.index("seed")}])
        return msgspec.structs.replace(
            found,
            spread=Real(max(max(values) - min(values) for values in known)),
            others=_minus(others, self.goal.base),
        )

    # --- inside an axis -----------------------------------------------------------------------------------------------

    def _narrow(self, axis: str, culprit: Culprit) -> Narrowed | None:
        """What did it inside an axis, where the axis does more than the noise."""
        level = self._level(axis, culprit.axes) or self._level(axis, frozenset({self.axes.index(axis)}))
        return None if level is None else descend(level, self.lab, self.question.divide)

    def _level(self, axis: str, within: Players) -> Level | None:
        """The axis with the others of `within` at B's side; None where that does nothing to the outcome."""
        others = within - {self.axes.index(axis)}
        low, high = self._measure([others, within])
        if high is None:
            return None
        base = self.goal.base if low is None else low  # it only runs together with the axis: what that does is asked
        effect = abs(high - base)
        if effect <= max(self.noise, ENOUGH * abs(self.goal.target - self.goal.base)):
            return None
        a, b, take = self.question.a, self.question.b, self.question.take
        return Level(
            axis,
            tuple(self._names(others)),
            Ends(take(a, b, self._names(others)), take(a, b, self._names(within))),
            Ends(take(b, a, [axis]), b),
            Goal(base, high, max(self.noise, ENOUGH * effect), self.goal.width),
            (),
        )

    def _check(self, guilty: Sequence[str], narrowed: Mapping[str, Narrowed]) -> list[Check]:
        """What was found alone on A, and B without it."""
        a, b, take = self.question.a, self.question.b, self.question.take
        only, without = a, b
        for axis in guilty:
            found = narrowed.get(axis)
            only = take(only, found.only if found else b, [axis])
            without = take(without, found.without if found and found.without else a, [axis])
        trials = [Trial(only, "A with what was found", tuple(guilty)), Trial(without, "B without it")]
        alone, rest = self.lab.measure(trials)
        effect = self.goal.target - self.goal.base
        return [
            Check(
                what=trial.what,
                value=None if value is None else Real(value),
                moved=None if value is None else Real((value - self.goal.base) / effect),
                holds=holds,
            )
            for trial, value, holds in zip(
                trials, (alone, rest), (self.goal.reached(alone), self.goal.unmoved(rest)), strict=True
            )
        ]

    def _cause(self, axis: str, found: Narrowed | None, effects: Sequence[AxisEffect]) -> Cause:
        share = next((effect.share for effect in effects if effect.axes == [axis]), None)
        return Cause(axis=axis, parts=found.parts if found else [], share=share)


@dataclass(frozen=True)
class _Shared:
    """Who did it, and the effect shared between the axes."""

    culprit: Culprit
    effects: list[AxisEffect]
    interactions: list[Interaction]


def _minus(one: float | None, other: float | None) -> Real | None:
    return None if one is None or other is None else Real(one - other)
