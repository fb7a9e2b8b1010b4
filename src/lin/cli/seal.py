"""`lin seal`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import count, emit

if TYPE_CHECKING:
    from lin.lineage.seal import Sealing


def seal(*, store: StorePath = None, as_json: Json = False) -> None:
    """Sign all events and runs that there are.

    With an ssh key: the one that LIN_SIGNING_KEY or git's user.signingkey names. `lin fsck --signers FILE` checks it.
    """
    from lin.lineage.seal import seal_store

    emit(seal_store(open_project(store), now=datetime.now(UTC)), _view, as_json=as_json)


def _view(sealed: "Sealing") -> list[str]:
    by = f"{sealed.actor} <{sealed.email}>" if sealed.email else sealed.actor
    what = f"{count(sealed.event - 1, 'event')} and {count(sealed.runs, 'run')}"
    head = f"event {sealed.event} seals {what}, signed by {by}"
    if not sealed.made:
        return [f"nothing is new: {head}"]
    made = f"{head}; {count(sealed.fresh, 'run')} for the first time"
    if sealed.discounted:
        changes = (
            f"{count(sealed.discounted, 'change')} under it {'does' if sealed.discounted == 1 else 'do'} not count"
        )
        return [made, f"{changes}: to trust this event would make them count (lin fsck)"]
    return [
        made,
        "in lineage.toml, what was written until now counts as it is, and no event of it can go unnoticed:",
        "[security]",
        f'trusted = "{sealed.event}:{sealed.sha256}"',
    ]
