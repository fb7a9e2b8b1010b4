"""Tables by name: where each lies, what its key and order are, and the log that tells its versions."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from lin.data.log import DeltaLog
from lin.errors import LinError, UsageError
from lin.project import Project


@dataclass(frozen=True)
class Table:
    """A named Delta table. `order` names the columns to read it by; empty means as written."""

    name: str
    root: Path
    key: tuple[str, ...] = ()
    order: tuple[str, ...] = ()

    @property
    def log(self) -> DeltaLog:
        """Its Delta log."""
        return DeltaLog(self.root, self.name)


class TableInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A declared table and its newest version; `problem` says why it cannot be read, if so."""

    name: str
    path: str
    key: list[str]
    order: list[str]
    version: int | None
    rows: int | None
    columns: int | None
    bytes: int | None
    time: datetime | None
    problem: str | None


def open_table(project: Project, name: str) -> Table:
    """The declared table of that name. Raises `NotFoundError`."""
    setting = project.config.table(name)
    return Table(name, project.root / setting.path, tuple(setting.key), tuple(setting.order))


def split_reference(reference: str) -> tuple[str, int | None]:
    """`housing@3` or `table:housing@3` as a name and a version. Raises `UsageError` if that is no number."""
    name, at, version = reference.removeprefix("table:").partition("@")
    if not at:
        return name, None
    if version.isascii() and version.isdecimal() and len(version) < 20:  # noqa: PLR2004
        return name, int(version)
    raise UsageError(f"'{version}' is not a version of table '{name}'", hint=f"lin history {name}")


def list_tables(project: Project) -> list[TableInfo]:
    """Every declared table, by name; one that cannot be read is listed with its problem."""
    return [_describe(project, name) for name in sorted(project.config.tables)]


def _describe(project: Project, name: str) -> TableInfo:
    table = open_table(project, name)
    described = TableInfo(
        name=name,
        path=project.config.tables[name].path,
        key=list(table.key),
        order=list(table.order),
        version=None,
        rows=None,
        columns=None,
        bytes=None,
        time=None,
        problem=None,
    )
    try:
        snapshot = table.log.snapshot()
        commit = table.log.commit(snapshot.version)
    except LinError as error:
        return msgspec.structs.replace(described, problem=error.message)
    counts = [file.rows for file in snapshot.files]
    return msgspec.structs.replace(
        described,
        version=snapshot.version,
        rows=None if None in counts else sum(count or 0 for count in counts),
        columns=len(snapshot.metadata.columns),
        bytes=sum(file.bytes for file in snapshot.files),
        time=commit.time,
    )
