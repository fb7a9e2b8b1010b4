"""The look over a whole store: what is there, whether it is what it was, and what depends on what is not.

Nothing is changed, and nothing is told at first sight: others may write meanwhile, so what seems wrong is looked at
again after a pause. Times are never asked.
"""

import stat
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from msgspec import structs

from lin.lineage.fsck.blobs import check_blobs
from lin.lineage.fsck.content import find_content
from lin.lineage.fsck.findings import MOST_NAMED, Finding, Fsck
from lin.lineage.fsck.index import IndexCheck, check_index
from lin.lineage.fsck.memory import Memory, Seen
from lin.lineage.fsck.mending import tell_mend, tell_mend_of_table
from lin.lineage.fsck.needs import Needs
from lin.lineage.fsck.pins import check_tables, places_of
from lin.lineage.fsck.reading import Progress, Reading
from lin.lineage.fsck.records import find_lost, look_for_collected, read_records
from lin.lineage.fsck.signatures import SignatureCheck, check_signatures
from lin.project import Project
from lin.runs.deleted import fold_deletions
from lin.store.fsck import EVENTS, Fault, run_in
from lin.store.signatures import Notary
from lin.store.strays import Strays, find_strays

C = TypeVar("C", Strays, IndexCheck)

MOST_REMEMBERED = 10_000
"""Runs that the index lacks and that are remembered, the newest: it lacks hundreds at most, if nobody deleted it."""

_ORDER = ("events", "runs", "blobs", "index")


def check_store(
    project: Project,
    *,
    share: float,
    chance: Callable[[], float],
    pause: Callable[[], None],
    now: datetime,
    notary: Notary | None = None,
    cache: Path | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda _: None,
) -> Fsck:
    """Look at all of a store, and at the tables that its runs pinned.

    Args:
        project: whose store it is.
        share: of the content of blobs, logs and data files that is hashed. Records always are.
        chance: gives numbers from 0 to 1, which draw that share.
        pause: waits a little, so that what others are about to write is there when it is looked at again.
        now: the time, for what is remembered.
        notary: knows whose signatures to believe.
        cache: the folder where it is remembered what was seen; None for nowhere.
        resume: go on where the last reading of all content was interrupted.
        report: is told how far it is.
    """
    memory = Memory(cache, project.store.info.id, project.store_root)
    seen = memory.seen
    goes_on = seen if resume and share >= 1 else None
    reading = Reading(
        share,
        chance=chance,
        after=goes_on.position if goes_on else None,
        again=frozenset(goes_on.altered if goes_on else ()),
        report=report,
        note=lambda reading: memory.note(reading, now),
    )
    resumed = reading.after is not None
    with memory.keeping(reading, now):
        look = _Look(project, reading, seen, pause, notary or Notary(project.store.info.id))
    memory.write(look.remember(now))
    return look.tell(resumed=resumed, memory=memory)


class _Look:
    """One look: its parts in the order in which each needs those before."""

    def __init__(
        self, project: Project, reading: Reading, seen: Seen | None, pause: Callable[[], None], notary: Notary
    ) -> None:
        self._project = project
        self._store = project.store
        self._reading = reading
        self._seen = seen
        self._strays = _look_twice(partial(find_strays, self._store.blobs.backend), pause)
        self._records = read_records(self._store, reading, seen, pause)
        self._index = _look_twice(self._check_index, pause)
        self._lost = find_lost(self._store, self._records, self._index.held, seen)
        if self._lost:
            pause()
            look_for_collected(self._store, self._records)
            self._lost = find_lost(self._store, self._records, self._index.held, seen)
        self._signatures = self._check_signatures(notary)
        if self._signatures.faults:
            pause()
            look_for_collected(self._store, self._records)
            self._signatures = self._check_signatures(notary)
        self._blobs = check_blobs(self._store, self._records.named, reading, pause)
        self._tables = check_tables(project, self._records.named.tables, reading, pause)

    def _check_index(self) -> IndexCheck:
        readable = self._records.sealed - self._records.broken
        return check_index(self._store, readable, everything=self._reading.share >= 1)

    def _check_signatures(self, notary: Notary) -> SignatureCheck:
        records = self._records
        events = records.events.readable
        return check_signatures(self._store, events, notary, runs=records.sealed, collected=records.collected)

    def remember(self, now: datetime) -> Seen:
        """What is there now; where something is missing, still what was there before."""
        seen, records = self._seen or Seen(store=self._store.info.id, time=now), self._records
        through = self._reading.share >= 1
        events_whole = not any(fault.key.partition("/")[0] == EVENTS for fault in records.faults)
        runs = records.sealed.union(seen.runs) - self._index.held - records.collected
        return Seen(
            store=seen.store,
            time=now if events_whole else seen.time,
            events=len(records.events.digests) if events_whole else seen.events,
            last=next(reversed(records.events.digests), None) if events_whole else seen.last,
            runs=sorted(runs)[-MOST_REMEMBERED:],
            position=None if through else seen.position,
            altered=[] if through else seen.altered,
        )

    def tell(self, *, resumed: bool, memory: Memory) -> Fsck:
        """The answer."""
        records, reading = self._records, self._reading
        return Fsck(
            findings=self._find(memory),
            share=reading.share,
            resumed=resumed,
            events=len(records.events.readable),
            runs=len(records.runs),
            blobs=self._blobs.blobs,
            unneeded=self._blobs.unneeded,
            unfinished=self._strays.unfinished,
            versions=len(records.named.tables),
            tables=self._tables.tables,
            rows=self._index.rows,
            hashed=reading.hashed,
            signed=self._signatures.signed,
        )

    def _find(self, memory: Memory) -> list[Finding]:
        of_records = [
            *_check_folder(self._project.store_root),
            *self._strays.faults,
            *self._records.faults,
            *self._lost,
            *self._signatures.faults,
            *self._index.faults,
        ]
        if not (of_records or self._blobs.faults or self._tables.faults):
            return []
        needs = Needs(self._store, self._records.versions)
        tables = {key for keys in self._tables.needed.values() for key in keys}
        if self._blobs.faults or tables:
            living = [run for run in self._records.runs if run not in self._records.collected]
            needs.read(living, self._blobs.faults.keys(), tables)
        found = {fault.key: self._of_record(fault, needs, memory) for fault in reversed(of_records)}
        for finding in (*self._find_blobs(needs), *self._find_in_tables(needs)):
            found.setdefault(finding.file, finding)
        return sorted(found.values(), key=lambda finding: (_rank(finding.file), finding.file))

    def _of_record(self, fault: Fault, needs: Needs, memory: Memory) -> Finding:
        run = run_in(fault.key)
        needed = needs.of_run(run) if run else []
        if fault.key.partition("/")[0] == EVENTS and fault.ill in {"damaged", "altered", "missing", "unreadable"}:
            needed = needs.of_all_models()
            told = f"{fault.what}; what was said of models is known up to event {len(self._records.events.whole)}"
            fault = structs.replace(fault, what=told)
        deletions = fold_deletions(self._records.events.readable)
        remembered = memory.path if fault.remembered else None
        mend = tell_mend(fault, needed=bool(needed), content=None, deleted=run in deletions, memory=remembered)
        return _finding(fault, needed, mend)

    def _find_blobs(self, needs: Needs) -> Iterator[Finding]:
        places = ((sha256, self._project.root, path) for sha256, path in needs.places)
        there = find_content(self._project, places)
        for sha256, fault in self._blobs.faults.items():
            needed = needs.of_blob(sha256)
            if fault.ill == "missing" and not needed:
                continue  # what named it was collected meanwhile, or names another now
            content = there.get(sha256)
            mend = tell_mend(fault, needed=bool(needed), content=content, deleted=False, memory=None)
            yield _finding(fault, needed, mend, content)

    def _find_in_tables(self, needs: Needs) -> Iterator[Finding]:
        wanted = self._tables.contents
        there = find_content(self._project, places_of(self._project, self._records.named.tables, {*wanted.values()}))
        for key, fault in self._tables.faults.items():
            content = there.get(wanted[key]) if key in wanted else None
            yield _finding(
                fault, needs.of_tables(self._tables.needed[key]), tell_mend_of_table(fault, content), content
            )


def _check_folder(root: Path) -> list[Fault]:
    """Whether everybody may write to the store's own folder."""
    if not root.stat().st_mode & stat.S_IWOTH:
        return []
    return [Fault(key=".", ill="exposed", what="everybody on this machine may write to the store's folder")]


def _look_twice(look: Callable[[], C], pause: Callable[[], None]) -> C:
    """What a look finds; if that is something, what another finds after a pause."""
    found = look()
    if not found.faults:
        return found
    pause()
    return look()


def _finding(fault: Fault, needed: list[str], mend: str, content: str | None = None) -> Finding:
    return Finding(
        file=fault.key,
        ill=fault.ill,
        what=fault.what,
        needed_by=needed[:MOST_NAMED],
        needed=len(needed),
        mend=mend,
        content=content,
    )


def _rank(path: str) -> int:
    """Where findings of a file stand: what matters most comes first."""
    place = path.partition("/")[0]
    return _ORDER.index(place) if place in _ORDER else len(_ORDER) if place == ".." else len(_ORDER) + 1
