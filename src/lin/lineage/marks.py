"""Which blobs of a store something needs: what a run names, sealed or not, and what an event names.

A blob that is named and names others needs those: a source snapshot its files, a recipe its pins. Where a record cannot
be read nobody knows, and that is an error.
"""

import re
from collections.abc import Iterable

from lin.errors import LinError, NewerError, OutsideError, StoreError
from lin.events import Register, Seal
from lin.ids import short
from lin.runs.deleted import collected_runs
from lin.runs.needs import Reader, named_by_lines, named_by_sealed
from lin.store.runs import LOG, read_lines
from lin.store.store import Store

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Marks:
    """The blobs that something needs, from records that are read once where they can change no more."""

    def __init__(self, store: Store) -> None:
        self.named: set[bytes] = set()
        self._store = store
        self._final: set[str] = set()
        self._reader = Reader(store.blobs)

    def read(self, runs: Iterable[str]) -> None:
        """Mark what these runs and all events name. Raises `StoreError` if that cannot be known."""
        for event in self._store.events.read():
            if isinstance(event.change, Register):
                self._mark([event.change.sha256, event.change.golden or ""])
            if isinstance(event.change, Seal):
                self._mark([event.change.listing])
        for run in runs:
            if run not in self._final:
                self._read_run(run)

    def _read_run(self, run: str) -> None:
        try:
            sealed = self._store.runs.sealed(run)
            if sealed is None and not self._store.runs.has_begun(run):
                return  # a kill can leave such a folder
            start = self._store.runs.start(run)
            self._mark(self._reader.all_named(start))
            if sealed is None:
                self._mark(
                    named_by_lines(read_lines(self._store.runs.file(run, LOG) or b"", f"the log of run {short(run)}"))
                )
            else:
                self._mark(named_by_sealed(sealed))
                self._final.add(run)
        except LinError as error:
            if run in collected_runs(self._store):
                return  # by another process, just now
            may_be_whole = isinstance(error, NewerError | OutsideError)
            mend = f"restore that file from a backup of the store, or: lin delete {short(run)}"
            raise StoreError(
                f"what run {short(run)} needs is not known, so no blob can go: {error.message}",
                hint=error.hint if may_be_whole else mend,
            ) from error

    def _mark(self, names: Iterable[str]) -> None:
        self.named.update(bytes.fromhex(name) for name in names if _SHA256.fullmatch(name))
