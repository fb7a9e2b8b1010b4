import os
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from lin.data.pins import check_pin, open_data_file, pin_digest, pin_version
from lin.data.tables import Table
from lin.errors import OutsideError
from lin.records import DataFile, Pin, decode, digest, encode


def ids(*values: int) -> pa.Table:
    return pa.table({"id": list(values)})


def pin_of(table: Table, version: int | None = None) -> Pin:
    return pin_version(table, table.log.snapshot(version))


def replace_file(pin: Pin, number: int, **changes: Any) -> Pin:
    files = list(pin.files)
    files[number] = msgspec.structs.replace(files[number], **changes)
    return msgspec.structs.replace(pin, files=files)


@pytest.fixture
def table(make_table: Any) -> Table:
    return make_table(ids(1, 2), ids(3))


def test_a_pin_lists_the_files_in_order_with_the_digest_of_their_bytes(table: Table) -> None:
    pin = pin_of(table)
    files = table.log.snapshot().files
    assert [file.path for file in pin.files] == [file.path for file in files]
    for file in pin.files:
        data = (table.root / file.path).read_bytes()
        assert (file.bytes, file.sha256) == (len(data), digest(data))
    assert pin.reader == ["reader-version-1"]
    assert pin.schema == ('{"fields":[{"metadata":{},"name":"id","nullable":true,"type":"long"}],"type":"struct"}')
    assert pin.partition_columns == []


def test_a_pin_survives_the_store(table: Table) -> None:
    pin = pin_of(table)
    stored = encode(pin)
    assert decode(stored, Pin, where="pin") == pin
    assert pin_digest(pin) == digest(stored)


def test_every_version_has_a_digest_of_its_own(table: Table) -> None:
    assert pin_digest(pin_of(table, 0)) != pin_digest(pin_of(table, 1))


def test_a_restored_version_has_the_pin_of_the_old_one(make_table: Any) -> None:
    from deltalake import DeltaTable

    table = make_table(ids(1, 2), ids(3))
    before = pin_of(table, 0)
    DeltaTable(table.root).restore(0)
    assert table.log.head() == 2
    assert pin_of(table) == before


def test_a_restore_over_an_upgraded_protocol_has_the_pin_of_the_old_version(make_table: Any) -> None:
    from datetime import datetime

    from deltalake import DeltaTable

    table = make_table(ids(1))
    before = pin_of(table, 0)
    make_table(pa.table({"id": [2], "at": [datetime(2026, 1, 1)]}), schema_mode="merge")  # noqa: DTZ001
    assert pin_of(table).reader == ["reader-version-3", "timestampNtz"]
    DeltaTable(table.root).restore(0)
    assert table.log.snapshot().protocol.reader_features == ["timestampNtz"]
    assert pin_of(table) == before


def test_partition_values_are_pinned(make_table: Any) -> None:
    pin = pin_of(make_table(pa.table({"id": [1, 2], "d": ["x", None]}), partition_by=["d"]))
    assert {file.partition["d"] for file in pin.files} == {"x", None}
    assert pin.partition_columns == ["d"]


def test_a_missing_file_is_named_with_its_version(table: Table) -> None:
    path = table.log.snapshot().files[1].path
    (table.root / path).unlink()
    with pytest.raises(OutsideError, match=rf"'{path}' of housing@1 is missing") as caught:
        pin_of(table)
    assert caught.value.hint == "lin history housing"
    assert len(pin_of(table, 0).files) == 1


def test_a_file_of_another_size_than_the_log_says_is_not_pinned(table: Table) -> None:
    path = table.root / table.log.snapshot().files[0].path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OutsideError, match="housing@1 was altered: it has"):
        pin_of(table)


def test_a_whole_pin_has_no_problems(table: Table) -> None:
    assert check_pin(table, pin_of(table)) == []


def test_what_no_longer_holds_is_told_by_name(table: Table) -> None:
    pin = pin_of(table)
    first, second = (table.root / file.path for file in pin.files)
    data = bytearray(first.read_bytes())
    stamp = first.stat()
    data[len(data) // 2] ^= 1
    first.write_bytes(data)
    os.utime(first, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    second.unlink()
    assert check_pin(table, pin) == [
        f"data file '{first.name}' was altered",
        f"data file '{second.name}' is missing",
    ]


@pytest.mark.parametrize("path", ["../outside.parquet", "/etc/hostname", "a\0b"])
def test_a_pin_from_elsewhere_cannot_reach_outside(table: Table, path: str) -> None:
    (table.root.parent / "outside.parquet").write_bytes(b"secret")
    pin = replace_file(pin_of(table), 0, path=path)
    assert [problem.split(" is ")[1][:7] for problem in check_pin(table, pin)] == ["refused"]


def test_a_link_is_refused_even_to_the_right_bytes(table: Table) -> None:
    pin = pin_of(table)
    path = table.root / pin.files[0].path
    moved = path.rename(table.root.parent / "moved.parquet")
    path.symlink_to(moved)
    with pytest.raises(OutsideError, match="it is a symbolic link"):
        pin_of(table)
    assert "it is a symbolic link" in check_pin(table, pin)[0]


def test_a_linked_folder_that_leaves_the_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "x").write_bytes(b"1")
    root = tmp_path / "root"
    root.mkdir()
    (root / "d").symlink_to(tmp_path / "secret")
    with pytest.raises(OutsideError, match="outside the table's folder"):
        open_data_file(root, "d/x")


def test_a_table_that_is_reached_through_a_link_is_read(table: Table) -> None:
    link = table.root.parent / "link"
    link.symlink_to(table.root)
    assert pin_of(Table("housing", link)) == pin_of(table)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "x")
    with pytest.raises(OutsideError, match="refused"):
        open_data_file(tmp_path, "x")


def test_a_version_that_lin_cannot_read_is_not_pinned(table: Table) -> None:
    snapshot = table.log.snapshot()
    vector = msgspec.structs.replace(snapshot.files[0], vector="uab@1")
    with pytest.raises(OutsideError, match="deletion vectors"):
        pin_version(table, msgspec.structs.replace(snapshot, files=[vector]))


def test_a_pin_of_no_files_is_whole(table: Table) -> None:
    pin = msgspec.structs.replace(pin_of(table), files=[])
    assert check_pin(table, pin) == []
    assert pin_digest(pin) != pin_digest(msgspec.structs.replace(pin, files=[DataFile("x", 0, "0")]))
