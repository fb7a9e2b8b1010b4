import contextlib
import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.errors import UsageError
from lin.runs.matching import matches, value_of
from lin.runs.where import (
    ATTRIBUTES,
    And,
    Compare,
    Expression,
    Field,
    In,
    IsNull,
    Not,
    Or,
    Value,
    format_field,
    parse_field,
    parse_where,
)


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


def _format_value(value: Value) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


@dataclass(frozen=True)
class Run:
    params: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, object] = field(default_factory=dict)
    inputs: Mapping[str, Collection[int]] = field(default_factory=dict)


RUN = Run(
    params={
        "alpha": 0.1,
        "text": "0.10",
        "deep": None,
        "flag": True,
        "list": [1, 2],
        "n": 3,
        "word": "lasso",
        "huge": 2**53 + 1,
        "padded": " 1",
        "grouped": "1_000",
    },
    metrics={"rmse": 4.5, "f1 score": 0.9, "bad": math.nan, "huge": math.inf, "a/b-c": 1.0},
    tags={"team": "alpha", "mlflow.runName": "x", "number": "10"},
    attributes={
        "status": "finished",
        "name": "ridge",
        "started": datetime(2026, 11, 22, 10, 30, tzinfo=UTC),
        "seconds": 2.5,
        "sweep": None,
    },
    inputs={"housing": {0, 2}, "other": {7}, "none": set()},
)


@pytest.mark.parametrize(
    "text",
    [
        "metrics.rmse < 5",
        "metric.rmse>=4.5 AND NOT metrics.rmse <> 4.5",
        "metrics.rmse < 5 and (params.alpha = '0.1' or tags.team like 'a%')",
        "metrics.rmse > 99 or metrics.rmse < 5 and tags.team = 'alpha'",
        'metrics."f1 score" = 0.9 and metrics.`f1 score` = .9 and metrics.a/b-c == 1',
        "params.alpha = 0.1 and params.alpha = 1e-1 and params.alpha < +0.2 and params.alpha in (1, 0.1)",
        "params.text = 0.1 and params.text != '0.1' and params.text = '0.10'",
        "params.word != 0.1 and params.word = \"lasso\" and params.flag = 'True' and params.list = '[1, 2]'",
        "params.deep is null and params.missing is null and params.n is not null",
        "tags.mlflow.runName = 'x' and tag.team ilike 'ALPH_' and tags.team not like 'b%'",
        "tags.team in ('a', 'alpha') and tags.team not in ('b')",
        "status = 'finished' and attributes.status = 'finished' and attr.name = 'ridge' and run.seconds < 3",
        "started > '2026-11-22' and started = '2026-11-22T11:30+01:00' and started like '2026-11-%'",
        "inputs.housing = 2 and inputs.housing = 0 and inputs.housing < 1 and inputs.housing in (2, 9)",
        "inputs.housing != 1 and inputs.housing not in (1, 3) and inputs.other is not null",
        "metrics.bad = NaN and not metrics.bad != nan and metrics.rmse != NaN and metrics.bad in (nan)",
        "metrics.huge = inf and metrics.huge > 1e308 and metrics.rmse > -Infinity",
        "sweep is null and inputs.nobody is null and inputs.none is null",
        "run_name = 'ridge' and attributes.start_time > '2026-11-22' and created < '2027-01-01' and run_id is null",
        "params.huge > 9007199254740991 and params.huge = 9007199254740992 and params.huge like '%993'",
        "params.padded = ' 1' and params.padded != 1 and not params.padded = 1 and not params.grouped = 1000",
    ],
)
def test_true(text):
    assert matches(parse_where(text), RUN)


@pytest.mark.parametrize(
    "text",
    [
        "metrics.rmse > 5",
        "metrics.missing < 5",
        "not metrics.missing < 5",
        "not (metrics.missing < 5 and metrics.rmse < 5)",
        "metrics.missing < 5 or metrics.rmse > 5",
        "metrics.missing not in (1)",
        "metrics.rmse < 5 and metrics.missing < 5",
        "not (metrics.missing < 5 or metrics.rmse > 5)",
        "metrics.rmse is null",
        "params.word < 5",
        "not params.word < 5",
        "params.flag = 1",
        "params.deep = 'None'",
        "metrics.bad < 5 or metrics.bad > 5 or metrics.bad != 5 or metrics.rmse = nan or metrics.rmse < nan",
        "inputs.housing != 2",
        "inputs.housing not in (2, 9)",
        "inputs.housing > 2",
        "inputs.none != 1",
        "tags.team like 'A%'",
        "tags.team not ilike 'ALPHA'",
        "started < '2026-11-22'",
        "(metrics.rmse > 99 or metrics.rmse < 5) and tags.team = 'beta'",
    ],
)
def test_not_true(text):
    assert not matches(parse_where(text), RUN)


def test_unknown_does_not_hide_what_decides():
    assert matches(parse_where("metrics.missing < 5 or metrics.rmse < 5"), RUN)
    assert matches(parse_where("not (metrics.missing < 5 and metrics.rmse > 5)"), RUN)


@pytest.mark.parametrize(
    ("text", "message", "caret"),
    [
        ("metrics.rmse", "expected a comparison after 'metrics.rmse'", 12),
        ("metrics.rmse and status = 'x'", "expected a comparison after 'metrics.rmse'", 13),
        ("", "expected a field such as metrics.rmse", 0),
        ("metrics.rmse < ", "expected a value after '<'", 15),
        ("status = finished", "expected a value after '='", 9),
        ("statos = 'x'", "a run has no attribute 'statos'", 0),
        ("attr.rmse < 1", "a run has no attribute 'rmse'", 0),
        ("metrik.rmse < 1", "there are no 'metrik' in a run", 0),
        ("metrics < 1", "expected a name after 'metrics'", 8),
        ("(metrics.a < 1", "this parenthesis is never closed", 0),
        ("metrics.a < 1)", "this parenthesis was never opened", 13),
        ("models.a = 1", "there are no 'models' in a run", 0),
        ("status = 'FINISHED'", "status is one of finished, failed, interrupted, running, abandoned", 9),
        ("kind in ('train', 'trian')", "kind is one of train,", 18),
        ("tags.a = '\udc80'", "this is no character of UTF-8", 10),
        ("(metrics.a < 1 tags.b", "expected AND, OR or ')' after '1'", 15),
        ("metrics.a < 1 tags.b = 'c'", "expected AND, OR or the end after '1'", 14),
        ("tags.a = 'it", "this quote is never closed", 9),
        ('metrics."a < 1', "expected a name after 'metrics'", 7),
        ("tags.a = 'b'; drop", "';' has no meaning here", 12),
        ("metrics.a < '5'", "metrics.a is a number: compare it with a number, without quotes", 12),
        ("seconds like 'a'", "seconds is a number: compare it with a number, without quotes", 13),
        ("tags.a = 5", "tags.a is text: put the value in quotes, '5'", 9),
        ("name < 'a'", "name is text: it has =, !=, LIKE, ILIKE and IN, but not <", 7),
        ("params.a < 'b'", "params.a has < with numbers only, without quotes", 11),
        ("params.a like 5", "params.a LIKE takes a pattern in quotes, with % and _", 14),
        ("inputs.t = 1.5", "inputs.t is a version: compare it with a whole number", 11),
        ("started > 'noon'", "started is a time", 10),
        ("started > 5", "started is a time", 10),
        ("tags.a in 'b'", "expected '(' with values after 'in'", 10),
        ("tags.a in ()", "expected a value after '('", 11),
        ("tags.a in ('b' 'c')", "expected ',' or ')' after ''b''", 15),
        ("tags.a is 5", "expected NULL or NOT NULL after 'is'", 10),
        ("tags.a not = 5", "expected IN, LIKE or ILIKE after 'not'", 11),
    ],
)
def test_a_mistake_is_pointed_at(text, message, caret):
    with pytest.raises(UsageError) as caught:
        parse_where(text)
    said, shown, pointer = caught.value.message.split("\n")
    assert said.startswith(message)
    assert (shown, pointer) == (f"  {text.replace(chr(0xDC80), ' ')}", f"  {' ' * caret}^")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("statos = 'x'", "did you mean 'status'?"),
        ("metrik.rmse < 1", "did you mean 'metric'?"),
        ("status = finished", "text stands in quotes: 'finished'"),
        ("dataset.name = 'x'", "inputs.NAME = VERSION asks for a table"),
        (" or ".join(["id = 'x'"] * 301), "IN takes any number of values"),
    ],
)
def test_a_mistake_has_a_hint(text, hint):
    with pytest.raises(UsageError) as caught:
        parse_where(text)
    assert caught.value.hint == hint


def test_an_unknown_bare_word_is_told_where_names_go():
    with pytest.raises(UsageError) as caught:
        parse_where("rmse < 5")
    assert caught.value.hint.endswith("others have their kind in front, as in metrics.rmse")


def test_a_mistake_far_inside_shows_its_surroundings_only():
    text = "metrics.a < 1 and " * 100 + "metrics.b ? 1" + " and metrics.a < 1" * 100
    with pytest.raises(UsageError) as caught:
        parse_where(text)
    _, shown, pointer = caught.value.message.split("\n")
    assert len(shown) < 100
    assert shown[pointer.index("^")] == "?"


@pytest.mark.parametrize("nest", ["not ", "("])
def test_depth_is_capped(nest):
    closing = ")" if nest == "(" else ""
    parse_where(nest * 100 + "name = 'x'" + closing * 100)
    with pytest.raises(UsageError, match="more than 100"):
        parse_where(nest * 200_000 + "name = 'x'" + closing * 200_000)


def test_siblings_are_not_depth():
    assert matches(parse_where(" and ".join(["not (name = 'x')"] * 300)), RUN)


@pytest.mark.parametrize(
    "text",
    [
        "tags.team like '" + "a%" * 500 + "b'",
        "tags.team like '" + "%" + "a_" * 498 + "b%'",
        "tags.team in (" + ", ".join(["'x'"] * 200_000) + ")",
        " or ".join(["metrics.rmse > 5"] * 50_000),
        "tags." + "a" * 1_000_000,
        "'" * 1_000_001,
        "metrics.a <" + " " * 1_000_000,
        "metrics.a < " + "9" * 1_000_000,
        "metrics.a < 1" + "e" * 1_000_000,
        "x" * 1_000_000 + " = 5",
    ],
)
def test_a_megabyte_is_answered_fast(text):
    run = Run(tags={"team": "a" * 1_000_000}, metrics=RUN.metrics)
    began = time.perf_counter()
    with contextlib.suppress(UsageError):
        assert not matches(parse_where(text), run)
    assert time.perf_counter() - began < 3


def test_a_pattern_is_capped():
    with pytest.raises(UsageError, match="1000 characters"):
        parse_where(f"tags.a like '{'a' * 1001}'")


def test_values_and_fields():
    assert value_of(parse_field("metrics.rmse"), RUN) == 4.5
    assert value_of(parse_field(' metrics."f1 score" '), RUN) == 0.9
    assert value_of(parse_field("status"), RUN) == "finished"
    assert value_of(parse_field("inputs.housing"), RUN) == (0, 2)
    assert value_of(parse_field("inputs.other"), RUN) == 7
    assert value_of(parse_field("inputs.none"), RUN) is None
    assert value_of(parse_field("tags.none"), RUN) is None
    with pytest.raises(UsageError, match="expected the end after"):
        parse_field("metrics.rmse desc")


# --- laws ---------------------------------------------------------------------------------------------------

keys = st.text(min_size=0, max_size=8)
numbers = st.integers() | st.floats(allow_nan=False) | st.just(math.nan)
texts = st.text(max_size=8)
parameter = st.builds(Field, st.just("params"), keys)
number_field = st.builds(Field, st.just("metrics"), keys) | st.just(Field("attributes", "seconds"))
text_field = st.builds(Field, st.just("tags"), keys) | st.builds(
    Field, st.just("attributes"), st.sampled_from(["actor", "id", "name", "parent", "sweep"])
)
leaves = st.one_of(
    st.builds(Compare, number_field | parameter, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), numbers),
    st.builds(
        Compare,
        text_field | parameter,
        st.sampled_from(["=", "!=", "like", "ilike", "not like", "not ilike"]),
        texts,
    ),
    st.builds(In, text_field | parameter, st.lists(texts, min_size=1).map(tuple), st.booleans()),
    st.builds(In, st.builds(Field, st.just("inputs"), keys), st.lists(st.integers(), min_size=1).map(tuple)),
    st.builds(IsNull, number_field | text_field | parameter, st.booleans()),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@given(trees)
@settings(max_examples=50, deadline=None)
def test_what_is_printed_is_parsed_back(tree):
    assert repr(parse_where(format_where(tree))) == repr(tree)  # NaN equals itself as text only
    assert matches(tree, RUN) in {True, False}


@given(st.sampled_from(ATTRIBUTES).map(lambda a: Field("attributes", a)) | parameter | number_field)
@settings(max_examples=25, deadline=None)
def test_a_printed_field_is_parsed_back(name):
    assert parse_field(format_field(name)) == name


words = [
    "metrics.a",
    "params.",
    "tags.`b`",
    "status",
    "(",
    ")",
    "and",
    "or",
    "not",
    "in",
    "is",
    "null",
    "like",
    "'",
]
words += ["<", "=", "1", "-1e999", "'x'", '"', ",", ".", "\0", "é", "nan", "+", "\n", "٣"]


@given(st.text(max_size=20) | st.lists(st.sampled_from(words), max_size=12).map(" ".join))
@settings(max_examples=50, deadline=None)
def test_no_input_makes_anything_but_a_usage_error(text):
    try:
        tree = parse_where(text)
    except UsageError:
        return
    assert matches(tree, RUN) in {True, False}
