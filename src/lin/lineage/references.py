"""What a reference means: `housing@0`, `boston@3`, `boston`, a run; `table:`, `model:` or `run:` settles it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lin.errors import NotFoundError, UsageError
from lin.models.registry import ModelVersion, find_model, find_version, read_registry
from lin.models.registry import split_reference as split_model
from lin.project import Project
from lin.runs.query import RunInfo, find_run, read_run

if TYPE_CHECKING:
    from lin.data.tables import Table


@dataclass(frozen=True)
class TableAt:
    """A version of a table; None is the newest."""

    table: "Table"
    version: int | None


Target = TableAt | ModelVersion | list[ModelVersion] | RunInfo


def resolve(project: Project, reference: str) -> Target:
    """The table version, model version, model (its versions) or run that `reference` means.

    Raises:
        NotFoundError: nothing is called that. UsageError: a table and a model are.
    """
    kind, colon, rest = reference.partition(":")
    if colon and kind == "run":
        return find_run(project.store, rest)
    if colon and kind == "table":
        return _table(project, rest)
    if colon and kind in {"model", "models"}:
        return _model(project, reference)
    return _guess(project, reference)


def _guess(project: Project, reference: str) -> Target:
    name = reference.partition("@")[0]
    is_table = name in project.config.tables
    is_model = name in read_registry(project.store)
    if is_table and is_model:
        raise UsageError(f"'{name}' is a table and a model", hint=f"table:{reference} or model:{reference}")
    if is_table:
        return _table(project, reference)
    if is_model:
        return _model(project, reference)
    if "@" in reference:
        raise NotFoundError(f"there is no table or model '{name}'", hint="lin tables, lin models")
    try:
        return find_run(project.store, reference)
    except NotFoundError as error:
        message = f"there is no table, model or run '{reference}'"
        raise NotFoundError(message, hint="lin tables, lin models, lin runs") from error


def _table(project: Project, reference: str) -> TableAt:
    from lin.data.tables import open_table, split_reference

    name, version = split_reference(reference)
    return TableAt(open_table(project, name), version)


def _model(project: Project, reference: str) -> ModelVersion | list[ModelVersion]:
    registry = read_registry(project.store)
    name, selector = split_model(reference)
    return find_model(registry, name) if selector is None else find_version(registry, reference)


def find_run_behind(project: Project, reference: str) -> RunInfo:
    """The run that `reference` means, or the run behind the model version that it means.

    Raises:
        NotFoundError: nothing is called that. UsageError: it is a table, or a model without a version.
    """
    if reference.startswith("run:"):
        return find_run(project.store, reference.removeprefix("run:"))
    registry = read_registry(project.store)
    name, selector = split_model(reference)
    is_model = reference.startswith(("model:", "models:")) or name in registry
    if selector is not None and (is_model or not _is_table(project, reference)):
        return read_run(project.store, find_version(registry, reference).run)
    try:
        return find_run(project.store, reference)
    except NotFoundError:
        if is_model:
            find_version(registry, reference)  # says that a version is missing
        if _is_table(project, reference):
            raise UsageError(f"'{reference}' is a table, not a run or a model version", hint="lin runs") from None
        raise


def _is_table(project: Project, reference: str) -> bool:
    return reference.startswith("table:") or reference.partition("@")[0] in project.config.tables
