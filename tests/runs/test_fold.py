"""The fold of a log: the last counts, every bit of a metric is kept, and damage costs only the damaged lines."""

import struct
import time
import tracemalloc
from typing import Any, get_args
from zlib import crc32

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.errors import StoreError
from lin.numbers import Real
from lin.records import FileRef, InputRead, LogLine, MetricPoint, OutputWritten, ParamSet, Seen, Start, TagSet
from lin.runs.fold import fold_log
from lin.store.runs import Line, Point, decode_lines, encode_line, encode_point, read_lines


def bits(value: float) -> bytes:
    return struct.pack(">d", value)


@pytest.fixture(scope="module")
def start() -> Start:
    facts: dict[str, Any] = {"id": "0", "kind": "program", "name": "x", "started": "2026-01-01T00:00:00Z", "actor": "a"}
    host = {"name": "h", "system": "s", "cpu": "c", "cores": 1, "memory_bytes": 1}
    process = {"host": "h", "boot": "b", "pid_namespace": "", "pid": 1, "started": 1.0}
    return msgspec.convert(facts | {"format": "start/1", "lin": "0", "host": host, "process": process}, Start)


POINTS = st.lists(st.tuples(st.sampled_from("ab"), st.floats(), st.integers(-2, 2)), max_size=12)


@settings(max_examples=50, deadline=None)
@given(points=POINTS)
def test_folding_is_the_largest_step_then_the_last(start: Start, points: list[tuple[str, float, int]]) -> None:
    log = b"".join(encode_point(key, value, 0.5, step) for key, value, step in points)
    expected = {
        key: max(enumerate(points), key=lambda p: (p[1][0] == key, p[1][2], p[0]))[1][1] for key, _, _ in points
    }
    found = fold_log(start, log).metrics
    assert {key: bits(value) for key, value in found.items()} == {key: bits(value) for key, value in expected.items()}


ANY_BITS = st.integers(0, 2**64 - 1).map(lambda n: struct.unpack(">d", struct.pack(">Q", n))[0])


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1), ANY_BITS | st.floats(), st.floats(0, 1e12), st.integers(-(2**63), 2**63 - 1))
def test_a_point_is_the_same_bytes_by_either_way_and_comes_back(key: str, value: float, now: float, step: int) -> None:
    record = MetricPoint(key=key, value=Real(value), time=now, step=step)
    line = encode_point(key, value, now, step)
    assert line == encode_line(record)
    (back,), damaged = decode_lines(line, "the log")
    assert isinstance(back, MetricPoint)
    assert (back.key, bits(back.value), bits(back.time), back.step, damaged) == (key, bits(value), bits(now), step, 0)


def test_every_kind_of_line_is_read() -> None:
    assert set(get_args(Line)) - {Point} == set(get_args(LogLine)) - {MetricPoint}
    assert Point.__struct_config__.tag == MetricPoint.__struct_config__.tag
    assert Point.__struct_fields__ == MetricPoint.__struct_fields__


def test_what_was_read_and_written_is_there_once_in_its_order(start: Start) -> None:
    files = [FileRef(path=f"{number}.csv", sha256="0" * 64, bytes=number) for number in range(3)]
    seen = Seen(mode="read", path="/x")
    lines = [InputRead(input=file) for file in files * 2] + [OutputWritten(output=file) for file in files[::-1] * 2]
    logged = fold_log(
        msgspec.structs.replace(start, inputs=[files[1]]), b"".join(map(encode_line, [*lines, seen, seen]))
    )
    assert (logged.inputs, logged.outputs) == ([files[1], files[0], files[2]], files[::-1])
    assert logged.seen == [seen, seen]


# --- damage -----------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(torn=st.integers(0, 100), bit=st.integers(0, 7))
def test_a_line_that_was_appended_to_a_torn_one_is_found(start: Start, torn: int, bit: int) -> None:
    """A disk that is full for a moment tears a line; whoever logs next appends to what is there."""
    first, last = encode_point("a", 1.0, 1.0, 1), encode_line(ParamSet(key="p", value={"crc": "x", "q": [1]}))
    logged = fold_log(start, first[: torn % len(first)] + last)
    assert (logged.params, logged.damaged_lines) == ({"p": {"crc": "x", "q": [1]}}, 0)
    rotten = bytearray(first + last)
    rotten[torn % len(rotten)] ^= 1 << bit
    whole = decode_lines(bytes(rotten), "the log")
    assert whole[1] >= 1 or len(whole[0]) == 1
    assert len(whole[0]) <= 1


@pytest.mark.parametrize("junk", [b"", b"\n", b"{}\n", b'{"crc":"\n', b'{"crc":"00000000",\n', b"\xff\xfe\n", b"\r\n"])
def test_junk_between_lines_costs_nothing_else(start: Start, junk: bytes) -> None:
    lines = [encode_line(TagSet(key=str(number), value="x")) for number in range(3)]
    logged = fold_log(start, junk.join(lines))
    assert logged.tags == dict.fromkeys("012", "x")
    assert logged.damaged_lines == (2 if junk else 0)


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"metric","key":"m","value":"high","time":1.0}\n',
        b'{"type":"metric","key":"m","value":null,"time":1.0}\n',
        b'{"type":"new","key":"m"}\n',
        b'{"type":"param","key":"p","value":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    ],
)
def test_a_whole_line_that_means_nothing_here_is_said(start: Start, body: bytes) -> None:
    with pytest.raises(StoreError, match=r"the log of run 0 (is damaged|has a line that is whole, and that this lin)"):
        fold_log(start, b'{"crc":"%08x",' % crc32(body) + body[1:])


# --- cost -------------------------------------------------------------------------------------------------------------


def test_a_log_of_many_points_is_folded_without_keeping_them(start: Start) -> None:
    log = b"".join(encode_point(f"m{step % 5}", step / 3, time.time(), step) for step in range(50_000))
    tracemalloc.start()
    try:
        assert len(fold_log(start, log).metrics) == 5
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert sum(1 for line in read_lines(log, "it") if line) == 50_000
