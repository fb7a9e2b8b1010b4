"""What all rows of a version say of each column: counts, extremes, mean and deviation.

DuckDB reads each column once and keeps nothing but the aggregates, so that memory does not grow with the table.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.log import Snapshot
from lin.data.sample import kind_of, run_query
from lin.data.schema import quote
from lin.data.sql import relation
from lin.data.tables import Table

if TYPE_CHECKING:
    import duckdb

_LARGEST = 1e150
"""The square of anything larger overflows: where there is such a value, there is no mean and no deviation."""
_AT_ONCE = 25
"""DuckDB's time grows with the square of the aggregates that one query asks for."""
_WHOLE = {"byte", "short", "integer", "long"}
_FLOATS = {"float", "double"}


class Facts(msgspec.Struct, frozen=True):
    """One column of all rows, in the order in which `_aggregates` asks; None is what does not apply to its type.

    `distinct` is exact or an estimate within a few per cent, as was asked. `min` and `max` are a number, or the
    text of a decimal or a time (ISO 8601); these and what follows leave out what is not finite. `mean` and
    `std` have ten digits: threads add in no fixed order, and more would not be twice the same.
    """

    known: int
    nans: int
    infinities: int
    distinct: int | None
    min: int | float | str | None
    max: int | float | str | None
    mean: float | None
    std: float | None


def measure_columns(
    connection: "duckdb.DuckDBPyConnection",
    table: Table,
    snapshot: Snapshot,
    fields: list[dict[str, Any]],
    *,
    most: int,
) -> tuple[int, list[Facts]]:
    """The number of rows, and the facts of each field; up to `most` rows, distinct values are counted exactly.

    Raises:
        OutsideError: a file is missing, damaged or refused.
    """
    source = relation(connection, table.root, snapshot.files, snapshot.metadata)
    where = f"{table.name}@{snapshot.version}"
    counted = run_query(connection, f"SELECT count(*) FROM ({source})", where)  # noqa: S608 - all in it is quoted
    rows: int = counted.column(0)[0].as_py()
    facts: list[Facts] = []
    for first in range(0, len(fields), _AT_ONCE):
        some = fields[first : first + _AT_ONCE]
        asked = ", ".join(sql for field in some for sql in _aggregates(field, exact=rows <= most))
        found = run_query(connection, f"SELECT {asked} FROM ({source})", where)  # noqa: S608 - all in it is quoted
        values = [column[0].as_py() for column in found.columns]
        width = len(Facts.__struct_fields__)
        facts += [_tidy(Facts(*values[at : at + width])) for at in range(0, len(values), width)]
    return rows, facts


def _aggregates(field: dict[str, Any], *, exact: bool) -> list[str]:
    """SQL for each of the `Facts` of a column."""
    name, kind = quote(field["name"]), kind_of(field["type"])
    if kind == "other":
        return [f"count({name})", "0", "0", *["NULL"] * 5]
    floats = field["type"] in _FLOATS
    return [
        f"count({name})",
        *(f"count(*) FILTER ({test}({name}))" if floats else "0" for test in ("isnan", "isinf")),
        f"count(DISTINCT {name})" if exact else f"least(approx_count_distinct({name}), count({name}))",
        *(_extreme(function, field) for function in ("min", "max")),
        *(_moment(function, name) if kind == "number" else "NULL" for function in ("favg", "stddev_samp")),
    ]


def _moment(function: str, name: str) -> str:
    """`favg` adds with a correction, so that its result hardly depends on which thread added what.

    A comparison alone does not keep NaN out: by the Parquet statistics, which leave NaN out, it is always true.
    """
    number = f"CAST({name} AS DOUBLE)"
    return f"{function}({number}) FILTER (isfinite({number}) AND abs({number}) < {_LARGEST})"


def _extreme(function: str, field: dict[str, Any]) -> str:
    name, kind = quote(field["name"]), field["type"]
    if kind in _FLOATS:
        return f"{function}({name}) FILTER (isfinite({name}))"
    if kind in _WHOLE:
        return f"{function}({name})"
    return "NULL" if kind_of(kind) == "category" else f"CAST({function}({name}) AS VARCHAR)"


def _tidy(facts: Facts) -> Facts:
    overflows = any(isinstance(extreme, float) and abs(extreme) >= _LARGEST for extreme in (facts.min, facts.max))
    mean, std = (None if value is None or overflows else float(f"{value:.10g}") for value in (facts.mean, facts.std))
    return msgspec.structs.replace(facts, min=_as_iso(facts.min), max=_as_iso(facts.max), mean=mean, std=std)


def _as_iso(value: Any) -> Any:
    """What DuckDB writes for a time, with the `T` and the zone of ISO 8601; anything else as it is."""
    if not isinstance(value, str) or " " not in value or "(BC)" in value:
        return value
    time = value.replace(" ", "T", 1)
    return f"{time}:00" if time.endswith("+00") else time
