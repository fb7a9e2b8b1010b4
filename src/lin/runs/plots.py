"""The two pictures of a fit, as PNG bytes: what was predicted against what was measured, and what is left over.

The same numbers give the same bytes, as `lin.runs.drawing` has it. A picture shows at most `MOST_POINTS` rows, and
says so.
"""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lin.runs.drawing import BLUE, COLOURS, GREY, INK, LARGEST, LIGHT, ORANGE, draw_png, shortened
from lin.runs.evaluate import Evaluation

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MOST_POINTS = 20_000
MOST_CLASSES = 20


def prediction_error_plot(target: "pd.Series[Any]", result: Evaluation) -> bytes:
    """Measured against predicted with the line of equality and of best fit; for classes, the confusion matrix."""
    if result.classes:
        return draw_png(lambda figure: _draw_confusion(figure, target, result))
    return draw_png(lambda figure: _draw_prediction_error(figure, target, result))


def residual_plot(target: "pd.Series[Any]", result: Evaluation) -> bytes:
    """Measured minus predicted against predicted, with its histogram.

    For classes: one minus the probability of the true class, or each class's errors where there are no probabilities.
    """
    if not result.classes:
        return draw_png(lambda figure: _draw_residuals(figure, target, result))
    if result.probabilities is not None:
        return draw_png(lambda figure: _draw_missing_probability(figure, target, result))
    return draw_png(lambda figure: _draw_class_errors(figure, target, result))


# --- regression -------------------------------------------------------------------------------------------------------


def _draw_prediction_error(figure: Any, target: Any, result: Evaluation) -> None:
    import numpy as np

    measured, predicted, notes = _drawable_pairs(target, result)
    axes = figure.add_axes((0.11, 0.115, 0.6, 0.8))
    axes.set(xlabel=f"predicted {_name_of(target)}", ylabel=f"measured {_name_of(target)}")
    low, high = _limits(np.concatenate([measured, predicted]))
    axes.plot((low, high), (low, high), color=GREY, linewidth=1.0, dashes=(5, 3), label="exact")
    if len(predicted) and np.ptp(predicted) > 0:
        slope, intercept = np.polyfit(predicted, measured, 1)
        ends = np.array([predicted.min(), predicted.max()])
        axes.plot(ends, slope * ends + intercept, color=ORANGE, linewidth=1.6, label="best fit", zorder=3)
    shown = _sample(len(measured), notes)
    _scatter(axes, predicted[shown], measured[shown])
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set_anchor("W")
    axes.grid(color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)
    _side(figure, axes, result, notes)


def _draw_residuals(figure: Any, target: Any, result: Evaluation) -> None:
    import numpy as np

    measured, predicted, notes = _drawable_pairs(target, result)
    left_over = measured - predicted
    axes = figure.add_axes((0.12, 0.115, 0.625, 0.80))
    side = figure.add_axes((0.765, 0.115, 0.2, 0.80), sharey=axes)
    shown = _sample(len(measured), notes)
    _scatter(axes, predicted[shown], left_over[shown])
    low, high = _limits(np.append(left_over, 0.0))
    axes.set(xlabel=f"predicted {_name_of(target)}", ylabel="measured − predicted", ylim=(low, high))
    axes.set_xlim(*_limits(predicted))
    side.hist(left_over, bins=min(40, max(10, int(len(left_over) ** 0.5))), orientation="horizontal", color=BLUE)
    side.set_xlabel("rows")
    side.locator_params(axis="x", nbins=3)
    side.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}")  # noqa: PLR2004
    side.tick_params(labelleft=False)
    for part in (axes, side):
        part.axhline(0.0, color=GREY, linewidth=1.0, dashes=(5, 3))
        part.grid(axis="y", color=LIGHT, linewidth=0.6)
        part.set_axisbelow(True)
    _headline(figure, result, notes)


def _drawable_pairs(target: Any, result: Evaluation) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], list[str]]":
    import numpy as np

    measured = np.asarray(target, dtype=np.float64).ravel()
    predicted = np.asarray(result.predictions, dtype=np.float64).ravel()
    drawable = (np.abs(measured) < LARGEST) & (np.abs(predicted) < LARGEST)
    left_out = len(drawable) - int(drawable.sum())
    return measured[drawable], predicted[drawable], [f"{left_out:,} rows not finite"] if left_out else []


def _sample(rows: int, notes: list[str]) -> "np.ndarray[Any, Any]":
    """The rows to draw: all, or evenly spaced ones, so that the same rows are drawn each time."""
    import numpy as np

    if rows <= MOST_POINTS:
        return np.arange(rows)
    notes.append(f"{MOST_POINTS:,} of {rows:,} rows drawn")
    return np.linspace(0, rows - 1, MOST_POINTS).astype(np.int64)


def _scatter(axes: Any, x: Any, y: Any) -> None:
    crowd = min(1.0, max(0.0, (len(x) - 100) / 5000))
    axes.plot(
        x,
        y,
        linestyle="none",
        marker="o",
        markersize=5.5 - 3.3 * crowd,
        markerfacecolor=BLUE,
        markeredgewidth=0.0,
        alpha=0.65 - 0.4 * crowd,
        label="row",
    )


def _limits(values: Any) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = (high - low) * 0.04 or abs(low) * 0.1 or 1.0
    return low - margin, high + margin


# --- classification ---------------------------------------------------------------------------------------------------


def _draw_confusion(figure: Any, target: Any, result: Evaluation) -> None:
    import numpy as np
    from sklearn.metrics import confusion_matrix

    labels = _labels(target, result)
    measured, predicted = _positions(target, labels), _positions(result.predictions, labels)
    counts = confusion_matrix(measured, predicted, labels=range(len(labels)))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = len(labels) <= MOST_CLASSES
    names = [shortened(label) for label in labels] if few else []
    upright = sum(map(len, names)) <= 40  # noqa: PLR2004  characters that fit below the axis
    axes = figure.add_axes((0.215, 0.115, 0.51, 0.8) if upright else (0.215, 0.285, 0.51, 0.63))
    axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0, aspect="equal", interpolation="nearest")
    axes.set_anchor("NW")
    axes.set(xlabel=f"predicted {_name_of(target)}", ylabel=f"measured {_name_of(target)}")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8.5)
    notes = ["colour: share of the measured class"]
    if few:
        _write_counts(axes, counts, share)
        axes.set_xticks(range(len(labels)), names, rotation=0 if upright else 90)
        axes.set_yticks(range(len(labels)), names)
    else:
        notes.append(f"{len(labels)} classes, shown by number")
    _side(figure, axes, result, notes)


def _write_counts(axes: Any, counts: Any, share: Any) -> None:
    size = 11.0 if len(counts) <= 5 else 9.0 if len(counts) <= 12 else 6.5  # noqa: PLR2004  what fits a cell
    for row, column in zip(*counts.nonzero(), strict=True):
        dark = share[row, column] > 0.55  # noqa: PLR2004  of the colour scale
        number = f"{counts[row, column]:,}"
        axes.text(
            column,
            row,
            number,
            ha="center",
            va="center",
            fontsize=size * min(1.0, 5 / len(number)),
            color="white" if dark else INK,
        )


def _draw_missing_probability(figure: Any, target: Any, result: Evaluation) -> None:
    import numpy as np

    probabilities = np.asarray(result.probabilities, dtype=np.float64)
    position = _positions(target, result.classes)
    of_true = np.where(position >= 0, probabilities[np.arange(len(position)), position], 0.0)
    missing = 1.0 - of_true
    finite = np.isfinite(missing)
    notes = [] if finite.all() else [f"{int((~finite).sum()):,} rows not finite"]
    axes = figure.add_axes((0.12, 0.115, 0.85, 0.80))
    edges = np.linspace(0.0, 1.0, 26)
    if len(result.classes) <= len(COLOURS):
        parts = [missing[finite & (position == at)] for at in range(len(result.classes))]
        names = [f"{shortened(label)} ({len(part):,})" for label, part in zip(result.classes, parts, strict=True)]
        axes.hist(parts, bins=edges, stacked=True, histtype="stepfilled", color=COLOURS[: len(parts)], label=names)
        axes.legend(title=_name_of(target) or None, loc="upper right", alignment="left", fontsize=9)
    else:
        axes.hist(missing[finite], bins=edges, color=BLUE)
        notes.append(f"{len(result.classes)} classes")
    axes.set(xlabel="1 − probability of the true class", ylabel="rows", xlim=(0.0, 1.0))
    axes.grid(axis="y", color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)
    _headline(figure, result, notes)


def _draw_class_errors(figure: Any, target: Any, result: Evaluation) -> None:
    import numpy as np

    labels = _labels(target, result)
    measured, predicted = _positions(target, labels), _positions(result.predictions, labels)
    rows = np.bincount(measured, minlength=len(labels))
    wrong = np.bincount(measured[measured != predicted], minlength=len(labels))
    rate = wrong / np.maximum(rows, 1)
    notes = []
    worst = np.arange(len(labels))
    if len(labels) > MOST_CLASSES:
        worst = np.sort(np.argsort(-rate, kind="stable")[:MOST_CLASSES])
        notes.append(f"the {MOST_CLASSES} worst of {len(labels)} classes")
    axes = figure.add_axes((0.215, 0.115, 0.665, 0.80))
    axes.tick_params(axis="y", labelsize=8.5)
    bars = axes.barh(range(len(worst)), rate[worst], height=0.7, color=BLUE)
    axes.bar_label(bars, [f"{wrong[at]:,} of {rows[at]:,}" for at in worst], padding=4, fontsize=8.5)
    axes.set_yticks(range(len(worst)), [shortened(labels[at]) for at in worst])
    axes.set(xlabel="share predicted wrongly", ylabel=f"measured {_name_of(target)}")
    axes.set_xlim(0.0, max(0.05, float(rate.max(initial=0.0)) * 1.05))
    axes.invert_yaxis()
    axes.grid(axis="x", color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)
    _headline(figure, result, notes)


def _labels(target: Any, result: Evaluation) -> list[Any]:
    """The classes, then what else was measured: labels that no training row had."""
    known = list(result.classes)
    return known + sorted(set(target) - set(known), key=str)


def _positions(values: Any, labels: Sequence[Any]) -> "np.ndarray[Any, Any]":
    """Where each value stands in `labels`; -1 where it does not."""
    import numpy as np

    where = {label: at for at, label in enumerate(labels)}
    return np.array([where.get(value, -1) for value in values], dtype=np.int64)


# --- words ------------------------------------------------------------------------------------------------------------


def _side(figure: Any, axes: Any, result: Evaluation, notes: Sequence[str]) -> None:
    """The metrics, the legend and the notes, in a column right of the axes."""
    for line, text in enumerate(_metrics_of(result)):
        figure.text(0.745, 0.885 - 0.05 * line, text, fontsize=11, weight="bold")
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        figure.legend(loc="upper left", bbox_to_anchor=(0.735, 0.72), borderaxespad=0.0, handlelength=1.6, fontsize=9)
    lines = [line for note in notes for line in textwrap.wrap(note, 22)]
    for line, text in enumerate(reversed(lines)):
        figure.text(0.745, 0.12 + 0.036 * line, text, fontsize=8.5, color=GREY)


def _headline(figure: Any, result: Evaluation, notes: Sequence[str]) -> None:
    figure.text(0.12, 0.945, "   ".join(_metrics_of(result)), fontsize=10.5, weight="bold")
    figure.text(0.97, 0.945, "; ".join(notes), fontsize=8.5, color=GREY, ha="right")


def _metrics_of(result: Evaluation) -> list[str]:
    titles = {"rmse": "RMSE", "mae": "MAE", "r2": "R²", "f1": "F1", "log_loss": "log loss"}
    return [f"{titles.get(name, name)} {value:.4g}" for name, value in result.metrics.items()]


def _name_of(target: Any) -> str:
    name = getattr(target, "name", None)
    return "" if name is None else shortened(name, 30)
