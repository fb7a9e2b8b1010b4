"""Writing a model version as a folder or zip: the same bytes each time, whole or not at all, over nothing else."""

import hashlib
import json
import os
import pickle
import stat
import zipfile
from pathlib import Path

import pytest

from lin.data.tables import open_table
from lin.errors import ConflictError, NotFoundError, OutsideError, UsageError
from lin.models.changes import register_model
from lin.models.export import export_version
from lin.models.registry import find_version, read_registry
from lin.models.yaml import read_yaml
from lin.project import Project, create_project
from lin.records import Fit
from lin.runs.add import add_table
from lin.runs.golden import read_golden
from lin.runs.persist import load_model
from lin.runs.query import read_run
from lin.runs.train import run_sweep
from lin.runs.trust import Trust

FILES = {
    *("MLmodel", "README.md", "conda.yaml", "input_example.json", "lin.json", "model.skops"),
    *("python_env.yaml", "requirements.txt"),
}


def register_fit(project: Project, name: str, estimator: str, **options: object) -> None:
    settings = {"target": "medv", "rows": "medv is not null", "features": ["rm", "lstat"], **options}
    fit = Fit(estimator=[estimator], **settings)  # type: ignore[arg-type]
    (run,) = run_sweep(project, open_table(project, "housing"), [fit], experiment=None)
    assert run.status == "finished", run.error
    register_model(project, run.id, name)


@pytest.fixture
def own(trained: Project) -> Project:
    """With `own@1`, an estimator of the project's, and `unsafe@1`, a pickle."""
    (trained.root / "export_own.py").write_text("from sklearn.linear_model import Ridge\nclass Own(Ridge): pass\n")
    register_fit(trained, "own", "export_own.Own")
    register_fit(trained, "unsafe", "sklearn.linear_model.Ridge", pickle=True)
    return trained


def test_a_folder_has_all_that_mlflow_and_lin_want(trained: Project, tmp_path: Path) -> None:
    done = export_version(trained, "boston@1", tmp_path / "out")
    assert (done.version, done.place, done.unsafe, done.written) == ("boston@1", str(tmp_path / "out"), False, True)
    assert done.lacks == []
    assert {each.path for each in done.files} == {path.name for path in (tmp_path / "out").iterdir()} == FILES
    for each in done.files:
        data = (tmp_path / "out" / each.path).read_bytes()
        assert (each.sha256, each.bytes) == (hashlib.sha256(data).hexdigest(), len(data))


def test_lin_json_tells_what_the_version_is(trained: Project, tmp_path: Path) -> None:
    export_version(trained, "boston@1", tmp_path / "out")
    version = find_version(read_registry(trained.store), "boston@1")
    run = read_run(trained.store, version.run)
    info = json.loads((tmp_path / "out/lin.json").read_text())
    assert (info["format"], info["model"], info["version"], info["run"]) == ("folder/1", "boston", 1, version.run)
    assert (info["sha256"], info["features"]) == (version.sha256, ["rm", "lstat"])
    assert info["metrics"] == {key: float(value) for key, value in run.metrics.items()}
    assert info["trained_on"] == [{"table": "housing", "version": 0, "pin": run.table_inputs[0].pin, "rows": 45}]
    assert info["files"].keys() == FILES - {"lin.json"}
    golden = read_golden(trained.store.blobs.read(version.golden or ""))
    assert info["predicted"] == golden.predicted[:5]
    example = json.loads((tmp_path / "out/input_example.json").read_text())
    assert example["columns"] == ["rm", "lstat"]
    assert example["data"] == [list(row.values()) for row in golden.rows.select(["rm", "lstat"]).to_pylist()[:5]]


def test_nothing_in_a_folder_names_a_place_of_this_machine(trained: Project, tmp_path: Path) -> None:
    export_version(trained, "boston@1", tmp_path / "out")
    for file in (tmp_path / "out").iterdir():
        data = file.read_bytes()
        assert str(trained.root).encode() not in data
        assert b"://" not in data
        assert b"data/housing" not in data


def test_the_same_version_gives_the_same_bytes(trained: Project, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        export_version(trained, "boston@1", tmp_path / name)
    export_version(trained, "boston@1", tmp_path / "out")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == sorted(FILES)
        for name in FILES:
            assert archive.read(name) == (tmp_path / "out" / name).read_bytes()


def test_what_is_there_already_is_not_written_again(trained: Project, tmp_path: Path) -> None:
    for name in ("out", "out.zip"):
        assert export_version(trained, "boston@1", tmp_path / name).written
        before = (tmp_path / name).stat()
        assert not export_version(trained, "boston@1", tmp_path / name).written
        assert (tmp_path / name).stat().st_ino == before.st_ino


def test_an_empty_folder_is_filled(trained: Project, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert export_version(trained, "boston@1", tmp_path / "out").written


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_another_folder_or_zip_is_replaced_only_by_force(trained: Project, tmp_path: Path, name: str) -> None:
    export_version(trained, "names@1", tmp_path / name)
    with pytest.raises(ConflictError, match="is there, and something else"):
        export_version(trained, "boston@1", tmp_path / name)
    assert export_version(trained, "boston@1", tmp_path / name, force=True).written
    export_version(trained, "boston@1", tmp_path / "fresh.zip")
    if name == "out.zip":
        assert (tmp_path / name).read_bytes() == (tmp_path / "fresh.zip").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} - {"copy"} == {name, "fresh.zip"}


def test_what_is_no_model_folder_is_never_replaced(trained: Project, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis.txt").write_text("years of work")
    (tmp_path / "link").symlink_to(tmp_path / "home")
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "link.zip").symlink_to(tmp_path / "file")
    (tmp_path / "folder.zip").mkdir()
    for name in ("home", "link", "file", "link.zip", "folder.zip"):
        with pytest.raises(ConflictError, match=r"is no (model folder|file), so it is not replaced"):
            export_version(trained, "boston@1", tmp_path / name, force=True)
    assert (tmp_path / "home/thesis.txt").read_text() == "years of work"
    assert (tmp_path / "file").read_text() == "no folder"


def test_a_place_that_cannot_be_written_leaves_nothing(trained: Project, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no folder"):
        export_version(trained, "boston@1", tmp_path / "no/out")
    (tmp_path / "file").touch()
    with pytest.raises(OutsideError, match="cannot be written"):
        export_version(trained, "boston@1", tmp_path / "file/out")
    assert {path.name for path in tmp_path.iterdir()} == {"copy", "file"}


def test_nobody_else_can_write_to_what_is_exported(trained: Project, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        export_version(trained, "boston@1", tmp_path / "out")
        export_version(trained, "boston@1", tmp_path / "out.zip")
    finally:
        os.umask(before)
    for path in (tmp_path / "out", tmp_path / "out.zip", *(tmp_path / "out").iterdir()):
        assert not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def test_whole_numbers_of_which_some_are_missing_are_told_as_mlflow_scores_them(
    project: Project, tmp_path: Path
) -> None:
    lines = ["ID,floors,rooms,medv", *(f"{n},{'' if n % 4 == 1 else n % 3},{n % 5},{n / 2}" for n in range(40))]
    (tmp_path / "housing.csv").write_text("\n".join(lines) + "\n")
    add_table(project, "housing", tmp_path / "housing.csv", key=["ID"])
    project, _ = create_project(project.root)
    forest = "sklearn.ensemble.HistGradientBoostingRegressor"
    register_fit(project, "boston", forest, features=["floors", "rooms"])
    export_version(project, "boston@1", tmp_path / "out")
    inputs = json.loads(read_yaml((tmp_path / "out/MLmodel").read_bytes(), "MLmodel")["signature"]["inputs"])
    assert [(each["name"], each["type"]) for each in inputs] == [("floors", "double"), ("rooms", "long")]
    example = json.loads((tmp_path / "out/input_example.json").read_text())
    assert [None, 1] in example["data"]


# --- pickles ----------------------------------------------------------------------------------------------------------


def test_a_pickle_says_that_it_is_unsafe(trained: Project, tmp_path: Path) -> None:
    done = export_version(trained, "boston@1", tmp_path / "out", pickle=True)
    assert done.unsafe
    assert {each.path for each in done.files} == FILES - {"model.skops"} | {"model.pkl"}
    says = read_yaml((tmp_path / "out/MLmodel").read_bytes(), "MLmodel")
    assert "runs code when it is loaded" in says["metadata"]["unsafe"]
    assert says["flavors"]["sklearn"]["serialization_format"] == "pickle"
    assert "**Unsafe**" in (tmp_path / "out/README.md").read_text()
    model = pickle.loads((tmp_path / "out/model.pkl").read_bytes())
    assert model.feature_names_in_.tolist() == ["rm", "lstat"]


def test_a_version_that_is_a_pickle_is_only_written_as_one(own: Project, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unsafe@1 is kept as a pickle") as refused:
        export_version(own, "unsafe@1", tmp_path / "out")
    assert refused.value.hint == f"lin export unsafe@1 {tmp_path / 'out'} --pickle"
    export_version(own, "unsafe@1", tmp_path / "out", pickle=True)
    version = find_version(read_registry(own.store), "unsafe@1")
    assert hashlib.sha256((tmp_path / "out/model.pkl").read_bytes()).hexdigest() == version.sha256


def test_a_type_of_the_users_is_named_and_makes_a_pickle_only_if_trusted(own: Project, tmp_path: Path) -> None:
    lacks = export_version(own, "own@1", tmp_path / "out").lacks
    assert lacks[-1] == "its MLmodel has MLflow trust what lin does not, so their code may run: export_own.Own"
    says = read_yaml((tmp_path / "out/MLmodel").read_bytes(), "MLmodel")
    assert says["flavors"]["sklearn"]["skops_trusted_types"] == ["export_own.Own"]
    with pytest.raises(UsageError, match=r"does not trust: export_own\.Own"):
        export_version(own, "own@1", tmp_path / "unsafe", pickle=True)
    trust = Trust(types=frozenset({"export_own.Own"}))
    export_version(own, "own@1", tmp_path / "unsafe", pickle=True, trust=trust)
    assert type(load_model((tmp_path / "out/model.skops").read_bytes(), trust=trust)).__name__ == "Own"


def test_what_is_not_registered_is_named(trained: Project, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="model 'boston' has no version 7"):
        export_version(trained, "boston@7", tmp_path / "out")
