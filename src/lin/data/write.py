"""New versions of a table, so that an acknowledged one stays: write, commit, sync, check, in this order.

A data file is whole and on disk before a commit names it, and is removed again if none does. Rows keep the
order they are given in: that is the canonical order of the new version.
"""

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from lin.data.casts import arrow_fields, cast_exactly, conform, delta_schema, delta_type, extend_schema
from lin.data.commit import (
    Attribution,
    acknowledge,
    commit_first,
    commit_rows,
    discard_unless_committed,
    has_versions,
    new_folder,
    require_head,
    require_location,
    require_writable,
    table_exists,
)
from lin.data.log import AddFile, Snapshot
from lin.data.parts import ROWS_PER_FILE, writing_parts
from lin.data.read import stream_file
from lin.data.schema import arrow_schema
from lin.data.tables import Table
from lin.errors import OutsideError, UsageError
from lin.records import DataFile, Pin

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from deltalake.transaction import AddAction


def create_table(root: Path, batches: "pa.RecordBatchReader", attribution: Attribution, *, now_ms: int) -> int:
    """Make a Delta table of the rows in the folder `root`; its version is 0, and it keeps its log for ever.

    Raises:
        ConflictError: there is a table already. UsageError: a column has a type that Delta lacks.
        OutsideError: the file system failed. After any of these, nothing that was written is left.
    """
    table = Table(root.name, root)
    require_location(root)
    schema = delta_schema(batches.schema)
    with new_folder(root):
        if has_versions(table.log):
            raise table_exists(root)
        adds = write_files(root, conform(batches, schema), modified=now_ms)
        with discard_unless_committed(table.log, 0, adds):
            commit_first(table.log, adds, schema, attribution)
    return acknowledge(table, 0, {(add.path, None) for add in adds}, attribution)


def replace_rows(
    table: Table, base: Snapshot, batches: "pa.RecordBatchReader", attribution: Attribution, *, now_ms: int
) -> int:
    """Commit a version with these rows instead of those of `base`: the same columns, or more.

    Raises:
        ConflictError: `base` is not the newest version any more; nothing was changed.
        UsageError: a column is missing, or its values do not fit.
        OutsideError: the table asks of its writers what lin does not do, or the file system failed.
    """
    require_writable(table, base)
    _require_plain(table, base)
    if base.metadata.partition_columns:
        raise OutsideError(f"lin does not replace the rows of a partitioned table, and '{table.name}' is one")
    wanted = extend_schema(table, base, [f for f in batches.schema if f.name not in base.metadata.columns])
    missing = [name for name in base.metadata.columns if name not in batches.schema.names]
    if missing:
        raise UsageError(f"the new rows lack column '{missing[0]}' of table '{table.name}'")
    require_head(table, base)
    adds = write_files(table.root, conform(batches, arrow_schema(wanted)), modified=now_ms)
    return commit_rows(table, base, adds, wanted, attribution)


def fill_column(
    table: Table,
    base: Snapshot,
    column: str,
    values: "pa.Array | pa.ChunkedArray",
    attribution: Attribution,
    *,
    now_ms: int,
) -> int:
    """Commit a version where the nulls of `column` are filled; all else, the order included, stays as it is.

    `column` is one of `base`, which keeps its type, or a new one, which gets the type of the values.
    The values are for the rows of `base` in the order of its files; a null leaves the row as it is.
    NaN in a column is a value, and stays.

    Raises:
        ConflictError: `base` is not the newest version any more; nothing was changed.
        UsageError: the values are not as many as the rows, do not fit the column exactly, or fill nothing.
        OutsideError: the table asks of its writers what lin does not do, or the file system failed.
    """
    return rewrite_column(table, base, _Filler(table, column, values), attribution, now_ms=now_ms).version


class ColumnChange(Protocol):
    """What to make of one column of a table. `field` tells its type, where the table does not have it yet."""

    @property
    def field(self) -> "pa.Field":
        """The column's name, and its type where it is a new one."""

    def change(self, batch: "pa.RecordBatch") -> "pa.Array":
        """The column for the next rows, which have all columns that the table has, in the type that it has there."""

    def finish(self) -> None:
        """Called after the last row, before the commit: what is raised here leaves the table as it was."""


class Written(NamedTuple):
    """A version that was written, and the sha256 of each of its data files by its path."""

    version: int
    digests: dict[str, str]


def rewrite_column(
    table: Table,
    base: Snapshot,
    column: ColumnChange,
    attribution: Attribution,
    *,
    now_ms: int,
    pin: Pin | None = None,
) -> Written:
    """Commit a version in which one column is what `column` makes of it, batch by batch; all else stays as it is.

    The rows come in the order of the files of `base`. With its `pin`, they are parsed from the bytes that it names.

    Raises:
        ConflictError: `base` is not the newest version any more; nothing was changed.
        OutsideError: the table asks of its writers what lin does not do, or the file system failed.
    """
    require_writable(table, base)
    _require_plain(table, base)
    field, partitioned = column.field, base.metadata.partition_columns
    if field.name in partitioned:
        raise OutsideError(f"'{field.name}' is a partition column of table '{table.name}', and lin does not fill these")
    wanted = extend_schema(table, base, [] if field.name in base.metadata.columns else [field])
    stored = arrow_fields([each for each in arrow_schema(wanted) if each.name not in partitioned])
    require_head(table, base)
    files: Sequence[AddFile | DataFile] = base.files if pin is None else pin.files
    with writing_parts(table.root, stored, now_ms) as parts:
        for partition, alike in groupby(files, key=lambda file: file.partition):
            rows = (rows for file in alike for rows in stream_file(table, base.metadata, file, version=base.version))
            parts.write((_with_column(batch, column, stored) for batch in rows), partition)
        column.finish()
    return Written(commit_rows(table, base, parts.adds, wanted, attribution), parts.digests)


def _with_column(batch: "pa.RecordBatch", column: ColumnChange, stored: "pa.Schema") -> "pa.RecordBatch":
    import pyarrow as pa

    name = column.field.name
    changed = column.change(batch)
    return pa.RecordBatch.from_arrays(
        [changed if each.name == name else batch.column(each.name) for each in stored], schema=stored
    )


def write_files(
    root: Path, batches: "pa.RecordBatchReader", *, modified: int, rows_per_file: int = ROWS_PER_FILE
) -> "list[AddAction]":
    """Write the rows as Parquet files in `root`, on disk when this returns. If it fails, none is left.

    Sorted by path, the files hold the rows in the order given. `modified` is in milliseconds since 1970 UTC.

    Raises:
        OutsideError: the file system failed, or Parquet has no such type.
    """
    with writing_parts(root, batches.schema, modified, rows_per_file) as parts:
        parts.write(batches, {})
    return parts.adds


def _require_plain(table: Table, base: Snapshot) -> None:
    """Refuse to write rows to a table whose files say more than rows in columns of its names."""
    uses = "column mapping" if base.metadata.mapping != "none" else None
    if any(file.vector for file in base.files):
        uses = "deletion vectors"
    if uses:
        raise OutsideError(f"lin does not write rows to table '{table.name}': it uses {uses}")


# --- filling ----------------------------------------------------------------------------------------------------------


class _Filler:
    """Hands out the values of a column in step with the rows that pass, and counts what it filled."""

    def __init__(self, table: Table, column: str, values: "pa.Array | pa.ChunkedArray") -> None:
        import pyarrow as pa

        kind = delta_type(values.type, column)
        self.table = table
        self.values = cast_exactly(pa.chunked_array(values) if isinstance(values, pa.Array) else values, kind, column)
        self.field = pa.field(column, kind)
        self.rows = 0
        self.filled = 0

    def change(self, batch: "pa.RecordBatch") -> "pa.Array":
        """The column, with the next values where it is null."""
        import pyarrow as pa
        import pyarrow.compute as pc

        given = _one_array(self.values.slice(self.rows, batch.num_rows))
        self.rows += batch.num_rows
        if len(given) < batch.num_rows:
            raise self._wrong_length("fewer")
        current = current_column(batch, self.field)
        wanted = pc.and_(pc.is_null(current), pc.is_valid(given))
        used = pc.if_else(wanted, given, pa.scalar(None, given.type))
        self.filled += len(used) - used.null_count
        return pc.coalesce(current, fit_column(used, current.type, self.field.name))

    def finish(self) -> None:
        """Raises `UsageError` where there are more values than rows, or nothing was filled."""
        if self.rows != len(self.values):
            raise self._wrong_length("more")
        if not self.filled:
            raise UsageError(
                f"there is nothing to fill: no value was given where column '{self.field.name}' "
                f"of table '{self.table.name}' is null"
            )

    def _wrong_length(self, which: str) -> UsageError:
        return UsageError(f"there are {which} values ({len(self.values)}) than table '{self.table.name}' has rows")


def current_column(batch: "pa.RecordBatch", field: "pa.Field") -> "pa.Array":
    """What a table has in a column now: nulls where the column is a new one."""
    import pyarrow as pa

    names = batch.schema.names
    return batch.column(field.name) if field.name in names else pa.nulls(batch.num_rows, field.type)


def fit_column(values: "pa.Array", kind: "pa.DataType", column: str) -> "pa.Array":
    """The values in the type of the column that they go to. Raises `UsageError` where one would change."""
    return cast_exactly(values, kind, column, hint=f"write them to another column, such as '{column}_predicted'")


def _one_array(values: "pa.ChunkedArray") -> Any:
    import pyarrow as pa

    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
