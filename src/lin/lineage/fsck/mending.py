"""What to type about a file that is not as it should be."""

from pathlib import Path

from lin.store.fsck import EVENTS, Fault

_RESTORE = "restore that file from a backup of the store"
_LOOK = "look at the disk, at who may read it, and at ulimit -n; then again: lin fsck"


def tell_mend_of_table(fault: Fault, content: str | None) -> str:
    """What to do about a file of a table, whose content lies at `content`, if anywhere."""
    if fault.ill == "unreadable":
        return _LOOK
    restore = "restore that file from a backup of the table"
    return restore if content is None else f"the same content lies at {content}: copy it there"


def tell_mend(fault: Fault, *, needed: bool, content: str | None, deleted: bool, memory: Path | None) -> str:
    """What to do about a file of the store.

    Args:
        fault: what is wrong.
        needed: whether anything depends on the file.
        content: where the same content lies, if anywhere.
        deleted: it is a file of a deleted run.
        memory: the file that remembers what was seen before, if that alone tells of the fault.
    """
    place = fault.key.partition("/")[0]
    mends = (
        (fault.ill == "exposed", "chmod -R o-w on the store's folder"),
        (fault.ill == "unreadable", _LOOK),
        (fault.ill == "stray", "lin fsck --repair --yes moves it into quarantine"),
        (
            fault.ill == "distrusted",
            "ask who wrote it; what is right has to be done again, and signed by somebody with the role",
        ),
        (place == "index", "lin index --rebuild"),
        (memory is not None, f"{_RESTORE}; if that is how the store is meant to be: rm {memory}"),
        (place == EVENTS, f"{_RESTORE}; no event can be made anew"),
        (deleted, f"{_RESTORE}, or take the deleted run away: lin gc --yes"),
        (content is not None, f"the same content lies at {content}: lin fsck --repair --yes puts it back"),
        (place == "blobs" and not needed, "nothing needs it: lin fsck --repair --yes moves it into quarantine"),
    )
    return next((mend for applies, mend in mends if applies), _RESTORE)
