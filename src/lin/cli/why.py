"""`lin why`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from lin.cli.attribution import Attribute, Budget, Jobs, On, Picture, Seeds, show_attribution
from lin.cli.consent import Yes
from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import emit

Then = Annotated[
    str | None,
    typer.Option("--as-of", metavar="TIME", help="Hold it against what it meant then: yesterday, 2026-11-22."),
]


def why(
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="[A] B", help="Runs or model versions. Without A: what came before B.", show_default=False
        ),
    ],
    *,
    as_of: Then = None,
    full: Annotated[bool, typer.Option("--full", help="Show every change and every changed line.")] = False,
    attribute: Attribute = False,
    on: On = None,
    output: Picture = None,
    seeds: Seeds = 3,
    budget: Budget = 10.0,
    jobs: Jobs = None,
    yes: Yes = False,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Say why B came out otherwise than A, and how to undo it.

    From the records alone: nothing is run. Before boston@3 came boston@2, before boston@production what was in
    production before, and before a re-run the run that it re-runs. With --attribute what lies between A and B is run,
    to see how much each difference did; what has been run once is kept, and an interrupted one goes on from there.
    """
    from lin.cli.why_view import view
    from lin.data.moments import parse_moment
    from lin.lineage.references import find_pair
    from lin.proof.why.explain import explain

    project = open_project(store)
    a, b = find_pair(project, references, as_of=parse_moment(as_of, datetime.now(UTC)) if as_of else None)
    if attribute:
        called = (a.label, b.label)
        show_attribution(
            project,
            a.run,
            b.run,
            labels=called,
            on=on,
            output=output,
            seeds=seeds,
            budget=budget,
            jobs=jobs,
            yes=yes,
            as_json=as_json,
        )
        return
    emit(explain(project, a, b), lambda found: view(found, full=full), as_json=as_json)
