"""Data files: ordered, streamed, on disk when the writing ends, or gone if it fails.

Their names and times are such that the canonical order of files is the order in which the rows were given.
"""

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

import msgspec

from lin.errors import OutsideError
from lin.store.whole import fsync_path

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from deltalake.transaction import AddAction

ROWS_PER_FILE = 1 << 20
LONGEST_STATISTIC = 32
"""Longer texts are left out of a file's minimum and maximum."""

_LARGEST_DICTIONARY = 1 << 16
"""In bytes. Arrow tries a dictionary on each column, and of numbers that hardly repeat a large one takes most time."""

_FIVE_DIGITS = 100_000


@contextmanager
def writing_parts(
    root: Path, schema: "pa.Schema", modified: int, rows_per_file: int = ROWS_PER_FILE
) -> "Iterator[Parts]":
    """Data files that are on disk at the end of the block, name and all, or gone if it fails."""
    with ExitStack() as undo:
        parts = Parts(root, schema, modified, rows_per_file)
        undo.callback(parts.remove)
        yield parts
        try:
            fsync_path(root)
        except OSError as error:
            raise OutsideError(f"the rows could not be written to {root}: {error}") from error
        undo.pop_all()


class HashingFile(io.RawIOBase):
    """A file that is written from its begin to its end, and the sha256 of what went into it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """In hex, of all that was written so far."""
        return self._hash.hexdigest()

    def writable(self) -> bool:
        """It is written only."""
        return True

    def write(self, data: Any) -> int:
        """Write and hash the bytes."""
        self._hash.update(data)
        return self._stream.write(data)

    def tell(self) -> int:
        """How many bytes were written."""
        return self._stream.tell()

    def sync(self) -> None:
        """Put what was written on disk. Raises `OSError`."""
        self._stream.flush()
        os.fsync(self._stream.fileno())


class Parts:
    """The data files of one write, numbered in the order of their rows.

    `digests` has the sha256 of each by its path: of the bytes as they were written.
    """

    def __init__(self, root: Path, schema: "pa.Schema", modified: int, rows_per_file: int) -> None:
        self.root = root
        self.schema = schema
        self.modified = modified
        self.rows_per_file = rows_per_file
        self.adds: list[AddAction] = []
        self.digests: dict[str, str] = {}
        self._paths: list[Path] = []
        self._write_id = uuid4()

    def remove(self) -> None:
        """Remove what was written, whole or not."""
        for path in self._paths:
            path.unlink(missing_ok=True)

    def write(self, batches: "Iterable[pa.RecordBatch]", partition: Mapping[str, str | None]) -> None:
        """Write the rows to files of their own, which belong to this partition."""
        import pyarrow as pa

        try:
            for chunk in _chunks(batches, self.rows_per_file):
                self._write_file(chunk, partition)
        except (pa.ArrowException, OSError) as error:
            raise OutsideError(f"the rows could not be written to {self.root}: {error}") from error

    def _write_file(self, batches: "Iterable[pa.RecordBatch]", partition: Mapping[str, str | None]) -> None:
        from deltalake.transaction import AddAction

        number = len(self.adds)
        name = f"part-{number:05d}-{self._write_id}-c000.snappy.parquet"
        path = self.root / name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o644), "wb") as stream:
            self._paths.append(path)
            file = HashingFile(stream)
            stats = _write_parquet(file, self.schema, batches)
            file.sync()
            size = file.tell()
        self.digests[name] = file.sha256
        # files are ordered by time and then by path, and as text 100000 comes before 99999
        modified = self.modified + number // _FIVE_DIGITS
        self.adds.append(AddAction(name, size, dict(partition), modified, True, stats))


def _chunks(batches: "Iterable[pa.RecordBatch]", rows: int) -> "Iterator[Iterator[pa.RecordBatch]]":
    """Cut the rows into streams of `rows` each; one must be read to its end before the next is taken."""
    waiting = (batch for batch in batches if batch.num_rows)
    rest = next(waiting, None)

    def chunk() -> "Iterator[pa.RecordBatch]":
        nonlocal rest
        room = rows
        while rest is not None and room:
            yield rest.slice(0, room)
            taken = min(room, rest.num_rows)
            room -= taken
            rest = rest.slice(taken) if taken < rest.num_rows else next(waiting, None)

    while rest is not None:
        yield chunk()


def _write_parquet(stream: HashingFile, schema: "pa.Schema", batches: "Iterable[pa.RecordBatch]") -> str:
    """Write one file; returns its statistics as the log has them. A batch is written while the next is made."""
    from concurrent.futures import Future, ThreadPoolExecutor

    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    floats = [field.name for field in schema if str(field.type) in {"float", "double"}]
    unbounded: set[str] = set()
    collected: list[Any] = []

    def write(batch: "pa.RecordBatch") -> None:
        writer.write_batch(batch)
        finite = {name: pc.all(pc.is_finite(batch.column(name))).as_py() for name in floats}
        unbounded.update(name for name, all_finite in finite.items() if all_finite is False)

    with (
        pq.ParquetWriter(
            stream,
            schema,
            compression="snappy",
            metadata_collector=collected,
            dictionary_pagesize_limit=_LARGEST_DICTIONARY,
        ) as writer,
        ThreadPoolExecutor(1) as thread,
    ):
        written: Future[None] | None = None
        for batch in batches:
            if written is not None:
                written.result()
            written = thread.submit(write, batch)
        if written is not None:
            written.result()
    return _statistics(collected[0], schema, unbounded)


def _statistics(metadata: "pq.FileMetaData", schema: "pa.Schema", unbounded: set[str]) -> str:
    """A file's statistics: nulls of flat columns, and bounds of integers, finite floats and short texts."""
    nulls: dict[str, int] = {}
    least: dict[str, Any] = {}
    greatest: dict[str, Any] = {}
    flat = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
    for field in schema:
        if field.name not in flat or field.type.num_fields or "." in field.name:
            continue  # a dot may stand for a part of another column
        groups = [metadata.row_group(i).column(flat[field.name]).statistics for i in range(metadata.num_row_groups)]
        if any(group is None or not group.has_null_count for group in groups):
            continue
        nulls[field.name] = sum(group.null_count for group in groups)
        bounded = [group for group in groups if group.has_min_max]
        holding = [group for group in groups if group.num_values]
        if holding and len(bounded) == len(holding) and _has_bounds(field, bounded) and field.name not in unbounded:
            least[field.name] = min(group.min for group in bounded)
            greatest[field.name] = max(group.max for group in bounded)
    stats = {"numRecords": metadata.num_rows, "minValues": least, "maxValues": greatest, "nullCount": nulls}
    return msgspec.json.encode(stats).decode()


def _has_bounds(field: "pa.Field", groups: "list[Any]") -> bool:
    import pyarrow as pa

    if pa.types.is_string(field.type):
        return all(len(text) <= LONGEST_STATISTIC for group in groups for text in (group.min, group.max))
    return bool(pa.types.is_integer(field.type) or pa.types.is_floating(field.type))
