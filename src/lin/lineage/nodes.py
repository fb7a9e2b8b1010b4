"""What there is to say of a thing, in a line: a node of the graph. What can no longer be read is said in its place."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from lin.errors import LinError
from lin.ids import short
from lin.lineage.graph import Node, NodeKind
from lin.lineage.things import (
    ArtifactThing,
    CodeThing,
    CommitThing,
    FilesThing,
    FileThing,
    ModelThing,
    RunsThing,
    RunThing,
    SeveralThing,
    TableThing,
    Thing,
    VersionsThing,
)
from lin.lineage.versions import Versions
from lin.models.fold import ModelVersion, Registry
from lin.models.registry import SHARED_STAGES, find_version, list_versions
from lin.project import Project
from lin.records import Environment, SourceTree, decode
from lin.runs.deleted import Deletion, read_deletions
from lin.runs.links import RunRow, row_of
from lin.runs.query import RunInfo, read_run


class Describer:
    """Makes nodes. `rows` are the runs that are known already; the others are read from their records."""

    def __init__(self, project: Project, registry: Registry, versions: Versions, rows: Mapping[str, RunRow]) -> None:
        self._project = project
        self._registry = registry
        self._versions = versions
        self._rows = rows
        self._records: dict[str, RunInfo | str] = {}

    def describe(self, thing: Thing) -> Node:
        """The node of a thing."""
        match thing:
            case TableThing() | CommitThing() | VersionsThing():
                return self._of_table(thing)
            case RunThing():
                return self._run(thing.run)
            case RunsThing():
                return self._runs(thing)
            case ModelThing():
                return self._model(thing)
            case _:
                return self._leaf(thing)

    # --- tables -------------------------------------------------------------------------------------------------------

    def _of_table(self, thing: TableThing | CommitThing | VersionsThing) -> Node:
        match thing:
            case TableThing():
                return self._table(thing)
            case CommitThing(name, _, version, exact):
                detail = self._commit(thing) if exact else "in this version or before"
                address = f"commit:{self._address(thing)}@{version}"
                return Node(id=address, kind="table", name=f"{name}@{version}", detail=detail)
            case VersionsThing():
                return self._versions_node(thing)

    def _table(self, thing: TableThing) -> Node:
        detail = self._commit(thing)
        if not self._versions.is_declared(thing.location):
            detail = f"in {thing.location}: {detail}"
        name, address = f"{thing.name}@{thing.version}", f"{self._address(thing)}@{thing.version}"
        if thing.column is None:
            return Node(id=f"table:{address}", kind="table", name=name, detail=detail)
        return Node(id=f"column:{address}:{thing.column}", kind="column", name=f"{name}:{thing.column}", detail=detail)

    def _versions_node(self, thing: VersionsThing) -> Node:
        return Node(
            id=f"versions:{self._address(thing)}@{thing.first}-{thing.last}",
            kind="table",
            name=f"{thing.name}@{thing.first}…{thing.last}",
            detail=f"{thing.last - thing.first + 1} versions that no recorded run wrote: lin history {thing.name}",
        )

    def _address(self, thing: TableThing | CommitThing | VersionsThing) -> str:
        """The name of a declared table, which no other has; of another, where it lies."""
        return thing.name if self._versions.is_declared(thing.location) else thing.location

    def _commit(self, thing: TableThing | CommitThing) -> str:
        try:
            info = self._versions.read(thing).info
        except LinError as error:
            return error.message
        return (info.operation or "written") + (f" by {info.user}" if info.user else "")

    # --- runs and models ----------------------------------------------------------------------------------------------

    def _run(self, run: str) -> Node:
        found = self._find_row(run)
        if isinstance(found, str):
            return Node(id=f"run:{run}", kind="run", name=short(run), detail=f"{found}{self._fate(run)}")
        again = f", a re-run of {short(found.parent)}" if found.parent else ""
        kind: NodeKind = "predictions" if found.kind == "predict" else "run"
        detail = f"{found.kind}, {found.status}: {found.name}{again}{self._fed(run)}{self._fate(run)}"
        return Node(id=f"run:{run}", kind=kind, name=short(run), detail=detail)

    def _runs(self, thing: RunsThing) -> Node:
        row = self._rows[thing.first]
        kind: NodeKind = "predictions" if row.kind == "predict" else "run"
        detail = f"{row.kind}, {thing.what}: nothing came of them"
        return Node(id=f"runs:{thing.first}", kind=kind, name=f"{thing.count} runs", detail=detail)

    def _find_row(self, run: str) -> RunRow | str:
        """A run, or why its record cannot be read."""
        if run in self._rows:
            return self._rows[run]
        found = self._record(run)
        return found if isinstance(found, str) else row_of(found)

    def _record(self, run: str) -> RunInfo | str:
        """The record of a run, or why it cannot be read."""
        if run not in self._records:
            try:
                self._records[run] = read_run(self._project.store, run)
            except LinError as error:
                self._records[run] = error.message
        return self._records[run]

    def _fed(self, run: str) -> str:
        """Whose predictions a run was trained on, of runs that became models or are few: the index does not tell."""
        if run in self._rows and run not in self._registered:
            return ""
        found = self._record(run)
        predicted = [] if isinstance(found, str) else found.predicted
        used = dict.fromkeys(f"{each.column} by {each.model}" for each in predicted if each.role != "not used")
        return f", on predictions of {', '.join(used)}" if used else ""

    @cached_property
    def _registered(self) -> set[str]:
        return {version.run for version in list_versions(self._registry)}

    def _fate(self, run: str) -> str:
        deletion = self._deletions.get(run)
        if deletion is None:
            return ""
        return ", deleted" if deletion.collected is None else f", taken away by lin gc on {_day(deletion.collected)}"

    @cached_property
    def _deletions(self) -> dict[str, Deletion]:
        return read_deletions(self._project.store)

    def _model(self, thing: ModelThing) -> Node:
        reference = f"{thing.model}@{thing.version}"
        try:
            version = find_version(self._registry, reference)
        except LinError as error:
            return Node(id=f"model:{reference}", kind="model", name=reference, detail=error.message)
        live = name_live(version)
        stage = f", {version.stage}" if version.stage != "none" else ""
        aliases = "".join(f", {alias}" for alias in version.aliases)
        unsafe = ", unsafe: loading it runs its code" if version.unsafe else ""
        detail = f"registered by {version.actor}{stage}{aliases}{unsafe}"
        return Node(id=f"model:{reference}", kind="model", name=reference, detail=detail, live=live)

    # --- the others ---------------------------------------------------------------------------------------------------

    def _leaf(self, thing: FileThing | ArtifactThing | CodeThing | FilesThing | SeveralThing) -> Node:
        match thing:
            case FileThing(path, sha256):
                return Node(id=f"file:{path}@{sha256}", kind="file", name=path, detail=f"sha256 {sha256[:12]}")
            case ArtifactThing(run, path, sha256):
                detail = f"an artifact of {short(run)}, sha256 {sha256[:12]}"
                return Node(id=f"artifact:{run}/{path}", kind="file", name=path, detail=detail)
            case CodeThing(kind, digest):
                return Node(id=f"{kind}:{digest}", kind=kind, name=digest[:12], detail=self._code(kind, digest))
            case FilesThing(run, count, how):
                name = f"{count} more files"
                return Node(id=f"files:{run}:{how}", kind="file", name=name, detail=f"lin show {short(run)}")
            case SeveralThing(name, how, members):
                return Node(id=f"several:{name}", kind="file", name=name, detail=f"{len(members)} things: {how}")

    def _code(self, kind: str, digest: str) -> str:
        try:
            data = self._project.store.blobs.read(digest)
            if kind == "source":
                files = len(decode(data, SourceTree, where="a source snapshot").files)
                return f"{files} file{'s' * (files != 1)}"
            found = decode(data, Environment, where="an environment")
        except LinError as error:
            return f"cannot be read: {error.message}"
        return f"python {found.python}, {len(found.packages)} packages"


def name_live(version: ModelVersion) -> list[str]:
    """The stages and aliases by which a version can be meant today."""
    stages = [] if version.stage in SHARED_STAGES else [version.stage]
    return [*stages, *version.aliases]


def _day(time: datetime) -> str:
    return time.strftime("%Y-%m-%d")
