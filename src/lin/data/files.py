"""Opening what lies in a table's folder: a regular file inside it, reached through no link, without waiting.

What a log names is hostile. A pipe would hang the reader, and a link would lead it out of the table.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from lin.errors import OutsideError

_KEPT_BACK = {errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE}


def is_kept_back(error: BaseException | None) -> bool:
    """Whether an error came of what the system does not let this process read: nothing is known of that then."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _KEPT_BACK:
            return True
        error = error.__cause__
    return False


def open_data_file(root: Path, path: str) -> BufferedReader:
    """Open a data file by its path in the table at `root`.

    Raises:
        FileNotFoundError: there is no such file. OutsideError: it is a link, no file, or outside the folder, or the
            system does not let this process open it (`is_kept_back` tells).
    """
    where = root / path
    try:
        parent = where.parent.resolve(strict=True)
        if not parent.is_relative_to(root.resolve()):
            raise _refused(path, "it lies outside the table's folder")
        return open_regular(parent / where.name)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and is_kept_back(error):
            raise OutsideError(f"data file {path!r} cannot be opened: {error.strerror}") from error
        raise _refused(path, str(error)) from error


def open_log_file(folder: Path, name: str) -> BufferedReader:
    """Open a file of the log or of a folder in it. Raises `FileNotFoundError`, `OSError`: it or `folder` is a link."""
    if folder.is_symlink():
        raise OSError(f"{folder.name} is a symbolic link")
    return open_regular(folder / name)


def open_regular(path: Path) -> BufferedReader:
    """Open a file that is no link, no folder and no device. Raises `FileNotFoundError`, `OSError`."""
    # not blocking, so that opening a pipe returns and is refused below
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError("it is a symbolic link") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is not a regular file")
    return os.fdopen(descriptor, "rb")


def _refused(path: str, why: str) -> OutsideError:
    return OutsideError(
        f"data file {path!r} is refused: {why}", hint="lin reads only tables whose files lie in their folder"
    )
