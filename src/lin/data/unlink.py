"""Files below a folder: looked at, listed and deleted, and never through a link nor out of that folder.

Each folder on the way is opened from the one above it, links refused, so that nobody can put a link there in between.
A folder below that is a Delta table of its own is never entered.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from lin.errors import OutsideError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOG = "_delta_log"


class FoundFile(NamedTuple):
    """A regular file: its size in bytes, when it was changed in milliseconds since 1970 UTC, and what it is on disk."""

    bytes: int
    modified: int
    identity: tuple[int, int]


class Barred(Exception):  # noqa: N818 - it says where one may not go, and is no failure
    """A path that leads through a link, into another table, or to what is no file."""


def look_at(root: Path, paths: Iterable[str]) -> dict[str, FoundFile | Barred | None]:
    """What lies at each of these paths below `root`: None where nothing does, `Barred` where one may not go.

    Raises:
        OutsideError: a folder cannot be read.
    """
    found: dict[str, FoundFile | Barred | None] = {}
    for folder, names in _by_folder(paths):
        try:
            with _opened(root, folder) as place:
                found.update((_join(folder, name), _look(place, name)) for name in names)
        except Barred as barred:
            found.update((_join(folder, name), barred) for name in names)
        except FileNotFoundError:
            found.update((_join(folder, name), None) for name in names)
        except OSError as error:
            raise OutsideError(f"the folder {root / folder} cannot be read: {error.strerror}") from error
    return found


def list_files(root: Path, *, into: frozenset[str]) -> Iterator[tuple[str, FoundFile]]:
    """Every regular file below `root` whose folders have ordinary names, with its path.

    Folders whose names begin with `_` or `.` are left out, but those in `into`, which lie directly in `root`.

    Raises:
        OutsideError: a folder cannot be read.
    """
    top = root.resolve()  # the walk enters no link, and so not a table that is reached by one
    try:
        for place, folders, names, descriptor in os.fwalk(top, onerror=_raise, follow_symlinks=False):
            folder = Path(place).relative_to(top).as_posix()
            if folder != "." and _LOG in folders:
                folders.clear()
                continue
            folders[:] = [f for f in folders if f[0] not in "_." or (folder == "." and f in into)]
            for name in names:
                found = _look(descriptor, name)
                if isinstance(found, FoundFile):
                    yield _join(folder, name), found
    except OSError as error:
        raise OutsideError(f"the folder {root} cannot be read: {error.strerror}") from error


def delete_files(root: Path, paths: Iterable[str]) -> int:
    """Delete these files below `root`, durably; returns how many there were. One that is gone is no failure.

    Raises:
        OutsideError: a file cannot be deleted. The message tells how many were before it.
    """
    deleted = 0
    for folder, names in _by_folder(paths):
        try:
            with _opened(root, folder) as place:
                try:
                    for name in names:
                        deleted += _delete(place, name)
                finally:
                    os.fsync(place)
        except FileNotFoundError:
            continue
        except (OSError, Barred) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise OutsideError(
                f"a file in {root / folder} cannot be deleted: {why}; {deleted} were deleted before it",
                hint="see to that folder, then run the same again",
            ) from error
    return deleted


def _by_folder(paths: Iterable[str]) -> "Iterator[tuple[str, list[str]]]":
    ordered = sorted((str(path.parent), path.name) for path in map(PurePosixPath, paths))
    return ((folder, [name for _, name in group]) for folder, group in groupby(ordered, key=lambda pair: pair[0]))


def _join(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


@contextmanager
def _opened(root: Path, folder: str) -> Iterator[int]:
    """The folder as a descriptor. Raises `Barred`, or `FileNotFoundError` where it is gone."""
    place = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in PurePosixPath(folder).parts:
            above, place = place, _enter(place, name)
            os.close(above)
        yield place
    finally:
        os.close(place)


def _enter(above: int, name: str) -> int:
    try:
        place = os.open(name, _FOLDER, dir_fd=above)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:  # a link, which is no folder of this table
            raise Barred(f"{name!r} is a link or no folder") from error
        raise
    if _exists(place, _LOG):
        os.close(place)
        raise Barred(f"{name!r} is a table of its own")
    return place


def _exists(place: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=place, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _look(place: int, name: str) -> FoundFile | Barred | None:
    try:
        found = os.stat(name, dir_fd=place, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return Barred(f"{name!r} is a link or no file")
    return FoundFile(found.st_size, found.st_mtime_ns // 1_000_000, (found.st_dev, found.st_ino))


def _delete(place: int, name: str) -> bool:
    found = _look(place, name)
    if isinstance(found, Barred):
        raise found
    if found is None:
        return False
    try:
        os.unlink(name, dir_fd=place)
    except FileNotFoundError:
        return False
    return True


def _raise(error: OSError) -> None:
    raise error
