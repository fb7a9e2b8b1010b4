"""What a controlled re-execution found, as values: every cell that ran, what each axis does, and the cause.

A cell is a run of A in which something is as in B. Effects are differences of the outcome that was asked about; what
could not run has no value, and nothing is put in its place.
"""

from typing import Literal

import msgspec

from lin.numbers import Real
from lin.proof.why.undo import Remedy

AttributionVerdict = Literal["cause", "joint cause", "inconclusive", "nothing to explain"]
Relation = Literal["one", "sum", "either", "only together", "together"]
"""How several things make an effect: they add up, each does all of it, each does nothing alone, or none of these."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two runs. `recorded`: its outcome then, None where the record does not tell; `replayed`: those now."""

    run: str
    label: str
    recorded: Real | None
    replayed: list[Real]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was run, or could not be. `axes` are those at B's side, and of the last of them only `parts`."""

    what: str
    axes: list[str]
    parts: list[str]
    repeat: int
    run: str | None
    value: Real | None
    error: str | None
    seconds: Real | None


class AxisEffect(msgspec.Struct, frozen=True, kw_only=True):
    """What an axis does, or several that cannot be told apart.

    `shapley` is its fair share of the effect, `share` that as a part of the whole; `low` and `high` are an interval
    where it was estimated. `alone` is what it does to A by itself, `taken_out` what B loses without it.
    """

    axes: list[str]
    shapley: Real | None
    share: Real | None
    low: Real | None
    high: Real | None
    alone: Real | None
    taken_out: Real | None


class Interaction(msgspec.Struct, frozen=True, kw_only=True):
    """What two axes, or groups of them, do together beyond what they do apart."""

    first: list[str]
    second: list[str]
    effect: Real


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One look inside an axis: among which parts, which of them do it, and how that was seen.

    `alone` is the outcome with only these, `rest` with all others of them; for parts that only follow each other, with
    all up to these, and before these. `confirmed`: they do all of it, and the others nothing.
    """

    axis: str
    ordered: bool
    among: list[str]
    found: list[str]
    alone: Real | None
    rest: Real | None
    relation: Relation
    confirmed: bool


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of what was found, tried once more. `moved` is the part of the effect that is left of it."""

    what: str
    value: Real | None
    moved: Real | None
    holds: bool


class SeedSpread(msgspec.Struct, frozen=True, kw_only=True):
    """What other seeds do to A and to B, with everything else as it was. `spread`: from the least to the greatest."""

    seeds: list[int]
    a: list[Real | None]
    b: list[Real | None]
    spread: Real
    others: Real | None
    """What all axes but the seed do to A."""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """An axis that did it, or had a part in it, and what in it. `share` is its part of the effect."""

    axis: str
    parts: list[str]
    share: Real | None


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """Why the outcome of B is not that of A, by running what lies between.

    `noise` is how far apart the same program, run again, came out. `blocks` are axes that only run together, where
    there are such. `estimated`: not every set of axes was run.
    """

    on: str
    a: Side
    b: Side
    effect: Real | None
    noise: Real
    axes: list[str]
    cells: list[Cell]
    estimated: bool
    blocks: list[list[str]]
    effects: list[AxisEffect]
    interactions: list[Interaction]
    seeds: SeedSpread | None
    steps: list[Step]
    checks: list[Check]
    causes: list[Cause]
    relation: Relation | None
    verdict: AttributionVerdict
    sentence: str
    notes: list[str]
    undo: list[Remedy]
