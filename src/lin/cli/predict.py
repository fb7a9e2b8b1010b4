"""`lin predict`."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lin.cli.options import Json, Reason, StorePath, Trusted, With, open_project
from lin.cli.predict_view import SHOWN, note_extra, progress_bar, view_fill, view_predictions
from lin.cli.printing import emit
from lin.errors import UsageError

if TYPE_CHECKING:
    from lin.models.answers import Predictions
    from lin.models.fill import Fill
    from lin.project import Project


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
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a CSV, Parquet or JSON-lines file: the table's key, or all columns of --file, and predictions.",
        ),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Write into the nulls of this column, as a new version."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="With --into: write into all rows, or all that --where tells.")
    ] = False,
    trust: Trusted = None,
    reason: Reason = None,
    other: With = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Score a row, a file or a table; --into writes predictions back.

    Files and tables pass in batches, and each is a run of its own. A classifier tells probabilities too. --json prints
    at most 1,000,000 predictions; --output takes any number.

    A model that another library made may not load with this one: --with scores in a copy of the environment that has
    the other.
    """
    from lin.runs.trust import read_trust

    if sum(choice is not None for choice in (row, file, table)) != 1:
        raise UsageError("say what to score: one of --row, --file, --table", hint="lin predict --help")
    asked = {"--where": where, "--output": output, "--into": into, "--overwrite": overwrite or None, "--reason": reason}
    _check({name for name, value in asked.items() if value is not None}, row=row, table=table)
    project = open_project(store)
    if other:
        from lin.cli.variation import run_in_variation

        run_in_variation(project, other, ctx)
    with progress_bar() as report:
        options: dict[str, Any] = {"trust": read_trust(trust, os.environ), "report": report}
        if into is not None and table is not None:
            options |= {"where": where, "overwrite": overwrite, "reason": reason}
            result: Predictions | Fill = _fill(project, model, table, into, options)
        else:
            options |= {"output": output, "keep": None if as_json else SHOWN}
            result = _score(project, model, row, file, table, where, options)
    note_extra(result)
    emit(result, view_fill if into is not None else view_predictions, as_json=as_json)


def _check(asked: set[str], *, row: str | None, table: str | None) -> None:
    """Refuse options that do not go together."""
    alone = sorted(asked & {"--where", "--into"}) if table is None else []
    if alone:
        raise UsageError(f"{alone[0]} goes with --table", hint="lin predict --help")
    if row is not None and "--output" in asked:
        raise UsageError("--output goes with --table and --file", hint="lin predict --help")
    if "--into" in asked and "--output" in asked:
        raise UsageError("--into writes to the table and --output to a file: one of them", hint="lin predict --help")
    alone = sorted(asked & {"--overwrite", "--reason"}) if "--into" not in asked else []
    if alone:
        raise UsageError(f"{alone[0]} goes with --into", hint="lin predict --help")


def _fill(project: "Project", model: str, reference: str, column: str, options: dict[str, Any]) -> "Fill":
    from lin.data.tables import open_table, split_reference
    from lin.models.fill import fill_table

    name, version = split_reference(reference)
    if version is not None:
        raise UsageError(f"--into writes to the newest version, not to '{reference}'", hint=f"--table {name}")
    return fill_table(project, model, open_table(project, name), column, **options)


def _score(
    project: "Project",
    model: str,
    row: str | None,
    file: Path | None,
    reference: str | None,
    where: str | None,
    options: dict[str, Any],
) -> "Predictions":
    from lin.data.tables import open_table, split_reference
    from lin.models.predict import predict_file, predict_row, predict_table

    if row is not None:
        return predict_row(project, model, _parse_row(row), trust=options["trust"])
    if file is not None:
        return predict_file(project, model, file, **options)
    name, version = split_reference(reference or "")
    return predict_table(project, model, open_table(project, name), version=version, where=where, **options)


def _parse_row(text: str) -> dict[str, Any]:
    try:
        row = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--row is not JSON: {error}", hint="--row '{\"COLUMN\": 1.5}'") from error
    if not isinstance(row, dict):
        raise UsageError("--row is not a JSON object", hint="--row '{\"COLUMN\": 1.5}'")
    return row


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it names a column twice")
    return found
