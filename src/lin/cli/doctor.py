"""`lin doctor`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import emit, line, table
from lin.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.proof.doctor import Examination


def doctor(
    reference: Annotated[
        str | None,
        typer.Argument(metavar="RUN|MODEL@V", help="What to examine; all model versions where nothing is named."),
    ] = None,
    *,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Find out whether runs can be re-run, without running them.

    All that a re-run would read is read and checked: data, source, files, environment, program. Exit code 0: it can;
    14: it cannot, with what would mend it.
    """
    from lin.lineage.references import find_run_behind
    from lin.proof.doctor import examine_models, examine_run

    project = open_project(store)
    if reference is None:
        found = examine_models(project)
        emit(found, _view_all, as_json=as_json)
    else:
        found = [examine_run(project, find_run_behind(project, reference))]
        emit(found[0], _view, as_json=as_json)
    if not all(each.able for each in found):
        raise typer.Exit(ExitCode.NOT_REPRODUCIBLE)


def _view(found: "Examination") -> "list[RenderableType]":
    head = f"run {found.run[-8:]} ({found.name}) {'can' if found.able else 'cannot'} be re-run"
    parts: list[RenderableType] = [line(head, "bold green" if found.able else "bold red")]
    if found.problems:
        parts.append(table(("", "what is missing", "what would mend it"), _rows(found)))
    if found.looked:
        parts.append(f"examined: {', '.join(found.looked)}")
    return [*parts, *(f"note: {text}" for text in found.notes)]


def _view_all(found: "list[Examination]") -> "list[RenderableType]":
    """A line for each version, and more where something is missing."""
    if not found:
        return ["no models yet; register one: lin register RUN NAME"]
    rows = [
        (each.model, each.run[-8:], line("can be re-run", "green") if each.able else line("cannot", "bold red"), text)
        for each in found
        for text in (["; ".join(problem.text for problem in each.problems)])
    ]
    parts: list[RenderableType] = [table(("model", "run", "state", "what is missing"), rows)]
    mends = dict.fromkeys(problem.mend for each in found for problem in each.problems if problem.mend)
    return [*parts, *(f"to mend it: {mend}" for mend in mends)]


def _rows(found: "Examination") -> list[tuple[str, str, str]]:
    return [(problem.what, problem.text, problem.mend or "") for problem in found.problems]
