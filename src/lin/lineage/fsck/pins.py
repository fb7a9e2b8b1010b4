"""All table versions that runs pinned, and all tables: their files and logs, and what is wrong with which.

A table is looked at where the runs found it, whether or not `lineage.toml` still declares it; what seems wrong is
looked at again.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from lin.errors import LinError
from lin.lineage.fsck.names import TableKey
from lin.lineage.fsck.reading import Reading
from lin.lineage.fsck.tables import PinnedFiles, Told, check_log, path_in
from lin.project import Project
from lin.records import Pin, decode
from lin.store.fsck import Fault, blob_key


@dataclass
class TablesCheck:
    """How many tables were looked at, and what is wrong by path, with the pinned versions that need it.

    `doubtful` are the locations of the tables in which that is.
    """

    tables: int = 0
    faults: dict[str, Fault] = field(default_factory=dict)
    needed: dict[str, set[TableKey]] = field(default_factory=lambda: defaultdict(set))
    doubtful: set[str] = field(default_factory=set)
    contents: dict[str, str] = field(default_factory=dict)
    """The sha256 that files should have, by path, those of pins of which one has not."""

    def add(self, location: str, fault: Fault, needed: Collection[TableKey]) -> None:
        """Take up a fault of the table there; of two about one file the first is told."""
        self.doubtful.add(location)
        self.faults.setdefault(fault.key, fault)
        self.needed[fault.key].update(needed)


def check_tables(
    project: Project, keys: Iterable[TableKey], reading: Reading, pause: Callable[[], None]
) -> TablesCheck:
    """Look at all pinned versions of these keys, and at the logs of their tables and of the declared ones."""
    at_location: dict[str, list[TableKey]] = defaultdict(list)
    for key in sorted(keys):
        at_location[key.location].append(key)
    declared = {project.locate(project.root / setting.path): name for name, setting in project.config.tables.items()}
    check = _Check(project, at_location, declared)
    first = check.look(reading, sorted({*at_location, *declared}))
    if not first.faults:
        return first
    pause()
    again = check.look(Reading(0, chance=lambda: 1.0), sorted(first.doubtful), always=first.faults)
    return replace(again, tables=first.tables)


def places_of(project: Project, keys: Iterable[TableKey], wanted: Collection[str]) -> Iterator[tuple[str, Path, str]]:
    """Files of tables that were pinned with one of the wanted sha256: that, the table's folder, and the path in it.

    A blob may have the same content too.
    """
    if not wanted:
        return
    for sha256 in wanted:
        yield sha256, project.store_root, blob_key(sha256)
    for key in keys:
        with suppress(LinError):
            for file in decode(project.store.blobs.read(key.pin), Pin, where=key.pin).files:
                if file.sha256 in wanted:
                    yield file.sha256, project.store_root / key.location, file.path


class _Check:
    def __init__(
        self, project: Project, at_location: Mapping[str, list[TableKey]], declared: Mapping[str, str]
    ) -> None:
        self._project = project
        self._at_location = at_location
        self._declared = declared

    def look(self, reading: Reading, places: list[str], *, always: Collection[str] = ()) -> TablesCheck:
        """Look at the tables in these places; the paths in `always` are hashed in any case."""
        found = TablesCheck()
        files = PinnedFiles(self._project.store_root, reading, always=always)
        seen: set[str] = set()
        for number, location in enumerate(places):
            reading.tell("tables", number, len(places))
            root = os.path.realpath(self._project.store_root / location.replace("\0", ""))
            pins = self._read_pins(location)
            self._look_at_files(found, files, location, pins)
            if root not in seen:  # under another name, perhaps
                seen.add(root)
                found.tables += 1
                self._look_at_log(found, location, pins)
        return found

    def _read_pins(self, location: str) -> dict[TableKey, Pin]:
        """Those that can be read: the others are findings among the blobs."""
        pins = {}
        for key in self._at_location.get(location, ()):
            with suppress(LinError):
                pins[key] = decode(self._project.store.blobs.read(key.pin), Pin, where=key.pin)
        return pins

    @staticmethod
    def _look_at_files(found: TablesCheck, files: PinnedFiles, location: str, pins: Mapping[TableKey, Pin]) -> None:
        for key, pin in pins.items():
            faults = files.check(location, pin)
            for fault in faults:
                found.add(location, fault, {key})
            if faults:
                found.contents |= {path_in(location, file.path): file.sha256 for file in pin.files}

    def _look_at_log(self, found: TablesCheck, location: str, pins: Mapping[TableKey, Pin]) -> None:
        told: dict[int, list[Told]] = defaultdict(list)
        for key, pin in pins.items():
            told[key.version].append(Told(pin, key.commit))
        name = next((key.table for key in pins), self._declared.get(location, location))
        for fault in check_log(self._project.store_root, location, name, told):
            found.add(location, fault, _from(pins, _version_in(fault.key)))


def _from(keys: Collection[TableKey], version: int | None) -> set[TableKey]:
    """The pinned versions from that one on: the log says no more what they are."""
    return {key for key in keys if version is None or key.version >= version}


def _version_in(path: str) -> int | None:
    digits = Path(path).name[:20]
    return int(digits) if digits.isdecimal() and digits.isascii() and len(digits) == 20 else None  # noqa: PLR2004
