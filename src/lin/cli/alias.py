"""`lin alias`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, Reason, StorePath, open_project
from lin.cli.printing import emit

if TYPE_CHECKING:
    from lin.events import Alias
    from lin.models.talk import Outcome


def alias(
    version: Annotated[
        str,
        typer.Argument(metavar="NAME@VERSION", help="A model version; to --drop, a model will do.", show_default=False),
    ],
    name: Annotated[str, typer.Argument(metavar="ALIAS", help="As in boston@ALIAS.", show_default=False)],
    *,
    drop: Annotated[bool, typer.Option("--drop", help="Take the alias away.")] = False,
    reason: Reason = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Give a model version a name of its own, or take it away.

    One version of a model at a time has an alias: who gives it to another takes it from the first.
    """
    from lin.models.talk import drop_alias, set_alias

    change = drop_alias if drop else set_alias
    emit(change(open_project(store), version, name, reason=reason), _view, as_json=as_json)


def _view(outcome: "Outcome[Alias]") -> list[str]:
    model, name, number = outcome.change.model, outcome.change.alias, outcome.change.version
    if number is None:
        gone = f"{model}@{outcome.before} has the alias {name} no more"
        return [gone if outcome.before else f"no version of model '{model}' has the alias {name}"]
    if outcome.event is None:
        return [f"{model}@{number} has the alias {name} already"]
    former = f"; it was that of {model}@{outcome.before}" if outcome.before else ""
    return [f"{model}@{number} has the alias {name}{former}"]
