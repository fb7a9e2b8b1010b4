"""How the values of one column are distributed: histogram, quantiles, the most frequent values. Pure arrays.

What is not finite is left out by whoever asks; what a histogram's range leaves out is counted beside it.
"""

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[np.float64]]

MOST_BINS = 30
MOST_SINGLE_BINS = 40
"""Whole numbers get a bar each where these do."""
MOST_FREQUENT = 10

_TAIL = 0.01
_WIDENED = 0.5
"""Beyond the tails a histogram shows half of what lies between them, on each side: all of a normal distribution."""
_LARGEST = 1e100
"""Widths of bins overflow beyond this."""
_LARGEST_WHOLE = 2**40
_SMALLEST, _RESOLVED = 1e-280, 1e-12
"""Values that differ by less have no bins between them."""


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Rows per bin, `edges` one more than `counts`; for times they are seconds since 1970 UTC.

    A bin holds its left edge, the last one its right edge too. `below` and `above` count the rows outside.
    """

    edges: list[float]
    counts: list[int]
    below: int
    above: int


class Quantiles(msgspec.Struct, frozen=True, kw_only=True):
    """Values below which 5, 25, 50, 75 and 95 in a hundred rows lie, interpolated between the nearest two."""

    p5: float
    p25: float
    p50: float
    p75: float
    p95: float


class Frequency(msgspec.Struct, frozen=True, kw_only=True):
    """A value, how many rows have it, and their share of the rows that have any."""

    value: str
    rows: int
    share: float


def make_histogram(values: "Numbers", *, times: bool = False) -> Histogram | None:
    """The histogram of finite values, or None where there are none that can be drawn.

    Values far beyond the 1st and the 99th percentile are left out and counted, so that one outlier does not
    push all others into one bin. Whole numbers, but not `times`, get bins of whole width, centred on them.
    """
    import numpy as np

    if not len(values) or np.abs(values).max() > _LARGEST:
        return None
    low, high = _range(values)
    if 0 < high - low < max(abs(low), abs(high), _SMALLEST) * _RESOLVED:
        return None
    shown = values[(values >= low) & (values <= high)]
    edges = _edges(shown, low, high, times=times)
    counts = np.histogram(shown, bins=edges)[0]
    return Histogram(
        edges=[float(edge) for edge in edges],
        counts=[int(count) for count in counts],
        below=int((values < low).sum()),
        above=int((values > high).sum()),
    )


def find_quantiles(values: "Numbers") -> Quantiles | None:
    """The quantiles of finite values; None where there are none."""
    import numpy as np

    if not len(values):
        return None
    # not as numpy interpolates: the difference of two large values overflows
    ordered = np.sort(values)
    places = np.array([0.05, 0.25, 0.5, 0.75, 0.95]) * (len(ordered) - 1)
    below = np.floor(places).astype(np.int64)
    above = np.minimum(below + 1, len(ordered) - 1)
    part = places - below
    p5, p25, p50, p75, p95 = (float(value) for value in ordered[below] * (1 - part) + ordered[above] * part)
    return Quantiles(p5=p5, p25=p25, p50=p50, p75=p75, p95=p95)


def find_frequent(names: list[str], counts: list[int]) -> list[Frequency]:
    """The most frequent values, at most `MOST_FREQUENT`: the names, which stand in this order, with their counts."""
    total = sum(counts)
    pairs = zip(names[:MOST_FREQUENT], counts, strict=False)
    return [Frequency(value=name, rows=rows, share=rows / total) for name, rows in pairs]


def _range(values: "Numbers") -> tuple[float, float]:
    import numpy as np

    low, high = float(values.min()), float(values.max())
    first, last = (float(edge) for edge in np.quantile(values, [_TAIL, 1 - _TAIL]))
    margin = (last - first) * _WIDENED
    return (max(low, first - margin), min(high, last + margin)) if margin > 0 else (low, high)


def _edges(shown: "Numbers", low: float, high: float, *, times: bool) -> "Numbers":
    import numpy as np

    if low == high:
        margin = 0.5 if low.is_integer() and abs(low) < _LARGEST_WHOLE else abs(low) * 0.05
        return np.array([low - margin, low + margin])
    bins = min(MOST_BINS, max(8, int(len(shown) ** 0.5)))
    edges: Numbers = np.linspace(low, high, bins + 1)
    if times or high - low > _LARGEST_WHOLE or (shown != np.floor(shown)).any():
        return edges
    first, last = int(shown.min()), int(shown.max())
    width = 1 if last - first < MOST_SINGLE_BINS else -(-(last - first + 1) // bins)
    return np.arange(first, last + width + 1, width, dtype=np.float64) - 0.5
