"""A store in a folder of a local or network file system: an acknowledged write is on disk, whole, for good.

`put_if_absent` writes a temporary file beside the final one, fsyncs it, links it to its final name (which fails if
the name is taken), and fsyncs the folder. A crash at any point leaves the final name absent or whole, and at most a
`.tmp-…` file that nobody reads.
"""

import ctypes
import errno
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

from lin.errors import OutsideError, StoreError, refused
from lin.store.announced import Announcements
from lin.store.backend import Entry, ObjectExistsError, ObjectMissingError, Unfinished, check_key, chunks
from lin.store.failpoints import os

_TEMPORARY = ".tmp-"
_ANNOUNCED = ".announced"
NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_PIECE = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class LocalBackend:
    """Keeps each key as the file of that path below `root`: folders 0700, files 0600."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._durable: set[str] = set()
        """Folders whose own entries are known to be on disk, so that each is fsynced once in a process."""
        self._announcements = Announcements(root / _ANNOUNCED)

    def put_if_absent(self, key: str, data: bytes | Iterable[bytes]) -> None:
        """See `Backend`. Raises `OutsideError` when the file system fails: then `key` is absent, or whole."""
        folder, name = self._place(key)
        try:
            self._make(folder)
            with self._inside(folder) as descriptor:
                _create(descriptor, name, data)
        except FileExistsError as error:
            raise ObjectExistsError(f"{key} exists already") from error
        except OSError as error:
            raise _failed("write", key, error) from error

    def read(self, key: str) -> bytes:
        """See `Backend`."""
        with self._reading(key) as file:
            return file.read()

    def stream(self, key: str) -> Iterator[bytes]:
        """See `Backend`."""
        with self._reading(key) as file:
            while piece := file.read(_PIECE):
                yield piece

    @contextmanager
    def _reading(self, key: str) -> Iterator[BinaryIO]:
        try:
            with open(self.open_file(key), "rb") as file:
                yield file
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ObjectMissingError(
                f"{key} is missing from the store", hint="restore that file from a backup of the store"
            ) from error
        except _NotRegularError as error:
            raise ObjectMissingError(f"{key} in the store is not a regular file") from error
        except OSError as error:
            raise _failed("read", key, error) from error

    def open_file(self, key: str) -> int:
        """Open a file for reading, without waiting and through no link. Raises `OSError`: there is no such file."""
        folder, name = self._place(key)
        descriptor = self._enter(folder)
        try:
            return _open_regular(descriptor, name)
        finally:
            os.close(descriptor)

    def size(self, key: str) -> int | None:
        """See `Backend`."""
        state = self._status(key)
        return None if state is None else state.st_size

    def list(self, folder: str) -> list[str]:
        """See `Backend`. Raises `StoreError` where a link or a file lies in place of a folder: that is not empty."""
        try:
            with self._inside(check_key(folder)) as descriptor:
                return [name for name in os.listdir(descriptor) if name[0] != "."]
        except FileNotFoundError:
            return []
        except NotADirectoryError as error:
            raise StoreError(f"{folder} in the store is no folder", hint="lin fsck") from error
        except OSError as error:
            raise _failed("list", folder, error) from error

    def entries(self, folder: str) -> Sequence[Entry]:
        """See `Backend`. Raises `OutsideError` when the file system fails."""
        try:
            with self._inside(folder) as descriptor, os.scandir(descriptor) as found:
                return [seen for entry in found if (seen := _look(entry)) is not None]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _failed("list", folder or "the root", error) from error

    def appender(self, key: str) -> "_FileAppender":
        """See `Backend`. A folder that is there is taken to be on disk: what is logged belongs to what made it."""
        folder, name = self._place(key)
        try:
            if not os.path.isdir(f"{self.root}/{folder}"):
                self._make(folder)
            with self._inside(folder) as descriptor:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                opened = os.open(name, flags, 0o600, dir_fd=descriptor)
            return _FileAppender(opened, partial(self._inside, folder), key)
        except OSError as error:
            raise _failed("write", key, error) from error

    def changed(self, key: str) -> float | None:
        """See `Backend`."""
        state = self._status(key)
        return None if state is None else state.st_mtime

    def remove(self, key: str) -> None:
        """See `Backend`. Raises `OutsideError` when the file system refuses, or a folder on the way is a link."""
        folder, name = self._place(key)
        with _removing(key), self._inside(folder) as descriptor:
            os.unlink(name, dir_fd=descriptor)

    def remove_folder(self, folder: str) -> None:
        """See `Backend`. Raises as `remove`."""
        parent, name = self._place(folder)
        with _removing(folder), self._inside(parent) as descriptor:
            _remove_tree(descriptor, name)

    def unfinished(self, folder: str) -> Sequence[Unfinished]:
        """See `Backend`. Raises `OutsideError` when the file system fails."""
        found = []
        try:
            with self._inside(folder) as descriptor:
                for name in (name for name in os.listdir(descriptor) if name.startswith(_TEMPORARY)):
                    with suppress(FileNotFoundError):  # it is finished by now
                        state = os.lstat(name, dir_fd=descriptor)
                        size = state.st_size if state.st_nlink == 1 else 0
                        found.append(Unfinished(folder, name, size, state.st_mtime))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _failed("list", folder or "the root", error) from error
        return found

    def move(self, folder: str, name: str, to: str) -> None:
        """Move what is called `name` in `folder`, whatever it is, into the folder `to`, in which it is the first.

        No link is followed, and both folders are on disk afterwards. Raises `OutsideError` as `remove`.
        """
        try:
            self._make(to)
            with self._inside(folder) as source, self._inside(to) as target:
                os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
                os.fsync(target)
                os.fsync(source)
        except OSError as error:
            raise _failed("move", f"{folder}/{name}", error) from error

    def discard(self, write: Unfinished) -> None:
        """See `Backend`. Raises as `remove`."""
        with _removing(f"{write.folder}/{write.name}".lstrip("/")), self._inside(write.folder) as descriptor:
            if stat.S_ISDIR(os.stat(write.name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                _remove_tree(descriptor, write.name)  # an index that was being made anew
            else:
                os.unlink(write.name, dir_fd=descriptor)

    def announce(self, keys: Iterable[str]) -> set[str]:
        """See `Backend`. Raises `OutsideError` when the file system fails."""
        try:
            self._make("")
            return self._announcements.add([check_key(key) for key in keys])
        except OSError as error:
            raise refused("cannot tell others of a write to the store", error) from error

    def announced(self) -> set[str]:
        """See `Backend`."""
        return self._announcements.read()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See `Backend`. Raises `OutsideError` where the file system has no locks: then nobody can know."""
        with self._announcements.alone():
            yield

    def _status(self, key: str) -> os.stat_result | None:
        folder, name = self._place(key)
        try:
            with self._inside(folder) as descriptor:
                return os.lstat(name, dir_fd=descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failed("look at", key, error) from error

    def _place(self, key: str) -> tuple[str, str]:
        folder, _, name = check_key(key).rpartition("/")
        return folder, name

    @contextmanager
    def _inside(self, folder: str) -> Iterator[int]:
        """`folder` as a descriptor, as long as it is needed."""
        descriptor = self._enter(folder)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _enter(self, folder: str) -> int:
        """Open `folder` step by step, so that no link leads out of the store, whoever swaps one in meanwhile."""
        descriptor = os.open(self.root, _FOLDER)
        for step in folder.split("/") if folder else ():
            try:
                inner = os.open(step, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = inner
        return descriptor

    def _make(self, folder: str) -> None:
        """Make `folder` and make it durable, if this process has not seen it yet."""
        if folder in self._durable:
            return
        if folder:
            above, _, name = folder.rpartition("/")
            self._make(above)
            with self._inside(above) as descriptor:
                _make_folder(descriptor, name)
        else:
            parent = os.path.dirname(self.root)
            if not os.path.isdir(parent):
                os.makedirs(parent, exist_ok=True)
            with _Folder(parent) as descriptor:
                _make_folder(descriptor, self.root.name)
        self._durable.add(folder)


def _make_folder(parent: int, name: str) -> None:
    with suppress(FileExistsError):  # whoever made it may have been killed before its fsync: ours follows
        os.mkdir(name, 0o700, dir_fd=parent)
    os.fsync(parent)


def make_private(folder: Path) -> None:
    """Make a folder and those above it that are not there, all for their owner alone, whatever the umask is.

    Raises:
        OSError: the file system refuses.
    """
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(0o700, exist_ok=True)


class _NotRegularError(OSError):
    """A link, a folder or a special file."""


def _open_regular(folder: int, name: str) -> int:
    """Open a file for reading, without waiting. Raises `_NotRegularError`."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link, or a socket
            raise _NotRegularError("it is not a regular file") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _NotRegularError("it is not a regular file")
    return descriptor


def _look(entry: "os.DirEntry[str]") -> Entry | None:
    """What it is; None if it is gone by now. The mode of a link says nothing."""
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
    kind: Literal["file", "folder", "other"]
    kind = "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"
    return Entry(entry.name, kind, kind != "other" and bool(mode & stat.S_IWOTH))


def _look_at_unfinished(path: str, folder: str, name: str) -> Unfinished | None:
    """What it is; None if it is finished by now."""
    try:
        state = os.lstat(f"{path}/{name}")
    except FileNotFoundError:
        return None
    return Unfinished(folder, name, state.st_size if state.st_nlink == 1 else 0, state.st_mtime)


class _Folder:
    """An open folder, as a descriptor."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> int:
        self.descriptor = os.open(self.path, _FOLDER)
        return self.descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


class _FileAppender:
    def __init__(self, descriptor: int, folder: Callable[[], AbstractContextManager[int]], key: str) -> None:
        self._descriptor = descriptor
        self._folder = folder
        self._key = key

    def append(self, data: bytes) -> None:
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            raise _failed("write", self._key, error) from error

    def sync(self) -> None:
        try:
            os.fsync(self._descriptor)
            with self._folder() as folder:
                os.fsync(folder)
        except OSError as error:
            raise _failed("write", self._key, error) from error

    def close(self) -> None:
        os.close(self._descriptor)


def _create(folder: int, name: str, data: bytes | Iterable[bytes]) -> None:
    """Create `name` in the open `folder`. Raises `FileExistsError` if it is taken, `OSError` if the disk fails."""
    temporary = f"{_TEMPORARY}{os.getpid()}-{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        try:
            for chunk in chunks(data):
                view = memoryview(chunk)
                while view:
                    view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)  # an error here is final: a second fsync may lie
        finally:
            os.close(descriptor)
        _publish(folder, temporary, name)
        os.fsync(folder)
    finally:
        _unlink(folder, temporary)


def _publish(folder: int, temporary: str, name: str) -> None:
    """Give the temporary file its final name, unless that is taken."""
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        # on NFS the answer to a link that was made can get lost: the link count knows
        if os.stat(temporary, dir_fd=folder, follow_symlinks=False).st_nlink == 2:  # noqa: PLR2004
            return
        if error.errno not in NO_HARD_LINKS:
            raise
        rename_without_replacing(folder, temporary, name)


def rename_without_replacing(folder: int, old: str, new: str) -> None:
    """Rename in one step that fails if `new` is taken: for file systems without hard links.

    Raises:
        FileExistsError: `new` is taken. OSError: the system has no such call; a plain rename would overwrite.
    """
    _renameat2(folder, old, new, _RENAME_NOREPLACE)


def exchange_names(folder: int, one: str, other: str) -> None:
    """Give two things in a folder each other's name in one step. Raises `OSError`, of the system without that too."""
    _renameat2(folder, one, other, _RENAME_EXCHANGE)


def _renameat2(folder: int, old: str, new: str, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    call = getattr(libc, "renameat2", None)
    if call is None or sys.platform != "linux":
        raise OSError(errno.ENOTSUP, "the file system has neither hard links nor renameat2", new)
    if call(folder, os.fsencode(old), folder, os.fsencode(new), flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), new)


def _remove_tree(folder: int, name: str) -> None:
    """Remove the folder `name` in the open `folder`, links in it as what they are. Another process may do the same."""
    while True:
        try:
            shutil.rmtree(name, dir_fd=folder)
        except FileNotFoundError:
            os.stat(name, dir_fd=folder, follow_symlinks=False)  # is it gone, or only something in it?
        else:
            return


@contextmanager
def _removing(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        pass  # somebody else was first
    except OSError as error:
        raise _failed("remove", key, error) from error


def _unlink(folder: int, name: str) -> None:
    with suppress(OSError):  # it was renamed away, or the disk fails: every reader ignores the name
        os.unlink(name, dir_fd=folder)


def _failed(verb: str, key: str, error: OSError) -> OutsideError:
    return refused(f"cannot {verb} {key} in the store", error)
