"""Comparing runs, sealed or not: only what differs, against the first of them.

What a run was made from may be gone: a table, a source file, an environment that can no longer be read is said to be
so where it is compared, and hides nothing else.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lin.data.diff import TableDiff, diff_versions
from lin.data.log import AddFile, Snapshot
from lin.data.tables import Table
from lin.errors import LinError, OutsideError, UsageError
from lin.ids import short
from lin.numbers import Real
from lin.project import Project
from lin.records import DataFile, Environment, FileRef, Input, ModelRef, Output, Pin, TableRef, decode, encode
from lin.runs.differences import (
    ComparedRun,
    Difference,
    EnvironmentChange,
    FeatureDifference,
    MetricDifference,
    RunComparison,
    SourceChange,
    TableChange,
    ThingDifference,
    ThingKind,
)
from lin.runs.environment import diff_environments
from lin.runs.evaluate import CLASSIFICATION_METRICS, LOWER_IS_BETTER, REGRESSION_METRICS
from lin.runs.hunks import diff_files
from lin.runs.query import RunInfo
from lin.runs.source import read_tree
from lin.store.blobs import Blobs

_ALWAYS = frozenset({"started", "seconds"})
_ONLY_ONE = "recorded for only one of them"
_NOT_TOLD = "nothing that both of them tell differs"
_JUDGED = frozenset({*REGRESSION_METRICS, *CLASSIFICATION_METRICS})
_FACTS = (
    "name", "kind", "status", "exit_code", "error", "experiment", "sweep", "parent", "actor", "started", "seconds",
    "peak_memory_bytes", "reason", "command", "folder",
)  # fmt: skip
_OF_FIT = ("target", "features", "exclude", "rows", "test_size", "seed", "metrics")


def compare_runs(
    project: Project, runs: Sequence[RunInfo], *, labels: Sequence[str] | None = None, rows: bool = True
) -> RunComparison:
    """What differs between runs, held against the first.

    Args:
        project: the one that the runs are of.
        runs: at least two.
        labels: what each of them was called by; where that is digits of its id, and by default, it is its last ones.
        rows: count also the rows that differ between versions of a table; only files that differ are read for it.

    Raises:
        UsageError: there are not two runs.
    """
    if len(runs) < 2:  # noqa: PLR2004
        raise UsageError("there is one run, and nothing to compare it with", hint="lin compare A B")
    blobs = project.store.blobs
    called = labels or [run.id for run in runs]
    compared = RunComparison(
        runs=[
            ComparedRun(id=run.id, label=short(run.id) if label in run.id else label, name=run.name, status=run.status)
            for run, label in zip(runs, called, strict=True)
        ],
        facts=[*_differ(runs, _facts, always=_ALWAYS), *_differ([run for run in runs if run.fit], _asked_of_fit)],
        params=_differ(runs, lambda run: run.params),
        metrics=[_judge(metric, runs) for metric in _differ(runs, lambda run: run.metrics)],
        tags=_differ(runs, lambda run: run.tags),
        features=_compare_features(runs),
        inputs=_compare_things(runs, lambda run: run.inputs),
        tables=_compare_tables(project, runs, rows=rows),
        outputs=_compare_things(runs, lambda run: run.outputs),
        artifacts=_differ(runs, lambda run: {artifact.path: artifact for artifact in run.artifacts}),
        source=_compare_sources(blobs, runs),
        git=_differ(runs, _git),
        environment=_compare_environments(blobs, runs),
        host=_differ(runs, _host),
        same=[],
    )
    return msgspec.structs.replace(compared, same=_find_same(compared, runs))


def _find_same(compared: RunComparison, runs: Sequence[RunInfo]) -> list[str]:
    """The axes on which all runs have something, and the same."""
    has: dict[str, Callable[[RunInfo], Any]] = {
        "params": lambda run: run.params,
        "metrics": lambda run: run.metrics,
        "tags": lambda run: run.tags,
        "features": lambda run: run.features,
        "inputs": lambda run: run.inputs,
        "outputs": lambda run: run.outputs,
        "artifacts": lambda run: run.artifacts,
        "source": lambda run: run.source,
        "git": _git,
        "environment": lambda run: run.environment,
        "host": lambda run: run.host,
    }
    return [axis for axis, of in has.items() if all(map(of, runs)) and not getattr(compared, axis)]


# --- what a run is, as names and values -------------------------------------------------------------------------------


def _differ(
    runs: Sequence[RunInfo], of: Callable[[RunInfo], Mapping[str, Any]], *, always: frozenset[str] = frozenset()
) -> list[Difference]:
    """The names under which the runs do not have the same value, as it is stored: 1, 1.0 and true are three."""
    told = {run.id: of(run) for run in runs}
    names = dict.fromkeys(name for values in told.values() for name in values)
    found = [Difference(name=name, values={run: v[name] for run, v in told.items() if name in v}) for name in names]
    return [
        difference
        for difference in found
        if difference.name in always or _is_divided(list(difference.values.values()), len(told))
    ]


def _is_divided(values: Sequence[Any], runs: int) -> bool:
    return len(values) < runs or len({encode(value) for value in values}) > 1


def _facts(run: RunInfo) -> dict[str, Any]:
    return {name: getattr(run, name) for name in _FACTS}


def _asked_of_fit(run: RunInfo) -> dict[str, Any]:
    """Without the estimator and what it was given: these are params."""
    return {f"fit.{name}": getattr(run.fit, name) for name in _OF_FIT}


def _git(run: RunInfo) -> dict[str, Any]:
    return msgspec.structs.asdict(run.source.git) if run.source and run.source.git else {}


def _host(run: RunInfo) -> dict[str, Any]:
    return msgspec.structs.asdict(run.host)


def _judge(metric: Difference, runs: Sequence[RunInfo]) -> MetricDifference:
    """The metric with how far each value is from the first, and which way that is."""
    first = metric.values.get(runs[0].id, math.nan)
    gaps = {run: value - first for run, value in metric.values.items() if run != runs[0].id}
    deltas = {run: Real(gap) for run, gap in gaps.items() if math.isfinite(gap)}
    sign = -1 if metric.name in LOWER_IS_BETTER else 1
    better = {run: gap * sign > 0 for run, gap in deltas.items() if gap and metric.name in _JUDGED}
    return MetricDifference(name=metric.name, values=metric.values, deltas=deltas, better=better)


def _compare_features(runs: Sequence[RunInfo]) -> list[FeatureDifference]:
    """Of runs that have features: a program has none that lin knows of."""
    first = runs[0].features
    known = set(first)
    found = []
    for run in runs[1:]:
        has = set(run.features)
        if first and has and run.features != first:
            added = [name for name in run.features if name not in known]
            removed = [name for name in first if name not in has]
            reordered = not added and not removed
            found.append(FeatureDifference(run=run.id, added=added, removed=removed, reordered=reordered))
    return found


def _compare_things(
    runs: Sequence[RunInfo], of: Callable[[RunInfo], Iterable[Input | Output]]
) -> list[ThingDifference]:
    """The tables, models and files that were not read, or written, by all runs in the same version."""
    told: dict[str, dict[tuple[ThingKind, str], list[Input]]] = {run.id: {} for run in runs}
    for run in runs:
        for thing in of(run):
            told[run.id].setdefault(_name_thing(thing), []).append(thing)
    names = dict.fromkeys(name for things in told.values() for name in things)
    return [
        ThingDifference(
            kind=kind, name=name, values={run: v[kind, name] for run, v in told.items() if (kind, name) in v}
        )
        for kind, name in names
        if len({tuple(map(_identify, things.get((kind, name), ()))) for things in told.values()}) > 1
    ]


def _name_thing(thing: Input) -> tuple[ThingKind, str]:
    match thing:
        case TableRef():
            return "table", thing.table
        case ModelRef():
            return "model", thing.model
        case FileRef():
            return "file", thing.path


def _identify(thing: Input) -> tuple[object, ...]:
    """What makes it the same one: the place where a table lies does not."""
    match thing:
        case TableRef():
            return thing.version, thing.pin, tuple(thing.order)
        case ModelRef():
            return thing.version, thing.sha256
        case FileRef():
            return (thing.sha256,)


# --- tables -----------------------------------------------------------------------------------------------------------


def _compare_tables(project: Project, runs: Sequence[RunInfo], *, rows: bool) -> list[TableChange]:
    """A change for each version that stands against another one; a run that read several of a table has none."""
    first = _read_once(runs[0])
    found: dict[tuple[str, tuple[object, ...]], tuple[TableRef, list[str]]] = {}
    for run in runs[1:]:
        for name, new in _read_once(run).items():
            if name in first and _identify(first[name]) != _identify(new):
                _, readers = found.setdefault((name, _identify(new)), (new, []))
                readers += [] if run.id in readers else [run.id]
    return [_compare_table(project, first[new.table], new, readers, rows=rows) for new, readers in found.values()]


def _read_once(run: RunInfo) -> dict[str, TableRef]:
    """The tables that the run read at one version only."""
    read: dict[str, list[TableRef]] = {}
    for table in run.table_inputs:
        read.setdefault(table.table, []).append(table)
    return {name: refs[0] for name, refs in read.items() if all(ref == refs[0] for ref in refs)}


def _compare_table(project: Project, old: TableRef, new: TableRef, runs: list[str], *, rows: bool) -> TableChange:
    diff, note = None, None
    try:
        if old.pin == new.pin:
            note = "the same data" + _other_order(old, new)
        elif _locate(project, old) != _locate(project, new):
            note = f"other data, in another place: {old.location} -> {new.location}"
        elif rows:
            diff = _count_rows(project, old, new)
    except LinError as error:
        note = f"the rows cannot be compared: {error.message}"
    return TableChange(runs=runs, table=old.table, old=old.version, new=new.version, diff=diff, note=note)


def _other_order(old: TableRef, new: TableRef) -> str:
    if old.order == new.order:
        return ""
    orders = (", ".join(table.order) or "as written" for table in (old, new))
    return f", read in another order: {' -> '.join(orders)}"


def _count_rows(project: Project, old: TableRef, new: TableRef) -> TableDiff:
    """The diff without rows, if the versions are still what the runs read."""
    root = _locate(project, old)
    declared = project.config.tables.get(old.table)
    key = declared.key if declared and (project.root / declared.path).resolve() == root else ()
    table = Table(old.table, root, tuple(key), tuple(old.order))
    snapshots = table.log.snapshots([old.version, new.version])
    for read in (old, new):
        pin = decode(project.store.blobs.read(read.pin), Pin, where=f"the pin of {read.table}@{read.version}")
        if not _is_pinned(snapshots[read.version], pin):
            raise OutsideError(f"{read.table}@{read.version} is no longer what the run read")
    return diff_versions(table, old.version, new.version, limit=0)


def _locate(project: Project, table: TableRef) -> Path:
    return (project.store_root / table.location).resolve()


def _is_pinned(snapshot: Snapshot, pin: Pin) -> bool:
    """Whether the log names the pinned files; their bytes are not hashed again."""
    return [_name_file(file) for file in snapshot.files] == [_name_file(file) for file in pin.files]


def _name_file(file: AddFile | DataFile) -> tuple[object, ...]:
    vector = file.vector
    return file.path, file.bytes, vector and (vector.path, vector.inline, vector.offset, vector.bytes)


# --- source and environment -------------------------------------------------------------------------------------------


def _others(runs: Sequence[RunInfo], of: Callable[[RunInfo], str | None]) -> dict[str | None, list[str]]:
    """The runs that do not have the digest of the first, by theirs."""
    found: dict[str | None, list[str]] = {}
    for run in runs[1:]:
        if of(run) != of(runs[0]) and run.id not in found.get(of(run), ()):
            found.setdefault(of(run), []).append(run.id)
    return found


def _compare_sources(blobs: Blobs, runs: Sequence[RunInfo]) -> list[SourceChange]:
    first = _tree_of(runs[0])
    return [_compare_source(blobs, first, tree, ids) for tree, ids in _others(runs, _tree_of).items()]


def _tree_of(run: RunInfo) -> str | None:
    return run.source.tree if run.source else None


def _compare_source(blobs: Blobs, first: str | None, tree: str | None, runs: list[str]) -> SourceChange:
    if first is None or tree is None:
        return SourceChange(runs=runs, files=[], note=_ONLY_ONE)
    try:
        files = diff_files(read_tree(blobs, first), read_tree(blobs, tree), blobs)
    except LinError as error:
        return SourceChange(runs=runs, files=[], note=f"it cannot be compared: {error.message}")
    return SourceChange(runs=runs, files=files, note=None if files else _NOT_TOLD)


def _compare_environments(blobs: Blobs, runs: Sequence[RunInfo]) -> list[EnvironmentChange]:
    first = runs[0].environment
    others = _others(runs, lambda run: run.environment)
    return [_compare_environment(blobs, first, digest, ids) for digest, ids in others.items()]


def _compare_environment(blobs: Blobs, first: str | None, second: str | None, runs: list[str]) -> EnvironmentChange:
    if first is None or second is None:
        return EnvironmentChange(runs=runs, differences=[], note=_ONLY_ONE)
    try:
        old, new = (
            decode(blobs.read(sha256), Environment, where=f"environment {sha256[:12]}") for sha256 in (first, second)
        )
    except LinError as error:
        return EnvironmentChange(runs=runs, differences=[], note=f"it cannot be compared: {error.message}")
    differences = diff_environments(old, new)
    return EnvironmentChange(runs=runs, differences=differences, note=None if differences else _NOT_TOLD)
