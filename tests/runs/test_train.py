"""The built-in trainer: every number is the one that pandas and scikit-learn give by hand on the same rows."""

import dataclasses
import hashlib
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from lin.config import ExperimentSetting, ModelSetting, Split
from lin.data.pins import pin_digest, pin_version
from lin.data.tables import open_table
from lin.errors import LinError, NotFoundError, OutsideError, UsageError
from lin.project import Project, create_project, open_project
from lin.records import Fit, SourceTree, decode
from lin.runs.add import add_table
from lin.runs.fit import importing_from
from lin.runs.golden import GOLDEN
from lin.runs.persist import PICKLED_MODEL, dump_model, load_model
from lin.runs.query import RunInfo
from lin.runs.train import MODEL, PREDICTIONS, Progress, name_fit, plan_fits, run_sweep
from lin.runs.trust import Trust

EveryRun = Callable[..., list[RunInfo]]
RIDGE, LASSO, LOGISTIC = (f"sklearn.linear_model.{name}" for name in ("Ridge", "Lasso", "LogisticRegression"))
ALPHAS = [1.0, 0.1, 0.01]
SEED = 567248
WITH_VALUE = "medv is not null"


class Sweep(NamedTuple):
    """A grid that was fitted once, and the same rows as pandas reads them."""

    project: Project
    runs: list[RunInfo]
    frame: pd.DataFrame
    told: list[Progress]


def git(folder: Path, *arguments: str) -> None:
    user = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *user, *arguments], cwd=folder, check=True, capture_output=True)


def make_project(root: Path, write_housing: Callable[..., Path]) -> tuple[Project, pd.DataFrame]:
    project = dataclasses.replace(create_project(root, name="boston")[0], actor="ann")
    path = write_housing(root / "housing.csv")
    add_table(project, "housing", path, key=["ID"])
    frame = pd.read_csv(path).dropna(subset=["medv"])
    frame["dear"] = frame["medv"] > frame["medv"].median()
    frame["grade"] = np.where(frame["medv"] > 25, "high", np.where(frame["medv"] > 18, "middle", "low"))
    frame.to_csv(root / "classes.csv", index=False)
    add_table(project, "classes", root / "classes.csv", key=["ID"])
    return dataclasses.replace(open_project(root), actor="ann"), frame


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, write_housing: Callable[..., Path]) -> Sweep:
    """Ridge and Lasso over a grid, trained once in a git work tree with a change that is not committed."""
    root = tmp_path_factory.mktemp("sweep")
    git(root, "init", "-q")
    (root / "features.py").write_text("VERSION = 1\n")
    git(root, "add", "features.py")
    git(root, "commit", "-qm", "first")
    (root / "features.py").write_text("VERSION = 2\n")
    project, frame = make_project(root, write_housing)
    table = open_table(project, "housing")
    told: list[Progress] = []
    models = [ModelSetting(estimator=path, params={"alpha": ALPHAS}) for path in (RIDGE, LASSO)]
    runs = run_sweep(project, table, plan_fits(setting(models), table), experiment="housing", report=told.append)
    return Sweep(project, runs, frame, told)


def setting(models: list[ModelSetting] | None = None, **changes: Any) -> ExperimentSetting:
    facts: dict[str, Any] = {
        "table": "housing",
        "target": "medv",
        "rows": WITH_VALUE,
        "split": Split(test_size=0.2, seed=SEED),
        "models": models or [ModelSetting(estimator=RIDGE, params={"alpha": 0.1})],
    }
    return ExperimentSetting(**facts | changes)


def train(project: Project, experiment: ExperimentSetting) -> list[RunInfo]:
    table = open_table(project, experiment.table or "")
    return run_sweep(project, table, plan_fits(experiment, table), experiment=None)


def by_hand(frame: pd.DataFrame, estimator: Any, features: list[str], target: str = "medv") -> tuple[Any, Any, Any]:
    """Split and fit as a notebook does; returns the model, the test rows and what it predicts for them."""
    from sklearn.model_selection import train_test_split

    train_rows, test_rows, train_target, _ = train_test_split(
        frame[features], frame[target], test_size=0.2, random_state=SEED
    )
    model = estimator.fit(train_rows, train_target)
    return model, frame.loc[test_rows.index], model.predict(test_rows)


def predictions(project: Project, run: RunInfo) -> pd.DataFrame:
    artifact = run.artifact(PREDICTIONS)
    assert artifact is not None
    return pq.read_table(io.BytesIO(project.store.blobs.read(artifact.sha256))).to_pandas()


def content(project: Project, run: RunInfo, path: str) -> bytes:
    artifact = run.artifact(path)
    assert artifact is not None
    return project.store.blobs.read(artifact.sha256)


# --- the numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(6))
def test_metrics_predictions_rows_and_model_are_those_by_hand(sweep: Sweep, number: int) -> None:
    from sklearn.linear_model import Lasso, Ridge
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    kind, alpha = (Ridge, Lasso)[number // 3], ALPHAS[number % 3]
    run = sweep.runs[number]
    model, test, predicted = by_hand(sweep.frame, kind(alpha=alpha), ["rm", "lstat", "noise"])
    assert run.features == ["rm", "lstat", "noise"]
    assert run.metrics == {
        "rmse": root_mean_squared_error(test["medv"], predicted),
        "mae": mean_absolute_error(test["medv"], predicted),
        "r2": r2_score(test["medv"], predicted),
    }
    found = predictions(sweep.project, run)
    assert list(found.columns) == ["ID", "measured", "predicted"]
    assert found["ID"].tolist() == test["ID"].tolist()
    assert found["measured"].tolist() == test["medv"].tolist()
    assert found["predicted"].to_numpy().tobytes() == predicted.tobytes()
    loaded = load_model(content(sweep.project, run, MODEL))
    assert (loaded.coef_.tobytes(), loaded.intercept_) == (model.coef_.tobytes(), model.intercept_)


def test_a_pickled_fit_differs_in_its_model_alone(housing: Project) -> None:
    plain, pickled = (train(housing, setting(pickle=each))[0] for each in (False, True))
    assert pickled.fit is not None
    assert pickled.fit.pickle
    assert [a.path for a in pickled.artifacts] == [
        GOLDEN,
        PICKLED_MODEL,
        "prediction_error.png",
        PREDICTIONS,
        "residuals.png",
    ]
    assert content(housing, pickled, PREDICTIONS) == content(housing, plain, PREDICTIONS)
    data = content(housing, pickled, PICKLED_MODEL)
    trust = Trust(files=frozenset({hashlib.sha256(data).hexdigest()}))
    loaded = [load_model(data, path=PICKLED_MODEL, trust=trust), load_model(content(housing, plain, MODEL))]
    assert loaded[0].coef_.tobytes() == loaded[1].coef_.tobytes()


def test_a_fit_leaves_a_model_its_predictions_golden_ones_and_two_pictures(sweep: Sweep) -> None:
    for run in sweep.runs:
        assert [a.path for a in run.artifacts] == [GOLDEN, MODEL, "prediction_error.png", PREDICTIONS, "residuals.png"]
        assert content(sweep.project, run, "residuals.png").startswith(b"\x89PNG")
        assert content(sweep.project, run, "prediction_error.png").startswith(b"\x89PNG")


def test_every_point_is_a_run_of_one_sweep(sweep: Sweep) -> None:
    assert [(run.name, run.params) for run in sweep.runs] == [
        (f"{path.rpartition('.')[2]} alpha={alpha}", {"estimator": path, "alpha": alpha} | seed(path))
        for path in (RIDGE, LASSO)
        for alpha in ALPHAS
    ]
    assert {(run.kind, run.status, run.experiment, run.actor) for run in sweep.runs} == {
        ("train", "finished", "housing", "ann")
    }
    assert len({run.sweep for run in sweep.runs}) == 1
    assert sweep.runs[0].sweep is not None
    assert len({run.id for run in sweep.runs}) == 6
    assert [(p.done, p.running, p.failed, p.total, p.run, p.notes) for p in sweep.told] == [
        (done, running, 0, 6, ended, [])
        for number, run in enumerate(sweep.runs)
        for done, running, ended in ((number, 1, None), (number + 1, 0, run))
    ]


def seed(path: str) -> dict[str, int]:
    return {"random_state": SEED} if path in {RIDGE, LASSO} else {}


def test_the_recorded_pin_is_that_of_the_version(sweep: Sweep) -> None:
    table = open_table(sweep.project, "housing")
    pin = pin_digest(pin_version(table, table.log.snapshot(0)))
    for run in sweep.runs:
        (read,) = run.table_inputs
        assert (read.table, read.version, read.rows, read.pin) == ("housing", 0, 60, pin)
        assert (sweep.project.store_root / read.location).resolve() == table.root.resolve()
        assert sweep.project.store.blobs.size(read.pin)


def test_the_record_holds_all_that_it_takes_to_fit_again(sweep: Sweep) -> None:
    assert sweep.runs[1].fit == Fit(
        estimator=[RIDGE],
        target="medv",
        params={"alpha": 0.1},
        exclude=["ID"],
        rows=WITH_VALUE,
        test_size=0.2,
        seed=SEED,
    )


def test_the_source_snapshot_holds_a_change_that_is_not_committed(sweep: Sweep) -> None:
    source = sweep.runs[0].source
    assert source is not None
    assert source.git is not None
    assert source.git.dirty
    blobs = sweep.project.store.blobs
    tree = decode(blobs.read(source.tree), SourceTree, where="tree")
    files = {file.path: blobs.read(file.sha256) for file in tree.files}
    assert files["features.py"] == b"VERSION = 2\n"
    assert sorted(files) == ["classes.csv", "features.py", "housing.csv", "lineage.toml"]


# --- features, rows, kinds of models ----------------------------------------------------------------------------------


def test_features_by_name_or_by_correlation(sweep: Sweep) -> None:
    from sklearn.linear_model import Ridge

    (named,) = train(sweep.project, setting(features=["noise", "rm"]))
    assert named.features == ["noise", "rm"]
    _, _, predicted = by_hand(sweep.frame, Ridge(alpha=0.1), ["noise", "rm"])
    assert predictions(sweep.project, named)["predicted"].tolist() == predicted.tolist()

    strong = sweep.frame[["rm", "lstat", "noise", "medv"]].corr()["medv"].drop("medv").abs()
    (correlated,) = train(sweep.project, setting(features={"min_abs_correlation": float(strong["rm"])}))
    assert correlated.features == strong[strong >= strong["rm"]].index.tolist()
    assert "noise" not in correlated.features


def test_the_row_filter_and_the_split_decide_which_rows_are_used(sweep: Sweep) -> None:
    from sklearn.linear_model import Ridge

    (run,) = train(sweep.project, setting(rows=f"{WITH_VALUE} and rm >= 5.5"))
    _, test, predicted = by_hand(sweep.frame[sweep.frame["rm"] >= 5.5], Ridge(alpha=0.1), ["rm", "lstat", "noise"])
    found = predictions(sweep.project, run)
    assert (found["ID"].tolist(), found["predicted"].tolist()) == (test["ID"].tolist(), predicted.tolist())
    (other,) = train(sweep.project, setting(split=Split(test_size=0.2, seed=1)))
    assert predictions(sweep.project, other)["ID"].tolist() != test["ID"].tolist()


def test_an_old_version_is_read_when_asked_for(sweep: Sweep, tmp_path: Path, write_housing: Any) -> None:
    from deltalake import write_deltalake

    project, _ = make_project(tmp_path, write_housing)
    table = open_table(project, "housing")
    newer = table.log.snapshot()
    rows = pq.read_table(table.root / newer.files[0].path)
    write_deltalake(table.root, rows.slice(0, 30), mode="overwrite")
    fits = plan_fits(setting(), table)
    (new,) = run_sweep(project, table, fits, experiment=None)
    (old,) = run_sweep(project, table, fits, experiment=None, version=0)
    assert [(r.version, r.rows) for r in (*new.table_inputs, *old.table_inputs)] == [(1, 30), (0, 60)]
    assert old.metrics == sweep.runs[1].metrics != new.metrics
    with pytest.raises(NotFoundError, match="no version 9"):
        run_sweep(project, table, fits, experiment=None, version=9)


@pytest.mark.parametrize("target", ["dear", "grade"])
def test_a_classifier_is_measured_as_by_hand(sweep: Sweep, target: str) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    models = [ModelSetting(estimator=LOGISTIC, params={"C": 0.5, "max_iter": 2000})]
    (run,) = train(sweep.project, setting(models, table="classes", target=target, features=["rm", "lstat"], rows=None))
    assert run.status == "finished", run.error
    estimator = LogisticRegression(C=0.5, max_iter=2000, random_state=SEED)
    model, test, predicted = by_hand(sweep.frame, estimator, ["rm", "lstat"], target)
    likely = model.predict_proba(test[["rm", "lstat"]])
    average: dict[str, Any] = {"pos_label": True} if target == "dear" else {"average": "macro"}
    assert run.metrics == {
        "accuracy": accuracy_score(test[target], predicted),
        "f1": f1_score(test[target], predicted, zero_division=0.0, **average),
        "log_loss": log_loss(test[target], likely, labels=model.classes_),
    }
    found = predictions(sweep.project, run)
    assert found["measured"].tolist() == test[target].tolist()
    assert found["predicted"].tolist() == predicted.tolist()
    for position, label in enumerate(model.classes_):
        assert (
            found[f"probability of {label}"].to_numpy().tobytes() == np.ascontiguousarray(likely[:, position]).tobytes()
        )


def test_two_import_paths_are_a_pipeline(sweep: Sweep) -> None:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    paths = ["sklearn.preprocessing.StandardScaler", RIDGE]
    (run,) = train(sweep.project, setting([ModelSetting(estimator=paths, params={"alpha": 2.0})]))
    _, _, predicted = by_hand(
        sweep.frame, make_pipeline(StandardScaler(), Ridge(alpha=2.0, random_state=SEED)), ["rm", "lstat", "noise"]
    )
    assert predictions(sweep.project, run)["predicted"].tolist() == predicted.tolist()
    assert run.name == "StandardScaler + Ridge alpha=2.0"
    assert run.params == {"estimator": paths, "alpha": 2.0, "ridge__random_state": SEED}


def test_estimators_without_a_random_state_get_the_seed_and_it_is_recorded(sweep: Sweep) -> None:
    forest = ModelSetting(estimator="sklearn.ensemble.RandomForestRegressor", params={"n_estimators": 5})
    first, second = (train(sweep.project, setting([forest]))[0] for _ in range(2))
    assert first.params["random_state"] == SEED
    assert first.metrics == second.metrics
    assert first.artifact(MODEL) == second.artifact(MODEL)
    own = ModelSetting(estimator=forest.estimator, params={"n_estimators": 5, "random_state": 3})
    assert train(sweep.project, setting([own]))[0].params["random_state"] == 3


def test_the_model_is_kept_as_fitted_before_it_predicted(sweep: Sweep) -> None:
    from sklearn.neighbors import KNeighborsRegressor

    neighbours = ModelSetting(estimator="sklearn.neighbors.KNeighborsRegressor", params={"algorithm": "kd_tree"})
    (run,) = train(sweep.project, setting([neighbours]))
    from sklearn.model_selection import train_test_split

    rows, _, target, _ = train_test_split(
        sweep.frame[["rm", "lstat", "noise"]], sweep.frame["medv"], test_size=0.2, random_state=SEED
    )
    assert content(sweep.project, run, MODEL) == dump_model(KNeighborsRegressor(algorithm="kd_tree").fit(rows, target))


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_point_that_fails_is_a_failed_run_and_the_others_go_on(sweep: Sweep) -> None:
    told: list[Progress] = []
    table = open_table(sweep.project, "housing")
    models = [ModelSetting(estimator=RIDGE, params={"alpha": [1.0, -1.0, "much", 0.1]})]
    runs = run_sweep(sweep.project, table, plan_fits(setting(models), table), experiment=None, report=told.append)
    assert [run.status for run in runs] == ["finished", "failed", "failed", "finished"]
    for failed, progress in zip(runs[1:3], told[3:6:2], strict=True):
        assert "alpha" in (failed.error or "")
        assert (failed.metrics, failed.artifacts, failed.features) == ({}, [], [])
        assert len(progress.notes) == 1
        assert progress.notes[0].startswith(f"{failed.error} (hint: ")
    assert runs[0].metrics == sweep.runs[0].metrics
    assert runs[3].metrics == sweep.runs[1].metrics


def test_data_that_the_estimator_refuses_fails_the_fit(sweep: Sweep) -> None:
    (run,) = train(sweep.project, setting(table="classes", target="medv", rows=None))
    assert run.status == "failed"
    assert "could not convert string to float" in (run.error or "")


def test_warnings_of_a_fit_are_told_with_its_progress(sweep: Sweep) -> None:
    told: list[Progress] = []
    table = open_table(sweep.project, "housing")
    models = [ModelSetting(estimator=LASSO, params={"alpha": 1e-9, "max_iter": 1})]
    run_sweep(sweep.project, table, plan_fits(setting(models), table), experiment=None, report=told.append)
    assert [warning.partition(":")[0] for warning in told[1].notes] == ["ConvergenceWarning"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "medw"}, "medw"),
        ({"features": ["rm", "lstad"]}, "lstad"),
        ({"features": ["medv"]}, "is the target"),
        ({"features": {"min_abs_correlation": 2.0}}, "no feature correlates with"),
        ({"rows": "medv is nott null"}, "cannot be used"),
        ({"rows": "price > 1"}, "price"),
        ({"rows": "medv > 1e9"}, "0 rows cannot be split"),
        ({"rows": None}, "target 'medv' is null in 20 of 60 rows"),
        ({"split": Split(test_size=2.0)}, "test_size 2.0"),
        ({"metrics": ["rmsee"]}, "there is no metric 'rmsee'"),
        ({"models": [ModelSetting(estimator="sklearn.linear_model.Rigde", params={"alpha": [1, 2]})]}, "Rigde"),
        ({"models": [ModelSetting(estimator=RIDGE, params={"alhpa": [1, 2]})]}, "alhpa"),
        ({"models": [ModelSetting(estimator=RIDGE, params={"alpha": []})]}, "alpha"),
    ],
)
def test_nothing_is_recorded_when_the_settings_are_wrong(
    sweep: Sweep, every_run: EveryRun, changes: dict[str, Any], message: str
) -> None:
    before = every_run(sweep.project)
    with pytest.raises(UsageError, match=message):
        train(sweep.project, setting(**changes))
    assert every_run(sweep.project) == before


def test_the_nearest_name_is_offered(sweep: Sweep) -> None:
    for changes, hint in (
        ({"target": "medw"}, "medv"),
        ({"metrics": ["rmsee"]}, "rmse"),
        ({"models": [ModelSetting(estimator="sklearn.linear_model.Rigde")]}, "sklearn.linear_model.Ridge"),
    ):
        with pytest.raises(LinError) as caught:
            train(sweep.project, setting(**changes))
        assert f"'{hint}'" in (caught.value.hint or "")


def test_no_table_no_runs(tmp_path: Path, write_housing: Any, every_run: EveryRun) -> None:
    project, _ = make_project(tmp_path, write_housing)
    before = every_run(project)
    table = open_table(project, "housing")
    (table.root / table.log.snapshot().files[0].path).unlink()
    with pytest.raises(OutsideError, match="is missing"):
        train(project, setting())
    assert every_run(project) == before


def test_one_point_has_no_sweep_and_a_name_without_parameters_is_short(sweep: Sweep) -> None:
    (run,) = train(sweep.project, setting([ModelSetting(estimator=RIDGE)]))
    assert (run.sweep, run.name, run.experiment) == (None, "Ridge", None)
    assert name_fit(Fit(estimator=["a.B", "c.D"], target="y", params={"x": 1, "y": None})) == "B + D x=1 y=None"


def test_overrides_replace_the_values_of_every_model(sweep: Sweep) -> None:
    table = open_table(sweep.project, "housing")
    models = [ModelSetting(estimator=RIDGE, params={"alpha": ALPHAS}), ModelSetting(estimator=LASSO)]
    fits = plan_fits(setting(models), table, {"alpha": [5.0, 6.0]})
    assert [(f.estimator, f.params) for f in fits] == [
        ([path], {"alpha": alpha}) for path in (RIDGE, LASSO) for alpha in (5.0, 6.0)
    ]
    with pytest.raises(UsageError, match="no target"):
        plan_fits(setting(target=None), table)


def test_only_the_metrics_asked_for_are_measured(sweep: Sweep) -> None:
    (run,) = train(sweep.project, setting(metrics=["r2"]))
    assert run.metrics == {"r2": sweep.runs[1].metrics["r2"]}
    (wrong,) = train(sweep.project, setting(metrics=["accuracy"]))
    assert (wrong.status, wrong.error) == ("failed", "metric 'accuracy' is for classification")


# --- estimators of the project ----------------------------------------------------------------------------------------


def test_an_estimator_of_the_project_is_imported_from_its_folder(sweep: Sweep) -> None:
    import sys

    from sklearn.linear_model import Ridge

    source = "from sklearn.linear_model import Ridge\n\n\nclass Shifted(Ridge):\n    def predict(self, X):\n"
    (sweep.project.root / "train_models.py").write_text(source + "        return super().predict(X) + 1\n")
    path = list(sys.path)
    (run,) = train(sweep.project, setting([ModelSetting(estimator="train_models.Shifted", params={"alpha": 0.1})]))
    assert sys.path == path
    _, _, predicted = by_hand(sweep.frame, Ridge(alpha=0.1), ["rm", "lstat", "noise"])
    assert predictions(sweep.project, run)["predicted"].tolist() == (predicted + 1).tolist()
    assert run.source is not None
    tree = json.loads(sweep.project.store.blobs.read(run.source.tree))
    assert "train_models.py" in [file["path"] for file in tree["files"]]


def test_the_projects_folder_can_be_imported_from_only_where_an_estimator_is_its_own(tmp_path: Path) -> None:
    import sys

    ridge = Fit(estimator=["sklearn.linear_model.Ridge"], target="y")
    own = Fit(estimator=["sklearn.preprocessing.StandardScaler", "own.Ridge"], target="y")
    for fits, is_there in (([ridge], False), ([own], True), ([ridge, own], True)):
        with importing_from(tmp_path, fits):
            assert (str(tmp_path) in sys.path) == is_there
        assert str(tmp_path) not in sys.path
