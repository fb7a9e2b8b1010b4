"""The lines that a watched process adds to its run's `log.jsonl`, in lin's format for records.

A file is hashed when it is opened for reading. The digests kept here are those of this process: they spare hashing the
same file twice while nothing about it changed, and prove nothing to anybody else.
"""

# pathlib is slow to import, and the paths of a program come and go as text
# ruff: noqa: PTH100, PTH110, PTH112, PTH113, PTH118, PTH120

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import zlib

from .watch import is_data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20
_NOT_DATA = ("site-packages", "dist-packages", "__pycache__", "node_modules")


class Log:
    """Where the lines go, and what was told already.

    Args:
        settings: JSON with `log` (the file), `root` (the project), and `skip` (folders that are told otherwise or not
            at all: the store, and the tables of the project), all absolute and real.
    """

    def __init__(self, settings: str) -> None:
        read = json.loads(settings)
        self._file: str = read["log"]
        self._sealed = os.path.join(os.path.dirname(self._file), "run.json")
        self._root = read["root"].rstrip("/") + "/"
        environment = [os.path.realpath(sys.prefix)]
        self._skip = tuple(f"{folder}/" for folder in read["skip"] + environment if not self._root.startswith(folder))
        self._digests: dict[tuple[int, ...], tuple[str, int]] = {}
        self._told: set[tuple[object, ...]] = set()
        self._written: set[str] = set()

    def read(self, path: str) -> None:
        """Tell that a file is being read, and what is in it now; not one outside the project, or that is skipped."""
        place = self._place(path)
        found = self._digest(place) if place else None
        if place and found:
            self._tell("read", place, sha256=found[0], bytes=found[1])

    def wrote(self, path: str) -> None:
        """Tell that a file is about to be written. What is in it is looked at when the run ends."""
        if _may_write(os.path.abspath(path)):
            self._wrote(path)

    def renamed(self, old: str, new: str) -> None:
        """Tell of data that gets its name: of a file, or of what was written in a folder."""
        source, target = os.path.abspath(old), os.path.abspath(new)
        for path in [path for path in self._written if path.startswith(source + "/")]:
            self._wrote(target + path[len(source) :])
        if (is_data(target) or source in self._written) and os.path.isfile(source):
            self._wrote(target)

    def table(self, mode: str, address: str, version: int) -> None:
        """Tell of a version of a Delta table that was read or made; a local table by its absolute path."""
        self._tell(mode, _local_path(address), version=version)

    def data_below(self, folder: str) -> Iterator[str]:
        """The data files in a folder and those in it, by suffix."""
        for inner, _, names in os.walk(folder):
            yield from (os.path.join(inner, name) for name in sorted(names) if is_data(name))

    def _wrote(self, path: str) -> None:
        place = self._place(path)
        if place:
            self._written.add(place)
            self._tell("wrote", place)

    def _place(self, path: str) -> str | None:
        """The absolute path of a file of the project, or None for one that is not watched."""
        whole = os.path.abspath(path)
        return next((place for place in (whole, os.path.realpath(whole)) if self._is_watched(place)), None)

    def _is_watched(self, path: str) -> bool:
        if not path.startswith(self._root) or path.startswith(self._skip):
            return False
        folders = path[len(self._root) :].split("/")[:-1]
        return not any(folder.startswith(".") or folder in _NOT_DATA for folder in folders)

    def _digest(self, path: str) -> tuple[str, int] | None:
        """The sha256 and size of a regular file; None for anything else, which reading might hang or drain."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None  # the program is about to hear that too
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return None
            key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            if key not in self._digests:
                self._digests[key] = _hash(descriptor)
            return self._digests[key]
        finally:
            os.close(descriptor)

    def _tell(self, mode: str, path: str, **facts: str | int) -> None:
        """Append a line: the record as JSON, with the CRC-32 of that JSON as its first member, in one write."""
        shown = os.fsencode(path).decode(errors="backslashreplace")  # records hold UTF-8 only
        line = {"type": "seen", "mode": mode, "path": shown, **facts}
        known = tuple(line.values())
        if known in self._told or os.path.exists(self._sealed):
            return
        body = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b'{"crc":"%08x",' % zlib.crc32(body) + body[1:])
        finally:
            os.close(descriptor)  # kept open it could be closed by the program, and its number be another file's
        self._told.add(known)


def _hash(descriptor: int) -> tuple[str, int]:
    whole, size = hashlib.sha256(), 0
    chunk = os.read(descriptor, _CHUNK)
    while chunk:
        whole.update(chunk)
        size += len(chunk)
        chunk = os.read(descriptor, _CHUNK)
    return whole.hexdigest(), size


def _may_write(path: str) -> bool:
    """Whether opening a path for writing has a chance."""
    if os.path.exists(path):
        return os.access(path, os.W_OK) and not os.path.isdir(path)
    return os.access(os.path.dirname(path), os.W_OK)


def _local_path(address: str) -> str:
    """A table's address as an absolute path where it is local: delta-rs says `file:///data/a%20table/`."""
    scheme, found, rest = address.partition("://")
    if not found:
        return os.path.abspath(address)
    if scheme != "file":
        return address
    from urllib.parse import unquote

    return os.path.abspath(unquote(rest))
