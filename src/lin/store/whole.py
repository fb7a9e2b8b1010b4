"""Files and folders that people ask for, in the store's manner: absent or whole at any moment, on disk when it is told.

Each is made beside its place under a name of its own, and gets its name in one step. Whoever makes it holds a lock on
it: so what a kill left is told from what is being made, and goes when the same place is written to again.
"""

import errno
import fcntl
import hashlib
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lin.store.failpoints import os
from lin.store.local import NO_HARD_LINKS, exchange_names, rename_without_replacing

UNFINISHED = ".tmp-lin-"
"""What the names begin with that things have while they are made."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_EXCHANGE = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


@contextmanager
def whole_file(path: Path, *, replace: bool = True, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A stream to what is at `path` when the block ends; if that fails, nothing has changed.

    What is replaced keeps its permissions; what is new gets `mode`, less the umask.

    Raises:
        FileExistsError: something is there, and not `replace`. OSError: the file system fails.
    """
    made, descriptor = _begin(path, lambda new: os.open(new, _FILE, mode))
    try:
        if replace:
            with suppress(FileNotFoundError):
                os.fchmod(descriptor, stat.S_IMODE(os.stat(path).st_mode))
        with open(descriptor, "wb") as stream:  # noqa: PTH123  a descriptor
            yield stream
            stream.flush()
            os.fsync(descriptor)
            if replace:
                os.rename(made, path)
            else:
                _link(made, path)
        fsync_path(path.parent)
    finally:
        _remove(made)


def write_whole(path: Path, data: bytes, *, replace: bool = True, mode: int = 0o666) -> int:
    """Write a file that is there whole or not at all; returns how many bytes it has. Raises as `whole_file`."""
    with whole_file(path, replace=replace, mode=mode) as file:
        return file.write(data)


@contextmanager
def whole_folder(path: Path, *, mode: int = 0o777) -> Iterator[Path]:
    """An empty folder that is at `path` when the block ends, in the place of the folder that was there.

    The files in it are put on disk. Where the file system cannot exchange two names, a kill can leave `path` absent.

    Raises:
        OSError: the file system fails; then nothing has changed.
    """
    made, descriptor = _begin(path, lambda new: _make_folder(new, mode))
    try:
        yield made
        for place in (*made.rglob("*"), made):
            fsync_path(place)
        _put_folder(made, path)
        fsync_path(path.parent)
    finally:
        os.close(descriptor)
        _remove(made)


def discard_unfinished(path: Path) -> None:
    """Take away what killed processes left that were about to write to `path`."""
    names = re.compile(re.escape(_stem(path)) + "[0-9a-f]{16}")
    with suppress(OSError):
        for name in os.listdir(path.parent):
            if names.fullmatch(name):
                _remove_ended(path.parent / name)


def earlier_time(folder: Path, now: float) -> float:
    """`now`, or if that is earlier, the time that the file system gives to a file which is made in the folder now.

    How old files are is asked by it: a clock that is ahead would find those old that somebody is about to name. Both
    are in seconds since 1970.
    """
    try:
        made, descriptor = _begin(folder / "time", lambda new: os.open(new, _FILE, 0o600))
    except OSError:
        return now
    try:
        return min(now, os.fstat(descriptor).st_mtime)
    finally:
        os.close(descriptor)
        _remove(made)


def fsync_path(path: Path) -> None:
    """Put a file or a folder on disk. Raises `OSError`."""
    with _opened(path) as descriptor:
        os.fsync(descriptor)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _begin(path: Path, create: Callable[[Path], int]) -> tuple[Path, int]:
    """Create what is to be at `path` under another name, locked; returns that and an open descriptor."""
    discard_unfinished(path)
    while True:
        made = path.with_name(_stem(path) + os.urandom(8).hex())
        descriptor = create(made)
        with suppress(OSError):  # no locks here: then nobody takes it for left behind
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.lexists(made):
            return made, descriptor
        os.close(descriptor)  # somebody took it away before it was locked


def _stem(path: Path) -> str:
    """What the names begin with under which `path` is made: short, whatever its own name."""
    return f"{UNFINISHED}{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}-"


def _make_folder(new: Path, mode: int) -> int:
    os.mkdir(new, mode)
    return os.open(new, _FOLDER)


def _link(made: Path, path: Path) -> None:
    """Give it its name, unless that is taken. Raises `FileExistsError`."""
    try:
        os.link(made, path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        with _opened(path.parent) as folder:
            rename_without_replacing(folder, made.name, path.name)


def _put_folder(made: Path, path: Path) -> None:
    """Give the new folder its name; the one that had it gets the other name."""
    try:
        os.rename(made, path)  # in the place of nothing, or of an empty folder
    except OSError as error:
        if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
            raise
        try:
            with _opened(path.parent) as folder:
                exchange_names(folder, made.name, path.name)
        except OSError as refused:
            if refused.errno not in _NO_EXCHANGE:
                raise
            old = path.with_name(_stem(path) + os.urandom(8).hex())
            os.rename(path, old)
            os.rename(made, path)
            _remove(old)


def _remove_ended(left: Path) -> None:
    """Remove it if nobody holds its lock."""
    descriptor = os.open(left, _LOOK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(left)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def _remove(left: Path) -> None:
    with suppress(OSError):  # it has its name, or the disk fails: it goes with the next one
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            os.unlink(left)
