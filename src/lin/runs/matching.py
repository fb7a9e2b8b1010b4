"""Whether a run fulfils a filter: an expression of `lin.runs.where` and a run, to a truth value.

Truth has three values, as in SQL: a comparison with what a run lacks is neither true nor false, and NOT
leaves it so. No text of the user's ever becomes a regular expression.
"""

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from lin.runs.where import (
    NUMBER,
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

_NUMBER = re.compile(NUMBER)


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


def sort_key(field: Field, fields: Fields, run_id: str, *, descending: bool) -> tuple[Any, ...]:
    """What a run is sorted by, always ascending: its value's place in the order, then newest first.

    Numbers come first, then texts by their code points, then NaN and what is missing, in both directions. Numbers
    compare as IEEE doubles, times as times, and of several versions of an input the greatest counts.
    """
    value = _sortable(field, value_of(field, fields))
    newest = _Backwards(run_id)
    if value is None or value != value:  # noqa: PLR0124  NaN
        return 2, newest
    if isinstance(value, str):
        return 1, _Backwards(value) if descending else value, newest
    return 0, -value if descending else value, newest


@dataclass(frozen=True, slots=True)
class _Backwards:
    """A text that sorts the other way round."""

    text: str

    def __lt__(self, other: "_Backwards") -> bool:
        return other.text < self.text


def _sortable(field: Field, value: Any) -> Any:
    """The value as what it is compared by: a number, or text."""
    if value is None:
        return None
    match nature_of(field):
        case "version":
            return max(value) if isinstance(value, tuple) else value
        case "number":
            return as_double(value)
        case "time":
            time = parse_time(value)
            return None if time is None else count_microseconds(time)
        case "param":
            text = param_text(value)
            number = param_number(text)
            return text if number is None else number
        case _:
            return str(value)


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
    return literal not in versions if op == "!=" else any(_order(v, op, literal) for v in versions)


def _test(field: Field, value: object, op: str, literal: Value) -> bool | None:
    if isinstance(literal, str):
        if op.endswith("like"):
            fold = op.endswith("ilike")
            return like(_text(field, value), literal, ignore_case=fold) != op.startswith("not")
        if nature_of(field) == "time":
            return _test_time(parse_time(value), op, parse_time(literal))
        return (_text(field, value) == literal) == (op == "=")
    number = as_double(value) if field.kind != "params" else param_number(param_text(value))
    return {"=": False, "!=": True}.get(op) if number is None else _test_number(number, op, as_double(literal))


def _test_number(number: float, op: str, literal: float) -> bool:
    """NaN equals NaN and nothing else, and every other comparison of a NaN is false."""
    if math.isnan(number) or math.isnan(literal):
        both = math.isnan(number) and math.isnan(literal)
        return both if op == "=" else op == "!=" and not math.isnan(number)
    return _order(number, op, literal)


def _test_time(left: datetime | None, op: str, right: datetime | None) -> bool | None:
    return None if left is None or right is None else _order(left, op, right)


def _order(left: Any, op: str, right: Any) -> bool:
    if op in {"=", "!="}:
        return bool(left == right) == (op == "=")
    return bool(ORDER[op](left, right))


def as_double(value: Any) -> float:
    """The IEEE double that a number is compared as; whole numbers beyond its range are infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def count_microseconds(time: datetime) -> int:
    """The microseconds since 1970, exactly."""
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def param_number(text: str) -> float | None:
    """The number that a parameter's text is by the grammar `where.NUMBER`, or None."""
    return float(text) if _NUMBER.fullmatch(text) else None


def param_text(value: object) -> str:
    """A parameter as text, as MLflow writes it: `str`, but a list or a map as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def _text(field: Field, value: object) -> str:
    if nature_of(field) != "time":
        return param_text(value)
    time = parse_time(value)
    return "" if time is None else time.astimezone(UTC).isoformat(timespec="microseconds")


def like(text: str, pattern: str, *, ignore_case: bool = False) -> bool:
    """SQL's LIKE: `%` is any text and `_` any character; nothing escapes them. Time is linear in `text`.

    With `ignore_case` a character of the pattern fits its `variants` too.
    """
    first, *others = pattern.split("%")
    if not others:
        return _fits(text, first, ignore_case)
    *middle, last = others
    at, end = len(first), len(text) - len(last)
    if at > end or not _fits(text[:at], first, ignore_case) or not _fits(text[end:], last, ignore_case):
        return False
    for piece in middle:
        at = _find(text, piece, at, end, ignore_case)
        if at < 0:
            return False
    return True


def variants(character: str) -> set[str]:
    """The character, and its lower and its upper case where that is one character."""
    return {c for c in (character, character.lower(), character.upper()) if len(c) == 1}


def _fits(text: str, piece: str, ignore_case: bool) -> bool:
    if len(text) != len(piece):
        return False
    pairs = zip(text, piece, strict=True)
    return all(p in {"_", c} or (ignore_case and c in variants(p)) for c, p in pairs)


def _find(text: str, piece: str, at: int, end: int, ignore_case: bool) -> int:
    """Where the first fit of `piece` in `text[at:end]` ends, or -1.

    With `_` in it: bit-parallel Shift-And (Baeza-Yates and Gonnet, 1992); bit i of `state` says that the
    first i + 1 characters of the piece fit up to here.
    """
    if not piece:
        return at
    if "_" not in piece and not ignore_case:
        found = text.find(piece, at, end)
        return found + len(piece) if found >= 0 else -1
    anything = sum(1 << i for i, c in enumerate(piece) if c == "_")
    masks: dict[str, int] = {}
    for i, character in enumerate(piece):
        for c in variants(character) if ignore_case else {character}:
            masks[c] = masks.get(c, anything) | 1 << i
    whole, state = 1 << (len(piece) - 1), 0
    for position in range(at, end):
        state = (state << 1 | 1) & masks.get(text[position], anything)
        if state & whole:
            return position + 1
    return -1
