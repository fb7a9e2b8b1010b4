"""What a reference means: `housing@0`, `boston@3`, `boston`, a run; `table:`, `model:` or `run:` settles it.

What a model's name, stage or alias meant at a past moment is asked of the registry as it was then; a table version
and a run are always the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from lin.data.moments import show_moment
from lin.errors import NotFoundError, UsageError
from lin.events import Alias, Change, Event, Rollback, Stage
from lin.ids import short
from lin.models.fold import Model, ModelVersion, fold_events
from lin.models.registry import SHARED_STAGES, find_model, find_version, read_events, read_registry
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


@dataclass(frozen=True)
class Meant:
    """A run, and the model version by which it was named."""

    run: RunInfo
    version: ModelVersion | None = None

    @property
    def label(self) -> str:
        """What to call it: `boston@3`, or the last digits of the run's id."""
        return self.version.reference if self.version else short(self.run.id)


Target = TableAt | ModelVersion | Model | RunInfo


def resolve(project: Project, reference: str, *, as_of: datetime | None = None) -> Target:
    """The table version, model version, model or run that `reference` means.

    Args:
        project: where it is asked.
        reference: as somebody typed it.
        as_of: a moment at which a model and its versions are meant as they were; tables and runs are what they are.

    Raises:
        NotFoundError: nothing is called that, or nothing was then. UsageError: a table and a model are.
    """
    kind, colon, rest = reference.partition(":")
    if colon and kind == "run":
        return find_run(project.store, rest)
    if colon and kind == "table":
        return _table(project, rest)
    if colon and kind in {"model", "models"}:
        return _model(project, reference, as_of)
    return _guess(project, reference, as_of)


def _guess(project: Project, reference: str, as_of: datetime | None) -> Target:
    name = reference.partition("@")[0]
    is_table = name in project.config.tables
    is_model = name in read_registry(project.store)
    if is_table and is_model:
        raise UsageError(f"'{name}' is a table and a model", hint=f"table:{reference} or model:{reference}")
    if is_table:
        return _table(project, reference)
    if is_model:
        return _model(project, reference, as_of)
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


def _model(project: Project, reference: str, as_of: datetime | None) -> ModelVersion | Model:
    registry = read_registry(project.store, as_of=as_of)
    name, selector = split_model(reference)
    if as_of is not None:
        find_model(read_registry(project.store), name)
    with _saying_when(as_of, name):
        return find_model(registry, name) if selector is None else find_version(registry, reference)


@contextmanager
def _saying_when(moment: datetime | None, model: str) -> Iterator[None]:
    """Say of what is not there that it was not there at a moment; what there is now is another matter."""
    try:
        yield
    except (NotFoundError, UsageError) as error:
        if moment is None:
            raise
        hint = error.hint if isinstance(error, UsageError) else f"lin show {model}"
        raise NotFoundError(f"at {show_moment(moment)}, {error.message}", hint=hint) from error


def find_run_behind(project: Project, reference: str) -> RunInfo:
    """The run that `reference` means, or the run behind the model version that it means.

    Raises:
        NotFoundError: nothing is called that. UsageError: it is a table, or a model without a version.
    """
    return find_meant(project, reference).run


def find_meant(project: Project, reference: str) -> Meant:
    """As `find_run_behind`, with the model version that was named. Raises the same."""
    if reference.startswith("run:"):
        return Meant(find_run(project.store, reference.removeprefix("run:")))
    registry = read_registry(project.store)
    name, selector = split_model(reference)
    is_model = reference.startswith(("model:", "models:")) or name in registry
    if selector is not None and (is_model or not _is_table(project, reference)):
        return _behind(project, find_version(registry, reference))
    try:
        return Meant(find_run(project.store, reference))
    except NotFoundError:
        if is_model:
            find_version(registry, reference)  # says that a version is missing
        if _is_table(project, reference):
            raise UsageError(f"'{reference}' is a table, not a run or a model version", hint="lin runs") from None
        raise


def find_pair(project: Project, references: Sequence[str], *, as_of: datetime | None = None) -> tuple[Meant, Meant]:
    """The two that are to be held against each other: both named, or one named and what it was or came after.

    Raises:
        NotFoundError: nothing is called that. UsageError: there are not two, or more than can be.
    """
    if len(references) == 1:
        only = references[0]
        return find_before_and_now(project, only) if as_of is None else find_then_and_now(project, only, as_of)
    if as_of is not None:
        raise UsageError("--as-of is for one reference: what it meant then and now", hint="lin why REF --as-of TIME")
    if len(references) > 2:  # noqa: PLR2004
        raise UsageError(
            f"{len(references)} are named, and two can be held against each other", hint="lin compare A B…"
        )
    return find_meant(project, references[0]), find_meant(project, references[1])


def find_then_and_now(project: Project, reference: str, moment: datetime) -> tuple[Meant, Meant]:
    """What a model version's reference meant at a moment, and what it means now.

    Raises:
        NotFoundError: it means nothing now, or did not then. UsageError: it is a run, which never changes.
    """
    now = find_meant(project, reference)
    if now.version is None:
        raise UsageError(
            f"'{reference}' is a run, which is always the same: only a model version has a then and a now",
            hint="lin why boston@production --as-of yesterday",
        )
    with _saying_when(moment, now.version.model):
        then = find_version(read_registry(project.store, as_of=moment), reference)
    return _behind(project, then), now


def find_before_and_now(project: Project, reference: str) -> tuple[Meant, Meant]:
    """What came before a reference, and what it means.

    Before `boston@production` comes the version that was in production before, before `boston@champion` the one that
    had the alias, before `boston@3` comes `boston@2`, and before a re-run the run that it re-runs.

    Raises:
        NotFoundError: nothing is called that. UsageError: nothing came before it.
    """
    now = find_meant(project, reference)
    if now.version is None:
        if now.run.parent is None:
            raise UsageError(
                f"run {short(now.run.id)} is no re-run: name the run that it is to be held against",
                hint=f"lin why RUN {short(now.run.id)}",
            )
        return Meant(read_run(project.store, now.run.parent)), now
    version = now.version
    selector = split_model(reference)[1] or ""
    events = read_events(project.store)
    registry = fold_events(events)
    holders = list_holders(events, version.model, selector)
    is_held = bool(holders) and not selector.isdecimal()
    number = (holders[-2] if len(holders) > 1 else 0) if is_held else version.version - 1
    if number < 1:
        held = f"had the alias {selector}" if selector in version.aliases else f"was in {selector}"
        where = f"version of '{version.model}' {held}" if is_held else "version came"
        raise UsageError(f"no {where} before {version.reference}", hint=f"lin why A {version.reference}")
    before = find_model(registry, version.model).versions[number - 1]
    return _behind(project, before), now


def list_holders(events: Iterable[Event], model: str, selector: str) -> list[int]:
    """The versions that held a stage, or had an alias, one after the other."""
    changes = (event.change for event in events)
    holders = (version for change in changes for version in _given(change, model, selector))
    return [version for version, _ in groupby(holders)]


def _given(change: Change, model: str, selector: str) -> list[int]:
    """The versions that a change put into a stage, or gave an alias."""
    stage = selector.lower()
    match change:
        case Stage() if change.model == model and change.stage == stage not in SHARED_STAGES:
            return [change.version]
        case Alias() if change.model == model and change.alias == selector and change.version is not None:
            return [change.version]
        case Rollback() if change.model == model:
            put = [put.version for put in change.stages if put.stage == stage not in SHARED_STAGES]
            named = change.aliases.get(selector)
            return put if named is None else [*put, named]
        case _:
            return []


def _behind(project: Project, version: ModelVersion) -> Meant:
    return Meant(read_run(project.store, version.run), version)


def _is_table(project: Project, reference: str) -> bool:
    return reference.startswith("table:") or reference.partition("@")[0] in project.config.tables
