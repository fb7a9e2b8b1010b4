"""Compiled files of one environment for another that has the very same sources: Python compiles for seconds otherwise.

Among environments of the cache they are linked, where Python itself would take them: it holds the size and the time of
the source against those that stand in the compiled file. From the environment at hand, whose times are its own, a
compiled file is copied where Python would take it there, and where the source has the same content in both. It is
trusted as much as what runs here anyway: that it is what its source compiles to is not looked into.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from sys import implementation

from lin.records import digest

_MOST = 3
"""So many environments are looked at, those that were used last."""

_CACHE = "__pycache__"
_SELDOM = {"tests", "pip", "setuptools", "pkg_resources"}
"""Folders of what programs seldom import, though they are two fifths of all files: not worth a copy."""

_ENDING = f".{implementation.cache_tag}.pyc"
"""Of what this Python compiles, without any of its options."""


def share_bytecode(target: Path, environments: Path) -> None:
    """Link into the environment `target` what the newest of `environments` have compiled of the same files."""
    for other in _newest(environments):
        for folder in _compiled_folders(other):
            source = target / folder.relative_to(other).parent
            if source.is_dir() and not source.is_symlink():
                _link(folder, source)


def copy_bytecode(root: Path, site: Path, files: Mapping[str, str], other: Path) -> None:
    """Copy into the packages `site` of an environment what the environment `other` has compiled of the same sources.

    `files` has the sha256 in hex of each file of the environment `root`, by its path from there; those behind links are
    not among them. Links in `other` are not followed. Only what a Python like the one that runs now has compiled is
    taken, and neither the tests of packages nor what installs them.
    """
    base = site.relative_to(root)
    for compiled in _compiled_folders(other / base):
        folder = compiled.parent.relative_to(other)
        if _SELDOM.isdisjoint(folder.parts) and not compiled.is_symlink():
            _copy(compiled, root / folder, {name: files.get(f"{folder}/{name}") for name in _sources(compiled)})


def _newest(environments: Path) -> list[Path]:
    found = [entry for entry in environments.glob("[0-9a-f]*") if (entry / "inventory.json").is_file()]
    return sorted(found, key=lambda entry: entry.stat().st_mtime, reverse=True)[:_MOST]


def _compiled_folders(environment: Path) -> Iterator[Path]:
    for folder, names, _ in os.walk(environment):
        if _CACHE in names:
            names.remove(_CACHE)
            yield Path(folder, _CACHE)


# --- linked -----------------------------------------------------------------------------------------------------------


def _link(compiled: Path, source: Path) -> None:
    """Link the compiled files of one folder to where Python looks for them; what cannot be linked is compiled again."""
    place = source / _CACHE
    with suppress(OSError):
        place.mkdir(exist_ok=True)
        for entry in os.scandir(compiled):
            name = f"{entry.name.partition('.')[0]}.py"
            if _stamp(compiled.parent / name) == _stamp(source / name):
                with suppress(OSError):
                    os.link(entry.path, place / entry.name)


def _stamp(path: Path) -> tuple[int, int] | None:
    """What Python goes by."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


# --- copied -----------------------------------------------------------------------------------------------------------


def _sources(compiled: Path) -> list[str]:
    """The names of the sources that a folder has compiled files of."""
    try:
        names = [entry.name for entry in os.scandir(compiled)]
    except OSError:
        return []
    return [name.removesuffix(_ENDING) + ".py" for name in names if name.endswith(_ENDING)]


def _copy(compiled: Path, folder: Path, digests: Mapping[str, str | None]) -> None:
    """Copy compiled files to where Python looks for those of a folder; the rest it makes itself.

    `digests` has the sha256 of the sources in `folder` by their names, of those that are there.
    """
    place = folder / _CACHE
    for name, sha256 in digests.items():
        entry = name.removesuffix(".py") + _ENDING
        if sha256 is None or os.path.lexists(place / entry):
            continue
        with suppress(OSError):
            code = _compiled_of(compiled.parent / name, compiled / entry, sha256)
            if code is not None:
                place.mkdir(exist_ok=True)
                _write(place / entry, _header((folder / name).stat()), code)


def _compiled_of(source: Path, compiled: Path, sha256: str) -> bytes | None:
    """What a source was compiled to; None where Python would compile it again, or its content has another digest."""
    status, text = _read(source)
    if digest(text) != sha256:
        return None
    header = _header(status)
    _, code = _read(compiled)
    return code.removeprefix(header) if code.startswith(header) else None


def _read(path: Path) -> tuple[os.stat_result, bytes]:
    """A file that is no link."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return os.fstat(file.fileno()), file.read()


def _header(source: os.stat_result) -> bytes:
    """How a compiled file begins that Python takes for such a source: no flags, its time and size (PEP 552)."""
    return MAGIC_NUMBER + b"".join(
        (number & 0xFFFFFFFF).to_bytes(4, "little") for number in (0, int(source.st_mtime), source.st_size)
    )


def _write(path: Path, header: bytes, code: bytes) -> None:
    try:
        path.write_bytes(header + code)
    except OSError:
        path.unlink(missing_ok=True)  # half of one would be believed
        raise
