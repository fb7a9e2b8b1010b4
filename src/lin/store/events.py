"""The store's log: numbered, hash-chained events, the only thing that changes state.

Event n names the sha256 of event n−1. A number is taken by put-if-absent alone, so two writers never share one, and
what an event says was decided by a look at all events before it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from lin.errors import StoreError
from lin.events import Change, Event
from lin.records import decode_sealed, digest, encode_sealed
from lin.store.backend import Backend, ObjectExistsError, ObjectMissingError

FOLDER = "events"


class Events:
    """The log, read once and then caught up with whatever others append."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._events: list[Event] = []
        self._last: str | None = None

    def read(self) -> Sequence[Event]:
        """Every event in order.

        Raises:
            StoreError: an event is missing, damaged, or does not name the one before it.
        """
        numbers = [name for name in self._backend.list(FOLDER) if name.endswith(".json")]
        while len(self._events) < len(numbers):
            self._take(self._backend.read(_key(len(self._events) + 1)))
        while self._backend.size(_key(len(self._events) + 1)) is not None:  # a listing may lag behind
            self._take(self._backend.read(_key(len(self._events) + 1)))
        return self._events

    def append(
        self,
        decide: Callable[[Sequence[Event]], Change],
        *,
        actor: str,
        op_id: str,
        now: datetime,
        email: str | None = None,
    ) -> Event:
        """Add the event that `decide` makes of all events before it; it decides again if another writer was first.

        `op_id` identifies the operation: when a create was applied but answered with an error, the event that is
        found under the number tells by it whether it is ours.
        """
        while True:
            events = self.read()
            event = Event(
                number=len(events) + 1,
                op_id=op_id,
                time=now,
                actor=actor,
                previous=self._last,
                change=decide(events),
                email=email,
            )
            data = encode_sealed(event)
            try:
                self._backend.put_if_absent(_key(event.number), data)
            except ObjectExistsError:
                data = self._found(event.number, op_id) or b""
            if data:
                self._take(data)
                return self._events[-1]

    def _found(self, number: int, op_id: str) -> bytes | None:
        """The stored event of that number if it is the one of this operation."""
        try:
            data = self._backend.read(_key(number))
        except ObjectMissingError:
            return None  # not there after all: the same number is tried again
        return data if decode_sealed(data, Event, where=_key(number)).op_id == op_id else None

    def _take(self, data: bytes) -> None:
        number = len(self._events) + 1
        event = decode_sealed(data, Event, where=_key(number))
        if event.number != number or event.previous != self._last:
            raise StoreError(
                f"{_key(number)} does not follow the event before it: the chain of hashes is broken",
                hint="restore the folder 'events' from a backup of the store",
            )
        self._events.append(event)
        self._last = digest(data)


def _key(number: int) -> str:
    return f"{FOLDER}/{number:012d}.json"
