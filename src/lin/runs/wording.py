"""The words for what differs between runs: short texts that a terminal and a notebook show alike.

They are for looking. Long values are cut where they part, so that two that differ never look the same; what is exact
stands in the values. Nothing is escaped here.
"""

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from lin.data.changes import TableDiff
from lin.ids import short
from lin.numbers import to_json
from lin.records import Artifact, FileRef, Input, ModelRef, Output, Param, TableRef
from lin.runs.differences import Difference, MetricDifference, RunComparison, SourceChange, TableChange, ThingDifference

NOTHING = "-"
"""What stands for a value that a run does not have."""

LONGEST = 60
"""Texts are cut to so many characters."""

_COLUMNS_TOLD = 6
_BESIDE = 12
"""So much of what long texts share is shown before the place where they part."""


class Cell(NamedTuple):
    """A value as text, and whether it is better or worse than that of the first run."""

    text: str
    better: bool | None = None


class Line(NamedTuple):
    """A thing that differs: what it is, said in the first line of its kind only; its name, and a cell for each run."""

    what: str
    name: str
    cells: list[Cell]


def comparison_lines(comparison: RunComparison) -> list[Line]:
    """The table of what differs, line by line; what takes sentences, as source and environment do, is not in it."""
    ids = [run.id for run in comparison.runs]
    is_called = any(run.label != short(run.id) for run in comparison.runs)
    lines = [
        *([Line("run", "", [Cell(short(run)) for run in ids])] if is_called else []),
        *(_line("run", fact, ids) for fact in comparison.facts),
        *(_line("param", param, ids) for param in comparison.params),
        *(_metric_line(metric, ids) for metric in comparison.metrics),
        *(_line("tag", tag, ids) for tag in comparison.tags),
        *_feature_lines(comparison, ids),
        *(_thing_line("input", thing, ids) for thing in comparison.inputs),
        *(_thing_line("output", thing, ids) for thing in comparison.outputs),
        *(_line("artifact", artifact, ids) for artifact in comparison.artifacts),
        *(_line("git", word, ids) for word in comparison.git),
        *(_line("host", word, ids) for word in comparison.host),
    ]
    before = ["", *(line.what for line in lines)]
    return [line._replace(what="") if line.what == what else line for what, line in zip(before, lines, strict=False)]


def tell_table(change: TableChange) -> str:
    """A table's change in a line: `housing@0 -> housing@1: 173 rows updated (medv)`."""
    told = change.note or (_tell_diff(change.diff) if change.diff else "other data")
    return f"{change.table}@{change.old} -> {change.table}@{change.new}: {told}"


def _tell_diff(diff: TableDiff) -> str:
    counts = [("inserted", diff.inserted), ("deleted", diff.deleted), ("updated", diff.updated)]
    told = [f"{count:,} {'row' if count == 1 else 'rows'} {what}" for what, count in counts if count]
    columns = list(diff.columns)
    more = f" and {len(columns) - _COLUMNS_TOLD} more" if len(columns) > _COLUMNS_TOLD else ""
    where = f" ({', '.join(columns[:_COLUMNS_TOLD])}{more})" if columns else ""
    return "; ".join([", ".join(told) + where if told else "the same rows", *diff.remarks()])


def tell_source(change: SourceChange) -> str:
    """The files of a source in a line: `2 files changed, 1 file added`."""
    counts = Counter("not compared" if file.kind == "unknown" else file.kind for file in change.files)
    told = (f"{count} {'file' if count == 1 else 'files'} {kind}" for kind, count in counts.items())
    return change.note or ", ".join(told)


def show_number(value: float) -> str:
    """Six digits of a number; those that are no numbers as records have them."""
    number = to_json(value)
    return f"{number:.6g}" if isinstance(number, float) else number


def show_size(count: int) -> str:
    """Bytes for people: `1.4 MB`."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:  # noqa: PLR2004  the step between the units
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def show_param(value: Param) -> str:
    """A param with every digit: 1.0 is not 1. A text that could be taken for something else stands in quotes."""
    if isinstance(value, str):
        return f'"{value}"' if value in {"", NOTHING} or _is_json(value) else value
    return "null" if value is None else repr(value)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def show_thing(thing: Input | Output) -> str:
    """Which version of a table or model it is, or which content of a file."""
    match thing:
        case TableRef():
            return f"@{thing.version}" + f" by {', '.join(thing.order)}" * bool(thing.order)
        case ModelRef():
            return f"@{thing.version}"
        case FileRef():
            return f"{thing.sha256[:8]}, {show_size(thing.bytes)}"


def _line(what: str, difference: Difference, ids: Sequence[str]) -> Line:
    name, values = difference.name, difference.values
    texts = [_text(what, name, values[run]) if run in values else NOTHING for run in ids]
    return Line(what, _NAMES.get(name, name) if what in _OURS else name, [Cell(text) for text in _cut_alike(texts)])


def _text(what: str, name: str, value: Any) -> str:
    if what == "param":
        return show_param(value)
    if value is None:
        return NOTHING
    return _FORMS.get(name, _show)(value) if what in _OURS else _show(value)


def _metric_line(metric: MetricDifference, ids: Sequence[str]) -> Line:
    def cell(run: str) -> Cell:
        if run not in metric.values:
            return Cell(NOTHING)
        delta = metric.deltas.get(run)
        better = metric.better.get(run)
        told = "" if delta is None else f"  {'+' * (delta > 0)}{show_number(delta)}"
        judged = "" if better is None else " better" if better else " worse"
        return Cell(f"{show_number(metric.values[run])}{told}{judged}", better)

    return Line("metric", metric.name, [cell(run) for run in ids])


def _feature_lines(comparison: RunComparison, ids: Sequence[str]) -> list[Line]:
    changes = {change.run: change for change in comparison.features}

    def cell(run: str) -> Cell:
        change = changes.get(run)
        if change is None:
            return Cell("")
        told = [
            f"+ {', '.join(change.added)}" * bool(change.added),
            f"- {', '.join(change.removed)}" * bool(change.removed),
        ]
        return Cell("in another order" if change.reordered else " ".join(word for word in told if word))

    return [Line("features", "", [cell(run) for run in ids])] if changes else []


def _thing_line(what: str, thing: ThingDifference, ids: Sequence[str]) -> Line:
    read = [thing.values.get(run, []) for run in ids]
    return Line(what, thing.name, [Cell(", ".join(map(show_thing, things)) or NOTHING) for things in read])


def _show(value: Any) -> str:
    match value:
        case []:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%S")
        case Artifact():
            return f"{value.sha256[:8]}, {show_size(value.bytes)}"
        case list():
            return ", ".join(map(str, value))
    return str(value)


_OURS = frozenset({"run", "git", "host"})
"""Where names are lin's own: those of params, tags and artifacts are the users'."""

_NAMES = {"exit_code": "exit code", "peak_memory_bytes": "peak memory", "memory_bytes": "memory"}
_FORMS: dict[str, Callable[[Any], str]] = {
    "seconds": lambda value: f"{value:.2f}",
    "memory_bytes": show_size,
    "peak_memory_bytes": show_size,
    "sweep": short,
    "parent": short,
    "command": lambda value: shlex.join(value) or NOTHING,
    "commit": lambda value: value[:12],
}


def _cut_alike(texts: list[str]) -> list[str]:
    """Long texts cut to where they part, so that what differs is seen."""
    present = [text for text in texts if text != NOTHING]
    parts = (at for at, characters in enumerate(zip(*present, strict=False)) if len(set(characters)) > 1)
    alike = next(parts, min(map(len, present))) if len(present) > 1 else 0
    return [_cut(text, alike - _BESIDE) for text in texts]


def _cut(text: str, start: int) -> str:
    start = max(min(start, len(text) - LONGEST), 0)
    end = start + LONGEST
    return f"{'…' * (start > 0)}{text[start:end]}{'…' * (end < len(text))}"
