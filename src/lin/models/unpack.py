"""Reading a folder, or a zip of one, that somebody else made: names to bytes, under caps, and nothing is written.

Only regular files with plain relative names are taken: no links of either kind, no devices, nothing that leads out of
the folder, no two names that are one on another system. Sizes are counted while reading and never believed.
"""

import errno
import io
import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from lin.errors import NotFoundError, OutsideError

MOST_FILES = 1_000
LARGEST = 2 << 30
"""The most bytes that are read, all files together."""
DEEPEST = 8
LARGEST_RATIO = 100
SLACK = 64 << 20
"""A zip may unpack to `LARGEST_RATIO` times its size and this many bytes more: honest arrays of zeros do."""

_CHUNK = 1 << 20
_LONGEST_NAME = 255
_REGULAR = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


class Unpacked(NamedTuple):
    """The files of a folder by their POSIX paths, and what was read of the disk to get them."""

    files: dict[str, bytes]
    read: dict[Path, bytes]


def read_files(source: Path, marker: str) -> Unpacked:
    """The files of a folder, or of a zip. The file `marker` is at the top.

    A zip may have everything in one folder, as `zip -r` makes it.

    Raises:
        NotFoundError: there is nothing at `source`, or no `marker` in it.
        OutsideError: something in it is refused, it is larger than the caps, or it cannot be read.
    """
    try:
        found = _read_folder(source) if source.is_dir() else _read_zip(source)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no folder or zip '{source}'", hint="lin import FOLDER|FILE.zip NAME") from error
    except OSError as error:
        raise OutsideError(f"'{source}' cannot be read: {error.strerror or error}") from error
    if marker not in found.files:
        raise NotFoundError(f"'{source}' has no file {marker}, so it is no model folder", hint="lin import FOLDER NAME")
    return found


def check_name(name: str) -> str:
    """A path inside a folder. Raises `OutsideError` if it is none on every system, or leads out of the folder."""
    parts = name.split("/")
    wrong = (
        len(parts) > DEEPEST
        or any(part in {"", ".", ".."} or len(part.encode(errors="surrogatepass")) > _LONGEST_NAME for part in parts)
        or any(c in '\\:*?"<>|' or not c.isprintable() for c in name)
        or any(part.endswith((".", " ")) for part in parts)
    )
    if wrong:
        raise refused(f"it has a file with the name {name[:80]!r}")
    return name


def refused(why: str) -> OutsideError:
    """The refusal of a folder or zip."""
    return OutsideError(f"the model folder is refused: {why}", hint="ask for it anew, and look at what made it")


class _Names:
    """The names so far: none twice, not even on a system that takes two of them for one."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def add(self, name: str) -> str:
        check_name(name)
        if len(self._seen) >= MOST_FILES:
            raise refused(f"it has more than {MOST_FILES} files")
        folded = unicodedata.normalize("NFC", name).casefold()
        if folded in self._seen:
            raise refused(f"it has the names {self._seen[folded]!r} and {name!r}, which are one on some systems")
        self._seen[folded] = name
        return name


# --- a folder ---------------------------------------------------------------------------------------------------------


def _read_folder(root: Path) -> Unpacked:
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found: dict[str, bytes] = {}
        budget = LARGEST
        for name, data in _walk(top, "", _Names()):
            budget -= len(data)
            if budget < 0:
                raise refused(f"it has more than {LARGEST} bytes")
            found[name] = data
        return Unpacked(found, {root / name: data for name, data in found.items()})
    finally:
        os.close(top)


def _walk(folder: int, prefix: str, names: _Names) -> Iterator[tuple[str, bytes]]:
    """Every file below an open folder. What is looked at is what was opened, whatever takes its place meanwhile."""
    if prefix.count("/") > DEEPEST:
        raise refused(f"it is deeper than {DEEPEST} folders")
    for entry in sorted(os.listdir(folder)):
        path = f"{prefix}{entry}"
        descriptor = _open(folder, entry, path)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                yield from _walk(descriptor, f"{path}/", names)
            elif not stat.S_ISREG(status.st_mode):
                raise refused(f"{path!r} is no regular file")
            elif status.st_nlink > 1:
                raise refused(f"{path!r} is a hard link: another name of it may lie anywhere")
            else:
                names.add(path)
                with os.fdopen(os.dup(descriptor), "rb") as file:
                    yield path, _read(file, LARGEST)
        finally:
            os.close(descriptor)


def _open(folder: int, entry: str, path: str) -> int:
    """Open what is there without following a link, and without waiting where it is a pipe."""
    try:
        return os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise refused(f"{path!r} is a link") from error
        if error.errno in {errno.ENXIO, errno.ENODEV}:
            raise refused(f"{path!r} is no regular file") from error
        raise


# --- a zip ------------------------------------------------------------------------------------------------------------


def _read_zip(path: Path) -> Unpacked:
    with path.open("rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise refused("it is neither a folder nor a file")
        data = _read(file, LARGEST)
    if not data.startswith(b"PK\x03\x04"):
        raise refused("it is neither a folder nor a zip")
    try:
        return Unpacked(_without_top(_unzip(data)), {path: data})
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError) as error:
        raise refused(f"its zip is damaged: {error}") from error


def _unzip(data: bytes) -> dict[str, bytes]:
    budget = min(len(data) * LARGEST_RATIO + SLACK, LARGEST)
    found: dict[str, bytes] = {}
    names = _Names()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if _is_folder(info):
                continue
            _check_member(info)
            with archive.open(info) as stream:
                name = names.add(info.filename)
                found[name] = _read(stream, budget)
            budget -= len(found[name])
    return found


def _is_folder(info: zipfile.ZipInfo) -> bool:
    """Whether a member only names a folder; it needs none, and is still looked at."""
    if not info.filename.endswith("/"):
        return False
    check_name(info.filename.removesuffix("/"))
    if info.file_size:
        raise refused(f"its folder {info.filename[:80]!r} has content")
    return True


def _check_member(info: zipfile.ZipInfo) -> None:
    """`orig_filename` is as it stands in the zip: `filename` ends at a NUL, and has other separators turned."""
    check_name(info.orig_filename)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFREG}:
        raise refused(f"its member {info.filename[:80]!r} is no regular file")
    if info.flag_bits & 0x1 or info.compress_type not in _REGULAR:
        raise refused(f"its member {info.filename[:80]!r} is encrypted, or compressed in a way that lin does not read")


def _read(stream: IO[bytes], budget: int) -> bytes:
    """All of a stream. Raises `OutsideError` once it is more than the budget."""
    chunks = []
    while chunk := stream.read(_CHUNK):
        budget -= len(chunk)
        if budget < 0:
            raise refused("it unpacks to more than lin reads")
        chunks.append(chunk)
    return b"".join(chunks)


def _without_top(found: dict[str, bytes]) -> dict[str, bytes]:
    """The files without the one folder that all of them lie in, where there is one."""
    tops = _tops(found)
    if len(tops) != 1 or any("/" not in name for name in found):
        return found
    return {name.partition("/")[2]: data for name, data in found.items()}


def _tops(names: Iterable[str]) -> set[str]:
    return {PurePosixPath(name).parts[0] for name in names}
