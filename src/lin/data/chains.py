"""Follows rows back through the lives of a table's files, to the commit that last wrote each of their cells.

A row of a file that came at a position has as its predecessor the row with the same key in a file that went there; if
there is none, it was inserted there. So rows form chains, and a cell was written where the newest link of its chain
begins that has no predecessor, or one with another value. Values are compared, not believed: a rewrite that changes
nothing writes nothing. Only files that a chain can lead into are read, each once, in batches that grow, until every
cell is settled.

A writer is a number, as `lin.data.timeline` makes it: of two, the larger is the later one.
"""
# ruff: noqa: S608 - the queries are made of numbers of ours and of relations, which quote every foreign name

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lin.data.log import AddFile, DeltaLog, require_readable
from lin.data.ranges import Range, is_ranged, may_hold, ranges_of, within
from lin.data.sql import relation
from lin.data.timeline import Column, Life, Timeline, counterpart, position_of
from lin.errors import UsageError

if TYPE_CHECKING:
    import duckdb

FIRST_BATCH = 32
"""So many files are read first; each next batch is `GROWTH` times as large."""
GROWTH = 8
BATCH_ROWS = 1_000_000
"""No batch goes on when so many older rows may be found."""


class Chains:
    """The rows of one version and their chains, in tables of a DuckDB.

    `head` has the rows: a number, the position where each row's file came, the key, the columns. `unsettled` has
    those with cells whose writer is not known yet: the number, how far back the chain is followed, and the writers.
    `settled` has the others.
    """

    def __init__(
        self,
        connection: "duckdb.DuckDBPyConnection",
        log: DeltaLog,
        timeline: Timeline,
        keys: Sequence[Column],
        columns: Sequence[Column],
    ) -> None:
        self.connection = connection
        self.log = log
        self.timeline = timeline
        self.keys = list(keys)
        # without its key no row of an older version is the same row
        begin = max(key.born for key in keys)
        self.columns = [msgspec.structs.replace(column, born=max(begin, column.born)) for column in columns]

    # --- the rows to blame --------------------------------------------------------------------------------------------

    def read_head(self, values: Sequence[str | None] | None) -> None:
        """Read the rows to blame into `head`: all, or those with these values of the key, as DuckDB writes them.

        Raises:
            UsageError: two of them have the same key. OutsideError: a file is missing, damaged or refused.
        """
        ranges = {} if values is None else ranges_of(self.keys, values)
        rows, condition = self._rows(self._select_lives(self.timeline.live, ranges), range(len(self.columns))), ""
        if values is not None:
            typed = [f"CAST(? AS {key.type}) AS k{n}" for n, key in enumerate(self.keys)]
            self.connection.execute(f"CREATE TEMP TABLE asked AS SELECT {', '.join(typed)}", list(values))
            condition = f" JOIN asked AS h ON {self._same_key()}{within('o.k', ranges)}"
        columns = ", ".join(["o.came", *self._key_names("o."), *self._names("o.c")])
        self.connection.execute(
            f"CREATE TEMP TABLE head AS SELECT row_number() OVER () AS i, {columns} FROM ({rows}) AS o{condition}"
        )
        keys = ", ".join(self._key_names())
        self._refuse_twice(f"SELECT {{}}, {self.timeline.head} FROM head GROUP BY {keys} HAVING count(*) > 1")
        unknown = ", ".join(f"CAST(NULL AS INTEGER) AS w{n}" for n in range(len(self.columns)))
        self.connection.execute(f"CREATE TEMP TABLE unsettled AS SELECT i, came, {unknown} FROM head")
        self.connection.execute("CREATE TEMP TABLE settled AS FROM unsettled WHERE false")

    # --- the way back -------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Find the writer of every cell of `head`: then `settled` has all rows.

        Raises:
            UsageError: a key was there twice in one of the versions on the way. OutsideError: a file of theirs is
                damaged or refused. Files that are gone are no error: writers are then not known exactly.
        """
        known_to, size = self.timeline.head, FIRST_BATCH
        while active := self._active():
            batch = self._choose(known_to, max(position_of(self.columns[n].born) for n in active), size)
            self._read_older(batch, active)
            self._link(batch, active)
            self._settle_to(batch, active)
            known_to, size = batch.end, size * GROWTH

    def _active(self) -> list[int]:
        """The columns of which some cell is not settled."""
        counts = [f"count(*) > count({name})" for name in self._names("w")]
        (found,) = self.connection.execute(f"SELECT {', '.join(counts)} FROM unsettled").fetchall()
        return [n for n, is_active in enumerate(found) if is_active]

    def _choose(self, start: int, end: int, size: int) -> "_Batch":
        """The next files to read: those that went between `start` and `end` where an unsettled chain can lead."""
        counted = self.connection.execute("SELECT came, count(*) FROM unsettled GROUP BY came").fetchall()
        reach, unsettled = {came for came, _ in counted}, sum(count for _, count in counted)
        batch, older = _Batch(end, [], set(), self._ranges()), 0
        for position in range(start, end, -1):
            if position not in reach:
                continue
            lives = self._select_lives(self.timeline.steps[position].removed, batch.ranges)
            if batch.lives and (len(batch.lives) + len(lives) > size or older > BATCH_ROWS):
                return msgspec.structs.replace(batch, end=position)
            there = [life for life in lives if _is_there(self.log.root, life.file)]
            if len(there) < len(lives):
                batch.gaps.add(position)
            batch.lives.extend(there)
            reach.update(life.added for life in there)
            older += sum(unsettled if life.file.rows is None else min(life.file.rows, unsettled) for life in there)
        return batch

    def _read_older(self, batch: "_Batch", active: list[int]) -> None:
        """Read the predecessors that unsettled rows may have into `older`."""
        columns = ", ".join(["h.i", "o.came", "o.gone", *(f"o.c{n}" for n in active)])
        wanted = f"FROM head SEMI JOIN (FROM unsettled WHERE came > {batch.end}) AS u USING (i)"
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE older AS SELECT {columns} FROM ({self._rows(batch.lives, active)}) AS o"
            f" JOIN ({wanted}) AS h ON {self._same_key()}{within('o.k', batch.ranges)}"
        )

    def _link(self, batch: "_Batch", active: list[int]) -> None:
        """Make `found`: for each row with predecessors, how far back its chain leads, and what that settles."""
        columns = ", ".join(["i", "came", "gone", *(f"c{n}" for n in active)])
        rows = (
            f"SELECT i, u.came, CAST(NULL AS BIGINT) AS gone{''.join(f', h.c{n}' for n in active)}"
            f" FROM unsettled AS u JOIN head AS h USING (i) WHERE i IN (SELECT i FROM older)"
            f" UNION ALL SELECT {columns} FROM older"
        )
        before = "".join(f", lead(c{n}) OVER newest_first AS d{n}" for n in active)
        order = "PARTITION BY i ORDER BY gone DESC NULLS FIRST"
        unbroken = f"bool_and(gone IS NULL OR gone = newer) OVER ({order} ROWS BETWEEN UNBOUNDED PRECEDING AND"
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE links AS SELECT *, {unbroken} CURRENT ROW) AS linked,"
            f" {unbroken} 1 PRECEDING) AS reached FROM (SELECT *, lag(came) OVER newest_first AS newer,"
            f" lead(gone) OVER newest_first AS before{before} FROM ({rows}) WINDOW newest_first AS ({order}))"
        )
        self._refuse_twice("SELECT {}, gone - 1 FROM links JOIN head USING (i) WHERE reached AND gone > newer")
        begins = f"WHEN before IS DISTINCT FROM came THEN {batch.writer('came')}"
        writers = [
            f"max(CASE {begins} WHEN d{n} IS DISTINCT FROM c{n} THEN 2 * came + 1 END)"
            f" FILTER (linked AND came > {batch.end}) AS w{n}"
            for n in active
        ]
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE found AS SELECT i, min(came) FILTER (linked) AS came, {', '.join(writers)}"
            " FROM links GROUP BY i"
        )

    def _settle_to(self, batch: "_Batch", active: list[int]) -> None:
        """Add what is found out about the commits after `batch.end`, and move the rows that are settled."""
        inserted = f"CASE WHEN f.i IS NULL AND u.came > {batch.end} THEN {batch.writer('u.came')} END"
        writers = []
        for n, column in enumerate(self.columns):
            born = column.born if position_of(column.born) >= batch.end else "NULL"
            found = f"coalesce(u.w{n}, f.w{n}, {inserted}, {born})" if n in active else f"u.w{n}"
            writers.append(f"{found} AS w{n}")
        self.connection.execute(
            "CREATE OR REPLACE TEMP TABLE walked AS"
            f" SELECT u.i, coalesce(f.came, u.came) AS came, {', '.join(writers)}"
            " FROM unsettled AS u LEFT JOIN found AS f USING (i)"
        )
        is_settled = " AND ".join(f"{name} IS NOT NULL" for name in self._names("w"))
        self.connection.execute(f"INSERT INTO settled FROM walked WHERE {is_settled}")
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE unsettled AS FROM walked WHERE NOT ({is_settled})")

    # --- reading files ------------------------------------------------------------------------------------------------

    def _rows(self, lives: Sequence[Life], active: Sequence[int]) -> str:
        """The rows of files, each read by the schema it was last read by: `came`, `gone`, `k0`…, and the `c`s asked."""
        wanted = dict(zip(self._key_names(), self.keys, strict=True))
        wanted |= {f"c{n}": self.columns[n] for n in active}
        groups: dict[tuple[int, int], tuple[int, list[Life]]] = {}
        for life in lives:
            position = self._last(life)
            step = self.timeline.steps[position]
            groups.setdefault((id(step.metadata), id(step.protocol)), (position, []))[1].append(life)
        if not groups:
            groups[0, 0] = (self.timeline.head, [])
        return " UNION ALL ".join(self._select(position, group, wanted) for position, group in groups.values())

    def _select(self, position: int, lives: list[Life], wanted: dict[str, Column]) -> str:
        snapshot = self.timeline.snapshot(position, [life.file for life in lives])
        require_readable(self.log, snapshot)
        older, newest = snapshot.metadata, self.timeline.snapshot(self.timeline.head, []).metadata
        found = {name: counterpart(older, newest, column.field) for name, column in wanted.items()}
        fields = {field["name"]: field for field in found.values() if field is not None}
        places = {name: f"p{place}" for place, name in enumerate(fields)}
        reduced = msgspec.structs.replace(
            older,
            schema={**older.schema, "fields": list(fields.values())},
            partition_columns=[name for name in older.partition_columns if name in fields],
        )
        selected = [
            f"CAST({places[field['name']] if field else 'NULL'} AS {wanted[name].type}) AS {name}"
            for name, field in found.items()
        ]
        came, gone = [life.added for life in lives], [life.removed or 0 for life in lives]
        numbers = [f"(CAST({came} AS BIGINT[]))[f + 1] AS came", f"(CAST({gone} AS BIGINT[]))[f + 1] AS gone"]
        source = relation(self.connection, self.log.root, snapshot.files, reduced, positions=True)
        names = ", ".join([*places.values(), "f", "r"])
        return f"SELECT {', '.join([*numbers, *selected])} FROM ({source}) AS t({names})"

    def _select_lives(self, lives: Sequence[Life], ranges: dict[int, Range]) -> list[Life]:
        """The files that may hold keys in the ranges."""
        newest = self.timeline.steps[-1].metadata
        found = []
        for life in lives:
            older = self.timeline.steps[self._last(life)].metadata
            if older is None or newest is None or may_hold(life.file, older, newest, self.keys, ranges):
                found.append(life)
        return found

    def _last(self, life: Life) -> int:
        """The last position that the file was there."""
        return self.timeline.head if life.removed is None else life.removed - 1

    # --- keys ---------------------------------------------------------------------------------------------------------

    def _ranges(self) -> dict[int, Range]:
        """Between which values the keys of all unsettled rows lie."""
        found: dict[int, Range] = {}
        for n, key in enumerate(self.keys):
            if is_ranged(key):
                query = f"SELECT min(k{n}), max(k{n}), count(*) > count(k{n}) FROM head SEMI JOIN unsettled USING (i)"
                ((low, high, has_null),) = self.connection.execute(query).fetchall()
                if low is not None and not has_null:
                    found[n] = (low, high)
        return found

    def _same_key(self) -> str:
        return " AND ".join(f"h.{name} IS NOT DISTINCT FROM o.{name}" for name in self._key_names())

    def _key_names(self, prefix: str = "") -> list[str]:
        return [f"{prefix}k{n}" for n in range(len(self.keys))]

    def _names(self, prefix: str) -> list[str]:
        return [f"{prefix}{n}" for n in range(len(self.columns))]

    def _refuse_twice(self, query: str) -> None:
        """Refuse what the query finds: keys, put in as text, and the position where each is there twice."""
        texts = [f"CAST({name} AS VARCHAR)" for name in self._key_names()]
        for *values, position in self.connection.execute(
            f"{query.format(', '.join(texts))} ORDER BY ALL LIMIT 1"
        ).fetchall():
            names = [key.field["name"] for key in self.keys]
            shown = ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))
            raise UsageError(
                f"{self.log.name}@{self.timeline.steps[position].version} has more than one row with {shown}: "
                "who wrote them cannot be told by that key",
                hint="name the columns that tell its rows apart: --by COLUMN",
            )


class _Batch(msgspec.Struct, frozen=True):
    """Files to read, which tell all about the commits after position `end`. At `gaps` some are gone."""

    end: int
    lives: list[Life]
    gaps: set[int]
    ranges: dict[int, Range]

    def writer(self, came: str) -> str:
        """The writer, as SQL, of the cells of a row that came there and has no predecessor."""
        if not self.gaps:
            return f"2 * {came} + 1"
        return f"2 * {came} + CASE WHEN {came} IN ({', '.join(map(str, self.gaps))}) THEN 0 ELSE 1 END"


def _is_there(root: Path, file: AddFile) -> bool:
    vector = file.vector.path if file.vector else None
    return all((root / path).is_file() for path in (file.path, vector) if path is not None)
