"""One fit of the built-in trainer as a recorded run, on rows that all fits of a sweep share.

What decides the numbers is done by pandas and scikit-learn exactly as by hand: filter the rows in their canonical
order, choose the features, `train_test_split`, `fit`, `predict`. However a fit ends, its run is sealed.
"""

import io
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.read import filter_rows, read_pin
from lin.data.tables import Table
from lin.errors import LinError, OutsideError, UsageError
from lin.project import Project
from lin.records import Fit, Kind, Param, Pin, TableRef, encode
from lin.runs.estimators import build_estimator, with_seed
from lin.runs.evaluate import Evaluation, evaluate, fit_model, select_features, split_rows
from lin.runs.feedback import UNKNOWN_TAG, LookedBack, as_predicted, recall
from lin.runs.golden import GOLDEN, Golden, read_golden, write_golden
from lin.runs.host import capture_process
from lin.runs.persist import MODEL, PICKLED_MODEL, dump_model, pickle_model
from lin.runs.plots import prediction_error_plot, residual_plot
from lin.runs.query import read_run
from lin.runs.record import Capture, Recorder, begin_run
from lin.runs.score import predict_golden, sample_rows
from lin.runs.sweep import Ended, name_point
from lin.runs.trust import first_on_path

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["MODEL", "PICKLED_MODEL", "PREDICTIONS", "FitWork", "Rows", "first_on_path", "importing_from", "name_fit"]

PREDICTIONS = "predictions.parquet"
PREDICTION_ERROR = "prediction_error.png"
RESIDUALS = "residuals.png"


@dataclass(frozen=True)
class FitWork:
    """What the fits of a sweep share: the rows, and what surrounds the runs. A worker process takes it as it is.

    A re-run has a `parent` and a `recipe`, and may have read another version, too, whose rows it mixed in.
    """

    table: Table
    pin: Pin
    reference: TableRef
    captured: Capture
    experiment: str | None
    sweep: str | None
    parent: str | None = None
    kind: Kind = "train"
    recipe: str | None = None
    mixed_in: TableRef | None = None
    draws: bool = True
    """Whether the fits have pictures."""
    golden_rows: bytes | None = None
    """The rows that each model is asked to predict, as a golden file, instead of a sample of the table."""
    looked: LookedBack | None = None
    """What models wrote of the table version; None: as far as the parent knows."""

    apart = False
    """A fit may be done in the process that leads the sweep."""

    def open(self, project: Project) -> Callable[[Fit], Ended]:
        """Read the rows once, and return what does one fit. Raises `OutsideError` if they cannot be read."""
        import sklearn.base  # noqa: F401  before the rows, as where the environment was captured

        rows = Rows(read_pin(self.table, self.pin), golden=self.golden_rows)
        here = replace(self, captured=replace(self.captured, process=capture_process()))
        return lambda fit: here.do(project, rows, fit)

    def do(self, project: Project, rows: "Rows", fit: Fit) -> Ended:
        """Do one fit. Estimators are imported from the project's folder too, as a program in it would."""
        looked = self.looked or self._inherit(project)
        with importing_from(project.root, [fit]):
            recorder = begin_run(
                project,
                self.captured,
                kind=self.kind,
                name=name_fit(fit),
                experiment=self.experiment,
                sweep=self.sweep,
                parent=self.parent,
                recipe=self.recipe,
                params={"estimator": _estimator_param(fit), **fit.params},
                tags=looked.tags,
                fit=fit,
                inputs=[self.reference, *([self.mixed_in] if self.mixed_in else [])],
            )
            return Ended(recorder.id, _fit_recorded(recorder, fit, rows, looked, draws=self.draws))

    def _inherit(self, project: Project) -> LookedBack:
        """What a re-run on the same rows knows of them from the run that it re-runs; nothing of rows that are mixed."""
        if self.parent is None or self.mixed_in is not None:
            return LookedBack()
        parent = read_run(project.store, self.parent)
        same = [read for read in parent.table_inputs if read.pin == self.reference.pin]
        if not same:
            return LookedBack()
        return LookedBack(found=recall(project, parent), problem=parent.tags.get(UNKNOWN_TAG))


class Rows:
    """The rows of one table version, filtered and split once for all fits that ask for the same."""

    def __init__(self, table: Any, *, golden: bytes | None = None) -> None:
        self._table = table
        self._given = golden
        self._kept: dict[str | None, pd.DataFrame] = {}
        self._splits: dict[bytes, Split] = {}

    def keep(self, fit: Fit) -> "pd.DataFrame":
        """The rows that the fit's filter keeps. Raises `UsageError` if it is no filter of this table."""
        if fit.rows not in self._kept:
            kept = filter_rows(self._table, fit.rows) if fit.rows else self._table
            self._kept[fit.rows] = kept.to_pandas()
        return self._kept[fit.rows]

    def split(self, fit: Fit) -> "Split":
        """The rows to train and to test on. Raises `UsageError` for whatever the fit's settings get wrong."""
        key = encode(msgspec.structs.replace(fit, estimator=[], params={}))
        if key not in self._splits:
            frame = self.keep(fit)
            features = select_features(frame, fit.target, fit.features, fit.exclude)
            if frame[fit.target].isna().any():
                raise UsageError(
                    f"target '{fit.target}' is null in {int(frame[fit.target].isna().sum())} of {len(frame)} rows",
                    hint=f'leave them out: --rows "{fit.target} is not null", or rows = "…" in lineage.toml',
                )
            parts = split_rows(frame[features], frame[fit.target], fit.test_size, fit.seed)
            self._splits[key] = Split(features, *parts)
        return self._splits[key]

    @cached_property
    def sample(self) -> "pa.Table":
        """Rows of the table, whatever a filter says of them: those whose target is not known are among them."""
        return sample_rows(self._table)

    @cached_property
    def given(self) -> Golden | None:
        """The rows that were given to be predicted instead. Raises `OutsideError` if they are no golden file."""
        return None if self._given is None else read_golden(self._given)


@dataclass(frozen=True)
class Split:
    """The rows of one fit, and its features in their order."""

    features: list[str]
    train: "pd.DataFrame"
    test: "pd.DataFrame"
    train_target: "pd.Series[Any]"
    test_target: "pd.Series[Any]"


def name_fit(fit: Fit) -> str:
    """The estimator's name and what it was given: `Ridge alpha=0.1`."""
    return name_point(" + ".join(path.rsplit(".", 1)[-1] for path in fit.estimator), fit.params)


@contextmanager
def importing_from(folder: Path, fits: Iterable[Fit]) -> Iterator[None]:
    """Let modules be imported from `folder` first, as Python does for a program that lies there.

    Not where all estimators are scikit-learn's: then nothing in the folder is asked for, and nothing may stand in for
    what these import. And not while the environment is captured: what lies there is source, even if it looks installed.
    """
    if all(is_from_sklearn(fit) for fit in fits):
        yield
        return
    with first_on_path(folder):
        yield


def is_from_sklearn(fit: Fit) -> bool:
    """Whether every estimator of the fit comes with scikit-learn."""
    return all(path.startswith("sklearn.") for path in fit.estimator)


def _estimator_param(fit: Fit) -> Param:
    return fit.estimator[0] if len(fit.estimator) == 1 else list(fit.estimator)


def _fit_recorded(recorder: Recorder, fit: Fit, rows: Rows, looked: LookedBack, *, draws: bool) -> list[str]:
    """Do one fit into its run and seal it, however it ends; returns its warnings."""
    try:
        features, warnings = _fit_and_log(recorder, fit, rows, draws=draws)
    except LinError as error:
        recorder.seal("failed", error=error.message)
        return [f"{error.message} (hint: {error.hint})" if error.hint else error.message]
    except KeyboardInterrupt:
        recorder.seal("interrupted", error="interrupted from the keyboard")
        raise
    except BaseException:
        recorder.seal("failed", error=traceback.format_exc(limit=-1).strip().splitlines()[-1])
        raise
    recorder.seal("finished", features=features, predicted=as_predicted(looked.found, fit=fit, features=features))
    return warnings


def _fit_and_log(recorder: Recorder, fit: Fit, rows: Rows, *, draws: bool) -> tuple[list[str], list[str]]:
    split = rows.split(fit)
    model = build_estimator(fit.estimator, fit.params)
    for param in with_seed(model, fit.seed):
        recorder.log_param(param, fit.seed)
    warnings = fit_model(model, split.train, split.train_target)
    # before it predicts: some models count their queries
    recorder.log_artifact(*((pickle_model(model), PICKLED_MODEL) if fit.pickle else (dump_model(model), MODEL)))
    result = evaluate(model, split.test, split.test_target, metrics=fit.metrics)
    for key, value in result.metrics.items():
        recorder.log_metric(key, value)
    recorder.log_artifact(_predictions(rows.keep(fit), fit, split, result), PREDICTIONS)
    if draws:
        recorder.log_artifact(prediction_error_plot(split.test_target, result), PREDICTION_ERROR)
        recorder.log_artifact(residual_plot(split.test_target, result), RESIDUALS)
    return split.features, [*warnings, *_log_golden(recorder, model, fit, rows, split.features)]


def _log_golden(recorder: Recorder, model: Any, fit: Fit, rows: Rows, features: list[str]) -> list[str]:
    """Keep golden predictions, last of all: some models answer otherwise the next time. Returns why there are none."""
    try:
        asked, key = (rows.given.table, rows.given.layout.key) if rows.given else (rows.sample, fit.exclude)
        content = write_golden(predict_golden(model, asked, key, features))
    except LinError as error:
        return [f"no golden predictions: {error.message}"]
    recorder.log_artifact(content, GOLDEN)
    return []


def _predictions(frame: "pd.DataFrame", fit: Fit, split: Split, result: Evaluation) -> bytes:
    """The test rows as Parquet: their key, the measured target, the prediction, and probabilities by class."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    keys = frame.loc[split.test.index, [column for column in fit.exclude if column in frame]]
    columns = {name: pa.array(keys[name]) for name in keys}
    columns["measured"] = pa.array(split.test_target)
    columns["predicted"] = pa.array(result.predictions)
    if result.probabilities is not None:
        for position, label in enumerate(result.classes):
            columns[f"probability of {label}"] = pa.array(result.probabilities[:, position])
    sink = io.BytesIO()
    try:
        pq.write_table(pa.table(columns), sink)
    except pa.ArrowException as error:
        raise OutsideError(f"the predictions cannot be written as Parquet: {error}") from error
    return sink.getvalue()
