"""The small drawings that a profile's pictures are made of: one column, a matrix of columns, axes and legends.

Each draws into a box of a sheet, in inches from its upper left corner: left, top, width, height. Labels are cut
to the room that there is, so that none runs into another.
"""

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lin.data.distribution import Histogram
from lin.data.profile import ColumnProfile, TableProfile
from lin.runs.drawing import BLUE, GREY, INK, LIGHT, ORANGE, RED, Sheet, fitted

if TYPE_CHECKING:
    import numpy as np

Box = tuple[float, float, float, float]

_BARS = 6
_DAY = 86_400
_FEWEST_DIGITS, _MOST_DIGITS = 4, 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# --- one column -------------------------------------------------------------------------------------------------------


def draw_column(sheet: Sheet, box: Box, column: ColumnProfile, profile: TableProfile, *, target: bool) -> None:
    """A column's name, type, distribution, and below it the share that is missing."""
    left, top, width, height = box
    colour = ORANGE if target else BLUE
    missing = f"{share(column.missing)} missing" if column.missing else ""
    sheet.text(left, top + 0.13, fitted(column.name, width, 9.5, bold=True), fontsize=9.5, weight="bold")
    kind = ("target, " if target else "") + column.type
    sheet.text(left, top + 0.28, fitted(kind, width - (1.0 if missing else 0.0), 7.5), fontsize=7.5, color=GREY)
    sheet.text(left + width, top + 0.28, missing, fontsize=7.5, color=RED, ha="right")
    axes = sheet.axes(left, top + 0.37, width, height - 0.85)
    if column.histogram:
        _draw_histogram(axes, column, colour)
    elif column.top:
        _draw_frequent(axes, column, colour, width)
    else:
        _draw_nothing(axes, _why_nothing(column, profile))
    sheet.bar(left, top + height - 0.28, width, 0.05, LIGHT)
    sheet.bar(left, top + height - 0.28, width * column.missing, 0.05, RED)


def _why_nothing(column: ColumnProfile, profile: TableProfile) -> str:
    if not profile.rows:
        return "no rows"
    if column.nulls + column.nans == profile.rows:
        return "all missing"
    if column.kind == "other":
        return "not drawn"
    return "nothing to draw in the sample" if profile.sampled < profile.rows else "nothing to draw"


def _draw_nothing(axes: Any, why: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", fontsize=8, color=GREY)


def _draw_histogram(axes: Any, column: ColumnProfile, colour: str) -> None:
    histogram = column.histogram
    if histogram is None:
        return
    if _is_single(histogram):
        middles = [edge + 0.5 for edge in histogram.edges[:-1]]
        axes.bar(middles, histogram.counts, width=0.8, color=colour)
    else:
        axes.stairs(histogram.counts, histogram.edges, fill=True, color=colour)
    axes.set(xlim=(histogram.edges[0], histogram.edges[-1]), ylim=(0, max(histogram.counts) * 1.04))
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    label_axis(axes, "x", column)
    total = sum(histogram.counts) + histogram.below + histogram.above
    for rows, side in ((histogram.below, "left"), (histogram.above, "right")):
        if rows:
            at = 0.0 if side == "left" else 1.0
            text = f"{share(rows / total)} beyond"
            axes.text(at, 1.0, text, transform=axes.transAxes, ha=side, va="top", fontsize=6.5, color=GREY)


def _is_single(histogram: Histogram) -> bool:
    """Whether each bin holds one whole number."""
    return histogram.edges[1] - histogram.edges[0] == 1.0 and histogram.edges[0] % 1 == 0.5  # noqa: PLR2004


def _draw_frequent(axes: Any, column: ColumnProfile, colour: str, width: float) -> None:
    """The most frequent values as bars with their names on them."""
    if column.top[0].rows == 1 and len(column.top) > 1:
        return _draw_nothing(axes, "every value is different")
    rest = column.others + sum(each.rows for each in column.top[_BARS:])
    shown = column.top[:_BARS] if not rest else column.top[: _BARS - 1]
    rest = column.others + sum(each.rows for each in column.top[len(shown) :])
    total = sum(each.rows for each in column.top) + column.others
    entries = [(each.value, each.share, colour) for each in shown]
    entries += [("all others", rest / total, GREY)] if rest else []
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(_BARS - 0.5, -0.5))
    longest = max(part for _, part, _ in entries)
    for at, (name, part, tint) in enumerate(entries):
        axes.barh(at, part / longest, height=0.86, color=tint, alpha=0.28, linewidth=0)
        axes.text(0.02, at, fitted(name, width - 0.55, 7.5), fontsize=7.5, va="center_baseline")
        axes.text(0.99, at, share(part), fontsize=7, ha="right", va="center_baseline")
    return None


# --- matrices ---------------------------------------------------------------------------------------------------------


def draw_matrix(axes: Any, values: list[list[float | None]], *, numbered: bool) -> None:
    """A square of shades: blue for positive, orange for negative, a dot where there is none."""
    import numpy as np

    shade_cells(axes, np.array([[0.0 if value is None else value for value in row] for row in values]))
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            if value is None or numbered:
                text = "·" if value is None else f"{value:z.2f}".replace("-", "−")
                write_in_cell(axes, row, column, text, abs(value or 0.0), 8)
    axes.set(xlim=(-0.5, len(values) - 0.5), ylim=(len(values) - 0.5, -0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def shade_cells(axes: Any, values: "np.ndarray[Any, Any]") -> None:
    """Cells whose colour is as strong as the value: transparent where it is 0, on whatever ground."""
    import numpy as np
    from matplotlib.colors import to_rgb

    shades = np.zeros((*values.shape, 4))
    shades[..., :3] = np.where((values < 0)[..., None], to_rgb(ORANGE), to_rgb(BLUE))
    shades[..., 3] = np.abs(values)
    axes.imshow(shades, aspect="auto", interpolation="nearest")


def write_in_cell(axes: Any, row: int, column: int, text: str, strength: float, size: float) -> None:
    """Text in the middle of a cell that is shaded so strongly."""
    colour = "white" if strength > 0.6 else INK  # noqa: PLR2004  of the colour scale
    axes.text(column, row, text, fontsize=size, ha="center", va="center_baseline", color=colour)


# --- words ------------------------------------------------------------------------------------------------------------


def draw_legend(sheet: Sheet, left: float, top: float, entries: list[tuple[tuple[str, ...], str]]) -> None:
    """What the colours mean, in one line."""
    for colours, name in entries:
        for colour in colours:
            sheet.bar(left, top - 0.1, 0.12, 0.12, colour)
            left += 0.16
        sheet.text(left + 0.04, top, name, fontsize=8.5)
        left += 0.3 + 0.078 * len(name)


def label_axis(axes: Any, side: str, column: ColumnProfile) -> None:
    """A few ticks with labels as short as tells them apart; for times the two ends, turned inwards."""
    axis = getattr(axes, f"{side}axis")
    axes.tick_params(axis=side, labelsize=7.5, length=2.5, pad=2)
    if column.histogram is None:
        return
    low, high = column.histogram.edges[0], column.histogram.edges[-1]
    if column.kind == "time":
        _label_times(axis, low, high, single=len(column.histogram.counts) == 1)
        return
    digits = _digits_between(low, high)
    if len(column.histogram.counts) == 1 or digits > _MOST_DIGITS:
        axis.set_ticks([(low + high) / 2])
        digits = _FEWEST_DIGITS + 1
    else:
        few = 4 if digits <= _FEWEST_DIGITS + 1 else 1
        axes.locator_params(axis=side, nbins=few, integer=_is_single(column.histogram))
    axis.set_major_formatter(lambda value, _: short_number(value, digits))


def _label_times(axis: Any, low: float, high: float, *, single: bool) -> None:
    if single:
        axis.set_ticks([(low + high) / 2], [_show_time((low + high) / 2, 4 * _DAY)])
        return
    axis.set_ticks([low, high], [_show_time(end, high - low) for end in (low, high)])
    across = axis.axis_name == "x"
    for label, turn in zip(axis.get_ticklabels(), ("left", "right") if across else ("bottom", "top"), strict=True):
        (label.set_horizontalalignment if across else label.set_verticalalignment)(turn)


def _show_time(seconds: float, span: float) -> str:
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return f"{seconds:g} s"
    if span > 3 * _DAY:
        return moment.date().isoformat()
    return moment.strftime("%m-%d %H:%M") if span > 60 else moment.strftime("%H:%M:%S")  # noqa: PLR2004


def _digits_between(low: float, high: float) -> int:
    """The digits that tell places between `low` and `high` apart."""
    ratio = max(abs(low), abs(high)) / (high - low) if high > low else math.inf
    return _MOST_DIGITS + 1 if ratio > 10**_MOST_DIGITS else max(_FEWEST_DIGITS, math.ceil(math.log10(ratio)) + 3)


def short_number(value: float, digits: int = 5) -> str:
    """`1.5M`, `15k`, `0.25`, with a real minus and at most so many digits."""
    text = f"{value:.{digits}g}"
    for unit, least, factor in (("k", 1e4, 1e3), ("M", 1e6, 1e6), ("G", 1e9, 1e9)):
        if least <= abs(value) < 1e13:  # noqa: PLR2004
            text = f"{value / factor:.{digits}g}{unit}"
    return text.replace("-", "−")


def share(part: float) -> str:
    """`34.2 %`; what is more than nothing never reads as nothing, nor what is less than all as all."""
    per_cent = 100 * part
    if 0 < per_cent < 0.1:  # noqa: PLR2004
        return "< 0.1 %"
    if 99.9 < per_cent < 100:  # noqa: PLR2004
        return "> 99.9 %"
    return f"{per_cent:.0f} %" if per_cent in {0, 100} else f"{per_cent:.1f} %"
