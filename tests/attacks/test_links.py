"""Links and special files in place of what lin wrote: nothing behind them is changed, and fsck sees them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

LIST = "0123456789abcdef" * 2
PLACES = [
    "store.json",
    "blobs",
    "events",
    "events/000000000001.json",
    "runs",
    "DAY",
    "RUN",
    "RUN/run.json",
    ".announced",
    ".announced/gate",
    "index",
    "index/_delta_log",
    "index/_delta_log/00000000000000000000.json",
    "INDEXED",
]
COMMANDS = [
    ["runs", "--json"],
    ["models", "--json"],
    ["index"],
    ["artifacts", "job"],
    ["predict", "boston@1", "--table", "housing", "--json"],
    ["gc", "--yes"],
    ["delete", "job"],
    ["gc", "--yes"],
]


def put_behind_a_link(store: Path, name: str, outside: Path) -> Path:
    """Move a part of the store outside, and leave a link to it; returns the link."""
    run = next(store.glob("runs/*/*"))
    names = {"DAY": run.parent, "INDEXED": next(store.glob("index/*.parquet"))}
    first, _, rest = name.partition("/")
    place = run / rest if first == "RUN" else names.get(name, store / name)
    shutil.move(place, outside / place.name)
    place.symlink_to(outside / place.name)
    for folder in filter(Path.is_dir, outside.iterdir()):
        (folder / LIST).write_text("what nobody locks")
    return place


@pytest.mark.parametrize("name", PLACES)
def test_nothing_behind_a_link_in_the_store_is_touched(
    lab: Path, lin: Callable, outside: Path, state: Callable, name: str
) -> None:
    place = put_behind_a_link(lab / ".lin", name, outside)
    before = state(outside)
    seen = lin("fsck")
    assert seen.code in {1, 12} or name.startswith("index/") or name == "INDEXED", seen
    if name not in {"index", "INDEXED"} and not name.startswith("index/"):
        assert place.relative_to(lab / ".lin").as_posix() in seen.out + seen.err
    for command in COMMANDS:
        lin(*command)
    lin("fsck", "--read-data")
    lin("fsck", "--repair", "--yes")
    assert state(outside) == before


@pytest.mark.parametrize("name", ["events", "runs", "DAY"])
def test_a_folder_that_is_a_link_is_not_taken_for_an_empty_one(
    lab: Path, lin: Callable, outside: Path, name: str
) -> None:
    place = put_behind_a_link(lab / ".lin", name, outside)
    answer = lin("runs", "--json")
    assert (answer.code, answer.out) == (12, "")
    assert f"{place.relative_to(lab / '.lin')} in the store is no folder (hint: lin fsck)" in answer.err


def test_gc_takes_nothing_while_the_folder_of_a_run_is_a_link(lab: Path, lin: Callable, outside: Path) -> None:
    place = put_behind_a_link(lab / ".lin", "RUN", outside)
    blobs = sorted(lab.glob(".lin/blobs/*/*"))
    answer = lin("gc", "--yes")
    assert (answer.code, "is no folder" in answer.err) == (12, True)
    assert sorted(lab.glob(".lin/blobs/*/*")) == blobs
    place.unlink()
    shutil.move(outside / place.name, place)
    (place / LIST).unlink()
    assert lin("fsck", "--read-data").code == 0


@pytest.mark.parametrize("name", ["index/_delta_log/00000000000000000000.json", "INDEXED"])
def test_a_pipe_in_the_index_hangs_nobody(lab: Path, lin: Callable, outside: Path, name: str) -> None:
    place = put_behind_a_link(lab / ".lin", name, outside)
    place.unlink()
    os.mkfifo(place)
    answer = lin("runs", "--json", "--where", "params.alpha = 1")
    assert answer.code == 0, answer
    assert lin("index").code == 0


def test_repair_takes_a_damaged_gate_away(lab: Path, lin: Callable, outside: Path) -> None:
    put_behind_a_link(lab / ".lin", ".announced/gate", outside)
    assert lin("delete", "job").code in {0, 13}
    assert lin("fsck", "--repair", "--yes").code == 0
    assert lin("run", "--name", "again", "--", "true").code == 0
    assert lin("fsck", "--read-data").code == 0


def test_a_broken_link_does_not_keep_the_index_from_being_made(lab: Path, lin: Callable, outside: Path) -> None:
    put_behind_a_link(lab / ".lin", "index", outside)
    shutil.rmtree(outside / "index")
    assert lin("index", "--rebuild").code == 0
    assert (lab / ".lin/index/_delta_log").is_dir()
    assert not (lab / ".lin/index").is_symlink()
    assert [*lab.glob(".lin/.tmp*")] == []
