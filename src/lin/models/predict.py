"""Scoring with a model version: one row, or the rows of a file or a table version as they pass.

A scored table or file is a recorded run, with the model version and what was read as inputs and the file that was
written as output, so that an old prediction can be traced. However many rows there are, few are in memory.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lin.data.pins import pinned_metadata
from lin.data.read import arrow_schema, check_order, stream_pin
from lin.data.stream import Condition, Source, open_condition, open_source
from lin.data.tables import Table
from lin.errors import UsageError
from lin.models.answers import Answered, Kept, Predictions, Report, pour, sort_answers
from lin.models.fill import Fill, fill_table
from lin.models.scorer import Scorer
from lin.models.sink import check_output
from lin.project import Project
from lin.records import FileRef
from lin.runs.record import Recorder
from lin.runs.trust import NOBODY, Trust
from lin.runs.writes import pin_input, recording

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Fill", "Predictions", "Scorer", "fill_table", "predict_file", "predict_row", "predict_table"]


def predict_row(project: Project, reference: str, row: Mapping[str, Any], *, trust: Trust = NOBODY) -> Predictions:
    """Score one row given as a map from column to value; nothing is recorded.

    Raises:
        UsageError: it does not fit the model's signature. OutsideError: the model cannot score its values.
    """
    import pyarrow as pa

    scorer = Scorer(project, reference, trust=trust)
    if not isinstance(row, Mapping):
        raise UsageError("the row is not a JSON object", hint="--row '{\"COLUMN\": 1.5}'")
    columns = {name: _one_value(name, value) if name in scorer.features else pa.nulls(1) for name, value in row.items()}
    answers = scorer.answer(pa.RecordBatch.from_pydict(columns))
    kept = Kept(None)
    kept.add(Answered(answers, answers))
    return _result(scorer, kept, row)


def predict_file(
    project: Project,
    reference: str,
    path: Path,
    *,
    output: Path | None = None,
    keep: int | None = None,
    trust: Trust = NOBODY,
    report: Report | None = None,
) -> Predictions:
    """Score the rows of a CSV, Parquet or JSON file, as a run.

    Args:
        project: where the run is recorded.
        reference: the model version.
        path: the file. Of a CSV file the model's columns are read in the types that the model takes, if it tells them.
        output: a CSV, Parquet or JSON-lines file that gets every column of the file, and the answers.
        keep: how many predictions the result holds; None for all, which are `MOST_KEPT` at most.
        trust: whose code may run.
        report: is told as rows pass.

    Raises:
        NotFoundError: no such file. UsageError: it cannot be read, or does not fit the model's signature.
        OutsideError: the model cannot score it.
    """
    scorer = _prepare(project, reference, trust, output)
    is_typed = all(column.type is not None for column in scorer.signature.inputs)
    kept = Kept(keep if output is None else 0)
    with open_source(path, as_text=is_typed) as source:
        batches = _check_file(scorer, source)
        read = FileRef(path=_relative(project, path), sha256=source.sha256, bytes=source.bytes)
        name = f"{scorer.reference} over {path.name}"
        with recording(project, kind="predict", name=name, inputs=[read, scorer.ref]) as run:
            _deliver(project, run, _answer_file(scorer, source, batches, report), kept, output, source.schema)
    return _result(scorer, kept, source.schema.names, file=str(path), output=_text(output), run=run.id)


def predict_table(
    project: Project,
    reference: str,
    table: Table,
    *,
    version: int | None = None,
    where: str | None = None,
    output: Path | None = None,
    keep: int | None = None,
    trust: Trust = NOBODY,
    report: Report | None = None,
) -> Predictions:
    """Score the rows of a table version for which `where` is true, in canonical order, as a run.

    `output` gets the table's key and the answers; other arguments and errors are those of `predict_file`. By the order
    that a table declares, key and answers alone are sorted, on disk where they are many.
    """
    scorer = _prepare(project, reference, trust, output)
    pin, read = pin_input(project, table, version)
    schema = arrow_schema(pinned_metadata(table, pin).schema)
    scorer.check(schema.names, next(stream_pin(table, pin, columns=None), None))
    carried = list(dict.fromkeys([*table.key, *check_order(schema, table.order)]))
    columns = None if where else [each for each in schema.names if each in {*carried, *scorer.features}]
    kept = Kept(keep if output is None else 0, table.key)
    with open_condition(where, schema) if where else nullcontext() as condition:
        name, params = f"{scorer.reference} over {table.name}@{read.version}", {"where": where} if where else {}
        with recording(project, kind="predict", name=name, inputs=[read, scorer.ref], params=params) as run:
            passing = _passing(stream_pin(table, pin, columns=columns), read.rows, report)
            answered = _answer_rows(scorer, passing, condition, carried)
            if table.order:
                answered = sort_answers(answered, table.order)
            with_key = (Answered(rows.select(list(table.key)), answers) for rows, answers in answered)
            _deliver(project, run, with_key, kept, output, _some(schema, table.key))
    others = [each for each in schema.names if each not in table.key]
    return _result(scorer, kept, others, table=table.name, version=read.version, output=_text(output), run=run.id)


def _prepare(project: Project, reference: str, trust: Trust, output: Path | None) -> Scorer:
    if output is not None:
        check_output(output)
    return Scorer(project, reference, trust=trust)


def _check_file(scorer: Scorer, source: Source) -> "Iterator[pa.RecordBatch]":
    """Refuse a file of which columns do not fit, before a run begins; returns its rows."""
    first = next(source.batches, None)
    scorer.check(source.schema.names, first, first=1, text=source.text)
    return source.batches if first is None else chain([first], source.batches)


def _answer_file(
    scorer: Scorer, source: Source, batches: "Iterable[pa.RecordBatch]", report: Report | None
) -> Iterator[Answered]:
    first = 1
    for batch in _passing(batches, source.rows, report):
        if batch.num_rows:
            yield Answered(batch, scorer.answer(batch, first=first, text=source.text))
        first += batch.num_rows


def _answer_rows(
    scorer: Scorer, batches: "Iterable[pa.RecordBatch]", condition: Condition | None, carried: list[str]
) -> Iterator[Answered]:
    import pyarrow as pa

    for batch in batches:
        rows = batch if condition is None else batch.filter(pa.array(condition.holds(batch)))
        if rows.num_rows:
            yield Answered(rows.select(carried), scorer.answer(rows))


def _passing(
    batches: "Iterable[pa.RecordBatch]", rows: int | None, report: Report | None
) -> "Iterator[pa.RecordBatch]":
    """The batches, each reported when it was dealt with."""
    passed = 0
    for batch in batches:
        yield batch
        passed += batch.num_rows
        if report is not None:
            report(passed, rows)


def _deliver(
    project: Project,
    run: Recorder,
    answered: Iterable[Answered],
    kept: Kept,
    output: Path | None,
    schema: "pa.Schema",
) -> None:
    """Let the answers go where they belong, and tell the run."""
    written = pour(answered, kept, output, schema)
    run.log_param("rows", kept.rows)
    if output is not None and written is not None:
        run.log_output(FileRef(path=_relative(project, output), sha256=written.sha256, bytes=written.bytes))


def _result(scorer: Scorer, kept: Kept, columns: Iterable[str], **told: Any) -> Predictions:
    return Predictions(
        model=scorer.reference,
        rows=kept.rows,
        predictions=kept.predictions,
        probabilities=kept.probabilities,
        keys=kept.keys,
        extra=scorer.signature.unknown(columns),
        **told,
    )


def _one_value(name: str, value: Any) -> "pa.Array":
    """A column of one row. Raises `UsageError` for what no column can hold."""
    import pyarrow as pa

    try:
        return pa.array([value])
    except OverflowError as error:
        raise UsageError(f"the row cannot be read: '{name}' is a whole number beyond 64 bits: {value}") from error
    except (pa.ArrowException, UnicodeEncodeError) as error:
        raise UsageError(f"the row cannot be read: '{name}' is {type(value).__name__} {value!r}") from error


def _some(schema: "pa.Schema", names: Iterable[str]) -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([schema.field(name) for name in names])


def _relative(project: Project, path: Path) -> str:
    """The path from the project's folder, as records have it."""
    return Path(os.path.relpath(path.resolve(), project.root.resolve())).as_posix()


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
