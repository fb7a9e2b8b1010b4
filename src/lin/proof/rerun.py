"""Re-running a fit from its record, and judging the result.

The recorded source is laid out in a scratch folder, the recorded pin is read (whatever the live table is now), and a
child process fits again with the same parameters, seed and recorded variables. The verdict is kept as a receipt.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from lin.data.pins import check_pin
from lin.data.tables import Table
from lin.errors import NotFoundError, NotReproducibleError, OutsideError, StoreError
from lin.events import Change, Event, Receipt
from lin.ids import new_id, short
from lin.lineage.references import find_run_behind
from lin.project import Project
from lin.proof.verify import Verification, check_tolerance, compare_runs
from lin.records import Environment, Fit, Pin, TableRef, decode
from lin.runs.environment import capture_environment, diff_environments
from lin.runs.probe import VARIABLES
from lin.runs.query import RunInfo, read_run
from lin.runs.source import read_tree, restore_source


class Rerun(msgspec.Struct, frozen=True, kw_only=True):
    """A re-run and its verdict against the original."""

    run: str
    rerun: str
    verdict: str
    verification: Verification


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a re-run is going to do."""

    run: RunInfo
    fit: Fit
    input: TableRef
    drift: list[str]
    """How the environment differs from the recorded one."""


def plan_rerun(project: Project, reference: str) -> Plan:
    """Look whether the run can be re-run, before anything runs.

    Raises:
        NotFoundError: no such run or model version. NotReproducibleError: lists what is missing.
    """
    run = find_run_behind(project, reference)
    if run.fit is None or run.kind != "train":
        kind = f"an {run.kind}" if run.kind == "import" else f"a {run.kind}"
        raise NotReproducibleError(
            f"run {short(run.id)} cannot be re-run: it is {kind} run, and this lin re-runs fits of its trainer",
            hint="lin runs --where \"kind = 'train'\"",
        )
    if run.status != "finished":
        raise NotReproducibleError(f"run {short(run.id)} cannot be re-run: it is {run.status}", hint="lin runs")
    table = run.table_inputs[0]
    gone = _missing_source(project, run)
    if gone:
        raise NotReproducibleError(
            f"run {short(run.id)} cannot be re-run: {len(gone)} files of its source are gone from the store: "
            + "; ".join(gone[:3]),
            hint="restore the folder 'blobs' from a backup of the store",
        )
    missing = _missing_data(project, table)
    if missing:
        raise NotReproducibleError(
            f"run {short(run.id)} cannot be re-run: {len(missing)} data files of {table.table}@{table.version} are not"
            f" what they were: {'; '.join(missing[:3])}",
            hint="restore those files from a backup of the table",
        )
    return Plan(run=run, fit=run.fit, input=table, drift=_drift(project, run))


def execute_plan(project: Project, plan: Plan, *, tolerance: float | None = None) -> Rerun:
    """Run what was planned, compare, and keep the receipt.

    Raises:
        OutsideError: the fit failed; if it got as far as a run, that is recorded as failed.
        UsageError: the tolerance is not a number ≥ 0.
    """
    check_tolerance(tolerance)
    with tempfile.TemporaryDirectory(prefix="lin-rerun-") as scratch:
        if plan.run.source is not None:
            tree = read_tree(project.store.blobs, plan.run.source.tree)
            restore_source(tree, project.store.blobs, Path(scratch))
        again = read_run(project.store, _fit_again(project, plan, Path(scratch)))
    verification = compare_runs(project.store.blobs, plan.run, again, tolerance=tolerance)
    receipt = Receipt(
        run=plan.run.id,
        rerun=again.id,
        verdict=verification.verdict,
        differences=[f"{d.what} {d.name}" for d in verification.differences] + verification.context,
    )

    def decide(_: Sequence[Event]) -> Change:
        return receipt

    project.store.events.append(decide, actor=project.actor, op_id=new_id(), now=datetime.now(UTC))
    return Rerun(run=plan.run.id, rerun=again.id, verdict=verification.verdict, verification=verification)


def recorded_environment(project: Project, run: RunInfo) -> Environment | None:
    """The environment that the run recorded."""
    if run.environment is None:
        return None
    return decode(project.store.blobs.read(run.environment), Environment, where=f"environment of run {short(run.id)}")


def _missing_source(project: Project, run: RunInfo) -> list[str]:
    if run.source is None:
        return []
    blobs = project.store.blobs
    if blobs.size(run.source.tree) is None:
        return [f"the list of its files, {run.source.tree}"]
    return [file.path for file in read_tree(blobs, run.source.tree).files if blobs.size(file.sha256) is None]


def _missing_data(project: Project, table: TableRef) -> list[str]:
    try:
        pin = decode(project.store.blobs.read(table.pin), Pin, where=f"pin of {table.table}@{table.version}")
    except StoreError as error:
        return [error.message]
    return check_pin(Table(table.table, project.store_root / table.location), pin)


def _drift(project: Project, run: RunInfo) -> list[str]:
    """How packages and interpreter differ; libraries that are not loaded here and now cannot be compared."""
    recorded = recorded_environment(project, run)
    if recorded is None:
        return ["the run recorded no environment"]
    here = msgspec.structs.replace(capture_environment(), blas=recorded.blas, variables=recorded.variables)
    return diff_environments(recorded, here)


def _fit_again(project: Project, plan: Plan, scratch: Path) -> str:
    """Fit in a child process with the recorded variables, and no others of that kind; returns the id of its run."""
    recorded = recorded_environment(project, plan.run)
    kept = {name: value for name, value in os.environ.items() if recorded is None or name not in VARIABLES}
    variables = kept | (recorded.variables if recorded else {}) | {"LIN_ACTOR": project.actor}
    # -P: nothing in the folder can stand in for the modules of the child itself
    command = [sys.executable, "-P", "-m", "lin.proof.replay", str(project.store_root.resolve()), plan.run.id]
    child = subprocess.run(
        command, cwd=scratch, env=variables, capture_output=True, text=True, errors="replace", check=False
    )
    if child.returncode != 0:
        reason = child.stderr.strip().splitlines()
        raise OutsideError(
            f"the re-run of {short(plan.run.id)} failed: {reason[-1] if reason else f'exit code {child.returncode}'}"
        )
    run_id = child.stdout.strip()
    if project.store.runs.sealed(run_id) is None:
        raise NotFoundError(f"the re-run of {short(plan.run.id)} left no record")
    return run_id
