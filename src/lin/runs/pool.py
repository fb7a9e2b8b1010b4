"""The worker processes of a sweep, as the process that leads it sees them.

Each is a fresh interpreter (`python -m lin.runs.worker`) at the head of a process group of its own, so that a Ctrl-C on
the terminal reaches the leader alone, and the leader passes it on. A worker that dies costs the point that it did.
"""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from lin.config import Config
from lin.errors import LinError, OutsideError
from lin.project import Project
from lin.runs.sweep import Ended, Tally, Work
from lin.store.local import LocalBackend
from lin.store.store import open_store

READY = "ready"
"""What a worker says first. Then it gives an answer for each point: `Ended`, or the `LinError` that stopped it."""

_LOOK_AGAIN = 0.5
"""After so many seconds of silence it is looked who lives: what a dead worker started may hold its pipe open."""


@dataclass(frozen=True)
class Setup:
    """What a worker is told first: the project, and the work. What is open stays in the process that opened it."""

    root: Path
    store_root: Path
    config: Config
    actor: str
    work: Work

    def open_project(self) -> Project:
        """The project, opened in this process."""
        store = open_store(LocalBackend(self.store_root))
        return Project(root=self.root, config=self.config, store=store, store_root=self.store_root, actor=self.actor)


def work_off(
    project: Project, sweep: str, work: Work, points: Sequence[tuple[int, Any]], jobs: int, tally: Tally
) -> None:
    """Do the points, each given with its place in the grid, in `jobs` processes.

    The run of a point whose process was killed stays abandoned; another process goes on with the others.

    Raises:
        LinError: what a worker could not put on record. OutsideError: a worker did not come to begin a run.
        KeyboardInterrupt: the points that were being done are sealed by now, those that are left have no run.
    """
    waiting = deque(points)
    setup = Setup(project.root, project.store_root.resolve(), project.config, project.actor, work)
    with _open_pool(setup) as pool:
        for _ in range(jobs):
            pool.add()
        while pool.workers:
            for worker, answer in pool.listen():
                match answer:
                    case LinError():
                        raise answer
                    case Ended():
                        tally.end(worker.end(), answer)
                    case None:
                        code = pool.remove(worker)
                        if not worker.is_dismissed:
                            tally.end(worker.end(), _abandon(project, sweep, worker, code, tally))
                            if waiting:
                                pool.add()
                        continue
                if waiting:
                    worker.begin(*waiting.popleft())
                    tally.begin()
                else:
                    worker.dismiss()


@dataclass(eq=False)
class _Worker:
    """One process. While it does no point it has nothing to seal."""

    process: "subprocess.Popen[bytes]"
    connection: "Connection[Any, Any]"
    place: int | None = None
    is_dismissed: bool = False

    def begin(self, place: int, point: Any) -> None:
        self.place = place
        self.tell(point)

    def end(self) -> int:
        if self.place is None:
            raise OutsideError("a worker process of the sweep ended before it could begin", hint="see what it printed")
        place, self.place = self.place, None
        return place

    def dismiss(self) -> None:
        self.is_dismissed = True
        self.tell(None)

    def tell(self, message: Any) -> None:
        with suppress(OSError):  # it has died: that is found out when it is listened to
            self.connection.send(message)

    def answer(self) -> Any:
        """What it says; None if it has died."""
        with suppress(EOFError, OSError):
            return self.connection.recv() if self.connection.poll() else None
        return None


@dataclass
class _Pool:
    setup: Setup
    workers: list[_Worker] = field(default_factory=list)

    def add(self) -> None:
        ours, theirs = Pipe()
        with theirs:
            process = subprocess.Popen(
                # -P: a file that lies in the current folder is no module of the standard library, whatever its name
                [sys.executable, "-P", "-m", "lin.runs.worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what an estimator prints is no result
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        worker = _Worker(process, ours)
        self.workers.append(worker)
        worker.tell(self.setup)

    def listen(self) -> Iterator[tuple[_Worker, Any]]:
        """The workers that say something or have died, with what they say."""
        ready = wait([worker.connection for worker in self.workers], _LOOK_AGAIN)
        for worker in list(self.workers):
            if worker.connection in ready or worker.process.poll() is not None:
                yield worker, worker.answer()

    def remove(self, worker: _Worker) -> int:
        """Take out a worker that has died; returns its exit code, or minus the signal that killed it."""
        self.workers.remove(worker)
        worker.connection.close()
        if not worker.is_dismissed:
            _signal(worker, signal.SIGTERM)  # nobody records any more what its program does
        return worker.process.wait()

    def stop(self) -> None:
        """End all workers once what they do is sealed. Each further Ctrl-C makes it more urgent."""
        for worker in self.workers:
            worker.dismiss()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            try:
                for worker in self.workers:
                    _signal(worker, number if worker.place is not None else signal.SIGTERM)
                while self.workers:
                    for worker, answer in self.listen():
                        if answer is None:
                            self.remove(worker)
            except KeyboardInterrupt:
                continue
            return


@contextmanager
def _open_pool(setup: Setup) -> Iterator[_Pool]:
    pool = _Pool(setup)
    try:
        yield pool
    except BaseException:
        pool.stop()
        raise


def _signal(worker: _Worker, number: int) -> None:
    """Send a signal to the worker and to what it started."""
    if worker.process.returncode is None:  # else its number may be another's by now
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.process.pid, number)


def _abandon(project: Project, sweep: str, worker: _Worker, code: int, tally: Tally) -> Ended:
    """The run that the dead worker has left."""
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    known = {run.id for run in tally.runs.values()}
    for run_id in project.store.runs.ids():
        if run_id < sweep:
            break
        start = project.store.runs.start(run_id)
        if start.sweep == sweep and start.process.pid == worker.process.pid and run_id not in known:
            return Ended(run_id, [f"its process ended with {how}"])
    raise OutsideError(f"a worker process of the sweep ended with {how} before it could begin")
