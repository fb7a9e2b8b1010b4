"""The measures against other implementations of the same formulas, and their laws."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.association import correlation_ratio, cramers_v, pearson, spearman

NAN, INF = float("nan"), float("inf")
laws = settings(max_examples=50, deadline=None)
numbers = st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=40)
RNG = np.random.default_rng(5)


def array(*values: float) -> Any:
    return np.array(values, dtype=np.float64)


def codes(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


def test_pearson_and_spearman_are_those_of_scipy() -> None:
    from scipy import stats

    x = RNG.normal(size=200).round(1)  # with ties
    y = x**3 + RNG.normal(size=200)
    assert pearson(x, y) == (pytest.approx(stats.pearsonr(x, y).statistic), 200)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)


def test_rows_that_lack_a_value_are_left_out_and_not_counted() -> None:
    x, y = array(1, 2, NAN, 4, INF, 5), array(2, NAN, 0, 8, 1, 10)
    assert pearson(x, y) == (pytest.approx(1.0), 3)
    assert spearman(x, y) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("x", "y", "rows"),
    [
        (array(), array(), 0),
        (array(1, 2), array(1, 2), 2),
        (array(1, 1, 1), array(1, 2, 3), 3),
        (array(NAN, NAN, NAN), array(1, 2, 3), 0),
    ],
)
def test_a_correlation_that_is_not_defined_is_none(x: Any, y: Any, rows: int) -> None:
    assert pearson(x, y) == (None, rows)
    assert spearman(x, y) is None


def test_large_numbers_do_not_overflow() -> None:
    x = array(1e308, -1e308, 5e307, 0)
    assert pearson(x, x) == (pytest.approx(1.0), 4)
    assert pearson(x, -x) == (pytest.approx(-1.0), 4)


@laws
@given(numbers)
def test_a_correlation_is_symmetric_bounded_and_blind_to_scale(x: list[float]) -> None:
    one = np.array(x)
    other = RNG.permutation(one)
    value, _ = pearson(one, other)
    assert pearson(other, one)[0] == value
    if value is not None:
        assert -1.0 <= value <= 1.0
        assert pearson(one / 1024, other)[0] == pytest.approx(value, abs=1e-9)
    ranks = spearman(one, other)
    assert ranks is None or -1.0 <= ranks <= 1.0
    if ranks is not None:
        assert spearman(one**3, other) == pytest.approx(ranks)


def adjusted(groups: Any, values: Any) -> float:
    """The adjusted R squared of the group means, by its definition."""
    rows, names = len(values), np.unique(groups)
    within = sum(((values[groups == name] - values[groups == name].mean()) ** 2).sum() for name in names)
    total = ((values - values.mean()) ** 2).sum()
    return float(1 - (within / (rows - len(names))) / (total / (rows - 1)))


def test_the_correlation_ratio_is_the_root_of_the_adjusted_r_squared() -> None:
    groups = RNG.integers(0, 5, 300)
    values = groups * 0.5 + RNG.normal(size=300)
    assert correlation_ratio(groups, values) == (pytest.approx(adjusted(groups, values) ** 0.5), 300)


def test_the_correlation_ratio_at_its_ends() -> None:
    groups = codes(0, 0, 1, 1, 2, 2)
    assert correlation_ratio(groups, array(1, 1, 5, 5, 9, 9)) == (pytest.approx(1.0), 6)
    assert correlation_ratio(groups, array(1, 9, 1, 9, 1, 9)) == (0.0, 6)
    assert correlation_ratio(codes(7, -1, 7, 9, 9), array(1, 100, 1, 3, 3)) == (pytest.approx(1.0), 4)


@pytest.mark.parametrize(
    ("groups", "values"),
    [
        (codes(), array()),
        (codes(0, 0, 0, 0), array(1, 2, 3, 4)),
        (codes(0, 0, 1, 1), array(3, 3, 3, 3)),
        (codes(0, 1, 2, 3), array(1, 2, 3, 4)),  # an id explains everything, and so nothing
    ],
)
def test_groups_that_explain_nothing_have_no_correlation_ratio(groups: Any, values: Any) -> None:
    assert correlation_ratio(groups, values) == (None, len(groups))


def test_noise_in_many_groups_is_not_taken_for_an_association() -> None:
    value, _ = correlation_ratio(RNG.integers(0, 100, 1000), RNG.normal(size=1000))
    assert value is not None
    assert value < 0.2  # uncorrected it is about 0.3


def test_cramers_v_is_that_of_bergsma() -> None:
    from scipy import stats

    one = RNG.integers(0, 4, 400)
    other = np.where(RNG.uniform(size=400) < 0.5, one % 3, RNG.integers(0, 3, 400))
    table = stats.contingency.crosstab(one, other).count
    phi = stats.chi2_contingency(table, correction=False).statistic / 400
    rows, columns = table.shape
    corrected = max(0.0, phi - (rows - 1) * (columns - 1) / 399)
    least = min(rows - (rows - 1) ** 2 / 399, columns - (columns - 1) ** 2 / 399) - 1
    assert cramers_v(one, other) == (pytest.approx((corrected / least) ** 0.5), 400)
    assert cramers_v(other, one) == (pytest.approx((corrected / least) ** 0.5), 400)


def test_cramers_v_at_its_ends() -> None:
    one = np.repeat(codes(0, 1, 2), 50)
    assert cramers_v(one, 2 - one) == (pytest.approx(1.0), 150)
    assert cramers_v(np.tile(codes(0, 1), 50), np.repeat(codes(0, 1), 50)) == (0.0, 100)
    assert cramers_v(codes(0, 0, 1, -1), codes(0, 0, 0, 1)) == (None, 3)
    assert cramers_v(codes(0, 1, 2, 3), codes(0, 1, 2, 3)) == (None, 4)


@laws
@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 4)), max_size=60))
def test_measures_of_categories_are_bounded_and_blind_to_their_numbers(pairs: list[tuple[int, int]]) -> None:
    one, other = (np.array([pair[at] for pair in pairs], dtype=np.int64) for at in (0, 1))
    value, rows = cramers_v(one, other)
    assert rows == sum(a >= 0 and b >= 0 for a, b in pairs)
    renamed = np.where(one >= 0, 10 * (4 - one), -1)
    near = None if value is None else pytest.approx(value, abs=1e-7)  # a root: what was rounded at 1e-16 is 1e-8
    assert cramers_v(renamed, other) == (near, rows)
    ratio, _ = correlation_ratio(one, other.astype(np.float64))
    assert all(found is None or 0.0 <= found <= 1.0 for found in (value, ratio))
