"""Comparing two runs: the verdict, and everything that differs, looked for both ways.

The ladder, strongest first: identical (every output byte for byte), same predictions (metrics, predictions and golden
predictions bit for bit, every table row by row; other files differ and are named), within tolerance (as declared),
different. Where neither run left anything to compare: inconclusive. A weaker verdict is never reported as a stronger.
"""

import io
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lin.data.parquet import parquet_errors
from lin.errors import UsageError
from lin.events import Verdict
from lin.ids import short
from lin.lineage.references import find_run_behind
from lin.numbers import Real
from lin.project import Project
from lin.proof.verdict.answer import Compared, Difference, Verification
from lin.proof.verdict.around import differing, tell_axes
from lin.proof.verdict.outputs import compare_outputs
from lin.proof.verdict.rows import Rows, compare_rows
from lin.runs.golden import GOLDEN, is_close
from lin.runs.query import RunInfo
from lin.runs.train import PREDICTIONS
from lin.store.blobs import Blobs

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Compared", "Difference", "Verification", "check_tolerance", "compare_runs", "verify_runs"]


def verify_runs(project: Project, first: str, second: str, *, tolerance: float | None = None) -> Verification:
    """Compare two runs that ended by themselves, finished or failed.

    `tolerance` is used both absolutely and relatively: |a − b| ≤ t + t·max(|a|, |b|) for every metric, prediction and
    probability, and every cell with a fraction of a table written. A label is never close to another one.

    Raises:
        NotFoundError: no such run. UsageError: one of them did not end, or the tolerance is not a number ≥ 0.
    """
    check_tolerance(tolerance)
    return compare_runs(project, _ended(project, first), _ended(project, second), tolerance=tolerance)


def check_tolerance(tolerance: float | None) -> None:
    """Refuse a tolerance that is not a finite number ≥ 0. Raises `UsageError`."""
    if tolerance is not None and not (tolerance >= 0 and math.isfinite(tolerance)):
        raise UsageError(f"the tolerance {tolerance} is not a number of at least 0")


def compare_runs(project: Project, a: RunInfo, b: RunInfo, *, tolerance: float | None = None) -> Verification:
    """As `verify_runs`, for runs that were read already."""
    found = _Evidence(project, a, b, tolerance)
    axes = tell_axes(project, a, b)
    return Verification(
        first=a.id,
        second=b.id,
        verdict=_judge(found),
        differences=found.differences,
        compared=found.compared,
        axes=list(axes),
        context=[f"{axis}: {line}" for axis, lines in axes.items() for line in lines] + list(found.notes),
        largest=_largest(found.gaps),
        largest_probability=_largest([rows.largest_probability for rows in found.scored]),
        flips=sum(rows.flips for rows in found.scored),
        tolerance=tolerance,
    )


class _Evidence:
    """Everything that two runs left, held against each other."""

    def __init__(self, project: Project, a: RunInfo, b: RunInfo, tolerance: float | None) -> None:
        blobs = project.store.blobs
        self.a, self.b, self.tolerance = a, b, tolerance
        self.endings = _compare_endings(a, b)
        self.params = _compare("param", a.params, b.params)
        self.metrics = _compare("metric", a.metrics, b.metrics)
        self.artifacts = _compare("artifact", _artifacts(a), _artifacts(b))
        self.files = _compare("file", _files(a), _files(b))
        self.predictions = _compare_scored(blobs, a, b, PREDICTIONS, "predictions", tolerance)
        self.golden = _compare_scored(blobs, a, b, GOLDEN, "golden predictions", tolerance)
        self.outputs = compare_outputs(project, a, b, tolerance=tolerance)

    @property
    def scored(self) -> list[Rows]:
        """The predictions that both runs have."""
        return [rows for rows in (self.predictions, self.golden) if rows is not None]

    @property
    def differences(self) -> list[Difference]:
        """All that differs, what counts most first."""
        rows = [difference for scored in self.scored for difference in scored.differences]
        files = [*self.artifacts, *self.files, *self.outputs.differences]
        return [*self.endings, *self.params, *self.metrics, *rows, *files]

    @property
    def compared(self) -> Compared:
        """How much both have."""
        a, b = self.a, self.b
        return Compared(
            params=len(a.params.keys() & b.params.keys()),
            metrics=len(a.metrics.keys() & b.metrics.keys()),
            artifacts=len(_artifacts(a).keys() & _artifacts(b).keys()),
            files=len(_files(a).keys() & _files(b).keys()),
            tables=self.outputs.tables,
            predictions=self.predictions.rows if self.predictions else 0,
            golden=self.golden.rows if self.golden else 0,
        )

    @property
    def gaps(self) -> list[Real | None]:
        """How far numbers are apart, the furthest of each kind."""
        a, b = self.a.metrics, self.b.metrics
        metrics = [Real(abs(a[key] - b[key])) for key in a.keys() & b.keys()]
        return [*metrics, *(rows.largest for rows in self.scored), self.outputs.largest]

    @property
    def notes(self) -> Iterator[str]:
        """What else there is to say."""
        for run in (self.a, self.b):
            if self.endings and run.error:
                yield f"run {short(run.id)} {run.status}: {run.error}"
            elif self.endings and run.exit_code:
                yield f"run {short(run.id)} ended with exit code {run.exit_code}: see lin output {short(run.id)}"
        if self.is_empty:
            yield "neither run has metrics, artifacts, files or tables written: there is nothing to compare"
        yield from self.outputs.notes

    @property
    def is_empty(self) -> bool:
        """Whether neither run left anything."""
        return not any(run.metrics or run.artifacts or run.outputs for run in (self.a, self.b))

    @property
    def lacks_predictions(self) -> bool:
        """Whether one of them has no predictions, or none that can be read. Golden ones may be younger than a run."""
        return self.predictions is None and any(found.name == PREDICTIONS for found in self.artifacts)

    @property
    def predicts_the_same(self) -> bool:
        """Whether there are predictions on both sides, and every bit of them is the same."""
        return bool(self.scored) and not self.lacks_predictions and all(rows.same for rows in self.scored)

    @property
    def is_close(self) -> bool:
        """Whether there are numbers on both sides, and all of them are within the tolerance."""
        a, b = self.a.metrics, self.b.metrics
        if self.tolerance is None or self.lacks_predictions or a.keys() != b.keys():
            return False
        rows = self.outputs.close and all(rows.close for rows in self.scored)
        measured = a or self.scored or self.outputs.tables
        return bool(measured) and rows and all(is_close(a[key], b[key], self.tolerance) for key in a)


def _judge(found: _Evidence) -> Verdict:
    if found.endings:
        return "different"
    if found.is_empty:
        return "inconclusive"
    if not found.differences:
        return "identical"
    only_tables_differ = len(found.differences) == len(found.outputs.differences)
    if not found.metrics and found.outputs.rows_same and (found.predicts_the_same or only_tables_differ):
        return "same predictions"
    return "within tolerance" if found.is_close else "different"


def _compare_endings(a: RunInfo, b: RunInfo) -> list[Difference]:
    """How they ended, if not alike. A program that nobody watched tells no exit code."""
    endings = ("status", a.status, b.status), ("exit code", a.exit_code, b.exit_code)
    told = [ending for ending in endings if None not in ending]
    return [Difference(what=what, name="", first=x, second=y) for what, x, y in told if x != y]


def _compare(what: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """Names that only one side has, or whose values are not stored alike."""
    return [Difference(what=what, name=name, first=a.get(name), second=b.get(name)) for name in differing(a, b)]


def _artifacts(run: RunInfo) -> dict[str, str]:
    return {artifact.path: artifact.sha256 for artifact in run.artifacts}


def _files(run: RunInfo) -> dict[str, str]:
    return {file.path: file.sha256 for file in run.file_outputs}


def _compare_scored(
    blobs: Blobs, a: RunInfo, b: RunInfo, artifact: str, what: str, tolerance: float | None
) -> Rows | None:
    """The predictions of that name, row by row; None where not both have them. Of equal files, the rows are counted."""
    first, second = a.artifact(artifact), b.artifact(artifact)
    if first is None or second is None:
        return None
    if first.sha256 == second.sha256:
        return Rows(rows=_count_rows(blobs, first.sha256), largest=Real(0))
    tables = _read_rows(blobs, first.sha256), _read_rows(blobs, second.sha256)
    if tables[0] is None or tables[1] is None:
        return None
    return compare_rows(tables[0], tables[1], what=what, tolerance=tolerance)


def _read_rows(blobs: Blobs, sha256: str) -> "pa.Table | None":
    """The rows of a file of predictions; None where it is none: a program may call anything by that name."""
    import pyarrow.parquet as pq

    try:
        rows: pa.Table = pq.read_table(io.BytesIO(blobs.read(sha256)))
    except parquet_errors():
        return None
    return rows if len(set(rows.column_names)) == len(rows.column_names) else None


def _count_rows(blobs: Blobs, sha256: str) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: int = pq.read_metadata(io.BytesIO(blobs.read(sha256))).num_rows
    except (pa.ArrowException, OSError, ValueError):
        return 0
    return rows


def _largest(gaps: list[Real | None]) -> Real | None:
    return max((gap for gap in gaps if gap is not None and not math.isnan(gap)), default=None)


def _ended(project: Project, reference: str) -> RunInfo:
    run = find_run_behind(project, reference)
    if run.status not in {"finished", "failed"}:
        raise UsageError(f"run {short(run.id)} is {run.status}; only runs that ended can be compared", hint="lin runs")
    return run
