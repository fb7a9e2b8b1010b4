"""Going back: stages and aliases of a model as they were, in one event, and with them the tables it was trained on.

Tables are restored first, each as a recorded run, and the event names them. Whoever dies in between has tables that
are restored already, and the same command does the rest. Gates are not asked: a version can only go back to a stage
that it held before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgspec

from lin.data.commit import require_writable
from lin.data.moments import show_moment
from lin.data.restore import plan_pin, require_whole
from lin.data.tables import Table, open_table
from lin.errors import NotFoundError, RefusedError, UsageError
from lin.events import Change, Event, Placed, Refuse, Rollback, Stage
from lin.ids import short
from lin.models.changes import append_change, change_model, require_stage
from lin.models.fold import Model, ModelVersion, fold_events
from lin.models.registry import SHARED_STAGES, find_model, find_version, read_registry
from lin.models.roles import require_role
from lin.models.words import check_reason
from lin.project import Project
from lin.records import TableRef
from lin.runs.pinned import read_recorded_pin
from lin.runs.query import RunInfo, read_run
from lin.runs.restore import Restored, restore_table

PRODUCTION = "production"


@dataclass(frozen=True)
class AsOf:
    """Back to the stages and aliases of a moment. A version registered later leaves its stage for `archived`."""

    moment: datetime

    def __str__(self) -> str:
        return show_moment(self.moment)


@dataclass(frozen=True)
class To:
    """A version back into a stage that it held before; whoever holds it is archived.

    Aliases of that one name again what they named when the version last held the stage; the others stay.
    """

    version: int
    stage: str = PRODUCTION

    def __str__(self) -> str:
        return f"version {self.version} in {self.stage}"


class StageBack(msgspec.Struct, frozen=True, kw_only=True):
    """The stage of a version, before and after."""

    version: int
    before: str
    after: str


class AliasBack(msgspec.Struct, frozen=True, kw_only=True):
    """The version that has an alias, before and after; None where no version had it, or has it now."""

    alias: str
    before: int | None
    after: int | None


class RolledBack(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollback changed, or in a dry run would: stages, aliases, and every table that it was about.

    `event` is the number of the event; None in a dry run, and where there was nothing to do.
    """

    model: str
    as_of: datetime | None
    stages: list[StageBack]
    aliases: list[AliasBack]
    tables: list[Restored]
    event: int | None
    dry_run: bool
    nothing_to_do: bool


class _Read(NamedTuple):
    """A table, and the version of it that a run read."""

    table: Table
    ref: TableRef


class _NothingToDoError(Exception):
    """All of it is as it should be: there is nothing to say in an event."""


def roll_back(
    project: Project,
    name: str,
    target: AsOf | To,
    *,
    tables: bool = False,
    reason: str | None = None,
    dry_run: bool = False,
) -> RolledBack:
    """Put the stages and aliases of a model back, in one event; none is appended where all of it is so already.

    Args:
        project: whose model it is.
        name: the model.
        target: where to.
        tables: make every table that the version then in the stage (as of a moment: in production) was trained on
            equal to what its run read. All of them are looked at before the first is touched.
        reason: why; kept with the event, and with the runs that restore.
        dry_run: only tell what would change.

    Raises:
        NotFoundError: no such model or version, or not then. UsageError: the version never held that stage, or there
            are no `tables` to restore. RefusedError: it takes the role promoter; the refusal is an event, but for a
            dry run. OutsideError: a table cannot be restored. ConflictError: somebody wrote to it meanwhile.
    """
    check_reason(reason)
    action = f"roll {name} back to {target}"
    model = _require_promoter(project, name, action, dry_run=dry_run)
    then = _model_then(project, model, target)
    change = plan_rollback(model, then, target)
    reads = _tables_behind(project, then, target) if tables else []
    if dry_run:
        return _rolled_back(model, change, [_restore(project, read, dry_run=True) for read in reads], dry_run=True)
    for read in reads:
        _require_restorable(project, read)
    restored = [_restore(project, read, reason=reason or action) for read in reads]
    is_moved = any(not table.nothing_to_do for table in restored)

    def decide(now: Model) -> Rollback:
        differing = plan_rollback(now, then, target)
        if not (differing.stages or differing.aliases or is_moved):
            raise _NothingToDoError
        return msgspec.structs.replace(differing, tables=[read.ref for read in reads], reason=reason)

    try:
        event, change = change_model(project, name, "promoter", action, decide)
    except _NothingToDoError:
        return _rolled_back(model, Rollback(model=name), restored)
    before = fold_events(project.store.events.read()[: event.number - 1])[name]
    return _rolled_back(before, change, restored, event=event.number)


def plan_rollback(now: Model, then: Model, target: AsOf | To) -> Rollback:
    """What differs between a model as it is and as it is to be.

    `then` is the model as of the moment, or as it was when the version last held the stage.
    """
    aliases: dict[str, int] = then.aliases if isinstance(target, AsOf) else _aliases_with(now, then, target)
    stages = _stages_then(now, then) if isinstance(target, AsOf) else _stages_with(now, target)
    return Rollback(
        model=now.name,
        stages=[
            Placed(version=number, stage=stage)
            for number, stage in sorted(stages.items())
            if now.versions[number - 1].stage != stage
        ],
        aliases={
            alias: aliases.get(alias)
            for alias in sorted({*aliases, *now.aliases})
            if aliases.get(alias) != now.aliases.get(alias)
        },
        as_of=target.moment if isinstance(target, AsOf) else None,
    )


def _stages_then(now: Model, then: Model) -> dict[int, str]:
    later = now.versions[len(then.versions) :]
    archived = {version.version: "archived" for version in later if version.stage not in SHARED_STAGES}
    return {version.version: version.stage for version in then.versions} | archived


def _stages_with(now: Model, target: To) -> dict[int, str]:
    return dict.fromkeys(_holders(now, target), "archived") | {target.version: target.stage}


def _aliases_with(now: Model, then: Model, target: To) -> dict[str, int]:
    leaving = {*_holders(now, target)} - {target.version}
    back = {alias: then.aliases[alias] for alias, v in now.aliases.items() if v in leaving and alias in then.aliases}
    return now.aliases | back


def _holders(model: Model, target: To) -> list[int]:
    return [version.version for version in model.versions if version.stage == target.stage]


# --- what was -----------------------------------------------------------------------------------------------------


def _require_promoter(project: Project, name: str, action: str, *, dry_run: bool) -> Model:
    """The model, if whoever asks may roll it back. A refusal is an event, before any table is touched."""
    model = find_model(read_registry(project.store), name)
    try:
        require_role(model, "promoter", action, actor=project.actor, email=project.email)
    except RefusedError as error:
        if not dry_run:
            refusal = Refuse(model=name, action=action, why=error.message)
            append_change(project, lambda _: refusal)
        raise
    return model


def _model_then(project: Project, model: Model, target: AsOf | To) -> Model:
    """The model as of the moment, or as the version last held the stage."""
    if isinstance(target, To):
        _require_held(project, model, target)
        return last_held(project.store.events.read(), model.name, target)
    try:
        return find_model(read_registry(project.store, as_of=target.moment), model.name)
    except NotFoundError as error:
        raise NotFoundError(f"at {target}, {error.message}", hint=f"lin show {model.name}") from error


def last_held(events: Sequence[Event], name: str, target: To) -> Model:
    """The model after the last of the events up to which the version was in the stage."""
    stage, last = "none", 0
    for count, event in enumerate(events, 1):
        stage = _stage_after(event.change, name, target.version) or stage
        last = count if stage == target.stage else last
    return fold_events(events[:last])[name]


def _stage_after(change: Change, name: str, version: int) -> str | None:
    """The stage that a change puts a version into, if it does."""
    match change:
        case Stage(model=model) if model == name:
            return change.stage if change.version == version else "archived" if version in change.archived else None
        case Rollback(model=model) if model == name:
            return next((placed.stage for placed in change.stages if placed.version == version), None)
        case _:
            return None


def _require_held(project: Project, model: Model, target: To) -> None:
    require_stage(project, target.stage)
    if target.stage in SHARED_STAGES:
        raise UsageError(
            f"any number of versions can be in {target.stage}: there is nothing to go back to",
            hint=f"lin promote {model.name}@{target.version} {target.stage}",
        )
    version = find_version({model.name: model}, f"{model.name}@{target.version}")
    if all(move.stage != target.stage for move in version.history):
        raise UsageError(
            f"{version.reference} never was in {target.stage}, so there is no way back",
            hint=f"lin promote {version.reference} {target.stage}",
        )


# --- tables -------------------------------------------------------------------------------------------------------


def _tables_behind(project: Project, then: Model, target: AsOf | To) -> Sequence[_Read]:
    """The tables that the run of the version in the stage read, once it is back there."""
    version = then.versions[target.version - 1] if isinstance(target, To) else _in_production(then, target)
    run = read_run(project.store, version.run)
    if not run.table_inputs:
        raise UsageError(
            f"{version.reference} was trained on no table: its run {short(run.id)} read none",
            hint="leave out --tables",
        )
    _require_one_each(run)
    return [_open(project, ref) for ref in {ref.location: ref for ref in run.table_inputs}.values()]


def _in_production(then: Model, target: AsOf) -> ModelVersion:
    try:
        return find_version({then.name: then}, f"{then.name}@{PRODUCTION}")
    except NotFoundError as error:
        raise NotFoundError(f"at {target}, {error.message}", hint="leave out --tables") from error


def _require_one_each(run: RunInfo) -> None:
    pins: dict[str, set[str]] = {}
    for ref in run.table_inputs:
        pins.setdefault(ref.location, set()).add(ref.pin)
        if len(pins[ref.location]) > 1:
            raise UsageError(
                f"run {short(run.id)} read several versions of table '{ref.table}': which of them is not known",
                hint=f"lin restore {ref.table} --version N, then roll back without --tables",
            )


def _open(project: Project, ref: TableRef) -> _Read:
    """The table where the run read it, as it is declared if it still is."""
    root = project.store_root / ref.location
    declared = project.config.tables.get(ref.table)
    if declared is not None and (project.root / declared.path).resolve() == root.resolve():
        return _Read(open_table(project, ref.table), ref)
    return _Read(Table(ref.table, root, order=tuple(ref.order)), ref)


def _require_restorable(project: Project, read: _Read) -> None:
    """Every file of what the run read is there and whole, and the table takes a write. Raises `OutsideError`.

    A dry run of the restore would not do: it compares rows, and so needs the newest version to be whole too.
    """
    pin = read_recorded_pin(project.store, read.ref)
    require_whole(read.table.name, read.ref.version, plan_pin(read.table, pin, read.ref.version).problems)
    require_writable(read.table, read.table.log.snapshot())


def _restore(project: Project, read: _Read, *, dry_run: bool = False, reason: str | None = None) -> Restored:
    ref = read.ref
    return restore_table(project, read.table, ref.version, pin=ref.pin, dry_run=dry_run, reason=reason)


def _rolled_back(
    before: Model, change: Rollback, tables: list[Restored], *, event: int | None = None, dry_run: bool = False
) -> RolledBack:
    return RolledBack(
        model=before.name,
        as_of=change.as_of,
        stages=[
            StageBack(version=put.version, before=before.versions[put.version - 1].stage, after=put.stage)
            for put in change.stages
        ],
        aliases=[
            AliasBack(alias=alias, before=before.aliases.get(alias), after=version)
            for alias, version in sorted(change.aliases.items())
        ],
        tables=tables,
        event=event,
        dry_run=dry_run,
        nothing_to_do=not (change.stages or change.aliases) and all(table.nothing_to_do for table in tables),
    )
