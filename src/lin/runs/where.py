"""The filter of `lin runs --where`: MLflow's grammar with OR, NOT, parentheses, and IN on every field.

`parse_where` checks all that can be checked without a run, so `matches` raises nothing. Truth has three
values, as in SQL: a comparison with what a run lacks is neither true nor false, and NOT leaves it so. No
text of the user's ever becomes a regular expression.
"""

import json
import math
import operator
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from lin.errors import UsageError, nearest

Kind = Literal["metrics", "params", "tags", "attributes", "inputs"]
Value = str | int | float

ATTRIBUTES = ("actor", "experiment", "id", "kind", "name", "parent", "seconds", "started", "status", "sweep")
DEEPEST = 100
LONGEST_PATTERN = 1000

_KINDS: dict[str, Kind] = {
    "metrics": "metrics",
    "metric": "metrics",
    "params": "params",
    "param": "params",
    "tags": "tags",
    "tag": "tags",
    "attributes": "attributes",
    "attribute": "attributes",
    "attr": "attributes",
    "run": "attributes",
    "inputs": "inputs",
    "input": "inputs",
}
_NATURES: dict[str, Literal["number", "version", "text", "param"]] = {
    "metrics": "number",
    "params": "param",
    "tags": "text",
    "inputs": "version",
}
_WORDS = {"and", "or", "not", "in", "is", "null", "like", "ilike"}
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_PLAIN_KEY = re.compile(r"[\w./-]+")
_TOKEN = re.compile(
    r"""\s*+(?:
      (?P<field>[^\W\d]\w*+\.(?:[\w./-]++|"[^"]*+(?:""[^"]*+)*+"|`[^`]*+(?:``[^`]*+)*+`))
    | (?P<word>[^\W\d]\w*+)
    | (?P<number>[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?|[+-](?i:infinity|inf|nan)\b)
    | (?P<string>'[^']*+(?:''[^']*+)*+'|"[^"]*+(?:""[^"]*+)*+")
    | (?P<sign><>|<=|>=|!=|==|[=<>(),])
    | (?P<end>\Z)
    | (?P<bad>.)
    )""",
    re.VERBOSE | re.DOTALL,
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


# --- the tree ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """Where a value comes from: `metrics.rmse`, `inputs.housing`, `attributes.status`."""

    kind: Kind
    key: str


@dataclass(frozen=True, slots=True)
class Compare:
    """`field op value`; `op` is one of = != < <= > >= like, ilike, not like, not ilike."""

    field: Field
    op: str
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    """`field in (values)`, or not in."""

    field: Field
    values: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class IsNull:
    """`field is null`, or is not null."""

    field: Field
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    """True where `part` is false."""

    part: "Expression"


@dataclass(frozen=True, slots=True)
class And:
    """True where every part is; two parts at least."""

    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """True where any part is; two parts at least."""

    parts: "tuple[Expression, ...]"


Expression = And | Or | Not | Compare | In | IsNull


# --- text to tree -----------------------------------------------------------------------------------------


def parse_where(text: str) -> Expression:
    """Parse a filter.

    Raises:
        UsageError: shows the filter and points at the character where it stops making sense.
    """
    parser = _Parser(text)
    expression = parser.disjunction()
    parser.finish("AND, OR or the end")
    return expression


def parse_field(text: str) -> Field:
    """Parse the name of one value, as `--sort metrics.rmse` takes it. Raises `UsageError`."""
    parser = _Parser(text)
    field = parser.field()
    parser.finish("the end")
    return field


class _Parser:
    """Recursive descent over one token at a time; `kind`, `word` and `start` tell the one that comes next."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.depth = 0
        self.kind, self.word, self.start, self.end = "", "", 0, 0
        self.advance()

    def advance(self) -> str:
        """Go on to the next token and return the one left behind."""
        left = self.word
        self.before = self.text[self.start : self.end]
        match = _TOKEN.match(self.text, self.end)
        if match is None or match.lastgroup is None:  # the pattern takes any character
            raise self.error("this is not a filter", self.end)
        self.kind, self.word = match.lastgroup, match[match.lastgroup]
        self.start, self.end = match.span(self.kind)
        if self.kind == "bad" and self.word != ".":
            is_quote = self.word in "'\"`"
            raise self.error(
                "this quote is never closed" if is_quote else f"{self.word!r} has no meaning here"
            )
        return left

    def error(self, message: str, at: int | None = None, *, hint: str | None = None) -> UsageError:
        return UsageError(f"{message}\n{_point(self.text, self.start if at is None else at)}", hint=hint)

    def expected(self, what: str, *, hint: str | None = None) -> UsageError:
        return self.error(
            f"expected {what} after '{_clip(self.before)}'" if self.before else f"expected {what}", hint=hint
        )

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.word.lower() == word

    def take(self, *words: str) -> str:
        """The keyword that comes next, if it is one of `words`, and go on; else nothing."""
        if self.kind != "word" or self.word.lower() not in words:
            return ""
        return self.advance().lower()

    def finish(self, what: str) -> None:
        if self.kind != "end":
            raise self.error("this parenthesis was never opened") if self.word == ")" else self.expected(what)

    # --- combining -----------------------------------------------------------------------------------------

    def disjunction(self) -> Expression:
        parts = [self.conjunction()]
        while self.take("or"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def conjunction(self) -> Expression:
        parts = [self.operand()]
        while self.take("and"):
            parts.append(self.operand())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def operand(self) -> Expression:
        opening = self.start
        is_group = self.kind == "sign" and self.word == "("
        if not is_group and not self.is_word("not"):
            return self.comparison()
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"more than {DEEPEST} parentheses and NOTs inside each other")
        self.advance()
        inner: Expression = self.disjunction() if is_group else Not(self.operand())
        if is_group and self.word != ")":
            raise (
                self.error("this parenthesis is never closed", opening)
                if self.kind == "end"
                else self.expected("AND, OR or ')'")
            )
        if is_group:
            self.advance()
        self.depth -= 1
        return inner

    # --- one comparison ------------------------------------------------------------------------------------

    def comparison(self) -> Expression:
        field = self.field()
        if self.take("is"):
            negated = bool(self.take("not"))
            if not self.take("null"):
                raise self.expected("NULL" if negated else "NULL or NOT NULL")
            return IsNull(field, negated)
        negated = bool(self.take("not"))
        if self.take("in"):
            return In(field, self.values(field), negated)
        if op := self.take("like", "ilike"):
            return Compare(field, f"not {op}" if negated else op, self.value(field, op))
        if negated:
            raise self.expected("IN, LIKE or ILIKE")
        if self.kind != "sign" or self.word in "(),":
            raise self.expected(
                "a comparison", hint="one of = != < <= > >= LIKE, ILIKE, IN (...), IS NULL, IS NOT NULL"
            )
        op = {"<>": "!=", "==": "="}.get(self.word, self.word)
        self.advance()
        return Compare(field, op, self.value(field, op))

    def field(self) -> Field:
        if self.kind == "field":
            head, _, key = self.word.partition(".")
            kind = _KINDS.get(head.lower())
            if kind is None:
                hint = nearest(
                    _clip(head), list(_KINDS), instead="metrics, params, tags, attributes or inputs"
                )
                raise self.error(f"there are no '{_clip(head)}' in a run", hint=hint)
            return self.attribute(_unquote(key)) if kind == "attributes" else self.named(kind, _unquote(key))
        if self.kind != "word" or self.word.lower() in _WORDS:
            raise self.expected("a field such as metrics.rmse")
        if self.word.lower() in _KINDS:
            before = self.advance()
            raise self.expected(
                "a name", hint=f"as in {before.lower()}.NAME; odd names stand in double quotes"
            )
        return self.attribute(self.word)

    def attribute(self, name: str) -> Field:
        if name not in ATTRIBUTES:
            instead = f"known: {', '.join(ATTRIBUTES)}; others have their kind in front, as in metrics.rmse"
            hint = nearest(_clip(name), list(ATTRIBUTES), instead=instead)
            raise self.error(f"a run has no attribute '{_clip(name)}'", hint=hint)
        return self.named("attributes", name)

    def named(self, kind: Kind, key: str) -> Field:
        self.advance()
        return Field(kind, key)

    def values(self, field: Field) -> tuple[Value, ...]:
        if self.word != "(":
            raise self.expected("'(' with values")
        values: list[Value] = []
        while not values or self.word == ",":
            self.advance()
            values.append(self.value(field, "in"))
        if self.word != ")":
            raise self.expected("',' or ')'")
        self.advance()
        return tuple(values)

    def value(self, field: Field, op: str) -> Value:
        value: Value
        if self.kind == "string":
            value = _unquote(self.word)
        elif self.kind == "number":
            value = _parse_number(self.word)
        elif self.kind == "word" and self.word.lower() in {"nan", "inf", "infinity"}:
            value = math.nan if self.word.lower() == "nan" else math.inf
        else:
            raise self.expected(
                "a value", hint=f"text stands in quotes: '{_clip(self.word)}'" if self.word else None
            )
        if objection := _objection(field, op, value):
            raise self.error(f"{format_field(field)} {objection}")
        self.advance()
        return value


def _objection(field: Field, op: str, value: Value) -> str | None:  # noqa: PLR0911  one return for each rule
    """Why a field of this kind cannot be compared so, or None."""
    is_text, is_like = isinstance(value, str), op in {"like", "ilike"}
    what = _nature(field)
    if is_like and not is_text:
        return "LIKE takes a pattern in quotes, with % and _"
    if is_like and isinstance(value, str) and len(value) > LONGEST_PATTERN:
        return f"LIKE takes a pattern of {LONGEST_PATTERN} characters at most"
    match what:
        case "number" | "version" if is_text:
            return f"is a {what}: compare it with a number, without quotes"
        case "version" if not isinstance(value, int):
            return "is a version: compare it with a whole number"
        case "time" if not is_like and _time(value) is None:
            return "is a time: compare it with one in quotes, '2026-11-22' or '2026-11-22T10:30'"
        case "text" if not is_text:
            return f"is text: put the value in quotes, '{_clip(str(value))}'"
        case "text" if op in _ORDER:
            return f"is text: it has =, !=, LIKE, ILIKE and IN, but not {op}"
        case "param" if is_text and op in _ORDER:
            return f"has {op} with numbers only, without quotes"
        case _:
            return None


def _nature(field: Field) -> Literal["number", "version", "time", "text", "param"]:
    if field.kind == "attributes":
        return "number" if field.key == "seconds" else "time" if field.key == "started" else "text"
    return _NATURES[field.kind]


def _parse_number(word: str) -> int | float:
    is_whole = word.lstrip("+-").isdigit()
    return int(word) if is_whole and len(word) < LONGEST_PATTERN else float(word)


def _unquote(word: str) -> str:
    quote = word[:1]
    return word[1:-1].replace(quote * 2, quote) if quote in {"'", '"', "`"} else word


def _clip(word: str) -> str:
    return word if len(word) <= 40 else f"{word[:39]}…"  # noqa: PLR2004


def _point(text: str, at: int) -> str:
    """The part of the filter around `at`, and under it a caret."""
    start = max(0, at - 60)
    shown = ("…" if start else "") + text[start : at + 30] + ("…" if at + 30 < len(text) else "")
    clean = "".join(c if c.isprintable() else " " for c in shown)
    return f"  {clean}\n  {' ' * (at - start + bool(start))}^"


# --- tree to text -----------------------------------------------------------------------------------------


def format_where(expression: Expression) -> str:
    """The filter as text; `parse_where` makes the same tree of it."""
    match expression:
        case And(parts) | Or(parts):
            word = " and " if isinstance(expression, And) else " or "
            return word.join(_format_part(part) for part in parts)
        case Not(part):
            return f"not {_format_part(part)}"
        case IsNull(field, negated):
            return f"{format_field(field)} is {'not ' * negated}null"
        case In(field, values, negated):
            return f"{format_field(field)} {'not ' * negated}in ({', '.join(map(_format_value, values))})"
        case Compare(field, op, value):
            return f"{format_field(field)} {op} {_format_value(value)}"


def _format_part(part: Expression) -> str:
    text = format_where(part)
    return f"({text})" if isinstance(part, And | Or) else text


def format_field(field: Field) -> str:
    """The field as `parse_field` reads it."""
    if field.kind == "attributes":
        return field.key
    key = field.key if _PLAIN_KEY.fullmatch(field.key) else '"' + field.key.replace('"', '""') + '"'
    return f"{field.kind}.{key}"


def _format_value(value: Value) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


# --- tree and run to truth --------------------------------------------------------------------------------


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
        if _nature(field) == "time":
            return _test_time(_time(value), op, _time(literal))
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
    return bool(_ORDER[op](left, right))


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


def _time(value: object) -> datetime | None:
    """A time, or ISO text that is one; without a zone it is UTC."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    if not isinstance(time, datetime):
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


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
