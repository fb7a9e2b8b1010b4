"""A store opened or made: its backend, and the parts of it that the rooms above use."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from lin.errors import NotFoundError, StoreError, UsageError
from lin.ids import new_id
from lin.records import StoreInfo
from lin.sealed import decode_sealed, encode_sealed
from lin.store.backend import Backend, ObjectExistsError
from lin.store.blobs import Blobs
from lin.store.events import Events
from lin.store.local import LocalBackend
from lin.store.runs import Runs
from lin.store.signatures import Notary

INFO = "store.json"


class Store:
    """What `lin` keeps: blobs, runs and events.

    `index` is the folder for the table that `lin.runs.index` derives from the runs, None where there is no disk.
    """

    def __init__(self, backend: Backend, notary: Callable[[str], Notary] = Notary) -> None:
        """Open the store on `backend`; `notary` makes, of the store's id, who signs its events.

        Raises:
            StoreError: it is damaged or of a newer format.
        """
        self.info = decode_sealed(backend.read(INFO), StoreInfo, where=INFO)
        self.blobs = Blobs(backend)
        self.runs = Runs(backend)
        self.events = Events(backend, notary(self.info.id))
        self.index = backend.root / "index" if isinstance(backend, LocalBackend) else None


def create_store(backend: Backend) -> Store:
    """Make an empty store, or open the one that is there. Raises `StoreError` if that is damaged."""
    _refuse_headless(backend)
    with suppress(ObjectExistsError):  # made before, or by another process just now
        backend.put_if_absent(INFO, encode_sealed(StoreInfo(id=new_id(), created=datetime.now(UTC))))
    return Store(backend)


def local_backend(location: str, root: Path) -> LocalBackend:
    """The backend for a store's setting: a folder, relative to `root`. Raises `UsageError` for a bucket."""
    if "://" in location:
        raise UsageError(f"store '{location}': this lin keeps its store in a local folder only")
    return LocalBackend(root / location)


def open_store(backend: LocalBackend, notary: Callable[[str], Notary] = Notary) -> Store:
    """Open the store in that folder, see `Store`. Raises `NotFoundError` if there is none, `StoreError` as there."""
    _refuse_headless(backend)
    if backend.size(INFO) is None:
        raise NotFoundError(f"there is no lin store in {backend.root}", hint="lin init")
    return Store(backend, notary)


def _refuse_headless(backend: Backend) -> None:
    """Refuse a store that lost its `store.json`: a new one would give it another id."""
    if backend.size(INFO) is None and (backend.list("runs") or backend.list("events")):
        if backend.size(INFO) is not None:
            return  # another process made it just now
        raise StoreError(
            f"{INFO} is missing from the store, which has runs or events",
            hint="restore that file from a backup of the store",
        )
