"""A picture of runs, as values: panels with marks and lines, and what explains their colours. And its drawing.

Places are given in inches and axes have fixed ends, so that a page can lay marks with tips of its own over the axes.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lin.runs.drawing import GREY, INK, LIGHT, Sheet, fitted, shortened, width_of

WIDTH = 9.6
"""In inches, of every picture."""
SIDE = 2.7
"""The column right of the panels."""
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2), (3, 1), (9, 3))
"""Lines of one colour differ in these, in points."""

_TALL, _LOW = 4.6, 2.6
_TOP, _BELOW, _MARGIN = 0.34, 0.62, 0.25
_ROW, _SMALL = 0.215, 8.5
_STRIPS = 64
_LINES = 1.3


@dataclass(frozen=True)
class Ends:
    """One direction of a panel: from where to where, how, and what stands beside it. Times are in days since 1970."""

    label: str
    low: float
    high: float
    kind: Literal["number", "time", "category"] = "number"
    is_log: bool = False
    categories: Sequence[str] = ()

    def share(self, value: float) -> float:
        """How far along the direction a value is, from 0 to 1."""
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Mark:
    """A run at its place."""

    x: float
    y: float
    colour: str
    tip: Sequence[str]


@dataclass(frozen=True)
class Line:
    """A metric of a run: it is broken where `ys` is not finite."""

    xs: Sequence[float]
    ys: Sequence[float]
    colour: str
    dashes: Sequence[float]
    tip: Sequence[str]

    def pieces(self) -> list[tuple[Sequence[float], Sequence[float]]]:
        """The unbroken parts."""
        found, begin = [], 0
        for at in range(len(self.ys) + 1):
            if at == len(self.ys) or not math.isfinite(self.ys[at]):
                if at > begin:
                    found.append((self.xs[begin:at], self.ys[begin:at]))
                begin = at + 1
        return found


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    x: Ends
    y: Ends
    marks: Sequence[Mark] = ()
    lines: Sequence[Line] = ()


@dataclass(frozen=True)
class Key:
    """What colours mean: labels with a colour and dashes each, and a `scale` of colours from `low` to `high`."""

    title: str = ""
    of_marks: bool = False
    labels: Sequence[tuple[str, str, Sequence[float]]] = ()
    scale: Sequence[str] = ()
    low: str = ""
    high: str = ""


@dataclass(frozen=True)
class Picture:
    """Panels one below the other, the key at their right, and what is told above."""

    title: str
    facts: Sequence[str]
    panels: Sequence[Panel]
    key: Key = field(default_factory=Key)

    @property
    def boxes(self) -> "list[Box]":
        """Where the axes of each panel are."""
        left = max(0.55, *(_label_room(panel.y) for panel in self.panels)) + 0.4
        width = WIDTH - left - (SIDE if self.key.labels or self.key.scale else _MARGIN)
        height = _TALL if len(self.panels) == 1 else _LOW
        found, top = [], _TOP
        for panel in self.panels:
            found.append(Box(left, top, width, height))
            top += height + _BELOW + foot_of(panel.x, width) + _TOP
        return found

    @property
    def height(self) -> float:
        """In inches."""
        last = self.boxes[-1]
        panels = last.top + last.height + _BELOW + foot_of(self.panels[-1].x, last.width)
        return max(panels, _TOP + 0.4 + _ROW * (len(self.key.labels) + 1))


@dataclass(frozen=True)
class Box:
    """A rectangle in inches from the upper left corner."""

    left: float
    top: float
    width: float
    height: float


def radius_of(marks: int) -> float:
    """How large each of so many marks is, in points."""
    return max(2.0, 4.6 - marks / 250)


def draw_panels(sheet: Sheet, picture: Picture, *, filled: bool = True) -> None:
    """Draw the axes and the key, and where it is `filled` the marks and lines in them."""
    for panel, box in zip(picture.panels, picture.boxes, strict=True):
        axes = sheet.axes(box.left, box.top, box.width, box.height)
        _dress(axes, panel, box)
        sheet.text(box.left - 0.3, box.top - 0.13, fitted(panel.y.label, box.width, 9.5), fontsize=9.5, weight="bold")
        if filled:
            _fill(axes, panel)
    _draw_key(sheet, picture.key)


def _dress(axes: Any, panel: Panel, box: Box) -> None:
    for name, along, ends in (("x", axes.xaxis, panel.x), ("y", axes.yaxis, panel.y)):
        if ends.is_log:
            axes.set(**{f"{name}scale": "log"})
            along.set_major_formatter(lambda value, _: f"{value:g}")
            along.set_minor_formatter(lambda *_: "")
        elif ends.kind == "time":
            _tell_times(along)
    axes.set(xlim=(panel.x.low, panel.x.high), ylim=(panel.y.low, panel.y.high))
    axes.set_xlabel(fitted(panel.x.label, box.width, 9.5), fontsize=9.5)
    axes.grid(color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=_SMALL, length=3)
    _name_categories(axes.xaxis, panel.x, box.width, 90 if foot_of(panel.x, box.width) else 0)
    _name_categories(axes.yaxis, panel.y, box.height, 0)


def _name_categories(along: Any, ends: Ends, room: float, rotation: int) -> None:
    """Name categories, or each so many where they stand too close."""
    if ends.kind != "category":
        return
    step = max(1, math.ceil(len(ends.categories) * 0.16 / room))
    places = range(0, len(ends.categories), step)
    names = [fit_middle(ends.categories[at], _LONGEST_LABEL, _SMALL) for at in places]
    along.set_ticks(list(places), names, rotation=rotation)


def _tell_times(along: Any) -> None:
    from datetime import UTC

    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(tz=UTC, minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    along.set_major_locator(locator)
    along.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]


def _fill(axes: Any, panel: Panel) -> None:
    if panel.marks:
        size = (2 * radius_of(len(panel.marks))) ** 2
        xs, ys, colours = zip(*((mark.x, mark.y, mark.colour) for mark in panel.marks), strict=True)
        axes.scatter(xs, ys, s=size, c=colours, alpha=0.8, edgecolors="white", linewidths=0.4, clip_on=False, zorder=3)
    for line in panel.lines:
        for piece in line.pieces():
            style = {"marker": "o", "markersize": 4} if len(piece[0]) == 1 else {"dashes": line.dashes or (None, None)}
            axes.plot(*piece, color=line.colour, linewidth=_LINES, zorder=3, **style)


def widened(values: Collection[float], *, is_log: bool = False) -> tuple[float, float]:
    """The extremes of finite numbers, with a margin so that no point lies on an edge."""
    low, high = min(values), max(values)
    if is_log:
        margin = (high / low) ** 0.04
        return low / margin, high * margin
    margin = (high - low) * 0.04 or abs(low) * 0.1 or 1.0
    return low - margin, high + margin


# --- what colours mean ------------------------------------------------------------------------------------------------


def _draw_key(sheet: Sheet, key: Key) -> None:
    left = WIDTH - SIDE + 0.3
    room = SIDE - 0.3 - 0.1
    if key.labels or key.scale:
        sheet.text(left, _TOP + 0.06, fitted(key.title, room, 9.5), fontsize=9.5, weight="bold")
    if key.scale:
        _draw_scale(sheet, key, left)
    below = _TOP + 0.36 + (2.5 if key.scale else 0)
    for at, (label, colour, dashes) in enumerate(key.labels):
        height = below + _ROW * at
        _draw_sample(sheet, left, height - 0.04, colour, None if key.of_marks else dashes)
        sheet.text(left + 0.42, height, fit_middle(label, room - 0.42, _SMALL), fontsize=_SMALL)


def _draw_sample(sheet: Sheet, left: float, top: float, colour: str, dashes: Sequence[float] | None) -> None:
    """A piece of a line, or without dashes a mark."""
    from matplotlib.lines import Line2D

    whole = sheet.whole or sheet.height
    height = 1 - (sheet.top + top) / whole
    across = [left / sheet.width, (left + 0.32) / sheet.width]
    style: dict[str, Any] = {"linewidth": 2.4, "solid_capstyle": "butt"}
    if dashes is None:
        across, style = [sum(across) / 2], {"marker": "o", "markersize": 7, "linestyle": "none"}
    elif dashes:
        style["dashes"] = [each / 1.8 for each in dashes]  # lines are thinner than their samples
    ends = [height] * len(across)
    sheet.figure.add_artist(Line2D(across, ends, color=colour, transform=sheet.figure.transFigure, **style))


def _draw_scale(sheet: Sheet, key: Key, left: float) -> None:
    top, height = _TOP + 0.22, 2.0
    for at, colour in enumerate(key.scale):
        strip = height / len(key.scale)
        sheet.bar(left, top + height - strip * (at + 1), 0.2, strip * 1.15, colour)
    for text, along in ((key.high, 0.1), (key.low, height)):
        sheet.text(left + 0.3, top + along, text, fontsize=_SMALL, color=INK)


def scale_colours() -> list[str]:
    """The colours of a scale, from its low end: light enough and dark enough to be seen on any paper."""
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    return [to_hex(mpl.colormaps["viridis"](0.12 + 0.8 * at / (_STRIPS - 1))) for at in range(_STRIPS)]


# --- room for labels --------------------------------------------------------------------------------------------------

_LONGEST_LABEL = 1.6
_MOST_CHARACTERS = 200


def fit_middle(label: str, inches: float, points: float) -> str:
    """As much of the label's beginning and end as fits: names and ids often differ at their end."""
    text = shortened(label, _MOST_CHARACTERS)
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width_of(_cut(text, middle), points) <= inches else (low, middle - 1)
    return _cut(text, low)


def _cut(text: str, length: int) -> str:
    """So many characters of the text, from both of its ends."""
    if length >= len(text):
        return text
    tail = length // 2
    return f"{text[: length - tail]}…{text[len(text) - tail :]}"


def _label_room(ends: Ends) -> float:
    """How wide the labels beside the axis are."""
    return max((min(width_of(name, _SMALL), _LONGEST_LABEL) for name in ends.categories), default=0.0)


def foot_of(ends: Ends, width: float) -> float:
    """How much room more the labels below the axis take, where they have to stand upright."""
    names = [min(width_of(name, _SMALL), _LONGEST_LABEL) for name in ends.categories]
    return max(names) if sum(names) + 0.12 * len(names) > width else 0.0


def head_of(picture: Picture) -> float:
    """How much room title and facts take above the panels."""
    return 0.5 + 0.19 * len(picture.facts)


def draw_head(sheet: Sheet, picture: Picture) -> None:
    """Draw the title, and the facts in lines of their own."""
    sheet.text(_MARGIN, 0.36, fitted(picture.title, WIDTH - 2 * _MARGIN, 13, bold=True), fontsize=13, weight="bold")
    for at, fact in enumerate(picture.facts):
        sheet.text(_MARGIN, 0.58 + 0.19 * at, fitted(fact, WIDTH - 2 * _MARGIN, _SMALL), fontsize=_SMALL, color=GREY)
