"""DuckDB and Python answer alike: the SQL of a filter or an order, and `matches` or `sort_key`, on the same runs."""

import math
import struct
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.sql import connect
from lin.runs.matching import matches, param_text, sort_key
from lin.runs.sql import compile_filter, compile_order
from lin.runs.where import (
    ATTRIBUTES,
    MOST_COMPARISONS,
    And,
    Compare,
    Expression,
    Field,
    In,
    IsNull,
    Not,
    Or,
    nature_of,
    parse_field,
    parse_where,
)

START = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
TEXT, NUMBER = pa.string(), pa.float64()
SCHEMA = pa.schema(
    {
        **dict.fromkeys(("id", "name", "kind", "status", "experiment", "sweep", "parent", "actor"), TEXT),
        "started": pa.timestamp("us", "UTC"),
        "seconds": NUMBER,
        "params": pa.map_(TEXT, TEXT),
        "metrics": pa.map_(TEXT, NUMBER),
        "tags": pa.map_(TEXT, TEXT),
        "inputs": pa.map_(TEXT, pa.list_(pa.int64())),
    }
)


@dataclass(frozen=True)
class Run:
    params: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, object] = field(default_factory=dict)
    inputs: Mapping[str, Collection[int]] = field(default_factory=dict)


class Table:
    """A Parquet file with a row for each run, whose ids are their places in the list."""

    def __init__(self, runs: list[Run], path: Path) -> None:
        ids = [f"{place:04}" for place in range(len(runs))]
        self.runs = {i: replace(run, attributes={**run.attributes, "id": i}) for i, run in zip(ids, runs, strict=True)}
        pq.write_table(pa.Table.from_pylist([_row(run) for run in self.runs.values()], schema=SCHEMA), path)
        self.connection = connect()
        self.connection.execute(f"CREATE VIEW rows AS FROM read_parquet('{path}')")

    def select(self, expression: Expression) -> list[str]:
        condition, values = compile_filter(expression)
        return self.ask(f"WHERE {condition} ORDER BY id", values)

    def order(self, by: Field, *, descending: bool) -> list[str]:
        terms, values = compile_order(by, descending=descending)
        return self.ask(f"ORDER BY {terms}", values)

    def ask(self, rest: str, values: list[object]) -> list[str]:
        return [row[0] for row in self.connection.execute(f"SELECT id FROM rows {rest}", values).fetchall()]

    def select_each(self, expressions: list[Expression]) -> list[list[str]]:
        """What `select` says of each, by one scan."""
        parts = [compile_filter(expression) for expression in expressions]
        columns = ", ".join(f"list(id ORDER BY id) FILTER (WHERE {condition})" for condition, _ in parts)
        values = [value for _, bound in parts for value in bound]
        return [ids or [] for ids in self.connection.execute(f"SELECT {columns} FROM rows", values).fetchall()[0]]

    def expect(self, expression: Expression) -> list[str]:
        return [run_id for run_id, run in self.runs.items() if matches(expression, run)]

    def expect_order(self, by: Field, *, descending: bool) -> list[str]:
        return sorted(self.runs, key=lambda i: sort_key(by, self.runs[i], i, descending=descending))


def _row(run: Run) -> dict[str, object]:
    params = {key: None if value is None else param_text(value) for key, value in run.params.items()}
    versions = {table: sorted(found) for table, found in run.inputs.items()}
    maps = {"params": params, "metrics": run.metrics, "tags": run.tags, "inputs": versions}
    return {**run.attributes, **{name: list(values.items()) for name, values in maps.items()}}


@pytest.fixture
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("index") / "runs.parquet"


# --- each value meets each literal --------------------------------------------------------------------------

TEXTS = [
    "", " ", "1", " 1", "1 ", "1_0", "10", "0.1", "0.10", "1e-1", ".1", "1.", "+1", "-1", "-0", "1e5", "1E400",
    "1e", "e5", ".", "+", "0x10", "1,5", "nan", "NaN", "-nan", "inf", "-Infinity", "+INF", "infinit", "\u0661",
    "1\n", "1e-400", "9007199254740993", "9007199254740992", "9" * 400, "True", "None", "[1, 2]", "a", "A", "ab",
    "aXb", "a%b", "a_b", "a\\b", "a\nb", "a\0b", "\0", "\u00e4", "\u00c4", "a\u0308", "\u00df", "\u1e9e", "\u017f",
    "s", "S", "K", "k", "\u212a", "i", "\u0130", "\u0131", "I", "\u03c3", "\u03c2", "\u03a3", "\u01c5", "\u01c6",
    "\u01c4", "\U0001f389", "\U0010ffff", "\ufffd", "$^.*[]()", "[a]", "^", "\ue000", "\\", "\\d", "a" * 2000,
]  # fmt: skip
ODD_NAN = struct.unpack("<d", bytes.fromhex("010000000000f8ff"))[0]  # negative, and with a payload
DOUBLES = [0.0, -0.0, 0.1, 1.0, -1.0, 10.0, 1e5, 1e-7, 5e-324, 2.0**53, math.inf, -math.inf, math.nan, ODD_NAN]
WHOLES = [0, 1, -1, 10, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**30, 10**400]
OTHERS = [None, True, False, [1, 2], [], {"a": [None, 0.1]}, {}, [math.nan]]
PATTERNS = [
    "%", "_", "a%", "%b", "%%", "a_b", "%a%b%", "_%_", "%\u00e4%", "%.%", "%\\%", "%0%", "1%_", "_\0_", "%s", "%[%",
    "_%b",
]  # fmt: skip
VERSIONS = [{0}, {1}, {0, 2}, {1, 2, 3}, {2**53, 2**53 + 2}, {2**53 + 1}, {2**63 - 1}, set()]
TIMES = [START, START + timedelta(microseconds=1), datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
MOMENTS = [
    "2026-11-22",
    "2026-11-22T10:30",
    "2026-11-22T11:30:00+01:00",
    "2026-11-22T10:30:00.000001Z",
    "9999-12-31T23:59-23:59",
    "0001-01-01T00:00+23:59",
]
ORDERS = ["=", "!=", "<", "<=", ">", ">="]
LIKES = ["like", "ilike", "not like", "not ilike"]


def each_test(name: Field) -> Iterator[Expression]:
    numbers: list[Any] = [*WHOLES, *DOUBLES]
    literals = {
        "number": numbers,
        "version": WHOLES,
        "time": MOMENTS,
        "text": TEXTS,
        "param": [*numbers, *TEXTS],
    }[nature_of(name)]
    yield from (IsNull(name, negated) for negated in (False, True))
    for literal in literals:
        is_ordered = nature_of(name) == "time" or not isinstance(literal, str)
        yield from (Compare(name, op, literal) for op in (ORDERS if is_ordered else ORDERS[:2]))
        yield from (In(name, (literal, literals[-1]), negated) for negated in (False, True))
    if nature_of(name) in {"text", "param"}:
        yield from (Compare(name, op, pattern) for op in LIKES for pattern in [*PATTERNS, *TEXTS])
    if nature_of(name) == "time":
        shapes = ["2026-11-22T10:30:00.000000+00:00", "%.000001+%", "0001%", "2026-%t10:30%"]
        yield from (Compare(name, op, pattern) for op in LIKES for pattern in shapes)


@pytest.mark.parametrize(
    ("by", "values"),
    [
        ("params.a", [*TEXTS, *DOUBLES, *WHOLES, *OTHERS]),
        ("metrics.a", DOUBLES),
        ("seconds", [0.0, 0.1, 1.0, 1e5, None]),
        ("tags.a", TEXTS),
        ("sweep", [*TEXTS, None]),
        ("started", TIMES),
        ("inputs.a", VERSIONS),
    ],
)
def test_each_value_meets_each_literal(path, by, values):
    name = parse_field(by)
    runs = [Run(**{name.kind: {name.key: value}}) for value in values]
    table = Table([*runs, Run()] if by != "started" else runs, path)
    tests = list(each_test(name))
    for expressions in (tests[at : at + 50] for at in range(0, len(tests), 50)):
        both = [*expressions, *map(Not, expressions)]  # false and unknown differ by what NOT makes of them
        for expression, answer in zip(both, table.select_each(both), strict=True):
            assert answer == table.expect(expression), expression
    for descending in (False, True):
        assert table.order(name, descending=descending) == table.expect_order(name, descending=descending)


# --- any runs, any filter -----------------------------------------------------------------------------------

KEYS = ["a", 'b"; --', "' or \u00e4"]
texts = st.sampled_from(TEXTS) | st.text(alphabet="aAbB_%1.e", max_size=5) | st.text(max_size=3)
doubles = st.sampled_from(DOUBLES) | st.floats()
wholes = st.sampled_from(WHOLES) | st.integers()
scalars = st.sampled_from(OTHERS) | wholes | doubles | texts
versions = st.integers(0, 4) | st.sampled_from([2**53, 2**53 + 1, 2**63 - 1])
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(seconds=-3601))])
near = st.timedeltas(timedelta(days=-2), timedelta(days=2)).map(lambda t: START + t)
moments = st.sampled_from(MOMENTS) | st.builds(datetime.astimezone, near, zones).map(datetime.isoformat)
patterns = st.lists(texts | st.sampled_from(["%", "_", "%%", "_%"]), max_size=4).map("".join)


def named(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, values))


some_runs = st.builds(
    Run,
    named(scalars | st.lists(scalars, max_size=2) | named(scalars)),
    named(doubles),
    named(texts),
    st.fixed_dictionaries(
        {"started": st.sampled_from(TIMES) | near},
        optional={"seconds": doubles.filter(math.isfinite), "name": texts, "sweep": texts},
    ),
    named(st.sets(versions, max_size=3)),
)
kinds = st.sampled_from(["params", "params", "metrics", "tags", "inputs"])
fields = st.builds(Field, kinds, st.sampled_from(KEYS)) | st.sampled_from(ATTRIBUTES).map(parse_field)


def leaves_of(name: Field) -> st.SearchStrategy[Expression]:
    """The comparisons that the language has for a field."""
    equal: st.SearchStrategy[Any]
    ordered: st.SearchStrategy[Any]
    equal, ordered = {
        "number": (wholes | doubles, wholes | doubles),
        "version": (versions | wholes, versions | wholes),
        "time": (moments, moments),
        "text": (texts, st.nothing()),
        "param": (wholes | doubles | texts, wholes | doubles),
    }[nature_of(name)]
    leaves: list[st.SearchStrategy[Any]] = [
        st.builds(IsNull, st.just(name), st.booleans()),
        st.builds(Compare, st.just(name), st.sampled_from(ORDERS[:2]), equal),
        st.builds(In, st.just(name), st.lists(equal, min_size=1, max_size=4).map(tuple), st.booleans()),
        st.builds(Compare, st.just(name), st.sampled_from(ORDERS[2:]), ordered),
    ]
    if nature_of(name) in {"time", "text", "param"}:
        leaves.append(st.builds(Compare, st.just(name), st.sampled_from(LIKES), patterns))
    return st.one_of(leaves)


def combine(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, inner) | st.builds(And, parts) | st.builds(Or, parts)


trees = st.recursive(fields.flatmap(leaves_of), combine, max_leaves=6)


@given(st.lists(some_runs, min_size=1, max_size=6), st.lists(trees, min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_a_filter_selects_what_matches(tmp_path_factory, runs, expressions):
    table = Table(runs, tmp_path_factory.getbasetemp() / "filtered.parquet")
    for expression in expressions:
        assert table.select(expression) == table.expect(expression), expression


@given(st.lists(some_runs, min_size=2, max_size=8), st.lists(fields, min_size=1, max_size=6), st.booleans())
@settings(max_examples=50, deadline=None)
def test_an_order_is_that_of_the_keys(tmp_path_factory, runs, names, descending):
    table = Table(runs, tmp_path_factory.getbasetemp() / "ordered.parquet")
    for by in names:
        assert table.order(by, descending=descending) == table.expect_order(by, descending=descending), by


# --- hostile and long ---------------------------------------------------------------------------------------

HOSTILE = [
    "'; DROP VIEW rows; --",
    "' OR '1'='1",
    "x') OR true --",
    "?",
    "$1",
    "?); SELECT 1; --",
    "\\",
    "%'",
    "/*",
    "]",
]


@pytest.mark.parametrize("text", [*HOSTILE, "\0", '"', "`"])
def test_no_text_becomes_sql(path, text):
    table = Table([Run({text: text}, {text: 1.0}, {text: text}, {"name": text}, {text: {1}}), Run()], path)
    value, key = "'" + text.replace("'", "''") + "'", '"' + text.replace('"', '""') + '"'
    for where in (
        f"params.{key} = {value} and metrics.{key} = 1 and tags.{key} in ({value}) and inputs.{key} in (1, 5)",
        f"tags.{key} like {value} and tags.{key} ilike {value} and params.{key} in ({value}, 5) and name = {value}",
    ):
        assert table.select(parse_where(where)) == ["0000"]
    for by in ("params", "tags", "metrics", "inputs"):
        assert table.order(parse_field(f"{by}.{key}"), descending=True) == ["0000", "0001"]


def test_the_sql_depends_on_the_shape_of_a_filter_alone():
    one = parse_where("params.a = 'x' and metrics.b in (1, 2) and tags.c like '%a_%' and name = 'a'")
    other = parse_where("params.\"?\" = '--' and metrics.`'` in (3) and tags.\"\" like '_''%%;' and name = ''")
    assert compile_filter(one)[0] == compile_filter(other)[0]
    assert (
        compile_order(parse_field("params.a"), descending=True)[0]
        == compile_order(parse_field("params.`) --`"), descending=True)[0]
    )


def test_only_the_columns_asked_for_are_named():
    condition, _ = compile_filter(parse_where("metrics.a < 1 or tags.b is null"))
    assert {name for name in SCHEMA.names if name in condition} == {"metrics", "tags"}


NUMBERS = ", ".join(map(str, range(1, 50_000)))


@pytest.mark.parametrize(
    "where",
    [
        " or ".join(["params.a = 5"] * MOST_COMPARISONS),
        " and ".join(["tags.a not in ('x', 'y', 'z')"] * MOST_COMPARISONS),
        "(" * 100 + "params.a = 5" + ")" * 100,
        "not (" * 50 + "params.a = 5 and tags.a = 'x' or params.b is null" + ")" * 50,
        f"params.a in ({NUMBERS}) or metrics.a not in ({NUMBERS}) or inputs.a in ({NUMBERS})",
        "tags.a in (" + "'x', " * 50_000 + "'y')",
        "tags.a like '" + "a%" * 499 + "b'",
        "tags.a like '%" + "a_" * 498 + "b%'",
        "tags.a ilike '" + "%a" * 499 + "b%'",
        "tags.a like '" + "%" * 100 + "a" * 890 + "b'",
        "tags.a like '" + "%a_" * 300 + "b%'",
        "tags.a ilike '" + "%a_" * 300 + "b%'",
        "tags.a ilike '" + "_" * 1000 + "'",
        "tags.a ilike '" + "\u01c5" * 1000 + "' or tags.a ilike '" + "%\U00010428" * 500 + "'",
    ],
    ids=range(14),
)
def test_what_is_long_is_answered(path, where):
    text = "a" * 200_000
    table = Table([Run({"a": text}, {"a": 0.0}, {"a": text}, inputs={"a": {0}}), Run()], path)
    began = time.perf_counter()
    assert table.select(parse_where(where)) == table.expect(parse_where(where))
    assert time.perf_counter() - began < 20
