"""The index of runs, held against the records that it was made from; and runs that only it remembers.

The index is derived: where it is wrong it is made anew. But what was in it was sealed once, so that a run which is in
the index, and neither in its folder nor collected, was lost.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from lin.ids import is_id
from lin.runs.index import Index, IndexDamagedError, open_index
from lin.runs.index_rows import make_rows
from lin.runs.query import read_each
from lin.store.fsck import Fault
from lin.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

NEWEST = 256
_AT_ONCE = 5_000
_TRIES = 5
_KEY = "index"


class IndexCheck(NamedTuple):
    """The runs that are in it, how many rows were compared, and what is wrong."""

    held: frozenset[str]
    rows: int
    faults: list[Fault]


def check_index(store: Store, readable: Collection[str], *, everything: bool) -> IndexCheck:
    """Read the index, and compare its rows with the records.

    Args:
        store: whose index it is.
        readable: the runs whose records were found whole: rows of others are not compared.
        everything: compare all rows, not only those of the `NEWEST` runs.
    """
    if store.index is None or not store.index.is_dir() or store.index.is_symlink():
        return IndexCheck(frozenset(), 0, [])
    index = open_index(store.index)
    for _ in range(_TRIES):
        try:
            return _check(store, index, readable, everything=everything)
        except IndexDamagedError as error:
            damage, again = error.message, open_index(store.index)
            if (again.version, again.note) == (index.version, index.note):  # else others made it anew meanwhile
                break
            index = again
    return IndexCheck(frozenset(), 0, [Fault(key=_KEY, ill="damaged", what=damage)])


def _check(store: Store, index: Index, readable: Collection[str], *, everything: bool) -> IndexCheck:
    if index.version < 0:
        what = "its newest version is not one that lin wrote, or cannot be read"
        return IndexCheck(frozenset(), 0, [Fault(key=_KEY, ill="damaged", what=what)])
    listed = [run for run in index.select() if is_id(run)]
    if len({*listed}) != len(listed) or not index.tells_of(listed):
        what = "the runs in it are not those that its note tells of"
        return IndexCheck(frozenset(), 0, [Fault(key=_KEY, ill="altered", what=what)])
    known = [run for run in listed if run in readable]
    wanted = sorted(known if everything else known[:NEWEST])
    faults = [fault for some in _in_parts(wanted) for fault in _compare(store, index, some)]
    return IndexCheck(frozenset(listed), len(wanted), faults)


def _in_parts(runs: Sequence[str]) -> Iterator[list[str]]:
    waiting = iter(runs)
    while some := list(islice(waiting, _AT_ONCE)):
        yield some


def _compare(store: Store, index: Index, runs: list[str]) -> Iterator[Fault]:
    """One fault at most: an index with a wrong row is made anew whole."""
    infos = list(read_each(store, runs, []))  # some may be collected by now
    there, made = index.rows_of([info.id for info in infos]), make_rows(infos)
    if there.equals(made):
        return
    columns = [name for name in made.column_names if not _same(there[name], made[name])]
    if columns:  # else there are only NaNs, which no column of Arrow equals
        yield Fault(key=_KEY, ill="altered", what=f"its rows differ from the records in {', '.join(columns)}")


def _same(there: "pa.ChunkedArray", made: "pa.ChunkedArray") -> bool:
    """Whether two columns are equal, NaN being equal to itself."""
    return there.equals(made) or repr(there.to_pylist()) == repr(made.to_pylist())
