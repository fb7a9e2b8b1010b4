"""From a declaration, an ad hoc request or a program to runs."""

import dataclasses
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lin.errors import NotFoundError, UsageError
from lin.project import Project, create_project, open_project
from lin.records import WORK
from lin.runs.add import add_table
from lin.runs.experiment import run_experiment, run_program, train_table
from lin.runs.query import RunInfo

EveryRun = Callable[..., list[RunInfo]]

DECLARED = """
[experiments.housing]
table = "housing"
target = "medv"
rows = "medv is not null"
split = { test_size = 0.2, seed = 7 }
features = ["rm", "lstat"]
metrics = ["rmse"]

[[experiments.housing.models]]
estimator = "sklearn.linear_model.Ridge"
params = { alpha = [1.0, 0.1] }

[[experiments.housing.models]]
estimator = ["sklearn.preprocessing.StandardScaler", "sklearn.linear_model.Lasso"]

[experiments.program]
command = "python show.py --alpha {alpha} {what}"
params = { alpha = [0.5, 2], what = "a b; echo c" }

[experiments.braces]
command = "echo {{kept}} {alpha}"

[experiments.empty]
command = "  "
"""
SHOW = "import sys; print(sys.argv[1:]); sys.exit(int(float(sys.argv[2])))"


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory, write_housing: Callable[..., Path]) -> Project:
    root = tmp_path_factory.mktemp("declared")
    project, _ = create_project(root, name="boston")
    add_table(project, "housing", write_housing(root / "housing.csv"), key=["ID"])
    (root / "show.py").write_text(SHOW)
    with (root / "lineage.toml").open("a") as file:
        file.write(DECLARED.replace("python show.py", f"{sys.executable} show.py"))
    return dataclasses.replace(open_project(root), actor="ann")


def ask(project: Project, name: str, *params: str, **options: Any) -> list[RunInfo]:
    return run_experiment(project, name, params, report=lambda _: None, **options)


def test_a_declared_experiment_is_done_as_declared(declared: Project) -> None:
    runs = ask(declared, "housing")
    assert [run.name for run in runs] == ["Ridge alpha=1.0", "Ridge alpha=0.1", "StandardScaler + Lasso"]
    assert {(run.status, run.experiment, tuple(run.features)) for run in runs} == {
        ("finished", "housing", ("rm", "lstat"))
    }
    assert [list(run.metrics) for run in runs] == [["rmse"]] * 3
    fits = [run.fit for run in runs if run.fit]
    assert {(fit.seed, fit.rows) for fit in fits} == {(7, "medv is not null")}
    assert len({run.sweep for run in runs}) == 1


def test_other_values_and_another_version_can_be_given(declared: Project) -> None:
    runs = ask(declared, "housing", "alpha=3,4", version=0)
    assert [run.params["alpha"] for run in runs if "alpha" in run.params] == [3, 4, 3, 4]
    assert {run.table_inputs[0].version for run in runs} == {0}
    with pytest.raises(NotFoundError, match="no version 5"):
        ask(declared, "housing", version=5)


def test_what_is_not_declared_is_not_found(declared: Project) -> None:
    with pytest.raises(NotFoundError, match="no experiment 'housin'") as caught:
        ask(declared, "housin")
    assert caught.value.hint == "did you mean 'housing'?"
    with pytest.raises(UsageError, match="'alpha' is not a parameter"):
        ask(declared, "housing", "alpha")


def test_a_command_is_run_for_every_point_with_each_value_one_word(declared: Project) -> None:
    told: list[Any] = []
    runs = run_experiment(declared, "program", [], report=told.append)
    assert [(run.status, run.exit_code) for run in runs] == [("finished", 0), ("failed", 2)]
    assert [run.params for run in runs] == [{"alpha": alpha, "what": "a b; echo c"} for alpha in (0.5, 2)]
    outputs = [declared.store.runs.file(run.id, "output.log") for run in runs]
    assert outputs == [b"['--alpha', '0.5', 'a b; echo c']\n", b"['--alpha', '2', 'a b; echo c']\n"]
    assert [run.name for run in runs] == [f"program alpha={alpha} what=a b; echo c" for alpha in (0.5, 2)]
    assert {(run.kind, run.experiment) for run in runs} == {("command", "program")}
    assert runs[0].sweep == runs[1].sweep != None  # noqa: E711  a chain
    assert [(p.done, p.total, p.run) for p in told] == [
        (0, 2, None), (1, 2, runs[0]), (1, 2, None), (2, 2, runs[1])
    ]  # fmt: skip


def test_a_command_replaces_its_parameters_and_has_no_table_version(declared: Project) -> None:
    (run,) = ask(declared, "program", "alpha=0", "what=x")
    assert (run.sweep, run.params) == (None, {"alpha": 0, "what": "x"})
    with pytest.raises(UsageError, match="'program' is a command"):
        ask(declared, "program", version=0)


def test_a_command_that_cannot_be_filled_in_is_refused_before_anything_runs(
    declared: Project, every_run: EveryRun
) -> None:
    before = every_run(declared)
    with pytest.raises(UsageError, match="cannot be filled in"):
        ask(declared, "braces")
    with pytest.raises(UsageError, match="the command of experiment 'empty' is empty"):
        ask(declared, "empty")
    assert every_run(declared) == before
    (run,) = ask(declared, "braces", "alpha=1")
    assert declared.store.runs.file(run.id, "output.log") == b"{kept} 1\n"


def train(project: Project, reference: str = "housing", **changes: Any) -> list[RunInfo]:
    options: dict[str, Any] = {
        "params": ["alpha=0.1,1"],
        "features": None,
        "min_abs_correlation": None,
        "rows": "medv is not null",
        "test_size": 0.2,
        "seed": 7,
        "metrics": [],
        "report": lambda _: None,
    }
    return train_table(project, reference, "medv", ["sklearn.linear_model.Ridge"], **options | changes)


def test_a_fit_ad_hoc_equals_the_declared_one(declared: Project) -> None:
    (_, same) = train(declared, "housing@0", features=["rm", "lstat"])
    declared_run = ask(declared, "housing")[0]
    assert same.metrics["rmse"] == declared_run.metrics["rmse"]
    assert (same.experiment, len(same.metrics)) == (None, 3)
    (first, *_) = train(declared, min_abs_correlation=0.3)
    assert first.features == ["rm", "lstat"]


def test_what_does_not_go_together_ad_hoc_is_refused(declared: Project, every_run: EveryRun) -> None:
    before = every_run(declared)
    with pytest.raises(UsageError, match="not both"):
        train(declared, features=["rm"], min_abs_correlation=0.1)
    with pytest.raises(UsageError, match="'x' is not a version"):
        train(declared, "housing@x")
    with pytest.raises(NotFoundError, match="no table 'hausing'"):
        train(declared, "hausing")
    assert every_run(declared) == before


def test_a_program_is_a_run(project: Project) -> None:
    out, err = io.BytesIO(), io.BytesIO()
    script = "echo out; echo err >&2"
    run = run_program(project, ["sh", "-c", script], folder=project.root, sinks=(out, err), name="mine")
    assert (out.getvalue(), err.getvalue(), run.name, run.status) == (b"out\n", b"err\n", "mine", "finished")
    assert run.kind in WORK
