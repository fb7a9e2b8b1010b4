"""Asking about runs: one run in full, and lists filtered, sorted and cut. Reads the records themselves."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

from lin.errors import NotFoundError, StoreError
from lin.numbers import Real
from lin.records import (
    WORK,
    Artifact,
    FileRef,
    Fit,
    Host,
    Input,
    Kind,
    ModelRef,
    Output,
    Param,
    PredictedInput,
    Sealed,
    Source,
    Start,
    TableRef,
)
from lin.runs.deleted import deleted_runs
from lin.runs.fold import fold_log
from lin.runs.host import capture_process, is_alive
from lin.runs.matching import matches, sort_key
from lin.runs.where import Compare, Expression, Field, parse_field, parse_where
from lin.store.runs import LOG
from lin.store.store import Store


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One run, sealed or not, as `--json` shows it."""

    id: str
    name: str
    kind: Kind
    status: str
    experiment: str | None
    sweep: str | None
    parent: str | None
    started: datetime
    seconds: float | None
    actor: str
    params: dict[str, Param]
    metrics: dict[str, Real]
    tags: dict[str, str]
    inputs: list[Input]
    outputs: list[Output]
    predicted: list[PredictedInput]
    """What of its inputs a model wrote; empty too where nobody looked: see `lin.runs.feedback`."""
    artifacts: list[Artifact]
    features: list[str]
    fit: Fit | None
    command: list[str]
    folder: str
    reason: str | None
    exit_code: int | None
    error: str | None
    source: Source | None
    environment: str | None
    recipe: str | None
    host: Host
    peak_memory_bytes: int | None

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        from lin.runs.cards import run_html

        return run_html(self)

    def artifact(self, path: str) -> Artifact | None:
        """The artifact of that name, if the run has it."""
        return next((a for a in self.artifacts if a.path == path), None)

    @property
    def table_inputs(self) -> list[TableRef]:
        """The table versions it read."""
        return [i for i in self.inputs if isinstance(i, TableRef)]

    @property
    def table_outputs(self) -> list[TableRef]:
        """The table versions it wrote."""
        return [o for o in self.outputs if isinstance(o, TableRef)]

    @property
    def file_inputs(self) -> list[FileRef]:
        """The plain files it read."""
        return [i for i in self.inputs if isinstance(i, FileRef)]

    @property
    def file_outputs(self) -> list[FileRef]:
        """The plain files it wrote."""
        return [o for o in self.outputs if isinstance(o, FileRef)]

    @property
    def model_inputs(self) -> list[ModelRef]:
        """The model versions it used."""
        return [i for i in self.inputs if isinstance(i, ModelRef)]


class RunList(msgspec.Struct, frozen=True, kw_only=True):
    """The runs asked for, and what is wrong with records that could not be read."""

    runs: list[RunInfo]
    damaged: list[str]


def read_run(store: Store, run_id: str) -> RunInfo:
    """The run with that whole id.

    Raises:
        StoreError: its record is damaged, or its two parts do not belong together.
    """
    start, start_digest = store.runs.start_and_digest(run_id)
    sealed = store.runs.sealed(run_id)
    if sealed is None:
        info = _open_info(store, start)
        # between the two looks it may have been sealed, and its process have ended
        sealed = store.runs.sealed(run_id) if info.status == "abandoned" else None
        if sealed is None:
            return info
    if sealed.start != start_digest:
        raise StoreError(
            f"run {run_id} is damaged: its start.json is not the one that its run.json was sealed with",
            hint="restore that run's folder from a backup of the store",
        )
    return _sealed_info(start, sealed)


def find_run(store: Store, reference: str) -> RunInfo:
    """The run meant by `reference`: see `find_run_id`."""
    return read_run(store, find_run_id(store, reference))


def find_run_id(store: Store, reference: str) -> str:
    """The id of the run meant by `last`, by an id, a unique prefix or suffix of one, or by a name.

    A name that several runs share means the newest of them; `last` passes over imports and the like. Deleted runs are
    found by their id alone.

    Raises:
        NotFoundError: no such run. UsageError: several ids fit.
    """
    if reference == "last":
        hidden = deleted_runs(store)
        started = (run for run in store.runs.ids() if run not in hidden)
        newest = next((run for run in started if store.runs.start(run).kind in WORK), None)
        if newest is None:
            raise NotFoundError("there are no runs yet", hint="lin run EXPERIMENT")
        return newest
    found = store.runs.find(reference)
    if found is None and _is_text(reference):
        called = Compare(Field("attributes", "name"), "=", reference)
        found = next((run.id for run in search_runs(store, called, limit=1, kinds=None).runs), None)
    if found is None:
        raise NotFoundError(f"there is no run '{reference}'", hint="lin runs")
    return found


def _is_text(text: str) -> bool:
    """Whether a record can hold it: bytes of a command line that are no UTF-8 cannot be a name."""
    return text == text.encode("utf-8", "replace").decode()


def list_runs(
    store: Store,
    *,
    where: str | None = None,
    sort: str | None = None,
    descending: bool = False,
    limit: int | None = None,
    kinds: frozenset[Kind] | None = WORK,
) -> RunList:
    """The runs that fulfil `where`, sorted by a field (default: newest first), `limit` at most.

    `kinds=None` means all kinds. Runs without the sort field come last; deleted runs are left out.

    Raises:
        UsageError: `where` or `sort` is wrong.
    """
    condition = parse_where(where) if where else None
    field = parse_field(sort) if sort else None
    return search_runs(store, condition, sort=field, descending=descending, limit=limit, kinds=kinds)


def search_runs(
    store: Store,
    condition: Expression | None = None,
    *,
    sort: Field | None = None,
    descending: bool = False,
    limit: int | None = None,
    kinds: frozenset[Kind] | None = WORK,
) -> RunList:
    """As `list_runs`, of a parsed filter. The index says which sealed runs to read; the others are read anyway.

    The index is brought up to date first where it lacks many runs.
    """
    from lin.runs.catalog import choose_runs

    options = {"sort": sort, "descending": descending, "limit": limit, "kinds": kinds}
    choice = choose_runs(store, condition, without=deleted_runs(store), **options)
    damaged: list[str] = []
    runs = list(_select(read_each(store, [*choice.chosen, *choice.fresh], damaged), condition, kinds))
    if sort is None:
        runs.sort(key=lambda run: run.id, reverse=True)
    else:
        runs.sort(key=lambda run: sort_key(sort, RunFields(run), run.id, descending=descending))
    return RunList(runs=runs[:limit], damaged=damaged + choice.notes)


def read_each(store: Store, runs: Iterable[str], damaged: list[str]) -> Iterator[RunInfo]:
    """These runs; of one that cannot be read, the reason goes to `damaged`, and the others are read all the same.

    A folder in which no run has begun is passed over: that is what a kill can leave.
    """
    for run_id in runs:
        try:
            yield read_run(store, run_id)
        except StoreError as error:
            if store.runs.has_begun(run_id):
                damaged.append(error.message)


@dataclass(frozen=True)
class RunFields:
    """A run as the filter language sees it."""

    run: RunInfo

    @property
    def params(self) -> Mapping[str, Any]:
        """Its parameters."""
        return self.run.params

    @property
    def metrics(self) -> Mapping[str, float]:
        """Its metrics."""
        return self.run.metrics

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags."""
        return self.run.tags

    @cached_property
    def attributes(self) -> Mapping[str, object]:
        """What it is in itself."""
        run = self.run
        names = ("id", "name", "kind", "status", "experiment", "sweep", "parent", "seconds", "actor")
        return {name: getattr(run, name) for name in names} | {"started": run.started.isoformat()}

    @cached_property
    def inputs(self) -> Mapping[str, set[int]]:
        """The versions of each table that it read."""
        versions: dict[str, set[int]] = {}
        for table in self.run.table_inputs:
            versions.setdefault(table.table, set()).add(table.version)
        return versions


def _select(runs: Iterable[RunInfo], condition: Expression | None, kinds: frozenset[Kind] | None) -> Iterator[RunInfo]:
    for run in runs:
        if (kinds is None or run.kind in kinds) and (condition is None or matches(condition, RunFields(run))):
            yield run


def _sealed_info(start: Start, sealed: Sealed) -> RunInfo:
    return RunInfo(
        status=sealed.status,
        seconds=sealed.seconds,
        params=sealed.params,
        metrics=sealed.metrics,
        tags=sealed.tags,
        inputs=sealed.inputs,
        outputs=sealed.outputs,
        predicted=sealed.predicted,
        artifacts=sealed.artifacts,
        features=sealed.features,
        exit_code=sealed.exit_code,
        error=sealed.error,
        peak_memory_bytes=sealed.peak_memory_bytes,
        **_asked(start),
    )


def _open_info(store: Store, start: Start) -> RunInfo:
    logged = fold_log(start, store.runs.file(start.id, LOG) or b"")
    alive = is_alive(start.process, capture_process())
    return RunInfo(
        status="abandoned" if alive is False else "running",
        seconds=None,
        params=logged.params,
        metrics=logged.metrics,
        tags=logged.tags,
        inputs=logged.inputs,
        outputs=logged.outputs,
        predicted=[],
        artifacts=logged.artifacts,
        features=[],
        exit_code=None,
        error=None,
        peak_memory_bytes=None,
        **_asked(start),
    )


def _asked(start: Start) -> dict[str, Any]:
    names = (
        "id", "name", "kind", "experiment", "sweep", "parent", "started", "actor", "fit", "command", "folder",
        "reason", "source", "environment", "recipe", "host",
    )  # fmt: skip
    return {name: getattr(start, name) for name in names}
