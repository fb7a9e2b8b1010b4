"""One table version at a glance: its size, its columns with their extremes, and its first rows.

Everything is computed over the data files themselves, not from the log's statistics, and has a JSON form:
times in ISO 8601, decimals as text, bytes in hex, floats as `lin.numbers` writes them.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.cells import column_cells
from lin.data.log import AddFile, Snapshot, require_readable
from lin.data.read import check_order
from lin.data.schema import arrow_schema, quote, type_name
from lin.data.sql import connect, reading_failure, relation
from lin.data.tables import Table

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


class ColumnSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One column. `min` and `max` are text, and None for nested types and where every value is null."""

    name: str
    type: str
    nulls: int
    min: str | None
    max: str | None


class VersionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One version. `sample` holds its first rows in canonical order."""

    table: str
    version: int
    time: datetime | None
    operation: str | None
    run: str | None
    rows: int
    bytes: int
    files: int
    columns: list[ColumnSummary]
    sample: list[dict[str, Any]]


def summarise_version(table: Table, version: int | None = None, *, sample: int = 5) -> VersionSummary:
    """Summarise one version (default: the newest), with its first `sample` rows.

    Raises:
        NotFoundError: no such version. OutsideError: a file is missing, damaged or refused, or the version
            needs a feature that lin lacks. UsageError: the table's order names no column.
    """
    snapshot = table.log.snapshot(version)
    require_readable(table.log, snapshot)
    commit = table.log.commit(snapshot.version) if snapshot.version in table.log.versions() else None
    with connect() as connection:
        count, columns = _summarise_columns(connection, table, snapshot)
        rows = _first_rows(connection, table, snapshot, sample)
    return VersionSummary(
        table=table.name,
        version=snapshot.version,
        time=commit.time if commit else None,
        operation=commit.text("operation") if commit else None,
        run=commit.text("lin.run") if commit else None,
        rows=count,
        bytes=sum(file.bytes for file in snapshot.files),
        files=len(snapshot.files),
        columns=columns,
        sample=rows,
    )


def _summarise_columns(
    connection: "duckdb.DuckDBPyConnection", table: Table, snapshot: Snapshot
) -> tuple[int, list[ColumnSummary]]:
    """The number of rows, and the summary of each column, in one pass over the files."""
    fields = snapshot.metadata.schema["fields"]
    asked = ["count(*)"]
    for field in fields:
        name = quote(field["name"])
        extremes = [f"min({name})", f"max({name})"] if isinstance(field["type"], str) else ["NULL", "NULL"]
        asked += [f"count({name})", *extremes]
    source = relation(connection, table.root, snapshot.files, snapshot.metadata)
    query = f"SELECT {', '.join(asked)} FROM ({source})"  # noqa: S608 - every name and value is quoted
    found = _run(connection, query, table, snapshot)
    names = ["", *(field["name"] for field in fields for _ in range(3))]
    rows, *facts = [column_cells(column, name)[0] for column, name in zip(found.columns, names, strict=True)]
    columns = [
        ColumnSummary(
            name=field["name"],
            type=type_name(field["type"]),
            nulls=rows - known,
            min=_text(smallest),
            max=_text(largest),
        )
        for field, known, smallest, largest in zip(fields, facts[::3], facts[1::3], facts[2::3], strict=True)
    ]
    return rows, columns


def _first_rows(
    connection: "duckdb.DuckDBPyConnection", table: Table, snapshot: Snapshot, number: int
) -> list[dict[str, Any]]:
    order = check_order(arrow_schema(snapshot.metadata.schema), table.order)
    files = snapshot.files if order else _first_files(snapshot.files, number)
    source = relation(connection, table.root, files, snapshot.metadata, positions=True)
    by = ", ".join([*(f"{quote(name)} NULLS LAST" for name in order), "_file", "_position"])
    columns = ", ".join(quote(name) for name in snapshot.metadata.columns)
    query = f"SELECT {columns} FROM ({source}) ORDER BY {by} LIMIT {number:d}"  # noqa: S608 - every name is quoted
    found = _run(connection, query, table, snapshot)
    values = map(column_cells, found.columns, snapshot.metadata.columns)
    return [dict(zip(snapshot.metadata.columns, row, strict=True)) for row in zip(*values, strict=True)]


def _first_files(files: list[AddFile], number: int) -> list[AddFile]:
    """The files that the first rows are in."""
    known = 0
    for count, file in enumerate(files, 1):
        known += file.rows or 0
        if known >= number:
            return files[:count]
    return files


def _run(connection: "duckdb.DuckDBPyConnection", query: str, table: Table, snapshot: Snapshot) -> "pa.Table":
    import duckdb

    try:
        return connection.sql(query).to_arrow_table()
    except duckdb.Error as error:
        what = f"{table.name}@{snapshot.version}"
        raise reading_failure(error, what, table.root, snapshot.files, snapshot.metadata) from error


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)
