"""`lin verify`."""

import os
from typing import Annotated

import typer

from lin.cli.options import Json, StorePath, Trusted, open_project
from lin.cli.printing import emit
from lin.cli.verdict_view import view
from lin.errors import ExitCode

Tolerance = Annotated[
    float | None,
    typer.Option(metavar="T", help="Accept differences up to t + t·|value|; without it, only equal bits are the same."),
]


def verify(
    first: Annotated[str, typer.Argument(metavar="A", help="A run, or a model version.", show_default=False)],
    second: Annotated[
        str | None,
        typer.Argument(metavar="B", help="The other one. Without: A's own golden predictions.", show_default=False),
    ] = None,
    *,
    tolerance: Tolerance = None,
    trust: Trusted = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Compare two runs, or score a model's golden rows again.

    Parameters, metrics, predictions, artifacts, files and tables are compared both ways. A model version alone is held
    against what it predicted when it was trained: did the libraries change the answer, or the model? Exit code 0: the
    same; 1: different.
    """
    project = open_project(store)
    if second is None:
        from lin.cli.golden import view_golden
        from lin.proof.verdict.golden import check_model
        from lin.runs.trust import read_trust

        checked = check_model(project, first, tolerance=tolerance, trust=read_trust(trust, os.environ))
        emit(checked, view_golden, as_json=as_json)
        same = checked.same
    else:
        from lin.proof.verdict.verify import verify_runs

        result = verify_runs(project, first, second, tolerance=tolerance)
        emit(result, view, as_json=as_json)
        same = result.same
    if not same:
        raise typer.Exit(ExitCode.NO)
