"""What changes the state of a store: one event each, numbered and hash-chained. State is the fold of all of them."""

from datetime import datetime
from typing import Literal

from lin.records import Record, TableRef

Role = Literal["owner", "promoter", "reader"]
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


class Gate(Record, frozen=True):
    """A condition that `lineage.toml` declares for a stage, as it is written there, and what was found."""

    gate: str
    passed: bool
    evidence: str


class Stage(Record, frozen=True, tag_field="type", tag="stage"):
    """A model version moved to a stage; `archived` lists the versions that this moved to `archived`.

    `gates` are those that were declared for the stage, and `forced` tells that it moved although some were not passed.
    """

    model: str
    version: int
    stage: str
    archived: list[int] = []
    reason: str | None = None
    gates: list[Gate] = []
    forced: bool = False


class Refuse(Record, frozen=True, tag_field="type", tag="refuse"):
    """A change of a model was refused, and nothing changed: `action` says which, `why` says why.

    `gates` are those of a promotion that did not pass all of them.
    """

    model: str
    action: str
    why: str
    version: int | None = None
    gates: list[Gate] = []


class Alias(Record, frozen=True, tag_field="type", tag="alias"):
    """A name of its own for a version of a model, from now on; `version` None takes it away."""

    model: str
    alias: str
    version: int | None
    reason: str | None = None


class Tag(Record, frozen=True, tag_field="type", tag="tag"):
    """A tag of a model, or of one of its versions; `value` None takes it away."""

    model: str
    key: str
    value: str | None
    version: int | None = None


class Describe(Record, frozen=True, tag_field="type", tag="describe"):
    """What a model, or one of its versions, is from now on said to be; None takes the description away."""

    model: str
    text: str | None
    version: int | None = None


class Comment(Record, frozen=True, tag_field="type", tag="comment"):
    """What somebody had to say about a model, or one of its versions."""

    model: str
    text: str
    version: int | None = None


class Approve(Record, frozen=True, tag_field="type", tag="approve"):
    """Somebody approves of a model version, or does so no longer."""

    model: str
    version: int
    approved: bool = True
    reason: str | None = None


class Grant(Record, frozen=True, tag_field="type", tag="grant"):
    """Somebody, named by login name or email, has a role for a model from now on; None takes it away."""

    model: str
    who: str
    role: Role | None
    reason: str | None = None


class Placed(Record, frozen=True):
    """A version, and the stage that it was put into."""

    version: int
    stage: str


class Rollback(Record, frozen=True, tag_field="type", tag="rollback"):
    """Stages and aliases of a model are again what they were: those that this changed.

    `as_of` is the moment whose state it is, where one was named; `tables` were restored before.
    """

    model: str
    stages: list[Placed] = []
    aliases: dict[str, int | None] = {}
    as_of: datetime | None = None
    tables: list[TableRef] = []
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


class Seal(Record, frozen=True, tag_field="type", tag="seal"):
    """Somebody signed, with this event, all events before it and the runs that there were.

    `listing` is a blob: a line for each sealed run that no seal before it lists, its id and the sha256 of its
    `run.json`, in order. `runs` is how many lines that are.
    """

    listing: str
    runs: int


Change = (
    Register
    | Stage
    | Refuse
    | Alias
    | Tag
    | Describe
    | Comment
    | Approve
    | Grant
    | Rollback
    | Receipt
    | Delete
    | Undelete
    | Collect
    | Seal
)


class Event(Record, frozen=True, tag_field="format", tag="event/1"):
    """One entry of the store's log. `previous` is the sha256 of the event before, as it lies on disk.

    `actor` is a login name; `email` is what git calls the same person, where that was asked. `signature` is that of
    all members before it, in base64: see `lin.store.signatures`.
    """

    number: int
    op_id: str
    time: datetime
    actor: str
    previous: str | None
    change: Change
    email: str | None = None
    signature: str | None = None


class CheckedEvent(Event, frozen=True):
    """An event whose signature was looked at, in memory alone. `signer` is whose it is, and who acted then.

    `is_vouched`: it counts without.
    """

    signer: str | None = None
    is_vouched: bool = False
