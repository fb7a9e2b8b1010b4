"""A table version laid out in another folder, as it was when it was pinned: for a program that runs again.

Nothing leads from there to the live table: data files are copied, and each is checked against its pin on the way. The
log goes as far as the newest version that is wanted. Where the live log does not tell these versions any more, as they
were pinned, it is written anew from the pins.
"""

import fcntl
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import msgspec

from lin.data.checkpoints import complete_checkpoints
from lin.data.files import open_data_file, open_log_file
from lin.data.log import Snapshot
from lin.data.pins import pinned_metadata, pinned_positions
from lin.data.recommit import Place, place_of, stats_of, vector_words
from lin.data.tables import Table
from lin.errors import LinError, NotFoundError, OutsideError
from lin.records import DataFile, Pin

_CHUNK = 1 << 20
_CLONE = 0x40049409
"""FICLONE of Linux: two files share their blocks until one of them is written."""
_SIDECARS = "_sidecars"
_FEATURES = {"deletionVectors", "timestampNtz"}
_COLUMN_ID = re.compile(r'"delta\.columnMapping\.id":(\d+)')


def replicate(table: Table, target: Path, pins: Mapping[int, Pin], *, head: int | None = None) -> None:
    """Lay the pinned versions of a table out in the folder `target`; the last of them is its newest.

    A log that is in that folder is replaced, and so are files of the same names.

    Args:
        table: the live one.
        target: where to.
        pins: what each wanted version is.
        head: a newer version that is to be the newest, if the live log has it: its data files go along unchecked, as
            far as they are there. For a program that wrote to the table after that version.

    Raises:
        OutsideError: names the data file that is missing, altered or refused, or the disk fails.
        NotFoundError: the live log does not have the version `head`.
    """
    newest = max([*pins, *([] if head is None else [head])])
    live = _read_live(table, pins, head)
    try:
        if (target / "_delta_log").is_dir():
            shutil.rmtree(target / "_delta_log")
        (target / "_delta_log").mkdir(parents=True)
        for file in {place_of(file): file for pin in pins.values() for file in pin.files}.values():
            _copy_pinned(table, target, file)
        if live is None:
            _write_log(table, target / "_delta_log", pins)
            return
        _copy_log(table, target / "_delta_log", newest)
        if head is not None:
            _copy_unchecked(table, target, live[head])
    except OSError as error:
        raise OutsideError(f"table '{table.name}' cannot be laid out in {target}: {error}") from error


def _read_live(table: Table, pins: Mapping[int, Pin], head: int | None) -> dict[int, Snapshot] | None:
    """The versions as the live log tells them, if it means by each of them what was pinned."""
    try:
        if table.log.versions()[-1] < max(pins, default=0):
            return None
        found = {version: table.log.snapshot(version) for version in pins}
    except (NotFoundError, OutsideError):
        if head is not None:
            raise
        return None
    if not all(_is_as_pinned(table, found[version], pin) for version, pin in pins.items()):
        if head is not None:
            raise NotFoundError(f"table '{table.name}' was made anew: version {head} is not what it was")
        return None
    return found if head is None else found | {head: table.log.snapshot(head)}


def _is_as_pinned(table: Table, snapshot: Snapshot, pin: Pin) -> bool:
    meant = pinned_metadata(table, pin)
    return (
        [(place_of(file), file.bytes, file.partition) for file in snapshot.files]
        == [(place_of(file), file.bytes, file.partition) for file in pin.files]
        and snapshot.metadata.schema == meant.schema
        and snapshot.metadata.partition_columns == meant.partition_columns
        and snapshot.metadata.mapping == meant.mapping
    )


# --- data files -------------------------------------------------------------------------------------------------------


def _copy_pinned(table: Table, target: Path, file: DataFile) -> None:
    if _copy(table, target, file.path) != file.sha256:
        raise OutsideError(
            f"data file {file.path!r} of table '{table.name}' was altered: its sha256 is not as pinned",
            hint="restore that file from a backup of the table",
        )
    if file.vector is not None and file.vector.path is not None:
        _copy(table, target, file.vector.path)
    pinned_positions(Table(table.name, target), file)


def _copy_unchecked(table: Table, target: Path, snapshot: Snapshot) -> None:
    for file in snapshot.files:
        if (target / file.path).exists():
            continue
        for path in (file.path, file.vector.path if file.vector else None):
            if path is not None:
                with suppress(LinError):
                    _copy(table, target, path)


def _copy(table: Table, target: Path, path: str) -> str:
    """Copy a file of the table, in place of what is there; returns the sha256 of the copy."""
    if ".." in PurePosixPath(path).parts or path.startswith("/"):
        raise OutsideError(f"data file {path!r} of table '{table.name}' lies outside the table's folder")
    place = target / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    try:
        with open_data_file(table.root, path) as source, place.open("xb+") as made:
            if _clone(source.fileno(), made.fileno()):
                return hashlib.file_digest(made, "sha256").hexdigest()
            whole = hashlib.sha256()
            while chunk := source.read(_CHUNK):
                whole.update(chunk)
                made.write(chunk)
            return whole.hexdigest()
    except FileNotFoundError as error:
        raise OutsideError(
            f"data file {path!r} of table '{table.name}' is missing",
            hint="restore that file from a backup of the table",
        ) from error


def _clone(source: int, made: int) -> bool:
    """Let `made` share the blocks of `source`, where the file system can do that."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        fcntl.ioctl(made, _CLONE, source)
    except OSError:
        return False
    return True


# --- the log ----------------------------------------------------------------------------------------------------------


def _copy_log(table: Table, target: Path, newest: int) -> None:
    names = [entry.name for entry in table.log.folder.iterdir()]
    checkpoints = complete_checkpoints(names)
    needed = {name for version in checkpoints if version <= newest for files in checkpoints[version] for name in files}
    versions = [version for version in table.log.versions() if version <= newest]
    commits = {f"{version:020d}.json" for version in versions}
    for name in sorted(commits.union(needed).intersection(names)):
        with open_log_file(table.log.folder, name) as source, (target / name).open("xb") as made:
            shutil.copyfileobj(source, made)
            status = os.fstat(source.fileno())
        os.utime(target / name, ns=(status.st_atime_ns, status.st_mtime_ns))  # some readers take it for its time
    if needed and (table.log.folder / _SIDECARS).is_dir():
        shutil.copytree(table.log.folder / _SIDECARS, target / _SIDECARS)


def _write_log(table: Table, target: Path, pins: Mapping[int, Pin]) -> None:
    """A log that has each of these versions, and no rows in those before the first."""
    ranks = _rank_files(table, pins)
    before = Pin(schema="", reader=[], partition_columns=[], files=[])
    for version in range(max(pins) + 1):
        actions: list[dict[str, Any]] = [{"commitInfo": {"operation": "REPLICA", "timestamp": 0}}]
        pin = pins.get(version)
        if version == 0:
            actions.append({"protocol": _protocol(pins.values())})
            actions.append({"metaData": _metadata(table, pin or pins[min(pins)])})
        if pin is not None:
            if version > 0:
                actions.append({"metaData": _metadata(table, pin)})
            actions += _change_files(table, before, pin, ranks)
            before = pin
        lines = b"".join(msgspec.json.encode(action) + b"\n" for action in actions)
        (target / f"{version:020d}.json").write_bytes(lines)


def _rank_files(table: Table, pins: Mapping[int, Pin]) -> dict[Place, int]:
    """A modification time for each file, by which all versions have their files in the order of their pins."""
    order: TopologicalSorter[Place] = TopologicalSorter()
    for pin in pins.values():
        for file in pin.files:
            order.add(place_of(file))
        for first, second in pairwise(pin.files):
            order.add(place_of(second), place_of(first))
    try:
        return {place: rank for rank, place in enumerate(order.static_order())}
    except CycleError as error:
        raise OutsideError(
            f"versions {', '.join(map(str, sorted(pins)))} of table '{table.name}' have the same files in another "
            "order, and its log does not tell them any more"
        ) from error


def _change_files(table: Table, before: Pin, pin: Pin, ranks: Mapping[Place, int]) -> list[dict[str, Any]]:
    old = {place_of(file): file for file in before.files}
    new = {place_of(file): file for file in pin.files}
    removes = [
        {"remove": _named(table, file) | {"deletionTimestamp": 0, "dataChange": True}}
        for place, file in old.items()
        if place not in new
    ]
    adds = [
        {
            "add": _named(table, file)
            | {
                "partitionValues": file.partition,
                "size": file.bytes,
                "modificationTime": ranks[place],
                "dataChange": True,
                "stats": stats_of(table, file),
            }
        }
        for place, file in new.items()
        if place not in old
    ]
    return removes + adds


def _named(table: Table, file: DataFile) -> dict[str, Any]:
    vector = vector_words(table, file.vector)
    return {"path": quote(file.path, safe="/=")} | ({"deletionVector": vector} if vector else {})


def _protocol(pins: Iterable[Pin]) -> dict[str, Any]:
    words = {word for pin in pins for word in pin.reader}
    features = sorted(words & _FEATURES) + (["columnMapping"] if any(":" in word for word in words) else [])
    if not features:
        return {"minReaderVersion": 1, "minWriterVersion": 2}
    return {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}


def _metadata(table: Table, pin: Pin) -> dict[str, Any]:
    mode = pinned_metadata(table, pin).mapping
    ids = [int(number) for number in _COLUMN_ID.findall(pin.schema)]
    mapped = {"delta.columnMapping.mode": mode, "delta.columnMapping.maxColumnId": str(max(ids, default=0))}
    return {
        "id": str(uuid5(NAMESPACE_URL, table.name)),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": pin.schema,
        "partitionColumns": pin.partition_columns,
        "configuration": mapped if mode != "none" else {},
        "createdTime": 0,
    }
