"""Compiled files of one environment for another that has the very same sources: Python compiles for seconds otherwise.

What is linked is what Python would take itself: it holds the size and the time of the source against those that stand
in the compiled file, and compiles anew where they are others.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MOST = 3
"""So many environments are looked at, those that were used last."""

_CACHE = "__pycache__"


def share_bytecode(target: Path, environments: Path) -> None:
    """Link into the environment `target` what the newest of `environments` have compiled of the same files."""
    for other in _newest(environments):
        for folder in _compiled_folders(other):
            source = target / folder.relative_to(other).parent
            if source.is_dir() and not source.is_symlink():
                _link(folder, source)


def _newest(environments: Path) -> list[Path]:
    found = [entry for entry in environments.glob("[0-9a-f]*") if (entry / "inventory.json").is_file()]
    return sorted(found, key=lambda entry: entry.stat().st_mtime, reverse=True)[:_MOST]


def _compiled_folders(environment: Path) -> Iterator[Path]:
    for folder, names, _ in os.walk(environment):
        if _CACHE in names:
            names.remove(_CACHE)
            yield Path(folder, _CACHE)


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
