"""What a row of the index is: the columns, and how a sealed run fills them.

Params stand as the text that filters compare, so that the map has one type; metrics keep every bit.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from lin.runs.matching import param_text

if TYPE_CHECKING:
    import pyarrow as pa

    from lin.records import TableRef
    from lin.runs.query import RunInfo

_AT_ONCE = 10_000


def row_schema() -> "pa.Schema":
    """The columns, as Arrow has them: maps for what has names of its own, from tables to versions for data."""
    import pyarrow as pa

    text, versions = pa.string(), pa.map_(pa.string(), pa.list_(pa.int64()))
    return pa.schema([
        pa.field("id", text, nullable=False),
        ("name", text),
        ("kind", text),
        ("status", text),
        ("experiment", text),
        ("sweep", text),
        ("parent", text),
        ("actor", text),
        ("started", pa.timestamp("us", tz="UTC")),
        ("seconds", pa.float64()),
        ("exit_code", pa.int64()),
        ("params", pa.map_(text, text)),
        ("metrics", pa.map_(text, pa.float64())),
        ("tags", pa.map_(text, text)),
        ("inputs", versions),
        ("outputs", versions),
        ("source", text),
        ("environment", text),
    ])  # fmt: skip


def make_rows(runs: "Iterable[RunInfo]") -> "pa.Table":
    """The rows of these runs in their order; they are looked at once, some thousands at a time."""
    import pyarrow as pa

    schema = row_schema()
    waiting = iter(runs)
    tables = [schema.empty_table()]
    while rows := [_row(run) for run in islice(waiting, _AT_ONCE)]:
        tables.append(pa.Table.from_pylist(rows, schema))
    return pa.concat_tables(tables)


def _row(run: "RunInfo") -> dict[str, Any]:
    return {
        **{name: getattr(run, name) for name in ("id", "name", "kind", "status", "experiment", "sweep", "parent")},
        "actor": run.actor,
        "started": run.started,
        "seconds": run.seconds,
        "exit_code": run.exit_code,
        "params": [(key, None if value is None else param_text(value)) for key, value in run.params.items()],
        "metrics": [(key, float(value)) for key, value in run.metrics.items()],
        "tags": list(run.tags.items()),
        "inputs": list(_versions(run.table_inputs)),
        "outputs": list(_versions(run.table_outputs)),
        "source": run.source.tree if run.source else None,
        "environment": run.environment,
    }


def _versions(references: "Collection[TableRef]") -> Iterator[tuple[str, list[int]]]:
    for table in dict.fromkeys(reference.table for reference in references):
        yield table, sorted({reference.version for reference in references if reference.table == table})
