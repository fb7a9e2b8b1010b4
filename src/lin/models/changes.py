"""Changes of the registry, one event each: what a change is gets decided with all events before it in view.

A version's number is the count of registrations before it plus one; it is decided under put-if-absent, so it is never
given twice and never reused. What is refused for want of a role, or by a gate, is an event too.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import msgspec

from lin.config import check_name
from lin.errors import ConflictError, LinError, RefusedError, UsageError, nearest
from lin.events import Change, CheckedEvent, Event, Gate, Receipt, Refuse, Register, Role, Stage
from lin.ids import new_id, short
from lin.models.fold import Model, ModelVersion, fold_events, fold_version
from lin.models.registry import SHARED_STAGES, STAGES, find_model, find_version
from lin.models.roles import require_role, role_needed, tell_change
from lin.models.words import check_label, check_reason, check_text
from lin.project import Project
from lin.runs.deleted import fold_deletions
from lin.runs.query import RunInfo, find_run

C = TypeVar("C", bound=Change)


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """What a promotion did: the version that moved, the versions that it archived, and what its gates found.

    Where it was `refused`, nothing moved.
    """

    model: str
    version: int
    stage: str
    archived: list[int]
    gates: list[Gate] = []
    forced: bool = False
    refused: bool = False


Judge = Callable[[Model, ModelVersion, str], list[Gate]]
"""Looks at the gates that stand between a version of a model and a stage."""


def append_change(project: Project, decide: Callable[[Sequence[Event]], C]) -> tuple[Event, C]:
    """Append the event that `decide` makes of all events before it; returns it with its change.

    Raises:
        UsageError: who acts has a name that cannot be one. RefusedError: signatures are checked, and by that of whoever
            acts it would not count.
    """
    made: list[C] = []
    check_label(project.actor, "who acts: see LIN_ACTOR")
    if project.email is not None:
        check_label(project.email, "who acts: see git config user.email")

    def keep(events: Sequence[Event]) -> Change:
        made.append(decide(events))
        return made[-1]

    event = project.store.events.append(
        keep, actor=project.actor, email=project.email, op_id=new_id(), now=datetime.now(UTC), admit=_require_counting
    )
    return event, made[-1]


def _require_counting(events: Sequence[Event], event: Event) -> None:
    """Refuse what no reader would let count."""
    name = getattr(event.change, "model", None)
    if not isinstance(event, CheckedEvent) or name is None:
        return
    model = fold_events([*events, event])[name]
    if model.discounted and model.discounted[-1].event == event.number:
        hint = f"ask an owner for: lin grant {name} {event.actor} {role_needed(event.change)}"
        if event.signer is None:
            unsigned, unknown = "[security] sign = true in lineage.toml", "a line in the file of signers: EMAIL KEY"
            hint = unsigned if event.signature is None else unknown
        raise RefusedError(f"{event.actor} may not {tell_change(event.change)}: {model.discounted[-1].why}", hint=hint)


def change_model(
    project: Project, name: str, needed: Role, action: str, decide: Callable[[Model], C], *, version: int | None = None
) -> tuple[Event, C]:
    """Change a model by an event that `decide` makes of it as it is then, for whoever has the role.

    Args:
        project: whose model it is.
        name: the model.
        needed: the role that it takes.
        action: what is done, as in `alias boston@3 champion`; said to whoever may not.
        decide: makes the change, or raises.
        version: that it is about, where it is about one: a refusal names it.

    Raises:
        NotFoundError: no such model. RefusedError: the role is missing, or `decide` refuses; that is an event.
    """

    def decide_if_allowed(events: Sequence[Event]) -> C:
        model = find_model(fold_events(events), name)
        require_role(model, needed, action, actor=project.actor, email=project.email)
        return decide(model)

    with _recording_refusal(project, name, version, action):
        return append_change(project, decide_if_allowed)


@contextmanager
def _recording_refusal(project: Project, name: str, version: int | None, action: str) -> Iterator[None]:
    """Keep as an event that somebody was refused."""
    try:
        yield
    except RefusedError as error:
        refusal = Refuse(model=name, version=version, action=action, why=error.message)
        append_change(project, lambda _: refusal)
        raise


# --- registering ------------------------------------------------------------------------------------------------------


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
        StoreError: the model's file is missing or damaged.
    """
    from lin.runs.fit import MODEL, PICKLED_MODEL

    check_name(name, "a model")
    if description is not None:
        check_text(description, "the description")
    info = find_run(project.store, run)
    artifact = info.artifact(MODEL) or info.artifact(PICKLED_MODEL)
    if info.status != "finished" or artifact is None:
        what = f"is {info.status}" if info.status != "finished" else f"has no artifact {MODEL}"
        raise UsageError(f"run {short(info.id)} cannot be registered: it {what}", hint="lin runs")
    project.store.blobs.read(artifact.sha256)  # an equal file that lay there was not read when the run kept it
    golden = _keep_golden(project, info, report)

    def decide(events: Sequence[Event]) -> Register:
        if info.id in fold_deletions(events):
            raise ConflictError(f"run {short(info.id)} was deleted", hint=f"lin delete {short(info.id)} --undo")
        before = sum(isinstance(event.change, Register) and event.change.model == name for event in events)
        return Register(
            model=name,
            version=before + 1,
            run=info.id,
            artifact=artifact.path,
            sha256=artifact.sha256,
            description=description,
            golden=golden,
        )

    _, change = append_change(project, decide)
    return fold_version(project.store.events.read(), name, change.version)


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


# --- promoting --------------------------------------------------------------------------------------------------------


def promote(
    project: Project,
    reference: str,
    stage: str,
    *,
    reason: str | None = None,
    judge: Judge | None = None,
    force: bool = False,
) -> Promotion:
    """Move a version to a stage, if its gates let it. The version that held the stage is archived in the same event.

    The gates are looked at before the event; where anything about the model was changed meanwhile they are looked at
    again. If one is not passed the refusal is the event, unless the promotion is forced.

    Args:
        project: whose model it is.
        reference: the version.
        stage: one of `STAGES`, or of those that the project declares.
        reason: why; kept with the event.
        judge: looks at the gates; without there are none.
        force: move it whatever the gates say. That takes a reason, and an owner where the model has one.

    Raises:
        NotFoundError: no such version. UsageError: no such stage, or forced without a reason.
        RefusedError: whoever asks has not the role that it takes.
    """
    stage = require_stage(project, stage)
    check_reason(reason)
    if force and reason is None:
        raise UsageError("a promotion is forced without a reason", hint="--force --reason 'WHY'; it stays visible")
    needed: Role = "owner" if force else "promoter"
    while True:
        seen = [*project.store.events.read()]
        version = find_version(registry := fold_events(seen), reference)
        model = registry[version.model]
        if stage in model.aliases:  # given before the project had this stage
            raise UsageError(f"'{stage}' is an alias of model '{model.name}', and {model.name}@{stage} means that")
        action = f"{'force' if force else 'move'} {version.reference} to {stage}"
        with _recording_refusal(project, model.name, version.version, action):
            require_role(model, needed, action, actor=project.actor, email=project.email)
        gates = judge(model, version, stage) if judge else []
        move = _move(model, version, stage, reason=reason, gates=gates, force=force)
        with suppress(_ChangedMeanwhileError), _recording_refusal(project, model.name, version.version, action):
            append_change(project, partial(_unless_changed, seen=len(seen), version=version, change=move))
            return _promotion(move, version, stage, gates)


class _ChangedMeanwhileError(Exception):
    """Something about a model was changed after its gates were looked at."""


def _unless_changed(
    events: Sequence[Event], *, seen: int, version: ModelVersion, change: Stage | Refuse
) -> Stage | Refuse:
    for event in events[seen:]:
        about = event.change.run if isinstance(event.change, Receipt) else getattr(event.change, "model", None)
        if about in {version.model, version.run}:
            raise _ChangedMeanwhileError
    return change


def _move(
    model: Model, version: ModelVersion, stage: str, *, reason: str | None, gates: list[Gate], force: bool
) -> Stage | Refuse:
    failed = [gate.gate for gate in gates if not gate.passed]
    if failed and not force:
        why = f"not passed: {', '.join(failed)}"
        return Refuse(
            model=model.name,
            version=version.version,
            action=f"move {version.reference} to {stage}",
            why=why,
            gates=gates,
        )
    holders = [v.version for v in model.versions if v.stage == stage and v.version != version.version]
    return Stage(
        model=model.name,
        version=version.version,
        stage=stage,
        archived=[] if stage in SHARED_STAGES else holders,
        reason=reason,
        gates=gates,
        forced=bool(failed),
    )


def _promotion(change: Stage | Refuse, version: ModelVersion, stage: str, gates: list[Gate]) -> Promotion:
    moved = change if isinstance(change, Stage) else None
    return Promotion(
        model=version.model,
        version=version.version,
        stage=stage,
        archived=moved.archived if moved else [],
        gates=gates,
        forced=moved.forced if moved else False,
        refused=moved is None,
    )


def require_stage(project: Project, stage: str) -> str:
    """The stage in lower case. Raises `UsageError` if there is no such stage."""
    stages = list_stages(project)
    if stage.lower() in stages:
        return stage.lower()
    hint = nearest(stage.lower(), stages, instead=f"stages are {', '.join(stages)}")
    raise UsageError(f"'{stage}' is not a stage", hint=hint)


def list_stages(project: Project) -> list[str]:
    """The stages that there are, and those that `lineage.toml` adds."""
    return [*dict.fromkeys([*STAGES, *project.config.project.stages])]
