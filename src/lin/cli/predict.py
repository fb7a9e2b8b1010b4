"""`lin predict`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lin.cli.options import Json, Reason, StorePath, With, open_project
from lin.cli.printing import count, emit
from lin.cli.printing import table as grid
from lin.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.models.predict import Fill, Predictions

SHOWN = 20


def predict(
    ctx: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="boston@1, boston@production, models:/boston/1.", show_default=False)
    ],
    *,
    row: Annotated[str | None, typer.Option(metavar="JSON", help='One row: {"COLUMN": 1.5, …}')] = None,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="A CSV, Parquet or JSON file.")] = None,
    table: Annotated[str | None, typer.Option(metavar="TABLE", help="A table, or a version of it: housing@0.")] = None,
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="Only rows of the table for which it is true.")
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Write into the nulls of this column, as a new version."),
    ] = None,
    reason: Reason = None,
    other: With = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Score a row, a file or a table; --into writes predictions back.

    A model that another library made may not load with this one: --with scores in a copy of the environment that has
    the other.
    """
    from lin.data.tables import open_table, split_reference
    from lin.models.predict import fill_table, predict_file, predict_row, predict_table

    if sum(choice is not None for choice in (row, file, table)) != 1:
        raise UsageError("say what to score: one of --row, --file, --table", hint="lin predict --help")
    if table is None and (where or into):
        raise UsageError("--where and --into go with --table", hint="lin predict --help")
    project = open_project(store)
    if other:
        from lin.cli.variation import run_in_variation

        run_in_variation(project, other, ctx)
    if row is not None:
        emit(predict_row(project, model, _parse_row(row)), _view, as_json=as_json)
    elif file is not None:
        emit(predict_file(project, model, file), _view, as_json=as_json)
    elif table is not None:
        name, version = split_reference(table)
        opened = open_table(project, name)
        if into is None:
            emit(predict_table(project, model, opened, version=version, where=where), _view, as_json=as_json)
        elif version is not None:
            raise UsageError(f"--into writes to the newest version, not to '{table}'", hint=f"--table {name}")
        else:
            emit(
                fill_table(project, model, opened, into, where=where, reason=reason),
                _view_fill,
                as_json=as_json,
            )


def _parse_row(text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--row is not JSON: {error}", hint="--row '{\"COLUMN\": 1.5}'") from error
    if not isinstance(row, dict):
        raise UsageError("--row is not a JSON object", hint="--row '{\"COLUMN\": 1.5}'")
    return row


def _view(result: "Predictions") -> "list[RenderableType]":
    if result.rows == 1 and not result.keys:
        return [f"{result.predictions[0]}"]
    rows = list(zip(*result.keys.values(), map(str, result.predictions), strict=True))
    parts: list[RenderableType] = [grid((*result.keys, "prediction"), rows[:SHOWN], right=("prediction",))]
    if len(rows) > SHOWN:
        parts.append(f"… and {len(rows) - SHOWN} more (--json prints all)")
    return parts


def _view_fill(result: "Fill") -> list[str]:
    if result.version is None:
        return [f"{result.table}@{result.base} has no nulls in '{result.column}' to fill; nothing to do"]
    made = f"{result.table}@{result.version} (run {(result.run or '')[-8:]})"
    return [f"{count(result.filled, 'null')} of {result.column} filled by {result.model}: {made}"]
