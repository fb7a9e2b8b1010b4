"""Which rows may differ, where nothing stands in its place and much may differ: found by joining hashes of all rows.

Each side is read once, down to its keys and hashes. Rows of equal hashes cancel out; the keys of what is left are
suspects, and only their rows are read whole. That every row outside has its equal is checked by counts and sums, so
that repeated rows do not hide in one another. The hash has a random salt: no file can be made to collide.
"""
# ruff: noqa: S608 - the queries are made of numbers of ours and of relations, which quote every foreign name

import secrets
from typing import TYPE_CHECKING

from lin.data.sides import Compared
from lin.data.sql import fetch_row

if TYPE_CHECKING:
    import duckdb

_FEW_ROWS = 50_000
_PART = 5
"""Suspects are few if they are no more than one row in so many, or than `_FEW_ROWS`."""


def find_suspects(connection: "duckdb.DuckDBPyConnection", compared: Compared) -> None:
    """Make `so` and `sn` of the rows of `o` and `n` that may differ: all others are equal, and as many on both sides.

    They are tables if the rows are few, else views, so that not all rows of a large table are kept.
    """
    _Search(connection, compared).run()


class _Search:
    """The tables `ho` and `hn` have a hash of each row of a side as `h`, with its key; `suspect` has suspected keys.

    Where there is no key, the hash is the key.
    """

    def __init__(self, connection: "duckdb.DuckDBPyConnection", compared: Compared) -> None:
        self.connection = connection
        self.columns = ", ".join(f"c{n}" for n in range(len(compared.all)))
        self.names = compared.names("c", stop=compared.keys)
        self.key = ", ".join(self.names) or "h"
        self.hash = f"hash({', '.join([str(secrets.randbits(62)), *compared.names('c')])})"
        self.equals = "="

    def run(self) -> None:
        for side in "on":
            columns = ", ".join([*self.names, f"{self.hash} AS h"])
            self.connection.execute(f"CREATE TEMP TABLE h{side} AS SELECT {columns} FROM {side}")
        self.connection.execute(f"CREATE TEMP TABLE suspect AS SELECT {self.key} FROM ho LIMIT 0")
        self._find()
        kind = "TABLE" if self._are_few() else "VIEW"
        for side in "on":
            self.connection.execute(f"CREATE TEMP {kind} s{side} AS {self._rows_of(side)}")

    def _find(self) -> None:
        """Suspect the keys of rows whose hash the other side lacks; where rows repeat, of those it has less often."""
        self._suspect(f"SELECT {self.key} FROM ho ANTI JOIN hn ON ho.h = hn.h")
        if self._rest_is_equal():
            return
        self._suspect(f"SELECT {self.key} FROM hn ANTI JOIN ho ON hn.h = ho.h")
        if not self._rest_is_equal():
            keys = ", ".join([*self.names, "h"])
            signed = f"SELECT {keys}, -1 AS sign FROM ho UNION ALL SELECT {keys}, 1 FROM hn"
            self._suspect(f"SELECT {self.key} FROM ({signed}) GROUP BY {keys} HAVING sum(sign) <> 0")

    def _suspect(self, keys: str) -> None:
        self.connection.execute(f"INSERT INTO suspect SELECT DISTINCT * FROM ({keys}) EXCEPT FROM suspect")
        # a join that finds nulls is slower by far, so it is taken only where a key has some
        nulls = " OR ".join(f"{name} IS NULL" for name in self.names or ["h"])
        (found,) = fetch_row(self.connection, f"SELECT EXISTS (FROM suspect WHERE {nulls})")
        self.equals = "IS NOT DISTINCT FROM" if found else "="

    def _rest_is_equal(self) -> bool:
        """Whether the rows that are not suspected are as many on both sides, with the same sum of their hashes."""
        totals = "count(*) AS rows, coalesce(sum(h::HUGEINT), 0) AS total"
        rests = []
        for side in "on":
            everything = f"(SELECT {totals} FROM h{side}) AS a"
            suspected = f"(SELECT {totals} FROM h{side} AS h {self._semi('h')}) AS s"
            rests.append(f"SELECT a.rows - s.rows, a.total - s.total FROM {everything}, {suspected}")
        old, new = (fetch_row(self.connection, rest) for rest in rests)
        return old == new

    def _are_few(self) -> bool:
        suspected, rows = (fetch_row(self.connection, f"SELECT count(*) FROM {name}")[0] for name in ("suspect", "ho"))
        return bool(suspected <= max(rows // _PART, _FEW_ROWS))

    def _rows_of(self, side: str) -> str:
        if self.names:
            return f"SELECT {self.columns} FROM {side} AS r {self._semi('r')}"
        return f"SELECT {self.columns} FROM {side} WHERE {self.hash} IN (FROM suspect)"

    def _semi(self, rows: str) -> str:
        same = (f"{rows}.{name} {self.equals} s.{name}" for name in self.names or ["h"])
        return f"SEMI JOIN suspect AS s ON {' AND '.join(same)}"
