"""Registering models from folders: what comes through is as it was, and nothing hostile runs or is believed."""

import hashlib
import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from lin.errors import LinError, NotFoundError, OutsideError, UsageError
from lin.models.export import export_version
from lin.models.import_ import import_folder
from lin.models.registry import find_version, read_registry
from lin.models.signature import read_signature
from lin.models.yaml import read_yaml, write_yaml
from lin.project import Project
from lin.records import FileRef
from lin.runs.archive import read_archive
from lin.runs.persist import MODEL, PICKLED_MODEL, dump_model, load_model
from lin.runs.query import list_runs, read_run
from lin.runs.trust import Trust


class Canary:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def folder(trained: Project, tmp_path: Path) -> Path:
    """An exported folder without `lin.json`, to be changed."""
    export_version(trained, "boston@1", tmp_path / "folder")
    (tmp_path / "folder/lin.json").unlink()
    return tmp_path / "folder"


@pytest.fixture
def change(folder: Path) -> Callable[[Callable[[dict[str, Any]], None]], None]:
    """Changes what the folder's `MLmodel` says."""

    def change(do: Callable[[dict[str, Any]], None]) -> None:
        says = read_yaml((folder / "MLmodel").read_bytes(), "MLmodel")
        do(says)
        (folder / "MLmodel").write_text(write_yaml(says))

    return change


def untouched(project: Project) -> bool:
    """Whether no import was recorded and no model registered beside those of the fixture."""
    kinds = [run for run in list_runs(project.store, kinds=frozenset({"import"})).runs if " as " in run.name]
    return not kinds and read_registry(project.store).keys() == {"boston", "names"}


@pytest.mark.parametrize("name", ["boston", "names"])
@pytest.mark.parametrize("place", ["out", "out.zip"])
def test_what_was_exported_comes_back_as_it_was(trained: Project, tmp_path: Path, name: str, place: str) -> None:
    export_version(trained, f"{name}@1", tmp_path / place)
    told: list[str] = []
    done = import_folder(trained, tmp_path / place, "back", description="from there", report=told.append)
    assert (done.version, done.made_by, done.origin) == ("back@1", "lin", f"{name}@1")
    assert (done.example, done.unsafe, done.features, told) == ("same", False, ["rm", "lstat"], [])
    first, back = (find_version(read_registry(trained.store), each) for each in (f"{name}@1", "back@1"))
    assert (back.sha256, back.artifact, back.description) == (first.sha256, MODEL, "from there")
    runs = [read_run(trained.store, version.run) for version in (first, back)]
    inputs = [read_signature(trained, version, run).inputs for version, run in zip((first, back), runs, strict=True)]
    assert inputs[0] == inputs[1]
    assert (runs[1].kind, runs[1].status, runs[1].metrics) == ("import", "finished", {})
    assert back.golden is not None


def test_what_was_imported_is_exported_again(trained: Project, tmp_path: Path) -> None:
    export_version(trained, "boston@1", tmp_path / "one")
    import_folder(trained, tmp_path / "one", "back")
    assert export_version(trained, "back@1", tmp_path / "two").lacks == []
    for file in ("model.skops", "input_example.json", "requirements.txt"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    first, second = (json.loads((tmp_path / each / "lin.json").read_text()) for each in ("one", "two"))
    assert first["predicted"] == second["predicted"]


def test_the_run_names_the_files_that_it_read(trained: Project, folder: Path) -> None:
    done = import_folder(trained, folder, "back")
    run = read_run(trained.store, done.run)
    read = {each.path: each.sha256 for each in run.inputs if isinstance(each, FileRef)}
    model = os.path.relpath(folder / "model.skops", trained.root)
    assert read[model] == hashlib.sha256((folder / "model.skops").read_bytes()).hexdigest() == done.sha256
    assert len(read) == len([*folder.iterdir()])


# --- lin.json ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.skops", "MLmodel", "input_example.json", "README.md"])
def test_a_file_that_is_not_what_lin_json_says_is_refused(trained: Project, tmp_path: Path, name: str) -> None:
    export_version(trained, "boston@1", tmp_path / "out")
    data = bytearray((tmp_path / "out" / name).read_bytes())
    data[-1] ^= 1
    (tmp_path / "out" / name).write_bytes(data)
    with pytest.raises(
        OutsideError, match=rf"'{name}' is not what lin.json says|^MLmodel(, line \d+)?( is no YAML|: )"
    ):
        import_folder(trained, tmp_path / "out", "back")
    (tmp_path / "out" / name).unlink()
    with pytest.raises(LinError):
        import_folder(trained, tmp_path / "out", "back")
    assert untouched(trained)


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda info: info["files"].pop("model.skops"), "does not tell what 'model.skops' is"),
        (lambda info: info["files"].update({"../out": "0" * 64}), "has a file with the name '../out'"),
        (lambda info: info.update(format="folder/2"), "written by a newer lin"),
        (lambda info: info.update(more=1), "lin.json is damaged"),
        (lambda info: info.pop("run"), "lin.json is damaged"),
    ],
)
def test_a_lin_json_that_is_wrong_is_refused(
    trained: Project, tmp_path: Path, do: Callable[[dict[str, Any]], Any], said: str
) -> None:
    export_version(trained, "boston@1", tmp_path / "out")
    info = json.loads((tmp_path / "out/lin.json").read_text())
    do(info)
    (tmp_path / "out/lin.json").write_text(json.dumps(info))
    with pytest.raises(OutsideError, match=said):
        import_folder(trained, tmp_path / "out", "back")
    assert untouched(trained)


@pytest.mark.parametrize(("factor", "answer"), [(1 + 1e-13, "within tolerance"), (1.01, "different")])
def test_other_predictions_than_the_folder_says_are_told(
    trained: Project, tmp_path: Path, factor: float, answer: str
) -> None:
    export_version(trained, "boston@1", tmp_path / "out")
    info = json.loads((tmp_path / "out/lin.json").read_text())
    info["predicted"] = [value * factor for value in info["predicted"]]
    (tmp_path / "out/lin.json").write_text(json.dumps(info))
    told: list[str] = []
    assert import_folder(trained, tmp_path / "out", "back", report=told.append).example == answer
    assert bool(told) == (answer == "different")


# --- MLmodel ----------------------------------------------------------------------------------------------------------


def sklearn(says: dict[str, Any]) -> dict[str, Any]:
    return says["flavors"]["sklearn"]


def function(says: dict[str, Any]) -> dict[str, Any]:
    return says["flavors"]["python_function"]


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda says: function(says).update(loader_module="mlflow.pyfunc.model"), "is loaded by 'mlflow.pyfunc.model'"),
        (lambda says: function(says).update(loader_module="evil"), "is loaded by 'evil'"),
        (lambda says: function(says).update(code="code"), "it brings code of its own"),
        (lambda says: function(says).update(model_path="other.skops"), "it names two models"),
        (lambda says: sklearn(says).update(code="code"), "it brings code of its own"),
        (lambda says: sklearn(says).update(pickled_model=None), "it names two models|is stored as"),
        (lambda says: sklearn(says).update(serialization_format="joblib"), "is stored as 'joblib'; lin reads skops"),
        (lambda says: sklearn(says).update(serialization_format=["skops"]), "is stored as"),
        (lambda says: says["flavors"].pop("sklearn"), "has no flavor sklearn, but: python_function"),
        (lambda says: says.update(flavors=[1]), "'flavors' in MLmodel is no map"),
        (lambda says: says.pop("flavors"), "has no flavor sklearn, but: none"),
        (lambda says: says["signature"].update(inputs="[[["), "the inputs of its signature cannot be read"),
        (lambda says: says["signature"].update(inputs='[{"type": 1, "name": 2}]'), "of its signature cannot be read"),
        (
            lambda says: says["signature"].update(
                inputs='[{"type": "double", "name": "a"}, {"type": "a", "name": "a"}]'
            ),
            "its signature names a column twice",
        ),
        (
            lambda says: says["signature"].update(inputs='[{"type": "double", "name": "rooms"}]'),
            "its signature and its model name different columns: 'lstat', 'rm', 'rooms'",
        ),
        (lambda says: says["saved_input_example_info"].update(artifact_path="../x"), "a file with the name '../x'"),
    ],
)
def test_an_mlmodel_that_is_not_of_a_plain_model_is_refused(
    trained: Project, folder: Path, change: Any, do: Callable[[dict[str, Any]], Any], said: str
) -> None:
    change(do)
    with pytest.raises(OutsideError, match=said):
        import_folder(trained, folder, "back")
    assert untouched(trained)


@pytest.mark.parametrize("path", ["../copy/lineage.toml", "/etc/passwd", "a\\b", "", ".", "sub/../model.skops"])
def test_a_model_outside_of_the_folder_is_refused(trained: Project, folder: Path, change: Any, path: str) -> None:
    def lead_out(says: dict[str, Any]) -> None:
        sklearn(says)["pickled_model"] = function(says)["model_path"] = path

    change(lead_out)
    with pytest.raises(OutsideError, match="a file with the name"):
        import_folder(trained, folder, "back")


def test_a_model_that_is_not_there_is_named(trained: Project, folder: Path) -> None:
    (folder / "model.skops").unlink()
    with pytest.raises(OutsideError, match=r"it lacks the file 'model\.skops'"):
        import_folder(trained, folder, "back")
    with pytest.raises(NotFoundError, match="there is no folder or zip"):
        import_folder(trained, folder / "nothing", "back")
    with pytest.raises(UsageError, match="cannot name a model"):
        import_folder(trained, folder, "../back")


@pytest.mark.parametrize(
    "text",
    [
        "flavors: !!python/object/apply:os.mkdir ['{mark}']",
        "a: &a [x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)),
        "[" * 1_000_000,
        "- - - - - - - - - - - - - - - - - - - - - - - - x",
        "flavors",
        "flavors: {python_function: {loader_module: 0x" + "f" * 100_000 + "}}",
        "a: " + "59:" * 2_000 + "59.5",
    ],
)
def test_an_mlmodel_that_is_an_attack_does_nothing(trained: Project, folder: Path, tmp_path: Path, text: str) -> None:
    (folder / "MLmodel").write_text(text.replace("{mark}", str(tmp_path / "mark")))
    with pytest.raises(OutsideError):
        import_folder(trained, folder, "back")
    (folder / "MLmodel").write_bytes(b"[" * 10_000_000)
    with pytest.raises(OutsideError, match="MLmodel has 10000000 bytes"):
        import_folder(trained, folder, "back")
    assert not (tmp_path / "mark").exists()
    assert untouched(trained)


def test_a_folder_without_signature_or_example_is_taken_for_what_it_is(
    trained: Project, folder: Path, change: Any
) -> None:
    change(lambda says: (says.pop("signature"), says.pop("saved_input_example_info")))
    told: list[str] = []
    done = import_folder(trained, folder, "back", report=told.append)
    assert (done.features, done.example) == (["rm", "lstat"], "not scored")
    assert told[0] == "the example of the folder is not scored: there is none with named columns"


@pytest.mark.parametrize(
    ("example", "said"),
    [
        ('{"columns": ["rm"], "data": [[1.0]]}', "'lstat' is missing"),
        ('{"columns": ["rm", "lstat"], "data": [[1.0]]}', "its rows are not as long as its columns"),
        ('{"columns": ["rm", "lstat"], "data": [["a", {}]]}', "the rows do not fit"),
        ('{"columns": ["rm", "lstat"], "data": [[1.0, 2.0], ["a", 2.0]]}', "it cannot be read"),
        ("[" * 100_000, "it cannot be read"),
        ("\udcff", "it cannot be read"),
    ],
)
def test_an_example_that_cannot_be_scored_is_told(trained: Project, folder: Path, example: str, said: str) -> None:
    (folder / "input_example.json").write_bytes(example.encode(errors="surrogateescape"))
    told: list[str] = []
    assert import_folder(trained, folder, "back", report=told.append).example == "not scored"
    assert told[0].startswith("the example of the folder is not scored: ")
    assert said in told[0]


# --- model files ------------------------------------------------------------------------------------------------------


def stored_as(change: Any, kind: str, name: str) -> None:
    def say(says: dict[str, Any]) -> None:
        sklearn(says).update(serialization_format=kind, pickled_model=name)
        function(says).update(model_path=name)

    change(say)


@pytest.mark.parametrize("kind", ["pickle", "cloudpickle"])
def test_a_pickle_is_refused_or_kept_and_never_loaded(
    trained: Project, folder: Path, tmp_path: Path, change: Any, kind: str
) -> None:
    stored_as(change, kind, "model.pkl")
    data = pickle.dumps(Canary(tmp_path / "mark"))
    (folder / "model.pkl").write_bytes(data)
    with pytest.raises(UsageError, match="holds a pickle") as refused:
        import_folder(trained, folder, "back")
    assert refused.value.hint is not None
    assert refused.value.hint.endswith(f"lin import {folder} back --pickle")
    assert untouched(trained)
    trust = Trust(files=frozenset({hashlib.sha256(data).hexdigest()}))
    done = import_folder(trained, folder, "back", pickle=True, trust=trust)
    assert (done.unsafe, done.example, done.sha256) == (True, "not scored", hashlib.sha256(data).hexdigest())
    version = find_version(read_registry(trained.store), "back@1")
    assert (version.unsafe, version.artifact, version.golden) == (True, PICKLED_MODEL, None)
    assert not (tmp_path / "mark").exists()


def test_a_file_that_is_not_what_it_is_said_to_be_is_refused(
    trained: Project, folder: Path, tmp_path: Path, change: Any
) -> None:
    """Neither falls back to the other."""
    for data in (pickle.dumps(Canary(tmp_path / "mark")), pickle.dumps(Canary(tmp_path / "mark"), protocol=0)):
        (folder / "model.skops").write_bytes(data)
        with pytest.raises(OutsideError, match=r"is refused|is a pickle"):
            import_folder(trained, folder, "back", pickle=True)
    stored_as(change, "pickle", "model.pkl")
    (folder / "model.pkl").write_bytes(dump_model(Ridge().fit([[1.0, 2.0]], [1.0])))
    with pytest.raises(OutsideError, match=r"'model\.pkl' is said to be a pickle file and is none"):
        import_folder(trained, folder, "back", pickle=True)
    assert not (tmp_path / "mark").exists()
    assert untouched(trained)


def test_what_the_folder_trusts_is_not_trusted(
    trained: Project, folder: Path, tmp_path: Path, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The type marks its import; the list of types in `MLmodel` is the folder's own."""
    (tmp_path / "import_own.py").write_text(
        "from pathlib import Path\nfrom sklearn.linear_model import Ridge\n"
        "class Own(Ridge):\n    def __setstate__(self, state):\n"
        f"        Path({str(tmp_path / 'mark')!r}).mkdir()\n        super().__setstate__(state)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from import_own import Own

    rows = np.array([[1.0, 2.0], [2.0, 1.0]])
    (folder / "model.skops").write_bytes(dump_model(Own().fit(rows, [1.0, 2.0])))
    change(lambda says: sklearn(says).update(skops_trusted_types=["import_own.Own"]))
    with pytest.raises(UsageError, match=r"does not trust: import_own\.Own") as refused:
        import_folder(trained, folder, "back")
    assert refused.value.hint is not None
    assert refused.value.hint.endswith(": --trust import_own.Own")
    assert not (tmp_path / "mark").exists()
    assert untouched(trained)
    import_folder(trained, folder, "back", trust=Trust(types=frozenset({"import_own.Own"})))
    assert (tmp_path / "mark").exists()


def test_a_crafted_tree_is_refused(trained: Project, folder: Path) -> None:
    """It would load elsewhere, and crash whoever predicts."""
    rows = np.random.RandomState(0).rand(50, 2)
    archive = read_archive(dump_model(DecisionTreeRegressor(max_depth=3).fit(rows, rows.sum(axis=1))))
    members = dict(archive.members)
    for name, data in members.items():
        array = np.lib.format.read_array(io.BytesIO(data))
        if array.dtype.names and "left_child" in array.dtype.names:
            array["left_child"][0] = 2**40
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array)
            members[name] = buffer.getvalue()
    with zipfile.ZipFile(folder / "model.skops", "w") as file:
        file.writestr("schema.json", msgspec.json.encode(archive.schema))
        for name, data in members.items():
            file.writestr(name, data)
    with pytest.raises(OutsideError, match=r"node 0 of a tree in it points to node 1099511627776"):
        import_folder(trained, folder, "back")
    assert untouched(trained)


def test_what_does_not_predict_is_refused(trained: Project, folder: Path) -> None:
    (folder / "model.skops").write_bytes(dump_model(StandardScaler().fit([[1.0, 2.0], [2.0, 1.0]])))
    with pytest.raises(OutsideError, match="is a StandardScaler, which does not predict"):
        import_folder(trained, folder, "back")


def test_the_bytes_of_another_writer_stay_as_they_are(trained: Project, folder: Path) -> None:
    """Not in canonical form, so that its sha256 is the one that others know."""
    import skops.io

    model = load_model((folder / "model.skops").read_bytes())
    theirs = skops.io.dumps(model)
    assert theirs != (folder / "model.skops").read_bytes()
    (folder / "model.skops").write_bytes(theirs)
    assert import_folder(trained, folder, "back").sha256 == hashlib.sha256(theirs).hexdigest()


def test_a_link_in_a_folder_is_refused(trained: Project, folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / "model.skops", tmp_path / "elsewhere")
    (folder / "model.skops").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutsideError, match=r"'model\.skops' is a link"):
        import_folder(trained, folder, "back")
    assert untouched(trained)
