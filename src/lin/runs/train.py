"""The built-in trainer: fits each point of a grid on one pinned table version, every fit a recorded run.

What decides the numbers is done by pandas and scikit-learn exactly as by hand: filter the rows in their canonical
order, choose the features, `train_test_split`, `fit`, `predict`. The recorded `Fit` and pin suffice to do it again.
"""

import io
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lin.config import ExperimentSetting, ModelSetting
from lin.data.read import filter_rows, read_pin
from lin.data.tables import Table
from lin.errors import LinError, OutsideError, UsageError, nearest
from lin.ids import new_id
from lin.project import Project
from lin.records import Fit, Param, Pin, Source, TableRef, encode
from lin.runs.estimators import build_estimator, expand_grid, with_seed
from lin.runs.evaluate import (
    CLASSIFICATION_METRICS,
    REGRESSION_METRICS,
    Evaluation,
    evaluate,
    fit_model,
    select_features,
    split_rows,
)
from lin.runs.persist import dump_model
from lin.runs.plots import prediction_error_plot, residual_plot
from lin.runs.query import RunInfo, read_run
from lin.runs.record import Recorder, begin_run, capture
from lin.runs.writes import pin_input

if TYPE_CHECKING:
    import pandas as pd

MODEL = "model/model.skops"
PREDICTIONS = "predictions.parquet"
PREDICTION_ERROR = "prediction_error.png"
RESIDUALS = "residuals.png"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a sweep has come: `done` of `total`, the last being `run`."""

    done: int
    total: int
    run: RunInfo
    warnings: list[str]


def plan_fits(
    experiment: ExperimentSetting, table: Table, overrides: Mapping[str, Sequence[Param]] | None = None
) -> list[Fit]:
    """The fits that an experiment declares, in the order of its models and their grids.

    `overrides` replaces parameters of every model: a name and its values.

    Raises:
        UsageError: a grid has no values, or the experiment no target.
    """
    if experiment.target is None:
        raise UsageError("the experiment has no target", hint='target = "COLUMN"')
    fits = []
    for model in experiment.models:
        grid = model.params | {key: list(values) for key, values in (overrides or {}).items()}
        fits += [_fit(experiment, experiment.target, model, table, params) for params in expand_grid(grid)]
    return fits


def _fit(
    experiment: ExperimentSetting, target: str, model: ModelSetting, table: Table, params: dict[str, Param]
) -> Fit:
    return Fit(
        estimator=[model.estimator] if isinstance(model.estimator, str) else list(model.estimator),
        target=target,
        params=params,
        features=experiment.features,
        exclude=list(table.key),
        rows=experiment.rows,
        test_size=experiment.split.test_size,
        seed=experiment.split.seed,
        metrics=experiment.metrics,
    )


def name_fit(fit: Fit) -> str:
    """The estimator's name and what it was given: `Ridge alpha=0.1`."""
    estimator = " + ".join(path.rsplit(".", 1)[-1] for path in fit.estimator)
    return " ".join([estimator, *(f"{key}={value}" for key, value in fit.params.items())])


def run_sweep(
    project: Project,
    table: Table,
    fits: Sequence[Fit],
    *,
    experiment: str | None,
    version: int | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> list[RunInfo]:
    """Do every fit on one version of `table` (default: the newest). One that fails is a failed run.

    Estimators are imported from the project's folder too, as a program in that folder would.

    Raises:
        UsageError: a row filter, feature, target or metric is wrong, or no estimator can be made at all; then nothing
            was recorded. OutsideError: the table cannot be read.
    """
    pin, reference = pin_input(project, table, version)
    return run_fits(project, table, pin, reference, fits, experiment=experiment, report=report)


def run_fits(
    project: Project,
    table: Table,
    pin: Pin,
    reference: TableRef,
    fits: Sequence[Fit],
    *,
    experiment: str | None,
    parent: str | None = None,
    source: Source | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> list[RunInfo]:
    """As `run_sweep`, on a pin. With a `parent`, the runs are re-runs of it, of the code in the snapshot `source`."""
    import sklearn.base  # noqa: F401  first, so that the captured environment holds the BLAS that the fits use

    prepared = _Prepared(read_pin(table, pin))
    for fit in fits:
        prepared.split(fit)  # whatever the settings get wrong shows before anything is recorded
        _check_metrics(fit)
    with _importing_from(project.root):
        _require_one(fits)
    captured = capture(project, source=source)
    sweep = new_id() if len(fits) > 1 else None
    runs = []
    with _importing_from(project.root):
        for done, fit in enumerate(fits, 1):
            recorder = begin_run(
                project,
                captured,
                kind="train",
                name=name_fit(fit),
                experiment=experiment,
                sweep=sweep,
                parent=parent,
                params={"estimator": _estimator_param(fit), **fit.params},
                fit=fit,
                inputs=[reference],
            )
            warnings = _fit_recorded(recorder, fit, prepared)
            runs.append(read_run(project.store, recorder.id))
            report(Progress(done=done, total=len(fits), run=runs[-1], warnings=warnings))
    return runs


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Let modules be imported from `folder` first, as Python does for a program that lies there.

    Not while the environment is captured: what lies in the folder is source, even if it looks installed.
    """
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _check_metrics(fit: Fit) -> None:
    known = [*REGRESSION_METRICS, *CLASSIFICATION_METRICS]
    for name in fit.metrics:
        if name not in known:
            hint = nearest(name, known, instead=f"there are: {', '.join(known)}")
            raise UsageError(f"there is no metric '{name}'", hint=hint)


def _require_one(fits: Sequence[Fit]) -> None:
    """Refuse settings of which no point can be made: a misspelt estimator or parameter is not a failed fit."""
    first: UsageError | None = None
    for fit in fits:
        try:
            build_estimator(fit.estimator, fit.params)
        except UsageError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first


def _estimator_param(fit: Fit) -> Param:
    return fit.estimator[0] if len(fit.estimator) == 1 else list(fit.estimator)


def _fit_recorded(recorder: Recorder, fit: Fit, prepared: "_Prepared") -> list[str]:
    """Do one fit into its run and seal it, however it ends."""
    try:
        features, warnings = _fit_and_log(recorder, fit, prepared)
    except LinError as error:
        recorder.seal("failed", error=error.message)
        return [error.message]
    except KeyboardInterrupt:
        recorder.seal("interrupted", error="interrupted from the keyboard")
        raise
    except BaseException:
        recorder.seal("failed", error=traceback.format_exc(limit=-1).strip().splitlines()[-1])
        raise
    recorder.seal("finished", features=features)
    return warnings


def _fit_and_log(recorder: Recorder, fit: Fit, prepared: "_Prepared") -> tuple[list[str], list[str]]:
    split = prepared.split(fit)
    model = build_estimator(fit.estimator, fit.params)
    for param in with_seed(model, fit.seed):
        recorder.log_param(param, fit.seed)
    warnings = fit_model(model, split.train, split.train_target)
    recorder.log_artifact(dump_model(model), MODEL)  # before it predicts: some models count their queries
    result = evaluate(model, split.test, split.test_target, metrics=fit.metrics)
    for key, value in result.metrics.items():
        recorder.log_metric(key, value)
    recorder.log_artifact(_predictions(prepared.rows(fit), fit, split, result), PREDICTIONS)
    recorder.log_artifact(prediction_error_plot(split.test_target, result), PREDICTION_ERROR)
    recorder.log_artifact(residual_plot(split.test_target, result), RESIDUALS)
    return split.features, warnings


@dataclass(frozen=True)
class _Split:
    features: list[str]
    train: "pd.DataFrame"
    test: "pd.DataFrame"
    train_target: "pd.Series[Any]"
    test_target: "pd.Series[Any]"


class _Prepared:
    """The rows of one table version, filtered and split once for all points that ask for the same."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._rows: dict[str | None, pd.DataFrame] = {}
        self._splits: dict[bytes, _Split] = {}

    def rows(self, fit: Fit) -> "pd.DataFrame":
        if fit.rows not in self._rows:
            kept = filter_rows(self._table, fit.rows) if fit.rows else self._table
            self._rows[fit.rows] = kept.to_pandas()
        return self._rows[fit.rows]

    def split(self, fit: Fit) -> _Split:
        key = encode(msgspec.structs.replace(fit, estimator=[], params={}))
        if key not in self._splits:
            frame = self.rows(fit)
            features = select_features(frame, fit.target, fit.features, fit.exclude)
            if frame[fit.target].isna().any():
                raise UsageError(
                    f"target '{fit.target}' is null in {int(frame[fit.target].isna().sum())} of {len(frame)} rows",
                    hint=f'leave them out: --rows "{fit.target} is not null", or rows = "…" in lineage.toml',
                )
            parts = split_rows(frame[features], frame[fit.target], fit.test_size, fit.seed)
            self._splits[key] = _Split(features, *parts)
        return self._splits[key]


def _predictions(frame: "pd.DataFrame", fit: Fit, split: _Split, result: Evaluation) -> bytes:
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
