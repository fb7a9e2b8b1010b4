"""Finding what was made from things: which runs read them, and what came of these.

Runs of which nothing came are many and lead nowhere, so they are looked up once, at the end.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from lin.lineage.things import (
    ArtifactThing,
    CodeThing,
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
from lin.lineage.versions import FEW, Versions
from lin.lineage.walk import MOST, Step, Walk
from lin.models.fold import ModelVersion
from lin.models.registry import list_versions, read_registry
from lin.project import Project
from lin.records import FileRef, Input, TableRef
from lin.runs.links import Links, RunRow, RunSet, place_of, read_links, row_of
from lin.runs.query import read_run

MOST_FILES = 20
"""So many of the files that one run wrote are shown."""

MOST_SETS = 10
"""As many sweeps and experiments of which nothing came are shown below one thing."""

R = TypeVar("R", RunRow, RunSet)

_Way = list[tuple[Thing, str]]
"""From which things a run was reached, and how."""

_Ways = dict[str, tuple[RunRow, _Way]]
"""The runs that were reached, by id."""


class Descent:
    """Finds what was made from a thing, the `root`, which is to be set before the first step.

    `rows` are the runs that were found, those among them that are shown with others in `folded`; `used` are the models
    that they used for predictions, `wrote` is what runs wrote. `reached` is all that was found, shown or not. Beside
    `rows` there are the `alike`, many runs of which nothing came; `shown` has those that stand for them.
    """

    def __init__(self, project: Project) -> None:
        self.root: Thing | None = None
        self.rows: dict[str, RunRow] = {}
        self.folded: dict[str, RunsThing] = {}
        self.shown: dict[str, RunRow] = {}
        self.alike: list[RunSet] = []
        self.reached: set[Thing] = set()
        self.used: dict[str, set[str]] = defaultdict(set)
        self.registry = read_registry(project.store)
        self.registered: dict[str, list[ModelVersion]] = defaultdict(list)
        for version in list_versions(self.registry):
            self.registered[version.run].append(version)
        self.versions = Versions(project)
        self._project = project

    @cached_property
    def links(self) -> Links:
        """Who read what."""
        return read_links(self._project.store, named=self.registered, features=self._column is not None)

    @cached_property
    def wrote(self) -> dict[str, list[Input]]:
        """What each run wrote."""
        wrote: dict[str, list[Input]] = defaultdict(list)
        for run, thing in self.links.written():
            wrote[run].append(thing)
        return wrote

    @property
    def notes(self) -> list[str]:
        """What could not be read or told."""
        return [*self._tell_silence(), *self.versions.notes, *self.links.notes]

    def expand(self, things: Sequence[Thing]) -> Iterator[Step]:
        """The steps from these things to what was made from them, but for runs of which nothing came."""
        ways: _Ways = {}
        for thing in things:
            for how, row in self._readers(thing):
                ways.setdefault(row.id, (row, []))[1].append((thing, how))
        yield from self._enter(ways)
        for thing in things:
            for made, how in self._made(thing):
                yield Step(thing, made, how)

    def finish(self, walked: Walk) -> Walk:
        """The walk with the runs of which nothing came."""
        places = {
            thing.place: thing
            for thing in walked.things
            if isinstance(thing, TableThing | ModelThing | FileThing) and getattr(thing, "column", None) is None
        }
        near = {place: thing for place, thing in places.items() if thing not in walked.ends}
        ways: _Ways = {}
        for place, how, row in self.links.barren(self.registered, near, but=self.rows):
            if row.id not in self.folded:  # else it was reached before, and is shown there
                ways.setdefault(row.id, (row, []))[1].append((near[place], how))
        code = (self.root.kind, self.root.digest) if isinstance(self.root, CodeThing) else None
        sets = self.links.barren_sets(self.registered, near, without=self.rows, code=code)
        steps = [*dict.fromkeys([*self._enter(ways), *self._enter_sets(sets, near, "read")])]
        if isinstance(self.root, CodeThing) and self.root not in walked.ends:
            steps += self._enter_users(self.root)
        self.reached = {*walked.things, *(step.thing for step in steps)}
        found = [thing for thing in dict.fromkeys(step.thing for step in steps) if thing not in {*walked.things}]
        shown = {*walked.things, *found[: MOST - len(walked.things)]}
        ends = {place for place, thing in places.items() if thing in walked.ends}
        beyond = {row.id for _, _, row in self.links.barren(self.registered, ends)} if ends else set()
        beyond -= {row.id for _, _, row in self.links.barren(self.registered, near)} if ends else set()
        return Walk(
            [*walked.things, *(thing for thing in found if thing in shown)],
            [*walked.steps, *(step for step in steps if step.thing in shown)],
            walked.left_out + len(beyond - self.rows.keys()) + len(set(found) - shown),
            walked.ends,
        )

    # --- what was made ------------------------------------------------------------------------------------------------

    def _made(self, thing: Thing) -> "Iterable[tuple[Thing, str]]":
        """What was made from a thing, beside the runs that read it."""
        match thing:
            case RunThing(run):
                return self._of_run(run)
            case TableThing():
                return [*self._later(thing), *(self._twins(thing) if thing == self.root else [])]
            case VersionsThing(name, location, _, last):
                return self._later(TableThing(name, location, last))
            case ArtifactThing():
                return self._of_artifact(thing)
            case SeveralThing(_, how, members):
                return [(member, how) for member in members]
            case _:
                return []

    def _of_run(self, run: str) -> "Iterator[tuple[Thing, str]]":
        if run not in self.rows:  # the one that was asked for
            self.rows[run] = row_of(read_run(self._project.store, run))
        yield from ((_model(version), "registered") for version in self.registered.get(run, []))
        wrote = self.wrote.get(run, [])
        files = [FileThing(each.path, each.sha256) for each in wrote if isinstance(each, FileRef)]
        yield from ((self.versions.thing(each), "wrote") for each in wrote if isinstance(each, TableRef))
        yield from ((file, "wrote") for file in files[:MOST_FILES])
        if len(files) > MOST_FILES:
            yield FilesThing(run, len(files) - MOST_FILES, "wrote"), "wrote"

    def _of_artifact(self, thing: ArtifactThing) -> "Iterator[tuple[Thing, str]]":
        models = [version for version in self.registered.get(thing.run, []) if version.artifact == thing.path]
        yield from ((_model(version), "registered") for version in models)
        same = [each for each in self.links.of_digest(thing.sha256) if isinstance(each, FileRef)]
        yield from ((FileThing(each.path, each.sha256), "the same content") for each in same)

    # --- runs ---------------------------------------------------------------------------------------------------------

    def _readers(self, thing: Thing) -> Iterator[tuple[str, RunRow]]:
        match thing:
            case TableThing(column=str() as column):
                yield from ((how, row) for _, how, row in self.links.readers([thing.place], column))
            case TableThing() | FileThing() | ModelThing():
                yield from self._fertile.get(thing.place, [])
            case CodeThing(kind, digest):
                found = self.links.users(kind, digest, self.registered)
                yield from ((how, row) for _, how, row in found)

    @cached_property
    def _fertile(self) -> dict[str, list[tuple[str, RunRow]]]:
        """The runs of which something came, by the places that they read."""
        fertile: dict[str, list[tuple[str, RunRow]]] = defaultdict(list)
        for place, how, row in self.links.fertile(self.registered):
            fertile[place].append((how, row))
        return fertile

    def _enter(self, ways: "_Ways") -> Iterator[Step]:
        """The steps to these runs; many alike of which nothing came are one."""
        alone: list[RunRow] = []
        alike: list[RunRow] = []
        for row, way in ways.values():
            if row.kind == "predict":
                self._note_models(row.id, way)
            (alike if self._is_barren(row.id) else alone).append(row)
        for rows, what in _fold_alike(alike, ways):
            if len(rows) > FEW:
                fold = RunsThing(rows[0].id, len(rows), what)
                self.folded.update((row.id, fold) for row in rows)
                self.rows.update((row.id, row) for row in rows)
                yield from (Step(thing, fold, how) for thing, how in ways[rows[0].id][1])
            else:
                alone += rows
        for row in sorted(alone):
            self.rows.setdefault(row.id, row)
            entered = self.folded.get(row.id) or RunThing(row.id)
            yield from (Step(thing, entered, how) for thing, how in ways[row.id][1])

    def _enter_users(self, root: CodeThing) -> Iterator[Step]:
        """The steps from code to the runs with it of which nothing came."""
        sets = self.links.user_sets(root.kind, root.digest, self.registered)
        how = "ran" if root.kind == "source" else "ran in"
        yield from self._enter_sets(sets, {root.digest: root}, how)

    def _enter_sets(self, sets: Iterable[RunSet], near: Mapping[str, Thing], how: str) -> Iterator[Step]:
        """As `_enter`, of whole sets: only the runs that are shown are looked up."""
        folds: list[tuple[RunSet, RunsThing]] = []
        alone: dict[str, RunSet] = {}
        for part, what in _fold_sets(sets):
            count = sum(len(each.ids) for each in part)
            if count > FEW:
                folds.append((part[0], RunsThing(part[0].ids[0], count, what)))
                self.alike += part
            else:
                alone |= {run: each for each in part for run in each.ids}
        rows = self.links.rows([*alone, *(fold.first for _, fold in folds)])
        self.shown |= rows
        self.rows |= {run: rows[run] for run in alone}
        for each, fold in folds:
            yield from (Step(near[place], fold, how) for place in each.places)
        for run in sorted(alone):
            yield from (Step(near[place], RunThing(run), how) for place in alone[run].places)

    def _note_models(self, run: str, way: "_Way") -> None:
        models = [thing for thing, _ in way if isinstance(thing, ModelThing)]
        self.used[run].update(f"{model.model}@{model.version}" for model in models)

    def _is_barren(self, run: str) -> bool:
        """Whether a run is met for the first time, and nothing came of it but files that nobody read."""
        if run in self.rows or run in self.registered:
            return False
        wrote = self.wrote.get(run)
        return not wrote or all(isinstance(each, FileRef) and place_of(each) not in self._read_again for each in wrote)

    @cached_property
    def _read_again(self) -> set[str]:
        return self.links.read_files()

    # --- tables -------------------------------------------------------------------------------------------------------

    def _later(self, thing: TableThing) -> "Iterator[tuple[Thing, str]]":
        """The versions that its table's log makes of it, but for those that a run made that read it."""
        for later, how in self.versions.later(thing):
            if not self._leads_there(thing, later, how):
                yield self.versions.fold_on(later, lambda each: each.place in self._known_tables), how

    def _leads_there(self, thing: TableThing, later: TableThing, how: str) -> bool:
        found = self.versions.find(later)
        run = (found.info.run if found else None) or self._writers.get(later.place)
        if run is None or run not in self._read_by_writers:
            return run is not None and self.links.has_read(run, thing.place, anything=how == "overwritten")
        return how == "overwritten" or thing.place in self._read_by_writers[run]

    @cached_property
    def _read_by_writers(self) -> dict[str, set[str]]:
        return self.links.read_by_writers()

    @cached_property
    def _known_tables(self) -> set[str]:
        return self.links.table_places()

    @cached_property
    def _writers(self) -> dict[str, str]:
        return self.links.table_writers()

    def _twins(self, thing: TableThing) -> "Iterator[tuple[Thing, str]]":
        """Other versions that are the same data as what was asked for."""
        for twin in self.links.twins(thing.place):
            if isinstance(twin, TableRef):
                other = self.versions.thing(twin)
                yield TableThing(other.name, other.location, other.version, thing.column), "the same data"

    # --- columns ------------------------------------------------------------------------------------------------------

    @property
    def _column(self) -> TableThing | None:
        return self.root if isinstance(self.root, TableThing) and self.root.column is not None else None

    def _tell_silence(self) -> list[str]:
        """How many readers of a column's table do not tell whether they used the column."""
        silent = self.links.silent_readers(self._column.place) if self._column else 0
        if not silent or self._column is None:
            return []
        name = f"{self._column.name}@{self._column.version}"
        these = f"{silent} runs read {name} and do not" if silent > 1 else f"1 run read {name} and does not"
        return [f"{these} tell which columns: lin impact {name}"]


def _model(version: ModelVersion) -> ModelThing:
    return ModelThing(version.model, version.version)


def _fold_alike(rows: Iterable[RunRow], ways: _Ways) -> Iterator[tuple[list[RunRow], str]]:
    """Runs that were reached in the same ways, together, and what they have in common.

    Those of a sweep stand together, or of an experiment; where these are many, they do too.
    """
    sets: dict[tuple[object, ...], dict[str, list[RunRow]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        way = tuple((id(thing), how) for thing, how in ways[row.id][1])  # no two of them are equal
        sets[(way, row.kind, row.status)][row.sweep or row.experiment or ""].append(row)
    yield from _merge_many(sets)


def _merge_many(alike: Mapping[tuple[object, ...], Mapping[str, list[R]]]) -> Iterator[tuple[list[R], str]]:
    for parts in alike.values():
        if len(parts) > MOST_SETS:
            merged = [row for part in parts.values() for row in part]
            yield merged, f"{merged[0].status}, {len(parts)} sweeps or experiments"
        else:
            yield from ((part, _tell_alike(part[0])) for part in parts.values())


def _fold_sets(sets: Iterable[RunSet]) -> Iterator[tuple[list[RunSet], str]]:
    """As `_fold_alike`, of sets."""
    alike: dict[tuple[object, ...], dict[str, list[RunSet]]] = defaultdict(lambda: defaultdict(list))
    for each in sets:
        alike[(*each.places, each.kind, each.status)][each.sweep or each.experiment or ""].append(each)
    yield from _merge_many(alike)


def _tell_alike(row: RunRow | RunSet) -> str:
    if row.sweep:
        return f"{row.status}, sweep {row.sweep[-8:]}" + (f" of {row.experiment}" if row.experiment else "")
    return row.status + (f", experiment {row.experiment}" if row.experiment else "")
