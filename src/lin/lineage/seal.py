"""Sealing a store: an event, signed with an ssh key, that names every sealed run by the sha256 of its `run.json`.

The chain of hashes ties all events before it to the signature, and `run.json` names by hash what the run was. Runs that
an earlier seal lists are not listed again.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import msgspec

from lin.errors import RefusedError, StoreError
from lin.events import Change, CheckedEvent, Event, Seal
from lin.ids import is_id, new_id
from lin.models.fold import fold_events
from lin.project import Project
from lin.records import Sealed, digest
from lin.runs.deleted import fold_deletions
from lin.sealed import decode_sealed
from lin.store.events import event_key
from lin.store.fsck import list_runs, run_folder
from lin.store.store import Store

_LINE = re.compile(r"([0-9a-f]{32}) ([0-9a-f]{64})")


class Sealing(msgspec.Struct, frozen=True, kw_only=True):
    """What a seal holds: the event, its sha256, who made it, and of how many runs; `fresh` are new since the last.

    `made` is False where there was nothing new since the last seal, which this is. Of the events under it,
    `discounted` changes do not count.
    """

    event: int
    sha256: str
    actor: str
    email: str | None
    time: datetime
    runs: int
    fresh: int
    discounted: int
    made: bool


def seal_store(project: Project, *, now: datetime) -> Sealing:
    """Sign all events and all sealed runs that there are, unless a seal has them all.

    Raises:
        StoreError: a run that is to be sealed cannot be read. UsageError: there is no key. OutsideError: it does not
            sign. RefusedError: signers are known, and it is none of theirs.
    """
    store = project.store
    listed: dict[str, str] = {}
    fresh: dict[str, str] = {}

    def decide(events: Sequence[Event]) -> Change:
        listed.update(read_listings(store, events))
        fresh.update(_find_fresh(store, {*listed, *fresh}, events))
        for run in fresh.keys() & listed.keys():  # sealed by somebody else meanwhile
            del fresh[run]
        if not fresh and events and _is_good(events[-1]):
            raise _NothingNewError
        text = "".join(f"{run} {sha256}\n" for run, sha256 in sorted(fresh.items()))
        return Seal(listing=store.blobs.put(text.encode()), runs=len(fresh))

    made = True
    try:
        event = store.events.append(
            decide,
            actor=project.actor,
            email=project.email,
            op_id=new_id(),
            now=now,
            sign=True,
            admit=_require_signer,
        )
    except _NothingNewError:
        event, made = store.events.read()[-1], False
    return Sealing(
        event=event.number,
        sha256=digest(store.blobs.backend.read(event_key(event.number))),
        actor=event.actor,
        email=event.email,
        time=event.time,
        runs=len(listed | fresh),
        fresh=len(fresh),
        discounted=sum(len(model.discounted) for model in fold_events(store.events.read()).values()),
        made=made,
    )


def read_listings(store: Store, events: Iterable[Event]) -> dict[str, str]:
    """The sha256 of the `run.json` of each run that these seals list. Raises `StoreError` if one cannot be read."""
    listed: dict[str, str] = {}
    for event in events:
        if isinstance(event.change, Seal):
            listed |= parse_listing(store.blobs.read(event.change.listing), event.number)
    return listed


def parse_listing(data: bytes, number: int) -> dict[str, str]:
    """The runs that the seal of that number lists. Raises `StoreError`."""
    lines = [_LINE.fullmatch(line) for line in data.decode("ascii", "replace").splitlines()]
    listed = {match[1]: match[2] for match in lines if match and is_id(match[1])}
    if len(listed) != len(lines):
        raise StoreError(f"the list of runs of event {number} is damaged", hint="lin fsck --read-data")
    return listed


def _is_good(event: Event) -> bool:
    """Whether it is a seal, as far as anybody here knows."""
    known = not isinstance(event, CheckedEvent) or event.signer is not None
    return isinstance(event.change, Seal) and event.signature is not None and known


def _require_signer(_: object, event: Event) -> None:
    """Where signers are known, a seal by somebody else would be worth nothing."""
    if isinstance(event, CheckedEvent) and event.signer is None:
        named = f"{event.actor} <{event.email}>" if event.email else event.actor
        raise RefusedError(
            f"the key that signs is not one that the signers have for {named}",
            hint="a line in the file of signers: EMAIL KEY",
        )


class _NothingNewError(Exception):
    """A seal has it all."""


def _find_fresh(store: Store, known: Collection[str], events: Sequence[Event]) -> dict[str, str]:
    """The sealed runs that are not known, but those that were collected."""
    collected = {run for run, deletion in fold_deletions(events).items() if deletion.collected}
    backend = store.blobs.backend
    fresh = {}
    for run in list_runs(backend):
        key = f"{run_folder(run)}/run.json"
        if run not in known and run not in collected and backend.size(key) is not None:
            data = backend.read(key)
            decode_sealed(data, Sealed, where=key)
            fresh[run] = digest(data)
    return fresh
