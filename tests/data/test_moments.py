"""Times as people write them: each form, what is none, what lies in the future, and laws over all of them."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.moments import parse_moment, show_moment
from lin.errors import UsageError

NOW = datetime(2026, 11, 22, 14, 30, 5, 123456, tzinfo=UTC)
END = timedelta(microseconds=999_999)
laws = settings(max_examples=50, deadline=None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-24", datetime(2026, 6, 24, 23, 59, 59, 999_999, UTC)),
        ("2026-06-24 14:30", datetime(2026, 6, 24, 14, 30, 0, 999_999, UTC)),
        ("2026-06-24T14:30:05", datetime(2026, 6, 24, 14, 30, 5, 999_999, UTC)),
        ("2026-06-24 14:30:05 UTC", datetime(2026, 6, 24, 14, 30, 5, 999_999, UTC)),
        ("2026-06-24 14:30:05.000", datetime(2026, 6, 24, 14, 30, 5, 0, UTC)),
        ("2026-06-24T14:30:05.25Z", datetime(2026, 6, 24, 14, 30, 5, 250_000, UTC)),
        ("2026-06-24T01:30+02:00", datetime(2026, 6, 23, 23, 30, 0, 999_999, UTC)),
        ("2026-06-24 14:30 -0530", datetime(2026, 6, 24, 20, 0, 0, 999_999, UTC)),
        ("  2026-06-24t14:30z ", datetime(2026, 6, 24, 14, 30, 0, 999_999, UTC)),
        ("now", NOW),
        ("Today", NOW),
        ("2026-11-22", NOW),
        ("2026-11-22 14:30:05", NOW),
        ("yesterday", datetime(2026, 11, 21, 23, 59, 59, 999_999, UTC)),
        ("2 days ago", NOW - timedelta(days=2)),
        ("a minute  ago", NOW - timedelta(minutes=1)),
        ("An hour ago", NOW - timedelta(hours=1)),
        ("0 seconds ago", NOW),
        ("3 weeks ago", NOW - timedelta(weeks=3)),
        ("1 month ago", NOW.replace(month=10)),
        ("11 months ago", NOW.replace(year=2025, month=12)),
        ("2 years ago", NOW.replace(year=2024)),
    ],
)
def test_a_time_is_understood(text: str, expected: datetime) -> None:
    found = parse_moment(text, NOW)
    assert found == expected
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "lately",
        "1",
        "2026",
        "2026-02-30",
        "2026-6-4",
        "20260624",
        "2026-06-24 25:00",
        "2026-06-24 14:30+99:00",
        "0001-01-01 00:00+14:00",
        "2026-06-24 14:30 CET",
        "2026-06-24Z",
        "-2 days ago",
        "2 fortnights ago",
        "two days ago",
        "2 days",
        "99999 years ago",
        "999999999 weeks ago",
        "9999999999 seconds ago",
        "٢٠٢٦-٠٦-٢٤",
        "yesterday\x1b[31m",
    ],
)
def test_what_is_no_time_is_told_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_moment(text, NOW)
    assert caught.value.message == f"'{text}' is not a time"
    assert caught.value.hint is not None
    assert "2026-11-22T14:30:05+02:00, now, today, yesterday or '2 days ago'" in caught.value.hint


@pytest.mark.parametrize("text", ["2026-11-23", "2026-11-22 14:30:06", "2026-11-22T14:30:05.123457Z", "9999-12-31"])
def test_the_future_is_not_known(text: str) -> None:
    with pytest.raises(UsageError, match="is in the future: it is 2026-11-22 14:30:05 UTC now"):
        parse_moment(text, NOW)


@pytest.mark.parametrize(
    ("day", "text", "expected"),
    [
        ((2026, 3, 31), "1 month ago", (2026, 2, 28)),
        ((2024, 3, 31), "a month ago", (2024, 2, 29)),
        ((2024, 2, 29), "1 year ago", (2023, 2, 28)),
        ((2026, 1, 15), "1 month ago", (2025, 12, 15)),
    ],
)
def test_months_and_years_go_by_the_calendar(
    day: tuple[int, int, int], text: str, expected: tuple[int, int, int]
) -> None:
    assert parse_moment(text, datetime(*day, 12, tzinfo=UTC)) == datetime(*expected, 12, tzinfo=UTC)


def test_a_day_is_a_day_of_utc_wherever_the_clock_stands() -> None:
    late = datetime(2026, 11, 22, 23, 0, tzinfo=timezone(timedelta(hours=-5)))
    assert parse_moment("yesterday", late) == datetime(2026, 11, 22, 23, 59, 59, 999_999, UTC)


past = st.integers(0, 20_000_000_000_000).map(lambda number: NOW - timedelta(days=1, milliseconds=number))


@laws
@given(past)
def test_what_is_shown_means_the_second_that_it_shows(moment: datetime) -> None:
    assert parse_moment(show_moment(moment), NOW) == moment.replace(microsecond=0) + END


@laws
@given(past, st.integers(-14 * 60, 14 * 60))
def test_a_zone_changes_the_words_and_not_the_moment(moment: datetime, minutes: int) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert parse_moment(elsewhere.isoformat(timespec="microseconds"), NOW) == moment


@laws
@given(st.text(max_size=30))
def test_no_text_is_anything_but_a_moment_or_a_mistake(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_moment(text, NOW) <= NOW


@laws
@given(st.integers(0, 10_000), st.sampled_from(["second", "hour", "week", "month", "year"]))
def test_longer_ago_is_earlier(number: int, unit: str) -> None:
    try:
        earlier, later = (parse_moment(f"{n} {unit}s ago", NOW) for n in (number + 1, number))
    except UsageError:
        assert unit == "year"
        assert number >= 2000
    else:
        assert earlier < later
