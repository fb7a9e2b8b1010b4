"""Which versions the runs pinned, and whether these can still be read: also of tables that are gone."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from msgspec.structs import replace

from lin.data.read import read_version
from lin.data.tables import Table, open_table
from lin.errors import OutsideError
from lin.project import Project, open_project
from lin.records import DataFile, Pin, PinnedVector, encode
from lin.runs.add import add_table
from lin.runs.pinned import check_tables, find_pinned, look_at_folder, pinned_of
from lin.runs.query import RunInfo
from lin.runs.record import Recorder
from lin.runs.writes import pin_input

Begin = Callable[..., Recorder]


@pytest.fixture
def table(housing: Project) -> Table:
    """The table in two versions: the import pinned the first of them."""
    from deltalake import write_deltalake

    opened = open_table(housing, "housing")
    write_deltalake(opened.root, read_version(opened)[1].slice(0, 3), mode="overwrite")
    return opened


def flip(table: Table, version: int) -> str:
    """Change a byte of a version's file; its size stays."""
    (file,) = table.log.snapshot(version).files
    data = bytearray((table.root / file.path).read_bytes())
    data[6] ^= 1
    (table.root / file.path).write_bytes(bytes(data))
    return file.path


def test_inputs_and_outputs_of_every_run_are_pinned_once(
    housing: Project, table: Table, begin: Begin, every_run: Callable[..., list[RunInfo]]
) -> None:
    (made,) = every_run(housing, "import")
    readers = [begin(inputs=[pin_input(housing, table, version)[1]]) for version in (0, 1, 1)]
    readers[1].seal("failed")  # the others run on
    found = find_pinned(housing.store)
    assert found.damaged == []
    assert [(v.reference, v.runs) for v in found.versions] == [
        ("housing@0", [made.id, readers[0].id]),
        ("housing@1", [readers[1].id, readers[2].id]),
    ]
    assert [(v.rows, v.location) for v in found.versions] == [(60, "../data/housing"), (3, "../data/housing")]


def test_a_table_is_the_same_under_another_name(housing: Project, table: Table, begin: Begin) -> None:
    add_table(housing, "again", table.root)
    again = open_table(open_project(housing.root), "again")
    reader = begin(inputs=[pin_input(housing, again, 0)[1]])
    (version,) = pinned_of(housing, table).versions
    assert (version.reference, len(version.runs), version.runs[1]) == ("housing@0", 2, reader.id)
    assert [v.reference for v in pinned_of(housing, again).versions] == ["again@0"]
    other = Table("other", housing.root / "other")
    assert pinned_of(housing, other).versions == []


def test_what_is_whole_is_no_problem(housing: Project, table: Table, begin: Begin) -> None:
    begin(inputs=[pin_input(housing, table)[1]])
    for quick in (False, True):
        found = check_tables(housing, models={}, quick=quick)
        assert [(v.version, v.files, v.problems) for v in found.versions] == [(0, 1, []), (1, 1, [])]
        assert found.lost == []
        assert found.quick is quick


def test_a_lost_file_strands_runs_and_models(housing: Project, table: Table, begin: Begin) -> None:
    reader = begin(inputs=[pin_input(housing, table, 1)[1]])
    (file,) = table.log.snapshot(1).files
    (table.root / file.path).unlink()
    for quick in (False, True):
        (lost,) = check_tables(housing, models={reader.id: ["boston@1 (production)"]}, quick=quick).lost
        assert (lost.table, lost.version, lost.runs, lost.models) == (
            "housing",
            1,
            [reader.id],
            ["boston@1 (production)"],
        )
        assert lost.problems == [f"data file '{file.path}' is missing"]


def test_a_flipped_bit_is_found_unless_only_sizes_are_looked_at(housing: Project, table: Table) -> None:
    path = flip(table, 0)
    assert check_tables(housing, models={}).lost[0].problems == [f"data file '{path}' was altered"]
    assert check_tables(housing, models={}, quick=True).lost == []
    with (table.root / path).open("ab") as file:
        file.write(b"x")
    (problem,) = check_tables(housing, models={}, quick=True).lost[0].problems
    assert problem.startswith(f"data file '{path}' was altered: it has")


def test_nobody_reads_a_version_whose_files_were_altered_since_it_was_pinned(housing: Project, table: Table) -> None:
    path = flip(table, 0)
    with pytest.raises(OutsideError, match=rf"data file '{path}' of table 'housing' was altered since .* version 0"):
        pin_input(housing, table, 0)
    flip(table, 0)
    assert pin_input(housing, table, 0)[1].version == 0


def test_a_file_is_held_against_the_pin_of_another_version_too(housing: Project, table: Table, begin: Begin) -> None:
    """Version 1 was pinned, and nobody has pinned version 2, which has its file still."""
    from deltalake import write_deltalake

    begin(inputs=[pin_input(housing, table, 1)[1]])
    write_deltalake(table.root, read_version(table)[1].slice(0, 1), mode="append")
    path = flip(table, 1)
    with pytest.raises(OutsideError, match=f"data file '{path}' .* version 1"):
        pin_input(housing, table, 2)


def test_a_table_that_was_made_anew_is_another(housing: Project, table: Table, tmp_path: Path) -> None:
    shutil.rmtree(table.root)
    (tmp_path / "new.csv").write_text("ID,rm\n1,2.5\n")
    add_table(housing, "housing", tmp_path / "new.csv", key=["ID"])
    assert pin_input(housing, table, 0)[1].rows == 1


def test_a_file_behind_a_link_is_no_file_of_the_table(housing: Project, table: Table) -> None:
    (file,) = table.log.snapshot(0).files
    (table.root / file.path).rename(table.root / "moved")
    (table.root / file.path).symlink_to(table.root / "moved")
    for quick in (False, True):
        (lost,) = check_tables(housing, models={}, quick=quick).lost
        assert "symbolic link" in lost.problems[0]


def test_many_problems_are_cut_short(housing: Project, table: Table, begin: Begin) -> None:
    from deltalake import write_deltalake

    rows = read_version(table)[1]
    for _ in range(6):
        write_deltalake(table.root, rows, mode="append")
    begin(inputs=[pin_input(housing, table)[1]])
    for file in table.log.snapshot().files:
        (table.root / file.path).unlink()
    (lost,) = check_tables(housing, models={}).lost
    assert (lost.files, len(lost.problems), lost.problems[-1]) == (7, 6, "and 2 more")


def test_a_table_that_is_gone_or_undeclared_is_checked_too(housing: Project, table: Table) -> None:
    toml = housing.root / "lineage.toml"
    toml.write_text(toml.read_text().split("[tables.housing]")[0])
    undeclared = open_project(housing.root)
    assert undeclared.config.tables == {}
    assert [v.problems for v in check_tables(undeclared, models={}).versions] == [[]]
    shutil.rmtree(table.root)
    (lost,) = check_tables(undeclared, models={}).lost
    assert lost.problems == [f"the table's folder {table.root} is gone"]


@pytest.mark.parametrize("quick", [True, False])
def test_a_table_below_a_folder_that_lets_nobody_in_is_not_gone(housing: Project, *, quick: bool) -> None:
    user = os.geteuid()
    with TemporaryDirectory() as place:  # the folders of pytest let nobody else in
        moved = open_project(Path(shutil.copytree(housing.root, Path(place, "project"))))
        assert check_tables(moved, models={}, quick=quick).lost == []
        if user == 0:
            for path in (Path(place), *Path(place).rglob("*")):
                os.chown(path, 65534, 65534)
            os.seteuid(65534)
        (moved.root / "data").chmod(0)
        try:
            (lost,) = check_tables(moved, models={}, quick=quick).lost
        finally:
            (moved.root / "data").chmod(0o700)
            os.seteuid(user)
    assert lost.problems == [f"the table's folder {moved.root / 'data/housing'} cannot be looked at: Permission denied"]


def test_a_table_whose_place_is_no_path_is_gone() -> None:
    for name in ("x" * 300, "x\0y"):
        assert look_at_folder(Path(name)) == ("is gone", "missing")


def test_a_pin_or_a_record_that_is_damaged_is_told(housing: Project, begin: Begin) -> None:
    (version,) = find_pinned(housing.store).versions
    blob = housing.store_root / "blobs" / version.pin[:2] / version.pin
    blob.unlink()
    (lost,) = check_tables(housing, models={}).lost
    assert (lost.files, lost.bytes) == (None, None)
    assert lost.problems[0].startswith("its pin cannot be read: ")
    run = begin()
    run.seal("finished")
    (record,) = (housing.store_root / "runs").glob(f"*/{run.id}/run.json")
    record.write_bytes(record.read_bytes()[:-9])
    (told,) = check_tables(housing, models={}).damaged
    assert run.id in told


def test_the_file_of_a_deletion_vector_is_measured(housing: Project, table: Table, begin: Begin) -> None:
    pin, read = pin_input(housing, table)
    (table.root / "deletion_vector_1.bin").write_bytes(b"\x01" + bytes(20))
    for size, problems in ((12, []), (13, ["deletion vector 'deletion_vector_1.bin' was altered: it has 21 bytes"])):
        vector = PinnedVector(rows=1, bytes=size, sha256="0" * 64, path="deletion_vector_1.bin", offset=1)
        (file,) = pin.files
        made = Pin(
            schema=pin.schema,
            reader=pin.reader,
            partition_columns=[],
            files=[DataFile(path=file.path, bytes=file.bytes, sha256=file.sha256, vector=vector)],
        )
        reader = begin(inputs=[replace(read, pin=housing.store.blobs.put(encode(made)))])
        (checked,) = [v for v in check_tables(housing, models={}, quick=True).versions if reader.id in v.runs]
        assert [problem.split(" instead")[0] for problem in checked.problems] == problems
