"""`lin why A B --attribute`: two runs, the outcome that is asked about, and the search that re-runs what lies between.

Cells are runs of kind `cell` with A as their parent. What is said of the two stands on runs that were made, and on
nothing else.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from lin.errors import NotReproducibleError, OutsideError
from lin.ids import short
from lin.numbers import Real
from lin.project import Project
from lin.proof.attribution.anchors import ROUNDING, Anchors, Trial, drop_anchors
from lin.proof.attribution.answer import Attribution, Side
from lin.proof.attribution.cells import Cells, Progress, known_cells, quiet
from lin.proof.attribution.descend import Divide
from lin.proof.attribution.outcome import (
    MetricOutcome,
    Outcome,
    PredictionOutcome,
    choose_outcome,
    is_same,
    keep_row,
    pick_row,
    require_row,
)
from lin.proof.attribution.remedies import find_remedies
from lin.proof.attribution.search import Findings, Question, expected_cells, search_cause
from lin.proof.attribution.sentences import tell_cause, tell_notes
from lin.proof.between.split import Split, differing_axes, split_difference, take_axes
from lin.proof.perform import perform
from lin.proof.recipe import recipe_of
from lin.proof.scratch import live_table, read_recorded_pin
from lin.recipes import Recipe
from lin.runs.golden import read_golden, same_bits
from lin.runs.host import capture_host
from lin.runs.query import RunInfo

JOBS = 2
"""So many cells run at a time, if there are as many cores."""


@dataclass(frozen=True)
class _Pair:
    """The two runs, what they are called, their recipes, and what was measured of them then."""

    a: RunInfo
    b: RunInfo
    labels: tuple[str, str]
    recipes: tuple[Recipe, Recipe]
    recorded: tuple[float | None, float | None]


def attribute_change(
    project: Project,
    a: RunInfo,
    b: RunInfo,
    *,
    labels: tuple[str, str] | None = None,
    on: str | None = None,
    seeds: int = 3,
    budget: float = 600.0,
    jobs: int | None = None,
    report: Callable[[Progress], None] = quiet,
) -> Attribution:
    """Find out by controlled re-execution why `b` came out otherwise than `a`.

    Args:
        project: whose runs they are.
        a: the first run.
        b: the run that came out otherwise.
        labels: what the two are called in sentences (default: the last digits of their ids).
        on: what to look at: `metrics.NAME`, or `prediction KEY=VALUE` (default: the first metric that differs).
        seeds: how many more seeds to try on both sides where the seed differs.
        budget: about so many seconds may go into running every set of more than four axes.
        jobs: how many cells run at a time (default: two, or one on a machine with one core).
        report: told of each cell.

    Raises:
        UsageError: `on` means nothing here. NotFoundError: no such row.
        NotReproducibleError: one of the two cannot be re-run; names what is missing.
    """
    called = labels or (short(a.id), short(b.id))
    outcome = choose_outcome(project.store.blobs, a, b, on)
    if isinstance(outcome, PredictionOutcome) and (a.fit or b.fit):
        outcome = _with_row(project, outcome, a, b)
    if a.id == b.id or (isinstance(outcome, MetricOutcome) and is_same(a.metrics[outcome.key], b.metrics[outcome.key])):
        recorded = outcome.read(a)[0]
        nothing = Findings("no effect", "nothing to explain", Anchors([recorded], [recorded]), 0.0)
        return _describe(project, _Pair(a, b, called, _no_recipes(), (recorded, recorded)), outcome, nothing, None, [])
    recipes = _neutral(project, a, outcome), _neutral(project, b, outcome)
    drift: dict[str, None] = {}
    cells = Cells(
        outcome,
        lambda recipe: _perform(project, recipe, a, drift, cells),
        known_cells(project.store, capture_host()),
        width=jobs or min(JOBS, os.cpu_count() or 1),
        report=report,
    )
    axes, problems = differing_axes(project, *recipes), dict[str, None]()
    cells.expect(expected_cells(len(axes)))
    _require_both(cells, recipes)
    if isinstance(outcome, PredictionOutcome):
        outcome = cells.outcome = _answering(outcome, cells, recipes[1])
    pair = _Pair(a, b, called, recipes, (_recorded(outcome, project, a), _recorded(outcome, project, b)))
    findings = _check_record(pair, cells) or search_cause(
        Question(
            *recipes,
            axes=axes,
            recorded=pair.recorded,
            take=take_axes,
            divide=_divider(project, problems),
            seeds=seeds,
            budget=budget,
        ),
        cells,
    )
    return _describe(project, pair, outcome, findings, cells, [*drift, *problems], axes)


def _perform(project: Project, recipe: Recipe, parent: RunInfo, drift: dict[str, None], cells: Cells) -> RunInfo:
    done = perform(project, recipe, parent=parent.id, kind="cell", report=cells.note)
    drift.update({f"the environment of the cells is not quite the recorded one: {text}": None for text in done.drift})
    return done.run


def _divider(project: Project, problems: dict[str, None]) -> Divide:
    """How differences are taken apart; what cannot be, as versions of a table that are gone, is a problem to tell."""

    def divide(low: Recipe, high: Recipe) -> Split | None:
        try:
            return split_difference(project, low, high)
        except OutsideError as error:
            problems[f"not all was taken apart: {error.message}"] = None
            return None

    return divide


def _neutral(project: Project, run: RunInfo, outcome: Outcome) -> Recipe:
    """The recipe of a run without what it is called, so that the same cell of another question is the same recipe."""
    return outcome.ask(msgspec.structs.replace(recipe_of(project, run), name="cell", experiment=None))


# --- before the search ------------------------------------------------------------------------------------------------


def _require_both(cells: Cells, recipes: tuple[Recipe, Recipe]) -> None:
    """Run both once; refuse if one cannot be run at all."""
    cells.measure([Trial(recipe, what) for recipe, what in zip(recipes, "AB", strict=True)])
    for recipe, what in zip(recipes, "AB", strict=True):
        error = cells.attempt(Trial(recipe, what)).error
        if error is not None:
            raise NotReproducibleError(f"{what} cannot be run again: {error.message}", hint=error.hint) from error


def _check_record(pair: _Pair, cells: Cells) -> Findings | None:
    """Where the outcome was not recorded, the metrics were: what to say if a run that repeats has others now."""
    if None not in pair.recorded:
        return None
    anchors = drop_anchors(*pair.recipes, cells)
    again = [cells.attempt(Trial(recipe, what)).run for recipe, what in zip(pair.recipes, "AB", strict=True)]
    if not anchors.ran or anchors.noise or all(map(_has_metrics_of, again, (pair.a, pair.b))):
        return None
    return Findings("not repeated", "inconclusive", anchors, anchors.noise)


def _has_metrics_of(again: RunInfo | None, run: RunInfo) -> bool:
    return again is not None and all(
        key in again.metrics and (same_bits(value, again.metrics[key]) or _is_rounded(value, again.metrics[key]))
        for key, value in run.metrics.items()
    )


def _is_rounded(one: float, other: float) -> bool:
    return abs(one - other) <= ROUNDING * max(abs(one), abs(other))


def _with_row(project: Project, outcome: PredictionOutcome, a: RunInfo, b: RunInfo) -> PredictionOutcome:
    """The outcome with the row to predict: that of the version that A read, else of the one that B did."""
    from lin.data.read import read_pin

    row = None
    for ref in (*a.table_inputs, *b.table_inputs):
        row = pick_row(read_pin(live_table(project, ref), read_recorded_pin(project, ref)), outcome.key)
        if row is not None:
            break
    golden = keep_row(project.store.blobs, require_row(row, outcome.key), list(outcome.key))
    return replace(outcome, golden=golden)


def _answering(outcome: PredictionOutcome, cells: Cells, b: Recipe) -> PredictionOutcome:
    """The outcome with what B answers, where answers are classes."""
    run = cells.attempt(Trial(b, "B")).run
    return outcome if run is None or run.status != "finished" else outcome.answering(run)


def _recorded(outcome: Outcome, project: Project, run: RunInfo) -> float | None:
    """What was recorded of the outcome; of a prediction only if it was made of the same row."""
    if not isinstance(outcome, PredictionOutcome):
        return outcome.read(run)[0]
    found = outcome.find(run)
    if isinstance(found, str):
        return None
    if outcome.golden is not None:
        asked = _read_row(project, outcome.golden)
        if not all(same_bits(asked[name], value) for name, value in found.row.items() if name in asked):
            return None
    return found.measure(outcome.answer)


def _read_row(project: Project, sha256: str) -> dict[str, object]:
    """The cells of the one row in that blob."""
    cells: dict[str, object] = read_golden(project.store.blobs.read(sha256)).rows.to_pylist()[0]
    return cells


def _no_recipes() -> tuple[Recipe, Recipe]:
    nothing = Recipe(kind="command", name="cell")
    return nothing, nothing


# --- after it ---------------------------------------------------------------------------------------------------------


def _describe(
    project: Project,
    pair: _Pair,
    outcome: Outcome,
    findings: Findings,
    cells: Cells | None,
    problems: list[str],
    axes: list[str] | None = None,
) -> Attribution:
    anchors = findings.anchors
    sides = [
        Side(
            run=run.id,
            label=label,
            recorded=None if then is None else Real(then),
            replayed=[Real(value) for value in now if value is not None] if cells else [],
        )
        for run, label, then, now in zip(
            (pair.a, pair.b), pair.labels, pair.recorded, (anchors.a, anchors.b), strict=True
        )
    ]
    found = Attribution(
        on=outcome.name,
        a=sides[0],
        b=sides[1],
        effect=Real(anchors.target - anchors.base) if anchors.ran else None,
        noise=Real(findings.noise),
        axes=axes or [],
        cells=cells.cells if cells else [],
        estimated=findings.estimated,
        blocks=findings.blocks,
        effects=findings.effects,
        interactions=findings.interactions,
        seeds=findings.seeds,
        steps=findings.steps,
        checks=findings.checks,
        causes=findings.causes,
        relation=findings.relation,
        verdict=findings.verdict,
        sentence="",
        notes=[],
        undo=[],
    )
    return msgspec.structs.replace(
        found,
        sentence=tell_cause(found, findings),
        notes=tell_notes(found, findings, problems),
        undo=find_remedies(project, pair.a, pair.b, pair.labels, found.causes),
    )
