"""Parquet files with columns of registered types whose metadata is crafted: read, or refused in lin's own words."""

import io
from contextlib import suppress
from pathlib import Path

import pandas.core.arrays.arrow.extension_types as registered  # what a program that keeps periods has loaded
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lin.data.load import load_source
from lin.errors import LinError
from lin.runs.golden import read_golden

TYPES = ("pandas.interval", "pandas.period", "arrow.json", "arrow.fixed_shape_tensor", "arrow.py_extension_type")
CRAFTED = (b"", b"{}", b"[", b"\x80\x04cos\nsystem\n(S'touch mark'\ntR.")


def crafted(kind: str, metadata: bytes) -> bytes:
    told = {"ARROW:extension:name": kind, "ARROW:extension:metadata": metadata}
    schema = pa.schema([pa.field("ID", pa.int64()), pa.field("x", pa.int64(), metadata=told)])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array([1, 2]), pa.array([1, 2])], schema=schema), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("metadata", CRAFTED, ids=["nothing", "empty", "torn", "pickle"])
@pytest.mark.parametrize("kind", TYPES)
def test_crafted_metadata_of_a_type_is_refused_or_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, metadata: bytes
) -> None:
    assert registered.ArrowPeriodType
    monkeypatch.chdir(tmp_path)
    data = crafted(kind, metadata)
    place = tmp_path / "x.parquet"
    place.write_bytes(data)
    for read in (lambda: load_source(place), lambda: read_golden(data)):
        with suppress(LinError):
            read()
    assert not (tmp_path / "mark").exists()
