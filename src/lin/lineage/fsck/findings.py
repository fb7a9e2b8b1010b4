"""What a look at a store finds: the answer of `lin fsck`."""

import msgspec

from lin.lineage.fsck.signatures import Signed
from lin.store.fsck import Ill

MOST_NAMED = 5
"""As many things that need a file are named with it; how many there are is told too."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a file, by its path relative to the store; one of a table begins with `../`.

    `needed_by` names model versions first, then runs, `MOST_NAMED` at most; `needed` is how many there are. `mend` is
    what to do about it, and `content` where the same content was found again: a path relative to the store.
    """

    file: str
    ill: Ill
    what: str
    needed_by: list[str]
    needed: int
    mend: str
    content: str | None = None


class Fsck(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and how much was looked at.

    `share` is that of the content that was to be hashed, `hashed` how many bytes were. `unneeded` blobs are named by
    nothing, `unfinished` writes were never ended: they are no fault, and `lin gc` takes them. `versions` are those of
    tables that runs pinned, `tables` those whose log was read, `rows` those of the index that were compared. `signed`
    is what signatures say, where there are signers to believe.
    """

    findings: list[Finding]
    share: float
    resumed: bool
    events: int
    runs: int
    blobs: int
    unneeded: int
    unfinished: int
    versions: int
    tables: int
    rows: int
    hashed: int
    signed: Signed | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings
