"""Looking a store over, file by file, where the readers would stop at the first fault: events, runs, blobs.

Nothing is changed, and no file is reached through a link. What does not belong in a store is told by
`lin.store.strays`, and what a fault means for runs and models above, in `lin.lineage.fsck`.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import pairwise
from typing import Literal, NamedTuple, TypeVar
from zlib import crc32

import msgspec

from lin.errors import LinError, NewerError, OutsideError
from lin.events import Event
from lin.ids import day_of, is_id
from lin.records import Log, Record, Sealed, Start, digest
from lin.sealed import decode_sealed
from lin.store.backend import Backend, Entry
from lin.store.events import event_key
from lin.store.runs import LOG, OUTPUT, read_lines

R = TypeVar("R", bound=Record)

Ill = Literal["damaged", "altered", "missing", "stray", "exposed", "distrusted", "unreadable"]
"""It is not readable as what it should be; is not what its hash says; is not there; does not belong there; may be
written by everybody; is not signed by whom it takes; is kept back by the system, so that nothing is known of it."""

EVENTS = "events"
EVENT = re.compile(r"(\d{12})\.json", re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}")
PREFIX = re.compile(r"[0-9a-f]{2}")
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LINE = re.compile(rb'\{"crc":"([0-9a-f]{8})",')
_ENDS = 18
"""A line begins with as many bytes that its checksum is not taken of."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a file of the store: `key` is its path there.

    `remembered`: it looks well, and only who saw it before knows better.
    """

    key: str
    ill: Ill
    what: str
    remembered: bool = False


class EventsCheck(NamedTuple):
    """The events before the first that is missing or cannot be read, the sha256 of each, and what is wrong.

    `readable` are all that can be read, those after a gap too.
    """

    whole: list[Event]
    digests: list[str]
    readable: list[Event]
    faults: list[Fault]


class RunCheck(NamedTuple):
    """A run as far as it can be read: without a `start` nothing is known of it, without `sealed` it may still run."""

    start: Start | None
    sealed: Sealed | None
    faults: list[Fault]


# --- what there is ----------------------------------------------------------------------------------------------------


def folders_in(backend: Backend, folder: str, names: re.Pattern[str]) -> list[str]:
    """The folders of such names that lie directly in `folder`, in order; links are none."""
    found = entries_in(backend, folder) if _is_folder(backend, folder) else ()
    return sorted(entry.name for entry in found if entry.kind == "folder" and names.fullmatch(entry.name))


def entries_in(backend: Backend, folder: str) -> Sequence[Entry]:
    """All that lies directly in a folder; none where the system refuses to list it, which `lin.store.strays` tells."""
    try:
        return backend.entries(folder)
    except OutsideError:
        return []


def list_runs(backend: Backend) -> list[str]:
    """The ids of all runs that have a folder, oldest first, whatever is in it."""
    return [
        entry.name
        for day in folders_in(backend, "runs", DAY)
        for entry in sorted(entries_in(backend, f"runs/{day}"))
        if entry.kind == "folder" and is_id(entry.name) and day_of(entry.name) == day
    ]


def list_blobs(backend: Backend) -> list[str]:
    """The sha256 of every blob, in order."""
    return [
        entry.name
        for prefix in folders_in(backend, "blobs", PREFIX)
        for entry in sorted(entries_in(backend, f"blobs/{prefix}"))
        if entry.kind == "file" and SHA256.fullmatch(entry.name) and entry.name.startswith(prefix)
    ]


def _is_folder(backend: Backend, name: str) -> bool:
    """Whether that one of the store's own folders is one, and no link to another."""
    return any(entry.name == name and entry.kind == "folder" for entry in backend.entries(""))


# --- events -----------------------------------------------------------------------------------------------------------


def check_events(backend: Backend) -> EventsCheck:
    """Look at every event by itself, and at how they hang together."""
    listed = backend.list(EVENTS) if _is_folder(backend, EVENTS) else []
    there = {int(match[1]) for match in map(EVENT.fullmatch, listed) if match}
    found: dict[int, tuple[Event, str]] = {}
    faults = list(_find_gaps(backend, there))
    for number in sorted(there):
        read = _read(backend, event_key(number), Event)
        if isinstance(read, Fault):
            faults.append(read)
            continue
        if read[0].number != number:
            what = f"it says that it is event {read[0].number}"
            faults.append(Fault(key=event_key(number), ill="altered", what=what))
        found[number] = read
    faults += _check_chain(found)
    whole = [found[number] for number in range(1, _first_lacking(found))]
    readable = [found[number][0] for number in sorted(found)]
    return EventsCheck([event for event, _ in whole], [sha256 for _, sha256 in whole], readable, faults)


def _find_gaps(backend: Backend, there: set[int]) -> Iterator[Fault]:
    """A fault for each gap, however many events lack; those that a listing passed over are added."""
    last = max(there, default=0)
    for before, after in list(pairwise([0, *sorted(there)])):
        first = before + 1
        while first < after and backend.size(event_key(first)) is not None:
            there.add(first)
            first += 1
        if first < after:
            lacking = f"event {first} of {last} is" if first == after - 1 else f"events {first} to {after - 1} are"
            yield Fault(key=event_key(first), ill="missing", what=f"{lacking} not there")


def _first_lacking(found: dict[int, tuple[Event, str]]) -> int:
    number = 1
    while number in found and found[number][0].number == number:
        number += 1
    return number


def _check_chain(found: dict[int, tuple[Event, str]]) -> Iterator[Fault]:
    """Each event names the hash of the one before: where they disagree, the one that others agree with is right."""
    if 1 in found and found[1][0].previous is not None:
        yield Fault(key=event_key(1), ill="altered", what="it names an event before the first")
    for number, after in pairwise(sorted(found)):
        if after != number + 1 or found[after][0].previous == found[number][1]:
            continue
        agreed = after + 1 in found and found[after + 1][0].previous == found[after][1]
        guilty = number if agreed or after + 1 not in found else after
        what = f"events {number} and {after} do not fit together: the later one names another sha256 than this file has"
        yield Fault(key=event_key(guilty), ill="altered", what=what)


# --- runs -------------------------------------------------------------------------------------------------------------


def check_run(backend: Backend, run_id: str, *, data: bool = True) -> RunCheck:
    """Read all files of a run. With `data`, its logs are hashed; else only their sizes are looked at."""
    folder = run_folder(run_id)
    try:
        return _check_run(backend, run_id, folder, data=data)
    except OutsideError as error:
        return RunCheck(None, None, [fault_of(folder, error)])


def _check_run(backend: Backend, run_id: str, folder: str, *, data: bool) -> RunCheck:
    if backend.size(f"{folder}/start.json") is None:
        left = any(backend.size(f"{folder}/{name}") is not None for name in ("run.json", LOG, OUTPUT))
        what = "the run has no beginning"
        return RunCheck(None, None, [Fault(key=f"{folder}/start.json", ill="missing", what=what)] if left else [])
    faults: list[Fault] = []
    start, start_digest = _take(_read(backend, f"{folder}/start.json", Start), faults)
    sealed = None
    if backend.size(f"{folder}/run.json") is not None:
        sealed, _ = _take(_read(backend, f"{folder}/run.json", Sealed), faults)
        logs = ((LOG, sealed.log), (OUTPUT, sealed.output)) if sealed else ()
        faults += [fault for name, log in logs if (fault := _check_log(backend, f"{folder}/{name}", log, data=data))]
    else:
        faults += _check_lines(backend, f"{folder}/{LOG}")
    for name, record in (("start.json", start), ("run.json", sealed)):
        if record is not None and record.id != run_id:
            faults.append(Fault(key=f"{folder}/{name}", ill="altered", what=f"it is about run {record.id}"))
    if sealed is not None and start_digest is not None and sealed.start != start_digest:
        what = "it is not the one that run.json was sealed with"
        faults.append(Fault(key=f"{folder}/start.json", ill="altered", what=what))
    return RunCheck(start, sealed, faults)


def run_folder(run_id: str) -> str:
    """The path of a run's folder."""
    return f"runs/{day_of(run_id)}/{run_id}"


def run_in(path: str) -> str | None:
    """The id of the run that a path of the store is about, if it is about one."""
    parts = path.split("/")
    return parts[2] if len(parts) > 2 and parts[0] == "runs" and is_id(parts[2]) else None  # noqa: PLR2004


def _check_log(backend: Backend, key: str, log: Log | None, *, data: bool) -> Fault | None:
    """Hold a log of a sealed run against what it was when the run was sealed."""
    size = backend.size(key)
    if log is None:
        return None if size is None else Fault(key=key, ill="stray", what="the run was sealed without it")
    if size is None:
        return Fault(key=key, ill="missing", what="the run was sealed with it")
    if size == log.bytes and not data:
        return None
    try:
        content = backend.read(key)
    except LinError as error:
        return fault_of(key, error)
    if digest(content) == log.sha256:
        return None
    if digest(content[: log.bytes]) == log.sha256:
        what = f"{len(content) - log.bytes} bytes stand in it that came after the run was sealed"
    elif len(content) != log.bytes:
        what = f"it has {len(content)} bytes instead of {log.bytes}"
    else:
        what = "its content is not what the run was sealed with"
    return Fault(key=key, ill="altered", what=what)


def _check_lines(backend: Backend, key: str) -> Iterator[Fault]:
    """The log of a run that is not sealed: what a kill leaves is no fault, the beginning of a line."""
    if backend.size(key) is None:
        return
    try:
        data = backend.read(key)
        lines = sum(1 for _ in read_lines(data, key))
    except NewerError:
        raise
    except LinError as error:
        yield fault_of(key, error)
        return
    wrong = sum(not _is_whole_or_torn(raw) for raw in BytesIO(data))
    if wrong:
        yield Fault(key=key, ill="damaged", what=f"{wrong} of {lines} lines have not their checksum")


def _is_whole_or_torn(raw: bytes) -> bool:
    """Whether a line is whole, torn by the end of the file, or both: torn, and the next writer's behind it."""
    starts = [match.start() for match in _LINE.finditer(raw, 1)]
    *torn, last = [raw[start:end] for start, end in pairwise([0, *starts, len(raw)])]
    if any(_has_checksum(piece[:-1] + b"\n") for piece in torn):
        return False  # whole but for the line feed, which is another byte
    if last.endswith(b"\n"):
        return _has_checksum(last)
    return not _has_checksum(last[:-1] + b"\n")


def _has_checksum(line: bytes) -> bool:
    match = _LINE.match(line)
    return match is not None and match[1] == b"%08x" % crc32(b"{" + line[_ENDS:])


# --- blobs ------------------------------------------------------------------------------------------------------------


def check_blob(backend: Backend, sha256: str) -> Fault | None:
    """Read a blob and hold it against its name."""
    key = blob_key(sha256)
    try:
        found = hash_object(backend, key)
    except LinError as error:
        return fault_of(key, error)
    return None if found == sha256 else Fault(key=key, ill="altered", what=f"its content has the sha256 {found}")


def blob_key(sha256: str) -> str:
    """The path of a blob."""
    return f"blobs/{sha256[:2]}/{sha256}"


def hash_object(backend: Backend, key: str) -> str:
    """The sha256 of what lies there, read piece by piece. Raises as `Backend.read`."""
    whole = hashlib.sha256()
    for piece in backend.stream(key):
        whole.update(piece)
    return whole.hexdigest()


def _read(backend: Backend, key: str, kind: type[R]) -> tuple[R, str] | Fault:
    """A record that carries its own sha256, and the sha256 of the file; or what is wrong with it.

    Raises:
        NewerError: a newer lin wrote it.
    """
    try:
        data = backend.read(key)
        return decode_sealed(data, kind, where=key), digest(data)
    except NewerError:
        raise
    except LinError as error:
        return fault_of(key, error)


def fault_of(key: str, error: LinError) -> Fault:
    """What is wrong with a file that could not be read: where the system refuses, its content may be whole."""
    if isinstance(error, OutsideError):
        return Fault(key=key, ill="unreadable", what=error.message)
    return Fault(key=key, ill="damaged", what=error.message.removeprefix(f"{key} is damaged: "))


def _take(read: tuple[R, str] | Fault, faults: list[Fault]) -> tuple[R, str] | tuple[None, None]:
    if isinstance(read, Fault):
        faults.append(read)
        return None, None
    return read
