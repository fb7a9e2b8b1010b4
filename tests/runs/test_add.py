"""Adding tables: an import is a run, an adoption a declaration, and a refusal leaves no trace of a table."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from lin.data.history import read_history
from lin.data.read import read_version
from lin.data.tables import open_table
from lin.errors import ConflictError, NotFoundError, OutsideError, UsageError
from lin.project import Project, open_project
from lin.runs.add import Added, add_table
from lin.runs.query import RunInfo

EveryRun = Callable[..., list[RunInfo]]


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "homes.csv"
    path.write_text("ID,rm,medv\n1,6.5,24.0\n2,5.25,\n3,7,30.5\n")
    return path


@pytest.fixture
def delta(project: Project) -> Path:
    from deltalake import write_deltalake

    root = project.root / "lake" / "sales"
    root.parent.mkdir()
    write_deltalake(root, pa.table({"id": [1, 2], "v": ["a", "b"]}))
    return root


def test_an_import_is_a_recorded_run_and_a_declared_table(project: Project, csv: Path, every_run: EveryRun) -> None:
    added = add_table(project, "housing", csv, key=["ID"], reason="first data")
    (run,) = every_run(project)
    assert added == Added(
        name="housing",
        path="data/housing",
        key=["ID"],
        version=0,
        rows=3,
        columns=3,
        imported=True,
        run=run.id,
        log_retention=None,
    )
    opened = open_project(project.root)
    table = open_table(opened, "housing")
    assert table.key == ("ID",)
    assert read_version(table)[1].to_pydict() == {"ID": [1, 2, 3], "rm": [6.5, 5.25, 7.0], "medv": [24.0, None, 30.5]}
    assert (run.kind, run.status, run.reason, run.params) == ("import", "finished", "first data", {"source": csv.name})
    (written,) = run.outputs
    assert (written.table, written.version, written.rows) == ("housing", 0, 3)
    assert project.store.blobs.size(written.pin)
    (commit,) = read_history(table)
    assert (commit.run, commit.user, commit.reason, commit.model) == (run.id, "ann", "first data", None)


def test_an_import_says_where_it_came_from_by_itself(project: Project, csv: Path, every_run: EveryRun) -> None:
    added = add_table(project, "housing", csv, order=["rm"], path="tables/h")
    assert (added.path, added.key) == ("tables/h", [])
    assert every_run(project)[0].reason == "imported from homes.csv"
    table = open_table(open_project(project.root), "housing")
    assert read_version(table)[1].column("ID").to_pylist() == [2, 1, 3]


def test_a_delta_table_is_adopted_as_it_is(project: Project, delta: Path, every_run: EveryRun) -> None:
    before = sorted(delta.rglob("*"))
    added = add_table(project, "sales", delta, key=["id"])
    assert (added.path, added.version, added.rows, added.columns) == ("lake/sales", 0, 2, 2)
    assert (added.imported, added.run) == (False, None)
    assert every_run(project) == []
    assert sorted(delta.rglob("*")) == before
    assert open_project(project.root).config.tables["sales"].path == "lake/sales"


def test_adding_the_same_again_changes_nothing(project: Project, delta: Path) -> None:
    first = add_table(project, "sales", delta, key=["id"])
    text = (project.root / "lineage.toml").read_text()
    assert add_table(open_project(project.root), "sales", delta) == first
    assert (project.root / "lineage.toml").read_text() == text


def refuse(project: Project, kind: type[Exception], message: str, *arguments: object, **options: object) -> None:
    before = (project.root / "lineage.toml").read_text()
    with pytest.raises(kind, match=message):
        add_table(open_project(project.root), *arguments, **options)  # type: ignore[arg-type]
    assert (project.root / "lineage.toml").read_text() == before


def test_refusals_leave_no_table_and_no_declaration(project: Project, csv: Path, every_run: EveryRun) -> None:
    refuse(project, UsageError, "cannot name a table", "../x", csv)
    refuse(project, NotFoundError, "there is no file or folder", "housing", csv.with_name("no.csv"))
    assert every_run(project) == []
    refuse(project, UsageError, "no column 'Id'", "housing", csv, key=["Id"])
    csv.write_text("ID,a\n1,2\n1,3\n")
    refuse(project, UsageError, "not unique", "housing", csv, key=["ID"])
    csv.write_text("ID,a\n1\n")
    refuse(project, UsageError, "line 2", "housing", csv)
    assert not (project.root / "data").exists()
    assert every_run(project) == []


def test_short_rows_are_filled_when_asked(project: Project, csv: Path) -> None:
    csv.write_text("ID,a\n1\n2,5\n")
    assert add_table(project, "housing", csv, fill_short_rows=True).rows == 2


def test_a_table_that_exists_is_not_overwritten(project: Project, csv: Path, every_run: EveryRun) -> None:
    add_table(project, "housing", csv, key=["ID"])
    files = sorted((project.root / "data").rglob("*"))
    again = add_table(open_project(project.root), "housing", csv)  # the same rows: nothing to do
    assert (again.version, again.imported, again.run) == (0, False, None)
    csv.write_text(csv.read_text() + "9,9,9\n")
    refuse(project, ConflictError, "a Delta table in data/housing already", "housing", csv)
    refuse(project, ConflictError, "a Delta table in data/housing already", "other", csv, path="data/housing")
    assert sorted((project.root / "data").rglob("*")) == files
    assert len(every_run(project)) == 1


def test_another_declaration_is_refused_before_anything_is_written(
    project: Project, csv: Path, every_run: EveryRun
) -> None:
    with (project.root / "lineage.toml").open("a") as file:
        file.write('[tables.housing]\npath = "data/housing"\nkey = ["ID"]\n')
    for options in ({"key": ["rm"]}, {"order": ["rm"]}, {"path": "elsewhere"}):
        refuse(project, ConflictError, "declares table 'housing' otherwise", "housing", csv, **options)
    assert not (project.root / "data").exists()
    assert not (project.root / "elsewhere").exists()
    assert every_run(project) == []
    assert add_table(open_project(project.root), "housing", csv).key == ["ID"]


def test_a_folder_that_is_no_table_is_refused(project: Project, delta: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    refuse(project, NotFoundError, "not a Delta table", "sales", empty)
    refuse(project, UsageError, "no column 'x'", "sales", delta, key=["x"])
    refuse(project, UsageError, "--path is for imports", "sales", delta, path="data/sales")


def test_an_adopted_table_that_forgets_is_told_and_changed_only_when_asked(
    project: Project, delta: Path, every_run: EveryRun
) -> None:
    from deltalake import DeltaTable

    added = add_table(project, "sales", delta)
    assert (added.log_retention, added.run, added.version) == ("interval 30 days", None, 0)
    assert every_run(project) == []
    project = open_project(project.root)
    kept = add_table(project, "sales", delta, keep_log=True)
    (run,) = every_run(project)
    assert (kept.log_retention, kept.run, kept.version, kept.imported) == (None, run.id, 1, False)
    assert (run.status, run.name, run.reason) == ("finished", "keep the log of sales", "old versions are to stay")
    assert [output.version for output in run.outputs] == [1]
    assert DeltaTable(delta).metadata().configuration == {"delta.enableExpiredLogCleanup": "false"}
    commit = read_history(open_table(project, "sales"))[-1]
    assert (commit.operation, commit.run, commit.user) == ("SET TBLPROPERTIES", run.id, "ann")
    assert read_version(open_table(project, "sales"))[1].num_rows == 2
    again = add_table(project, "sales", delta, keep_log=True)  # nothing is left to do
    assert (again.run, again.version) == (None, 1)


def test_a_table_that_lin_does_not_write_to_is_adopted_without_keep_log_only(project: Project, delta: Path) -> None:
    from deltalake import DeltaTable

    DeltaTable(delta).alter.set_table_properties({"delta.appendOnly": "true"})
    with pytest.raises(OutsideError, match="append-only"):
        add_table(project, "sales", delta, keep_log=True)
    assert "sales" not in open_project(project.root).config.tables
    assert add_table(project, "sales", delta).version == 1


def test_folders_that_differ_in_case_alone_are_refused(project: Project, csv: Path) -> None:
    add_table(project, "Foo", csv)
    project = open_project(project.root)
    with pytest.raises(ConflictError, match="'data/foo' and 'data/Foo' of table 'Foo' are one folder"):
        add_table(project, "foo", csv)
    assert [path.name for path in (project.root / "data").iterdir()] == ["Foo"]
    add_table(project, "Foo", csv)
