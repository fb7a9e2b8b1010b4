"""Runs as points of a scatter: the place of each on two axes and its colour, why others have none, and its picture.

An axis is of numbers, of times, or of categories in a sensible order. It is logarithmic where positive numbers span
more than two powers of ten.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from lin.ids import short
from lin.runs.drawing import COLOURS, GREY, LARGEST
from lin.runs.fields import tabulate
from lin.runs.matching import as_double, param_number, param_text
from lin.runs.query import RunInfo
from lin.runs.run_panels import Ends, Key, Mark, Panel, Picture, scale_colours, widened
from lin.runs.where import Field, format_field, nature_of

SPAN_OF_LOG = 100.0
_PALETTE = [colour for colour in COLOURS if colour != "#6b7885"]  # that one is grey too
_NAMED = 3
_DAY = 86_400
_DIGITS = re.compile(r"([0-9]{1,18})")


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is not drawn, and why."""

    run: str
    name: str
    reason: str


@dataclass(frozen=True)
class Axis:
    """The places of all points along one direction.

    `places` are numbers, seconds since 1970 UTC, or positions in `categories`; NaN stands for no place.
    """

    field: str
    kind: Literal["number", "time", "category"]
    places: list[float]
    shown: list[str]
    """The values as text."""
    categories: list[str]
    is_log: bool

    @property
    def label(self) -> str:
        """What stands beside it."""
        unit = {"time": " (UTC)", "number": " (log scale)" if self.is_log else ""}.get(self.kind, "")
        return self.field + unit


@dataclass(frozen=True)
class Scatter:
    """The runs that have a place, their axes in the same order, and those that are left out."""

    runs: list[RunInfo]
    x: Axis
    y: Axis
    color: Axis | None
    left_out: list[LeftOut]

    @property
    def axes(self) -> list[Axis]:
        """All that there are."""
        return [self.x, self.y, *([self.color] if self.color else [])]


def scatter_runs(runs: Sequence[RunInfo], x: Field, y: Field, color: Field | None = None) -> Scatter:
    """Where each run stands. A run without a value for `color` keeps its place, and has NaN there."""
    fields = [x, y] if color is None else [x, y, color]
    rows = list(zip(runs, tabulate(runs, fields).rows, strict=True))
    left_out = []
    for at, field in enumerate((x, y)):
        numeric = _is_numeric(field, [row[at] for _, row in rows])
        reasons = [_objection(field, row[at], numeric=numeric) for _, row in rows]
        left_out += [_left_out(run, reason) for (run, _), reason in zip(rows, reasons, strict=True) if reason]
        rows = [row for row, reason in zip(rows, reasons, strict=True) if not reason]
    axes = [make_axis(field, [row[at] for _, row in rows]) for at, field in enumerate(fields)]
    return Scatter([run for run, _ in rows], axes[0], axes[1], axes[2] if color else None, left_out)


def make_axis(field: Field, cells: Sequence[Any]) -> Axis:
    """The axis of these values, None where there is none."""
    name, shown = format_field(field), [show_value(cell) for cell in cells]
    if nature_of(field) == "time":
        places = [cell.timestamp() if isinstance(cell, datetime) else math.nan for cell in cells]
        return Axis(name, "time", places, shown, [], is_log=False)
    if _is_numeric(field, cells):
        places = [_drawable(field, cell) for cell in cells]
        return Axis(name, "number", places, shown, [], is_log=spans_decades(places))
    categories = sort_categories({param_text(cell) for cell in cells if cell is not None})
    position = {category: float(at) for at, category in enumerate(categories)}
    places = [math.nan if cell is None else position[param_text(cell)] for cell in cells]
    return Axis(name, "category", places, shown, categories, is_log=False)


def spans_decades(values: Sequence[float]) -> bool:
    """Whether these numbers, NaN aside, are positive, none next to nothing, and over two powers of ten apart."""
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > 1 / LARGEST and max(finite) / SPAN_OF_LOG > min(finite)


def sort_categories(texts: set[str]) -> list[str]:
    """Numbers by their value, then other texts; numbers within these count as such: `fold 2` before `fold 10`."""

    def key(text: str) -> tuple[Any, ...]:
        number = param_number(text)
        if number is not None and not math.isnan(number):
            return 0, number, text
        parts = _DIGITS.split(text)  # digits stand at the odd places
        return 1, [int(part) if at % 2 else part.lower() for at, part in enumerate(parts)], text

    return sorted(texts, key=key)


def show_value(value: Any) -> str:
    """A value for people: numbers with six digits, times to the second, `none` for None."""
    if value is None:
        return "none"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return f"{value:.6g}" if isinstance(value, float) else param_text(value)


def _is_numeric(field: Field, cells: Sequence[Any]) -> bool:
    """Whether all values are numbers; a parameter's text may be one, as filters have it."""
    return nature_of(field) != "text" and all(cell is None or _number(field, cell) is not None for cell in cells)


def _number(field: Field, cell: Any) -> float | None:
    if isinstance(cell, str):
        return param_number(cell) if field.kind == "params" else None
    return as_double(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else None


def _drawable(field: Field, cell: Any) -> float:
    number = None if cell is None else _number(field, cell)
    return number if number is not None and abs(number) < LARGEST else math.nan


def _objection(field: Field, cell: Any, *, numeric: bool) -> str | None:
    """Why a value has no place on an axis, or None."""
    name = format_field(field)
    if cell is None:
        return f"without {name}"
    if numeric and math.isnan(_drawable(field, cell)):
        number = _number(field, cell)
        return f"{name} is NaN" if number is None or math.isnan(number) else f"{name} is beyond {LARGEST:.0e}"
    return None


def _left_out(run: RunInfo, reason: str) -> LeftOut:
    return LeftOut(run=run.id, name=run.name, reason=reason)


# --- its picture ------------------------------------------------------------------------------------------------------


def picture_scatter(scatter: Scatter) -> Picture:
    """The picture: the first run on top, and what is left out told above."""
    colours, key = _colour(scatter)
    places = zip(_places(scatter.x), _places(scatter.y), colours, _tips(scatter), strict=True)
    panel = Panel(_ends(scatter.x), _ends(scatter.y), marks=[Mark(*place) for place in places][::-1])
    logarithmic = [
        f"{axis.field} is on a logarithmic scale: it spans more than two powers of ten"
        for axis in scatter.axes
        if axis.is_log
    ]
    facts = [*tell_left_out(len(scatter.runs), scatter.left_out), *logarithmic]
    return Picture(f"{scatter.y.field} against {scatter.x.field}", facts, [panel], key)


def tell_left_out(drawn: int, left_out: Sequence[LeftOut]) -> list[str]:
    """How many runs are drawn, and for each reason which are not."""
    of = f"{drawn} of {drawn + len(left_out)} runs" if left_out else f"{drawn} run{'s' * (drawn != 1)}"
    told = []
    for reason, number in Counter(each.reason for each in left_out).items():
        who = [f"{each.name} ({short(each.run)})" for each in left_out if each.reason == reason][:_NAMED]
        more = f" and {number - len(who)} more" if number > len(who) else ""
        told.append(f"not drawn, {reason}: {', '.join(who)}{more}")
    return [of, *told]


def _tips(scatter: Scatter) -> list[list[str]]:
    return [
        [f"{run.name} ({short(run.id)})", *(f"{axis.field} = {axis.shown[at]}" for axis in scatter.axes)]
        for at, run in enumerate(scatter.runs)
    ]


def _colour(scatter: Scatter) -> tuple[list[str], Key]:
    """The colour of each point, and what it means."""
    axis = scatter.color
    if axis is None:
        return [COLOURS[0]] * len(scatter.runs), Key()
    missing = [("none", GREY, ())] if any(map(math.isnan, axis.places)) else []
    if axis.kind != "category":
        return _colour_scale(axis, missing)
    frequent = [place for place, _ in Counter(p for p in axis.places if not math.isnan(p)).most_common(len(_PALETTE))]
    if len(axis.categories) > len(_PALETTE):
        frequent = frequent[:-1]
        missing = [(f"{len(axis.categories) - len(frequent)} others", GREY, ()), *missing]
    palette = dict(zip(sorted(frequent), _PALETTE, strict=False))
    labels = [(axis.categories[int(place)], colour, ()) for place, colour in palette.items()]
    return [palette.get(place, GREY) for place in axis.places], Key(
        axis.field, of_marks=True, labels=[*labels, *missing]
    )


def _colour_scale(axis: Axis, missing: list[tuple[str, str, tuple[()]]]) -> tuple[list[str], Key]:
    known = [place for place in axis.places if not math.isnan(place)]
    if not known:
        return [GREY] * len(axis.places), Key(axis.field, of_marks=True, labels=missing)
    scale = scale_colours()
    ends = Ends(axis.label, min(known), max(known), is_log=axis.is_log)
    steps = [0.5 if ends.low == ends.high or math.isnan(place) else ends.share(place) for place in axis.places]
    colours = [
        GREY if math.isnan(place) else scale[min(int(step * len(scale)), len(scale) - 1)]
        for place, step in zip(axis.places, steps, strict=True)
    ]
    low, high = (axis.shown[axis.places.index(end)] for end in (ends.low, ends.high))
    return colours, Key(axis.label, of_marks=True, labels=missing, scale=scale, low=low, high=high)


def _places(axis: Axis) -> list[float]:
    return [place / _DAY for place in axis.places] if axis.kind == "time" else axis.places


def _ends(axis: Axis) -> Ends:
    if axis.kind == "category":
        return Ends(axis.label, -0.5, len(axis.categories) - 0.5, "category", categories=axis.categories)
    low, high = widened(_places(axis), is_log=axis.is_log)
    return Ends(axis.label, low, high, axis.kind, is_log=axis.is_log)
