"""One column against the target, for a profile's pictures: points, strips of points by group, tables of shares.

What is far beyond the other values is left out, as in the column's histogram, and its share is written down.
Where there are many rows, evenly spaced ones are drawn: the same each time.
"""

from typing import TYPE_CHECKING, Any

from lin.data.profile import Association, ColumnProfile, Look
from lin.data.sample import Codes
from lin.runs.drawing import BLUE, COLOURS, GREY, INK, LIGHT, ORANGE, Sheet, fitted, width_of
from lin.runs.profile_panels import Box, label_axis, shade_cells, share, write_in_cell

if TYPE_CHECKING:
    import numpy as np

MOST_POINTS = 10_000
MOST_GROUPS = 10

_MEDIANS = 20
_FEWEST_IN_MEDIAN = 40
_LONGEST_CLASS = 0.8
"""Inches."""


def draw_against_target(sheet: Sheet, box: Box, found: Association, look: Look) -> None:
    """The rows that have both values: points, strips of points by group, or a table of shares."""
    left, top, width, height = box
    columns = {column.name: column for column in look.profile.columns}
    feature = columns[found.column]
    target = columns[look.profile.target.column] if look.profile.target else feature
    names = [fitted(name, _LONGEST_CLASS, 7.5) for name in look.classes.names[:MOST_GROUPS]] if look.classes else []
    gutter = 0.32 + max((width_of(name, 7.5) for name in names), default=0.28)
    inner = (left + gutter, top + 0.3, width - gutter - 0.1, height - 0.85)
    value = f"{found.value:{'+z' if found.measure == 'pearson' else ''}.2f}".replace("-", "−")
    sheet.text(inner[0], top + 0.19, fitted(feature.name, inner[2] - 0.5, 9.5, bold=True), weight="bold")
    sheet.text(inner[0] + inner[2], top + 0.19, value, color=GREY, ha="right")
    upwards = {"rotation": 90, "ha": "center", "va": "center", "fontsize": 8.5}
    sheet.text(left + 0.1, inner[1] + inner[3] / 2, fitted(target.name, inner[3], 8.5), **upwards)
    axes = sheet.axes(*inner)
    if look.classes is None and feature.kind != "category":
        _draw_points(axes, feature, target, look)
    elif look.classes is None:
        _draw_groups(axes, look.sample.codes[feature.name], target, look, room=inner[2])
    elif feature.kind != "category":
        _draw_classes(axes, look.classes, feature, look)
    else:
        _draw_shares(axes, look.sample.codes[feature.name], look.classes, room=inner[2])


def _draw_points(axes: Any, feature: ColumnProfile, target: ColumnProfile, look: Look) -> None:
    import numpy as np

    x, y = look.sample.numbers[feature.name], look.sample.numbers[target.name]
    (left, right), (low, high) = _limits(feature), _limits(target)
    shown = np.flatnonzero((x >= left) & (x <= right) & (y >= low) & (y <= high))
    both = int((np.isfinite(x) & np.isfinite(y)).sum())
    if len(shown) < both:
        text = f"{share(1 - len(shown) / both)} beyond"
        axes.text(1.0, 1.0, text, transform=axes.transAxes, ha="right", va="top", fontsize=6.5, color=GREY)
    drawn = _thinned(shown)
    crowd = min(1.0, len(drawn) / 4000)
    axes.plot(
        x[drawn], y[drawn], linestyle="none", marker="o", markersize=4.2 - 2.6 * crowd, markerfacecolor=BLUE,
        markeredgewidth=0.0, alpha=0.55 - 0.35 * crowd, rasterized=True,
    )  # fmt: skip
    middles, medians = _running_median(x[shown], y[shown])
    axes.plot(middles, medians, color=ORANGE, linewidth=1.6, solid_capstyle="round")
    axes.set(xlim=(left, right), ylim=(low, high))
    for side, column in (("x", feature), ("y", target)):
        label_axis(axes, side, column)
    axes.grid(color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)


def _running_median(x: Any, y: Any) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """The median of `y` in parts of equal size along `x`, at the part's median."""
    import numpy as np

    order = np.argsort(x, kind="stable")
    parts = max(1, min(_MEDIANS, len(order) // _FEWEST_IN_MEDIAN))
    chunks = [chunk for chunk in np.array_split(order, parts) if len(chunk)]
    middles = np.array([np.median(x[chunk]) for chunk in chunks])
    medians = np.array([np.median(y[chunk]) for chunk in chunks])
    # many equal values of x span several parts: one point for them
    single = np.unique(middles, return_index=True)[1]
    return middles[single], medians[single]


def _draw_groups(axes: Any, groups: Codes, target: ColumnProfile, look: Look, *, room: float) -> None:
    _draw_strips(axes, groups.codes, look.sample.numbers[target.name], upright=True)
    _name_groups(axes, "x", groups.names, room)
    label_axis(axes, "y", target)
    axes.set_ylim(*_limits(target))


def _draw_classes(axes: Any, classes: Codes, feature: ColumnProfile, look: Look) -> None:
    _draw_strips(axes, classes.codes, look.sample.numbers[feature.name], upright=False)
    _name_groups(axes, "y", classes.names, _LONGEST_CLASS)
    label_axis(axes, "x", feature)
    axes.set_xlim(*_limits(feature))


def _draw_strips(axes: Any, groups: Any, values: Any, *, upright: bool) -> None:
    """One strip of points for each of the first groups, with its median."""
    import numpy as np

    count = min(MOST_GROUPS, int(groups.max(initial=-1)) + 1)
    shake = np.random.default_rng(0).uniform(-0.32, 0.32, len(values))
    for group in range(count):
        rows = np.flatnonzero((groups == group) & np.isfinite(values))
        if not len(rows):
            continue
        drawn = _thinned(rows, MOST_POINTS // count)
        across, along = group + shake[drawn], values[drawn]
        crowd = min(1.0, len(drawn) / 1500)
        axes.plot(
            *((across, along) if upright else (along, across)), linestyle="none", marker="o",
            markersize=3.6 - 2.0 * crowd, markerfacecolor=COLOURS[group % len(COLOURS)], markeredgewidth=0.0,
            alpha=0.55 - 0.3 * crowd, rasterized=True,
        )  # fmt: skip
        middle, ends = np.median(values[rows]), (group - 0.4, group + 0.4)
        line = (ends, (middle, middle)) if upright else ((middle, middle), ends)
        axes.plot(*line, color=INK, linewidth=1.6, solid_capstyle="butt")
    axes.set(**{"xlim" if upright else "ylim": (-0.5, count - 0.5) if upright else (count - 0.5, -0.5)})
    axes.grid(axis="y" if upright else "x", color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_shares(axes: Any, groups: Codes, classes: Codes, *, room: float) -> None:
    """How the classes (rows) are distributed in each group (columns): a share and a shade for each."""
    import numpy as np

    columns, rows = groups.codes, classes.codes
    across, down = min(MOST_GROUPS, len(groups.names)), min(MOST_GROUPS, len(classes.names))
    both = (columns >= 0) & (columns < across) & (rows >= 0)
    totals = np.bincount(columns[both], minlength=across)
    both &= rows < down
    counts = np.bincount(rows[both] * across + columns[both], minlength=across * down).reshape(down, across)
    shares = counts / np.maximum(totals, 1)
    shade_cells(axes, shares)
    for row, column in np.ndindex(down, across):
        write_in_cell(axes, row, column, f"{100 * shares[row, column]:.0f}", float(shares[row, column]), 7.5)
    axes.set(xlim=(-0.5, across - 0.5), ylim=(down - 0.5, -0.5))
    axes.spines[:].set_visible(False)
    _name_groups(axes, "x", groups.names, room)
    _name_groups(axes, "y", classes.names, _LONGEST_CLASS)


def _name_groups(axes: Any, side: str, names: list[str], inches: float) -> None:
    count = min(MOST_GROUPS, len(names))
    room = inches / max(1, count) - 0.05 if side == "x" else inches
    rotated = side == "x" and room < 0.45  # noqa: PLR2004  inches: some six characters
    labels = [fitted(name, 0.48 if rotated else room, 7.5) for name in names[:count]]
    turned = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if rotated else {}
    axes.tick_params(axis=side, labelsize=7.5, length=0)
    getattr(axes, f"set_{side}ticks")(range(count), labels, **turned)


def _limits(column: ColumnProfile) -> tuple[float, float]:
    """What the column's histogram shows, with a margin."""
    if column.histogram is None:
        return 0.0, 1.0
    low, high = column.histogram.edges[0], column.histogram.edges[-1]
    margin = (high - low) * 0.03
    return low - margin, high + margin


def _thinned(rows: "np.ndarray[Any, Any]", most: int = MOST_POINTS) -> "np.ndarray[Any, Any]":
    """All rows, or evenly spaced ones, so that the same are drawn each time."""
    import numpy as np

    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
