"""Clocks that are wrong by years, or stand: what happened first has the lower number, and ids stay ids."""

from datetime import UTC, datetime

import pytest

from lin.events import Tag
from lin.ids import day_of, have_day, is_id, new_id
from lin.project import Project

YEAR = 365 * 86_400 * 10**9
NOW = 1_795_000_000 * 10**9


@pytest.mark.parametrize(
    "clock", [-YEAR, 0, NOW - 10 * YEAR, NOW + 10 * YEAR, 8_029 * YEAR, 10**6 * YEAR], ids=lambda at: f"{at / YEAR:.0f}"
)
def test_any_clock_makes_ids_that_have_a_day(clock: int) -> None:
    made = [new_id(have_day(clock)) for _ in range(100)]
    assert len(set(made)) == 100
    assert all(is_id(each) and day_of(each) for each in made)


def test_events_keep_their_order_whatever_their_times_are(project: Project) -> None:
    for number, year in enumerate((2026, 2036, 2016, 2026, 1970, 9999)):
        project.store.events.append(
            lambda _, number=number: Tag(model="boston", key="k", value=str(number)),
            actor="ann",
            op_id=new_id(),
            now=datetime(year, 1, 1, tzinfo=UTC),
        )
    read = type(project.store.events)(project.store.blobs.backend).read()
    assert [event.change.value for event in read] == ["0", "1", "2", "3", "4", "5"]
