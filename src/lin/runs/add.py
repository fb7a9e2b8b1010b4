"""Adding a table to a project: an import is a recorded run, an adoption only a declaration."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lin.config import TableSetting, check_name
from lin.data.commit import has_versions
from lin.data.load import adopt, load_table
from lin.data.read import read_version
from lin.data.settings import keep_log as set_keep_log
from lin.data.settings import log_retention
from lin.data.tables import Table
from lin.data.write import create_table
from lin.errors import ConflictError, NotFoundError, OutsideError, UsageError
from lin.project import Project, declare_table
from lin.runs.writes import record_write

if TYPE_CHECKING:
    import pyarrow as pa


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """A table that was added; `run` is the import, or the commit that makes an adopted table keep its log.

    `log_retention` tells how long other writers keep commits, as the table says it; None where all are kept.
    """

    name: str
    path: str
    key: list[str]
    version: int
    rows: int | None
    columns: int
    imported: bool
    run: str | None
    log_retention: str | None


def add_table(
    project: Project,
    name: str,
    source: Path,
    *,
    key: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    path: str | None = None,
    fill_short_rows: bool = False,
    keep_log: bool = False,
    reason: str | None = None,
) -> Added:
    """Declare table `name`: the Delta table in the folder `source`, or a new one with the rows of the file `source`.

    What `lineage.toml` says of the table already is used where nothing is given. Adding the same file again is no
    error: nothing changes, but that an import which was killed before its declaration is declared now. An adopted
    table is changed only with `keep_log`, where its log would be cleaned up: by one commit that sets the property.

    Raises:
        NotFoundError: no such source. UsageError: it cannot be read as a table, or the key is not one.
        ConflictError: the table exists, is declared otherwise, or has another's folder but for the case of letters.
    """
    check_name(name, "a table")
    if not _is_there(source):
        raise NotFoundError(f"there is no file or folder '{source}'", hint="lin add NAME FILE.csv")
    setting = _setting(project, name, source, key, order, path)
    table = Table(name, project.root / setting.path, tuple(setting.key), tuple(setting.order))
    _refuse_same_folder(project, name, setting.path)
    if name in project.config.tables:
        declare_table(project, name, setting)  # refuses another declaration before anything is written
    run = None
    if source.is_dir():
        cleaned = log_retention(adopt(table)) is not None
        run = _keep_log(project, table, reason) if keep_log and cleaned else None
    else:
        rows = load_table(table, source, fill_short_rows=fill_short_rows)  # a file that is refused leaves no run
        if has_versions(table.log):
            _require_rows(table, rows, setting.path)
        else:
            run = _import(project, table, rows, source.name, reason)
    declare_table(project, name, setting)
    snapshot = table.log.snapshot()
    counts = [file.rows for file in snapshot.files]
    return Added(
        name=name,
        path=setting.path,
        key=list(table.key),
        version=snapshot.version,
        rows=None if None in counts else sum(count or 0 for count in counts),
        columns=len(snapshot.metadata.columns),
        imported=run is not None and not source.is_dir(),
        run=run,
        log_retention=log_retention(snapshot),
    )


def _is_there(source: Path) -> bool:
    try:
        return source.exists()
    except OSError as error:
        raise OutsideError(f"{str(source)[:80]!r} cannot be looked at: {error.strerror}") from error


def _refuse_same_folder(project: Project, name: str, path: str) -> None:
    """Two folders that differ in the case of letters alone are one on many file systems."""
    for other, setting in project.config.tables.items():
        if other != name and setting.path != path and setting.path.casefold() == path.casefold():
            raise ConflictError(
                f"'{path}' and '{setting.path}' of table '{other}' are one folder where letters have no case",
                hint="take another name",
            )


def _setting(
    project: Project,
    name: str,
    source: Path,
    key: Sequence[str] | None,
    order: Sequence[str] | None,
    path: str | None,
) -> TableSetting:
    """What the table is declared as: what is given, else what `lineage.toml` says, else the default."""
    if source.is_dir() and path is not None:
        raise UsageError("--path is for imports; a Delta table is adopted where it lies", hint="leave --path out")
    declared = project.config.tables.get(name)
    place = path or (_relative(project, source) if source.is_dir() else None)
    return TableSetting(
        path=place or (declared.path if declared else f"data/{name}"),
        key=list(key) if key else declared.key if declared else [],
        order=list(order) if order else declared.order if declared else [],
    )


def _relative(project: Project, folder: Path) -> str:
    return Path(os.path.relpath(folder.resolve(), project.root.resolve())).as_posix()


def _require_rows(table: Table, rows: "pa.Table", path: str) -> None:
    """Refuse to import into a table that is there, unless an import of the same rows was cut off when it had them."""
    if not read_version(Table(table.name, table.root))[1].equals(rows):
        raise ConflictError(f"there is a Delta table in {path} already", hint=f"lin add {table.name} {path}")


def _keep_log(project: Project, table: Table, reason: str | None) -> str:
    """Set the property in a run of its own."""
    run, _ = record_write(
        project,
        table,
        lambda by: set_keep_log(table, by),
        kind="import",
        name=f"keep the log of {table.name}",
        reason=reason or "old versions are to stay",
    )
    return run


def _import(project: Project, table: Table, rows: "pa.Table", source: str, reason: str | None) -> str:
    """Make the table in a run of its own."""
    run, _ = record_write(
        project,
        table,
        lambda by: create_table(table.root, rows.to_reader(), by, now_ms=int(time.time() * 1000)),
        kind="import",
        name=f"{source} into {table.name}",
        reason=reason or f"imported from {source}",
        params={"source": source},
    )
    return run
