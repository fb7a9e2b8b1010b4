"""`lin rerun`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import emit, note
from lin.cli.verify import Tolerance, view
from lin.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.proof.rerun import Rerun


def rerun(
    reference: Annotated[str, typer.Argument(metavar="RUN|MODEL@V", help="What to run again.", show_default=False)],
    *,
    tolerance: Tolerance = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Re-run a fit from its record and judge the result.

    The same source, the same data whatever the table holds now, the same parameters and seed, in this environment.
    The verdict is kept with the original run. Exit code 0: the same; 1: different; 14: it cannot be re-run.
    """
    from lin.proof.rerun import execute_plan, plan_rerun

    project = open_project(store)
    plan = plan_rerun(project, reference)
    note(f"re-running {plan.run.id[-8:]}: {plan.run.name} on {plan.input.table}@{plan.input.version}")
    for difference in plan.drift:
        note(f"warning: this environment is not the recorded one: {difference}")
    result = execute_plan(project, plan, tolerance=tolerance)
    emit(result, _view, as_json=as_json)
    if not result.verification.same:
        raise typer.Exit(ExitCode.NO)


def _view(result: "Rerun") -> "list[RenderableType]":
    return view(result.verification)
