"""What does not belong in a store: files and folders that lin did not put there, and links in place of its own.

No link is followed. The index is derived, and looked at no closer; writes that were never finished are counted, for a
kill leaves them.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from lin.errors import OutsideError
from lin.ids import day_of, is_id
from lin.store.backend import Backend, Entry
from lin.store.fsck import DAY, EVENT, EVENTS, PREFIX, Fault, fault_of, folders_in, list_runs, run_folder
from lin.store.runs import LOG, OUTPUT

QUARANTINE = "quarantine"
_ANNOUNCED = ".announced"
RUN_FILES = frozenset({"start.json", "run.json", LOG, OUTPUT})
_ROOT = {
    "store.json": "file",
    ".gitignore": "file",
    "events": "folder",
    "runs": "folder",
    "blobs": "folder",
    "index": "folder",
    QUARANTINE: "folder",
    _ANNOUNCED: "folder",
}
_UNFINISHED = re.compile(r"\.tmp-.+|\.nfs[0-9a-f]+")
_UNFINISHED_ROOT = re.compile(r"\.tmp-.+|\.nfs[0-9a-f]+|\.\.gitignore\.\d+")
_LIST = re.compile(r"gate|[0-9a-f]{32}")
_KINDS = {"file": "a file", "folder": "a folder", "other": "a link or a special file"}


class Strays(NamedTuple):
    """What does not belong there, and how many writes are not finished."""

    faults: list[Fault]
    unfinished: int


def find_strays(backend: Backend) -> Strays:
    """Look at every name in the store but those in the index."""
    faults: list[Fault] = []
    exposed: list[str] = []
    unfinished = 0
    for path, entry, expected in _entries(backend, faults):
        if entry.exposed and path != ".gitignore":
            exposed.append(path)
        if _is_unfinished(path, entry):
            unfinished += 1
        elif entry.kind != expected:
            is_derived = path.partition("/")[0] == _ANNOUNCED  # it can go: lin makes it again
            faults.append(_stray(path, entry, None if is_derived else expected))
    if exposed:
        more = f", and to {len(exposed) - 1} more" if exposed[1:] else ""
        what = f"everybody on this machine may write to it{more}"
        faults.append(Fault(key=show_name(exposed[0]), ill="exposed", what=what))
    return Strays(faults, unfinished)


def show_name(name: str) -> str:
    """A name as a record can hold it: what is no UTF-8 in it is shown as an escape."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _entries(backend: Backend, faults: list[Fault]) -> Iterator[tuple[str, Entry, str | None]]:
    """Every path with what lies there, and what lin would have put there: None for nothing.

    A folder that the system refuses to list is added to `faults`.
    """
    look = partial(_in, backend, faults)
    yield from look("", _ROOT.get)
    real = {entry.name for entry in backend.entries("") if entry.kind == "folder"}
    if EVENTS in real:
        yield from look(EVENTS, partial(_file_if, EVENT))
    if "blobs" in real:
        yield from look("blobs", partial(_folder_if, PREFIX))
    for prefix in folders_in(backend, "blobs", PREFIX):
        names = re.compile(prefix + r"[0-9a-f]{62}")
        yield from look(f"blobs/{prefix}", partial(_file_if, names))
    if _ANNOUNCED in real:
        yield from look(_ANNOUNCED, partial(_file_if, _LIST))
    if "runs" in real:
        yield from look("runs", partial(_folder_if, DAY))
    for day in folders_in(backend, "runs", DAY):
        yield from look(f"runs/{day}", partial(_run_if, day))
    for run_id in list_runs(backend):
        yield from look(run_folder(run_id), lambda name: "file" if name in RUN_FILES else None)


def _in(
    backend: Backend, faults: list[Fault], folder: str, expect: Callable[[str], str | None]
) -> Iterator[tuple[str, Entry, str | None]]:
    try:
        found = backend.entries(folder)
    except OutsideError as error:
        faults.append(fault_of(folder or ".", error))
        return
    for entry in found:
        yield f"{folder}/{entry.name}" if folder else entry.name, entry, expect(entry.name)


def _file_if(names: re.Pattern[str], name: str) -> str | None:
    return "file" if names.fullmatch(name) else None


def _folder_if(names: re.Pattern[str], name: str) -> str | None:
    return "folder" if names.fullmatch(name) else None


def _run_if(day: str, name: str) -> str | None:
    return "folder" if is_id(name) and day_of(name) == day else None


def _is_unfinished(path: str, entry: Entry) -> bool:
    if "/" in path:
        return entry.kind == "file" and _UNFINISHED.fullmatch(entry.name) is not None
    return entry.kind != "other" and _UNFINISHED_ROOT.fullmatch(entry.name) is not None


def _stray(path: str, entry: Entry, expected: str | None) -> Fault:
    key = show_name(path)
    if expected is not None:
        return Fault(key=key, ill="damaged", what=f"it is {_KINDS[entry.kind]} where a {expected} belongs")
    return Fault(key=key, ill="stray", what=f"{_KINDS[entry.kind]} that lin did not put there")
