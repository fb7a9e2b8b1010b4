"""The open `log.jsonl` of a run: lines are appended as they come, but points of metrics that come fast are gathered.

The first `AT_ONCE` points are written as they come. Those that follow within a second wait until there are `MOST_BYTES`
of them, a line of another kind comes, or a second has passed; after a second without any it begins anew. Lines are
whole and keep their order. What was taken is written or refused; only a kill of the process loses what still waits.
"""

import atexit
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from lin.errors import LinError, UsageError
from lin.store.runs import LOG, Runs

if TYPE_CHECKING:
    from lin.store.backend import Appender

AT_ONCE = 20
MOST_BYTES = 1 << 16
LONGEST_WAIT = 1.0
"""In seconds."""


class LogFile:
    """Appends to the log of one run, from any thread of the process that made it; a fork of that makes its own."""

    def __init__(self, runs: Runs, run_id: str, *, theirs: bool = False, gathers: bool = True) -> None:
        """Make it; the file is opened for the first line.

        Args:
            runs: the runs of the store.
            run_id: whose log it is.
            theirs: another process will seal the run: before each write it is looked whether it has.
            gathers: whether points may wait. Those of a worker should not: it may be killed when its work is done.
        """
        self._runs = runs
        self._run = run_id
        self._theirs = theirs
        self._gathers = gathers
        self._process = os.getpid()
        self._lock = threading.RLock()  # a handler of signals may log, in the middle of anything
        self._file: Appender | None = None
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._is_gathering = False
        self._at_once = AT_ONCE
        self._since = time.monotonic()
        self._closed = threading.Event()

    def append(self, line: bytes) -> None:
        """Write a line, after those that wait: a kill of this process does not lose it any more.

        Raises:
            UsageError: the run has ended. OutsideError: the file system failed.
        """
        with self._lock:
            self._write(line)

    def gather(self, lines: bytes) -> None:
        """Write the lines of points, now or soon. Raises as `append`, for lines that waited too."""
        if not self._is_gathering:
            self._at_once -= 1
            if self._at_once >= 0 or not self._gathers or self._has_rested():
                self.append(lines)
                return
        self._waiting.append(lines)
        self._bytes += len(lines)
        # looked at after it was added: whoever closes says so first, and then writes what waits
        if self._closed.is_set():
            raise has_ended(self._run)
        if not self._is_gathering:
            self._start_gathering()
        if self._bytes >= MOST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait. Raises as `append`."""
        if self._waiting and self._is_mine():
            with self._lock:
                self._write(b"")

    def sync(self) -> None:
        """Write the lines that wait, and put the log on disk. Raises as `append`."""
        with self._lock:
            self._write(b"")
            if self._file is not None:
                self._file.sync()

    def close(self, *, sync: bool) -> None:
        """Write what waits and take no more; with `sync`, put on disk what this and other processes have logged.

        Raises:
            UsageError: something waits, and another process has sealed the run. OutsideError: the file system failed.
        """
        self._closed.set()
        atexit.unregister(self.flush)
        with self._lock:
            if self._waiting:
                self._refuse_sealed()
                self._append(b"")
            if sync and self._file is None and self._runs.file(self._run, LOG) is not None:
                self._file = self._runs.appender(self._run, LOG)  # only other processes logged
            if self._file is not None:
                if sync:
                    self._file.sync()
                self._file.close()
                self._file = None

    def _write(self, line: bytes) -> None:
        if self._closed.is_set():
            raise has_ended(self._run)
        self._refuse_sealed()
        self._append(line)

    def _refuse_sealed(self) -> None:
        if self._theirs and self._runs.is_sealed(self._run):
            raise has_ended(self._run)

    def _append(self, line: bytes) -> None:
        waiting = self._waiting[:] if self._is_mine() else []
        data = b"".join([*waiting, line])
        if data:
            if self._file is None:
                self._file = self._runs.appender(self._run, LOG)
            self._file.append(data)
        del self._waiting[: len(waiting)]  # only now that they are written; other threads add at the end meanwhile
        self._bytes = 0

    def _is_mine(self) -> bool:
        """Whether this is not a fork, which has a copy of what its parent will write."""
        return self._process == os.getpid()

    def _has_rested(self) -> bool:
        """Whether it began over a second ago; then it begins anew."""
        now = time.monotonic()
        if now - self._since < LONGEST_WAIT:
            return False
        self._since, self._at_once = now, AT_ONCE - 1
        return True

    def _start_gathering(self) -> None:
        with self._lock:
            if self._is_gathering or self._closed.is_set():
                return
            atexit.register(self.flush)
            try:
                threading.Thread(target=self._write_each_second, name="lin-log", daemon=True).start()
            except RuntimeError:  # the interpreter is ending, or there are too many threads
                self._write(b"")
            else:
                self._is_gathering = True

    def _write_each_second(self) -> None:
        while not self._closed.wait(LONGEST_WAIT):
            rests = not self._waiting
            with suppress(LinError):  # what waits stays; somebody who can be told is told
                self.flush()
            if rests and self._stop_gathering():
                return

    def _stop_gathering(self) -> bool:
        """Begin anew, unless something came just now: said first and looked after it, the reverse of `gather`."""
        with self._lock:
            self._is_gathering = False
            if self._waiting:
                self._is_gathering = True
                return False
            self._since, self._at_once = time.monotonic(), AT_ONCE
            atexit.unregister(self.flush)
            return True


def has_ended(run_id: str) -> UsageError:
    """What to raise where somebody logs to a run that is sealed."""
    return UsageError(f"run {run_id} has ended: nothing can be logged to it any more", hint="lin runs")
