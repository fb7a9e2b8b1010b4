"""Committing to a table so that it stays: who wrote what and why, refusals before, fsync and a check after.

delta-rs fsyncs nothing and takes a stale overwrite for a fresh one in places; so a commit is tried once, on the version
it was made for, put on disk here, and read again before it is acknowledged.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

import msgspec

from lin.data.log import DeltaLog, Snapshot, require_readable
from lin.data.tables import Table
from lin.errors import ConflictError, LinError, NotFoundError, OutsideError
from lin.store.whole import fsync_path

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake.transaction import AddAction, CommitProperties, PostCommitHookProperties

_KEEP_LOG = {"delta.enableExpiredLogCleanup": "false"}
"""Tables that lin makes keep their whole history: other writers would drop commits after 30 days."""

_REFUSED_SETTINGS = {
    "delta.appendOnly": "is append-only (delta.appendOnly)",
    "delta.enableChangeDataFeed": "has a change data feed",
    "delta.enableRowTracking": "tracks rows",
    "delta.enableInCommitTimestamps": "has in-commit timestamps",
}
_REFUSED_COLUMNS = {
    "delta.generationExpression": "is generated",
    "delta.identity.start": "is an identity column",
    "delta.invariants": "has an invariant",
}
_WRITER_FEATURES = {"appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns"} | {
    *(
        "identityColumns",
        "columnMapping",
        "deletionVectors",
        "timestampNtz",
        "v2Checkpoint",
        "vacuumProtocolCheck",
    )
}
"""The features that ask nothing of a writer where their setting is off, or that delta-rs honours."""
_NEWEST_WRITER = 7
_UNFINISHED = re.compile(r"\d{20}\.json#\d+", re.ASCII)

Keys = set[tuple[str, str | None]]


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote a version, in which run, why, and with which model: `boston@2`. `lin` is lin's version."""

    run: str
    user: str
    reason: str
    model: str | None = None
    lin: str

    def commit_metadata(self) -> dict[str, str]:
        """What `commitInfo` gets: a key for each fact, and all in `userMetadata`, which any engine shows."""
        facts = {
            "run": self.run,
            "user": self.user,
            "reason": self.reason,
            "model": self.model,
            "version": self.lin,
        }
        keys = {f"lin.{name}": value for name, value in facts.items() if value is not None}
        return {**keys, "userMetadata": msgspec.json.encode(keys).decode()}


# --- refusals before anything is written ------------------------------------------------------------------------------


def require_location(root: Path) -> str:
    """The URI of `root` for delta-rs, which takes some paths for others: `a%41` for `aA`.

    Raises:
        OutsideError: `root` is such a path.
    """
    path = root.absolute().as_posix()
    if unquote(path) != path or "\\" in path or not path.isprintable():
        raise OutsideError(
            f"delta-rs cannot write to a table at {path!r}",
            hint="move it to a path without backslashes, control characters, and '%' before two hex digits",
        )
    return root.absolute().as_uri()


def require_writable(table: Table, snapshot: Snapshot) -> None:
    """Refuse a table that asks of its writers what lin would not do.

    Raises:
        OutsideError: names the feature.
    """
    require_location(table.root)
    require_readable(table.log, snapshot)
    settings = snapshot.metadata.configuration
    reasons = [why for key, why in _REFUSED_SETTINGS.items() if settings.get(key, "").lower() == "true"]
    reasons += [f"has the check constraint '{k[18:]}'" for k in settings if k.startswith("delta.constraints.")]
    reasons += [
        f"has a column '{field['name']}' that {why}"
        for field in snapshot.metadata.schema["fields"]
        for key, why in _REFUSED_COLUMNS.items()
        if key in (field.get("metadata") or {})
    ]
    unknown = sorted(set(snapshot.protocol.writer_features) - _WRITER_FEATURES)
    reasons += [f"uses the feature '{feature}'" for feature in unknown]
    if snapshot.protocol.writer > _NEWEST_WRITER:
        reasons.append(f"is for writers of version {snapshot.protocol.writer}")
    if reasons:
        raise OutsideError(f"lin does not write to table '{table.name}': it {reasons[0]}")


def require_head(table: Table, base: Snapshot) -> None:
    """Refuse to write after a version that is not the newest any more. Raises `ConflictError`."""
    if table.log.head() != base.version:
        raise conflict(table.name, base.version + 1)


def conflict(name: str, version: int) -> ConflictError:
    """What to raise where somebody else took the version."""
    return ConflictError(
        f"somebody wrote version {version} of '{name}' meanwhile; nothing was changed",
        hint="run the same again",
    )


def table_exists(root: Path) -> ConflictError:
    """What to raise where a table is in the way."""
    return ConflictError(f"there is a Delta table in {root} already", hint="choose another folder, or adopt that table")


# --- committing -------------------------------------------------------------------------------------------------------


def commit_first(log: DeltaLog, adds: "list[AddAction]", schema: "pa.Schema", attribution: Attribution) -> None:
    """Make version 0 of these files. Raises `ConflictError`, or `OutsideError` if the file system failed."""
    from deltalake import Schema
    from deltalake.exceptions import DeltaError
    from deltalake.transaction import create_table_with_add_actions

    try:
        create_table_with_add_actions(
            require_location(log.root),
            Schema.from_arrow(schema),
            adds,
            mode="error",
            configuration=_KEEP_LOG,
            commit_properties=commit_properties(attribution),
            post_commithook_properties=commit_hooks(),
        )
    except (DeltaError, OSError) as error:
        if _is_committed(log, 0, adds):
            return
        if has_versions(log):
            raise table_exists(log.root) from error
        raise OutsideError(f"a Delta table could not be made in {log.root}: {error}") from error


def commit_rows(
    table: Table,
    base: Snapshot,
    adds: "list[AddAction]",
    schema: dict[str, Any],
    attribution: Attribution,
    *,
    mode: Literal["overwrite", "append"] = "overwrite",
) -> int:
    """Put `adds` in the place of all files of `base`, or beside them, if it is still the newest version."""
    from deltalake import DeltaTable, Schema
    from deltalake.exceptions import DeltaError

    version = base.version + 1
    with discard_unless_committed(table.log, version, adds):
        try:
            DeltaTable(require_location(table.root), version=base.version).create_write_transaction(
                list(adds),
                mode,
                Schema.from_json(msgspec.json.encode(schema).decode()),
                base.metadata.partition_columns,
                commit_properties=commit_properties(attribution),
                post_commithook_properties=commit_hooks(),
            )
        except (DeltaError, OSError) as error:
            if not _is_committed(table.log, version, adds):
                raise commit_failure(table, base.version, error) from error
    kept = base.keys if mode == "append" else set()
    return acknowledge(table, version, kept | {(add.path, None) for add in adds}, attribution)


def commit_failure(table: Table, base: int, error: Exception) -> LinError:
    """What a failed commit after version `base` means: somebody was first, or something outside failed."""
    if table.log.head() != base:
        return conflict(table.name, base + 1)
    reason = str(error).split("\n", 1)[0]
    return OutsideError(f"version {base + 1} of table '{table.name}' could not be committed: {reason}")


def acknowledge(table: Table, version: int, keys: Keys, attribution: Attribution) -> int:
    """Put the commit on disk, check it, and only then return its version."""
    sync_commit(table.root, version)
    check_commit(table, version, keys, attribution)
    return version


@contextmanager
def discard_unless_committed(log: DeltaLog, version: int, adds: "list[AddAction]") -> Iterator[None]:
    """Remove the files at the end, unless the log names them: an error or interrupt may follow a commit."""
    try:
        yield
    finally:
        if not _is_committed(log, version, adds):
            for add in adds:
                (log.root / add.path).unlink(missing_ok=True)


def _is_committed(log: DeltaLog, version: int, adds: "list[AddAction]") -> bool:
    """Whether `version` is the commit of these files: their names are unique. A torn one may be it."""
    try:
        return {add.path for add in log.commit(version).adds} == {add.path for add in adds}
    except NotFoundError:
        return False
    except OutsideError:
        return True


def has_versions(log: DeltaLog) -> bool:
    """Whether there is a table. A `_delta_log` without a commit is what a killed writer leaves: none."""
    try:
        return len(log.versions()) > 0
    except NotFoundError:
        return False


@contextmanager
def new_folder(root: Path) -> Iterator[None]:
    """Make `root` and the folders above it that are missing, durably. On an error, the empty ones go."""
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    with ExitStack() as undo:
        undo.callback(_remove_empty, [root / "_delta_log", *missing])
        try:
            for folder in reversed(missing):
                folder.mkdir(exist_ok=True)
                fsync_path(folder.absolute().parent)
        except OSError as error:
            raise OutsideError(f"the folder {root} cannot be made: {error}") from error
        yield
        undo.pop_all()


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def discard_unfinished(root: Path, before: float) -> None:
    """Take away the commits that delta-rs was killed in, if unchanged since `before`: it alone reads such names."""
    with suppress(OSError):
        for entry in list((root / "_delta_log").iterdir()):
            if _UNFINISHED.fullmatch(entry.name) and entry.lstat().st_mtime < before:
                entry.unlink()


# --- after the commit -------------------------------------------------------------------------------------------------


def sync_commit(table_root: Path, version: int) -> None:
    """Put a commit of delta-rs, which fsyncs nothing, on disk: its data files, itself, and their folders.

    Raises:
        OutsideError: an fsync failed. That is final: what the disk holds is not known.
    """
    log = DeltaLog(table_root, table_root.name)
    data = [table_root / add.path for add in log.commit(version).adds]
    folders = {folder for path in data for folder in path.relative_to(table_root).parents}
    around = [table_root.absolute().parent] if version == 0 else []
    deepest_first = sorted((table_root / folder for folder in folders | {Path()}), reverse=True)
    try:
        for path in [*data, log.folder / f"{version:020d}.json", log.folder, *deepest_first, *around]:
            fsync_path(path)
    except OSError as error:
        raise OutsideError(
            f"version {version} of the table in {table_root} was committed but may not be on disk: {error}",
            hint="look at the disk, then at what the table holds: do not take that version as written",
        ) from error


def check_commit(table: Table, version: int, expected_keys: Keys, attribution: Attribution) -> None:
    """Read the log again: the commit is ours, and the version has exactly the expected files.

    Raises:
        ConflictError: that version is somebody else's. OutsideError: it has other files.
    """
    if table.log.commit(version).info.get("lin.run") != attribution.run:
        raise conflict(table.name, version)
    found = table.log.snapshot(version).keys
    if found != expected_keys:
        odd = sorted(str(path) for path, _ in found ^ expected_keys)
        raise OutsideError(
            f"version {version} of table '{table.name}' has other files than were written: {odd[0]!r}",
            hint=f"lin history {table.name}",
        )


def commit_properties(attribution: Attribution) -> "CommitProperties":
    """For delta-rs: who wrote this, and to fail rather than to try again on another version."""
    from deltalake.transaction import CommitProperties

    return CommitProperties(custom_metadata=attribution.commit_metadata(), max_commit_retries=0)


def commit_hooks() -> "PostCommitHookProperties":
    """For delta-rs: no clean-up, and no checkpoint, for it is not fsynced and a torn one hides commits."""
    from deltalake.transaction import PostCommitHookProperties

    return PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
