"""The events and runs of a store, each read by itself, and the runs that are gone although something tells of them.

What seems wrong is looked at again after a pause: others may write or collect meanwhile.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from lin.errors import OutsideError
from lin.events import Delete, Event, Receipt, Register
from lin.ids import is_id
from lin.lineage.fsck.memory import Seen
from lin.lineage.fsck.names import Named, names_of_events, names_of_run
from lin.lineage.fsck.needs import fold_fitting
from lin.lineage.fsck.reading import Reading
from lin.models.fold import ModelVersion
from lin.models.registry import list_versions
from lin.records import Log, Sealed
from lin.runs.deleted import fold_deletions
from lin.store.events import event_key
from lin.store.fsck import EventsCheck, Fault, RunCheck, check_events, check_run, fault_of, list_runs, run_folder
from lin.store.store import Store

_TELL_EVERY = 100


@dataclass
class Records:
    """All records as far as they can be read: `broken` runs have a fault, `collected` ones count for nothing."""

    events: EventsCheck
    versions: list[ModelVersion]
    collected: frozenset[str]
    faults: list[Fault]
    named: Named
    runs: dict[str, None] = field(default_factory=dict)
    sealed: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    parents: set[str] = field(default_factory=set)


def read_records(store: Store, reading: Reading, seen: Seen | None, pause: Callable[[], None]) -> Records:
    """Read every event and every run that was not collected. `seen` is what was there before."""
    backend = store.blobs.backend
    events = check_events(backend)
    if events.faults or _compare_last(events, seen):
        pause()
        events = check_events(backend)
    registry, misfit = fold_fitting(events.whole)
    faults = [*events.faults, *_compare_last(events, seen)]
    if misfit is not None:
        faults.append(Fault(key=event_key(misfit[0]), ill="altered", what=misfit[1]))
    records = Records(events, list_versions(registry), _collected(events), faults, names_of_events(events.readable))
    _read_runs(store, records, reading, pause)
    return records


def _compare_last(events: EventsCheck, seen: Seen | None) -> list[Fault]:
    """The last event that was seen before must still be there, and be the same."""
    if seen is None or seen.last is None or events.faults:
        return []
    there = len(events.digests)
    if there < seen.events:
        what = f"{seen.events} events were seen here on {seen.time:%Y-%m-%d %H:%M}, and now the last is event {there}"
        return [Fault(key=event_key(there + 1), ill="missing", what=what, remembered=True)]
    if events.digests[seen.events - 1] != seen.last:
        what = f"it was another when it was seen here on {seen.time:%Y-%m-%d %H:%M}"
        return [Fault(key=event_key(seen.events), ill="altered", what=what, remembered=True)]
    return []


def _collected(events: EventsCheck) -> frozenset[str]:
    return frozenset(run for run, deletion in fold_deletions(events.readable).items() if deletion.collected)


def look_for_collected(store: Store, records: Records) -> None:
    """Learn which runs were collected meanwhile."""
    records.collected |= _collected(check_events(store.blobs.backend))


# --- runs -------------------------------------------------------------------------------------------------------------


def _read_runs(store: Store, records: Records, reading: Reading, pause: Callable[[], None]) -> None:
    backend = store.blobs.backend
    listed = [run for run in list_runs(backend) if run not in records.collected]
    doubtful = []
    for number, run in enumerate(listed):
        if number % _TELL_EVERY == 0:
            reading.tell("runs", number, len(listed))
        wanted = reading.wants("1 logs", run)
        checked = check_run(backend, run, data=wanted)
        _take(store, records, run, checked)
        if wanted and checked.sealed is not None:
            reading.done("1 logs", run, _log_bytes(checked.sealed), altered=bool(checked.faults))
        if checked.faults:
            doubtful.append(run)
    if not doubtful:
        return
    pause()
    look_for_collected(store, records)
    for run in doubtful:
        checked = check_run(backend, run)
        if run not in records.collected and checked.faults:
            records.faults += checked.faults
            records.broken.add(run)
        else:
            _take(store, records, run, checked)


def _take(store: Store, records: Records, run: str, checked: RunCheck) -> None:
    if checked.start is None and checked.sealed is None:
        return
    records.runs[run] = None
    if checked.sealed is not None:
        records.sealed.add(run)
    if checked.start is not None and checked.start.parent is not None:
        records.parents.add(checked.start.parent)
    records.named.update(names_of_run(store, run, checked))


def _log_bytes(sealed: Sealed) -> int:
    logs: Iterable[Log | None] = (sealed.log, sealed.output)
    return sum(log.bytes for log in logs if log is not None)


# --- runs that are gone -----------------------------------------------------------------------------------------------


def find_lost(store: Store, records: Records, held: Collection[str], seen: Seen | None) -> list[Fault]:
    """Runs that something tells of, and that are not there, or not sealed although they were once.

    Args:
        store: where they should be.
        records: what is there.
        held: the runs in the index: they were sealed.
        seen: what was there before.
    """
    told = dict.fromkeys(records.parents, "another run is a re-run of it")
    told |= {run: f"event {event.number} names it" for event in records.events.readable for run in _named(event)}
    seen_runs = dict.fromkeys(seen.runs if seen else (), "it was sealed when this store was last looked at from here")
    sealed = dict.fromkeys(held, "it is in the index of runs, which has only sealed ones")
    sealed |= {version.run: f"{version.reference} is its model" for version in records.versions}
    remembered = seen_runs.keys() - told.keys() - sealed.keys()
    sealed = seen_runs | sealed
    known = records.collected | records.sealed | records.broken
    faults = []
    for run, why in sorted((told | sealed).items()):
        try:
            what = None if run in known or not is_id(run) else _what_is_gone(store, run, was_sealed=run in sealed)
        except OutsideError as error:
            faults.append(fault_of(run_folder(run), error))
            continue
        if what is not None:
            key, text = what
            fault = Fault(key=key, ill="missing", what=f"{text}: {why}", remembered=run in remembered)
            faults.append(fault)
    return faults


def _what_is_gone(store: Store, run: str, *, was_sealed: bool) -> tuple[str, str] | None:
    folder = run_folder(run)
    if not store.runs.has_begun(run):
        return folder, "the run is gone"
    if was_sealed and not store.runs.is_sealed(run):
        return f"{folder}/run.json", "the run was sealed"
    return None


def _named(event: Event) -> tuple[str, ...]:
    match event.change:
        case Register(run=run) | Delete(run=run):
            return (run,)
        case Receipt(run=run, rerun=rerun):
            return run, rerun
    return ()
