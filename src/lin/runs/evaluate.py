"""The steps around a fit, done exactly as by hand with pandas and scikit-learn: features, split, fit, metrics.

No number is computed here: each is the answer of one scikit-learn or pandas function with the arguments named below.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lin.errors import LinError, OutsideError, UsageError, nearest

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

REGRESSION_METRICS = ("rmse", "mae", "r2")
CLASSIFICATION_METRICS = ("accuracy", "f1", "log_loss")
LOWER_IS_BETTER = frozenset(("rmse", "mae", "log_loss"))

_FEW = 8
FOREIGN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What an estimator may raise, one of the user's own included: its fit has failed, and lin goes on with the next."""


@dataclass(frozen=True)
class Evaluation:
    """What a fitted estimator says of rows whose target is known.

    `probabilities` has a row for each of them and a column for each of `classes`; a regressor has neither.
    """

    predictions: "np.ndarray[Any, Any]"
    probabilities: "np.ndarray[Any, Any] | None" = None
    classes: list[Any] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)


# --- before the fit ---------------------------------------------------------------------------------------------------


def select_features(
    frame: "pd.DataFrame",
    target: str,
    features: str | Sequence[str] | Mapping[str, float],
    exclude: Sequence[str] = (),
) -> list[str]:
    """The feature columns: `"all"` but the target and `exclude`, the ones named, or those that correlate.

    `{"min_abs_correlation": x}` takes the numeric and boolean columns whose Pearson correlation with the target over
    these rows (`DataFrame.corr`) is x or more in size.

    Raises:
        UsageError: a column or setting does not exist (the nearest is named), or no column is left.
    """
    _require_column(frame, target, "the target")
    rest = [column for column in frame.columns if column != target and column not in exclude]
    if features == "all":
        chosen = rest
    elif isinstance(features, Mapping):
        chosen = _correlated(frame, target, rest, features)
    elif isinstance(features, str):
        raise UsageError(f"features cannot be '{features}'", hint='"all", a list of columns, or min_abs_correlation')
    else:
        chosen = _named(frame, target, features)
    if not chosen:
        raise UsageError(f"there is no feature: the table has only '{target}' and its key")
    return chosen


def _named(frame: "pd.DataFrame", target: str, features: Sequence[str]) -> list[str]:
    for position, column in enumerate(features):
        _require_column(frame, column, "a feature")
        if column == target:
            raise UsageError(f"'{column}' is the target, so it cannot be a feature", hint="leave it out of features")
        if column in features[:position]:
            raise UsageError(f"feature '{column}' is named twice", hint="name it once")
    return list(features)


def _correlated(frame: "pd.DataFrame", target: str, columns: Sequence[str], setting: Mapping[str, float]) -> list[str]:
    from pandas.api.types import is_numeric_dtype

    for key in setting:
        if key != "min_abs_correlation":
            known = ["min_abs_correlation"]
            raise UsageError(
                f"features has no setting '{key}'", hint=nearest(key, known, instead=f"it has: {known[0]}")
            )
    if not is_numeric_dtype(frame[target]):
        raise UsageError(
            f"features cannot be chosen by correlation: target '{target}' is not a number", hint='features = "all"'
        )
    numbers = [column for column in columns if is_numeric_dtype(frame[column])]
    size = frame[[*numbers, target]].corr()[target].abs()
    chosen = [column for column in numbers if size[column] >= setting["min_abs_correlation"]]
    if not chosen:
        best = size.drop(target).dropna()
        largest = f"; the largest is {best.max():.3g} of '{best.idxmax()}'" if len(best) else ""
        raise UsageError(
            f"no feature correlates with '{target}' by {setting['min_abs_correlation']} or more{largest}",
            hint="lower min_abs_correlation, or name the features",
        )
    return chosen


def _require_column(frame: "pd.DataFrame", column: str, what: str) -> None:
    if column not in frame.columns:
        known = [str(name) for name in frame.columns]
        raise UsageError(
            f"{what} '{column}' is not a column of the table",
            hint=nearest(column, known, instead=f"it has: {_listed(known)}"),
        )


def split_rows(
    features: "pd.DataFrame", target: "pd.Series[Any]", test_size: float, seed: int
) -> "tuple[pd.DataFrame, pd.DataFrame, pd.Series[Any], pd.Series[Any]]":
    """`train_test_split(features, target, test_size=test_size, random_state=seed)`: train, test, and their targets.

    Raises:
        UsageError: too few rows for that, or `test_size` is not between 0 and 1.
    """
    from sklearn.model_selection import train_test_split

    try:
        train, test, train_target, test_target = train_test_split(
            features, target, test_size=test_size, random_state=seed
        )
    except ValueError as error:
        raise UsageError(
            f"{len(features)} rows cannot be split with test_size {test_size}: {_first_line(error)}",
            hint="use more rows, or a test_size between 0 and 1 that leaves rows on both sides",
        ) from error
    return train, test, train_target, test_target


# --- the fit ----------------------------------------------------------------------------------------------------------


def fit_model(estimator: Any, features: "pd.DataFrame", target: "pd.Series[Any]") -> list[str]:
    """Call `estimator.fit(features, target)`. Returns what it warned of, each once, as `Category: first line`.

    Raises:
        UsageError: a parameter has a value that the estimator does not take.
        OutsideError: it refuses the data; the hint names the columns.
    """
    from sklearn.utils._param_validation import InvalidParameterError

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator.fit(features, target)
        except InvalidParameterError as error:
            raise UsageError(_first_line(error), hint="change that parameter") from error
        except FOREIGN as error:
            raise _refused(estimator, features, error) from error
    return list(dict.fromkeys(f"{w.category.__name__}: {_first_line(w.message)}" for w in caught))


def _refused(estimator: Any, features: "pd.DataFrame", error: BaseException) -> LinError:
    return OutsideError(
        f"{type(estimator).__name__} refuses the data: {_first_line(error)}", hint=_hint(features, str(error))
    )


def _hint(features: "pd.DataFrame", message: str) -> str | None:
    from pandas.api.types import is_numeric_dtype

    nulls = [str(column) for column in features if features[column].isna().any()]
    text = [str(column) for column in features if not is_numeric_dtype(features[column])]
    if "Unknown label type" in message:
        return "a classifier needs classes as its target: take a regressor for numbers"
    if text and "NaN" not in message:
        return f"not numbers: {_listed(text)}; leave them out of features, or put an encoder in front"
    if nulls:
        return f"nulls in: {_listed(nulls)}; filter those rows, or put sklearn.impute.SimpleImputer in front"
    return None


# --- after the fit ----------------------------------------------------------------------------------------------------


def is_classification(estimator: Any) -> bool:
    """Whether the estimator predicts classes. One that says nothing of itself is taken for a regressor.

    Raises:
        UsageError: it is made for something else, such as clustering.
    """
    if hasattr(estimator, "__sklearn_tags__"):
        from sklearn.utils import get_tags

        kind = get_tags(estimator).estimator_type
    else:  # scikit-learn 1.5, and estimators that only look like its own
        kind = getattr(estimator, "_estimator_type", None)
    if kind not in {"classifier", "regressor", None}:
        raise UsageError(
            f"{type(estimator).__name__} is a {kind.replace('_', ' ')}: it does not learn a target",
            hint="take a regressor or a classifier",
        )
    return bool(kind == "classifier")


def evaluate(
    estimator: Any, features: "pd.DataFrame", target: "pd.Series[Any]", *, metrics: Sequence[str] = ()
) -> Evaluation:
    """Predict `features` with a fitted estimator and measure against `target`.

    Regression: `rmse`, `mae`, `r2`. Classification: `accuracy`; `f1`, of the second class where there are two, else
    the mean over the classes; `log_loss`, where there are probabilities and every label was seen in training.
    No `metrics` means all of its kind.

    Raises:
        UsageError: a metric does not exist or is not of this kind. OutsideError: it refuses the data.
    """
    kind = is_classification(estimator)
    chosen = _check_metrics(metrics, CLASSIFICATION_METRICS if kind else REGRESSION_METRICS)
    try:
        predictions = estimator.predict(features)
        probabilities = estimator.predict_proba(features) if kind and hasattr(estimator, "predict_proba") else None
    except FOREIGN as error:
        raise _refused(estimator, features, error) from error
    if not kind:
        return Evaluation(predictions, metrics=_measure(_regression(target, predictions), chosen))
    classes = _classes(estimator, target)
    measures = _classification(target, predictions, probabilities, classes)
    missing = [name for name in metrics if name not in measures]
    if missing:
        raise _no_log_loss(estimator, probabilities is None)
    return Evaluation(predictions, probabilities, classes, _measure(measures, chosen))


def _check_metrics(metrics: Sequence[str], of_kind: Sequence[str]) -> Sequence[str]:
    every = [*REGRESSION_METRICS, *CLASSIFICATION_METRICS]
    for name in metrics:
        if name in of_kind:
            continue
        if name in every:
            what = "regression" if name in REGRESSION_METRICS else "classification"
            raise UsageError(f"metric '{name}' is for {what}", hint=f"here: {', '.join(of_kind)}")
        raise UsageError(
            f"there is no metric '{name}'", hint=nearest(name, list(of_kind), instead=f"here: {', '.join(of_kind)}")
        )
    return metrics or of_kind


def _regression(target: Any, predictions: Any) -> dict[str, Callable[[], float]]:
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    return {
        "rmse": lambda: root_mean_squared_error(target, predictions),
        "mae": lambda: mean_absolute_error(target, predictions),
        "r2": lambda: r2_score(target, predictions),
    }


def _classification(
    target: Any, predictions: Any, probabilities: Any, classes: list[Any]
) -> dict[str, Callable[[], float]]:
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    unseen = set(target) - set(classes)
    binary = len(classes) == 2 and not unseen  # noqa: PLR2004
    averaged = {"average": "binary", "pos_label": classes[1]} if binary else {"average": "macro"}
    measures: dict[str, Callable[[], float]] = {
        "accuracy": lambda: accuracy_score(target, predictions),
        # 0 is what scikit-learn takes for a ratio without cases, and warns of
        "f1": lambda: f1_score(target, predictions, zero_division=0.0, **averaged),
    }
    if probabilities is not None and not unseen and len(classes) > 1:
        measures["log_loss"] = lambda: log_loss(target, probabilities, labels=classes)
    return measures


def _measure(measures: Mapping[str, Callable[[], float]], chosen: Sequence[str]) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an undefined metric is NaN, which the record keeps
        return {name: float(measures[name]()) for name in chosen if name in measures}


def _classes(estimator: Any, target: "pd.Series[Any]") -> list[Any]:
    import numpy as np

    known = getattr(estimator, "classes_", None)
    return list(np.unique(np.asarray(target)) if known is None else known)


def _no_log_loss(estimator: Any, without_probabilities: bool) -> UsageError:
    if without_probabilities:
        why, hint = f"{type(estimator).__name__} gives no probabilities", "leave it out of metrics"
    else:
        why, hint = "the test rows have a label that no training row has", "take another split seed, or more rows"
    return UsageError(f"metric 'log_loss' cannot be measured: {why}", hint=hint)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
