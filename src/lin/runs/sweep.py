"""A sweep: the points of one grid, each a run, done one after another here or several at a time in worker processes.

A point that fails is a failed run, and the others go on. An interrupt seals the runs of the points that are being
done as interrupted; the points that are left have no run, and `lin.runs.resume` finds out which these are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgspec

from lin.ids import new_id
from lin.project import Project
from lin.records import Param
from lin.runs.query import RunInfo, read_run


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a sweep has come.

    Of `total` points `done` have a run that ended, `failed` of these otherwise than well, and `running` are being
    done. `run` is of the point that has just ended, if one has, and `notes` are what there is to say of it, or else of
    the whole sweep.
    """

    done: int
    failed: int
    running: int
    total: int
    run: RunInfo | None = None
    notes: list[str] = []


class Ended(NamedTuple):
    """A point that was done: its run, and what there is to say of it."""

    run: str
    notes: list[str]


class Work(Protocol):
    """How the points of one sweep are done. It is sent to worker processes, and opened there once."""

    @property
    def apart(self) -> bool:
        """Whether a point cannot be done in the process that leads the sweep."""

    def open(self, project: Project) -> Callable[[Any], Ended]:
        """Get ready; returns what does one point."""


@dataclass(frozen=True)
class Sweep:
    """The points of a grid by their places in it, and the runs that count already.

    One point alone has no id. `newest` is the run that was begun last, where the sweep was begun before.
    """

    id: str | None
    size: int
    sealed: Mapping[int, RunInfo] = field(default_factory=dict)
    newest: RunInfo | None = None

    @property
    def pending(self) -> list[int]:
        """The places of the points that are still to be done."""
        return [place for place in range(self.size) if place not in self.sealed]

    @property
    def runs(self) -> list[RunInfo]:
        """The runs that count already, in the order of their points."""
        return [self.sealed[place] for place in sorted(self.sealed)]

    def progress(self, notes: list[str]) -> Progress:
        """How far it had come when it was resumed."""
        failed = sum(run.status != "finished" for run in self.runs)
        return Progress(done=len(self.sealed), failed=failed, running=0, total=self.size, notes=notes)


class Tally:
    """Counts the points of a sweep as they begin and end, and reports each time."""

    def __init__(self, project: Project, sweep: Sweep, report: Callable[[Progress], None]) -> None:
        self.runs = dict(sweep.sealed)
        self._project = project
        self._size = sweep.size
        self._running = 0
        self._report = report
        self._told: set[str] = set()
        """What was said of data that models wrote: once for the whole sweep."""

    def begin(self) -> None:
        """A point is being done from now on."""
        self._running += 1
        self._report(self._progress())

    def end(self, place: int, ended: Ended) -> None:
        """The point at that place has its run."""
        self._running -= 1
        self.runs[place] = run = read_run(self._project.store, ended.run)
        notes = [*ended.notes, *self._warn(run)]
        self._report(msgspec.structs.replace(self._progress(), run=run, notes=notes))

    def _warn(self, run: RunInfo) -> list[str]:
        """What there is to say of the data that a program read; a fit was looked after before it began."""
        if run.kind == "train" or not run.predicted:
            return []
        from lin.runs.feedback import tell_recorded

        fresh = [text for text in tell_recorded(self._project, run) if text not in self._told]
        self._told.update(fresh)
        return fresh

    def _progress(self) -> Progress:
        failed = sum(run.status != "finished" for run in self.runs.values())
        return Progress(done=len(self.runs), failed=failed, running=self._running, total=self._size)


def new_sweep(size: int) -> Sweep:
    """A sweep of `size` points of which none is done."""
    return Sweep(new_id() if size > 1 else None, size)


def name_point(what: str, params: Mapping[str, Param]) -> str:
    """What was done with which values: `Ridge alpha=0.1`."""
    return " ".join([what, *(f"{name}={value}" for name, value in params.items())])


def run_points(
    project: Project,
    sweep: Sweep,
    points: Sequence[Any],
    work: Work,
    *,
    here: Callable[[Any], Ended] | None = None,
    jobs: int = 1,
    report: Callable[[Progress], None] = lambda _: None,
) -> list[RunInfo]:
    """Do the points of the sweep that are pending, `jobs` at a time; returns the run of every point, in their order.

    Args:
        project: where the runs are recorded.
        sweep: which of `points` are done already.
        points: all of them, in the order of the grid.
        work: does a point.
        here: does a point in this process, if `work` is open here already.
        jobs: how many worker processes there may be; one job is done in this process, if `work` lets it.
        report: is told of every point that begins and ends.

    Raises:
        OutsideError: a worker process cannot start. KeyboardInterrupt: the sweep was interrupted.
    """
    tally = Tally(project, sweep, report)
    pending = [(place, points[place]) for place in sweep.pending]
    if sweep.id is not None and pending and (work.apart or jobs > 1):
        from lin.runs.pool import work_off

        work_off(project, sweep.id, work, pending, min(jobs, len(pending)), tally)
    elif pending:
        do = here or work.open(project)
        for place, point in pending:
            tally.begin()
            tally.end(place, do(point))
    return [tally.runs[place] for place in range(sweep.size)]
