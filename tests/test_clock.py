"""Clocks that are wrong by years, or stand: what happened first has the lower number, and ids stay ids."""

import contextlib
import io
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lin.cli.main import main
from lin.events import Event, Register, Tag
from lin.ids import day_of, have_day, is_id, new_id
from lin.project import Project, open_project
from lin.records import Host, Process, Sealed, Start

YEAR = 365 * 86_400 * 10**9
NOW = 1_795_000_000 * 10**9


@pytest.mark.parametrize(
    "clock", [-YEAR, 0, NOW - 10 * YEAR, NOW + 10 * YEAR, 8_029 * YEAR, 10**6 * YEAR], ids=lambda at: f"{at / YEAR:.0f}"
)
def test_any_clock_makes_ids_that_have_a_day(clock: int) -> None:
    made = [new_id(have_day(clock)) for _ in range(100)]
    assert len(set(made)) == 100
    assert all(is_id(each) and day_of(each) for each in made)


def test_events_keep_their_order_whatever_their_times_are(project: Project) -> None:
    for number, year in enumerate((2026, 2036, 2016, 2026, 1970, 9999)):
        project.store.events.append(
            lambda _, number=number: Tag(model="boston", key="k", value=str(number)),
            actor="ann",
            op_id=new_id(),
            now=datetime(year, 1, 1, tzinfo=UTC),
        )
    read = type(project.store.events)(project.store.blobs.backend).read()
    assert [event.change.value for event in read] == ["0", "1", "2", "3", "4", "5"]


TODAY = datetime.fromtimestamp(NOW / 10**9, UTC)
EACH = 20
HOST = Host(name="host", system="Linux", cpu="cpu", cores=2, memory_bytes=1 << 30)
PROCESS = Process(host="host", boot="b", pid_namespace="", pid=1, started=1.0)


def _work(root: Path, years: int) -> None:
    """Runs, each registered as the next version, by a machine whose clock is off."""
    project = open_project(root)
    for number in range(EACH):
        now = TODAY + timedelta(days=365 * years, seconds=number)
        run = new_id(int(now.timestamp()) * 10**9)
        start = Start(
            id=run, kind="train", name=f"{years:+}", started=now, actor="ann", lin="0.1.0", host=HOST, process=PROCESS
        )
        begun = project.store.runs.begin(start)
        project.store.runs.seal(Sealed(id=run, start=begun, ended=now, status="finished", seconds=1.0))
        sha256 = project.store.blobs.put(run.encode())

        def decide(events: Sequence[Event], run: str = run, sha256: str = sha256) -> Register:
            version = 1 + sum(isinstance(event.change, Register) for event in events)
            return Register(model="boston", version=version, run=run, artifact="model/model.skops", sha256=sha256)

        project.store.events.append(decide, actor="ann", op_id=new_id(), now=now)


def _ask(*words: str) -> str:
    told = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(told), pytest.raises(SystemExit) as ended:
        main(list(words))
    assert not ended.value.code, words
    told.flush()
    return told.buffer.getvalue().decode()  # type: ignore[attr-defined]


def test_machines_whose_clocks_are_years_apart_write_at_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_work, args=(project.root, years)) for years in (-10, 10)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    monkeypatch.chdir(project.root)
    events = open_project(project.root).store.events.read()
    assert [event.number for event in events] == list(range(1, 2 * EACH + 1))
    versions = [event.change.version for event in events if isinstance(event.change, Register)]
    assert versions == list(range(1, 2 * EACH + 1))
    assert {event.time.year > TODAY.year for event in events} == {True, False}
    listed = json.loads(_ask("models", "--json"))
    assert sorted(version["version"] for version in listed) == versions
    before = _ask("runs", "--json")
    assert len(json.loads(before)) == 2 * EACH
    # an event counts as no earlier than those before it: what was first in the log is first at any moment
    some = [version["version"] for version in json.loads(_ask("models", "--as-of", "2026-01-01", "--json"))]
    assert sorted(some) == versions[: len(some)]
    assert json.loads(_ask("models", "--as-of", "2000-01-01", "--json")) == []
    _ask("gc", "--yes")
    _ask("index", "--rebuild")
    assert _ask("runs", "--json") == before
    assert json.loads(_ask("fsck", "--read-data", "--json"))["findings"] == []


MACHINES = {"behind": ("-10", "goes"), "ahead": ("10", "goes"), "jumping": ("10", "jumps"), "frozen": ("0", "stands")}
WAITING = """
import pathlib, time
pathlib.Path("art.txt").write_text("made before the collection")
pathlib.Path("begun").touch()
while not pathlib.Path("over").exists():
    time.sleep(0.02)
print("it is over")
"""


def _on(machine: str, root: Path, *lines: list[str]) -> "subprocess.Popen[str]":
    """Run commands on a machine with such a clock."""
    side = str(Path(__file__).parent / "clock_side.py")
    words = [sys.executable, side, *MACHINES[machine], json.dumps(lines)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        words, cwd=root, stdout=pipe, stderr=pipe, text=True, env={**os.environ, "LIN_ACTOR": machine}
    )


def _ended(process: "subprocess.Popen[str]") -> str:
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    return out


def test_commands_of_machines_whose_clocks_disagree(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Concurrent commands lose nothing, and a collection by the clock of another machine spares a run that goes on."""
    root = project.root
    monkeypatch.chdir(root)
    (root / "slow.py").write_text(WAITING)
    slow = _on("behind", root, ["run", "--", sys.executable, "slow.py"])
    while not (root / "begun").exists():
        assert slow.poll() is None, slow.communicate()
        time.sleep(0.02)
    tags = {name: [["tag", "boston", f"{name}{n}=1"] for n in range(4)] for name in MACHINES}
    _work(root, 0)
    for writer in [_on(name, root, *lines) for name, lines in tags.items()]:
        _ended(writer)
    for machine in ("ahead", "jumping"):
        _ended(_on(machine, root, ["gc", "--yes"], ["gc", "--yes", "--older-than", "1d"]))
    told = _ended(_on("jumping", root, ["status"], ["runs"], ["models"], ["fsck"]))
    assert "running" in told
    (root / "over").touch()
    _ended(slow)
    events = open_project(root).store.events.read()
    assert [event.number for event in events] == list(range(1, EACH + 4 * len(MACHINES) + 1))
    assert {event.change.key for event in events if isinstance(event.change, Tag)} == {
        f"{name}{n}" for name in MACHINES for n in range(4)
    }
    years = {event.actor: event.time.year - datetime.now(UTC).year for event in events}
    assert (years["behind"], years["ahead"], years["frozen"]) == (-10, 10, 0)
    ran = next(run for run in json.loads(_ask("runs", "--json")) if run["kind"] == "command")
    assert ran["status"] == "finished"
    assert _ask("output", ran["id"]) == "it is over\n"
    assert json.loads(_ask("fsck", "--read-data", "--json"))["findings"] == []


def test_files_are_no_older_than_the_file_system_says(project: Project) -> None:
    """A clock that is ahead takes no file for left behind that a writer is about to name."""
    root = project.root
    (root / "rows.csv").write_text("id\n1\n")
    _ended(_on("frozen", root, ["add", "rows", "rows.csv"]))
    fresh = root / "data/rows/part-00000-1f0b8d5c-9b7f-4f4e-8f3a-2d3c4b5a6978-c000.snappy.parquet"
    half = root / ".lin/.tmp-0123456789abcdef"
    for path in (fresh, half):
        path.write_bytes(b"not named yet")
    _ended(_on("ahead", root, ["vacuum", "rows", "--yes", "--orphans"], ["gc", "--yes"]))
    assert fresh.exists()
    assert half.exists()
    for path in (fresh, half):
        os.utime(path, (0, 0))
    _ended(_on("frozen", root, ["vacuum", "rows", "--yes", "--orphans"], ["gc", "--yes"]))
    assert not fresh.exists()
    assert not half.exists()
