"""What differs between runs, as values.

Everything is told against the first run. Maps from runs to values go by the run's id; a run that has no such thing is
not in them.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from lin.data.changes import TableDiff
from lin.numbers import Real
from lin.records import Input
from lin.runs.hunks import FileChange

ThingKind = Literal["table", "model", "file"]


class ComparedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was compared. `label` is what it was called by."""

    id: str
    label: str
    name: str
    status: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A fact, param, tag, artifact, or word of git or of the host that is not the same in all runs."""

    name: str
    values: dict[str, Any]


class MetricDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A metric that is not the same, bit for bit.

    `deltas` are against the first run, where both values are finite; `better` is said of the trainer's metrics alone.
    """

    name: str
    values: dict[str, Real]
    deltas: dict[str, Real]
    better: dict[str, bool]


class FeatureDifference(msgspec.Struct, frozen=True, kw_only=True):
    """How the features of a run differ from those of the first. `reordered`: the same ones stand in another order."""

    run: str
    added: list[str]
    removed: list[str]
    reordered: bool


class ThingDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A table, model or file that the runs did not read, or write, in the same version."""

    kind: ThingKind
    name: str
    values: dict[str, list[Input]]


class TableChange(msgspec.Struct, frozen=True, kw_only=True):
    """A table that the first run read at version `old`, and `runs` at version `new`.

    `diff` counts what differs and lists no rows. It is None where that was not asked for, or where `note` says why.
    """

    runs: list[str]
    table: str
    old: int
    new: int
    diff: TableDiff | None
    note: str | None


class SourceChange(msgspec.Struct, frozen=True, kw_only=True):
    """The source of `runs`, which share it, against that of the first. `note` says why it was not compared."""

    runs: list[str]
    files: list[FileChange]
    note: str | None


class EnvironmentChange(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of `runs`, which share it, against that of the first, a line for each difference."""

    runs: list[str]
    differences: list[str]
    note: str | None


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Only what differs between runs, the first of them being what the others are held against.

    `facts` have `started` and `seconds` always. `same` names what they have, and have in common.
    """

    runs: list[ComparedRun]
    facts: list[Difference]
    params: list[Difference]
    metrics: list[MetricDifference]
    tags: list[Difference]
    features: list[FeatureDifference]
    inputs: list[ThingDifference]
    tables: list[TableChange]
    outputs: list[ThingDifference]
    artifacts: list[Difference]
    source: list[SourceChange]
    git: list[Difference]
    environment: list[EnvironmentChange]
    host: list[Difference]
    same: list[str]

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        from lin.runs.cards import comparison_html

        return comparison_html(self)

    def labels(self, ids: Sequence[str]) -> str:
        """What these runs were called by."""
        known = {run.id: run.label for run in reversed(self.runs)}
        return ", ".join(known[run] for run in ids)
