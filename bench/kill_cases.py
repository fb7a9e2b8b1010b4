"""The commands that are killed, the project that they are given in, and how they are given."""

import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from lin.cli.main import main as lin
from lin.events import Delete
from lin.project import open_project

ESTIMATOR = "sklearn.linear_model.Ridge"
TRAIN = ["train", "--table", "housing", "--target", "medv", "--rows", "medv is not null", "--model", ESTIMATOR]
SPARE, GONE = "Ridge alpha=7.0", "Ridge alpha=8.0"
EXPERIMENT = f"""
[experiments.housing]
table = "housing"
target = "medv"
rows = "medv is not null"

[[experiments.housing.models]]
estimator = "{ESTIMATOR}"
params = {{ alpha = [1.0, 0.1] }}
"""
PROGRAM = """
import lin
with lin.start_run("inner"):
    lin.log_metric("rmse", 1.5)
    lin.log_param("depth", 3)
open("made.txt", "w").write("made")
"""
APPEND = """
import lin, pandas
lin.write_table("small", pandas.DataFrame({"id": [3], "ph": [3.0]}), mode="append")
"""
WRITE = """
import lin, pandas
lin.write_table("notes", pandas.DataFrame({"id": [1, 2], "text": ["a", "b"]}))
"""
LOG = f"{sys.executable} -m lin log metric rmse=1.5 && {sys.executable} -m lin log artifact wine.csv"
SIGNED = """
[security]
sign = true
signers = "signers"
trusted = "{event}:{sha256}"
"""
BUILD: list[list[str]] = [
    ["init", "--name", "boston"],
    ["add", "housing", "housing.csv", "--key", "ID"],
    ["run", "housing"],
    ["register", "Ridge alpha=1.0", "boston"],
    ["register", "Ridge alpha=0.1", "boston"],
    ["promote", "boston@1", "production"],
    ["predict", "boston@1", "--table", "housing", "--into", "guess"],
    ["export", "boston@1", "folder"],
    ["export", "boston@2", "older"],
    [*TRAIN, "-P", "alpha=7.0"],
    [*TRAIN, "-P", "alpha=8.0"],
    ["delete", GONE],
    ["add", "small", "wine.csv", "--key", "id"],
    ["index"],
]


@dataclass(frozen=True)
class Case:
    """A command, what comes before it in the project, and who gives it.

    `damage` if the store has faults before it, and `in_parts` if it makes several files, each of them whole.
    """

    words: list[str]
    prepare: list[list[str]] = field(default_factory=list)
    is_python: bool = False
    damage: bool = False
    actor: str = "ann"
    in_parts: bool = False


CASES = {
    "init": Case(["init", "--name", "fresh"]),
    "add": Case(["add", "wine", "wine.csv", "--key", "id"]),
    "add-parquet": Case(["add", "wine", "wine.parquet"]),
    "adopt": Case(["add", "wine", "foreign", "--keep-log"]),
    "run": Case(["run", "housing"]),
    "run-jobs": Case(["run", "housing", "--jobs", "2"]),
    "program": Case(["run", "--", sys.executable, "prog.py"]),
    "train": Case([*TRAIN, "-P", "alpha=3.0"]),
    "register": Case(["register", SPARE, "boston"]),
    "promote": Case(["promote", "boston@2", "production"]),
    "alias": Case(["alias", "boston@2", "champion"]),
    "tag": Case(["tag", "boston@2", "reviewed=yes"]),
    "comment": Case(["comment", "boston@2", "looks good"]),
    "approve": Case(["approve", "boston@2", "-m", "fine"], actor="bob"),
    "grant": Case(["grant", "boston", "ann", "owner"]),
    "rollback": Case(["rollback", "boston", "--to", "1", "--tables"], prepare=[["promote", "boston@2", "production"]]),
    "restore": Case(["restore", "housing", "--version", "0"]),
    "vacuum": Case(["vacuum", "small", "--yes", "--orphans"], prepare=[["!orphan"]]),
    "delete": Case(["delete", SPARE]),
    "undo": Case(["delete", "--undo", "ID OF " + GONE]),
    "gc": Case(["gc", "--yes"]),
    "export": Case(["export", "boston@1", "fresh"]),
    "export-zip": Case(["export", "boston@1", "fresh.zip"]),
    "export-force": Case(["export", "boston@1", "older", "--force"]),
    "import": Case(["import", "folder", "other"]),
    "predict": Case(["predict", "boston@1", "--table", "housing", "--into", "medv"]),
    "predict-file": Case(["predict", "boston@1", "--table", "housing", "--output", "out.csv"]),
    "rerun": Case(["rerun", "boston@1", "--yes"]),
    "index": Case(["index", "--rebuild"]),
    "write-table": Case([WRITE], is_python=True),
    "append-rows": Case([APPEND], is_python=True),
    "repair": Case(["fsck", "--repair", "--yes", "--read-data"], damage=True),
    "seal": Case(["seal"]),
    "promote-signed": Case(["promote", "boston@2", "production"], prepare=[["!sign"]]),
    "import-zip": Case(["import", "folder.zip", "other"], prepare=[["export", "boston@1", "folder.zip"]]),
    "log": Case(["run", "--", "sh", "-c", LOG]),
    "artifacts": Case(["artifacts", SPARE, "--to", "got"], in_parts=True),
}


def make_key(place: Path) -> None:
    """A key that signs for all who give commands."""
    key = place / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f", str(key)], check=True)
    os.environ["LIN_SIGNING_KEY"] = str(key)


def build(folder: Path) -> Path:
    """A project in which each of the commands has something to do."""
    folder.mkdir(parents=True)
    numbers = random.Random(7)
    rows = [f"{i},{numbers.random():.3f},{'' if i % 3 else i + 0.5}\n" for i in range(60)]
    (folder / "housing.csv").write_text("ID,rm,medv\n" + "".join(rows))
    (folder / "wine.csv").write_text("id,ph\n1,3.2\n2,3.1\n")
    (folder / "prog.py").write_text(PROGRAM)
    os.environ["LIN_ACTOR"] = "ann"
    for words in BUILD:
        if words[0] == "run":
            with (folder / "lineage.toml").open("a") as file:
                file.write(EXPERIMENT)
        code, said = ask(folder, *words)
        if code:
            sys.exit(f"lin {' '.join(words)}: {said}")
    import deltalake
    import pyarrow as pa
    import pyarrow.parquet as pq

    wine = pa.table({"id": [1, 2], "ph": [3.2, 3.1]})
    pq.write_table(wine, folder / "wine.parquet")
    deltalake.write_deltalake(folder / "foreign", wine)
    return folder


def copy(prepared: Path, to: Path) -> Path:
    """A copy of the project as it is before the command. What fsck remembers of another copy goes."""
    os.environ["LIN_ACTOR"] = "ann"
    shutil.rmtree(Path(os.environ["XDG_CACHE_HOME"], "lin"), ignore_errors=True)
    return Path(shutil.copytree(prepared, to / "boston"))


def prepare(name: str, template: Path, to: Path) -> Path:
    """The project as it is before the command."""
    case, folder = CASES[name], to / "boston"
    if name == "init":
        folder.mkdir(parents=True)
        return folder
    shutil.copytree(template, folder)
    for words in case.prepare:
        if words == ["!orphan"]:
            orphan = folder / "data/small/part-00000-1f0b8d5c-9b7f-4f4e-8f3a-2d3c4b5a6978-c000.snappy.parquet"
            orphan.write_bytes(b"left")
            os.utime(orphan, (0, 0))
        elif words == ["!sign"]:
            begin_signing(folder)
        elif ask(folder, *words)[0]:
            sys.exit(f"{name}: {words}: {ask(folder, *words)}")
    if case.damage:
        (folder / ".lin/events/notes.txt").write_text("a stray")
        (folder / ".lin/stray").write_text("a stray")
        with next(file for file in (folder / ".lin/blobs").rglob("*") if is_program(file)).open("ab") as blob:
            blob.write(b"rot")
    return folder


def begin_signing(folder: Path) -> None:
    """From now on events are signed, and those that are not count for nothing."""
    public = Path(os.environ["LIN_SIGNING_KEY"]).with_suffix(".pub").read_text()
    (folder / "signers").write_text(f'ann namespaces="lin" {public}')
    seal = json.loads(ask(folder, "seal", "--json")[1])
    with (folder / "lineage.toml").open("a") as file:
        file.write(SIGNED.format(**seal))


def is_program(file: Path) -> bool:
    return file.is_file() and file.read_bytes() == PROGRAM.encode()


def ask(folder: Path, *words: str) -> tuple[int, str]:
    """Run `lin` in this process; returns its exit code and what it printed."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    code = 99
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            lin(list(words))
        except SystemExit as ended:
            code = int(ended.code or 0)
    out.flush()
    return code, out.buffer.getvalue().decode()  # type: ignore[attr-defined]


def do(folder: Path, case: Case) -> tuple[int, str]:
    """Run the case's command in this process, or a Python program in one of its own."""
    os.environ["LIN_ACTOR"] = case.actor
    if not case.is_python:
        return ask(folder, *case.words)
    done = subprocess.run([sys.executable, "-c", *case.words], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def name_runs(words: list[str], folder: Path) -> list[str]:
    """The words with the id of the run that was deleted in place of its name: only an id names it by now."""
    changes = [event.change for event in open_project(folder).store.events.read()]
    deleted = [change.run for change in changes if isinstance(change, Delete)]
    return [deleted[0] if word.startswith("ID OF") else word for word in words]
