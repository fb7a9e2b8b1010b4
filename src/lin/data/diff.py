"""The rows and cells that differ between two versions of a table: by key, or as a multiset without one.

Only files that the versions do not share are read, and these are compared, not believed: a rewrite that says
it changed nothing is read too. NaN equals NaN, 0.0 equals -0.0, and null equals null, in keys as well.
"""
# ruff: noqa: S608 - the queries are made of numbers of ours and of relations, which quote every foreign name

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from lin.data.log import AddFile, Metadata, Snapshot, require_readable
from lin.data.schema import duckdb_type
from lin.data.sql import connect, relation
from lin.data.tables import Table
from lin.errors import OutsideError, UsageError, nearest
from lin.numbers import to_json

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MOST_ORDERED_ROWS = 5_000_000
"""Beyond so many changed rows, it is not looked whether equal rows changed their order."""

_Side = Literal[0, 1]
_POSITION_NAMES = {"_file", "_position", "file_index", "file_row_number"}


class RowChange(msgspec.Struct, frozen=True, kw_only=True):
    """A row that differs. `old` and `new` hold its compared cells, those of an update only what changed."""

    kind: Literal["inserted", "deleted", "updated"]
    key: dict[str, Any]
    old: dict[str, Any] | None
    new: dict[str, Any] | None


class TableDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from version `old` to `new`.

    `key` is None where rows were compared as a multiset. `ambiguous`: the key is not unique in the changed
    files, so equal rows were set aside first, and which of the others were paired as updates is a choice.
    `columns` counts the changed cells of updated rows. `order_changed` is None where that was not looked at,
    and `identical` is said of rows and columns, not of their order.
    """

    table: str
    old: int
    new: int
    key: list[str] | None
    ambiguous: bool = False
    inserted: int = 0
    deleted: int = 0
    updated: int = 0
    columns: dict[str, int] = {}
    added_columns: list[str] = []
    dropped_columns: list[str] = []
    retyped_columns: list[str] = []
    rows: list[RowChange] = []
    order_changed: bool | None = None
    identical: bool = False


def diff_versions(
    table: Table,
    old: int,
    new: int,
    *,
    key: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    limit: int = 20,
    memory: str | None = None,
) -> TableDiff:
    """Compare two versions by what is in them; either may be the later one.

    Columns that only one version has are reported, and the rest is compared. Values of a retyped column are
    equal if the old one, in the new type and without loss, is the new one.

    Args:
        table: the table.
        old: the version to compare from.
        new: the version to compare to.
        key: the columns that identify a row, instead of the table's key; if empty, rows are a multiset.
        columns: the columns to compare, with the key; by default all that both versions have.
        limit: the most changed rows to list, in the order of their keys. All are counted.
        memory: the most that the engine may take before it spills to disk, as `400MB`.

    Raises:
        NotFoundError: no such version. UsageError: no such column, or nothing to compare.
        OutsideError: a data file is missing or damaged, or a version needs a feature that lin lacks.
    """
    before, after = table.log.snapshot(old), table.log.snapshot(new)
    for snapshot in (before, after):
        require_readable(table.log, snapshot)
    chosen = list(table.key if key is None else key)
    pairs = _pair_columns(before.metadata, after.metadata)
    _require_known(chosen, columns, before, after)
    diff = TableDiff(
        table=table.name,
        old=old,
        new=new,
        key=chosen or None,
        added_columns=[name for name in after.metadata.columns if name not in before.metadata.columns],
        dropped_columns=[name for name in before.metadata.columns if name not in after.metadata.columns],
        retyped_columns=[pair.name for pair in pairs if pair.retyped],
    )
    sides = _Sides(table, before, after)
    if sides.gone or sides.come:
        compared = _choose(pairs, chosen, columns)
        with _engine(memory) as connection:
            diff = _compare(connection, diff, sides, compared, limit)
            if columns is None and not (table.order or diff.inserted or diff.deleted or diff.updated):
                order_changed = _order_changed(connection, sides, compared)
                diff = msgspec.structs.replace(diff, order_changed=order_changed)
    else:
        same_order = [file.key for file in before.files] == [file.key for file in after.files]
        diff = msgspec.structs.replace(diff, order_changed=False if same_order else None)
    changes = (diff.inserted, diff.deleted, diff.updated, diff.added_columns, diff.dropped_columns)
    return msgspec.structs.replace(diff, identical=not any(changes) and not diff.retyped_columns)


# --- what to compare --------------------------------------------------------------------------------------


class _Pair(msgspec.Struct, frozen=True):
    """A column that both versions have: its place and its DuckDB type in each."""

    name: str
    places: tuple[int, int]
    types: tuple[str, str]

    @property
    def retyped(self) -> bool:
        return self.types[0] != self.types[1]

    def expression(self, side: _Side) -> str:
        """The column of one side, in a form in which the two sides' equal values are equal.

        An old value that the new type does not hold is kept beside it as text, so that it equals no new one.
        """
        value = f"p{self.places[side]}"
        if not self.retyped:
            return value
        old, new = self.types
        if side == 1:
            return f"{{'value': {value}, 'lost': NULL::VARCHAR}}"
        cast = f"TRY_CAST({value} AS {new})"
        lost = f"TRY_CAST({cast} AS {old}) IS DISTINCT FROM {value}"
        text = f"CASE WHEN {lost} THEN CAST({value} AS VARCHAR) END"
        return f"{{'value': CASE WHEN {lost} THEN NULL ELSE {cast} END, 'lost': {text}}}"

    def show(self, value: Any) -> Any:
        """The value as JSON has it."""
        if self.retyped and value is not None:
            value = value["value"] if value["lost"] is None else value["lost"]
        return _to_json(value)


class _Compared(msgspec.Struct, frozen=True):
    """The columns to compare, those of the key first; in the queries they are numbered."""

    pairs: list[_Pair]
    keys: int

    def names(self, prefix: str, start: int = 0) -> list[str]:
        return [f"{prefix}{number}" for number in range(start, len(self.pairs))]

    def listed(self, prefix: str) -> str:
        return ", ".join(self.names(prefix))

    def differ(self, left: str, right: str, start: int = 0) -> list[str]:
        """A condition for each column, from number `start` on."""
        names = zip(self.names(left, start), self.names(right, start), strict=True)
        return [f"{one} IS DISTINCT FROM {other}" for one, other in names]

    def same_key(self, left: str, right: str) -> list[str]:
        """Conditions under which two rows have the same key."""
        return [f"{left}{n} IS NOT DISTINCT FROM {right}{n}" for n in range(self.keys)]


class _Sides:
    """The versions, and the files that only one of them has: `gone` and `come`."""

    def __init__(self, table: Table, before: Snapshot, after: Snapshot) -> None:
        self.root = table.root
        self.snapshots = (before, after)
        old, new = before.keys, after.keys
        self.gone = [file for file in before.files if file.key not in new]
        self.come = [file for file in after.files if file.key not in old]

    def select(self, side: _Side, compared: _Compared, *, places: list[int] | None = None) -> str:
        """The compared columns of one side's own files as `c0`, `c1`, …; their own names may be anything.

        With `places`, the number of rows before each of these files, the `place` of each row is there too.
        """
        metadata = self.snapshots[side].metadata
        files = (self.gone, self.come)[side]
        columns = [f"{pair.expression(side)} AS c{n}" for n, pair in enumerate(compared.pairs)]
        names = [f"p{place}" for place in range(len(metadata.columns))]
        if places is not None:
            columns.append(f"(CAST({places} AS BIGINT[]))[f + 1] + r AS place")
            names += ["f", "r"]
        rows = relation(self.root, files, metadata, positions=places is not None)
        return f"SELECT {', '.join(columns)} FROM ({rows}) AS t({', '.join(names)})"


def _pair_columns(old: Metadata, new: Metadata) -> list[_Pair]:
    places = {name: place for place, name in enumerate(old.columns)}
    kinds = [field["type"] for field in old.schema["fields"]]
    return [
        _Pair(
            field["name"],
            (places[field["name"]], place),
            (duckdb_type(kinds[places[field["name"]]]), duckdb_type(field["type"])),
        )
        for place, field in enumerate(new.schema["fields"])
        if field["name"] in places
    ]


def _require_known(key: list[str], columns: Sequence[str] | None, before: Snapshot, after: Snapshot) -> None:
    for snapshot in (before, after):
        for name in key:
            if name not in snapshot.metadata.columns:
                raise _no_column(name, snapshot.metadata.columns, f"version {snapshot.version}", "key column")
    known = list(dict.fromkeys([*after.metadata.columns, *before.metadata.columns]))
    for name in columns or ():
        if name not in known:
            raise _no_column(name, known, "either version", "column")


def _no_column(name: str, known: list[str], where: str, what: str) -> UsageError:
    instead = f"the columns are: {', '.join(known)}"
    return UsageError(f"there is no {what} '{name}' in {where}", hint=nearest(name, known, instead=instead))


def _choose(pairs: list[_Pair], key: list[str], columns: Sequence[str] | None) -> _Compared:
    by_name = {pair.name: pair for pair in pairs}
    rest = [p for p in pairs if p.name not in key and (columns is None or p.name in columns)]
    chosen = [by_name[name] for name in dict.fromkeys(key)]
    if not chosen and not rest:
        raise UsageError("the versions have none of these columns in common: no rows can be compared")
    return _Compared([*chosen, *rest], len(chosen))


# --- comparing --------------------------------------------------------------------------------------------


@contextmanager
def _engine(memory: str | None) -> "Iterator[duckdb.DuckDBPyConnection]":
    import duckdb

    try:
        connection = connect(memory=memory)
    except duckdb.Error as error:
        raise UsageError(f"{memory!r} is not an amount of memory", hint="write it as 400MB or 2GB") from error
    with connection:
        try:
            yield connection
        except duckdb.OutOfMemoryException as error:
            raise OutsideError(f"the memory is too small for this diff: {error}", hint="allow it more") from error
        except duckdb.Error as error:
            raise OutsideError(f"the versions could not be compared: {error}") from error


def _compare(
    connection: "duckdb.DuckDBPyConnection", diff: TableDiff, sides: _Sides, compared: _Compared, limit: int
) -> TableDiff:
    """Fill in what a comparison of the rows tells."""
    connection.execute(f"CREATE TEMP VIEW o AS {sides.select(0, compared)}")
    connection.execute(f"CREATE TEMP VIEW n AS {sides.select(1, compared)}")
    ambiguous = compared.keys > 0 and not _is_unique(connection, compared)
    by_key = compared.keys > 0 and not ambiguous
    connection.execute(f"CREATE TEMP TABLE changed AS {_joined(compared) if by_key else _left_over(compared)}")
    both = "had AND has"
    cells = [f"count(*) FILTER ({both} AND {differs})" for differs in compared.differ("o", "n", compared.keys)]
    kinds = [f"count(*) FILTER ({kind})" for kind in ("had IS NULL", "has IS NULL", both)]
    counts = _one_row(connection, f"SELECT {', '.join([*kinds, *cells])} FROM changed")
    names = [pair.name for pair in compared.pairs[compared.keys :]]
    return msgspec.structs.replace(
        diff,
        ambiguous=ambiguous,
        inserted=counts[0],
        deleted=counts[1],
        updated=counts[2],
        columns={name: count for name, count in zip(names, counts[3:], strict=True) if count},
        rows=_list_rows(connection, compared, limit) if limit > 0 else [],
    )


def _one_row(connection: "duckdb.DuckDBPyConnection", query: str) -> tuple[Any, ...]:
    (row,) = connection.execute(query).fetchall()  # to its end, or the connection stays busy
    return row


def _is_unique(connection: "duckdb.DuckDBPyConnection", compared: _Compared) -> bool:
    keys = ", ".join(compared.names("c")[: compared.keys])
    repeated = [f"EXISTS (SELECT 1 FROM {side} GROUP BY {keys} HAVING count(*) > 1)" for side in "on"]
    return _one_row(connection, f"SELECT {' OR '.join(repeated)}") == (False,)


def _joined(compared: _Compared) -> str:
    """The rows that differ, each with its counterpart of the same key."""
    old = ", ".join(f"o.c{n} AS o{n}" for n in range(len(compared.pairs)))
    new = ", ".join(f"n.c{n} AS n{n}" for n in range(len(compared.pairs)))
    differ = ["had IS NULL", "has IS NULL", *compared.differ("o.c", "n.c", compared.keys)]
    same = " AND ".join(compared.same_key("o.c", "n.c"))
    return (
        f"SELECT had, has, {old}, {new} FROM (SELECT true AS had, * FROM o) AS o"
        f" FULL OUTER JOIN (SELECT true AS has, * FROM n) AS n ON {same}"
        f" WHERE {' OR '.join(differ)}"
    )


def _left_over(compared: _Compared) -> str:
    """The rows that one side has more often than the other, paired by key where there is one."""
    columns = compared.listed("c")
    signed = (
        f"SELECT {columns}, sum(sign) AS total"
        f" FROM (SELECT *, -1 AS sign FROM o UNION ALL SELECT *, 1 FROM n)"
        f" GROUP BY {columns} HAVING sum(sign) <> 0"
    )
    keys = ", ".join(compared.names("c")[: compared.keys])
    turn = f"row_number() OVER (PARTITION BY {keys} ORDER BY {columns})" if keys else "NULL"
    once = f"SELECT {columns}, unnest(range(abs(total)::BIGINT)) FROM signed WHERE total"
    sides = [
        f"{name} AS (SELECT true AS {flag}, {columns}, {turn} AS turn FROM ({once} {sign} 0))"
        for name, flag, sign in (("lost", "had", "<"), ("found", "has", ">"))
    ]
    old = ", ".join(f"lost.c{n} AS o{n}" for n in range(len(compared.pairs)))
    new = ", ".join(f"found.c{n} AS n{n}" for n in range(len(compared.pairs)))
    same = " AND ".join(["lost.turn = found.turn", *compared.same_key("lost.c", "found.c")])
    return (
        f"WITH signed AS ({signed}), {', '.join(sides)}"
        f" SELECT had, has, {old}, {new} FROM lost FULL OUTER JOIN found ON {same}"
    )


def _list_rows(connection: "duckdb.DuckDBPyConnection", compared: _Compared, limit: int) -> list[RowChange]:
    order = ", ".join(
        f"coalesce({new}, {old})" for old, new in zip(compared.names("o"), compared.names("n"), strict=True)
    )
    differ = ", ".join(compared.differ("o", "n"))
    found: pa.Table = connection.sql(
        f"SELECT *, [{differ}] AS differ FROM changed ORDER BY {order}, has NULLS FIRST LIMIT {int(limit)}"
    ).to_arrow_table()
    return [_row_change(row, compared) for row in found.to_pylist()]


def _row_change(row: dict[str, Any], compared: _Compared) -> RowChange:
    had, has = row["had"], row["has"]
    kind: Literal["inserted", "deleted", "updated"] = "updated" if had and has else "inserted" if has else "deleted"
    shown = [n for n in range(len(compared.pairs)) if kind != "updated" or row["differ"][n]]

    def cells(prefix: str, numbers: Sequence[int]) -> dict[str, Any]:
        return {compared.pairs[n].name: compared.pairs[n].show(row[f"{prefix}{n}"]) for n in numbers}

    return RowChange(
        kind=kind,
        key=cells("n" if has else "o", range(compared.keys)),
        old=cells("o", shown) if had else None,
        new=cells("n", shown) if has else None,
    )


# --- order ------------------------------------------------------------------------------------------------


def _order_changed(connection: "duckdb.DuckDBPyConnection", sides: _Sides, compared: _Compared) -> bool | None:
    """Whether equal rows stand at other places; None where it takes more than the changed files to tell."""
    before, after = sides.snapshots
    names = {name.casefold() for name in [*before.metadata.columns, *after.metadata.columns]}
    old, new = _offsets(before.files), _offsets(after.files)
    if old is None or new is None or names & _POSITION_NAMES:
        return None
    shifted = any(old[key] != new[key] for key in old.keys() & new.keys())
    if shifted or sum(file.rows or 0 for file in sides.gone) > MOST_ORDERED_ROWS:
        return None
    before_rows = sides.select(0, compared, places=[old[file.key] for file in sides.gone])
    after_rows = sides.select(1, compared, places=[new[file.key] for file in sides.come])
    moved = ["o.place IS NULL", "n.place IS NULL", *compared.differ("o.c", "n.c")]
    query = (
        f"SELECT EXISTS (SELECT 1 FROM ({before_rows}) AS o FULL OUTER JOIN ({after_rows}) AS n"
        f" ON o.place = n.place WHERE {' OR '.join(moved)})"
    )
    return _one_row(connection, query) == (True,)


def _offsets(files: list[AddFile]) -> dict[tuple[str, str | None], int] | None:
    """The number of rows before each file; None where the log has no count for one."""
    counts = [file.rows for file in files]
    known = [count for count in counts if count is not None]
    if len(known) != len(counts):
        return None
    return dict(zip((file.key for file in files), accumulate(known, initial=0), strict=False))


# --- values -----------------------------------------------------------------------------------------------


def _to_json(value: Any) -> Any:  # noqa: PLR0911 - a table of cases
    """Numbers as `lin.numbers` writes them, times as ISO text, bytes as hex, maps as lists of pairs."""
    match value:
        case float():
            return to_json(value)
        case Decimal():
            return str(value)
        case dt.date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case dict():
            return {name: _to_json(part) for name, part in value.items()}
        case list() | tuple():
            return [_to_json(part) for part in value]
    return value
