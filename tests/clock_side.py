"""A machine whose clock is wrong: replaces the clock of Python, then runs `lin` once for each of its lists of words.

python clock_side.py YEARS MODE '[["tag", "boston", "a=1"], …]'     # MODE: goes, jumps or stands
"""

import datetime as dt
import itertools
import json
import sys
import time

import lin.events  # noqa: F401  the records' fields are of the type as it is; what reads the clock comes later

REAL_TIME, REAL_TYPE = time.time_ns, dt.datetime
OFF = int(float(sys.argv[1]) * 365 * 86_400 * 10**9)
CALLS = itertools.count()
BEGAN = REAL_TIME()


def time_ns() -> int:
    match sys.argv[2]:
        case "jumps":
            return REAL_TIME() + (OFF if next(CALLS) % 2 else -OFF)
        case "stands":
            return BEGAN + OFF
    return REAL_TIME() + OFF


class _Kind(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, REAL_TYPE)


class Clock(REAL_TYPE, metaclass=_Kind):  # type: ignore[misc]
    def __new__(cls, *words: int, **named: object) -> dt.datetime:  # type: ignore[misc]
        return REAL_TYPE(*words, **named)  # type: ignore[arg-type]

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
        return REAL_TYPE.fromtimestamp(time.time(), tz)


time.time_ns, time.time = time_ns, lambda: time_ns() / 1e9
dt.datetime = Clock  # type: ignore[misc]

from lin.cli.main import main  # noqa: E402  it has the clock from now on

code = 0
for line in json.loads(sys.argv[3]):
    try:
        main(line)
    except SystemExit as ended:
        code = code or int(ended.code or 0)
sys.exit(code)
