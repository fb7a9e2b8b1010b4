"""Files of one table: those that pins name, held against their pins, and its log, commit by commit.

What nothing names the sha256 of, files that no run pinned and the commits themselves, is looked for and read, and no
more can be known of it. Paths are those that findings have: relative to the store.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from posixpath import normpath
from typing import NamedTuple

from lin.data.actions import ActionError, make_commit
from lin.data.checkpoints import complete_checkpoints, read_checkpoint
from lin.data.files import is_kept_back, open_data_file
from lin.data.log import AddFile, DeltaLog
from lin.data.pins import pinned_positions
from lin.data.tables import Table
from lin.errors import LinError, OutsideError
from lin.lineage.fsck.reading import Reading
from lin.records import DataFile, Pin, PinnedVector, encode
from lin.runs.pinned import look_at_folder, measure_file
from lin.store.fsck import Fault, Ill

_LOG = "_delta_log"
_COMMIT = re.compile(r"(\d{20})\.json", re.ASCII)


class PinnedFiles:
    """Checks the files of pins; one that several of them share is looked at once."""

    def __init__(self, store_root: Path, reading: Reading, *, always: Collection[str] = ()) -> None:
        """Begin; `always` names paths to hash in any case."""
        self._root = store_root
        self._reading = reading
        self._always = always
        self._known: dict[tuple[str, bytes], Fault | None] = {}

    def check(self, location: str, pin: Pin) -> list[Fault]:
        """What is wrong with the files of a pin."""
        table = Table(location, self._root / location)
        if (fault := _look_at_folder(table.root, location)) is not None:
            return [fault]
        return [fault for file in pin.files if (fault := self._check_once(table, location, file)) is not None]

    def _check_once(self, table: Table, location: str, file: DataFile) -> Fault | None:
        key = location, encode(file)
        if key not in self._known:
            self._known[key] = self._check(table, location, file)
        return self._known[key]

    def _check(self, table: Table, location: str, file: DataFile) -> Fault | None:
        wrong = measure_file(table.root, file)
        if wrong is not None:
            path, what, ill = wrong
            return Fault(key=path_in(location, path), ill=ill, what=what)
        name = path_in(location, file.path)
        if name not in self._always and not self._reading.wants("3 tables", name):
            return None
        fault = _hash(table, location, file)
        self._reading.done("3 tables", name, file.bytes, altered=fault is not None)
        return fault


def _look_at_folder(root: Path, location: str) -> Fault | None:
    wrong = look_at_folder(root)
    return None if wrong is None else Fault(key=normpath(location), ill=wrong[1], what=f"the table's folder {wrong[0]}")


def _hash(table: Table, location: str, file: DataFile) -> Fault | None:
    path = path_in(location, file.path)
    try:
        with open_data_file(table.root, file.path) as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                return Fault(key=path, ill="altered", what="its content is not what was pinned")
    except FileNotFoundError:
        return Fault(key=path, ill="missing", what="it is gone")
    except OutsideError as error:
        return Fault(key=path, ill=_ill_of(error), what=error.message)
    except OSError as error:
        return Fault(key=path, ill="unreadable", what=f"it cannot be read: {error.strerror}")
    return None if file.vector is None else _check_vector(table, location, file, file.vector)


def _check_vector(table: Table, location: str, file: DataFile, vector: PinnedVector) -> Fault | None:
    try:
        pinned_positions(table, file)
    except OutsideError as error:
        ill: Ill = "unreadable" if is_kept_back(error) else "altered"
        return Fault(key=path_in(location, vector.path or file.path), ill=ill, what=error.message)
    return None


# --- logs -------------------------------------------------------------------------------------------------------------


class Told(NamedTuple):
    """What a run tells of a version: its pin, and the sha256 of its commit, or ''."""

    pin: Pin
    commit: str


def check_log(store_root: Path, location: str, name: str, told: Mapping[int, Collection[Told]]) -> list[Fault]:
    """What is wrong with the log of the table at `location`, and with the files of its newest version.

    Args:
        store_root: what locations are relative to.
        location: of the table.
        name: what messages call it.
        told: of versions; those that the log still has must have the same files there, in the same words.
    """
    root = store_root / location
    if (fault := _look_at_folder(root, location)) is not None:
        return [] if told or fault.ill == "missing" else [fault]  # where there are pins, it was told
    log = DeltaLog(root.resolve(), name)
    try:
        names = sorted(entry.name for entry in log.folder.iterdir())
    except FileNotFoundError:
        return [Fault(key=path_in(location, _LOG), ill="missing", what="the table has no log")] if told else []
    except OSError as error:
        what = f"it cannot be listed: {error.strerror}"
        return [Fault(key=path_in(location, _LOG), ill=_ill_of(error), what=what)]
    numbers = [int(match[1]) for match in map(_COMMIT.fullmatch, names) if match]
    checkpoints = complete_checkpoints(names)
    if not numbers:
        return [Fault(key=path_in(location, _LOG), ill="missing", what="there is no commit in it")] if told else []
    gaps = [*_check_ends(location, numbers, checkpoints, told), *_check_commits(log, location, numbers)]
    # where a commit is not known, what the log says is not known either
    states = () if gaps else _check_states(log, location, checkpoints, told)
    return [
        *gaps,
        *_check_checkpoints(log, location, checkpoints),
        *states,
        *_check_words(log, location, numbers, told),
    ]


def _check_ends(
    location: str, numbers: Sequence[int], checkpoints: Collection[int], told: Collection[int]
) -> Iterator[Fault]:
    """Commits that should be there: in between, after the first where nothing else leads on, and up to the last."""
    newest = max([numbers[-1], *checkpoints, *told])
    for one, other in pairwise([*numbers, newest + 1]):
        if one + 1 < other:
            yield Fault(key=_commit_key(location, one + 1), ill="missing", what="the table's log lacks this commit")
    first = numbers[0]
    if first > 0 and not any(version >= first - 1 for version in checkpoints):
        what = f"the table's log begins at version {first}, and no checkpoint leads there"
        yield Fault(key=_commit_key(location, first - 1), ill="missing", what=what)


def _check_commits(log: DeltaLog, location: str, numbers: Iterable[int]) -> Iterator[Fault]:
    for number in numbers:
        try:
            log.commit(number)
        except LinError as error:
            yield Fault(key=_commit_key(location, number), ill=_ill_of(error), what=error.message)


def _check_words(
    log: DeltaLog, location: str, numbers: Iterable[int], told: Mapping[int, Collection[Told]]
) -> Iterator[Fault]:
    """Commits that say what is possible, and is not what a run saw there, or was said before."""
    before = None
    for number in numbers:
        try:
            digest = log.digest(number)
        except LinError:
            continue  # told already
        if digest == before:
            yield Fault(key=_commit_key(location, number), ill="altered", what="it is the commit before it once more")
        elif {each.commit for each in told.get(number, ())} - {"", digest}:
            what = "its words are not those that a run read or wrote"
            yield Fault(key=_commit_key(location, number), ill="altered", what=what)
        before = digest


def _check_checkpoints(log: DeltaLog, location: str, checkpoints: Mapping[int, list[list[str]]]) -> Iterator[Fault]:
    for version, found in checkpoints.items():
        for names in found:
            try:
                make_commit(version, read_checkpoint(log.folder, names))
            except ActionError as error:
                yield Fault(key=path_in(location, f"{_LOG}/{names[0]}"), ill=_ill_of(error), what=str(error))


def _check_states(
    log: DeltaLog, location: str, checkpoints: Mapping[int, list[list[str]]], told: Mapping[int, Collection[Told]]
) -> Iterator[Fault]:
    """Follow the log, and hold checkpoints, pins and the folder against it."""
    files: Collection[AddFile] | None = None
    number = -1
    try:
        for commit, files in log.replay():
            number = commit.version
            if files is None:
                continue
            yield from _compare_checkpoints(log, location, number, checkpoints.get(number, []), files)
            now = {(file.path, file.bytes, file.vector.rows if file.vector else 0) for file in files}
            for pin, _ in told.get(number, ()):
                if now != {(file.path, file.bytes, file.vector.rows if file.vector else 0) for file in pin.files}:
                    what = f"the log has other files for version {number} than a run pinned"
                    yield Fault(key=_commit_key(location, number), ill="altered", what=what)
    except LinError as error:
        yield Fault(key=_commit_key(location, number + 1), ill=_ill_of(error), what=error.message)
        return
    yield from _check_head(log, location, number, files or ())


def _compare_checkpoints(
    log: DeltaLog, location: str, version: int, found: list[list[str]], files: Collection[AddFile]
) -> Iterator[Fault]:
    for names in found:
        try:
            said = make_commit(version, read_checkpoint(log.folder, names))
        except ActionError:
            continue  # told already
        if {file.key for file in said.adds} != {file.key for file in files}:
            what = "it has other files than the commits up to it"
            yield Fault(key=path_in(location, f"{_LOG}/{names[0]}"), ill="altered", what=what)


def _check_head(log: DeltaLog, location: str, version: int, files: Iterable[AddFile]) -> Iterator[Fault]:
    for file in files:
        path = path_in(location, file.path)
        try:
            with open_data_file(log.root, file.path) as stream:
                size = stream.seek(0, 2)
        except FileNotFoundError:
            yield Fault(key=path, ill="missing", what=f"version {version}, the newest, has this file")
        except OutsideError as error:
            yield Fault(key=path, ill=_ill_of(error), what=error.message)
        else:
            if size != file.bytes:
                what = f"it has {size} bytes instead of {file.bytes}, says version {version}, the newest"
                yield Fault(key=path, ill="altered", what=what)


def _ill_of(error: Exception) -> Ill:
    return "unreadable" if is_kept_back(error) else "damaged"


def _commit_key(location: str, version: int) -> str:
    return path_in(location, f"{_LOG}/{version:020d}.json")


def path_in(location: str, path: str) -> str:
    """The path of a table's file as findings have it."""
    return normpath(f"{location}/{path}")
