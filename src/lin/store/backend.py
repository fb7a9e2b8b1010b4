"""The contract that every place to keep a store fulfils: create once, read, list, append.

Keys are POSIX paths below the store's root, checked here once for all backends. Nothing is ever overwritten.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Protocol

from lin.errors import ConflictError, StoreError, UsageError

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")


class ObjectExistsError(ConflictError):
    """`put_if_absent` came second."""


class ObjectMissingError(StoreError):
    """There is nothing under that key."""


class Appender(Protocol):
    """An open append-only file. One `append` is one write: lines of several processes do not mix."""

    def append(self, data: bytes) -> None:
        """Add `data` at the end; it survives a kill of this process from now on."""

    def sync(self) -> None:
        """Return when all that was appended is on disk."""

    def close(self) -> None:
        """Give the file back."""


class Backend(Protocol):
    """Where a store's bytes lie."""

    def put_if_absent(self, key: str, data: bytes | Iterable[bytes]) -> None:
        """Create `key` with `data`, whole and durable, or raise `ObjectExistsError` and change nothing."""

    def read(self, key: str) -> bytes:
        """All bytes under `key`. Raises `ObjectMissingError`."""

    def size(self, key: str) -> int | None:
        """How many bytes lie under `key`, or None if nothing does."""

    def list(self, folder: str) -> list[str]:
        """The names directly in `folder`, sorted; [] if there is no such folder. Unfinished writes are left out."""

    def appender(self, key: str) -> Appender:
        """Open `key` for appending, creating it if need be."""


def check_key(key: str) -> str:
    """Return `key` if it stays inside the store. Raises `UsageError`."""
    if all(_SEGMENT.fullmatch(part) for part in key.split("/")):
        return key
    raise UsageError(f"{key!r} is not a key of a store")


def chunks(data: bytes | Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of `data`, in order."""
    if isinstance(data, bytes):
        yield data
    else:
        yield from data
