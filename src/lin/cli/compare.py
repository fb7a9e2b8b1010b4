"""`lin compare`."""

from typing import Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import emit


def compare(
    references: Annotated[
        list[str],
        typer.Argument(metavar="A B…", help="Runs or model versions; the first is held against.", show_default=False),
    ],
    *,
    no_diff: Annotated[bool, typer.Option("--no-diff", help="Do not count rows that differ in tables.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Show every changed line of the source.")] = False,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Show what differs between runs: params, metrics, inputs, code.

    Everything is told against the first one.
    """
    from lin.cli.differences import view
    from lin.lineage.references import find_run_behind
    from lin.runs.compare import compare_runs

    project = open_project(store)
    runs = [find_run_behind(project, reference) for reference in references]
    result = compare_runs(project, runs, labels=references, rows=not no_diff)
    emit(result, lambda compared: view(compared, full=full), as_json=as_json)
