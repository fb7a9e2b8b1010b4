"""In a re-run: paths of the project and of tables where they lie really, turned into those of the scratch folder.

That folder stands for the root of the file system, so a program that names its files by absolute paths reads what was
recorded, and writes nothing outside. Changed are Python's own functions; `readers` and `tables` change the arguments of
libraries that open files themselves. Not changed are paths in the arguments of other programs, in SQL, or reached
through a link, and what lies in hidden folders, in that of this Python, and in the store.
"""

# pathlib is slow to import, and the paths of a program come and go as text
# ruff: noqa: PTH120

from __future__ import annotations

import builtins
import functools
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_ONE_PATH = ("open", "stat", "lstat", "access", "listdir", "scandir", "mkdir", "rmdir", "remove", "unlink", "chdir",
             "chmod", "utime", "readlink", "truncate")  # fmt: skip
_TWO_PATHS = ("rename", "replace", "link", "symlink")
_PATH_NAMES = ("path", "file", "src", "dst")
_ABILITIES = ("supports_fd", "supports_dir_fd", "supports_follow_symlinks", "supports_effective_ids")
"""What the standard library asks before it uses a function in one of these ways."""


class Scratch:
    """The scratch folder, and the project's folder as it is called in it and where it lies really.

    Args:
        settings: JSON as `Log` is told, with `scratch` (the folder).
    """

    def __init__(self, settings: str) -> None:
        read = json.loads(settings)
        self._folder: str = read["scratch"]
        self._live: str = read["root"][len(self._folder) :]
        installed = [os.path.realpath(folder) for folder in (sys.prefix, sys.base_prefix)]
        self._kept = tuple(f"{folder}/" for folder in [*read["skip"], os.path.dirname(read["log"]), *installed])

    def file(self, path: Any) -> Any:
        """The path of a file or folder; it keeps its type where that is text or bytes."""
        name = _text(path)
        if name is None or not name.startswith(self._live):
            return path
        whole = os.path.normpath(name)
        if not self._is_moved(whole):
            return path
        moved = self._folder + whole
        return os.fsencode(moved) if isinstance(os.fspath(path), bytes) else moved

    def table(self, address: Any) -> Any:
        """The address of a table: those in other folders are moved too, but temporary ones."""
        name = _text(address)
        if name is None:
            return address
        if name.startswith("file://"):
            from urllib.parse import unquote

            name = unquote(name[len("file://") :])
        whole = os.path.normpath(name)
        if not whole.startswith("/") or f"{whole}/".startswith((self._folder + "/", *self._kept)):
            return address
        known = next((path for path in (whole, os.path.realpath(whole)) if os.path.lexists(self._folder + path)), None)
        return address if known is None and self._is_temporary(whole) else self._folder + (known or whole)

    def enter(self) -> None:
        """Change the functions of Python, and where it finds modules of the project."""
        changed = self._moving(open, 1)
        builtins.open = io.open = changed
        for names, count in ((_ONE_PATH, 1), (_TWO_PATHS, 2)):
            for name in names:
                self._change(name, count)
        self._move_modules()

    def _is_temporary(self, whole: str) -> bool:
        import tempfile

        return not self._is_moved(whole) and whole.startswith(os.path.realpath(tempfile.gettempdir()) + "/")

    def _is_moved(self, whole: str) -> bool:
        if whole != self._live and not whole.startswith(self._live + "/"):
            return False
        inner = whole[len(self._live) :]
        return "/." not in inner and "/site-packages/" not in inner and not f"{whole}/".startswith(self._kept)

    def _change(self, name: str, count: int) -> None:
        original = getattr(os, name)
        changed = self._moving(original, count)
        setattr(os, name, changed)
        for ability in _ABILITIES:
            able = getattr(os, ability)
            if original in able:
                able.add(changed)

    def _moving(self, original: Callable[..., Any], count: int) -> Any:
        """The function, with the first `count` arguments, or those of the names of paths, moved."""

        @functools.wraps(original)
        def moved(*arguments: Any, **options: Any) -> Any:
            for name in _PATH_NAMES:
                if name in options:
                    options[name] = self.file(options[name])
            return original(*[self.file(path) for path in arguments[:count]], *arguments[count:], **options)

        return moved

    def _move_modules(self) -> None:
        """Let the project's modules, where an editable installation points at them, be those of the scratch folder."""
        sys.path[:] = [self._present(folder) for folder in sys.path]
        more = os.environ.get("LIN_MODULES", "").split(os.pathsep)
        sys.path.extend(folder for folder in more if folder and folder not in sys.path)
        for finder in sys.meta_path:
            found = getattr(sys.modules.get(getattr(finder, "__module__", "")), "MAPPING", None)
            if isinstance(found, dict):  # setuptools keeps it like that
                found.update({name: self._present(place) for name, place in found.items()})

    def _present(self, path: Any) -> Any:
        moved = self.file(path)
        return moved if moved != path and os.path.lexists(moved) else path


def _text(path: Any) -> str | None:
    """An absolute path, or the address of a local folder, as text."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return None
    name = os.fsdecode(path)
    return name if name.startswith(("/", "file://")) else None
