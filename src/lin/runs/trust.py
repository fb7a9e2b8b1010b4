"""Whose code may run when a model file is loaded: import paths of types, and files by their sha256.

What is trusted is said with `--trust`, or stands in a file of the user's own: never in the store, the project or the
model file, for then whoever made these would be trusted. A file is trusted by its bytes and never by its name.
"""

import os
import re
import stat
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lin.errors import OutsideError, UsageError, nearest

LARGEST = 1 << 20
"""The most bytes that are read of the user's file."""

_TYPE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")
_FILE = re.compile(r"sha256:[0-9a-f]{64}")
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class Trust:
    """What somebody trusts beyond what lin does: import paths of types, and the sha256 of files whose code may run."""

    types: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()


NOBODY = Trust()
"""Nothing beyond what lin trusts itself."""


class _TrustFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The user's own file."""

    types: list[str] = []
    files: list[str] = []


def read_trust(words: Sequence[str] | None, environ: Mapping[str, str]) -> Trust:
    """What the user trusts: the words of `--trust`, and what stands in `trust.toml` where `place_of_trust` says.

    Raises:
        UsageError: a word is neither an import path nor `sha256:` and 64 hex digits, or the file is wrong.
        OutsideError: the file is not the user's alone, or cannot be read.
    """
    given = _sort_words(words or [], "--trust")
    place = place_of_trust(environ)
    kept = _read_file(place) if place is not None else NOBODY
    return Trust(types=given.types | kept.types, files=given.files | kept.files)


@contextmanager
def importing_trusted(folder: Path, trust: Trust) -> Iterator[None]:
    """Let what somebody trusts be imported from the project's `folder`; nothing is looked for there without."""
    if trust == NOBODY:
        yield
        return
    with first_on_path(folder):
        yield


@contextmanager
def first_on_path(folder: Path) -> Iterator[None]:
    """Let modules be imported from `folder` before any other place."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def place_of_trust(environ: Mapping[str, str]) -> Path | None:
    """Where the user's file lies: `$XDG_CONFIG_HOME/lin/trust.toml`, else `~/.config/lin/trust.toml`."""
    config, home = environ.get("XDG_CONFIG_HOME", ""), environ.get("HOME", "")
    if os.path.isabs(config):  # noqa: PTH117  what is relative would be a place in the project
        return Path(config, "lin", "trust.toml")
    return Path(home, ".config", "lin", "trust.toml") if os.path.isabs(home) else None  # noqa: PTH117


def _sort_words(words: Sequence[str], where: str) -> Trust:
    for word in words:
        if not _FILE.fullmatch(word) and not _TYPE.fullmatch(word):
            raise UsageError(
                f"{where}: {word!r} is neither the import path of a type nor the sha256 of a file",
                hint="for example my_models.Stacked, or sha256: and the 64 hex digits that lin named",
            )
    files = {word for word in words if _FILE.fullmatch(word)}
    return Trust(frozenset({*words} - files), frozenset(word.removeprefix("sha256:") for word in files))


def _read_file(place: Path) -> Trust:
    data = _read_own(place)
    if data is None:
        return NOBODY
    try:
        raw = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"{place} is not valid TOML: {error}") from error
    known = [*_TrustFile.__struct_fields__]
    for key in raw:
        if key not in known:
            hint = nearest(key, known, instead=f"known here: {', '.join(known)}")
            raise UsageError(f"{place}: unknown key '{key}'", hint=hint)
    try:
        said = msgspec.convert(raw, _TrustFile)
    except msgspec.ValidationError as error:
        raise UsageError(f"{place}: {error}") from error
    types, files = _sort_words(said.types, f"{place}, types"), _sort_words(said.files, f"{place}, files")
    if types.files or files.types:
        raise UsageError(f"{place}: import paths belong into 'types', and sha256:… into 'files'")
    return Trust(types.types, files.files)


def _read_own(place: Path) -> bytes | None:
    """The bytes of a file that nobody but the user can have written; None where there is none."""
    try:
        with place.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid():
                raise OutsideError(f"{place} is not trusted: it belongs to user {status.st_uid}, not to you")
            if status.st_mode & _OTHERS_WRITE:
                raise OutsideError(f"{place} is not trusted: others may write to it", hint=f"chmod go-w {place}")
            data = file.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OutsideError(f"{place} cannot be read: {error.strerror}") from error
    if len(data) > LARGEST:
        raise UsageError(f"{place} is larger than the {LARGEST} bytes that lin reads")
    return data
