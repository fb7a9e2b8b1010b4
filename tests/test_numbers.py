import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lin.numbers import from_json, to_json


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_every_bit_pattern_survives_json(bits: int) -> None:
    (value,) = struct.unpack(">d", struct.pack(">Q", bits))
    back = from_json(json.loads(json.dumps(to_json(value), allow_nan=False)))
    assert struct.pack(">d", back) == struct.pack(">Q", bits)


@pytest.mark.parametrize("text", ["nan", "1.5", "NaN(0x0000000000000000)", "NaN(0xzz)", "", None, True, [1]])
def test_nothing_else_is_a_number(text: object) -> None:
    with pytest.raises(ValueError):
        from_json(text)
