"""What living processes are about to name in a record: `.announced/`, which `lin gc` asks before it takes a blob.

Content is kept once, so a process may find a blob that nothing names, take it for kept, and name it only later. It
therefore says so first. Each process keeps a list of such keys, one a line, and holds a lock on it until it ends; the
lock goes with the process, however that dies, and is shared with its forks. A line is written while the `gate` is
held with others. Whoever collects holds it alone: what is announced later is also looked for later, when that is over.

Locks are those of flock(2), exact on one machine. NFS servers keep them too, but another machine may see a listing that
is a minute old: collect there while no other machine records. While no process has the store open the folder can go.
"""

import errno
import fcntl
import weakref
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lin.errors import OutsideError
from lin.store.failpoints import os

_GATE = "gate"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Announcements:
    """The list of this process, begun with its first key, and those of others. Safe in threads and forks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: set[str] = set()
        self._list: int | None = None

    def add(self, keys: Iterable[str]) -> set[str]:
        """Announce `keys`; returns those that were not announced before. Waits while somebody collects.

        Where the file system has no locks nothing can be collected, so nothing is announced.

        Raises:
            OSError: the file system fails.
        """
        fresh = set(keys) - self._known
        if fresh:
            with _gate(self._folder, fcntl.LOCK_SH) as held:
                if held:
                    self._write("".join(f"{key}\n" for key in fresh).encode())
            self._known |= fresh
        return fresh

    def read(self) -> set[str]:
        """Every key in the list of a process that lives."""
        return {key for path in self._lists() for key in _read_held(path)}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the gate alone. Lists of processes that have ended go.

        Raises:
            OutsideError: the file system has no locks, or fails.
        """
        with ExitStack() as stack:
            try:
                if not stack.enter_context(_gate(self._folder, fcntl.LOCK_EX)):
                    raise OutsideError(f"{self._folder} cannot be locked: nobody knows what others record now")
                for path in self._lists():
                    _remove_ended(path)
            except OSError as error:
                raise OutsideError(f"cannot lock {self._folder}: {error.strerror or error}") from error
            yield

    def _lists(self) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.name != _GATE]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _write(self, lines: bytes) -> None:
        if self._list is None:
            path = self._folder / os.urandom(16).hex()
            descriptor = os.open(path, _WRITE | os.O_EXCL | os.O_APPEND, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            weakref.finalize(self, _withdraw, descriptor, path)
            self._list = descriptor
        while lines:
            lines = lines[os.write(self._list, lines) :]


@contextmanager
def _gate(folder: Path, how: int) -> Iterator[bool]:
    """Hold the lock of the gate; tells whether there are locks here at all. Opened anew: forks share an open file."""
    with suppress(FileExistsError):
        folder.mkdir(0o700)
    descriptor = os.open(folder / _GATE, _WRITE, 0o600)
    try:
        held = _lock(descriptor, how)
        try:
            yield held
        finally:
            if held:
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing does not do it while a fork has a copy
    finally:
        os.close(descriptor)


def _lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


def _read_held(path: Path) -> list[str]:
    """The lines of a list whose process lives. One that cannot be asked for its lock counts as living."""
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        return []
    with os.fdopen(descriptor, "rb") as file:
        return [] if _has_ended(descriptor) else file.read().decode("ascii", "replace").splitlines()


def _has_ended(descriptor: int) -> bool:
    try:
        return _lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False


def _remove_ended(path: Path) -> None:
    """Remove a list if nobody holds its lock."""
    with suppress(FileNotFoundError):
        descriptor = os.open(path, _READ)
        try:
            if _has_ended(descriptor):
                path.unlink()
        finally:
            os.close(descriptor)


def _withdraw(descriptor: int, path: Path) -> None:
    """Give up a list when its owner ends. While a fork holds it too, it stays."""
    with suppress(OSError):  # what is left is removed by whoever collects next
        os.close(descriptor)
        _remove_ended(path)
