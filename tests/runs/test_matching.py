import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lin.runs.matching import as_double, like, param_number, param_text, sort_key, variants
from lin.runs.where import parse_field


@dataclass(frozen=True)
class Run:
    params: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, object] = field(default_factory=dict)
    inputs: Mapping[str, Collection[int]] = field(default_factory=dict)


# --- numbers and texts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("+1.", 1),
        (".5", 0.5),
        ("-1E-2", -0.01),
        ("1e999", math.inf),
        ("-Infinity", -math.inf),
        ("iNF", math.inf),
    ],
)
def test_a_number(text, number):
    assert param_number(text) == number


@pytest.mark.parametrize(
    "text", ["", ".", "1e", "e1", " 1", "1 ", "1\n", "1_0", "1,0", "0x1", "1j", "\u0661", "infin", "\u0131nf", "True"]
)
def test_no_number(text):
    assert param_number(text) is None


@pytest.mark.parametrize("value", [0.1, 1e22, 5e-324, math.inf, -math.inf, 3, -(2**70)])
def test_a_number_is_the_same_as_its_text(value):
    assert param_number(param_text(value)) == value


def test_nan_is_a_number():
    assert math.isnan(param_number("nan"))


def test_a_whole_number_beyond_all_doubles_is_infinite():
    assert (as_double(10**400), as_double(-(10**400)), as_double(2**53 + 1)) == (math.inf, -math.inf, 2**53)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "True"), (0.1, "0.1"), ([1, "\u00e4"], '[1, "\u00e4"]'), ({"a": None}, '{"a": null}'), ("x", "x")],
)
def test_a_parameter_as_text(value, text):
    assert param_text(value) == text


# --- the order ----------------------------------------------------------------------------------------------

RUNS = {
    "a": Run({"p": "10"}, {"m": math.nan}, {"t": "b"}, {"started": datetime(2026, 1, 1, tzinfo=UTC)}, {"i": {1, 5}}),
    "b": Run({"p": 9.5}, {"m": -1.0}, {"t": "B"}, {"started": "2025-12-31T23:59:59.999999+00:00"}, {"i": {3}}),
    "c": Run({"p": "auto"}, {"m": math.inf}, {"t": "\u00e4"}, {"started": "2026-01-01T01:00:00.000001+01:00"}),
    "d": Run({"p": True}, {"m": -0.0}, {"t": "ba"}, {"started": "2026-01-01T00:00:00.000002"}, {"i": set()}),
    "e": Run({"p": 1e1}, {"m": 0.0}, {}, {}, {"i": {5}}),
    "f": Run({"p": math.nan}),
    "g": Run({"p": None}),
}


@pytest.mark.parametrize(
    ("by", "ascending", "descending"),
    [
        ("params.p", "beadcgf", "eabcdgf"),
        ("metrics.m", "bedcgfa", "cedbgfa"),
        ("tags.t", "badcgfe", "cdabgfe"),
        ("started", "bacdgfe", "dcabgfe"),
        ("inputs.i", "beagfdc", "eabgfdc"),
        ("id", "gfedcba", "gfedcba"),
    ],
)
def test_the_order(by, ascending, descending):
    for is_descending, expected in ((False, ascending), (True, descending)):
        keys = {i: sort_key(parse_field(by), run, i, descending=is_descending) for i, run in RUNS.items()}
        assert "".join(sorted(RUNS, key=lambda i: keys[i])) == expected


# --- LIKE ---------------------------------------------------------------------------------------------------


def reference_like(text: str, pattern: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "%":
        return reference_like(text, pattern[1:]) or (bool(text) and reference_like(text[1:], pattern))
    return bool(text) and pattern[0] in {"_", text[0]} and reference_like(text[1:], pattern[1:])


pieces = st.lists(st.sampled_from(["a", "b", "_", "%", "%a_%", "%_b%"]), max_size=5).map("".join)


@given(st.text(alphabet="ab", max_size=8), pieces)
@settings(max_examples=200, deadline=None)
@example("a", "a%a")
@example("bbab", "%a_%")
@example("bbabb", "%a_")
@example("bbbba", "b%a_%")
def test_like_is_as_its_definition(text, pattern):
    assert like(text, pattern) == reference_like(text, pattern)
    assert like(text.upper(), pattern, ignore_case=True) == reference_like(text, pattern)


@pytest.mark.parametrize(
    ("text", "pattern", "fits"),
    [
        ("\u00c4PFEL", "\u00e4pfel", True),
        ("\u00e4pfel", "%\u00c4P%", True),
        ("\u00df", "ss", False),
        ("ss", "\u00df", False),
        ("\u0130", "i", False),
        ("i", "\u0130", False),
        ("\u212a", "k", False),
        ("k", "\u212a", True),
        ("%_\\", "%_\\", True),
    ],
)
def test_case_is_ignored_one_character_at_a_time(text, pattern, fits):
    assert like(text, pattern, ignore_case=True) == fits


def test_a_character_is_always_its_own_variant():
    assert all(chr(code) in variants(chr(code)) for code in range(0x3000))
