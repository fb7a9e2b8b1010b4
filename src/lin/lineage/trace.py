"""Lineage upwards: what a model version, run or table version was made from, as a tree.

What can no longer be looked at stands in the tree with the reason; only what was asked for itself must be there.
"""

import msgspec

from lin.data.history import VersionInfo, read_history
from lin.data.tables import Table
from lin.errors import LinError
from lin.ids import short
from lin.lineage.feedback import walk_back
from lin.lineage.references import TableAt, resolve
from lin.models.fold import Model, ModelVersion
from lin.models.registry import find_version, read_registry
from lin.project import Project
from lin.records import FileRef, Input, ModelRef
from lin.runs.query import RunInfo, read_run

DEEPEST = 100
"""A tree goes up so many table versions; where there are more, its last node says how to go on."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A thing and what it was made from. `seen` means that its own sources stand elsewhere in the tree."""

    kind: str
    name: str
    detail: str
    sources: "list[Node]"
    seen: bool = False


def trace(project: Project, reference: str) -> Node:
    """The tree above a table version, model version or run.

    Raises:
        NotFoundError: nothing is called that. OutsideError: the log of the table that was asked for is damaged.
    """
    target = resolve(project, reference)
    tracer = _Tracer(project)
    match target:
        case TableAt(table=table, version=version):
            known = table.log.head() if version is None else table.log.commit(version).version
            return tracer.table(table, known)
        case ModelVersion():
            return tracer.model(target)
        case RunInfo():
            return tracer.run(target)
        case Model():
            return tracer.model(target.versions[-1])


class _Tracer:
    """Walks up, showing each thing's own sources once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._registry = read_registry(project.store)
        self._histories: dict[Table, list[VersionInfo]] = {}
        self._seen: set[tuple[str, str]] = set()
        self._depth = 0

    def model(self, version: ModelVersion) -> Node:
        detail = f"registered by {version.actor}" + (f", {version.stage}" if version.stage != "none" else "")
        if self._is_known("model", version.reference):
            return _known("model", version.reference, detail)
        run = read_run(self._project.store, version.run)
        return Node(kind="model", name=version.reference, detail=detail, sources=[self.run(run)])

    def run(self, run: RunInfo) -> Node:
        detail = f"{run.kind}, {run.status}: {run.name}"
        if self._is_known("run", run.id):
            return _known("run", short(run.id), detail)
        return Node(kind="run", name=short(run.id), detail=detail, sources=[self._input(i) for i in run.inputs])

    def _input(self, read: Input) -> Node:
        """What a run read; its record may outlive the table or model that it names."""
        if isinstance(read, FileRef):
            return Node(kind="file", name=read.path, detail=f"sha256 {read.sha256[:12]}", sources=[])
        try:
            if isinstance(read, ModelRef):
                return self.model(find_version(self._registry, f"{read.model}@{read.version}"))
            return self.table(Table(read.table, self._project.store_root / read.location), read.version)
        except LinError as error:
            kind, name = ("model", read.model) if isinstance(read, ModelRef) else ("table", read.table)
            return Node(kind=kind, name=f"{name}@{read.version}", detail=error.message, sources=[])

    def table(self, table: Table, version: int) -> Node:
        """The version with the run that wrote it, through restores, or with the version before it."""
        name = f"{table.name}@{version}"
        if self._depth == DEEPEST:
            return Node(kind="table", name=name, detail=f"and so on: lin trace {name}", sources=[])
        if self._is_known("table", name):
            return _known("table", name, "")
        entries = list(walk_back(self._history(table), version))
        if not entries:
            return Node(kind="table", name=name, detail="no longer in the table's log", sources=[])
        newest = entries[0]
        detail = f"{newest.operation}" + (f" by {newest.user}" if newest.user else "")
        self._depth += 1
        sources = self._writer(newest.run) if newest.run else []
        if len(entries) > 1 and not any(s.kind == "run" and (s.sources or s.seen) for s in sources):
            sources.append(self.table(table, entries[1].version))
        self._depth -= 1
        return Node(kind="table", name=name, detail=detail, sources=sources)

    def _history(self, table: Table) -> list[VersionInfo]:
        if table not in self._histories:
            self._histories[table] = read_history(table)
        return self._histories[table]

    def _writer(self, run_id: str) -> list[Node]:
        try:
            return [self.run(read_run(self._project.store, run_id))]
        except LinError as error:  # the commit names a run of another store
            return [Node(kind="run", name=short(run_id), detail=error.message, sources=[])]

    def _is_known(self, kind: str, name: str) -> bool:
        known = (kind, name) in self._seen
        self._seen.add((kind, name))
        return known


def _known(kind: str, name: str, detail: str) -> Node:
    return Node(kind=kind, name=name, detail=detail, sources=[], seen=True)
