"""Whether runs can be re-run, found out without running anything: what is missing, and what would mend it.

Every byte that a re-run would read is read and checked here, once for all runs that share it.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from lin.data.pins import check_pin
from lin.data.tables import Table
from lin.errors import LinError, NotFoundError, NotReproducibleError
from lin.ids import short
from lin.models.registry import list_versions, read_registry
from lin.project import Project
from lin.proof.environments.prepare import examine_environment
from lin.proof.recipe import decode_environment, recipe_of
from lin.proof.scratch import live_table, missing_files, read_recorded_pin
from lin.recipes import Mix, Recipe
from lin.records import DataFile, ModelRef, Pin, SourceTree, TableRef, encode
from lin.runs.execute import find_program, is_python
from lin.runs.query import RunInfo, read_run
from lin.runs.source import read_tree

What = Literal["record", "data", "source", "files", "models", "program", "environment"]

_FROM_BACKUP = "restore the folder 'blobs' from a backup of the store"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing for which a run cannot be re-run, and what would mend it."""

    what: What
    text: str
    mend: str | None


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """What was found about one run: it can be re-run if there is no problem.

    `looked` says what was examined, and `notes` what a re-run may lack although it can be started.
    """

    run: str
    name: str
    model: str | None
    able: bool
    problems: list[Problem]
    looked: list[str]
    notes: list[str]


def examine_run(project: Project, run: RunInfo, *, model: str | None = None) -> Examination:
    """Look whether `run` can be re-run; nothing runs and nothing is installed.

    Raises:
        StoreError: its record is damaged.
    """
    return Examiner(project).examine(run, model=model)


def examine_models(project: Project) -> list[Examination]:
    """Look whether the runs behind all registered model versions can be re-run."""
    examiner = Examiner(project)
    versions = list_versions(read_registry(project.store))
    return [examiner.examine(read_run(project.store, each.run), model=each.reference) for each in versions]


def refuse_unable(run: RunInfo, problems: Sequence[Problem]) -> None:
    """Raise `NotReproducibleError` with all the problems, where there are some."""
    if problems:
        told = "; ".join(problem.text for problem in problems)
        mends = dict.fromkeys(problem.mend for problem in problems if problem.mend)
        raise NotReproducibleError(f"run {short(run.id)} cannot be re-run: {told}", hint="; ".join(mends) or None)


class Examiner:
    """Examines runs, and remembers what it read: files that several versions share are hashed once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._files: dict[tuple[Path, bytes], list[str]] = {}
        self._trees: dict[str, list[Problem]] = {}
        self._environments: dict[bytes, list[Problem]] = {}

    def examine(self, run: RunInfo, *, model: str | None = None) -> Examination:
        """Look whether this run can be re-run."""
        looked: list[str] = []
        notes: list[str] = []
        try:
            recipe = recipe_of(self._project, run)
        except NotReproducibleError as error:
            text = error.message.partition("cannot be re-run: ")[2] or error.message
            problems = [Problem(what="record", text=text, mend=error.hint)]
        except LinError as error:
            problems = [Problem(what="record", text=error.message, mend=error.hint)]
        else:
            problems = self.find_problems(recipe)
            looked = list(self._tell(recipe))
            notes += [*self._left_out(recipe), *self._not_asked(recipe)]
        return Examination(
            run=run.id, name=run.name, model=model, able=not problems, problems=problems, looked=looked, notes=notes
        )

    def find_problems(self, recipe: Recipe) -> list[Problem]:
        """All for which this recipe cannot be performed."""
        tables = [side for table in recipe.tables for side in _sides(table)]
        return [
            *(problem for table in tables for problem in self._check_table(table)),
            *self._check_source(recipe.source),
            *self._check_files(recipe),
            *(problem for model in recipe.models for problem in self._check_model(model)),
            *self._check_program(recipe),
            *self._check_environment(recipe),
        ]

    # --- data and source ----------------------------------------------------------------------------------------------

    def _check_table(self, table: TableRef) -> Iterator[Problem]:
        what = f"{table.table}@{table.version}"
        try:
            pin = read_recorded_pin(self._project, table)
        except LinError as error:
            yield Problem(what="data", text=f"what {what} was is not known: {error.message}", mend=_FROM_BACKUP)
            return
        opened = live_table(self._project, table)
        lost = [problem for file in pin.files for problem in self._check_data_file(opened, pin, file)]
        if lost:
            yield Problem(
                what="data",
                text=f"{len(lost)} of {len(pin.files)} data files of {what} are missing or altered: {_listed(lost)}",
                mend=f"restore the files of table '{table.table}' from a backup",
            )

    def _check_data_file(self, table: Table, pin: Pin, file: DataFile) -> list[str]:
        place = table.root.resolve(), encode(file)
        if place not in self._files:
            self._files[place] = check_pin(table, msgspec.structs.replace(pin, files=[file]))
        return self._files[place]

    def _check_source(self, tree: str | None) -> list[Problem]:
        if tree is not None and tree not in self._trees:
            self._trees[tree] = list(self._read_source(tree))
        return self._trees[tree] if tree is not None else []

    def _read_source(self, sha256: str) -> Iterator[Problem]:
        blobs = self._project.store.blobs
        try:
            tree = read_tree(blobs, sha256)
        except LinError as error:
            yield Problem(what="source", text=f"the list of its source files: {error.message}", mend=_FROM_BACKUP)
            return
        lost = [file.path for file in tree.files if not self._has_blob(file.sha256)]
        if lost:
            text = f"{len(lost)} of {len(tree.files)} source files are missing or damaged in the store: {_listed(lost)}"
            yield Problem(what="source", text=text, mend=_FROM_BACKUP)

    def _has_blob(self, sha256: str) -> bool:
        """Whether the content is there, whole."""
        try:
            self._project.store.blobs.read(sha256)
        except LinError:
            return False
        return True

    def _check_model(self, model: ModelRef) -> Iterator[Problem]:
        if not self._has_blob(model.sha256):
            text = f"the file of model {model.model}@{model.version} is missing or damaged in the store"
            yield Problem(what="models", text=text, mend=_FROM_BACKUP)

    def _check_files(self, recipe: Recipe) -> Iterator[Problem]:
        if not recipe.command or self._check_source(recipe.source):
            return  # a fit reads tables alone, and what the snapshot holds is not known
        for text in missing_files(self._project, recipe):
            yield Problem(what="files", text=text, mend="put the file back as it was")

    # --- what runs, and in what ---------------------------------------------------------------------------------------

    def _check_program(self, recipe: Recipe) -> Iterator[Problem]:
        """A program is in the source, or on this machine; of a Python that is gone, the environment tells."""
        if not recipe.command or is_python(Path(recipe.command[0])) or self._is_in_source(recipe):
            return
        try:
            find_program(recipe.command[0], self._project.root / recipe.folder)
        except NotFoundError as error:
            yield Problem(what="program", text=error.message, mend=error.hint)

    def _is_in_source(self, recipe: Recipe) -> bool:
        tree = self._tree(recipe)
        path = os.path.normpath(PurePosixPath(recipe.folder, recipe.command[0]))
        return tree is not None and path in {file.path for file in tree.files}

    def _check_environment(self, recipe: Recipe) -> list[Problem]:
        if recipe.environment is None:
            return []
        key = encode([recipe.environment, sorted(recipe.packages.items()), recipe.command[:1]])
        if key not in self._environments:
            self._environments[key] = list(self._examine_environment(recipe, recipe.environment))
        return self._environments[key]

    def _examine_environment(self, recipe: Recipe, sha256: str) -> Iterator[Problem]:
        try:
            recorded = decode_environment(self._project, sha256)
        except LinError as error:
            yield Problem(what="environment", text=error.message, mend=_FROM_BACKUP)
            return
        if self._is_project_python(recipe):
            return
        for text in examine_environment(recorded, recipe.packages, here=find_python(self._project, recipe)):
            yield Problem(what="environment", text=text, mend=None)

    # --- what is told -------------------------------------------------------------------------------------------------

    def _tree(self, recipe: Recipe) -> SourceTree | None:
        if recipe.source is None or self._check_source(recipe.source):
            return None
        return read_tree(self._project.store.blobs, recipe.source)

    def _tell(self, recipe: Recipe) -> Iterator[str]:
        for table in recipe.tables:
            yield from (f"{side.table}@{side.version}" for side in _sides(table))
        yield from (file.path for file in recipe.files)
        yield from (f"{model.model}@{model.version}" for model in recipe.models)
        if tree := self._tree(recipe):
            yield f"{len(tree.files)} source file{'s' * (len(tree.files) != 1)}"
        if recipe.environment and not self._check_environment(recipe) and not self._is_project_python(recipe):
            found = decode_environment(self._project, recipe.environment)
            yield f"python {found.python} with {len(found.packages)} packages"

    def _is_project_python(self, recipe: Recipe) -> bool:
        """Whether its Python lies in the project, and is not the one that runs this: to ask it would run it."""
        here, root = find_python(self._project, recipe), self._project.root
        inside = here.is_relative_to(root) or here.parent.resolve().is_relative_to(root)
        return inside and here.parent != Path(sys.executable).parent

    def _not_asked(self, recipe: Recipe) -> Iterator[str]:
        if self._is_project_python(recipe):
            yield f"{recipe.command[0]} lies in the project, so it was not started to ask which packages it has"

    def _left_out(self, recipe: Recipe) -> Iterator[str]:
        tree = self._tree(recipe)
        if tree is not None and tree.left_out:
            told = _listed([f"{file.path} ({file.reason})" for file in tree.left_out])
            yield f"the source snapshot left out {told}: a program that needs them will fail"


def find_python(project: Project, recipe: Recipe) -> Path:
    """The interpreter at hand for a recipe: a program's own, if it is a Python that is here; else this one."""
    if recipe.command and is_python(Path(recipe.command[0])):
        with suppress(NotFoundError):
            return find_program(recipe.command[0], project.root / recipe.folder)
    return Path(sys.executable)


def _sides(table: TableRef | Mix) -> list[TableRef]:
    return [table.base, table.other] if isinstance(table, Mix) else [table]


def _listed(found: Sequence[str], most: int = 5) -> str:
    return "; ".join([*found[:most], *([f"and {len(found) - most} more"] if len(found) > most else [])])
