"""Golden predictions: what a model said of a sample of its own input, as a Parquet file that tells its own columns.

A file has the rows, so that they can be scored again, and two files can be held against each other: by the key of
their rows, or place by place where the rows are the same.
"""

import io
import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from lin.data.parquet import open_parquet, parquet_errors
from lin.errors import OutsideError, UsageError, nearest
from lin.numbers import Real
from lin.records import Record, decode, encode

if TYPE_CHECKING:
    import pyarrow as pa

GOLDEN = "golden.parquet"
"""The artifact of a fit that holds them."""

MOST_EXAMPLES = 3

_NOTE = b"lin.golden"


class Layout(Record, frozen=True, tag_field="format", tag="golden/1"):
    """What the columns of a file are, in its schema's metadata under `lin.golden`.

    `predicted` is the column of predictions, None where a file only has the rows to predict; `probabilities` maps a
    label to its column. `labels` says that predictions are classes, though they may be numbers. So many rows as
    `left_out` says could not be scored.
    """

    key: list[str]
    features: list[str]
    predicted: str | None = None
    probabilities: dict[str, str] = {}  # noqa: RUF012  msgspec copies a default
    labels: bool = False
    left_out: int = 0


@dataclass(frozen=True)
class Golden:
    """A file of golden predictions, read: a table, and the layout that tells its columns apart."""

    table: "pa.Table"
    layout: Layout

    @property
    def rows(self) -> "pa.Table":
        """What is known of each row: its key, and the features that the model gets."""
        return self.table.select(list(dict.fromkeys([*self.layout.key, *self.layout.features])))

    @property
    def predicted(self) -> list[Any]:
        """The prediction of each row. Raises `UsageError` where the file only has rows to predict."""
        if self.layout.predicted is None:
            raise UsageError(f"this {GOLDEN} has rows to predict, but no predictions")
        values: list[Any] = self.table.column(self.layout.predicted).to_pylist()
        return values

    @property
    def probabilities(self) -> dict[str, list[Any]]:
        """The probabilities of each row, by label."""
        return {label: self.table.column(name).to_pylist() for label, name in self.layout.probabilities.items()}


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is predicted otherwise: `key` is its key, or its number as `row`, counted from 0.

    `gap` is the largest absolute difference of a number: of the prediction, or of a probability.
    """

    key: dict[str, Any]
    first: Any
    second: Any
    gap: Real | None


class GoldenDiff(msgspec.Struct, frozen=True, kw_only=True):
    """Two files of golden predictions compared, the first to the second.

    `matched` says how rows were paired: by key, by position, or not at all. `rows` were; of these the input of
    `other_input` is not the same in the features that both have, the prediction or a probability of `changed` has
    other bits, of `beyond` is further away than the tolerance, and the label of `flips` is another. Where predictions
    are `labels`, distances are those of probabilities; else `mean` is the mean of second minus first. `examples` moved
    furthest.
    """

    matched: Literal["key", "position"] | None
    labels: bool
    rows: int
    only_first: int
    only_second: int
    other_input: int
    changed: int
    beyond: int
    flips: int
    largest: Real | None
    mean: Real | None
    examples: list[Moved]
    tolerance: float | None

    @property
    def same(self) -> bool:
        """Whether there are the same rows, each predicted with the same bits."""
        return self.rows > 0 and not (self.only_first or self.only_second or self.changed)

    @property
    def close(self) -> bool:
        """Whether there are the same rows, each predicted as close as the tolerance says, with the same label."""
        return self.rows > 0 and not (self.only_first or self.only_second or self.beyond)


# --- the file ---------------------------------------------------------------------------------------------------------


def arrange_rows(rows: "pa.Table", key: Iterable[str], features: Sequence[str]) -> "pa.Table":
    """Rows to predict: the key columns that there are, then the features. `write_golden` makes a file of them.

    Raises:
        UsageError: a feature is no column of the rows.
    """
    _require_columns(rows, features)
    layout = Layout(key=[name for name in key if name in rows.column_names], features=list(features))
    return with_layout(rows.select(list(dict.fromkeys([*layout.key, *features]))), layout)


def write_golden(table: "pa.Table") -> bytes:
    """The Parquet file of a table with a layout: the same table gives the same bytes.

    Raises:
        OutsideError: a column has a type that Parquet has not.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    try:
        pq.write_table(table, sink, compression="zstd")
    except pa.ArrowException as error:
        raise OutsideError(f"the golden rows cannot be written as Parquet: {error}") from error
    return sink.getvalue()


def read_golden(data: bytes) -> Golden:
    """Read a file of golden predictions.

    Raises:
        OutsideError: it is none. StoreError: its layout is damaged, or was written by a newer lin.
    """
    import pyarrow as pa

    try:
        table = open_parquet(pa.BufferReader(data)).read()  # `read_table` would import pandas
        table.validate(full=True)
    except parquet_errors() as error:
        raise OutsideError(f"{GOLDEN} is no Parquet file: {error}") from error
    return open_golden(table)


def open_golden(table: "pa.Table") -> Golden:
    """Tell the columns of a table with a layout apart. Raises as `read_golden`."""
    layout = layout_of(table)
    named = [*layout.key, *layout.features, *layout.probabilities.values(), layout.predicted]
    wrong = [name for name in named if name is not None and table.column_names.count(name) != 1]
    if wrong:
        raise OutsideError(f"{GOLDEN} is damaged: it does not have one column '{wrong[0]}'")
    return Golden(table, layout)


def layout_of(table: "pa.Table") -> Layout:
    """What the columns of a table are. Raises as `read_golden`."""
    note = (table.schema.metadata or {}).get(_NOTE)
    if note is None:
        raise OutsideError(f"{GOLDEN} does not tell its columns: its schema has no '{_NOTE.decode()}'")
    return decode(note, Layout, where=f"the layout of {GOLDEN}")


def with_layout(table: "pa.Table", layout: Layout) -> "pa.Table":
    """The table with this layout, and no other metadata: the bytes of the file are those of its values."""
    return table.replace_schema_metadata({_NOTE: encode(layout)})


def _require_columns(rows: "pa.Table", names: Iterable[str]) -> None:
    for name in names:
        if name not in rows.column_names:
            hint = nearest(name, rows.column_names, instead=f"there are: {', '.join(rows.column_names)}")
            raise UsageError(f"the golden rows have no column '{name}'", hint=hint)


# --- one row ----------------------------------------------------------------------------------------------------------


def prediction_of(data: bytes, key: Mapping[str, object]) -> float | str | None:
    """What a file predicts for the row with these values in its key or features; None where there is no such row.

    A number comes as a float, any other label as text. A value that is text fits a cell that is written like it.

    Raises:
        UsageError: no such column, or several rows fit. OutsideError, StoreError: as `read_golden`.
    """
    golden = read_golden(data)
    _require_columns(golden.rows, key)
    cells = zip(*(golden.rows.column(name).to_pylist() for name in key), strict=True)
    places = [at for at, row in enumerate(cells) if all(map(_fits, key.values(), row))]
    if len(places) > 1:
        said = ", ".join(f"{name}={value}" for name, value in key.items())
        raise UsageError(f"{len(places)} golden rows have {said}", hint="name a column that is another in each row")
    if not places:
        return None
    value = golden.predicted[places[0]]
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _fits(value: object, cell: object) -> bool:
    return value == cell or (isinstance(value, str) and cell is not None and value == str(cell))


# --- two files --------------------------------------------------------------------------------------------------------


def compare_golden(first: bytes, second: bytes, *, tolerance: float | None = None) -> GoldenDiff:
    """Compare two files of golden predictions.

    Args:
        first: one file.
        second: the other.
        tolerance: a number is close to another if |a - b| ≤ t + t·max(|a|, |b|), and a label if it is the same. None:
            nothing that has other bits is close.

    Raises:
        UsageError: a file has no predictions. OutsideError, StoreError: as `read_golden`.
    """
    return compare_opened(read_golden(first), read_golden(second), tolerance=tolerance)


def compare_opened(first: Golden, second: Golden, *, tolerance: float | None = None) -> GoldenDiff:
    """As `compare_golden`, for files that were read already."""
    matched, places = _match(first, second)
    labels = first.layout.labels or second.layout.labels
    pairs = list(_pair(first, second, places, labels=labels, tolerance=tolerance))
    moved = sorted((pair for pair in pairs if not pair.same), key=_how_far, reverse=True)
    amounts = [] if labels else [(pair.first, pair.second) for pair in pairs]
    shifts = [y - x for x, y in amounts if _is_finite(x) and _is_finite(y)]
    return GoldenDiff(
        matched=matched,
        labels=labels,
        rows=len(pairs),
        only_first=first.table.num_rows - len(pairs),
        only_second=second.table.num_rows - len(pairs),
        other_input=_count_other_input(first, second, places),
        changed=len(moved),
        beyond=sum(not pair.close for pair in pairs),
        flips=sum(pair.flipped for pair in pairs),
        largest=max((Real(pair.gap) for pair in pairs if pair.gap is not None), default=None),
        mean=Real(math.fsum(shifts) / len(shifts)) if shifts else None,
        examples=[_example(first, pair) for pair in moved[:MOST_EXAMPLES]],
        tolerance=tolerance,
    )


class _Pair(NamedTuple):
    """A row of the first file, by its place, and what both files say of it."""

    place: int
    first: Any
    second: Any
    gap: float | None
    flipped: bool
    same: bool
    close: bool


def _match(first: Golden, second: Golden) -> tuple[Literal["key", "position"] | None, list[tuple[int, int]]]:
    """How the rows of two files are paired, and the places of each pair."""
    keys = _unique_keys(first), _unique_keys(second)
    if keys[0] and keys[1] and first.layout.key == second.layout.key:
        return "key", [(at, keys[1][key]) for key, at in keys[0].items() if key in keys[1]]
    places = [(at, at) for at in range(first.table.num_rows)]
    is_one = first.layout.features == second.layout.features and first.table.num_rows == second.table.num_rows
    if is_one and not _count_other_input(first, second, places):
        return "position", places
    return None, []


def _unique_keys(golden: Golden) -> dict[tuple[Any, ...], int] | None:
    """The place of each row by its key; None where there is no key that tells all rows apart."""
    import pyarrow as pa

    columns = [golden.table.column(name) for name in golden.layout.key]
    if not columns or any(pa.types.is_nested(column.type) for column in columns):
        return None
    rows = list(zip(*(column.to_pylist() for column in columns), strict=True))
    places = {row: at for at, row in enumerate(rows)}
    return places if len(places) == len(rows) else None


def _count_other_input(first: Golden, second: Golden, places: Sequence[tuple[int, int]]) -> int:
    """In how many pairs a feature that both files have is not the same."""
    other: set[int] = set()
    for name in first.layout.features:
        if name in second.layout.features:
            x, y = (golden.table.column(name).to_pylist() for golden in (first, second))
            other.update(at for at, (i, j) in enumerate(places) if not same_bits(x[i], y[j]))
    return len(other)


def _pair(
    first: Golden, second: Golden, places: Sequence[tuple[int, int]], *, labels: bool, tolerance: float | None
) -> Iterator[_Pair]:
    predicted = first.predicted, second.predicted
    probabilities = first.probabilities, second.probabilities
    missing = [[None] * golden.table.num_rows for golden in (first, second)]
    columns = [
        (probabilities[0].get(label, missing[0]), probabilities[1].get(label, missing[1]))
        for label in dict.fromkeys([*probabilities[0], *probabilities[1]])
    ]
    for i, j in places:
        x, y = predicted[0][i], predicted[1][j]
        numbers = [] if labels else [(x, y)]
        numbers += [(p[i], q[j]) for p, q in columns]
        same_label = not labels or same_bits(x, y)
        gaps = [abs(b - a) for a, b in numbers if isinstance(a, int | float) and isinstance(b, int | float)]
        yield _Pair(
            place=i,
            first=x,
            second=y,
            gap=max((gap for gap in gaps if not math.isnan(gap)), default=None),
            flipped=not same_label,
            same=same_label and all(same_bits(a, b) for a, b in numbers),
            close=same_label and all(is_close(a, b, tolerance) for a, b in numbers),
        )


def same_bits(x: Any, y: Any) -> bool:
    """Whether two values are the same, numbers with a fraction bit for bit."""
    if isinstance(x, float) and isinstance(y, float):
        return struct.pack(">d", x) == struct.pack(">d", y)
    return type(x) is type(y) and bool(x == y)


def is_close(x: Any, y: Any, tolerance: float | None) -> bool:
    """Whether |x - y| ≤ t + t·max(|x|, |y|): absolute near zero, relative far from it. NaN is close to NaN alone."""
    if tolerance is None or not (isinstance(x, float) and isinstance(y, float)):
        return same_bits(x, y)
    if not (math.isfinite(x) and math.isfinite(y)):
        return x == y or (math.isnan(x) and math.isnan(y))
    return abs(x - y) <= tolerance + tolerance * max(abs(x), abs(y))


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _how_far(pair: _Pair) -> tuple[bool, float]:
    """Other labels first, then by distance; from NaN to a number it is as far as can be."""
    return pair.flipped, math.inf if pair.gap is None else pair.gap


def _example(golden: Golden, pair: _Pair) -> Moved:
    names = golden.layout.key
    key = {name: golden.table.column(name)[pair.place].as_py() for name in names} or {"row": pair.place}
    return Moved(
        key={name: _exact(value) for name, value in key.items()},
        first=_exact(pair.first),
        second=_exact(pair.second),
        gap=None if pair.gap is None else Real(pair.gap),
    )


def _exact(value: Any) -> Any:
    """The value as a result holds it: every bit of a number, and of what JSON has not the text."""
    if isinstance(value, float):
        return Real(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)
