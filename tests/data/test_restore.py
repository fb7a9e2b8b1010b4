import json
import os
import struct
import uuid
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lin.data.commit import Attribution
from lin.data.pins import pin_digest, pin_version
from lin.data.read import read_version
from lin.data.recommit import _encode_z85
from lin.data.restore import RestorePlan, plan_pin, plan_restore, restore_pin, restore_version
from lin.data.tables import Table
from lin.data.write import create_table, fill_column, replace_rows
from lin.errors import ConflictError, NotFoundError, OutsideError

BY = Attribution(run="r1", user="ada", reason="the labels were predictions", lin="0.1.0")
ROWS = pa.table({"id": [3, 1, 2], "medv": pa.array([24.0, None, 21.6])})
MakeTable = Callable[..., Table]


@pytest.fixture
def vectored(make_table: MakeTable) -> Table:
    """Versions 1 and 2 delete rows by two deletion vectors in one file; version 3 has the rows of version 0."""
    table = make_table(pa.table({"id": list(range(10))}), name="vectored")
    (add,) = [line["add"] for line in actions(table, 0) if "add" in line]
    name, content, vectors = uuid.uuid4(), b"\x01", []
    for rows in ([1, 2], [1, 2, 3]):
        roaring = struct.pack("<IIHHI", 12346, 1, 0, len(rows) - 1, 16) + struct.pack(f"<{len(rows)}H", *rows)
        bitmap = struct.pack("<IQI", 1681511377, 1, 0) + roaring
        text = {"storageType": "u", "pathOrInlineDv": _encode_z85(name.bytes), "offset": len(content)}
        vectors.append(text | {"sizeInBytes": len(bitmap), "cardinality": len(rows)})
        content += struct.pack(">I", len(bitmap)) + bitmap + struct.pack(">I", zlib.crc32(bitmap))
    (table.root / f"deletion_vector_{name}.bin").write_bytes(content)
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    steps = [None, *vectors, None]
    for version, (old, new) in enumerate(pairwise(steps), start=1):
        removed, added = (add | ({"deletionVector": vector} if vector else {}) for vector in (old, new))
        lines = [{"remove": removed | {"deletionTimestamp": 1_000}}, {"add": added}]
        lines += [{"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}}] if version == 1 else []
        (table.log.folder / f"{version:020d}.json").write_text("\n".join(map(json.dumps, lines)))
    return table


@pytest.fixture
def mapped(make_table: MakeTable) -> Table:
    """Version 1 maps its columns by name, and version 2 has renamed them; all have the same file."""
    table = make_table(ROWS, name="mapped")
    (plain,) = [line["metaData"] for line in actions(table, 0) if "metaData" in line]
    settings = {"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "2"}
    for version, names in ((1, ["id", "medv"]), (2, ["key", "value"])):
        schema = json.loads(plain["schemaString"])
        for number, (field, name) in enumerate(zip(schema["fields"], names, strict=True), start=1):
            ids = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": field["name"]}
            field |= {"name": name, "metadata": ids}
        lines = [{"metaData": plain | {"schemaString": json.dumps(schema), "configuration": settings}}]
        lines += [{"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}] if version == 1 else []
        (table.log.folder / f"{version:020d}.json").write_text("\n".join(map(json.dumps, lines)))
    return table


@pytest.fixture
def filled(tmp_path: Path) -> Table:
    """A table whose version 1 filled what was null in version 0."""
    root = tmp_path / "housing"
    create_table(root, ROWS.to_reader(), BY, now_ms=1_000)
    table = Table("housing", root, key=("id",))
    fill_column(table, table.log.snapshot(), "medv", pa.array([0.0, 9.9, 0.0]), BY, now_ms=2_000)
    return table


def test_a_restored_version_is_the_old_one(filled: Table) -> None:
    plan = plan_restore(filled, 0)
    assert plan == RestorePlan(
        table="housing", head=1, version=0, nothing_to_do=False, problems=[], added_files=1, removed_files=1
    )
    result = restore_version(filled, 0, BY)
    assert (result.table, result.restored, result.version) == ("housing", 0, 2)
    digests = [pin_digest(pin_version(filled, filled.log.snapshot(n))) for n in (0, 1, 2)]
    assert digests[0] == digests[2] != digests[1]
    assert read_version(filled)[1].equals(ROWS)
    info = filled.log.commit(2).info
    assert (info["operation"], info["lin.run"], json.loads(info["userMetadata"])["lin.reason"]) == (
        "RESTORE",
        "r1",
        "the labels were predictions",
    )


def test_there_is_nothing_to_do_for_the_newest_and_its_equals(filled: Table) -> None:
    restore_version(filled, 0, BY)
    for version in (0, 2):
        assert plan_restore(filled, version).nothing_to_do
        assert restore_version(filled, version, BY).version is None
    assert filled.log.head() == 2


def test_the_schema_comes_back_even_with_a_newer_protocol(make_table: MakeTable) -> None:
    from deltalake import TableFeatures

    table = make_table(ROWS)
    DeltaTable(table.root).alter.add_feature(
        TableFeatures.TimestampWithoutTimezone, allow_protocol_versions_increase=True
    )
    wider = ROWS.append_column("when", pa.array([0, 1, 2], pa.timestamp("us")))
    replace_rows(table, table.log.snapshot(), wider.to_reader(), BY, now_ms=1_000)
    assert restore_version(table, 0, BY).version == 3
    assert read_version(table)[1].equals(ROWS)
    assert table.log.snapshot().protocol.reader == 3


def test_a_change_of_the_schema_alone_is_taken_back(make_table: MakeTable) -> None:
    from deltalake import Field
    from deltalake.schema import PrimitiveType

    table = make_table(ROWS)
    DeltaTable(table.root).alter.add_columns([Field("new", PrimitiveType("long"))])
    assert not plan_restore(table, 0).nothing_to_do
    restore_version(table, 0, BY)
    assert table.log.snapshot().metadata.columns == ["id", "medv"]


def test_missing_files_are_named_and_nothing_is_committed(filled: Table) -> None:
    (lost,) = filled.log.snapshot(0).files
    (filled.root / lost.path).unlink()
    assert plan_restore(filled, 0).problems == [f"data file '{lost.path}' is missing"]
    with pytest.raises(OutsideError, match=f"housing@0 cannot be restored: data file '{lost.path}' is missing"):
        restore_version(filled, 0, BY)
    assert filled.log.head() == 1


def test_an_altered_file_is_refused(filled: Table) -> None:
    (file,) = filled.log.snapshot(0).files
    with (filled.root / file.path).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(OutsideError, match="altered"):
        restore_version(filled, 0, BY)
    assert filled.log.head() == 1


def test_a_write_meanwhile_is_a_conflict(filled: Table) -> None:
    from lin.data.restore import _commit

    head = filled.log.head()
    write_deltalake(filled.root, ROWS, mode="append")
    with pytest.raises(ConflictError, match="somebody wrote version 2 of 'housing' meanwhile"):
        _commit(filled, head, 0, BY)
    assert read_version(filled)[1].num_rows == 6


def test_the_order_comes_back_although_a_file_was_added_again_later(make_table: MakeTable) -> None:
    table = make_table(ROWS, pa.table({"id": [9], "medv": [1.0]}))
    action = json.loads((table.log.folder / f"{0:020d}.json").read_text().splitlines()[-1])
    action["add"]["modificationTime"] += 3_600_000  # so the same file comes last, and its rows too
    (table.log.folder / f"{2:020d}.json").write_text(json.dumps(action))
    write_deltalake(table.root, ROWS, mode="append")
    assert read_version(table, 2)[1].column("id").to_pylist() == [9, 3, 1, 2]
    assert restore_version(table, 1, BY).version == 4
    assert read_version(table)[1].equals(read_version(table, 1)[1])
    assert digest_of(table, 4) == digest_of(table, 1)
    assert sorted(DeltaTable(table.root).file_uris()) == sorted(DeltaTable(table.root, version=1).file_uris())


def digest_of(table: Table, version: int) -> str:
    return pin_digest(pin_version(table, table.log.snapshot(version)))


def test_refusals(filled: Table, make_table: MakeTable) -> None:
    with pytest.raises(NotFoundError, match="no version 7"):
        restore_version(filled, 7, BY)
    closed = make_table(ROWS, ROWS, name="closed", configuration={"delta.appendOnly": "true"})
    with pytest.raises(OutsideError, match="append-only"):
        restore_version(closed, 0, BY)
    assert closed.log.head() == 1


# --- across what else changes -----------------------------------------------------------------------------------------


def odd(*ids: int, **columns: list[Any]) -> pa.Table:
    """Rows in partitions whose values have to be escaped, one of them null."""
    parts = ["a b/%é", None, "x=y:z", "100%20"]
    return pa.table({"id": pa.array(ids, pa.int64()), "part": [parts[number % 4] for number in ids], **columns})


def test_partitions_with_special_values_come_back(make_table: MakeTable) -> None:
    table = make_table(odd(0, 1, 2, 3), odd(4, 5), partition_by=["part"])
    write_deltalake(table.root, odd(9), mode="overwrite")
    for version in (1, 0, 2):
        made = restore_version(table, version, BY).version
        assert made is not None
        assert digest_of(table, made) == digest_of(table, version)
        assert read_version(table)[1].equals(read_version(table, version)[1])


def test_columns_that_were_added_and_dropped_come_back(make_table: MakeTable) -> None:
    table = make_table(ROWS)
    write_deltalake(table.root, ROWS.append_column("more", pa.array([1, 2, 3])), mode="append", schema_mode="merge")
    write_deltalake(table.root, ROWS.select(["medv"]), mode="overwrite", schema_mode="overwrite")
    columns = [table.log.snapshot(version).metadata.columns for version in (0, 1, 2)]
    assert columns == [["id", "medv"], ["id", "medv", "more"], ["medv"]]
    for version in (1, 0, 2, 1):
        made = restore_version(table, version, BY).version
        assert table.log.snapshot().metadata.columns == columns[version]
        assert made is not None
        assert digest_of(table, made) == digest_of(table, version)


def test_an_empty_version_and_a_restore_come_back(make_table: MakeTable) -> None:
    table = make_table(ROWS.slice(0, 0), ROWS)
    assert restore_version(table, 0, BY).version == 2
    assert read_version(table)[1].num_rows == 0
    assert restore_version(table, 1, BY).version == 3
    assert restore_version(table, 2, BY).version == 4  # a restore of a restore
    assert digest_of(table, 4) == digest_of(table, 2) == digest_of(table, 0)
    assert digest_of(table, 3) == digest_of(table, 1)


def test_properties_that_go_back_are_told(make_table: MakeTable) -> None:
    table = make_table(ROWS)
    DeltaTable(table.root).alter.set_table_properties({"delta.enableExpiredLogCleanup": "false"})
    write_deltalake(table.root, ROWS, mode="append")
    assert plan_restore(table, 0).settings == ["delta.enableExpiredLogCleanup"]
    assert plan_restore(table, 1).settings == []


def test_deletion_vectors_come_back(vectored: Table) -> None:
    counts = [read_version(vectored, version)[1].num_rows for version in range(4)]
    assert counts == [10, 8, 7, 10]
    for version in (1, 2, 0, 2, 1):
        made = restore_version(vectored, version, BY).version
        assert made is not None
        assert read_version(vectored)[1].num_rows == counts[version]
        assert digest_of(vectored, made) == digest_of(vectored, version)
    (vectored.root / next(vectored.root.glob("*.bin"))).unlink()
    (problem,) = plan_restore(vectored, 2).problems
    assert problem.startswith("deletion vector 'deletion_vector_")
    assert problem.endswith("is missing")


def test_column_mapping_comes_back(mapped: Table) -> None:
    columns = [read_version(mapped, version)[1].column_names for version in range(3)]
    assert columns == [["id", "medv"], ["id", "medv"], ["key", "value"]]
    for version in (0, 1, 2, 0):
        made = restore_version(mapped, version, BY).version
        assert made is not None
        assert digest_of(mapped, made) == digest_of(mapped, version)
        assert read_version(mapped)[1].column_names == columns[version]
        assert read_version(mapped)[1].columns == ROWS.columns


# --- from a pin -------------------------------------------------------------------------------------------------------


def forget(table: Table) -> None:
    """Let delta-rs clean the log up: only the newest version is left."""
    DeltaTable(table.root).create_checkpoint()
    for path in table.log.folder.iterdir():
        os.utime(path, (1e9, 1e9))
    DeltaTable(table.root).cleanup_metadata()
    assert len(table.log.versions()) == 1


def actions(table: Table, version: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (table.log.folder / f"{version:020d}.json").read_text().splitlines()]


def test_a_pin_comes_back_when_the_log_has_forgotten_its_version(make_table: MakeTable) -> None:
    table = make_table(odd(0, 1, 2, 3), odd(4, 5), partition_by=["part"])
    write_deltalake(table.root, odd(6), mode="append")
    write_deltalake(table.root, odd(9), mode="overwrite")
    pins = [pin_version(table, table.log.snapshot(version)) for version in range(4)]
    rows = [read_version(table, version)[1] for version in range(4)]
    forget(table)
    for version in (1, 2, 0, 3):  # none of its files is live, all are, some are, others are
        plan = plan_pin(table, pins[version], version)
        assert (plan.nothing_to_do, plan.problems) == (False, [])
        head = len(table.log.snapshot().files)
        assert head + plan.added_files - plan.removed_files == len(pins[version].files)
        made = restore_pin(table, pins[version], version, BY).version
        assert made is not None
        assert digest_of(table, made) == pin_digest(pins[version])
        assert read_version(table)[1].equals(rows[version])
        seen = DeltaTable(table.root).to_pyarrow_table().sort_by("id")
        assert seen.equals(rows[version].sort_by("id"))
        assert restore_pin(table, pins[version], version, BY).version is None
    (info,) = [line["commitInfo"] for line in actions(table, made) if "commitInfo" in line]
    assert (info["operation"], info["operationParameters"], info["lin.run"]) == ("RESTORE", {"version": "3"}, "r1")
    (wrote,) = [line["add"] for line in actions(table, made) if "add" in line]
    assert json.loads(wrote["stats"])["numRecords"] == 1
    before, after = (table.log.folder / f"{n:020d}.json" for n in (made - 1, made))
    assert after.stat().st_mode == before.stat().st_mode
    write_deltalake(table.root, odd(11), mode="append")  # others can write on
    DeltaTable(table.root).create_checkpoint()
    assert DeltaTable(table.root).to_pyarrow_table().num_rows == 2


def test_a_commit_never_adds_and_removes_the_same_file(make_table: MakeTable) -> None:
    """Spark takes such a file for removed."""
    table = make_table(ROWS, ROWS, ROWS)
    pin = pin_version(table, table.log.snapshot(1))
    made = restore_pin(table, pin, 1, BY).version
    assert made is not None
    added, removed = ({line[key]["path"] for line in actions(table, made) if key in line} for key in ("add", "remove"))
    assert len(added) == 2
    assert len(removed) == 1
    assert added.isdisjoint(removed)


def test_a_live_file_is_named_as_the_log_spells_it(make_table: MakeTable) -> None:
    """Else some readers would have it twice."""
    table = make_table(ROWS)
    first = table.log.folder / f"{0:020d}.json"
    first.write_text(first.read_text().replace('"path":"part-', '"path":"%70art-'))
    pin = pin_version(table, table.log.snapshot(0))
    write_deltalake(table.root, ROWS, mode="append")
    assert restore_pin(table, pin, 0, BY).version == 2
    (add,) = [line["add"] for line in actions(table, 2) if "add" in line]
    assert add["path"].startswith("%70art-")
    assert DeltaTable(table.root).to_pyarrow_table().num_rows == 3
    write_deltalake(table.root, ROWS.slice(0, 1), mode="overwrite")
    assert restore_pin(table, pin, 0, BY).version == 4
    assert DeltaTable(table.root).to_pyarrow_table().num_rows == 3


def test_the_schema_of_a_pin_comes_back_and_nothing_else_of_the_table(make_table: MakeTable) -> None:
    table = make_table(ROWS, description="homes", configuration={"delta.logRetentionDuration": "interval 9 days"})
    pin = pin_version(table, table.log.snapshot(0))
    other = ROWS.rename_columns(["id", "home"])
    write_deltalake(table.root, other, mode="overwrite", schema_mode="overwrite", partition_by=["id"])
    DeltaTable(table.root).alter.set_table_properties({"delta.enableExpiredLogCleanup": "false"})
    forget(table)
    made = restore_pin(table, pin, 0, BY).version
    assert made is not None
    assert digest_of(table, made) == pin_digest(pin)
    metadata = DeltaTable(table.root).metadata()
    assert (metadata.description, metadata.partition_columns) == ("homes", [])
    assert metadata.configuration == {
        "delta.logRetentionDuration": "interval 9 days",
        "delta.enableExpiredLogCleanup": "false",
    }


def test_deletion_vectors_of_a_pin_come_back(vectored: Table) -> None:
    pins = [pin_version(vectored, vectored.log.snapshot(version)) for version in range(4)]
    rows = [read_version(vectored, version)[1] for version in range(4)]
    forget(vectored)
    for version in (2, 1, 0, 1):
        made = restore_pin(vectored, pins[version], version, BY).version
        assert made is not None
        assert read_version(vectored)[1].equals(rows[version])
        assert digest_of(vectored, made) == pin_digest(pins[version])
        assert DeltaTable(vectored.root).deletion_vectors().read_all().num_rows == (version > 0)
    assert restore_pin(vectored, pins[1], 1, BY).version is None


def test_mapped_columns_of_a_pin_come_back_while_the_table_maps_them(mapped: Table) -> None:
    pins = [pin_version(mapped, mapped.log.snapshot(version)) for version in range(3)]
    assert restore_pin(mapped, pins[1], 1, BY).version == 3
    assert digest_of(mapped, 3) == pin_digest(pins[1])
    assert restore_pin(mapped, pins[2], 2, BY).version == 4
    assert read_version(mapped)[1].rename_columns(["id", "medv"]).equals(ROWS)
    with pytest.raises(OutsideError, match="a version with column mapping 'none' cannot be committed again"):
        restore_pin(mapped, pins[0], 0, BY)


def test_a_pin_with_lost_or_altered_files_changes_nothing(make_table: MakeTable) -> None:
    table = make_table(*[ROWS] * 8)
    pin = pin_version(table, table.log.snapshot(7))
    write_deltalake(table.root, ROWS, mode="overwrite")
    names = [file.path for file in pin.files]
    data = bytearray((table.root / names[0]).read_bytes())
    data[-20] ^= 1
    (table.root / names[0]).write_bytes(bytes(data))
    for name in names[1:7]:
        (table.root / name).unlink()
    with pytest.raises(OutsideError) as caught:
        restore_pin(table, pin, 7, BY)
    assert [name in caught.value.message for name in names] == [True] * 5 + [False] * 3
    assert f"data file '{names[0]}' was altered" in caught.value.message
    assert caught.value.message.endswith("and 2 more")
    assert table.log.head() == 8


def test_a_pin_is_not_committed_over_somebody_else(filled: Table) -> None:
    from lin.data.recommit import commit_pin

    head, pin = filled.log.snapshot(), pin_version(filled, filled.log.snapshot(0))
    write_deltalake(filled.root, ROWS, mode="append")
    before = (filled.log.folder / f"{2:020d}.json").read_bytes()
    with pytest.raises(ConflictError, match="somebody wrote version 2 of 'housing' meanwhile"):
        commit_pin(filled, head, pin, BY, version=0)
    assert (filled.log.folder / f"{2:020d}.json").read_bytes() == before
    assert sorted(path.suffix for path in filled.log.folder.iterdir()) == [".json"] * 3


def test_a_pin_that_the_table_cannot_take_is_refused(make_table: MakeTable, vectored: Table) -> None:
    from msgspec.structs import replace

    closed = make_table(ROWS, ROWS, name="closed", configuration={"delta.appendOnly": "true"})
    with pytest.raises(OutsideError, match="append-only"):
        restore_pin(closed, pin_version(closed, closed.log.snapshot(0)), 0, BY)
    table = make_table(ROWS, ROWS, name="plain")
    pin = pin_version(table, table.log.snapshot(0))
    with pytest.raises(OutsideError, match="column mapping 'name' cannot be committed again"):
        restore_pin(table, replace(pin, reader=["reader-version-3", "columnMapping:name"]), 0, BY)
    for file in vectored.root.glob("*.*"):
        (table.root / file.name).write_bytes(file.read_bytes())
    with pytest.raises(OutsideError, match="does not have the feature 'deletionVectors'"):
        restore_pin(table, pin_version(vectored, vectored.log.snapshot(1)), 1, BY)
    assert (closed.log.head(), table.log.head()) == (1, 1)
