"""Between which values the keys of some rows lie, so that files that hold none of them are left out.

A range leaves out files by their statistics and parts of files by its condition, and never more than it may: what is
not known for sure stays in.
"""

from collections.abc import Sequence

from lin.data.bounds import read_bounds
from lin.data.columns import physical_name
from lin.data.log import AddFile, Metadata
from lin.data.sql import literal
from lin.data.timeline import Column, counterpart

Range = tuple[int, int] | tuple[str, str]
"""The least and the greatest value."""

RANGED = ("byte", "short", "integer", "long", "string")
"""The types of keys that are used: values of the others are rounded in statistics, or have one without an order."""


def is_ranged(key: Column) -> bool:
    """Whether this column of a key is used."""
    return key.field["type"] in RANGED


def ranges_of(keys: Sequence[Column], values: Sequence[str | None]) -> dict[int, Range]:
    """The ranges, by the column's number, in which only these values lie; they are written as DuckDB does."""
    found: dict[int, Range] = {}
    for number, (key, value) in enumerate(zip(keys, values, strict=True)):
        if value is not None and is_ranged(key):
            found[number] = (value, value) if key.field["type"] == "string" else (int(value), int(value))
    return found


def may_hold(
    file: AddFile, older: Metadata, newest: Metadata, keys: Sequence[Column], ranges: dict[int, Range]
) -> bool:
    """Whether `file`, of a version with the schema `older`, may have rows with a key in the ranges."""
    for number, (low, high) in ranges.items():
        field = counterpart(older, newest, keys[number].field)
        if field is None or not file.stats:
            continue
        bounds = read_bounds(file, [physical_name(field, older.mapping)], field["type"])
        if _is_less(high, bounds.least) or _is_less(bounds.greatest, low):
            return False
    return True


def _is_less(one: object, other: object) -> bool:
    """Whether both are known, of one type, and in that order."""
    if isinstance(one, int) and isinstance(other, int):
        return one < other
    return isinstance(one, str) and isinstance(other, str) and one < other


def within(prefix: str, ranges: dict[int, Range]) -> str:
    """A condition on the columns `prefix0`, `prefix1`, … with which DuckDB skips what lies outside, or nothing."""
    conditions = [
        f"{prefix}{number} BETWEEN {_literal(low)} AND {_literal(high)}" for number, (low, high) in ranges.items()
    ]
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _literal(value: int | str) -> str:
    return literal(value) if isinstance(value, str) else str(value)
