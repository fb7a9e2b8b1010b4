import datetime as dt
import json
import math
import struct
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.actions import AddFile
from lin.data.bounds import Bounds, read_bounds
from lin.data.log import DeltaLog


def file(stats: Any) -> AddFile:
    text = stats if isinstance(stats, str) or stats is None else json.dumps(stats)
    return AddFile(path="x", bytes=1, modified=1, partition={}, rows=1, data_change=True, stats=text)


def bounds(least: Any, greatest: Any, kind: Any, nulls: Any = 0) -> Bounds:
    stats = {"minValues": {"x": least}, "maxValues": {"x": greatest}, "nullCount": {"x": nulls}}
    return read_bounds(file(stats), ["x"], kind)


NTZ = dt.datetime(2024, 1, 2, 3, 4, 5, 678000)  # noqa: DTZ001 - a timestamp without a zone
UTC = NTZ.replace(tzinfo=dt.UTC)
MS = dt.timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("kind", "least", "greatest", "expected"),
    [
        ("long", -3, 2**62, (-3, 2**62)),
        ("double", -1, 2.5, (-1.0, 2.5)),
        ("string", "a", "b" * 31, ("a", "b" * 31)),
        ("string", "a" * 32, "b" * 32, ("a" * 32, "b" * 31 + "c")),
        ("string", "", "b" * 31 + "\U0010ffff", ("", "b" * 30 + "c")),
        ("string", "", "b" * 31 + "\ud7ff", ("", "b" * 31 + "\ue000")),
        ("string", "", "\U0010ffff" * 32, ("", None)),
        ("date", "2024-01-02", "2024-01-03", (dt.date(2024, 1, 2), dt.date(2024, 1, 3))),
        ("timestamp", "2024-01-02T03:04:05.678Z", "2024-01-02T05:04:05.678+02:00", (UTC - MS, UTC + MS)),
        ("timestamp_ntz", "2024-01-02T03:04:05.678", "2024-01-02T03:04:05.678Z", (NTZ - MS, NTZ + MS)),
    ],
)
def test_bounds_are_widened_by_what_writers_lose(kind: str, least: Any, greatest: Any, expected: Any) -> None:
    found = bounds(least, greatest, kind)
    assert (found.least, found.greatest, found.nulls) == (*expected, 0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("long", "3"),
        ("long", 3.5),
        ("long", True),
        ("boolean", True),
        ("double", "NaN"),
        ("binary", "x"),
        ("date", "soon"),
        ("date", "+12024-01-01"),
        ("timestamp", "2024-01-02T03:04:05.678"),
        ("timestamp", "9999-12-31T23:59:59.999-10:00"),
        ("timestamp_ntz", "2024-01-02T03:04:05.678+02:00"),
        ("timestamp_ntz", "0001-01-01"),
        ("decimal(5,2)", "3"),
        ("decimal(5,2)", None),
        ({"type": "array", "elementType": "long"}, 3),
    ],
)
def test_what_lin_does_not_know_promises_nothing(kind: Any, value: Any) -> None:
    assert bounds(value, value, kind, nulls=None) == Bounds()


@pytest.mark.parametrize(
    "stats",
    [
        None,
        "",
        "{}",
        "[]",
        {"minValues": [], "maxValues": 3, "nullCount": None},
        {"minValues": {"x": None}, "nullCount": {"x": -1}},
        {"minValues": {"x": {"y": 1}}, "nullCount": {"x": True}},
        '{"minValues":{"x":9.9999999999999999e999999}}',
    ],
)
def test_statistics_of_another_shape_promise_nothing(stats: Any) -> None:
    for kind in ("long", "decimal(38,2)"):
        assert read_bounds(file(stats), ["x"], kind) == Bounds()


def test_a_field_of_a_struct_has_bounds() -> None:
    stats = {"minValues": {"s": {"x": 1}}, "maxValues": {"s": {"x": 2}}, "nullCount": {"s": {"x": 4}}}
    assert read_bounds(file(stats), ["s", "x"], "long") == Bounds(least=1, greatest=2, nulls=4)
    assert read_bounds(file(stats), ["s"], "long") == Bounds()


def test_a_float_in_few_digits_is_within_its_bounds() -> None:
    (value,) = struct.unpack("f", struct.pack("f", 0.1))
    assert value > 0.1
    for kind in ("float", "double"):
        found = bounds(0.1, 0.1, kind)
        assert isinstance(found.least, float)
        assert isinstance(found.greatest, float)
        assert found.least <= value <= found.greatest


FINITE = st.floats(allow_nan=False, allow_infinity=False)
COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "long": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "byte": (pa.int8(), st.integers(-128, 127)),
    "double": (pa.float64(), FINITE),
    "float": (pa.float32(), st.floats(width=32, allow_nan=False, allow_infinity=False)),
    "string": (pa.string(), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=100)),
    "date": (pa.date32(), st.dates()),
    "timestamp": (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(dt.UTC))),
    "timestamp_ntz": (pa.timestamp("us"), st.datetimes()),
    "decimal(38,9)": (pa.decimal128(38, 9), st.decimals(-(10**28), 10**28, places=9)),
}


@settings(max_examples=25, deadline=None)
@given(st.fixed_dictionaries({kind: st.lists(values, min_size=3, max_size=3) for kind, (_, values) in COLUMNS.items()}))
def test_what_delta_rs_wrote_is_within_the_bounds(values: dict[str, list[Any]]) -> None:
    from deltalake import write_deltalake

    columns = {f"c{n}": pa.array(values[kind], COLUMNS[kind][0]) for n, kind in enumerate(COLUMNS)}
    with TemporaryDirectory() as folder:
        write_deltalake(folder, pa.table(columns))
        (added,) = DeltaLog(Path(folder), "t").snapshot().files
    for (name, column), kind in zip(columns.items(), COLUMNS, strict=True):
        found = read_bounds(added, [name], kind)
        for value in column.to_pylist():
            assert found.least is None or found.least <= value, kind
            assert found.greatest is None or value <= found.greatest, kind


@settings(max_examples=50, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=8))
def test_a_decimal_that_went_through_a_float_is_within_the_bounds(value: Decimal) -> None:
    written = float(value)
    text = json.dumps(written) if math.isfinite(written) else "0"
    found = read_bounds(file(f'{{"minValues":{{"x":{text}}},"maxValues":{{"x":{text}}}}}'), ["x"], "decimal(38,8)")
    assert isinstance(found.least, Decimal)
    assert isinstance(found.greatest, Decimal)
    assert found.least <= value <= found.greatest
