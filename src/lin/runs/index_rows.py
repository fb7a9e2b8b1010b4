"""What a row of the index is: the columns, and how runs fill them.

Params stand as the text that filters compare, so that the map has one type. The arrays are made of their bytes: to
make one of Python's objects, pyarrow would import pandas first, which takes longer than all the rest.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate, chain, islice
from typing import TYPE_CHECKING, Any

from lin.records import FileRef, ModelRef, TableRef
from lin.runs.matching import count_microseconds, param_text

if TYPE_CHECKING:
    import pyarrow as pa

    from lin.records import Input
    from lin.runs.query import RunInfo

_AT_ONCE = 10_000
_TEXTS = ("id", "name", "kind", "status", "experiment", "sweep", "parent", "actor")
_THING = ("type", "name", "location", "version", "digest")
"""What is said of what a run read or wrote: a table version with its pin, a model version, a file by its path."""


def row_schema() -> "pa.Schema":
    """The columns, as Arrow has them: maps for what has names of its own, from tables to versions for data."""
    import pyarrow as pa

    text, versions = pa.string(), pa.map_(pa.string(), pa.list_(pa.int64()))
    things = pa.list_(pa.struct([(name, pa.int64() if name == "version" else text) for name in _THING]))
    return pa.schema([
        *((name, text) for name in _TEXTS),
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
        ("target", text),
        ("features", pa.list_(text)),
        ("read", things),
        ("wrote", things),
    ])  # fmt: skip


def make_rows(runs: "Iterable[RunInfo]") -> "pa.Table":
    """The rows of these runs in their order; they are looked at once, some thousands at a time."""
    import pyarrow as pa

    schema = row_schema()
    waiting = iter(runs)
    batches = []
    while some := list(islice(waiting, _AT_ONCE)):
        batches.append(pa.RecordBatch.from_arrays(_arrays(some), schema=schema))
    return pa.Table.from_batches(batches, schema)


def _arrays(runs: "list[RunInfo]") -> "list[pa.Array]":
    params = [{key: None if value is None else param_text(value) for key, value in run.params.items()} for run in runs]
    return [
        *(_text_array([getattr(run, name) for run in runs]) for name in _TEXTS),
        _time_array([run.started for run in runs]),
        _float_array([run.seconds for run in runs]),
        _int_array([run.exit_code for run in runs]),
        _map_array(params, _text_array),
        _map_array([run.metrics for run in runs], _float_array),
        _map_array([run.tags for run in runs], _text_array),
        _map_array([_versions(run.table_inputs) for run in runs], _version_lists),
        _map_array([_versions(run.table_outputs) for run in runs], _version_lists),
        _text_array([run.source.tree if run.source else None for run in runs]),
        _text_array([run.environment for run in runs]),
        _text_array([run.fit.target if run.fit else None for run in runs]),
        _list_array([run.features for run in runs], _text_array),
        _list_array([[*map(_describe, run.inputs)] for run in runs], _thing_array),
        _list_array([[*map(_describe, run.outputs)] for run in runs], _thing_array),
    ]


def _versions(references: "Sequence[TableRef]") -> dict[str, list[int]]:
    tables = dict.fromkeys(reference.table for reference in references)
    return {table: sorted({each.version for each in references if each.table == table}) for table in tables}


def _describe(thing: "Input") -> tuple[str | int | None, ...]:
    """The fields of `_THING`."""
    match thing:
        case TableRef():
            return "table", thing.table, thing.location, thing.version, thing.pin
        case ModelRef():
            return "model", thing.model, None, thing.version, thing.sha256
        case FileRef():
            return "file", thing.path, None, None, thing.sha256


# --- arrays of their bytes --------------------------------------------------------------------------------------------


def _text_array(values: Sequence[str | None]) -> "pa.Array":
    import pyarrow as pa

    data = [(value or "").encode() for value in values]
    return _from_bytes(pa.string(), values, _offsets(data), b"".join(data))


def _float_array(values: Sequence[float | None]) -> "pa.Array":
    import pyarrow as pa

    return _from_bytes(pa.float64(), values, array("d", (0.0 if value is None else value for value in values)))


def _int_array(values: Sequence[int | None]) -> "pa.Array":
    import pyarrow as pa

    return _from_bytes(pa.int64(), values, array("q", (value or 0 for value in values)))


def _time_array(values: Sequence[datetime]) -> "pa.Array":
    import pyarrow as pa

    return _from_bytes(pa.timestamp("us", tz="UTC"), values, array("q", map(count_microseconds, values)))


def _list_array(values: Sequence[Sequence[Any]], items: Any) -> "pa.Array":
    """Lists whose values `items` makes an array of."""
    import pyarrow as pa

    return pa.ListArray.from_arrays(_offset_array(values), items(list(chain.from_iterable(values))))


def _version_lists(values: Sequence[Sequence[int]]) -> "pa.Array":
    return _list_array(values, _int_array)


def _thing_array(things: Sequence[tuple[Any, ...]]) -> "pa.Array":
    import pyarrow as pa

    fields = zip(*things, strict=True) if things else [()] * len(_THING)
    arrays = [
        (_int_array if name == "version" else _text_array)(values) for name, values in zip(_THING, fields, strict=True)
    ]
    return pa.StructArray.from_arrays(arrays, list(_THING))


def _map_array(values: Sequence[Mapping[str, Any]], items: Any) -> "pa.Array":
    """Maps whose values `items` makes an array of."""
    import pyarrow as pa

    keys = _text_array([key for value in values for key in value])
    return pa.MapArray.from_arrays(
        _offset_array(values), keys, items([item for value in values for item in value.values()])
    )


def _offset_array(values: Sequence[Any]) -> "pa.Array":
    import pyarrow as pa

    return _from_bytes(pa.int32(), range(len(values) + 1), _offsets(values))


def _offsets(values: Sequence[Any]) -> "array[int]":
    return array("i", accumulate(map(len, values), initial=0))


def _from_bytes(kind: "pa.DataType", values: Sequence[Any], *buffers: Any) -> "pa.Array":
    """An array of as many elements as `values`, null where these are None. Source: the Arrow columnar format."""
    import pyarrow as pa

    valid = "".join("0" if value is None else "1" for value in reversed(values))
    bitmap = int(valid or "0", 2).to_bytes(len(values) // 8 + 1, "little") if "0" in valid else None
    given = [None if bitmap is None else pa.py_buffer(bitmap), *map(pa.py_buffer, buffers)]
    return pa.Array.from_buffers(kind, len(values), given)
