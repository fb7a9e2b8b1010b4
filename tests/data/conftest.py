"""Builders of real Delta tables for the tests of `lin.data`."""

import json
import struct
import uuid
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lin.data.tables import Table

MakeTable = Callable[..., Table]


@pytest.fixture
def make_table(tmp_path: Path) -> MakeTable:
    """Creates a Delta table `name` with delta-rs under `tmp_path`, one version for each arrow table given.

    The later ones are appended; `key` and `order` go to the `Table`, every other option to `write_deltalake`.
    """

    def make(
        *parts: pa.Table,
        name: str = "housing",
        key: Sequence[str] = ("id",),
        order: Sequence[str] = (),
        **options: Any,
    ) -> Table:
        from deltalake import write_deltalake

        root = tmp_path / name
        for part in parts:
            write_deltalake(root, part, mode="append", **options)
        return Table(name=name, root=root, key=tuple(key), order=tuple(order))

    return make


_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


class ForeignTable:
    """A Delta table written by hand, action by action, as the protocol lets any engine write it.

    `fields` are Delta's; with a `mapping`, a column's files name and id are `col-N` and N, its place from 1 unless its
    metadata says otherwise. Times in the log count from 1,000,000 ms, a second a commit.
    """

    def __init__(
        self, root: Path, *, features: Sequence[str] = (), mapping: str = "none", key: Sequence[str] = ("id",)
    ):
        self.root = root
        self.table = Table(root.name, root, key=tuple(key))
        self.features = list(features)
        self.mapping = mapping
        self.version = -1
        (root / "_delta_log").mkdir(parents=True)

    def field(self, name: str, kind: Any, number: int | None = None) -> dict[str, Any]:
        metadata = {}
        if self.mapping != "none":
            metadata = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": f"col-{number}"}
        return {"name": name, "type": kind, "nullable": True, "metadata": metadata}

    def protocol(self) -> dict[str, Any]:
        features = [*self.features, *(["columnMapping"] if self.mapping != "none" else [])]
        if not features:
            return {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}
        versions = {"minReaderVersion": 3, "minWriterVersion": 7}
        return {"protocol": {**versions, "readerFeatures": features, "writerFeatures": features}}

    def metadata(self, *fields: dict[str, Any], partitions: Sequence[str] = ()) -> dict[str, Any]:
        configuration = {}
        if self.mapping != "none":
            configuration = {"delta.columnMapping.mode": self.mapping, "delta.columnMapping.maxColumnId": "99"}
        told = {
            "id": "11111111-2222-3333-4444-555555555555",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": list(fields)}),
            "partitionColumns": list(partitions),
            "configuration": configuration,
        }
        return {"metaData": told}

    def add(
        self,
        path: str,
        rows: pa.Table,
        *,
        partition: dict[str, str | None] | None = None,
        encoded: str | None = None,
        change: bool = True,
        stats: bool = True,
    ) -> dict[str, Any]:
        """Writes a data file as it is given and returns the action that adds it; `encoded` is its path in the log."""
        where = self.root / path
        where.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, where)
        told = {
            "path": encoded or path,
            "size": where.stat().st_size,
            "partitionValues": partition or {},
            "modificationTime": 1_000_000 + 1000 * self.version,
            "dataChange": change,
        }
        return {"add": told | ({"stats": json.dumps({"numRecords": rows.num_rows})} if stats else {})}

    def delete(self, action: dict[str, Any], positions: Iterable[int]) -> dict[str, Any]:
        """The same file with a deletion vector for these rows, which are below 65,536."""
        lows = sorted(positions)
        bitmap = struct.pack("<IIHHI", 12346, 1, 0, len(lows) - 1, 16) + struct.pack(f"<{len(lows)}H", *lows)
        data = struct.pack("<IQI", 1681511377, 1, 0) + bitmap
        name = uuid.uuid4()
        framed = b"\x01" + struct.pack(">i", len(data)) + data + struct.pack(">I", zlib.crc32(data))
        (self.root / f"deletion_vector_{name}.bin").write_bytes(framed)
        vector = {
            "storageType": "u",
            "pathOrInlineDv": _encode_z85(name.bytes),
            "offset": 1,
            "sizeInBytes": len(data),
            "cardinality": len(lows),
        }
        return {"add": {**action["add"], "deletionVector": vector}}

    def remove(self, action: dict[str, Any], *, change: bool = True) -> dict[str, Any]:
        """The action that removes what `add` or `delete` gave."""
        told = {"path": action["add"]["path"], "deletionTimestamp": 1_000_000, "dataChange": change}
        vector = action["add"].get("deletionVector")
        return {"remove": told | ({"deletionVector": vector} if vector else {})}

    def commit(self, *actions: dict[str, Any], info: dict[str, Any] | None = None, operation: str = "WRITE") -> int:
        """Writes the next version; with `info={}` it has no `commitInfo`."""
        self.version += 1
        told = {"timestamp": 1_000_000 + 1000 * self.version, "operation": operation} if info is None else info
        lines = [*([{"commitInfo": told}] if told else []), *actions]
        path = self.root / "_delta_log" / f"{self.version:020d}.json"
        path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        return self.version


def _encode_z85(data: bytes) -> str:
    text = ""
    for (word,) in struct.iter_unpack(">I", data):
        text += "".join(_Z85[word // 85**power % 85] for power in (4, 3, 2, 1, 0))
    return text


MakeForeign = Callable[..., ForeignTable]


@pytest.fixture
def foreign(tmp_path: Path) -> MakeForeign:
    """Makes an empty folder for a table written by hand; the options are those of `ForeignTable`."""

    def make(name: str = "housing", **options: Any) -> ForeignTable:
        return ForeignTable(tmp_path / name, **options)

    return make
