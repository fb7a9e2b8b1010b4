"""Looking a store over, file by file, where the readers would stop at the first fault.

Nothing is changed, and no file is reached through a link. What a fault means for runs and models is told above, in
`lin.lineage.fsck`.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec

from lin.errors import LinError, StoreError
from lin.events import Event
from lin.ids import day_of, is_id
from lin.records import Log, Sealed, Start, decode_sealed, digest
from lin.store.backend import Backend, Entry
from lin.store.events import FOLDER as EVENTS
from lin.store.runs import LOG, OUTPUT, read_lines

Ill = Literal["damaged", "altered", "missing", "stray"]
"""It cannot be read; it is not what its hash says; it is not there; or it does not belong there."""

_EVENT = re.compile(r"(\d{12})\.json", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{2}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_RUN_FILES = frozenset({"start.json", "run.json", LOG, OUTPUT})
_ROOT = {
    "store.json": "file",
    ".gitignore": "file",
    "events": "folder",
    "runs": "folder",
    "blobs": "folder",
    "index": "folder",
    "quarantine": "folder",
    ".announced": "folder",
}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a file of the store: `key` is its path there."""

    key: str
    ill: Ill
    what: str


class RunCheck(NamedTuple):
    """A run as far as it can be read: without a `start` nothing is known of it, without `sealed` it may still run."""

    start: Start | None
    sealed: Sealed | None
    faults: list[Fault]


# --- events -----------------------------------------------------------------------------------------------------------


def check_events(backend: Backend) -> tuple[list[Event], list[Fault]]:
    """The events up to the first that is missing or cannot be read, and what is wrong with any of them."""
    numbers = sorted(int(match[1]) for match in map(_EVENT.fullmatch, backend.list(EVENTS)) if match)
    found: dict[int, tuple[Event, str]] = {}
    faults: list[Fault] = []
    for number in range(1, numbers[-1] + 1 if numbers else 1):
        key = f"{EVENTS}/{number:012d}.json"
        if backend.size(key) is None:
            faults.append(Fault(key=key, ill="missing", what=f"event {number} of {numbers[-1]} is not there"))
            continue
        try:
            data = backend.read(key)
            event = decode_sealed(data, Event, where=key)
        except LinError as error:
            faults.append(Fault(key=key, ill="damaged", what=error.message))
            continue
        if event.number != number:
            faults.append(Fault(key=key, ill="altered", what=f"it says that it is event {event.number}"))
        found[number] = event, digest(data)
    faults += _check_chain(found)
    whole: list[Event] = []
    while (entry := found.get(len(whole) + 1)) is not None:
        whole.append(entry[0])
    return whole, faults


def _check_chain(found: dict[int, tuple[Event, str]]) -> Iterator[Fault]:
    """Each event names the hash of the one before: where they disagree, the one that others agree with is right."""
    if 1 in found and found[1][0].previous is not None:
        yield Fault(key=f"{EVENTS}/{1:012d}.json", ill="altered", what="it names an event before the first")
    for number, after in pairwise(sorted(found)):
        if after != number + 1 or found[after][0].previous == found[number][1]:
            continue
        agreed = after + 1 in found and found[after + 1][0].previous == found[after][1]
        guilty = number if agreed or after + 1 not in found else after
        what = f"events {number} and {after} do not fit together: the later one names another sha256 than this file has"
        yield Fault(key=f"{EVENTS}/{guilty:012d}.json", ill="altered", what=what)


# --- runs -------------------------------------------------------------------------------------------------------------


def check_run(backend: Backend, run_id: str, *, data: bool = True) -> RunCheck:
    """Read all files of a run. With `data`, its logs are hashed; else only their sizes are looked at."""
    folder = f"runs/{day_of(run_id)}/{run_id}"
    faults: list[Fault] = []
    start, start_digest = None, None
    if backend.size(f"{folder}/start.json") is None:
        if any(backend.size(f"{folder}/{name}") is not None for name in ("run.json", LOG)):
            faults.append(Fault(key=f"{folder}/start.json", ill="missing", what="the run has no beginning"))
        return RunCheck(None, None, faults)
    try:
        raw = backend.read(f"{folder}/start.json")
        start, start_digest = decode_sealed(raw, Start, where=f"{folder}/start.json"), digest(raw)
    except LinError as error:
        faults.append(Fault(key=f"{folder}/start.json", ill="damaged", what=error.message))
    sealed = None
    if backend.size(f"{folder}/run.json") is not None:
        try:
            sealed = decode_sealed(backend.read(f"{folder}/run.json"), Sealed, where=f"{folder}/run.json")
        except LinError as error:
            faults.append(Fault(key=f"{folder}/run.json", ill="damaged", what=error.message))
    for name, record in (("start.json", start), ("run.json", sealed)):
        if record is not None and record.id != run_id:
            faults.append(Fault(key=f"{folder}/{name}", ill="altered", what=f"it is about run {record.id}"))
    if sealed is not None and start_digest is not None and sealed.start != start_digest:
        what = "it is not the one that run.json was sealed with"
        faults.append(Fault(key=f"{folder}/start.json", ill="altered", what=what))
    logs = ((LOG, sealed.log), (OUTPUT, sealed.output)) if sealed else ()
    faults += [fault for name, log in logs if (fault := _check_log(backend, f"{folder}/{name}", log, data=data))]
    if sealed is None and start is not None:
        faults += _check_lines(backend, f"{folder}/{LOG}")
    return RunCheck(start, sealed, faults)


def _check_log(backend: Backend, key: str, log: Log | None, *, data: bool) -> Fault | None:
    """Hold a log of a sealed run against what it was when the run was sealed."""
    size = backend.size(key)
    if log is None:
        return None if size is None else Fault(key=key, ill="stray", what="the run was sealed without it")
    if size is None:
        return Fault(key=key, ill="missing", what="the run was sealed with it")
    if size != log.bytes:
        return Fault(key=key, ill="altered", what=f"it has {size} bytes instead of {log.bytes}")
    if data and digest(backend.read(key)) != log.sha256:
        return Fault(key=key, ill="altered", what="its content is not what the run was sealed with")
    return None


def _check_lines(backend: Backend, key: str) -> Iterator[Fault]:
    """The log of a run that is not sealed: a torn last line is what a kill leaves, and no fault."""
    if backend.size(key) is None:
        return
    data = backend.read(key)
    try:
        lines = [*read_lines(data, key)]
    except StoreError as error:
        yield Fault(key=key, ill="damaged", what=error.message)
        return
    torn = not data.endswith(b"\n")
    wrong = sum(line is None for line in lines[: len(lines) - torn])
    if wrong:
        yield Fault(key=key, ill="damaged", what=f"{wrong} of {len(lines)} lines have not their checksum")


# --- blobs ------------------------------------------------------------------------------------------------------------


def check_blob(backend: Backend, sha256: str) -> Fault | None:
    """Read a blob and hold it against its name."""
    key = f"blobs/{sha256[:2]}/{sha256}"
    try:
        found = digest(backend.read(key))
    except LinError as error:
        return Fault(key=key, ill="damaged", what=error.message)
    return None if found == sha256 else Fault(key=key, ill="altered", what=f"its content has the sha256 {found}")


# --- what does not belong there ---------------------------------------------------------------------------------------


def find_strays(backend: Backend) -> Iterator[Fault]:
    """All that lies in the store and that lin did not put there, links and special files among it.

    The index and what processes announce are derived, and looked at no closer. Unfinished writes are no strays.
    """
    for entry in backend.entries(""):
        if entry.kind != _ROOT.get(entry.name) and not _is_temporary(entry):
            yield _stray(entry.name, entry, expected=_ROOT.get(entry.name))
    yield from _strays_in(backend, EVENTS, _EVENT)
    for prefix in _folders(backend, "blobs", _PREFIX):
        yield from _strays_in(backend, f"blobs/{prefix}", re.compile(prefix + r"[0-9a-f]{62}"))
    yield from _strays_among(backend, "blobs", _PREFIX)
    yield from _strays_among(backend, "runs", _DAY)
    for day in _folders(backend, "runs", _DAY):
        for entry in backend.entries(f"runs/{day}"):
            if entry.kind == "folder" and is_id(entry.name) and day_of(entry.name) == day:
                yield from _strays_of_run(backend, f"runs/{day}/{entry.name}")
            else:
                yield _stray(f"runs/{day}/{entry.name}", entry, expected="folder" if is_id(entry.name) else None)


def _folders(backend: Backend, folder: str, names: re.Pattern[str]) -> list[str]:
    return [e.name for e in backend.entries(folder) if e.kind == "folder" and names.fullmatch(e.name)]


def _strays_among(backend: Backend, folder: str, names: re.Pattern[str]) -> Iterator[Fault]:
    for entry in backend.entries(folder):
        fits = names.fullmatch(entry.name) is not None
        if entry.kind != "folder" or not fits:
            yield _stray(f"{folder}/{entry.name}", entry, expected="folder" if fits else None)


def _strays_in(backend: Backend, folder: str, names: re.Pattern[str]) -> Iterator[Fault]:
    for entry in backend.entries(folder):
        fits = names.fullmatch(entry.name) is not None
        if (entry.kind != "file" or not fits) and not _is_temporary(entry):
            yield _stray(f"{folder}/{entry.name}", entry, expected="file" if fits else None)


def _strays_of_run(backend: Backend, folder: str) -> Iterator[Fault]:
    for entry in backend.entries(folder):
        if (entry.kind != "file" or entry.name not in _RUN_FILES) and not _is_temporary(entry):
            yield _stray(f"{folder}/{entry.name}", entry, expected="file" if entry.name in _RUN_FILES else None)


def _is_temporary(entry: Entry) -> bool:
    return entry.kind == "file" and entry.name.startswith(".tmp-")


def _stray(key: str, entry: Entry, *, expected: str | None) -> Fault:
    kinds = {"file": "a file", "folder": "a folder", "other": "a link or a special file"}
    if expected is not None:
        return Fault(key=key, ill="damaged", what=f"it is {kinds[entry.kind]} where a {expected} belongs")
    return Fault(key=key, ill="stray", what=f"{kinds[entry.kind]} that lin did not put there")
