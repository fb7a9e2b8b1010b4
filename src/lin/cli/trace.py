"""`lin trace`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import emit, line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.tree import Tree

    from lin.lineage.trace import Node


def trace(
    reference: Annotated[str, typer.Argument(metavar="REF", help="boston@1, housing@2, a run.", show_default=False)],
    *,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Show what a model, run or table version was made from."""
    from lin.lineage.trace import trace as trace_back

    emit(trace_back(open_project(store), reference), _view, as_json=as_json)


def _view(node: "Node") -> "list[RenderableType]":
    from rich.tree import Tree

    tree = Tree(line(_label(node)))
    _grow(tree, node)
    return [tree]


def _grow(tree: "Tree", node: "Node") -> None:
    for source in node.sources:
        _grow(tree.add(line(_label(source))), source)


def _label(node: "Node") -> str:
    detail = f"  {node.detail}" if node.detail else ""
    return f"{node.kind} {node.name}{detail}{'  (see above)' if node.seen else ''}"
