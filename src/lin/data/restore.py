"""Restore: a new version of a table that has the very files of an old one, and so is the same data.

By the log where it has the old version, else from a pin of it. The old version is pinned before anything is committed,
and the new one after: both pins must have one digest.
"""

import msgspec

from lin.data.actions import AddFile
from lin.data.commit import (
    Attribution,
    Keys,
    check_commit,
    commit_failure,
    commit_hooks,
    commit_properties,
    require_location,
    require_writable,
    sync_commit,
)
from lin.data.files import open_data_file
from lin.data.log import Snapshot
from lin.data.pins import check_pin, pin_digest, pin_version, pinned_metadata
from lin.data.recommit import commit_pin, place_of
from lin.data.tables import Table
from lin.errors import NotFoundError, OutsideError
from lin.records import Pin

_TOLD = 5
"""As many problems are told in a message."""


class RestorePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What restoring `version` over `head` would do: how many files come back and go, and which are lost or altered.

    `settings` names the table properties that go back to their old values too.
    """

    table: str
    head: int
    version: int
    nothing_to_do: bool
    problems: list[str]
    added_files: int
    removed_files: int
    settings: list[str] = []


class RestoreResult(msgspec.Struct, frozen=True, kw_only=True):
    """Version `restored` is now the newest, as `version`; None where it was all along."""

    table: str
    restored: int
    version: int | None


def plan_restore(table: Table, version: int) -> RestorePlan:
    """Look at what restoring a version by the log would do: files are looked for and measured. Nothing is changed.

    Raises:
        NotFoundError: no such version. OutsideError: the log is damaged, or no longer has that version.
    """
    return _plan(table, table.log.snapshot(), table.log.snapshot(version))


def plan_pin(table: Table, pin: Pin, version: int) -> RestorePlan:
    """Look at what restoring `version` from a pin of it would do: every file is read. Nothing is changed.

    Raises:
        OutsideError: the log is damaged, or the pin needs what lin lacks.
    """
    head = table.log.snapshot()
    old, new = [place_of(file) for file in head.files], [place_of(file) for file in pin.files]
    wanted = pinned_metadata(table, pin)
    return RestorePlan(
        table=table.name,
        head=head.version,
        version=version,
        nothing_to_do=old == new
        and wanted.mapping == head.metadata.mapping
        and wanted.schema == head.metadata.schema
        and wanted.partition_columns == head.metadata.partition_columns,
        problems=check_pin(table, pin),
        added_files=len(set(new) - set(old)),
        removed_files=len(set(old) - set(new)),
    )


def require_whole(table: str, version: int, problems: list[str]) -> None:
    """Refuse a version that has lost files, or whose files were altered. Raises `OutsideError` that lists them."""
    if not problems:
        return
    more = [f"and {len(problems) - _TOLD} more"] if len(problems) > _TOLD else []
    raise OutsideError(
        f"{table}@{version} cannot be restored: {'; '.join([*problems[:_TOLD], *more])}",
        hint=f"restore these files from a backup, or choose another version: lin history {table}",
    )


def restore_version(table: Table, version: int, attribution: Attribution) -> RestoreResult:
    """Commit a version with the files and the schema of an old one that the log has, unless the newest has them.

    Raises:
        NotFoundError: no such version. ConflictError: somebody wrote meanwhile; nothing was changed.
        OutsideError: files of the old version are missing or altered, or the table asks of its writers what
            lin does not do: nothing was changed. Or the new version is not the same; the message says so.
    """
    head = table.log.snapshot()
    old = table.log.snapshot(version)
    plan = _plan(table, head, old)
    require_whole(table.name, version, plan.problems)
    if plan.nothing_to_do:
        return RestoreResult(table=table.name, restored=version, version=None)
    require_writable(table, head)
    pin = pin_version(table, old)
    if _comes_back_in_order(head, old):
        _commit(table, head.version, version, attribution)
        new, keys = head.version + 1, old.keys
    else:
        new, keys = commit_pin(table, head, pin, attribution, version=version)
    return _acknowledge(table, version, new, keys, pin, attribution)


def restore_pin(table: Table, pin: Pin, version: int, attribution: Attribution) -> RestoreResult:
    """Commit a version with the files, their order and the schema of a pin of `version`, unless the newest has them.

    The log need not have that version. The table keeps its properties.

    Raises:
        ConflictError: somebody wrote meanwhile; nothing was changed.
        OutsideError: files of the pin are missing or altered, or the table asks of its writers what lin does not
            do: nothing was changed. Or the new version is not the same; the message says so.
    """
    head = table.log.snapshot()
    plan = plan_pin(table, pin, version)
    require_whole(table.name, version, plan.problems)
    if plan.nothing_to_do:
        return RestoreResult(table=table.name, restored=version, version=None)
    require_writable(table, head)
    new, keys = commit_pin(table, head, pin, attribution, version=version)
    return _acknowledge(table, version, new, keys, pin, attribution)


def _comes_back_in_order(head: Snapshot, old: Snapshot) -> bool:
    """Whether the files stand in their old order if those that are still live keep the times that they have now."""
    now = {file.key: file.modified for file in head.files}
    times = [(now.get(file.key, file.modified), file.path) for file in old.files]
    return times == sorted(times)


def _acknowledge(table: Table, old: int, new: int, keys: Keys, pin: Pin, attribution: Attribution) -> RestoreResult:
    """Put the commit on disk, and check that the new version is the old one."""
    sync_commit(table.root, new)
    check_commit(table, new, keys, attribution)
    if pin_digest(pin_version(table, table.log.snapshot(new))) != pin_digest(pin):
        raise OutsideError(
            f"version {new} of table '{table.name}' was to restore version {old}, and is not the same",
            hint=f"lin diff {table.name}@{old} {table.name}@{new}",
        )
    return RestoreResult(table=table.name, restored=old, version=new)


def _plan(table: Table, head: Snapshot, old: Snapshot) -> RestorePlan:
    added, removed = old.keys - head.keys, head.keys - old.keys
    before, after = old.metadata.configuration, head.metadata.configuration
    return RestorePlan(
        table=table.name,
        head=head.version,
        version=old.version,
        nothing_to_do=not added and not removed and old.metadata.schema == head.metadata.schema,
        problems=[problem for file in old.files if (problem := _measure(table, file))],
        added_files=len(added),
        removed_files=len(removed),
        settings=sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key)),
    )


def _measure(table: Table, file: AddFile) -> str | None:
    """What is wrong with a file as far as one sees without reading it."""
    for path in (file.path, file.vector.path if file.vector else None):
        if path is None:
            continue
        try:
            with open_data_file(table.root, path) as stream:
                size = stream.seek(0, 2)
        except FileNotFoundError:
            return f"{'data file' if path == file.path else 'deletion vector'} {path!r} is missing"
        except OutsideError as error:
            return error.message
        except OSError as error:
            return f"{path!r} cannot be read: {error.strerror}"
        if path == file.path and size != file.bytes:
            return f"data file {path!r} was altered: it has {size} bytes, and the table's log says {file.bytes}"
    return None


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
