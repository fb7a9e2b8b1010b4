"""The YAML of model folders: what is written is read back, and what makes more than plain values is refused."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lin.errors import OutsideError
from lin.models.yaml import DEEPEST, LARGEST, read_yaml, write_yaml

WRITTEN_BY_PYYAML = r"""
flavors:
  sklearn:
    code: null
    serialization_format: skops
    sklearn_version: 1.9.1
    skops_trusted_types:
    - sklearn.tree._tree.Tree
    - - nested
      - key: 1
        more: [1, 2.5]
    empty: {}
is_signature_from_type_hint: false
model_size_bytes: 8279
ratio: 0.5
quoted: 'it''s: "so" #1'
signature:
  inputs: '[{"type": "double", "name": "rm", "required": true}, {"type": "double",
    "name": "lstat", "required": true}]'
lines: 'one

  two


  four'
escaped: "tab\t, \xE9, \u2028, \U0001F600, a long one that goes\
  \ on \\"
plain: a text that is
  folded
utc_time_created: '2026-11-22 13:46:07.636067'
""".lstrip()

texts = st.text(st.characters(codec="utf-8"), max_size=20)
scalars = st.none() | st.booleans() | st.integers(-(10**18) + 1, 10**18 - 1) | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars.filter(lambda value: value not in {float("inf"), float("-inf")}),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(texts, values, min_size=1, max_size=5))
@example({"no": "yes", "null": "1.5", "- a": "- b", "a: b": ": c", "#": "# d", "": "", "x": "\x7f\x85\u2028'\"\\"})
@example({"a": [2.1221229601287092e-05, 5e-324, 1.7976931348623157e308, 1e16, -0.0, 123456789012345680.0]})
def test_what_is_written_is_read(value: dict[str, Any]) -> None:
    assert read_yaml(write_yaml(value).encode(), "file") == value


def test_what_pyyaml_writes_is_read() -> None:
    found = read_yaml(WRITTEN_BY_PYYAML.encode(), "MLmodel")
    assert found == {
        "flavors": {
            "sklearn": {
                "code": None,
                "serialization_format": "skops",
                "sklearn_version": "1.9.1",
                "skops_trusted_types": ["sklearn.tree._tree.Tree", ["nested", {"key": 1, "more": [1, 2.5]}]],
                "empty": {},
            }
        },
        "is_signature_from_type_hint": False,
        "model_size_bytes": 8279,
        "ratio": 0.5,
        "quoted": 'it\'s: "so" #1',
        "signature": {
            "inputs": '[{"type": "double", "name": "rm", "required": true}, '
            '{"type": "double", "name": "lstat", "required": true}]'
        },
        "lines": "one\ntwo\n\nfour",
        "escaped": "tab\t, é, \u2028, 😀, a long one that goes on \\",
        "plain": "a text that is folded",
        "utc_time_created": "2026-11-22 13:46:07.636067",
    }
    assert read_yaml(b'{"a": [1, null]}', "file") == {"a": [1, None]}
    assert read_yaml(b"# a remark\na: 1\r\nb:\n", "file") == {"a": 1, "b": None}
    assert read_yaml(b"", "file") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: !!python/object/apply:os.system ['true']", "line 1: it has the tag tag:yaml.org,2002:python"),
        ("!!python/name:os.system ''", "line 1: it has the tag"),
        ("a: 1\nb: !!str 1", "line 2: it has the tag"),
        ("a: &x [1]\nb: *x", "line 1: it has an anchor"),
        ("b: *x", "line 1: it has an alias"),
        ("? [a]\n: b", "line 1: it has a key that is no text"),
        ("a: 1\na: 2", "line 2: it has the key 'a' twice"),
        ("a: 1\n---\nb: 2", "holds 2 documents"),
        ("a: b: c", "line 1 is no YAML"),
        ("a: 'b", "is no YAML"),
        ("a: [1", "is no YAML"),
        ("a: \x07", "is no YAML"),
        ("b:\na: " + "9" * 5000, "line 2: it has a number of 5000 characters"),
    ],
)
def test_what_is_not_read_is_refused_by_its_line(text: str, said: str) -> None:
    with pytest.raises(OutsideError, match=r"^file") as refused:
        read_yaml(text.encode(), "file")
    assert said in refused.value.message


def test_times_stay_texts_and_numbers_are_as_yaml_has_them() -> None:
    found = read_yaml(b"day: 2026-11-22\nhex: 0x10\n1: yes\nnone: ~\nfar: .inf", "file")
    assert found == {"day": "2026-11-22", "hex": 16, "1": True, "none": None, "far": float("inf")}


TOO_MUCH = {
    "brackets": b"[" * LARGEST,
    "brackets behind a key": b"a: " + b"[" * (LARGEST - 3),
    "dashes": b"- " * (LARGEST // 2),
    "levels": b"".join(b" " * depth + b"a:\n" for depth in range(DEEPEST + 2)),
    "backslashes": b'a: "' + b"\\" * (LARGEST - 5),
    "quotes": b"a: " + b"'" * (LARGEST - 5),
    "escaped quotes": b'"' + b'\\"' * (LARGEST // 2 - 1),
    "quotes in lines": b"a: '\n" + b"  b'' \n" * 100_000,
    "bytes": b"x" * LARGEST + b"y",
    "no text": b"\xff\xfe",
    "hex digits": b"a: 0x" + b"f" * 900_000,
    "sixties": b"a: " + b"59:" * 300_000 + b"59",
    "sixties with a fraction": b"a: " + b"59:" * 300_000 + b"59.5",
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_what_is_too_much_is_refused(what: str) -> None:
    with pytest.raises(OutsideError):
        read_yaml(TOO_MUCH[what], "file")


@settings(max_examples=50, deadline=None)
@given(st.text(st.sampled_from("ab:-'\"\\#&*!|>[]{} \n\t,?%0.e~"), max_size=60))
def test_nothing_else_is_raised(text: str) -> None:
    with suppress(OutsideError):
        read_yaml(text.encode(), "file")
