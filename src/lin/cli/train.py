"""`lin train`."""

from typing import Annotated

import typer

from lin.cli.fits import tell_unsafe, view_sweep
from lin.cli.options import Json, Params, StorePath, open_project
from lin.cli.printing import emit
from lin.cli.progress import Jobs, exit_code, follow


def train(
    *,
    table: Annotated[
        str, typer.Option(metavar="TABLE", help="The table, or a version of it: housing@0.", show_default=False)
    ],
    target: Annotated[str, typer.Option(metavar="COLUMN", help="The column to predict.", show_default=False)],
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            metavar="IMPORT.PATH",
            help="An estimator, such as sklearn.linear_model.Ridge; several make a pipeline.",
            show_default=False,
        ),
    ],
    params: Params = None,
    features: Annotated[str | None, typer.Option(metavar="A,B,…", help="Columns (default: all).")] = None,
    min_abs_correlation: Annotated[
        float | None, typer.Option(metavar="R", help="Only columns that correlate at least so much with the target.")
    ] = None,
    rows: Annotated[str | None, typer.Option(metavar="SQL", help="Only rows for which this is true.")] = None,
    test_size: Annotated[float, typer.Option(metavar="SHARE", help="The share of rows to test on.")] = 0.2,
    seed: Annotated[int, typer.Option(metavar="N", help="Seeds the split and the estimator.")] = 0,
    metrics: Annotated[str | None, typer.Option(metavar="A,B,…", help="Only these metrics (default: all).")] = None,
    pickle: Annotated[
        bool, typer.Option("--pickle", help="Keep models as pickles, which run code when they are loaded: unsafe.")
    ] = False,
    jobs: Jobs = 1,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Fit a scikit-learn estimator on a table, ad hoc."""
    from lin.runs.experiment import train_table

    with follow() as report:
        runs = train_table(
            open_project(store),
            table,
            target,
            model,
            params=params or [],
            features=features.split(",") if features else None,
            min_abs_correlation=min_abs_correlation,
            rows=rows,
            test_size=test_size,
            seed=seed,
            metrics=metrics.split(",") if metrics else [],
            pickle=pickle,
            jobs=jobs,
            report=report,
        )
    emit(runs, view_sweep, as_json=as_json)
    tell_unsafe(runs)
    raise typer.Exit(exit_code(runs))
