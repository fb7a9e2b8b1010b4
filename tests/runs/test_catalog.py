"""The index of runs: every answer is the one that the records give, whatever becomes of the index."""

import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lin.ids import day_of
from lin.project import Project, create_project, open_project
from lin.records import TableRef, digest
from lin.runs.catalog import FEW, describe_index, rebuild_index
from lin.runs.index import FORMAT, MOST_FILES, open_index
from lin.runs.matching import matches, sort_key
from lin.runs.query import RunFields, find_run, list_runs, read_each
from lin.runs.record import Recorder, begin_run, capture
from lin.runs.where import parse_field, parse_where

Begin = Callable[..., Recorder]
PIN = digest(b"a pin")

QUESTIONS: list[dict[str, object]] = [
    {},
    {"limit": 7},
    {"where": "metrics.rmse < 5"},
    {
        "where": "metrics.rmse < 100 and (params.alpha = '0.1' or tags.team like 'a%')",
        "sort": "metrics.rmse",
        "limit": 20,
    },
    {"where": "inputs.housing = 1", "sort": "params.alpha", "descending": True},
    {"where": "not metrics.rmse < 5", "sort": "name"},
    {"sort": "metrics.rmse", "descending": True, "limit": 30},
    {"where": "status = 'failed' or params.odd is not null"},
    {"where": "started > '2020-01-01' and seconds >= 0", "sort": "started"},
    {"where": "name in ('fit 3', 'fit 300', 'nobody')"},
]


def record(begin: Begin, number: int) -> str:
    """A sealed run; a few lack a metric, have an odd param, or failed."""
    inputs = [TableRef(table="housing", location="../housing", version=number % 3, pin=PIN, rows=1)]
    params = {"alpha": [0.1, 1, "many"][number % 3], **({"odd": [number]} if number % 50 == 0 else {})}
    run = begin(name=f"fit {number}", params=params, tags={"team": "ab"[number % 2] * 3}, inputs=inputs)
    if number % 10:
        run.log_metric("rmse", math.nan if number % 7 == 0 else (number * 37 % 101) / 7)
    run.seal("failed" if number % 13 == 0 else "finished")
    return run.id


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a few more runs than are left without an index."""
    project, _ = create_project(tmp_path_factory.mktemp("many"), name="many")
    captured = capture(project)
    project.store.blobs.put(b"a pin")
    for number in range(FEW + 44):
        record(lambda **options: begin_run(project, captured, kind="program", **options), number)
    return project


@pytest.fixture
def project(made_once: Project, tmp_path: Path, request: pytest.FixtureRequest) -> Project:
    """A copy of it for the tests that ask for `many`, an empty project for the others."""
    if "many" not in request.fixturenames:
        return create_project(tmp_path, name="empty")[0]
    shutil.copytree(made_once.root, tmp_path / "copy")
    return open_project(tmp_path / "copy")


@pytest.fixture
def many(project: Project) -> Project:
    return project


def from_records(project: Project, **asked: object) -> list[str]:
    """What the records themselves answer, without index and without any shortcut."""
    runs = list(read_each(project.store, project.store.runs.ids(), []))
    if "where" in asked:
        condition = parse_where(str(asked["where"]))
        runs = [run for run in runs if matches(condition, RunFields(run))]
    if "sort" in asked:
        field, down = parse_field(str(asked["sort"])), bool(asked.get("descending"))
        runs.sort(key=lambda run: sort_key(field, RunFields(run), run.id, descending=down))
    return [run.id for run in runs][: asked.get("limit")]  # type: ignore[misc]


def from_index(project: Project, **asked: object) -> list[str]:
    found = list_runs(project.store, **asked)  # type: ignore[arg-type]
    assert found.damaged == []
    return [run.id for run in found.runs]


def folder(project: Project) -> Path:
    assert project.store.index is not None
    return project.store.index


def run_folder(project: Project, run: str) -> Path:
    return project.store_root / "runs" / day_of(run) / run


# --- the same answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", QUESTIONS, ids=str)
def test_the_index_answers_as_the_records_do(many: Project, asked: dict[str, object]) -> None:
    assert from_index(many, **asked) == from_records(many, **asked)
    assert describe_index(many.store).lacking == 0


def test_few_runs_have_no_index(project: Project, begin: Begin) -> None:
    project.store.blobs.put(b"a pin")
    ids = [record(begin, number) for number in range(5)]
    assert from_index(project) == ids[::-1]
    assert not folder(project).exists()
    assert describe_index(project.store).lacking == 5


def test_the_index_is_a_delta_table_with_a_row_for_each_sealed_run(many: Project) -> None:
    from_index(many)
    rows = {row["id"]: row for row in DeltaTable(str(folder(many))).to_pyarrow_table().to_pylist()}
    assert set(rows) == set(many.store.runs.ids())
    run = find_run(many.store, "fit 50")
    row = rows[run.id]
    assert (row["name"], row["kind"], row["status"], row["actor"]) == ("fit 50", "program", "finished", run.actor)
    assert (row["started"], row["seconds"]) == (run.started, run.seconds)
    assert dict(row["params"]) == {"alpha": "many", "odd": "[50]"}
    assert (dict(row["tags"]), dict(row["inputs"])) == (run.tags, {"housing": [2]})
    assert row["source"] == run.source.tree if run.source else False


def test_runs_that_came_later_or_are_not_sealed_join_those_in_the_index(many: Project, begin: Begin) -> None:
    from_index(many)
    late = [record(begin, number) for number in (1001, 1002)]
    still = begin(name="fit 3", params={"alpha": 0.1}).id
    assert describe_index(many.store).lacking == 2
    assert from_index(many, limit=4)[:3] == [still, *late[::-1]]
    for asked in QUESTIONS:
        assert from_index(many, **asked) == from_records(many, **asked)


# --- whatever becomes of it -------------------------------------------------------------------------------------------


def test_a_deleted_index_is_made_anew(many: Project) -> None:
    before = from_index(many, sort="metrics.rmse")
    shutil.rmtree(folder(many))
    assert from_index(many, sort="metrics.rmse") == before
    assert describe_index(many.store).runs == len(before)


@pytest.mark.parametrize("damage", ["cut", "gone", "rotten"])
def test_a_damaged_index_is_said_once_and_made_anew(many: Project, damage: str) -> None:
    before = from_index(many, where="metrics.rmse < 5")
    (file,) = folder(many).glob("*.parquet")
    match damage:
        case "cut":
            file.write_bytes(file.read_bytes()[:1000])
        case "gone":
            file.unlink()
        case "rotten":
            file.write_bytes(bytes(file.stat().st_size))
    found = list_runs(many.store, where="metrics.rmse < 5")
    assert [run.id for run in found.runs] == before
    assert len(found.damaged) == 1
    assert found.damaged[0].endswith("; it is made anew")
    assert from_index(many, where="metrics.rmse < 5") == before


def test_a_damaged_index_of_few_runs_is_made_anew_too(many: Project) -> None:
    few = from_index(many)[: FEW // 2]
    for run in set(many.store.runs.ids()) - set(few):
        shutil.rmtree(run_folder(many, run))
    rebuild_index(many.store)
    (file,) = folder(many).glob("*.parquet")
    file.write_bytes(b"")
    found = list_runs(many.store)
    assert ([run.id for run in found.runs], len(found.damaged)) == (few, 1)
    assert from_index(many) == few


@pytest.mark.parametrize("name", ["00000000000000000000.json", "00000000000000000001.json"])
def test_a_commit_that_is_not_ours_is_not_believed(many: Project, name: str) -> None:
    before = from_index(many)
    forged = f'{{"commitInfo":{{"lin.note":"{{\\"format\\":\\"{FORMAT}\\"}}"}}}}'
    (folder(many) / "_delta_log" / name).write_text(f"{forged}\n")
    assert from_index(many) == before
    (folder(many) / "_delta_log" / name).write_text("not json\n")
    assert from_index(many) == before


def test_an_index_that_another_engine_wrote_to_is_made_anew(many: Project) -> None:
    before = from_index(many)
    DeltaTable(str(folder(many))).delete("status = 'finished'")
    assert from_index(many) == before
    assert DeltaTable(str(folder(many))).version() == 0


def test_a_file_in_the_place_of_the_index_costs_time_only(many: Project) -> None:
    folder(many).parent.joinpath("index").write_text("")
    assert [run.id for run in list_runs(many.store).runs] == from_records(many)


def test_a_run_whose_folder_is_gone_is_not_listed(many: Project) -> None:
    first, *others = from_index(many)
    shutil.rmtree(run_folder(many, first))
    assert from_index(many) == others
    assert from_index(many, limit=1) == others[:1]


def test_one_damaged_record_is_reported_and_hides_nothing_else(many: Project) -> None:
    everything = from_index(many)
    path = run_folder(many, everything[3]) / "run.json"
    path.write_bytes(path.read_bytes()[:-20])
    found = list_runs(many.store)
    assert [run.id for run in found.runs] == everything[:3] + everything[4:]
    assert [everything[3] in message for message in found.damaged] == [True]
    shutil.rmtree(folder(many))
    again = list_runs(many.store)
    assert ([run.id for run in again.runs], again.damaged) == ([run.id for run in found.runs], found.damaged)


def test_a_rotten_index_cannot_show_a_run_that_does_not_fit(many: Project) -> None:
    from_index(many)
    best, worst = (from_index(many, sort="metrics.rmse", descending=down, limit=1)[0] for down in (False, True))
    shutil.copy(run_folder(many, worst) / "log.jsonl", run_folder(many, best) / "log.jsonl")  # the index says otherwise
    for name in ("start.json", "run.json"):
        text = (run_folder(many, worst) / name).read_text().replace(worst, best)
        (run_folder(many, best) / name).write_text(text)
    assert best not in [run.id for run in list_runs(many.store, where="metrics.rmse < 1").runs]


# --- keeping it -------------------------------------------------------------------------------------------------------


def test_many_files_become_one(many: Project, begin: Begin) -> None:
    from_index(many)
    for number in range(MOST_FILES):
        record(begin, number)
        index = open_index(folder(many))
        fresh, _ = index.compare(many.store.runs.days())
        assert index.extend(read_each(many.store, fresh, []))
        assert describe_index(many.store).lacking == 0
    assert describe_index(many.store).files < MOST_FILES
    assert len(list(folder(many).glob("*.parquet"))) == describe_index(many.store).files
    assert from_index(many) == from_records(many)


def test_of_two_that_extend_it_at_once_one_does(many: Project, begin: Begin) -> None:
    from_index(many)
    record(begin, 1)
    one, other = open_index(folder(many)), open_index(folder(many))
    fresh, _ = one.compare(many.store.runs.days())
    assert one.extend(read_each(many.store, fresh, []))
    assert not other.extend(read_each(many.store, fresh, []))
    assert from_index(many) == from_records(many)
    ids = DeltaTable(str(folder(many))).to_pyarrow_table()["id"].to_pylist()
    assert len(ids) == len(set(ids))


def test_rebuilding_makes_one_file(many: Project) -> None:
    rebuild_index(many.store)
    state = describe_index(many.store)
    assert (state.runs, state.lacking, state.files, state.version) == (FEW + 44, 0, 1, 0)


WRITE_AND_ASK = """
import sys
import lin
from lin.project import open_project
from lin.runs.query import list_runs
from pathlib import Path
store = open_project(Path.cwd()).store
for number in range(int(sys.argv[1])):
    with lin.start_run(f"fit {number}"):
        lin.log_metric("rmse", number)
    if number % 20 == 0:
        found = list_runs(store, where="metrics.rmse < 3").damaged
        assert not found, found
"""


def test_processes_that_write_and_ask_at_once_lose_nothing(project: Project) -> None:
    words = [sys.executable, "-c", WRITE_AND_ASK, "150"]
    writers = [subprocess.Popen(words, cwd=project.root) for _ in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert len(from_index(project)) == 600
    assert from_index(project, where="metrics.rmse < 2") == from_records(project, where="metrics.rmse < 2")
    rows = DeltaTable(str(folder(project))).to_pyarrow_table()["id"].to_pylist()
    assert len(rows) == len(set(rows)) >= FEW
