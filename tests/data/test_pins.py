import json
import os
from pathlib import Path
from shutil import rmtree
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from lin.data.pins import check_pin, open_data_file, pin_digest, pin_version
from lin.data.read import read_pin, read_version
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


# --- deletion vectors -------------------------------------------------------------------------------------------------


@pytest.fixture
def vectored(foreign: Any) -> Any:
    """A mapped table, of whose three rows the second is deleted."""
    made = foreign(mapping="name", features=["deletionVectors"])
    add = made.add("a.parquet", pa.table({"col-1": [1, 2, 3]}))
    made.commit(made.protocol(), made.metadata(made.field("id", "long", 1)), made.delete(add, [1]))
    return made


def vector_path(made: Any) -> Path:
    (path,) = made.root.glob("*.bin")
    return path


def test_a_pin_with_a_deletion_vector_outlives_the_log(vectored: Any) -> None:
    pin = pin_of(vectored.table)
    assert pin.reader == ["reader-version-3", "columnMapping:name", "deletionVectors"]
    (file,) = pin.files
    assert file.vector is not None
    assert (file.vector.rows, file.vector.path) == (1, vector_path(vectored).name)
    rmtree(vectored.root / "_delta_log")
    assert read_pin(vectored.table, decode(encode(pin), Pin, where="pin")).to_pylist() == [{"id": 1}, {"id": 3}]


@pytest.mark.parametrize(("at", "problem"), [(-6, "its checksum is wrong"), (1, "it has another size")])
def test_an_altered_deletion_vector_is_told(vectored: Any, at: int, problem: str) -> None:
    pin = pin_of(vectored.table)
    data = bytearray(vector_path(vectored).read_bytes())
    data[at] ^= 1
    vector_path(vectored).write_bytes(data)
    for read in (lambda: read_pin(vectored.table, pin), lambda: pin_of(vectored.table)):
        with pytest.raises(OutsideError, match=f"of data file 'a.parquet' cannot be read: {problem}"):
            read()
    assert [problem in told for told in check_pin(vectored.table, pin)] == [True]


def test_another_deletion_vector_in_its_place_is_told(vectored: Any) -> None:
    pin = pin_of(vectored.table)
    mine = vector_path(vectored)
    other = vectored.delete({"add": {"path": "a.parquet"}}, [2])
    (new,) = set(vectored.root.glob("*.bin")) - {mine}
    new.replace(mine)
    with pytest.raises(OutsideError, match=r"the deletion vector of data file 'a.parquet' .* was altered"):
        read_pin(vectored.table, pin)
    assert other["add"]["deletionVector"]["cardinality"] == 1
    assert pin_digest(pin_of(vectored.table)) != pin_digest(pin)


def test_a_deletion_vector_deletes_only_rows_that_are_there(vectored: Any) -> None:
    old = json.loads((vectored.root / "_delta_log" / f"{0:020d}.json").read_text().splitlines()[-1])
    whole = {"add": {name: value for name, value in old["add"].items() if name != "deletionVector"}}
    vectored.commit(vectored.remove(old), vectored.delete(whole, [1, 3]))
    for read in (lambda: pin_of(vectored.table, 1), lambda: read_version(vectored.table, 1)):
        with pytest.raises(OutsideError, match=r"data file 'a.parquet' cannot be read: it deletes row 3 of 3"):
            read()


def test_what_is_no_data_file_is_not_pinned(table: Table) -> None:
    path = table.root / table.log.snapshot().files[0].path
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(OutsideError, match=f"data file '{path.name}' of housing@1 cannot be read"):
        pin_of(table)
