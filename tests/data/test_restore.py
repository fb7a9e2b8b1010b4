import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lin.data.commit import Attribution
from lin.data.pins import pin_digest, pin_version
from lin.data.read import read_version
from lin.data.restore import RestorePlan, plan_restore, restore_version
from lin.data.tables import Table
from lin.data.write import create_table, fill_column, replace_rows
from lin.errors import ConflictError, NotFoundError, OutsideError

BY = Attribution(run="r1", user="ada", reason="the labels were predictions", lin="0.1.0")
ROWS = pa.table({"id": [3, 1, 2], "medv": pa.array([24.0, None, 21.6])})
MakeTable = Callable[..., Table]


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
        table="housing", head=1, version=0, nothing_to_do=False, missing=[], added_files=1, removed_files=1
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
    assert plan_restore(filled, 0).missing == [lost.path]
    with pytest.raises(OutsideError, match=f"housing@0 cannot be restored: its data files '{lost.path}'"):
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


def test_a_restore_that_is_not_the_same_is_told(make_table: MakeTable) -> None:
    table = make_table(ROWS, ROWS)
    action = json.loads((table.log.folder / f"{0:020d}.json").read_text().splitlines()[-1])
    action["add"]["modificationTime"] += 3_600_000  # so the same file comes last, and its rows too
    (table.log.folder / f"{2:020d}.json").write_text(json.dumps(action))
    write_deltalake(table.root, ROWS, mode="append")
    with pytest.raises(OutsideError, match="was to restore version 1, and is not the same"):
        restore_version(table, 1, BY)


def test_refusals(filled: Table, make_table: MakeTable) -> None:
    with pytest.raises(NotFoundError, match="no version 7"):
        restore_version(filled, 7, BY)
    closed = make_table(ROWS, ROWS, name="closed", configuration={"delta.appendOnly": "true"})
    with pytest.raises(OutsideError, match="append-only"):
        restore_version(closed, 0, BY)
    assert closed.log.head() == 1
