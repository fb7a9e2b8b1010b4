"""`lin why A B --attribute`: its options, and its progress while cells run."""

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.consent import ask_to_run
from lin.cli.printing import count, emit, line, note, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lin.project import Project
    from lin.proof.attribution.cells import Progress
    from lin.runs.query import RunInfo

Attribute = Annotated[
    bool, typer.Option("--attribute", help="Run what lies between the two, and see which difference did it.")
]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="OUTCOME",
        help="Explain metrics.NAME, or 'prediction ID=454' (default: the first metric that differs).",
    ),
]
Seeds = Annotated[
    int, typer.Option("--seeds", min=0, metavar="K", help="Where the seed differs: try K more on both sides.")
]
Budget = Annotated[
    float,
    typer.Option("--budget", min=0, metavar="MINUTES", help="Run every set of more than four axes if it takes less."),
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, metavar="N", help="Run N cells at a time (default: two).")
]
Picture = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Draw the shares into a .png or .html.")
]


def show_attribution(
    project: "Project",
    a: "RunInfo",
    b: "RunInfo",
    *,
    labels: tuple[str, str] | None = None,
    on: str | None = None,
    output: Path | None = None,
    seeds: int = 3,
    budget: float = 10.0,
    jobs: int | None = None,
    yes: bool = False,
    as_json: bool = False,
) -> None:
    """Attribute what differs between two runs, show it, and draw it into `output`; `budget` is in minutes.

    Where others recorded them it asks first, unless `yes`.
    """
    from lin.cli.attribution_view import view
    from lin.proof.attribution.attribute import attribute_change
    from lin.proof.attribution.plot import check_picture, draw_attribution
    from lin.proof.rerun import is_from_elsewhere

    check_picture(output)
    for run in (a, b):
        if not yes and is_from_elsewhere(project, run.id):
            ask_to_run(run, "lin why A B --attribute --yes")
    with _follow() as report:
        found = attribute_change(
            project, a, b, labels=labels, on=on, seeds=seeds, budget=60 * budget, jobs=jobs, report=report
        )
    emit(found, view, as_json=as_json)
    if output is not None:
        note(f"{output}: {size(draw_attribution(found, output))}")


@contextmanager
def _follow() -> "Iterator[Callable[[Progress], None]]":
    """A reporter of cells on stderr: one line that changes on a terminal, elsewhere a line for each."""
    if not sys.stderr.isatty():
        yield _say
        return
    from rich.live import Live

    from lin.cli.printing import console_for

    with Live(line(""), console=console_for(stderr=True), transient=True, refresh_per_second=8) as live:
        yield lambda progress: live.update(line(_tell(progress), "dim"))


def _say(progress: "Progress") -> None:
    note(_tell(progress))


def _tell(progress: "Progress") -> str:
    cells = f"{progress.done} of about {count(progress.planned, 'cell')}"
    return f"{cells}: {progress.note}" if progress.note else cells
