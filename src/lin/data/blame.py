"""Who last wrote each cell of a table version: the version, and the time, user, run and model of its commit.

Values decide, not what a commit says of itself: a rewrite that leaves a cell as it was does not write it. NaN equals
NaN, 0.0 equals -0.0, and null equals null, as in a diff. A RESTORE leaves the credit with the version it brings back.
"""
# ruff: noqa: S608 - the queries are made of numbers of ours

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.cells import column_cells
from lin.data.chains import Chains
from lin.data.keys import parse_key, read_key
from lin.data.sql import open_engine
from lin.data.tables import Table
from lin.data.timeline import Timeline, is_exact, position_of, read_timeline, trace_column
from lin.errors import NotFoundError, UsageError, nearest

if TYPE_CHECKING:
    import duckdb


_FACTS = ("time", "operation", "user", "run", "model", "reason")
"""What a writer has of `VersionInfo`."""


class Writer(msgspec.Struct, frozen=True, kw_only=True):
    """A version that last wrote some of the cells, and what its commit says of itself; None is what it does not say.

    Where it is not `exact`, the cells were written in this version or before, and nobody is named.
    `rows` counts the rows of which it wrote the newest cell, `cells` and `columns` the cells.
    """

    version: int
    exact: bool
    time: datetime | None
    operation: str | None
    user: str | None
    run: str | None
    model: str | None
    reason: str | None
    rows: int
    cells: int
    columns: dict[str, int]


class CellBlame(msgspec.Struct, frozen=True, kw_only=True):
    """A cell, and the version that last wrote it; not `exact`: that version or one before."""

    value: Any
    version: int
    exact: bool


class RowBlame(msgspec.Struct, frozen=True, kw_only=True):
    """A row by its key, and the version that last wrote any of its blamed cells; not `exact`: or one before."""

    key: dict[str, Any]
    version: int
    exact: bool
    cells: dict[str, CellBlame]


class TableBlame(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote one version of a table. `writers` come newest first, `listed` rows in the order of their keys."""

    table: str
    version: int
    key: list[str]
    columns: list[str]
    through_restore: bool
    rows: int
    writers: list[Writer]
    listed: list[RowBlame]


def blame_version(
    table: Table,
    version: int | None = None,
    *,
    key: Mapping[str, object] | Sequence[str] | None = None,
    by: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    limit: int = 20,
    through_restore: bool = True,
    memory: str | None = None,
) -> TableBlame:
    """Find which version last wrote each cell of a version (default: the newest).

    A row of an older version is the same row if it has the same key. The cells of a column are written by the commit
    that added the column, or gave it a type that does not hold its old values, if nobody wrote them later. Only data
    files that went on the way back are read, and no more of them than it takes.

    Args:
        table: the table.
        version: the version to blame.
        key: one row only: a value for each column of the key, or texts as `454` or `ID=454`.
        by: the columns that identify a row, instead of the table's key.
        columns: the columns to blame; by default all but the key's. That of a key's column is who inserted the row.
        limit: the most rows to list. All are counted.
        through_restore: False takes a RESTORE for the writer of all that it changed.
        memory: the most that the engine may take before it spills to disk, as `400MB`.

    Raises:
        NotFoundError: no such version, or no row with that key. UsageError: no such column, a value that is not of its
            type, no key, or one that is found to be that of more than one row, in this version or on the way back.
        OutsideError: a data file is missing from this version or damaged, or a version needs a feature that lin lacks.
    """
    number = table.log.head() if version is None else version
    timeline = read_timeline(table.log, number, through_restore=through_restore)
    fields = {field["name"]: field for field in timeline.snapshot(timeline.head, []).metadata.schema["fields"]}
    keys = _choose_key(table, by, fields)
    chosen = _choose_columns(table, columns, keys, fields)
    with open_engine(memory, task="blame") as connection:
        values = None if key is None else _asked(connection, key, [fields[name] for name in keys])
        traced = {name: trace_column(timeline, fields[name]) for name in (*keys, *chosen)}
        chains = Chains(connection, table.log, timeline, [traced[k] for k in keys], [traced[c] for c in chosen])
        chains.read_head(values)
        if values is not None:
            _require_row(connection, table, number, keys, values)
        chains.settle()
        report = _Report(connection, timeline, keys, chosen)
        return TableBlame(
            table=table.name,
            version=number,
            key=keys,
            columns=chosen,
            through_restore=through_restore,
            rows=report.count_rows(),
            writers=report.list_writers(),
            listed=report.list_rows(limit if key is None else 1),
        )


# --- what is asked ----------------------------------------------------------------------------------------------------


def _choose_key(table: Table, by: Sequence[str] | None, fields: Mapping[str, Any]) -> list[str]:
    chosen = list(dict.fromkeys(table.key if by is None else by))
    if not chosen:
        raise UsageError(
            f"table '{table.name}' has no key, by which its rows can be followed",
            hint=f"name the columns that tell its rows apart: lin blame {table.name} --by COLUMN",
        )
    for name in chosen:
        _require_column(table, name, fields, "key column")
    return chosen


def _choose_columns(
    table: Table, columns: Sequence[str] | None, keys: list[str], fields: Mapping[str, Any]
) -> list[str]:
    for name in columns or ():
        _require_column(table, name, fields, "column")
    return list(dict.fromkeys(columns or [name for name in fields if name not in keys] or keys))


def _require_column(table: Table, name: str, fields: Mapping[str, Any], what: str) -> None:
    if name not in fields:
        instead = f"the columns are: {', '.join(fields)}"
        raise UsageError(
            f"table '{table.name}' has no {what} '{name}'", hint=nearest(name, list(fields), instead=instead)
        )


def _asked(
    connection: "duckdb.DuckDBPyConnection",
    key: Mapping[str, object] | Sequence[str],
    fields: list[dict[str, Any]],
) -> list[str | None]:
    given = key if isinstance(key, Mapping) else read_key(key, [field["name"] for field in fields])
    return parse_key(connection, given, fields)


def _require_row(
    connection: "duckdb.DuckDBPyConnection", table: Table, version: int, keys: list[str], values: list[str | None]
) -> None:
    if connection.execute("SELECT count(*) FROM head").fetchall() == [(0,)]:
        shown = ", ".join(
            f"{name} {'null' if value is None else value}" for name, value in zip(keys, values, strict=True)
        )
        raise NotFoundError(
            f"{table.name}@{version} has no row with {shown}", hint=f"lin show {table.name}@{version} --sample 20"
        )


# --- what was found ---------------------------------------------------------------------------------------------------


class _Report:
    """What the tables `head` and `settled` of `Chains` say, in the words of the table's log."""

    def __init__(
        self, connection: "duckdb.DuckDBPyConnection", timeline: Timeline, keys: list[str], columns: list[str]
    ) -> None:
        self.connection = connection
        self.timeline = timeline
        self.keys = keys
        self.columns = columns
        self._newest = f"greatest({', '.join(f'w{n}' for n in range(len(columns)))})"

    def count_rows(self) -> int:
        ((rows,),) = self.connection.execute("SELECT count(*) FROM settled").fetchall()
        return int(rows)

    def list_writers(self) -> list[Writer]:
        rows = self._count(self._newest)
        cells: dict[int, dict[str, int]] = defaultdict(dict)
        for n, name in enumerate(self.columns):
            for writer, count in self._count(f"w{n}").items():
                cells[writer][name] = count
        return [self._writer(writer, rows.get(writer, 0), cells[writer]) for writer in sorted(cells, reverse=True)]

    def list_rows(self, limit: int) -> list[RowBlame]:
        keys = [f"k{n}" for n in range(len(self.keys))]
        columns = [f"{kind}{n}" for kind in "cw" for n in range(len(self.columns))]
        order = ", ".join(f"{key} NULLS LAST" for key in keys)
        found = self.connection.sql(
            f"SELECT {', '.join([*keys, *columns])}, {self._newest} AS newest FROM head JOIN settled USING (i)"
            f" ORDER BY {order} LIMIT {int(limit)}"
        ).to_arrow_table()
        cells = {name: column_cells(found.column(name), name) for name in found.column_names}
        return [self._row({name: values[at] for name, values in cells.items()}) for at in range(found.num_rows)]

    def _count(self, writer: str) -> dict[int, int]:
        return dict(self.connection.execute(f"SELECT {writer}, count(*) FROM settled GROUP BY 1").fetchall())

    def _version(self, writer: int) -> int:
        return self.timeline.steps[position_of(writer)].version

    def _writer(self, writer: int, rows: int, columns: dict[str, int]) -> Writer:
        exact = is_exact(writer)
        info = self.timeline.steps[position_of(writer)].info if exact else None
        return Writer(
            version=self._version(writer),
            exact=exact,
            **{fact: getattr(info, fact, None) for fact in _FACTS},
            rows=rows,
            cells=sum(columns.values()),
            columns=columns,
        )

    def _row(self, row: dict[str, Any]) -> RowBlame:
        return RowBlame(
            key={name: row[f"k{n}"] for n, name in enumerate(self.keys)},
            version=self._version(row["newest"]),
            exact=is_exact(row["newest"]),
            cells={name: self._cell(row[f"c{n}"], row[f"w{n}"]) for n, name in enumerate(self.columns)},
        )

    def _cell(self, value: Any, writer: int) -> CellBlame:
        return CellBlame(value=value, version=self._version(writer), exact=is_exact(writer))
