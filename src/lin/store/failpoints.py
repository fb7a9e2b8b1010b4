"""Failpoints: a call of the file system that fails, tears or kills at its n-th time, as `LIN_FAILPOINTS` says.

The variable holds words such as `fsync:2:EIO`, `write:1:torn`, `link:1:kill` and `link:1:killed`: which call, which one
of them, and what comes of it. They serve to try what a store survives. Where it is not set, `os` is the module itself.
"""

import errno
import os as _os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lin.errors import UsageError

VARIABLE = "LIN_FAILPOINTS"
CALLS = frozenset({"open", "write", "fsync", "close", "link", "mkdir", "rename", "unlink", "rmdir", "listdir", "lstat"})


class FailingSystem:
    """The module `os`, some calls of which fail. `kill` ends the process before the call, `killed` right after it.

    `torn` writes half and then kills, `short` writes one byte and tells so; any other word is the name of an errno.
    """

    def __init__(self, plan: str) -> None:
        """Read the plan. Raises `UsageError`."""
        self._plan = dict(_parse(word) for word in plan.split())
        self._seen: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        real = getattr(_os, name)
        return self._watch(name, real) if name in CALLS else real

    def _watch(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self._seen[name] += 1
            what = self._plan.get((name, self._seen[name]))
            if what is None:
                return real(*args, **options)
            if what == "kill":
                _kill()
            if what in {"torn", "short"}:
                descriptor, data = args
                written = real(descriptor, data[: max(1, len(data) // 2) if what == "torn" else 1])
                return _kill() if what == "torn" else written
            if what == "killed":
                real(*args, **options)
                _kill()
            raise OSError(getattr(errno, what), _os.strerror(getattr(errno, what)))

        return call


def _parse(word: str) -> tuple[tuple[str, int], str]:
    call, _, rest = word.partition(":")
    number, _, what = rest.partition(":")
    known = what in {"kill", "killed"} or (what in {"torn", "short"} and call == "write") or what in _ERRORS
    if call not in CALLS or not (number.isascii() and number.isdecimal()) or not known:
        calls = ", ".join(sorted(CALLS))
        raise UsageError(
            f"{VARIABLE} has {word!r}: it takes CALL:N:WHAT",
            hint=f"{VARIABLE}=fsync:1:EIO or link:2:kill; calls are {calls}",
        )
    return (call, int(number)), what


def _kill() -> None:
    _os.kill(_os.getpid(), signal.SIGKILL)


def _system(environ: Mapping[str, str]) -> Any:
    plan = environ.get(VARIABLE)
    return _os if plan is None else FailingSystem(plan)


_ERRORS = frozenset(errno.errorcode.values())

if TYPE_CHECKING:
    import os as os  # noqa: PLC0414 - this is what others import
else:
    os = _system(_os.environ)
