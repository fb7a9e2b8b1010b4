"""DuckDB over a table's files: the connection, a relation with a version's rows, and conditions on rows.

A relation is text, so that whoever asks decides what to join to it, and only the columns asked for are read.
Every name and value in it is quoted, and a file whose columns DuckDB would take for others is refused.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from lin.data.columns import Place, column_sql, locate_columns, physical_name, refuse_ambiguous, stored_fields
from lin.data.files import open_data_file
from lin.data.log import AddFile, Metadata
from lin.data.parquet import open_parquet, parquet_errors
from lin.data.schema import duckdb_type, parse_partition_value, quote, refuse_deep
from lin.data.vectors import read_deleted
from lin.errors import OutsideError, UsageError, nearest

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pyarrow as pa

_GLOB = re.compile(r"[\[*?]")
_BACKUP = "restore that file from a backup of the table"
_VIRTUAL = {"file_index", "file_row_number"}
_UNKNOWN_COLUMN = re.compile(r'Referenced column "(.*?)" ')


def connect(*, memory: str | None = None) -> "duckdb.DuckDBPyConnection":
    """A DuckDB in memory that is silent, loads no extension, sees no Python variables, and tells time in UTC.

    Args:
        memory: the most it may take before it spills to the system's folder for temporary files, as `400MB`.
    """
    import tempfile

    import duckdb

    spill = Path(tempfile.gettempdir()) / f"lin-duckdb-{uuid4().hex}"
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
        "temp_directory": str(spill),
        **({"memory_limit": memory} if memory else {}),
    }
    return _set_up(duckdb.connect(":memory:", config=config))


@contextmanager
def open_engine(memory: str | None, *, task: str) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection for a large `task`, as "diff", that spills to disk beyond `memory`, and says so in lin's errors.

    Raises:
        UsageError: `memory` is no amount. OutsideError: it is too small, or DuckDB failed.
    """
    import duckdb

    try:
        connection = connect(memory=memory)
    except duckdb.Error as error:
        raise UsageError(f"{memory!r} is not an amount of memory", hint="write it as 400MB or 2GB") from error
    with connection:
        try:
            yield connection
        except duckdb.OutOfMemoryException as error:
            raise OutsideError(f"the memory is too small for this {task}: {error}", hint="allow it more") from error
        except duckdb.Error as error:
            raise OutsideError(f"the {task} could not be made: {error}") from error


def connect_again(connection: "duckdb.DuckDBPyConnection") -> "duckdb.DuckDBPyConnection":
    """Another connection to the same tables, for another thread; temporary ones are not shared."""
    return _set_up(connection.cursor())


def _set_up(connection: "duckdb.DuckDBPyConnection") -> "duckdb.DuckDBPyConnection":
    connection.execute("set enable_progress_bar = false")
    connection.execute("set TimeZone = 'UTC'")
    # DuckDB would take extremes, counts and the truth of conditions from what the footers of files claim
    connection.execute("set disabled_optimizers = 'statistics_propagation'")
    # fetched ahead, whole column chunks go through fresh memory: half as much time again, and twice the room
    connection.execute("set disable_parquet_prefetching = true")
    return connection


def fetch_row(connection: "duckdb.DuckDBPyConnection", query: str) -> tuple[Any, ...]:
    """The one row of a query's result."""
    (row,) = connection.execute(query).fetchall()  # to its end, or the connection stays busy
    return row


def literal(text: str) -> str:
    """The text as SQL has it, whatever characters are in it."""
    return "'" + text.replace("'", "''") + "'"


def relation(
    connection: "duckdb.DuckDBPyConnection",
    root: Path,
    files: Sequence[AddFile],
    metadata: Metadata,
    *,
    positions: bool = False,
    only: "Mapping[int, np.ndarray[Any, Any]] | None" = None,
) -> str:
    """A SELECT of the rows of `files`, for this connection: the table's columns in their names, types and order.

    Columns that a file lacks are null, partition columns come from the log, deleted rows are left out. With
    `positions` there are two more, of type BIGINT: `_file`, the index in `files`, and `_position`, the row's number
    in that file, from 0. Making the text reads the files' footers and their deletion vectors, and nothing else.

    Args:
        connection: one of `connect`; positions of rows are kept in it, as temporary tables.
        root: the table's folder.
        files: the data files, in any order; that of the rows is not defined.
        metadata: the schema to read them by.
        positions: whether to tell where each row stands.
        only: for files by their index, the positions of the rows to read, instead of all that are not deleted.

    Raises:
        OutsideError: a file is missing, refused or damaged, or has columns of other types or ambiguous names, or a
            column is nested deeper than lin reads.
    """
    extra = ["_file", "_position"] if positions else []
    _refuse_reserved(metadata.columns, set(extra), f"the table in {root}", "lin")
    refuse_ambiguous(metadata.columns, f"the table in {root}")
    if not metadata.columns:
        raise OutsideError(f"the table in {root} has no columns")
    refuse_deep(metadata.schema)
    if not files:
        kinds = {field["name"]: duckdb_type(field["type"]) for field in metadata.schema["fields"]}
        empty = [f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in kinds.items()]
        return f"SELECT {', '.join([*empty, *(f'CAST(NULL AS BIGINT) AS {name}' for name in extra)])} WHERE false"
    groups = _group_files(root, files, metadata, only or {})
    return " UNION ALL ".join(group.select(connection, metadata, positions=positions) for group in groups)


def reading_failure(
    error: "duckdb.Error", what: str, root: Path, files: Iterable[AddFile], metadata: Metadata
) -> OutsideError:
    """The error for a query over the rows of `files` that failed: it names the data file that is damaged, if one is."""
    return find_damaged(what, root, files, metadata) or OutsideError(f"{what} cannot be read: {_first_line(error)}")


def find_damaged(what: str, root: Path, files: Iterable[AddFile], metadata: Metadata) -> OutsideError | None:
    """The error for the first of the files whose rows cannot be read, if there is one.

    DuckDB does not always tell which it is, so each file is read by itself until one fails.
    """
    import duckdb

    for file in files:
        try:
            with connect() as connection:
                rows = relation(connection, root, [file], metadata)
                connection.execute(f"SELECT bit_xor(hash(r)) FROM ({rows}) AS r").fetchall()  # noqa: S608 - all is quoted
        except duckdb.Error as found:
            return OutsideError(
                f"data file {file.path!r} of {what} cannot be read: {_first_line(found)}",
                hint=_BACKUP,
            )
    return None


def _first_line(error: "duckdb.Error") -> str:
    return str(error).split("\n", 1)[0]


class _Group(msgspec.Struct):
    """Files that one scan reads: their columns are alike, and either all or none of them leave rows out.

    `chosen`: rows are read (True) or left out (False) by their positions, or neither (None).
    """

    root: Path
    places: list[Place]
    schema: Any
    chosen: bool | None
    files: dict[int, AddFile] = {}
    rows: dict[int, Any] = {}

    def select(self, connection: "duckdb.DuckDBPyConnection", metadata: Metadata, *, positions: bool) -> str:
        places = dict(zip((field["name"] for field in stored_fields(metadata)), self.places, strict=True))
        if positions or metadata.partition_columns or self.chosen is not None:
            _refuse_reserved(self.schema.names, _VIRTUAL, f"a data file of the table in {self.root}", "DuckDB")
        selected = [
            f"{self._column(field, places, metadata.mapping)} AS {quote(field['name'])}"
            for field in metadata.schema["fields"]
        ]
        if positions:
            number = f"(CAST({list(self.files)} AS BIGINT[]))[CAST(file_index AS BIGINT) + 1]"
            selected += [f"{number} AS _file", "CAST(file_row_number AS BIGINT) AS _position"]
        paths = ", ".join(_path(self.root, file) for file in self.files.values())
        source = f"read_parquet([{paths}], hive_partitioning=false)"
        return f"SELECT {', '.join(selected)} FROM {source}{self._condition(connection)}"  # noqa: S608 - all is quoted

    def _column(self, field: dict[str, Any], places: dict[str, Place], mapping: str) -> str:
        name, kind = field["name"], field["type"]
        if name in places:
            return column_sql(kind, places[name])
        values = [_partition_sql(file, physical_name(field, mapping), kind) for file in self.files.values()]
        if len(set(values)) == 1:
            return values[0]
        return f"([{', '.join(values)}])[CAST(file_index AS BIGINT) + 1]"

    def _condition(self, connection: "duckdb.DuckDBPyConnection") -> str:
        """Which rows to read, by positions in a table that is made for it."""
        import numpy as np
        import pyarrow as pa

        if self.chosen is None:
            return ""
        given = [self.rows[number] for number in self.files]
        index = np.repeat(np.arange(len(given)), [len(rows) for rows in given])
        name = f"positions_{uuid4().hex}"
        connection.register("given", pa.table({"f": index, "p": np.concatenate(given)}))
        connection.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM given")  # noqa: S608 - a name of ours
        connection.unregister("given")
        which = "" if self.chosen else "NOT "
        return f" WHERE {which}EXISTS (FROM {name} AS d WHERE d.f = file_index AND d.p = file_row_number)"


def _group_files(
    root: Path, files: Sequence[AddFile], metadata: Metadata, only: "Mapping[int, np.ndarray[Any, Any]]"
) -> list[_Group]:
    groups: list[_Group] = []
    for number, file in enumerate(files):
        schema, count = read_footer(root, file)
        chosen, rows = _rows_of(root, file, count, only.get(number))
        # DuckDB reads the files of one scan by the types of the first
        group = next((g for g in groups if g.chosen == chosen and g.schema.equals(schema, check_metadata=True)), None)
        if group is None:
            group = _Group(root, locate_columns(file.path, schema, metadata), schema, chosen)
            groups.append(group)
        group.files[number] = file
        if rows is not None:
            group.rows[number] = rows
    return groups


def _rows_of(
    root: Path, file: AddFile, count: int, only: "np.ndarray[Any, Any] | None"
) -> "tuple[bool | None, np.ndarray[Any, Any] | None]":
    if only is not None:
        return True, only
    if file.vector is not None:
        return False, read_deleted(root, file.vector, of=file.path, within=count)
    return None, None


def filter_rows(rows: "pa.Table", where: str) -> "pa.Table":
    """The rows, in their order, for which the SQL expression `where` is true; null counts as not true.

    The expression reaches nothing but the rows: no file, no setting, no other statement. It may be slow or,
    with functions such as `random()`, not the same twice.

    Raises:
        UsageError: shows the expression and what is wrong with it, and names the nearest column.
    """
    import pyarrow as pa

    return rows.filter(pa.array(matching_positions(rows, where)))


def matching_positions(rows: "pa.Table", where: str) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """A mask over the rows: where the SQL expression is true. As `filter_rows`."""
    import duckdb
    import numpy as np

    refuse_ambiguous(rows.column_names, "the table")
    _refuse_reserved(rows.column_names, {"rowid"}, "the table", "DuckDB")
    if problem := condition_problem(where):
        raise _bad_condition(where, problem)
    # a line of its own for the bracket: the expression may end in a comment
    query = f"SELECT rowid FROM rows WHERE ({where}\n)"  # noqa: S608 - all it can reach is `rows`
    with connect() as connection:
        connection.register("given", rows)
        # a table of DuckDB's own numbers its rows as they came, out of the expression's sight
        connection.execute("CREATE TABLE rows AS SELECT * FROM given")
        connection.unregister("given")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            kept: pa.Table = connection.sql(query).to_arrow_table()
        except duckdb.Error as error:
            raise explain_condition(error, rows.column_names, where) from error
    mask = np.zeros(rows.num_rows, dtype=np.bool_)
    mask[kept.column(0).to_numpy()] = True
    return mask


def _refuse_reserved(names: Iterable[str], reserved: set[str], where: str, whose: str) -> None:
    if taken := sorted(name for name in names if name.casefold() in reserved):
        raise OutsideError(f"{where} has a column {taken[0]!r}, a name that {whose} keeps for itself")


def read_footer(root: Path, file: AddFile) -> "tuple[pa.Schema, int]":
    """The columns of a data file, and how many rows it has, the deleted ones too.

    Raises:
        OutsideError: names the file that is missing, refused, damaged, or not as large as the log says.
    """
    what = f"data file {file.path!r} of the table in {root}"
    try:
        with open_data_file(root, file.path) as stream:
            if (size := os.fstat(stream.fileno()).st_size) != file.bytes:
                raise altered_file(what, size, file.bytes)
            parquet = open_parquet(stream)
            return parquet.schema_arrow.remove_metadata(), parquet.metadata.num_rows
    except FileNotFoundError:
        raise OutsideError(f"{what} is missing") from None
    except parquet_errors() as error:
        raise OutsideError(f"{what} cannot be read: {error}", hint=_BACKUP) from error


def altered_file(what: str, size: int, told: int) -> OutsideError:
    """The error for a data file that is not as large as the log says: other engines fail on it as well."""
    return OutsideError(f"{what} was altered: it has {size} bytes, and the table's log says {told}", hint=_BACKUP)


def _path(root: Path, file: AddFile) -> str:
    path = str(root.absolute() / file.path)
    if _GLOB.search(path) and "\\" in path:
        raise OutsideError(f"DuckDB cannot be told of data file {file.path!r}: its path has wildcards and backslashes")
    return literal(_GLOB.sub(r"[\g<0>]", path))


def _partition_sql(file: AddFile, name: str, kind: Any) -> str:
    value = partition_value(file.path, file.partition, name, kind).as_py()
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return f"CAST({'NULL' if value is None else literal(text)} AS {duckdb_type(kind)})"


def partition_value(path: str, partition: dict[str, str | None], name: str, kind: Any) -> "pa.Scalar":
    """What a data file's rows have in partition column `name`. Raises `OutsideError` if the log is silent."""
    if name not in partition:
        raise OutsideError(f"data file {path!r} has no value for the partition column {name!r}")
    try:
        return parse_partition_value(partition[name], kind)
    except OutsideError as error:
        raise OutsideError(f"data file {path!r}: {error.message}", hint=error.hint) from error


def condition_problem(where: str) -> str | None:
    """Why this is not one expression that stays in the brackets put around it, if so."""
    import duckdb

    if not where.strip():
        return "it is empty"
    try:
        data = where.encode()
    except UnicodeEncodeError:
        return "it is not text in UTF-8"
    marks = [offset for offset, kind in duckdb.tokenize(where) if kind == duckdb.token_type.operator]
    depth = 0
    for mark in (data[offset : offset + 1] for offset in marks):
        depth += {b"(": 1, b")": -1}.get(mark, 0)
        if depth < 0 or mark == b";":
            return "it is not one expression"
    return "it is not one expression" if depth else None


def explain_condition(error: "duckdb.Error", columns: list[str], where: str) -> UsageError:
    """What DuckDB says of a condition on these columns, and the nearest column where it names none of them."""
    reason = _first_line(error)
    if unknown := _UNKNOWN_COLUMN.search(reason):
        known = f"the columns are: {', '.join(columns)}"
        hint = nearest(unknown[1], columns, instead=known)
        return _bad_condition(where, f"there is no column '{unknown[1]}'", hint)
    return _bad_condition(where, reason)


def _bad_condition(where: str, why: str, hint: str | None = None) -> UsageError:
    return UsageError(f"the condition {where!r} cannot be used: {why}", hint=hint)
