from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lin.errors import ConflictError, StoreError, UsageError
from lin.ids import day_of, short
from lin.numbers import Real
from lin.records import MetricPoint, Sealed, TagSet
from lin.store.local import LocalBackend
from lin.store.memory import MemoryBackend
from lin.store.runs import LOG, Runs, decode_lines, encode_line


def seal(runs: Runs, run_id: str, digest: str) -> None:
    runs.seal(
        Sealed(
            id=run_id,
            start=digest,
            status="finished",
            ended=datetime(2026, 6, 24, 13, tzinfo=UTC),
            seconds=1.5,
            metrics={"nan": Real("nan"), "inf": Real("-inf"), "zero": Real(-0.0)},
        )
    )


def test_a_run_lies_under_its_day_and_is_sealed_once(tmp_path: Path, make_start) -> None:
    runs = Runs(LocalBackend(tmp_path))
    start = make_start()
    digest = runs.begin(start)
    assert runs.sealed(start.id) is None
    seal(runs, start.id, digest)
    with pytest.raises(ConflictError):
        seal(runs, start.id, digest)
    sealed = runs.sealed(start.id)
    assert sealed is not None
    assert str(sealed.metrics) == "{'inf': -inf, 'nan': nan, 'zero': -0.0}"
    assert sorted(p.name for p in (tmp_path / "runs" / day_of(start.id) / start.id).iterdir()) == [
        "run.json",
        "start.json",
    ]


def test_runs_are_found_by_their_id_and_by_either_end_of_it(make_start) -> None:
    runs = Runs(MemoryBackend())
    ids = [
        "018ff0000000700080000000000000a1",
        "018ff0000001700080000000000000b2",
        "018ff0000002700080000000000000a2",
    ]
    for run_id in ids:
        runs.begin(make_start("ridge", run_id))
    assert list(runs.ids()) == ids[::-1]
    assert runs.find(ids[0]) == ids[0]
    assert runs.find("018ff0000001") == ids[1]
    assert runs.find(short(ids[2])) == ids[2]
    with pytest.raises(UsageError, match="'018ff' fits 3 runs"):
        runs.find("018ff")
    for nothing in ("0a2", "ridge", "last", "f" * 32, ids[0].upper()):
        assert runs.find(nothing) is None


def test_a_folder_without_a_start_is_no_run(tmp_path: Path, make_start) -> None:
    runs = Runs(LocalBackend(tmp_path))
    start = make_start()
    (tmp_path / "runs" / day_of(start.id) / start.id).mkdir(parents=True)
    (tmp_path / "runs" / "lost+found").mkdir()
    assert (list(runs.ids()), runs.find(start.id), runs.find(short(start.id))) == ([], None, None)
    assert runs.days() == {day_of(start.id): [start.id]}


def test_a_newer_record_says_so(tmp_path: Path, make_start) -> None:
    runs = Runs(LocalBackend(tmp_path))
    start = make_start()
    runs.begin(start)
    path = tmp_path / "runs" / day_of(start.id) / start.id / "start.json"
    path.write_bytes(path.read_bytes().replace(b"start/1", b"start/2"))
    with pytest.raises(StoreError, match=r"start/2', written by a newer lin") as caught:
        runs.start(start.id)
    assert caught.value.hint is not None
    assert "pip install" in caught.value.hint


@given(st.lists(st.tuples(st.text(min_size=1), st.floats()), max_size=8), st.integers(min_value=0, max_value=20))
def test_whole_lines_survive_a_torn_end(points: list[tuple[str, float]], torn: int) -> None:
    lines = [encode_line(MetricPoint(key=key, value=Real(value), time=1.0)) for key, value in points]
    data = b"".join(lines)
    last = encode_line(TagSet(key="the", value="last"))
    read, damaged = decode_lines(data + last[: len(last) - 1 - torn], LOG)
    assert [encode_line(line) for line in read] == lines
    assert damaged == 1


def test_a_flipped_bit_costs_one_line() -> None:
    lines = [encode_line(TagSet(key="k", value=str(n))) for n in range(3)]
    rotten = bytearray(b"".join(lines))
    rotten[len(lines[0]) + 30] ^= 1
    read, damaged = decode_lines(bytes(rotten), LOG)
    assert [line.value for line in read if isinstance(line, TagSet)] == ["0", "2"]
    assert damaged == 1


def test_a_record_without_its_format_is_damaged(tmp_path: Path, make_start) -> None:
    runs = Runs(LocalBackend(tmp_path))
    start = make_start()
    runs.begin(start)
    path = tmp_path / "runs" / day_of(start.id) / start.id / "start.json"
    path.write_bytes(path.read_bytes().replace(b'"format":"start/1",', b""))
    with pytest.raises(StoreError, match="does not begin with its format"):
        runs.start(start.id)
