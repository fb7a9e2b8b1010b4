"""Cells: each recipe runs once, whoever asks; what could not run has a reason; what is stopped goes on later."""

import threading
from pathlib import Path

import msgspec
import pytest

from lin.errors import NotReproducibleError, StoreError
from lin.project import Project
from lin.proof.attribution.anchors import Trial
from lin.proof.attribution.cells import Cells, Progress, known_cells
from lin.proof.attribution.outcome import MetricOutcome
from lin.recipes import Recipe
from lin.records import Status, encode
from lin.runs.host import capture_host
from lin.runs.query import RunInfo, list_runs, read_run
from lin.runs.record import Capture, begin_run, capture

SCORE = MetricOutcome("score")


def recipe(number: int, **more: object) -> Recipe:
    return Recipe(kind="command", name="cell", command=["score", str(number)], **more)  # type: ignore[arg-type]


def trial(number: int, what: str = "A") -> Trial:
    return Trial(recipe(number), what)


class Bench:
    """Records a cell for each recipe, whose score is a hundred times its number; `how` says which end otherwise."""

    def __init__(
        self, project: Project, captured: Capture, how: dict[int, Status | BaseException] | None = None
    ) -> None:
        self.project = project
        self.captured = captured
        self.how = how or {}
        self.ran: list[int] = []
        self.barrier: threading.Barrier | None = None

    def perform(self, asked: Recipe) -> RunInfo:
        number = int(asked.command[1])
        self.ran.append(number)
        if self.barrier:
            self.barrier.wait()
        status = self.how.get(number, "finished")
        if isinstance(status, BaseException):
            raise status
        kept = self.project.store.blobs.put(encode(asked))
        recorder = begin_run(self.project, self.captured, kind="cell", name="cell", recipe=kept)
        if number != 13:
            recorder.log_metric("score", 100.0 * number)
        recorder.seal(
            status, exit_code=0 if status == "finished" else 3, error="no such column" if number == 3 else None
        )
        return read_run(self.project.store, recorder.id)

    def cells(self, **options: object) -> Cells:
        known = known_cells(self.project.store, capture_host())
        return Cells(SCORE, self.perform, known, **options)  # type: ignore[arg-type]


@pytest.fixture
def bench(project: Project, captured: Capture) -> Bench:
    return Bench(project, captured)


def test_a_recipe_runs_once_for_all_who_ask(bench: Bench) -> None:
    cells = bench.cells()
    assert cells.measure([trial(1), trial(2, "B"), trial(1, "again")]) == [100.0, 200.0, 100.0]
    assert cells.measure([trial(2)]) == [200.0]
    assert bench.ran == [1, 2]
    assert [(cell.what, cell.value, cell.error) for cell in cells.cells] == [("A", 100.0, None), ("B", 200.0, None)]

    later = bench.cells()
    assert later.measure([trial(2), trial(7)]) == [200.0, 700.0]
    assert bench.ran == [1, 2, 7]
    assert later.cells[0].run == cells.cells[1].run


def test_the_same_once_more_is_another_cell(bench: Bench) -> None:
    again = Trial(recipe(1, repeat=1), "A")
    cells = bench.cells()
    assert cells.measure([trial(1), again]) == [100.0, 100.0]
    assert bench.ran == [1, 1]
    assert [cell.repeat for cell in cells.cells] == [0, 1]


def test_what_could_not_run_has_a_reason(project: Project, captured: Capture) -> None:
    refused = NotReproducibleError("six 1.0 is not to be had")
    bench = Bench(project, captured, {3: "failed", 4: "failed", 5: refused})
    cells = bench.cells()
    assert cells.measure([trial(number) for number in (3, 4, 5, 13)]) == [None] * 4
    assert [cell.error for cell in cells.cells] == [
        "no such column",
        "it failed, exit code 3",
        "six 1.0 is not to be had",
        "it has no metric 'score'",
    ]
    assert [cell.run is None for cell in cells.cells] == [False, False, True, False]
    assert cells.attempt(trial(5)).error is refused

    bench.cells().measure([trial(3), trial(5)])
    assert bench.ran == [3, 4, 5, 13, 5]  # a failure is a result, what was missing may be there by now


@pytest.mark.parametrize("change", [{"cpu": "another"}, {"cores": 999}])
def test_a_cell_of_another_machine_is_not_taken(bench: Bench, captured: Capture, change: dict[str, object]) -> None:
    bench.captured = Capture(
        captured.source, captured.environment, msgspec.structs.replace(captured.host, **change), captured.process
    )
    bench.cells().measure([trial(1)])
    assert bench.cells().measure([trial(1)]) == [100.0]
    assert bench.ran == [1, 1]


def test_a_cell_that_was_interrupted_or_killed_is_done_again(project: Project, captured: Capture) -> None:
    bench = Bench(project, captured, {1: "interrupted"})
    assert bench.cells().measure([trial(1)]) == [None]
    kept = project.store.blobs.put(encode(recipe(2)))
    begin_run(project, captured, kind="cell", name="cell", recipe=kept).seal("failed", exit_code=137)
    begin_run(project, captured, kind="cell", name="cell", recipe=project.store.blobs.put(encode(recipe(4))))
    bench.how = {}
    assert bench.cells().measure([trial(1), trial(2), trial(4)]) == [100.0, 200.0, 400.0]
    assert bench.ran == [1, 1, 2, 4]


def test_two_at_a_time(bench: Bench) -> None:
    bench.barrier = threading.Barrier(2, timeout=20)  # neither goes on before the other is there
    assert bench.cells(width=2).measure([trial(number) for number in range(4)]) == [0.0, 100.0, 200.0, 300.0]


def test_an_interrupt_leaves_what_is_done(project: Project, captured: Capture) -> None:
    bench = Bench(project, captured, {3: KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        bench.cells().measure([trial(number) for number in range(1, 6)])
    assert bench.ran[:3] == [1, 2, 3]
    done = len(bench.ran) - 1
    bench.how = {}
    assert bench.cells().measure([trial(number) for number in range(1, 6)]) == [100.0, 200.0, 300.0, 400.0, 500.0]
    assert len(bench.ran) == done + 1 + (5 - done)


def test_a_damaged_store_is_no_cell_that_could_not_run(project: Project, captured: Capture) -> None:
    bench = Bench(project, captured, {1: StoreError("a blob is damaged")})
    with pytest.raises(StoreError):
        bench.cells().measure([trial(1)])


def test_progress_and_time(bench: Bench) -> None:
    told: list[Progress] = []
    ticks = iter(range(100))
    cells = bench.cells(report=told.append, clock=lambda: float(next(ticks)))
    cells.expect(3)
    assert cells.seconds() == 0.0
    cells.measure([trial(1), trial(2)])
    cells.note("building an environment")
    cells.measure([trial(3), trial(4)])
    assert [(progress.done, progress.planned) for progress in told] == [(1, 3), (2, 3), (2, 3), (3, 3), (4, 4)]
    assert told[2].note == "building an environment"
    assert cells.seconds() == 1.0


def test_cells_are_not_work(bench: Bench, project: Project) -> None:
    bench.cells().measure([trial(1)])
    assert list_runs(project.store).runs == []


@pytest.fixture
def captured(project: Project, tmp_path: Path) -> Capture:
    (tmp_path / "project" / "train.py").write_text("print(1)\n")
    return capture(project)
