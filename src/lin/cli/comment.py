"""`lin comment`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import emit
from lin.errors import UsageError

if TYPE_CHECKING:
    from lin.events import Comment, Describe
    from lin.models.talk import Outcome


def comment(
    reference: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]", help="A model or a model version.", show_default=False)
    ],
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="What there is to say.", show_default=False)
    ] = None,
    *,
    description: Annotated[
        str | None, typer.Option("--description", metavar="TEXT", help="Describe it instead; '' takes it away.")
    ] = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Comment on a model or version, or describe it.

    Comments stay, one after the other. There is one description, the last.
    """
    from lin.models.talk import comment as say
    from lin.models.talk import describe

    if (text is None) == (description is None):
        raise UsageError("give a TEXT, or a --description", hint="lin comment boston@3 'looks good on new houses'")
    project = open_project(store)
    if text is not None:
        emit(say(project, reference, text), _view, as_json=as_json)
    else:
        emit(describe(project, reference, description or None), _view_description, as_json=as_json)


def _view(outcome: "Outcome[Comment]") -> list[str]:
    return [f"{_label(outcome.change)} has one comment more"]


def _view_description(outcome: "Outcome[Describe]") -> list[str]:
    label = _label(outcome.change)
    if outcome.event is None:
        return [f"{label} is described so already" if outcome.before else f"{label} has no description"]
    return [f"{label} is described" if outcome.change.text else f"{label} has no description any more"]


def _label(change: "Comment | Describe") -> str:
    return change.model if change.version is None else f"{change.model}@{change.version}"
