import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lin.data.history import read_history, version_at
from lin.data.tables import Table
from lin.errors import NotFoundError, OutsideError

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def ids(*values: int) -> pa.Table:
    return pa.table({"id": list(values)})


def commit_path(table: Table, version: int) -> Path:
    return table.root / "_delta_log" / f"{version:020d}.json"


def change_info(table: Table, version: int, **changes: Any) -> None:
    actions = [json.loads(line) for line in commit_path(table, version).read_text().splitlines()]
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"].update(changes)
    write_actions(table, version, actions)


def drop_info(table: Table, version: int) -> None:
    actions = [json.loads(line) for line in commit_path(table, version).read_text().splitlines()]
    write_actions(table, version, [action for action in actions if "commitInfo" not in action])


def write_actions(table: Table, version: int, actions: list[dict[str, Any]]) -> None:
    commit_path(table, version).write_text("".join(json.dumps(action) + "\n" for action in actions))


def drop_stats(table: Table, version: int) -> None:
    actions = [json.loads(line) for line in commit_path(table, version).read_text().splitlines()]
    for action in actions:
        if "add" in action:
            action["add"]["stats"] = None
    write_actions(table, version, actions)


def set_hours(table: Table, *hours: float | None) -> None:
    """Version n is committed this many hours after noon; None for no commit info."""
    for version, hour in enumerate(hours):
        if hour is None:
            drop_info(table, version)
        else:
            moment = NOON + timedelta(hours=hour)
            change_info(table, version, timestamp=int(moment.timestamp() * 1000))


def after(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


@pytest.fixture
def table(make_table: Any) -> Table:
    return make_table(ids(1, 2), ids(3), ids(4))


# --- history ------------------------------------------------------------------------------------------------


def test_every_version_tells_what_made_it(make_table: Any) -> None:
    from deltalake import CommitProperties, DeltaTable

    table = make_table(ids(1, 2))
    facts = {"lin.run": "abc", "lin.model": "boston@2", "lin.user": "ada", "lin.reason": "fill"}
    make_table(ids(3), commit_properties=CommitProperties(custom_metadata=facts))
    said = CommitProperties(custom_metadata={"userMetadata": "a slip", "userName": "bob"})
    DeltaTable(table.root).delete("id = 1", commit_properties=said)
    first, second, third = read_history(table)
    assert (first.version, first.operation, first.rows, first.files) == (0, "WRITE", 2, 1)
    assert (first.user, first.run, first.model, first.reason) == (None, None, None, None)
    assert (second.rows, second.files, second.files_added, second.files_removed) == (3, 2, 1, 0)
    assert (second.user, second.run, second.model, second.reason) == ("ada", "abc", "boston@2", "fill")
    assert (third.operation, third.rows, third.files_added, third.files_removed) == ("DELETE", 2, 1, 1)
    assert (third.user, third.reason) == ("bob", "a slip")
    assert first.time is not None
    assert datetime.now(UTC) - first.time < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("operation", "parameters", "expected"),
    [
        ("RESTORE", {"version": "0"}, 0),
        ("RESTORE", {"version": 1}, 1),
        ("RESTORE", {"version": None, "datetime": "1"}, None),
        ("RESTORE", {"version": "9" * 5000}, None),
        ("RESTORE", {"version": "-1"}, None),
        ("RESTORE", "version 0", None),
        ("WRITE", {"version": "0"}, None),
    ],
)
def test_a_restore_tells_which_version_it_restored(
    table: Table, operation: str, parameters: object, expected: int | None
) -> None:
    change_info(table, 2, operation=operation, operationParameters=parameters)
    assert read_history(table)[2].restored == expected


def test_a_restore_of_delta_rs_is_understood(table: Table) -> None:
    from deltalake import DeltaTable

    DeltaTable(table.root).restore(1)
    assert [info.restored for info in read_history(table)] == [None, None, None, 1]


def test_a_commit_without_commit_info_shifts_no_number(table: Table) -> None:
    drop_info(table, 1)
    assert [(info.version, info.operation, info.rows) for info in read_history(table)] == [
        (0, "WRITE", 2),
        (1, None, 3),
        (2, "WRITE", 4),
    ]
    assert read_history(table)[1].time is None


def test_texts_that_are_none_are_left_out(table: Table) -> None:
    change_info(table, 1, **{"lin.run": 7, "lin.user": "", "userName": "bob", "operation": None})
    info = read_history(table)[1]
    assert (info.run, info.user, info.operation) == (None, "bob", None)


def test_rows_come_from_the_footers_where_the_log_has_no_count(table: Table) -> None:
    drop_stats(table, 0)
    assert [info.rows for info in read_history(table)] == [2, 3, 4]
    (table.root / table.log.commit(0).adds[0].path).unlink()
    assert [(info.rows, info.files) for info in read_history(table)] == [(None, 1), (None, 2), (None, 3)]


def test_rows_do_not_need_the_files_where_the_log_has_counts(table: Table) -> None:
    for path in table.root.glob("*.parquet"):
        path.unlink()
    assert [info.rows for info in read_history(table)] == [2, 3, 4]


def test_a_log_that_starts_at_a_checkpoint_tells_the_rest(make_table: Any) -> None:
    from deltalake import DeltaTable

    table = make_table(ids(1, 2), ids(3))
    DeltaTable(table.root).create_checkpoint()
    make_table(ids(4))
    whole = read_history(table)
    commit_path(table, 0).unlink()
    assert read_history(table) == whole[1:]
    commit_path(table, 1).unlink()
    assert read_history(table) == whole[2:]


def test_versions_that_the_log_no_longer_holds_have_no_rows(make_table: Any) -> None:
    from deltalake import DeltaTable

    table = make_table(ids(1), ids(2), ids(3))
    DeltaTable(table.root).create_checkpoint()
    commit_path(table, 0).unlink()
    assert [(info.version, info.rows, info.files) for info in read_history(table)] == [
        (1, None, None),
        (2, 3, 3),
    ]


def test_a_damaged_log_has_no_history(table: Table) -> None:
    commit_path(table, 1).write_bytes(b"")
    with pytest.raises(OutsideError, match="it is empty"):
        read_history(table)


# --- times --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hours", "expected"), [(0, 0), (0.5, 0), (1, 1), (1.5, 1), (2, 2), (99, 2)])
def test_the_version_at_a_time_is_the_newest_by_then(table: Table, hours: float, expected: int) -> None:
    set_hours(table, 0, 1, 2)
    assert version_at(table, after(hours)) == expected


@pytest.mark.parametrize(("hours", "expected"), [(0.5, 0), (1.5, 0), (2, 2), (3, 2)])
def test_a_clock_that_went_back_makes_no_version_older(table: Table, hours: float, expected: int) -> None:
    set_hours(table, 0, 2, 1)
    assert version_at(table, after(hours)) == expected


def test_a_version_without_a_time_counts_as_the_one_before(table: Table) -> None:
    set_hours(table, 0, None, 2)
    assert version_at(table, after(1)) == 1


def test_the_files_own_times_do_not_count(table: Table) -> None:
    import os

    set_hours(table, 0, 1, 2)
    for version in range(3):
        os.utime(commit_path(table, version), (0, 0))
    assert version_at(table, after(1)) == 1


def test_a_time_before_the_first_version_is_told(table: Table) -> None:
    set_hours(table, 0, 1, 2)
    with pytest.raises(NotFoundError) as caught:
        version_at(table, after(-1))
    assert caught.value.message == (
        "table 'housing' has no version as old as 2026-11-22 11:00:00 UTC: its log tells the times of "
        "versions 0 (2026-11-22 12:00:00 UTC) to 2 (2026-11-22 14:00:00 UTC)"
    )


def test_a_time_before_the_log_starts_is_told(make_table: Any) -> None:
    from deltalake import DeltaTable

    table = make_table(ids(1), ids(2))
    set_hours(table, 0, 1)
    DeltaTable(table.root).create_checkpoint()
    commit_path(table, 0).unlink()
    with pytest.raises(NotFoundError, match=r"the times of versions 1 \(2026-11-22 13:00:00 UTC\) to 1"):
        version_at(table, after(0))


def test_a_log_without_times_is_told(table: Table) -> None:
    set_hours(table, None, None, None)
    with pytest.raises(NotFoundError, match="has no times"):
        version_at(table, NOON)
