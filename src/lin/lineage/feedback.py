"""Feedback: a model trained on what a model predicted. Found by walking a table's log back from the version read."""

from collections.abc import Iterator

import msgspec

from lin.data.history import VersionInfo, read_history
from lin.data.tables import Table
from lin.project import Project
from lin.records import TableRef
from lin.runs.query import RunInfo


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """A table version that a run read holds predictions: which version wrote them, by which model, in which run."""

    table: str
    read: int
    written: int
    model: str
    run: str | None


def find_feedback(project: Project, run: RunInfo) -> list[Feedback]:
    """The write-backs of predictions in the data that a run read, newest first."""
    found = []
    for read in run.table_inputs:
        history = read_history(Table(read.table, project.store_root / read.location))
        found += [_feedback(read, entry) for entry in walk_back(history, read.version) if entry.model is not None]
    return found


def _feedback(read: TableRef, entry: VersionInfo) -> Feedback:
    return Feedback(table=read.table, read=read.version, written=entry.version, model=entry.model or "", run=entry.run)


def walk_back(history: list[VersionInfo], version: int) -> Iterator[VersionInfo]:
    """The commits that the data of `version` may come from, newest first.

    A RESTORE to version t jumps to t: what lay between did not survive it. The log is foreign: one that restores a
    later version is not followed there, so the walk ends.
    """
    by_version = {entry.version: entry for entry in history}
    current: int | None = version
    while current is not None and (entry := by_version.get(current)) is not None:
        yield entry
        jumps = entry.restored is not None and entry.restored < current
        current = entry.restored if jumps else current - 1
