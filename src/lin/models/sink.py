"""A file that scored rows go to, batch by batch: CSV, Parquet or JSON lines, as its name says.

It is there when it is whole. Its bytes are hashed as they are written, so that a run can name the file without
reading it again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.cells import column_cells
from lin.data.parts import HashingFile
from lin.errors import OutsideError, UsageError
from lin.store.whole import whole_file

if TYPE_CHECKING:
    import pyarrow as pa


def check_output(path: Path) -> None:
    """Refuse a file of which the kind is not known, or whose folder is not there. Raises `UsageError`."""
    if path.suffix.lower() not in _WRITERS:
        raise UsageError(
            f"lin cannot tell what to write to '{path}'", hint=f"let its name end in one of {', '.join(_WRITERS)}"
        )
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file", hint="name a file in it")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder '{path.absolute().parent}' to write to", hint="make it first")


class Sink:
    """Takes batches of rows that have the same columns. `sha256` and `bytes` are of the file once it is whole."""

    def __init__(self, file: HashingFile, suffix: str) -> None:
        self._file = file
        self._open = _WRITERS[suffix]
        self._writer: Any = None
        self.sha256 = ""
        self.bytes = 0

    def write(self, batch: "pa.RecordBatch") -> None:
        """Write some rows, or none of them: their columns are told all the same."""
        if self._writer is None:
            self._writer = self._open(self._file, batch.schema)
        self._writer.write_batch(batch)

    def close(self) -> None:
        """Put the whole file on disk."""
        if self._writer is not None:
            self._writer.close()
        self._file.sync()
        self.sha256, self.bytes = self._file.sha256, self._file.tell()


@contextmanager
def open_sink(path: Path) -> Iterator[Sink]:
    """A file that is at `path`, in the place of what was there, when the block ends; if it fails, nothing is changed.

    Raises:
        UsageError: as `check_output`, or the rows have a column that the format cannot hold.
        OutsideError: the file could not be written.
    """
    import pyarrow as pa

    check_output(path)
    try:
        with whole_file(path) as stream:
            sink = Sink(HashingFile(stream), path.suffix.lower())
            yield sink
            sink.close()
    except pa.ArrowException as error:
        raise UsageError(f"the rows cannot be written to {path}: {error}", hint="write them as .parquet") from error
    except OSError as error:
        raise OutsideError(f"{path} could not be written: {error}") from error


def _open_parquet(file: HashingFile, schema: "pa.Schema") -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetWriter(file, schema)


def _open_csv(file: HashingFile, schema: "pa.Schema") -> Any:
    from pyarrow import csv

    return csv.CSVWriter(file, schema)


class _Lines:
    """One JSON object a line, its cells as `lin.data.cells` has them."""

    def __init__(self, file: HashingFile, schema: "pa.Schema") -> None:
        self._file = file
        self._names = schema.names

    def write_batch(self, batch: "pa.RecordBatch") -> None:
        import pyarrow as pa

        cells = [column_cells(pa.chunked_array([batch.column(name)]), name) for name in self._names]
        lines = (dict(zip(self._names, row, strict=True)) for row in zip(*cells, strict=True))
        self._file.write(msgspec.json.Encoder().encode_lines(lines))

    def close(self) -> None:
        """Nothing is kept back."""


_WRITERS: dict[str, "Callable[[HashingFile, pa.Schema], Any]"] = {
    ".csv": _open_csv,
    ".parquet": _open_parquet,
    ".jsonl": _Lines,
    ".ndjson": _Lines,
}
