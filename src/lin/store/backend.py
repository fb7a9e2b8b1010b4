"""The contract that every place to keep a store fulfils: create once, read, list, append, and take away for good.

Keys are POSIX paths below the store's root, checked here once for all backends. Nothing is ever overwritten, and only
`lin.store.removal` removes anything.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Literal, NamedTuple, Protocol

from lin.errors import ConflictError, StoreError, UsageError

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")


class ObjectExistsError(ConflictError):
    """`put_if_absent` came second."""


class ObjectMissingError(StoreError):
    """There is nothing under that key."""


class Unfinished(NamedTuple):
    """A write below `folder` that was begun and is not done: perhaps it never will be.

    `changed` is when it last grew, in seconds since 1970 UTC.
    """

    folder: str
    name: str
    bytes: int
    changed: float


class Entry(NamedTuple):
    """What lies directly in a folder, whoever put it there: a link is one, wherever it leads.

    `exposed`: everybody on the machine may write to it.
    """

    name: str
    kind: Literal["file", "folder", "other"]
    exposed: bool = False


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

    def stream(self, key: str) -> Iterator[bytes]:
        """The same in pieces, for what may be large. Raises as `read`, when the first is asked for."""

    def size(self, key: str) -> int | None:
        """How many bytes lie under `key`, or None if nothing does."""

    def list(self, folder: str) -> list[str]:
        """The names directly in `folder`, in any order; [] if there is no such folder. No unfinished writes."""

    def entries(self, folder: str) -> Sequence[Entry]:
        """All that lies directly in `folder`, hidden and foreign things too; "" is the root. [] if it is not there."""

    def appender(self, key: str) -> Appender:
        """Open `key` for appending, creating it if need be."""

    def changed(self, key: str) -> float | None:
        """When `key` was last written, in seconds since 1970 UTC: an age, which says nothing about content."""

    def remove(self, key: str) -> None:
        """Take `key` away, if it is there. After a power loss it may be back."""

    def remove_folder(self, folder: str) -> None:
        """Take `folder` away with all that is in it, if it is there. No link is followed out of the store."""

    def unfinished(self, folder: str) -> Sequence[Unfinished]:
        """The unfinished writes directly in `folder`; "" is the root."""

    def discard(self, write: Unfinished) -> None:
        """Take an unfinished write away, if it is there."""

    def announce(self, keys: Iterable[str]) -> set[str]:
        """Tell whoever collects that a record may soon name these keys: from now on, as long as this backend lives.

        Waits while somebody holds `alone`. Returns the keys that were not announced before: whether these are there,
        only a look from now on tells.
        """

    def announced(self) -> set[str]:
        """Every key that is announced now, by whatever process."""

    def alone(self) -> AbstractContextManager[None]:
        """While this is held nobody announces anything, so that what is not announced can be removed."""


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
