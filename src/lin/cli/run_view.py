"""How `lin show` tells of a run: facts line by line, then params, metrics with their course, tags and artifacts."""

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lin.cli.printing import count, line, size, table
from lin.cli.printing import show as text
from lin.ids import short

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from lin.lineage.card import RunCard
    from lin.models.registry import SignedReceipt
    from lin.records import Host
    from lin.runs.curves import Curve

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTHS = (40, 32, 24, 16, 8)
"""A course is as wide as there is room for, in characters."""
MOST_FILES = 20
"""So many files that were read or written are listed; `--json` has all."""


def view_run(card: "RunCard") -> "list[RenderableType]":
    """The run in full."""
    run = card.run
    parts: list[RenderableType] = [line(f"run {run.id}: {run.name}", "bold")]
    parts.append(table(("", ""), [(name, value) for name, value in _facts(card) if value]))
    if run.params:
        parts += ["", table(("param", "value"), [(key, exact(value)) for key, value in run.params.items()])]
    if run.metrics:
        parts += ["", Metrics(run.metrics, card.curves or {})]
    if run.tags:
        parts += ["", table(("tag", "value"), list(run.tags.items()))]
    if run.artifacts:
        from lin.runs.artifacts import kind_of

        rows = [(each.path, kind_of(each.path), size(each.bytes)) for each in run.artifacts]
        parts += ["", table(("artifact", "kind", "size"), rows, right=("size",))]
    return parts


def _facts(card: "RunCard") -> Iterable[tuple[str, object]]:
    run = card.run
    yield "status", ", ".join(_status(card))
    yield "error", run.error
    if card.deletion:
        gone = f"on {text(card.deletion.time)} UTC by {card.deletion.actor}"
        yield "deleted", gone + (f": {card.deletion.reason}" if card.deletion.reason else "")
    yield "started", f"{text(run.started)} UTC by {run.actor} on {run.host.name}"
    yield "host", _host(run.host)
    yield "experiment", run.experiment
    yield "sweep", run.sweep and short(run.sweep)
    yield "re-run of", run.parent and short(run.parent)
    yield "command", shlex.join(run.command)
    yield "in folder", run.folder if run.folder != "." else None
    yield "reason", run.reason
    yield "source", card.source
    yield "environment", card.environment
    yield from _data(card)
    yield "models", ", ".join(card.models)
    yield from (("re-run", _receipt(each)) for each in card.receipts)
    yield from (("feedback", told) for told in _feedback(card))
    yield "curves", "not known: the log is damaged" if card.curves is None else None


def _feedback(card: "RunCard") -> Iterator[str]:
    """What models wrote of what the run read: by its record, or else by what the tables say today."""
    from lin.runs.feedback import tell_recorded

    run = card.run
    yield from tell_recorded(None, run)
    recorded = {(each.table, each.version, each.written) for each in run.predicted}
    more = [each for each in card.feedback or () if (each.table, each.read, each.written) not in recorded]
    yield from (f"{each.table}@{each.written} holds predictions of {each.model}" for each in more)
    if card.feedback is None and not run.predicted:
        yield "not known: the table cannot be read"
    own = {reference.partition("@")[0] for reference in card.models}
    writers = dict.fromkeys(each.model for each in (*run.predicted, *(card.feedback or ())))
    yield from (
        f"{model} is this model itself, an older version" for model in writers if model.partition("@")[0] in own
    )


def _receipt(receipt: "SignedReceipt") -> str:
    """Who re-ran it when, and what came of it; what was changed on purpose is said, for that proves another thing."""
    times = "" if receipt.repeats == 1 else f", {receipt.repeats} times"
    changed = f" with {', '.join(receipt.changed)}" if receipt.changed else ""
    allowed = "" if receipt.tolerance is None else f" (tolerance {text(receipt.tolerance)})"
    by = f"by {receipt.actor}, {text(receipt.time)} UTC{times}{changed}"
    return f"{by}: {receipt.verdict}{allowed}, run {short(receipt.rerun)}"


def _status(card: "RunCard") -> Iterable[str]:
    run = card.run
    yield run.status
    if run.seconds is not None:
        yield f"{run.seconds:.2f} s"
    if run.exit_code is not None:
        yield f"exit code {run.exit_code}"
    if run.peak_memory_bytes is not None:
        yield f"{size(run.peak_memory_bytes)} of memory at most"


def _host(host: "Host") -> str:
    return f"{host.cpu}, {count(host.cores, 'core')}, {size(host.memory_bytes)}, {host.system}"


def _data(card: "RunCard") -> Iterable[tuple[str, object]]:
    """What the run read and wrote."""
    run = card.run
    yield from (("read", f"{r.table}@{r.version}, {count(r.rows, 'row')}, pin {r.pin[:12]}") for r in run.table_inputs)
    yield from (("used", f"{m.model}@{m.version}") for m in run.model_inputs)
    yield from (("wrote", f"{w.table}@{w.version}, {count(w.rows, 'row')}") for w in run.table_outputs)
    for verb, files in (("read", run.file_inputs), ("wrote", run.file_outputs)):
        shown = files[:MOST_FILES]
        yield from ((verb, f"{file.path}, {size(file.bytes)}, sha256 {file.sha256[:12]}") for file in shown)
        yield verb, f"and {count(len(files) - len(shown), 'more file')}" if len(files) > len(shown) else None


class Metrics:
    """The metrics with their last values, and of those with several points the course, as wide as there is room."""

    def __init__(self, values: "Mapping[str, float]", curves: "Mapping[str, Curve]") -> None:
        self._values = values
        self._curves = {key: curve for key, curve in curves.items() if key in values and curve.points > 1}

    def __rich_console__(self, _: "Console", options: "ConsoleOptions") -> "RenderResult":
        if not self._curves:
            yield table(("metric", "value"), [(key, exact(value)) for key, value in self._values.items()])
            return
        has_gaps = any(curve.not_finite for curve in self._curves.values())
        numbers = ("points", *(("gaps",) if has_gaps else ()), "min", "max")
        for width in WIDTHS:
            rows = [self._row(key, value, width, has_gaps=has_gaps) for key, value in self._values.items()]
            grid = table(("metric", "value", "course", *numbers), rows, right=numbers)
            if grid.width <= options.max_width or width == WIDTHS[-1]:
                yield grid
                return

    def _row(self, key: str, value: float, width: int, *, has_gaps: bool) -> tuple[object, ...]:
        curve = self._curves.get(key)
        if curve is None:
            return key, exact(value), "", "", *(("",) if has_gaps else ()), "", ""
        gaps = (curve.not_finite or "",) if has_gaps else ()
        return key, exact(value), sparkline(curve.course, width), curve.points, *gaps, curve.least, curve.greatest


def sparkline(course: Sequence[float], width: int) -> str:
    """A course in so many blocks at most, the lowest for its least value: `×` for NaN, `↑` and `↓` for infinities."""
    from lin.runs.curves import mean_of

    parts = min(len(course), width)
    pieces = [course[len(course) * at // parts : len(course) * (at + 1) // parts] for at in range(parts)]
    means = [mean_of(kept) if (kept := [v for v in piece if math.isfinite(v)]) else piece[0] for piece in pieces]
    finite = [value for value in means if math.isfinite(value)]
    least, greatest = (min(finite), max(finite)) if finite else (0.0, 0.0)
    return "".join(_block(value, least, greatest) for value in means)


def _block(value: float, least: float, greatest: float) -> str:
    if math.isnan(value):
        return "×"
    if math.isinf(value):
        return "↑" if value > 0 else "↓"
    span = greatest / 2 - least / 2  # halved, so that it is finite for the largest doubles too
    step = (value / 2 - least / 2) / span if span else 0.5
    return BLOCKS[int(step * (len(BLOCKS) - 0.01))]


def exact(value: object) -> str:
    """A value of a record with every digit: 1.0 is not 1."""
    return repr(float(value)) if isinstance(value, float) else "null" if value is None else str(value)
