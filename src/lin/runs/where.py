"""The filter of `lin runs --where`: MLflow's grammar with OR, NOT, parentheses, and IN on every field.

`parse_where` checks all that can be checked without a run, so that `lin.runs.matching` raises nothing. A
mistake is shown with a caret under the character where the filter stops making sense. MLflow's names of attributes
(`run_id`, `run_name`, `start_time`, `created`) are taken for ours.
"""

import math
import operator
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from lin.errors import UsageError, nearest
from lin.records import Kind as RunKind
from lin.records import Status

Kind = Literal["metrics", "params", "tags", "attributes", "inputs"]
Value = str | int | float

ATTRIBUTES = ("actor", "experiment", "id", "kind", "name", "parent", "seconds", "started", "status", "sweep")
DEEPEST = 100
MOST_COMPARISONS = 300
LONGEST_PATTERN = 1000
NUMBER = (
    "[+-]?(?:(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][+-]?[0-9]+)?|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN])"
)
"""The text of a number, as a regular expression that Python and RE2 read alike."""

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
_ALIASES = {"run_id": "id", "run_name": "name", "start_time": "started", "created": "started"}
_CHOICES = {"kind": get_args(RunKind), "status": (*get_args(Status), "running", "abandoned")}
_INSTEAD = dict.fromkeys(("dataset", "datasets", "data", "table", "tables"), "inputs.NAME = VERSION asks for a table")
_NATURES: dict[str, Literal["number", "version", "text", "param"]] = {
    "metrics": "number",
    "params": "param",
    "tags": "text",
    "inputs": "version",
}
_WORDS = {"and", "or", "not", "in", "is", "null", "like", "ilike"}
ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_SURROGATE = re.compile("[\ud800-\udfff]")
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
        self.depth = self.comparisons = 0
        if half := _SURROGATE.search(text):  # no record holds such, and neither does any engine
            raise self.error("this is no character of UTF-8", half.start())
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
            raise self.error("this quote is never closed" if is_quote else f"{self.word!r} has no meaning here")
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
        self.comparisons += 1
        if self.comparisons > MOST_COMPARISONS:
            raise self.error(f"more than {MOST_COMPARISONS} comparisons", hint="IN takes any number of values")
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
                instead = "metrics, params, tags, attributes or inputs"
                hint = _INSTEAD.get(head.lower()) or nearest(_clip(head), list(_KINDS), instead=instead)
                raise self.error(f"there are no '{_clip(head)}' in a run", hint=hint)
            return self.attribute(_unquote(key)) if kind == "attributes" else self.named(kind, _unquote(key))
        if self.kind != "word" or self.word.lower() in _WORDS:
            raise self.expected("a field such as metrics.rmse")
        if self.word.lower() in _KINDS:
            before = self.advance()
            raise self.expected("a name", hint=f"as in {before.lower()}.NAME; odd names stand in double quotes")
        return self.attribute(self.word)

    def attribute(self, word: str) -> Field:
        name = _ALIASES.get(word, word)
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
            raise self.expected("a value", hint=f"text stands in quotes: '{_clip(self.word)}'" if self.word else None)
        if objection := _objection(field, op, value):
            raise self.error(f"{format_field(field)} {objection}")
        self.advance()
        return value


def _objection(field: Field, op: str, value: Value) -> str | None:  # noqa: PLR0911  one return for each rule
    """Why a field of this kind cannot be compared so, or None."""
    is_text, is_like = isinstance(value, str), op in {"like", "ilike"}
    what = nature_of(field)
    if is_like and not is_text:
        return "LIKE takes a pattern in quotes, with % and _"
    if is_like and isinstance(value, str) and len(value) > LONGEST_PATTERN:
        return f"LIKE takes a pattern of {LONGEST_PATTERN} characters at most"
    match what:
        case "number" | "version" if is_text:
            return f"is a {what}: compare it with a number, without quotes"
        case "version" if not isinstance(value, int):
            return "is a version: compare it with a whole number"
        case "time" if not is_like and parse_time(value) is None:
            return "is a time: compare it with one in quotes, '2026-11-22' or '2026-11-22T10:30'"
        case "text" if not is_text:
            return f"is text: put the value in quotes, '{_clip(str(value))}'"
        case "text" if field.kind == "attributes" and not is_like and value not in _CHOICES.get(field.key, (value,)):
            return f"is one of {', '.join(_CHOICES[field.key])}"
        case "text" if op in ORDER:
            return f"is text: it has =, !=, LIKE, ILIKE and IN, but not {op}"
        case "param" if is_text and op in ORDER:
            return f"has {op} with numbers only, without quotes"
        case _:
            return None


def nature_of(field: Field) -> Literal["number", "version", "time", "text", "param"]:
    """What a field's values are, and so what they are compared with."""
    if field.kind == "attributes":
        return "number" if field.key == "seconds" else "time" if field.key == "started" else "text"
    return _NATURES[field.kind]


def format_field(field: Field) -> str:
    """The field as `parse_field` reads it."""
    if field.kind == "attributes":
        return field.key
    key = field.key if _PLAIN_KEY.fullmatch(field.key) else '"' + field.key.replace('"', '""') + '"'
    return f"{field.kind}.{key}"


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


def parse_time(value: object) -> datetime | None:
    """A time, or ISO text that is one; without a zone it is UTC."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    if not isinstance(time, datetime):
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
