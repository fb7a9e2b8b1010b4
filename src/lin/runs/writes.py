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
from lin.project import Project
from lin.records import DataFile, Input, Kind, Pin, Status, TableRef, encode
from lin.runs.record import Recorder, begin_run, capture
from lin.version import __version__


def pin_input(project: Project, table: Table, version: int | None = None) -> tuple[Pin, TableRef]:
    """Pin a table version (default: the newest) and keep the pin; returns it and the reference that a run records."""
    snapshot = table.log.snapshot(version)
    pin = pin_version(table, snapshot)
    return pin, _keep_pin(project, table, snapshot, pin)


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
        _, written = pin_input(project, table, version)
        recorder.log_output(written)
    return recorder.id, written
