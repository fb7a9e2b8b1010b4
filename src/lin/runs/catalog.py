"""Which runs a question is about: those that the index chooses, and those that it cannot answer for.

The folders of the runs are the truth. Where the index lacks many sealed runs, they are written to it first; where it
cannot be read, it is made anew; where it cannot be written, nothing is lost but time.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from lin.errors import OutsideError, UsageError
from lin.runs.index import Days, Index, IndexDamagedError, Note, open_index
from lin.runs.query import read_each
from lin.runs.where import Expression
from lin.store.store import Store

T = TypeVar("T")

_TRIES = 5
FEW = 256
"""Fewer sealed runs than this are read from their records rather than written to the index."""


@dataclass(frozen=True)
class Choice:
    """Ids of runs: `chosen` by the index, in order, and the `fresh` ones, which are to be looked at one by one.

    `notes` tell what is wrong with the index.
    """

    chosen: list[str]
    fresh: list[str]
    notes: list[str]


@dataclass(frozen=True)
class Asked(Generic[T]):
    """What the index answered, None where it cannot be asked, and the ids of the runs that it does not know of.

    `notes` tell what is wrong with the index.
    """

    answer: T | None
    fresh: list[str]
    notes: list[str]


def choose_runs(store: Store, condition: Expression | None, *, without: Collection[str], **options: Any) -> Choice:
    """Ask the index for the runs that fulfil `condition`, as `Index.select` takes it; `without` leaves some out."""

    def select(index: Index, gone: list[str]) -> list[str]:
        return index.select(condition, without={*without, *gone}, **options)

    asked = ask_index(store, select)
    return Choice(asked.answer or [], [run for run in asked.fresh if run not in without], asked.notes)


def ask_index(store: Store, question: Callable[[Index, list[str]], T]) -> Asked[T]:
    """Ask the index `question`, which is given the index and the ids of the runs in it that are gone.

    The index is brought up to date first where it lacks many runs, and made anew where it cannot be read.
    """
    days = store.runs.days()
    if store.index is None:
        return Asked(None, sorted(name for names in days.values() for name in names), [])
    notes: list[str] = []
    index = open_index(store.index)
    for _ in range(_TRIES):
        try:
            index, fresh, gone = _catch_up(store, index, days, notes)
            return Asked(question(index, gone), fresh, notes)
        except IndexDamagedError as error:
            again = open_index(store.index)
            if (again.version, again.note) == (index.version, index.note):  # else another process made it anew
                notes.append(f"{error.message}; it is made anew")
                again = _make_anew(store, index.root, days, notes)
            index = again
    return Asked(None, _nothing(index.root).compare(days)[0], notes)


class IndexState(msgspec.Struct, frozen=True, kw_only=True):
    """The index as it lies there: `runs` it holds, `lacking` sealed ones it does not. The version is −1 before any."""

    path: str
    version: int
    runs: int
    lacking: int
    files: int
    bytes: int


def describe_index(store: Store) -> IndexState:
    """What the index holds and lacks.

    Raises:
        UsageError: the store cannot have one. IndexDamagedError: it cannot be read.
    """
    index = open_index(_place(store))
    fresh, _ = index.compare(store.runs.days())
    return IndexState(
        path=str(index.root),
        version=index.version,
        runs=index.runs,
        lacking=len(_sealed(store, fresh)),
        files=len(index.note.files),
        bytes=sum((index.root / name).stat().st_size for name in index.note.files),
    )


def rebuild_index(store: Store) -> None:
    """Make the index anew from all sealed runs.

    Raises:
        UsageError: the store cannot have one. OutsideError: it cannot be written.
    """
    index = _nothing(_place(store))
    index.extend(read_each(store, _sealed(store, index.compare(store.runs.days())[0]), []))


def _place(store: Store) -> Path:
    if store.index is None:
        raise UsageError("this store has no place for an index", hint="its runs are read one by one")
    return store.index


def _make_anew(store: Store, root: Path, days: Days, notes: list[str]) -> Index:
    """The index of all sealed runs, written anew; an empty one where it cannot be written."""
    index = _nothing(root)
    try:
        index.extend(read_each(store, _sealed(store, index.compare(days)[0]), []))
    except OutsideError as error:
        notes.append(f"it cannot be made anew: {error.message}")
        return index
    return open_index(root)


def _catch_up(store: Store, index: Index, days: Days, notes: list[str]) -> tuple[Index, list[str], list[str]]:
    """The index, brought up to date if it is far behind, with the ids that it lacks and those that are gone."""
    fresh, gone = index.compare(days)
    if max(len(fresh), len(gone)) < FEW:
        return index, fresh, gone
    sealed = _sealed(store, fresh)
    if max(len(sealed), len(gone)) < FEW:
        return index, fresh, gone
    try:
        index.extend(read_each(store, sealed, []), gone)
    except IndexDamagedError:
        raise
    except OutsideError as error:
        notes.append(f"the index of runs is {len(sealed)} runs behind: {error.message}")
        return index, fresh, gone
    index = open_index(index.root)
    return index, *index.compare(days)


def _sealed(store: Store, runs: list[str]) -> list[str]:
    return [run for run in runs if store.runs.is_sealed(run)]


def _nothing(root: Path) -> Index:
    return Index(root, -1, Note())
