"""What a vacuum deletes and what it must not: real tables, hostile logs, links, shared deletion vectors."""

import json
import os
import shutil
import struct
import time
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.pins import check_pin, pin_version
from lin.data.read import read_version
from lin.data.tables import Table
from lin.data.unlink import delete_files
from lin.data.vacuum import Need, VacuumPlan, delete_planned, parse_duration, plan_vacuum
from lin.errors import ConflictError, OutsideError, UsageError
from lin.records import Pin

MakeTable = Callable[..., Table]
DAY = 86_400_000
Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def later(days: float = 30) -> int:
    return int(time.time() * 1000 + days * DAY)


def rows(*ids: int) -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.int64()), "part": [f"a b/{number % 2}%" for number in ids]})


def overwrite(table: Table, *parts: pa.Table, **options: Any) -> None:
    for part in parts:
        write_deltalake(table.root, part, mode="overwrite", **options)


def files_of(table: Table, version: int) -> set[str]:
    return {file.path for file in table.log.snapshot(version).files}


def pin_of(table: Table, version: int) -> Pin:
    return pin_version(table, table.log.snapshot(version))


def need(table: Table, version: int) -> Need:
    pin = pin_of(table, version)
    paths = [path for f in pin.files for path in (f.path, f.vector.path if f.vector else None) if path]
    return Need(version=version, pin=f"pin {version}", paths=frozenset(paths))


def dead(plan: VacuumPlan) -> set[str]:
    return {file.path for file in plan.dead}


def on_disk(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def actions(table: Table, version: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (table.log.folder / f"{version:020d}.json").read_text().splitlines()]


def commit(table: Table, *lines: dict[str, Any], time: int | None = 1_000, version: int | None = None) -> int:
    number = table.log.head() + 1 if version is None else version
    info = [{"commitInfo": {"timestamp": time, "operation": "TEST"}}] if time is not None else [{"txn": {}}]
    text = "".join(json.dumps(line) + "\n" for line in [*info, *lines])
    (table.log.folder / f"{number:020d}.json").write_text(text)
    return number


def remove_of(add: dict[str, Any], *, at: int | None = 1_000, vector: dict[str, Any] | None = None) -> dict[str, Any]:
    removed = {"path": add["path"], "dataChange": True, "size": add["size"], "deletionTimestamp": at}
    return {"remove": removed | ({"deletionVector": vector} if vector else {})}


def write_vectors(root: Path, *deleted: list[int]) -> tuple[str, list[dict[str, Any]]]:
    """A file with one deletion vector for each list of rows; returns its name, and what the log says of each."""
    name, content, words = uuid.uuid4(), b"\x01", []
    for positions in deleted:
        roaring = struct.pack("<IIHHI", 12346, 1, 0, len(positions) - 1, 16)
        bitmap = struct.pack("<IQI", 1681511377, 1, 0) + roaring + struct.pack(f"<{len(positions)}H", *positions)
        words.append({"offset": len(content), "sizeInBytes": len(bitmap), "cardinality": len(positions)})
        content += struct.pack(">I", len(bitmap)) + bitmap + struct.pack(">I", zlib.crc32(bitmap))
    path = f"deletion_vector_{name}.bin"
    (root / path).write_bytes(content)
    text = "".join(
        Z85[int.from_bytes(name.bytes[at : at + 4]) // 85**power % 85]
        for at in range(0, 16, 4)
        for power in (4, 3, 2, 1, 0)
    )
    return path, [{"storageType": "u", "pathOrInlineDv": text} | word for word in words]


VECTORS = {
    "protocol": {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"],
        "writerFeatures": ["deletionVectors"],
    }
}


@pytest.fixture
def table(make_table: MakeTable) -> Table:
    """Three versions, each of which replaced all files of the one before: partitions with special characters."""
    made = make_table(rows(1, 2), partition_by=["part"])
    overwrite(made, rows(3, 4), rows(5, 6))
    return made


# --- which files ------------------------------------------------------------------------------------------------------


def test_what_old_versions_alone_need_is_dead(table: Table) -> None:
    before = on_disk(table.root)
    plan = plan_vacuum(table, [], now_ms=later())
    assert dead(plan) == files_of(table, 0) | files_of(table, 1)
    assert (plan.table, plan.head, plan.retention_ms) == ("housing", 2, 7 * DAY)
    assert plan.lost_versions == [0, 1]
    assert plan.bytes == sum((table.root / path).stat().st_size for path in dead(plan))
    assert on_disk(table.root) == before
    assert delete_planned(table, plan) == 4
    assert on_disk(table.root) == before - dead(plan)
    assert read_version(table)[1].num_rows == 2
    again = plan_vacuum(table, [], now_ms=later())
    assert (again.dead, again.gone, again.lost_versions) == ([], 4, [])


def test_what_was_removed_within_the_retention_stays(table: Table) -> None:
    assert plan_vacuum(table, [], now_ms=later(6.9)).young == 4
    assert plan_vacuum(table, [], now_ms=later(6.9)).dead == []
    assert len(plan_vacuum(table, [], now_ms=later(7.1)).dead) == 4
    assert len(plan_vacuum(table, [], now_ms=later(0.1), retain_ms=0).dead) == 4


def test_the_later_of_two_removals_counts(table: Table) -> None:
    add = next(line["add"] for line in actions(table, 0) if "add" in line)
    commit(table, {"add": add})
    commit(table, remove_of(add, at=later(28)), time=later(28))
    commit(table, {"add": add})
    commit(table, remove_of(add, at=1_000))  # a clock that goes wrong makes nothing older
    plan = plan_vacuum(table, [], now_ms=later())
    assert plan.young == 1
    assert len(plan.dead) == 3


def test_a_removal_that_says_no_time_is_as_old_as_its_commit(make_table: MakeTable) -> None:
    table = make_table(rows(1), rows(2))
    adds = [line["add"] for version in (0, 1) for line in actions(table, version) if "add" in line]
    commit(table, remove_of(adds[0], at=None), time=1_000)
    commit(table, remove_of(adds[1], at=None), time=None)
    plan = plan_vacuum(table, [], now_ms=later())
    assert dead(plan) == {adds[0]["path"]}
    assert plan.untimed == 1


def test_an_old_removal_in_a_young_commit_is_young(make_table: MakeTable) -> None:
    table = make_table(rows(1), rows(2))
    (add,) = [line["add"] for line in actions(table, 0) if "add" in line]
    commit(table, remove_of(add, at=1), time=later(29))
    assert plan_vacuum(table, [], now_ms=later()).young == 1


def test_a_version_is_young_whatever_the_clock_said_after_it(make_table: MakeTable) -> None:
    table = make_table(rows(1), rows(2))
    (add,) = [line["add"] for line in actions(table, 0) if "add" in line]
    commit(table, time=later(29))
    commit(table, remove_of(add, at=1_000), time=1_000)
    plan = plan_vacuum(table, [], now_ms=later())
    assert (plan.dead, plan.young) == ([], 1)


def test_the_table_says_how_long_it_keeps_files(make_table: MakeTable) -> None:
    name = "delta.deletedFileRetentionDuration"
    table = make_table(rows(1), configuration={name: "interval 60 days"})
    overwrite(table, rows(2))
    assert plan_vacuum(table, [], now_ms=later()).young == 1
    assert len(plan_vacuum(table, [], now_ms=later(61)).dead) == 1
    text = (table.log.folder / f"{0:020d}.json").read_text()
    (table.log.folder / f"{0:020d}.json").write_text(text.replace("interval 60 days", "for a while"))
    with pytest.raises(OutsideError, match=f"{name} of table 'housing' is no time span: 'for a while'"):
        plan_vacuum(table, [], now_ms=later())
    assert len(plan_vacuum(table, [], now_ms=later(), retain_ms=0).dead) == 1


@given(number=st.integers(0, 10_000), unit=st.sampled_from(["second", "minutes", "HOUR", "days", "week"]))
@settings(max_examples=25, deadline=None)
def test_time_spans(number: int, unit: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}[unit[0].lower()]
    for text in (f"{number} {unit}", f"interval {number} {unit}", f" INTERVAL  {number}{unit} 0 days "):
        assert parse_duration(text) == number * seconds * 1000


@pytest.mark.parametrize(
    "text", ["", "interval", "7", "days", "-1 days", "7 moons", "1 month", "1.5 days", "7 days ago"]
)
def test_what_is_no_time_span(text: str) -> None:
    with pytest.raises(UsageError, match="is no time span"):
        parse_duration(text)


# --- pins -------------------------------------------------------------------------------------------------------------


def test_what_a_pin_needs_is_spared(table: Table) -> None:
    pin = pin_of(table, 0)
    plan = plan_vacuum(table, [need(table, 0), need(table, 2)], now_ms=later())
    assert dead(plan) == files_of(table, 1)
    (spared,) = plan.spared  # version 2 needs no sparing: it is live
    assert (spared.version, spared.files, spared.bytes) == (0, 2, sum(file.bytes for file in pin.files))
    assert plan.lost_versions == [1]
    delete_planned(table, plan)
    assert check_pin(table, pin) == []


def test_a_kill_half_way_leaves_what_is_needed(table: Table) -> None:
    pin = pin_of(table, 0)
    plan = plan_vacuum(table, [need(table, 0)], now_ms=later())
    assert len(plan.dead) == 2
    delete_files(table.root, [plan.dead[0].path])
    assert check_pin(table, pin) == []
    assert read_version(table)[1].num_rows == 2
    rest = plan_vacuum(table, [need(table, 0)], now_ms=later())
    assert rest.dead == plan.dead[1:]
    assert delete_planned(table, plan) == 1  # the other one was gone


def test_a_write_meanwhile_stops_it(table: Table) -> None:
    plan = plan_vacuum(table, [], now_ms=later())
    before = on_disk(table.root)
    DeltaTable(table.root).restore(0)
    with pytest.raises(ConflictError, match="nothing was deleted"):
        delete_planned(table, plan)
    assert before <= on_disk(table.root)


def test_a_pin_outlives_the_log(table: Table) -> None:
    """After the log was cleaned up, the checkpoint remembers removals; what it does not is an orphan."""
    known = need(table, 0)
    pin = pin_of(table, 0)
    gone = files_of(table, 1)
    DeltaTable(table.root).create_checkpoint()
    for version in (0, 1):
        (table.log.folder / f"{version:020d}.json").unlink()
    plan = plan_vacuum(table, [known], now_ms=later())
    assert dead(plan) == gone
    assert plan.spared[0].files == 2
    delete_planned(table, plan)
    assert check_pin(table, pin) == []
    assert read_version(table)[1].num_rows == 2


# --- deletion vectors and change data ---------------------------------------------------------------------------------


@pytest.fixture
def vectored(make_table: MakeTable) -> tuple[Table, str]:
    """Two vectors in one file, of versions 1 and 2; version 3 has neither."""
    table = make_table(pa.table({"id": list(range(10))}))
    (add,) = [line["add"] for line in actions(table, 0) if "add" in line]
    path, (first, second) = write_vectors(table.root, [1, 2], [1, 2, 3])
    commit(table, VECTORS, remove_of(add), {"add": add | {"deletionVector": first}})
    commit(table, remove_of(add, vector=first), {"add": add | {"deletionVector": second}})
    commit(table, remove_of(add, vector=second), {"add": add})
    return table, path


def test_a_file_of_vectors_stays_while_one_is_needed(vectored: tuple[Table, str]) -> None:
    table, path = vectored
    assert dead(plan_vacuum(table, [], now_ms=later())) == {path}
    (table.log.folder / f"{3:020d}.json").unlink()
    assert dead(plan_vacuum(table, [], now_ms=later())) == set()  # the second is live
    commit(table, *actions_without_vector(table))
    for version in (1, 2):
        plan = plan_vacuum(table, [need(table, version)], now_ms=later())
        assert plan.dead == []
        assert [(s.version, s.files) for s in plan.spared] == [(version, 1)]


def actions_without_vector(table: Table) -> list[dict[str, Any]]:
    (add,) = [line["add"] for line in actions(table, 2) if "add" in line]
    vector = add.pop("deletionVector")
    return [remove_of(add, vector=vector), {"add": add}]


def test_deleting_a_file_of_vectors_loses_its_versions(vectored: tuple[Table, str]) -> None:
    table, _ = vectored
    pin = pin_of(table, 0)
    plan = plan_vacuum(table, [need(table, 0)], now_ms=later())
    assert plan.lost_versions == [1, 2]
    delete_planned(table, plan)
    assert check_pin(table, pin) == []
    assert read_version(table)[1].num_rows == 10


def test_change_data_goes_with_its_commit_unless_that_is_pinned(make_table: MakeTable) -> None:
    table = make_table(rows(1, 3, 5), configuration={"delta.enableChangeDataFeed": "true"})
    DeltaTable(table.root).update({"id": "7"}, predicate="id = 3")
    DeltaTable(table.root).update({"id": "9"}, predicate="id = 5")
    changes = {
        version: {line["cdc"]["path"] for line in actions(table, version) if "cdc" in line} for version in (1, 2)
    }
    assert all(changes.values())
    assert changes[1] | changes[2] <= dead(plan_vacuum(table, [], now_ms=later()))
    assert plan_vacuum(table, [], now_ms=later(1)).dead == []
    plan = plan_vacuum(table, [need(table, 1)], now_ms=later())
    assert changes[1].isdisjoint(dead(plan))
    assert changes[2] <= dead(plan)
    assert plan.spared[0].files == 2  # its data file and its change data
    delete_planned(table, plan)
    assert on_disk(table.root) >= changes[1]


# --- what lies elsewhere ----------------------------------------------------------------------------------------------


def test_nothing_is_deleted_through_a_link(table: Table, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    folder = table.root / min(files_of(table, 0)).split("/")[0]
    shutil.copytree(folder, outside)
    precious = on_disk(outside)
    plan = plan_vacuum(table, [], now_ms=later())
    shutil.rmtree(folder)
    folder.symlink_to(outside)
    told = plan_vacuum(table, [], now_ms=later(), orphans=True)
    assert not any(path.startswith(folder.name) for path in dead(told))
    assert told.refused == 2
    with pytest.raises(OutsideError, match=r"cannot be deleted: .* is a link or no folder; \d were deleted before it"):
        delete_planned(table, plan)  # the link came after the plan
    assert on_disk(outside) == precious


def test_a_link_in_place_of_a_file_stays(make_table: MakeTable, tmp_path: Path) -> None:
    table = make_table(rows(1))
    (path,) = files_of(table, 0)
    overwrite(table, rows(2))
    plan = plan_vacuum(table, [], now_ms=later())
    precious = tmp_path / "precious.parquet"
    (table.root / path).rename(precious)
    (table.root / path).symlink_to(precious)
    assert plan_vacuum(table, [], now_ms=later()).refused == 1
    with pytest.raises(OutsideError, match="is a link or no file"):
        delete_planned(table, plan)
    assert precious.exists()
    assert (table.root / path).is_symlink()


def test_a_table_behind_a_link_is_vacuumed_itself(table: Table, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(table.root)
    stray = table.root / "stray.parquet"
    stray.touch()
    plan = plan_vacuum(Table("housing", link), [], now_ms=later(), orphans=True)
    assert len(plan.dead) == 5
    assert delete_planned(Table("housing", link), plan) == 5
    assert not stray.exists()


def test_a_log_cannot_name_what_is_no_data_file(make_table: MakeTable) -> None:
    table = make_table(rows(1))
    (add,) = [line["add"] for line in actions(table, 0) if "add" in line]
    (table.root / "inner").mkdir()
    write_deltalake(table.root / "inner" / "table", rows(2))
    inner = next(path for path in on_disk(table.root) if path.startswith("inner") and path.endswith(".parquet"))
    names = ["train.py", ".lin/blobs/x.parquet", "_delta_log/00000000000000000000.json", "_x/y.parquet", ".z.parquet"]
    for name in names:
        (table.root / name).parent.mkdir(parents=True, exist_ok=True)
        (table.root / name).touch()
    before = on_disk(table.root)
    commit(table, *(remove_of(add | {"path": name}) for name in [*names, inner]))
    plan = plan_vacuum(table, [], now_ms=later(), retain_ms=0, orphans=True)
    assert plan.dead == []
    assert plan.refused == 6
    assert on_disk(table.root) >= before


@pytest.mark.parametrize("path", ["../x.parquet", "%2e%2e/x.parquet", "/tmp/x.parquet", "file:///x.parquet"])
@pytest.mark.parametrize("action", ["remove", "cdc"])
def test_a_log_that_names_what_lies_outside_is_refused(make_table: MakeTable, path: str, action: str) -> None:
    table = make_table(rows(1))
    commit(table, {action: {"path": path, "size": 1, "deletionTimestamp": 1, "dataChange": True}})
    with pytest.raises(OutsideError, match="outside"):
        plan_vacuum(table, [], now_ms=later())


def test_two_spellings_are_one_file(make_table: MakeTable) -> None:
    table = make_table(rows(1))
    (add,) = [line["add"] for line in actions(table, 0) if "add" in line]
    commit(table, remove_of(add | {"path": f".//{add['path']}"}))
    plan = plan_vacuum(table, [], now_ms=later())
    assert (plan.dead, plan.refused) == ([], 0)
    assert read_version(table)[1].num_rows == 1


def test_two_names_of_one_file_on_disk_are_one_file(table: Table) -> None:
    """As on a file system that takes `A` for `a`; here by hard links."""
    live, pinned = min(files_of(table, 2)), min(files_of(table, 0))
    adds = [line["add"] for line in actions(table, 0) if "add" in line]
    for number, path in enumerate((live, pinned)):
        os.link(table.root / path, table.root / f"{number}.parquet")
        commit(table, remove_of(adds[0] | {"path": f"{number}.parquet"}))
    plan = plan_vacuum(table, [need(table, 0)], now_ms=later(), orphans=True)
    assert dead(plan) == files_of(table, 1)
    assert plan.refused == 1


def test_orphans_only_when_asked_and_old(table: Table) -> None:
    now = later()
    strays = {"stray.parquet": 30, "young.parquet": 0, "notes.txt": 30, "_change_data/old.parquet": 30}
    write_deltalake(table.root / "inner" / "table", rows(1))
    for path in (table.root / "inner").rglob("*.parquet"):
        os.utime(path, (0, 0))
    strays |= {"_tmp/x.parquet": 30, "part=x/deletion_vector_12345678-1234-1234-1234-123456789abc.bin": 30}
    for name, days in strays.items():
        (table.root / name).parent.mkdir(exist_ok=True)
        (table.root / name).touch()
        os.utime(table.root / name, (now / 1000 - days * 86_400,) * 2)
    assert len(plan_vacuum(table, [], now_ms=now).dead) == 4
    plan = plan_vacuum(table, [], now_ms=now, orphans=True)
    assert dead(plan) - files_of(table, 0) - files_of(table, 1) == {
        "stray.parquet",
        "_change_data/old.parquet",
        "part=x/deletion_vector_12345678-1234-1234-1234-123456789abc.bin",
    }
    assert plan.young == 1
    known = Need(version=9, pin="p", paths=frozenset({"stray.parquet"}))
    assert "stray.parquet" not in dead(plan_vacuum(table, [known], now_ms=now, orphans=True))


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_damaged_log_is_refused(table: Table) -> None:
    path = table.log.folder / f"{1:020d}.json"
    whole = path.read_bytes()
    for damage in (b"", whole[:-20]):
        path.write_bytes(damage)
        with pytest.raises(OutsideError, match="is damaged"):
            plan_vacuum(table, [], now_ms=later())
    path.unlink()
    with pytest.raises(OutsideError, match="is missing from its log"):
        plan_vacuum(table, [], now_ms=later())


def test_an_unknown_feature_is_refused_and_a_known_one_not(table: Table) -> None:
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["vacuumProtocolCheck"]}
    commit(table, {"protocol": protocol | {"writerFeatures": ["vacuumProtocolCheck", "rowTracking"]}})
    assert len(plan_vacuum(table, [], now_ms=later()).dead) == 4
    commit(table, {"protocol": protocol | {"writerFeatures": ["vacuumProtocolCheck", "filesElsewhere"]}})
    with pytest.raises(OutsideError, match="uses the feature 'filesElsewhere'"):
        plan_vacuum(table, [], now_ms=later())
