"""Feedback: data that a run read and a model wrote. Found in the table's own log, and in the records of runs.

A commit is believed when it names a model (`lin.model`); one that does not counts when a recorded run wrote it and had
read a model version, or the very file of one. Whether the cells are still there is a question of values, as in blame:
a rewrite that leaves them as they were does not take them away, and a RESTORE to before them does. What commits said
that are no longer in the log is not known.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from lin.data.attributed import find_attributed
from lin.data.history import VersionInfo, describe_commit
from lin.data.tables import Table
from lin.errors import LinError
from lin.ids import short
from lin.project import Project
from lin.records import Fit, PredictedInput, TableRef
from lin.runs.model_users import find_model_users, list_model_files
from lin.runs.query import RunInfo, read_run
from lin.runs.written_cells import Counts, Writing, blame_writings

UNKNOWN_TAG = "lin.feedback"
"""Tells of a run why it is not known whether a model wrote what it read."""
FEW_COMMITS = 32
"""Of so many commits the runs are looked at that they name, if all do; of others the index of runs is asked."""
_NAMED = 3
"""As many columns of one role are named in a message."""

Role = Literal["target", "feature", "not used"]


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """A table version that a run read holds predictions: which version wrote them, by which model, in which run."""

    table: str
    read: int
    written: int
    model: str
    run: str | None


class WrittenBack(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions in a column of what a run read: whose, how many cells, and what the run took the column for.

    `cells` counts what the commit wrote, or at most that where the version before it is gone. `kept` counts those that
    nobody wrote again before the version `read`, which has `rows` rows; None where that cannot be found out. `role` is
    None where the run does not tell what it used. `by_run`: no commit says it; the run that wrote it used the model.
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
    role: Role | None
    by_run: bool = False


def find_feedback(project: Project, run: RunInfo) -> list[Feedback]:
    """The write-backs of predictions of which something may be left in the data that a run read, newest first."""
    left = [found for found in find_written_back(project, run) if found.kept != 0]
    return list(
        {
            (found.table, found.read, found.written): Feedback(
                table=found.table, read=found.read, written=found.written, model=found.model, run=found.run
            )
            for found in left
        }.values()
    )


def find_written_back(project: Project, run: RunInfo) -> list[WrittenBack]:
    """What models wrote into the tables that a run read, newest first, cells that are gone by then too (`kept` 0).

    Raises:
        NotFoundError: a table is gone. OutsideError: its log is damaged.
    """
    found = find_in_tables(project, run.table_inputs)
    return [msgspec.structs.replace(each, role=_role(each.column, run.fit, run.features)) for each in found]


def find_predicted(
    project: Project, tables: Sequence[TableRef], *, fit: Fit | None = None, features: Sequence[str] = ()
) -> list[PredictedInput]:
    """The columns of table versions that hold what models wrote, as the record of a run that reads them has it.

    Raises as `find_written_back`.
    """
    return as_predicted(find_in_tables(project, tables), fit=fit, features=features)


def as_predicted(found: Iterable[WrittenBack], *, fit: Fit | None, features: Sequence[str]) -> list[PredictedInput]:
    """What of it is still there, for the record of a run that uses these columns."""
    return [
        PredictedInput(
            table=each.table,
            version=each.read,
            column=each.column,
            written=each.written,
            model=each.model,
            rows=each.kept,
            role=_role(each.column, fit, features),
            by_run=each.by_run,
        )
        for each in found
        if each.kept != 0
    ]


def find_in_tables(project: Project, tables: Sequence[TableRef]) -> list[WrittenBack]:
    """What models wrote into these table versions, newest first, without roles. Raises as `find_written_back`."""
    distinct = {(read.location, read.version): read for read in tables}
    return [found for read in distinct.values() for found in _find_in_table(project, read)]


class LookedBack(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for a run that reads tables, or the `problem` why it is not known."""

    found: list[WrittenBack] = []
    problem: str | None = None

    @property
    def tags(self) -> dict[str, str]:
        """What the run is to be tagged with."""
        return {} if self.problem is None else {UNKNOWN_TAG: self.problem}

    @property
    def predicted(self) -> list[PredictedInput]:
        """As the record of a run has it that does not tell which columns it used."""
        return as_predicted(self.found, fit=None, features=())

    def warnings(self, *, fit: Fit | None = None, features: Sequence[str] = ()) -> list[str]:
        """What somebody who uses these columns is to be told."""
        unknown = [] if self.problem is None else [f"whether a model wrote what is read is {self.problem}"]
        return unknown + tell_written_back(self.found, fit=fit, features=features)


def look_back(project: Project, tables: Sequence[TableRef]) -> LookedBack:
    """As `find_in_tables`, for a run that goes on whatever the log of a table is like."""
    try:
        return LookedBack(found=find_in_tables(project, tables))
    except LinError as error:
        why = error.message
        for read in tables:  # a record names no folder of this machine
            why = why.replace(str(_open(project, read).root), f"table '{read.table}'")
        return LookedBack(problem=f"not known: {why}")


def recall(project: Project | None, run: RunInfo) -> list[WrittenBack]:
    """What the run's record tells of predictions in its data, and what the commits of a project's tables add to it."""
    reads = {(read.table, read.version): read for read in run.table_inputs}
    return [
        _recall(project, read, each)
        for each in run.predicted
        if (read := reads.get((each.table, each.version))) is not None
    ]


def _recall(project: Project | None, read: TableRef, told: PredictedInput) -> WrittenBack:
    try:
        entry = describe_commit(_open(project, read).log.commit(told.written)) if project else None
    except LinError:  # the table is gone, or its log is shorter by now
        entry = None
    return WrittenBack(
        table=read.table,
        read=read.version,
        rows=read.rows,
        written=told.written,
        model=told.model,
        run=entry.run if entry else None,
        user=entry.user if entry else None,
        time=entry.time if entry else None,
        column=told.column,
        cells=read.rows if told.rows is None else told.rows,
        kept=told.rows,
        role=told.role,
        by_run=told.by_run,
    )


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


def _role(column: str, fit: Fit | None, features: Sequence[str]) -> Role | None:
    if fit is None:
        return None
    return "target" if fit.target == column else "feature" if column in features else "not used"


# --- in one table -----------------------------------------------------------------------------------------------------


def _find_in_table(project: Project, read: TableRef) -> list[WrittenBack]:
    table = _open(project, read)
    writings = _list_writings(project, table, read)
    if not writings:
        return []
    from lin.data.timeline import read_timeline

    timeline = read_timeline(table.log, read.version)
    way = {step.version: position for position, step in enumerate(timeline.steps) if step.info is not None}
    writings = [writing for writing in writings if writing.entry.version in way]
    newest = timeline.snapshot(timeline.head, []).metadata
    columns = [name for name in newest.columns if name not in table.key] if newest else []
    counts = Counts(table, read, timeline, columns, blame_writings(table, read, writings, columns))
    return [
        _written_back(read, writing, column, cells=cells, kept=kept)
        for writing in writings
        for column, cells, kept in counts.of(writing, way[writing.entry.version])
    ]


def _open(project: Project, read: TableRef) -> Table:
    """The table as the run read it, with the key that it is declared with now."""
    root = (project.store_root / read.location).resolve()
    declared = project.config.tables.get(read.table)
    key = declared.key if declared and (project.root / declared.path).resolve() == root else ()
    return Table(read.table, root, tuple(key), tuple(read.order))


def _list_writings(project: Project, table: Table, read: TableRef) -> list[Writing]:
    """The commits up to the version read that a model is behind, newest first."""
    named = {entry.version: entry for entry in find_attributed(table.log, read.version)}
    writings = [
        Writing(entry, entry.model or "", entry.run, by_run=False, told=_told_by_run(project, entry.run))
        for entry in named.values()
    ]
    if registered := list_model_files(project.store):
        writings += _list_silent(project, table, read, named, registered)
    return sorted(writings, key=lambda writing: -writing.entry.version)


def _list_silent(
    project: Project, table: Table, read: TableRef, named: Collection[int], registered: Mapping[str, str]
) -> Iterator[Writing]:
    """The commits that do not name a model, and that a recorded run made which had used one."""
    others = [version for version in table.log.versions() if version <= read.version and version not in named]
    entries = [describe_commit(table.log.commit(version)) for version in others] if len(others) <= FEW_COMMITS else []
    runs = [entry.run for entry in entries if entry.run]
    told = runs if len(runs) == len(others) else None  # else some run may have watched a commit that does not tell
    for version, (run, model) in find_model_users(project.store, read.location, registered, runs=told).items():
        if version in others:
            entry = describe_commit(table.log.commit(version))
            yield Writing(entry, model, run, by_run=True, told={})


def _told_by_run(project: Project, run_id: str | None) -> dict[str, int]:
    """What `lin predict --into` says of itself; nothing where no such run is recorded here."""
    try:
        run = read_run(project.store, run_id) if run_id else None
    except LinError:
        return {}
    if run is None or run.kind != "predict":
        return {}
    column, rows = run.params.get("column"), run.params.get("rows")
    return {column: rows} if isinstance(column, str) and isinstance(rows, int) else {}


def _written_back(read: TableRef, writing: Writing, column: str, *, cells: int, kept: int | None) -> WrittenBack:
    entry = writing.entry
    return WrittenBack(
        table=read.table,
        read=read.version,
        rows=read.rows,
        written=entry.version,
        model=writing.model,
        run=writing.run,
        user=entry.user,
        time=entry.time,
        column=column,
        cells=cells,
        kept=kept,
        role=None,
        by_run=writing.by_run,
    )


# --- in words ---------------------------------------------------------------------------------------------------------


def tell_written_back(
    found: Iterable[WrittenBack], *, fit: Fit | None = None, features: Sequence[str] = ()
) -> list[str]:
    """A sentence for each commit and role of which something is left in what is used."""
    groups: dict[tuple[str, int, int, Role | None], list[WrittenBack]] = {}
    for each in found:
        role = _role(each.column, fit, features)
        if each.kept != 0 and role != "not used":
            groups.setdefault((each.table, each.read, each.written, role), []).append(each)
    ranked = sorted(groups.items(), key=lambda item: item[0][3] != "target")
    return [_tell_group(role, group) for (*_, role), group in ranked]


def tell_recorded(project: Project | None, run: RunInfo) -> list[str]:
    """The same of what the run's record tells: see `recall`."""
    return tell_written_back(recall(project, run), fit=run.fit, features=run.features)


def _tell_group(role: Role | None, group: Sequence[WrittenBack]) -> str:
    first = group[0]
    known = [each.kept for each in group if each.kept is not None]
    most = len(group) > 1 and len({*known}) > 1
    number = f"{'up to ' * most}{max(known):,} of {first.rows:,} values" if known else "values"
    rest = "" if known else "; how many of them are still there is not known"
    where = f"{tell_columns(role, [each.column for each in group])} in {first.table}@{first.read}"
    facts = [f"{first.table}@{first.written}", *([f"by {first.user}"] if first.user else [])]
    run = [f"run {short(first.run)}"] if first.run else []
    if first.by_run:
        return f"{number} of {where} were written by a run that used {first.model} ({', '.join([*facts, *run])}){rest}"
    return f"{number} of {where} were written by {first.model} ({', '.join([*facts, *run])}){rest}"


def tell_columns(role: Role | None, columns: Sequence[str]) -> str:
    """`the target medv`, `the feature rm`, `each of 13 features (crim, zn, indus, …)`."""
    noun = role or "column"
    if len(columns) == 1:
        return f"the {noun} {columns[0]}"
    more = ", …" if len(columns) > _NAMED else ""
    return f"each of {len(columns)} {noun}s ({', '.join(columns[:_NAMED])}{more})"
