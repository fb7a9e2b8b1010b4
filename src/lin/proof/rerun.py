"""Re-running a run from its record, as it was or with something changed, and judging what comes of it.

Whatever can be known to be missing is known before anything runs. The verdict is kept as a receipt on the original:
of a re-run with something changed it says what, for that proves nothing of the run as it was.
"""

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from lin.errors import UsageError
from lin.events import Change, Event, Receipt, Verdict
from lin.ids import new_id, short
from lin.lineage.references import find_run_behind
from lin.project import Project
from lin.proof.changes import Changes, apply_changes
from lin.proof.doctor import Examiner, find_python, refuse_unable
from lin.proof.environments.build import LIN, TOOLS
from lin.proof.environments.prepare import quiet
from lin.proof.perform import Performed, perform
from lin.proof.recipe import decode_environment, recipe_of
from lin.proof.verdict.answer import Verification
from lin.proof.verdict.verify import check_tolerance, compare_runs
from lin.recipes import Mix, Recipe
from lin.records import Environment, Start
from lin.runs.environment import capture_environment, capture_interpreter
from lin.runs.fit import is_from_sklearn
from lin.runs.host import capture_process
from lin.runs.query import RunInfo

_STRONGEST_FIRST: tuple[Verdict, ...] = (
    "identical", "same predictions", "within tolerance", "different", "inconclusive",
)  # fmt: skip
_AS_RECORDED = Changes()
_SHOWN = 4


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a re-run is going to do: `lines` says it, and `changed` what is otherwise than it was recorded.

    `foreign`: somebody else recorded it, or another machine did, and it takes more than scikit-learn as it is installed
    here: a program, an estimator of another package, or packages that would be installed.
    """

    run: RunInfo
    recipe: Recipe
    changed: list[str]
    foreign: bool
    lines: list[str]


class Rerun(msgspec.Struct, frozen=True, kw_only=True):
    """The re-runs of a run and the verdict.

    `verification` holds the re-run `rerun`, of several the one that is furthest from the original, against it. Where
    the re-runs do not agree among themselves, `disagreement` holds two of them against each other.
    """

    run: str
    rerun: str
    reruns: list[str]
    verdict: Verdict
    changed: list[str]
    drift: list[str]
    verification: Verification
    disagreement: Verification | None


def plan_rerun(project: Project, reference: str, changes: Changes = _AS_RECORDED) -> Plan:
    """Find out what running it again takes, and that all of it is there; nothing runs.

    Raises:
        NotFoundError: no such run or model version. UsageError: something cannot be changed that way.
        NotReproducibleError: lists all that is missing, and what would mend it.
    """
    run = find_run_behind(project, reference)
    recipe, changed = apply_changes(project, run, recipe_of(project, run), changes)
    refuse_unable(run, Examiner(project).find_problems(recipe))
    start = project.store.runs.start(run.id)
    installs = _differ_from_here(project, recipe)
    return Plan(
        run=run,
        recipe=recipe,
        changed=changed,
        foreign=is_from_elsewhere(project, run.id) and (bool(installs) or not _is_plain_fit(recipe)),
        lines=list(_tell(start, recipe, installs, changed)),
    )


def execute_plan(
    project: Project,
    plan: Plan,
    *,
    tolerance: float | None = None,
    repeat: int | None = None,
    report: Callable[[str], None] = quiet,
) -> Rerun:
    """Run what was planned, compare, and keep the receipt.

    Once, unless `repeat` says how often. If the verdict is "different" although nothing was changed, a second time: a
    program that does not agree with itself is inconclusive. A program that fails is a failed run, and is judged.

    Args:
        project: the run's.
        plan: what `plan_rerun` answered.
        tolerance: see `lin.proof.verdict.verify.verify_runs`.
        repeat: how often to run it; all of them must agree.
        report: is told what takes time.

    Raises:
        UsageError: the tolerance is not a number ≥ 0, or `repeat` less than 1.
        NotReproducibleError: something is missing after all. OutsideError: what runs it failed.
    """
    check_tolerance(tolerance)
    if repeat is not None and repeat < 1:
        raise UsageError(f"it cannot be re-run {repeat} times", hint="--repeat 2")
    result = _judge(project, plan, list(_perform_each(project, plan, tolerance, repeat, report)), tolerance)
    receipt = Receipt(
        run=plan.run.id,
        rerun=result.rerun,
        verdict=result.verdict,
        differences=[f"{d.what} {d.name}".strip() for d in result.verification.differences]
        + result.verification.context,
        changed=plan.changed,
        repeats=len(result.reruns),
        tolerance=tolerance,
    )

    def decide(_: Sequence[Event]) -> Change:
        return receipt

    project.store.events.append(decide, actor=project.actor, email=project.email, op_id=new_id(), now=datetime.now(UTC))
    return result


# --- running and judging ----------------------------------------------------------------------------------------------


def _perform_each(
    project: Project, plan: Plan, tolerance: float | None, repeat: int | None, report: Callable[[str], None]
) -> Iterator[Performed]:
    """The re-runs, one by one, until there are enough or one does not agree with the first."""
    first = perform(project, plan.recipe, parent=plan.run.id, report=report)
    yield first
    if repeat is None and not plan.changed:
        verdict = compare_runs(project, plan.run, first.run, tolerance=tolerance).verdict
        repeat = 2 if verdict == "different" else 1
        if repeat > 1:
            report("different: once more, to see whether it agrees with itself")
    for number in range(1, repeat or 1):
        recipe = msgspec.structs.replace(plan.recipe, repeat=number)
        again = perform(project, recipe, parent=plan.run.id, report=report)
        yield again
        if not _agrees(compare_runs(project, first.run, again.run, tolerance=tolerance)):
            return


def _judge(project: Project, plan: Plan, performed: Sequence[Performed], tolerance: float | None) -> Rerun:
    first, last = performed[0], performed[-1]
    found = [compare_runs(project, plan.run, each.run, tolerance=tolerance) for each in performed]
    weakest = max(found, key=lambda each: _STRONGEST_FIRST.index(each.verdict))
    mutual = compare_runs(project, first.run, last.run, tolerance=tolerance)
    disagreement = None if _agrees(mutual) else mutual
    drift = list(dict.fromkeys(line for each in performed for line in each.drift))
    verification = _with_drift(weakest, drift)
    if disagreement is not None:
        verification = _inconclusive(verification, disagreement)
    return Rerun(
        run=plan.run.id,
        rerun=weakest.second,
        reruns=[each.run.id for each in performed],
        verdict=verification.verdict,
        changed=plan.changed,
        drift=drift,
        verification=verification,
        disagreement=disagreement,
    )


def _agrees(mutual: Verification) -> bool:
    """Whether two re-runs are the same. Two that left nothing, in the same way, are."""
    return mutual.same or not mutual.differences


def _with_drift(verification: Verification, drift: Sequence[str]) -> Verification:
    """What could not be had as it was recorded stands in the verdict's context."""
    fresh = [line for told in drift if (line := f"environment: {told}") not in verification.context]
    axes = [*verification.axes, *(["environment"] if fresh and "environment" not in verification.axes else [])]
    return msgspec.structs.replace(verification, axes=axes, context=[*verification.context, *fresh])


def _inconclusive(verification: Verification, mutual: Verification) -> Verification:
    told = ", ".join(f"{found.what} {found.name}".strip() for found in mutual.differences[:_SHOWN])
    more = f" and {len(mutual.differences) - _SHOWN} more" if len(mutual.differences) > _SHOWN else ""
    line = (
        f"it does not agree with itself: re-runs {short(mutual.first)} and {short(mutual.second)} differ in "
        f"{told}{more}"
    )
    return msgspec.structs.replace(verification, verdict="inconclusive", context=[line, *verification.context])


# --- what is told before anything runs --------------------------------------------------------------------------------


def is_from_elsewhere(project: Project, run_id: str) -> bool:
    """Whether somebody else recorded the run, or another machine did."""
    start = project.store.runs.start(run_id)
    return start.process.host != capture_process().host or start.actor != project.actor


def _is_plain_fit(recipe: Recipe) -> bool:
    return recipe.fit is not None and is_from_sklearn(recipe.fit)


def _differ_from_here(project: Project, recipe: Recipe) -> list[str]:
    """How the interpreter and the packages to run with differ from those at hand; nothing: it runs in these."""
    if recipe.environment is None:
        return []
    wanted = decode_environment(project, recipe.environment)
    uncounted = (TOOLS - recipe.packages.keys()) | {LIN}
    python = find_python(project, recipe)
    here = _versions(capture_environment() if python == Path(sys.executable) else capture_interpreter(python))
    there = _versions(wanted) | {name: (version, None) for name, version in recipe.packages.items()}
    lines = []
    for name in sorted((here.keys() | there.keys()) - uncounted):
        (old, old_files), (new, new_files) = here.get(name, (None, None)), there.get(name, (None, None))
        if old != new:
            lines.append(f"{name} {old or 'none'} -> {new or 'none'}")
        elif old_files and new_files and old_files != new_files:
            lines.append(f"{name} {old}: other files")
    return lines


def _versions(environment: Environment) -> dict[str, tuple[str | None, str | None]]:
    """The version of the interpreter and of each package, with the digest of its files where that is known."""
    packages = {package.name: (package.version, package.record) for package in environment.packages}
    return {**packages, "python": (environment.python, environment.implementation)}


def _tell(start: Start, recipe: Recipe, installs: Sequence[str], changed: Sequence[str]) -> Iterator[str]:
    """What is going to run, whose it is, on what data, and in which environment."""
    whose = f"of {start.actor}, {start.started:%Y-%m-%d %H:%M} UTC on {start.host.name}"
    yield f"re-running {short(start.id)} {whose}: {start.name}"
    read = [f"{side.table}@{side.version}" for side in recipe.tables if not isinstance(side, Mix)]
    read += [file.path for file in recipe.files] + [f"{model.model}@{model.version}" for model in recipe.models]
    on = f", on {_listed(read)}" if read else ""
    what = " + ".join(recipe.fit.estimator) if recipe.fit else f"$ {shlex.join(recipe.command)}"
    yield f"  {what}{on}"
    if installs:
        yield f"  in an environment of its own: {_listed(installs)}"
    elif recipe.environment is None:
        yield "  in this environment: none was recorded"
    else:
        yield "  in this environment, which is the recorded one"
    yield from (f"  changed: {line}" for line in changed)


def _listed(found: Sequence[str]) -> str:
    return ", ".join([*found[:_SHOWN], *([f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else [])])
