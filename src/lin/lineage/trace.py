"""Lineage upwards: what a thing was made from, through runs, restores, write-backs and the models that made these.

What can no longer be looked at stands in the graph with the reason; only what was asked for itself must be there.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from lin.errors import LinError
from lin.lineage.graph import Graph
from lin.lineage.nodes import Describer
from lin.lineage.targets import find_target
from lin.lineage.things import (
    ArtifactThing,
    CodeThing,
    CommitThing,
    FilesThing,
    FileThing,
    ModelThing,
    RunThing,
    SeveralThing,
    TableThing,
    Thing,
    VersionsThing,
)
from lin.lineage.versions import Version, Versions
from lin.lineage.walk import Step, draw, walk
from lin.models.registry import read_registry
from lin.models.registry import split_reference as split_model
from lin.project import Project
from lin.records import FileRef, Input, ModelRef, TableRef
from lin.runs.links import Links, RunRow, read_links, row_of
from lin.runs.query import RunInfo, read_run

MOST_FILES = 20
"""So many of the files that one run read are shown."""


def trace(project: Project, reference: str, *, depth: int | None = None, folder: Path | None = None) -> Graph:
    """The graph of what `reference` was made from: see `find_target` for what can be named.

    Args:
        project: where it is.
        reference: a table version or column, a model version, a run, a file, a source or an environment.
        depth: go so many steps at most.
        folder: what paths of files are relative to (default: the project's).

    Raises:
        NotFoundError: nothing is called that. UsageError: it may mean several things. OutsideError: the log of the
            table that was asked for is damaged.
    """
    climb = _Climb(project)
    root = find_target(project, reference, climb.links, climb.versions, folder=folder or project.root)
    walked = walk(root, climb.expand, depth=depth)
    describer = Describer(project, climb.registry, climb.versions, climb.rows)
    return draw(walked, "up", describer.describe, climb.notes)


class _Climb:
    """Finds what things were made from. The links of all runs are only read where it takes them."""

    def __init__(self, project: Project) -> None:
        self.rows: dict[str, RunRow] = {}
        self.registry = read_registry(project.store)
        self.versions = Versions(project)
        self._project = project
        self._told: list[str] = []

    def links(self) -> Links:
        """Who read and who wrote what."""
        return self._read(only_written=False)

    @cached_property
    def _outputs(self) -> Links:
        """Who wrote what."""
        return self._read(only_written=True)

    def _read(self, *, only_written: bool) -> Links:
        links = read_links(self._project.store, only_written=only_written)
        self._told += links.notes
        return links

    @property
    def notes(self) -> list[str]:
        """What could not be read."""
        return [*dict.fromkeys([*self.versions.notes, *self._told])]

    def expand(self, things: Sequence[Thing]) -> Iterator[Step]:
        """The steps from these things to what they were made from."""
        for thing in things:
            for source, how in self._sources(thing):
                yield Step(thing, source, how)

    def _sources(self, thing: Thing) -> "Iterable[tuple[Thing, str]]":
        match thing:
            case TableThing() | VersionsThing():
                return self._of_data(thing)
            case RunThing():
                return self._of_run(thing)
            case FileThing():
                return self._of_file(thing)
            case _:
                return self._of_kept(thing)

    def _of_data(self, thing: TableThing | VersionsThing) -> "Iterable[tuple[Thing, str]]":
        match thing:
            case TableThing(column=None):
                return self._of_table(thing)
            case TableThing():
                return self._of_column(thing)
            case VersionsThing(name, location, first):
                before = self.versions.before(TableThing(name, location, first))
                return [(before, "kept")] if before else []

    def _of_kept(self, thing: Thing) -> "Iterator[tuple[Thing, str]]":
        """The run that a model version or an artifact is of; what several things are."""
        match thing:
            case ModelThing(model, version):
                registered = self.registry[model].versions if model in self.registry else []
                if 1 <= version <= len(registered):
                    yield RunThing(registered[version - 1].run), "registered"
            case ArtifactThing(run):
                yield RunThing(run), "kept"
            case SeveralThing(_, how, members):
                yield from ((member, how) for member in members)

    # --- runs ---------------------------------------------------------------------------------------------------------

    def _of_run(self, thing: RunThing) -> "Iterator[tuple[Thing, str]]":
        run = self._find_run(thing.run)
        if run is None:
            return
        files = [read for read in run.inputs if isinstance(read, FileRef)]
        yield from (self._used(read) for read in run.inputs if not isinstance(read, FileRef))
        yield from (self._used(read) for read in files[:MOST_FILES])
        if len(files) > MOST_FILES:
            yield FilesThing(run.id, len(files) - MOST_FILES, "read"), "read"
        if run.source:
            yield CodeThing("source", run.source.tree), "ran"
        if run.environment:
            yield CodeThing("environment", run.environment), "ran in"

    def _used(self, read: Input) -> tuple[Thing, str]:
        match read:
            case TableRef():
                return self.versions.thing(read), "read"
            case ModelRef():
                return ModelThing(read.model, read.version), "predicted"
            case FileRef():
                return FileThing(read.path, read.sha256), "read"

    def _find_run(self, run_id: str) -> RunInfo | None:
        try:
            run = read_run(self._project.store, run_id)
        except LinError:  # deleted for good, damaged, or of another store: its node says so
            return None
        self.rows[run_id] = row_of(run)
        return run

    # --- tables -------------------------------------------------------------------------------------------------------

    def _of_table(self, thing: TableThing) -> "Iterator[tuple[Thing, str]]":
        """The run that wrote the version, and the version that it was made from where the run does not lead there."""
        found = self.versions.find(thing)
        if found is None:
            yield from self._recorded(thing.place)
            return
        run = self._writer(thing, found)
        info = self._find_run(run) if run else None
        if run:
            yield RunThing(run), "wrote"
        if info is None and found.info.model:
            yield from self._named(found.info.model)
        if not self._leads_on(thing, found, info):
            base = self.versions.fold_back(thing, self._is_written)
            if base is not None:
                yield base, found.how

    def _leads_on(self, thing: TableThing, found: Version, run: RunInfo | None) -> bool:
        """Whether the run that wrote the version read the one that it was made from, or made it of other things."""
        if run is None:
            return False
        read = {(each.location, each.version) for each in run.table_inputs}
        return (thing.location, found.base) in read or (found.how == "overwritten" and bool(run.inputs))

    def _writer(self, thing: TableThing, found: Version) -> str | None:
        """The run that its commit names, or else the one that tells that it wrote it."""
        return found.info.run or self._written.get(thing.place)

    def _is_written(self, thing: TableThing) -> bool:
        found = self.versions.find(thing)
        return found is not None and (self._writer(thing, found) is not None or found.info.model is not None)

    @cached_property
    def _written(self) -> dict[str, str]:
        """The run that wrote each version of a table, the last one that says so."""
        return self._outputs.table_writers()

    def _recorded(self, place: str) -> "Iterator[tuple[Thing, str]]":
        for run in self._outputs.writers(place)[:1]:
            yield RunThing(run), "wrote"

    def _named(self, reference: str) -> "Iterator[tuple[Thing, str]]":
        """The model that a commit names, where the run that it names cannot be read."""
        name, selector = split_model(reference)
        if selector and selector.isdecimal() and selector.isascii():
            yield ModelThing(name, int(selector)), "predicted"

    # --- columns and files --------------------------------------------------------------------------------------------

    def _of_column(self, thing: TableThing) -> "Iterator[tuple[Thing, str]]":
        """The commits that wrote its cells, or where these cannot be told those that could have."""
        if thing.column is None:
            return
        from lin.lineage.cells import find_writers

        for version, how, is_exact in find_writers(self.versions, thing):
            commit = TableThing(thing.name, thing.location, version)
            found = self.versions.find(commit) if is_exact else None
            run = self._writer(commit, found) if found else None
            yield RunThing(run) if run else CommitThing(thing.name, thing.location, version, is_exact), how

    def _of_file(self, thing: FileThing) -> "Iterator[tuple[Thing, str]]":
        """The run that wrote it, the newest of them."""
        writers = self._outputs.writers(thing.place)
        if writers:
            others = f", as {len(writers) - 1} before" if len(writers) > 1 else ""
            yield RunThing(writers[0]), f"wrote{others}"
