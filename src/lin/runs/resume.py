"""Finding the sweep that was interrupted, and what of it is still to be done.

Nothing but the runs themselves tells: a point is done when a run of the sweep that was asked for just that is sealed as
finished or failed. What was interrupted or abandoned is to be done again.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lin.errors import ConflictError, NotFoundError, UsageError
from lin.ids import short
from lin.project import Project
from lin.records import Environment, Fit, Kind, Param, Start, decode, encode
from lin.runs.environment import diff_environments
from lin.runs.query import RunInfo, search_runs
from lin.runs.record import Capture, plain_param
from lin.runs.redact import redact_command
from lin.runs.source import diff_sources, read_tree
from lin.runs.sweep import Progress, Sweep
from lin.runs.where import And, Compare, Field, In, IsNull
from lin.store.store import Store

_POINTS: frozenset[Kind] = frozenset({"train", "command"})
_NAMED = 5
"""So many files or packages that changed are named."""


@dataclass(frozen=True)
class Asked:
    """What a run was asked for: the point of its grid, and the settings that all points share."""

    point: dict[str, Any]
    settings: dict[str, Any]


def ask_fit(fit: Fit) -> Asked:
    """What a run of that fit is asked for."""
    settings = {name: getattr(fit, name) for name in fit.__struct_fields__}
    return Asked({name: settings.pop(name) for name in ("estimator", "params")}, settings)


def ask_command(argv: Sequence[str], params: dict[str, Param]) -> Asked:
    """What a run of that command line is asked for."""
    command = [word.encode("utf-8", "backslashreplace").decode() for word in redact_command(argv)]
    return Asked({name: plain_param(value) for name, value in params.items()}, {"command": command})


def resume_sweep(
    project: Project, experiment: str, asked: Sequence[Asked], report: Callable[[Progress], None]
) -> Sweep:
    """The newest sweep of the experiment that did nothing but points of this grid, with the settings of today.

    It may have been of fewer points than the grid has by now: then the others are pending too.

    Raises:
        NotFoundError: the experiment has no sweep. UsageError: none that fits; the message says why the newest does
            not. ConflictError: it is still running.
    """
    objection: str | None = None
    for runs in _sweeps(project.store, experiment):
        starts = [project.store.runs.start(run.id) for run in runs]
        why_not = _object(starts, asked)
        if why_not is None:
            sweep = _match(runs, starts, asked)
            report(sweep.progress([_say_where(sweep)]))
            return sweep
        objection = objection or f"sweep {runs[0].sweep} cannot be resumed: {why_not}"
    if objection is None:
        raise NotFoundError(f"experiment '{experiment}' has no sweep to resume", hint=f"lin run {experiment}")
    raise UsageError(objection, hint=f"ask for what it was asked for, or begin a new one: lin run {experiment}")


def tell_changes(store: Store, sweep: Sweep, now: Capture, report: Callable[[Progress], None]) -> None:
    """Report what of the source and the environment changed since the sweep's newest run; a bug may have been fixed."""
    if sweep.newest is not None:
        changes = [*_source_changes(store, sweep.newest, now), *_environment_changes(store, sweep.newest, now)]
        if changes:
            report(sweep.progress(changes))


def _say_where(sweep: Sweep) -> str:
    if not sweep.pending:
        return f"sweep {sweep.id} is complete: there is nothing to resume"
    return f"resuming sweep {sweep.id}: {len(sweep.sealed)} of {sweep.size} points are done"


def _source_changes(store: Store, before: RunInfo, now: Capture) -> Iterator[str]:
    if before.source is not None and before.source.tree != now.source.tree:
        diff = diff_sources(*(read_tree(store.blobs, source.tree) for source in (before.source, now.source)))
        paths = [*diff.changed, *diff.added, *diff.removed, *diff.unknown]
        yield f"warning: the source is not what it was for the points before: {_name(paths)}"


def _environment_changes(store: Store, before: RunInfo, now: Capture) -> Iterator[str]:
    if before.environment is not None and before.environment != now.environment:
        old, new = (
            decode(store.blobs.read(sha256), Environment, where=f"environment {sha256}")
            for sha256 in (before.environment, now.environment)
        )
        yield f"warning: the environment is not what it was for the points before: {_name(diff_environments(old, new))}"


def _sweeps(store: Store, experiment: str) -> Iterator[list[RunInfo]]:
    """The runs of each sweep of the experiment, the newest sweep first, the oldest run first."""
    experiment_is = Compare(Field("attributes", "experiment"), "=", experiment)
    sweep = Field("attributes", "sweep")
    passed: list[str] = []
    while True:
        others = [In(sweep, tuple(passed), negated=True)] if passed else []
        condition = And((experiment_is, IsNull(sweep, negated=True), *others))
        newest = search_runs(store, condition, limit=1, kinds=_POINTS).runs
        if not newest or newest[0].sweep is None:
            return
        passed.append(newest[0].sweep)
        yield search_runs(store, And((experiment_is, Compare(sweep, "=", passed[-1]))), kinds=_POINTS).runs[::-1]


def _object(starts: Iterable[Start], asked: Sequence[Asked]) -> str | None:
    """Why these runs are not a part of the sweep that is asked for."""
    planned = {encode(each.point): each.settings for each in asked}
    for start in starts:
        was = ask_fit(start.fit) if start.fit else Asked(start.params, {"command": start.command})
        settings = planned.get(encode(was.point))
        if settings is None:
            return f"it has a point that this grid has not: {start.name}"
        for name, value in was.settings.items():
            if encode(settings.get(name)) != encode(value):
                return f"its {name} was {_show(value)}, and now it is {_show(settings.get(name))}"
    return None


def _match(runs: Sequence[RunInfo], starts: Sequence[Start], asked: Sequence[Asked]) -> Sweep:
    """Give every point its run. A grid may have the same point several times."""
    places: defaultdict[bytes, deque[int]] = defaultdict(deque)
    for place, each in enumerate(asked):
        places[encode(each.point)].append(place)
    sealed: dict[int, RunInfo] = {}
    for run, start in zip(runs, starts, strict=True):
        if run.status == "running":
            raise ConflictError(
                f"sweep {run.sweep} is still running: run {short(run.id)} is, in process {start.process.pid} "
                f"on {start.host.name}",
                hint=f"wait for it; if it is surely gone: lin delete {short(run.id)}",
            )
        free = places[encode(ask_fit(start.fit).point if start.fit else start.params)]
        if run.status in {"finished", "failed"} and free:
            sealed[free.popleft()] = run
    return Sweep(runs[0].sweep, len(asked), sealed, runs[-1])


def _show(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _name(changes: list[str]) -> str:
    more = f" and {len(changes) - _NAMED} more" if len(changes) > _NAMED else ""
    return ", ".join(changes[:_NAMED]) + more
