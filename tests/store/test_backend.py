"""The contract of `lin.store.backend.Backend`, run on every implementation."""

import threading
import time
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


def test_what_is_large_is_read_in_pieces(backend: Backend) -> None:
    data = bytes(range(256)) * 10_000
    backend.put_if_absent("a/b", data)
    assert b"".join(backend.stream("a/b")) == data
    with pytest.raises(ObjectMissingError):
        next(iter(backend.stream("a/c")))


def test_everything_in_a_folder_is_told_with_its_kind(backend: Backend) -> None:
    backend.put_if_absent("a/b/c", b"x")
    backend.put_if_absent("a/d", b"x")
    assert sorted(backend.entries("a")) == [("b", "folder", False), ("d", "file", False)]
    assert [entry.name for entry in backend.entries("")] == ["a"]
    assert list(backend.entries("nothing")) == []


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


def test_list_gives_names_of_one_level(backend: Backend) -> None:
    for key in ("runs/b/2", "runs/a/1", "runs/b/1", "other"):
        backend.put_if_absent(key, b"")
    assert sorted(backend.list("runs")) == ["a", "b"]
    assert sorted(backend.list("runs/b")) == ["1", "2"]


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
        lambda: backend.changed(key),
        lambda: backend.remove(key),
        lambda: backend.remove_folder(key),
        lambda: backend.announce([key]),
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


def test_what_was_removed_is_gone_and_can_be_put_again(backend: Backend) -> None:
    for key in ("a/b", "a/c"):
        backend.put_if_absent(key, b"x")
    backend.remove("a/b")
    backend.remove("a/b")
    backend.remove("no/such")
    assert (backend.size("a/b"), backend.changed("a/b"), backend.list("a")) == (None, None, ["c"])
    backend.put_if_absent("a/b", b"new")
    assert backend.read("a/b") == b"new"


def test_a_folder_goes_with_all_that_is_in_it(backend: Backend) -> None:
    for key in ("runs/d/1/start.json", "runs/d/1/deep/er", "runs/d/12/start.json"):
        backend.put_if_absent(key, b"x")
    backend.appender("runs/d/1/log.jsonl").close()
    backend.remove_folder("runs/d/1")
    backend.remove_folder("runs/d/1")
    assert backend.list("runs/d") == ["12"]
    assert backend.list("runs/d/1") == []


def test_an_age_is_that_of_the_last_write(backend: Backend) -> None:
    before = time.time() - 2  # file systems may be coarse
    backend.put_if_absent("a", b"x")
    changed = backend.changed("a")
    assert changed is not None
    assert before < changed < time.time() + 2


def test_a_write_that_is_done_is_not_unfinished(backend: Backend) -> None:
    backend.put_if_absent("a/b", b"x")
    assert [*backend.unfinished(""), *backend.unfinished("a"), *backend.unfinished("no")] == []


def test_what_is_announced_is_told_once(backend: Backend) -> None:
    assert backend.announce(["blobs/ab/1", "blobs/ab/2"]) == {"blobs/ab/1", "blobs/ab/2"}
    assert backend.announce(["blobs/ab/2", "blobs/ab/3"]) == {"blobs/ab/3"}
    assert backend.announced() >= {"blobs/ab/1", "blobs/ab/2", "blobs/ab/3"}


def test_nobody_announces_while_somebody_is_alone(backend: Backend) -> None:
    told: list[str] = []
    backend.announce(["early"])
    with backend.alone():
        waiting = threading.Thread(target=lambda: told.extend(backend.announce(["late"])))
        waiting.start()
        waiting.join(0.1)
        assert (told, "late" in backend.announced(), "early" in backend.announced()) == ([], False, True)
    waiting.join()
    assert told == ["late"]
