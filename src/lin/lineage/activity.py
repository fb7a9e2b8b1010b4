"""What runs now, what was abandoned, and what has failed lately: without reading runs that ended well.

A run that is not sealed is never in the index, so those that it lacks are looked at, and no others.
"""

from collections.abc import Collection
from datetime import datetime

import msgspec

from lin.errors import LinError
from lin.ids import is_id
from lin.records import Start
from lin.runs.deleted import deleted_runs
from lin.runs.host import capture_process, is_alive
from lin.runs.query import RunInfo, read_each
from lin.runs.where import And, Compare, Expression, Field, In
from lin.store.store import Store

MOST = 10
"""As many failures are told; the rest is a number."""
_NOT_OURS = "cell"
"""Runs of lin's own, made to find out why others differ: that one fails tells something."""


class RunStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is open, or has failed, which `error` tells more of."""

    id: str
    name: str
    experiment: str | None
    started: datetime
    actor: str
    host: str
    error: str | None = None


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """See `lin.lineage.status.Status`. Runs come newest first."""

    running: list[RunStatus]
    abandoned: int
    failed: int
    failures: list[RunStatus]


def read_activity(store: Store, since: datetime, problems: list[str]) -> Activity:
    """What runs, and what has failed since then; what cannot be read goes to `problems`."""
    from lin.runs.catalog import choose_runs

    hidden = _deleted(store)
    choice = choose_runs(store, _failed_since(since), without=hidden)
    problems += choice.notes
    fresh = [run for run in choice.fresh if is_id(run) and run not in hidden and store.runs.has_begun(run)]
    sealed = [run for run in fresh if store.runs.is_sealed(run)]
    running, abandoned = _look_at_open(store, {*fresh} - {*sealed}, problems)
    late = [run for run in read_each(store, sealed, problems) if _has_failed(run, since)]
    chosen = sorted({*choice.chosen, *(run.id for run in late)}, reverse=True)
    failures = [_failure(run) for run in read_each(store, chosen[:MOST], problems)]
    return Activity(running=running, abandoned=abandoned, failed=len(chosen), failures=failures)


def _deleted(store: Store) -> frozenset[str]:
    try:
        return deleted_runs(store)
    except LinError:  # that the events are damaged is told already
        return frozenset()


def _failed_since(since: datetime) -> Expression:
    return And((
        In(Field("attributes", "status"), ("failed", "interrupted")),
        Compare(Field("attributes", "started"), ">=", since.isoformat()),
        Compare(Field("attributes", "kind"), "!=", _NOT_OURS),
    ))  # fmt: skip


def _has_failed(run: RunInfo, since: datetime) -> bool:
    return run.status in {"failed", "interrupted"} and run.started >= since and run.kind != _NOT_OURS


def _look_at_open(store: Store, runs: Collection[str], problems: list[str]) -> tuple[list[RunStatus], int]:
    """The runs that are not known to be dead, and how many are."""
    here = capture_process()
    starts = []
    for run in sorted(runs, reverse=True):
        try:
            starts.append(store.runs.start(run))
        except LinError as error:
            problems.append(error.message)
    living = [start for start in starts if is_alive(start.process, here) is not False]
    return [_open(start) for start in living], len(starts) - len(living)


def _open(start: Start) -> RunStatus:
    return RunStatus(
        id=start.id,
        name=start.name,
        experiment=start.experiment,
        started=start.started,
        actor=start.actor,
        host=start.host.name,
    )


def _failure(run: RunInfo) -> RunStatus:
    told = run.error or (f"exit code {run.exit_code}" if run.exit_code is not None else run.status)
    return RunStatus(
        id=run.id,
        name=run.name,
        experiment=run.experiment,
        started=run.started,
        actor=run.actor,
        host=run.host.name,
        error=told,
    )
