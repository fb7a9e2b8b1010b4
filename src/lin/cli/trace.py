"""`lin trace`."""

from pathlib import Path

from lin.cli.graph_view import Depth, Dot, Html, Mermaid, Reference, show_otherwise, view_graph
from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import emit


def trace(
    reference: Reference,
    *,
    depth: Depth = None,
    mermaid: Mermaid = False,
    dot: Dot = False,
    html: Html = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Show what a thing was made from: data, code, runs, models.

    A word before a colon is never a table's name: column:housing:medv settles what housing:medv may leave open.
    """
    from lin.lineage.trace import trace as trace_back

    graph = trace_back(open_project(store), reference, depth=depth, folder=Path.cwd())
    title = f"what {reference} was made from"
    if not show_otherwise(graph, title=title, mermaid=mermaid, dot=dot, html=html, as_json=as_json):
        emit(graph, view_graph, as_json=as_json)
