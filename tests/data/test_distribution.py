"""Histograms, quantiles and frequencies: every row is counted once, and what cannot be drawn is None."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.distribution import Frequency, find_frequent, find_quantiles, make_histogram

laws = settings(max_examples=50, deadline=None)
finite = st.floats(allow_nan=False, allow_infinity=False)


def array(values: Any) -> Any:
    return np.array(values, dtype=np.float64)


@laws
@given(st.lists(finite | st.integers(-50, 50).map(float), max_size=60))
def test_every_row_is_in_one_bin_or_counted_beside(values: list[float]) -> None:
    found = make_histogram(array(values))
    if found is not None:
        assert sum(found.counts) + found.below + found.above == len(values)
        assert len(found.edges) == len(found.counts) + 1
        assert np.isfinite(found.edges).all()
        assert (np.diff(found.edges) > 0).all()


def test_whole_numbers_get_a_bar_each() -> None:
    found = make_histogram(array([1, 1, 2, 4]))
    assert found is not None
    assert found.edges == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert found.counts == [2, 1, 0, 1]


def test_bins_of_many_whole_numbers_hold_equally_many() -> None:
    found = make_histogram(array(range(1000)))
    assert found is not None
    assert found.edges[0] == -0.5
    assert set(np.diff(found.edges)) == {34.0}
    assert set(found.counts[:-1]) == {34}


def test_times_have_no_whole_bins() -> None:
    found = make_histogram(array(range(10)), times=True)
    assert found is not None
    assert (found.edges[0], found.edges[-1]) == (0.0, 9.0)


def test_an_outlier_does_not_push_all_others_into_one_bin() -> None:
    values = np.append(np.linspace(0.0, 1.0, 999), 1e9)
    found = make_histogram(values)
    assert found is not None
    assert (found.below, found.above) == (0, 1)
    assert min(found.counts[:20]) > 10


def test_a_normal_distribution_is_shown_whole() -> None:
    found = make_histogram(np.random.default_rng(0).normal(size=10_000))
    assert found is not None
    assert (found.below, found.above) == (0, 0)


@pytest.mark.parametrize("value", [7.0, 0.0, -2.5, 1e50, 1e-300])
def test_one_value_is_one_bin_around_it(value: float) -> None:
    found = make_histogram(array([value, value]))
    assert found is not None
    assert found.counts == [2]
    assert found.edges[0] <= value <= found.edges[1]


@pytest.mark.parametrize("values", [[], [1e308, -1e308], [1e16, 1e16 + 2], [1e-310, 2e-310]])
def test_what_has_no_bins_has_no_histogram(values: list[float]) -> None:
    assert make_histogram(array(values)) is None


@laws
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50))
def test_quantiles_are_those_of_numpy(values: list[float]) -> None:
    found = find_quantiles(array(values))
    assert found is not None
    wanted = np.quantile(array(values), [0.05, 0.25, 0.5, 0.75, 0.95])
    assert [found.p5, found.p25, found.p50, found.p75, found.p95] == pytest.approx(list(wanted))


def test_quantiles_of_the_largest_numbers_are_finite() -> None:
    found = find_quantiles(array([-1.7e308, 1.7e308]))
    assert found is not None
    assert found.p50 == pytest.approx(0.0)
    assert find_quantiles(array([])) is None


def test_shares_are_of_all_values_and_not_of_those_that_are_listed() -> None:
    names = [f"name {number}" for number in range(12)]
    found = find_frequent(names, [50, *[1] * 10, 40])
    assert len(found) == 10
    assert found[0] == Frequency(value="name 0", rows=50, share=0.5)
    assert found[-1].share == 0.01
