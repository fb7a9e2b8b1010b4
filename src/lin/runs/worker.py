"""A worker process of a sweep: `python -m lin.runs.worker DESCRIPTOR`, started by `lin.runs.pool`.

It does one point after another, as the leader of the sweep asks over the pipe, and ends when the leader is gone: a
sweep that was killed leaves nothing that goes on in secret. It trusts the pipe, whose other end started it.
"""

import os
import signal
import sys
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any

from lin.errors import LinError
from lin.runs.pool import READY, Setup


def work(connection: "Connection[Any, Any]") -> None:
    """Do what is asked until there is no more."""
    setup: Setup = connection.recv()
    points: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_receive, args=(connection, points), daemon=True).start()
    try:
        do = setup.work.open(setup.open_project())
        connection.send(READY)
        while (point := points.get()) is not None:
            connection.send(do(point))
    except LinError as error:
        connection.send(error)


def _receive(connection: "Connection[Any, Any]", points: "SimpleQueue[Any]") -> None:
    """Hand on what the leader says. When it is gone, end this process and what it started, as `kill` would."""
    while True:
        try:
            points.put(connection.recv())
        except (EOFError, OSError):
            os.killpg(0, signal.SIGTERM)
            return


def main() -> int:
    """Work until told to end; interrupted, end without a word: what there is to say is in the run."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    try:
        work(Connection(descriptor))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (EOFError, ConnectionError):  # nobody leads the sweep any more
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
