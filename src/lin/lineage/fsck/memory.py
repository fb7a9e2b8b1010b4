"""What was seen of a store when it was looked at before, in the cache of whoever looks: never in the store.

A store cannot tell that its last event is gone, nor a run that nothing else names; who saw them can. How far a reading
of all content came lies here too. It is derived: without it less is found, and nothing false.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from lin.errors import StoreError
from lin.lineage.fsck.reading import Position, Reading
from lin.records import Record, digest
from lin.sealed import decode_sealed, encode_sealed
from lin.store.local import make_private
from lin.store.whole import write_whole

NOTE_EVERY = 5.0
"""In seconds: so much of a reading is lost when it is killed, about."""


class Seen(Record, frozen=True, tag_field="format", tag="seen/1"):
    """What was there: the last event, and the sealed runs that the index did not have, which would tell of the others.

    `position` is how far a reading of all content came, None once it was through, and `altered` names what was found.
    """

    store: str
    time: datetime
    events: int = 0
    last: str | None = None
    runs: list[str] = []  # noqa: RUF012 - msgspec copies a default
    position: Position | None = None
    altered: list[str] = []  # noqa: RUF012 - msgspec copies a default


class Memory:
    """The file of one store in the folder of the cache; without a folder nothing is remembered."""

    def __init__(
        self, folder: Path | None, store: str, place: Path, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read what is remembered of the store with that id at that place: a copy of it goes its own way."""
        mark = digest(os.fsencode(place.resolve()))[:8]
        self.path = None if folder is None else folder / f"{store}-{mark}.json"
        self._store = store
        self._clock = clock
        self._noted = clock()
        self._may_write = True
        self.seen = self._read()

    def note(self, reading: Reading, now: datetime) -> None:
        """Keep how far a reading is, if it was not kept for some seconds. A drawn share is begun anew each time."""
        if reading.share >= 1 and self._clock() - self._noted >= NOTE_EVERY:
            self.keep_position(reading, now)

    @contextmanager
    def keeping(self, reading: Reading, now: datetime) -> Iterator[None]:
        """Where this is left by an error, or an interruption, keep how far a reading of all content came."""
        through = False
        try:
            yield
            through = True
        finally:
            if not through and reading.share >= 1 and reading.after is not None:
                self.keep_position(reading, now)

    def keep_position(self, reading: Reading, now: datetime) -> None:
        """Keep how far a reading is."""
        self._noted = self._clock()
        known = self.seen or Seen(store=self._store, time=now)
        self.write(
            Seen(
                store=self._store,
                time=known.time,
                events=known.events,
                last=known.last,
                runs=known.runs,
                position=reading.after,
                altered=sorted(reading.altered),
            )
        )

    def write(self, seen: Seen) -> None:
        """Keep it whole. Where that cannot be written, nothing is kept."""
        self.seen = seen
        if self.path is None or not self._may_write:
            return
        with suppress(OSError):
            make_private(self.path.parent)
            write_whole(self.path, encode_sealed(seen), mode=0o600)

    def _read(self) -> Seen | None:
        if self.path is None:
            return None
        try:
            seen = decode_sealed(self.path.read_bytes(), Seen, where=str(self.path))
        except (FileNotFoundError, StoreError):
            return None
        except OSError:
            self._may_write = False  # what is there may be whole
            return None
        return seen if seen.store == self._store else None
