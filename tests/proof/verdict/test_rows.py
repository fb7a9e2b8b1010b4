"""Rows compared place by place, against a comparison cell by cell."""

import math
import struct
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.proof.verdict.rows import compare_rows

FLOATS = st.one_of(st.none(), st.floats(), st.sampled_from([math.nan, 0.0, -0.0, 1.0, 1.5]))
COLUMNS = {
    "float": (pa.float64(), FLOATS),
    "float32": (pa.float32(), st.one_of(st.none(), st.floats(width=32, allow_nan=False))),
    "int": (pa.int64(), st.one_of(st.none(), st.integers(0, 3))),
    "text": (pa.string(), st.one_of(st.none(), st.sampled_from(["a", "b", ""]))),
    "bool": (pa.bool_(), st.one_of(st.none(), st.booleans())),
    "list": (pa.list_(pa.int64()), st.one_of(st.none(), st.lists(st.integers(0, 2), max_size=2))),
    "null": (pa.null(), st.none()),
}


def same(x: Any, y: Any) -> bool:
    if isinstance(x, float) and isinstance(y, float):
        return struct.pack(">d", x) == struct.pack(">d", y)
    return type(x) is type(y) and x == y


@settings(max_examples=50, deadline=None)
@given(data=st.data(), size=st.integers(0, 6))
def test_a_column_differs_where_its_cells_do(data: st.DataObject, size: int) -> None:
    kind, cells = COLUMNS[data.draw(st.sampled_from(sorted(COLUMNS)))]
    first, second = (data.draw(st.lists(cells, min_size=size, max_size=size)) for _ in range(2))
    tables = [pa.table({"x": pa.array(values, kind)}) for values in (first, second)]
    first, second = (table.column("x").to_pylist() for table in tables)
    found = compare_rows(*tables, what="it")
    wrong = [not same(x, y) for x, y in zip(first, second, strict=True)]
    assert found.same is not any(wrong)
    assert [d.name for d in found.differences] == ([f"{sum(wrong)} of {size} rows of 'x'"] if any(wrong) else [])
    assert found.close is found.same
    gaps = [
        abs(x - y) for x, y, w in zip(first, second, wrong, strict=True) if w and isinstance(x, float) and y is not None
    ]
    finite = [gap for gap in gaps if not math.isnan(gap)]
    assert found.largest == (max(finite) if finite else None)


def test_how_values_are_packed_is_no_difference() -> None:
    plain = pa.table({"x": ["a", "b", None]})
    packed = pa.table({"x": pa.chunked_array([pa.array(["a"]), pa.array(["b", None])]).dictionary_encode()})
    large = pa.table({"x": pa.array(["a", "b", None], pa.large_string())})
    assert compare_rows(plain, packed, what="it").same
    assert compare_rows(plain, large, what="it").same


@pytest.mark.parametrize(("first", "second"), [(pa.int64(), pa.float64()), (pa.float32(), pa.float64())])
def test_another_type_is_never_close(first: pa.DataType, second: pa.DataType) -> None:
    found = compare_rows(
        pa.table({"x": pa.array([1, 2], first)}), pa.table({"x": pa.array([1, 2], second)}), what="it", tolerance=1.0
    )
    assert [d.name for d in found.differences] == ["type of 'x'"]
    assert (found.same, found.close) == (False, False)


def test_a_bit_of_the_payload_of_a_nan_is_a_difference() -> None:
    payload = struct.unpack(">d", bytes.fromhex("7ff8000000000001"))[0]
    tables = [pa.table({"x": [value]}) for value in (math.nan, payload)]
    assert compare_rows(tables[0], tables[0], what="it").same
    assert not compare_rows(*tables, what="it").same
    assert compare_rows(*tables, what="it", tolerance=0.0).close


def test_labels_that_flip_are_counted() -> None:
    first = pa.table({"predicted": ["a", "b", "c"], "probability of a": [0.5, 0.25, 0.125]})
    second = pa.table({"predicted": ["a", "c", "b"], "probability of a": [0.5, 0.25, 0.375]})
    found = compare_rows(first, second, what="it", tolerance=1.0)
    assert (found.flips, found.largest_probability, found.close) == (2, 0.25, False)
