"""A store in memory: the backend contract at its plainest, for tests and for trying things out."""

import threading
from collections.abc import Iterable

from lin.store.backend import ObjectExistsError, ObjectMissingError, check_key, chunks


class MemoryBackend:
    """Keeps everything in a dict; gone with the process."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def put_if_absent(self, key: str, data: bytes | Iterable[bytes]) -> None:
        """See `Backend`."""
        whole = b"".join(chunks(data))
        with self._lock:
            if check_key(key) in self._objects:
                raise ObjectExistsError(f"{key} exists already")
            self._objects[key] = whole

    def read(self, key: str) -> bytes:
        """See `Backend`."""
        try:
            return self._objects[check_key(key)]
        except KeyError:
            raise ObjectMissingError(f"{key} is missing from the store") from None

    def size(self, key: str) -> int | None:
        """See `Backend`."""
        data = self._objects.get(check_key(key))
        return None if data is None else len(data)

    def list(self, folder: str) -> list[str]:
        """See `Backend`."""
        start = f"{check_key(folder)}/"
        return sorted({key[len(start) :].split("/")[0] for key in self._objects if key.startswith(start)})

    def extend(self, key: str, data: bytes) -> None:
        """Append to what is there."""
        with self._lock:
            self._objects[key] += data

    def appender(self, key: str) -> "_MemoryAppender":
        """See `Backend`."""
        with self._lock:
            self._objects.setdefault(check_key(key), b"")
        return _MemoryAppender(self, key)


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
