"""Rows after those that a table has, and the check that its key stays one, as programs write them.

The files of the version before are left as they are; the new ones come last in the canonical order. A commit is made
and checked as `lin.data.commit` has it.
"""

from typing import TYPE_CHECKING

from lin.data.casts import conform
from lin.data.commit import Attribution, commit_rows, require_head, require_writable
from lin.data.log import Snapshot
from lin.data.schema import arrow_schema, quote
from lin.data.sql import open_engine, relation
from lin.data.tables import Table
from lin.data.write import write_files
from lin.errors import OutsideError, UsageError, nearest

if TYPE_CHECKING:
    import pyarrow as pa


def append_rows(table: Table, base: Snapshot, rows: "pa.Table", attribution: Attribution, *, now_ms: int) -> int:
    """Commit a version with these rows after those of `base`: the same columns, in any order.

    Raises:
        ConflictError: `base` is not the newest version any more; nothing was changed.
        UsageError: a column is missing or unknown, or its values do not fit.
        OutsideError: the table asks of its writers what lin does not do, or the file system failed.
    """
    require_writable(table, base)
    _require_plain(table, base)
    _require_columns(table, rows.column_names, base.metadata.columns)
    require_head(table, base)
    last = max((file.modified for file in base.files), default=0)
    schema = arrow_schema(base.metadata.schema)
    adds = write_files(table.root, conform(rows.to_reader(), schema), modified=max(now_ms, last + 1))
    return commit_rows(table, base, adds, base.metadata.schema, attribution, mode="append")


def require_key(table: Table, rows: "pa.Table", base: Snapshot | None = None) -> None:
    """Refuse rows that the table's key does not identify, among themselves and beside those of `base`.

    Reads the key columns of `base`, all of them.

    Raises:
        UsageError: a key column is missing, or without a value in some row, or two rows have the same key.
        OutsideError: a data file of `base` cannot be read.
    """
    for name in table.key:
        if name not in rows.column_names:
            raise UsageError(f"the new rows lack '{name}', which is in the key of table '{table.name}'")
        if empty := rows.column(name).null_count:
            raise UsageError(f"{empty} of the new rows have no value in '{name}', the key of table '{table.name}'")
    if not table.key:
        return
    columns = ", ".join(quote(name) for name in table.key)
    with open_engine(None, task="check of the key") as connection:
        connection.register("new_rows", rows.select(list(table.key)))
        parts = [f"SELECT {columns} FROM new_rows"]  # noqa: S608 - all is quoted
        if base is not None:
            parts.append(f"SELECT {columns} FROM ({relation(connection, table.root, base.files, base.metadata)})")  # noqa: S608
        repeated: pa.Table = connection.sql(
            f"SELECT {columns} FROM ({' UNION ALL '.join(parts)}) GROUP BY ALL HAVING count(*) > 1 LIMIT 1"  # noqa: S608
        ).to_arrow_table()
    if repeated.num_rows:
        value = ", ".join(f"{name} = {text!r}" for name, text in repeated.to_pylist()[0].items())
        raise UsageError(
            f"the key of table '{table.name}' would not be unique: two rows have {value}", hint="leave one of them out"
        )


def _require_plain(table: Table, base: Snapshot) -> None:
    if base.metadata.partition_columns:
        raise OutsideError(f"lin does not append to a partitioned table, and '{table.name}' is one")
    if base.metadata.mapping != "none":
        raise OutsideError(f"lin does not append to table '{table.name}': it uses column mapping")


def _require_columns(table: Table, given: list[str], known: list[str]) -> None:
    missing = [name for name in known if name not in given]
    if missing:
        raise UsageError(f"the new rows lack column '{missing[0]}' of table '{table.name}'")
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UsageError(
            f"table '{table.name}' has no column '{unknown[0]}'",
            hint=nearest(unknown[0], known, instead=f"its columns are: {', '.join(known)}"),
        )
