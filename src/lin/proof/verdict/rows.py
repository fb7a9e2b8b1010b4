"""Two tables of rows, compared place by place: which columns and cells differ, and how far numbers are apart.

Equal means equal bits, NaN and -0.0 included. Only numbers with a fraction can be close: a label, a count or a key is
the same or it is not.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from lin.numbers import Real
from lin.proof.verdict.answer import Difference
from lin.runs.golden import is_close

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

PREDICTED = "predicted"
PROBABILITY = "probability of "


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """Two tables compared. `close` says that all that differs is within the tolerance; `rows` were compared."""

    rows: int
    differences: list[Difference] = []
    close: bool = True
    largest: Real | None = None
    largest_probability: Real | None = None
    flips: int = 0

    @property
    def same(self) -> bool:
        """Whether every bit is the same."""
        return not self.differences


class _Changes(NamedTuple):
    """The cells of one column that are not the same, and of how many."""

    name: str
    pairs: list[tuple[Any, Any]]
    cells: int
    numeric: bool

    def gaps(self) -> list[float]:
        """The distances between numbers; from NaN to anything there is none."""
        between = (abs(x - y) for x, y in self.pairs if self.numeric and isinstance(x, float) and isinstance(y, float))
        return [gap for gap in between if not math.isnan(gap)]

    def is_close(self, tolerance: float | None) -> bool:
        if tolerance is None or not self.numeric:
            return not self.pairs
        return all(is_close(x, y, tolerance) for x, y in self.pairs)


def compare_rows(first: "pa.Table", second: "pa.Table", *, what: str, tolerance: float | None = None) -> Rows:
    """Compare two tables column by column, by name, and row by row, by place.

    Args:
        first: one table.
        second: the other.
        what: what the differences are called, as "predictions".
        tolerance: see `lin.runs.golden.is_close`; None: nothing that differs is close.
    """
    for name, x, y in (
        ("columns", sorted(first.column_names), sorted(second.column_names)),
        ("rows", first.num_rows, second.num_rows),
    ):
        if x != y:
            return Rows(rows=0, differences=[Difference(what=what, name=name, first=x, second=y)], close=False)
    changed, types = [], []
    for name in first.column_names:
        x, y = (_plain(table.column(name)) for table in (first, second))
        if x.type != y.type:
            types.append(Difference(what=what, name=f"type of '{name}'", first=str(x.type), second=str(y.type)))
        elif found := _changes(name, x, y):
            changed.append(found)
    return Rows(
        rows=first.num_rows,
        differences=[*types, *(_tell(column, what) for column in changed)],
        close=not types and all(column.is_close(tolerance) for column in changed),
        largest=_largest(_measurable(first, changed)),
        largest_probability=_largest(
            [column for column in _measurable(first, changed) if column.name.startswith(PROBABILITY)]
        ),
        flips=sum(len(column.pairs) for column in changed if column.name == PREDICTED and not column.numeric),
    )


def _plain(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """The column with its values in the open: how a writer packed them, or counts their bytes, is no difference."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_string(kind):
        kind = pa.large_string()
    elif pa.types.is_binary(kind):
        kind = pa.large_binary()
    return column.cast(kind) if kind != column.type else column


def _changes(name: str, x: "pa.ChunkedArray", y: "pa.ChunkedArray") -> _Changes | None:
    import numpy as np
    import pyarrow as pa

    numeric = pa.types.is_floating(x.type)
    places = np.flatnonzero(_bits_differ(x, y) if numeric else _values_differ(x, y))
    if not len(places):
        return None
    wanted = [_float64(column) if numeric else column for column in (x, y)]
    pairs = zip(*(column.take(pa.array(places)).to_pylist() for column in wanted), strict=True)
    return _Changes(name, list(pairs), len(x), numeric)


def _float64(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow as pa

    return column.cast(pa.float64())


def _bits_differ(x: "pa.ChunkedArray", y: "pa.ChunkedArray") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    nulls_differ = _is_null(x) != _is_null(y)
    differ: np.ndarray[Any, np.dtype[np.bool_]] = (
        _bits_of(x) != _bits_of(y)
    ) | nulls_differ  # a null has the bits of 0
    return differ


def _bits_of(column: "pa.ChunkedArray") -> "np.ndarray[Any, np.dtype[Any]]":
    import numpy as np
    import pyarrow as pa

    values = np.ascontiguousarray(column.fill_null(pa.scalar(0, column.type)).to_numpy())
    seen: np.ndarray[Any, np.dtype[Any]] = values.view(np.dtype(f"u{values.dtype.itemsize}"))
    return seen


def _is_null(column: "pa.ChunkedArray") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    nulls: np.ndarray[Any, np.dtype[np.bool_]] = column.is_null().to_numpy()
    return nulls


def _values_differ(x: "pa.ChunkedArray", y: "pa.ChunkedArray") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_nested(x.type):  # as Python writes them: two NaN are alike, 0.0 and -0.0 are not
        return np.array([repr(a) != repr(b) for a, b in zip(x.to_pylist(), y.to_pylist(), strict=True)], dtype=bool)
    differ: np.ndarray[Any, np.dtype[np.bool_]] = _is_null(x) != _is_null(y)
    if not pa.types.is_null(x.type):
        differ |= pc.not_equal(x, y).fill_null(False).to_numpy()
    return differ


def _tell(column: _Changes, what: str) -> Difference:
    """How many cells of the column differ, and the first of them."""
    of = "" if column.name == PREDICTED else f" of '{column.name}'"
    first, second = (Real(value) if isinstance(value, float) else _jsonable(value) for value in column.pairs[0])
    return Difference(what=what, name=f"{len(column.pairs)} of {column.cells} rows{of}", first=first, second=second)


def _jsonable(value: Any) -> Any:
    """A cell as JSON has it; of what it has not, the text."""
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _measurable(table: "pa.Table", changed: Sequence[_Changes]) -> Sequence[_Changes]:
    """The columns whose distances mean something: of predictions these alone, and only where they are of equal rows."""
    if PREDICTED not in table.column_names:
        return changed
    others = [column for column in changed if column.name != PREDICTED and not column.name.startswith(PROBABILITY)]
    return [] if others else changed


def _largest(columns: Sequence[_Changes]) -> Real | None:
    return max((Real(gap) for column in columns for gap in column.gaps()), default=None)
