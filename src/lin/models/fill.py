"""Writing a model's predictions back into a column of a table: a new version, which tells the run and the model.

Rows pass once, from the bytes that were pinned to those that are written. Nothing is seen of the new version before it
is whole, and there is none where somebody else wrote meanwhile.
"""

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.casts import delta_type
from lin.data.log import Snapshot
from lin.data.read import arrow_schema, stream_pin
from lin.data.stream import Condition, open_condition
from lin.data.tables import Table
from lin.data.write import current_column, fit_column, rewrite_column
from lin.models.answers import Report
from lin.models.scorer import Scorer
from lin.project import Project
from lin.runs.trust import NOBODY, Trust
from lin.runs.writes import attribution_of, pin_input, pin_output, recording

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import pyarrow as pa


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """A write-back: how many rows of a column got a prediction, and the version that this made.

    `version` and `run` are None where no row was to be filled. `overwritten`: whether values were replaced, too.
    """

    model: str
    table: str
    column: str
    filled: int
    overwritten: bool
    base: int
    version: int | None
    run: str | None
    extra: list[str]


def fill_table(
    project: Project,
    reference: str,
    table: Table,
    column: str,
    *,
    where: str | None = None,
    overwrite: bool = False,
    reason: str | None = None,
    trust: Trust = NOBODY,
    report: Report | None = None,
) -> Fill:
    """Write the model's predictions into the nulls of `column`, or into all its rows, as a new version of `table`.

    Of these only the rows for which `where` is true. Rows are matched by their place in the version that was read; that
    version must still be the newest when the new one is committed. No other row or column changes, and no row moves.
    Where there is nothing to fill, there is no new version and no run.

    Raises:
        ConflictError: somebody wrote to the table meanwhile; nothing was changed.
        UsageError: the rows do not fit the model's signature, or the predictions do not fit the column.
        OutsideError: the model cannot score these values, or the table cannot be read or written.
    """
    scorer = Scorer(project, reference, trust=trust)
    base = table.log.snapshot()
    pin, read = pin_input(project, table, base.version)
    schema = arrow_schema(base.metadata.schema)
    scorer.check(schema.names, next(stream_pin(table, pin), None))
    with open_condition(where, schema) if where else nullcontext() as condition:
        choice = _Choice(column, condition, overwrite=overwrite)
        first = choice.find_first(stream_pin(table, pin))
        if first is None:
            return _fill(scorer, table, base, choice)
        field = schema.field(column) if column in schema.names else _new_field(column, scorer.score(first))
        predicting = _Predicting(scorer, choice, field, report, read.rows)
        with recording(
            project,
            kind="predict",
            name=f"{scorer.reference} into {table.name}.{column}",
            reason=reason or choice.reason(scorer),
            inputs=[read, scorer.ref],
            params=choice.params(where),
        ) as run:
            by = attribution_of(project, run, model=scorer.reference)
            written = rewrite_column(table, base, predicting, by, now_ms=int(time.time() * 1000), pin=pin)
            run.log_param("rows", predicting.filled)
            run.log_output(pin_output(project, table, written))
    made = _fill(scorer, table, base, choice)
    return msgspec.structs.replace(made, filled=predicting.filled, version=written.version, run=run.id)


def _fill(scorer: Scorer, table: Table, base: Snapshot, choice: "_Choice") -> Fill:
    """A write-back of nothing, so far."""
    others = [name for name in base.metadata.columns if name not in {*table.key, choice.column}]
    return Fill(
        model=scorer.reference,
        table=table.name,
        column=choice.column,
        filled=0,
        overwritten=choice.overwrite,
        base=base.version,
        version=None,
        run=None,
        extra=scorer.signature.unknown(others),
    )


class _Choice:
    """Which rows get a prediction."""

    def __init__(self, column: str, condition: Condition | None, *, overwrite: bool) -> None:
        self.column = column
        self.overwrite = overwrite
        self._condition = condition

    def mask(self, batch: "pa.RecordBatch") -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """Whether each of the rows does. NaN is a value, and no null."""
        import numpy as np

        wanted = np.ones(batch.num_rows, dtype=np.bool_) if self._condition is None else self._condition.holds(batch)
        if self.overwrite or self.column not in batch.schema.names:
            return wanted
        empty: np.ndarray[Any, np.dtype[np.bool_]] = batch.column(self.column).is_null().to_numpy(zero_copy_only=False)
        return wanted & empty

    def find_first(self, batches: "Iterable[pa.RecordBatch]") -> "pa.RecordBatch | None":
        """The first row that does, if there is one: what comes after it is not read."""
        for batch in batches:
            places = self.mask(batch).nonzero()[0]
            if len(places):
                return batch.slice(int(places[0]), 1)
        return None

    def params(self, where: str | None) -> dict[str, Any]:
        """What the run records of it."""
        told = {"where": where, "overwrite": self.overwrite or None}
        return {"column": self.column, **{name: value for name, value in told.items() if value is not None}}

    def reason(self, scorer: Scorer) -> str:
        """Why there is a new version, where nobody says it."""
        what = "rows" if self.overwrite else "nulls"
        return f"{what} of {self.column} filled with predictions of {scorer.reference}"


class _Predicting:
    """The column as the model fills it, in step with the rows that pass."""

    def __init__(
        self, scorer: Scorer, choice: _Choice, field: "pa.Field", report: Report | None, rows: int | None
    ) -> None:
        self.field = field
        self.filled = 0
        self._scorer = scorer
        self._choice = choice
        self._report = report
        self._rows = rows
        self._passed = 0

    def change(self, batch: "pa.RecordBatch") -> "pa.Array":
        """The column, with predictions where they are wanted."""
        import pyarrow as pa
        import pyarrow.compute as pc

        current = current_column(batch, self.field)
        mask = pa.array(self._choice.mask(batch))
        rows = batch.filter(mask)
        if rows.num_rows:
            predicted = fit_column(pa.array(self._scorer.score(rows)), current.type, self.field.name)
            current = pc.replace_with_mask(current, mask, predicted)
            self.filled += rows.num_rows
        self._passed += batch.num_rows
        if self._report is not None:
            self._report(self._passed, self._rows)
        return current

    def finish(self) -> None:
        """All is well: the first row to fill was found before."""


def _new_field(column: str, scores: Any) -> "pa.Field":
    """A column for such predictions."""
    import pyarrow as pa

    return pa.field(column, delta_type(pa.array(scores).type, column))
