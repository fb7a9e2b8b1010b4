"""`lin impact`."""

from pathlib import Path
from typing import TYPE_CHECKING

from lin.cli.graph_view import Depth, Dot, Html, Mermaid, Reference, show_otherwise, view_graph
from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import count, emit, line, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.lineage.affected import AffectedPredictions, Impact

MOST_NAMED = 10
"""So many things of a kind are named above the tree."""

PRODUCTION = "production"


def impact(
    reference: Reference,
    *,
    depth: Depth = None,
    mermaid: Mermaid = False,
    dot: Dot = False,
    html: Html = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Show what was made from a thing, and what of it is live.

    Runs that read the same data under another version number count, as after a restore.
    """
    from lin.lineage.impact import impact as find_impact

    found = find_impact(open_project(store), reference, depth=depth, folder=Path.cwd())
    title = f"what was made from {reference}"
    if not show_otherwise(found.graph, title=title, mermaid=mermaid, dot=dot, html=html, as_json=as_json):
        emit(found, _view, as_json=as_json)


def _view(found: "Impact") -> "list[RenderableType]":
    facts = [fact for fact in _summarise(found) if fact[1]]
    tree = view_graph(found.graph)
    if not facts:
        return [line(f"nothing that is recorded was made from {found.reference}"), "", *tree]
    return [table(("", ""), facts), "", *tree]


def _summarise(found: "Impact") -> list[tuple[str, object]]:
    now = [model.reference for model in found.live if PRODUCTION in model.live]
    other = [f"{m.reference} ({', '.join(m.live)})" for m in found.live if PRODUCTION not in m.live]
    return [
        ("in production now", line(_name(now), "bold") if now else ("none of them" if found.models else "")),
        ("otherwise live", _name(other)),
        ("model versions", _count_and_name([model.reference for model in found.models])),
        ("predictions", _count_and_name([_tell(each) for each in found.predictions], separator="; ")),
        ("table versions", _count_and_name([each.reference for each in found.tables])),
        ("files", _count_and_name(found.files)),
        ("runs", str(found.affected or "")),
    ]


def _tell(predictions: "AffectedPredictions") -> str:
    rows = "" if predictions.rows is None else f"{count(predictions.rows, 'row')} "
    column = f" ({predictions.column})" if predictions.column else ""
    places = ", ".join([*(f"{table}{column}" for table in predictions.tables), *predictions.files])
    return f"{rows}by {', '.join(predictions.models)}" + (f" in {places}" if places else "")


def _count_and_name(names: list[str], *, separator: str = ", ") -> str:
    return f"{len(names)}: {_name(names, separator=separator)}" if names else ""


def _name(names: list[str], *, separator: str = ", ") -> str:
    more = f" … and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return separator.join(names[:MOST_NAMED]) + more
