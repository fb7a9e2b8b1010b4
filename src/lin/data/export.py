"""All changed rows of a diff as a file: Parquet, CSV, JSON, or one HTML page that needs nothing else.

A table of changes has one line a row: `change`, the key, and for every other compared column `old.NAME` and `new.NAME`.
Rows go through in batches, and the file is there only when it is whole.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lin.data.changes import TableDiff, read_cells, row_change
from lin.data.compare import Comparison
from lin.data.page import render_page
from lin.errors import OutsideError, UsageError
from lin.records import encode_in_full
from lin.store.whole import whole_file

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS_ON_A_PAGE = 1_000

_KINDS = "CASE WHEN had AND has THEN 'updated' WHEN has THEN 'inserted' ELSE 'deleted' END"


def check_output(path: Path) -> None:
    """Refuse a file of which the kind is not known, or whose folder is not there. Raises `UsageError`."""
    if path.suffix.lower() not in _WRITERS:
        raise UsageError(
            f"lin cannot tell what to write to '{path}'", hint=f"let its name end in one of {', '.join(_WRITERS)}"
        )
    if not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder '{path.absolute().parent}' to write to", hint="make it first")


def write_changes(path: Path, diff: TableDiff, comparison: Comparison) -> None:
    """Write all changed rows of a comparison, in the form that the file's name tells; what was there is replaced.

    Raises:
        UsageError: as `check_output`. OutsideError: the file could not be written.
    """
    import pyarrow as pa

    check_output(path)
    try:
        with whole_file(path) as sink:
            _WRITERS[path.suffix.lower()](sink, diff, comparison)
    except (OSError, pa.ArrowException) as error:
        raise OutsideError(f"the changes could not be written to {path}: {error}") from error


def _write_parquet(sink: BinaryIO, _: TableDiff, comparison: Comparison) -> None:
    import pyarrow.parquet as pq

    batches = _flat_rows(comparison, as_text=False)
    with pq.ParquetWriter(sink, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _write_csv(sink: BinaryIO, _: TableDiff, comparison: Comparison) -> None:
    import pyarrow.csv as pc

    batches = _flat_rows(comparison, as_text=True)
    with pc.CSVWriter(sink, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _write_lines(sink: BinaryIO, _: TableDiff, comparison: Comparison) -> None:
    sink.writelines(row + b"\n" for row in _json_rows(comparison))


def _write_json(sink: BinaryIO, _: TableDiff, comparison: Comparison) -> None:
    before = b"[\n"
    for row in _json_rows(comparison):
        sink.write(before + row)
        before = b",\n"
    sink.write(b"[]\n" if before == b"[\n" else b"\n]\n")


def _write_page(sink: BinaryIO, diff: TableDiff, comparison: Comparison) -> None:
    rows = read_cells(comparison.rows(limit=MOST_ROWS_ON_A_PAGE), comparison.compared)
    page = render_page(diff, [row_change(row, comparison.compared) for row in rows])
    sink.write(page.encode())


_WRITERS: dict[str, Callable[[BinaryIO, TableDiff, Comparison], None]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".json": _write_json,
    ".jsonl": _write_lines,
    ".html": _write_page,
}


def _json_rows(comparison: Comparison) -> Iterator[bytes]:
    for row in read_cells(comparison.rows(), comparison.compared):
        yield encode_in_full(row_change(row, comparison.compared)).strip()


def _flat_rows(comparison: Comparison, *, as_text: bool) -> "pa.RecordBatchReader":
    """One line a row, under names that the file's readers can tell apart."""
    import pyarrow as pa

    compared = comparison.compared
    columns = [_KINDS]
    names = ["change"]
    for n, pair in enumerate(compared.pairs):
        old, new = (pair.output(f"{side}{n}", as_text=as_text) for side in "on")
        columns += [f"CASE WHEN has THEN {new} ELSE {old} END"] if n < compared.keys else [old, new]
        names += [pair.name] if n < compared.keys else [f"old.{pair.name}", f"new.{pair.name}"]
    batches = comparison.select(columns)
    schema = pa.schema([pa.field(name, kind) for name, kind in zip(_unlike(names), batches.schema.types, strict=True)])
    renamed = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in batches)
    return pa.RecordBatchReader.from_batches(schema, renamed)


def _unlike(names: list[str]) -> list[str]:
    """The names, each with underscores behind it if it is there already."""
    found: list[str] = []
    for name in names:
        unlike = name
        while unlike in found:
            unlike += "_"
        found.append(unlike)
    return found
