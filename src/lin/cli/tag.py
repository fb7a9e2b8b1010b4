"""`lin tag`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import emit
from lin.errors import UsageError

if TYPE_CHECKING:
    from lin.events import Tag
    from lin.models.talk import Outcome


def tag(
    reference: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]", help="A model or a model version.", show_default=False)
    ],
    pair: Annotated[str | None, typer.Argument(metavar="KEY=VALUE", help="The tag.", show_default=False)] = None,
    *,
    drop: Annotated[str | None, typer.Option("--drop", metavar="KEY", help="Take this tag away.")] = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Tag a model or a model version."""
    from lin.models.talk import set_tag

    key, value = _choose(pair, drop)
    emit(set_tag(open_project(store), reference, key, value), _view, as_json=as_json)


def _choose(pair: str | None, drop: str | None) -> tuple[str, str | None]:
    if drop is not None and pair is None:
        return drop, None
    if pair is None or drop is not None:
        raise UsageError("give one KEY=VALUE, or --drop KEY", hint="lin tag boston@3 team=risk")
    key, equals, value = pair.partition("=")
    if not equals:
        raise UsageError(f"'{pair}' is not KEY=VALUE", hint=f"to take a tag away: --drop {key}")
    return key, value


def _view(outcome: "Outcome[Tag]") -> list[str]:
    change = outcome.change
    label = change.model if change.version is None else f"{change.model}@{change.version}"
    if change.value is None:
        had = f"{label} has the tag {change.key} no more; it was {outcome.before}"
        return [f"{label} has no tag {change.key}" if outcome.before is None else had]
    if outcome.event is None:
        return [f"{label} has the tag {change.key}={change.value} already"]
    former = "" if outcome.before is None else f"; it was {outcome.before}"
    return [f"{label} has the tag {change.key}={change.value}{former}"]
