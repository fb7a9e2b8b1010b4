"""What is to be otherwise in a re-run: parameters, packages, or what the project is now instead of what it was.

A change makes another recipe of a run's own and says what differs; what turns out to be as recorded is no change.
"""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from lin.config import FILE_NAME, ExperimentSetting, parse_config
from lin.data.files import open_regular
from lin.data.tables import Table, open_table
from lin.errors import NotReproducibleError, UsageError, nearest
from lin.ids import short
from lin.project import Project
from lin.proof.doctor import find_python
from lin.proof.environments.prepare import parse_with
from lin.proof.recipe import THREAD_VARIABLES, decode_environment, with_params
from lin.recipes import Mix, Recipe
from lin.records import Environment, FileRef, Param, TableRef, encode
from lin.runs.commands import fill_in
from lin.runs.environment import capture_environment, capture_interpreter, diff_environments
from lin.runs.estimators import parse_param
from lin.runs.probe import VARIABLES
from lin.runs.query import RunInfo
from lin.runs.source import capture_source, diff_sources, read_tree
from lin.runs.writes import pin_input


@dataclass(frozen=True)
class Changes:
    """What is asked for: values of parameters, versions of packages, and what to take as it is now."""

    params: Mapping[str, Param] = field(default_factory=dict)
    packages: Mapping[str, str | None] = field(default_factory=dict)
    source: bool = False
    data: bool = False
    environment: bool = False


def parse_changes(params: Sequence[str], packages: Sequence[str]) -> Changes:
    """The changes in words: `alpha=0.5` and `scikit-learn==1.7.2` each.

    Raises:
        UsageError: one of them says something else, or a parameter has several values.
    """
    values: dict[str, Param] = {}
    for text in params:
        name, options = parse_param(text)
        if len(options) != 1 or name in values:
            raise UsageError(f"'{text}' gives {name} several values, and a re-run has one", hint=f"-P {name}=VALUE")
        values[name] = options[0]
    return Changes(params=values, packages=parse_with(packages))


def apply_changes(project: Project, run: RunInfo, recipe: Recipe, changes: Changes) -> tuple[Recipe, list[str]]:
    """The recipe with these changes, and a line for each thing that is now otherwise.

    Raises:
        UsageError: a parameter cannot be changed. NotReproducibleError: what is to be taken as it is now is not there.
        OutsideError: a table cannot be read.
    """
    told: list[str] = []
    if changes.source:
        recipe = _with_current_source(project, recipe, told)
    if changes.data:
        recipe = _with_current_data(project, recipe, told)
    if changes.environment:
        recipe = _with_current_environment(project, recipe, told)
    if changes.params:
        recipe = _with_params(project, run, recipe, changes.params, told)
    if changes.packages:
        recipe = _with_packages(project, recipe, changes.packages, told)
    return recipe, told


# --- source and data --------------------------------------------------------------------------------------------------


def _with_current_source(project: Project, recipe: Recipe, told: list[str]) -> Recipe:
    blobs = project.store.blobs
    tree = capture_source(project.root, blobs, exclude=project.folders_of_data).tree
    if recipe.source is not None and recipe.source != tree:
        found = diff_sources(read_tree(blobs, recipe.source), read_tree(blobs, tree))
        paths = [*found.changed, *found.added, *found.removed] or found.unknown
        told.append(f"source: {_listed(paths)}")
    elif recipe.source is None:
        told.append("source: none was recorded")
    return msgspec.structs.replace(recipe, source=tree)


def _with_current_data(project: Project, recipe: Recipe, told: list[str]) -> Recipe:
    tables = [_current_table(project, table, told) for table in recipe.tables]
    files = [_current_file(project, file, told) for file in recipe.files]
    return msgspec.structs.replace(recipe, tables=tables, files=files)


def _current_table(project: Project, read: TableRef | Mix, told: list[str]) -> TableRef | Mix:
    """The newest version of the same table, in the order that it is declared to have now."""
    if isinstance(read, Mix):
        return read
    if read.table in project.config.tables:
        table = open_table(project, read.table)
    else:
        table = Table(read.table, project.store_root / read.location, order=tuple(read.order))
    _, now = pin_input(project, table)
    if (now.pin, now.order) == (read.pin, read.order):
        return read
    order = "" if now.order == read.order else f", in the order {', '.join(now.order) or 'as written'}"
    told.append(f"data: {read.table}@{read.version} -> {now.table}@{now.version}{order}")
    return now


def _current_file(project: Project, read: FileRef, told: list[str]) -> FileRef:
    try:
        with open_regular((project.root / read.path).resolve()) as stream:
            now = FileRef(read.path, hashlib.file_digest(stream, "sha256").hexdigest(), stream.tell())
    except (OSError, ValueError) as error:
        raise NotReproducibleError(
            f"the current file {read.path} cannot be read: {error}", hint="leave out --with-current-data"
        ) from error
    if now != read:
        told.append(f"data: file {read.path}")
    return now


# --- environment ------------------------------------------------------------------------------------------------------


def _with_current_environment(project: Project, recipe: Recipe, told: list[str]) -> Recipe:
    """What would be here without a record: this interpreter, these variables, and as many threads as it takes."""
    if recipe.fit is not None:
        import sklearn.base  # noqa: F401  loads what a fit computes with, so that it is in the environment
    python, blobs = find_python(project, recipe), project.store.blobs
    if python == Path(sys.executable):
        current = capture_environment(blobs, project.root)
    else:
        current = capture_interpreter(python, blobs, project.root)
    here = blobs.put(encode(current))
    if recipe.environment is None:
        told.append("environment: none was recorded")
    else:
        told += (f"environment: {line}" for line in _differences(project, recipe.environment, current))
    variables = {name: value for name, value in current.variables.items() if name in VARIABLES}
    threads = {blas.library: blas.threads for blas in current.blas if blas.library in THREAD_VARIABLES}
    return msgspec.structs.replace(recipe, environment=here, variables=variables, threads=threads, packages={})


def _differences(project: Project, recorded: str, current: Environment) -> list[str]:
    return diff_environments(decode_environment(project, recorded), current)


def _with_packages(project: Project, recipe: Recipe, packages: Mapping[str, str | None], told: list[str]) -> Recipe:
    if recipe.environment is None:
        raise UsageError("the run recorded no environment, so no package can be put in the place of another one")
    recorded = decode_environment(project, recipe.environment)
    versions = {package.name: package.version for package in recorded.packages} | {"python": recorded.python}
    for name, version in packages.items():
        if versions.get(name) != version:
            told.append(f"environment: {name} {versions.get(name, 'none')} -> {version or 'none'}")
    return msgspec.structs.replace(recipe, packages={**recipe.packages, **packages})


# --- parameters -------------------------------------------------------------------------------------------------------


def _with_params(
    project: Project, run: RunInfo, recipe: Recipe, params: Mapping[str, Param], told: list[str]
) -> Recipe:
    seed = params.get("seed", 0)
    if recipe.fit is None:
        changed, old = _fill_in_again(project, run, recipe, params), dict(recipe.params)
    elif isinstance(seed, bool) or not isinstance(seed, int):
        raise UsageError(f"the seed of a split is a whole number, not {seed!r}", hint="-P seed=1")
    else:
        changed, old = with_params(recipe, params), {"seed": recipe.fit.seed, **recipe.fit.params}
    told += (
        f"{name} {_shown(old, name)} -> {_shown(params, name)}"
        for name in params
        if name not in old or encode(old[name]) != encode(params[name])
    )
    return changed


def _fill_in_again(project: Project, run: RunInfo, recipe: Recipe, params: Mapping[str, Param]) -> Recipe:
    """The command of an experiment, its template filled in with other values: the template as it was then."""
    if recipe.experiment is None:
        raise UsageError(
            f"run {short(run.id)} is a command that was given as it is: it has no parameters to change",
            hint="lin run -- CMD, with other words",
        )
    declared = _experiment(project, recipe, recipe.experiment)
    known = [*declared.params, *recipe.params]
    for name in params:
        if name not in known:
            hint = nearest(name, known, instead=f"it has: {', '.join(dict.fromkeys(known)) or 'none'}")
            raise UsageError(f"experiment '{recipe.experiment}' has no parameter '{name}'", hint=hint)
    filled = fill_in(recipe.experiment, declared.command or "", {**recipe.params, **params})
    return msgspec.structs.replace(recipe, command=filled.argv, params=filled.params)


def _experiment(project: Project, recipe: Recipe, name: str) -> ExperimentSetting:
    blobs = project.store.blobs
    files = read_tree(blobs, recipe.source).files if recipe.source else []
    text = next((blobs.read(file.sha256) for file in files if file.path == FILE_NAME), b"")
    where = f"the {FILE_NAME} of the run"
    found = parse_config(text.decode(errors="replace"), where).experiments.get(name) if text else None
    if found is None or found.command is None:
        raise UsageError(
            f"{where} declares no command of experiment '{name}', so no parameter can be filled in",
            hint="lin run -- CMD, with other words",
        )
    return found


def _shown(values: Mapping[str, Any], name: str) -> str:
    return msgspec.json.encode(values[name]).decode() if name in values else "default"


def _listed(paths: Sequence[str], most: int = 5) -> str:
    return ", ".join([*paths[:most], *([f"and {len(paths) - most} more"] if len(paths) > most else [])])
