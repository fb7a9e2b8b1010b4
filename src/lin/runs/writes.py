"""Writes to tables as recorded runs: what was read, what was written, and the run's id in the commit itself."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from lin.data.commit import Attribution
from lin.data.log import Snapshot
from lin.data.pins import pin_digest, pin_version
from lin.data.tables import Table
from lin.data.write import Written
from lin.errors import NotFoundError, OutsideError, StoreError
from lin.project import Project
from lin.records import DataFile, Input, Kind, Pin, Status, TableRef, decode, encode
from lin.runs.links import read_links
from lin.runs.record import Recorder, begin_run, capture
from lin.version import __version__


def pin_input(project: Project, table: Table, version: int | None = None) -> tuple[Pin, TableRef]:
    """Pin a table version (default: the newest) and keep the pin; returns it and the reference that a run records.

    Raises:
        OutsideError: a file of it is not what it was when a run pinned this version, or the one next to it.
    """
    snapshot = table.log.snapshot(version)
    pin = pin_version(table, snapshot)
    if project.store.blobs.size(pin_digest(pin)) is None:  # what was pinned before is what it was
        _refuse_altered(project, table, snapshot.version, pin)
    return pin, _keep_pin(project, table, snapshot, pin)


def pin_found(project: Project, table: Table, version: int) -> tuple[Pin, TableRef]:
    """As `pin_input`, of what lies there: for a version that this process made, or that is held against pins anyway."""
    snapshot = table.log.snapshot(version)
    pin = pin_version(table, snapshot)
    return pin, _keep_pin(project, table, snapshot, pin)


def _refuse_altered(project: Project, table: Table, version: int, pin: Pin) -> None:
    """Hold the files against earlier pins of this table that are nearest: a data file never changes."""
    digests = {file.path: file.sha256 for file in pin.files}
    for near, sha256 in read_links(project.store).pins_near(project.locate(table.root), version):
        altered = [
            file.path for file in _read_files(project, sha256) if digests.get(file.path, file.sha256) != file.sha256
        ]
        if altered:
            raise OutsideError(
                f"data file {altered[0]!r} of table '{table.name}' was altered since a run pinned version {near}",
                hint="restore it from a backup; lin tables --check tells who stands on it",
            )


def _read_files(project: Project, pin: str) -> list[DataFile]:
    """The files of a pin; of one that is lost nobody can tell, which `lin fsck` says."""
    try:
        return decode(project.store.blobs.read(pin), Pin, where="a pin").files
    except (StoreError, NotFoundError):
        return []


def pin_output(project: Project, table: Table, written: Written) -> TableRef:
    """Keep the pin of a version that this process wrote, of the bytes as they were written: none is read again."""
    snapshot = table.log.snapshot(written.version)
    files = [
        DataFile(path=file.path, bytes=file.bytes, sha256=written.digests[file.path], partition=file.partition)
        for file in snapshot.files
    ]
    without_files = pin_version(table, msgspec.structs.replace(snapshot, files=[]))
    return _keep_pin(project, table, snapshot, msgspec.structs.replace(without_files, files=files))


def _keep_pin(project: Project, table: Table, snapshot: Snapshot, pin: Pin) -> TableRef:
    project.store.blobs.put(encode(pin))
    return TableRef(
        table=table.name,
        location=project.locate(table.root),
        version=snapshot.version,
        pin=pin_digest(pin),
        rows=sum(file.rows or 0 for file in snapshot.files),
        order=list(table.order),
        commit=table.log.digest(snapshot.version),
    )


@contextmanager
def recording(
    project: Project,
    *,
    kind: Kind,
    name: str,
    reason: str | None = None,
    inputs: list[Input] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Iterator[Recorder]:
    """A run that is sealed however the block ends: finished, failed with what was raised, or interrupted."""
    recorder = begin_run(project, capture(project), kind=kind, name=name, reason=reason, inputs=inputs, params=params)
    try:
        yield recorder
    except BaseException as error:
        status: Status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        recorder.seal(status, error=str(error) or type(error).__name__)
        raise
    recorder.seal("finished")


def attribution_of(project: Project, recorder: Recorder, *, model: str | None = None) -> Attribution:
    """What the commit of a run says of itself; a write has a reason."""
    reason = recorder.start.reason or recorder.start.name
    return Attribution(run=recorder.id, user=project.actor, reason=reason, model=model, lin=__version__)


def record_write(
    project: Project,
    table: Table,
    commit: Callable[[Attribution], int],
    *,
    kind: Kind,
    name: str,
    reason: str,
    inputs: list[Input] | None = None,
    params: Mapping[str, Any] | None = None,
    model: str | None = None,
) -> tuple[str, TableRef]:
    """Let `commit` write a version of `table` inside a run of its own; returns the run's id and what it wrote.

    The commit is on disk before the run is sealed: a kill in between leaves the version whole, with the id of a run
    that then counts as abandoned.
    """
    with recording(project, kind=kind, name=name, reason=reason, inputs=inputs, params=params) as recorder:
        version = commit(attribution_of(project, recorder, model=model))
        _, written = pin_found(project, table, version)
        recorder.log_output(written)
    return recorder.id, written
