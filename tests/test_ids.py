from hypothesis import given
from hypothesis import strategies as st

from lin.ids import day_of, is_id, milliseconds_of, new_id, short

LAST = 253_402_300_799_999
"""The last millisecond of the year 9999."""


@given(st.integers(min_value=0, max_value=LAST * 10**6), st.binary(min_size=8, max_size=8))
def test_an_id_carries_its_time(nanoseconds: int, randomness: bytes) -> None:
    made = new_id(nanoseconds, randomness)
    assert is_id(made)
    assert milliseconds_of(made) == nanoseconds // 10**6
    assert made[16] in "89ab"


@given(st.integers(min_value=0, max_value=2**60), st.integers(min_value=1000, max_value=10**9))
def test_ids_sort_by_time(nanoseconds: int, later: int) -> None:
    assert new_id(nanoseconds)[:16] <= new_id(nanoseconds + later)[:16]


def test_the_day_is_in_the_id() -> None:
    made = new_id(1_782_302_400 * 10**9)
    assert day_of(made) == "2026-06-24"
    assert short(made) == made[-8:]
    assert not is_id(made.upper().replace("0", "g"))
    assert not is_id(made[:12] + "4" + made[13:])


def test_a_time_without_a_day_is_in_no_id() -> None:
    assert is_id(new_id(LAST * 10**6, bytes(8)))
    assert not is_id(new_id((LAST + 1) * 10**6, bytes(8)))
