"""DuckDB over a table's files: the connection, a relation with a version's rows, and conditions on rows.

A relation is text, so that whoever asks decides what to join to it, and only the columns asked for are read.
Every name and value in it is quoted, and a file whose columns DuckDB would take for others is refused.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lin.data.log import AddFile, Metadata
from lin.data.pins import open_data_file
from lin.data.schema import arrow_schema, duckdb_type, fits, parse_partition_value, quote
from lin.errors import OutsideError, UsageError, nearest

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pyarrow as pa

_GLOB = re.compile(r"[\[*?]")
_VIRTUAL = {"file_index", "file_row_number"}
_UNKNOWN_COLUMN = re.compile(r'Referenced column "(.*?)" ')


def connect(*, memory: str | None = None) -> "duckdb.DuckDBPyConnection":
    """A DuckDB in memory that is silent, loads no extension, sees no Python variables, and tells time in UTC.

    Args:
        memory: the most it may take before it spills to the system's folder for temporary files, as `400MB`.
    """
    import tempfile
    from uuid import uuid4

    import duckdb

    spill = Path(tempfile.gettempdir()) / f"lin-duckdb-{uuid4().hex}"
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
        "temp_directory": str(spill),
        **({"memory_limit": memory} if memory else {}),
    }
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("set enable_progress_bar = false")
    connection.execute("set TimeZone = 'UTC'")
    return connection


def literal(text: str) -> str:
    """The text as SQL has it, whatever characters are in it."""
    return "'" + text.replace("'", "''") + "'"


def relation(root: Path, files: Sequence[AddFile], metadata: Metadata, *, positions: bool = False) -> str:
    """A SELECT of the rows of `files`, for a connection of `connect`: the table's columns in their types.

    Columns that a file lacks are null, partition columns come from the log. With `positions` there are two
    more, of type BIGINT: `_file`, the index in `files`, and `_position`, the row's number in that file, from
    0. Making the text reads the files' footers and nothing else.

    Raises:
        OutsideError: a file is missing, refused or damaged, or has columns of other types or ambiguous names.
    """
    columns = {field["name"]: field["type"] for field in metadata.schema["fields"]}
    _refuse_ambiguous([*columns, *(["_file", "_position"] if positions else [])], f"the table in {root}")
    if not files:
        extra = ["_file", "_position"] if positions else []
        empty = [_null(name, duckdb_type(kind)) for name, kind in columns.items()]
        return f"SELECT {', '.join([*empty, *(_null(name, 'BIGINT') for name in extra)])} WHERE false"
    partitions = set(metadata.partition_columns)
    wanted = stored_schema(arrow_schema(metadata.schema), partitions)
    found = [check_columns(file.path, _read_schema(root, file), wanted) for file in files]
    stored = {name for schema in found for name in schema.names}
    if positions or partitions:
        _refuse_reserved(stored, _VIRTUAL, f"the table in {root}")
    selected = [
        _partition_column(name, kind, files)
        if name in partitions
        else f"CAST({quote(name)} AS {duckdb_type(kind)}) AS {quote(name)}"
        if name in stored
        else _null(name, duckdb_type(kind))
        for name, kind in columns.items()
    ]
    if positions:
        selected += ["CAST(file_index AS BIGINT) AS _file", "file_row_number AS _position"]
    paths = ", ".join(_path(root, file) for file in files)
    alike = all(schema.equals(found[0]) for schema in found)
    source = f"read_parquet([{paths}], hive_partitioning=false, union_by_name={'false' if alike else 'true'})"
    return f"SELECT {', '.join(selected)} FROM {source}"  # noqa: S608 - every name and value is quoted


def stored_schema(schema: "pa.Schema", partition_columns: Collection[str]) -> "pa.Schema":
    """The columns of the table that lie in its data files: all but those whose values the log has."""
    import pyarrow as pa

    return pa.schema([field for field in schema if field.name not in partition_columns])


def check_columns(path: str, found: "pa.Schema", wanted: "pa.Schema") -> "pa.Schema":
    """Return a file's schema if each column of the table is in it at most once, with a type that fits.

    Raises:
        OutsideError: names the file and the column.
    """
    _refuse_ambiguous(found.names, f"data file {path!r}")
    folded = {name.casefold(): name for name in found.names}
    for field in wanted:
        name = folded.get(field.name.casefold(), field.name)
        if name != field.name:
            raise OutsideError(f"data file {path!r} has a column {name!r} where the table has {field.name!r}")
        if name in found.names and not fits(found.field(name).type, field.type):
            raise OutsideError(
                f"data file {path!r} has column {name!r} as {found.field(name).type}, "
                f"which is not the table's {field.type}"
            )
    return found


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

    _refuse_ambiguous(rows.column_names, "the table")
    _refuse_reserved(rows.column_names, {"rowid"}, "the table")
    if problem := _problem_with(where):
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
            raise _explain(error, rows.column_names, where) from error
    mask = np.zeros(rows.num_rows, dtype=np.bool_)
    mask[kept.column(0).to_numpy()] = True
    return mask


def _refuse_ambiguous(names: Sequence[str], where: str) -> None:
    """DuckDB takes names that differ only in case for one, without a word."""
    seen: dict[str, str] = {}
    for name in names:
        folded = name.casefold()
        if folded in seen:
            raise OutsideError(f"{where} has columns {seen[folded]!r} and {name!r}, which lin cannot tell apart")
        seen[folded] = name


def _refuse_reserved(names: Iterable[str], reserved: set[str], where: str) -> None:
    if taken := sorted(name for name in names if name.casefold() in reserved):
        raise OutsideError(f"{where} has a column {taken[0]!r}, a name that DuckDB keeps for itself")


def _read_schema(root: Path, file: AddFile) -> "pa.Schema":
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.vector:
        raise OutsideError(f"data file {file.path!r} has a deletion vector, which this lin does not read yet")
    try:
        with open_data_file(root, file.path) as stream:
            return pq.read_schema(stream)
    except FileNotFoundError:
        raise OutsideError(f"data file {file.path!r} of the table in {root} is missing") from None
    except (pa.ArrowException, OSError) as error:
        raise OutsideError(f"data file {file.path!r} of the table in {root} cannot be read: {error}") from error


def _path(root: Path, file: AddFile) -> str:
    path = str(root.absolute() / file.path)
    if _GLOB.search(path) and "\\" in path:
        raise OutsideError(f"DuckDB cannot be told of data file {file.path!r}: its path has wildcards and backslashes")
    return literal(_GLOB.sub(r"[\g<0>]", path))


def _partition_column(name: str, kind: Any, files: Sequence[AddFile]) -> str:
    values = [_typed(file, name, kind) for file in files]
    if len(set(values)) == 1:
        return f"{values[0]} AS {quote(name)}"
    return f"([{', '.join(values)}])[CAST(file_index AS BIGINT) + 1] AS {quote(name)}"


def _typed(file: AddFile, name: str, kind: Any) -> str:
    value = partition_value(file.path, file.partition, name, kind).as_py()
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return f"CAST({'NULL' if value is None else literal(text)} AS {duckdb_type(kind)})"


def partition_value(path: str, partition: dict[str, str | None], name: str, kind: Any) -> "pa.Scalar":
    """What a data file's rows have in partition column `name`. Raises `OutsideError` if the log is silent."""
    if name not in partition:
        raise OutsideError(f"data file {path!r} has no value for the partition column {name!r}")
    return parse_partition_value(partition[name], kind)


def _null(name: str, kind: str) -> str:
    return f"CAST(NULL AS {kind}) AS {quote(name)}"


def _problem_with(where: str) -> str | None:
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


def _explain(error: "duckdb.Error", columns: list[str], where: str) -> UsageError:
    reason = str(error).splitlines()[0]
    if unknown := _UNKNOWN_COLUMN.search(reason):
        known = f"the columns are: {', '.join(columns)}"
        hint = nearest(unknown[1], columns, instead=known)
        return _bad_condition(where, f"there is no column '{unknown[1]}'", hint)
    return _bad_condition(where, reason)


def _bad_condition(where: str, why: str, hint: str | None = None) -> UsageError:
    return UsageError(f"the condition {where!r} cannot be used: {why}", hint=hint)
