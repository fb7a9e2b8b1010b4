"""What two recorded runs came to, held against each other: metrics, predictions, files and tables written.

Nothing is run and no model is loaded: predictions are those that the runs kept. What neither kept is not said to agree.
"""

import io
from typing import TYPE_CHECKING, Literal

import msgspec

from lin.data.parquet import open_parquet, parquet_errors
from lin.errors import LinError, OutsideError
from lin.ids import short
from lin.numbers import Real
from lin.proof.why.axes import changes_of
from lin.proof.why.environment_axis import Change
from lin.records import TableRef
from lin.runs.differences import FeatureDifference, RunComparison, ThingDifference
from lin.runs.evaluate import CLASSIFICATION_METRICS, REGRESSION_METRICS
from lin.runs.golden import GOLDEN, Golden, GoldenDiff, Layout, compare_opened, read_golden
from lin.runs.query import RunInfo
from lin.runs.train import PREDICTIONS
from lin.runs.wording import show_thing
from lin.store.blobs import Blobs

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 100_000
"""Files with more predictions are not compared row by row: that would take longer than a moment."""

_MEASURED, _PREDICTED, _PROBABILITY = "measured", "predicted", "probability of "


class MetricEffect(msgspec.Struct, frozen=True, kw_only=True):
    """A metric that is not the same, bit for bit: `delta` where both are finite, `better` where that is known."""

    name: str
    old: Real | None
    new: Real | None
    delta: Real | None
    better: bool | None


class PredictionEffect(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions for the same rows: `golden` ones, or those of rows that both were tested on.

    `diff` holds those of the second against those of the first; it is None where `note` says why.
    """

    kind: Literal["golden", "test"]
    diff: GoldenDiff | None
    note: str | None = None


_FIRST = (*REGRESSION_METRICS, *CLASSIFICATION_METRICS)


class Effects(msgspec.Struct, frozen=True, kw_only=True):
    """What came out otherwise.

    `same` names what both have and have in common; `results` is false where neither left anything to compare.
    """

    status: list[Change]
    metrics: list[MetricEffect]
    predictions: list[PredictionEffect]
    features: list[FeatureDifference]
    artifacts: list[Change]
    outputs: list[Change]
    same: list[str]
    results: bool

    @property
    def lead(self) -> MetricEffect | None:
        """The metric to speak of: the first that the trainer would compute, else the first in the record."""
        both = [metric for metric in self.metrics if metric.delta is not None]
        return min(both, key=lambda m: _FIRST.index(m.name) if m.name in _FIRST else len(_FIRST), default=None)

    @property
    def differs(self) -> list[str]:
        """What is not the same, in words, the most telling first."""
        found = {
            "status": self.status,
            "metrics": self.metrics,
            "predictions": [each for each in self.predictions if each.diff and each.diff.changed],
            "artifacts": self.artifacts,
            "outputs": self.outputs,
        }
        return [word for word, differs in found.items() if differs]


def compare_effects(
    blobs: Blobs, a: RunInfo, b: RunInfo, comparison: RunComparison, *, golden: tuple[str | None, str | None]
) -> Effects:
    """What came out otherwise in `b` than in `a`; `golden` are the blobs of their golden predictions."""
    predictions = [*_compare_golden(blobs, *golden), *_compare_tests(blobs, a, b)]
    told = {(GOLDEN if each.kind == "golden" else PREDICTIONS) for each in predictions if each.diff}
    status = [each for each in changes_of(comparison.facts, a, b) if _is_status(each, a, b)]
    return Effects(
        status=status,
        metrics=[
            MetricEffect(
                name=each.name,
                old=each.values.get(a.id),
                new=each.values.get(b.id),
                delta=each.deltas.get(b.id),
                better=each.better.get(b.id),
            )
            for each in comparison.metrics
        ],
        predictions=predictions,
        features=comparison.features,
        artifacts=[each for each in changes_of(comparison.artifacts, a, b) if each.name not in told],
        outputs=[_output(each, a, b) for each in comparison.outputs if _contents(each, a) != _contents(each, b)],
        same=_find_same(a, b, comparison, predictions),
        results=bool(status) or any(run.metrics or run.artifacts or run.outputs for run in (a, b)),
    )


def _is_status(change: Change, a: RunInfo, b: RunInfo) -> bool:
    """A fit has no exit code, and a run that did not end has none yet."""
    known = a.exit_code is not None and b.exit_code is not None
    return change.name in {"status", "error"} or (change.name == "exit_code" and known)


def _find_same(a: RunInfo, b: RunInfo, comparison: RunComparison, compared: list[PredictionEffect]) -> list[str]:
    kept = [name for name in (GOLDEN, PREDICTIONS) if a.artifact(name) and b.artifact(name)]
    agree = bool(kept) and all(each.diff is not None and not each.diff.changed for each in compared)
    return [
        *(["metrics"] if "metrics" in comparison.same else []),
        *(["predictions"] if agree else []),
        *(what for what in ("artifacts", "outputs") if what in comparison.same),
    ]


def _contents(thing: ThingDifference, run: RunInfo) -> list[str]:
    return [each.pin if isinstance(each, TableRef) else each.sha256 for each in thing.values.get(run.id, [])]


def _output(thing: ThingDifference, a: RunInfo, b: RunInfo) -> Change:
    old, new = (", ".join(map(show_thing, thing.values.get(run.id, []))) or None for run in (a, b))
    return Change(name=thing.name, old=old, new=new, only=None if old and new else "a" if old else "b")


# --- predictions ------------------------------------------------------------------------------------------------------


def golden_of(run: RunInfo) -> str | None:
    """The blob with the run's own golden predictions."""
    artifact = run.artifact(GOLDEN)
    return artifact.sha256 if artifact else None


def _compare_golden(blobs: Blobs, old: str | None, new: str | None) -> list[PredictionEffect]:
    if old is None or new is None or old == new:
        return []
    try:
        diff = compare_opened(*(read_golden(blobs.read(sha256)) for sha256 in (old, new)))
    except LinError as error:
        return [PredictionEffect(kind="golden", diff=None, note=error.message)]
    return [_effect("golden", diff)]


def _compare_tests(blobs: Blobs, a: RunInfo, b: RunInfo) -> list[PredictionEffect]:
    """Predictions for the rows that both were tested on, by key, or by place if all were measured alike."""
    files = a.artifact(PREDICTIONS), b.artifact(PREDICTIONS)
    if files[0] is None or files[1] is None or files[0].sha256 == files[1].sha256:
        return []
    try:
        old, new = (_read_test(blobs.read(file.sha256), run) for file, run in zip(files, (a, b), strict=True) if file)
        if max(old.table.num_rows, new.table.num_rows) > MOST_ROWS:
            return [PredictionEffect(kind="test", diff=None, note=f"more than {MOST_ROWS:,} rows: lin verify")]
        return [_effect("test", compare_opened(old, new))]
    except LinError as error:
        return [PredictionEffect(kind="test", diff=None, note=error.message)]


def _effect(kind: Literal["golden", "test"], diff: GoldenDiff) -> PredictionEffect:
    if diff.rows == 0:
        return PredictionEffect(kind=kind, diff=None, note="they have no rows in common that can be told apart")
    return PredictionEffect(kind=kind, diff=diff)


def _read_test(data: bytes, run: RunInfo) -> Golden:
    """The predictions of a run for its test rows, in the form of golden ones: a program may keep some too."""
    try:
        table = open_parquet(io.BytesIO(data)).read()  # `read_table` imports pandas
    except parquet_errors() as error:
        raise OutsideError(f"{PREDICTIONS} of run {short(run.id)} is no Parquet file") from error
    names = table.column_names
    if _PREDICTED not in names or len({*names}) < len(names):
        raise OutsideError(f"{PREDICTIONS} of run {short(run.id)} has no column '{_PREDICTED}'")
    probabilities = {name.removeprefix(_PROBABILITY): name for name in names if name.startswith(_PROBABILITY)}
    known = {_MEASURED, _PREDICTED, *probabilities.values()}
    layout = Layout(
        key=[name for name in names if name not in known],
        features=[name for name in names if name == _MEASURED],
        predicted=_PREDICTED,
        probabilities=probabilities,
        labels=bool(probabilities) or not _is_number(table.schema.field(_PREDICTED).type),
    )
    return Golden(table, layout)


def _is_number(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind))
