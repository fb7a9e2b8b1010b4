"""What a program was seen to open, as inputs and outputs of its run.

Of files, the content at the time of reading counts, and what is written is looked at now that the program has ended.
What the run made itself and read again is no input. Tables are pinned now, at the versions that were read and made.
What is no UTF-8 in a name is recorded as an escape.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from lin.data.files import open_regular
from lin.data.tables import Table, open_table
from lin.errors import LinError
from lin.project import Project
from lin.records import FileRef, Input, Output, Pin, Seen, TableRef
from lin.runs.writes import pin_found, pin_input
from lin.store.strays import show_name

R = TypeVar("R")

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What a run read and wrote, each in the order in which it was first seen.

    `unpinned` says of each table version that could not be pinned why: it is in a bucket, cannot be read, or is gone.
    """

    inputs: list[Input]
    outputs: list[Output]
    unpinned: list[str]


def resolve_seen(project: Project, seen: Sequence[Seen]) -> Observed:
    """Look what was seen is.

    Files outside the project, and those that are no files any more, are left out, as are the files of tables that
    were seen as tables. A declared table goes by its name, any other local one by that of its folder.
    """
    seen = [msgspec.structs.replace(line, path=_find_path(project, line.path)) for line in seen]
    tables = _Tables(project, [Path(line.path) for line in seen if line.version is not None])
    made: set[tuple[str, int | None]] = set()
    read: dict[tuple[str, int | None, str | None], Seen] = {}
    for line in seen:
        if line.version is None and tables.hold(line.path):
            continue
        if line.mode == "wrote":
            made.add((line.path, line.version))
        elif (line.path, line.version) not in made:
            read.setdefault((line.path, line.version, line.sha256), line)
    wrote = dict.fromkeys((line.path, line.version) for line in seen if (line.path, line.version) in made)
    inputs = [_read_file(project, line) if line.version is None else tables.pin(line) for line in read.values()]
    outputs = [
        _written_file(project, path) if version is None else tables.pin(Seen("wrote", path, version))
        for path, version in wrote
    ]
    return Observed(inputs=_known(inputs), outputs=_known(outputs), unpinned=tables.unpinned)


class _Tables:
    """The tables that were seen, pinned once for each version."""

    def __init__(self, project: Project, roots: Iterable[Path]) -> None:
        self.unpinned: list[str] = []
        self._project = project
        self._folders = tuple(f"{root}/" for root in set(roots))
        self._pinned: dict[tuple[str, int], TableRef | None] = {}
        names = project.config.tables
        self._declared = {(project.root / setting.path).resolve(): name for name, setting in names.items()}

    def hold(self, path: str) -> bool:
        """Whether a file belongs to one of them."""
        return path.startswith(self._folders)

    def pin(self, line: Seen) -> TableRef | None:
        """The reference to a version; None where it cannot be pinned, which `unpinned` tells."""
        version = line.version or 0
        if (line.path, version) not in self._pinned:
            pin = pin_input if line.mode == "read" else pin_found
            self._pinned[line.path, version] = self._pin(pin, line.path, version)
        return self._pinned[line.path, version]

    def _pin(
        self, pin: Callable[[Project, Table, int], tuple[Pin, TableRef]], path: str, version: int
    ) -> TableRef | None:
        if "://" in path:
            self.unpinned.append(f"{path}@{version}: it is not in a local folder")
            return None
        try:
            return pin(self._project, self._table(Path(path)), version)[1]
        except (LinError, OSError) as error:
            self.unpinned.append(show_name(f"{path}@{version}: {error}"))
            return None

    def _table(self, root: Path) -> Table:
        name = self._declared.get(root.resolve())
        if name is not None:
            return open_table(self._project, name)
        # another folder may have the name of a declared table: lineage must not take the one for the other
        is_taken = root.name in self._project.config.tables
        return Table(os.path.relpath(root, self._project.root) if is_taken else root.name, root)


def _find_path(project: Project, path: str) -> str:
    """The path of what was seen: below the project's folder, whose own name may be no UTF-8."""
    root = os.path.realpath(project.root)
    shown = show_name(root)
    return root + path[len(shown) :] if path.startswith(f"{shown}/") else path


def _find_file(path: Path) -> Path:
    """A file by its path as it was told: its name may be no UTF-8. Raises `OSError`."""
    if path.exists():
        return path
    return next((other for other in path.parent.iterdir() if show_name(other.name) == path.name), path)


def _read_file(project: Project, line: Seen) -> FileRef | None:
    path = _inside(project, line.path)
    if path is None or line.bytes is None or not _SHA256.fullmatch(line.sha256 or ""):
        return None
    return FileRef(path=path, sha256=line.sha256 or "", bytes=line.bytes)


def _written_file(project: Project, path: str) -> FileRef | None:
    place = _inside(project, path)
    if place is None:
        return None
    try:
        with open_regular(_find_file(Path(path)).resolve()) as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            return FileRef(path=place, sha256=sha256, bytes=stream.tell())
    except (OSError, ValueError):
        return None  # it was renamed or removed since


def _inside(project: Project, path: str) -> str | None:
    """The path relative to the project's folder."""
    root = project.root.resolve()
    whole = Path(os.path.normpath(path))
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else None


def _known(found: Iterable[R | None]) -> list[R]:
    return [item for item in found if item is not None]
