"""Properties of a table that decide how long old versions last, and setting them as a commit of ours.

Writers drop old commits when they make a checkpoint, unless the table says no: then versions can no longer be told or
compared, though a pinned one can still be read.
"""

from lin.data.commit import (
    Attribution,
    acknowledge,
    commit_failure,
    commit_hooks,
    commit_properties,
    require_location,
    require_writable,
)
from lin.data.log import Snapshot
from lin.data.tables import Table

KEEP_LOG = {"delta.enableExpiredLogCleanup": "false"}
"""What makes a table keep its log."""

_LOG_RETENTION = "delta.logRetentionDuration"
_DEFAULT = "interval 30 days"


def log_retention(snapshot: Snapshot) -> str | None:
    """How long the table's log keeps a commit, as the table says it; None where it keeps all."""
    settings = snapshot.metadata.configuration
    if all(settings.get(key, "").lower() == value for key, value in KEEP_LOG.items()):
        return None
    return settings.get(_LOG_RETENTION, _DEFAULT)


def keep_log(table: Table, attribution: Attribution) -> int:
    """Commit a version with the same files whose log is kept for ever; returns it.

    Raises:
        ConflictError: somebody wrote meanwhile; nothing was changed.
        OutsideError: the table asks of its writers what lin does not do, or the file system failed.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    base = table.log.snapshot()
    require_writable(table, base)
    try:
        DeltaTable(require_location(table.root), version=base.version).alter.set_table_properties(
            dict(KEEP_LOG),
            commit_properties=commit_properties(attribution),
            post_commithook_properties=commit_hooks(),
        )
    except (DeltaError, OSError) as error:
        raise commit_failure(table, base.version, error) from error
    return acknowledge(table, base.version + 1, base.keys, attribution)
