"""Why one run or model version came out otherwise than another, from their records alone; nothing is run.

All that differs is told axis by axis, then what came out otherwise, then the likely cause and how to undo it. What the
records do not tell is never guessed: of several axes that differ, none is named as the one.
"""

from datetime import datetime
from typing import Literal

import msgspec

from lin.errors import LinError
from lin.events import Receipt
from lin.ids import short
from lin.lineage.references import Meant
from lin.models.fold import Registry
from lin.models.registry import find_version, read_registry
from lin.project import Project
from lin.proof.why.axes import Axes, compare_axes
from lin.proof.why.causes import Cause, Findings, find_cause
from lin.proof.why.data_axis import DataChange, compare_data
from lin.proof.why.effects import Effects, MetricEffect, compare_effects, golden_of
from lin.proof.why.recorded import Between, find_between
from lin.proof.why.undo import Called
from lin.recipes import AXES
from lin.runs.compare import compare_runs
from lin.runs.feedback import WrittenBack, find_written_back, recall
from lin.runs.query import RunInfo
from lin.runs.wording import show_number


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two: what it is called, the run behind it, and the model version by which it was named."""

    label: str
    run: str
    name: str
    status: str
    actor: str
    started: datetime
    model: str | None
    stage: str | None


class Fed(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions in the data of one side, or of both, and the stage that the version which made them is in now.

    `of_other`: that version is the other side itself. `counts`: the side was trained on some of them, as far as its
    record tells.
    """

    side: Literal["a", "b", "both"]
    written: WrittenBack
    stage: str | None
    of_other: bool
    counts: bool


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why `b` came out otherwise than `a`: what differs, what came of it, the likely cause and how to undo it.

    `between` are recorded runs that are as `a` on some of the axes that differ, and as `b` on the others. On the axes
    of `same` both have the same. `problems` say what could not be looked at.
    """

    a: Side
    b: Side
    headline: str
    feedback: list[Fed]
    data: list[DataChange]
    axes: Axes
    effects: Effects
    between: list[Between]
    cause: Cause
    same: list[str]
    problems: list[str]


def explain(project: Project, a: Meant, b: Meant) -> Why:
    """Say what differs between two runs or model versions, and what their records tell of the cause.

    What can no longer be read, as a table whose files are gone, is said to be so and hides nothing else.
    """
    sides = _side(a), _side(b)
    comparison = compare_runs(project, [a.run, b.run], labels=[side.label for side in sides])
    axes = compare_axes(project, a.run, b.run, comparison)
    data = compare_data(project, a.run, b.run, comparison)
    effects = compare_effects(project.store.blobs, a.run, b.run, comparison, golden=(_golden(a), _golden(b)))
    problems: list[str] = []
    feedback = _find_feedback(project, a, b, problems) if a.run.id != b.run.id else []
    differing = [*(["data"] if data else []), *axes.differing]
    between = find_between(project, a.run, b.run, differing) if effects.differs else []
    fed = next((each for each in feedback if each.counts and each.side != "both"), None)
    found = Findings(
        a=_call(a, sides[0]),
        b=_call(b, sides[1]),
        data=data,
        axes=axes,
        differs=effects.differs,
        results=effects.results,
        lead=effects.lead,
        between=between,
        repeats=_repeats(project, {a.run.id, b.run.id}),
        fed=_tell_fed(fed, sides) if fed else None,
        healed=fed is not None and fed.side == "a",
    )
    told = {*differing, *axes.unknown, *(["source"] if axes.source else [])}
    return Why(
        a=sides[0],
        b=sides[1],
        headline=_tell_headline(*sides, effects),
        feedback=feedback,
        data=data,
        axes=axes,
        effects=effects,
        between=between,
        cause=find_cause(found),
        same=[axis for axis in AXES if axis not in told],
        problems=problems,
    )


def _side(meant: Meant) -> Side:
    run, version = meant.run, meant.version
    return Side(
        label=meant.label,
        run=run.id,
        name=run.name,
        status=run.status,
        actor=run.actor,
        started=run.started,
        model=version.reference if version else None,
        stage=version.stage if version else None,
    )


def _call(meant: Meant, side: Side) -> Called:
    experiment = meant.run.experiment
    return Called(
        label=side.label,
        reference=side.label,
        experiment=experiment,
        takes_params=meant.run.fit is not None or experiment is not None,
    )


def _golden(meant: Meant) -> str | None:
    return (meant.version and meant.version.golden) or golden_of(meant.run)


def _repeats(project: Project, runs: set[str]) -> bool:
    """Whether one of the runs was re-run, as it was, and came out the same."""
    receipts = (event.change for event in project.store.events.read() if isinstance(event.change, Receipt))
    return any(
        receipt.run in runs and not receipt.changed and receipt.verdict in {"identical", "same predictions"}
        for receipt in receipts
    )


# --- predictions in the data ------------------------------------------------------------------------------------------


def _find_feedback(project: Project, a: Meant, b: Meant, problems: list[str]) -> list[Fed]:
    """Predictions in the data of both sides: those of the second first, and those that only one has before others."""
    registry = read_registry(project.store)
    before, after = (_written_back(project, meant.run, problems) for meant in (a, b))
    shared = {_identify(written) for written in before} & {_identify(written) for written in after}
    only_a, only_b = ([w for w in side if _identify(w) not in shared] for side in (before, after))
    return [
        *(_fed(registry, "b", written, other=a.run) for written in only_b),
        *(_fed(registry, "a", written, other=b.run) for written in only_a),
        *(_fed(registry, "both", written, other=None) for written in after if _identify(written) in shared),
    ]


def _written_back(project: Project, run: RunInfo, problems: list[str]) -> list[WrittenBack]:
    try:
        return find_written_back(project, run)
    except LinError as error:
        recorded = recall(project, run)
        told = f"whether predictions are in the data is not known: {error.message}"
        problems += [] if told in problems or recorded else [told]
        return recorded


def _identify(written: WrittenBack) -> tuple[str, int, str]:
    return written.table, written.written, written.column


def _fed(registry: Registry, side: Literal["a", "b", "both"], written: WrittenBack, *, other: RunInfo | None) -> Fed:
    try:
        version = find_version(registry, written.model)
    except LinError:  # what a commit says of a model need not be one of ours
        version = None
    return Fed(
        side=side,
        written=written,
        stage=version.stage if version else None,
        of_other=version is not None and other is not None and version.run == other.id,
        counts=written.kept != 0 and written.role != "not used",
    )


def _tell_fed(fed: Fed, sides: tuple[Side, Side]) -> str:
    """Who was trained on whose predictions."""
    written = fed.written
    side = sides[fed.side == "b"].label
    cells = written.cells if written.kept is None else written.kept
    model = f"{written.model} itself" if fed.of_other else written.model
    column = f"{written.table}.{written.column}" if written.role is None else f"its {written.role} {written.column}"
    other = "" if fed.side == "b" else f", and {sides[1].label} was not"
    return f"{side} was trained on predictions of {model}: {cells:,} cells of {column}{other}"


# --- the headline -----------------------------------------------------------------------------------------------------


def _tell_headline(a: Side, b: Side, effects: Effects) -> str:
    if a.run == b.run:
        return f"both are {b.label}, run {short(b.run)}" if b.model else f"both are run {b.label}"
    if not effects.results:
        return f"{a.label} and {b.label} left nothing to compare"
    differs = effects.differs
    if not differs:
        return f"{b.label} agrees with {a.label} in {_tell_same(effects)}"
    if a.status != b.status:
        return f"{b.label} {_is(b.status)}, {a.label} {_is(a.status)}"
    told = [*_tell_metric(effects.lead), *_tell_predictions(effects)]
    if not {"metrics", "predictions", "status"} & {*differs}:
        files = len(effects.artifacts) + len(effects.outputs)
        alike = f" agrees with {a.label} in {_tell_same(effects)}, and" if effects.same else f" and {a.label}:"
        return f"{b.label}{alike} {files} {'file differs' if files == 1 else 'files differ'}"
    how = "predicts" if "predictions" in differs else "came out"
    return f"{b.label} {how} otherwise than {a.label}{': ' * bool(told)}{', '.join(told)}"


def _tell_same(effects: Effects) -> str:
    same = effects.same
    return f"all {', '.join(same[:-1])} and {same[-1]}" if len(same) > 1 else f"all {same[0]}" if same else "everything"


def _is(status: str) -> str:
    return status if status in {"finished", "failed"} else f"is {status}"


def _tell_metric(metric: MetricEffect | None) -> list[str]:
    if metric is None or metric.old is None or metric.new is None:
        return []
    judged = "" if metric.better is None else " (better)" if metric.better else " (worse)"
    return [f"{metric.name} {show_number(metric.old)} -> {show_number(metric.new)}{judged}"]


def _tell_predictions(effects: Effects) -> list[str]:
    """Of the golden predictions, or else of the test rows."""
    diffs = [(each.kind, each.diff) for each in effects.predictions if each.diff is not None]
    return [f"{diff.changed:,} of {diff.rows:,} {kind} predictions changed" for kind, diff in diffs[:1]]
