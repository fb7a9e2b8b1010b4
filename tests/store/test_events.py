"""The chain of events: numbers taken once, hashes that hold, answers that lie."""

import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from lin.errors import StoreError
from lin.events import Change, Event, Register
from lin.sealed import decode_sealed, encode_sealed
from lin.store.backend import ObjectExistsError
from lin.store.events import Events
from lin.store.local import LocalBackend
from lin.store.memory import MemoryBackend

NOW = datetime(2026, 6, 24, 12, tzinfo=UTC)


def register(events: Sequence[Event]) -> Change:
    return Register(model="m", version=len(events) + 1, run="r", artifact="model/model.skops", sha256="0" * 64)


def append(events: Events, op_id: str) -> Event:
    return events.append(register, actor="ann", op_id=op_id, now=NOW)


def test_events_are_numbered_from_one_and_chained(tmp_path: Path) -> None:
    events = Events(LocalBackend(tmp_path))
    numbers = [append(events, f"op{n}").number for n in range(3)]
    assert numbers == [1, 2, 3]
    again = Events(LocalBackend(tmp_path)).read()
    assert [e.op_id for e in again] == ["op0", "op1", "op2"]
    assert [e.previous is None for e in again] == [True, False, False]


def test_a_changed_event_breaks_the_chain(tmp_path: Path) -> None:
    events = Events(LocalBackend(tmp_path))
    for n in range(3):
        append(events, f"op{n}")
    path = tmp_path / "events/000000000002.json"
    record = decode_sealed(path.read_bytes(), Event, where="an event")
    path.write_bytes(encode_sealed(msgspec.structs.replace(record, actor="bob")))
    with pytest.raises(StoreError, match=r"000000000003.json does not follow the event before it"):
        Events(LocalBackend(tmp_path)).read()


def test_a_missing_event_is_named(tmp_path: Path) -> None:
    events = Events(LocalBackend(tmp_path))
    for n in range(3):
        append(events, f"op{n}")
    (tmp_path / "events/000000000002.json").unlink()
    with pytest.raises(StoreError, match=r"events/000000000002.json is missing"):
        Events(LocalBackend(tmp_path)).read()


def test_an_open_log_sees_what_others_append(tmp_path: Path) -> None:
    ours, theirs = Events(LocalBackend(tmp_path)), Events(LocalBackend(tmp_path))
    append(ours, "a")
    append(theirs, "b")
    assert append(ours, "c").number == 3
    assert [e.op_id for e in theirs.read()] == ["a", "b", "c"]


class LyingBackend(MemoryBackend):
    """As a bucket may: every second create is applied, and then answered as if somebody else had been first."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def put_if_absent(self, key: str, data: bytes | Iterable[bytes]) -> None:
        super().put_if_absent(key, data)
        self.calls += 1
        if self.calls % 2:
            raise ObjectExistsError(f"{key} exists already")


def test_a_create_that_lies_is_not_done_twice() -> None:
    events = Events(LyingBackend())
    for n in range(20):
        append(events, f"op{n}")
    assert [e.op_id for e in events.read()] == [f"op{n}" for n in range(20)]


def _register_many(folder: Path, name: str, count: int) -> None:
    events = Events(LocalBackend(folder))
    for n in range(count):
        append(events, f"{name}-{n}")


def test_processes_that_race_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_register_many, args=(tmp_path, f"w{n}", 25)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    events = Events(LocalBackend(tmp_path)).read()
    assert [e.number for e in events] == list(range(1, 101))
    assert len({e.op_id for e in events}) == 100
    versions = [e.change.version for e in events if isinstance(e.change, Register)]
    assert versions == list(range(1, 101))


@pytest.fixture
def _restless() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_restless")
def test_threads_share_an_open_log(tmp_path: Path) -> None:
    ours, theirs = Events(LocalBackend(tmp_path)), Events(LocalBackend(tmp_path))

    def work(number: int) -> list[int]:
        append(ours if number % 2 else theirs, f"op{number}")
        return [event.number for event in ours.read()]

    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(work, range(64)))
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in read)
    assert len({event.op_id for event in ours.read()}) == 64


def test_what_was_read_does_not_grow(tmp_path: Path) -> None:
    events = Events(LocalBackend(tmp_path))
    append(events, "a")
    before = events.read()
    append(events, "b")
    assert [event.op_id for event in before] == ["a"]


class SlowBackend(MemoryBackend):
    """A listing takes a while, so that a fork finds a thread in the middle of it."""

    def list(self, folder: str) -> list[str]:
        time.sleep(0.2)
        return super().list(folder)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_does_not_wait_for_a_thread_that_it_has_not() -> None:
    events = Events(SlowBackend())
    append(events, "a")
    with ThreadPoolExecutor(1) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of just this
        reading = pool.submit(events.read)
        time.sleep(0.05)
        child = os.fork()
        if child == 0:
            os._exit(len(events.read()))
        ended = 0
        until = time.monotonic() + 20
        while not ended and time.monotonic() < until:
            ended, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.01)
        if not ended:
            os.kill(child, 9)
            os.waitpid(child, 0)
        assert ended, "the fork hangs"
        assert os.waitstatus_to_exitcode(status) == 1
        assert len(reading.result()) == 1
