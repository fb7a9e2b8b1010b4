"""Restoring as a recorded run: to a version, a time, what a run read; and refusals that leave nothing behind."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from lin.data.history import read_history
from lin.data.pins import pin_digest, pin_version
from lin.data.read import read_version
from lin.data.tables import Table, open_table
from lin.errors import ConflictError, NotFoundError, OutsideError, UsageError
from lin.project import Project
from lin.runs.query import RunInfo
from lin.runs.record import Recorder
from lin.runs.restore import restore_table, version_at_time, version_of_run
from lin.runs.writes import pin_input, record_write

EveryRun = Callable[..., list[RunInfo]]


@pytest.fixture
def table(housing: Project) -> Table:
    """The table with three versions: 60 rows, 61, and 62."""
    from deltalake import write_deltalake

    opened = open_table(housing, "housing")
    for number in (100, 101):
        row = {"ID": [number], "rm": [6.0], "lstat": [1.0], "noise": [0.5], "medv": [None]}
        write_deltalake(opened.root, pa.table(row, schema=read_version(opened)[1].schema), mode="append")
    return opened


def digest_of(table: Table, version: int) -> str:
    return pin_digest(pin_version(table, table.log.snapshot(version)))


def test_a_restore_is_a_new_version_with_the_old_content(housing: Project, table: Table, every_run: EveryRun) -> None:
    old = read_version(table, 0)[1]
    made = restore_table(housing, table, 0, reason="back")
    (run,) = every_run(housing, "restore")
    assert (made.head, made.restored, made.version, made.run) == (2, 0, 3, run.id)
    assert (made.nothing_to_do, made.dry_run, made.diff) == (False, False, None)
    assert table.log.head() == 3
    assert read_version(table)[1].equals(old)
    assert digest_of(table, 3) == digest_of(table, 0) != digest_of(table, 2)
    assert (run.status, run.reason, run.params, run.name) == (
        "finished",
        "back",
        {"version": 0},
        "housing to version 0",
    )
    assert [(r.version, r.pin) for r in (*run.table_inputs, *run.outputs)] == [
        (0, digest_of(table, 0)),
        (3, digest_of(table, 0)),
    ]
    commit = read_history(table)[-1]
    assert (commit.operation, commit.restored, commit.run, commit.reason) == ("RESTORE", 0, run.id, "back")
    assert commit.user == "ann"


def test_a_dry_run_only_tells(housing: Project, table: Table, every_run: EveryRun) -> None:
    told = restore_table(housing, table, 0, dry_run=True)
    assert (told.version, told.run, told.dry_run) == (None, None, True)
    assert told.diff is not None
    assert (told.diff.old, told.diff.new, told.diff.deleted, told.diff.inserted) == (2, 0, 2, 0)
    assert table.log.head() == 2
    assert every_run(housing, "restore") == []


def test_what_is_equal_already_is_not_restored(housing: Project, table: Table, every_run: EveryRun) -> None:
    for version in (2, 2):
        made = restore_table(housing, table, version)
        assert (made.nothing_to_do, made.version, made.run) == (True, None, None)
    assert table.log.head() == 2
    assert every_run(housing, "restore") == []


def test_lost_files_are_all_named_before_a_run_is_recorded(housing: Project, table: Table, every_run: EveryRun) -> None:
    from deltalake import DeltaTable

    files = [file.path for file in table.log.snapshot(2).files]
    assert len(files) == 3
    DeltaTable(table.root).optimize.compact()
    for path in files[1:]:
        (table.root / path).unlink()
    before = every_run(housing)
    for dry_run in (False, True):
        with pytest.raises(OutsideError, match="housing@2 cannot be restored") as caught:
            restore_table(housing, table, 2, dry_run=dry_run)
        assert [path in caught.value.message for path in files] == [False, True, True]
    assert every_run(housing) == before
    assert table.log.head() == 3
    assert restore_table(housing, table, 0).version == 4  # its own file is still there


def test_no_such_version(housing: Project, table: Table, every_run: EveryRun) -> None:
    with pytest.raises(NotFoundError, match="no version 9"):
        restore_table(housing, table, 9)
    assert every_run(housing, "restore") == []


def test_what_a_run_read_can_be_restored(housing: Project, table: Table, begin: Callable[..., Recorder]) -> None:
    reader = begin(inputs=[pin_input(housing, table, 1)[1]])
    reader.seal("finished")
    assert version_of_run(housing, table, reader.id) == 1
    blind = begin()
    blind.seal("finished")
    with pytest.raises(UsageError, match="did not read table 'housing'"):
        version_of_run(housing, table, blind.id)
    with pytest.raises(NotFoundError, match="no run 'zz'"):
        version_of_run(housing, table, "zz")


def test_a_time_means_the_version_that_was_the_newest(table: Table) -> None:
    times = [entry.time for entry in read_history(table)]
    assert times[1] is not None
    assert times[2] is not None
    assert version_at_time(table, times[1].isoformat()) == 1
    assert version_at_time(table, times[1].astimezone(UTC).replace(tzinfo=None).isoformat()) == 1
    assert version_at_time(table, (times[2] - timedelta(milliseconds=1)).isoformat()) == 1
    assert version_at_time(table, (datetime.now(UTC) + timedelta(days=1)).date().isoformat()) == 2
    with pytest.raises(UsageError, match="'yesterday' is not a time"):
        version_at_time(table, "yesterday")
    with pytest.raises(NotFoundError, match="no version as old as 2001-01-01"):
        version_at_time(table, "2001-01-01")


def test_a_write_that_fails_is_a_failed_run_and_leaves_the_table(
    housing: Project, table: Table, every_run: EveryRun
) -> None:
    def conflict(_: object) -> int:
        raise ConflictError("somebody was first")

    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    for commit, kind in ((conflict, ConflictError), (interrupt, KeyboardInterrupt)):
        with pytest.raises(kind):
            record_write(housing, table, commit, kind="restore", name="x", reason="y")
    last, first = every_run(housing, "restore")
    assert (first.status, first.error, first.outputs) == ("failed", "somebody was first", [])
    assert (last.status, last.error) == ("interrupted", "KeyboardInterrupt")
    assert table.log.head() == 2
