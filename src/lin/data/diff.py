"""The rows and cells that differ between two versions of a table: by key, or as a multiset without one.

Only files that the versions do not share are read. NaN equals NaN, 0.0 equals -0.0, and null equals null, in keys as
well; compared by bits, floats are equal if they are the same number to the last bit. Files that an OPTIMIZE replaced
are not read either: its commit is taken at its word, and the result says so.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lin.data.changes import ColumnChange, Movement, RowChange, TableDiff, column_changes, read_cells, row_change
from lin.data.compare import Comparison
from lin.data.log import require_readable
from lin.data.order import is_order_changed
from lin.data.sides import Compared, Pair, Sides, choose_columns, pair_columns, require_columns
from lin.data.sql import find_damaged, open_engine
from lin.data.tables import Table

if TYPE_CHECKING:
    import duckdb

__all__ = ["ColumnChange", "Movement", "RowChange", "TableDiff", "diff_versions"]


def diff_versions(
    table: Table,
    old: int,
    new: int,
    *,
    key: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    bitwise: bool = False,
    check_rewrites: bool = False,
    limit: int = 20,
    memory: str | None = None,
    output: Path | None = None,
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
        where: an SQL condition; only rows for which it is true in either version are told.
        bitwise: floats are equal if their bits are.
        check_rewrites: compare also what a commit says it only rewrote.
        limit: the most changed rows to list, in the order of their keys. All are counted.
        memory: the most that the engine may take before it spills to disk, as `400MB`.
        output: a file for all changed rows: `.parquet`, `.csv`, `.json`, `.jsonl` or `.html`.

    Raises:
        NotFoundError: no such version. UsageError: no such column, a condition that is none, or nothing to compare.
        OutsideError: a data file is missing or damaged, or a version needs a feature that lin lacks.
    """
    snapshots = table.log.snapshots([old, new])
    before, after = snapshots[old], snapshots[new]
    for snapshot in (before, after):
        require_readable(table.log, snapshot)
    chosen = list(table.key if key is None else key)
    pairs = pair_columns(before.metadata, after.metadata, bitwise=bitwise)
    sides = Sides(table, before, after, check_rewrites=check_rewrites)
    require_columns(chosen, columns, pairs, sides)
    compared = choose_columns(pairs, chosen, columns, carry=where is not None)
    diff = _describe(table.name, key=chosen or None, where=where, sides=sides, pairs=pairs)
    if output is not None:
        from lin.data.export import check_output

        check_output(output)
    with open_engine(memory, task="diff") as connection:
        if sides.gone or sides.come or output is not None:
            comparison = _compare(connection, sides, compared)
            if where is not None:
                comparison.keep_rows(where)
            diff = _count(diff, comparison, limit)
            if output is not None:
                from lin.data.export import write_changes

                write_changes(output, diff, comparison)
                diff = msgspec.structs.replace(diff, output=str(output))
        if not (columns or where or table.order or diff.inserted or diff.deleted or diff.updated):
            diff = msgspec.structs.replace(diff, order_changed=is_order_changed(connection, sides, compared))
    changed = (
        diff.inserted or diff.deleted or diff.updated,
        diff.added_columns or diff.dropped_columns or diff.renamed_columns or diff.retyped_columns,
    )
    return msgspec.structs.replace(diff, identical=not any(changed))


def _compare(connection: "duckdb.DuckDBPyConnection", sides: Sides, compared: Compared) -> Comparison:
    """Compare the sides; where that fails, name the file that cannot be read, if there is one."""
    import duckdb

    try:
        return Comparison(connection, sides, compared)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        for snapshot, files in zip(sides.snapshots, (sides.gone, sides.come), strict=True):
            what = f"{sides.table.name}@{snapshot.version}"
            if damaged := find_damaged(what, sides.table.root, files, snapshot.metadata):
                raise damaged from error
        raise


def _describe(name: str, *, key: list[str] | None, where: str | None, sides: Sides, pairs: list[Pair]) -> TableDiff:
    """What the versions' schemas tell."""
    before, after = sides.snapshots
    old, new = ({pair.names[side] for pair in pairs} for side in (0, 1))
    return TableDiff(
        table=name,
        old=before.version,
        new=after.version,
        key=key,
        where=where,
        added_columns=[column for column in after.metadata.columns if column not in new],
        dropped_columns=[column for column in before.metadata.columns if column not in old],
        renamed_columns={pair.names[0]: pair.name for pair in pairs if pair.names[0] != pair.name},
        retyped_columns=[pair.name for pair in pairs if pair.retyped],
        taken_at_their_word=sorted(sides.taken_at_their_word),
    )


def _count(diff: TableDiff, comparison: Comparison, limit: int) -> TableDiff:
    """Fill in what the rows tell."""
    compared = comparison.compared
    inserted, deleted, updated = comparison.count_kinds()
    counts = comparison.count_cells() if updated else []
    numbers = sorted({number for *_, number in counts if number is not None})
    furthest = (
        dict(zip(numbers, read_cells(comparison.rows(numbers=numbers), compared), strict=True)) if numbers else {}
    )
    columns, details = column_changes(counts, furthest, compared)
    return msgspec.structs.replace(
        diff,
        ambiguous=comparison.ambiguous,
        inserted=inserted,
        deleted=deleted,
        updated=updated,
        columns=columns,
        details=details,
        rows=[row_change(row, compared) for row in read_cells(comparison.rows(limit=limit), compared)] if limit else [],
    )
