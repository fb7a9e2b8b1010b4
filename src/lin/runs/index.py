"""The index of runs: a Delta table in the store's folder `index/`, one row for each sealed run, for fast queries.

It is derived, and only ever says *which* runs to look at: what is shown is read from the records. Its note tells, for
each day, how many runs it has and the sum of their ids, so that comparing it with the folders of the runs finds those
it lacks. Delete it, damage it, write to it with another engine: it is made anew.
"""
# ruff: noqa: S608 - the queries are made of texts of ours and of `compile_filter`, which binds every foreign value

import os
import re
import stat
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.derived import append_rows, read_note, rewrite_rows
from lin.errors import OutsideError
from lin.ids import day_of, is_id, milliseconds_of, span_of
from lin.runs.index_rows import make_rows, row_schema
from lin.runs.sql import compile_filter, compile_order
from lin.runs.where import Expression, Field

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from lin.records import Kind
    from lin.runs.query import RunInfo

FORMAT = "index/2"
MOST_FILES = 24
"""An index of more files is written anew as one."""

_FILE = re.compile(r"part-[0-9a-f-]{36}\.snappy\.parquet")
_MODULUS = 1 << 128
_DAY_MS = 86_400_000

Days = Mapping[str, Collection[str]]
"""The names in the folder of each day: ids of runs."""


class Day(msgspec.Struct, frozen=True, array_like=True):
    """A set of runs, told by how many they are and by the sum of their ids modulo 2^128, in hex."""

    runs: int
    total: str


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an index holds: in which files, and how much of each day."""

    format: str = FORMAT
    files: list[str] = []
    days: dict[str, Day] = {}


class IndexDamagedError(OutsideError):
    """A file of the index is gone or is not what it was."""


class Index:
    """An opened index; where there is none, or none to believe, an empty one of version −1."""

    def __init__(self, root: Path, version: int, note: Note) -> None:
        self.root = root
        self.version = version
        self.note = note

    @property
    def runs(self) -> int:
        """How many runs it holds."""
        return sum(day.runs for day in self.note.days.values())

    def compare(self, listed: Days) -> tuple[list[str], list[str]]:
        """The ids that are listed and not in the index, and those in the index that are not listed any more.

        Raises:
            IndexDamagedError: it cannot be read.
        """
        held = self.note.days
        differ = [day for day in {*held, *listed} if held.get(day, _NONE) != _sum_up(listed.get(day, ()))]
        names = {name for day in differ for name in listed.get(day, ())}
        mine = {run for day in differ if day in held for run in self._of_day(day)}
        return sorted(name for name in names - mine if is_id(name)), sorted(mine - names)

    def select(
        self,
        condition: Expression | None = None,
        *,
        sort: Field | None = None,
        descending: bool = False,
        limit: int | None = None,
        kinds: "Collection[Kind] | None" = None,
        without: Collection[str] = (),
    ) -> list[str]:
        """The ids of the runs that fulfil `condition`, `limit` at most: newest first, or in the order of `sort`.

        Raises:
            IndexDamagedError: it cannot be read.
        """
        if not self.note.files:
            return []
        conditions: list[str] = []
        values: list[Any] = []
        if condition is not None:
            wanted, values = compile_filter(condition)
            conditions.append(f"({wanted})")
        if kinds is not None:
            conditions.append("kind IN (SELECT unnest(?))")
            values.append(sorted(kinds))
        if without:
            conditions.append("id NOT IN (SELECT unnest(?))")
            values.append(sorted(without))
        order, more = compile_order(sort, descending=descending) if sort else ("id DESC", [])
        where = " AND ".join(conditions) or "true"
        cut = f" LIMIT {limit:d}" if limit is not None else ""
        return self._ids(f"WHERE {where} ORDER BY {order}{cut}", [*values, *more])

    def tells_of(self, runs: Iterable[str]) -> bool:
        """Whether its note tells of exactly these runs."""
        by_day: dict[str, list[str]] = defaultdict(list)
        for run in runs:
            by_day[day_of(run)].append(run)
        return {day: _sum_up(names) for day, names in by_day.items()} == self.note.days

    def rows_of(self, runs: Collection[str]) -> "pa.Table":
        """The rows of these runs, as they stand in it, by id. Raises `IndexDamagedError`."""
        return self._select_rows("id IN (SELECT unnest(?))", list(runs))

    def extend(self, runs: "Iterable[RunInfo]", gone: Collection[str] = ()) -> bool:
        """Write these sealed runs, which it lacks, and leave out those that are `gone`; False if somebody was first.

        Raises:
            OutsideError: it cannot be written.
        """
        import pyarrow as pa

        fresh = make_rows(runs)
        if not fresh.num_rows and not gone:
            return True
        if self.version >= 0 and len(self.note.files) < MOST_FILES and not gone:
            days = _add_days(self.note.days, fresh)
            with suppress(OutsideError):  # what cannot be appended to is written anew
                return append_rows(self.root, self.version, fresh, lambda name: _encode([*self.note.files, name], days))
        rows = pa.concat_tables([self._rows(gone), fresh]) if self.note.files else fresh
        return rewrite_rows(self.root, rows, lambda name: _encode([name], _add_days({}, rows)))

    def extract(
        self, columns: str, *, into: str, where: str, gone: Collection[str]
    ) -> "duckdb.DuckDBPyConnection | None":
        """Copy columns of the rows, but of those that are gone, to a temporary table of the connection returned.

        None where there are no rows. `columns` and `where` are SQL.

        Raises:
            IndexDamagedError: it cannot be read.
        """
        if not self.note.files:
            return None
        query = f"SELECT {columns} FROM {self._relation} WHERE {where} AND id NOT IN (SELECT unnest(?))"
        with self._naming_damage():
            self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {into} AS {query}", [[*gone]])
        return self._connection

    def _of_day(self, day: str) -> list[str]:
        """The ids of that day: they begin with their time."""
        return self._ids("WHERE id BETWEEN ? AND ?", list(span_of(day)))

    def _ids(self, clauses: str, values: list[Any]) -> list[str]:
        with self._naming_damage():
            rows = self._connection.execute(f"SELECT id FROM {self._relation} {clauses}", values).fetchall()
        return [run for (run,) in rows]

    def _rows(self, gone: Collection[str]) -> "pa.Table":
        """All rows but those that are gone, oldest first."""
        return self._select_rows("id NOT IN (SELECT unnest(?))", sorted(gone))

    def _select_rows(self, which: str, ids: list[str]) -> "pa.Table":
        schema = row_schema()
        names = ", ".join(schema.names)
        query = f"SELECT {names} FROM {self._relation} WHERE {which} ORDER BY id"
        with self._naming_damage():
            rows: pa.Table = self._connection.sql(query, params=[ids or [""]]).to_arrow_table()
        try:
            return rows.cast(schema)
        except (ValueError, NotImplementedError) as error:  # those of pyarrow are among them
            raise _damaged(str(error)) from error

    @cached_property
    def _relation(self) -> str:
        from lin.data.sql import literal

        return f"read_parquet([{', '.join(literal(f'{self.root}/{name}') for name in self.note.files)}])"

    @cached_property
    def _connection(self) -> "duckdb.DuckDBPyConnection":
        from lin.data.sql import connect

        return connect()

    @contextmanager
    def _naming_damage(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            raise _damaged(str(error)) from error


_NONE = Day(0, "0")


def _damaged(reason: str) -> IndexDamagedError:
    first = reason.split("\n", 1)[0]
    message = f"the index of runs cannot be read: {first}"
    return IndexDamagedError(message, hint="lin index --rebuild")


def open_index(root: Path) -> Index:
    """The index in that folder, as its newest commit tells."""
    found = read_note(root)
    if found is not None:
        try:
            note = msgspec.json.decode(found[1], type=Note)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            note = Note(format="")
        if note.format == FORMAT and all(_is_ours(root, name) for name in note.files):
            return Index(root, found[0], note)
    return Index(root, -1, Note())


def _is_ours(root: Path, name: str) -> bool:
    """Whether a file that a note names may be read: DuckDB would follow a link, and wait at a pipe."""
    path = root / name
    return _FILE.fullmatch(name) is not None and not (os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode))


def _sum_up(names: Collection[str]) -> Day:
    try:
        return Day(len(names), f"{sum(map(int, names, repeat(16))) % _MODULUS:x}")
    except ValueError:  # somebody put other things into that folder
        return _sum_up([name for name in names if is_id(name)])


def _add_days(days: Mapping[str, Day], rows: "pa.Table") -> dict[str, Day]:
    added: dict[int, list[str]] = defaultdict(list)
    for run in rows["id"].to_pylist():
        added[milliseconds_of(run) // _DAY_MS].append(run)
    sums = {day_of(names[0]): _sum_up(names) for names in added.values()}
    return {day: _add(days.get(day, _NONE), sums.get(day, _NONE)) for day in sorted({*days, *sums})}


def _add(one: Day, other: Day) -> Day:
    return Day(one.runs + other.runs, f"{(int(one.total, 16) + int(other.total, 16)) % _MODULUS:x}")


def _encode(files: list[str], days: dict[str, Day]) -> str:
    return msgspec.json.encode(Note(files=files, days=days)).decode()
