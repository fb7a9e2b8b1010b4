"""Where content that a store lost still lies: files of the project, and of the tables, looked at by their sha256."""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lin.data.files import open_data_file
from lin.errors import OutsideError
from lin.project import Project


def find_content(project: Project, places: Iterable[tuple[str, Path, str]]) -> dict[str, str]:
    """For each sha256 the file that has this content now, if any: its path relative to the store.

    Args:
        project: whose store has lost it.
        places: a sha256, a folder, and a path in it at which that content was seen once. No link is followed.
    """
    found: dict[str, str] = {}
    for sha256, root, path in sorted(set(places)):
        if sha256 not in found and _has_content(root, path, sha256):
            place = os.path.relpath((root / path).resolve(), project.store_root.resolve())
            found[sha256] = Path(place).as_posix()
    return found


def _has_content(root: Path, path: str, sha256: str) -> bool:
    with suppress(OSError, OutsideError), open_data_file(root, path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    return False
