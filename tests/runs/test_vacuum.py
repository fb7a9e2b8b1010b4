"""Vacuum and the store: what any run needs stays, and what is not known to be free stays."""

import shutil
import time
from collections.abc import Callable

import pytest

from lin.data.pins import check_pin
from lin.data.read import read_version
from lin.data.tables import Table, open_table
from lin.errors import ConflictError, NotFoundError, StoreError, UsageError
from lin.project import Project
from lin.runs.pinned import check_tables, find_pinned
from lin.runs.query import RunInfo
from lin.runs.record import Recorder
from lin.runs.restore import restore_table
from lin.runs.vacuum import SparedVersion, Vacuumed, _pinned, _require_unneeded, vacuum_table
from lin.runs.writes import pin_input

Begin = Callable[..., Recorder]


@pytest.fixture
def table(housing: Project) -> Table:
    """Four versions, each of which replaced the one before; the import pinned the first."""
    from deltalake import write_deltalake

    opened = open_table(housing, "housing")
    for number in (1, 2, 3):
        write_deltalake(opened.root, read_version(opened, 0)[1].slice(0, number), mode="overwrite")
    return opened


def vacuum(project: Project, table: Table, *, days: float = 30, **options: object) -> Vacuumed:
    now_ms = int((time.time() + days * 86_400) * 1000)
    return vacuum_table(project, table, **({"models": {}, "now_ms": now_ms} | options))  # type: ignore[arg-type]


def test_inputs_outputs_and_unsealed_runs_are_spared_and_named(
    housing: Project, table: Table, begin: Begin, every_run: Callable[..., list[RunInfo]]
) -> None:
    (made,) = every_run(housing, "import")
    pin, read = pin_input(housing, table, 1)
    reader = begin(inputs=[read])  # and never sealed
    models = {made.id: ["boston@1", "boston@2 (production)"]}
    told = vacuum(housing, table, models=models)
    (dead,) = table.log.snapshot(2).files
    assert (told.files, told.bytes, told.paths, told.deleted) == (1, dead.bytes, [dead.path], None)
    assert (told.head, told.retention_seconds, told.lost_versions) == (3, 604_800, [2])
    assert [(s.version, s.files, s.runs, s.models) for s in told.spared] == [
        (0, 1, [made.id], models[made.id]),
        (1, 1, [reader.id], []),
    ]
    assert isinstance(told.spared[0], SparedVersion)
    assert (table.root / dead.path).exists()
    done = vacuum(housing, table, models=models, delete=True)
    assert done.deleted == 1
    assert not (table.root / dead.path).exists()
    assert check_pin(table, pin) == []
    assert check_tables(housing, models={}).lost == []
    assert restore_table(housing, table, 0).version == 4


def test_paths_are_listed_as_many_as_asked(housing: Project, table: Table) -> None:
    told = vacuum(housing, table, limit=1)
    assert (told.files, len(told.paths)) == (2, 1)


def test_a_pin_outlives_log_and_vacuum(housing: Project, table: Table) -> None:
    from deltalake import DeltaTable

    rows = read_version(table, 0)[1]
    DeltaTable(table.root).create_checkpoint()
    for version in (0, 1, 2):
        (table.log.folder / f"{version:020d}.json").unlink()
    assert vacuum(housing, table, delete=True).deleted == 2
    made = restore_table(housing, table, 0)
    assert (made.from_pin, made.version) == (True, 4)
    assert read_version(table)[1].equals(rows)


def test_the_same_table_under_another_name_is_spared_for_it(housing: Project, table: Table) -> None:
    told = vacuum(housing, Table("again", table.root))
    assert [(s.table, s.version) for s in told.spared] == [("again", 0)]


def test_nothing_goes_while_it_is_not_known_what_runs_need(housing: Project, table: Table, begin: Begin) -> None:
    (version,) = find_pinned(housing.store).versions
    run = begin()
    run.seal("finished")
    (record,) = (housing.store_root / "runs").glob(f"*/{run.id}/run.json")
    whole = record.read_bytes()
    record.write_bytes(whole[:-9])
    with pytest.raises(StoreError, match=r"what the runs need of table 'housing' is not known: .*run\.json"):
        vacuum(housing, table, delete=True)
    record.write_bytes(whole)
    blob = housing.store_root / "blobs" / version.pin[:2] / version.pin
    shutil.move(blob, blob.with_suffix(".away"))
    with pytest.raises(StoreError, match=f"{version.pin} is missing"):
        vacuum(housing, table, delete=True)
    shutil.move(blob.with_suffix(".away"), blob)
    assert vacuum(housing, table, delete=True).deleted == 2


def test_a_run_that_begins_meanwhile_stops_it_if_it_needs_what_would_go(
    housing: Project, table: Table, begin: Begin
) -> None:
    from lin.data.vacuum import Need, plan_vacuum

    known = _pinned(housing, table)
    (path,) = [file.path for file in table.log.snapshot(0).files]
    needs = [Need(version=0, pin=known[0].pin, paths=frozenset({path}))]
    plan = plan_vacuum(table, needs, now_ms=int(time.time() * 1000) + 10**10)
    begin(inputs=[pin_input(housing, table, 3)[1]])
    _require_unneeded(housing, table, plan, known=known)
    run = begin(inputs=[pin_input(housing, table, 2)[1]])
    with pytest.raises(ConflictError, match=f"run {run.id[-8:]} began to use housing@2 meanwhile; nothing was deleted"):
        _require_unneeded(housing, table, plan, known=known)


def test_time_spans_and_orphans(housing: Project, table: Table) -> None:
    assert vacuum(housing, table, days=0).young == 3
    assert vacuum(housing, table, days=0.01, retain="10 minutes").files == 2
    with pytest.raises(UsageError, match="'a week' is no time span"):
        vacuum(housing, table, retain="a week")
    with pytest.raises(UsageError, match="'23 hours' is too short for --orphans"):
        vacuum(housing, table, retain="23 hours", orphans=True)
    (table.root / "stray.parquet").touch()
    assert vacuum(housing, table).files == 2
    assert vacuum(housing, table, retain="1 day", orphans=True).files == 3


def test_what_is_no_table(housing: Project) -> None:
    with pytest.raises(NotFoundError, match="is not a Delta table"):
        vacuum(housing, Table("none", housing.root / "none"))
