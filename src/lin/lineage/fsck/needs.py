"""What depends on a file that is not as it should be: model versions first, those in a stage before the others.

Asked only when something was found, for it reads the records of all runs again.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence

from lin.errors import StoreError
from lin.events import Event
from lin.ids import short
from lin.lineage.fsck.names import Below, TableKey, names_of_run
from lin.models.fold import ModelVersion, Registry, fold_events
from lin.models.registry import SHARED_STAGES
from lin.store.fsck import check_run
from lin.store.store import Store


class Needs:
    """The runs behind blobs and pinned versions, and the model versions behind runs."""

    def __init__(self, store: Store, versions: Sequence[ModelVersion]) -> None:
        self.places: set[tuple[str, str]] = set()
        self._store = store
        self._versions = sorted(versions, key=lambda each: each.stage in SHARED_STAGES)
        self._runs_of_blob: dict[str, set[str]] = defaultdict(set)
        self._runs_of_table: dict[TableKey, set[str]] = defaultdict(set)

    def read(self, runs: Iterable[str], blobs: Collection[str], tables: Collection[TableKey]) -> None:
        """Find the runs that need these blobs and pinned versions, directly or through records."""
        below = Below(self._store)
        for run in runs:
            named = names_of_run(self._store, run, check_run(self._store.blobs.backend, run, data=False))
            for part in below.all_named(named):
                for sha256 in part.blobs.keys() & blobs:
                    self._runs_of_blob[sha256].add(run)
                for key in part.tables.keys() & tables:
                    self._runs_of_table[key].add(run)
                self.places |= {place for place in part.places if place[0] in blobs}

    def of_blob(self, sha256: str) -> list[str]:
        """What needs a blob."""
        own = [version for version in self._versions if sha256 in {version.sha256, version.golden}]
        return self._tell(self._runs_of_blob.get(sha256, set()), own)

    def of_tables(self, keys: Iterable[TableKey]) -> list[str]:
        """What needs any of these pinned versions."""
        return self._tell({run for key in keys for run in self._runs_of_table.get(key, ())})

    def of_run(self, run: str) -> list[str]:
        """What needs the record of a run: itself, and the model versions that it made."""
        return self._tell({run})

    def of_all_models(self) -> list[str]:
        """Every model version that is known."""
        return [_name(version) for version in self._versions]

    def _tell(self, runs: Collection[str], own: Collection[ModelVersion] = ()) -> list[str]:
        models = [version for version in self._versions if version.run in runs or version in own]
        return [*map(_name, models), *(f"run {short(run)}" for run in sorted(runs))]


def _name(version: ModelVersion) -> str:
    return version.reference + (f" ({version.stage})" if version.stage != "none" else "")


def fold_fitting(events: Sequence[Event]) -> tuple[Registry, tuple[int, str] | None]:
    """The registry after as many events as fit together; the number of the first that does not, and why."""
    try:
        return fold_events(events), None
    except StoreError as error:
        fitting = _most(len(events), lambda count: _fits(events[:count]))
        return fold_events(events[:fitting]), (fitting + 1, error.message)


def _fits(events: Sequence[Event]) -> bool:
    try:
        fold_events(events)
    except StoreError:
        return False
    return True


def _most(limit: int, holds: Callable[[int], bool]) -> int:
    """The greatest number below `limit` for which it holds, as it does for 0 and for all below."""
    low, high = 0, limit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
