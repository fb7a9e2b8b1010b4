"""Rows that pass in batches: those of a file, those for which a condition is true, and those of a table in its order.

None of these holds all rows in memory, but for files that tell their columns' types only as a whole. A condition sees
one row at a time, so that it is true of the same rows however they are cut.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lin.data.casts import check_names
from lin.data.columns import refuse_ambiguous
from lin.data.files import open_regular
from lin.data.load import load_source
from lin.data.parquet import open_parquet, parquet_errors
from lin.data.read import BATCH
from lin.data.schema import quote
from lin.data.sql import condition_problem, connect, explain_condition, open_engine
from lin.errors import NotFoundError, OutsideError, UsageError

if TYPE_CHECKING:
    from io import BufferedReader

    import numpy as np
    import pyarrow as pa

SORTING_MEMORY = "1GB"
"""Beyond this much, sorting spills to disk."""

_BLOCK = 1 << 24
"""Bytes of a CSV file that are parsed at a time."""


# --- conditions -------------------------------------------------------------------------------------------------------


class Condition:
    """An SQL expression over rows that pass: it sees the columns of one row, and nothing else.

    To be used as `open_condition` gives it.
    """

    def __init__(self, connection: Any, where: str) -> None:
        self._connection = connection
        self._where = where
        self._name = f"rows_{uuid4().hex}"
        """No expression knows it: over the rows of one batch a subquery would not mean what it says."""

    def check(self, schema: "pa.Schema") -> None:
        """Refuse what is no condition on rows with these columns. Raises `UsageError`."""
        refuse_ambiguous(schema.names, "the rows")
        if problem := condition_problem(self._where):
            raise UsageError(f"the condition {self._where!r} cannot be used: {problem}")
        # after WHERE there can be no window and no aggregate
        self._ask(schema.empty_table(), f"SELECT 1 FROM {quote(self._name)} WHERE ({self._where}\n)")  # noqa: S608

    def holds(self, rows: "pa.RecordBatch") -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """A mask: for which of the rows it is true; null counts as not true."""
        import numpy as np

        asked = f"CASE WHEN ({self._where}\n) THEN true ELSE false END"
        answer = self._ask(rows, f"SELECT {asked} FROM {quote(self._name)}")  # noqa: S608 - it reaches these rows alone
        return np.asarray(np.logical_and.reduce([column.to_numpy() for column in answer.columns]), dtype=np.bool_)

    def _ask(self, rows: "pa.Table | pa.RecordBatch", query: str) -> "pa.Table":
        import duckdb

        self._connection.register(self._name, rows)
        try:
            return self._connection.sql(query).to_arrow_table()
        except duckdb.Error as error:
            raise explain_condition(error, rows.schema.names, self._where) from error
        finally:
            self._connection.unregister(self._name)


@contextmanager
def open_condition(where: str, schema: "pa.Schema") -> Iterator[Condition]:
    """A condition on rows with these columns. A subquery, an aggregate or a window is refused.

    Raises:
        UsageError: shows the expression and what is wrong with it, and names the nearest column.
    """
    with connect() as connection:
        connection.execute("SET threads = 1")  # rows leave in the order in which they came
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        condition = Condition(connection, where)
        condition.check(schema)
        yield condition


# --- order ------------------------------------------------------------------------------------------------------------


def sort_stream(
    batches: "Iterator[pa.RecordBatch]", schema: "pa.Schema", order: Sequence[str]
) -> "Iterator[pa.RecordBatch]":
    """The rows by the columns of `order`, ascending, nulls last, equal rows as they came; spills to disk."""
    import pyarrow as pa

    refuse_ambiguous(schema.names, "the rows")
    keys = [f"{quote(name)} ASC NULLS LAST" for name in order]
    with open_engine(SORTING_MEMORY, task="sorting") as connection:
        connection.register("batch", schema.empty_table())
        connection.execute("CREATE TABLE kept AS SELECT * FROM batch")
        for batch in batches:
            connection.unregister("batch")
            connection.register("batch", batch)
            connection.execute("INSERT INTO kept SELECT * FROM batch")
        query = f"SELECT * FROM kept ORDER BY {', '.join([*keys, 'rowid'])}"  # noqa: S608 - all is quoted
        for batch in connection.sql(query).to_arrow_reader(BATCH):
            yield from pa.Table.from_batches([batch]).cast(schema).to_batches()


# --- files ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """The rows of a file as they pass, and what the file is: its sha256 and size when it was opened.

    Where `text` is true the columns are the fields of a CSV file, as they stand there. `rows` is None if not known.
    """

    schema: "pa.Schema"
    batches: "Iterator[pa.RecordBatch]"
    sha256: str
    bytes: int
    rows: int | None
    text: bool = False


@contextmanager
def open_source(path: Path, *, as_text: bool) -> "Iterator[Source]":
    """Open a CSV, Parquet or JSON file to read its rows once, as they stand in it.

    With `as_text` the fields of a CSV file are handed out as texts, in batches; without, and of JSON, the whole file
    tells the types and is held in memory. A file that changes while it is read may give rows of both.

    Raises:
        NotFoundError: no such file. UsageError: what is wrong with it, at once or when the rows before were handed out.
        OutsideError: it cannot be read.
    """
    try:
        stream = open_regular(path.resolve())
    except FileNotFoundError:
        raise NotFoundError(f"there is no file '{path}'", hint="check its path") from None
    except OSError as error:
        raise OutsideError(f"{path} cannot be read: {error}") from error
    with stream:
        sha256, quotes = _hash(stream)
        size = stream.tell()
        stream.seek(0)
        ending = path.suffix.lower()
        if ending == ".parquet":
            yield _open_parquet(stream, path.name, sha256, size)
        elif ending == ".csv" and as_text and size and quotes % 2 == 0:
            yield _open_csv(stream, path.name, sha256, size)
        else:  # where quotes do not come in pairs, too: one that is not closed would make one field of many rows
            table = load_source(path)
            batches = iter(table.combine_chunks().to_batches(BATCH))
            yield Source(table.schema, batches, sha256, size, table.num_rows)


def _hash(stream: "BufferedReader") -> tuple[str, int]:
    """The sha256 of a file, and how many quotes are in it."""
    found, quotes = hashlib.sha256(), 0
    while block := stream.read(_BLOCK):
        found.update(block)
        quotes += block.count(b'"')
    return found.hexdigest(), quotes


def _open_parquet(stream: "BufferedReader", name: str, sha256: str, size: int) -> Source:
    import pyarrow as pa

    with _refusing(name, "Parquet"):
        file = open_parquet(stream)
        schema = file.schema_arrow.remove_metadata()
    check_names(schema.names)

    def batches() -> "Iterator[pa.RecordBatch]":
        with _refusing(name, "Parquet"):
            for batch in file.iter_batches(BATCH):
                batch.validate(full=True)
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)

    return Source(schema, batches(), sha256, size, file.metadata.num_rows)


def _open_csv(stream: "BufferedReader", name: str, sha256: str, size: int) -> Source:
    import pyarrow as pa
    from pyarrow import csv

    with _refusing(name, "CSV"):
        names = _header(stream)
        check_names(names)
        reader = csv.open_csv(
            stream,
            read_options=csv.ReadOptions(block_size=_BLOCK),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def batches() -> "Iterator[pa.RecordBatch]":
        with _refusing(name, "CSV"):
            for batch in reader:
                for at in range(0, batch.num_rows, BATCH):
                    yield batch.slice(at, BATCH)

    return Source(reader.schema, batches(), sha256, size, None, text=True)


def _header(stream: "BufferedReader") -> list[str]:
    """The names of the columns; the stream is at its begin again."""
    import io

    from pyarrow import csv

    line = stream.readline(_BLOCK)
    while line and (not line.strip() or line.count(b'"') % 2):
        line += stream.readline(_BLOCK)
    stream.seek(0)
    names: list[str] = csv.read_csv(io.BytesIO(line)).column_names
    return names


@contextmanager
def _refusing(name: str, kind: str) -> Iterator[None]:
    try:
        yield
    except parquet_errors() as error:
        raise UsageError(f"{name} cannot be read as {kind}: {error}") from error
