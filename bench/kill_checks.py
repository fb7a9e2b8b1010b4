"""What a kill left in a project, compared with what was there before and what the whole command leaves."""

import hashlib
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from kill_cases import Case, ask, do

from lin.data.commit import has_versions
from lin.data.read import read_version
from lin.data.tables import Table
from lin.errors import LinError
from lin.project import open_project

HEX = re.compile(r"[0-9a-f]{32,64}|[0-9a-f]{8}-[0-9a-f-]{27}")
State = dict[str, Any]


def look(folder: Path) -> State:
    """All that commands may change, by name, without what differs each time: lists grow at their end."""
    state: State = {"file " + path.name: look_at(path) for path in folder.iterdir() if is_of_user(path)}
    if not (folder / ".lin/store.json").exists():
        return state
    if not (folder / "lineage.toml").exists():
        return state
    try:
        look_at_store(folder, state)
    except LinError as error:
        state["broken store"] = error.message
    for place in [*sorted((folder / "data").glob("*")), folder / "foreign"]:
        state["table " + place.name] = look_at_table(place)
    return state


def look_at_store(folder: Path, state: State) -> None:
    """Its events and runs, and whether commands can read it."""
    project = open_project(folder)
    changes = [msgspec.to_builtins(event.change) for event in project.store.events.read()]
    state["events"] = [HEX.sub("#", json.dumps(change)) for change in changes]
    sealed = [project.store.runs.sealed(run) for run in project.store.runs.ids()]
    starts = {run: project.store.runs.start(run) for run in project.store.runs.ids()}
    done = [record for record in sealed if record]
    ended = {record.id for record in done if record.status == "finished"}
    state["begun"] = Counter((start.kind, start.name) for run, start in starts.items() if run not in ended)
    state["runs"] = Counter((starts[record.id].kind, starts[record.id].name, record.status) for record in done)
    for command in ("runs", "models", "tables", "status"):
        code, said = ask(folder, command, "--json")
        if code:
            state["broken " + command] = said


def is_of_user(path: Path) -> bool:
    return path.name not in {".lin", "data", "foreign"} and not path.name.startswith(".")


def look_at(path: Path) -> Any:
    if path.is_dir():
        return {file.relative_to(path).as_posix(): look_at(file) for file in sorted(path.rglob("*")) if file.is_file()}
    return hashlib.sha256(path.read_bytes()).hexdigest()


def look_at_table(place: Path) -> list[str]:
    """The rows of each version."""
    table = Table(place.name, place)
    if not place.exists() or not has_versions(table.log):
        return []
    rows = []
    for version in table.log.versions():
        try:
            rows.append(str(read_version(table, version)[1].to_pydict()))
        except LinError as error:
            rows.append(f"version {version}: {type(error).__name__}")
    return rows


def fsck(folder: Path) -> list[str]:
    """What a look at all content finds."""
    if not (folder / ".lin/store.json").exists():
        return []
    code, said = ask(folder, "fsck", "--read-data", "--json")
    return [] if code == 0 else [said[:600]]


def stored(folder: Path) -> dict[str, bytes]:
    """Every file that stays as it is: records, blobs, data files and commits."""
    places = [folder / ".lin/events", folder / ".lin/runs", folder / ".lin/blobs", folder / "data", folder / "foreign"]
    files = [file for place in places for file in place.rglob("*") if file.is_file() and file.name[0] != "."]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def leftovers(folder: Path) -> list[str]:
    """Temporary files that a kill left."""
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    known = {".lin", ".gitignore", ".announced"}
    return [name for name in found if "#" in name or (Path(name).name[0] == "." and Path(name).name not in known)]


@dataclass
class Known:
    """The project before, after the whole command, and after it was given twice."""

    case: Case
    before: State
    after: State
    twice: State
    again: int
    usual: int
    kept: dict[str, bytes]
    printed: int


def learn(case: Case, folder: Path) -> Known:
    """Run the command undisturbed, and again."""
    before, was = look(folder), stored(folder)
    code, said = do(folder, case)
    if code not in {0, 1 if case.damage else 0}:
        sys.exit(f"{case.words}: exit code {code}: {said}")
    after, now = look(folder), stored(folder)
    if not case.damage and (found := fsck(folder)):
        sys.exit(f"{case.words}: fsck of an undisturbed run: {found}")
    again = do(folder, case)[0]
    kept = {file: data for file, data in was.items() if now.get(file) == data}
    return Known(case, before, after, look(folder), again, code, kept, said.count("\n"))


def check(folder: Path, known: Known, printed: str, code: int) -> Iterator[str]:
    """What is wrong after a kill, before and after the same command is given again."""
    left = look(folder)
    yield from check_left(folder, left, known)
    is_told = code == 0 or (known.printed and printed.count("\n") >= known.printed)
    if is_told:
        wrong = [key for key, value in known.after.items() if key != "begun" and left.get(key) != without_ended(value)]
        yield from (f"told as done, but {key} is not: {str(left.get(key))[:300]}" for key in wrong)
    yield from check_again(folder, left, known)
    yield from collect(folder)


def check_left(folder: Path, left: State, known: Known) -> Iterator[str]:
    """Nothing is lost, and each thing is as before, or as after the command."""
    files = stored(folder)
    for file, data in known.kept.items():
        if files.get(file) != data:
            yield f"{file} is {'changed' if file in files else 'gone'}"
    yield from (f"{key}: {said}" for key, said in left.items() if key.startswith("broken"))
    left["runs"] = without_ended(left.get("runs"))
    for key in sorted(left.keys() | known.before.keys()):
        if not key.startswith(("broken", "begun")) and not is_between(left.get(key), known, key):
            yield f"{key} is neither as before nor as after: {str(left.get(key))[:300]}"
    if not known.case.damage:
        yield from (f"fsck: {found}" for found in fsck(folder))


def check_again(folder: Path, left: State, known: Known) -> Iterator[str]:
    """The same command does the rest, or says rightly that it was done."""
    code, said = do(folder, known.case)
    is_done = all(left.get(key) == value for key, value in known.after.items() if key not in {"runs", "begun"})
    if code not in ({known.again} if is_done else {0, known.usual}):
        yield f"the same again: exit code {code}: {said.strip()[-300:]}"
    end = look(folder)
    for key, value in known.after.items():
        if key != "begun" and not is_same(end, key, value, known):
            yield f"the same again: {key} is not as without the kill: {str(end.get(key))[:300]}"
    yield from (f"the same again: fsck: {found}" for found in fsck(folder))


def is_between(now: Any, known: Known, key: str) -> bool:
    """Whether one thing is as before, as after, or on the way."""
    first, last = known.before.get(key), known.after.get(key)
    if now in (first, last):
        return True
    if known.case.in_parts and isinstance(now, dict):
        return {name: file for name, file in now.items() if "tmp" not in name}.items() <= last.items()
    if isinstance(now, Counter):
        return (first or Counter()) <= now <= (last or Counter())
    return isinstance(last, list) and isinstance(now, list) and last[: len(now)] == now and len(now) >= len(first or [])


def is_same(end: State, key: str, value: Any, known: Known) -> bool:
    """Whether one thing is as it is without a kill. Of a write whose run was killed after it the run stays unsealed."""
    if isinstance(value, Counter):
        missing = value - end.get(key, Counter())
        return {(kind, name) for kind, name, _ in missing} <= end.get("begun", Counter()).keys()
    if key.startswith("table ") and known.case.is_python:  # the program writes again
        return end[key][-1:] in (value[-1:], known.twice[key][-1:])
    return end.get(key) in (value, known.twice.get(key))


def without_ended(runs: Any) -> Any:
    """Runs without those that a signal ended: they are more, and no part of what is wished for."""
    if not isinstance(runs, Counter):
        return runs
    return Counter({key: n for key, n in runs.items() if key[2] not in {"interrupted", "failed"}})


def collect(folder: Path) -> Iterator[str]:
    """Two days later `lin gc` takes what kills left."""
    if not (folder / ".lin/store.json").exists():
        return
    old = time.time() - 2 * 86400
    for name in leftovers(folder):
        os.utime(folder / name, (old, old))
    code, said = ask(folder, "gc", "--yes")
    if code:
        yield f"gc: exit code {code}: {said.strip()[-300:]}"
    yield from (f"left behind: {HEX.sub('#', name)}" for name in leftovers(folder))
