"""Two real runs held against each other by running what lies between: fits and programs, each cell a process."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from deltalake import DeltaTable

from lin.config import ExperimentSetting, ModelSetting, Split
from lin.data.tables import open_table
from lin.errors import NotFoundError, NotReproducibleError, UsageError
from lin.project import Project, create_project, open_project
from lin.proof.attribution.answer import Attribution
from lin.proof.attribution.attribute import attribute_change
from lin.proof.attribution.plot import check_picture, draw_attribution
from lin.records import encode_in_full
from lin.runs.add import add_table
from lin.runs.execute import run_command
from lin.runs.query import RunInfo, list_runs, read_run
from lin.runs.train import plan_fits, run_sweep

if TYPE_CHECKING:
    from lin.proof.attribution.cells import Progress

ROWS = 60
PROGRAM = """
import random, sys
import lin
options = dict(word.split("=") for word in sys.argv[1:])
alpha, seed = int(options["alpha"]), int(options["seed"])
lin.log_metric("score", FORMULA)
"""


@pytest.fixture(scope="session")
def _points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose target is missing in every second row, and a fit on it."""
    root = tmp_path_factory.mktemp("points")
    project, _ = create_project(root, name="points")
    lines = [f"{n},{n % 7},{'' if n % 2 else 3 * (n % 7) + n % 3},note" for n in range(ROWS)]
    (root / "points.csv").write_text("\n".join(["ID,x,y,note", *lines]) + "\n")
    add_table(project, "points", root / "points.csv", key=["ID"])
    return root


@pytest.fixture
def points(_points: Path, tmp_path: Path) -> Project:
    return open_project(Path(shutil.copytree(_points, tmp_path / "copy")))


def fit(project: Project, **params: float) -> RunInfo:
    experiment = ExperimentSetting(
        table="points",
        target="y",
        features=["x"],
        rows="y is not null",
        split=Split(test_size=0.25, seed=1),
        metrics=["rmse"],
        models=[ModelSetting(estimator="sklearn.linear_model.Ridge", params=params)],
    )
    table = open_table(project, "points")
    (run,) = run_sweep(project, table, plan_fits(experiment, table), experiment=None)
    assert run.status == "finished", run.error
    return run


def program(project: Project, formula: str, *, alpha: int = 1, seed: int = 1) -> RunInfo:
    (project.root / "train.py").write_text(PROGRAM.replace("FORMULA", formula))
    words = [sys.executable, "train.py", f"alpha={alpha}", f"seed={seed}"]
    run, _ = run_command(project, words, folder=project.root)
    found = read_run(project.store, run)
    assert found.status == "finished", (project.store.runs.file(run, "output.log") or b"").decode()
    return found


def count_cells(project: Project) -> int:
    return len(list_runs(project.store, kinds=frozenset({"cell"})).runs)


def named(found: Attribution) -> dict[str, list[str]]:
    return {cause.axis: cause.parts for cause in found.causes}


# --- fits -------------------------------------------------------------------------------------------------------------


def test_filled_targets_among_other_commits_and_the_prediction_of_one_row(points: Project) -> None:
    a = fit(points, alpha=0.1)
    where = str(points.root / "data" / "points")
    DeltaTable(where).update({"note": "'seen'"}, predicate="ID = 3")
    DeltaTable(where).update({"y": "40"}, predicate="y is null")
    b = fit(points, alpha=0.1)
    told: list[Progress] = []
    found = attribute_change(points, a, b, on="prediction ID=4", report=told.append)
    assert (found.verdict, found.axes) == ("cause", ["data"])
    assert found.on == "prediction ID=4"
    assert named(found)["data"][0].startswith("points@2: ")
    assert named(found)["data"][0].endswith(f"updated y ({ROWS // 2} cells)")
    assert found.steps[0].ordered
    assert len(found.steps[0].among) == 2
    assert found.sentence.startswith("prediction ID=4 ")
    assert (found.a.recorded, found.b.recorded is None) == (found.a.replayed[0], False)
    assert "lin restore points --version 0" in [remedy.command for remedy in found.undo]
    assert told[-1].done == len(found.cells)
    cells = list_runs(points.store, kinds=frozenset({"cell"})).runs
    assert {run.parent for run in cells} == {a.id}
    assert {cell.run for cell in found.cells} == {run.id for run in cells}
    assert DeltaTable(where).version() == 2

    again = attribute_change(points, a, b, on="prediction ID=4")
    assert count_cells(points) == len(cells)  # a restart repeats nothing
    assert (again.sentence, again.causes) == (found.sentence, found.causes)

    with pytest.raises(NotFoundError, match="a row with ID=999"):
        attribute_change(points, a, b, on="prediction ID=999")


# --- programs ---------------------------------------------------------------------------------------------------------


def test_a_parameter_and_a_line_that_only_do_it_together(points: Project, tmp_path: Path) -> None:
    a = program(points, "1", alpha=1)
    b = program(points, "1 + (alpha > 2)", alpha=3)
    found = attribute_change(points, a, b, labels=("mine@1", "mine@2"))
    assert (found.verdict, found.relation, found.on) == ("joint cause", "only together", "metrics.score")
    assert named(found)["params"] == ["alpha 1 -> 3"]
    assert named(found)["source"][0].startswith("train.py")
    assert [effect.share for effect in found.effects] == [0.5, 0.5]
    assert [(pair.first, pair.second, pair.effect) for pair in found.interactions] == [(["source"], ["params"], 1.0)]
    assert found.sentence.startswith("metrics.score 1 -> 2: a joint cause, only together: the source (train.py")
    assert [remedy.command for remedy in found.undo] == ["lin rerun mine@1"]
    assert msgspec.json.decode(encode_in_full(found))["cells"][0]["what"] == "A"

    sizes = [draw_attribution(found, tmp_path / name) for name in ("why.png", "why.html")]
    assert (tmp_path / "why.png").read_bytes()[:4] == b"\x89PNG"
    page = (tmp_path / "why.html").read_text()
    assert "a joint cause, only together" in page
    assert sizes == [(tmp_path / name).stat().st_size for name in ("why.png", "why.html")]
    with pytest.raises(UsageError, match=r"neither a \.png nor a \.html"):
        check_picture(tmp_path / "why.pdf")


def test_chance_is_the_seed(points: Project) -> None:
    a = program(points, "random.Random(seed).random()", seed=1)
    b = program(points, "random.Random(seed).random()", seed=2)
    found = attribute_change(points, a, b, seeds=1)
    assert (found.verdict, named(found)) == ("cause", {"seed": ["seed 1 -> 2"]})
    assert "chance: seed 1 -> 2" in found.sentence
    assert found.seeds is not None
    assert found.seeds.a == found.seeds.b
    assert found.seeds.spread > 0


def test_new_words_that_old_code_does_not_know(points: Project) -> None:
    """Either alone fails: a cell that cannot run is no evidence, and the two are one joint cause."""
    a = program(points, "int('beta' not in options)")
    (points.root / "train.py").write_text(PROGRAM.replace("FORMULA", "int(options['beta'])"))
    run, _ = run_command(points, [sys.executable, "train.py", "alpha=1", "seed=1", "beta=5"], folder=points.root)
    (points.root / "train.py").write_text("raise SystemExit('the code of neither')")
    found = attribute_change(points, a, read_run(points.store, run))
    assert found.axes == ["source", "params"]
    assert (found.verdict, set(named(found))) == ("joint cause", {"source", "params"})


# --- what is not explained --------------------------------------------------------------------------------------------


def test_what_is_equal_needs_no_cell(points: Project) -> None:
    a, b = program(points, "4 * alpha", alpha=2), program(points, "2 * alpha", alpha=4)
    found = attribute_change(points, a, b)
    assert (found.verdict, found.sentence) == (
        "nothing to explain",
        "metrics.score is 8 in both: nothing to explain",
    )
    assert (found.cells, found.causes, found.undo, count_cells(points)) == ([], [], [], 0)


def test_a_record_that_does_not_tell_all_is_inconclusive(points: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = "int(__import__('os').environ['NOT_RECORDED']) * alpha"
    monkeypatch.setenv("NOT_RECORDED", "3")
    a, b = program(points, hidden, alpha=1), program(points, hidden, alpha=2)
    monkeypatch.setenv("NOT_RECORDED", "30")
    found = attribute_change(points, a, b)
    assert (found.verdict, found.causes) == ("inconclusive", [])
    assert found.sentence.endswith("is incomplete: metrics.score was 6, and is 60 when it is run again")


def test_one_that_cannot_be_run_again_is_refused(points: Project) -> None:
    a, b = program(points, "alpha"), program(points, "alpha", alpha=2)
    with pytest.raises(NotReproducibleError):
        attribute_change(points, msgspec.structs.replace(a, command=["no-such-program"]), b)
