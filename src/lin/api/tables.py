"""Tables from Python: a version read into Arrow, rows written as a version, both pinned and recorded by the run."""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from lin.api.session import active_run, current_log, current_project, reopen_project
from lin.config import TableSetting, check_name
from lin.data.append import append_rows, require_key
from lin.data.commit import Attribution, has_versions
from lin.data.diff import TableDiff, diff_versions
from lin.data.log import DeltaLog, Snapshot
from lin.data.read import read_pin
from lin.data.tables import Table, open_table, split_reference
from lin.data.write import create_table, replace_rows
from lin.errors import ConflictError, UsageError
from lin.ids import is_id
from lin.project import Project, declare_table
from lin.runs.log import plain_text
from lin.runs.writes import pin_found, pin_input, record_write
from lin.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa

Mode = Literal["overwrite", "append"]


def read_table(name: str, *, version: int | None = None) -> "pa.Table":
    """The rows of a table version (default: the newest) in canonical order; the active run records what was read.

    `name` may be `housing@1`. Every data file is checked against the pin that is recorded. For pandas:
    `lin.read_table("housing").to_pandas()`.

    Raises:
        NotFoundError: no such table or version. OutsideError: it cannot be read. UsageError: two versions are given.
    """
    name, given = split_reference(name)
    if given is not None and version is not None:
        raise UsageError(f"'{name}@{given}' is a version already", hint=f"lin.read_table('{name}', version={version})")
    project = current_project()
    if name not in project.config.tables:
        project = reopen_project()  # it may have been added since
    table = open_table(project, name)
    pin, reference = pin_input(project, table, version if given is None else given)
    rows = read_pin(table, pin)
    if active_run() is not None:
        current_log().log_input(reference)
    return rows


class TableChanges(TableDiff, frozen=True, kw_only=True):
    """A `TableDiff` that a notebook shows as a table, the changed cells marked."""

    def _repr_html_(self) -> str:
        from lin.runs.cards import diff_html

        return diff_html(self)


def diff_table(name: str, old: int, new: int, *, limit: int = 20) -> TableChanges:
    """What differs from version `old` to version `new` of a table, by its key; at most `limit` rows are listed.

    Raises:
        NotFoundError: no such table or version. OutsideError: it cannot be read.
    """
    table = open_table(current_project(), name)
    return TableChanges(**msgspec.structs.asdict(diff_versions(table, old, new, limit=limit)))


def write_table(
    name: str, rows: Any, *, mode: Mode = "overwrite", key: Sequence[str] | str = (), reason: str | None = None
) -> int:
    """Write rows as the next version of a table, or as version 0 of a new one; returns the version.

    The version is an output of the active run, whose id is in the commit; without one it is recorded as a run of its
    own. A table that `lineage.toml` does not declare is made in `data/NAME` and declared there; a write that was killed
    in between is taken up. An overwrite keeps
    the table's columns and may bring more; rows that are appended have exactly its columns, and come last. A key stays
    unique. The version is on disk, and was checked, when this returns.

    Args:
        name: the table.
        rows: an Arrow table, a pandas or Polars frame, a dict of columns, or whatever else gives an Arrow stream. In a
            pandas frame NaN is null, and an index is a column if it has a name. All of it is held in memory.
        mode: "overwrite" replaces the rows, "append" adds to them.
        key: the columns that identify a row of a new table.
        reason: why; kept in the commit.

    Raises:
        UsageError: the rows are none, do not fit the table, or break its key.
        ConflictError: somebody wrote to the table meanwhile, or it is declared with another key; nothing was changed.
        OutsideError: the table asks of its writers what lin does not do, or the file system failed.
    """
    name = plain_text(name)
    if mode not in {"overwrite", "append"}:
        raise UsageError(f"'{mode}' is no mode", hint="mode='overwrite' or mode='append'")
    said = plain_text(reason or f"lin.write_table, {mode}")
    arrow = _as_arrow(rows)
    project = reopen_project()
    setting = _setting(
        project, name, [plain_text(key)] if isinstance(key, str) else [plain_text(column) for column in key]
    )
    table = Table(name, project.root / setting.path, tuple(setting.key), tuple(setting.order))
    base = table.log.snapshot() if has_versions(table.log) else None
    require_key(table, arrow, base if mode == "append" else None)
    version = _record(project, table, partial(_commit, table, base, arrow, mode), said)
    declare_table(project, name, setting)
    return version


def _setting(project: Project, name: str, key: list[str]) -> TableSetting:
    """What the table is declared as, or is to be."""
    declared = project.config.tables.get(check_name(name, "a table"))
    if declared is None:
        made = TableSetting(path=f"data/{name}", key=key)
        if not _is_free(project, DeltaLog(project.root / made.path, name)):
            raise ConflictError(
                f"there is a Delta table in {made.path} that is not declared", hint=f"lin add {name} {made.path}"
            )
        return made
    if key and key != declared.key:
        raise ConflictError(
            f"table '{name}' is declared with the key {declared.key}, not {key}",
            hint=f"leave the key out, or change [tables.{name}] in lineage.toml",
        )
    return declared


def _is_free(project: Project, log: DeltaLog) -> bool:
    """Whether there is no table, or the first version of one whose run was killed before it was declared."""
    if not has_versions(log):
        return True
    run = log.commit(0).info.get("lin.run") if log.head() == 0 else None
    return isinstance(run, str) and is_id(run) and project.store.runs.has_begun(run)


def _as_arrow(rows: Any) -> "pa.Table":
    import pyarrow as pa

    try:
        table = _frame_as_arrow(rows) if _is_frame(rows) else pa.table(rows)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"a {type(rows).__name__} cannot be written as a table: {error}",
            hint="give an Arrow table, a pandas or Polars frame, or a dict of columns",
        ) from error
    if not table.num_columns:
        raise UsageError("rows without columns cannot be written as a table")
    return table


def _is_frame(rows: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(rows, pandas.DataFrame)


def _frame_as_arrow(frame: Any) -> "pa.Table":
    import pyarrow as pa

    named = [name for name in frame.index.names if name is not None]
    return pa.Table.from_pandas(frame.reset_index(level=named) if named else frame, preserve_index=False)


def _commit(table: Table, base: Snapshot | None, rows: "pa.Table", mode: Mode, by: Attribution) -> int:
    now_ms = int(time.time() * 1000)
    if base is None:
        return create_table(table.root, rows.to_reader(), by, now_ms=now_ms)
    if mode == "append":
        return append_rows(table, base, rows, by, now_ms=now_ms)
    return replace_rows(table, base, rows.to_reader(), by, now_ms=now_ms)


def _record(project: Project, table: Table, commit: Callable[[Attribution], int], reason: str) -> int:
    """Commit in the active run, or in a run of its own."""
    if active_run() is None:
        _, written = record_write(project, table, commit, kind="import", name=f"rows into {table.name}", reason=reason)
        return written.version
    log = current_log()
    version = commit(Attribution(run=log.id, user=project.actor, reason=reason, lin=__version__))
    log.log_output(pin_found(project, table, version)[1])
    return version
