"""A store in memory: the backend contract at its plainest, for tests and for trying things out."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from lin.store.backend import Entry, ObjectExistsError, ObjectMissingError, Unfinished, check_key, chunks


class MemoryBackend:
    """Keeps everything in a dict; gone with the process. No write is ever seen unfinished."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._changed: dict[str, float] = {}
        self._announced: set[str] = set()
        self._lock = threading.Lock()
        self._gate = threading.Lock()

    def put_if_absent(self, key: str, data: bytes | Iterable[bytes]) -> None:
        """See `Backend`."""
        whole = b"".join(chunks(data))
        with self._lock:
            if check_key(key) in self._objects:
                raise ObjectExistsError(f"{key} exists already")
            self._objects[key] = whole
            self._changed[key] = time.time()

    def read(self, key: str) -> bytes:
        """See `Backend`."""
        try:
            return self._objects[check_key(key)]
        except KeyError:
            raise ObjectMissingError(f"{key} is missing from the store") from None

    def stream(self, key: str) -> Iterator[bytes]:
        """See `Backend`."""
        yield self.read(key)

    def size(self, key: str) -> int | None:
        """See `Backend`."""
        data = self._objects.get(check_key(key))
        return None if data is None else len(data)

    def list(self, folder: str) -> list[str]:
        """See `Backend`."""
        start = f"{check_key(folder)}/"
        return list({key[len(start) :].split("/")[0] for key in self._objects if key.startswith(start)})

    def entries(self, folder: str) -> Sequence[Entry]:
        """See `Backend`."""
        start = f"{check_key(folder)}/" if folder else ""
        below = {key[len(start) :].partition("/")[:2] for key in self._objects if key.startswith(start)}
        return [Entry(name, "folder" if slash else "file") for name, slash in below]

    def extend(self, key: str, data: bytes) -> None:
        """Append to what is there."""
        with self._lock:
            self._objects[key] += data
            self._changed[key] = time.time()

    def appender(self, key: str) -> "_MemoryAppender":
        """See `Backend`."""
        with self._lock:
            self._objects.setdefault(check_key(key), b"")
            self._changed.setdefault(key, time.time())
        return _MemoryAppender(self, key)

    def changed(self, key: str) -> float | None:
        """See `Backend`."""
        return self._changed.get(check_key(key))

    def remove(self, key: str) -> None:
        """See `Backend`."""
        with self._lock:
            self._objects.pop(check_key(key), None)
            self._changed.pop(key, None)

    def remove_folder(self, folder: str) -> None:
        """See `Backend`."""
        start = f"{check_key(folder)}/"
        for key in [key for key in self._objects if key.startswith(start)]:
            self.remove(key)

    def unfinished(self, folder: str) -> Sequence[Unfinished]:
        """See `Backend`."""
        if folder:
            check_key(folder)
        return []

    def discard(self, write: Unfinished) -> None:
        """See `Backend`."""

    def announce(self, keys: Iterable[str]) -> set[str]:
        """See `Backend`."""
        with self._gate:
            fresh = {check_key(key) for key in keys} - self._announced
            self._announced |= fresh
        return fresh

    def announced(self) -> set[str]:
        """See `Backend`."""
        return set(self._announced)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See `Backend`."""
        with self._gate:
            yield


class _MemoryAppender:
    def __init__(self, backend: MemoryBackend, key: str) -> None:
        self._backend = backend
        self._key = key

    def append(self, data: bytes) -> None:
        self._backend.extend(self._key, data)

    def sync(self) -> None:
        """Memory has no disk to wait for."""

    def close(self) -> None:
        """Nothing is held open."""
