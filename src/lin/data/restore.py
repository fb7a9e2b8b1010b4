"""Restore: a new version of a table that has the very files of an old one, and so is the same data.

The old version is pinned before anything is committed, and the new one after: both pins must have one digest.
"""

import msgspec

from lin.data.commit import (
    Attribution,
    check_commit,
    commit_failure,
    commit_hooks,
    commit_properties,
    require_location,
    require_writable,
    sync_commit,
)
from lin.data.log import Snapshot
from lin.data.pins import pin_digest, pin_version
from lin.data.tables import Table
from lin.errors import NotFoundError, OutsideError

_NAMED = 5
"""As many missing files are named in a message."""


class RestorePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What restoring `version` over `head` would do: how many files come back and go, and which are lost."""

    table: str
    head: int
    version: int
    nothing_to_do: bool
    missing: list[str]
    added_files: int
    removed_files: int


class RestoreResult(msgspec.Struct, frozen=True, kw_only=True):
    """Version `restored` is now the newest, as `version`; None where it was all along."""

    table: str
    restored: int
    version: int | None


def plan_restore(table: Table, version: int) -> RestorePlan:
    """Look at what restoring a version would do. Nothing is changed.

    Raises:
        NotFoundError: no such version. OutsideError: the log is damaged.
    """
    return _plan(table, table.log.snapshot(), table.log.snapshot(version))


def require_files(plan: RestorePlan) -> None:
    """Refuse a plan whose old version has lost files. Raises `OutsideError` that lists them."""
    if not plan.missing:
        return
    named = ", ".join(repr(path) for path in plan.missing[:_NAMED])
    more = f" and {len(plan.missing) - _NAMED} more" if len(plan.missing) > _NAMED else ""
    raise OutsideError(
        f"{plan.table}@{plan.version} cannot be restored: its data files {named}{more} are missing",
        hint=f"choose another version: lin history {plan.table}",
    )


def restore_version(table: Table, version: int, attribution: Attribution) -> RestoreResult:
    """Commit a version with the files and the schema of an old one, unless the newest has them.

    Raises:
        NotFoundError: no such version. ConflictError: somebody wrote meanwhile; nothing was changed.
        OutsideError: files of the old version are missing or altered, or the table asks of its writers what
            lin does not do: nothing was changed. Or the new version is not the same; the message says so.
    """
    head = table.log.snapshot()
    old = table.log.snapshot(version)
    plan = _plan(table, head, old)
    require_files(plan)
    if plan.nothing_to_do:
        return RestoreResult(table=table.name, restored=version, version=None)
    require_writable(table, head)
    pin = pin_digest(pin_version(table, old))
    _commit(table, head.version, version, attribution)
    new = head.version + 1
    sync_commit(table.root, new)
    check_commit(table, new, old.keys, attribution)
    if pin_digest(pin_version(table, table.log.snapshot(new))) != pin:
        raise OutsideError(
            f"version {new} of table '{table.name}' was to restore version {version}, and is not the same",
            hint=f"lin diff {table.name}@{version} {table.name}@{new}",
        )
    return RestoreResult(table=table.name, restored=version, version=new)


def _plan(table: Table, head: Snapshot, old: Snapshot) -> RestorePlan:
    added, removed = old.keys - head.keys, head.keys - old.keys
    return RestorePlan(
        table=table.name,
        head=head.version,
        version=old.version,
        nothing_to_do=not added and not removed and old.metadata.schema == head.metadata.schema,
        missing=[file.path for file in old.files if not (table.root / file.path).is_file()],
        added_files=len(added),
        removed_files=len(removed),
    )


def _commit(table: Table, head: int, version: int, attribution: Attribution) -> None:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        DeltaTable(require_location(table.root), version=head).restore(
            version,
            commit_properties=commit_properties(attribution),
            post_commithook_properties=commit_hooks(),
        )
    except (DeltaError, OSError) as error:
        if not _is_ours(table, head + 1, attribution):
            raise commit_failure(table, head, error) from error


def _is_ours(table: Table, version: int, attribution: Attribution) -> bool:
    """Whether the commit got into the log although delta-rs raised an error."""
    try:
        info = table.log.commit(version).info
    except NotFoundError:
        return False
    return info.get("operation") == "RESTORE" and info.get("lin.run") == attribution.run
