"""Which blobs and table versions the records of a store name, as far as these can be read: for a look at all of it.

`lin.lineage.marks` answers the same for `lin gc`, and stops at the first record that it cannot read.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from lin.errors import LinError
from lin.events import Event, Register, Seal
from lin.recipes import Mix, Recipe
from lin.records import ArtifactKept, Environment, FileRef, Pin, Record, SourceTree, TableRef, decode
from lin.runs.needs import named_by_lines, named_by_recipe, named_by_sealed, named_by_start
from lin.store.fsck import SHA256, RunCheck, blob_key
from lin.store.runs import LOG, read_lines
from lin.store.store import Store


class TableKey(NamedTuple):
    """A pinned version: the table's name, its location, the version, the pin, and the sha256 of its commit or ''."""

    table: str
    location: str
    version: int
    pin: str
    commit: str


@dataclass
class Named:
    """Blobs by sha256 with their size where it is told, those that are records with their kind, and table versions.

    `places` are paths in the project at which somebody saw the content of that sha256.
    """

    blobs: dict[str, int | None] = field(default_factory=dict)
    records: dict[str, type[Record]] = field(default_factory=dict)
    tables: dict[TableKey, TableRef] = field(default_factory=dict)
    places: set[tuple[str, str]] = field(default_factory=set)

    def add(self, sha256s: Iterable[str | None], kind: type[Record] | None = None) -> None:
        """Name blobs, of which each is a record of that kind, if one is given."""
        for sha256 in sha256s:
            if sha256 is None or not SHA256.fullmatch(sha256):
                continue  # what is no sha256 names no blob, as for `lin gc`
            self.blobs.setdefault(sha256)
            if kind is not None:
                self.records[sha256] = kind

    def add_file(self, sha256: str, size: int, path: str) -> None:
        """Name a blob of that size, whose content lay at a path of the project."""
        if SHA256.fullmatch(sha256):
            self.blobs[sha256] = size
            self.places.add((sha256, path))

    def add_references(self, references: Iterable[object], *, tables: bool) -> None:
        """Take up what the references tell: table versions with their pins, and where files lay."""
        for each in references:
            if isinstance(each, TableRef) and tables:
                self.tables[TableKey(each.table, each.location, each.version, each.pin, each.commit or "")] = each
                self.add([each.pin], Pin)
            elif isinstance(each, FileRef):
                self.places.add((each.sha256, each.path))

    def update(self, other: "Named") -> None:
        """Take up all that another names."""
        for sha256, size in other.blobs.items():
            self.blobs[sha256] = size if size is not None else self.blobs.get(sha256)
        self.records.update(other.records)
        self.tables.update(other.tables)


def names_of_events(events: Iterable[Event]) -> Named:
    """What events name."""
    named = Named()
    for event in events:
        if isinstance(event.change, Register):
            named.add([event.change.sha256, event.change.golden])
        if isinstance(event.change, Seal):
            named.add([event.change.listing])
    return named


def names_of_run(store: Store, run: str, checked: RunCheck) -> Named:
    """What the records of a run name themselves. What a re-run read and wrote lay in a scratch folder, and is gone."""
    named = Named()
    start, sealed = checked.start, checked.sealed
    own = start is not None and start.recipe is None
    if start is not None:
        named.add(named_by_start(start))
        named.add([start.source.tree if start.source else None], SourceTree)
        named.add([start.environment], Environment)
        named.add([start.recipe], Recipe)
        named.add_references(start.inputs, tables=own)
    if sealed is not None:
        named.add(named_by_sealed(sealed))
        named.add_references([*sealed.inputs, *sealed.outputs], tables=own)
        for artifact in sealed.artifacts:
            named.add_file(artifact.sha256, artifact.bytes, artifact.path)
    elif start is not None:
        with suppress(LinError):  # a log that cannot be read is a finding already
            lines = [*read_lines(store.runs.file(run, LOG) or b"", run)]
            named.add(named_by_lines(lines))
            for line in lines:
                if isinstance(line, ArtifactKept):
                    named.add_file(line.artifact.sha256, line.artifact.bytes, line.artifact.path)
    return named


def names_of_record(store: Store, sha256: str, kind: type[Record]) -> Named:
    """What a blob that is a record names.

    Raises:
        StoreError: it is missing, damaged, or no such record. NewerError: a newer lin wrote it.
    """
    named = Named()
    match decode(store.blobs.read(sha256), kind, where=blob_key(sha256)):
        case SourceTree(files=files):
            for file in files:
                named.add_file(file.sha256, file.bytes, file.path)
        case Environment(packages=packages):
            named.add((package.source for package in packages), SourceTree)
        case Recipe() as recipe:
            named.add(named_by_recipe(recipe))
            named.add([recipe.source], SourceTree)
            named.add([recipe.environment], Environment)
            sides = [[t.base, t.other] if isinstance(t, Mix) else [t] for t in recipe.tables]
            named.add_references((each for side in sides for each in side), tables=True)
        case _:
            pass  # a pin names files of its table
    return named


class Below:
    """What a run names, directly and through records; each record is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Named] = {}

    def all_named(self, named: Named) -> Iterator[Named]:
        """What is named, and what the records among that name in turn, as far as they can be read."""
        yield named
        for sha256, kind in named.records.items():
            yield from self.all_named(self._of_record(sha256, kind))

    def _of_record(self, sha256: str, kind: type[Record]) -> Named:
        if sha256 not in self._known:
            self._known[sha256] = Named()
            with suppress(LinError):
                self._known[sha256] = names_of_record(self._store, sha256, kind)
        return self._known[sha256]
