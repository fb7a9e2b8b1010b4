"""What two runs wrote to tables, compared by content: the pinned files first, and the rows where these differ.

Files are told by what is in them, in their order: their names are random. Rows can be compared where both versions
are still readable, and not larger than `MOST_BYTES`; else it is said that they were not.
"""

from typing import TYPE_CHECKING

import msgspec

from lin.data.read import read_pin
from lin.data.tables import Table
from lin.errors import LinError, OutsideError
from lin.numbers import Real
from lin.project import Project
from lin.proof.verdict.answer import Difference
from lin.proof.verdict.rows import Rows, compare_rows
from lin.records import DataFile, Pin, TableRef, decode
from lin.runs.query import RunInfo

if TYPE_CHECKING:
    import pyarrow as pa

MOST_BYTES = 1 << 30
"""The rows of larger versions are not compared: both have to be in memory at once."""


class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """The tables that two runs wrote.

    `differences` are of content; `rows_same`: there may be other files, but no other row. `close`: every cell is within
    the tolerance. `notes` says what was found and what could not be looked at.
    """

    tables: int = 0
    differences: list[Difference] = []
    notes: list[str] = []
    rows_same: bool = True
    close: bool = True
    largest: Real | None = None


def compare_outputs(project: Project, a: RunInfo, b: RunInfo, *, tolerance: float | None = None) -> Outputs:
    """Compare the table versions that both runs wrote, by the names of the tables; a missing or extra one differs."""
    first, second = _written(a), _written(b)
    found = [
        _compare_versions(project, name, first.get(name, []), second.get(name, []), tolerance)
        for name in sorted(first.keys() | second.keys())
    ]
    return Outputs(
        tables=len(first.keys() & second.keys()),
        differences=[difference for table in found for difference in table.differences],
        notes=[note for table in found for note in table.notes],
        rows_same=all(table.rows_same for table in found),
        close=all(table.close for table in found),
        largest=max((table.largest for table in found if table.largest is not None), default=None),
    )


def _written(run: RunInfo) -> dict[str, list[TableRef]]:
    """The versions that the run wrote of each table, in their order."""
    written: dict[str, list[TableRef]] = {}
    for table in run.table_outputs:
        written.setdefault(table.table, []).append(table)
    return written


def _compare_versions(
    project: Project, name: str, first: list[TableRef], second: list[TableRef], tolerance: float | None
) -> Outputs:
    """The versions of one table: as many, and each against its like."""
    if len(first) != len(second):
        pins = (", ".join(table.pin for table in versions) or None for versions in (first, second))
        return _differs(name, *pins, notes=[])
    found = [_compare_version(project, x, y, tolerance) for x, y in zip(first, second, strict=True)]
    return next((each for each in found if not each.close), None) or next(
        (each for each in found if each.differences), Outputs()
    )


def _compare_version(project: Project, x: TableRef, y: TableRef, tolerance: float | None) -> Outputs:
    if x.pin == y.pin:
        return Outputs()
    try:
        pins = [_read_pin(project, table) for table in (x, y)]
        if _content(pins[0]) == _content(pins[1]):
            return Outputs()
        if _shuffled(pins[0]) == _shuffled(pins[1]):
            note = f"output {x.table}: the same files in another order, and so the same rows"
            return _differs(x.table, x.pin, y.pin, notes=[note], rows=Rows(rows=x.rows))
        tables = [_read_rows(project, table, pin) for table, pin in zip((x, y), pins, strict=True)]
    except LinError as error:
        note = f"output {x.table}: its files differ, and the rows cannot be compared: {error.message}"
        return _differs(x.table, x.pin, y.pin, notes=[note])
    rows, note = _compare_tables(tables[0], tables[1], x.table, tolerance)
    return _differs(x.table, x.pin, y.pin, notes=[note] if note else [], rows=rows)


def _differs(name: str, x: str | None, y: str | None, *, notes: list[str], rows: Rows | None = None) -> Outputs:
    """A table whose content differs, with what is known of its `rows`: without, they count as different."""
    return Outputs(
        differences=[Difference(what="output", name=name, first=x, second=y), *(rows.differences if rows else [])],
        notes=notes,
        rows_same=rows is not None and rows.same,
        close=rows is not None and rows.close,
        largest=rows.largest if rows else None,
    )


def _read_pin(project: Project, table: TableRef) -> Pin:
    return decode(project.store.blobs.read(table.pin), Pin, where=f"the pin of {table.table}@{table.version}")


def _content(pin: Pin) -> tuple[object, ...]:
    return pin.schema, pin.partition_columns, [_file_content(file) for file in pin.files]


def _shuffled(pin: Pin) -> tuple[object, ...]:
    return pin.schema, pin.partition_columns, sorted(map(repr, (_file_content(file) for file in pin.files)))


def _file_content(file: DataFile) -> tuple[object, ...]:
    vector = file.vector and (file.vector.rows, file.vector.bytes, file.vector.sha256)
    return file.sha256, file.bytes, sorted(file.partition.items()), vector


def _read_rows(project: Project, table: TableRef, pin: Pin) -> "pa.Table":
    if (size := sum(file.bytes for file in pin.files)) > MOST_BYTES:
        raise OutsideError(f"{table.table}@{table.version} has {size} bytes, and {MOST_BYTES} is the most")
    return read_pin(Table(table.table, project.store_root / table.location, order=tuple(table.order)), pin)


def _compare_tables(first: "pa.Table", second: "pa.Table", name: str, tolerance: float | None) -> tuple[Rows, str]:
    """Row by row; where that fails, once more without regard to their order."""
    what = f"rows of {name}"
    rows = compare_rows(first, second, what=what, tolerance=tolerance)
    if rows.same:
        return rows, f"output {name}: other files, but row by row the same"
    if rows.rows and (keys := _sortable(first)) and compare_rows(*_sorted([first, second], keys), what=what).same:
        return Rows(rows=rows.rows), f"output {name}: the same rows in another order"
    return rows, ""


def _sortable(table: "pa.Table") -> list[tuple[str, str]]:
    """What to sort by; nothing where not every column can be: rows that tie would stand as they came."""
    import pyarrow as pa

    kinds = [field.type for field in table.schema]
    if any(pa.types.is_nested(kind) or pa.types.is_null(kind) for kind in kinds):
        return []
    return [(name, "ascending") for name in table.column_names]


def _sorted(tables: "list[pa.Table]", keys: list[tuple[str, str]]) -> "list[pa.Table]":
    return [table.sort_by(keys) for table in tables]
