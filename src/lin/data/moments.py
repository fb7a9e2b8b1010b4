"""Times as people write them: dates, times with and without a zone, `2 days ago`. The clock is passed in.

A period means the state at its end: a day is its last microsecond, a time to the second (as `lin history`
shows them) is all of that second. What has no zone is UTC, and no moment is later than the clock.
"""

import calendar
import re
from datetime import UTC, datetime, timedelta

from lin.errors import UsageError

FORMS = "2026-11-22, '2026-11-22 14:30', 2026-11-22T14:30:05+02:00, now, today, yesterday or '2 days ago'"
"""One example of each form that `parse_moment` reads."""

_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[ T](?P<clock>\d\d:\d\d(?::\d\d(?P<fraction>\.\d+)?)?) ?(?P<zone>Z|UTC|[+-]\d\d:?\d\d)?",
    re.ASCII | re.IGNORECASE,
)
_AGO = re.compile(r"(?P<number>an?|\d{1,9}) (?P<unit>second|minute|hour|day|week|month|year)s? ago", re.ASCII)
_MONTHS = {"month": 1, "year": 12}


def parse_moment(text: str, now: datetime) -> datetime:
    """The moment that `text` means, in UTC.

    Known are `2026-11-22` (the end of that day), `2026-11-22 14:30[:05[.123]]` with `T` for the blank and a
    zone (`Z`, `UTC`, `+02:00`) or none, `now`, `today`, `yesterday` (its end), and `N UNITS ago` with seconds,
    minutes, hours, days, weeks, months or years; months and years go by the calendar, so that a month before
    the 31st of March is the last of February.

    Args:
        text: as somebody typed it.
        now: the clock, a time with its zone.

    Raises:
        UsageError: it is none of these forms, or lies in the future.
    """
    now = now.astimezone(UTC)
    words = " ".join(text.split())
    try:
        first, last = _period(words, now)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"'{text}' is not a time", hint=f"write it as {FORMS}") from error
    if first > now:
        raise UsageError(f"'{text}' is in the future: it is {show_moment(now)} now", hint=f"write it as {FORMS}")
    return min(last, now)


def show_moment(moment: datetime) -> str:
    """A moment to the second, as `2026-11-22 14:30:05 UTC`."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ', timespec='seconds')} UTC"


def _period(words: str, now: datetime) -> tuple[datetime, datetime]:
    """The first and the last moment that the words name. Raises `ValueError` or `OverflowError`."""
    word = words.lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if word in {"now", "today"}:
        return now, now
    if word == "yesterday":
        return midnight - _DAY, midnight - _TICK
    if match := _AGO.fullmatch(word):
        moment = _before(now, 1 if match["number"].startswith("a") else int(match["number"]), match["unit"])
        return moment, moment
    if _DATE.fullmatch(words):
        day = datetime.fromisoformat(words).replace(tzinfo=UTC)
        return day, day + (_DAY - _TICK)
    if match := _TIME.fullmatch(words):
        return _second(match)
    raise ValueError(words)


def _second(match: re.Match[str]) -> tuple[datetime, datetime]:
    """The second of a time, or the one moment where it has a fraction. Raises as `_period`."""
    zone = (match["zone"] or "Z").upper().replace("UTC", "Z")
    moment = datetime.fromisoformat(f"{match['date']}T{match['clock']}{zone}").astimezone(UTC)
    return moment, moment if match["fraction"] else moment + (timedelta(seconds=1) - _TICK)


def _before(now: datetime, number: int, unit: str) -> datetime:
    """The moment `number` units before `now`. Raises as `_period`."""
    if unit not in _MONTHS:
        return now - number * timedelta(**{f"{unit}s": 1})
    month = now.year * 12 + now.month - 1 - number * _MONTHS[unit]
    year, month = month // 12, month % 12 + 1
    if year < 1:
        raise OverflowError(year)
    return now.replace(year=year, month=month, day=min(now.day, calendar.monthrange(year, month)[1]))
