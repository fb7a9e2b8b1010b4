"""The contract of `lin.store.backend.Backend`, run on every implementation."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lin.errors import UsageError
from lin.store.backend import Backend, ObjectExistsError, ObjectMissingError
from lin.store.local import LocalBackend
from lin.store.memory import MemoryBackend


@pytest.fixture(params=["local", "memory"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    makers: dict[str, Callable[[], Backend]] = {
        "local": lambda: LocalBackend(tmp_path / "deep" / "store"),
        "memory": MemoryBackend,
    }
    return makers[request.param]()


def test_what_was_put_is_read(backend: Backend) -> None:
    backend.put_if_absent("events/000000000001.json", b"one\n")
    assert backend.read("events/000000000001.json") == b"one\n"
    assert backend.size("events/000000000001.json") == 4


def test_chunks_are_put_in_order(backend: Backend) -> None:
    backend.put_if_absent("a/b", iter([b"x" * 70_000, b"", b"y"]))
    assert backend.read("a/b") == b"x" * 70_000 + b"y"


def test_the_second_put_changes_nothing(backend: Backend) -> None:
    backend.put_if_absent("a", b"first")
    with pytest.raises(ObjectExistsError, match="a exists already"):
        backend.put_if_absent("a", b"second")
    assert backend.read("a") == b"first"


def test_a_put_that_fails_on_the_way_leaves_nothing(backend: Backend) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ValueError("the source broke")

    with pytest.raises(ValueError, match="the source broke"):
        backend.put_if_absent("folder/a", broken())
    assert backend.size("folder/a") is None
    assert backend.list("folder") == []
    backend.put_if_absent("folder/a", b"whole")
    assert backend.read("folder/a") == b"whole"


def test_what_is_missing_is_named(backend: Backend) -> None:
    assert backend.size("no/such") is None
    assert backend.list("no") == []
    with pytest.raises(ObjectMissingError, match="no/such is missing"):
        backend.read("no/such")


def test_list_gives_names_of_one_level_sorted(backend: Backend) -> None:
    for key in ("runs/b/2", "runs/a/1", "runs/b/1", "other"):
        backend.put_if_absent(key, b"")
    assert backend.list("runs") == ["a", "b"]
    assert backend.list("runs/b") == ["1", "2"]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "..",
        "a/../b",
        "/a",
        "a//b",
        "a/",
        "a\\b",
        "a\0b",
        "file:a",
        ".hidden",
        "a/.tmp-x",
        "é",
        "x" * 256,
        "a/%2e%2e",
    ],
)
def test_keys_that_could_leave_the_store_are_refused(backend: Backend, key: str) -> None:
    for act in (
        lambda: backend.put_if_absent(key, b""),
        lambda: backend.read(key),
        lambda: backend.appender(key),
    ):
        with pytest.raises(UsageError, match="is not a key of a store"):
            act()


def test_one_of_many_writers_wins(backend: Backend) -> None:
    won: list[int] = []
    gate = threading.Barrier(8)

    def write(number: int) -> None:
        gate.wait()
        try:
            backend.put_if_absent("the/one", b"%d" % number)
        except ObjectExistsError:
            return
        won.append(number)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert backend.read("the/one") == b"%d" % won[0]


def test_appended_lines_are_read_while_open(backend: Backend) -> None:
    first, second = backend.appender("r/log.jsonl"), backend.appender("r/log.jsonl")
    first.append(b"1\n")
    second.append(b"2\n")
    first.append(b"3\n")
    assert backend.read("r/log.jsonl") == b"1\n2\n3\n"
    first.sync()
    first.close()
    second.close()
