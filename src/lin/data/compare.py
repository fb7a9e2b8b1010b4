"""Comparing two sides in DuckDB: which rows differ, exactly, for the price of little more than reading both.

Equal rows cancel out first: those of files that were rewritten in place by their places (`lockstep`), the others by
sums of hashes (`buckets`), or where much differs, by their hashes (`suspects`). Only what is left is held whole, and
compared value by value.
"""
# ruff: noqa: S608 - the queries are made of numbers of ours and of relations, which quote every foreign name

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lin.data.buckets import find_suspects_in_buckets
from lin.data.lockstep import compare_in_step
from lin.data.schema import quote
from lin.data.sides import Compared, Sides
from lin.data.sql import condition_problem, explain_condition, fetch_row
from lin.data.suspects import find_suspects
from lin.errors import UsageError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_SIDES = ("o", "n")
_BATCH = 50_000
_AT_ONCE = 25
_UPDATED = "FROM changed WHERE had AND has"
_KEPT_CELLS = 20_000_000
"""Files of no more cells than this are kept in memory rather than read twice."""


class Comparison:
    """The rows that differ between two sides, in the temporary table `changed` of the connection.

    Its columns: `had` and `has`, true where the row was on the old side and is on the new, else null; and the columns
    of the sides, `o0`, `o1`, … and `n0`, `n1`, ….
    """

    def __init__(self, connection: "duckdb.DuckDBPyConnection", sides: Sides, compared: Compared) -> None:
        self.connection = connection
        self.compared = compared
        self.ambiguous = False
        """Whether changed rows share a key, so that which of them were paired is a choice."""
        self._prepare(sides)
        self._compare()
        for name in ("ho", "hn", "moved"):
            connection.execute(f"DROP TABLE IF EXISTS {name}")

    def keep_rows(self, where: str) -> None:
        """Keep the rows for which the SQL expression is true on the old or on the new side.

        From here on the connection reaches no file any more.

        Raises:
            UsageError: the expression cannot be used; it says why.
        """
        import duckdb

        if problem := condition_problem(where):
            raise UsageError(f"the condition {where!r} cannot be used: {problem}")
        self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")
        number = f"number_{secrets.token_hex(8)}"
        kept = " UNION ".join(
            f"SELECT {number} FROM (SELECT rowid AS {number}, {self._named(prefix)} FROM changed"
            f" WHERE {flag}) AS rows WHERE ({where}\n)"
            for prefix, flag in (("o", "had"), ("n", "has"))
        )
        try:
            self.connection.execute(f"DELETE FROM changed WHERE rowid NOT IN ({kept})")
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            raise explain_condition(error, [pair.name for pair in self.compared.all], where) from error

    def count_kinds(self) -> tuple[int, int, int]:
        """How many rows were inserted, deleted and updated."""
        kinds = ("had IS NULL", "has IS NULL", "had AND has")
        counts = ", ".join(f"count(*) FILTER ({kind})" for kind in kinds)
        inserted, deleted, updated = fetch_row(self.connection, f"SELECT {counts} FROM changed")
        return inserted, deleted, updated

    def count_cells(self) -> list[tuple[int, int, int, int | None]]:
        """Of each compared column that is no key, over the updated rows: what changed.

        Four numbers: the cells that differ, those that were null and are not, those that are null and were not, and
        the number of the row that moved furthest, None where nothing has a distance.
        """
        columns = range(self.compared.keys, len(self.compared.pairs))
        if not columns:
            return []
        differ = ", ".join(f"count_if(o{n} IS DISTINCT FROM n{n})" for n in columns)
        cells = dict(zip(columns, fetch_row(self.connection, f"SELECT {differ} {_UPDATED}"), strict=True))
        changed = [n for n in columns if cells[n]]
        # the time of DuckDB grows with the square of the filters in a query
        parts = (changed[start : start + _AT_ONCE] for start in range(0, len(changed), _AT_ONCE))
        details = dict(zip(changed, (each for part in parts for each in self._describe_cells(part)), strict=True))
        return [(cells[n], *details.get(n, (0, 0, None))) for n in columns]

    def _describe_cells(self, columns: list[int]) -> Iterator[tuple[int, int, int | None]]:
        asked = []
        for n in columns:
            pair = self.compared.pairs[n]
            old, new = pair.null(f"o{n}"), pair.null(f"n{n}")
            asked += [f"count_if({condition})" for condition in (f"{old} AND NOT {new}", f"NOT {old} AND {new}")]
            distance = f"abs(CAST({pair.bare(f'n{n}')} AS DOUBLE) - CAST({pair.bare(f'o{n}')} AS DOUBLE))"
            asked.append(f"arg_max(rowid, {distance}) FILTER (isfinite({distance}))" if pair.numeric else "NULL")
        found = fetch_row(self.connection, f"SELECT {', '.join(asked)} {_UPDATED}")
        yield from zip(found[::3], found[1::3], found[2::3], strict=True)

    def rows(self, *, limit: int | None = None, numbers: "list[int] | None" = None) -> "pa.RecordBatchReader":
        """The changed rows in the order of their keys, all or the first ones, or those of these numbers in their order.

        Their columns: `had`, `has`, `o0`, …, `n0`, …, and `differ`, a list of a truth value for each compared column.
        """
        differ = ", ".join(self.compared.differ("o", "n"))
        columns = ", ".join([*self.compared.names("o"), *self.compared.names("n")])
        some = f"WHERE rowid IN ({', '.join(map(str, numbers))})" if numbers else ""
        order = "rowid" if numbers else self._order
        first = f"LIMIT {limit:d}" if limit is not None else ""
        query = f"SELECT had, has, {columns}, [{differ}] AS differ FROM changed {some} ORDER BY {order} {first}"
        return self.connection.sql(query).to_arrow_reader(_BATCH)

    def select(self, columns: list[str]) -> "pa.RecordBatchReader":
        """SQL expressions over all rows of `changed`, in the order of their keys."""
        listed = ", ".join(f"{column} AS c{n}" for n, column in enumerate(columns))
        return self.connection.sql(f"SELECT {listed} FROM changed ORDER BY {self._order}").to_arrow_reader(_BATCH)

    @property
    def _order(self) -> str:
        pairs = zip(self.compared.names("o"), self.compared.names("n"), strict=True)
        return ", ".join([*(f"coalesce({new}, {old})" for old, new in pairs), "has NULLS FIRST"])

    def _named(self, prefix: str) -> str:
        return ", ".join(
            f"{pair.bare(f'{prefix}{n}')} AS {quote(pair.name)}" for n, pair in enumerate(self.compared.all)
        )

    def _prepare(self, sides: Sides) -> None:
        """Make the views `fo` and `fn` of the rows that may differ; all others are equal."""
        parts = {side: [self._moved(side)] for side in _SIDES}
        rest = compare_in_step(self.connection, sides, self.compared)
        if any(rest):
            counts = [file.rows for files in rest for file in files]
            rows = None if None in counts else sum(count or 0 for count in counts) // 2
            kept = rows is not None and 2 * rows * len(self.compared.all) <= _KEPT_CELLS
            for number, files in enumerate(rest):
                selected = sides.select(self.connection, 1 if number else 0, self.compared, files)
                kind = "TABLE" if kept else "VIEW"
                self.connection.execute(f"CREATE TEMP {kind} {_SIDES[number]} AS {selected}")
            if not find_suspects_in_buckets(self.connection, self.compared, rows=rows):
                find_suspects(self.connection, self.compared)
            for side in _SIDES:
                parts[side].append(f"SELECT * FROM s{side}")
        for side in _SIDES:
            self.connection.execute(f"CREATE TEMP VIEW f{side} AS {' UNION ALL '.join(parts[side])}")

    def _moved(self, side: str) -> str:
        return f"SELECT {', '.join(f'{side}{n} AS c{n}' for n in range(len(self.compared.all)))} FROM moved"

    def _compare(self) -> None:
        """Make `changed` of the rows that do differ."""
        compared = self.compared
        keys = ", ".join(compared.names("c", stop=compared.keys))
        repeated = (f"EXISTS (SELECT 1 FROM f{side} GROUP BY {keys} HAVING count(*) > 1)" for side in _SIDES)
        unique = compared.keys > 0 and fetch_row(self.connection, f"SELECT {' OR '.join(repeated)}") == (False,)
        read = range(len(compared.all))
        columns = ", ".join([*(f"o{n}" for n in read), *(f"n{n}" for n in read)])
        self.connection.execute(
            f"CREATE TEMP TABLE changed AS SELECT had, has, {columns}"
            f" FROM ({_joined(compared) if unique else _left_over(compared)})"
        )
        if compared.keys and not unique:
            keys = ", ".join(f"coalesce(n{n}, o{n})" for n in range(compared.keys))
            several = f"SELECT 1 FROM changed GROUP BY {keys} HAVING count(*) > 1 AND count(had) > 0 AND count(has) > 0"
            self.ambiguous = fetch_row(self.connection, f"SELECT EXISTS ({several})") == (True,)


def _joined(compared: Compared) -> str:
    """The rows that differ, each with its counterpart of the same key."""
    read = range(len(compared.all))
    columns = ", ".join([*(f"o.c{n} AS o{n}" for n in read), *(f"n.c{n} AS n{n}" for n in read)])
    differ = ["had IS NULL", "has IS NULL", *compared.differ("o.c", "n.c", compared.keys)]
    return (
        f"SELECT had, has, {columns} FROM (SELECT true AS had, * FROM fo) AS o"
        f" FULL OUTER JOIN (SELECT true AS has, * FROM fn) AS n ON {' AND '.join(compared.same_key('o.c', 'n.c'))}"
        f" WHERE {' OR '.join(differ)}"
    )


def _left_over(compared: Compared) -> str:
    """The rows that one side has more often than the other, paired by key where there is one."""
    read = range(len(compared.all))
    columns = ", ".join(f"c{n}" for n in read)
    carried = "".join(
        f", CASE WHEN sum(sign) < 0 THEN any_value(c{n}) FILTER (sign < 0) ELSE any_value(c{n}) FILTER (sign > 0) END"
        f" AS c{n}"
        for n in read[len(compared.pairs) :]
    )
    equal = ", ".join(compared.names("c"))
    signed = (
        f"SELECT {equal}{carried}, sum(sign) AS total"
        f" FROM (SELECT *, -1 AS sign FROM fo UNION ALL SELECT *, 1 FROM fn)"
        f" GROUP BY {equal} HAVING sum(sign) <> 0"
    )
    keys = ", ".join(compared.names("c", stop=compared.keys))
    turn = f"row_number() OVER (PARTITION BY {keys} ORDER BY {equal})" if keys else "NULL"
    once = f"SELECT {columns}, unnest(range(abs(total)::BIGINT)) FROM signed WHERE total"
    sides = [
        f"{name} AS (SELECT true AS {flag}, {columns}, {turn} AS turn FROM ({once} {sign} 0))"
        for name, flag, sign in (("lost", "had", "<"), ("found", "has", ">"))
    ]
    both = ", ".join([*(f"lost.c{n} AS o{n}" for n in read), *(f"found.c{n} AS n{n}" for n in read)])
    same = " AND ".join(["lost.turn = found.turn", *compared.same_key("lost.c", "found.c")])
    return (
        f"WITH signed AS ({signed}), {', '.join(sides)}"
        f" SELECT had, has, {both} FROM lost FULL OUTER JOIN found ON {same}"
    )
