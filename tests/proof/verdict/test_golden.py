"""A model version against its golden predictions: what changed is told apart, the libraries with real ones."""

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from sklearn.dummy import DummyClassifier

from lin.errors import NotFoundError, StoreError, UsageError
from lin.models.changes import register_model
from lin.models.registry import find_version, read_registry
from lin.project import Project, open_project
from lin.proof.recipe import decode_environment
from lin.proof.verdict.golden import GoldenCheck, check_model
from lin.records import encode
from lin.runs.golden import GOLDEN, read_golden, with_layout, write_golden
from lin.runs.persist import dump_model
from lin.runs.query import find_run, read_run
from lin.runs.record import Capture, begin_run, capture
from lin.runs.score import predict_golden
from lin.runs.train import MODEL
from lin.runs.trust import Trust

OTHER = {"scikit-learn": "1.7.2", "numpy": "2.0.2", "scipy": "1.13.1"}
FITS = {
    "moved": "sklearn.gaussian_process.GaussianProcessClassifier",
    "same": "sklearn.linear_model.LogisticRegression",
    "broken": "sklearn.linear_model.RidgeClassifier",
    "strange": "sklearn.ensemble.GradientBoostingClassifier",
}


@pytest.fixture(scope="module")
def _elsewhere(_fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with models that other versions of the libraries fitted, in a process that has these."""
    from uv import find_uv_bin

    packages = tmp_path_factory.mktemp("packages")
    wanted = [f"{name}=={version}" for name, version in OTHER.items()]
    install = [find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--target", packages, *wanted]
    done = subprocess.run([*install, "--python", sys.executable], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the other libraries cannot be had: {done.stderr.strip()}")
    root = Path(shutil.copytree(_fitted, tmp_path_factory.mktemp("elsewhere") / "project", symlinks=True))
    (root / "grades.csv").write_text(_grade(root / "housing.csv"))
    own = {name: value for name, value in os.environ.items() if not name.startswith(("LIN_", "GIT_"))}
    code = "\n".join(
        [
            "import sys; sys.path.remove('')",  # the project has a `random.py` of its own
            "from lin.cli.main import main",
            "def lin(*words):",
            "    try: main(list(words))",
            "    except SystemExit as ended: assert not ended.code, words",
            "lin('add', 'grades', 'grades.csv', '--key', 'ID')",
            *(
                f"lin('train', '--table', 'grades', '--target', 'grade', '--model', {path!r});"
                f"lin('register', 'last', {name!r})"
                for name, path in FITS.items()
            ),
        ]
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=root,
        env={**own, "PYTHONPATH": str(packages), "LIN_ACTOR": "ann"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return root


def _grade(housing: Path) -> str:
    rows = [line.split(",") for line in housing.read_text().splitlines()[1:]]
    graded = [f"{ID},{rm},{lstat},{'high' if float(rm) > 6 else 'low'}" for ID, rm, lstat, _ in rows]
    return "\n".join(["ID,rm,lstat,grade", *graded]) + "\n"


@pytest.fixture
def elsewhere(_elsewhere: Path, tmp_path: Path) -> Project:
    return open_project(Path(shutil.copytree(_elsewhere, tmp_path / "elsewhere", symlinks=True)))


def golden_of(project: Project, reference: str) -> bytes:
    version = find_version(read_registry(project.store), reference)
    assert version.golden is not None
    return project.store.blobs.read(version.golden)


# --- the libraries ----------------------------------------------------------------------------------------------------


def test_where_it_was_fitted_a_model_answers_the_same(fitted: Project) -> None:
    found = check_model(fitted, "boston@1")
    assert (found.answer, found.same, found.rows, found.packages, found.machine) == ("same", True, 45, [], [])
    assert found.golden is not None
    assert (found.golden.changed, found.golden.matched) == (0, "key")


def test_libraries_that_changed_the_answer_are_told_from_the_model(elsewhere: Project) -> None:
    found = check_model(elsewhere, "moved@1")
    assert (found.answer, found.same) == ("the libraries changed the answer", False)
    assert found.golden is not None
    assert found.golden.labels
    assert found.golden.flips == 0
    assert 0 < found.golden.changed <= found.rows == 45
    assert found.golden.largest is not None
    assert 0 < found.golden.largest < 1e-9
    assert {each.name: each.then for each in found.packages if each.likely} == OTHER
    assert found.packages[0].likely
    assert any(line.startswith("openblas") for line in found.machine)
    assert check_model(elsewhere, "moved@1", tolerance=1e-6).answer == "within tolerance"


def test_other_libraries_alone_are_no_difference(elsewhere: Project) -> None:
    found = check_model(elsewhere, "same@1")
    assert (found.answer, found.same) == ("same", True)
    assert {each.name for each in found.packages} >= OTHER.keys()


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("broken", "RidgeClassifier cannot score the 45 golden rows: 'RidgeClassifier' object has no attribute"),
        ("strange", "it was made by scikit-learn 1.7.2, and here is "),
    ],
)
def test_a_model_that_these_libraries_cannot_use_is_no_changed_model(elsewhere: Project, model: str, why: str) -> None:
    found = check_model(elsewhere, f"{model}@1")
    assert (found.answer, found.same, found.golden) == ("cannot be scored here", False, None)
    assert found.why is not None
    assert found.why.startswith(why)
    assert found.packages[0].likely


# --- the model --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, b"another model"], ids=["missing", "altered"])
def test_a_file_that_is_not_the_registered_one_is_a_changed_model(fitted: Project, content: bytes | None) -> None:
    version = find_version(read_registry(fitted.store), "boston@1")
    file = fitted.store_root / "blobs" / version.sha256[:2] / version.sha256
    file.unlink()
    if content:
        file.write_bytes(content)
    found = check_model(fitted, "boston@1")
    assert (found.answer, found.same, found.golden) == ("the model changed", False, None)
    assert version.sha256 in (found.why or "")


def test_damaged_golden_predictions_are_damage_of_the_store(fitted: Project) -> None:
    version = find_version(read_registry(fitted.store), "boston@1")
    assert version.golden is not None
    (fitted.store_root / "blobs" / version.golden[:2] / version.golden).unlink()
    with pytest.raises(StoreError, match=version.golden):
        check_model(fitted, "boston@1")


# --- neither ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def moved_golden(fitted: Project) -> Callable[..., GoldenCheck]:
    """Checks a model like `boston@1` whose golden predictions are others than the model's."""

    def check(*, around: Capture, tolerance: float | None = None) -> GoldenCheck:
        run = read_run(fitted.store, find_version(read_registry(fitted.store), "boston@1").run)
        golden = read_golden(golden_of(fitted, "boston@1"))
        moved = [value + 0.5 * (row == 7) for row, value in enumerate(golden.predicted)]
        table = golden.table.set_column(golden.table.num_columns - 1, "predicted", pa.array(moved))
        recorder = begin_run(fitted, around, kind="program", name="moved", inputs=run.inputs)
        model = run.artifact(MODEL)
        assert model is not None
        recorder.log_artifact(fitted.store.blobs.read(model.sha256), MODEL)
        recorder.log_artifact(write_golden(with_layout(table, golden.layout)), GOLDEN)
        recorder.seal("finished", features=run.features)
        return check_model(fitted, register_model(fitted, recorder.id, "moved").reference, tolerance=tolerance)

    return check


@pytest.fixture
def captured_elsewhere(fitted: Project) -> Capture:
    """What surrounds a run where NumPy and msgspec were others."""
    here = capture(fitted)
    environment = decode_environment(fitted, here.environment)
    packages = [
        msgspec.structs.replace(each, version="1.0") if each.name in {"numpy", "msgspec"} else each
        for each in environment.packages
    ]
    other = encode(msgspec.structs.replace(environment, packages=packages))
    return dataclasses.replace(here, environment=fitted.store.blobs.put(other))


def test_where_nothing_recorded_differs_the_libraries_are_not_blamed(
    fitted: Project, moved_golden: Callable[..., GoldenCheck]
) -> None:
    here = capture(fitted)
    found = moved_golden(around=here)
    assert (found.answer, found.packages, found.machine) == ("different", [], [])
    assert found.golden is not None
    assert (found.golden.changed, found.golden.largest) == (1, 0.5)
    assert [each.key for each in found.golden.examples] == [{"ID": 7}]
    assert moved_golden(around=here, tolerance=0.1).answer == "within tolerance"  # half of a value near 20


def test_other_packages_are_blamed_where_the_run_had_some(
    captured_elsewhere: Capture, moved_golden: Callable[..., GoldenCheck]
) -> None:
    blamed = moved_golden(around=captured_elsewhere)
    assert blamed.answer == "the libraries changed the answer"
    told = [(each.name, each.then, each.likely) for each in blamed.packages]
    assert told == [("numpy", "1.0", True), ("msgspec", "1.0", False)]


def test_a_model_that_never_answers_the_same_is_not_blamed_on_anything(
    fitted: Project, captured_elsewhere: Capture
) -> None:
    golden = read_golden(golden_of(fitted, "boston@1"))
    frame = golden.rows.select(golden.layout.features).to_pandas()
    model = DummyClassifier(strategy="uniform").fit(frame, frame.index % 2)
    recorder = begin_run(fitted, captured_elsewhere, kind="program", name="dice")
    recorder.log_artifact(dump_model(model), MODEL)
    recorder.log_artifact(write_golden(predict_golden(model, golden.rows, ["ID"], golden.layout.features)), GOLDEN)
    recorder.seal("finished", features=golden.layout.features)
    found = check_model(fitted, register_model(fitted, recorder.id, "dice").reference)
    assert (found.answer, found.same) == ("inconclusive", False)
    assert found.packages != []


# --- what cannot be asked ---------------------------------------------------------------------------------------------


def test_what_cannot_be_checked_is_refused(fitted: Project) -> None:
    with pytest.raises(UsageError, match=r"own@1 is not scored: .*does not trust: proof_models\.Shifted") as refused:
        check_model(fitted, "own@1")
    assert refused.value.hint is not None
    assert refused.value.hint.endswith(": --trust proof_models.Shifted; or lin rerun own@1")
    assert check_model(fitted, "own@1", trust=Trust(types=frozenset({"proof_models.Shifted"}))).same
    with pytest.raises(UsageError, match="is a run: only a model version"):
        check_model(fitted, find_run(fitted.store, "last").id)
    with pytest.raises(NotFoundError, match="has no version 9"):
        check_model(fitted, "boston@9")
    with pytest.raises(UsageError, match="tolerance -1"):
        check_model(fitted, "boston@1", tolerance=-1)


def test_a_model_without_golden_predictions_says_so(project: Project) -> None:
    recorder = begin_run(project, capture(project), kind="program", name="fit")
    recorder.log_artifact(b"a model", MODEL)
    recorder.seal("finished")
    register_model(project, recorder.id, "mine")
    with pytest.raises(NotFoundError, match="mine@1 keeps no golden predictions") as refused:
        check_model(project, "mine@1")
    assert refused.value.hint == "lin rerun mine@1"
