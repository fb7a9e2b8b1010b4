"""Reading a log of a run while it grows: any part of it, without the rest.

Bytes that are there do not change: logs are only appended to.
"""

import os

from lin.errors import OutsideError
from lin.ids import day_of
from lin.store.backend import Backend
from lin.store.local import LocalBackend


class GrowingFile:
    """The `log.jsonl` or `output.log` of a run. A file that is not there is empty: it may come."""

    def __init__(self, backend: Backend, run_id: str, name: str) -> None:
        self._backend = backend
        self._key = f"runs/{day_of(run_id)}/{run_id}/{name}"

    def size(self) -> int:
        """How many bytes there are by now."""
        return self._backend.size(self._key) or 0

    def read(self, start: int, most: int) -> bytes:
        """The bytes from `start` on, `most` at most; none where the file ends.

        Raises:
            OutsideError: it cannot be read.
        """
        if not isinstance(self._backend, LocalBackend):
            return self._backend.read(self._key)[start : start + most] if self.size() > start else b""
        try:
            descriptor = self._backend.open_file(self._key)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise OutsideError(f"cannot read {self._key} in the store: {error.strerror or error}") from error
        try:
            return os.pread(descriptor, most, start)
        finally:
            os.close(descriptor)
