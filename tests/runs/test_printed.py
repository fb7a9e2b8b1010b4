"""What a program printed: whole, its last lines, and as it comes."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lin.ids import new_id
from lin.project import Project
from lin.runs.printed import CHUNK, follow_output, read_output
from lin.runs.record import Recorder
from lin.store.runs import OUTPUT

Begin = Callable[..., Recorder]


def append(project: Project, run_id: str, data: bytes) -> None:
    log = project.store.runs.appender(run_id, OUTPUT)
    log.append(data)
    log.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([b"a", b"\n", b"bc\n", b"\r\n", b"x" * 50]), max_size=30), st.integers(0, 8))
def test_the_tail_is_the_last_lines(project: Project, pieces: list[bytes], tail: int) -> None:
    run, data = new_id(), b"".join(pieces)
    append(project, run, data)
    assert b"".join(read_output(project.store, run)) == data
    lines = data.splitlines(keepends=True) if b"\r" not in data else [p + b"\n" for p in data.split(b"\n")]
    if b"\r" in data:
        *whole, last = data.split(b"\n")
        lines = [each + b"\n" for each in whole] + ([last] if last else [])
    assert b"".join(read_output(project.store, run, tail=tail)) == b"".join(lines[len(lines) - min(tail, len(lines)) :])


def test_the_tail_of_what_is_longer_than_a_piece(project: Project) -> None:
    run = new_id()
    append(project, run, b"first\n" + b"x" * (2 * CHUNK) + b"\nlast\n")
    assert b"".join(read_output(project.store, run, tail=1)) == b"last\n"
    assert len(b"".join(read_output(project.store, run, tail=2))) == 2 * CHUNK + 6
    assert b"".join(read_output(project.store, run, tail=9)).startswith(b"first\n")


def test_following_ends_when_the_run_is_sealed_and_misses_nothing(project: Project, begin: Begin) -> None:
    run = begin()
    append(project, run.id, b"one\ntwo\n")
    waits = []

    def wait() -> None:
        waits.append(None)
        if len(waits) == 2:
            append(project, run.id, b"three\n")
        if len(waits) == 3:
            append(project, run.id, b"four\n")
            run.seal("finished")

    followed = follow_output(project.store, run.id, wait, tail=1)
    assert list(followed) == [b"two\n", b"three\n", b"four\n"]
    assert len(waits) == 3


def test_following_an_abandoned_run_ends(project: Project, begin: Begin) -> None:
    import msgspec

    run = begin()
    start = project.store.runs.start(run.id)
    gone = msgspec.structs.replace(
        start, id=new_id(), process=msgspec.structs.replace(start.process, started=start.process.started - 1)
    )
    project.store.runs.begin(gone)
    append(project, gone.id, b"so far\n")
    assert list(follow_output(project.store, gone.id, lambda: pytest.fail("waited"))) == [b"so far\n"]
