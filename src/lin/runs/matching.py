"""Whether a run fulfils a filter: an expression of `lin.runs.where` and a run, to a truth value.

Truth has three values, as in SQL: a comparison with what a run lacks is neither true nor false, and NOT
leaves it so. No text of the user's ever becomes a regular expression.
"""

import json
import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Protocol

from lin.runs.where import (
    LONGEST_PATTERN,
    ORDER,
    And,
    Compare,
    Expression,
    Field,
    In,
    IsNull,
    Not,
    Or,
    Value,
    nature_of,
    parse_time,
)


class Fields(Protocol):
    """What a filter asks of a run. `inputs` maps a table's name to the versions that the run read.

    Attributes are text, but `seconds` a number and `started` a `datetime` or ISO text; None means missing.
    """

    @property
    def params(self) -> Mapping[str, object]:
        """By name, as recorded."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """By name, the last values."""

    @property
    def tags(self) -> Mapping[str, str]:
        """By name."""

    @property
    def attributes(self) -> Mapping[str, object]:
        """By name, of `ATTRIBUTES`."""

    @property
    def inputs(self) -> Mapping[str, Collection[int]]:
        """By table."""


def matches(expression: Expression, fields: Fields) -> bool:
    """Whether the run is one that the filter asks for."""
    return _truth(expression, fields) is True


def value_of(field: Field, fields: Fields) -> object | None:
    """The field's value in a run, None where it has none; for inputs the version, or a tuple of several."""
    if field.kind == "inputs":
        versions = sorted(fields.inputs.get(field.key, ()))
        return versions[0] if len(versions) == 1 else tuple(versions) or None
    mapping: Mapping[str, object] = getattr(fields, field.kind)
    return mapping.get(field.key)


def _truth(expression: Expression, fields: Fields) -> bool | None:
    match expression:
        case Compare(field, op, literal):
            return _compare(field, op, literal, fields)
        case In(field, values, negated):
            return _among(field, values, fields, negated=negated)
        case IsNull(field, negated):
            return (value_of(field, fields) is None) != negated
        case Not(part):
            truth = _truth(part, fields)
            return None if truth is None else not truth
        case And(parts) | Or(parts):
            return _combine(parts, fields, decisive=isinstance(expression, Or))


def _combine(parts: tuple[Expression, ...], fields: Fields, *, decisive: bool) -> bool | None:
    """Kleene's OR, which True decides, or AND, which False does; else one unknown part makes it unknown."""
    unknown = False
    for part in parts:
        truth = _truth(part, fields)
        if truth is decisive:
            return decisive
        unknown = unknown or truth is None
    return None if unknown else not decisive


def _among(field: Field, values: tuple[Value, ...], fields: Fields, *, negated: bool) -> bool | None:
    if value_of(field, fields) is None:
        return None
    if negated:
        return all(_compare(field, "!=", literal, fields) for literal in values)
    return any(_compare(field, "=", literal, fields) for literal in values)


def _compare(field: Field, op: str, literal: Value, fields: Fields) -> bool | None:
    value = value_of(field, fields)
    if value is None:
        return None
    if field.kind != "inputs":
        return _test(field, value, op, literal)
    versions = fields.inputs[field.key]  # a run may have read several versions of a table: any may pass
    return literal not in versions if op == "!=" else any(_test_number(v, op, literal) for v in versions)


def _test(field: Field, value: object, op: str, literal: Value) -> bool | None:
    if isinstance(literal, str):
        if op.endswith("like"):
            fold = op.endswith("ilike")
            return like(_text(value), literal, ignore_case=fold) != op.startswith("not")
        if nature_of(field) == "time":
            return _test_time(parse_time(value), op, parse_time(literal))
        return (_text(value) == literal) == (op == "=")
    return _test_number(value, op, literal)


def _test_number(value: object, op: str, literal: Value) -> bool | None:
    """As numbers. NaN equals NaN and nothing else, and every other comparison of a NaN is false."""
    left, right = _number(value), _number(literal)
    if left is None or right is None:
        return {"=": False, "!=": True}.get(op)
    if _is_nan(left) or _is_nan(right):
        both = _is_nan(left) and _is_nan(right)
        return both if op == "=" else op == "!=" and not _is_nan(left)
    return _order(left, op, right)


def _test_time(left: datetime | None, op: str, right: datetime | None) -> bool | None:
    return None if left is None or right is None else _order(left, op, right)


def _order(left: Any, op: str, right: Any) -> bool:
    if op in {"=", "!="}:
        return bool(left == right) == (op == "=")
    return bool(ORDER[op](left, right))


def _is_nan(number: float) -> bool:
    return isinstance(number, float) and math.isnan(number)


def _number(value: object) -> int | float | None:
    """A number, or text that is one; True and False are none."""
    if isinstance(value, int | float):
        return None if isinstance(value, bool) else value
    if not isinstance(value, str) or len(value) > LONGEST_PATTERN or "_" in value:
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _text(value: object) -> str:
    """As MLflow writes it: `str`, but a list or a map as JSON and a time as ISO text."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def like(text: str, pattern: str, *, ignore_case: bool = False) -> bool:
    """SQL's LIKE: `%` is any text and `_` any character; nothing escapes them. Time is linear in `text`."""
    if ignore_case:
        text, pattern = text.casefold(), pattern.casefold()
    first, *others = pattern.split("%")
    if not others:
        return _fits(text, first)
    *middle, last = others
    at, end = len(first), len(text) - len(last)
    if at > end or not _fits(text[:at], first) or not _fits(text[end:], last):
        return False
    for piece in middle:
        at = _find(text, piece, at, end)
        if at < 0:
            return False
    return True


def _fits(text: str, piece: str) -> bool:
    return len(text) == len(piece) and all(p in {"_", c} for c, p in zip(text, piece, strict=True))


def _find(text: str, piece: str, at: int, end: int) -> int:
    """Where the first fit of `piece` in `text[at:end]` ends, or -1.

    With `_` in it: bit-parallel Shift-And (Baeza-Yates and Gonnet, 1992); bit i of `state` says that the
    first i + 1 characters of the piece fit up to here.
    """
    if "_" not in piece:
        found = text.find(piece, at, end)
        return found + len(piece) if found >= 0 else -1
    anything = sum(1 << i for i, c in enumerate(piece) if c == "_")
    masks = dict.fromkeys(piece, anything)
    for i, c in enumerate(piece):
        masks[c] |= 1 << i
    whole, state = 1 << (len(piece) - 1), 0
    for position in range(at, end):
        state = (state << 1 | 1) & masks.get(text[position], anything)
        if state & whole:
            return position + 1
    return -1
