"""The store's log: numbered, hash-chained events, the only thing that changes state.

Event n names the sha256 of event n−1. A number is taken by put-if-absent alone, so two writers never share one, and
what an event says was decided by a look at all events before it.
"""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from threading import Lock

from lin.errors import StoreError
from lin.events import Change, Event
from lin.records import digest
from lin.sealed import decode_sealed, encode_signed
from lin.store.backend import Backend, ObjectExistsError, ObjectMissingError
from lin.store.signatures import Found, Notary

FOLDER = "events"


class Events:
    """The log, read once and then caught up with whatever others append. Threads may share it."""

    def __init__(self, backend: Backend, notary: Notary | None = None) -> None:
        self._backend = backend
        self._notary = notary or Notary("")
        self._known: tuple[Sequence[Event], str | None] = (), None
        """What was read, and the sha256 of the last: replaced at once, for a fork can come at any moment."""
        self._locks: dict[int, Lock] = {}
        """By process: after a fork nobody would give back a lock that another thread held."""

    def read(self) -> Sequence[Event]:
        """Every event in order.

        Raises:
            StoreError: an event is missing, damaged, or does not name the one before it.
        """
        return self._catch_up()[0]

    def _catch_up(self) -> tuple[Sequence[Event], str | None]:
        with self._locks.setdefault(os.getpid(), Lock()):
            self._known = self._read_on(*self._known)
            return self._known

    def _read_on(self, known: Sequence[Event], last: str | None) -> tuple[Sequence[Event], str | None]:
        number = len(known)
        # a listing tells of an event that is missing; later ones were written by who had read all before
        listed = 0 if known else sum(name.endswith(".json") for name in self._backend.list(FOLDER))
        found: list[Found] = []
        while number < listed or self._backend.size(event_key(number + 1)) is not None:  # a listing may lag behind
            number += 1
            data = self._backend.read(event_key(number))
            found.append(Found(_decode(data, number, last), data))
            last = digest(data)
        self._notary.require_all(number)
        return ((*known, *self._notary.check(found)), last) if found else (known, last)

    def append(
        self,
        decide: Callable[[Sequence[Event]], Change],
        *,
        actor: str,
        op_id: str,
        now: datetime,
        email: str | None = None,
        sign: bool = False,
        admit: Callable[[Sequence[Event], Event], None] = lambda _, __: None,
    ) -> Event:
        """Add the event that `decide` makes of all events before it; it decides again if another writer was first.

        `op_id` identifies the operation: when a create was applied but answered with an error, the event that is
        found under the number tells by it whether it is ours. `admit` sees all events before it and the event as it
        will be read, with who signed it, and raises where it is not to be written. With `sign` it is signed in any
        case.
        """
        while True:
            events, last = self._catch_up()
            event = Event(
                number=len(events) + 1,
                op_id=op_id,
                time=now,
                actor=actor,
                previous=last,
                change=decide(events),
                email=email,
            )
            data = encode_signed(event, partial(self._notary.sign, asked=sign))
            (told,) = self._notary.check([Found(_decode(data, event.number, last), data)])
            admit(events, told)
            try:
                self._backend.put_if_absent(event_key(event.number), data)
            except ObjectExistsError:
                if not self._is_there(event.number, op_id):
                    continue
            return self.read()[event.number - 1]

    def _is_there(self, number: int, op_id: str) -> bool:
        """Whether the stored event of that number is the one of this operation."""
        try:
            data = self._backend.read(event_key(number))
        except ObjectMissingError:
            return False  # not there after all: the same number is tried again
        return decode_sealed(data, Event, where=event_key(number)).op_id == op_id


def _decode(data: bytes, number: int, previous: str | None) -> Event:
    """The event of that number, behind the one with that sha256. Raises `StoreError`."""
    event = decode_sealed(data, Event, where=event_key(number))
    if event.number != number or event.previous != previous:
        raise StoreError(
            f"{event_key(number)} does not follow the event before it: the chain of hashes is broken",
            hint="restore the folder 'events' from a backup of the store",
        )
    return event


def event_key(number: int) -> str:
    """The path of that event."""
    return f"{FOLDER}/{number:012d}.json"
