"""The registry: named models with numbered versions and stages, folded from the store's events.

A version's number is the count of registrations before it plus one; it is decided under put-if-absent, so it is never
given twice and never reused. What is changed is said in one event each.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile

import msgspec

from lin.config import check_name
from lin.errors import ConflictError, LinError, NotFoundError, StoreError, UsageError, nearest
from lin.events import Change, Event, Receipt, Register, Stage, Verdict
from lin.ids import new_id, short
from lin.project import Project
from lin.runs.deleted import fold_deletions
from lin.runs.query import RunInfo, find_run
from lin.store.store import Store

STAGES = ("none", "staging", "production", "archived")
HELD_BY_ONE = frozenset({"staging", "production"})
"""Stages that one version of a model holds at a time: promoting another archives the holder."""


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a version's stage history."""

    stage: str
    time: datetime
    actor: str
    reason: str | None


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a registered model."""

    model: str
    version: int
    stage: str
    run: str
    artifact: str
    sha256: str
    description: str | None
    registered: datetime
    actor: str
    history: list[Move]
    golden: str | None
    """The blob of its golden predictions."""
    proof: Verdict | None = None
    """The newest verdict of a re-run of its run in which nothing was changed on purpose."""

    @property
    def reference(self) -> str:
        """As it is written: `boston@1`."""
        return f"{self.model}@{self.version}"


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """What a promotion did: the version that moved, and the versions that it archived."""

    model: str
    version: int
    stage: str
    archived: list[int]


class SignedReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt, and who re-ran the run when: see `lin.events.Receipt`."""

    run: str
    rerun: str
    verdict: Verdict
    differences: list[str]
    changed: list[str]
    repeats: int
    tolerance: float | None
    time: datetime
    actor: str


Registry = dict[str, list[ModelVersion]]


def fold_events(events: Sequence[Event]) -> Registry:
    """The models and their versions after these events. Raises `StoreError` if one does not fit those before it."""
    registry: Registry = {}
    proven: dict[str, Verdict] = {}
    for event in events:
        match event.change:
            case Register() as change:
                versions = registry.setdefault(change.model, [])
                _require_fit(event, change.version == len(versions) + 1)
                versions.append(_registered(event, change))
            case Stage() as change:
                versions = registry.get(change.model, [])
                _require_fit(event, all(1 <= n <= len(versions) for n in (change.version, *change.archived)))
                for number in change.archived:
                    versions[number - 1] = _moved(versions[number - 1], "archived", event, change.reason)
                versions[change.version - 1] = _moved(versions[change.version - 1], change.stage, event, change.reason)
            case Receipt() as change if not change.changed:
                proven[change.run] = change.verdict
    return {name: [_proven(version, proven) for version in versions] for name, versions in registry.items()}


def _require_fit(event: Event, fits: bool) -> None:
    if not fits:
        raise StoreError(
            f"event {event.number} of the store names a model version that the events before it do not allow",
            hint="restore the folder 'events' from a backup of the store",
        )


def read_registry(store: Store, *, as_of: datetime | None = None) -> Registry:
    """The registry as it is now, or as it was at a moment."""
    return fold_events(read_events(store, as_of=as_of))


def read_events(store: Store, *, as_of: datetime | None = None) -> list[Event]:
    """All events, or those until a moment; where a clock went back, an event counts as no earlier than those before."""
    events = store.events.read()
    return [*events] if as_of is None else [*takewhile(lambda event: event.time <= as_of, events)]


def read_receipts(store: Store, run_id: str) -> list[SignedReceipt]:
    """The receipts of a run, oldest first."""
    return [
        SignedReceipt(**msgspec.structs.asdict(event.change), time=event.time, actor=event.actor)
        for event in store.events.read()
        if isinstance(event.change, Receipt) and event.change.run == run_id
    ]


def find_version(registry: Registry, reference: str) -> ModelVersion:
    """The version meant by `boston@3`, `boston@production`, `boston@latest` or `models:/boston/3`.

    Raises:
        NotFoundError: no such model or version, or nothing holds the stage. UsageError: no version is named.
    """
    name, selector = split_reference(reference)
    versions = find_model(registry, name)
    if selector is None:
        stages = [v.stage for v in versions if v.stage in HELD_BY_ONE]
        example = stages[-1] if stages else versions[-1].version
        raise UsageError(f"'{reference}' names no version of model '{name}'", hint=f"{name}@{example}")
    if selector.isdecimal():
        if 1 <= int(selector) <= len(versions):
            return versions[int(selector) - 1]
        raise NotFoundError(
            f"model '{name}' has no version {selector}; it has {len(versions)}", hint=f"lin show {name}"
        )
    stage = selector.lower()
    if stage == "latest":
        return versions[-1]
    if stage not in STAGES:
        raise UsageError(
            f"'{selector}' is neither a version nor a stage",
            hint=nearest(stage, [*STAGES, "latest"], instead=f"stages are {', '.join(STAGES)}"),
        )
    holders = [v for v in versions if v.stage == stage]
    if not holders:
        raise NotFoundError(f"no version of model '{name}' is in {stage}", hint=f"lin show {name}")
    return holders[-1]


def find_model(registry: Registry, name: str) -> list[ModelVersion]:
    """The versions of a model, oldest first. Raises `NotFoundError`."""
    if name in registry:
        return registry[name]
    known = ", ".join(sorted(registry)) or "none"
    raise NotFoundError(
        f"there is no model '{name}'; registered: {known}",
        hint=nearest(name, list(registry), instead=f"lin register RUN {name}"),
    )


def split_reference(reference: str) -> tuple[str, str | None]:
    """`boston@3` or `models:/boston/3` as a name and a version or stage."""
    if reference.startswith("models:/"):
        name, _, selector = reference.removeprefix("models:/").replace("@", "/").partition("/")
    else:
        name, _, selector = reference.removeprefix("model:").partition("@")
    return name, selector or None


def register_model(
    project: Project,
    run: str,
    name: str,
    *,
    description: str | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> ModelVersion:
    """Make the model of a finished run the next version of `name`.

    With it go the run's golden predictions. Where it kept none they are made now; `report` is told why not, if not.

    Raises:
        NotFoundError: no such run. UsageError: it has not finished, or has no model. ConflictError: it was deleted.
    """
    from lin.runs.fit import MODEL

    check_name(name, "a model")
    info = find_run(project.store, run)
    artifact = info.artifact(MODEL)
    if info.status != "finished" or artifact is None:
        what = f"is {info.status}" if info.status != "finished" else f"has no artifact {MODEL}"
        raise UsageError(f"run {short(info.id)} cannot be registered: it {what}", hint="lin runs")
    golden = _keep_golden(project, info, report)

    def decide(events: Sequence[Event]) -> Change:
        if info.id in fold_deletions(events):
            raise ConflictError(f"run {short(info.id)} was deleted", hint=f"lin delete {short(info.id)} --undo")
        version = len(fold_events(events).get(name, [])) + 1
        return Register(
            model=name,
            version=version,
            run=info.id,
            artifact=artifact.path,
            sha256=artifact.sha256,
            description=description,
            golden=golden,
        )

    event = project.store.events.append(decide, actor=project.actor, op_id=new_id(), now=datetime.now(UTC))
    change = event.change
    if not isinstance(change, Register):
        raise TypeError(f"event {event.number} is not the registration that was appended")
    return _registered(event, change)


def _keep_golden(project: Project, run: RunInfo, report: Callable[[str], None]) -> str | None:
    """The blob of the run's golden predictions, or of those that its model makes now."""
    from lin.runs.golden import GOLDEN

    if artifact := run.artifact(GOLDEN):
        return artifact.sha256
    from lin.models.golden import make_golden

    try:
        return project.store.blobs.put(make_golden(project, run))
    except LinError as error:
        report(f"no golden predictions are kept: {error.message}")
        return None


def promote(project: Project, reference: str, stage: str, *, reason: str | None = None) -> Promotion:
    """Move a version to a stage. The version that held `staging` or `production` is archived in the same event.

    Raises:
        NotFoundError: no such version. UsageError: no such stage.
    """
    stage = stage.lower()
    if stage not in STAGES:
        hint = nearest(stage, list(STAGES), instead=f"stages are {', '.join(STAGES)}")
        raise UsageError(f"'{stage}' is not a stage", hint=hint)

    def decide(events: Sequence[Event]) -> Change:
        registry = fold_events(events)
        version = find_version(registry, reference)
        holders = [v.version for v in registry[version.model] if v.stage == stage and v.version != version.version]
        archived = holders if stage in HELD_BY_ONE else []
        return Stage(model=version.model, version=version.version, stage=stage, archived=archived, reason=reason)

    event = project.store.events.append(decide, actor=project.actor, op_id=new_id(), now=datetime.now(UTC))
    change = event.change
    if not isinstance(change, Stage):
        raise TypeError(f"event {event.number} is not the promotion that was appended")
    return Promotion(model=change.model, version=change.version, stage=change.stage, archived=change.archived)


def _registered(event: Event, change: Register) -> ModelVersion:
    return ModelVersion(
        model=change.model,
        version=change.version,
        stage="none",
        run=change.run,
        artifact=change.artifact,
        sha256=change.sha256,
        description=change.description,
        registered=event.time,
        actor=event.actor,
        history=[],
        golden=change.golden,
    )


def _proven(version: ModelVersion, proven: Mapping[str, Verdict]) -> ModelVersion:
    verdict = proven.get(version.run)
    return version if verdict is None else msgspec.structs.replace(version, proof=verdict)


def _moved(version: ModelVersion, stage: str, event: Event, reason: str | None) -> ModelVersion:
    move = Move(stage=stage, time=event.time, actor=event.actor, reason=reason)
    return msgspec.structs.replace(version, stage=stage, history=[*version.history, move])
