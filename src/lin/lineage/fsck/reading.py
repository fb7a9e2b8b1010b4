"""How much content a look at a store reads, and how far it has come: always in one order, so that it can go on later.

Positions are ordered: logs of runs by id, then blobs by sha256, then files of tables by path.
"""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from lin.errors import UsageError

_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%", re.ASCII)
_ALL = 100.0

Place = Literal["1 logs", "2 blobs", "3 tables"]
Position = tuple[str, str]
"""A place, and the name of what was read there last."""


def parse_share(text: str) -> float:
    """A share as `5%`, from 0 to 1. Raises `UsageError`."""
    number = _SHARE.fullmatch(text)
    if number is None or float(number[1]) > _ALL:
        raise UsageError(f"'{text}' is no share of the content", hint="--read-data, or a share of it as --read-data=5%")
    return float(number[1]) / _ALL


class Progress(NamedTuple):
    """How far it is: what is looked at, how many of them are done, and how many bytes were hashed so far."""

    what: str
    done: int
    total: int
    hashed: int


class Reading:
    """Decides what is hashed, and counts it."""

    def __init__(
        self,
        share: float,
        *,
        chance: Callable[[], float],
        after: Position | None = None,
        again: frozenset[str] = frozenset(),
        report: Callable[[Progress], None] = lambda _: None,
        note: Callable[["Reading"], None] = lambda _: None,
    ) -> None:
        """Begin.

        Args:
            share: of the content is hashed; 1 for all.
            chance: gives numbers from 0 to 1, drawn anew.
            after: all up to this position was hashed before, but `again`, which was not as it should be.
            again: names to hash whatever the position.
            report: is told how far it is.
            note: is called after each that was hashed.
        """
        self.share = share
        self.hashed = 0
        self.after = after
        self.altered: set[str] = set(again)
        self._again = again
        self._chance = chance
        self._report = report
        self._note = note
        self._told = ("", 0, 0)

    def wants(self, place: Place, name: str) -> bool:
        """Whether to hash this one."""
        if self.after is not None and (place, name) <= self.after:
            return name in self._again
        return self.share >= 1 or (self.share > 0 and self._chance() < self.share)

    def done(self, place: Place, name: str, size: int, *, altered: bool) -> None:
        """This one was hashed."""
        self.hashed += size
        if altered:
            self.altered.add(name)
        else:
            self.altered.discard(name)
        if self.after is None or (place, name) > self.after:
            self.after = (place, name)
        self._note(self)
        self._report(Progress(*self._told, self.hashed))

    def tell(self, what: str, done: int, total: int) -> None:
        """Report how far it is."""
        self._told = (what, done, total)
        self._report(Progress(*self._told, self.hashed))
