"""The open log: nothing that was taken is lost, there twice or out of order, whatever others do meanwhile."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from lin.errors import OutsideError, UsageError
from lin.project import Project
from lin.runs.log import attach
from lin.runs.logfile import AT_ONCE, LONGEST_WAIT
from lin.runs.query import read_run
from lin.runs.record import Recorder
from lin.store.local import LocalBackend
from lin.store.runs import LOG, ParamSet, Point, read_lines
from lin.store.store import Store

Begin = Callable[..., Recorder]


def written(project: Project, run_id: str) -> list[Any]:
    """The steps of points and the keys of params in the log so far, in their order."""
    lines = list(read_lines(project.store.runs.file(run_id, LOG) or b"", "it"))
    assert None not in lines
    return [line.step if isinstance(line, Point) else line.key for line in lines if isinstance(line, Point | ParamSet)]


def burst(run: Any, steps: range) -> None:
    for step in steps:
        run.log_metric("m", step, step=step)


def test_points_that_come_fast_wait_and_the_first_ones_do_not(project: Project, begin: Begin) -> None:
    run = begin()
    burst(run, range(AT_ONCE))
    assert written(project, run.id) == list(range(AT_ONCE))
    burst(run, range(AT_ONCE, 100))
    assert len(written(project, run.id)) < 100
    run.log_param("p", 1)
    run.log_metrics({"m": 1.0}, step=100)
    run.flush()
    assert written(project, run.id) == [*range(100), "p", 100]
    burst(run, range(3000))
    run.seal("finished")
    assert written(project, run.id) == [*range(100), "p", 100, *range(3000)]


def test_what_waits_is_written_after_a_second_and_then_it_begins_anew(project: Project, begin: Begin) -> None:
    run = begin()
    burst(run, range(200))
    wait_until(lambda: len(written(project, run.id)) == 200)
    wait_until(lambda: not run._file._is_gathering)
    run.log_metric("m", 200, step=200)
    assert written(project, run.id) == list(range(201))


def wait_until(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + 10 * LONGEST_WAIT
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_points_of_threads_are_recorded_or_refused_but_never_lost(project: Project, begin: Begin) -> None:
    run = begin()
    taken: dict[str, int] = {}

    def work(name: str) -> None:
        for step in range(1, 10_000_000):
            try:
                run.log_metric(name, step, step=step)
            except UsageError:
                return
            taken[name] = step

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    while min(taken.get(name, 0) for name in "abcd") < 2000:
        time.sleep(0.001)
    run.seal("finished")
    for thread in threads:
        thread.join()
    metrics = read_run(project.store, run.id).metrics
    assert {name: metrics[name] >= taken[name] for name in "abcd"} == dict.fromkeys("abcd", True)
    lines = [line for line in read_lines(project.store.runs.file(run.id, LOG) or b"", "it") if isinstance(line, Point)]
    for name in "abcd":
        steps = [line.step for line in lines if line.key == name]
        assert steps == list(range(1, len(steps) + 1))


class Busy(LocalBackend):
    """A store that takes so long to append that something else happens meanwhile."""

    meanwhile: Callable[[], None] | None = None

    def appender(self, key: str) -> Any:
        quick = super().appender(key)
        append = quick.append

        def slowly(data: bytes) -> None:
            happens, self.meanwhile = self.meanwhile, None
            if happens is not None:
                happens()
            append(data)

        quick.append = slowly  # type: ignore[method-assign]
        return quick


def test_a_point_that_comes_while_others_are_written_is_not_lost(project: Project, begin: Begin) -> None:
    begun, store = begin(), Busy(project.store_root)
    run = Recorder(Store(store), begun.id, begun.start, begun._start_digest)
    burst(run, range(100))
    store.meanwhile = lambda: burst(run, range(100, 110))
    run.flush()
    run.seal("finished")
    assert written(project, run.id) == list(range(110))


def test_what_a_handler_of_signals_logs_does_not_wait_for_what_it_interrupted(project: Project, begin: Begin) -> None:
    begun, store = begin(), Busy(project.store_root)
    run = Recorder(Store(store), begun.id, begun.start, begun._start_digest)
    store.meanwhile = lambda: run.log_param("handled", 1)
    run.log_param("interrupted", 1)
    run.seal("finished")
    assert sorted(written(project, run.id)) == ["handled", "interrupted"]


class Moment(list[bytes]):
    """What waits, when the run is sealed just before a point is added to it."""

    def __init__(self, seal: Callable[[], object]) -> None:
        super().__init__()
        self.seal = seal

    def append(self, line: bytes) -> None:
        self.seal()
        super().append(line)


def test_a_point_that_comes_as_the_run_is_sealed_is_refused(project: Project, begin: Begin) -> None:
    run = begin()
    burst(run, range(100))
    run.flush()
    run._file._waiting = Moment(lambda: run.seal("finished"))
    with pytest.raises(UsageError, match="has ended"):
        run.log_metric("m", 100, step=100)
    assert written(project, run.id) == list(range(100))


def test_a_fork_does_not_write_what_its_parent_will(project: Project, begin: Begin) -> None:
    run = begin()
    burst(run, range(500))
    child = os.fork()
    if child == 0:
        run.flush()
        run.log_param("child", 1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    run.seal("finished")
    steps = [step for step in written(project, run.id) if step != "child"]
    assert steps == list(range(500))
    assert read_run(project.store, run.id).params == {"child": 1}


def test_of_a_worker_nothing_waits(project: Project, begin: Begin) -> None:
    run = begin()
    burst(attach(project.store, run.id, gathers=False), range(500))
    assert written(project, run.id) == list(range(500))


def test_others_are_told_when_the_run_has_ended(project: Project, begin: Begin) -> None:
    run = begin()
    other = attach(project.store, run.id)
    burst(other, range(500))
    other.flush()
    run.seal("finished")
    for log in (lambda: other.log_param("late", 1), lambda: other.log_metric("late", 1) or other.flush(), other.sync):
        with pytest.raises(UsageError, match="has ended"):
            log()
    with pytest.raises(UsageError, match="has ended"):  # a point still waits
        other.close()
    assert written(project, run.id) == list(range(500))


class FullDisk(LocalBackend):
    """A store on a disk that is full for a time, and takes a part of a line all the same."""

    full = False

    def appender(self, key: str) -> Any:
        quick = super().appender(key)
        append = quick.append

        def fail(data: bytes) -> None:
            if self.full:
                append(data[:25])
                raise OutsideError("cannot write: no space left on device")
            append(data)

        quick.append = fail  # type: ignore[method-assign]
        return quick


def test_points_that_could_not_be_written_stay_until_they_can(project: Project, begin: Begin) -> None:
    begun = begin()
    disk = FullDisk(project.store_root)
    run = Recorder(Store(disk), begun.id, begun.start, begun._start_digest)
    burst(run, range(100))
    disk.full = True
    with pytest.raises(OutsideError, match="no space left"):
        run.flush()
    with pytest.raises(OutsideError, match="no space left"):
        burst(run, range(100, 10_000))
    with pytest.raises(OutsideError, match="no space left"):
        run.log_param("refused", 1)
    disk.full = False
    run.log_param("taken", 1)
    run.seal("finished")
    info = read_run(project.store, run.id)
    lines = read_lines(project.store.runs.file(run.id, LOG) or b"", "it")
    steps = {line.step for line in lines if isinstance(line, Point)}
    assert steps == set(range(len(steps)))
    assert len(steps) > 100
    assert info.params == {"taken": 1}
