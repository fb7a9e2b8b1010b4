"""Everything about one run or model version on one page: its record, and what was said and found about it since.

What can no longer be read is told in its place; the rest is there all the same.
"""

from typing import TYPE_CHECKING

import msgspec

from lin.errors import LinError, StoreError
from lin.models.fold import ModelVersion
from lin.models.registry import SignedReceipt, list_versions, read_receipts, read_registry
from lin.project import Project
from lin.records import Environment, SourceTree, decode
from lin.runs.curves import Curve, read_curves
from lin.runs.deleted import Deletion, read_deletions
from lin.runs.query import RunInfo, read_run

if TYPE_CHECKING:
    from lin.lineage.feedback import Feedback


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
    """A model version, the run behind it, and what it keeps of its golden predictions."""

    version: ModelVersion
    run: RunCard
    golden: str | None


def read_run_card(project: Project, run: RunInfo) -> RunCard:
    """Gather what is known about a run."""
    registry = read_registry(project.store)
    return RunCard(
        run=run,
        models=[version.reference for version in list_versions(registry) if version.run == run.id],
        receipts=read_receipts(project.store, run.id),
        feedback=_feedback(project, run),
        curves=_curves(project, run),
        deletion=read_deletions(project.store).get(run.id),
        source=_source(project, run),
        environment=_environment(project, run),
    )


def read_model_card(project: Project, version: ModelVersion) -> ModelCard:
    """Gather what is known about a model version."""
    run = read_run_card(project, read_run(project.store, version.run))
    return ModelCard(version=version, run=run, golden=_golden(project, version))


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
    from lin.lineage.feedback import find_feedback

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
