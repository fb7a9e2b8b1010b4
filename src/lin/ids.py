"""Run ids: UUID version 7 as 32 hex digits, so that ids sort by time and carry their day."""

import os
import re
import time
from datetime import UTC, datetime

_ID = re.compile(r"[0-9a-f]{12}7[0-9a-f]{19}")
_LAST = "e677d21fdbff"
"""The milliseconds at which the year 9999 ends: there is no day for more."""

SHORT = 8
"""A run is shown by this many digits from the end of its id: the random part."""


def new_id(nanoseconds: int | None = None, randomness: bytes | None = None) -> str:
    """Return a new UUIDv7 as hex. The 12 bits after the version hold the sub-millisecond time (RFC 9562, method 3)."""
    nanoseconds = have_day(time.time_ns()) if nanoseconds is None else nanoseconds
    randomness = os.urandom(8) if randomness is None else randomness
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    fraction = rest * 4096 // 1_000_000
    tail = int.from_bytes(randomness, "big") & ((1 << 62) - 1)
    value = (milliseconds & ((1 << 48) - 1)) << 80 | 7 << 76 | fraction << 64 | 2 << 62 | tail
    return f"{value:032x}"


def have_day(nanoseconds: int) -> int:
    """The nearest time that an id can carry: a clock may stand before 1970, or after the year 9999."""
    return min(max(nanoseconds, 0), (int(_LAST, 16) + 1) * 1_000_000 - 1)


def is_id(text: str) -> bool:
    """Whether `text` is a whole id: 32 lower-case hex digits of version 7."""
    return _ID.fullmatch(text) is not None and text[:12] <= _LAST


def milliseconds_of(run_id: str) -> int:
    """The time in the id, in milliseconds since 1970 UTC."""
    return int(run_id[:12], 16)


def day_of(run_id: str) -> str:
    """The UTC day in the id, as `2026-11-22`."""
    return datetime.fromtimestamp(milliseconds_of(run_id) / 1000, UTC).strftime("%Y-%m-%d")


def short(run_id: str) -> str:
    """The last eight digits: how a run is shown."""
    return run_id[-SHORT:]


def span_of(day: str) -> tuple[str, str]:
    """The least and the greatest text that an id of that UTC day can be."""
    first = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp() * 1000)
    return f"{first:012x}", f"{first + 86_400_000 - 1:012x}g"  # a letter after all digits
