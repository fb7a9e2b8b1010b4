"""What a comparison of two runs answers, as values: the verdict, what differs, what was compared, what lies around."""

from typing import Any

import msgspec

from lin.events import Verdict
from lin.numbers import Real

SAME: frozenset[Verdict] = frozenset({"identical", "same predictions", "within tolerance"})
"""The verdicts that are a yes."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not the same: a missing or extra thing has None on one side."""

    what: str
    name: str
    first: Any
    second: Any


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """How many of each both runs have, and were held against each other; of predictions, the rows."""

    params: int = 0
    metrics: int = 0
    artifacts: int = 0
    files: int = 0
    tables: int = 0
    predictions: int = 0
    golden: int = 0


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs compared.

    `axes` names what is recorded of the two runs and differs: data, source, environment, params, seed, host;
    `context` says more of it, and of what could not be compared.
    """

    first: str
    second: str
    verdict: Verdict
    differences: list[Difference]
    compared: Compared
    axes: list[str]
    context: list[str]
    largest: Real | None
    """The largest absolute difference between two metrics, predictions or cells, where there is one to measure."""
    largest_probability: Real | None
    """The largest absolute difference between two predicted probabilities."""
    flips: int
    """How many predicted labels are not the same."""
    tolerance: float | None

    @property
    def same(self) -> bool:
        """Whether the verdict is a yes."""
        return self.verdict in SAME
