"""What signatures say of a store: whose they are, which changes do not count, and whether runs are what was sealed.

A seal can be held against the runs without knowing its key; whose it is takes the signers.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

import msgspec

from lin.errors import LinError, OutsideError, StoreError
from lin.events import CheckedEvent, Event, Seal
from lin.lineage.fsck.needs import fold_fitting
from lin.lineage.seal import parse_listing
from lin.records import digest
from lin.store.events import event_key
from lin.store.fsck import EVENTS, Fault, Ill, blob_key, fault_of, run_folder
from lin.store.signatures import Found, Notary
from lin.store.store import Store


class LastSeal(msgspec.Struct, frozen=True, kw_only=True):
    """The newest seal whose signature is good: `later_events` and `later_runs` are not under it."""

    event: int
    signer: str
    time: datetime
    later_events: int
    later_runs: int


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """How many events are signed, by whom, and how many count unsigned because one that was trusted follows."""

    events: int
    signers: dict[str, int]
    trusted: int
    seal: LastSeal | None


class SignatureCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong; `signed` is None where no signers were to be believed."""

    faults: list[Fault]
    signed: Signed | None = None


def check_signatures(
    store: Store, events: Sequence[Event], notary: Notary, *, runs: Collection[str], collected: Collection[str]
) -> SignatureCheck:
    """Look at the signatures of these events, and hold the `runs` that there are against what seals list.

    Args:
        store: that they are of.
        events: those that can be read.
        notary: knows whom to believe.
        runs: the sealed ones.
        collected: runs that went with `lin gc`.
    """
    faults: list[Fault] = []
    listed: dict[str, int] = {}
    for event in events:
        if isinstance(event.change, Seal):
            found = _read_listing(store, event.number, event.change, faults)
            listed |= dict.fromkeys(found, event.number)
            faults += _check_runs(store, found, event.number, collected)
    try:
        files = [Found(event, store.blobs.backend.read(event_key(event.number))) for event in events]
    except OutsideError as error:
        return SignatureCheck(faults=[*faults, fault_of(EVENTS, error)])
    try:
        checked = [event for event in notary.check(files) if isinstance(event, CheckedEvent)]
        notary.require_all(len(events))
    except StoreError as error:
        number = notary.vouched.number if notary.vouched else 0
        ill: Ill = "altered" if number <= len(events) else "missing"
        return SignatureCheck(faults=[*faults, Fault(key=event_key(number), ill=ill, what=error.message)])
    if not checked:
        return SignatureCheck(faults=faults)
    faults += _find_distrusted(checked)
    return SignatureCheck(faults=faults, signed=_sum_up(checked, {*runs} - listed.keys()))


def _read_listing(store: Store, number: int, seal: Seal, faults: list[Fault]) -> dict[str, str]:
    """The runs that a seal lists, none where the list is not what it was."""
    try:
        data = store.blobs.backend.read(blob_key(seal.listing))
        if digest(data) == seal.listing:
            return parse_listing(data, number)
        what = "was changed"
    except LinError as error:
        what = f"cannot be read: {error.message}"
    faults.append(Fault(key=event_key(number), ill="damaged", what=f"the list of the runs that it seals {what}"))
    return {}


def _check_runs(store: Store, listed: dict[str, str], number: int, collected: Collection[str]) -> Iterator[Fault]:
    for run, sha256 in listed.items():
        key = f"{run_folder(run)}/run.json"
        if run in collected:
            continue
        try:
            if store.blobs.backend.size(key) is None:
                yield Fault(key=key, ill="missing", what=f"event {number} seals this run, and it is not there")
            elif digest(store.blobs.backend.read(key)) != sha256:
                yield Fault(key=key, ill="altered", what=f"it is not the one that event {number} seals")
        except LinError as error:
            yield fault_of(key, error)


def _find_distrusted(events: Sequence[CheckedEvent]) -> Iterator[Fault]:
    """Signatures that nobody known made, and changes that do not count."""
    for event in events:
        if event.signature is not None and event.signer is None:
            named = f"{event.actor} <{event.email}>" if event.email else event.actor
            what = f"its signature is not one that the signers have for {named}"
            yield Fault(key=event_key(event.number), ill="distrusted", what=what)
    registry, _ = fold_fitting(events)
    for model in registry.values():
        for each in model.discounted:
            what = f"that {each.actor} did {each.action} does not count: {each.why}"
            yield Fault(key=event_key(each.event), ill="distrusted", what=what)


def _sum_up(events: Sequence[CheckedEvent], unsealed: Collection[str]) -> Signed:
    signers = Counter(event.signer for event in events if event.signer is not None)
    seals = [event for event in events if event.signer is not None and isinstance(event.change, Seal)]
    last = seals[-1] if seals else None
    return Signed(
        events=sum(event.signature is not None for event in events),
        signers=dict(signers.most_common()),
        trusted=sum(event.is_vouched and event.signer is None for event in events),
        seal=None
        if last is None
        else LastSeal(
            event=last.number,
            signer=last.signer or "",
            time=last.time,
            later_events=events[-1].number - last.number,
            later_runs=len(unsealed),
        ),
    )
