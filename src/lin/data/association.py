"""How strongly two columns go together: published measures over arrays, pair by pair of rows that have both.

Numbers are float64 arrays in which NaN is missing; categories are codes from 0, in which -1 is missing. A
measure is None where it is not defined: too few rows, a column that is constant, categories too many for the
rows. Order and scale of the rows do not matter, and no measure is above 1.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[np.float64]]
    Codes = np.ndarray[Any, np.dtype[np.int64]]

FEWEST_ROWS = 3
FEWEST_ROWS_PER_GROUP = 2.0
"""With fewer on average, group means follow the noise: an id would explain everything."""


def pearson(x: "Numbers", y: "Numbers") -> "tuple[float | None, int]":
    """Pearson's correlation coefficient, and the number of rows that have both values."""
    import numpy as np

    both = np.isfinite(x) & np.isfinite(y)
    rows = int(both.sum())
    return (_product_moment(x[both], y[both]) if rows >= FEWEST_ROWS else None), rows


def spearman(x: "Numbers", y: "Numbers") -> float | None:
    """Spearman's rank correlation: Pearson's of the ranks, equal values sharing the mean of theirs."""
    import numpy as np

    both = np.isfinite(x) & np.isfinite(y)
    return _product_moment(_ranks(x[both]), _ranks(y[both])) if both.sum() >= FEWEST_ROWS else None


def correlation_ratio(groups: "Codes", values: "Numbers") -> "tuple[float | None, int]":
    """The correlation ratio eta, corrected for the number of groups, and the number of rows that have both.

    It is 0 where the mean of `values` is the same in each group, and 1 where the group tells the value. On two
    groups it is the absolute value of Pearson's coefficient, but for the correction: it is the square root of
    Kelley's epsilon squared (1935), the adjusted R squared of the group means.
    """
    import numpy as np

    both = (groups >= 0) & np.isfinite(values)
    rows = int(both.sum())
    scaled = _standardised(values[both])
    sizes = _compact_counts(groups[both])
    if scaled is None or rows < FEWEST_ROWS or len(sizes) < 2 or rows / len(sizes) < FEWEST_ROWS_PER_GROUP:  # noqa: PLR2004
        return None, rows
    sums = np.bincount(_compact(groups[both]), weights=scaled)
    within = max(0.0, 1.0 - float((sums**2 / sizes).sum() / (scaled**2).sum()))
    corrected = 1.0 - within * (rows - 1) / (rows - len(sizes))
    return float(np.sqrt(max(0.0, corrected))), rows


def cramers_v(first: "Codes", second: "Codes") -> "tuple[float | None, int]":
    """Cramér's V with Bergsma's correction for bias (2013), and the number of rows that have both categories."""
    import numpy as np

    both = (first >= 0) & (second >= 0)
    rows = int(both.sum())
    one, other = _compact(first[both]), _compact(second[both])
    sizes, heights = np.bincount(one), np.bincount(other)
    most = max(len(sizes), len(heights))
    if rows < FEWEST_ROWS or min(len(sizes), len(heights)) < 2 or rows / most < FEWEST_ROWS_PER_GROUP:  # noqa: PLR2004
        return None, rows
    cells, counts = np.unique(one * len(heights) + other, return_counts=True)
    expected = sizes[cells // len(heights)].astype(np.float64) * heights[cells % len(heights)]
    phi = float((counts.astype(np.float64) ** 2 / expected).sum()) - 1.0
    corrected = max(0.0, phi - (len(sizes) - 1) * (len(heights) - 1) / (rows - 1))
    least = min(count - (count - 1) ** 2 / (rows - 1) for count in (len(sizes), len(heights))) - 1.0
    return min(1.0, float(np.sqrt(corrected / least))) if least > 0 else None, rows


def _product_moment(x: "Numbers", y: "Numbers") -> float | None:
    import numpy as np

    a, b = _standardised(x), _standardised(y)
    if a is None or b is None:
        return None
    return float(np.clip((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()), -1.0, 1.0))


def _standardised(values: "Numbers") -> "Numbers | None":
    """The values less their mean, within ±2, so that no product overflows; None where they are all the same."""
    import numpy as np

    if not len(values) or values.min() == values.max():
        return None
    scaled = values / np.abs(values).max()
    centred = scaled - scaled.mean()
    largest = np.abs(centred).max()
    return centred / largest if largest > 0 else None


def _ranks(values: "Numbers") -> "Numbers":
    import numpy as np

    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_ranks: Numbers = np.cumsum(counts) - (counts - 1) / 2.0
    return mean_ranks[where]


def _compact(codes: "Codes") -> "Codes":
    """The same groups, numbered without gaps."""
    import numpy as np

    where: Codes = np.unique(codes, return_inverse=True)[1]
    return where


def _compact_counts(codes: "Codes") -> "Codes":
    import numpy as np

    counts: Codes = np.bincount(_compact(codes))
    return counts
