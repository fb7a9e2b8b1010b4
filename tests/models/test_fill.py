"""Predictions written back: which rows change, what a failure or somebody else's write leaves, what is recorded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lin.data.pins import pin_digest, pin_version
from lin.data.read import read_version
from lin.data.tables import Table, open_table
from lin.errors import ConflictError, OutsideError, UsageError
from lin.models.answers import Report
from lin.models.fill import fill_table
from lin.models.scorer import Scorer
from lin.project import Project
from lin.runs.query import RunInfo, list_runs, read_run

FEATURES = ["rm", "lstat"]


@pytest.fixture
def table(trained: Project) -> Table:
    return open_table(trained, "housing")


def frame_of(table: Table, version: int | None = None) -> pd.DataFrame:
    return read_version(Table(table.name, table.root), version)[1].to_pandas()


def predict_runs(project: Project) -> list[RunInfo]:
    return list_runs(project.store, kinds=frozenset({"predict"})).runs


def by_hand(project: Project, frame: pd.DataFrame) -> Any:
    return Scorer(project, "boston@1").score(pa.Table.from_pandas(frame[FEATURES], preserve_index=False))


def test_overwriting_changes_every_row_that_the_condition_tells(trained: Project, table: Table) -> None:
    before = frame_of(table)
    made = fill_table(trained, "boston@1", table, "medv", where="rm > 6", overwrite=True)
    asked = before["rm"] > 6
    expected = before.copy()
    expected.loc[asked, "medv"] = by_hand(trained, before[asked])
    pd.testing.assert_frame_equal(frame_of(table), expected, check_exact=True)
    assert made.filled == asked.sum() > before["medv"].isna().sum()
    run = read_run(trained.store, made.run or "")
    assert run.params == {"column": "medv", "where": "rm > 6", "overwrite": True, "rows": made.filled}
    assert run.reason == "rows of medv filled with predictions of boston@1"


def test_overwriting_where_no_row_is_told_does_nothing(trained: Project, table: Table) -> None:
    made = fill_table(trained, "boston@1", table, "medv", where="rm > 1000", overwrite=True)
    assert (made.filled, made.version, made.run, made.overwritten) == (0, None, None, True)
    assert predict_runs(trained) == []


def many_files(root: Path, **more: Any) -> Table:
    """300,000 rows in five files, in batches of 65,536, some without a value."""
    draw = np.random.default_rng(3)
    for at in range(5):
        rows = pa.table(
            {
                "ID": pa.array(range(at * 60_000, (at + 1) * 60_000)),
                "rm": draw.normal(6, 1, 60_000),
                "lstat": draw.uniform(1, 30, 60_000),
                "medv": pa.array(draw.normal(20, 5, 60_000), mask=draw.random(60_000) < 0.1),
                "name": [f"home {n % 7}" for n in range(60_000)],
            }
        )
        write_deltalake(root, rows, mode="append", **more)
    return Table("many", root, key=("ID",))


def test_many_batches_are_filled_in_their_places(trained: Project, tmp_path: Path) -> None:
    table = many_files(tmp_path / "many")
    before = frame_of(table)
    passed: list[tuple[int, int | None]] = []
    made = fill_table(trained, "boston@1", table, "medv", report=lambda *told: passed.append(told))
    gaps = before["medv"].isna()
    expected = before.copy()
    expected.loc[gaps, "medv"] = by_hand(trained, before[gaps])
    after = frame_of(table)
    pd.testing.assert_frame_equal(after.drop(columns="medv"), expected.drop(columns="medv"), check_exact=True)
    np.testing.assert_array_equal(after["medv"][~gaps], expected["medv"][~gaps])
    np.testing.assert_allclose(after["medv"][gaps], expected["medv"][gaps], rtol=1e-13)
    assert made.filled == gaps.sum()
    assert passed[-1] == (300_000, 300_000)
    assert passed == sorted(passed)
    again = fill_table(trained, "boston@1", table, "medv")
    assert (again.filled, again.version) == (0, None)


def test_a_partition_column_may_be_a_feature_and_parts_stay_apart(trained: Project, tmp_path: Path) -> None:
    rows = pa.table({"rm": [5.0, 6.0, 5.0, 7.0], "lstat": [1.0, 2.0, 3.0, 4.0], "medv": [1.0, None, None, 2.0]})
    write_deltalake(tmp_path / "parts", rows, partition_by=["rm"])
    table = Table("parts", tmp_path / "parts")
    before, parts = frame_of(table), [file.partition for file in table.log.snapshot().files]
    assert fill_table(trained, "boston@1", table, "medv").filled == 2
    after = frame_of(table)
    gaps = before["medv"].isna()
    assert after.drop(columns="medv").equals(before.drop(columns="medv"))
    np.testing.assert_array_equal(after["medv"][gaps], by_hand(trained, before[gaps]))
    assert [file.partition for file in table.log.snapshot().files] == parts
    with pytest.raises(OutsideError, match="'rm' is a partition column"):
        fill_table(trained, "boston@1", table, "rm", overwrite=True)


def test_the_pin_of_what_was_written_is_that_of_what_is_on_disk(trained: Project, tmp_path: Path) -> None:
    table = many_files(tmp_path / "many", partition_by=["name"])
    made = fill_table(trained, "boston@1", table, "medv")
    (output,) = read_run(trained.store, made.run or "").table_outputs
    assert output.pin == pin_digest(pin_version(table, table.log.snapshot(made.version)))
    assert output.rows == 300_000


def doing(*acts: Callable[[], Any]) -> Report:
    """A reporter in which something happens each time that rows have passed, as long as there is something to do."""
    left = iter(acts)

    def report(passed: int, rows: int | None) -> None:
        del passed, rows
        for act in left:
            act()
            return

    return report


def stop() -> None:
    raise KeyboardInterrupt


def test_an_interrupt_leaves_the_old_version_and_a_run_that_says_so(trained: Project, table: Table) -> None:
    files = sorted(table.root.rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        fill_table(trained, "boston@1", table, "medv", report=doing(stop))
    (run,) = predict_runs(trained)
    assert (run.status, run.outputs, [t.version for t in run.table_inputs]) == ("interrupted", [], [0])
    assert sorted(table.root.rglob("*")) == files


def test_somebody_who_writes_while_rows_are_scored_is_not_overwritten(trained: Project, table: Table) -> None:
    rows = read_version(table)[1]

    def write() -> None:
        write_deltalake(table.root, rows.slice(0, 1), mode="append")

    with pytest.raises(ConflictError, match="somebody wrote version 1 of 'housing' meanwhile"):
        fill_table(trained, "boston@1", table, "medv", report=doing(write))
    assert [(run.status, run.outputs) for run in predict_runs(trained)] == [("failed", [])]
    assert table.log.head() == 1
    assert len(list(table.root.glob("*.parquet"))) == 2


def test_a_file_that_changes_after_it_was_pinned_is_refused(trained: Project, tmp_path: Path) -> None:
    table = many_files(tmp_path / "many")
    last = table.root / table.log.snapshot().files[-1].path

    def alter() -> None:
        data = bytearray(last.read_bytes())
        data[len(data) // 2] ^= 1
        last.write_bytes(data)

    with pytest.raises(OutsideError, match="was altered: its sha256 is not as pinned"):
        fill_table(trained, "boston@1", table, "medv", report=doing(alter))
    assert table.log.head() == 4
    assert [run.status for run in predict_runs(trained)] == ["failed"]


def test_columns_that_the_model_does_not_take_are_told_but_for_key_and_target(trained: Project, table: Table) -> None:
    assert fill_table(trained, "boston@1", table, "guess").extra == ["name"]


def test_a_condition_over_other_rows_is_refused(trained: Project, table: Table) -> None:
    for where in ("rm > (SELECT avg(rm) FROM rows)", "row_number() OVER () < 3", "rm > max(rm)", "rowid < 3"):
        with pytest.raises(UsageError, match="cannot be used"):
            fill_table(trained, "boston@1", table, "medv", where=where)
    assert table.log.head() == 0
