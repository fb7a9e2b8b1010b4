"""Features, split, fit and metrics: the numbers are those that scikit-learn and pandas give by hand."""

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    log_loss,
    mean_absolute_error,
    r2_score,
    root_mean_squared_error,
)
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from lin.errors import OutsideError, UsageError
from lin.runs.evaluate import evaluate, fit_model, is_classification, select_features, split_rows


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.RandomState(0)
    a = rng.rand(80)
    return pd.DataFrame(
        {
            "ID": np.arange(80),
            "a": a,
            "b": rng.rand(80),
            "flag": a > 0.5,
            "word": rng.choice(["x", "y"], 80),
            "same": 1.0,
            "y": 3 * a + 0.1 * rng.rand(80),
        }
    )


# --- features ---------------------------------------------------------------------------------------------------------


def test_all_is_every_column_but_target_and_key(frame: pd.DataFrame) -> None:
    assert select_features(frame, "y", "all", ["ID"]) == ["a", "b", "flag", "word", "same"]
    with pytest.raises(UsageError, match="no feature"):
        select_features(frame[["ID", "y"]], "y", "all", ["ID"])


def test_a_list_is_taken_as_given(frame: pd.DataFrame) -> None:
    assert select_features(frame, "y", ["b", "a"], ["ID"]) == ["b", "a"]
    assert select_features(frame, "y", ["ID"], ["ID"]) == ["ID"]


@pytest.mark.parametrize(
    ("features", "message", "hint"),
    [
        (["aa"], "feature 'aa' is not a column", "did you mean 'a'?"),
        (["y"], "is the target", "leave it out"),
        (["a", "a"], "named twice", "once"),
        ([], "there is no feature", ""),
        ({"min_correlation": 0.4}, "no setting 'min_correlation'", "did you mean 'min_abs_correlation'?"),
        ({"min_abs_correlation": 1.5}, "the largest is 0.99.* of 'a'", "lower"),
        ("some", "cannot be 'some'", "all"),
    ],
)
def test_wrong_features_are_named(frame: pd.DataFrame, features: Any, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        select_features(frame, "y", features, ["ID"])
    assert hint in (caught.value.hint or "")


def test_correlation_is_that_of_pandas(frame: pd.DataFrame) -> None:
    by_hand = frame[["a", "b", "flag", "same", "y"]].corr()["y"].abs()
    for limit in (0.0, 0.05, 0.5, float(by_hand["flag"])):
        chosen = select_features(frame, "y", {"min_abs_correlation": limit}, ["ID"])
        assert chosen == [name for name in ("a", "b", "flag", "same") if by_hand[name] >= limit]
    assert select_features(frame, "y", {"min_abs_correlation": 0.5}, ["ID"]) == ["a", "flag"]
    with pytest.raises(UsageError, match="'word' is not a number"):
        select_features(frame, "word", {"min_abs_correlation": 0.5})


def test_an_unknown_target_names_the_nearest(frame: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="target 'flags'") as caught:
        select_features(frame, "flags", "all")
    assert caught.value.hint == "did you mean 'flag'?"


# --- split ------------------------------------------------------------------------------------------------------------


def test_the_split_is_that_of_scikit_learn(frame: pd.DataFrame) -> None:
    mine = split_rows(frame[["a", "b"]], frame["y"], 0.2, 567248)
    by_hand = train_test_split(frame[["a", "b"]], frame["y"], test_size=0.2, random_state=567248)
    for part, expected in zip(mine, by_hand, strict=True):
        assert part.equals(expected)


@pytest.mark.parametrize(("rows", "test_size"), [(0, 0.2), (1, 0.2), (80, 0.0), (80, 1.0), (80, -1.0), (80, math.nan)])
def test_too_few_rows_are_refused(frame: pd.DataFrame, rows: int, test_size: float) -> None:
    with pytest.raises(UsageError, match=f"{rows} rows cannot be split"):
        split_rows(frame[["a"]][:rows], frame["y"][:rows], test_size, 0)


# --- fit --------------------------------------------------------------------------------------------------------------


def test_warnings_come_back_as_text(frame: pd.DataFrame) -> None:
    with warnings.catch_warnings(record=True) as leaked:
        said = fit_model(MLPRegressor(max_iter=2, random_state=0), frame[["a", "b"]], frame["y"])
    assert [line.partition(":")[0] for line in said] == ["ConvergenceWarning"]
    assert leaked == []
    assert fit_model(Ridge(), frame[["a"]], frame["y"]) == []


def test_nulls_are_named(frame: pd.DataFrame) -> None:
    holed = frame[["a", "b"]].mask(frame["b"] > 0.9)
    holed["a"] = frame["a"]
    with pytest.raises(OutsideError, match="Ridge refuses the data: Input X contains NaN") as caught:
        fit_model(Ridge(), holed, frame["y"])
    assert (caught.value.hint or "").startswith("nulls in: b;")


def test_text_is_named(frame: pd.DataFrame) -> None:
    with pytest.raises(OutsideError, match="could not convert string to float") as caught:
        fit_model(Ridge(), frame[["a", "word"]], frame["y"])
    assert (caught.value.hint or "").startswith("not numbers: word;")


def test_a_wrong_value_of_a_parameter_is_the_users(frame: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="'alpha' parameter of Ridge"):
        fit_model(Ridge(alpha=-1), frame[["a"]], frame["y"])


def test_a_classifier_on_numbers_says_what_to_take(frame: pd.DataFrame) -> None:
    with pytest.raises(OutsideError, match="Unknown label type") as caught:
        fit_model(LogisticRegression(), frame[["a"]], frame["y"])
    assert "regressor" in (caught.value.hint or "")


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_which_kind_an_estimator_is() -> None:
    assert is_classification(LogisticRegression())
    assert is_classification(make_pipeline(StandardScaler(), SVC()))
    assert is_classification(GridSearchCV(LogisticRegression(), {}))
    assert not is_classification(Ridge())
    assert not is_classification(make_pipeline(SelectKBest(), Lasso()))
    with pytest.raises(UsageError, match="KMeans is a clusterer"):
        is_classification(KMeans())


def test_regression_metrics_are_scikit_learns(frame: pd.DataFrame) -> None:
    train, test, y_train, y_test = split_rows(frame[["a", "b"]], frame["y"], 0.25, 3)
    model = LinearRegression().fit(train, y_train)
    result = evaluate(model, test, y_test)
    predicted = model.predict(test)
    assert result.predictions.tobytes() == predicted.tobytes()
    assert (result.probabilities, result.classes) == (None, [])
    assert result.metrics == {
        "rmse": root_mean_squared_error(y_test, predicted),
        "mae": mean_absolute_error(y_test, predicted),
        "r2": r2_score(y_test, predicted),
    }
    assert list(evaluate(model, test, y_test, metrics=["r2", "rmse"]).metrics) == ["r2", "rmse"]


@pytest.mark.parametrize("labels", [["no", "yes"], [0, 1], [False, True]])
def test_two_classes(frame: pd.DataFrame, labels: list[Any]) -> None:
    target = pd.Series(labels)[(frame["y"] > 1.5).astype(int)].reset_index(drop=True)
    train, test, y_train, y_test = split_rows(frame[["a", "b"]], target, 0.25, 3)
    model = LogisticRegression().fit(train, y_train)
    result = evaluate(model, test, y_test)
    assert result.probabilities is not None
    assert result.classes == labels
    assert result.metrics == {
        "accuracy": accuracy_score(y_test, model.predict(test)),
        "f1": f1_score(y_test, model.predict(test), pos_label=labels[1]),
        "log_loss": log_loss(y_test, model.predict_proba(test), labels=model.classes_),
    }


def test_three_classes_and_no_probabilities(frame: pd.DataFrame) -> None:
    target = pd.Series(np.digitize(frame["y"], [1, 2]))
    model = LinearSVC().fit(frame[["a", "b"]], target)
    result = evaluate(model, frame[["a", "b"]], target)
    predicted = model.predict(frame[["a", "b"]])
    assert result.probabilities is None
    assert result.metrics == {
        "accuracy": accuracy_score(target, predicted),
        "f1": f1_score(target, predicted, average="macro"),
    }
    with pytest.raises(UsageError, match="LinearSVC gives no probabilities"):
        evaluate(model, frame[["a", "b"]], target, metrics=["log_loss"])


def test_a_label_that_training_never_saw(frame: pd.DataFrame) -> None:
    model = RandomForestClassifier(5, random_state=0).fit(frame[["a"]], ["x", "y"] * 40)
    target = pd.Series(["x", "y", "z", "x"])
    result = evaluate(model, frame[["a"]][:4], target)
    assert set(result.metrics) == {"accuracy", "f1"}
    with pytest.raises(UsageError, match="a label that no training row has"):
        evaluate(model, frame[["a"]][:4], target, metrics=["log_loss"])


def test_an_undefined_metric_is_nan_without_a_warning(frame: pd.DataFrame) -> None:
    model = Ridge().fit(frame[["a"]], frame["y"])
    assert math.isnan(evaluate(model, frame[["a"]][:1], frame["y"][:1]).metrics["r2"])
    one = LogisticRegression().fit(frame[["a"]], frame["flag"])
    assert evaluate(one, frame[["a"]][:1] * 0, frame["flag"][:1] & False).metrics["f1"] == 0.0


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [("rsme", "no metric 'rsme'", "did you mean 'rmse'?"), ("f1", "'f1' is for classification", "rmse, mae, r2")],
)
def test_a_wrong_metric_is_named(frame: pd.DataFrame, name: str, message: str, hint: str) -> None:
    model = Ridge().fit(frame[["a"]], frame["y"])
    with pytest.raises(UsageError, match=message) as caught:
        evaluate(model, frame[["a"]], frame["y"], metrics=["r2", name])
    assert hint in (caught.value.hint or "")


def test_nulls_in_the_rows_to_predict_are_named(frame: pd.DataFrame) -> None:
    model = Ridge().fit(frame[["a"]], frame["y"])
    with pytest.raises(OutsideError, match="NaN") as caught:
        evaluate(model, frame[["a"]].mask(frame["a"] > 0.9), frame["y"])
    assert "nulls in: a" in (caught.value.hint or "")


@pytest.mark.parametrize("error", [RuntimeError("no luck"), KeyError("no luck"), AttributeError("no luck")])
def test_whatever_an_estimator_raises_is_a_failed_fit(error: Exception) -> None:
    from sklearn.linear_model import Ridge

    class Unlucky(Ridge):
        def fit(self, *_: object) -> "Unlucky":
            raise error

    frame = pd.DataFrame({"a": [1.0, 2.0]})
    with pytest.raises(OutsideError, match="no luck"):
        fit_model(Unlucky(), frame, frame["a"])
