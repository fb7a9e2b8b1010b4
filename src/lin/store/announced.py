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
import re
import stat
import weakref
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lin.errors import OutsideError
from lin.store.failpoints import os

_GATE = "gate"
_LIST = re.compile(r"[0-9a-f]{32}")
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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
        """Every key in the list of a process that lives.

        Raises:
            OutsideError: a list cannot be read.
        """
        try:
            with _opened(self._folder) as folder:
                return {key for name in _lists(folder) for key in _read_held(folder, name)}
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise OutsideError(f"cannot read {self._folder}: {error.strerror or error}") from error

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
                folder = stack.enter_context(_opened(self._folder))
                for name in _lists(folder):
                    _remove_ended(folder, name)
            except OSError as error:
                raise OutsideError(f"cannot lock {self._folder}: {error.strerror or error}") from error
            yield

    def _write(self, lines: bytes) -> None:
        if self._list is None:
            name = os.urandom(16).hex()
            with _opened(self._folder) as folder:
                descriptor = os.open(name, _WRITE | os.O_EXCL | os.O_APPEND, 0o600, dir_fd=folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            weakref.finalize(self, _withdraw, descriptor, self._folder, name)
            self._list = descriptor
        while lines:
            lines = lines[os.write(self._list, lines) :]


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """The folder as a descriptor, if it is no link: what lists it may also remove what it finds."""
    descriptor = os.open(folder, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lists(folder: int) -> list[str]:
    """The names of lists in the open folder; what is called otherwise is none of ours."""
    return [name for name in os.listdir(folder) if _LIST.fullmatch(name)]


@contextmanager
def _gate(folder: Path, how: int) -> Iterator[bool]:
    """Hold the lock of the gate; tells whether there are locks here at all. Opened anew: forks share an open file."""
    with suppress(FileExistsError):
        folder.mkdir(0o700)
    with _opened(folder) as opened:
        descriptor = os.open(_GATE, _WRITE, 0o600, dir_fd=opened)
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


def _read_held(folder: int, name: str) -> list[str]:
    """The lines of a list whose process lives. One that cannot be asked for its lock counts as living."""
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except FileNotFoundError:
        return []
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode) or _has_ended(descriptor):
            return []
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read().decode("ascii", "replace").splitlines()
    finally:
        os.close(descriptor)


def _has_ended(descriptor: int) -> bool:
    try:
        return _lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False


def _remove_ended(folder: int, name: str) -> None:
    """Remove a list if nobody holds its lock."""
    with suppress(FileNotFoundError):
        descriptor = os.open(name, _READ, dir_fd=folder)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and _has_ended(descriptor):
                os.unlink(name, dir_fd=folder)
        finally:
            os.close(descriptor)


def _withdraw(descriptor: int, folder: Path, name: str) -> None:
    """Give up a list when its owner ends. While a fork holds it too, it stays."""
    with suppress(OSError):  # what is left is removed by whoever collects next
        os.close(descriptor)
        with _opened(folder) as opened:
            _remove_ended(opened, name)
