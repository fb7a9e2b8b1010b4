"""The filter language as SQL of DuckDB, over the index of sealed runs: one row for each run.

It says of a row exactly what `lin.runs.matching` says of the run, for every tree that `lin.runs.where` makes. What
a user wrote, names included, is bound to a `?`, in the order of the text, and never becomes part of the text: so
fragments join freely, and no filter can be more than a filter. Only the columns that it names are read.
"""

import math
import re
from typing import Any

from lin.runs.matching import as_double, count_microseconds, variants
from lin.runs.where import (
    ATTRIBUTES,
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

_Sql = tuple[str, list[object]]
_BEYOND = 1 << 64  # no version, which has 63 bits, gets there


def compile_filter(expression: Expression) -> tuple[str, list[object]]:
    """The condition that is true of just the rows of which `matches` says so.

    The column `seconds` must hold no NaN, as no record does: a Parquet file's statistics hide one.

    Returns:
        The SQL of a boolean, in parentheses, and the values of its `?`.
    """
    match expression:
        case Compare(field, op, literal):
            return _compare(field, op, literal)
        case In(field, values, negated):
            return _among(field, values, negated=negated)
        case IsNull(field, negated):
            value, bound = _value(field)
            return f"({value} IS {'NOT ' * negated}NULL)", bound
        case Not(part):
            inner, bound = compile_filter(part)
            return f"(NOT {inner})", bound
        case And(parts):
            return _join([compile_filter(part) for part in parts], " AND ")
        case Or(parts):
            return _join([compile_filter(part) for part in parts], " OR ")


def compile_order(field: Field, *, descending: bool) -> tuple[str, list[object]]:
    """The terms after ORDER BY that sort rows as `lin.runs.matching.sort_key` sorts runs.

    Numbers come first, then texts by their code points, then NaN and what is missing, in both directions; ties are
    newest first.
    """
    way = f"{'DESC' if descending else 'ASC'} NULLS LAST"
    value, bound = _value(field)
    match nature_of(field):
        case "number":
            terms = f"nullif({value}, 'nan') {way}"
        case "version":
            terms = f"list_max({value}) {way}"
        case "param":
            number, numbers = _number(field)
            text = f"CASE WHEN NOT regexp_full_match({value}, '{NUMBER}') THEN {value} END"
            terms, bound = f"nullif({number}, 'nan') {way}, {text} {way}", [*numbers, *bound, *bound]
        case _:
            terms = f"{value} {way}"
    return f"{terms}, id DESC", bound


# --- values -----------------------------------------------------------------------------------------------


def _value(field: Field) -> _Sql:
    """The field's value in a row, or NULL."""
    if field.kind == "attributes":
        return ATTRIBUTES[ATTRIBUTES.index(field.key)], []
    value = f"{field.kind}[?]"
    return (f"nullif({value}, [])" if field.kind == "inputs" else value), [field.key]


def _number(field: Field) -> _Sql:
    """The field's value as a number; NULL where a parameter is none."""
    value, bound = _value(field)
    if field.kind != "params":
        return value, bound
    number = f"CASE WHEN regexp_full_match({value}, '{NUMBER}') THEN TRY_CAST({value} AS DOUBLE) END"
    return number, bound + bound


def _text(field: Field) -> _Sql:
    """The field's value as LIKE sees it."""
    value, bound = _value(field)
    if nature_of(field) == "time":
        value = f"strftime(make_timestamp(epoch_us({value})), '%Y-%m-%dT%H:%M:%S.%f+00:00')"
    return value, bound


def _join(parts: list[_Sql], separator: str) -> _Sql:
    return f"({separator.join(sql for sql, _ in parts)})", [value for _, bound in parts for value in bound]


# --- one comparison ---------------------------------------------------------------------------------------


def _compare(field: Field, op: str, literal: Any) -> _Sql:
    if op.endswith("like"):
        return _like(field, literal, op)
    value, bound = _value(field)
    match nature_of(field):
        case "time":
            return f"({value} {op} make_timestamptz(?::BIGINT))", [*bound, _microseconds(literal)]
        case "version":
            return _compare_version(value, bound, op, literal)
        case "number":
            return _compare_number((value, bound), op, as_double(literal))
        case "param" if not isinstance(literal, str):
            test = _compare_number(_number(field), op, as_double(literal))
            return test if op in ORDER else _also_of_text(field, test, op == "!=")
        case _:
            return f"({value} {op} ?)", [*bound, literal]


def _compare_number(number: _Sql, op: str, literal: float) -> _Sql:
    """DuckDB takes NaN for equal to itself and above all else; in a filter it is equal to itself and that is all."""
    value, bound = number
    if op == "!=":
        return f"({value} NOT IN (?::DOUBLE, 'nan'::DOUBLE))", [*bound, literal]
    if op == "=":
        return f"({value} = ?::DOUBLE)", [*bound, literal]
    if math.isnan(literal):
        return f"({value} <> {value})", bound + bound
    if op.startswith(">"):  # of the negative values, so that NaN is on the other side
        return f"(-({value}) {op.replace('>', '<')} ?::DOUBLE)", [*bound, -literal]
    return f"({value} {op} ?::DOUBLE)", [*bound, literal]


def _compare_version(value: str, bound: list[object], op: str, literal: int) -> _Sql:
    """Any of several versions may pass, so the least is compared by `<` and the greatest by `>`."""
    if op in ORDER:
        return f"(list_{'min' if op.startswith('<') else 'max'}({value}) {op} ?::HUGEINT)", [*bound, _version(literal)]
    return f"({'NOT ' * (op == '!=')}list_contains({value}, ?::HUGEINT))", [*bound, _version(literal)]


def _among(field: Field, values: tuple[Value, ...], *, negated: bool) -> _Sql:
    value, bound = _value(field)
    match nature_of(field):
        case "version":
            found = f"(len(list_filter({value}, lambda v: list_contains(?::HUGEINT[], v))) {'=' if negated else '>'} 0)"
            return found, [*bound, [_version(v) for v in values]]
        case "time":
            return _is_in((f"epoch_us({value})", bound), "BIGINT", [_microseconds(v) for v in values], negated)
    tests: list[_Sql] = []
    if texts := [v for v in values if isinstance(v, str)]:
        tests.append(_is_in((value, bound), "VARCHAR", texts, negated))
    if numbers := [as_double(v) for v in values if not isinstance(v, str)]:
        test = _is_in(_number(field), "DOUBLE", numbers + [math.nan] * negated, negated)
        tests.append(_also_of_text(field, test, negated) if field.kind == "params" else test)
    return _join(tests, " AND " if negated else " OR ")


def _is_in(value: _Sql, kind: str, values: list[Any], negated: bool) -> _Sql:
    """As a function and not as IN, which would be a subquery; DuckDB makes a join of either where many are asked."""
    return f"({'NOT ' * negated}list_contains(?::{kind}[], {value[0]}))", [values, *value[1]]


def _also_of_text(field: Field, test: _Sql, differs: bool) -> _Sql:
    """The test of a parameter as a number, where text is different from every number instead of unknown."""
    value, bound = _value(field)
    return f"coalesce({test[0]}, {value} {'=' if differs else '<>'} {value})", [*test[1], *bound, *bound]


def _like(field: Field, pattern: str, op: str) -> _Sql:
    """ILIKE as a regular expression, because DuckDB's own folds case by its own tables; both take linear time."""
    value, bound = _text(field)
    negation = "NOT " * op.startswith("not")
    if not op.endswith("ilike"):
        return f"({value} {negation}LIKE ?)", [*bound, pattern]
    expression = "".join(_any_case(c) for c in re.sub("%+", "%", pattern))
    return f"({negation}regexp_full_match({value}, ?, 's'))", [*bound, expression]


def _any_case(c: str) -> str:
    """A character of a pattern as a regular expression, of numbers where it is no wildcard."""
    if c in "%_":
        return ".*" if c == "%" else "."
    codes = (rf"\x{{{ord(v):x}}}" for v in sorted(variants(c)))
    return f"[{''.join(codes)}]"


def _version(literal: Any) -> int:
    return max(-_BEYOND, min(int(literal), _BEYOND))


def _microseconds(literal: Any) -> int | None:
    time = parse_time(literal)
    return None if time is None else count_microseconds(time)
