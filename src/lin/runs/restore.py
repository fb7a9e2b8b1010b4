"""Restoring a table as a recorded run: to a version, or to what a run read.

Where the store has a pin of the version, its files must be what they were when it was pinned. Where the table's log no
longer has the version, or has another one under that number, the pin itself is restored.
"""

from collections.abc import Callable

import msgspec

from lin.data.commit import Attribution, require_writable
from lin.data.diff import TableDiff, diff_versions
from lin.data.log import Snapshot
from lin.data.recommit import Place, place_of
from lin.data.restore import (
    RestorePlan,
    RestoreResult,
    plan_pin,
    plan_restore,
    require_whole,
    restore_pin,
    restore_version,
)
from lin.data.tables import Table
from lin.errors import ConflictError, NotFoundError, OutsideError, UsageError
from lin.ids import short
from lin.project import Project
from lin.records import Pin, TableRef
from lin.runs.pinned import PinnedVersion, pinned_of, read_recorded_pin
from lin.runs.query import find_run
from lin.runs.writes import pin_found, record_write


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A restore: from `head` to the content of `restored`, as `version` (None: nothing was written).

    `from_pin`: the log no longer has that version, so it was taken from its pin, and a dry run has no `diff`.
    `settings` names the table properties that went back to their old values too.
    """

    table: str
    head: int
    restored: int
    version: int | None
    run: str | None
    nothing_to_do: bool
    dry_run: bool
    from_pin: bool
    added_files: int
    removed_files: int
    settings: list[str]
    diff: TableDiff | None


def restore_table(
    project: Project,
    table: Table,
    version: int,
    *,
    pin: str | None = None,
    dry_run: bool = False,
    reason: str | None = None,
) -> Restored:
    """Make `table` equal to its old `version`, as a new version; with `dry_run` only tell what would change.

    Args:
        project: whose store has the pins, and records the run.
        table: the table.
        version: an old version of it.
        pin: the digest of the pin that it has to be; by default any that the store has of that version.
        dry_run: change nothing.
        reason: goes into the record and the commit.

    Raises:
        NotFoundError: no such version, nor a pin of it. UsageError: the log does not have it, and the store has
            several different pins of it. OutsideError: files of it are gone or altered: they are listed. Or the table
            asks of its writers what lin does not do. Nothing is written.
        ConflictError: somebody wrote to the table meanwhile.
    """
    recorded = _recorded(project, table, version, pin)
    old = _snapshot(table, version, recorded)
    fits = {known.pin: found for known, found in recorded if old is not None and _places(found) == _places(old)}
    if old is None or (pin is not None and not fits):
        known, found = _only(table, version, recorded)
        return _restore_pin(project, table, known, found, dry_run=dry_run, reason=reason)
    plan = plan_restore(table, version)
    result = _result(plan, dry_run=dry_run, from_pin=False)
    if plan.nothing_to_do:
        return result
    _require_possible(table, plan)
    if dry_run:
        return msgspec.structs.replace(result, diff=diff_versions(table, plan.head, version))
    found, reference = pin_found(project, table, version)
    if fits and reference.pin not in fits:
        require_whole(table.name, version, _altered(found, next(iter(fits.values()))))
    return _record(project, table, result, reference, reason, lambda by: restore_version(table, version, by))


def _restore_pin(
    project: Project, table: Table, known: PinnedVersion, pin: Pin, *, dry_run: bool, reason: str | None
) -> Restored:
    plan = plan_pin(table, pin, known.version)
    result = _result(plan, dry_run=dry_run, from_pin=True)
    if plan.nothing_to_do:
        return result
    _require_possible(table, plan)
    if dry_run:
        return result
    reference = TableRef(
        table=table.name,
        location=project.locate(table.root),
        version=known.version,
        pin=known.pin,
        rows=known.rows,
        order=list(table.order),
    )
    return _record(project, table, result, reference, reason, lambda by: restore_pin(table, pin, known.version, by))


def read_by_run(project: Project, table: Table, reference: str) -> TableRef:
    """The version of `table` that a run read, and its pin. Raises `UsageError` if it read none."""
    run = find_run(project.store, reference)
    found = next((read for read in run.table_inputs if read.table == table.name), None)
    if found is None:
        raise UsageError(f"run {short(run.id)} did not read table '{table.name}'", hint=f"lin show {short(run.id)}")
    return found


# --- which version ----------------------------------------------------------------------------------------------------


def _recorded(project: Project, table: Table, version: int, pin: str | None) -> list[tuple[PinnedVersion, Pin]]:
    """The pins of that version that the store has, or the one asked for."""
    known = [v for v in pinned_of(project, table).versions if v.version == version and pin in {None, v.pin}]
    return [(pinned, read_recorded_pin(project.store, pinned)) for pinned in known]


def _snapshot(table: Table, version: int, recorded: list[tuple[PinnedVersion, Pin]]) -> Snapshot | None:
    """The version by the log; None where the log does not have it and a pin does."""
    try:
        return table.log.snapshot(version)
    except (NotFoundError, OutsideError):
        if not recorded:
            raise
        return None


def _only(table: Table, version: int, recorded: list[tuple[PinnedVersion, Pin]]) -> tuple[PinnedVersion, Pin]:
    if len(recorded) > 1:
        raise UsageError(
            f"the log of table '{table.name}' no longer has version {version}, and runs read different data as that",
            hint="lin restore --run RUN; the runs are "
            + ", ".join(f"{short(pinned.runs[-1])} (pin {pinned.pin[:12]})" for pinned, _ in recorded),
        )
    return recorded[0]


def _places(files: Snapshot | Pin) -> list[Place]:
    return [place_of(file) for file in files.files]


def _altered(found: Pin, pinned: Pin) -> list[str]:
    """The files that are not what they were when they were pinned."""
    pairs = zip(found.files, pinned.files, strict=True)
    return [f"data file {now.path!r} was altered since a run pinned it" for now, then in pairs if now != then]


# --- doing it ---------------------------------------------------------------------------------------------------------


def _require_possible(table: Table, plan: RestorePlan) -> None:
    require_whole(plan.table, plan.version, plan.problems)
    require_writable(table, table.log.snapshot())


def _result(plan: RestorePlan, *, dry_run: bool, from_pin: bool) -> Restored:
    return Restored(
        table=plan.table,
        head=plan.head,
        restored=plan.version,
        version=None,
        run=None,
        nothing_to_do=plan.nothing_to_do,
        dry_run=dry_run,
        from_pin=from_pin,
        added_files=plan.added_files,
        removed_files=plan.removed_files,
        settings=plan.settings,
        diff=None,
    )


def _record(
    project: Project,
    table: Table,
    result: Restored,
    read: TableRef,
    reason: str | None,
    restore: Callable[[Attribution], RestoreResult],
) -> Restored:
    def commit(attribution: Attribution) -> int:
        made = restore(attribution).version
        if made is None:
            raise ConflictError(
                f"somebody else restored table '{table.name}' just now", hint=f"lin history {table.name}"
            )
        return made

    run, written = record_write(
        project,
        table,
        commit,
        kind="restore",
        name=f"{table.name} to version {result.restored}",
        reason=reason or f"restored to version {result.restored}",
        inputs=[read],
        params={"version": result.restored},
    )
    return msgspec.structs.replace(result, version=written.version, run=run)
