"""Everything about one run or model version on one page: its record, and what was said and found about it since.

What can no longer be read is told in its place; the rest is there all the same. As of a past moment, what was said and
found later is left out.
"""

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from lin.errors import LinError, StoreError
from lin.models.fold import Discounted, ModelVersion, Refusal, fold_events
from lin.models.registry import SignedReceipt, list_versions, read_events, read_receipts
from lin.project import Project
from lin.records import Environment, SourceTree, decode
from lin.runs.curves import Curve, read_curves
from lin.runs.deleted import Deletion, fold_deletions
from lin.runs.query import RunInfo, read_run

if TYPE_CHECKING:
    from lin.runs.feedback import Feedback


class RunCard(msgspec.Struct, frozen=True, kw_only=True):
    """A run, the models it became, the receipts of its re-runs, predictions in its data, and its metrics' curves."""

    run: RunInfo
    models: list[str]
    receipts: list[SignedReceipt]
    feedback: "list[Feedback] | None"
    """None where a table that the run read can no longer be asked."""
    curves: dict[str, Curve] | None
    """None where its log cannot be read."""
    deletion: Deletion | None
    source: str | None
    environment: str | None


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """A version, the run behind it, what it keeps of its golden predictions, and what was refused or does not count."""

    version: ModelVersion
    run: RunCard
    golden: str | None
    refusals: list[Refusal] = []
    discounted: list[Discounted] = []


def read_run_card(project: Project, run: RunInfo, *, as_of: datetime | None = None) -> RunCard:
    """Gather what is known about a run, or was known of it at a moment."""
    events = read_events(project.store, as_of=as_of)
    versions = list_versions(fold_events(events))
    return RunCard(
        run=run,
        models=[version.reference for version in versions if version.run == run.id],
        receipts=read_receipts(project.store, run.id, as_of=as_of),
        feedback=_feedback(project, run),
        curves=_curves(project, run),
        deletion=fold_deletions(events).get(run.id),
        source=_source(project, run),
        environment=_environment(project, run),
    )


def read_model_card(project: Project, version: ModelVersion, *, as_of: datetime | None = None) -> ModelCard:
    """Gather what is known about a model version, or was known of it at a moment whose `version` it is."""
    run = read_run_card(project, read_run(project.store, version.run), as_of=as_of)
    model = fold_events(read_events(project.store, as_of=as_of))[version.model]
    refusals = [refusal for refusal in model.refusals if refusal.version == version.version]
    discounted = [each for each in model.discounted if each.version == version.version]
    return ModelCard(
        version=version, run=run, golden=_golden(project, version), refusals=refusals, discounted=discounted
    )


def _golden(project: Project, version: ModelVersion) -> str | None:
    if version.golden is None:
        return None
    from lin.runs.golden import read_golden

    try:
        golden = read_golden(project.store.blobs.read(version.golden))
    except LinError as error:
        return f"cannot be read: {error.message}"
    left_out = f", {golden.layout.left_out} left out" if golden.layout.left_out else ""
    rows = golden.table.num_rows
    return f"{rows} row{'s' * (rows != 1)} kept{left_out} ({version.golden[:12]})"


def _feedback(project: Project, run: RunInfo) -> "list[Feedback] | None":
    if not run.table_inputs:
        return []
    from lin.runs.feedback import find_feedback

    try:
        return find_feedback(project, run)
    except LinError:
        return None  # the table is gone or damaged; the run's own record can be shown all the same


def _curves(project: Project, run: RunInfo) -> dict[str, Curve] | None:
    try:
        return read_curves(project.store, run.id) if run.metrics else {}
    except StoreError:
        return None


def _source(project: Project, run: RunInfo) -> str | None:
    if run.source is None:
        return None
    try:
        tree = decode(project.store.blobs.read(run.source.tree), SourceTree, where="a source snapshot")
    except LinError as error:
        return f"cannot be read: {error.message}"
    git = run.source.git
    where = f", git {(git.commit or 'no commit')[:12]}{' with uncommitted changes' if git.dirty else ''}" if git else ""
    left_out = f", {len(tree.left_out)} left out" if tree.left_out else ""
    return f"{len(tree.files)} file{'s' * (len(tree.files) != 1)}{left_out}{where} ({run.source.tree[:12]})"


def _environment(project: Project, run: RunInfo) -> str | None:
    if run.environment is None:
        return None
    try:
        found = decode(project.store.blobs.read(run.environment), Environment, where="an environment")
    except LinError as error:
        return f"cannot be read: {error.message}"
    return f"python {found.python}, {len(found.packages)} packages ({run.environment[:12]})"
