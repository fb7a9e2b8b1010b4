"""Taking things out of a store for good: folders of runs, blobs, and what broken writes left. Only this removes.

What is needed is for the caller to know. A blob is removed only while `alone` is held, and by whoever asked `announced`
and read the records inside of it: see `lin.lineage.collect`.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

from lin.errors import StoreError
from lin.ids import day_of, is_id
from lin.store.backend import Backend, Unfinished
from lin.store.strays import QUARANTINE

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_PREFIXES = [f"{number:02x}" for number in range(256)]


class Removal:
    """What lies in a store, as it lies there, and how to remove it. What `lin` did not name stays unseen."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def runs(self) -> Iterator[str]:
        """The ids of all runs that have a folder, whatever is in it.

        Raises:
            StoreError: a link or a file lies in place of such a folder, so that nobody knows what the run needs.
        """
        for day in self._days():
            for name, kind, _ in self._backend.entries(f"runs/{day}"):
                if is_id(name) and day_of(name) == day:
                    if kind != "folder":
                        raise StoreError(f"runs/{day}/{name} in the store is no folder", hint="lin fsck")
                    yield name

    def run_bytes(self, run_id: str) -> int:
        """How many bytes lie in the run's folder."""
        folder = _folder(run_id)
        names = (name for name in self._backend.list(folder) if name.isascii())
        return sum(self._backend.size(f"{folder}/{name}") or 0 for name in names)

    def remove_run(self, run_id: str) -> None:
        """Remove the run's folder: `start.json` first, so that half of a run is none."""
        folder = _folder(run_id)
        self._backend.remove(f"{folder}/start.json")
        self._backend.remove_folder(folder)

    def blobs(self) -> Iterator[bytes]:
        """The sha256 of every blob, as 32 bytes."""
        for prefix in _PREFIXES:
            names = self._backend.list(f"blobs/{prefix}")
            yield from (bytes.fromhex(name) for name in names if name.startswith(prefix) and _SHA256.fullmatch(name))

    def blob_bytes(self, sha256: bytes) -> int:
        """The size of a blob; 0 if it is gone."""
        return self._backend.size(_key(sha256)) or 0

    def blob_changed(self, sha256: bytes) -> float | None:
        """When a blob was written, in seconds since 1970 UTC; None if it is gone."""
        return self._backend.changed(_key(sha256))

    def remove_blob(self, sha256: bytes) -> None:
        """Remove a blob, if it is there."""
        self._backend.remove(_key(sha256))

    def unfinished(self, runs: Iterable[str]) -> Iterator[Unfinished]:
        """Every write that was begun and is not done: of events, blobs, repairs, and in the folders of these runs."""
        repairs = (f"{QUARANTINE}/{name}" for name in self._backend.list(QUARANTINE))
        for folder in ("", "events", *(f"blobs/{prefix}" for prefix in _PREFIXES), *repairs):
            yield from self._backend.unfinished(folder)
        for run_id in runs:
            yield from self._backend.unfinished(_folder(run_id))

    def discard(self, write: Unfinished) -> None:
        """Remove what a broken write left."""
        self._backend.discard(write)

    def announced(self) -> set[bytes]:
        """The blobs that a living process is about to name."""
        names = (key.rpartition("/")[2] for key in self._backend.announced())
        return {bytes.fromhex(name) for name in names if _SHA256.fullmatch(name)}

    def alone(self) -> AbstractContextManager[None]:
        """While this is held nobody announces a blob: what waits looks for its blob afterwards."""
        return self._backend.alone()

    def _days(self) -> Iterator[str]:
        return (day for day in self._backend.list("runs") if _DAY.fullmatch(day))


def _folder(run_id: str) -> str:
    return f"runs/{day_of(run_id)}/{run_id}"


def _key(sha256: bytes) -> str:
    name = sha256.hex()
    return f"blobs/{name[:2]}/{name}"
