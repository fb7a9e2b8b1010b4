"""What can go wrong, grouped by what the user does next. Each group has one exit code.

The library raises these and never prints; `lin.cli.main` turns them into one line and a code.
"""

import errno
from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """What a `lin` process answers to its caller. The table in `docs/cli.md` is made from this."""

    def __new__(cls, value: int, meaning: str) -> Self:
        """Make a member that carries its meaning."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    meaning: str

    OK = 0, "yes, or done"
    NO = 1, "the answer is no: different, damaged, refused"
    USAGE = 2, "the command line or `lineage.toml` is wrong"
    NOT_FOUND = 10, "what was named is not there"
    CONFLICT = 11, "somebody else changed it first, or it exists already"
    STORE = 12, "the store is damaged or was written by a newer lin"
    OUTSIDE = 13, "something outside lin failed: a file, a disk, a table, an estimator"
    NOT_REPRODUCIBLE = 14, "the run cannot be re-run"
    BUG = 70, "a bug of lin's own"
    INTERRUPTED = 130, "interrupted from the keyboard"


class LinError(Exception):
    """A failure meant for the user: what is wrong, with the value, and what to type next."""

    exit_code = ExitCode.BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RefusedError(LinError):
    """What was asked is understood, and not allowed to whoever asked: the answer is no."""

    exit_code = ExitCode.NO


class UsageError(LinError):
    """The user's words, settings or row are wrong: change them and try again."""

    exit_code = ExitCode.USAGE


class NotFoundError(LinError):
    """A named thing is not there: look at what is."""

    exit_code = ExitCode.NOT_FOUND


class ConflictError(LinError):
    """Somebody else was first, or the name is taken: look again, then retry."""

    exit_code = ExitCode.CONFLICT


class StoreError(LinError):
    """The store is damaged, or newer than this lin."""

    exit_code = ExitCode.STORE


class NewerError(StoreError):
    """A record is in a format that this lin does not know yet: that is no damage."""


class OutsideError(LinError):
    """A file, disk, table, program or library outside lin failed."""

    exit_code = ExitCode.OUTSIDE


class NotReproducibleError(LinError):
    """A run cannot be re-run; the message lists what is missing."""

    exit_code = ExitCode.NOT_REPRODUCIBLE


_HINTS = {
    "free some space and run the command again": {errno.ENOSPC, errno.EDQUOT},
    "check who owns it and whether its disk is read-only": {errno.EACCES, errno.EPERM, errno.EROFS},
    "a file may not grow so large here: look at `ulimit -f` and at the file system": {errno.EFBIG},
    "close other files, or allow more: `ulimit -n`": {errno.EMFILE, errno.ENFILE},
    "look at the disk: dmesg, smartctl": {errno.EIO},
}


def refused(what: str, error: OSError) -> OutsideError:
    """What to raise where the system refused: `what` could not be done, why, and what helps."""
    hint = next((hint for hint, codes in _HINTS.items() if error.errno in codes), None)
    return OutsideError(f"{what}: {error.strerror or error}", hint=hint)


def is_out_of_threads(error: BaseException) -> bool:
    """Whether the system gives no more threads. Python has no type for that."""
    return isinstance(error, RuntimeError) and str(error) == "can't start new thread"


def nearest(word: str, known: "list[str]", *, instead: str) -> str:
    """A hint: the known word closest to `word`, else `instead`."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else instead
