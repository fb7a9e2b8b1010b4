"""Which runs were deleted and which `lin gc` took for good, folded from the store's events in their order.

A deleted run keeps all it names until it is collected: until then it can come back, and afterwards never.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from lin.events import Collect, Delete, Event, Undelete
from lin.store.store import Store


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """Who deleted a run, when and why. `collected` is when `lin gc` took it, None while it can come back."""

    run: str
    time: datetime
    actor: str
    reason: str | None
    collected: datetime | None = None


def deleted_runs(store: Store) -> frozenset[str]:
    """The ids of all runs that are deleted now, those that were collected among them."""
    return frozenset(read_deletions(store))


def collected_runs(store: Store) -> frozenset[str]:
    """The ids of the runs that were collected: gone for good, though a killed `lin gc` may have left files of them."""
    return frozenset(run for run, deletion in read_deletions(store).items() if deletion.collected)


def read_deletions(store: Store) -> dict[str, Deletion]:
    """The deletion of each run that is deleted now, by the run's id, in the order in which they were deleted."""
    return fold_deletions(store.events.read())


def fold_deletions(events: Sequence[Event]) -> dict[str, Deletion]:
    """The same after these events. Of a run that was deleted twice the first deletion counts."""
    deletions: dict[str, Deletion] = {}
    for event in events:
        match event.change:
            case Delete(run=run, reason=reason) if run not in deletions:
                deletions[run] = Deletion(run=run, time=event.time, actor=event.actor, reason=reason)
            case Undelete(run=run) if not _is_collected(deletions, run):
                deletions.pop(run, None)
            case Collect(runs=runs):
                _collect(deletions, runs, event)
    return deletions


def _is_collected(deletions: Mapping[str, Deletion], run: str) -> bool:
    return run in deletions and deletions[run].collected is not None


def _collect(deletions: dict[str, Deletion], runs: Sequence[str], event: Event) -> None:
    for run in runs:
        if not _is_collected(deletions, run):
            known = deletions.get(run) or Deletion(run=run, time=event.time, actor=event.actor, reason=None)
            deletions[run] = msgspec.structs.replace(known, collected=event.time)
