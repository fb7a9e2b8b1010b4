"""`lin gc`: takes for good what deleted runs, killed processes and replaced artifacts left in the store.

What lives is marked: every blob that a run names which is not collected, be it sealed, running, abandoned or deleted
only since a short time; what a source snapshot names that such a run names; and what an event names. The rest goes,
in steps of which each may be the last before a kill, since the next `lin gc` goes on from any of them:

1. The event `Collect` names the runs that go. From then on none of them comes back.
2. Their folders go, each with its `start.json` first.
3. With the store's announcements held still (`Backend.alone`): what processes have announced is read, then the records
   that are new since the first look or could have grown, and each unneeded blob goes that neither names.
4. Unfinished writes go that have not grown for a day; so do those of settings, and of commits, which are not counted.

No record loses a blob. Its writer announced the blob before it looked whether it was there, and holds the announcement
until the record is written. Either the announcement was made before step 3, and then it is seen there, or the record
is, which was there when the announcement went. Or it was made after step 3, and then the blob is looked for after it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from lin.config import FILE_NAME
from lin.data.commit import discard_unfinished as discard_unfinished_commits
from lin.data.vacuum import parse_duration
from lin.errors import ConflictError
from lin.events import Change, Collect, Event, Register
from lin.ids import new_id
from lin.lineage.delete import name_of
from lin.lineage.marks import Marks
from lin.project import Project
from lin.runs.deleted import Deletion, collected_runs, fold_deletions, read_deletions
from lin.store.backend import Unfinished
from lin.store.removal import Removal
from lin.store.store import Store
from lin.store.whole import discard_unfinished

UNFINISHED_FOR = timedelta(days=1)
"""A write that has not grown for so long is taken for broken. One that goes on after all fails, and loses nothing."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class CollectedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A deleted run that goes: its whole id, its name, and who deleted it when and why."""

    run: str
    name: str
    deleted: datetime
    actor: str
    reason: str | None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What stays, and why.

    `runs` and `blobs` are needed. `young_runs` were deleted too short a time ago, and `young_blobs` and
    `young_unfinished` were written then. `announced_blobs` are those that a process may be about to name.
    """

    runs: int
    blobs: int
    young_runs: int
    young_blobs: int
    announced_blobs: int
    young_unfinished: int


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken, or would be where `taken` is false. `rests` counts runs that a killed gc had begun to take."""

    taken: bool
    runs: list[CollectedRun]
    rests: int
    blobs: int
    unfinished: int
    bytes: int
    kept: Kept


def collect(project: Project, *, now: datetime, older_than: str | None = None, take: bool = False) -> Collected:
    """Find what nothing needs, and with `take` take it for good.

    Args:
        project: whose store is looked at.
        now: the time: that of the event, and the one that ages are told from.
        older_than: a time span such as `7d` or `7 days`: take only runs that were deleted at least so long ago, and
            blobs that were written then.
        take: not only look.

    Raises:
        UsageError: `older_than` is no time span. StoreError: what a run needs is not known, since a record is damaged.
        ConflictError: what was to go was brought back or taken meanwhile. OutsideError: the file system refuses, or
            has no locks.
    """
    age = None if older_than is None else parse_age(older_than)
    removal = Removal(project.store.blobs.backend)
    found = _find(project.store, removal, _Ages(now, age))
    return _take(project, removal, found) if take else _plan(project.store, removal, found)


def parse_age(text: str) -> timedelta:
    """A time span as `7d`, `12h` or `7 days`. Raises `UsageError`."""
    whole = re.sub(r"(\d) *([smhdw])\b", lambda part: f"{part[1]} {_UNITS[part[2]]}", text)
    return timedelta(milliseconds=parse_duration(whole))


@dataclass(frozen=True)
class _Ages:
    """What is old enough at the time `now`: without an `age`, every deleted run and every blob."""

    now: datetime
    age: timedelta | None

    def is_ripe(self, deletion: Deletion) -> bool:
        return deletion.collected is None and (self.age is None or deletion.time <= self.now - self.age)

    def is_old(self, changed: float | None) -> bool:
        return self.age is None or changed is None or changed <= (self.now - self.age).timestamp()

    def is_broken(self, write: Unfinished) -> bool:
        return write.changed <= (self.now - max(self.age or UNFINISHED_FOR, UNFINISHED_FOR)).timestamp()


@dataclass(frozen=True)
class _Found:
    """What a look at the store found. `rests` are runs that were collected and are not quite gone."""

    ages: _Ages
    ripe: Mapping[str, Deletion]
    rests: Sequence[str]
    runs: int
    young_runs: int
    marks: Marks
    unneeded: set[bytes]
    blobs: int
    young_blobs: int
    broken: Sequence[Unfinished]
    young_unfinished: int


def _find(store: Store, removal: Removal, ages: _Ages) -> _Found:
    there = list(removal.runs())
    deletions = read_deletions(store)
    deleted = {run: deletions[run] for run in there if run in deletions}
    rests = {run for run, deletion in deleted.items() if deletion.collected}
    registered = _registered(store.events.read())
    ripe = {run: deleted[run] for run in sorted(deleted.keys() - registered) if ages.is_ripe(deleted[run])}
    staying = [run for run in there if run not in ripe and run not in rests]
    marks = Marks(store)
    marks.read(staying)
    unneeded, young, needed = set[bytes](), 0, 0
    for sha256 in removal.blobs():
        if sha256 in marks.named:
            needed += 1
        elif ages.age is None or ages.is_old(removal.blob_changed(sha256)):
            unneeded.add(sha256)
        else:
            young += 1
    unfinished = list(removal.unfinished(staying))
    broken = [write for write in unfinished if ages.is_broken(write)]
    return _Found(
        ages=ages,
        ripe=ripe,
        rests=sorted(rests),
        runs=len(there) - len(deleted),
        young_runs=len(deleted) - len(ripe) - len(rests),
        marks=marks,
        unneeded=unneeded,
        blobs=needed,
        young_blobs=young,
        broken=broken,
        young_unfinished=len(unfinished) - len(broken),
    )


def _plan(store: Store, removal: Removal, found: _Found) -> Collected:
    doomed = found.unneeded - removal.announced()
    size = sum(removal.run_bytes(run) for run in (*found.rests, *found.ripe))
    size += sum(map(removal.blob_bytes, doomed))
    return _tell(found, _describe(store, found.ripe.values()), doomed, size, taken=False)


def _take(project: Project, removal: Removal, found: _Found) -> Collected:
    going = _write_event(project, found) if found.ripe else []
    runs = _describe(project.store, [found.ripe[run] for run in going])
    size = 0
    for run in (*found.rests, *going):
        size += removal.run_bytes(run)
        removal.remove_run(run)
    with removal.alone():
        announced = removal.announced()
        found.marks.read(set(removal.runs()) - collected_runs(project.store))
        doomed = found.unneeded - announced - found.marks.named
        for sha256 in doomed:
            size += removal.blob_bytes(sha256)
            removal.remove_blob(sha256)
    for write in found.broken:
        removal.discard(write)
    _discard_outside(project, (found.ages.now - UNFINISHED_FOR).timestamp())
    return _tell(found, runs, doomed, size, taken=True)


def _discard_outside(project: Project, before: float) -> None:
    """What kills left of settings, and of commits to tables and to the index."""
    discard_unfinished(project.root / FILE_NAME)
    tables = [project.root / table.path for table in project.config.tables.values()]
    for root in (project.store_root / "index", *tables):
        discard_unfinished_commits(root, before)


def _write_event(project: Project, found: _Found) -> list[str]:
    """Say which runs go; returns those of the ripe ones that nobody has brought back or taken meanwhile."""

    def decide(events: Sequence[Event]) -> Change:
        known, registered = fold_deletions(events), _registered(events)
        runs = [r for r in found.ripe if r in known and r not in registered and found.ages.is_ripe(known[r])]
        if not runs:
            raise ConflictError("the deleted runs were brought back or taken meanwhile", hint="lin gc")
        return Collect(runs=runs)

    event = project.store.events.append(
        decide, actor=project.actor, email=project.email, op_id=new_id(), now=found.ages.now
    )
    change = event.change
    if not isinstance(change, Collect):
        raise TypeError(f"event {event.number} is not the collection that was appended")
    return change.runs


def _registered(events: Iterable[Event]) -> set[str]:
    """The runs behind model versions. None of them can be deleted, and if one is after all, it stays."""
    return {event.change.run for event in events if isinstance(event.change, Register)}


def _describe(store: Store, deletions: Iterable[Deletion]) -> list[CollectedRun]:
    return [
        CollectedRun(run=d.run, name=name_of(store, d.run), deleted=d.time, actor=d.actor, reason=d.reason)
        for d in deletions
    ]


def _tell(found: _Found, runs: list[CollectedRun], doomed: set[bytes], size: int, *, taken: bool) -> Collected:
    return Collected(
        taken=taken,
        runs=runs,
        rests=len(found.rests),
        blobs=len(doomed),
        unfinished=len(found.broken),
        bytes=size + sum(write.bytes for write in found.broken),
        kept=Kept(
            runs=found.runs,
            blobs=found.blobs,
            young_runs=found.young_runs,
            young_blobs=found.young_blobs,
            announced_blobs=len(found.unneeded) - len(doomed),
            young_unfinished=found.young_unfinished,
        ),
    )
