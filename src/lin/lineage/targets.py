"""What can be named to ask where it came from or what came of it, and how.

Beside `housing@1`, `boston@3`, `boston@production` and runs: `housing@1:medv` or `column:housing:medv`; `file:PATH`, or
a path that was recorded; `sha256:…`; `runs:/ID/PATH`; `source:…` and `environment:…` of a digest, a run or a model
version.
"""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from lin.data.tables import Table, open_table, split_reference
from lin.errors import LinError, NotFoundError, UsageError
from lin.lineage.cells import require_column
from lin.lineage.references import TableAt, find_run_behind, resolve
from lin.lineage.things import (
    ArtifactThing,
    CodeThing,
    FileThing,
    ModelThing,
    RunThing,
    SeveralThing,
    TableThing,
    Thing,
)
from lin.lineage.versions import Versions
from lin.models.fold import Model, ModelVersion
from lin.models.registry import list_versions, read_registry
from lin.project import Project
from lin.records import FileRef, TableRef
from lin.runs.links import Links
from lin.runs.query import RunInfo, find_run

_WORDS = frozenset({"run", "table", "model", "models"})
"""Words that settle, in front of a colon, what is meant."""

_START = re.compile(r"[0-9a-f]{8,64}")
"""The digits that a digest can be named by: the first eight at least."""


def find_target(
    project: Project, reference: str, links: Callable[[], Links], versions: Versions, *, folder: Path
) -> Thing:
    """What `reference` means.

    Args:
        project: where it is.
        reference: one of those above. A word in front of a colon is never taken for a table.
        links: gives the links of all runs; asked only where it takes them.
        versions: the project's tables.
        folder: what paths are relative to.

    Raises:
        NotFoundError: nothing is called that. UsageError: it may mean several things.
    """
    word, colon, rest = reference.partition(":")
    match word if colon else "":
        case "file":
            return _require_file(project, rest, links(), folder)
        case "sha256":
            return _find_content(project, rest, links(), versions)
        case "source" | "environment" as kind:
            return _find_code(project, kind, rest, links)
        case _:
            return _find_other(project, reference, links, versions, folder)


def _find_other(
    project: Project, reference: str, links: Callable[[], Links], versions: Versions, folder: Path
) -> Thing:
    """A column, an artifact, or what the other commands mean by it."""
    word, colon, rest = reference.partition(":")
    if reference.startswith("runs:/"):
        return _find_artifact(project, reference)
    if colon and word == "column":
        return _find_column(project, rest, versions)
    if colon and word not in _WORDS and ("@" in word or word in project.config.tables):
        return _find_column(project, reference, versions)
    return _find_named(project, reference, links, versions, folder)


def _find_named(
    project: Project, reference: str, links: Callable[[], Links], versions: Versions, folder: Path
) -> Thing:
    try:
        found = resolve(project, reference)
    except NotFoundError as error:
        if reference.partition(":")[0] in _WORDS:
            raise
        thing = _find_file(project, reference, links(), folder)
        if thing is None and (folder / reference).exists():
            raise _unknown_file(reference) from error
        if thing is None:
            raise
        return thing
    match found:
        case TableAt(table=table, version=version):
            return _at(project, table, version, links, versions)
        case RunInfo():
            return RunThing(found.id)
        case Model():
            return _model(found.versions[-1])
        case ModelVersion():
            return _model(found)


def _model(version: ModelVersion) -> ModelThing:
    return ModelThing(version.model, version.version)


def _at(
    project: Project, table: Table, version: int | None, links: Callable[[], Links], versions: Versions
) -> TableThing:
    """The version of a declared table; one whose commit is gone must have been recorded."""
    location = project.locate(table.root)
    thing = TableThing(table.name, location, table.log.head() if version is None else version)
    try:
        versions.read(thing)
    except LinError:
        if thing.place not in links().table_places():
            raise
    return thing


def _find_column(project: Project, reference: str, versions: Versions) -> TableThing:
    name, colon, column = reference.partition(":")
    if not colon or not column:
        raise UsageError(f"'{reference}' names no column", hint="column:TABLE@VERSION:COLUMN")
    table, version = split_reference(name)
    opened = open_table(project, table)
    number = opened.log.head() if version is None else version
    thing = TableThing(table, project.locate(opened.root), number, column)
    require_column(versions, thing)
    return thing


# --- files ------------------------------------------------------------------------------------------------------------


def _require_file(project: Project, path: str, links: Links, folder: Path) -> Thing:
    found = _find_file(project, path, links, folder)
    if found is None:
        raise _unknown_file(path)
    return found


def _unknown_file(path: str) -> NotFoundError:
    return NotFoundError(f"no run is known to have read or written the file '{path}'", hint="lin show RUN")


def _find_file(project: Project, path: str, links: Links, folder: Path) -> Thing | None:
    """The file of that path as it was recorded; each content that it had is a file of its own."""
    whole, root = Path(os.path.normpath(folder.resolve() / path)), project.root.resolve()
    inside = whole.relative_to(root).as_posix() if whole.is_relative_to(root) else path
    name = next((each for each in dict.fromkeys([inside, path]) if links.files(each)), None)
    return None if name is None else _one([_file(each) for each in links.files(name)], name, "one of its contents")


def _file(reference: FileRef) -> FileThing:
    return FileThing(reference.path, reference.sha256)


def _one(things: Sequence[Thing], name: str, how: str) -> Thing:
    return things[0] if len(things) == 1 else SeveralThing(name, how, tuple(things))


def _find_artifact(project: Project, reference: str) -> ArtifactThing:
    run_id, _, path = reference.removeprefix("runs:/").partition("/")
    run = find_run(project.store, run_id)
    artifact = run.artifact(path)
    if artifact is None:
        raise NotFoundError(f"run '{run_id}' has no artifact '{path}'", hint=f"lin artifacts {run_id}")
    return ArtifactThing(run.id, path, artifact.sha256)


# --- digests ----------------------------------------------------------------------------------------------------------


def _find_content(project: Project, start: str, links: Links, versions: Versions) -> Thing:
    """The files, models and table versions with that content: of table versions the digest is that of the pin."""
    _require_digits(f"sha256:{start}", start)
    read = links.of_digest(start)
    registered = [v for v in list_versions(read_registry(project.store)) if v.sha256.startswith(start)]
    digests = {each.sha256 for each in registered}
    digests |= {each.pin if isinstance(each, TableRef) else each.sha256 for each in read}
    kinds: tuple[Literal["source", "environment"], ...] = ("source", "environment")
    codes = [CodeThing(kind, digest) for kind in kinds for digest in links.codes(kind, start)]
    _require_one(f"sha256:{start}", sorted(digests | {code.digest for code in codes}))
    of_files = [_file(each) for each in read if isinstance(each, FileRef)]
    of_tables = [versions.thing(each) for each in read if isinstance(each, TableRef)]
    things: list[Thing] = [*of_files, *of_tables, *map(_model, registered), *codes]
    return _one([*dict.fromkeys(things)], f"sha256:{start}", "the same content")


def _find_code(
    project: Project, kind: Literal["source", "environment"], named: str, links: Callable[[], Links]
) -> CodeThing:
    """A source snapshot or environment, by its digest or by a run that had it."""
    if _START.fullmatch(named) and (found := links().codes(kind, named)):
        return CodeThing(kind, _require_one(f"{kind}:{named}", found))
    run = find_run_behind(project, named)
    tree = run.source.tree if run.source else None
    digest = run.environment if kind == "environment" else tree
    if digest is None:
        raise NotFoundError(f"run '{named}' recorded no {kind}", hint=f"lin show {named}")
    return CodeThing(kind, digest)


def _require_digits(reference: str, start: str) -> None:
    if not _START.fullmatch(start):
        raise UsageError(f"'{reference}' is no digest", hint="at least its first 8 hex digits, in lower case")


def _require_one(reference: str, digests: Sequence[str]) -> str:
    if not digests:
        raise NotFoundError(f"nothing that is recorded has the content '{reference}'", hint="lin show RUN")
    if len(digests) > 1:
        raise UsageError(f"'{reference}' fits {len(digests)} digests", hint="give more digits")
    return digests[0]
