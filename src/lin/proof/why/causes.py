"""The likely cause of a difference, from records alone, in one sentence, and what to do about it.

Nothing is run to find it: one axis that differs alone is the cause if the program repeats itself; of several, only
controlled re-execution tells which of them it was. The sentences say no more than that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from lin.ids import short
from lin.proof.why.axes import Axes
from lin.proof.why.data_axis import DataChange
from lin.proof.why.effects import MetricEffect
from lin.proof.why.recorded import Between
from lin.proof.why.undo import Called, Remedy, remedy, some, tell_axis, tell_change, undo_axis
from lin.runs.wording import show_number

__all__ = ["Called", "Cause", "Findings", "Remedy", "find_cause", "undo_axis"]

MOST_OF_IT, LITTLE_OF_IT = 0.9, 0.1
"""An axis did it if alone it moves the metric by so much of the effect, and all others without it by no more."""

Kind = Literal[
    "nothing to explain", "nothing to compare", "feedback", "one axis", "runs between", "several axes", "unexplained"
]


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What the records say of the cause, in one sentence, and what to type next.

    `axes` differ, and `blamed` is the one of them that did it: the only one, or the one that recorded runs in between
    tell apart from the others. `repeats`: a re-run of one of the two was found the same, so that chance plays no part.
    """

    kind: Kind
    axes: list[str]
    blamed: str | None
    sentence: str
    repeats: bool
    remedies: list[Remedy]


@dataclass(frozen=True)
class Findings:
    """All that was found: what differs in the data and on the other axes, and what came out otherwise.

    `fed` says who was trained on whose predictions, where only one of the two was; `healed`: that was `a`. `results` is
    false where there was nothing that could have come out otherwise.
    """

    a: Called
    b: Called
    data: Sequence[DataChange]
    axes: Axes
    differs: Sequence[str]
    results: bool = True
    repeats: bool = False
    fed: str | None = None
    healed: bool = False
    lead: MetricEffect | None = None
    between: Sequence[Between] = ()

    @property
    def differing(self) -> list[str]:
        """The axes that differ, in order."""
        return [*(["data"] if self.data else []), *self.axes.differing]


def find_cause(found: Findings) -> Cause:
    """The likely cause of what was found, and what to do about it."""
    blamed = _find_blamed(found)
    kind = _judge(found, blamed)
    return Cause(
        kind=kind,
        axes=found.differing,
        blamed=blamed.axis if blamed else None,
        sentence=_tell(kind, found, blamed),
        repeats=found.repeats,
        remedies=_find_remedies(kind, found, blamed),
    )


@dataclass(frozen=True)
class _Blamed:
    """An axis that did it; `alone` and `without` are the runs that show it, if several axes differ."""

    axis: str
    alone: Between | None = None
    without: Between | None = None


def _find_blamed(found: Findings) -> _Blamed | None:
    if not found.differs:
        return None
    if len(found.differing) == 1:
        return _Blamed(found.differing[0])
    cells = {frozenset(each.taken): each for each in found.between}
    for axis in found.differing:
        alone, without = cells.get(frozenset({axis})), cells.get(frozenset(found.differing) - {axis})
        shares = _share(alone, found.lead), _share(without, found.lead)
        if MOST_OF_IT <= shares[0] <= 1 + LITTLE_OF_IT and abs(shares[1]) <= LITTLE_OF_IT:
            return _Blamed(axis, alone, without)
    return None


def _share(cell: Between | None, metric: MetricEffect | None) -> float:
    """How much of the effect on the metric the run shows; NaN where that is not known."""
    if cell is None or metric is None or metric.old is None or not metric.delta:
        return math.nan
    return (cell.metrics.get(metric.name, math.nan) - metric.old) / metric.delta


def _judge(found: Findings, blamed: _Blamed | None) -> Kind:
    if not found.results:
        return "nothing to compare"
    if not found.differs:
        return "nothing to explain"
    if not found.differing:
        return "unexplained"
    if found.fed:
        return "feedback"
    return "several axes" if blamed is None else "one axis" if blamed.alone is None else "runs between"


# --- sentences --------------------------------------------------------------------------------------------------------


def _tell(kind: Kind, found: Findings, blamed: _Blamed | None) -> str:
    axes = found.differing
    match kind:
        case "nothing to compare":
            return "neither of them left metrics, artifacts or tables: there is nothing to compare"
        case "nothing to explain":
            though = f"{_join(axes)} {_differ(axes)}, and they agree all the same" if axes else "they agree"
            return f"{though}: nothing to explain"
        case "unexplained":
            return _tell_unexplained(found.axes)
    if blamed is None:
        whole = f"{_join(axes)} differ; the records do not tell which of them did it"
    else:
        whole = _tell_alone(found) if blamed.alone is None else _tell_shown(found, blamed)
    return f"{found.fed}. {whole[0].upper()}{whole[1:]}" if found.fed else whole


def _tell_shown(found: Findings, blamed: _Blamed) -> str:
    """Of an axis that recorded runs tell apart from the others."""
    metric = found.lead.name if found.lead else ""
    others = _join([axis for axis in found.differing if axis != blamed.axis])
    alone, without = (
        f"{show_number(cell.metrics[metric])} (run {short(cell.run)})"
        for cell in (blamed.alone, blamed.without)
        if cell
    )
    return (
        f"{_join(found.differing)} differ, and it is the {blamed.axis}, as recorded runs show: "
        f"with the {blamed.axis} of {found.b.label} alone {metric} is {alone}, with its {others} alone {without}"
    )


def _tell_alone(found: Findings) -> str:
    """Of an axis that differs alone."""
    axis = found.differing[0]
    detail = tell_axis(axis, found.data, found.axes)
    if axis == "seed":
        return f"only the seed differs ({detail}): this is chance"
    it = "they are" if axis == "params" else "it is"
    sure = "and a re-run was found the same" if found.repeats else "if the program repeats itself"
    return f"only the {axis} {_differ([axis])} ({detail}), so {it} the cause, {sure}"


def _tell_unexplained(axes: Axes) -> str:
    if axes.unknown:
        lacking = "; ".join(f"{axis}: {why}" for axis, why in axes.unknown.items())
        return f"nothing that was recorded differs, but not all was recorded ({lacking})"
    logged = f", and logged {some([tell_change(each) for each in axes.logged])}" if axes.logged else ""
    return f"nothing recorded differs: the program does not repeat itself, or uses what lin does not see{logged}"


def _join(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _differ(axes: Sequence[str]) -> str:
    return "differs" if len(axes) == 1 and axes[0] != "params" else "differ"


# --- commands ---------------------------------------------------------------------------------------------------------


def _find_remedies(kind: Kind, found: Findings, blamed: _Blamed | None) -> list[Remedy]:
    a, b = found.a, found.b
    again = remedy("lin", "rerun", a.reference, does=f"{a.label} again, as recorded")
    attribute = remedy("lin", "why", a.reference, b.reference, "--attribute", does="which of them did it, by running")
    match kind:
        case "nothing to compare" | "nothing to explain":
            return []
        case "unexplained":
            return [remedy("lin", "rerun", a.reference, "--repeat", "3", does="tells whether it repeats itself")]
        case "several axes":
            return [attribute, again]
    axis = blamed.axis if blamed else "data"  # where one was trained on predictions
    undone = [] if found.healed else undo_axis(axis, a, b, found.data, found.axes) or [again]
    return [*undone, *([] if blamed else [attribute])]
