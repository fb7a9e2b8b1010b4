"""What each version of a table was made from as its log tells: the one before, or the one that it restored.

The log of a table that is gone or damaged tells nothing, and `notes` say so once.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from lin.data.history import VersionInfo, describe_commit
from lin.data.log import Commit
from lin.data.tables import Table
from lin.errors import LinError
from lin.lineage.things import CommitThing, TableThing, VersionsThing
from lin.project import Project
from lin.records import TableRef

FEW = 3
"""More versions, or runs, that are alike are one node."""

_MOST_BACK = 1000


@dataclass(frozen=True)
class Version:
    """What a commit says: `base` is the version that this one was made from, None where there is none."""

    info: VersionInfo
    base: int | None
    how: str
    sets_schema: bool


class Versions:
    """The logs of a project's tables, each commit read once."""

    def __init__(self, project: Project) -> None:
        self.notes: list[str] = []
        self._project = project
        tables = project.config.tables
        self._declared = {project.locate(project.root / setting.path): name for name, setting in tables.items()}
        self._known: dict[tuple[str, int], Version | LinError] = {}
        self._later: dict[str, tuple[int, dict[int, list[int]]]] = {}

    def thing(self, read: TableRef) -> TableThing:
        """The version that a record names; a declared table has the name that it is declared with now."""
        return TableThing(self._declared.get(read.location, read.table), read.location, read.version)

    def is_declared(self, location: str) -> bool:
        """Whether the project declares the table that lies there."""
        return location in self._declared

    def table(self, thing: TableThing) -> Table:
        """The table, with the key and order that it is declared with."""
        setting = self._project.config.tables.get(self._declared.get(thing.location, ""))
        root = self._project.store_root / thing.location
        return Table(thing.name, root, tuple(setting.key) if setting else (), tuple(setting.order) if setting else ())

    def read(self, thing: TableThing | CommitThing) -> Version:
        """What the commit says. Raises `LinError` where it is gone or damaged."""
        key = (thing.location, thing.version)
        if key not in self._known:
            try:
                self._known[key] = _read(Table(thing.name, self._project.store_root / thing.location), thing.version)
            except LinError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, LinError):
            raise found
        return found

    def find(self, thing: TableThing | CommitThing) -> Version | None:
        """As `read`, None where the commit is gone or damaged."""
        try:
            return self.read(thing)
        except LinError:
            return None

    def later(self, thing: TableThing) -> list[tuple[TableThing, str]]:
        """The versions that were made right from this one, and how."""
        children = self._children(thing)
        found = [TableThing(thing.name, thing.location, version, thing.column) for version in children[thing.version]]
        return [(version, self.read(version).how) for version in found]

    def fold_back(self, thing: TableThing, is_known: Callable[[TableThing], bool]) -> TableThing | VersionsThing | None:
        """What this version was made from; where that is many versions that no run wrote, all of them as one."""
        chain: list[TableThing] = []
        at = self.before(thing)
        while at is not None and len(chain) < _MOST_BACK and not is_known(at) and self.find(at) is not None:
            chain.append(at)
            at = self.before(at)
        if len(chain) > FEW:
            return VersionsThing(thing.name, thing.location, chain[-1].version, chain[0].version)
        return self.before(thing)

    def fold_on(self, thing: TableThing, is_known: Callable[[TableThing], bool]) -> TableThing | VersionsThing:
        """This version; where many follow each other that no run read or wrote, all of them as one."""
        chain: list[TableThing] = []
        at = thing
        while not is_known(at):
            chain.append(at)
            following = self.later(at)
            if len(following) != 1 or following[0][1] == "restored":
                break
            at = following[0][0]
        if len(chain) > FEW and thing.column is None:
            return VersionsThing(thing.name, thing.location, chain[0].version, chain[-1].version)
        return thing

    def before(self, thing: TableThing) -> TableThing | None:
        """The version that this one was made from as its log tells."""
        found = self.find(thing)
        if found is None or found.base is None:
            return None
        return TableThing(thing.name, thing.location, found.base, thing.column)

    def _children(self, thing: TableThing) -> dict[int, list[int]]:
        """The versions made from each one, for this version and all later ones."""
        start, children = self._later.get(thing.location, (None, {}))
        if start is not None and start <= thing.version:
            return children
        children = defaultdict(list)
        try:
            for version in range(thing.version + 1, self.table(thing).log.head() + 1):
                found = self.read(TableThing(thing.name, thing.location, version))
                if found.base is not None:
                    children[found.base].append(version)
        except LinError as error:
            if error.message not in self.notes:
                self.notes.append(error.message)
        self._later[thing.location] = (thing.version, children)
        return children


def _read(table: Table, version: int) -> Version:
    commit = table.log.commit(version)
    info = describe_commit(commit)
    if info.restored is not None and info.restored < version:  # the log is foreign: it may name a later one
        return Version(info, info.restored, "restored", commit.metadata is not None)
    return Version(info, version - 1 if version else None, _tell_how(commit, info), commit.metadata is not None)


def _tell_how(commit: Commit, info: VersionInfo) -> str:
    """How the version came from the one before."""
    if not commit.data_change and (commit.adds or commit.removes):
        return "the same rows"
    parameters = commit.info.get("operationParameters")
    mode = parameters.get("mode") if isinstance(parameters, dict) else None
    is_whole = mode == "Overwrite" and isinstance(parameters, dict) and not parameters.get("predicate")
    if is_whole or (info.operation or "").startswith("CREATE OR REPLACE"):
        return "overwritten"
    return "kept"
