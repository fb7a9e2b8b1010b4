"""Deleting runs, and bringing them back until `lin gc` takes them: one event each, and no file changes.

A run behind a registered model version stays, and so does one that is running. Both are looked at before the first
event; registrations once more when an event gets its number, so that none can come in between.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from lin.errors import ConflictError, LinError, NotFoundError, StoreError, UsageError
from lin.events import Change, Delete, Event, Undelete
from lin.ids import new_id, short
from lin.lineage.holders import name_models
from lin.project import Project
from lin.runs.deleted import Deletion, fold_deletions, read_deletions
from lin.runs.host import capture_process, is_alive
from lin.runs.query import find_run
from lin.store.store import Store

_LEAST_DIGITS = 4


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one run. `time`, `actor` and `reason` are those of its deletion, or of what ended that."""

    run: str
    name: str
    outcome: Literal["deleted", "was deleted before", "brought back", "was not deleted"]
    time: datetime | None
    actor: str | None
    reason: str | None


def delete_runs(
    project: Project, references: Sequence[str], *, now: datetime, reason: str | None = None, ended: bool = False
) -> list[Deleted]:
    """Delete each of these runs, or none where one must stay.

    Args:
        project: whose runs they are.
        references: ids, prefixes or suffixes of them, names, or `last`.
        now: the time of the events.
        reason: kept in the events.
        ended: take it that a run which is not sealed has ended where its process cannot be looked at from here.

    Raises:
        NotFoundError: no such run, or collected. ConflictError: a registered version needs it, or it is running.
    """
    known = read_deletions(project.store)
    runs = list(dict.fromkeys(_find(project.store, reference, known) for reference in references))
    for run in runs:
        if run not in known:
            _require_unregistered(project, run)
            _require_ended(project.store, run, ended=ended)
    return [_delete(project, run, known.get(run), now=now, reason=reason) for run in runs]


def undelete_runs(
    project: Project, references: Sequence[str], *, now: datetime, reason: str | None = None
) -> list[Deleted]:
    """Bring deleted runs back, all as they were.

    Raises:
        NotFoundError: no such run, or collected.
    """
    known = read_deletions(project.store)
    runs = list(dict.fromkeys(_find(project.store, reference, known) for reference in references))
    return [_undelete(project, run, known.get(run), now=now, reason=reason) for run in runs]


def _delete(project: Project, run: str, known: Deletion | None, *, now: datetime, reason: str | None) -> Deleted:
    name = name_of(project.store, run)
    if known is not None:
        return Deleted(
            run=run,
            name=name,
            outcome="was deleted before",
            time=known.time,
            actor=known.actor,
            reason=known.reason,
        )

    def decide(_: Sequence[Event]) -> Change:
        _require_unregistered(project, run)
        return Delete(run=run, reason=reason)

    event = _append(project, decide, now)
    return Deleted(run=run, name=name, outcome="deleted", time=event.time, actor=event.actor, reason=reason)


def _undelete(project: Project, run: str, known: Deletion | None, *, now: datetime, reason: str | None) -> Deleted:
    name = name_of(project.store, run)
    if known is None:
        return Deleted(run=run, name=name, outcome="was not deleted", time=None, actor=None, reason=None)

    def decide(events: Sequence[Event]) -> Change:
        _require_there(run, fold_deletions(events))
        return Undelete(run=run, reason=reason)

    event = _append(project, decide, now)
    return Deleted(run=run, name=name, outcome="brought back", time=event.time, actor=event.actor, reason=reason)


def _append(project: Project, decide: Callable[[Sequence[Event]], Change], now: datetime) -> Event:
    return project.store.events.append(decide, actor=project.actor, email=project.email, op_id=new_id(), now=now)


def _find(store: Store, reference: str, known: Mapping[str, Deletion]) -> str:
    """The id of a run, deleted or not. By its name only one that is not deleted is found."""
    digits = reference.removeprefix("run:")
    fits = {run for run in known if run == digits or (len(digits) >= _LEAST_DIGITS and _fits(run, digits))}
    there = store.runs.find(digits)
    fits |= {there} if there else set()
    if len(fits) > 1:
        shown = ", ".join(short(run) for run in sorted(fits, reverse=True)[:5])
        raise UsageError(f"'{digits}' fits {len(fits)} runs: {shown}", hint="give more digits")
    run = fits.pop() if fits else find_run(store, digits).id
    _require_there(run, known)
    return run


def _fits(run: str, digits: str) -> bool:
    return run.startswith(digits) or run.endswith(digits)


def _require_there(run: str, known: Mapping[str, Deletion]) -> None:
    if run in known and known[run].collected:
        raise NotFoundError(f"run {short(run)} was taken away by gc on {known[run].collected:%Y-%m-%d %H:%M} UTC")


def _require_unregistered(project: Project, run: str) -> None:
    models = name_models(project).get(run)
    if models:
        raise ConflictError(f"run {short(run)} is behind {', '.join(models)}, so it stays", hint="lin models")


def _require_ended(store: Store, run: str, *, ended: bool) -> None:
    """Refuse a run whose process lives, and unless `ended` one of which that is not known."""
    try:
        if store.runs.sealed(run) is not None:
            return
        process = store.runs.start(run).process
    except StoreError:
        return  # the record is damaged: nothing can be sealed with it, and to delete it is the way out
    alive = is_alive(process, capture_process())
    if alive:
        raise ConflictError(
            f"run {short(run)} is still running, as process {process.pid}",
            hint="wait for its end, or end it",
        )
    if alive is None and not ended:
        raise ConflictError(
            f"run {short(run)} may still be running, on {process.host.partition('#')[0]}: its process cannot be seen "
            "from here",
            hint=f"if it has surely ended: lin delete {short(run)} --ended",
        )


def name_of(store: Store, run: str) -> str:
    """The name of a run; empty where its record cannot be read."""
    try:
        return store.runs.start(run).name
    except LinError:
        return ""
