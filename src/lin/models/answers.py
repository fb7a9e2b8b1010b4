"""Rows and what a model answers them, as they pass in batches: put in order, kept for a result, written to a file."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from lin.data.cells import column_cells
from lin.data.stream import sort_stream
from lin.errors import UsageError
from lin.models.scorer import PREDICTION
from lin.models.sink import Sink, open_sink

if TYPE_CHECKING:
    import pyarrow as pa

Report = Callable[[int, int | None], None]
"""Told how many rows passed, and how many there are; None if that is not known."""

MOST_KEPT = 1_000_000
"""A result holds no more predictions: they are for a file."""


class Answered(NamedTuple):
    """Some rows, in the columns that go with the answers, and the answers: as many rows."""

    rows: "pa.RecordBatch"
    answers: "pa.RecordBatch"


class Predictions(msgspec.Struct, frozen=True, kw_only=True):
    """What a model said of rows, in their order.

    `rows` counts all that were scored; `predictions`, `probabilities` (by the name of their column) and `keys` (the
    table's, of each row) hold those that were asked for, and none where they went to a file, `output`. `extra` names
    the columns that have nothing to do with the model.
    """

    model: str
    table: str | None = None
    version: int | None = None
    file: str | None = None
    rows: int
    predictions: list[Any]
    probabilities: dict[str, list[Any]]
    keys: dict[str, list[Any]]
    extra: list[str]
    output: str | None = None
    run: str | None = None


class Kept:
    """The first answers of many, and how many there were."""

    def __init__(self, most: int | None, keys: Iterable[str] = ()) -> None:
        """Keep `most` of them; None for all, which then may be `MOST_KEPT`."""
        self.rows = 0
        self.keys: dict[str, list[Any]] = {name: [] for name in keys}
        self.predictions: list[Any] = []
        self.probabilities: dict[str, list[Any]] = {}
        self._most = most

    def add(self, answered: Answered) -> None:
        """Count them, and keep those that are wanted. Raises `UsageError` where these are too many."""
        count = answered.answers.num_rows
        self.rows += count
        if self._most is None and self.rows > MOST_KEPT:
            raise UsageError(
                f"these are more than the {MOST_KEPT:,} predictions that lin shows", hint="--output predictions.parquet"
            )
        wanted = count if self._most is None else min(count, self._most - len(self.predictions))
        if not wanted:
            return
        for name, keys in self.keys.items():
            keys.extend(_cells(answered.rows, name, wanted))
        for name in answered.answers.schema.names:
            cells = self.predictions if name == PREDICTION else self.probabilities.setdefault(name, [])
            cells.extend(_cells(answered.answers, name, wanted))


def pour(answered: Iterable[Answered], kept: Kept, output: Path | None, schema: "pa.Schema") -> Sink | None:
    """Count and keep the answers, and write them to the file `output`, if one is named, beside the rows.

    `schema` is that of the file where no row comes. Returns the file that was written.
    """
    with open_sink(output) if output is not None else nullcontext() as sink:
        for each in answered:
            kept.add(each)
            if sink is not None:
                sink.write(_beside(each))
        if sink is not None and not kept.rows:
            sink.write(_no_rows(schema))
    return sink


def sort_answers(answered: Iterator[Answered], order: Sequence[str]) -> Iterator[Answered]:
    """The answers by these columns of their rows: beside them in memory, or on disk where they are many."""
    import pyarrow as pa

    first = next(answered, None)
    if first is None:
        return
    columns = len(first.rows.schema)
    # names of ours, as DuckDB takes upper and lower case for the same
    names = [f"c{n}" for n in range(columns + len(first.answers.schema))]
    schema = pa.schema(
        [
            pa.field(name, kind)
            for name, kind in zip(names, [*first.rows.schema.types, *first.answers.schema.types], strict=True)
        ]
    )

    def joined() -> "Iterator[pa.RecordBatch]":
        for rows, answers in (first, *answered):
            yield pa.RecordBatch.from_arrays([*rows.columns, *answers.columns], schema=schema)

    by = [names[first.rows.schema.get_field_index(name)] for name in order]
    for batch in sort_stream(joined(), schema, by):
        yield Answered(
            pa.RecordBatch.from_arrays(batch.columns[:columns], schema=first.rows.schema),
            pa.RecordBatch.from_arrays(batch.columns[columns:], schema=first.answers.schema),
        )


def _beside(answered: Answered) -> "pa.RecordBatch":
    """The rows with the answers in columns behind theirs, under names that are not taken."""
    import pyarrow as pa

    rows, answers = answered
    names = list(rows.schema.names)
    for name in answers.schema.names:
        names.append(_unlike(name, names))
    return pa.RecordBatch.from_arrays([*rows.columns, *answers.columns], names=names)


def _no_rows(schema: "pa.Schema") -> "pa.RecordBatch":
    import pyarrow as pa

    name = _unlike(PREDICTION, schema.names)
    return pa.RecordBatch.from_pylist([], schema=schema.append(pa.field(name, pa.float64())))


def _unlike(name: str, taken: Sequence[str]) -> str:
    folded = {each.casefold() for each in taken}
    while name.casefold() in folded:
        name += "_"
    return name


def _cells(batch: "pa.RecordBatch", name: str, count: int) -> list[Any]:
    import pyarrow as pa

    return column_cells(pa.chunked_array([batch.column(name).slice(0, count)]), name)
