"""A whole store looked over: no false findings; what is wrong, what needs it, and what to do about it."""

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from lin.events import Delete
from lin.ids import new_id
from lin.lineage.collect import collect
from lin.lineage.delete import delete_runs
from lin.lineage.fsck.findings import Finding, Fsck
from lin.models.changes import promote
from lin.project import Project
from lin.records import digest
from lin.runs.catalog import rebuild_index
from lin.runs.host import capture_process
from lin.runs.record import Capture, begin_run, capture
from lin.store.fsck import blob_key, run_folder

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
STORES = Path(__file__).parents[2] / "stores"
Look = Callable[..., Fsck]
Only = Callable[..., Finding]


# --- nothing is wrong -------------------------------------------------------------------------------------------------


def test_a_fresh_store_is_whole(project: Project, look: Look) -> None:
    found = look(project.root)
    assert found.whole
    assert (found.events, found.runs, found.blobs, found.tables) == (0, 0, 0, 0)


def test_a_story_is_whole_and_all_of_it_was_looked_at(told, look: Look) -> None:
    story, _ = told
    rebuild_index(story.project.store)
    found = look(story.project.root)
    assert found.findings == []
    assert (found.events, found.runs, found.versions, found.tables, found.rows) == (3, 6, 3, 1, 6)
    assert found.unneeded == found.unfinished == 0
    quick = look(story.project.root, share=0.0)
    assert replace(quick, share=1.0, hashed=found.hashed) == found
    assert quick.hashed < found.hashed


def test_a_store_of_an_early_lin_is_whole(look: Look, tmp_path: Path) -> None:
    shutil.copytree(STORES / "v1", tmp_path / "v1")
    assert look(tmp_path / "v1").findings == []


def test_runs_of_every_kind_are_whole(project: Project, look: Look) -> None:
    """Running, abandoned in the middle of a line, interrupted, deleted, collected in full and by half."""
    captured = capture(project)
    dead = replace_process(captured)
    runs = [begin_run(project, dead if name == "abandoned" else captured, kind="program", name=name) for name in NAMES]
    by_name = dict(zip(NAMES, runs, strict=True))
    for run in runs:
        run.log_metrics({"rmse": 1.5})
        run.log_artifact(run.id.encode(), "a.txt")
    with (project.store_root / run_folder(by_name["abandoned"].id) / "log.jsonl").open("ab") as log:
        log.write(b'{"crc":"0011')
    for name in ("interrupted", "deleted", "collected", "half"):
        by_name[name].seal("interrupted" if name == "interrupted" else "finished")
    rebuild_index(project.store)
    delete_runs(project, [by_name["collected"].id, by_name["half"].id], now=NOW, reason=None)
    aside = project.root / "aside"
    shutil.copytree(project.store_root / run_folder(by_name["half"].id), aside)
    collect(project, now=NOW, take=True)
    shutil.copytree(aside, project.store_root / run_folder(by_name["half"].id))
    (project.store_root / run_folder(by_name["half"].id) / "start.json").unlink()
    shutil.rmtree(aside)
    delete_runs(project, [by_name["deleted"].id], now=NOW, reason=None)
    found = look(project.root)
    assert found.findings == []
    assert found.runs == 4


NAMES = ("running", "abandoned", "interrupted", "deleted", "collected", "half")


def replace_process(captured: Capture) -> Capture:
    """As by a process that is no more."""
    return dataclasses.replace(captured, process=replace(capture_process(), pid=0))


WRITER = """
import sys
import lin
for turn in range(25):
    with lin.start_run(f"run {turn}"):
        lin.log_metrics({"rmse": turn})
        lin.log_text(f"{sys.argv[1]} {turn}", "a.txt")
"""


def test_nothing_is_found_beside_processes_that_write(project: Project, look: Look) -> None:
    words = [sys.executable, "-c", WRITER]
    writers = [subprocess.Popen([*words, str(number)], cwd=project.root) for number in range(3)]
    looks = 0
    while any(writer.poll() is None for writer in writers):
        assert look(project.root).findings == []
        looks += 1
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert looks > 1
    assert look(project.root).runs == 75


# --- what is wrong ----------------------------------------------------------------------------------------------------


def test_models_in_a_stage_are_named_first(told, look: Look, flip: Callable[..., None]) -> None:
    story, runs = told
    promote(story.project, "boston@2", "production", reason="r")
    environment = story.project.store.runs.start(runs["first"]).environment
    flip(story.project.store_root / blob_key(environment))
    (finding,) = look(story.project.root).findings
    assert (finding.file, finding.ill) == (blob_key(environment), "altered")
    assert finding.needed_by[:3] == ["boston@2 (production)", "boston@1", "boston@3"]
    assert (len(finding.needed_by), finding.needed) == (5, 9)
    assert finding.mend == "restore that file from a backup of the store"


def test_a_missing_blob_is_found_without_reading_content(told, only: Only) -> None:
    story, runs = told
    model = digest(runs["second"].encode())
    (story.project.store_root / blob_key(model)).unlink()
    finding = only(story.project.root, share=0.0)
    assert (finding.file, finding.ill) == (blob_key(model), "missing")
    assert finding.needed_by == ["boston@2", f"run {runs['second'][-8:]}"]


def test_a_blob_that_is_cut_off_is_found_without_reading_content(told, only: Only) -> None:
    story, runs = told
    model = story.project.store_root / blob_key(digest(runs["second"].encode()))
    model.write_bytes(model.read_bytes()[:5])
    assert only(story.project.root, share=0.0).ill == "altered"


def test_the_same_content_is_found_again_in_the_project(told, only: Only) -> None:
    story, _ = told
    settings = (story.project.root / "lineage.toml").read_bytes()
    (story.project.store_root / blob_key(digest(settings))).unlink()
    finding = only(story.project.root)
    assert finding.content == "../lineage.toml"
    assert finding.mend == "the same content lies at ../lineage.toml: lin fsck --repair --yes puts it back"


def test_a_blob_that_nothing_needs_is_wrong_too(told, only: Only) -> None:
    """The same content might be kept again, and would be believed to be there."""
    story, _ = told
    unneeded = story.project.store.blobs.put(b"x")
    (story.project.store_root / blob_key(unneeded)).write_bytes(b"y")
    finding = only(story.project.root)
    assert (finding.needed, finding.mend) == (
        0,
        "nothing needs it: lin fsck --repair --yes moves it into quarantine",
    )


def test_after_a_damaged_event_nothing_is_known_of_models(told, only: Only, flip: Callable[..., None]) -> None:
    story, _ = told
    flip(story.project.store_root / "events/000000000003.json")
    finding = only(story.project.root)
    assert (finding.file, finding.ill) == ("events/000000000003.json", "damaged")
    assert finding.what.endswith("what was said of models is known up to event 2")
    assert finding.needed_by == ["boston@1", "boston@2"]


def test_an_event_that_the_ones_before_do_not_allow(told, only: Only) -> None:
    story, _ = told
    change = replace(story.project.store.events.read()[0].change, version=7)
    story.project.store.events.append(lambda _: change, actor="ann", op_id=new_id(), now=NOW)
    story.project.store.events.append(lambda _: Delete(run=change.run), actor="ann", op_id=new_id(), now=NOW)
    finding = only(story.project.root)
    assert (finding.file, finding.ill) == ("events/000000000004.json", "altered")


def test_who_saw_the_last_event_knows_that_it_is_gone(told, look: Look, only: Only, tmp_path: Path) -> None:
    story, _ = told
    assert look(story.project.root).whole
    last = story.project.store_root / "events/000000000003.json"
    data = last.read_bytes()
    last.unlink()
    assert look(story.project.root, cache=None).whole
    for _ in range(2):  # it is told until somebody says that it is right
        finding = only(story.project.root)
        assert (finding.file, finding.ill) == ("events/000000000003.json", "missing")
    (memory,) = (tmp_path / "cache").iterdir()
    assert finding.mend.endswith(f"rm {memory}")
    last.write_bytes(data)
    assert look(story.project.root).whole


def test_the_index_and_events_and_memory_tell_of_runs_that_are_gone(told, look: Look) -> None:
    story, runs = told
    store = story.project.store_root
    rebuild_index(story.project.store)
    late = story.train(name=None)
    assert look(story.project.root).whole
    shutil.rmtree(store / run_folder(runs["first"]))
    (store / run_folder(runs["second"]) / "run.json").unlink()
    (store / run_folder(runs["filled"]) / "run.json").unlink()
    (store / run_folder(late.id) / "run.json").unlink()
    found = {finding.file: finding for finding in look(story.project.root).findings}
    assert {
        run_folder(runs["first"]): "the run is gone: boston@1 is its model",
        run_folder(runs["second"]) + "/run.json": "the run was sealed: boston@2 is its model",
        run_folder(runs["filled"])
        + "/run.json": "the run was sealed: it is in the index of runs, which has only sealed ones",
        run_folder(late.id)
        + "/run.json": "the run was sealed: it was sealed when this store was last looked at from here",
    } == {file: finding.what for file, finding in found.items()}


def test_a_deleted_run_may_go(told, only: Only, flip: Callable[..., None]) -> None:
    story, _ = told
    run = story.train(name=None)
    delete_runs(story.project, [run.id], now=NOW, reason=None)
    flip(story.project.store_root / run_folder(run.id) / "run.json")
    assert only(story.project.root).mend.endswith("or take the deleted run away: lin gc --yes")


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_pinned_file_is_held_against_its_pin(told, look: Look, only: Only, flip: Callable[..., None]) -> None:
    story, _ = told
    (file,) = story.table.log.snapshot(0).files
    flip(story.table.root / file.path)
    assert look(story.project.root, share=0.0).whole  # its size is right
    finding = only(story.project.root)
    assert (finding.file, finding.ill) == (f"../data/housing/{file.path}", "altered")
    assert finding.needed_by[:2] == ["boston@1", "boston@3"]
    shutil.copy(story.table.root / file.path, story.project.root / "copy")
    (story.table.root / file.path).unlink()
    assert only(story.project.root, share=0.0).ill == "missing"


def test_a_table_whose_folder_is_gone(told, look: Look) -> None:
    story, _ = told
    shutil.rmtree(story.table.root)
    assert told_of_tables(look(story.project.root)) == [("../data/housing", "missing")]


def told_of_tables(found: Fsck) -> list[tuple[str, str]]:
    return [(finding.file, finding.ill) for finding in found.findings if finding.file.startswith("..")]


def commit(number: int) -> str:
    return f"../data/housing/_delta_log/{number:020d}.json"


@pytest.mark.parametrize(
    ("number", "data", "ill"),
    [
        (1, None, "missing"),
        (2, None, "missing"),
        (0, None, "missing"),
        (1, b"", "damaged"),
        (1, b'{"add":{', "damaged"),
    ],
)
def test_a_commit_that_is_missing_or_torn(told, only: Only, number: int, data: bytes | None, ill: str) -> None:
    story, _ = told
    path = story.table.log.folder / f"{number:020d}.json"
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)
    finding = only(story.project.root, share=0.0)
    assert (finding.file, finding.ill) == (commit(number), ill)
    assert finding.needed_by


def test_a_path_out_of_the_table(told, only: Only) -> None:
    story, _ = told
    path = story.table.log.folder / f"{1:020d}.json"
    path.write_text(path.read_text().replace('"path":"part-', '"path":"../part-'))
    finding = only(story.project.root)
    assert (finding.file, finding.ill) == (commit(1), "damaged")


def test_a_log_that_says_other_than_the_pins(told, only: Only) -> None:
    story, _ = told
    log = story.table.log.folder
    (log / f"{2:020d}.json").write_bytes((log / f"{1:020d}.json").read_bytes().replace(b'"remove"', b'"cdc"', 1))
    finding = only(story.project.root, share=0.0)
    assert finding.file == commit(2)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_digit_of_a_commit_that_a_run_read_or_wrote(told, look: Look, number: int, at: float) -> None:
    """Such as how many rows there are, when it was written and by which run: Delta has no checksum for it."""
    story, _ = told
    path = story.table.log.folder / f"{number:020d}.json"
    data = bytearray(path.read_bytes())
    changed = next(place for place in range(int(at * len(data)), len(data)) if chr(data[place]).isdecimal())
    data[changed] ^= 1
    path.write_bytes(data)
    found = {finding.file: finding for finding in look(story.project.root, share=0.0).findings}
    assert found[commit(number)].needed_by


def test_a_commit_that_is_there_twice(told, only: Only) -> None:
    story, _ = told
    head = story.table.log.head()
    log = story.table.log.folder
    shutil.copy(log / f"{head:020d}.json", log / f"{head + 1:020d}.json")
    finding = only(story.project.root, share=0.0)
    assert (finding.file, finding.ill) == (commit(head + 1), "altered")
    assert finding.what == "it is the commit before it once more"


def test_checkpoints_are_read_and_held_against_the_commits(told, look: Look, only: Only, flip) -> None:
    from deltalake import DeltaTable

    story, _ = told
    DeltaTable(story.table.root).create_checkpoint()
    assert look(story.project.root).whole
    (checkpoint,) = story.table.log.folder.glob("*.checkpoint.parquet")
    whole = checkpoint.read_bytes()
    flip(checkpoint)
    finding = only(story.project.root)
    assert (finding.file, finding.ill) == (f"../data/housing/_delta_log/{checkpoint.name}", "damaged")
    checkpoint.write_bytes(whole)
    story.append(3)
    assert look(story.project.root).whole
    checkpoint.rename(checkpoint.with_name(f"{3:020d}.checkpoint.parquet"))
    assert only(story.project.root).ill == "altered"


def test_a_file_of_the_newest_version_that_no_run_pinned(told, only: Only) -> None:
    story, _ = told
    story.append(3)
    fresh = {file.path for file in story.table.log.snapshot().files} - {
        file.path for file in story.table.log.snapshot(2).files
    }
    path = story.table.root / fresh.pop()
    path.write_bytes(path.read_bytes() + b"x")
    assert only(story.project.root).what.endswith("says version 3, the newest")
    path.unlink()
    assert only(story.project.root).ill == "missing"


# --- the index --------------------------------------------------------------------------------------------------------


def test_rows_of_the_index_are_held_against_the_records(told, look: Look, only: Only) -> None:
    import pyarrow.parquet as pq

    story, _ = told
    rebuild_index(story.project.store)
    (file,) = (story.project.store_root / "index").glob("*.parquet")
    rows = pq.read_table(file)
    names = rows.column("name").to_pylist()
    pq.write_table(rows.set_column(1, "name", [["other", *names[1:]]]), file)
    finding = only(story.project.root, share=0.0)
    assert (finding.file, finding.ill, finding.what) == ("index", "altered", "its rows differ from the records in name")
    assert finding.mend == "lin index --rebuild"
    pq.write_table(rows.slice(1), file)
    assert only(story.project.root).what == "the runs in it are not those that its note tells of"
    file.write_bytes(b"PAR1")
    assert only(story.project.root).ill == "damaged"
    for path in (story.project.store_root / "index/_delta_log").iterdir():
        path.unlink()
    assert only(story.project.root).ill == "damaged"
    rebuild_index(story.project.store)
    assert look(story.project.root).whole


# --- how much is read -------------------------------------------------------------------------------------------------


def test_a_share_is_drawn_anew_each_time(told, look: Look, flip: Callable[..., None]) -> None:
    story, runs = told
    flip(story.project.store_root / blob_key(digest(runs["second"].encode())), at=0)
    assert look(story.project.root, share=0.5, chance=lambda: 0.6).whole
    found = look(story.project.root, share=0.5, chance=lambda: 0.4)
    assert told_keys(found) == [blob_key(digest(runs["second"].encode()))]


def told_keys(found: Fsck) -> list[str]:
    return [finding.file for finding in found.findings]


class _StopError(Exception):
    pass


def test_an_interrupted_reading_goes_on_and_still_tells_what_it_found(told, look: Look, flip) -> None:
    story, _ = told
    blobs = sorted(path for path in (story.project.store_root / "blobs").rglob("*") if path.is_file())
    flip(blobs[0], at=0)
    before = look(story.project.root)
    assert told_keys(before) == [os.path.relpath(blobs[0], story.project.store_root)]

    def stop(progress) -> None:
        if progress.what == "tables":
            raise _StopError

    with pytest.raises(_StopError):
        look(story.project.root, report=stop)
    after = look(story.project.root, resume=True)
    assert after.resumed
    assert told_keys(after) == told_keys(before)
    assert after.hashed < before.hashed
    again = look(story.project.root, resume=True)  # it was through: there is nothing to go on with
    assert not again.resumed
    assert again.hashed == before.hashed


def test_a_copy_of_a_store_goes_its_own_way(told, look: Look, tmp_path: Path) -> None:
    story, _ = told
    shutil.copytree(story.project.root, tmp_path / "copy")
    story.train()
    assert look(story.project.root).whole
    assert look(tmp_path / "copy").whole


def test_locations_that_are_no_paths_are_gone_and_no_bug(told, look: Look) -> None:
    """Only an imported record has such."""
    story, _ = told
    wrong = ["no\0path", "x" * 5000, "/dev/null", "../" * 2000]
    read = story.project.store.runs.start(story.train(name=None).id).inputs[0]
    for location in wrong:
        inputs = [replace(read, location=location)]
        begin_run(story.project, capture(story.project), kind="train", name="imported", inputs=inputs).seal("finished")
    found = look(story.project.root)
    assert [finding.ill for finding in found.findings] == ["missing"] * len(wrong)


def test_a_cache_that_cannot_be_written_is_none(told, look: Look, tmp_path: Path) -> None:
    story, _ = told
    (tmp_path / "taken").write_text("")
    assert look(story.project.root, cache=tmp_path / "taken").whole
