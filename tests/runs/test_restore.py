"""Restoring as a recorded run: to a version, what a run read; and refusals that leave nothing behind."""

import shutil
from collections.abc import Callable

import msgspec
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
from lin.runs.restore import read_by_run, restore_table
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
    assert (made.nothing_to_do, made.dry_run, made.diff, made.from_pin) == (False, False, None, False)
    assert (made.added_files, made.removed_files, made.settings) == (0, 2, [])
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
    read = read_by_run(housing, table, reader.id)
    assert (read.version, read.pin) == (1, digest_of(table, 1))
    blind = begin()
    blind.seal("finished")
    with pytest.raises(UsageError, match="did not read table 'housing'"):
        read_by_run(housing, table, blind.id)
    with pytest.raises(NotFoundError, match="no run 'zz'"):
        read_by_run(housing, table, "zz")


def test_an_append_only_table_is_refused_before_a_run_is_recorded(
    housing: Project, table: Table, every_run: EveryRun
) -> None:
    from deltalake import DeltaTable

    DeltaTable(table.root).alter.set_table_properties({"delta.appendOnly": "true"})
    for dry_run in (True, False):
        with pytest.raises(OutsideError, match="append-only"):
            restore_table(housing, table, 0, dry_run=dry_run)
    assert every_run(housing, "restore") == []


# --- with pins of the version in the store ----------------------------------------------------------------------------


def forget(table: Table, *versions: int) -> None:
    """What a clean-up of the log does."""
    from deltalake import DeltaTable

    DeltaTable(table.root).create_checkpoint()
    for version in versions:
        (table.log.folder / f"{version:020d}.json").unlink()


def test_a_pinned_version_comes_back_when_the_log_has_forgotten_it(
    housing: Project, table: Table, begin: Callable[..., Recorder], every_run: EveryRun
) -> None:
    read = pin_input(housing, table, 1)[1]
    reader = begin(inputs=[read])
    reader.seal("finished")
    rows = read_version(table, 1)[1]
    forget(table, 0, 1)
    told = restore_table(housing, table, 1, dry_run=True)
    assert (told.from_pin, told.diff, told.version, told.removed_files) == (True, None, None, 1)
    made = restore_table(housing, table, 1)
    assert (made.from_pin, made.version, made.restored) == (True, 3, 1)
    assert read_version(table)[1].equals(rows)
    assert digest_of(table, 3) == read.pin
    assert read_history(table)[-1].restored == 1
    (run,) = every_run(housing, "restore")
    assert run.inputs == [msgspec.structs.replace(read, commit=None)]
    assert [output.pin for output in run.outputs] == [read.pin]
    assert restore_table(housing, table, 1, pin=read_by_run(housing, table, reader.id).pin).nothing_to_do
    assert restore_table(housing, table, 0).version == 4  # the import pinned what it wrote
    assert read_version(table)[1].num_rows == 60


def test_a_version_without_a_pin_that_the_log_has_forgotten_is_gone(housing: Project, table: Table) -> None:
    forget(table, 0, 1)
    with pytest.raises((NotFoundError, OutsideError), match=r"no version 1|no longer be read"):
        restore_table(housing, table, 1)


def test_what_a_run_read_comes_back_although_the_table_was_made_anew(
    housing: Project, table: Table, begin: Callable[..., Recorder]
) -> None:
    from deltalake import write_deltalake

    read = pin_input(housing, table, 0)[1]
    begin(inputs=[read]).seal("finished")
    rows = read_version(table, 0)[1]
    shutil.rmtree(table.log.folder)
    write_deltalake(table.root, rows.slice(0, 1))
    write_deltalake(table.root, rows.slice(0, 2), mode="append")
    made = restore_table(housing, table, 0, pin=read.pin)
    assert (made.from_pin, made.version) == (True, 2)
    assert read_version(table)[1].equals(rows)
    assert read_history(table)[-1].restored is None  # version 0 is something else now
    made = restore_table(housing, table, 0)  # by its number it is what the table calls version 0 now
    assert (made.from_pin, made.version) == (False, 3)
    assert read_version(table)[1].num_rows == 1


def test_different_pins_of_a_forgotten_version_have_to_be_told_apart(
    housing: Project, table: Table, begin: Callable[..., Recorder]
) -> None:
    from deltalake import write_deltalake

    first = pin_input(housing, table, 0)[1]
    rows = read_version(table, 0)[1]
    shutil.rmtree(table.log.folder)
    write_deltalake(table.root, rows.slice(0, 1))
    second = pin_input(housing, table, 0)[1]
    for read in (first, second):
        begin(inputs=[read]).seal("finished")
    write_deltalake(table.root, rows.slice(0, 2), mode="append")
    forget(table, 0)
    with pytest.raises(UsageError, match="runs read different data as that"):
        restore_table(housing, table, 0)
    restore_table(housing, table, 0, pin=first.pin)
    assert digest_of(table, 2) == first.pin


def test_a_file_that_was_altered_since_it_was_pinned_is_refused(
    housing: Project, table: Table, every_run: EveryRun
) -> None:
    (file,) = table.log.snapshot(0).files
    data = bytearray((table.root / file.path).read_bytes())
    data[6] ^= 1  # the size stays: the log cannot tell
    (table.root / file.path).write_bytes(bytes(data))
    with pytest.raises(OutsideError, match=f"housing@0 cannot be restored: data file '{file.path}' was altered"):
        restore_table(housing, table, 0)
    assert every_run(housing, "restore") == []


def test_a_missing_file_of_a_pin_is_refused_before_a_run_is_recorded(
    housing: Project, table: Table, every_run: EveryRun
) -> None:
    from deltalake import write_deltalake

    (file,) = table.log.snapshot(0).files
    write_deltalake(table.root, read_version(table)[1].slice(0, 1), mode="overwrite")
    forget(table, 0, 1, 2)
    (table.root / file.path).unlink()
    for dry_run in (True, False):
        with pytest.raises(OutsideError, match=f"data file '{file.path}' is missing"):
            restore_table(housing, table, 0, dry_run=dry_run)
    assert every_run(housing, "restore") == []
    assert table.log.head() == 3


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
