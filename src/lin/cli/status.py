"""`lin status`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import emit
from lin.cli.status_view import view_status
from lin.errors import ExitCode


def status(
    *,
    answer: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if something needs attention, for cron.")
    ] = False,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Tell how tables, models and runs stand, and what is wrong.

    Needs attention: a table or a record that cannot be read; a model in production of which a re-run came out
    different, whose target a model wrote, or whose file or table is gone; a promotion forced within a day. No more
    than a note: data that changed since a model was trained, failed runs, refusals. Nothing is re-run for it.
    """
    from lin.lineage.status import read_status

    found = read_status(open_project(store), datetime.now(UTC))
    emit(found, view_status, as_json=as_json)
    if answer and found.attention:
        raise typer.Exit(ExitCode.NO)
