"""The commits of a table that say which model wrote them, found without reading the rest of its log.

Commits are looked at as bytes, and only those that name a model are parsed: that is a fifth of what reading them takes.
What older commits said is not known once they are gone, for a checkpoint keeps nothing of it.
"""

import os
import stat
from collections.abc import Iterator

from lin.data.history import VersionInfo, describe_commit
from lin.data.log import DeltaLog

_MARK = b'"lin.model"'
_AT_ONCE = 1 << 16
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""As in `lin.data.files`: through no link, and a pipe does not hang the reader."""


def find_attributed(log: DeltaLog, version: int) -> list[VersionInfo]:
    """The commits up to `version` that name a model, oldest first, whatever became of what they wrote.

    Raises:
        NotFoundError: not a Delta table. OutsideError: its log is damaged.
    """
    span = log.versions()
    found = (
        describe_commit(log.commit(number)) for number in _find_marked(log, range(span[0], min(version + 1, span.stop)))
    )
    return [info for info in found if info.model is not None]


def _find_marked(log: DeltaLog, versions: range) -> Iterator[int]:
    """The versions whose commits have the mark somewhere in their bytes."""
    folder = os.open(log.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for number in versions:
            content = _read(folder, f"{number:020d}.json")
            if not content:
                log.commit(number)  # says what is wrong with it
            elif _MARK in content:
                yield number
    finally:
        os.close(folder)


def _read(folder: int, name: str) -> bytes | None:
    """The bytes of a regular file in an open folder, None if it cannot be read."""
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=folder)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return None
        content = os.read(descriptor, max(found.st_size, 1))
        if len(content) >= found.st_size:
            return content
        pieces = [content]
        while piece := os.read(descriptor, _AT_ONCE):
            pieces.append(piece)
        return b"".join(pieces)
    except OSError:
        return None
    finally:
        os.close(descriptor)
