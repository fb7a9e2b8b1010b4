"""Content by its sha256: `blobs/ab/<sha256>`. Created once, verified whenever it is read.

What is put is announced before it is looked for: until the process ends, or gives this object back, no `lin gc` takes
it, though no record may name it yet and though it may have been there before.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from lin.errors import NotFoundError, OutsideError, StoreError
from lin.records import digest
from lin.store.backend import Backend, ObjectExistsError, ObjectMissingError

CHUNK = 1 << 20


class Blobs:
    """The content-addressed part of a store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def backend(self) -> Backend:
        """Where the blobs lie, with the rest of their store."""
        return self._backend

    def put(self, data: bytes) -> str:
        """Keep `data`; returns its sha256. The same content is kept once."""
        sha256 = digest(data)
        self._put(sha256, len(data), data)
        return sha256

    def put_file(self, path: Path) -> tuple[str, int]:
        """Keep the content of the file at `path`; returns its sha256 and size in bytes.

        Raises:
            NotFoundError: no such file. OutsideError: it cannot be read, or it changes while it is read.
        """
        try:
            whole = hashlib.sha256()
            size = 0
            for chunk in _read(path):
                whole.update(chunk)
                size += len(chunk)
            sha256 = whole.hexdigest()
            self._put(sha256, size, _checked(path, sha256))
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no file '{path}'", hint="check its path") from error
        except OSError as error:
            raise OutsideError(f"cannot read {path}: {error.strerror}") from error
        return sha256, size

    def hold(self, sha256s: Iterable[str]) -> set[str]:
        """Make sure of content that is about to be named in a record and was not put here.

        Returns what was neither put nor held here before: it may name more, if it is a source snapshot.

        Raises:
            ObjectMissingError: some of it is not there.
        """
        keys = {_key(sha256): sha256 for sha256 in sha256s}
        fresh = self._backend.announce(keys)
        missing = [key for key in keys if self._backend.size(key) is None]
        if missing:
            raise ObjectMissingError(
                f"{missing[0]} is missing from the store", hint="restore that file from a backup of the store"
            )
        return {keys[key] for key in fresh}

    def read(self, sha256: str) -> bytes:
        """The content. Raises `StoreError` if it is missing or is not what its name says."""
        data = self._backend.read(_key(sha256))
        if digest(data) != sha256:
            raise StoreError(
                f"{_key(sha256)} is damaged: its content does not have that sha256",
                hint="restore that file from a backup of the store",
            )
        return data

    def has(self, sha256: str, size: int) -> bool:
        """Whether content of that size is here; it is read, lest what is kept again stands on rot.

        Raises:
            StoreError: what is here is something else.
        """
        key = _key(sha256)
        present = self._backend.size(key)
        if present is None:
            return False
        whole = hashlib.sha256()
        try:
            for chunk in self._backend.stream(key) if present == size else ():
                whole.update(chunk)
        except ObjectMissingError:
            return False  # taken meanwhile
        if present != size or whole.hexdigest() != sha256:
            what = f"it has {present} bytes instead of {size}" if present != size else "its content is another"
            raise StoreError(f"{key} is damaged: {what}", hint="mend it: lin fsck --repair --read-data")
        return True

    def size(self, sha256: str) -> int | None:
        """The size in bytes, or None if it is not here."""
        return self._backend.size(_key(sha256))

    def _put(self, sha256: str, size: int, data: bytes | Iterator[bytes]) -> None:
        key = _key(sha256)
        self._backend.announce([key])
        if not self.has(sha256, size):
            try:
                self._backend.put_if_absent(key, data)
            except ObjectExistsError:
                return  # another process kept the same content at the same time


def _key(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}"


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _checked(path: Path, sha256: str) -> Iterator[bytes]:
    """The file's chunks, failing at the end if they are not the content that was announced."""
    whole = hashlib.sha256()
    for chunk in _read(path):
        whole.update(chunk)
        yield chunk
    if whole.hexdigest() != sha256:
        raise OutsideError(f"{path} changed while it was read", hint="run the command again when it is at rest")
