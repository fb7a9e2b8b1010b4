"""A project with a table, fits, a program, a model and an index, and a folder outside of it that nothing may touch."""

import contextlib
import hashlib
import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from lin.cli.main import main

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


@pytest.fixture
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
