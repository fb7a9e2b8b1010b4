"""Tables laid out anew: the same rows, versions and pins for every reader, and nothing that leads to the live one."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from lin.data.pins import pin_digest, pin_version
from lin.data.read import read_pin, read_version
from lin.data.replica import replicate
from lin.data.tables import Table
from lin.errors import NotFoundError, OutsideError
from lin.records import DataFile, Pin


def rows(first: int, last: int) -> pa.Table:
    return pa.table({"ID": list(range(first, last)), "x": [float(i) for i in range(first, last)]})


def pins_of(table: Table, *versions: int) -> dict[int, Pin]:
    return {version: pin_version(table, table.log.snapshot(version)) for version in versions}


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Four versions: written, appended to, overwritten, appended to."""
    root = tmp_path / "live" / "a table"
    write_deltalake(root, rows(0, 4))
    write_deltalake(root, rows(4, 6), mode="append")
    write_deltalake(root, rows(6, 9), mode="overwrite")
    write_deltalake(root, rows(9, 12), mode="append")
    return Table("a table", root)


def check(table: Table, target: Path, pins: dict[int, Pin]) -> Table:
    """The laid-out table has these pins, for lin and for delta-rs, and the last is its newest version."""
    made = Table(table.name, target)
    assert made.log.head() == max(pins) == DeltaTable(target).version()
    for version, pin in pins.items():
        snapshot = made.log.snapshot(version)
        assert pin_digest(pin_version(made, snapshot)) == pin_digest(pin)
        assert sum(file.rows or 0 for file in snapshot.files) == read_pin(table, pin).num_rows
        wanted = read_pin(table, pin).sort_by("ID")
        assert pa.table(DeltaTable(target, version=version).to_pyarrow_table()).sort_by("ID").equals(wanted)
    for path in target.rglob("*"):
        assert not path.is_symlink()
        assert path.is_dir() or path.stat().st_nlink == 1
    return made


def test_it_ends_with_the_last_version_that_is_wanted(table: Table, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in table.root.rglob("*") if path.is_file()}
    target = tmp_path / "scratch" / "a table"
    replicate(table, target, pins_of(table, 1, 2))
    made = check(table, target, pins_of(table, 1, 2))
    assert list(made.log.versions()) == [0, 1, 2]
    write_deltalake(target, rows(20, 21), mode="append")
    assert DeltaTable(target).version() == 3
    assert {path: path.read_bytes() for path in table.root.rglob("*") if path.is_file()} == before


def test_a_log_that_begins_at_a_checkpoint(table: Table, tmp_path: Path) -> None:
    pins = pins_of(table, 3)
    DeltaTable(table.root, version=2).create_checkpoint()
    for version in (0, 1, 2):
        (table.log.folder / f"{version:020d}.json").unlink()
    replicate(table, tmp_path / "scratch", pins)
    made = check(table, tmp_path / "scratch", pins)
    assert list(made.log.versions()) == [3]


def test_later_checkpoints_stay_behind(table: Table, tmp_path: Path) -> None:
    DeltaTable(table.root).create_checkpoint()
    replicate(table, tmp_path / "scratch", pins_of(table, 1))
    check(table, tmp_path / "scratch", pins_of(table, 1))


def test_a_log_that_no_longer_has_the_versions_is_written_anew(table: Table, tmp_path: Path) -> None:
    pins = pins_of(table, 1, 3)
    DeltaTable(table.root).create_checkpoint()
    for version in (0, 1, 2, 3):
        (table.log.folder / f"{version:020d}.json").unlink()
    replicate(table, tmp_path / "scratch", pins)
    made = check(table, tmp_path / "scratch", pins)
    assert list(made.log.versions()) == [0, 1, 2, 3]
    assert DeltaTable(tmp_path / "scratch", version=0).to_pyarrow_table().num_rows == 0


def test_versions_that_share_files_and_gain_a_column(tmp_path: Path) -> None:
    table = Table("t", tmp_path / "live")
    write_deltalake(table.root, rows(0, 4))
    write_deltalake(table.root, rows(4, 6), mode="append")
    wider = rows(6, 8).append_column("y", pa.array(["a", "b"]))
    write_deltalake(table.root, wider, mode="append", schema_mode="merge")
    pins = pins_of(table, 0, 1, 2)
    shutil.rmtree(table.log.folder)
    replicate(table, tmp_path / "scratch", pins)
    check(table, tmp_path / "scratch", pins)


def test_a_table_made_anew_means_other_versions(table: Table, tmp_path: Path) -> None:
    pins = pins_of(table, 1)
    aside = tmp_path / "aside"
    shutil.copytree(table.root, aside)
    shutil.rmtree(table.log.folder)
    write_deltalake(table.root, rows(50, 60))
    write_deltalake(table.root, rows(60, 61), mode="append")
    replicate(table, tmp_path / "scratch", pins)
    check(table, tmp_path / "scratch", pins)


@pytest.mark.parametrize("mapping", ["none", "name"])
@pytest.mark.parametrize("anew", [False, True])
def test_deleted_rows_partitions_and_mapped_columns(foreign: Any, tmp_path: Path, mapping: str, anew: bool) -> None:
    made = foreign("t", mapping=mapping, features=["deletionVectors"])
    id_name, town_name = ("col-1", "col-2") if mapping == "name" else ("id", "town")
    first = made.add("x=a b/one 1.parquet", pa.table({id_name: [1, 2, 3]}), partition={town_name: "a b"})
    second = made.add("two.parquet", pa.table({id_name: [4, 5]}), partition={town_name: None})
    fields = made.field("id", "long", 1), made.field("town", "string", 2)
    made.commit(made.protocol(), made.metadata(*fields, partitions=["town"]), first, second)
    made.commit(made.remove(first), made.delete(first, [1]))
    table: Table = made.table
    pins = pins_of(table, 0, 1)
    assert pins[1].files[1].vector is not None
    rows_then = {version: read_pin(table, pin).to_pylist() for version, pin in pins.items()}
    if anew:
        shutil.rmtree(table.log.folder)
    replicate(table, tmp_path / "laid out", pins)
    laid_out = Table("t", tmp_path / "laid out")
    for version, pin in pins.items():
        assert pin_digest(pin_version(laid_out, laid_out.log.snapshot(version))) == pin_digest(pin)
        assert read_version(laid_out, version)[1].to_pylist() == rows_then[version]
        found = QueryBuilder().register("t", DeltaTable(laid_out.root, version=version)).execute("SELECT * FROM t")
        by_delta_rs = pa.table(found.read_all()).to_pylist()
        assert sorted(by_delta_rs, key=lambda row: row["id"]) == sorted(rows_then[version], key=lambda row: row["id"])

    vector = pins[1].files[1].vector.path
    assert vector is not None
    damaged = table.root / vector
    damaged.write_bytes(damaged.read_bytes()[:-5] + b"?????")
    with pytest.raises(OutsideError, match="deletion vector"):
        replicate(table, tmp_path / "damaged", pins)


def test_a_newer_version_may_go_along(table: Table, tmp_path: Path) -> None:
    replicate(table, tmp_path / "scratch", pins_of(table, 1), head=2)
    made = Table(table.name, tmp_path / "scratch")
    assert made.log.head() == 2
    assert DeltaTable(made.root).to_pyarrow_table().num_rows == 3
    assert DeltaTable(made.root, version=1).to_pyarrow_table().num_rows == 6
    replicate(table, tmp_path / "unread", {}, head=3)
    assert DeltaTable(tmp_path / "unread").to_pyarrow_table().num_rows == 6
    with pytest.raises(NotFoundError, match="has no version 7"):
        replicate(table, tmp_path / "none", {}, head=7)


def test_what_was_there_is_replaced(table: Table, tmp_path: Path) -> None:
    target = tmp_path / "scratch"
    shutil.copytree(table.root, target)
    (data,) = [file.path for file in table.log.snapshot(0).files]
    (target / data).write_bytes(b"other")
    replicate(table, target, pins_of(table, 0))
    check(table, target, pins_of(table, 0))


@pytest.mark.parametrize("anew", [False, True])
def test_files_that_are_not_what_they_were(table: Table, tmp_path: Path, anew: bool) -> None:
    pins = pins_of(table, 1)
    path = table.root / pins[1].files[0].path
    if anew:
        shutil.rmtree(table.log.folder)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"?")
    with pytest.raises(OutsideError, match="was altered: its sha256 is not as pinned"):
        replicate(table, tmp_path / "one", pins)
    path.unlink()
    with pytest.raises(OutsideError, match="is missing"):
        replicate(table, tmp_path / "two", pins)
    path.symlink_to(tmp_path)
    with pytest.raises(OutsideError, match="symbolic link"):
        replicate(table, tmp_path / "three", pins)


def test_nothing_is_written_outside(table: Table, tmp_path: Path) -> None:
    (pinned,) = pins_of(table, 0)[0].files
    outside = DataFile(path=f"../a table/{pinned.path}", bytes=pinned.bytes, sha256=pinned.sha256)
    pin = Pin(schema=pins_of(table, 0)[0].schema, reader=["reader-version-1"], partition_columns=[], files=[outside])
    with pytest.raises(OutsideError, match="lies outside the table's folder"):
        replicate(table, tmp_path / "scratch", {0: pin})
    assert not (tmp_path / "a table").exists()
