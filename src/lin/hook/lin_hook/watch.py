"""What Python tells of each file that is opened, and the one place where errors of the capture end.

Only what goes through Python's own `open` and `os.open` is told here; `readers` adds libraries that open files in C++
or Rust. A file is data by its suffix. An `os.open` with a relative path may mean any folder, so it is left alone.
"""

# pathlib is slow to import, and the paths of a program come and go as text
# ruff: noqa: PTH117, PTH120

from __future__ import annotations

import os
import sys
from _thread import _local  # what `threading.local` is, without the rest of that module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any, TypeVar

    from .log import Log
    from .scratch import Scratch

    T = TypeVar("T")

_KINDS = frozenset({
    "csv", "tsv", "json", "jsonl", "ndjson", "geojson", "parquet", "feather", "arrow", "orc", "avro", "pkl", "pickle",
    "joblib", "npy", "npz", "h5", "hdf5", "mat", "xlsx", "xls", "ods", "png", "jpg", "jpeg", "gif", "bmp", "tif",
    "tiff", "webp", "svg", "pdf", "skops", "onnx", "pt", "pth", "safetensors",
})  # fmt: skip
"""What the names of data files end in, whatever the case of their letters."""
_PACKED = frozenset({"gz", "bz2", "xz", "zst", "zip"})
"""What may stand after that."""
_LONGEST = len(".safetensors.zip")

_KEEPERS = ("lin.runs.source", "lin.store.blobs")
_NEAR = 4
"""As many frames up it is looked who opens a file: there may be one of pathlib between, and one of a re-run."""

_OURS = os.path.dirname(__file__)
_STANDARD = (os.path.dirname(os.__file__), "<frozen ")
_INSTALLED = ("site-packages", "dist-packages")


def is_data(path: object) -> bool:
    """Whether a path names a data file."""
    name = os.fsdecode(path) if isinstance(path, bytes) else path
    if not isinstance(name, str):
        return False
    words = name[-_LONGEST:].lower().split(".")
    kind = words.pop() if len(words) > 1 else ""
    return kind in _KINDS or (kind in _PACKED and len(words) > 1 and words[-1] in _KINDS)


class Watch:
    """One process, and the log that is told what it does."""

    def __init__(self, run: str, settings: str) -> None:
        self.run = run
        self.scratch: Scratch | None = None
        """Where the files of the project are, in a re-run."""
        self._settings = settings
        self._log: Log | None = None
        self._here = _local()

    @property
    def log(self) -> Log:
        """Where to tell; made when there is something to tell."""
        if self._log is None:
            from .log import Log

            self._log = Log(self._settings)
        return self._log

    def make_hook(self) -> Callable[[str, tuple[Any, ...]], None]:
        """What to give to `sys.addaudithook`: a function, for methods are slow and each `id()` calls it too."""

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            if event == "open":
                if arguments and is_data(arguments[0]) and not _is_for_lin(sys._getframe(1)):  # noqa: SLF001
                    self.quietly(self._open, *arguments)
            elif event == "os.rename":
                self.quietly(self._rename, *arguments)

        return audit

    def quietly(self, action: Callable[..., T | None], *arguments: Any) -> T | None:
        """Do something that the program must not notice: None where it fails, or is asked for by itself.

        What a signal handler of the program raises meanwhile is the program's, and goes on.
        """
        if getattr(self._here, "busy", False):
            return None
        self._here.busy = True
        try:
            return action(*arguments)
        except Exception as error:
            # whatever is wrong with the capture, known or not, is no reason for the program to fail
            if _is_foreign(error.__traceback__):
                raise
            if os.environ.get("LIN_DEBUG") == "1":
                sys.__excepthook__(*sys.exc_info())
            return None
        finally:
            self._here.busy = False

    def table(self, mode: str, address: str, version: int) -> None:
        """Tell of a version of a Delta table."""
        self.log.table(mode, address, version)

    def _open(self, path: str | bytes, mode: str | None, flags: int) -> None:
        name = os.fsdecode(path)
        if mode is not None:
            reads, writes, anew = "r" in mode, mode.strip("rbt") != "", "x" in mode
        elif os.path.isabs(name):
            access = flags & os.O_ACCMODE
            reads, writes = access != os.O_WRONLY and not flags & os.O_TRUNC, access != os.O_RDONLY
            anew = bool(flags & os.O_EXCL)
        else:
            return
        if anew and os.path.lexists(name):
            return  # this is going to fail
        if reads:
            self.log.read(name)
        if writes:
            self.log.wrote(name)

    def _rename(self, old: Any, new: Any, old_folder: int, new_folder: int) -> None:
        if old_folder == new_folder == -1 and not isinstance(old, int) and not isinstance(new, int):
            self.log.renamed(os.fsdecode(old), os.fsdecode(new))


def _is_for_lin(frame: FrameType | None) -> bool:
    """Whether a file is opened for a snapshot of the source or as an artifact, by a lin that the program runs."""
    for _ in range(_NEAR):
        if frame is None or frame.f_globals.get("__name__") in _KEEPERS:
            return frame is not None
        frame = frame.f_back
    return False


def _is_foreign(trace: TracebackType | None) -> bool:
    """Whether code of the program had a part in an error: a signal handler that ran while we were at work."""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        standard = file.startswith(_STANDARD) and not any(folder in file for folder in _INSTALLED)
        if not standard and not file.startswith(_OURS) and not _is_asked(trace.tb_frame.f_globals):
            return True
        trace = trace.tb_next
    return False


def _is_asked(module: dict[str, Any]) -> bool:
    """Whether a frame belongs to a library that the capture asks questions: a table for its version."""
    return str(module.get("__name__")).partition(".")[0] == "deltalake"
