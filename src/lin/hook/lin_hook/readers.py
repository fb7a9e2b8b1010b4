"""Files that pandas, pyarrow, Polars and DuckDB open in C++ or Rust, where Python is not asked.

Wrapped are the functions that take a path. Not seen are files named inside DuckDB's SQL, what methods of a DuckDB
connection read, `pyarrow.csv.CSVWriter`, `pyarrow.OSFile` and `memory_map`, and files in buckets or other file systems.
"""

# pathlib is slow to import, and the paths of a program come and go as text
# ruff: noqa: PTH110, PTH111, PTH112, PTH113, PTH116, PTH207

from __future__ import annotations

import functools
import glob
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from .log import Log
    from .scratch import Scratch
    from .watch import Watch

_READS = {
    "pandas": ("read_parquet 0 path", "read_orc 0 path", "read_hdf 0 path_or_buf"),
    "pyarrow.parquet.core": ("read_table 0 source", "read_metadata 0 where", "ParquetFile.__init__ 1 source",
                             "ParquetDataset.__init__ 1 path_or_paths"),
    "pyarrow.dataset": ("dataset 0 source",),
    "pyarrow.csv": ("read_csv 0 input_file", "open_csv 0 input_file"),
    "pyarrow.json": ("read_json 0 input_file", "open_json 0 input_file"),
    "pyarrow.feather": ("read_table 0 source", "read_feather 0 source"),
    "pyarrow.orc": ("read_table 0 source", "ORCFile.__init__ 1 source"),
    "polars": ("read_csv 0 source", "scan_csv 0 source", "read_parquet 0 source", "scan_parquet 0 source",
               "read_json 0 source", "read_ndjson 0 source", "scan_ndjson 0 source", "read_ipc 0 source",
               "scan_ipc 0 source", "read_ipc_stream 0 source", "read_avro 0 source", "read_excel 0 source",
               "read_ods 0 source"),
    "duckdb": ("read_csv 0 path_or_buffer", "from_csv_auto 0 path_or_buffer", "read_parquet 0 file_glob",
               "from_parquet 0 file_glob", "read_json 0 path_or_buffer"),
}  # fmt: skip
"""What of each module reads: a function, which of its arguments is the path, and that one's name."""

_WRITES = {
    "pandas": ("DataFrame.to_parquet 1 path", "DataFrame.to_orc 1 path", "DataFrame.to_hdf 1 path_or_buf"),
    "pyarrow.parquet.core": ("ParquetWriter.__init__ 1 where",),
    "pyarrow.csv": ("write_csv 1 output_file",),
    "pyarrow.feather": ("write_feather 1 dest",),
    "pyarrow.orc": ("write_table 1 where", "ORCWriter.__init__ 1 where"),
    "polars": ("DataFrame.write_csv 1 file", "DataFrame.write_parquet 1 file", "DataFrame.write_json 1 file",
               "DataFrame.write_ndjson 1 file", "DataFrame.write_ipc 1 file", "DataFrame.write_avro 1 file",
               "LazyFrame.sink_csv 1 path", "LazyFrame.sink_parquet 1 path", "LazyFrame.sink_ipc 1 path",
               "LazyFrame.sink_ndjson 1 path"),
}  # fmt: skip


def change(module: ModuleType, watch: Watch) -> None:
    """Wrap what of this module reads or writes files."""

    def read(path: Any) -> None:
        for file in _files(path, watch.log):
            watch.log.read(file)

    def wrote(path: Any) -> None:
        if isinstance(path, (str, os.PathLike)) and not _is_elsewhere(os.fspath(path)):
            watch.log.wrote(_plain(os.fspath(path)))

    for known, tell in ((_READS, read), (_WRITES, wrote)):
        for entry in known.get(module.__name__, ()):
            name, position, keyword = entry.split()
            _wrap(module, name, watch, tell, int(position), keyword)
    if module.__name__ == "pyarrow.dataset":
        _wrap_write_dataset(module, watch)


def _wrap(
    module: ModuleType, name: str, watch: Watch, tell: Callable[[Any], None], position: int, keyword: str
) -> None:
    """Tell of the path that a function is called with, then call it. A function that is not there is none to wrap."""
    owner, _, method = name.rpartition(".")
    place = getattr(module, owner, None) if owner else module
    original = getattr(place, method, None)
    if original is None:
        return

    @functools.wraps(original)
    def watched(*arguments: Any, **options: Any) -> Any:
        if watch.scratch is not None:
            arguments, options = _moved(watch.scratch, arguments, options, position, keyword)
        path = arguments[position] if len(arguments) > position else options.get(keyword)
        if options.get("filesystem") is None:
            watch.quietly(tell, path)
        return original(*arguments, **options)

    setattr(place, method, watched)


def _moved(
    scratch: Scratch, arguments: tuple[Any, ...], options: dict[str, Any], position: int, keyword: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a function is called with, its path or the list of its paths turned into those of the scratch folder."""
    if len(arguments) > position:
        path = _move(scratch, arguments[position])
        return (*arguments[:position], path, *arguments[position + 1 :]), options
    return arguments, {**options, keyword: _move(scratch, options[keyword])} if keyword in options else options


def _move(scratch: Scratch, source: Any) -> Any:
    return [scratch.file(item) for item in source] if isinstance(source, (list, tuple)) else scratch.file(source)


def _wrap_write_dataset(module: Any, watch: Watch) -> None:
    """A dataset is written as files that pyarrow names: those that are new or different when it is done."""
    original = module.write_dataset

    @functools.wraps(original)
    def watched(data: Any, base_dir: Any, *arguments: Any, **options: Any) -> Any:
        if watch.scratch is not None:
            base_dir = watch.scratch.file(base_dir)
        local = options.get("filesystem") is None and isinstance(base_dir, (str, os.PathLike))
        before = watch.quietly(_stamps, base_dir, watch.log) if local else None
        try:
            return original(data, base_dir, *arguments, **options)
        finally:
            if before is not None:
                watch.quietly(_tell_new, base_dir, before, watch.log)

    module.write_dataset = watched


def _stamps(folder: Any, log: Log) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for path in log.data_below(os.fspath(folder)):
        status = os.stat(path)
        found[path] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def _tell_new(folder: Any, before: dict[str, tuple[int, ...]], log: Log) -> None:
    for path, stamp in _stamps(folder, log).items():
        if before.get(path) != stamp:
            log.wrote(path)


def _files(source: Any, log: Log) -> Iterator[str]:
    """The local files that a source means: a path, a folder, a pattern, or a list of these."""
    if isinstance(source, (list, tuple)):
        for item in source:
            yield from _files(item, log)
    elif isinstance(source, (str, os.PathLike)) and not _is_elsewhere(os.fspath(source)):
        path = _plain(os.fspath(source))
        if os.path.isdir(path):
            yield from log.data_below(path)
        elif os.path.exists(path):
            yield path
        elif glob.has_magic(path):
            yield from sorted(file for file in glob.glob(path, recursive=True) if os.path.isfile(file))


def _is_elsewhere(path: Any) -> bool:
    return not isinstance(path, str) or ("://" in path and not path.startswith("file://"))


def _plain(path: str) -> str:
    return path[len("file://") :] if path.startswith("file://") else os.path.expanduser(path)
