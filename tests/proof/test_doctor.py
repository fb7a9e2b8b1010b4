"""What a re-run would lack, found out beforehand: each thing that can be missing, and nothing that runs."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lin.data.tables import open_table
from lin.ids import short
from lin.models.registry import find_version, read_registry
from lin.project import Project
from lin.proof.doctor import Examination, examine_models, examine_run
from lin.records import Environment, FileRef, ModelRef, Package, SourceTree, TableRef, decode, digest, encode
from lin.runs.execute import UNPINNED_TAG, run_command
from lin.runs.query import RunInfo, list_runs, read_run
from lin.runs.record import Capture, begin_run, capture


def model_run(project: Project, reference: str = "boston@1") -> RunInfo:
    return read_run(project.store, find_version(read_registry(project.store), reference).run)


def told(found: Examination) -> list[tuple[str, str]]:
    return [(problem.what, problem.text) for problem in found.problems]


def blob(project: Project, sha256: str) -> Path:
    return project.store_root / "blobs" / sha256[:2] / sha256


def test_what_is_whole_can_be_re_run(fitted: Project) -> None:
    run = model_run(fitted)
    found = examine_run(fitted, run)
    assert (found.run, found.able, found.problems) == (run.id, True, [])
    assert found.looked[0] == "housing@0"
    assert found.looked[1].endswith(" source files")
    assert found.looked[2].startswith("python 3.")
    assert found.notes == [
        "the source snapshot left out big.bin (it is a symbolic link): a program that needs them will fail"
    ]
    assert len(list_runs(fitted.store, kinds=None).runs) == 4  # nothing ran


def test_all_registered_versions_are_examined(fitted: Project) -> None:
    assert [(found.model, found.able) for found in examine_models(fitted)] == [
        ("boston@1", True),
        ("other@1", True),
        ("own@1", True),
    ]
    table = open_table(fitted, "housing")
    (table.root / table.log.snapshot(0).files[0].path).unlink()
    assert [found.able for found in examine_models(fitted)] == [False, False, False]


# --- data -------------------------------------------------------------------------------------------------------------


def append_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def rewrite_link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (Path.unlink, "is missing"),
        (append_byte, "was altered"),
        (flip_byte, "was altered"),
        (rewrite_link, "symbolic link"),
    ],
)
def test_a_data_file_that_is_not_what_it_was(fitted: Project, damage: Callable[[Path], object], reason: str) -> None:
    table = open_table(fitted, "housing")
    path = table.root / table.log.snapshot(0).files[0].path
    damage(path)
    found = examine_run(fitted, model_run(fitted))
    ((what, text),) = told(found)
    assert (found.able, what) == (False, "data")
    assert text.startswith("1 of 1 data files of housing@0 are missing or altered: ")
    assert path.name in text
    assert reason in text
    assert found.problems[0].mend == "restore the files of table 'housing' from a backup"


# --- the store --------------------------------------------------------------------------------------------------------


def test_blobs_that_are_gone_or_damaged(fitted: Project) -> None:
    run = model_run(fitted)
    assert run.source is not None
    tree = decode(fitted.store.blobs.read(run.source.tree), SourceTree, where="it")
    shift = next(file for file in tree.files if file.path == "shift.py")
    for lost, what, text in (
        (run.table_inputs[0].pin, "data", "what housing@0 was is not known: "),
        (shift.sha256, "source", "1 of 6 source files are missing or damaged in the store: shift.py"),
        (run.source.tree, "source", "the list of its source files: "),
        (run.environment or "", "record", "blobs/"),
    ):
        place = blob(fitted, lost)
        kept = place.read_bytes()
        for damage in (Path.unlink, flip_byte):
            place.chmod(0o600)
            damage(place)
            found = examine_run(fitted, run)
            assert [each for each, _ in told(found)] == [what], (what, told(found))
            assert told(found)[0][1].startswith(text)
            place.unlink(missing_ok=True)
            place.write_bytes(kept)
    assert examine_run(fitted, run).able


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def around(project: Project) -> Capture:
    return capture(project)


Made = Callable[..., RunInfo]


@pytest.fixture
def made(project: Project, around: Capture) -> Made:
    """Records a command with these inputs."""

    def make(*inputs: FileRef | ModelRef | TableRef, command: str = "true", around: Capture = around) -> RunInfo:
        recorder = begin_run(project, around, kind="command", name="it", command=[command])
        for each in inputs:
            recorder.log_input(each)
        recorder.seal("finished", exit_code=0)
        return read_run(project.store, recorder.id)

    return make


def test_a_file_that_was_only_hashed_must_be_as_it_was(project: Project, made: Made) -> None:
    live = project.root / "in.csv"
    live.write_bytes(b"old")
    run = made(FileRef(path="in.csv", sha256=digest(b"old"), bytes=3))
    assert examine_run(project, run).able
    live.write_bytes(b"new")
    edited = examine_run(project, run)
    assert (edited.able, [what for what, _ in told(edited)]) == (False, ["files"])
    assert "in.csv was edited since, and only its sha256 was recorded" in told(edited)[0][1]
    live.unlink()
    assert "in.csv is gone" in told(examine_run(project, run))[0][1]
    project.store.blobs.put(b"old")
    assert examine_run(project, run).able


def test_a_model_that_was_used_must_be_in_the_store(project: Project, made: Made) -> None:
    model = ModelRef(model="boston", version=1, sha256=project.store.blobs.put(b"model"))
    run = made(model)
    assert examine_run(project, run).able
    blob(project, model.sha256).unlink()
    assert told(examine_run(project, run)) == [
        ("models", "the file of model boston@1 is missing or damaged in the store")
    ]


def test_a_program_is_here_or_in_the_source(project: Project) -> None:
    (project.root / "it.sh").write_text("#!/bin/sh\n")
    (project.root / "it.sh").chmod(0o700)
    kept, _ = run_command(project, ["./it.sh"], folder=project.root)
    (project.root / "it.sh").unlink()
    assert examine_run(project, read_run(project.store, kept)).able
    recorder = begin_run(project, capture(project), kind="command", name="it", command=["no-such-program"])
    recorder.seal("finished", exit_code=0)
    assert told(examine_run(project, read_run(project.store, recorder.id))) == [
        ("program", "there is no program 'no-such-program'")
    ]


def test_a_command_that_had_a_secret_in_it(project: Project) -> None:
    run_id, _ = run_command(project, ["true", "--password", "xyz"], folder=project.root)
    ((what, text),) = told(examine_run(project, read_run(project.store, run_id)))
    assert what == "record"
    assert "its command had a secret in it" in text


def test_an_unfinished_run_and_a_program_that_began_its_run_itself(project: Project, around: Capture) -> None:
    running = begin_run(project, around, kind="command", name="it", command=["true"])
    assert told(examine_run(project, read_run(project.store, running.id))) == [("record", "it is running")]
    itself = begin_run(project, around, kind="program", name="it")
    itself.seal("finished")
    ((what, text),) = told(examine_run(project, read_run(project.store, itself.id)))
    assert (what, text.partition(",")[0]) == ("record", "it was begun at a prompt or in a notebook")


def test_tables_that_were_not_pinned_cannot_be_had_again(project: Project, around: Capture) -> None:
    recorder = begin_run(project, around, kind="command", name="it", command=["true"])
    recorder.set_tag(UNPINNED_TAG, "s3://bucket/t@1: it is not in a local folder")
    recorder.seal("finished", exit_code=0)
    found = examine_run(project, read_run(project.store, recorder.id))
    assert told(found) == [
        ("record", "it used tables that were not pinned: s3://bucket/t@1: it is not in a local folder")
    ]


# --- environment ------------------------------------------------------------------------------------------------------


def test_packages_and_interpreters_that_cannot_be_had(
    project: Project, around: Capture, made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    environment = decode(project.store.blobs.read(around.environment), Environment, where="it")

    def run(**changed: object) -> RunInfo:
        other = project.store.blobs.put(encode(msgspec.structs.replace(environment, **changed)))
        return made(command=sys.executable, around=dataclasses.replace(around, environment=other))

    found = examine_run(project, run(packages=[Package("no-such-package", "1.0")]))
    assert {what for what, _ in told(found)} == {"environment"}
    assert any(text.startswith("no-such-package") for _, text in told(found))
    ((what, text),) = told(examine_run(project, run(python="3.99.0", abi="cpython-399")))
    assert what == "environment"
    assert "3.99.0" in text


def test_an_examination_names_its_run(fitted: Project) -> None:
    run = model_run(fitted, "own@1")
    found = examine_run(fitted, run, model="own@1")
    assert (found.model, found.name, short(found.run)) == ("own@1", run.name, short(run.id))
