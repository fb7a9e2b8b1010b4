"""A project with a table, fits, a program, a model and an index, and a folder outside of it that nothing may touch."""

import contextlib
import hashlib
import io
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from lin.cli.main import main
from lin.data.tables import open_table
from lin.events import Alias, Approve, Comment, Describe, Gate, Grant, Refuse, Stage, Tag
from lin.ids import new_id
from lin.models.changes import register_model
from lin.project import Project, create_project, open_project
from lin.runs.add import add_table
from lin.runs.record import begin_run, capture
from lin.runs.train import MODEL
from lin.runs.writes import pin_input

JOB = """
import lin
open("made.txt", "w").write("made")
lin.log_artifact("made.txt", "made/made.txt")
print(open("notes.txt").read())
"""
FIT = ["train", "--table", "housing", "--target", "medv", "--model", "sklearn.linear_model.Ridge", "--seed", "1"]
BUILD = [
    ["init", "--name", "boston"],
    ["add", "housing", "housing.csv", "--key", "ID"],
    FIT,
    ["register", "Ridge", "boston"],
    ["run", "--name", "job", "--", sys.executable, "job.py"],
    ["index", "--rebuild"],
]


class Answer(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str


def _run(*argv: object) -> Answer:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main([str(word) for word in argv])
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    assert "Traceback" not in texts[1], texts[1]
    assert "bug in lin" not in texts[1], texts[1]
    return Answer(int(ended.value.code or 0), *texts)


@pytest.fixture(scope="session")
def _lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "job.py").write_text(JOB)
    (folder / "notes.txt").write_text("notes")
    rows = (f"{n},{n % 7},{n % 5},{n % 7 + 2 * (n % 5)}" for n in range(30))
    (folder / "housing.csv").write_text("\n".join(["ID,rm,lstat,medv", *rows]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("LIN_ACTOR", "ann")
        for argv in BUILD:
            assert _run(*argv).code == 0, argv
    return folder


@pytest.fixture
def lab(_lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project to attack, which is the working folder."""
    folder = Path(shutil.copytree(_lab, tmp_path / "lab", symlinks=True))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def lin() -> Callable[..., Answer]:
    """Runs `lin` in this process. No traceback is let through."""
    return _run


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the project with a canary in it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "canary").write_text("canary")
    return folder


@pytest.fixture(scope="session")
def state() -> Callable[[Path], dict[str, str]]:
    """Tells what lies below a folder: links as such, files by their content."""

    def state(folder: Path) -> dict[str, str]:
        found = {}
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink():
                found[name] = f"-> {path.readlink()}"
            else:
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        return found

    return state


@pytest.fixture(scope="session")
def plant() -> Callable[[Path, str, str], tuple[Project, list[str]]]:
    """Makes a project with a text in all fields, and one in those that take no control characters; tells its runs."""
    return _plant


def _plant(folder: Path, text: str, plain: str) -> tuple[Project, list[str]]:
    import pyarrow as pa
    from deltalake import write_deltalake

    project = replace(create_project(folder, name="boston")[0], actor=text)
    for shift in (0.0, 1.0):
        rows = {
            "ID": [f"{text}{n}" for n in range(8)],
            text: [f"{text}{n % 2 + shift}" for n in range(8)],
            f"number {text}": [n * n + shift for n in range(8)],
            "y": [n + shift for n in range(8)],
        }
        write_deltalake(folder / "evil", pa.table(rows), mode="overwrite")
    add_table(project, "evil", folder / "evil", key=["ID"], reason=text)
    project = replace(open_project(folder), actor=text)
    runs = [_plant_run(project, text, plain, number) for number in range(3)]
    register_model(replace(project, actor="ann"), runs[0], "boston")
    gate = Gate(gate=text, passed=False, evidence=text)
    for change in (  # no lin writes such events, but who can write to the store can
        Describe(model="boston", text=text, version=1),
        Alias(model="boston", alias=text, version=1),
        Tag(model="boston", key=plain, value=text, version=1),
        Comment(model="boston", text=text, version=1),
        Approve(model="boston", version=1, reason=text),
        Stage(model="boston", version=1, stage=text, reason=text, gates=[gate], forced=True),
        Refuse(model="boston", action=text, why=text, gates=[gate]),
        Grant(model="boston", who=plain, role="reader"),
    ):
        project.store.events.append(
            lambda _, change=change: change, actor=text, email=text, op_id=new_id(), now=datetime.now(UTC)
        )
    return project, runs


def _plant_run(project: Project, text: str, plain: str, number: int) -> str:
    (project.root / "job.py").write_text(f"#{text}{number // 2}\n", encoding="utf-8")
    (project.root / "read.txt").write_text("read")
    run = begin_run(
        project,
        capture(project),
        kind="command",
        name=f"{text}{number}",
        experiment=text,
        reason=text,
        command=[text],
        params={plain: f"{text}{number}", "many": [text], "x": number},
        tags={plain: f"{text}{number}"},
    )
    for step in range(3):
        run.log_metric(plain, step + number, step=step)
    _, reference = pin_input(project, open_table(project, "evil"), 1)
    run.log_input(reference)
    run.log_artifact(b"not a model", MODEL)
    run.log_artifact(b"", "plots/" + re.sub(r"[\\/]+", "-", plain))
    with contextlib.closing(run.output()) as output:
        output.append(f"{text}\n".encode())
    run.seal("failed" if number == 2 else "finished", error=f"{text}{number}")
    return run.id
