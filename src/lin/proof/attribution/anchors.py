"""What is asked of whoever runs recipes, and the first thing that is: do A and B give again what they gave?

Each is run twice. Where a program does not agree with itself, everything is run several times and its mean taken; how
far the same recipe came apart is the noise, below which nothing is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Protocol

import msgspec

from lin.recipes import Recipe

TWICE = 2
OFTEN = 5
"""How often a recipe is run whose program does not agree with itself."""

ROUNDING = 1e-9
"""Two outcomes that differ by less than this part of them are the same, re-run elsewhere: sums in another order."""


@dataclass(frozen=True)
class Trial:
    """A recipe to be measured, and what it is: A with these axes of B, of the last of them only these parts."""

    recipe: Recipe
    what: str
    axes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


class Lab(Protocol):
    """Runs recipes and measures the outcome."""

    @property
    def width(self) -> int:
        """How many it runs at a time."""
        ...

    def measure(self, trials: Sequence[Trial]) -> list[float | None]:
        """The outcome of each, None where it could not run."""
        ...

    def expect(self, more: int) -> None:
        """About so many trials are still to come."""
        ...

    def seconds(self) -> float:
        """How long a trial took so far, on average."""
        ...


@dataclass(frozen=True)
class Averaged:
    """A lab that runs every recipe `repeats` times and answers with the mean."""

    lab: Lab
    repeats: int

    @property
    def width(self) -> int:
        """How many recipes are measured at a time."""
        return max(self.lab.width // self.repeats, 1)

    def measure(self, trials: Sequence[Trial]) -> list[float | None]:
        """The mean of each, None where it could not run once."""
        values = self.lab.measure([repeated(trial, at) for trial in trials for at in range(self.repeats)])
        groups = range(0, len(values), self.repeats)
        return [mean(values[at : at + self.repeats]) for at in groups]

    def expect(self, more: int) -> None:
        """About so many recipes are still to come."""
        self.lab.expect(more * self.repeats)

    def seconds(self) -> float:
        """How long a recipe takes."""
        return self.lab.seconds() * self.repeats


@dataclass(frozen=True)
class Anchors:
    """What A and B gave each time that they were run now."""

    a: list[float | None]
    b: list[float | None]

    @property
    def ran(self) -> bool:
        """Whether all of them gave a value."""
        return None not in self.a and None not in self.b

    @property
    def noise(self) -> float:
        """How far apart the same recipe came out, at most."""
        return max(_spread(self.a), _spread(self.b))

    @property
    def base(self) -> float:
        """What A gives."""
        return mean(self.a) or 0.0

    @property
    def target(self) -> float:
        """What B gives."""
        return mean(self.b) or 0.0


def drop_anchors(a: Recipe, b: Recipe, lab: Lab) -> Anchors:
    """Run A and B twice each, and more often if a program does not agree with itself."""
    found = _run(a, b, lab, TWICE)
    return _run(a, b, lab, OFTEN) if found.ran and found.noise else found


def _run(a: Recipe, b: Recipe, lab: Lab, times: int) -> Anchors:
    trials = [repeated(Trial(side, what), at) for side, what in ((a, "A"), (b, "B")) for at in range(times)]
    values = lab.measure(trials)
    return Anchors(values[:times], values[times:])


def repeated(trial: Trial, number: int) -> Trial:
    """The same trial, the first time or once more."""
    return Trial(msgspec.structs.replace(trial.recipe, repeat=number), trial.what, trial.axes, trial.parts)


def mean(values: Sequence[float | None]) -> float | None:
    """The mean, exact where all are equal; None where one is missing."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return known[0] if len(set(known)) == 1 else fsum(known) / len(known)


def _spread(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return max(known) - min(known) if known else 0.0
