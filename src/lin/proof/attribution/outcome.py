"""What is measured of a run: one of its metrics, or its prediction for one row, which stays the same in all cells.

`--on metrics.rmse` or `--on "prediction ID=454"`. Of a class the probability of what B answers is measured, or where
there are none, whether that is the answer: 1 or 0.
"""

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from lin.data.parquet import parquet_errors
from lin.errors import NotFoundError, OutsideError, UsageError
from lin.recipes import Recipe
from lin.runs.evaluate import CLASSIFICATION_METRICS, REGRESSION_METRICS
from lin.runs.golden import GOLDEN, arrange_rows, read_golden, write_golden
from lin.runs.query import RunInfo
from lin.runs.train import PREDICTIONS
from lin.store.blobs import Blobs

if TYPE_CHECKING:
    import pyarrow as pa

_PREDICTION = "prediction "
_PROBABILITY = "probability of "
_WORD = re.compile(r"\s*([^=,]+?)\s*=\s*([^,]*?)\s*(?:,|\Z)")


class Outcome(Protocol):
    """A number that runs have."""

    @property
    def name(self) -> str:
        """How it is called, as `--on` takes it."""
        ...

    def ask(self, recipe: Recipe) -> Recipe:
        """The recipe with what it takes to measure this."""
        ...

    def read(self, run: RunInfo) -> tuple[float | None, str | None]:
        """The number of a finished run, or why it has none."""
        ...


@dataclass(frozen=True)
class MetricOutcome:
    """A metric of the run."""

    key: str

    @property
    def name(self) -> str:
        """`metrics.rmse`."""
        return f"metrics.{self.key}"

    def ask(self, recipe: Recipe) -> Recipe:
        """The recipe as it is."""
        return recipe

    def read(self, run: RunInfo) -> tuple[float | None, str | None]:
        """The metric, if it is a finite number."""
        value = run.metrics.get(self.key)
        if value is None:
            return None, f"it has no metric '{self.key}'"
        return (float(value), None) if math.isfinite(value) else (None, f"its metric '{self.key}' is {value}")


@dataclass(frozen=True)
class PredictionOutcome:
    """The prediction for the row with this key.

    `golden` is a blob with that one row, for models that the trainer makes; a program predicts what it predicts.
    `answer` is what B says, where predictions are classes.
    """

    blobs: Blobs
    key: Mapping[str, str]
    golden: str | None = None
    answer: str | None = None

    @property
    def name(self) -> str:
        """`prediction ID=454`."""
        return _PREDICTION + ", ".join(f"{name}={value}" for name, value in self.key.items())

    def ask(self, recipe: Recipe) -> Recipe:
        """The recipe with the row to predict."""
        return msgspec.structs.replace(recipe, golden=self.golden) if recipe.fit is not None else recipe

    def read(self, run: RunInfo) -> tuple[float | None, str | None]:
        """The prediction, from the run's golden predictions or its predictions."""
        found = self.find(run)
        if isinstance(found, str):
            return None, found
        return found.measure(self.answer), None

    def find(self, run: RunInfo) -> "Prediction | str":
        """What the run predicts for the row, or why it does not."""
        for path in (GOLDEN, PREDICTIONS):
            if (artifact := run.artifact(path)) is not None:
                try:
                    found = find_prediction(self.blobs.read(artifact.sha256), self.key, golden=path == GOLDEN)
                except (OutsideError, UsageError) as error:
                    return error.message
                if found is not None:
                    return found
        return f"it predicts nothing for {self.name.removeprefix(_PREDICTION)}"

    def answering(self, run: RunInfo) -> "PredictionOutcome":
        """The same, with what this run says as the answer that is asked for."""
        found = self.find(run)
        return self if isinstance(found, str) or not found.is_label else replace(self, answer=str(found.value))


@dataclass(frozen=True)
class Prediction:
    """What a model says of a row: `probabilities` by class; `row` is what is known of the row."""

    value: Any
    is_label: bool
    probabilities: Mapping[str, float]
    row: Mapping[str, Any]

    def measure(self, answer: str | None) -> float | None:
        """The prediction as a number; of a class, the probability of `answer`, or whether it is that."""
        if not self.is_label:
            return float(self.value)
        if answer is not None and answer in self.probabilities:
            return self.probabilities[answer]
        return float(str(self.value) == answer)


# --- which outcome ----------------------------------------------------------------------------------------------------


def choose_outcome(blobs: Blobs, a: RunInfo, b: RunInfo, on: str | None) -> Outcome:
    """What to measure: as `on` says, else the first metric that differs, else the first that both have.

    Raises:
        UsageError: `on` means nothing, or the two have no metric in common; says what there is.
    """
    if on is None:
        return MetricOutcome(_first_metric(a, b))
    if on.startswith(_PREDICTION):
        return PredictionOutcome(blobs, parse_key(on.removeprefix(_PREDICTION)))
    key = on.removeprefix("metrics.")
    if key not in a.metrics or key not in b.metrics:
        lacking = "A" if key not in a.metrics else "B"
        raise UsageError(f"{lacking} has no metric '{key}'", hint=_what_there_is(a, b))
    return MetricOutcome(key)


def parse_key(text: str) -> dict[str, str]:
    """`ID=454` or `city=Bern, day=3` as names and values. Raises `UsageError` for anything else."""
    found: dict[str, str] = {}
    at = 0
    while (word := _WORD.match(text, at)) is not None and word.end() > at:
        found[word[1]] = word[2]
        at = word.end()
    if not found or at < len(text):
        raise UsageError(f"'{text}' does not name a row", hint='--on "prediction ID=454"')
    return found


def _first_metric(a: RunInfo, b: RunInfo) -> str:
    usual = [*REGRESSION_METRICS, *CLASSIFICATION_METRICS]
    both = [key for key in a.metrics if key in b.metrics]
    both.sort(key=lambda key: usual.index(key) if key in usual else len(usual))
    if not both:
        raise UsageError("the two runs have no metric in common", hint=_what_there_is(a, b))
    return next((key for key in both if not is_same(a.metrics[key], b.metrics[key])), both[0])


def is_same(one: float, other: float) -> bool:
    """Whether two recorded outcomes are equal; NaN is equal to itself."""
    return one == other or (math.isnan(one) and math.isnan(other))


def _what_there_is(a: RunInfo, b: RunInfo) -> str:
    metrics = [f"--on metrics.{key}" for key in a.metrics if key in b.metrics]
    predicts = all(run.artifact(GOLDEN) or run.artifact(PREDICTIONS) for run in (a, b))
    return ", ".join([*metrics, *(['--on "prediction KEY=VALUE"'] if predicts else [])]) or "log a metric in both"


# --- one row ----------------------------------------------------------------------------------------------------------


def pick_row(rows: "pa.Table", key: Mapping[str, str]) -> "pa.Table | None":
    """The row with that key; None where there is none.

    Raises:
        UsageError: no such column, or several rows have that key.
    """
    for name in key:
        if name not in rows.column_names:
            raise UsageError(f"the table has no column '{name}'", hint=f"it has: {', '.join(rows.column_names)}")
    cells = zip(*(rows.column(name).to_pylist() for name in key), strict=True)
    wanted = list(key.values())
    places = [at for at, row in enumerate(cells) if _is_row(row, wanted)]
    if len(places) > 1:
        raise UsageError(f"{len(places)} rows have {key}", hint="name columns that tell rows apart")
    return rows.slice(places[0], 1) if places else None


def keep_row(blobs: Blobs, row: "pa.Table", key: Sequence[str]) -> str:
    """Store the row for models to predict, with all its columns as features; returns the blob."""
    features = [name for name in row.column_names if name not in key]
    return blobs.put(write_golden(arrange_rows(row, key, features)))


def find_prediction(data: bytes, key: Mapping[str, str], *, golden: bool) -> Prediction | None:
    """The prediction for the row with that key, in a file of golden predictions or of others; None where no row is.

    Raises:
        UsageError: no such column, or several rows. OutsideError, StoreError: it is no such file.
    """
    layout = _read_layout(data) if golden else _guess_layout(data)
    if layout.predicted not in layout.table.column_names:
        raise OutsideError("the file has no column of predictions")
    row = pick_row(layout.table, key)
    if row is None:
        return None
    cells = row.to_pylist()[0]
    value = cells[layout.predicted]
    is_label = layout.labels or bool(layout.probabilities) or isinstance(value, str | bool)
    return Prediction(value, is_label, {label: cells[name] for label, name in layout.probabilities.items()}, cells)


@dataclass(frozen=True)
class _Predictions:
    """A table of predictions, and what its columns are."""

    table: "pa.Table"
    predicted: str | None
    labels: bool
    probabilities: Mapping[str, str]


def _read_layout(data: bytes) -> _Predictions:
    golden = read_golden(data)
    layout = golden.layout
    return _Predictions(golden.table, layout.predicted, layout.labels, layout.probabilities)


def _guess_layout(data: bytes) -> _Predictions:
    """Of a file that does not tell its columns, as fits and programs keep it."""
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data))
    except parquet_errors() as error:
        raise OutsideError(f"{PREDICTIONS} is no Parquet file: {error}") from error
    probabilities = {
        name.removeprefix(_PROBABILITY): name for name in table.column_names if name.startswith(_PROBABILITY)
    }
    return _Predictions(table, "predicted", labels=False, probabilities=probabilities)


def _is_row(row: Sequence[Any], wanted: Sequence[str]) -> bool:
    return all(cell is not None and str(cell) == value for cell, value in zip(row, wanted, strict=True))


def require_row(row: "pa.Table | None", key: Mapping[str, str]) -> "pa.Table":
    """The row. Raises `NotFoundError` if there is none."""
    if row is None:
        said = ", ".join(f"{name}={value}" for name, value in key.items())
        raise NotFoundError(f"neither of the tables that the two runs read has a row with {said}")
    return row
