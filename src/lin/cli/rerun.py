"""`lin rerun`."""

from typing import Annotated

import typer

from lin.cli.consent import Yes, ask_to_run
from lin.cli.options import Json, StorePath, With, open_project
from lin.cli.printing import emit, note
from lin.cli.verdict_view import view_rerun
from lin.cli.verify import Tolerance
from lin.errors import ExitCode


def rerun(
    reference: Annotated[str, typer.Argument(metavar="RUN|MODEL@V", help="What to run again.", show_default=False)],
    *,
    tolerance: Tolerance = None,
    repeat: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Re-run it N times; all of them must agree.")
    ] = None,
    params: Annotated[
        list[str] | None, typer.Option("-P", "--param", metavar="NAME=VALUE", help="With another parameter, or seed.")
    ] = None,
    packages: With = None,
    source: Annotated[
        bool, typer.Option("--with-current-source", help="With the project's files as they are.")
    ] = False,
    data: Annotated[bool, typer.Option("--with-current-data", help="On the newest versions of its tables.")] = False,
    environment: Annotated[
        bool, typer.Option("--with-current-environment", help="With the packages that are installed here.")
    ] = False,
    yes: Yes = False,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Re-run a fit or a command from its record, judge the result.

    The same source, data, parameters and seed, in the recorded environment, which is made anew where this one is
    another. The verdict is kept with the original run. Exit code 0: the same; 1: different, or inconclusive;
    14: it cannot be re-run.
    """
    from dataclasses import replace

    from lin.proof.changes import parse_changes
    from lin.proof.rerun import execute_plan, plan_rerun

    changes = replace(parse_changes(params or [], packages or []), source=source, data=data, environment=environment)
    project = open_project(store)
    plan = plan_rerun(project, reference, changes)
    for text in plan.lines:
        note(text)
    if plan.foreign and not yes:
        ask_to_run(plan.run, "lin rerun --yes …")
    result = execute_plan(project, plan, tolerance=tolerance, repeat=repeat, report=note)
    emit(result, view_rerun, as_json=as_json)
    if not result.verification.same:
        raise typer.Exit(ExitCode.NO)
