"""The blobs of a store: each that is named is there, has the size that is told, and is what its name says.

Those among them that are records are always read, for they name more. What seems wrong is looked at again.
"""

from collections.abc import Callable

import msgspec

from lin.errors import LinError, NewerError, OutsideError
from lin.lineage.fsck.names import Named, names_of_record
from lin.lineage.fsck.reading import Reading
from lin.store.fsck import Fault, blob_key, check_blob, fault_of, list_blobs
from lin.store.store import Store

_TELL_EVERY = 10


class BlobsCheck(msgspec.Struct, frozen=True, kw_only=True):
    """How many blobs there are, how many of them nothing names, and what is wrong with which, by sha256."""

    blobs: int
    unneeded: int
    faults: dict[str, Fault]


def check_blobs(store: Store, named: Named, reading: Reading, pause: Callable[[], None]) -> BlobsCheck:
    """Look at all blobs; `named` is extended by what those among them name that are records."""
    there = list_blobs(store.blobs.backend)
    known = set(there)
    doubtful = set(_read_records(store, named, known, reading))
    doubtful.update(_measure(store, named, known))
    for number, sha256 in enumerate(there):
        if number % _TELL_EVERY == 0:
            reading.tell("blobs", number, len(there))
        if reading.wants("2 blobs", sha256):
            fault = check_blob(store.blobs.backend, sha256)
            reading.done("2 blobs", sha256, _size(store, sha256) or 0, altered=fault is not None)
            if fault is not None:
                doubtful.add(sha256)
    if doubtful:
        pause()
    faults = {sha256: fault for sha256 in sorted(doubtful) if (fault := _look_again(store, named, sha256)) is not None}
    return BlobsCheck(blobs=len(there), unneeded=len(known - named.blobs.keys()), faults=faults)


def _read_records(store: Store, named: Named, there: set[str], reading: Reading) -> list[str]:
    """Follow what is named through the blobs that are records; returns those that cannot be read."""
    waiting, done, doubtful = [*named.records.items()], set(named.records), []
    while waiting:
        sha256, kind = waiting.pop()
        if sha256 not in there:
            continue
        try:
            more = names_of_record(store, sha256, kind)
        except NewerError:
            raise
        except LinError:
            doubtful.append(sha256)
            continue
        reading.hashed += _size(store, sha256) or 0
        named.update(more)
        waiting += [(each, of) for each, of in more.records.items() if each not in done]
        done |= more.records.keys()
    return doubtful


def _measure(store: Store, named: Named, there: set[str]) -> list[str]:
    """The named blobs that are not there, or have not the size that records tell."""
    return [
        sha256
        for sha256, size in named.blobs.items()
        if sha256 not in there or (size is not None and _size(store, sha256) != size)
    ]


def _size(store: Store, sha256: str) -> int | None:
    """How large a blob is; None where nobody knows, so that it is looked at again."""
    try:
        return store.blobs.size(sha256)
    except OutsideError:
        return None


def _look_again(store: Store, named: Named, sha256: str) -> Fault | None:
    backend = store.blobs.backend
    try:
        size = backend.size(blob_key(sha256))
    except OutsideError as error:
        return fault_of(blob_key(sha256), error)
    if size is None:
        missing = Fault(key=blob_key(sha256), ill="missing", what="it is named, and not there")
        return missing if sha256 in named.blobs else None
    fault = check_blob(backend, sha256)
    kind = named.records.get(sha256)
    if fault is not None or kind is None:
        return fault
    try:
        names_of_record(store, sha256, kind)
    except LinError as error:
        return fault_of(blob_key(sha256), error)
    return None
