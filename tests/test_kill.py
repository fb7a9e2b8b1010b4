"""kill -9 at any moment: what was acknowledged is there, what was not is absent or whole, and the command works again.

A command runs in a child process that kills itself at its n-th change of a file; n goes over all points, or a sample
of them where there are many. Each point meets a fresh copy of one project. delta-rs changes files where Python does
not see it: its commits are killed from outside.
"""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lin.cli.main import main
from lin.data.read import read_version
from lin.data.tables import open_table
from lin.project import open_project

RUNNER = '''
"""argv: the words of a command as JSON, a project, a folder for its copies, and how many points to try at most.

Each command runs on a copy of its own, in a fork of this process, which has imported all that is slow to import and
started no thread. It kills itself at its n-th change of a file: before it, and for a file that is opened for writing
also after that, while it is empty; in the middle, where it is an append. In copy 0 it ends by itself, which tells how
many changes there are. Prints n and the exit code for each, as JSON.
"""
import builtins, io, json, os, shutil, signal, sys

from lin.cli.main import main

words, project, place, most = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
if words[0] != "promote":
    import deltalake, duckdb, matplotlib.pyplot, pyarrow.parquet, skops.io, sklearn.linear_model

CHANGES = {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def run(words, folder, at, report):
    seen = 0

    def due():
        nonlocal seen
        seen += 1
        return seen == at

    def kill():
        os.kill(os.getpid(), signal.SIGKILL)

    def is_ours(path):
        if not isinstance(path, (str, bytes, os.PathLike)):
            return False
        return os.path.abspath(os.path.join(folder, os.fsdecode(path))).startswith(folder + os.sep)

    def hook(event, args):
        if event in CHANGES or (event == "open" and args[2] & WRITING):
            if is_ours(args[0]) and due():
                kill()

    def opener(real, is_writing):
        def opened(path, how="r", *rest, **options):
            file = real(path, how, *rest, **options)
            if is_writing(how) and is_ours(path) and due():
                kill()
            return file

        return opened

    def fsync(descriptor, real=os.fsync):
        if due():
            kill()
        return real(descriptor)

    def write(descriptor, data, real=os.write):
        if descriptor != report and due():
            real(descriptor, data[: len(data) // 2])
            kill()
        return real(descriptor, data)

    os.chdir(folder)
    sys.stdout = sys.stderr = open(os.devnull, "w")
    os.fsync, os.write = fsync, write
    os.open = opener(os.open, lambda flags: flags & WRITING)
    io.open = builtins.open = opener(io.open, lambda mode: set(mode) & set("wax+"))
    sys.addaudithook(hook)
    try:
        main(words)
    except SystemExit as ended:
        os.write(report, str(seen).encode())
        os._exit(int(ended.code or 0))
    finally:
        os._exit(99)


def fork(at):
    folder = os.path.join(place, str(at), "boston")
    shutil.copytree(project, folder)
    reader, report = os.pipe()
    child = os.fork()
    if child == 0:
        run(words, folder, at, report)
    os.close(report)
    seen = int(os.read(reader, 20) or 0)
    os.close(reader)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen


code, changes = fork(0)
points = range(1, changes + 1, max(1, changes // most))
print(json.dumps({0: code} | {at: fork(at)[0] for at in points}))
'''

BUILD = [
    ["init", "--name", "boston"],
    ["add", "housing", "housing.csv", "--key", "ID"],
    ["run", "housing"],
    ["register", "Ridge alpha=1.0", "boston"],
    ["register", "Ridge alpha=0.1", "boston"],
    ["promote", "boston@1", "production"],
    ["predict", "boston@1", "--table", "housing", "--into", "guess"],
]
EXPERIMENT = """
[experiments.housing]
table = "housing"
target = "medv"
rows = "medv is not null"

[[experiments.housing.models]]
estimator = "sklearn.linear_model.Ridge"
params = { alpha = [1.0, 0.1] }
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`housing` in two versions, three runs, `boston@1` in production, `boston@2` in no stage; and a file to add."""
    folder = tmp_path_factory.mktemp("template") / "boston"
    folder.mkdir()
    numbers = random.Random(7)
    rows = [f"{i},{numbers.random():.3f},{'' if i % 3 else i + 0.5}\n" for i in range(60)]
    (folder / "housing.csv").write_text("ID,rm,medv\n" + "".join(rows))
    (folder / "wine.csv").write_text("id,ph\n1,3.2\n2,3.1\n")
    for words in BUILD:
        if words[0] == "run":
            with (folder / "lineage.toml").open("a") as file:
                file.write(EXPERIMENT)
        assert ask(folder, *words)[0] == 0, words
    return folder


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A copy of the template."""
    return Path(shutil.copytree(template, tmp_path / "copy" / "boston"))


def ask(folder: Path, *words: str) -> tuple[int, str]:
    """Run `lin` in this process; returns its exit code and what it printed."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(io.StringIO()) as errors,
        pytest.raises(SystemExit) as ended,
    ):
        main(list(words))
    out.flush()
    return int(ended.value.code or 0), out.buffer.getvalue().decode() or errors.getvalue()  # type: ignore[attr-defined]


def ask_json(folder: Path, *words: str) -> Any:
    code, text = ask(folder, *words, "--json")
    assert code == 0, (words, text)
    return json.loads(text)


@dataclass(frozen=True)
class State:
    """All that is known about a project, as its commands tell it."""

    runs: dict[str, Any]
    stages: list[str]
    history: list[Any]
    tables: list[str]
    rows: Any

    def holds(self, before: "State") -> None:
        """Everything that was acknowledged before is here, and what came since is whole."""
        assert before.runs.items() <= self.runs.items()
        assert self.history[: len(before.history)] == before.history
        assert set(before.tables) <= set(self.tables)
        assert {run["status"] for run in self.runs.values()} <= {"finished", "failed", "interrupted", "abandoned"}


def look(folder: Path) -> State:
    """Ask a project for its state. Every command must answer, and every file that a run names must be there."""
    runs = {run["id"]: run for run in ask_json(folder, "runs", "--all")}
    tables = ask_json(folder, "tables")
    assert [table["problem"] for table in tables] == [None] * len(tables)
    project = open_project(folder)
    for run in runs.values():
        for artifact in run["artifacts"]:
            project.store.blobs.read(artifact["sha256"])
    return State(
        runs=runs,
        stages=[version["stage"] for version in ask_json(folder, "models")],
        history=ask_json(folder, "history", "housing"),
        tables=[table["name"] for table in tables],
        rows=read_version(open_table(project, "housing"))[1],
    )


def kill_at_each_change(words: list[str], template: Path, place: Path, most: int) -> dict[int, int]:
    """Run the command in copies of the template, killed at its n-th change; returns the exit code for each n."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # no threads before the fork
    command = [sys.executable, "-c", RUNNER, json.dumps(words), str(template), str(place.resolve()), str(most)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return {int(at): code for at, code in json.loads(done.stdout).items()}


@dataclass(frozen=True)
class Case:
    """A command, how many of its points are tried, and what it leaves when it is not killed.

    `commit` is the table and the version that delta-rs commits.
    """

    words: list[str]
    most: int = 100
    stages: tuple[str, str] = ("production", "none")
    versions: int = 2
    tables: tuple[str, ...] = ("housing",)
    commit: tuple[str, int] | None = None


CASES = {
    "promote": Case(["promote", "boston@2", "production"], stages=("archived", "production")),
    "restore": Case(["restore", "housing", "--version", "0"], versions=3, commit=("housing", 2)),
    "predict": Case(["predict", "boston@1", "--table", "housing", "--into", "medv"], versions=3, commit=("housing", 2)),
    "add": Case(
        ["add", "wine", "wine.csv", "--key", "id"],
        tables=("housing", "wine"),
        commit=("wine", 0),
    ),
    "run": Case(["run", "housing"], most=10),
}


MOST_SHARED = 4
"""As many changes fewer a run may make than the one whose changes were counted."""


@pytest.mark.parametrize("name", CASES)
def test_a_kill_at_any_change_of_a_file(template: Path, tmp_path: Path, name: str):
    case, before = CASES[name], look(template)
    codes = kill_at_each_change(case.words, template, tmp_path, case.most)
    assert codes.pop(0) == 0
    # two blobs of a run may come to share a folder, which is then made once: that run ends before the last kill
    assert {code for at, code in codes.items() if at <= max(codes) - MOST_SHARED} == {-signal.SIGKILL}
    assert set(codes.values()) <= {-signal.SIGKILL, 0}
    after = look(tmp_path / "0" / "boston")
    assert (after.stages, len(after.history), after.tables) == (list(case.stages), case.versions, list(case.tables))
    for at in codes:
        check(tmp_path / str(at) / "boston", case, before, after)


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        *(("restore", moment) for moment in ("openat", "write", "linkat", "unlink")),
        *(("predict", moment) for moment in ("write", "unlink")),
        *(("add", moment) for moment in ("linkat", "unlink")),
    ],
)
def test_a_kill_inside_a_commit_of_delta_rs(template: Path, project: Path, tmp_path: Path, name: str, moment: str):
    case, before = CASES[name], look(template)
    whole = Path(shutil.copytree(template, tmp_path / "whole" / "boston"))
    assert ask(whole, *case.words)[0] == 0
    kill_in_commit(project, case, moment)
    check(project, case, before, look(whole))


def kill_in_commit(folder: Path, case: Case, moment: str) -> None:
    """Kill the command in a system call of its commit; where they cannot be traced, soon after the log changes."""
    assert case.commit is not None
    table, version = case.commit
    commit = folder.resolve() / "data" / table / "_delta_log" / f"{version:020d}.json"
    command = [sys.executable, "-m", "lin", *case.words]
    if can_trace():
        paths = [f"-P{commit}", f"-P{commit}#1"]  # delta-rs writes the second, links it to the first, and unlinks it
        calls = ["-etrace=openat,write,linkat,unlink", f"-einject={moment}:signal=KILL"]
        strace = ["strace", "-f", "-qq", "-o", os.devnull, *paths, *calls]
        done = subprocess.run([*strace, *command], cwd=folder, capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        return
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    entries = set(commit.parent.glob("*"))
    while child.poll() is None and set(commit.parent.glob("*")) == entries:
        pass
    time.sleep({"openat": 0, "write": 0.0005, "linkat": 0.002, "unlink": 0.01}[moment])
    child.kill()
    child.wait()


def can_trace() -> bool:
    """Whether there is strace, and it may trace."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0


def check(folder: Path, case: Case, before: State, after: State) -> None:
    """What a kill left: the command did all or nothing, and does the rest when it is given again."""
    left = look(folder)
    left.holds(before)
    assert left.stages in (before.stages, after.stages)
    assert left.tables in (before.tables, after.tables)
    assert len(left.history) in {len(before.history), len(after.history)}
    assert left.rows.equals(before.rows if len(left.history) == len(before.history) else after.rows)
    code, text = ask(folder, *case.words)
    assert code == 0, text
    again = look(folder)
    again.holds(left)
    assert (again.stages, again.tables, len(again.history)) == (after.stages, after.tables, len(after.history))
    assert again.rows.equals(after.rows)


def test_an_import_killed_before_its_declaration_is_taken_up(project: Path):
    toml = (project / "lineage.toml").read_text()
    assert ask(project, "add", "wine", "wine.csv")[0] == 0
    (project / "lineage.toml").write_text(toml)
    assert ask(project, "add", "wine", "wine.csv")[0] == 0


def test_an_import_killed_before_its_first_commit_is_done_again(project: Path):
    (project / "data" / "wine" / "_delta_log").mkdir(parents=True)
    assert ask(project, "add", "wine", "wine.csv")[0] == 0
