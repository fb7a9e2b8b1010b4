"""Which rows of two tables belong together: those of the same key, or those that are equal.

Null equals null in keys, NaN equals NaN, and 0.0 equals -0.0. Cells are compared by the bits of their floats, except
within nested values. No hash is believed: rows that have the same one are compared.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lin.data.sql import connect, fetch_row

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pyarrow as pa

    Places = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Matched:
    """Places in `base` and in `other` that belong together; those in `base` rise. `counts` are the rows of each."""

    base: "Places"
    other: "Places"
    counts: tuple[int, int]


def match_rows(base: "pa.Table", other: "pa.Table", key: Sequence[str]) -> Matched | None:
    """The rows that belong together: by `key`, or if it is empty, those that are equal.

    Without a key, rows are compared by the columns that both have. Where as many rows differ at their places and none
    of them is found at another, they were changed in place: then those of the same place belong together.

    None where the key is not unique in both or not in both, or where there is no key and no column in common.
    """
    with connect() as connection:
        if key:
            return _match_by_key(connection, base, other, key)
        kinds = [{field.name: field.type for field in rows.schema} for rows in (base, other)]
        names = [name for name, kind in kinds[0].items() if kinds[1].get(name) == kind]
        return _match_equal(connection, base.select(names), other.select(names)) if names else None


def count_cells(base: "pa.Table", other: "pa.Table", matched: Matched, names: Sequence[str]) -> dict[str, int]:
    """How many cells differ in each of these columns, which have the same type in both, over the matched rows."""
    with connect() as connection:
        columns = _side_by_side(base, other, matched, names)
        return {name: len(_differing(connection, old, new)) for name, old, new in columns}


def take(column: "pa.ChunkedArray", places: "Places") -> "pa.ChunkedArray":
    """The cells at these places, null where a place is negative."""
    import numpy as np
    import pyarrow as pa

    if np.array_equal(places, np.arange(len(column))):
        return column
    return column.take(pa.array(places, mask=places < 0))


def _match_by_key(
    connection: "duckdb.DuckDBPyConnection", base: "pa.Table", other: "pa.Table", key: Sequence[str]
) -> Matched | None:
    import pyarrow as pa

    if not {*key} <= {*base.column_names} & {*other.column_names}:
        return None
    try:
        sides = [_numbered([rows[name].cast(other.schema.field(name).type) for name in key]) for rows in (base, other)]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    names = [f"c{number}" for number in range(len(key))]
    nulls = any(side[name].null_count for side in sides for name in names)
    equals = "IS NOT DISTINCT FROM" if nulls else "="  # a join that finds nulls is slower by far
    for name, side in zip("bo", sides, strict=True):
        connection.register(name, side)
        repeated = f"SELECT EXISTS (SELECT 1 FROM {name} GROUP BY {', '.join(names)} HAVING count(*) > 1)"  # noqa: S608 - names of ours
        if fetch_row(connection, repeated) == (True,):
            return None
    same = " AND ".join(f"b.{name} {equals} o.{name}" for name in names)
    return _join(connection, same, (base.num_rows, other.num_rows))


def _match_equal(connection: "duckdb.DuckDBPyConnection", base: "pa.Table", other: "pa.Table") -> Matched:
    import numpy as np

    places = np.arange(base.num_rows)
    if base.num_rows == other.num_rows:
        in_step = Matched(places, places, (base.num_rows, other.num_rows))
        equal = _are_equal(connection, base, other, in_step)
        if equal.all() or not len(_match_contents(connection, base.filter(~equal), other.filter(~equal)).base):
            return in_step
    return _match_contents(connection, base, other)


def _match_contents(connection: "duckdb.DuckDBPyConnection", base: "pa.Table", other: "pa.Table") -> Matched:
    """Equal rows, each as often as both have it: found by a hash with a salt, and then compared."""
    salt = secrets.randbits(62)
    for name, rows in zip("bo", (base, other), strict=True):
        connection.register("given", _numbered([_bits(column) for column in rows.columns]))
        hashed = f"hash({', '.join([str(salt), *(f'c{number}' for number in range(rows.num_columns))])})"
        turn = "row_number() OVER (PARTITION BY h ORDER BY place)"
        connection.execute(
            f"CREATE OR REPLACE TABLE {name} AS SELECT place, h, {turn} AS turn"  # noqa: S608 - names of ours
            f" FROM (SELECT place, {hashed} AS h FROM given)"
        )
        connection.unregister("given")
    found = _join(connection, "b.h = o.h AND b.turn = o.turn", (base.num_rows, other.num_rows))
    equal = _are_equal(connection, base, other, found)
    return Matched(found.base[equal], found.other[equal], found.counts)


def _are_equal(
    connection: "duckdb.DuckDBPyConnection", base: "pa.Table", other: "pa.Table", matched: Matched
) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Of each two rows, whether they are equal in all columns."""
    import numpy as np

    equal = np.ones(len(matched.base), dtype=np.bool_)
    for _, old, new in _side_by_side(base, other, matched, base.column_names):
        equal[_differing(connection, old, new)] = False
    return equal


def _numbered(columns: "Sequence[pa.ChunkedArray]") -> "pa.Table":
    """The columns as `c0`, `c1`, …, and the `place` of each row."""
    import numpy as np
    import pyarrow as pa

    places = np.arange(len(columns[0]))
    return pa.table({"place": places, **{f"c{number}": column for number, column in enumerate(columns)}})


def _join(connection: "duckdb.DuckDBPyConnection", condition: str, counts: tuple[int, int]) -> Matched:
    query = f"SELECT b.place AS b, o.place AS o FROM b JOIN o ON {condition} ORDER BY b.place"  # noqa: S608 - names of ours
    found = connection.sql(query).to_arrow_table()
    return Matched(found["b"].to_numpy(), found["o"].to_numpy(), counts)


def _side_by_side(
    base: "pa.Table", other: "pa.Table", matched: Matched, names: Sequence[str]
) -> "Iterator[tuple[str, pa.ChunkedArray, pa.ChunkedArray]]":
    return ((name, take(base[name], matched.base), take(other[name], matched.other)) for name in names)


def _differing(connection: "duckdb.DuckDBPyConnection", old: "pa.ChunkedArray", new: "pa.ChunkedArray") -> "Places":
    """The places at which two columns of one type differ."""
    cells = _numbered([_bits(old), _bits(new)])
    connection.register("cells", cells)
    found = connection.sql("SELECT place FROM cells WHERE c0 IS DISTINCT FROM c1").to_arrow_table()
    connection.unregister("cells")
    places: Places = found["place"].to_numpy()
    return places


def _bits(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """A column of floats as the integers that have their bits; any other as it is."""
    import pyarrow as pa

    if not pa.types.is_floating(column.type):
        return column
    integer = pa.int64() if column.type == pa.float64() else pa.int32()
    return pa.chunked_array([chunk.view(integer) for chunk in column.chunks], integer)
