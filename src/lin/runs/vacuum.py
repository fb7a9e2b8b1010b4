"""Vacuum with the store in hand: the files of a table that neither a version nor a run needs, and who needs the others.

Runs are asked twice, before the table is looked at and right before anything is deleted: one may have started.
"""

from collections.abc import Mapping, Sequence

import msgspec

from lin.data.tables import Table
from lin.data.vacuum import Need, VacuumPlan, delete_planned, parse_duration, plan_vacuum
from lin.errors import ConflictError, StoreError, UsageError
from lin.ids import short
from lin.project import Project
from lin.records import DataFile
from lin.runs.pinned import PinnedVersion, models_of, pinned_of, read_recorded_pin

_LEAST_FOR_ORPHANS = "1 day"


class SparedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A pinned version, the files that stay for it alone, and for whom: runs by id, model versions by name."""

    table: str
    version: int
    files: int
    bytes: int
    runs: list[str]
    models: list[str]


class Vacuumed(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted, or would be where `deleted` is None; `paths` has only as many as were asked for.

    `young` counts files that were removed too short a time ago, `untimed` those of which nobody knows when, and
    `refused` those whose name or place is not that of a data file: all of them stay.
    """

    table: str
    head: int
    retention_seconds: float
    files: int
    bytes: int
    paths: list[str]
    deleted: int | None
    spared: list[SparedVersion]
    lost_versions: list[int]
    young: int
    untimed: int
    refused: int


def vacuum_table(
    project: Project,
    table: Table,
    *,
    models: Mapping[str, Sequence[str]],
    now_ms: int,
    retain: str | None = None,
    orphans: bool = False,
    delete: bool = False,
    limit: int = 20,
) -> Vacuumed:
    """Find the files of `table` that may go, and with `delete` delete them. Only runs of this store are asked.

    Args:
        project: whose runs are asked.
        table: a table, declared or not.
        models: the model versions of each run, by the run's id.
        now_ms: the time, in milliseconds since 1970 UTC.
        retain: a time span such as `7 days`; by default the table's own, else a week.
        orphans: take in old files that the log does not name.
        delete: not only look.
        limit: list as many paths.

    Raises:
        UsageError: `retain` is no time span, or too short for orphans. NotFoundError: not a Delta table.
        StoreError: what a run needs is not known. OutsideError: the table's log is damaged or asks for what lin does
            not know, or a file cannot be deleted. ConflictError: somebody wrote, or a run began, meanwhile.
    """
    retain_ms = None if retain is None else parse_duration(retain)
    if orphans and retain_ms is not None and retain_ms < parse_duration(_LEAST_FOR_ORPHANS):
        raise UsageError(
            f"'{retain}' is too short for --orphans: a file that a writer is about to commit is one",
            hint=f"--retain '{_LEAST_FOR_ORPHANS}' or longer",
        )
    pinned = _pinned(project, table)
    needs = [_need(project, version) for version in pinned]
    plan = plan_vacuum(table, needs, now_ms=now_ms, retain_ms=retain_ms, orphans=orphans)
    deleted = None
    if delete:
        _require_unneeded(project, table, plan, known=pinned)
        deleted = delete_planned(table, plan)
    return _result(plan, pinned, models, deleted, limit)


def _pinned(project: Project, table: Table) -> list[PinnedVersion]:
    found = pinned_of(project, table)
    if found.damaged:
        raise StoreError(
            f"what the runs need of table '{table.name}' is not known: {found.damaged[0]}",
            hint="restore that run's folder from a backup of the store",
        )
    return found.versions


def _require_unneeded(project: Project, table: Table, plan: VacuumPlan, *, known: Sequence[PinnedVersion]) -> None:
    """Refuse a plan that would delete what a run needs that began after `known`."""
    pins = {version.pin for version in known}
    dead = {file.path for file in plan.dead}
    for version in _pinned(project, table):
        if version.pin not in pins and not dead.isdisjoint(_need(project, version).paths):
            raise ConflictError(
                f"run {short(version.runs[-1])} began to use {version.reference} meanwhile; nothing was deleted",
                hint="run the same again",
            )


def _need(project: Project, pinned: PinnedVersion) -> Need:
    pin = read_recorded_pin(project.store, pinned)
    return Need(
        version=pinned.version, pin=pinned.pin, paths=frozenset(path for file in pin.files for path in _paths(file))
    )


def _paths(file: DataFile) -> list[str]:
    return [path for path in (file.path, file.vector.path if file.vector else None) if path is not None]


def _result(
    plan: VacuumPlan,
    pinned: Sequence[PinnedVersion],
    models: Mapping[str, Sequence[str]],
    deleted: int | None,
    limit: int,
) -> Vacuumed:
    holders = {(version.version, version.pin): version for version in pinned}
    spared = [(holders[s.version, s.pin], s) for s in plan.spared]
    return Vacuumed(
        table=plan.table,
        head=plan.head,
        retention_seconds=plan.retention_ms / 1000,
        files=len(plan.dead),
        bytes=plan.bytes,
        paths=[file.path for file in plan.dead[:limit]],
        deleted=deleted,
        spared=[
            SparedVersion(
                table=holder.table,
                version=holder.version,
                files=spared.files,
                bytes=spared.bytes,
                runs=holder.runs,
                models=models_of(holder.runs, models),
            )
            for holder, spared in spared
        ],
        lost_versions=plan.lost_versions,
        young=plan.young,
        untimed=plan.untimed,
        refused=plan.refused,
    )
