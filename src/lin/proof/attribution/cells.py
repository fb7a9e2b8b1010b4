"""Running recipes and measuring what comes of them, each at most once: a lab over the store's runs of kind `cell`.

A cell is found by the digest of its recipe, whoever ran it and for whatever question: what was stopped goes on where it
was. A cell that could not run has a reason instead of a value.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from lin.errors import LinError, NotFoundError, NotReproducibleError, OutsideError, UsageError
from lin.numbers import Real
from lin.proof.attribution.anchors import Trial
from lin.proof.attribution.answer import Cell
from lin.proof.attribution.outcome import Outcome
from lin.recipes import Recipe
from lin.records import Host, digest, encode
from lin.runs.query import RunInfo, search_runs
from lin.store.store import Store

_KILLED = 128
"""A program that ends with a greater code was ended by a signal: that says nothing of its recipe."""


@dataclass(frozen=True)
class Progress:
    """How many cells are done, of about how many; `note` is something that happened meanwhile."""

    done: int
    planned: int
    note: str | None = None


@dataclass(frozen=True)
class Attempt:
    """What came of a recipe: a run, or the error that kept it from beginning. `seconds` by the clock."""

    run: RunInfo | None
    error: LinError | None
    seconds: float


def quiet(_: Progress) -> None:
    """Report to nobody."""


def known_cells(store: Store, host: Host) -> dict[str, RunInfo]:
    """The cells that were run on such a machine and ended by themselves, by the digest of their recipe.

    On another processor the same recipe may give another result, and two cells of one table must not differ in that.
    """
    cells = search_runs(store, kinds=frozenset({"cell"})).runs
    here = (host.cpu, host.cores)
    usable = (run for run in reversed(cells) if (run.host.cpu, run.host.cores) == here and _has_ended(run))
    return {run.recipe: run for run in usable if run.recipe is not None}


def _has_ended(run: RunInfo) -> bool:
    return run.status in {"finished", "failed"} and (run.exit_code or 0) <= _KILLED


class Cells:
    """A lab that performs recipes, so many at a time, and remembers every cell in the order they were asked for."""

    def __init__(
        self,
        outcome: Outcome,
        perform: Callable[[Recipe], RunInfo],
        known: Mapping[str, RunInfo],
        *,
        width: int = 1,
        report: Callable[[Progress], None] = quiet,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a lab.

        Args:
            outcome: what is measured.
            perform: runs a recipe as a cell, in any thread; of a program that fails it returns the failed run.
            known: cells of before, by the digest of their recipe.
            width: how many to run at a time.
            report: told of each cell that is done.
            clock: in seconds.
        """
        self.outcome = outcome
        self.width = width
        self._perform = perform
        self._known = known
        self._report = report
        self._clock = clock
        self._attempts: dict[str, Attempt] = {}
        self._trials: dict[str, Trial] = {}
        self._planned = 0

    def expect(self, more: int) -> None:
        """About so many cells are still to come."""
        self._planned = len(self._attempts) + more

    def note(self, text: str) -> None:
        """Tell something that happens meanwhile."""
        self._report(Progress(len(self._attempts), max(self._planned, len(self._attempts)), text))

    def seconds(self) -> float:
        """How long a cell took so far, on average."""
        taken = [attempt.seconds for attempt in self._attempts.values()]
        return sum(taken) / len(taken) if taken else 0.0

    def measure(self, trials: Sequence[Trial]) -> list[float | None]:
        """The outcome of each recipe; None where it could not run, or left no such outcome.

        Raises:
            StoreError: the store is damaged. KeyboardInterrupt: cells that are done are kept.
        """
        keys = [digest(encode(trial.recipe)) for trial in trials]
        for key, trial in zip(keys, trials, strict=True):
            self._trials.setdefault(key, trial)
        self._obtain(dict.fromkeys(key for key in keys if key not in self._attempts))
        return [self._read(key)[0] for key in keys]

    def attempt(self, trial: Trial) -> Attempt:
        """The run of a recipe, or why there is none."""
        self.measure([trial])
        return self._attempts[digest(encode(trial.recipe))]

    @property
    def cells(self) -> list[Cell]:
        """Every cell that was asked for."""
        return [self._cell(key, self._trials[key]) for key in self._trials if key in self._attempts]

    def _obtain(self, keys: Iterable[str]) -> None:
        missing = []
        for key in keys:
            if key in self._known:
                run = self._known[key]
                self._done(key, Attempt(run, None, run.seconds or 0.0))
            else:
                missing.append(key)
        if not missing:
            return
        with ThreadPoolExecutor(max_workers=self.width) as pool:
            tasks: dict[Future[Attempt], str] = {}
            try:
                tasks = {pool.submit(self._try, self._trials[key].recipe): key for key in missing}
                for task in as_completed(tasks):
                    self._done(tasks[task], task.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)  # those that run are waited for: they end by themselves
                raise

    def _try(self, recipe: Recipe) -> Attempt:
        begun = self._clock()
        run: RunInfo | None = None
        problem: LinError | None = None
        try:
            run = self._perform(recipe)
        except (NotReproducibleError, OutsideError, UsageError, NotFoundError) as error:
            problem = error
        return Attempt(run, problem, self._clock() - begun)

    def _done(self, key: str, attempt: Attempt) -> None:
        self._attempts[key] = attempt
        self._report(Progress(len(self._attempts), max(self._planned, len(self._attempts))))

    def _read(self, key: str) -> tuple[float | None, str | None]:
        """The value of a cell, or why it has none."""
        attempt = self._attempts[key]
        if attempt.run is None:
            return None, attempt.error.message if attempt.error else "it did not run"
        if attempt.run.status != "finished":
            return None, attempt.run.error or f"it {attempt.run.status}, exit code {attempt.run.exit_code}"
        return self.outcome.read(attempt.run)

    def _cell(self, key: str, trial: Trial) -> Cell:
        value, error = self._read(key)
        attempt = self._attempts[key]
        return Cell(
            what=trial.what,
            axes=list(trial.axes),
            parts=list(trial.parts),
            repeat=trial.recipe.repeat,
            run=attempt.run.id if attempt.run else None,
            value=None if value is None else Real(value),
            error=error,
            seconds=Real(attempt.seconds),
        )
