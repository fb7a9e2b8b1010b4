"""Checkpoints of a Delta log: Parquet files that hold the whole state at a version, in one part or several.

Only complete classic checkpoints count. One that keeps its files elsewhere (version 2) is refused where it is
met, for read as a classic one it would be a table with no files.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from lin.data.actions import Action, ActionError, convert_actions

_CLASSIC = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet")
_VERSION_2 = re.compile(r"(\d{20})\.checkpoint\.[0-9a-f-]{36}\.(?:json|parquet)")
_COLUMNS = [
    "add.path",
    "add.size",
    "add.modificationTime",
    "add.partitionValues",
    "add.dataChange",
    "add.stats",
    "add.stats_parsed.numRecords",
    "add.deletionVector",
    "metaData",
    "protocol",
    "sidecar",
]


class CheckpointV2Error(ActionError):
    """A checkpoint of version 2, which keeps its files in others."""


def complete_checkpoints(names: Iterable[str]) -> dict[int, list[str]]:
    """The versions that have a complete classic checkpoint among `names`, each with its files in order."""
    parts: dict[tuple[int, int], set[tuple[int, str]]] = {}
    for match in filter(None, map(_CLASSIC.fullmatch, names)):
        version, part, total = int(match[1]), int(match[2] or 1), int(match[3] or 1)
        if match[2] is None:
            total = 0  # a file of its own goes before any set of parts
        parts.setdefault((version, total), set()).add((part, match[0]))
    complete: dict[int, list[str]] = {}
    for (version, total), found in sorted(parts.items()):
        if [number for number, _ in sorted(found)] == list(range(1, max(total, 1) + 1)):
            complete.setdefault(version, [name for _, name in sorted(found)])
    return complete


def v2_checkpoints(names: Iterable[str]) -> list[int]:
    """The versions that have a checkpoint of version 2 among `names`."""
    return sorted({int(match[1]) for match in map(_VERSION_2.fullmatch, names) if match})


def read_checkpoint(folder: Path, names: list[str]) -> list[Action]:
    """The actions of a checkpoint: metadata, protocol and every file; what was removed before is left out.

    Raises:
        ActionError: a part is damaged. CheckpointV2Error: it keeps its files in others.
    """
    return [action for name in names for action in _read_part(folder / name)]


def _read_part(path: Path) -> list[Action]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # the file, not the folder: pyarrow must not take it for a data set with partitions
        with pq.ParquetFile(path) as file:
            rows = file.read(columns=_COLUMNS).to_pylist(maps_as_pydicts="strict")
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise ActionError(f"{path.name}: {error}") from error
    if any(row.get("sidecar") for row in rows):
        raise CheckpointV2Error(path.name)
    return convert_actions(rows)
