"""A sample of a version's rows as arrays: the same rows each time, spread evenly, never more than asked for.

Numbers, times (seconds since 1970 UTC) and booleans are float64 arrays in which NaN is missing; texts and
booleans are codes of values, the most frequent first, in which -1 is missing. Rows stand in canonical order.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lin.data.log import Snapshot
from lin.data.schema import DeltaType, quote
from lin.data.sql import relation
from lin.data.tables import Table
from lin.errors import OutsideError

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pyarrow as pa

Kind = Literal["number", "time", "category", "other"]
"""Booleans and texts are categories; binary and nested types are other."""

_NUMBERS = {"byte", "short", "integer", "long", "float", "double"}
_TIMES = {"date", "timestamp", "timestamp_ntz"}
_LONGEST_TEXT = 100
_LARGEST_EXACT = 2**53
"""Beyond this, a float64 stands for several whole numbers."""

_GOLDEN = 2_654_435_769
"""2 ** 32 over the golden ratio: multiples of it fall evenly into 0 … 2 ** 32, whatever period the rows have (Knuth,
The Art of Computer Programming, 6.4)."""
_STEP = 1_640_531_527
"""Begins each file at another place."""


@dataclass(frozen=True)
class Codes:
    """The values of a column as codes into `names`, with how many rows have each; -1 is missing.

    Texts and booleans stand by falling count and then by name, whole numbers by their value.
    """

    codes: "np.ndarray[Any, np.dtype[np.int64]]"
    names: list[str]
    counts: list[int]


@dataclass(frozen=True)
class Sample:
    """The sampled rows, by column."""

    rows: int
    numbers: "dict[str, np.ndarray[Any, np.dtype[np.float64]]]"
    codes: dict[str, Codes]


def kind_of(delta_type: DeltaType) -> Kind:
    """The kind of a column of that type."""
    if not isinstance(delta_type, str) or delta_type == "binary":
        return "other"
    if delta_type in _TIMES:
        return "time"
    return "number" if delta_type in _NUMBERS or delta_type.startswith("decimal") else "category"


def read_sample(
    connection: "duckdb.DuckDBPyConnection",
    table: Table,
    snapshot: Snapshot,
    fields: list[dict[str, Any]],
    *,
    rows: int,
    most: int,
) -> Sample:
    """Read at most `most` of the version's `rows` rows: all, or those whose places are chosen by `_GOLDEN`.

    Texts longer than a hundred characters keep their beginning and a digest.

    Raises:
        OutsideError: a file is missing or damaged, or the table has columns named `_file` or `_position`.
    """
    wanted = [field for field in fields if kind_of(field["type"]) != "other"]
    columns = [f"{_value(field)} AS c{at}" for at, field in enumerate(wanted)]
    source = relation(connection, table.root, snapshot.files, snapshot.metadata, positions=True)
    chosen = f"WHERE (_position * {_GOLDEN} + _file * {_STEP}) % 4294967296 < {(most << 32) // max(1, rows)}"
    query = f"SELECT {', '.join(['_file', '_position', *columns])} FROM ({source}) {chosen if rows > most else ''}"  # noqa: S608 - all in it is quoted
    found = _in_order(run_query(connection, query, f"{table.name}@{snapshot.version}"), most)
    parts = {field["name"]: (field["type"], found.column(at + 2)) for at, field in enumerate(wanted)}
    return Sample(
        rows=found.num_rows,
        numbers={name: _numbers(part) for name, (kind, part) in parts.items() if kind != "string"},
        codes={name: _encode(part) for name, (kind, part) in parts.items() if kind in {"string", "boolean"}},
    )


def encode_whole(values: "np.ndarray[Any, np.dtype[np.float64]]", most: int) -> Codes | None:
    """Whole numbers as codes; None where there are none, more than `most` different ones, or too large ones."""
    import numpy as np

    known = np.isfinite(values)
    found, codes, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    if not 0 < len(found) <= most or np.abs(found).max() > _LARGEST_EXACT:
        return None
    places = np.full(len(values), -1, dtype=np.int64)
    places[known] = codes
    return Codes(places, [f"{value:.0f}" for value in found], [int(count) for count in counts])


def run_query(connection: "duckdb.DuckDBPyConnection", query: str, where: str) -> "pa.Table":
    """The result of a query; `where` is what it reads, for the message. Raises `OutsideError`."""
    import duckdb

    try:
        return connection.sql(query).to_arrow_table()
    except duckdb.Error as error:
        raise OutsideError(f"{where} cannot be read: {str(error).splitlines()[0]}") from error


def _value(field: dict[str, Any]) -> str:
    name = quote(field["name"])
    if field["type"] in _TIMES:
        return f"CASE WHEN isfinite({name}) THEN epoch({name}) END"
    if field["type"] == "string":
        short = f"left({name}, 80) || '… ' || left(md5({name}), 8)"
        return f"CASE WHEN length({name}) > {_LONGEST_TEXT} THEN {short} ELSE {name} END"
    return f"CAST({name} AS DOUBLE)"


def _in_order(found: "pa.Table", most: int) -> "pa.Table":
    """The rows in canonical order, and where there are more than `most`, evenly spaced ones of them."""
    import numpy as np

    order = np.lexsort((found.column("_position").to_numpy(), found.column("_file").to_numpy()))
    if len(order) > most:
        order = order[np.linspace(0, len(order) - 1, most).astype(np.int64)]
    return found.take(order)


def _numbers(column: "pa.ChunkedArray") -> "np.ndarray[Any, np.dtype[np.float64]]":
    import numpy as np

    numbers: np.ndarray[Any, np.dtype[np.float64]] = column.to_numpy().astype(np.float64)
    return numbers


def _encode(column: "pa.ChunkedArray") -> Codes:
    import numpy as np
    import pyarrow as pa

    if pa.types.is_floating(column.type):
        names = pa.array(["false", "true"])
        column = pa.chunked_array([names.take(column.cast(pa.int64()).combine_chunks())])
    coded = column.combine_chunks().dictionary_encode()
    names = [str(value) for value in coded.dictionary.to_pylist()]
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    order = sorted(range(len(names)), key=lambda at: (-int(counts[at]), names[at]))
    places = np.append(np.argsort(np.array(order, dtype=np.int64)), -1)
    return Codes(places[codes], [names[at] for at in order], [int(counts[at]) for at in order])
