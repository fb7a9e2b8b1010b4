"""Narrowing inside one axis: which of its parts did it, then which parts of that part, as far as it can be divided.

Everything else stays put meanwhile. What is found at each level is confirmed there: it reaches the whole's outcome by
itself, and what is left of the whole without it does nothing. Only one part that is confirmed is looked into.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lin.numbers import Real
from lin.proof.attribution.anchors import Lab, Trial
from lin.proof.attribution.answer import Relation, Step
from lin.proof.attribution.factorial import relate_values
from lin.proof.attribution.narrow import Goal, Jump, Parts, find_jumps, find_parts
from lin.recipes import Recipe

DEEPEST = 12
"""Levels at most: one that would be divided into itself ends there."""


class Division(Protocol):
    """The parts in which one recipe differs from another, and the recipes in between; one alone is not divided."""

    @property
    def parts(self) -> Sequence[str]:
        """Their names."""
        ...

    @property
    def ordered(self) -> bool:
        """Whether only the first so many of them make sense together."""
        ...

    @property
    def make(self) -> Callable[[frozenset[int]], Recipe]:
        """The first recipe with these parts of the second."""
        ...


Divide = Callable[[Recipe, Recipe], Division | None]
"""How two recipes that differ in one axis are taken apart; None where that cannot be."""


@dataclass(frozen=True)
class Ends:
    """Two recipes that differ in one axis alone."""

    low: Recipe
    high: Recipe


@dataclass(frozen=True)
class Narrowed:
    """What was found inside an axis, with the names of its parts.

    `only` has A's side of the axis with just what was found, `without` B's side without it; None where that cannot be
    expressed, as a commit taken out from between others.
    """

    steps: list[Step]
    parts: list[str]
    only: Recipe
    without: Recipe | None
    relation: Relation
    confirmed: bool


@dataclass(frozen=True)
class Level:
    """Where the search stands: between which recipes, and the same difference as seen from B, where that can be.

    `context` are axes that are at B's side all the while; `path` are the parts that the search went into.
    """

    axis: str
    context: tuple[str, ...]
    ends: Ends
    from_b: Ends | None
    goal: Goal
    path: tuple[str, ...]


@dataclass(frozen=True)
class _Look:
    """One look at the parts of a level: the step to report, and where to go on if it found one part."""

    step: Step
    only: Recipe
    without: Recipe | None
    inside: Level | None


def descend(level: Level, lab: Lab, divide: Divide) -> Narrowed:
    """Find what did it inside the axis of `level`."""
    steps: list[Step] = []
    only, without = level.ends.high, level.from_b.low if level.from_b else None
    for _ in range(DEEPEST):
        division = divide(level.ends.low, level.ends.high)
        if division is None or len(division.parts) == 1:
            break
        look = (_look_at_steps if division.ordered else _look_at_parts)(level, division, lab, divide)
        steps.append(look.step)
        only, without = look.only, look.without
        if look.inside is None:
            return Narrowed(steps, look.step.found, only, without, look.step.relation, look.step.confirmed)
        level = look.inside
    names = list(division.parts if division is not None and len(division.parts) == 1 else level.path[-1:])
    return Narrowed(steps, names, only, without, "one", confirmed=True)


# --- parts in no order ------------------------------------------------------------------------------------------------


def _look_at_parts(level: Level, division: Division, lab: Lab, divide: Divide) -> _Look:
    names = list(division.parts)
    every = frozenset(range(len(names)))

    def measure(sets: Sequence[Parts]) -> list[float | None]:
        return lab.measure(
            [_trial(level, division.make(chosen), [names[at] for at in sorted(chosen)]) for chosen in sets]
        )

    answer = find_parts(_known(measure, every, level.goal), len(names), level.goal)
    found, alone = answer.parts, answer.alone
    kept = sorted(found)
    step = Step(
        axis=level.axis,
        ordered=False,
        among=names,
        found=[names[at] for at in kept],
        alone=_real(alone),
        rest=_real(answer.rest),
        relation=_relation(measure, answer.each, found, alone, level.goal),
        confirmed=answer.confirmed,
    )
    only = division.make(found)
    mirrored = _mirror(level, division, divide)
    without = mirrored.make(every - found) if mirrored else None
    inside = None
    if len(found) == 1 and answer.confirmed:
        (part,) = found
        inside = Level(
            level.axis,
            level.context,
            Ends(level.ends.low, only),
            Ends(without, level.from_b.high) if without is not None and level.from_b else None,
            Goal(
                level.goal.base, level.goal.target if alone is None else alone, level.goal.tolerance, level.goal.width
            ),
            (*level.path, names[part]),
        )
    return _Look(step, only, without, inside)


def _known(
    measure: Callable[[Sequence[Parts]], list[float | None]], every: Parts, goal: Goal
) -> Callable[[Sequence[Parts]], list[float | None]]:
    """The same oracle, which need not run what is known: all parts, and none."""

    def ask(sets: Sequence[Parts]) -> list[float | None]:
        wanted = [chosen for chosen in sets if chosen and chosen != every]
        values = dict(zip(wanted, measure(wanted), strict=True)) if wanted else {}
        return [values.get(chosen, goal.target if chosen else goal.base) for chosen in sets]

    return ask


def _relation(
    measure: Callable[[Sequence[Parts]], list[float | None]],
    each: dict[int, float | None],
    found: Parts,
    alone: float | None,
    goal: Goal,
) -> Relation:
    """How the found parts make the effect, as far as there are few enough of them to say."""
    if len(found) == 1:
        return "one"
    if len(each) < len(found):
        return "together"
    without = measure([found - {part} for part in sorted(found)])
    return relate_values([each[part] for part in sorted(found)], without, alone, goal)


def _mirror(level: Level, division: Division, divide: Divide) -> Division | None:
    """The same parts as seen from B, where they are the same: so that some can be taken out of B."""
    if level.from_b is None:
        return None
    mirrored = divide(level.from_b.low, level.from_b.high)
    return mirrored if mirrored is not None and list(mirrored.parts) == list(division.parts) else None


# --- steps one after the other ----------------------------------------------------------------------------------------


def _look_at_steps(level: Level, division: Division, lab: Lab, _: Divide) -> _Look:
    names = list(division.parts)

    def measure(counts: Sequence[int]) -> list[float | None]:
        return lab.measure([_trial(level, division.make(frozenset(range(count))), names[:count]) for count in counts])

    jumps = find_jumps(measure, len(names), level.goal)
    kept = [at for jump in jumps for at in range(jump.low, jump.high)]
    one = jumps[0] if len(jumps) == 1 and jumps[0].high - jumps[0].low == 1 else None
    confirmed = one is None or (level.goal.unmoved(one.before) and level.goal.reached(one.after))
    step = Step(
        axis=level.axis,
        ordered=True,
        among=names,
        found=[names[at] for at in kept],
        alone=_real(jumps[-1].after),
        rest=_real(jumps[0].before),
        relation="one" if one else "sum" if all(jump.high - jump.low == 1 for jump in jumps) else "together",
        confirmed=confirmed,
    )
    only = division.make(frozenset(range(jumps[-1].high)))
    inside = _inside(level, division, one) if one and confirmed else None
    return _Look(step, only, None, inside)


def _inside(level: Level, division: Division, jump: Jump) -> Level:
    before, after = (division.make(frozenset(range(count))) for count in (jump.low, jump.high))
    goal = Goal(jump.before, jump.after, level.goal.tolerance, level.goal.width)
    path = (*level.path, division.parts[jump.low])
    return Level(level.axis, level.context, Ends(before, after), None, goal, path)


def _trial(level: Level, recipe: Recipe, parts: Sequence[str]) -> Trial:
    within = f" in {level.path[-1]}" if level.path else ""
    shown = ", ".join(parts) if len(parts) <= 3 else f"{len(parts)} parts"  # noqa: PLR2004  a line of text
    besides = f" + {', '.join(level.context)}" if level.context else ""
    what = f"A{besides} + {level.axis}{within}: {shown or 'none of it'}"
    return Trial(recipe, what, (*level.context, level.axis), tuple(parts))


def _real(value: float | None) -> Real | None:
    return None if value is None else Real(value)
