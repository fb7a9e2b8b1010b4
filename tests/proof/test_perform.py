"""Recipes performed: the same inputs and results whatever is live now, and nothing live that is changed by it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from deltalake import DeltaTable, write_deltalake

from lin.data.tables import open_table
from lin.errors import NotReproducibleError
from lin.models.predict import fill_table
from lin.models.registry import find_version, read_registry
from lin.project import Project, open_project
from lin.proof.perform import Performed, choose_variables, perform
from lin.proof.recipe import read_environment, recipe_of
from lin.recipes import Mix, Recipe
from lin.records import FileRef, Pin, TableRef, decode, digest
from lin.runs.execute import run_command
from lin.runs.pinned import find_pinned
from lin.runs.query import RunInfo, list_runs, read_run
from lin.runs.writes import pin_input

OUTSIDE = """\
import os, sys
from deltalake import DeltaTable, write_deltalake
housing = DeltaTable("data/housing")
print(housing.version(), housing.to_pyarrow_table().num_rows, sys.argv[1:], open("extra.csv").read())
rows = housing.to_pyarrow_table()
write_deltalake("data/out", rows.slice(0, 3))
write_deltalake("data/out", rows.slice(0, 2), mode="append")
write_deltalake("data/housing", rows.slice(0, 4), mode="overwrite")
open("result.json", "w").write("[1]")
"""

LEAVE = "\nimport os, sys; sys.stdout.flush(); os._exit(0)"
"""Some ends of a Python that read a dataset of delta-rs are aborted by pyarrow, with lin and without."""


@pytest.fixture
def commands(fitted: Project) -> Project:
    """The project without the module that stands in for one of Python."""
    (fitted.root / "random.py").unlink()
    return fitted


def run(project: Project, *argv: str, folder: str = ".") -> RunInfo:
    run_id, _ = run_command(project, argv, folder=project.root / folder)
    return read_run(project.store, run_id)


def run_code(project: Project, code: str, *words: str) -> RunInfo:
    (project.root / "program.py").write_text(code + LEAVE)
    found = run(project, sys.executable, "program.py", *words)
    assert found.status == "finished", printed(project, found)
    return found


def again(project: Project, original: RunInfo, **changes: object) -> Performed:
    recipe = msgspec.structs.replace(recipe_of(project, original), **changes)
    return perform(project, recipe, parent=original.id)


def printed(project: Project, found: RunInfo) -> str:
    return (project.store.runs.file(found.id, "output.log") or b"").decode()


def content(project: Project, ref: TableRef) -> list[tuple[str, int]]:
    pin = decode(project.store.blobs.read(ref.pin), Pin, where="it")
    return [(file.sha256, file.bytes) for file in pin.files]


def listing(root: Path) -> dict[str, str]:
    """What is live: every file of the project but its store, by content."""
    paths = [path for path in root.rglob("*") if path.is_file() and ".lin" not in path.parts]
    return {str(path): digest(path.read_bytes()) for path in paths}


def count_runs(project: Project) -> int:
    return len(list_runs(project.store, kinds=None).runs)


def behind(project: Project, reference: str) -> RunInfo:
    return read_run(project.store, find_version(read_registry(project.store), reference).run)


# --- fits -------------------------------------------------------------------------------------------------------------


def test_a_fit_is_what_it_was_whatever_is_live_now(fitted: Project, tmp_path: Path) -> None:
    fill_table(fitted, "boston@1", open_table(fitted, "housing"), "medv")
    (fitted.root / "shift.py").write_text("SHIFT = 1000\n")
    (fitted.root / "proof_models.py").unlink()
    shutil.move(fitted.root, tmp_path / "some where")
    moved = open_project(tmp_path / "some where")
    for name in ("boston@1", "own@1"):
        original = behind(moved, name)
        before = listing(moved.root)
        done = again(moved, original)
        assert (done.run.status, done.run.kind, done.run.parent) == ("finished", "train", original.id)
        assert (done.run.artifacts, done.run.metrics, done.run.params) == (
            original.artifacts,
            original.metrics,
            original.params,
        )
        assert (done.run.inputs, done.run.source, done.run.fit) == (original.inputs, original.source, original.fit)
        assert (done.run.experiment, done.run.name, done.run.actor) == ("housing", original.name, moved.actor)
        assert done.run.recipe is not None
        kept = decode(moved.store.blobs.read(done.run.recipe), Recipe, where="recipe")
        assert kept == recipe_of(moved, original)
        assert recipe_of(moved, done.run) == kept
        assert done.drift == []
        assert listing(moved.root) == before


def test_a_cell_has_no_pictures_and_may_have_rows_of_two_versions(fitted: Project) -> None:
    original = behind(fitted, "boston@1")
    table = open_table(fitted, "housing")
    fill_table(fitted, "boston@1", table, "medv")
    other = pin_input(fitted, table, 1)[1]
    base = original.table_inputs[0]
    results = {}
    for parts in ([], ["updated"]):
        mix = Mix(base=base, other=other, key=["ID"], parts=parts)
        recipe = msgspec.structs.replace(recipe_of(fitted, original), tables=[mix])
        done = perform(fitted, recipe, parent=original.id, kind="cell")
        assert (done.run.status, done.run.kind, done.run.inputs) == ("finished", "cell", [base, other])
        assert not [artifact.path for artifact in done.run.artifacts if artifact.path.endswith(".png")]
        results[len(parts)] = done.run.metrics
    assert results[0] == original.metrics
    assert results[1] != original.metrics


def test_a_fit_that_fails_is_a_failed_run(fitted: Project) -> None:
    original = behind(fitted, "boston@1")
    assert original.fit is not None
    wrong = msgspec.structs.replace(original.fit, target="mdev")
    done = again(fitted, original, fit=wrong)
    assert done.run.status == "failed"
    assert "mdev" in (done.run.error or "")


def test_nothing_runs_where_the_rows_are_not_what_they_were(fitted: Project) -> None:
    original = behind(fitted, "boston@1")
    table = open_table(fitted, "housing")
    path = table.root / table.log.snapshot().files[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    before = count_runs(fitted)
    with pytest.raises(NotReproducibleError, match=r"Ridge alpha=0.1 cannot be re-run: data file .* was altered"):
        again(fitted, original)
    assert count_runs(fitted) == before


def test_nothing_runs_where_source_is_gone(fitted: Project) -> None:
    original = behind(fitted, "own@1")
    sha256 = digest(b"SHIFT = 1\n")
    (fitted.store_root / "blobs" / sha256[:2] / sha256).unlink()
    with pytest.raises(NotReproducibleError, match=r"source file shift.py is gone from the store"):
        again(fitted, original)


# --- commands ---------------------------------------------------------------------------------------------------------


def test_a_program_gets_its_tables_and_files_as_they_were(commands: Project, tmp_path: Path) -> None:
    (commands.root / "extra.csv").write_text("a\n1\n")
    original = run_code(commands, OUTSIDE, "x")
    first = original.table_inputs[0]
    assert (first.version, [ref.version for ref in original.table_outputs]) == (0, [0, 1, 1])

    (commands.root / "extra.csv").write_text("a\n2\n")
    (commands.root / "program.py").write_text("raise SystemExit(3)\n")
    shutil.rmtree(commands.root / "data/out")
    shutil.move(commands.root, tmp_path / "else")
    moved = open_project(tmp_path / "else")
    before = listing(moved.root)
    done = again(moved, original)
    assert (done.run.status, done.run.exit_code, done.run.kind) == ("finished", 0, "command")
    assert listing(moved.root) == before
    assert printed(moved, done.run) == printed(moved, original) == "0 45 ['x'] a\n1\n\n"
    assert done.run.inputs == original.inputs
    assert done.run.file_outputs == original.file_outputs
    names = [(ref.table, ref.location, ref.version, ref.rows) for ref in done.run.table_outputs]
    assert names == [(ref.table, ref.location, ref.version, ref.rows) for ref in original.table_outputs]
    assert [content(moved, ref) for ref in done.run.table_outputs] == [
        content(moved, ref) for ref in original.table_outputs
    ]
    assert (done.run.source, done.run.command, done.run.folder) == (
        original.source,
        [sys.executable, "program.py", "x"],
        ".",
    )


BY_THE_API = """\
import lin
rows = lin.read_table("housing")
early = lin.read_table("housing", version=0)
with lin.start_run():
    lin.log_metric("rows", rows.num_rows)
    lin.log_param("nulls", early["medv"].null_count)
print(lin.write_table("made", rows.slice(0, 7), key="ID"), lin.write_table("housing", rows.slice(0, 5)))
"""


def test_a_program_that_reads_and_writes_by_the_api(commands: Project) -> None:
    fill_table(commands, "boston@1", open_table(commands, "housing"), "medv")
    original = run_code(commands, BY_THE_API)
    live = open_project(commands.root)
    before = listing(live.root)
    done = again(live, original)
    assert listing(live.root) == before
    assert printed(live, done.run) == printed(live, original) == "0 2\n"
    assert (done.run.metrics, done.run.params) == (original.metrics, original.params)
    assert (done.run.metrics["rows"], done.run.params["nulls"]) == (45, 15)
    assert done.run.inputs == original.inputs
    assert {ref.version for ref in done.run.table_inputs} == {0, 1}
    assert [ref.location for ref in done.run.table_outputs] == ["../data/made", "../data/housing"]
    assert [content(live, ref) for ref in done.run.table_outputs] == [content(live, r) for r in original.table_outputs]


ABSOLUTE = """\
import json, os, pathlib, sys
import pandas
from deltalake import DeltaTable, write_deltalake
root = pathlib.Path(sys.argv[1])
shared = sys.argv[2].partition("=")[2]
print(open(root / "extra.csv").read(), pandas.read_csv(f"{root}/extra.csv").a[0], os.path.getsize(root / "extra.csv"))
print(len(pandas.read_parquet(root / "more.parquet")), (root / "more.parquet").exists(), os.listdir(root / "given"))
print(DeltaTable(f"{root}/data/housing").to_pyarrow_table().num_rows, DeltaTable(shared).to_pyarrow_table().num_rows)
print(DeltaTable("../shared").version(), DeltaTable.is_deltatable(f"{root}/data/housing"))
os.makedirs(root / "made", exist_ok=True)
(root / "made" / "one.json").write_text("1")
os.replace(root / "made/one.json", root / "made/two.json")
pandas.DataFrame({"a": [1]}).to_parquet(f"{root}/made/three.parquet")
write_deltalake(shared, DeltaTable(shared).to_pyarrow_table(), mode="append")
write_deltalake(root / "data/fresh", DeltaTable(shared).to_pyarrow_table())
"""


def test_absolute_paths_and_a_table_outside_the_project(commands: Project) -> None:
    import pandas as pd

    root, shared = commands.root, commands.root.parent / "shared"
    (root / "extra.csv").write_text("a\n1\n")
    (root / "given").mkdir()
    (root / "given/one.txt").write_text("1")
    pd.DataFrame({"q": [1, 2]}).to_parquet(root / "more.parquet")
    write_deltalake(shared, DeltaTable(root / "data/housing").to_pyarrow_table().slice(0, 9))
    original = run_code(commands, ABSOLUTE, str(root), f"--table={shared}")
    assert sorted({ref.location for ref in original.table_inputs}) == ["../../shared", "../data/housing"]

    (root / "extra.csv").write_text("a\n2222\n")
    (root / "given/two.txt").write_text("2")
    pd.DataFrame({"q": [1]}).to_parquet(root / "more.parquet")
    shutil.rmtree(root / "made")
    shutil.rmtree(root / "data/fresh")
    before = listing(root.parent)
    done = again(commands, original)
    assert done.run.status == "finished", printed(commands, done.run)
    assert listing(root.parent) == before
    root_in_scratch = printed(commands, done.run)
    assert root_in_scratch == printed(commands, original)
    assert done.run.inputs == original.inputs
    assert [(ref.location, ref.version) for ref in done.run.table_outputs] == [
        ("../../shared", 1),
        ("../data/fresh", 0),
    ]
    assert done.run.file_outputs == original.file_outputs
    assert [ref.path for ref in done.run.file_outputs] == ["made/two.json", "made/three.parquet"]


def test_a_table_is_as_it_was_when_its_log_was_cleaned_up(commands: Project) -> None:
    code = "from deltalake import DeltaTable\nt = DeltaTable('data/housing')\nprint(t.version(), t.to_pyarrow_table())"
    fill_table(commands, "boston@1", open_table(commands, "housing"), "medv")
    original = run_code(commands, code)
    fill_again = DeltaTable(commands.root / "data/housing")
    write_deltalake(fill_again, fill_again.to_pyarrow_table().slice(0, 3), mode="overwrite")
    DeltaTable(commands.root / "data/housing").create_checkpoint()
    for version in (0, 1):
        (commands.root / f"data/housing/_delta_log/{version:020d}.json").unlink()
    done = again(commands, original)
    assert printed(commands, done.run) == printed(commands, original)
    inputs = [[msgspec.structs.replace(read, commit=None) for read in run.inputs] for run in (done.run, original)]
    assert inputs[0] == inputs[1]  # the log of the copy was written anew


def test_what_a_program_appended_to_is_there_again(commands: Project) -> None:
    code = (
        "from deltalake import *\nrows = DeltaTable('data/housing').to_pyarrow_table()\n"
        "write_deltalake('data/kept', rows, mode='append')"
    )
    (commands.root / ".gitignore").write_text("data\n")
    run_code(commands, code)
    original = run_code(commands, code)
    assert [ref.version for ref in original.table_outputs] == [1]
    run_code(commands, code)
    done = again(commands, original)
    assert [(ref.version, ref.rows) for ref in done.run.table_outputs] == [(1, 90)]
    assert [content(commands, ref) for ref in done.run.table_outputs] == [
        content(commands, ref) for ref in original.table_outputs
    ]


def test_a_program_that_fails_is_a_failed_run(commands: Project) -> None:
    (commands.root / "program.py").write_text("import os, sys; print(os.getcwd() + sys.stdin.read()); sys.exit(3)")
    original = run(commands, sys.executable, f"{commands.root}/program.py")
    (commands.root / "program.py").write_text("")
    done = again(commands, original)
    assert (done.run.status, done.run.exit_code, done.run.parent) == ("failed", 3, original.id)
    folder = Path(printed(commands, done.run).rstrip("\n"))
    assert folder.name == commands.root.name
    assert folder != commands.root
    assert not folder.exists()


INTERRUPTED = """\
import sys
from pathlib import Path
from lin.project import open_project
from lin.proof.perform import perform
from lin.proof.recipe import recipe_of
from lin.runs.query import read_run
project = open_project(Path(sys.argv[1]))
run = read_run(project.store, sys.argv[2])
perform(project, recipe_of(project, run), parent=run.id)
"""


def test_an_interrupt_leaves_no_folder(commands: Project, tmp_path: Path) -> None:
    (commands.root / "slow.py").write_text(
        "import os, time\nif 'SLOW' in os.environ:\n  open('go', 'w'); time.sleep(60)"
    )
    original = run(commands, sys.executable, "slow.py")
    folder = tmp_path / "temporary"
    folder.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, commands.root, original.id],
        env=dict(os.environ) | {"TMPDIR": str(folder), "SLOW": "1"},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while not list(folder.glob("lin-rerun-*/**/go")) and time.monotonic() < end:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGINT)
    _, complaint = child.communicate(timeout=60)
    assert b"KeyboardInterrupt" in complaint
    assert list(folder.iterdir()) == []
    (newest, *_) = list_runs(commands.store, kinds=None).runs
    assert (newest.status, newest.parent) == ("interrupted", original.id)


def test_rows_of_two_versions_are_a_version_of_their_own(commands: Project) -> None:
    code = (
        "from deltalake import *\nt = DeltaTable('data/housing')\nprint(t.version(), t.to_pandas().medv.isna().sum())"
    )
    original = run_code(commands, code)
    assert printed(commands, original) == "0 15\n"
    table = open_table(commands, "housing")
    fill_table(commands, "boston@1", table, "medv")
    mix = Mix(base=original.table_inputs[0], other=pin_input(commands, table, 1)[1], key=["ID"], parts=["updated"])
    done = again(commands, original, tables=[mix])
    assert printed(commands, done.run) == "1 0\n"
    assert table.log.head() == 1
    assert DeltaTable(table.root, version=0).to_pandas().medv.isna().sum() == 15


def test_what_lay_in_a_scratch_folder_is_held_for_nobody(commands: Project) -> None:
    code = "from deltalake import *\nwrite_deltalake('data/out', DeltaTable('data/housing').to_pyarrow_table())"
    original = run_code(commands, code)
    fill_table(commands, "boston@1", open_table(commands, "housing"), "medv")
    (base,) = original.table_inputs
    _, other = pin_input(commands, open_table(commands, "housing"))
    before = find_pinned(commands.store)
    again(commands, original)
    again(commands, original, tables=[Mix(base=base, other=other, key=["ID"], parts=["updated"])])
    after = find_pinned(commands.store)
    assert after.damaged == []
    assert [v.reference for v in after.versions] == [v.reference for v in before.versions]
    assert [len(v.runs) for v in after.versions if v.reference == "housing@0"] == [
        len(v.runs) + 2 for v in before.versions if v.reference == "housing@0"
    ]


def test_a_file_that_was_only_hashed_and_is_otherwise_now(commands: Project) -> None:
    (commands.root / ".gitignore").write_text("data\nraw\n")
    (commands.root / "raw").mkdir()
    raw = commands.root / "raw/a.csv"
    raw.write_text("a\n1\n")
    original = run_code(commands, "print(open('raw/a.csv').read())")
    assert original.file_inputs == [FileRef(path="raw/a.csv", sha256=digest(b"a\n1\n"), bytes=4)]
    assert printed(commands, again(commands, original).run) == printed(commands, original)

    raw.write_text("a\n2\n")
    before = count_runs(commands)
    with pytest.raises(NotReproducibleError, match=r"input file raw/a.csv was edited since"):
        again(commands, original)
    raw.unlink()
    with pytest.raises(NotReproducibleError, match=r"input file raw/a.csv is gone"):
        again(commands, original)
    assert count_runs(commands) == before
    commands.store.blobs.put(b"a\n1\n")
    assert printed(commands, again(commands, original).run) == printed(commands, original)


def test_a_table_whose_files_are_gone(commands: Project) -> None:
    original = run_code(commands, "from deltalake import *; DeltaTable('data/housing').to_pyarrow_table()")
    table = open_table(commands, "housing")
    (table.root / table.log.snapshot().files[0].path).unlink()
    before = count_runs(commands)
    with pytest.raises(NotReproducibleError, match=r"data file .* of table 'housing' is missing"):
        again(commands, original)
    assert count_runs(commands) == before


def test_other_programs_other_folders_and_links(commands: Project) -> None:
    folder = commands.root / "below/here"
    folder.mkdir(parents=True)
    script = commands.root / "below/go.sh"
    script.write_text("#!/bin/sh\npwd | tail -c 11; read line; echo got $line; cat ../a.txt\n")
    script.chmod(0o755)
    (commands.root / "below/a.txt").write_text("old\n")
    original = run(commands, "../go.sh", folder="below/here")
    script.write_text("#!/bin/sh\nexit 9\n")
    (commands.root / "below/a.txt").write_text("new\n")
    shutil.rmtree(folder)
    done = again(commands, original)
    assert printed(commands, done.run) == "below/here\ngot\nold\n"
    assert (done.run.folder, done.run.command, done.run.name) == ("below/here", ["../go.sh"], "go.sh")

    elsewhere = commands.root.parent / "elsewhere"
    shutil.move(commands.root / "data", elsewhere)
    (commands.root / "data").symlink_to(elsewhere)
    linked = run_code(commands, "import lin; print(lin.read_table('housing').num_rows)")
    assert linked.table_inputs[0].location == "../../elsewhere/housing"
    done = again(commands, linked)
    assert (printed(commands, done.run), done.run.inputs) == ("45\n", linked.inputs)


def test_modules_that_are_installed_as_editable_are_those_of_then(
    commands: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (commands.root / "src").mkdir()
    (commands.root / "src/mine.py").write_text("print('old')\n")
    monkeypatch.setenv("PYTHONPATH", str(commands.root / "src"))
    original = run_code(commands, "import mine")
    (commands.root / "src/mine.py").write_text("print('new')\n")
    assert printed(commands, again(commands, original).run) == "old\n"


def test_a_program_in_an_environment_made_anew(
    commands: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIN_CACHE", str(tmp_path / "cache"))
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (commands.root / "program.py").write_text(
        "import os, subprocess, sys\nprint(sys.prefix)\n"
        "print(subprocess.run(['python', '-c', 'import sys; print(sys.prefix)'], stdout=-1, text=True).stdout)\n"
        "print(os.environ.get('VIRTUAL_ENV'))\nopen('a.json', 'w')"
    )
    original = run(commands, str(venv / "bin/python"), "program.py")
    assert original.status == "finished"
    shutil.rmtree(venv)
    done = again(commands, original)
    told = printed(commands, done.run).split()
    assert done.run.status == "finished", told
    assert told == [told[0]] * 3
    assert Path(told[0]).is_relative_to(tmp_path / "cache")
    assert done.run.environment == original.environment
    assert done.run.command == original.command
    assert done.run.file_outputs == original.file_outputs


def test_a_program_that_is_not_there(commands: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "bin/tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    original = run(commands, "tool")
    tool.unlink()
    with pytest.raises(NotReproducibleError, match="tool cannot be re-run: there is no program 'tool'"):
        again(commands, original)


# --- variables and threads --------------------------------------------------------------------------------------------


def recipe(threads: dict[str, int], **variables: str) -> Recipe:
    return Recipe(kind="train", name="it", threads=threads, variables=variables)


@pytest.mark.parametrize(
    ("threads", "variables", "chosen"),
    [
        ({}, {}, {}),
        ({"openblas": 2, "openmp": 2}, {}, {}),
        ({"openblas": 1, "openmp": 2}, {}, {"OPENBLAS_NUM_THREADS": "1"}),
        ({"openblas": 2, "openmp": 1}, {}, {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "2"}),
        ({"openblas": 1, "openmp": 1}, {}, {"OMP_NUM_THREADS": "1"}),
        ({"openblas": 1, "openmp": 1}, {"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "1"}),
        ({"openblas": 3}, {"OPENBLAS_NUM_THREADS": "8"}, {"OPENBLAS_NUM_THREADS": "8"}),
        ({"vecLib": 3}, {"TZ": "UTC"}, {"TZ": "UTC"}),
    ],
)
def test_threads_are_told_where_they_would_be_others(
    threads: dict[str, int], variables: dict[str, str], chosen: dict[str, str]
) -> None:
    given = {"PATH": "/bin", "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "5"}
    assert choose_variables(recipe(threads, **variables), given, 2) == {"PATH": "/bin"} | chosen


def test_a_command_has_the_variables_of_its_recipe_alone(commands: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "11")
    code = "import os; print(os.environ.get('PYTHONHASHSEED'), os.environ.get('OMP_NUM_THREADS'))"
    original = run_code(commands, code)
    monkeypatch.setenv("PYTHONHASHSEED", "12")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    done = again(commands, original)
    assert printed(commands, done.run) == "11 None\n"
    environment = read_environment(commands, done.run)
    assert environment is not None
    assert environment.variables == {k: v for k, v in environment.variables.items() if k != "OMP_NUM_THREADS"}
    assert environment.variables["PYTHONHASHSEED"] == "11"
