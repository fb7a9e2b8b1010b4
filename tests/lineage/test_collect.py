"""`lin gc`: what nothing needs goes, and nothing else: beside running programs, after a kill, in a damaged store."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace as replace_record

from lin.errors import ConflictError, NotFoundError, StoreError, UsageError
from lin.events import Register
from lin.ids import day_of, new_id
from lin.lineage.collect import Collected, collect, parse_age
from lin.lineage.delete import delete_runs, undelete_runs
from lin.project import Project, create_project, open_project
from lin.recipes import Mix, Recipe
from lin.records import (
    Artifact,
    Environment,
    ModelRef,
    Package,
    Sealed,
    Source,
    SourceFile,
    SourceTree,
    TableRef,
    digest,
    encode,
)
from lin.runs.deleted import deleted_runs, read_deletions
from lin.runs.host import capture_host, capture_process
from lin.runs.needs import hold_named
from lin.runs.record import Capture, Recorder, begin_run
from lin.store.local import LocalBackend
from lin.store.store import Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ENVIRONMENT = encode(Environment("3.11.7", "cpython", "cpython-311", "Linux", "x86_64", []))


class Lab:
    """A project that is opened anew for all that is done with it, as by processes of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def project(self) -> Project:
        return replace(open_project(self.root), actor="ann")

    def begin(self, project: Project, name: str, source: bytes = b"print()\n", *, dead: bool = False) -> Recorder:
        blobs = project.store.blobs
        tree = SourceTree(files=[SourceFile("x.py", blobs.put(source), len(source))])
        process = capture_process()
        captured = Capture(
            source=Source(tree=blobs.put(encode(tree))),
            environment=blobs.put(ENVIRONMENT),
            host=capture_host(),
            process=replace_process(process) if dead else process,
        )
        return begin_run(project, captured, kind="program", name=name)

    def run(self, name: str, *, source: bytes = b"print()\n", artifact: bytes = b"shared", seal: bool = True) -> str:
        recorder = self.begin(self.project, name, source, dead=not seal)
        recorder.log_artifact(artifact, "a")
        if seal:
            recorder.seal("finished")
        return recorder.id

    def delete(self, *runs: str, ago: timedelta = timedelta(0)) -> None:
        delete_runs(self.project, runs, now=NOW - ago, reason="wrong")

    def gc(self, *, take: bool = True, older_than: str | None = None) -> Collected:
        return collect(self.project, now=NOW, take=take, older_than=older_than)

    def has(self, content: bytes) -> bool:
        return self.project.store.blobs.size(digest(content)) is not None

    def folder(self, run: str) -> Path:
        return self.root / ".lin/runs" / day_of(run) / run

    def files(self) -> dict[str, bytes]:
        """All that lies in the store but its locks."""
        store = self.root / ".lin"
        found = {path.relative_to(store).as_posix(): path for path in store.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".announced")}


def replace_process(process):
    """The same on this boot, but with a pid that nobody has."""
    return replace_record(process, pid=0)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    root = tmp_path / "lab"
    root.mkdir()
    create_project(root, name="lab")
    return Lab(root)


def test_what_only_a_deleted_run_needs_goes_and_the_rest_stays(lab: Lab) -> None:
    live = lab.run("live")
    gone = lab.run("gone", source=b"only gone's\n", artifact=b"x" * 5000)
    lab.delete(gone)
    before = lab.files()
    planned = lab.gc(take=False)
    assert lab.files() == before
    taken = lab.gc()
    assert (planned.taken, taken.taken) == (False, True)
    assert (planned.runs, planned.blobs, planned.bytes, planned.kept) == (
        taken.runs,
        taken.blobs,
        taken.bytes,
        taken.kept,
    )
    assert [(run.run, run.name, run.actor, run.reason) for run in taken.runs] == [(gone, "gone", "ann", "wrong")]
    after = lab.files()
    removed = {name: data for name, data in before.items() if name not in after}
    assert sum(map(len, removed.values())) == taken.bytes
    assert {name.partition("/")[0] for name in removed} == {"runs", "blobs"}
    assert (taken.blobs, taken.kept.runs, taken.kept.blobs) == (3, 1, 4)  # its file, its tree, its artifact
    assert not lab.folder(gone).exists()
    assert lab.folder(live).exists()
    assert [lab.has(data) for data in (b"shared", ENVIRONMENT, b"print()\n", b"only gone's\n", b"x" * 5000)] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert set(after) - set(before) == {"events/000000000002.json"}


def test_what_a_recipe_names_stays_with_its_run(lab: Lab) -> None:
    kept = {name: name.encode() for name in ("code", "own", "base", "other", "plain", "rows", "model", "version")}
    run = record_cell(lab.project, kept)
    lab.gc()
    assert [name for name, data in kept.items() if not lab.has(data)] == []
    lab.delete(run)
    lab.gc()
    assert {name for name, data in kept.items() if lab.has(data)} == {"model", "version"}


def record_cell(project: Project, contents: dict[str, bytes]) -> str:
    """A run whose recipe names all of `contents` but the last two, which an event names."""
    put = {name: project.store.blobs.put(data) for name, data in contents.items()}
    trees = [SourceTree([SourceFile("a.py", put[name], len(contents[name]))]) for name in ("code", "own")]
    source, own = (project.store.blobs.put(encode(tree)) for tree in trees)
    editable = Environment("3", "cpython", "x", "Linux", "x", [Package("mine", "1", editable=True, source=own)])
    table = TableRef("t", "../t", 0, put["base"], 1)
    recipe = Recipe(
        kind="train",
        name="cell",
        tables=[Mix(table, replace_record(table, pin=put["other"]), ["k"]), replace_record(table, pin=put["plain"])],
        models=[ModelRef("m", 1, put["model"])],
        source=source,
        environment=project.store.blobs.put(encode(editable)),
        golden=put["rows"],
    )
    begun = Lab(project.root).begin(project, "cell")
    begun.seal("finished")
    named = project.store.blobs.put(encode(recipe))
    run = begin_run(project, captured_of(begun), kind="cell", name="cell", recipe=named)
    run.seal("finished")
    change = Register(model="m", version=1, run=begun.id, artifact="a", sha256=put["model"], golden=put["version"])
    project.store.events.append(lambda _: change, actor="ann", op_id=new_id(), now=NOW)
    return run.id


def test_nothing_goes_while_a_recipe_cannot_be_read(lab: Lab) -> None:
    project = lab.project
    begun = lab.begin(project, "cell")
    recipe = project.store.blobs.put(b"{}")
    begin_run(project, captured_of(begun), kind="cell", name="cell", recipe=recipe)
    with pytest.raises(StoreError, match="so no blob can go: recipe"):
        lab.gc()


def captured_of(recorder: Recorder) -> Capture:
    start = recorder.start
    assert start.source is not None
    assert start.environment is not None
    return Capture(source=start.source, environment=start.environment, host=start.host, process=start.process)


def test_twice_takes_nothing_more(lab: Lab) -> None:
    lab.delete(lab.run("gone"))
    lab.gc()
    before = lab.files()
    again = lab.gc()
    assert (again.runs, again.rests, again.blobs, again.unfinished, again.bytes) == ([], 0, 0, 0, 0)
    assert lab.files() == before


def test_a_deleted_run_can_come_back_until_it_is_taken(lab: Lab) -> None:
    run = lab.run("one", artifact=b"its own")
    lab.delete(run)
    lab.gc(take=False)
    undelete_runs(lab.project, [run], now=NOW)
    assert lab.gc().runs == []
    assert lab.has(b"its own")
    lab.delete(run)
    lab.gc()
    for act in (delete_runs, undelete_runs):
        for reference in (run, run[-8:]):
            with pytest.raises(NotFoundError, match="was taken away by gc on 2026-11-22 12:00 UTC"):
                act(lab.project, [reference], now=NOW)
    assert deleted_runs(lab.project.store) == {run}


def test_a_run_that_is_not_sealed_keeps_all_it_named(lab: Lab) -> None:
    lab.run("abandoned", source=b"its source\n", artifact=b"its artifact", seal=False)
    project = lab.project
    running = lab.begin(project, "running")
    running.log_artifact(b"first", "a")
    running.log_artifact(b"second", "a")  # the log names both
    del project, running
    assert lab.gc().blobs == 0
    assert all(map(lab.has, (b"its source\n", b"its artifact", b"first", b"second")))


def test_what_a_later_artifact_replaced_goes_once_the_run_is_sealed(lab: Lab) -> None:
    recorder = lab.begin(lab.project, "one")
    recorder.log_artifact(b"first", "a")
    recorder.log_artifact(b"second", "a")
    recorder.seal("finished")
    del recorder
    assert lab.gc().blobs == 1
    assert (lab.has(b"first"), lab.has(b"second")) == (False, True)


def test_only_what_is_old_enough(lab: Lab) -> None:
    old, young = lab.run("old", artifact=b"old's"), lab.run("young", artifact=b"young's")
    lab.delete(old, ago=timedelta(days=8))
    lab.delete(young, ago=timedelta(days=6))
    written = (NOW - timedelta(days=9)).timestamp()
    os.utime(lab.root / ".lin/blobs" / digest(b"old's")[:2] / digest(b"old's"), (written, written))
    lab.project.store.blobs.put(b"nobody's")
    result = lab.gc(older_than="7d")
    assert [run.run for run in result.runs] == [old]
    assert (result.blobs, result.kept.young_runs, result.kept.young_blobs) == (1, 1, 1)
    assert [lab.has(data) for data in (b"old's", b"young's", b"nobody's")] == [False, True, True]


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("7d", timedelta(days=7)),
        ("7 days", timedelta(days=7)),
        ("1w 12h", timedelta(days=7, hours=12)),
        ("90m", timedelta(minutes=90)),
        ("0s", timedelta(0)),
    ],
)
def test_ages_as_people_write_them(text: str, age: timedelta) -> None:
    assert parse_age(text) == age


@pytest.mark.parametrize("text", ["soon", "7", "-7d", "7 dogs", ""])
def test_what_is_no_age(lab: Lab, text: str) -> None:
    with pytest.raises(UsageError, match="is no time span"):
        lab.gc(older_than=text)


def test_a_run_behind_a_model_version_stays_whatever_the_events_say(lab: Lab) -> None:
    run = lab.run("one", artifact=b"the model")
    lab.delete(run)
    change = Register(model="boston", version=1, run=run, artifact="a", sha256=digest(b"a model that no run names"))
    store = lab.project.store
    store.blobs.put(b"a model that no run names")
    store.events.append(lambda _: change, actor="ann", op_id=new_id(), now=NOW)
    del store
    result = lab.gc()
    assert (result.runs, result.blobs, result.kept.young_runs) == ([], 0, 1)


def test_broken_writes_go_after_a_day(lab: Lab) -> None:
    run = lab.run("one")
    blobs = f"blobs/{digest(b'shared')[:2]}"
    for place in ("", "events", blobs, "quarantine/20261122T120000Z", f"runs/{day_of(run)}/{run}"):
        for name, days in (("old", 2), ("young", 0.5)):
            path = lab.root / ".lin" / place / f".tmp-7-{name}"
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_bytes(b"half")
            written = (NOW - timedelta(days=days)).timestamp()
            os.utime(path, (written, written))
    planned, taken = lab.gc(take=False), lab.gc()
    for result in (planned, taken):
        assert (result.unfinished, result.kept.young_unfinished, result.bytes) == (5, 5, 20)
    assert sorted(path.name for path in (lab.root / ".lin").rglob(".tmp-*")) == [".tmp-7-young"] * 5
    assert lab.gc(older_than="1h").unfinished == 0


def test_an_index_that_a_kill_left_half_made_goes_too(lab: Lab) -> None:
    half = lab.root / ".lin/.tmp-index-7"
    (half / "_delta_log").mkdir(parents=True)
    (half / "part-0.parquet").write_bytes(b"half")
    os.utime(half, (0, 0))
    assert lab.gc().unfinished == 1
    assert not half.exists()


def test_a_commit_that_a_kill_left_half_made_goes_too_when_it_is_old(lab: Lab) -> None:
    log = lab.root / ".lin/index/_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    names = [f"{7:020d}.json{end}" for end in ("#1", "#2", "")]
    for name in names:
        (log / name).write_bytes(b"half")
        os.utime(log / name, (0, 0))
    os.utime(log / names[1], (NOW.timestamp(), NOW.timestamp()))
    before = {path.name for path in log.iterdir()}
    lab.gc()
    assert before - {path.name for path in log.iterdir()} == {names[0]}


def test_settings_that_a_kill_left_half_written_go_too(lab: Lab) -> None:
    half = lab.root / f".tmp-lin-{digest(b'lineage.toml')[:12]}-0123456789abcdef"
    half.write_bytes(b"half")
    lab.gc(take=False)
    assert half.exists()
    lab.gc()
    assert not half.exists()


def test_a_damaged_record_stops_it_until_the_run_is_deleted(lab: Lab) -> None:
    damaged, gone = lab.run("damaged", artifact=b"its own"), lab.run("gone")
    lab.delete(gone)
    record = lab.folder(damaged) / "run.json"
    record.write_bytes(record.read_bytes()[:-9])
    before = lab.files()
    with pytest.raises(StoreError, match=f"what run {damaged[-8:]} needs is not known"):
        lab.gc()
    assert lab.files() == before
    lab.delete(damaged)
    assert {run.run for run in lab.gc().runs} == {damaged, gone}
    assert not lab.has(b"its own")


def test_a_record_without_its_start_stops_it_too(lab: Lab) -> None:
    run = lab.run("one")
    (lab.folder(run) / "start.json").unlink()
    with pytest.raises(StoreError, match="needs is not known"):
        lab.gc()


def test_names_that_are_none_lead_nowhere(lab: Lab) -> None:
    """A hostile record names a path as a blob: nothing outside is looked at, and nothing goes but what is unneeded."""
    project = lab.project
    recorder = lab.begin(project, "hostile")
    start_digest = digest((lab.folder(recorder.id) / "start.json").read_bytes())
    artifacts = [Artifact(path="a", sha256=name, bytes=1) for name in ("../../../lineage.toml", "zz", "")]
    project.store.runs.seal(
        Sealed(id=recorder.id, start=start_digest, status="finished", ended=NOW, seconds=1, artifacts=artifacts)
    )
    del project, recorder
    assert lab.gc().blobs == 0
    assert (lab.root / "lineage.toml").exists()


def test_links_in_a_run_are_not_followed(lab: Lab, tmp_path: Path) -> None:
    run = lab.run("one")
    canary = tmp_path / "outside/canary"
    canary.parent.mkdir()
    canary.write_text("alive")
    (lab.folder(run) / "link").symlink_to(canary.parent)
    lab.delete(run)
    lab.gc()
    assert not lab.folder(run).exists()
    assert canary.read_text() == "alive"


# --- beside others ----------------------------------------------------------------------------------------------------


def test_what_a_program_found_and_will_name_stays(lab: Lab) -> None:
    """The blob is old and nothing names it; a program puts it again, which writes nothing, and names it later."""
    lab.project.store.blobs.put(b"found")
    project = lab.project
    recorder = lab.begin(project, "slow")
    sha256 = project.store.blobs.put(b"found")
    planned, taken = lab.gc(take=False), lab.gc()
    assert planned.kept.announced_blobs == taken.kept.announced_blobs == 1
    recorder.log_artifact(b"found", "a")
    recorder.seal("finished")
    del project, recorder
    assert lab.gc().blobs == 0
    assert lab.project.store.blobs.read(sha256) == b"found"


class Overtaken(LocalBackend):
    """The store of a gc in which somebody else acts once, right before or right after a call of it."""

    def __init__(self, root: Path, act: Callable[[], object], when: str) -> None:
        super().__init__(root)
        self._act = act
        self._when = when

    def _at(self, moment: str) -> None:
        if moment == self._when:
            self._when = ""
            self._act()

    def put_if_absent(self, key: str, data: bytes | Iterable[bytes]) -> None:
        self._at("before the event")
        super().put_if_absent(key, data)

    def announced(self) -> set[str]:
        self._at("before announcements are read")
        found = super().announced()
        self._at("after announcements were read")
        return found


def take_overtaken(lab: Lab, act: Callable[[], object], when: str) -> Collected:
    project = replace(lab.project, store=Store(Overtaken(lab.root / ".lin", act, when)))
    return collect(project, now=NOW, take=True)


def test_a_run_that_comes_back_between_look_and_event_keeps_its_blobs(lab: Lab) -> None:
    first, second = lab.run("first", artifact=b"first's"), lab.run("second", artifact=b"second's")
    lab.delete(first, second)
    result = take_overtaken(lab, lambda: undelete_runs(lab.project, [second], now=NOW), "before the event")
    assert [run.run for run in result.runs] == [first]
    assert [lab.has(data) for data in (b"first's", b"second's")] == [False, True]


def test_nothing_is_taken_where_all_came_back_meanwhile(lab: Lab) -> None:
    run = lab.run("one", artifact=b"its own")
    lab.delete(run)
    with pytest.raises(ConflictError, match="brought back or taken meanwhile"):
        take_overtaken(lab, lambda: undelete_runs(lab.project, [run], now=NOW), "before the event")
    assert lab.has(b"its own")
    assert lab.folder(run).exists()


def test_a_program_that_records_and_ends_before_announcements_are_read_loses_nothing(lab: Lab) -> None:
    lab.project.store.blobs.put(b"found")
    project = lab.project
    program = [lab.begin(project, "quick")]
    project.store.blobs.put(b"found")
    del project

    def end() -> None:
        program[0].log_artifact(b"found", "a")
        program.pop().seal("finished")

    assert take_overtaken(lab, end, "before announcements are read").blobs == 0
    assert lab.has(b"found")


def test_a_program_that_comes_after_announcements_were_read_waits_and_looks_then(lab: Lab) -> None:
    sha256 = lab.project.store.blobs.put(b"found")
    project = lab.project
    program = threading.Thread(target=lambda: project.store.blobs.put(b"found"))

    def come() -> None:
        program.start()
        program.join(0.2)

    assert take_overtaken(lab, come, "after announcements were read").blobs == 1
    program.join()
    assert lab.project.store.blobs.read(sha256) == b"found"


def test_what_a_run_of_another_process_captured_is_made_sure_of(lab: Lab) -> None:
    run = lab.run("one", source=b"its source\n")
    start = lab.project.store.runs.start(run)
    lab.delete(run)
    project = lab.project
    hold_named(project.store.blobs, start)
    lab.gc()
    assert lab.has(b"its source\n")
    del project
    lab.gc()
    with pytest.raises(StoreError, match="is missing"):
        hold_named(lab.project.store.blobs, start)


WRITER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_collect import Lab
lab, number = Lab(Path(sys.argv[2])), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for turn in range(40):
    content = b"content %d" % ((turn + number) % 3)
    project = lab.project
    recorder = lab.begin(project, f"{number}-{turn}", content)
    time.sleep(0.001)
    recorder.log_artifact(content, "a")
    recorder.seal("finished")
    run = recorder.id
    del project, recorder
    if turn < 36:
        lab.delete(run)
        time.sleep(0.002)
"""


def test_programs_record_while_it_takes(lab: Lab) -> None:
    """Each content is needed by nobody again and again, and is there whenever it is named."""
    command = [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(lab.root)]
    writers = [
        subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for number in range(3)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdin is not None
        assert writer.stdout.readline() == b"ready\n"
        writer.stdin.write(b"go\n")
        writer.stdin.close()
    taken = 0
    while any(writer.poll() is None for writer in writers):
        taken += lab.gc().blobs
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()
    assert taken > 0
    lab.gc()
    store = lab.project.store
    runs = [run for run in store.runs.ids() if run not in deleted_runs(store)]
    assert len(runs) == 3 * 4
    for run in runs:
        sealed = store.runs.sealed(run)
        assert sealed is not None
        for artifact in sealed.artifacts:
            store.blobs.read(artifact.sha256)
        hold_named(store.blobs, store.runs.start(run))
    assert len([path for path in (lab.root / ".lin/blobs").rglob("*") if path.is_file()]) == 3 + 3 + 1


# --- kills ------------------------------------------------------------------------------------------------------------

KILLER = """
import json, os, shutil, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_collect import Lab
root, place = Path(sys.argv[2]), Path(sys.argv[3])
CHANGES = {"os.link", "os.remove", "os.rmdir", "os.mkdir"}

def run(folder, at, report):
    seen = 0
    def hook(event, args):
        nonlocal seen
        if event in CHANGES:
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    Lab(folder).gc()
    os.write(report, b"%d" % seen)
    os._exit(0)

def fork(at):
    folder = place / str(at)
    shutil.copytree(root, folder)
    reader, report = os.pipe()
    child = os.fork()
    if child == 0:
        run(folder, at, report)
    os.close(report)
    seen = int(os.read(reader, 20) or 0)
    os.close(reader)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen

Lab(root).gc(take=False)
code, changes = fork(0)
print(json.dumps({0: code} | {at: fork(at)[0] for at in range(1, changes + 1)}))
"""


def test_a_kill_at_any_change_loses_nothing_and_the_next_goes_on(lab: Lab, tmp_path: Path) -> None:
    live = [lab.run("live"), lab.run("abandoned", source=b"abandoned\n", seal=False)]
    gone = [lab.run(f"gone {number}", source=b"gone %d\n" % number) for number in range(2)]
    lab.delete(*gone)
    half = lab.folder(live[0]) / ".tmp-7-old"
    half.write_bytes(b"half")
    os.utime(half, (0, 0))
    before = lab.files()
    command = [sys.executable, "-c", KILLER, str(Path(__file__).parent), str(lab.root), str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    codes = {int(at): code for at, code in json.loads(done.stdout).items()}
    assert codes.pop(0) == 0
    assert set(codes.values()) == {-signal.SIGKILL}
    assert len(codes) > 15  # the event, nine files and folders of runs, four blobs, a broken write, a list
    whole = Lab(tmp_path / "0").files()
    stays = {name: data for name, data in whole.items() if not name.startswith("events/")}
    assert stays.items() < before.items()
    for at in codes:
        left = Lab(tmp_path / str(at))
        assert stays.items() <= left.files().items()
        deletions = read_deletions(left.project.store)
        assert set(deletions) == set(gone)
        if any(before.keys() - left.files().keys()):  # something went, so it had been said
            assert all(deletion.collected for deletion in deletions.values())
        left.gc()
        healed = {name: data for name, data in left.files().items() if not name.startswith("events/")}
        # the killed event may have left a write that is not a day old yet
        assert {name: data for name, data in healed.items() if ".tmp-" not in name} == stays
        assert not any((left.folder(run)).exists() for run in gone)
        shutil.rmtree(left.root)


def test_the_rest_of_a_run_that_was_being_taken_is_told(lab: Lab) -> None:
    run = lab.run("one")
    copy = lab.root.parent / "copy"
    shutil.copytree(lab.folder(run), copy)
    lab.delete(run)
    lab.gc()
    (copy / "start.json").unlink()
    copy.rename(lab.folder(run))
    for take in (False, True):
        result = lab.gc(take=take)
        assert (result.runs, result.rests) == ([], 1)
        assert result.bytes > 0
    assert not lab.folder(run).exists()


def test_two_at_once_share_the_work(lab: Lab) -> None:
    runs = [lab.run(f"run {number}", artifact=b"%d" % number) for number in range(20)]
    live = lab.run("live")
    lab.delete(*runs)
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from test_collect import *\n"
        f"from lin.errors import ConflictError\n"
        f"time.sleep(max(0, {time.time() + 1.2} - time.time()))\n"
        f"try: Lab(Path({str(lab.root)!r})).gc()\n"
        f"except ConflictError: pass\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    lab.gc()
    assert list(lab.project.store.runs.ids()) == [live]
    assert lab.gc().blobs == 0
