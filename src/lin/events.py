"""What changes the state of a store: one event each, numbered and hash-chained. State is the fold of all of them."""

from datetime import datetime
from typing import Literal

from lin.records import Record

Verdict = Literal["identical", "same predictions", "within tolerance", "different", "inconclusive", "cannot be re-run"]


class Register(Record, frozen=True, tag_field="type", tag="register"):
    """A run's model became a version of a registered model.

    `golden` is a blob: a sample of the rows that the run read, and what the model predicted for them then.
    """

    model: str
    version: int
    run: str
    artifact: str
    sha256: str
    description: str | None = None
    golden: str | None = None


class Stage(Record, frozen=True, tag_field="type", tag="stage"):
    """A model version moved to a stage; `archived` lists the versions that this moved to `archived`."""

    model: str
    version: int
    stage: str
    archived: list[int] = []
    reason: str | None = None


class Receipt(Record, frozen=True, tag_field="type", tag="receipt"):
    """A run was re-run: the verdict of `rerun` against `run`, and what differed.

    `changed` names what was changed on purpose: only a re-run without proves anything of the run. `repeats` is how
    often it was re-run, and `tolerance` what was declared to be close enough.
    """

    run: str
    rerun: str
    verdict: Verdict
    differences: list[str] = []
    changed: list[str] = []
    repeats: int = 1
    tolerance: float | None = None


class Delete(Record, frozen=True, tag_field="type", tag="delete"):
    """A run was deleted: it is shown no more, and `lin gc` may take what only it needs."""

    run: str
    reason: str | None = None


class Undelete(Record, frozen=True, tag_field="type", tag="undelete"):
    """A deleted run is back."""

    run: str
    reason: str | None = None


class Collect(Record, frozen=True, tag_field="type", tag="collect"):
    """`lin gc` took these deleted runs away for good. Written before the first file goes."""

    runs: list[str]


Change = Register | Stage | Receipt | Delete | Undelete | Collect


class Event(Record, frozen=True, tag_field="format", tag="event/1"):
    """One entry of the store's log. `previous` is the sha256 of the event before, as it lies on disk."""

    number: int
    op_id: str
    time: datetime
    actor: str
    previous: str | None
    change: Change
