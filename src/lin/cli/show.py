"""`lin show`. What it takes to show a table is not imported for a run."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.models import look_back, read_moment
from lin.cli.options import AsOf, Json, StorePath, choose_version, open_project
from lin.cli.printing import count, emit, line, size, table
from lin.cli.printing import show as text
from lin.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from lin.data.summary import VersionSummary

NUMBERS = ("byte", "short", "integer", "long", "float", "double", "decimal")
"""How the names of Delta's numeric types begin: their columns are aligned right."""

LONGEST = 40
"""Values of tables are cut to so many characters; `--json` has them whole."""

SHORTEST = 10
"""The least of a value that is shown."""


def show(
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="housing@0, boston, boston@1, a run.", show_default=False)
    ],
    *,
    sample: Annotated[int, typer.Option(min=0, metavar="N", help="Show this many rows of a table.")] = 5,
    as_of: AsOf = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Show a table version, run, model or model version in full."""
    from lin.lineage.references import TableAt, resolve
    from lin.models.fold import Model
    from lin.runs.query import RunInfo

    project = open_project(store)
    moment = read_moment(as_of)
    match resolve(project, reference, as_of=moment):
        case TableAt(table=opened, version=version):
            from lin.data.summary import summarise_version

            chosen = choose_version(opened, version, as_of)
            emit(summarise_version(opened, chosen, sample=sample), _view_table, as_json=as_json)
        case RunInfo() as run:
            from lin.cli.run_view import view_run
            from lin.lineage.card import read_run_card

            if moment is not None:
                raise UsageError(f"'{reference}' is a run, which is always the same", hint=f"lin show {reference}")
            emit(read_run_card(project, run), view_run, as_json=as_json)
        case Model() as model:
            from lin.cli.model_view import view_model

            look_back(project, moment)
            emit(model, view_model, as_json=as_json)
        case version:
            from lin.cli.model_view import view_version
            from lin.lineage.card import read_model_card

            look_back(project, moment)
            emit(read_model_card(project, version, as_of=moment), view_version, as_json=as_json)


def _view_table(summary: "VersionSummary") -> "list[RenderableType]":
    made = f"{summary.operation or 'written'}, {text(summary.time)} UTC" if summary.time else summary.operation
    by = f", run {summary.run[-8:]}" if summary.run else ""
    rows_and_files = f"{count(summary.rows, 'row')}, {size(summary.bytes)} in {count(summary.files, 'file')}"
    head = f"{summary.table}@{summary.version}: {rows_and_files}"
    rows = [(c.name, c.type, c.nulls, *(_cut(text(end), LONGEST) for end in (c.min, c.max))) for c in summary.columns]
    parts: list[RenderableType] = [
        line(head, "bold"),
        f"{made}{by}",
        "",
        table(("column", "type", "nulls", "min", "max"), rows, right=("nulls", "min", "max")),
    ]
    if summary.sample:
        parts += ["", _Sample(summary)]
    return parts


class _Sample:
    """The first rows; where they are too wide, with a line for each column."""

    def __init__(self, summary: "VersionSummary") -> None:
        self.names = [c.name for c in summary.columns]
        self.numbers = [c.name for c in summary.columns if c.type.startswith(NUMBERS)]
        self.rows = [[_cell(row[name]) for name in self.names] for row in summary.sample]

    def __rich_console__(self, _: "Console", options: "ConsoleOptions") -> "RenderResult":
        grid = table(self.names, [[_cut(cell, LONGEST) for cell in row] for row in self.rows], right=self.numbers)
        if grid.width <= options.max_width:
            yield grid
            return
        room = max(options.max_width // (len(self.rows) + 1) - 2, SHORTEST)
        lines = [
            [name, *(_cut(cell, room) for cell in cells)] for name, *cells in zip(self.names, *self.rows, strict=True)
        ]
        yield table(["column", *(f"row {number}" for number in range(1, len(self.rows) + 1))], lines)


def _cell(value: object) -> str:
    """A value in a sample; nested ones as JSON."""
    if value is None:
        return "null"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else text(value)


def _cut(shown: str, longest: int) -> str:
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
