"""Golden files: what is written is read bit for bit, and two of them are compared as a plain look at them would."""

import io
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.errors import OutsideError, StoreError, UsageError
from lin.runs.golden import (
    GoldenDiff,
    Layout,
    arrange_rows,
    compare_golden,
    prediction_of,
    read_golden,
    with_layout,
    write_golden,
)

FLOATS = st.floats(width=64) | st.sampled_from([0.0, -0.0, math.nan, math.inf])


def golden(
    rows: Mapping[str, Sequence[Any]],
    predicted: Sequence[Any],
    *,
    key: Sequence[str] = ("ID",),
    labels: bool = False,
    **probabilities: Sequence[float],
) -> bytes:
    """A golden file whose features are the columns that are not its key."""
    names = {label: f"probability of {label}" for label in probabilities}
    columns = {name: list(values) for name, values in rows.items()} | {"predicted": list(predicted)}
    columns |= {names[label]: list(values) for label, values in probabilities.items()}
    features = [name for name in rows if name not in key]
    layout = Layout(key=list(key), features=features, predicted="predicted", probabilities=names, labels=labels)
    return write_golden(with_layout(pa.table(columns), layout))


def bits(value: float) -> bytes:
    return struct.pack(">d", value)


# --- the file ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), FLOATS, FLOATS), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_a_file_keeps_every_bit_and_has_the_same_bytes_again(rows: list[tuple[int, float, float]]) -> None:
    ids, features, predicted = map(list, zip(*rows, strict=True))
    data = golden({"ID": ids, "rm": features}, predicted)
    found = read_golden(data)
    assert found.rows.column("ID").to_pylist() == ids
    assert [*map(bits, found.rows.column("rm").to_pylist())] == [*map(bits, features)]
    assert [*map(bits, found.predicted)] == [*map(bits, predicted)]
    assert write_golden(found.table) == data


def test_a_file_of_rows_to_predict_has_no_predictions() -> None:
    table = pa.table({"ID": [1, 2], "rm": [6.5, 7.0], "medv": [None, 2.0]})
    found = read_golden(write_golden(arrange_rows(table, ["ID", "gone"], ["rm"])))
    assert (found.table.column_names, found.layout.key, found.layout.predicted) == (["ID", "rm"], ["ID"], None)
    with pytest.raises(UsageError, match="no predictions"):
        _ = found.predicted
    with pytest.raises(UsageError, match="no column 'mdev'") as refused:
        arrange_rows(table, ["ID"], ["rm", "mdev"])
    assert refused.value.hint == "did you mean 'medv'?"


def test_what_is_no_golden_file_is_refused() -> None:
    with pytest.raises(OutsideError, match="is no Parquet file"):
        read_golden(b"PAR1 is how it would begin")
    sink = io.BytesIO()
    pq.write_table(pa.table({"predicted": [1.0]}), sink)
    with pytest.raises(OutsideError, match="does not tell its columns"):
        read_golden(sink.getvalue())
    lacking = with_layout(pa.table({"rm": [1.0]}), Layout(key=[], features=["rm"], predicted="predicted"))
    with pytest.raises(OutsideError, match="does not have one column 'predicted'"):
        read_golden(write_golden(lacking))
    newer = pa.table({"rm": [1.0]}).replace_schema_metadata({b"lin.golden": b'{"format":"golden/2"}'})
    with pytest.raises(StoreError, match="written by a newer lin"):
        read_golden(write_golden(newer))


# --- two files --------------------------------------------------------------------------------------------------------


def test_rows_are_matched_by_key_whatever_their_order() -> None:
    first = golden({"ID": [1, 2, 3], "rm": [6.0, 7.0, 8.0]}, [1.0, 2.0, 3.0])
    second = golden({"ID": [4, 3, 2], "rm": [6.0, 8.5, 7.0]}, [0.0, 3.5, 2.0])
    found = compare_golden(first, second)
    assert (found.matched, found.rows, found.only_first, found.only_second) == ("key", 2, 1, 1)
    assert (found.other_input, found.changed, found.largest, found.mean) == (1, 1, 0.5, 0.25)
    assert [(each.key, each.first, each.second) for each in found.examples] == [({"ID": 3}, 3.0, 3.5)]
    assert not found.same
    assert compare_golden(first, first).same


@pytest.mark.parametrize("ids", [None, [1, 1]], ids=["no key", "a key that is not unique"])
def test_without_a_key_rows_are_matched_by_their_place_if_they_are_the_same(ids: list[int] | None) -> None:
    def make(features: list[float], predicted: list[float]) -> bytes:
        keys = {"ID": ids} if ids else {}
        return golden({**keys, "rm": features}, predicted, key=list(keys))

    found = compare_golden(make([math.nan, 7.0], [1.0, 2.0]), make([math.nan, 7.0], [1.0, 3.0]))
    assert (found.matched, found.rows, found.changed) == ("position", 2, 1)
    assert [*found.examples[0].key.values()] == [1]
    other = compare_golden(make([6.0, 7.0], [1.0, 2.0]), make([6.0, 7.5], [1.0, 2.0]))
    assert (other.matched, other.rows, other.only_first, other.only_second) == (None, 0, 2, 2)
    assert not other.same
    assert not other.close


def test_other_labels_are_counted_apart_from_other_probabilities() -> None:
    rows = {"ID": [1, 2, 3], "rm": [6.0, 7.0, 8.0]}
    first = golden(rows, [1, 0, 0], labels=True, **{"0": [0.4, 0.9, 0.8], "1": [0.6, 0.1, 0.2]})
    second = golden(rows, [0, 0, 0], labels=True, **{"0": [0.55, 0.9, 0.5], "1": [0.45, 0.1, 0.5]})
    found = compare_golden(first, second, tolerance=0.5)
    assert (found.flips, found.changed, found.beyond, found.labels, found.mean) == (1, 2, 1, True, None)
    assert found.largest == pytest.approx(0.3)
    assert [each.key for each in found.examples] == [{"ID": 1}, {"ID": 3}]  # another label comes before a larger gap
    assert not found.close  # a label is never close to another one


def test_a_class_that_one_model_does_not_know_is_a_difference() -> None:
    rows = {"ID": [1], "rm": [6.0]}
    first = golden(rows, ["a"], labels=True, a=[1.0])
    found = compare_golden(first, golden(rows, ["a"], labels=True, a=[1.0], b=[0.0]), tolerance=1.0)
    assert (found.changed, found.beyond, found.flips, found.same) == (1, 1, 0, False)


@given(st.dictionaries(st.integers(0, 9), FLOATS), st.dictionaries(st.integers(0, 9), FLOATS), st.none() | st.just(0.1))
@settings(max_examples=50, deadline=None)
def test_a_comparison_counts_what_a_plain_look_finds(
    first: dict[int, float], second: dict[int, float], tolerance: float | None
) -> None:
    def make(values: dict[int, float]) -> bytes:
        rows = {"ID": pa.array(list(values), pa.int64()), "rm": [0.0] * len(values)}
        table = pa.table({**rows, "predicted": pa.array(list(values.values()), pa.float64())})
        return write_golden(with_layout(table, Layout(key=["ID"], features=["rm"], predicted="predicted")))

    there = compare_golden(make(first), make(second), tolerance=tolerance)
    back = compare_golden(make(second), make(first), tolerance=tolerance)
    shared = first.keys() & second.keys()
    if not first or not second:
        assert there.rows == 0
        return
    assert (there.rows, there.only_first, there.only_second) == (
        len(shared),
        len(first.keys() - shared),
        len(second.keys() - shared),
    )
    changed = [key for key in shared if bits(first[key]) != bits(second[key])]
    assert there.changed == len(changed)
    gaps = [gap for key in shared if not math.isnan(gap := abs(first[key] - second[key]))]
    assert there.largest == max(gaps, default=None)
    assert there.same == (bool(shared) and not changed and first.keys() == second.keys())
    assert there.beyond <= there.changed
    assert mirrored(there) == mirrored(back)


def mirrored(found: GoldenDiff) -> tuple[Any, ...]:
    """What does not depend on which file came first."""
    return found.rows, found.changed, found.beyond, found.largest, {found.only_first, found.only_second}


def test_a_tolerance_is_absolute_and_relative() -> None:
    rows = {"ID": [1, 2, 3], "rm": [0.0, 0.0, 0.0]}
    first, second = golden(rows, [0.0, 1000.0, math.nan]), golden(rows, [1e-7, 1000.0005, math.nan])
    near, far = (compare_golden(first, second, tolerance=tolerance) for tolerance in (1e-6, 1e-8))
    assert (near.changed, near.beyond, near.close, near.same) == (2, 0, True, False)
    assert (far.beyond, far.close) == (2, False)


# --- one row ----------------------------------------------------------------------------------------------------------


def test_the_prediction_of_one_row() -> None:
    data = golden({"ID": [453, 454, 455], "rm": [6.0, 7.0, 7.0]}, [22.5, 23.7925, 24.0])
    assert prediction_of(data, {"ID": 454}) == 23.7925
    assert prediction_of(data, {"ID": "454"}) == 23.7925
    assert prediction_of(data, {"ID": 455, "rm": 7}) == 24.0
    assert prediction_of(data, {"ID": 9}) is None
    with pytest.raises(UsageError, match=r"2 golden rows have rm=7\.0"):
        prediction_of(data, {"rm": 7.0})
    with pytest.raises(UsageError, match="no column 'predicted'"):
        prediction_of(data, {"predicted": 24.0})
    assert prediction_of(golden({"ID": [1], "rm": [6.0]}, [True], labels=True), {"ID": 1}) == "True"
    assert prediction_of(golden({"ID": [1], "rm": [6.0]}, ["high"], labels=True), {"ID": 1}) == "high"
