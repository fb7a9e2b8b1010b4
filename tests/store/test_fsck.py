"""The files of a store looked at one by one: what is whole is no fault, what is not is named."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from lin.events import Delete, Event
from lin.ids import new_id
from lin.records import Log, MetricPoint, Sealed, Start, digest, encode
from lin.sealed import encode_sealed
from lin.store.fsck import check_blob, check_events, check_run, list_blobs, list_runs, run_folder
from lin.store.local import LocalBackend
from lin.store.runs import encode_line
from lin.store.store import create_store

NOW = datetime(2026, 6, 24, 12, tzinfo=UTC)


class Place:
    """A store in a folder whose files one can get at."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.backend = LocalBackend(root)
        self.store = create_store(self.backend)

    def append(self, run: str) -> None:
        self.store.events.append(lambda _: Delete(run=run), actor="ann", op_id=new_id(), now=NOW)

    def change(self, key: str, old: bytes, new: bytes) -> None:
        data = (self.root / key).read_bytes()
        assert old in data
        (self.root / key).write_bytes(data.replace(old, new, 1))

    def write(self, key: str, data: bytes) -> None:
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(data)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "store")


def told(faults) -> list[tuple[str, str]]:
    return [(fault.key, fault.ill) for fault in faults]


# --- events -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def five(place: Place) -> Place:
    for number in range(5):
        place.append(f"run {number}")
    return place


def event(number: int) -> str:
    return f"events/{number:012d}.json"


def test_whole_events_are_no_fault(five: Place) -> None:
    found = check_events(five.backend)
    assert found.faults == []
    assert [each.number for each in found.whole] == [1, 2, 3, 4, 5]
    assert found.digests == [digest((five.root / event(number)).read_bytes()) for number in range(1, 6)]


def test_a_gap_is_told_once_and_the_rest_is_read(five: Place) -> None:
    for number in (2, 3):
        (five.root / event(number)).unlink()
    found = check_events(five.backend)
    assert [(fault.key, fault.what) for fault in found.faults] == [(event(2), "events 2 to 3 are not there")]
    assert [each.number for each in found.whole] == [1]
    assert [each.number for each in found.readable] == [1, 4, 5]


def test_a_wild_number_costs_no_time(five: Place) -> None:
    five.write(event(999_999_999_999), (five.root / event(5)).read_bytes())
    found = check_events(five.backend)
    assert told(found.faults) == [(event(6), "missing"), (event(999_999_999_999), "altered")]
    assert len(found.whole) == 5


def test_a_changed_event_is_damaged_by_its_own_sha256(five: Place) -> None:
    five.change(event(5), b"run 4", b"run 7")
    assert told(check_events(five.backend).faults) == [(event(5), "damaged")]


def test_an_event_that_was_written_anew_does_not_fit_its_neighbours(five: Place) -> None:
    """Somebody who knows the format gives it the right sha256 again: the next event still names the old one."""
    whole = check_events(five.backend).whole
    five.write(event(3), encode_sealed(replace(whole[2], actor="eve")))
    assert told(check_events(five.backend).faults) == [(event(3), "altered")]


def test_an_event_in_the_place_of_another(five: Place) -> None:
    five.write(event(4), (five.root / event(2)).read_bytes())
    found = check_events(five.backend)
    assert (event(4), "altered") in told(found.faults)
    assert [each.number for each in found.whole] == [1, 2, 3]


def test_the_first_event_names_none_before_it(place: Place) -> None:
    first = Event(number=1, op_id="o", time=NOW, actor="ann", previous="0" * 64, change=Delete(run="r"))
    place.write(event(1), encode_sealed(first))
    assert told(check_events(place.backend).faults) == [(event(1), "altered")]


def test_a_link_in_place_of_the_events_is_not_followed(five: Place, tmp_path: Path) -> None:
    (five.root / "events").rename(tmp_path / "elsewhere")
    (five.root / "events").symlink_to(tmp_path / "elsewhere")
    assert check_events(five.backend).whole == []


# --- runs -------------------------------------------------------------------------------------------------------------

LINES = [encode_line(MetricPoint(key="rmse", value=value, time=0.0)) for value in (1.5, 2.5, 3.5)]


@pytest.fixture
def record(place: Place, make_start: Callable[..., Start]) -> Callable[..., str]:
    """Records a run with these bytes as its log, and returns its folder."""

    def record(log: bytes = b"".join(LINES), *, sealed: bool = True) -> str:
        start = make_start()
        begun = place.store.runs.begin(start)
        folder = run_folder(start.id)
        place.write(f"{folder}/log.jsonl", log)
        if sealed:
            seal = Sealed(start.id, begun, "finished", NOW, 1.0, log=Log(digest(log), len(log)))
            place.store.runs.seal(seal)
        return folder

    return record


def check(place: Place, folder: str, *, data: bool = True) -> list[tuple[str, str]]:
    found = check_run(place.backend, folder.rpartition("/")[2], data=data).faults
    return [(fault.key.rpartition("/")[2], fault.ill) for fault in found]


def test_whole_runs_are_no_fault(place: Place, record: Callable[..., str]) -> None:
    folders = [record(), record(sealed=False), record(b"", sealed=False)]
    assert [check(place, folder) for folder in folders] == [[], [], []]
    assert [run_folder(run) for run in list_runs(place.backend)] == sorted(folders)


def test_a_folder_in_which_no_run_began_is_what_a_kill_leaves(place: Place) -> None:
    run = new_id()
    place.write(f"{run_folder(run)}/.tmp-1", b"")
    assert check_run(place.backend, run) == (None, None, [])


def test_what_is_left_of_a_run_without_its_beginning(place: Place, record: Callable[..., str]) -> None:
    folder = record()
    (place.root / folder / "start.json").unlink()
    assert check(place, folder) == [("start.json", "missing")]


@pytest.mark.parametrize("name", ["start.json", "run.json"])
def test_a_changed_record_is_damaged(place: Place, record: Callable[..., str], name: str) -> None:
    folder = record()
    place.change(f"{folder}/{name}", b'"id":"0', b'"id":"1')
    assert check(place, folder) == [(name, "damaged")]


def test_records_that_do_not_belong_together(place: Place, record: Callable[..., str]) -> None:
    one, other = record(), record()
    for name in ("start.json", "run.json"):
        place.write(f"{one}/{name}", (place.root / other / name).read_bytes())
    assert check(place, one) == [("start.json", "altered"), ("run.json", "altered")]
    third, fourth = record(), record()
    start = check_run(place.backend, third.rpartition("/")[2]).start
    assert start is not None
    place.write(f"{third}/start.json", encode_sealed(replace(start, name="another")))
    assert check(place, third) == [("start.json", "altered")]
    assert check(place, fourth) == []


def test_a_log_is_hashed_only_if_content_is_read(place: Place, record: Callable[..., str]) -> None:
    folder = record()
    place.change(f"{folder}/log.jsonl", b"1.5", b"9.5")
    assert check(place, folder, data=False) == []
    assert check(place, folder) == [("log.jsonl", "altered")]


def test_what_was_logged_after_the_seal_is_told_without_reading(place: Place, record: Callable[..., str]) -> None:
    folder = record()
    place.write(f"{folder}/log.jsonl", b"".join([*LINES, LINES[0]]))
    (fault,) = check_run(place.backend, folder.rpartition("/")[2], data=False).faults
    assert (fault.ill, fault.what) == (
        "altered",
        f"{len(LINES[0])} bytes stand in it that came after the run was sealed",
    )
    place.write(f"{folder}/log.jsonl", LINES[0])
    assert check(place, folder, data=False) == [("log.jsonl", "altered")]
    (place.root / folder / "log.jsonl").unlink()
    assert check(place, folder, data=False) == [("log.jsonl", "missing")]
    place.write(f"{folder}/output.log", b"hello\n")
    assert check(place, folder, data=False) == [("log.jsonl", "missing"), ("output.log", "stray")]


def test_what_a_kill_leaves_in_a_log_is_no_fault(place: Place, record: Callable[..., str]) -> None:
    """A torn last line of any length, and the next writer's line behind one."""
    for cut in range(len(LINES[1])):
        torn = LINES[0] + LINES[1][:cut]
        assert check(place, record(torn, sealed=False)) == [], torn
        assert check(place, record(torn + LINES[2], sealed=False)) == [], torn


def test_any_other_byte_in_an_open_log_is_a_fault(place: Place, record: Callable[..., str]) -> None:
    whole = b"".join(LINES)
    folder = record(whole, sealed=False)
    for at in range(len(whole)):
        place.write(f"{folder}/log.jsonl", whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        assert check(place, folder) == [("log.jsonl", "damaged")], at


# --- blobs ------------------------------------------------------------------------------------------------------------


def test_blobs_are_held_against_their_names(place: Place) -> None:
    one, other = sorted((place.store.blobs.put(b"one"), place.store.blobs.put(b"other")))
    assert list_blobs(place.backend) == [one, other]
    assert check_blob(place.backend, one) is None
    place.write(f"blobs/{one[:2]}/{one}", b"two")
    fault = check_blob(place.backend, one)
    assert fault is not None
    assert (fault.key, fault.ill) == (f"blobs/{one[:2]}/{one}", "altered")
    gone = check_blob(place.backend, "0" * 64)
    assert gone is not None
    assert gone.ill == "damaged"


def test_records_of_an_early_lin_carry_no_sha256(place: Place, make_start: Callable[..., Start]) -> None:
    start = make_start()
    place.write(f"{run_folder(start.id)}/start.json", encode(start))
    assert check_run(place.backend, start.id).faults == []
