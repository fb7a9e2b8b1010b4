"""Feedback: a model trained on what a model predicted. Found by walking a table's log back from the version read."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import msgspec

from lin.data.history import VersionInfo, read_history
from lin.data.tables import Table
from lin.errors import LinError
from lin.project import Project
from lin.records import TableRef
from lin.runs.query import RunInfo, read_run


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """A table version that a run read holds predictions: which version wrote them, by which model, in which run."""

    table: str
    read: int
    written: int
    model: str
    run: str | None


class WrittenBack(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions in a column of what a run read: whose, how many cells, and what the run took the column for.

    `kept` counts the cells of them that nobody wrote again before the version `read`, which has `rows` rows; None
    where that cannot be found out. `role` is None where the run does not tell what it used.
    """

    table: str
    read: int
    rows: int
    written: int
    model: str
    run: str | None
    user: str | None
    time: datetime | None
    column: str
    cells: int
    kept: int | None
    role: Literal["target", "feature", "not used"] | None


def find_feedback(project: Project, run: RunInfo) -> list[Feedback]:
    """The write-backs of predictions in the data that a run read, newest first."""
    return [
        Feedback(table=read.table, read=read.version, written=entry.version, model=entry.model or "", run=entry.run)
        for read, entry, _ in _walk_inputs(project, run)
        if entry.model is not None
    ]


def find_written_back(project: Project, run: RunInfo) -> list[WrittenBack]:
    """As `find_feedback`, with the columns, the cells, and whether they were still there when the run read them.

    The cells are those of the record of the run that wrote them, or else the rows of the two versions are compared.

    Raises:
        NotFoundError: a table is gone. OutsideError: its log or a file is damaged.
    """
    found = []
    for read, entry, is_last in _walk_inputs(project, run):
        if entry.model is None:
            continue
        table = _open(project, read)
        for column, cells in _count_cells(project, table, entry).items():
            kept = cells if is_last else _count_kept(table, read.version, entry.version, column)
            found.append(_written_back(run, read, entry, column, cells=cells, kept=kept))
    return found


def _walk_inputs(project: Project, run: RunInfo) -> Iterator[tuple[TableRef, VersionInfo, bool]]:
    """The commits behind each table that the run read, and whether nothing but restores came after them."""
    for read in run.table_inputs:
        is_last = True
        history = read_history(Table(read.table, project.store_root / read.location))
        for entry in walk_back(history, read.version):
            yield read, entry, is_last
            is_last = is_last and entry.restored is not None


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


# --- how much of it -------------------------------------------------------------------------------------------------


def _open(project: Project, read: TableRef) -> Table:
    """The table as the run read it, with the key that it is declared with now."""
    root = (project.store_root / read.location).resolve()
    declared = project.config.tables.get(read.table)
    key = declared.key if declared and (project.root / declared.path).resolve() == root else ()
    return Table(read.table, root, tuple(key), tuple(read.order))


def _count_cells(project: Project, table: Table, entry: VersionInfo) -> dict[str, int]:
    """The cells of each column that a commit wrote."""
    if entry.run is not None and (told := _told_by_run(project, entry.run)):
        return told
    from lin.data.diff import diff_versions

    diff = diff_versions(table, entry.version - 1, entry.version, limit=0)
    return diff.columns | dict.fromkeys(diff.added_columns, entry.rows or 0)


def _told_by_run(project: Project, run_id: str) -> dict[str, int]:
    """What `lin predict --into` says of itself; nothing where no such run is recorded here."""
    try:
        run = read_run(project.store, run_id)
    except LinError:
        return {}
    column, rows = run.params.get("column"), run.params.get("rows")
    return {column: rows} if run.kind == "predict" and isinstance(column, str) and isinstance(rows, int) else {}


def _count_kept(table: Table, read: int, written: int, column: str) -> int | None:
    """The cells that `written` was the last to write, if rows can be followed and the files are still there."""
    from lin.data.blame import blame_version

    if not table.key:
        return None
    try:
        writers = blame_version(table, read, columns=[column], limit=0).writers
    except LinError:
        return None
    if any(not writer.exact and writer.version >= written for writer in writers):
        return None
    return sum(writer.cells for writer in writers if writer.version == written)


def _written_back(
    run: RunInfo, read: TableRef, entry: VersionInfo, column: str, *, cells: int, kept: int | None
) -> WrittenBack:
    return WrittenBack(
        table=read.table,
        read=read.version,
        rows=read.rows,
        written=entry.version,
        model=entry.model or "",
        run=entry.run,
        user=entry.user,
        time=entry.time,
        column=column,
        cells=cells,
        kept=kept,
        role=_role(run, column),
    )


def _role(run: RunInfo, column: str) -> Literal["target", "feature", "not used"] | None:
    if run.fit is None:
        return None
    return "target" if run.fit.target == column else "feature" if column in run.features else "not used"
