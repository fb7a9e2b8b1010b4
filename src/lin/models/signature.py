"""What a model takes and gives: its columns, their types, and rows held against them.

The signature is that of the imported folder, where the model came from one; else it is made of the features that the
run recorded and the pinned table that it read. Rows are cast to it only where each value stays the same.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.casts import cast_exactly
from lin.data.log import parse_schema
from lin.data.schema import arrow_type
from lin.errors import OutsideError, UsageError
from lin.models.fold import ModelVersion
from lin.project import Project
from lin.records import Pin, decode
from lin.runs.evaluate import CLASSIFICATION_METRICS, REGRESSION_METRICS
from lin.runs.query import RunInfo

if TYPE_CHECKING:
    import pyarrow as pa

SIGNATURE = "model/signature.json"
"""The artifact with the encoded signature of a model that was imported."""

MOST_NAMED = 5
"""So many problems of each kind are told."""

_NO_VALUE = ("", "NA", "N/A", "#N/A", "null", "NULL")
"""What stands for a null in a CSV field that is to be no text."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column by its name and Delta type (None: not known). One that is not `required` may be missing, and is null."""

    name: str
    type: str | None
    required: bool


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """The columns that a model takes, in the order in which it takes them, and those that it gives."""

    inputs: list[Column]
    outputs: list[Column]

    def unknown(self, names: Iterable[str]) -> list[str]:
        """The columns of rows that have nothing to do with the model."""
        known = {column.name for column in [*self.inputs, *self.outputs]}
        return [name for name in names if name not in known]


def read_signature(
    project: Project, version: ModelVersion, run: RunInfo, *, features: Sequence[str] | None = None
) -> Signature:
    """The signature of a model version, whose run is `run`.

    Where the run recorded no features, they are `features`: a program's model may know them. Types are those of the
    first pinned table that has such a column.

    Raises:
        StoreError: the kept signature or a pin is damaged or missing.
    """
    kept = run.artifact(SIGNATURE)
    if kept is not None:
        data = project.store.blobs.read(kept.sha256)
        return decode(data, Signature, where=f"the signature of model {version.reference}")
    types = _pinned_types(project, run)
    names = run.features or features or []
    return Signature(
        inputs=[Column(name=name, type=types.get(name), required=True) for name in names],
        outputs=[] if run.fit is None else [_output(run, run.fit.target, types)],
    )


def _pinned_types(project: Project, run: RunInfo) -> dict[str, str]:
    """The types of the columns of the tables that a run read; those of nested ones are left out."""
    types: dict[str, str] = {}
    for table in run.table_inputs:
        pin = decode(project.store.blobs.read(table.pin), Pin, where=f"the pin of {table.table}@{table.version}")
        for field in parse_schema(pin.schema)["fields"]:
            if isinstance(field["type"], str):
                types.setdefault(field["name"], field["type"])
    return types


def _output(run: RunInfo, target: str, types: dict[str, str]) -> Column:
    """What the model of a fit predicts: an amount, or one of the labels that the target had."""
    kind = types.get(target)
    if run.metrics.keys() & set(REGRESSION_METRICS):
        kind = "double"
    elif not run.metrics.keys() & set(CLASSIFICATION_METRICS):
        kind = None
    return Column(name=target, type=kind, required=True)


# --- rows -------------------------------------------------------------------------------------------------------------


def conform_rows(
    signature: Signature, rows: "pa.RecordBatch", model: str, *, first: int | None = None, text: bool = False
) -> "pa.RecordBatch":
    """The rows with exactly the columns that a model takes, in its order and types, every value the same.

    Args:
        signature: what the model takes.
        rows: with these columns or more.
        model: what messages call the model, as `boston@1`.
        first: the number of the first row, for messages; None where numbers mean nothing to whoever reads them.
        text: whether texts are fields of a CSV file, which may spell numbers, times and nulls.

    Raises:
        UsageError: columns are missing, or values are of another type; names all of them.
    """
    import pyarrow as pa

    problems: list[str] = _missing(signature, rows.schema.names)
    arrays: dict[str, Any] = {}
    for column in signature.inputs:
        kind = None if column.type is None else _arrow_type(column.type)
        if column.name not in rows.schema.names:
            arrays[column.name] = pa.nulls(rows.num_rows, kind or pa.null())
            continue
        values = rows.column(column.name)
        try:
            arrays[column.name] = _cast(values, kind, column.name, text=text)
        except UsageError:
            problems.append(_misfit(values, column, kind, first, text=text))
    if problems:
        needs = ", ".join(" ".join(filter(None, (column.name, column.type))) for column in signature.inputs)
        raise UsageError(f"the rows do not fit model {model}: {_list(problems)}", hint=f"it needs: {needs}")
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def require_columns(signature: Signature, names: Sequence[str], model: str) -> None:
    """Refuse rows of which columns are missing, before any is read. Raises `UsageError`, with the nearest names."""
    if problems := _missing(signature, names):
        needs = ", ".join(column.name for column in signature.inputs)
        raise UsageError(f"the rows do not fit model {model}: {_list(problems)}", hint=f"it needs: {needs}")


def _arrow_type(name: str) -> "pa.DataType | None":
    """The type as Arrow has it; None where that cannot be told from a name."""
    try:
        return arrow_type(name)
    except OutsideError:
        return None


def _missing(signature: Signature, names: Sequence[str]) -> list[str]:
    from difflib import get_close_matches

    unused = signature.unknown(names)
    problems = []
    for column in signature.inputs:
        if column.required and column.name not in names:
            near = get_close_matches(column.name, unused, n=1, cutoff=0.6)
            problems.append(f"'{column.name}' is missing" + (f" (there is '{near[0]}')" if near else ""))
    return problems


def _cast(values: "pa.Array", kind: "pa.DataType | None", name: str, *, text: bool) -> "pa.Array":
    """Raises `UsageError` where a value would change."""
    import pyarrow as pa

    if kind is None:
        return values
    if values.null_count == len(values):
        return pa.nulls(len(values), kind)
    if not text or pa.types.is_string(kind) or not pa.types.is_string(values.type):
        return cast_exactly(values, kind, name)
    try:
        return _parse(values, kind)
    except pa.ArrowException as error:
        raise UsageError(f"column '{name}': {error}") from error


def _parse(fields: "pa.Array", kind: "pa.DataType") -> "pa.Array":
    """CSV fields as values of a type."""
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = pc.utf8_trim_whitespace(fields)
    known = pc.if_else(pc.is_in(plain, pa.array(_NO_VALUE)), pa.scalar(None, pa.string()), plain)
    return known.cast(kind)


def _misfit(values: "pa.Array", column: Column, kind: "pa.DataType | None", first: int | None, *, text: bool) -> str:
    """What is wrong with the first value that does not fit."""

    def fits(part: "pa.Array") -> bool:
        try:
            _cast(part, kind, column.name, text=text)
        except UsageError:
            return False
        return True

    place = _first_wrong(values, fits)
    value = values[place].as_py()
    shown = repr(value if not isinstance(value, str) or len(value) <= 40 else f"{value[:40]}…")  # noqa: PLR2004
    where = "" if first is None else f"row {first + place} has "
    return f"'{column.name}' is not of type {column.type}: {where}{shown}"


def _first_wrong(values: "pa.Array", fits: "Callable[[pa.Array], bool]") -> int:
    """The place of the first value because of which the values do not fit, by halves."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        if fits(values.slice(low, middle - low)):
            low = middle
        else:
            high = middle
    return low


def _list(problems: list[str]) -> str:
    more = f", and {len(problems) - MOST_NAMED} more" if len(problems) > MOST_NAMED else ""
    return "; ".join(problems[:MOST_NAMED]) + more
