"""Restoring a table as a recorded run: to a version, to a time, or to what a run read."""

from datetime import UTC, datetime, timedelta

import msgspec

from lin.data.commit import Attribution
from lin.data.diff import TableDiff, diff_versions
from lin.data.history import version_at
from lin.data.restore import plan_restore, require_files, restore_version
from lin.data.tables import Table
from lin.errors import ConflictError, UsageError
from lin.ids import short
from lin.project import Project
from lin.runs.query import find_run
from lin.runs.writes import pin_input, record_write


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A restore: from `head` to the content of `restored`, as `version` (None: nothing was written)."""

    table: str
    head: int
    restored: int
    version: int | None
    run: str | None
    nothing_to_do: bool
    dry_run: bool
    diff: TableDiff | None


def restore_table(
    project: Project, table: Table, version: int, *, dry_run: bool = False, reason: str | None = None
) -> Restored:
    """Make `table` equal to its old `version`, as a new version; with `dry_run` only tell what would change.

    Raises:
        NotFoundError: no such version. OutsideError: files of it are gone; they are listed, and nothing is written.
        ConflictError: somebody wrote to the table meanwhile.
    """
    plan = plan_restore(table, version)
    result = Restored(
        table=table.name,
        head=plan.head,
        restored=version,
        version=None,
        run=None,
        nothing_to_do=plan.nothing_to_do,
        dry_run=dry_run,
        diff=None,
    )
    if plan.nothing_to_do:
        return result
    require_files(plan)
    if dry_run:
        return msgspec.structs.replace(result, diff=diff_versions(table, plan.head, version))
    run, written = record_write(
        project,
        table,
        lambda attribution: _restored(table, version, attribution),
        kind="restore",
        name=f"{table.name} to version {version}",
        reason=reason or f"restored to version {version}",
        inputs=[pin_input(project, table, version)[1]],
        params={"version": version},
    )
    return msgspec.structs.replace(result, version=written.version, run=run)


def _restored(table: Table, version: int, attribution: Attribution) -> int:
    made = restore_version(table, version, attribution).version
    if made is None:
        raise ConflictError(f"somebody else restored table '{table.name}' just now", hint=f"lin history {table.name}")
    return made


def version_of_run(project: Project, table: Table, reference: str) -> int:
    """The version of `table` that a run read. Raises `UsageError` if it read none."""
    run = find_run(project.store, reference)
    versions = [read.version for read in run.table_inputs if read.table == table.name]
    if not versions:
        raise UsageError(f"run {short(run.id)} did not read table '{table.name}'", hint=f"lin show {short(run.id)}")
    return versions[0]


def version_at_time(table: Table, text: str) -> int:
    """The version that was the newest at an ISO time; without a zone it is UTC, as `lin history` shows it.

    Raises:
        UsageError: it is not a time. NotFoundError: no version is that old.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is not a time", hint="write it as 2026-11-22 or '2026-11-22 14:30'") from error
    if not moment.microsecond:
        moment += timedelta(microseconds=999_999)  # a whole second is all of it: that is how times are shown
    return version_at(table, moment if moment.tzinfo else moment.replace(tzinfo=UTC))
