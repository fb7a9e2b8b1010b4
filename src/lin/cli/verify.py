"""`lin verify`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import emit, line, show, table
from lin.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.proof.verify import Verification

Tolerance = Annotated[
    float | None,
    typer.Option(metavar="T", help="Accept differences up to t + t·|value|; without it, only equal bits are the same."),
]


def verify(
    first: Annotated[str, typer.Argument(metavar="A", help="A run, or a model version.", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help="A run, or a model version.", show_default=False)],
    *,
    tolerance: Tolerance = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Compare two runs and give the verdict.

    Parameters, metrics, predictions and artifacts are compared both ways. Exit code 0: the same; 1: different.
    """
    from lin.proof.verify import verify_runs

    result = verify_runs(open_project(store), first, second, tolerance=tolerance)
    emit(result, view, as_json=as_json)
    if not result.same:
        raise typer.Exit(ExitCode.NO)


def view(result: "Verification") -> "list[RenderableType]":
    """The verdict first, then what differs."""
    style = "bold green" if result.same else "bold red"
    parts: list[RenderableType] = [
        line(f"{result.verdict}: run {result.second[-8:]} against {result.first[-8:]}", style)
    ]
    if result.differences:
        rows = [(d.what, d.name, _short(d.first), _short(d.second)) for d in result.differences]
        parts.append(table(("differs", "", result.first[-8:], result.second[-8:]), rows))
    if result.largest:
        parts.append(f"largest difference: {show(result.largest)}")
    return [*parts, *result.context]


def _short(value: object) -> str:
    if isinstance(value, str) and len(value) == 64:  # noqa: PLR2004  a digest
        return value[:12]
    return "-" if value is None else repr(value) if isinstance(value, float) else str(value)
