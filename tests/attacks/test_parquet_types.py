"""Parquet files with columns of registered types whose metadata is crafted: read, or refused in lin's own words."""

import base64
import io
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pandas.core.arrays.arrow.extension_types as registered  # what a program that keeps periods has loaded
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lin.data.checkpoints import read_checkpoint
from lin.data.load import load_source
from lin.data.read import read_version, stream_file
from lin.data.sql import read_footer
from lin.data.stream import open_source
from lin.data.tables import Table
from lin.data.written import ActionError
from lin.errors import LinError, OutsideError, UsageError
from lin.proof.attribution.outcome import _guess_layout
from lin.runs.golden import read_golden

if TYPE_CHECKING:
    from collections.abc import Callable

TYPES = ("pandas.interval", "pandas.period", "arrow.json", "arrow.fixed_shape_tensor", "arrow.py_extension_type")
CRAFTED = {
    "nothing": b"",
    "empty": b"{}",
    "torn": b"[",
    "list": b"[]",
    "deep": b"[" * 100_000,
    "no-text": b'{"subtype": 5, "closed": [], "freq": []}',
    "pickle": b"\x80\x04cos\nsystem\n(S'touch mark'\ntR.",
}
FIELDS = [{"name": name, "type": "long", "nullable": True, "metadata": {}} for name in ("ID", "x")]
CHECKPOINT = f"{0:020d}.checkpoint.parquet"


def crafted(kind: str, metadata: bytes) -> bytes:
    told = {"ARROW:extension:name": kind, "ARROW:extension:metadata": metadata}
    schema = pa.schema([pa.field("ID", pa.int64()), pa.field("x", pa.int64(), metadata=told)])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array([1, 2]), pa.array([1, 2])], schema=schema), buffer)
    return buffer.getvalue()


def with_odd_zone() -> bytes:
    """A file with a column of times whose zone is no UTF-8."""
    buffer = io.BytesIO()
    pq.write_table(pa.table({"x": pa.array([1], pa.timestamp("us", "Europe/Berlin"))}), buffer)
    told = pq.read_metadata(buffer).metadata[b"ARROW:schema"]
    changed = base64.b64encode(base64.b64decode(told).replace(b"Europe/Berlin", b"Europe/Ber\xff\xfe\xfd"))
    return buffer.getvalue().replace(told, changed)


def table_with(folder: Path, data: bytes) -> Table:
    """A Delta table whose one file has these bytes."""
    schema = json.dumps({"type": "struct", "fields": FIELDS})
    actions: list[object] = [
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": {"id": "0", "schemaString": schema, "partitionColumns": [], "configuration": {}}},
        {"add": {"path": "x.parquet", "size": len(data), "modificationTime": 0, "dataChange": True}},
    ]
    (folder / "_delta_log").mkdir(parents=True)
    (folder / "_delta_log" / f"{0:020d}.json").write_text("\n".join(map(json.dumps, actions)))
    (folder / "x.parquet").write_bytes(data)
    return Table("evil", folder)


def pour(path: Path) -> None:
    with open_source(path, as_text=False) as source:
        for _ in source.batches:
            pass


def stream(table: Table) -> None:
    snapshot = table.log.snapshot()
    for _ in stream_file(table, snapshot.metadata, snapshot.files[0], version=0):
        pass


def checkpoint(folder: Path, data: bytes) -> None:
    (folder / CHECKPOINT).write_bytes(data)
    with suppress(ActionError):
        read_checkpoint(folder, [CHECKPOINT])


@pytest.mark.parametrize("what", CRAFTED)
@pytest.mark.parametrize("kind", TYPES)
def test_crafted_metadata_of_a_type_is_refused_or_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, what: str
) -> None:
    assert registered.ArrowPeriodType
    monkeypatch.chdir(tmp_path)
    data = crafted(kind, CRAFTED[what])
    table = table_with(tmp_path / "evil", data)
    place = table.root / "x.parquet"
    readers: list[Callable[[], object]] = [
        lambda: load_source(place),
        lambda: pour(place),
        lambda: read_golden(data),
        lambda: _guess_layout(data),
        lambda: read_version(table),
        lambda: stream(table),
        lambda: read_footer(table.root, table.log.snapshot().files[0]),
        lambda: checkpoint(tmp_path, data),
    ]
    for read in readers:
        with suppress(LinError):
            read()
    assert not (tmp_path / "mark").exists()


def test_a_file_with_a_type_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    assert registered.ArrowPeriodType
    table = table_with(tmp_path / "evil", crafted("pandas.period", b"{}"))
    for read in (lambda: load_source(table.root / "x.parquet"), lambda: pour(table.root / "x.parquet")):
        with pytest.raises(UsageError, match=r"^x\.parquet cannot be read as Parquet: 'freq'"):
            read()
    for read in (lambda: read_version(table), lambda: stream(table)):
        with pytest.raises(OutsideError, match=r"^data file 'x\.parquet' cannot be read: 'freq'"):
            read()


def test_a_zone_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    place = tmp_path / "x.parquet"
    place.write_bytes(with_odd_zone())
    for read in (load_source, pour):
        with pytest.raises(UsageError, match=r"^x\.parquet cannot be read"):
            read(place)
