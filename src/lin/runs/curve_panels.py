"""The picture of metrics over their steps: which runs have such curves, and a line for each.

Points that are not finite are gaps of a line. Who is left out is named with the reason.
"""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from lin.errors import StoreError
from lin.ids import short
from lin.runs.curves import Points, number_points, read_points, thin_points
from lin.runs.drawing import COLOURS, LARGEST
from lin.runs.query import RunInfo
from lin.runs.run_panels import DASHES, Ends, Key, Line, Panel, Picture, widened
from lin.runs.scatter import LeftOut, show_value, spans_decades, tell_left_out
from lin.runs.where import Field, format_field
from lin.store.store import Store

MOST_RUNS = 30
"""Of so many runs curves are drawn at once: nobody tells more lines apart."""
MOST_COLUMNS = 900
"""A curve is thinned to what so many columns of pixels can show."""


@dataclass(frozen=True)
class Curves:
    """The points to draw: of each run those of its metrics, by name."""

    runs: list[RunInfo]
    points: list[dict[str, Points]]
    left_out: list[LeftOut]

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics, in the order in which they first come."""
        return list(dict.fromkeys(key for found in self.points for key in found))


def gather_curves(store: Store, runs: Sequence[RunInfo], metrics: Sequence[str] = ()) -> Curves:
    """The metrics (default: all) of these runs that have several points, of at most `MOST_RUNS` runs."""
    found = Curves([], [], [])
    for run in runs:
        if len(found.runs) == MOST_RUNS:
            found.left_out.append(LeftOut(run=run.id, name=run.name, reason=f"only {MOST_RUNS} are drawn at once"))
            continue
        reason = f"without several points of {' or '.join(metrics) or 'any metric'}"
        points: dict[str, Points] = {}
        try:
            points = read_points(store, run.id, metrics or None)
        except StoreError as error:
            reason = error.message
        curves = {key: points[key] for key in metrics or points if key in points and len(points[key].values) > 1}
        if curves:
            found.runs.append(run)
            found.points.append(curves)
        else:
            found.left_out.append(LeftOut(run=run.id, name=run.name, reason=reason))
    return found


def picture_curves(curves: Curves, *, together: bool) -> Picture:
    """The picture: all metrics in one pair of axes if `together`, else each in its own."""
    groups = [curves.metrics] if together else [[key] for key in curves.metrics]
    panels = [_panel(curves, group) for group in groups]
    facts = tell_left_out(len(curves.runs), curves.left_out)
    gaps = sum(not _is_drawable(value) for found in curves.points for each in found.values() for value in each.values)
    if gaps:
        facts.append(f"{gaps} point{'s are' if gaps > 1 else ' is'} NaN, infinite or beyond {LARGEST:.0e}: a gap")
    if any(panel.y.is_log for panel in panels):
        facts.append("on a logarithmic scale where values span more than two powers of ten")
    if any(panel.x.label != "step" for panel in panels):
        facts.append("no steps were logged: points stand in their order")
    names = [format_field(Field("metrics", key)) for key in curves.metrics]
    what = f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"  # noqa: PLR2004
    whose = f" of {_name(curves.runs[0])}" if len(curves.runs) == 1 else ""
    return Picture(what + whose, facts, panels, _key(curves, groups[0]))


def _panel(curves: Curves, keys: Sequence[str]) -> Panel:
    chosen = [
        (run, key, found[name])
        for run, found in enumerate(curves.points)
        for key, name in enumerate(keys)
        if name in found
    ]
    has_steps = any(points.has_steps for *_, points in chosen)
    whole = [points if has_steps else number_points(points) for *_, points in chosen]
    values = [value for points in whole for value in points.values if _is_drawable(value)] or [0.0]
    is_log = spans_decades(values)
    label = ", ".join(format_field(Field("metrics", name)) for name in keys) + (" (log scale)" if is_log else "")
    ends = [float(points.steps[end]) for points in whole for end in (0, -1)]
    x = Ends("step" if has_steps else "point", *widened(ends))
    lines = []
    for (run, key, _), points in zip(chosen, whole, strict=True):
        thin = thin_points(points, MOST_COLUMNS)
        drawn = array("d", (value if _is_drawable(value) else math.nan for value in thin.values))
        tip = [_name(curves.runs[run]), f"{keys[key]}, last {show_value(points.values[-1])}"]
        lines.append(Line(thin.steps, drawn, *_look(run, key, len(keys), len(curves.runs)), tip))
    return Panel(x, Ends(label, *widened(values, is_log=is_log), is_log=is_log), lines=lines)


def _is_drawable(value: float) -> bool:
    return abs(value) < LARGEST


def _look(run: int, key: int, keys: int, runs: int) -> tuple[str, tuple[float, ...]]:
    """Runs differ in colour; their metrics, and runs beyond the colours, in dashes. Metrics of one run have colours."""
    if runs == 1:
        return COLOURS[key % len(COLOURS)], DASHES[key // len(COLOURS) % len(DASHES)]
    return COLOURS[run % len(COLOURS)], DASHES[(key + keys * (run // len(COLOURS))) % len(DASHES)]


def _key(curves: Curves, keys: Sequence[str]) -> Key:
    """What the lines are: runs, metrics of one run, or both; nothing where there is one line."""
    labels = []
    for at, (run, found) in enumerate(zip(curves.runs, curves.points, strict=True)):
        for key, name in enumerate(keys):
            if len(keys) > 1 and name not in found:
                continue
            which = [] if len(curves.runs) == 1 and len(keys) > 1 else [_name(run)]
            labels.append(
                (" ".join([*which, *([name] if len(keys) > 1 else [])]), *_look(at, key, len(keys), len(curves.runs)))
            )
    return Key("metric" if len(curves.runs) == 1 else "run", labels=labels) if len(labels) > 1 else Key()


def _name(run: RunInfo) -> str:
    return f"{run.name} ({short(run.id)})"
