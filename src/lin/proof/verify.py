"""Comparing two runs: the verdict, and everything that differs, looked for both ways.

The ladder, strongest first: identical (parameters, metrics, every artifact byte for byte, every table written), same
predictions (metrics and predictions bit for bit; other files differ and are named), within tolerance (as declared),
different. Where neither run left anything to compare: inconclusive. A weaker verdict is never reported as a stronger.
"""

import io
import math
import struct
from collections.abc import Mapping
from typing import Any

import msgspec

from lin.errors import UsageError
from lin.events import Verdict
from lin.ids import short
from lin.lineage.references import find_run_behind
from lin.numbers import Real
from lin.project import Project
from lin.records import Environment, decode, encode
from lin.runs.environment import diff_environments
from lin.runs.query import RunInfo
from lin.runs.train import PREDICTIONS
from lin.store.blobs import Blobs


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not the same: a missing or extra thing has None on one side."""

    what: str
    name: str
    first: Any
    second: Any


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs compared. `context` names what differs around them: inputs, source, environment, host."""

    first: str
    second: str
    verdict: Verdict
    differences: list[Difference]
    context: list[str]
    largest: Real | None
    """The largest absolute difference between two metrics or predictions, where there is one to measure."""
    tolerance: float | None

    @property
    def same(self) -> bool:
        """Whether the verdict is a yes."""
        return self.verdict in {"identical", "same predictions", "within tolerance"}


def verify_runs(project: Project, first: str, second: str, *, tolerance: float | None = None) -> Verification:
    """Compare two finished runs.

    `tolerance` is used both absolutely and relatively: |a − b| ≤ t + t·max(|a|, |b|) for every metric and prediction.

    Raises:
        NotFoundError: no such run. UsageError: one of them did not finish, or the tolerance is not a number ≥ 0.
    """
    check_tolerance(tolerance)
    return compare_runs(project.store.blobs, _finished(project, first), _finished(project, second), tolerance=tolerance)


def check_tolerance(tolerance: float | None) -> None:
    """Refuse a tolerance that is not a finite number ≥ 0. Raises `UsageError`."""
    if tolerance is not None and not (tolerance >= 0 and math.isfinite(tolerance)):
        raise UsageError(f"the tolerance {tolerance} is not a number of at least 0")


def compare_runs(blobs: Blobs, a: RunInfo, b: RunInfo, *, tolerance: float | None = None) -> Verification:
    """As `verify_runs`, for runs that were read already."""
    predictions = _Predictions(blobs, a, b)
    params = _compare("param", _encoded(a.params), _encoded(b.params), shown=(a.params, b.params))
    metrics = _compare("metric", _bits(a.metrics), _bits(b.metrics), shown=(a.metrics, b.metrics))
    files = _compare("artifact", _digests(a), _digests(b)) + _compare("output", _pins(a), _pins(b))
    return Verification(
        first=a.id,
        second=b.id,
        verdict=_judge(a, b, predictions, params, metrics, files, tolerance),
        differences=[*params, *metrics, *predictions.differences, *files],
        context=_context(blobs, a, b),
        largest=_largest(a, b, predictions),
        tolerance=tolerance,
    )


def _judge(
    a: RunInfo,
    b: RunInfo,
    predictions: "_Predictions",
    params: list[Difference],
    metrics: list[Difference],
    files: list[Difference],
    tolerance: float | None,
) -> Verdict:
    if not _has_results(a) and not _has_results(b):
        return "inconclusive"
    if not params and not metrics and not files:
        return "identical"
    if not metrics and predictions.same and predictions.present:
        return "same predictions"
    numbers = [(a.metrics[k], b.metrics[k]) for k in a.metrics.keys() & b.metrics.keys()]
    if (
        tolerance is not None
        and (numbers or predictions.present)
        and a.metrics.keys() == b.metrics.keys()
        and predictions.within(tolerance)
        and all(_close(x, y, tolerance) for x, y in numbers)
    ):
        return "within tolerance"
    return "different"


def _has_results(run: RunInfo) -> bool:
    return bool(run.metrics or run.artifacts or run.outputs)


def _compare(
    what: str,
    a: Mapping[str, bytes | str],
    b: Mapping[str, bytes | str],
    shown: tuple[dict[str, Any], dict[str, Any]] | None = None,
) -> list[Difference]:
    """Names that only one side has, or whose values differ. `shown` are the values to report."""
    first, second = shown or (dict(a), dict(b))
    return [
        Difference(what=what, name=name, first=first.get(name), second=second.get(name))
        for name in sorted(a.keys() | b.keys())
        if name not in a or name not in b or a[name] != b[name]
    ]


class _Predictions:
    """The predictions of two runs, row by row and column by column; files that are equal are not opened."""

    def __init__(self, blobs: Blobs, a: RunInfo, b: RunInfo) -> None:
        files = a.artifact(PREDICTIONS), b.artifact(PREDICTIONS)
        self.present = files[0] is not None and files[1] is not None
        self.same = (files[0] and files[0].sha256) == (files[1] and files[1].sha256)
        self.differences: list[Difference] = []
        self.largest: float | None = 0.0 if self.present and self.same else None
        self._pairs: list[tuple[Any, Any]] = []
        if files[0] and files[1] and not self.same:
            self._open(_columns(blobs, files[0].sha256), _columns(blobs, files[1].sha256))

    def _open(self, first: dict[str, list[Any]] | None, second: dict[str, list[Any]] | None) -> None:
        if first is None or second is None:
            return  # not both are Parquet: that they differ as files is said there
        for what, x, y in (("columns", sorted(first), sorted(second)), ("rows", _length(first), _length(second))):
            if x != y:
                self.differences = [Difference(what="predictions", name=what, first=x, second=y)]
                return
        self.same = True
        for name, column in first.items():
            self._compare(name, list(zip(column, second[name], strict=True)))
        gaps = [abs(x - y) for x, y in self._pairs if isinstance(x, float) and isinstance(y, float)]
        self.largest = max((g for g in gaps if not math.isnan(g)), default=None)

    def _compare(self, column: str, pairs: list[tuple[Any, Any]]) -> None:
        self._pairs += pairs
        changed = [(x, y) for x, y in pairs if not _same_bits(x, y)]
        if changed:
            self.same = False
            name = f"{len(changed)} of {len(pairs)} rows" + ("" if column == "predicted" else f" of '{column}'")
            first, second = map(_shown, changed[0])
            self.differences.append(Difference(what="predictions", name=name, first=first, second=second))

    def within(self, tolerance: float) -> bool:
        """Whether each prediction is as close as that; labels must be equal."""
        if self.same:
            return True
        return bool(self._pairs) and all(_close(x, y, tolerance) for x, y in self._pairs)


def _columns(blobs: Blobs, sha256: str) -> dict[str, list[Any]] | None:
    """The columns of a predictions file, None where it is none: a program may call anything by that name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns: dict[str, list[Any]] = pq.read_table(io.BytesIO(blobs.read(sha256))).to_pydict()
    except (pa.ArrowException, OSError, ValueError):
        return None
    return columns


def _length(columns: dict[str, list[Any]]) -> int:
    return len(next(iter(columns.values()), []))


def _shown(value: Any) -> Any:
    return Real(value) if isinstance(value, float) else value


def _same_bits(x: Any, y: Any) -> bool:
    if isinstance(x, float) and isinstance(y, float):
        return struct.pack(">d", x) == struct.pack(">d", y)
    return type(x) is type(y) and bool(x == y)


def _close(x: Any, y: Any, tolerance: float) -> bool:
    if isinstance(x, float) and isinstance(y, float):
        if math.isnan(x) or math.isnan(y) or math.isinf(x) or math.isinf(y):
            return _same_bits(x, y) or (math.isnan(x) and math.isnan(y))
        return abs(x - y) <= tolerance + tolerance * max(abs(x), abs(y))
    return bool(x == y)


def _bits(metrics: dict[str, Any]) -> dict[str, bytes]:
    return {name: struct.pack(">d", value) for name, value in metrics.items()}


def _encoded(params: dict[str, Any]) -> dict[str, bytes]:
    """As they are stored: 1, 1.0 and true are three values, also inside lists."""
    return {name: encode(value) for name, value in params.items()}


def _digests(run: RunInfo) -> dict[str, str]:
    return {artifact.path: artifact.sha256 for artifact in run.artifacts}


def _pins(run: RunInfo) -> dict[str, str]:
    return {written.table: written.pin for written in run.table_outputs}


def _largest(a: RunInfo, b: RunInfo, predictions: _Predictions) -> Real | None:
    gaps = [abs(a.metrics[k] - b.metrics[k]) for k in a.metrics.keys() & b.metrics.keys()]
    gaps += [] if predictions.largest is None else [predictions.largest]
    return max((Real(g) for g in gaps if not math.isnan(g)), default=None)


def _context(blobs: Blobs, a: RunInfo, b: RunInfo) -> list[str]:
    """What differs around the two runs, a line each."""
    lines = _inputs(a, b)
    if not _has_results(a) and not _has_results(b):
        lines.append("neither run has metrics, artifacts or tables written: there is nothing to compare")
    if (a.source and a.source.tree) != (b.source and b.source.tree):
        lines.append("source: the project's files differ")
    if a.environment != b.environment:
        lines += [f"environment: {line}" for line in _environments(blobs, a, b)]
    if a.host != b.host:
        lines.append(f"host: {a.host.name} ({a.host.cpu}) -> {b.host.name} ({b.host.cpu})")
    return lines


def _inputs(a: RunInfo, b: RunInfo) -> list[str]:
    first = {t.table: t for t in a.table_inputs}
    second = {t.table: t for t in b.table_inputs}
    lines = []
    for name in sorted(first.keys() | second.keys()):
        x, y = first.get(name), second.get(name)
        if x is None or y is None:
            lines.append(f"input: table {name} is read by only one of them")
        elif x.pin != y.pin:
            lines.append(f"input: {name}@{x.version} -> {name}@{y.version}, other data")
        elif x.order != y.order:
            lines.append(
                f"input: {name} is read in another order: {x.order or 'as written'} -> {y.order or 'as written'}"
            )
    return lines


def _environments(blobs: Blobs, a: RunInfo, b: RunInfo) -> list[str]:
    if a.environment is None or b.environment is None:
        return ["recorded for only one of them"]
    first, second = (
        decode(blobs.read(sha256), Environment, where=f"environment {short(sha256)}")
        for sha256 in (a.environment, b.environment)
    )
    return diff_environments(first, second)


def _finished(project: Project, reference: str) -> RunInfo:
    run = find_run_behind(project, reference)
    if run.status != "finished":
        raise UsageError(f"run {short(run.id)} is {run.status}; only finished runs can be compared", hint="lin runs")
    return run
