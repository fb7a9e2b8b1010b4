"""The gates between a model version and a stage: each is looked at, and what was found is said in one line.

A gate that cannot be looked at is not passed, and the reason is its evidence.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from lin.errors import LinError, UsageError
from lin.events import Gate
from lin.gate_words import (
    Approved,
    Beats,
    Commented,
    Environed,
    Exits,
    Fulfils,
    GateWords,
    NoFeedback,
    Reproduced,
    parse_gate,
)
from lin.lineage.gate_evidence import (
    Case,
    Evidence,
    find_approvals,
    find_beaten,
    find_comment,
    find_environment,
    find_no_feedback,
    find_reproduced,
    find_values,
    run_check,
)
from lin.models.changes import Judge, Promotion, require_stage
from lin.models.fold import Model, ModelVersion
from lin.models.registry import SHARED_STAGES, find_version, read_registry
from lin.models.roles import require_role
from lin.project import Project
from lin.runs.where import Field, parse_field, parse_where

LONGEST_EVIDENCE = 500
"""In characters."""


class _Declared(NamedTuple):
    """A gate as it is written in `lineage.toml`, and what looks at it."""

    text: str
    look: Callable[[Case], Evidence]


def judge_gates(project: Project, *, report: Callable[[str], None] = lambda _: None) -> Judge:
    """Make what looks at the gates that `lineage.toml` declares between a version and a stage, in their order.

    Args:
        project: whose gates they are.
        report: takes each line that the program of a `command:` gate prints.

    Raises:
        UsageError: a gate is none, a filter is wrong, or a stage is none: of any model, so that no gate is passed by
            for a slip of the pen.
    """
    declared = _read_declared(project)

    def judge(model: Model, version: ModelVersion, stage: str) -> list[Gate]:
        case = Case(project=project, model=model, version=version, stage=stage, report=report)
        return [_look(gate, case) for gate in declared.get((model.name, stage), [])]

    return judge


def preview(project: Project, reference: str, stage: str, *, judge: Judge, force: bool = False) -> Promotion:
    """What `promote` would do now. Nothing is appended, and no refusal is kept.

    Raises:
        NotFoundError: no such version. UsageError: no such stage. RefusedError: as `promote`.
    """
    stage = require_stage(project, stage)
    registry = read_registry(project.store)
    version = find_version(registry, reference)
    model = registry[version.model]
    action = f"{'force' if force else 'move'} {version.reference} to {stage}"
    require_role(model, "owner" if force else "promoter", action, actor=project.actor, email=project.email)
    gates = judge(model, version, stage)
    failed = any(not gate.passed for gate in gates)
    holders = [v.version for v in model.versions if v.stage == stage and v.version != version.version]
    moves = force or not failed
    return Promotion(
        model=model.name,
        version=version.version,
        stage=stage,
        archived=holders if moves and stage not in SHARED_STAGES else [],
        gates=gates,
        forced=failed and force,
        refused=not moves,
    )


# --- what is declared -------------------------------------------------------------------------------------------------


def _read_declared(project: Project) -> Mapping[tuple[str, str], Sequence[_Declared]]:
    """The gates of each model and stage."""
    declared: dict[tuple[str, str], list[_Declared]] = {}
    for name, setting in project.config.models.items():
        for word, gates in setting.gates.items():
            where = f"lineage.toml: [models.{name}] gates.{word}"
            try:
                stage = require_stage(project, word)
                found = [_Declared(gate, _reader(parse_gate(gate), stage)) for gate in gates]
            except UsageError as error:
                raise UsageError(f"{where}: {error.message}", hint=error.hint) from error
            declared.setdefault((name, stage), []).extend(found)
    return declared


def _reader(words: GateWords, stage: str) -> Callable[[Case], Evidence]:  # noqa: PLR0911  one return for each gate
    """What looks at a gate of a stage. Raises `UsageError`."""
    match words:
        case Fulfils(text):
            expression = parse_where(text)
            return lambda case: find_values(case, expression)
        case Beats(text, op):
            field = _metric(text, stage)
            return lambda case: find_beaten(case, field, op)
        case Reproduced(tolerance):
            return lambda case: find_reproduced(case, within_tolerance=tolerance)
        case Approved(count):
            return lambda case: find_approvals(case, count)
        case Exits(command):
            return lambda case: run_check(case, command)
        case NoFeedback():
            return find_no_feedback
        case Commented():
            return find_comment
        case Environed():
            return find_environment


def _metric(text: str, stage: str) -> Field:
    field = parse_field(text)
    if field.kind != "metrics":
        raise UsageError(f"'{text}' is no metric: only a metric is better or worse", hint="metrics.rmse < current")
    if stage in SHARED_STAGES:
        raise UsageError(f"any number of versions can be in {stage}: there is no current one", hint="metrics.rmse < 6")
    return field


# --- looking ----------------------------------------------------------------------------------------------------------


def _look(gate: _Declared, case: Case) -> Gate:
    try:
        found = gate.look(case)
    except LinError as error:
        found = Evidence(passed=False, told=f"it cannot be looked at: {error.message}")
    return Gate(gate=gate.text, passed=found.passed, evidence=_one_line(found.told))


def _one_line(text: str) -> str:
    """The text as an event keeps it: what a program printed, or a foreign name, may hold anything."""
    words = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return words if len(words) <= LONGEST_EVIDENCE else f"{words[: LONGEST_EVIDENCE - 1]}…"
