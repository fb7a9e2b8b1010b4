"""The built-in trainer: fits each point of a grid on one pinned table version, every fit a recorded run.

Settings that are wrong are refused before anything is recorded; a fit that goes wrong later is a failed run. The
recorded `Fit` and pin suffice to do a fit again.
"""

from collections.abc import Callable, Mapping, Sequence

from lin.config import ExperimentSetting, ModelSetting
from lin.data.read import read_pin
from lin.data.tables import Table
from lin.errors import UsageError, nearest
from lin.project import Project
from lin.records import Fit, Param, Pin, TableRef
from lin.runs.estimators import build_estimator, expand_grid
from lin.runs.evaluate import CLASSIFICATION_METRICS, REGRESSION_METRICS
from lin.runs.feedback import look_back
from lin.runs.fit import MODEL, PREDICTIONS, FitWork, Rows, importing_from, name_fit
from lin.runs.query import RunInfo
from lin.runs.record import capture
from lin.runs.resume import tell_changes
from lin.runs.sweep import Progress, Sweep, new_sweep, run_points
from lin.runs.writes import pin_input

__all__ = ["MODEL", "PREDICTIONS", "name_fit", "plan_fits", "run_fits", "run_sweep"]


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
        pickle=experiment.pickle,
    )


def run_sweep(
    project: Project,
    table: Table,
    fits: Sequence[Fit],
    *,
    experiment: str | None,
    version: int | None = None,
    jobs: int = 1,
    report: Callable[[Progress], None] = lambda _: None,
) -> list[RunInfo]:
    """Do every fit on one version of `table` (default: the newest), `jobs` at a time. One that fails is a failed run.

    Each of several jobs is a process of its own with as many threads as one job has, so that the results are the
    same bit for bit; it reads the rows once. Estimators are imported from the project's folder too, as a program in
    that folder would.

    Raises:
        UsageError: a row filter, feature, target or metric is wrong, or no estimator can be made at all; then nothing
            was recorded. OutsideError: the table cannot be read.
    """
    pin, reference = pin_input(project, table, version)
    return run_fits(project, table, pin, reference, fits, experiment=experiment, jobs=jobs, report=report)


def run_fits(
    project: Project,
    table: Table,
    pin: Pin,
    reference: TableRef,
    fits: Sequence[Fit],
    *,
    experiment: str | None,
    sweep: Sweep | None = None,
    golden_rows: bytes | None = None,
    jobs: int = 1,
    report: Callable[[Progress], None] = lambda _: None,
) -> list[RunInfo]:
    """As `run_sweep`, on a pin. What models wrote of it is told before the first fit, and recorded with each.

    A `sweep` that was begun before is finished: only its pending fits are done. `golden_rows` is a golden file with
    the rows that each model is asked to predict, instead of a sample of the table.
    """
    import sklearn.base  # noqa: F401  first, so that the captured environment holds the BLAS that the fits use

    rows = Rows(read_pin(table, pin), golden=golden_rows)
    for fit in fits:
        rows.split(fit)  # whatever the settings get wrong shows before anything is recorded
        _check_metrics(fit)
    with importing_from(project.root, fits):
        _require_one(fits)
    captured = capture(project)
    sweep = sweep or new_sweep(len(fits))
    tell_changes(project.store, sweep, captured, report)
    looked = look_back(project, [reference])
    told = looked.warnings(fit=fits[0], features=rows.split(fits[0]).features)
    if told:
        report(sweep.progress([f"warning: {text}" for text in told]))
    work = FitWork(table, pin, reference, captured, experiment, sweep.id, golden_rows=golden_rows, looked=looked)
    return run_points(
        project, sweep, fits, work, here=lambda fit: work.do(project, rows, fit), jobs=jobs, report=report
    )


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
