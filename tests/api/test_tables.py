"""Tables from Python: what is read is pinned and checked, what is written is a version with the run's id in it."""

import gc
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake

import lin
from lin.data.tables import Table, open_table
from lin.errors import ConflictError, NotFoundError, OutsideError, UsageError
from lin.lineage.collect import collect
from lin.lineage.delete import delete_runs
from lin.project import Project, open_project
from lin.runs.query import RunInfo, list_runs

Only = Callable[[], RunInfo]
Runs = Callable[[], list[RunInfo]]
FRAME = pd.DataFrame({"ID": [1, 2, 3], "x": [0.5, None, 1.5], "name": ["a", "b", None]})


def table(project: Project, name: str) -> Table:
    return open_table(open_project(project.root), name)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_table_that_is_read_is_an_input_of_the_run(here: Project, only: Only) -> None:
    with lin.start_run():
        rows = lin.read_table("housing")
        assert lin.read_table("housing", version=0).equals(rows)
        assert lin.read_table("housing@0").equals(rows)
    assert rows.to_pydict() == {"ID": [1, 2], "rm": [6.5, 7.25]}
    (read,) = only().table_inputs
    assert (read.table, read.version, read.rows) == ("housing", 0, 2)
    assert here.store.blobs.size(read.pin)
    assert (here.store_root / read.location).resolve() == (here.root / "data" / "housing").resolve()


def test_a_table_can_be_read_without_a_run(runs: Runs) -> None:
    assert lin.read_table("housing").num_rows == 2
    assert runs() == []
    with pytest.raises(NotFoundError, match="no table 'hausing'"):
        lin.read_table("hausing")
    with pytest.raises(NotFoundError, match="no version 7"):
        lin.read_table("housing", version=7)
    with pytest.raises(UsageError, match="'housing@0' is a version already"):
        lin.read_table("housing@0", version=1)


def test_a_table_that_cannot_be_read_is_no_input(here: Project, only: Only) -> None:
    for path in (here.root / "data" / "housing").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[::-1])
    with lin.start_run():
        with pytest.raises(OutsideError):
            lin.read_table("housing")
        lin.log_metric("m", 1)
    assert only().inputs == []


# --- writing ----------------------------------------------------------------------------------------------------------


def test_rows_that_are_written_are_an_output_and_a_declared_table(here: Project, only: Only) -> None:
    with lin.start_run() as run:
        assert lin.write_table("scored", FRAME, key="ID", reason="monthly") == 0
        assert lin.write_table("scored", FRAME.assign(x=2.5)) == 1
        assert lin.write_table("scored", {"name": ["d"], "ID": [4], "x": [7.0]}, mode="append") == 2
    assert open_project(here.root).config.tables["scored"].key == ["ID"]
    assert [(o.table, o.version, o.rows) for o in only().table_outputs] == [
        ("scored", 0, 3),
        ("scored", 1, 3),
        ("scored", 2, 4),
    ]
    commits = [table(here, "scored").log.commit(version).info for version in range(3)]
    assert [commit["lin.run"] for commit in commits] == [run.id] * 3
    assert [commit["lin.reason"] for commit in commits] == [
        "monthly",
        "lin.write_table, overwrite",
        "lin.write_table, append",
    ]
    assert lin.read_table("scored@0").to_pylist()[1] == {"ID": 2, "x": None, "name": "b"}
    assert lin.read_table("scored").to_pydict() == {
        "ID": [1, 2, 3, 4],
        "x": [2.5, 2.5, 2.5, 7.0],
        "name": ["a", "b", None, "d"],
    }


def test_outside_a_run_a_write_is_a_run_of_its_own(here: Project, runs: Runs) -> None:
    lin.write_table("alone", FRAME)
    assert runs() == []
    (run,) = list_runs(here.store, where="name = 'rows into alone'", kinds=None).runs
    assert (run.kind, run.status, [o.table for o in run.table_outputs]) == ("import", "finished", ["alone"])
    assert table(here, "alone").log.commit(0).info["lin.run"] == run.id


def test_rows_come_from_whatever_gives_arrow(here: Project) -> None:
    rows = pa.table({"a": [1, 2], "b": [math.nan, None]})
    for number, given in enumerate([rows, rows.to_reader(), rows.to_batches()[0], rows.to_pydict()]):
        assert lin.write_table("kinds", given) == number
        assert str(lin.read_table("kinds").to_pylist()) == "[{'a': 1, 'b': nan}, {'a': 2, 'b': None}]"
    lin.write_table("indexed", FRAME.set_index("ID"))
    lin.write_table("sliced", FRAME[FRAME.ID > 1])
    assert lin.read_table("indexed").column_names == ["ID", "x", "name"]
    assert lin.read_table("sliced").column_names == ["ID", "x", "name"]
    assert here.config.tables.keys() == {"housing"}  # as it was when this process began


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rows": [1, 2]}, "a list cannot be written as a table"),
        ({"rows": {}}, "rows without columns"),
        ({"rows": {"a": [1, "x"]}}, "a dict cannot be written as a table"),
        ({"rows": FRAME, "mode": "upsert"}, "'upsert' is no mode"),
        ({"rows": FRAME, "name": "../x"}, "cannot name a table"),
        ({"rows": FRAME, "name": "housing@1"}, "cannot name a table"),
        ({"rows": FRAME, "key": ["nope"]}, "lack 'nope', which is in the key"),
        ({"rows": FRAME, "key": "name"}, "1 of the new rows have no value in 'name'"),
        ({"rows": {"ID": [1, 1], "rm": [1.0, 2.0]}, "name": "housing"}, "would not be unique: two rows have ID = 1"),
        ({"rows": {"ID": [2], "rm": [1.0]}, "name": "housing", "mode": "append"}, "two rows have ID = 2"),
        ({"rows": {"ID": [3]}, "name": "housing", "mode": "append"}, "lack column 'rm'"),
        ({"rows": {"ID": [3], "rm": [1.0], "rn": [1]}, "name": "housing", "mode": "append"}, "has no column 'rn'"),
    ],
)
def test_what_is_refused_leaves_nothing(here: Project, only: Only, options: dict[str, object], told: str) -> None:
    before = (here.root / "lineage.toml").read_text()
    with lin.start_run(), pytest.raises(UsageError, match=told):
        lin.write_table(**{"name": "new", **options})  # type: ignore[arg-type]
    assert only().outputs == []
    assert (here.root / "lineage.toml").read_text() == before
    assert not (here.root / "data" / "new").exists()
    assert table(here, "housing").log.head() == 0


def test_a_table_that_is_declared_or_there_already_is_not_taken_for_another(here: Project) -> None:
    with pytest.raises(ConflictError, match=r"declared with the key \['ID'\], not \['rm'\]"):
        lin.write_table("housing", {"ID": [3], "rm": [1.0]}, key="rm")
    write_deltalake(here.root / "data/other", FRAME)
    with pytest.raises(ConflictError, match="a Delta table in data/other that is not declared"):
        lin.write_table("other", FRAME)


def test_a_table_that_is_declared_and_not_there_is_made_where_it_says(here: Project, tmp_path: Path) -> None:
    with (here.root / "lineage.toml").open("a") as file:
        file.write(f'\n[tables.far]\npath = "{tmp_path / "far"}"\nkey = ["ID"]\n')
    assert lin.write_table("far", FRAME, mode="append") == 0
    assert (tmp_path / "far" / "_delta_log").is_dir()


# --- what differs -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_two_versions_are_compared_and_show_in_a_notebook() -> None:
    lin.write_table("scored", pd.DataFrame({"ID": [1, 2], "x": [0.5, 7.25]}), key="ID")
    lin.write_table("scored", pd.DataFrame({"ID": [1, 2], "x": [0.5, 8.75]}))
    diff = lin.diff_table("scored", 0, 1)
    assert (diff.updated, [row.key for row in diff.rows]) == (1, [{"ID": 2}])
    assert "8.75" in diff._repr_html_()
    assert lin.diff_table("scored", 0, 0).identical
    with pytest.raises(NotFoundError, match="no version 7"):
        lin.diff_table("scored", 0, 7)


def test_a_write_that_was_cut_off_before_its_declaration_is_gone_on_with(here: Project) -> None:
    declarations = (here.root / "lineage.toml").read_text()
    assert lin.write_table("new", {"ID": [1]}, key="ID") == 0
    (here.root / "lineage.toml").write_text(declarations)
    assert lin.write_table("new", {"ID": [1, 2]}, key="ID") == 1
    assert table(here, "new").key == ("ID",)
    (here.root / "lineage.toml").write_text(declarations)
    with pytest.raises(ConflictError, match="a Delta table in data/new that is not declared"):
        lin.write_table("new", {"ID": [1]}, key="ID")


def test_what_a_process_captured_outlives_a_collection(here: Project, only: Only) -> None:
    """Between its runs nothing names it, if what a table was written by was captured anew."""
    (here.root / "code.py").write_text("first")
    with lin.start_run():
        pass
    (here.root / "code.py").write_text("second")
    delete_runs(here, ["last"], now=datetime.now(UTC))
    lin.write_table("new", {"ID": [1]})
    gc.collect()
    collect(here, now=datetime.now(UTC), take=True)
    with lin.start_run("second"):
        pass
    assert only().name == "second"
