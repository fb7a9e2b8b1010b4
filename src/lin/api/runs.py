"""Asking about runs from Python, in the words of `lin runs`."""

import warnings
from typing import TYPE_CHECKING

from lin.api.session import current_project
from lin.runs.query import RunInfo, list_runs

if TYPE_CHECKING:
    from lin.runs.differences import RunComparison


def search_runs(
    where: str | None = None, *, sort: str | None = None, descending: bool = False, limit: int | None = None
) -> list[RunInfo]:
    """The runs that fulfil `where`, sorted by a field (default: newest first), `limit` at most.

        lin.search_runs("metrics.rmse < 5 and params.alpha = 0.1", sort="metrics.rmse", limit=10)

    A record that cannot be read is a warning, and hides no other.

    Raises:
        NotFoundError: there is no project here. UsageError: `where` or `sort` is wrong.
    """
    found = list_runs(current_project().store, where=where, sort=sort, descending=descending, limit=limit)
    for problem in found.damaged:
        warnings.warn(problem, stacklevel=2)
    return found.runs


def compare_runs(*references: str) -> "RunComparison":
    """Only what differs between runs or model versions, against the first of them; a notebook shows it as a table.

        lin.compare_runs("boston@1", "last")

    Raises:
        NotFoundError: one of them is not there. UsageError: there are not two.
    """
    from lin.lineage.references import find_run_behind
    from lin.runs.compare import compare_runs as compare

    project = current_project()
    return compare(project, [find_run_behind(project, reference) for reference in references], labels=references)
