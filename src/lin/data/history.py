"""The versions of a table, told from its log alone: when, what, by whom, in which run, and how large.

Times are those that the writers put in their commits. A file's own time is never asked, for a copy changes
it; where a clock went back, a version counts as committed no earlier than the one before it.
"""

from collections.abc import Collection, Iterator
from datetime import datetime

import msgspec

from lin.data.files import open_data_file
from lin.data.log import AddFile, Commit
from lin.data.moments import show_moment
from lin.data.tables import Table
from lin.errors import NotFoundError, OutsideError

_LONGEST_NUMBER = 19


class VersionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One version. What the log does not tell is None; `rows` and `files` are those of the whole version."""

    version: int
    time: datetime | None
    operation: str | None
    user: str | None
    run: str | None
    model: str | None
    reason: str | None
    rows: int | None
    files: int | None
    files_added: int
    files_removed: int
    restored: int | None
    """The old version that a RESTORE made this one equal to."""


def read_history(table: Table) -> list[VersionInfo]:
    """Every version whose commit is in the log, newest last.

    Rows are counted by the log's statistics, else by the footers of the files that are still there.

    Raises:
        NotFoundError: not a Delta table. OutsideError: its log is damaged.
    """
    counted: dict[str, int | None] = {}
    return [_describe(table, commit, files, counted) for commit, files in table.log.replay()]


def version_at(table: Table, moment: datetime) -> int:
    """The newest version committed at or before `moment`, a time with its zone.

    A version whose commit has no time counts as committed with the one before it.

    Raises:
        NotFoundError: no version is that old; it names the versions and times that the log does tell.
    """
    times = list(_times(table))
    found = [version for version, time in times if time <= moment]
    if found:
        return found[-1]
    if not times:
        raise NotFoundError(f"the log of table '{table.name}' has no times", hint=f"lin history {table.name}")
    (first, begin), (last, end) = times[0], times[-1]
    raise NotFoundError(
        f"table '{table.name}' has no version as old as {show_moment(moment)}: its log tells the times of "
        f"versions {first} ({show_moment(begin)}) to {last} ({show_moment(end)})",
        hint=f"lin history {table.name}",
    )


def describe_commit(commit: Commit, *, rows: int | None = None, files: int | None = None) -> VersionInfo:
    """What a commit says of itself, with the counts of the version that it made where these are known."""
    return VersionInfo(
        version=commit.version,
        time=commit.time,
        operation=commit.text("operation"),
        user=commit.text("lin.user", "userName"),
        run=commit.text("lin.run"),
        model=commit.text("lin.model"),
        reason=commit.text("lin.reason", "userMetadata"),
        rows=rows,
        files=files,
        files_added=len(commit.adds),
        files_removed=len(commit.removes),
        restored=_restored(commit),
    )


def _describe(
    table: Table, commit: Commit, files: Collection[AddFile] | None, counted: dict[str, int | None]
) -> VersionInfo:
    if files is None:
        return describe_commit(commit)
    return describe_commit(commit, rows=_count(table, files, counted), files=len(files))


def _restored(commit: Commit) -> int | None:
    """The version in a RESTORE's parameters; a restore by time names none."""
    parameters = commit.info.get("operationParameters")
    if commit.text("operation") != "RESTORE" or not isinstance(parameters, dict):
        return None
    text = str(parameters.get("version"))
    return int(text) if _is_number(text) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER


def _count(table: Table, files: Collection[AddFile], counted: dict[str, int | None]) -> int | None:
    total = 0
    for file in files:
        rows = file.rows
        if rows is None:
            if file.path not in counted:
                counted[file.path] = _count_in_footer(table, file.path)
            rows = counted[file.path]
            if rows is None or (file.vector is not None and file.vector.rows > rows):
                return None
            rows -= file.vector.rows if file.vector else 0
        total += rows
    return total


def _count_in_footer(table: Table, path: str) -> int | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_data_file(table.root, path) as stream:
            rows: int = pq.read_metadata(stream).num_rows
    except (FileNotFoundError, OutsideError, pa.ArrowException, OSError, ValueError):
        return None  # gone or unreadable: the history goes on without its count
    return rows


def _times(table: Table) -> Iterator[tuple[int, datetime]]:
    """The versions with a time, and the latest time up to each."""
    latest: datetime | None = None
    for commit in table.log.commits():
        if commit.time is not None:
            latest = max(commit.time, latest or commit.time)
        if latest is not None:
            yield commit.version, latest
