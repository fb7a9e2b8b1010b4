"""Writes to tables as recorded runs: what was read, what was written, and the run's id in the commit itself."""

from collections.abc import Callable, Mapping
from typing import Any

from lin.data.commit import Attribution
from lin.data.pins import pin_digest, pin_version
from lin.data.tables import Table
from lin.project import Project
from lin.records import Input, Kind, Pin, Status, TableRef, encode
from lin.runs.record import begin_run, capture
from lin.version import __version__


def pin_input(project: Project, table: Table, version: int | None = None) -> tuple[Pin, TableRef]:
    """Pin a table version (default: the newest) and keep the pin; returns it and the reference that a run records."""
    snapshot = table.log.snapshot(version)
    pin = pin_version(table, snapshot)
    project.store.blobs.put(encode(pin))
    reference = TableRef(
        table=table.name,
        location=project.locate(table.root),
        version=snapshot.version,
        pin=pin_digest(pin),
        rows=sum(file.rows or 0 for file in snapshot.files),
        order=list(table.order),
    )
    return pin, reference


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
    recorder = begin_run(project, capture(project), kind=kind, name=name, reason=reason, inputs=inputs, params=params)
    attribution = Attribution(run=recorder.id, user=project.actor, reason=reason, model=model, lin=__version__)
    try:
        version = commit(attribution)
        _, written = pin_input(project, table, version)
    except BaseException as error:
        status: Status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        recorder.seal(status, error=str(error) or type(error).__name__)
        raise
    recorder.log_output(written)
    recorder.seal("finished")
    return recorder.id, written
