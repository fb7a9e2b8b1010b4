"""What lies in a virtual environment, file for file, and whether that is what its distributions say of themselves.

Every file is read and hashed, whatever its times say; links are told by where they point. What Python compiles in
`__pycache__` is its own business and is left out.
"""

import csv
import hashlib
import os
import posixpath
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path

from lin.errors import OutsideError
from lin.runs.probe import normal_name

_READERS = 8
_AT_ONCE = 64
_COMPILED = "__pycache__"


def digest_files(root: Path) -> dict[str, str]:
    """The sha256 in hex of each file below `root`, by its path from there; of a link, where it points.

    Raises:
        OutsideError: some of it cannot be read.
    """
    from concurrent.futures import ThreadPoolExecutor

    try:
        entries = list(_walk(root))
        parts = [entries[at : at + _AT_ONCE] for at in range(0, len(entries), _AT_ONCE)]
        with ThreadPoolExecutor(min(_READERS, os.cpu_count() or 1)) as readers:
            found = [told for part in readers.map(_tell_all, parts) for told in part]
    except OSError as error:
        raise OutsideError(f"cannot read {error.filename or root}: {error.strerror}") from error
    skipped = len(str(root)) + 1
    return {entry.path[skipped:]: told for entry, told in zip(entries, found, strict=True)}


def _tell_all(entries: list[os.DirEntry[str]]) -> list[str]:
    return [_tell(entry) for entry in entries]


def _walk(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield entry
            elif entry.name != _COMPILED:
                yield from _walk(entry.path)


def _tell(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return f"-> {os.readlink(entry.path)}"  # noqa: PTH115  an entry, not a path: there are ten thousand of them
    if not entry.is_file():
        return "not a file"
    with open(entry.path, "rb", buffering=0) as file:  # noqa: PTH123  likewise
        return hashlib.file_digest(file, "sha256").hexdigest()


def diff_files(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What became of the files of an environment, a line each; empty when they are what they were."""
    names = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return [f"file {name} was {_became(before.get(name), after.get(name))}" for name in names]


def _became(before: str | None, after: str | None) -> str:
    return "added" if before is None else "removed" if after is None else "altered"


def untrue_files(root: Path, site: Path, files: Mapping[str, str]) -> dict[str, list[str]]:
    """The distributions in `site` of which a file is not as their RECORD says, with the paths of these files.

    `files` is what `digest_files(root)` told; `site` lies below `root`. Files behind a link are not looked for.

    Raises:
        OutsideError: a RECORD cannot be read.
    """
    base = site.relative_to(root).as_posix()
    found: dict[str, list[str]] = {}
    for record in sorted(site.glob("*.dist-info/RECORD")):
        try:
            rows = list(csv.reader(record.read_text(encoding="utf-8", errors="replace").splitlines()))
        except (OSError, csv.Error) as error:
            raise OutsideError(f"cannot read {record}: {error}") from error
        hashed = [row for row in rows if len(row) > 1 and row[1]]
        paths = [row[0] for row in hashed if not _is_true(row, root, base, files)]
        if paths:
            found[normal_name(record.parent.name.partition("-")[0])] = paths
    return found


def _is_true(row: list[str], root: Path, base: str, files: Mapping[str, str]) -> bool:
    """Whether one line of a RECORD holds: `path,sha256=<base64 without padding>,bytes`."""
    path = posixpath.normpath(posixpath.join(base, row[0]))
    algorithm, _, text = row[1].partition("=")
    try:
        expected = urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()
    except ValueError:
        return False
    if algorithm in {"sha384", "sha512"} and path in files:
        return hashlib.new(algorithm, (root / path).read_bytes()).hexdigest() == expected
    return algorithm == "sha256" and files.get(path) == expected
