"""Checkpoints of a Delta log: files that hold the whole state at a version.

There are three forms: one Parquet file, several of which all are needed, and version 2 (Parquet or JSON, by any of its
names), which may keep the data files in sidecars. Only a checkpoint whose every file is whole is one; what
`_last_checkpoint` says is never asked. Source: Delta's PROTOCOL.md, "Checkpoints".
"""

import os
import re
from collections.abc import Iterable, Iterator
from io import BufferedReader
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from lin.data.files import open_log_file
from lin.data.parquet import open_parquet, parquet_errors
from lin.data.written import Action, ActionError, Add, Remove, Sidecar, Vector, parse_actions

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_WHOLE = re.compile(r"(\d{20})\.checkpoint(?:\.[0-9A-Fa-f-]{36}\.json|(?:\.[0-9A-Fa-f-]{36})?\.parquet)", re.ASCII)
_PART = re.compile(r"(\d{20})\.checkpoint\.(\d{10})\.(\d{10})\.parquet", re.ASCII)
_SIDECARS = "_sidecars"
_SMALL = ["metaData", "protocol", "sidecar"]
_FILE = ["path", "size", "modificationTime", "dataChange", "stats", "partitionValues", "deletionVector"]
_GONE = ["path", "deletionVector", "deletionTimestamp"]


def complete_checkpoints(names: Iterable[str]) -> dict[int, list[list[str]]]:
    """The versions that have a complete checkpoint among `names`.

    Each has one or more, any of which will do: the files of each, and those in one file first.
    """
    whole: list[tuple[int, list[str]]] = []
    parts: dict[tuple[int, int], dict[int, str]] = {}
    for name in sorted(names, key=lambda name: (len(name), name)):
        if match := _WHOLE.fullmatch(name):
            whole.append((int(match[1]), [name]))
        elif match := _PART.fullmatch(name):
            parts.setdefault((int(match[1]), int(match[3])), {})[int(match[2])] = name
    # the number of parts comes from a name, so it is compared and never counted up to
    complete = [
        (version, [found[part] for part in sorted(found)])
        for (version, total), found in sorted(parts.items())
        if len(found) == total == max(found) and min(found) == 1
    ]
    checkpoints: dict[int, list[list[str]]] = {}
    for version, files in [*whole, *complete]:
        checkpoints.setdefault(version, []).append(files)
    return checkpoints


def read_checkpoint(folder: Path, names: list[str], *, removed: bool = False) -> list[Action]:
    """The actions of a checkpoint in the log `folder`: metadata, protocol and every data file.

    Args:
        folder: the log.
        names: the files of the checkpoint, as `complete_checkpoints` has them.
        removed: whether to give the files that were removed before, too, as far as the checkpoint remembers them.

    Raises:
        ActionError: names the file that is missing, damaged or refused.
    """
    actions = [action for name in names for action in _read_file(folder, name, removed=removed)]
    # a sidecar has no sidecars of its own
    sidecars = [action.sidecar for action in actions if action.sidecar]
    for sidecar in sidecars:
        actions += _read_sidecar(folder / _SIDECARS, sidecar, removed=removed)
    return actions if removed else [action for action in actions if action.remove is None]


def _read_sidecar(folder: Path, sidecar: Sidecar, *, removed: bool) -> list[Action]:
    name = unquote(sidecar.path)
    if "/" in name or name in {"", ".", ".."} or "\0" in name:
        raise ActionError(f"its sidecar {sidecar.path!r} lies outside {_SIDECARS}")
    return _read_file(folder, name, removed=removed, size=sidecar.size_in_bytes)


def _read_file(folder: Path, name: str, *, removed: bool, size: int | None = None) -> list[Action]:
    try:
        with open_log_file(folder, name) as stream:
            _require_size(stream, size)
            if name.endswith(".json"):
                return parse_actions(stream.read())
            return list(_read_parquet(stream, removed=removed))
    except FileNotFoundError:
        raise ActionError(f"{name}: it is missing") from None
    except (OSError, ActionError) as error:
        raise ActionError(f"{name}: {error}") from error


def _require_size(stream: BufferedReader, size: int | None) -> None:
    found = os.fstat(stream.fileno()).st_size
    if size is not None and found != size:
        raise ActionError(f"it has {found} bytes, and its checkpoint says {size}")


def _read_parquet(stream: BufferedReader, *, removed: bool) -> Iterator[Action]:
    try:
        # the file, not the folder: pyarrow must not take it for a data set with partitions
        with open_parquet(stream) as file:
            present = set(file.schema_arrow.names)
            for column in present.intersection(_SMALL):
                rows = _valid(file.read(columns=[column]), column).to_pylist(maps_as_pydicts="strict")
                yield from (msgspec.convert({column: row}, Action) for row in rows)
            if "add" in present:
                yield from (Action(add=add) for add in _read_adds(file))
            if "remove" in present and removed:
                rows = _valid(file.read(columns=[f"remove.{name}" for name in _GONE]), "remove").to_pylist()
                yield from (Action(remove=msgspec.convert(row, Remove)) for row in rows)
    except (msgspec.MsgspecError, ActionError) as error:
        raise ActionError(str(error)) from error
    except parquet_errors() as error:
        raise ActionError(f"it cannot be read as Parquet: {error}") from error


def _valid(rows: "pa.Table", column: str) -> "pa.ChunkedArray":
    """The structs of a column that are there: most rows of a checkpoint have another action."""
    return rows.column(column).drop_null()


# --- data files, a column at a time: a table may have very many -------------------------------------------------------


def _read_adds(file: "pq.ParquetFile") -> Iterator[Add]:
    import pyarrow as pa
    import pyarrow.compute as pc

    adds = _valid(file.read(columns=[f"add.{name}" for name in _FILE]), "add")
    columns = _fields(adds)
    numbers = [_values(columns, name, pa.int64(), len(adds)) for name in ("size", "modificationTime")]
    texts = [_values(columns, name, pa.string(), len(adds)) for name in ("path", "stats")]
    changes = _values(columns, "dataChange", pa.bool_(), len(adds))
    for name, values in (("size", numbers[0]), ("modificationTime", numbers[1]), ("path", texts[0])):
        if values.null_count:
            raise ActionError(f"a data file in it has no {name}")
    if len(adds) and pc.min(numbers[0]).as_py() < 0:
        raise ActionError("a data file in it has a negative size")
    stats = texts[1].to_pylist()
    if texts[1].null_count:
        stats = [text or parsed for text, parsed in zip(stats, _parsed_stats(file, len(adds)), strict=True)]
    rows = zip(
        texts[0].to_pylist(),
        numbers[0].to_pylist(),
        numbers[1].to_pylist(),
        _partitions(columns, len(adds)),
        changes.to_pylist(),
        stats,
        _vectors(columns, len(adds)),
        strict=True,
    )
    for path, size, modified, partition, change, text, vector in rows:
        yield Add(path, size, modified, partition, change is not False, text, vector)


def _fields(structs: "pa.ChunkedArray") -> "dict[str, pa.ChunkedArray]":
    import pyarrow as pa

    table = pa.Table.from_struct_array(structs)
    if len(set(table.column_names)) < table.num_columns:
        raise ActionError("it has two columns of one name")
    return dict(zip(table.column_names, table.columns, strict=True))


def _values(columns: "dict[str, pa.ChunkedArray]", name: str, kind: "pa.DataType", count: int) -> "pa.ChunkedArray":
    """A column in its type; nulls where the checkpoint has none such."""
    import pyarrow as pa

    found = columns.get(name)
    return pa.chunked_array([pa.nulls(count, kind)]) if found is None else found.cast(kind)


def _partitions(columns: "dict[str, pa.ChunkedArray]", count: int) -> Iterable[dict[str, str | None] | None]:
    import pyarrow as pa

    kind = pa.map_(pa.string(), pa.string())
    maps = _values(columns, "partitionValues", kind, count).combine_chunks()
    if maps.null_count == count or not len(maps.items):
        return repeat(None, count)
    rows: list[dict[str, str | None] | None] = maps.to_pylist(maps_as_pydicts="strict")
    return rows


def _vectors(columns: "dict[str, pa.ChunkedArray]", count: int) -> Iterable[Vector | None]:
    vectors = columns.get("deletionVector")
    if vectors is None or vectors.null_count == count:
        return repeat(None, count)
    return [row and msgspec.convert(row, Vector) for row in vectors.to_pylist()]


def _parsed_stats(file: "pq.ParquetFile", count: int) -> Iterable[str | None]:
    """The statistics that are there as a struct, as the JSON text that they would be."""
    encoder = msgspec.json.Encoder(decimal_format="number")
    columns = _fields(_valid(file.read(columns=["add.path", "add.stats_parsed"]), "add"))
    if "stats_parsed" not in columns:
        return repeat(None, count)
    return [None if row is None else encoder.encode(row).decode() for row in columns["stats_parsed"].to_pylist()]
