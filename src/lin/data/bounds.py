"""What a file's statistics promise of a column: between which values all of it lies, and how many are null.

They serve to leave files out, and for nothing else. Writers shorten texts, cut times to the millisecond, round
decimals, and keep the bounds of rows that a deletion vector has since deleted. So bounds are widened by as much as any
of them may have lost: outside there is no value but NaN, and whether anything is at the bound itself nobody knows.
"""

import datetime as dt
import math
import struct
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from lin.data.actions import AddFile

Bound = int | float | Decimal | str | dt.date | dt.datetime
_Pair = tuple[Bound | None, Bound | None]

_LONGEST_WHOLE_TEXT = 31
"""In bytes. Spark shortens texts to 32 characters, delta-rs to 64 bytes: a shorter one is whole."""

_LOST_TIME = dt.timedelta(milliseconds=1)
_LOST_SHARE = Decimal("1e-15")
"""A decimal that a writer took through a float is off by less than this share of it."""

_LAST_CHARACTER = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """No value of the column is less than `least` or greater than `greatest`; None promises nothing.

    NaN has no place in this order. `nulls` counts the nulls of the file, deleted rows included.
    """

    least: Bound | None = None
    greatest: Bound | None = None
    nulls: int | None = None


class _Stats(msgspec.Struct, frozen=True, rename="camel"):
    min_values: Any = None
    max_values: Any = None
    null_count: Any = None


def read_bounds(file: AddFile, column: Sequence[str], delta_type: Any) -> Bounds:
    """The bounds of one column of `file`: None for what its statistics do not tell, or not in a way that lin knows.

    Args:
        file: a data file of a version.
        column: the column's name in the file, or the names that lead to it through structs: the physical ones.
        delta_type: its type in the table. Bounds are integers, floats, `Decimal`, texts in the order of their code
            points, dates, and datetimes in UTC, or without a zone for `timestamp_ntz`. Other types have none.
    """
    kind = str(delta_type)
    # a decimal has more digits than a float
    decoder = msgspec.json.Decoder(_Stats, float_hook=Decimal if kind.startswith("decimal") else float)
    try:
        stats = decoder.decode(file.stats or "{}")
    except (msgspec.MsgspecError, RecursionError, ArithmeticError):
        return Bounds()
    nulls = _at(stats.null_count, column)
    return Bounds(
        least=_widen(_at(stats.min_values, column), kind)[0],
        greatest=_widen(_at(stats.max_values, column), kind)[1],
        nulls=nulls if isinstance(nulls, int) and not isinstance(nulls, bool) and nulls >= 0 else None,
    )


def _at(values: Any, column: Sequence[str]) -> Any:
    for name in column:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _widen(value: Any, kind: str) -> _Pair:  # noqa: PLR0911 - a table of cases
    """What a bound in the statistics says of the column from below, and from above."""
    match kind, value:
        case (_, bool()):
            return None, None
        case ("byte" | "short" | "integer" | "long", int()):
            return value, value
        case ("float" | "double", int() | float()):
            return _widen_float(value)
        case (_, int() | Decimal()) if kind.startswith("decimal"):
            return _widen_decimal(Decimal(value))
        case ("string", str()):
            return value, _after(value)
        case ("date" | "timestamp" | "timestamp_ntz", str()):
            return _widen_time(value, kind)
    return None, None


def _widen_float(value: float) -> _Pair:
    """Some write a float of 32 bits in as few digits as tell it from others, which is not its value."""
    try:
        wide = float(value)
        (narrow,) = struct.unpack("f", struct.pack("f", wide))
    except OverflowError:
        return value, value
    return (min(wide, narrow), max(wide, narrow)) if math.isfinite(wide) else (None, None)


def _widen_decimal(value: Decimal) -> _Pair:
    try:
        lost = abs(value) * _LOST_SHARE
        return value - lost, value + lost
    except ArithmeticError:  # no column has so many digits
        return None, None


def _after(text: str) -> str | None:
    """The text, or if it may be the beginning of a longer one, what comes after all that begin with it."""
    if len(text.encode()) <= _LONGEST_WHOLE_TEXT:
        return text
    for end in range(len(text) - 1, -1, -1):
        following = ord(text[end]) + 1
        if following <= _LAST_CHARACTER:
            return text[:end] + chr(_SURROGATES.stop if following in _SURROGATES else following)
    return None


def _widen_time(text: str, kind: str) -> _Pair:
    try:
        if kind == "date":
            day = dt.date.fromisoformat(text)
            return day, day
        time = dt.datetime.fromisoformat(text)
        if kind == "timestamp":
            if time.tzinfo is None:  # the zone of whoever wrote it
                return None, None
            time = time.astimezone(dt.UTC)
        elif time.utcoffset():
            return None, None
        else:
            time = time.replace(tzinfo=None)
        return time - _LOST_TIME, time + _LOST_TIME
    except (ValueError, OverflowError):
        return None, None
