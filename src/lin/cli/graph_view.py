"""How a graph of lineage is printed: as a tree, as text for other programs, or as a page."""

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lin.cli.printing import count, emit, line, note, size
from lin.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.tree import Tree

    from lin.lineage.graph import Edge, Graph, Node

MOST_LISTED = 20
"""So many things of a kind stand below one thing."""

DEEPEST = 30
"""A tree is no deeper, whatever the graph is."""

Depth = Annotated[
    int | None, typer.Option("--depth", min=1, metavar="N", help="Go so many steps (default: all the way).")
]
Mermaid = Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flowchart.")]
Dot = Annotated[bool, typer.Option("--dot", help="Print the graph for Graphviz.")]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a page to look at: pan, search, click.")
]
Reference = Annotated[
    str,
    typer.Argument(
        metavar="REF",
        help="housing@1, a column as housing@1:medv, boston@3, a run, file:PATH, sha256:…, runs:/ID/PATH, source:RUN, "
        "environment:RUN.",
        show_default=False,
    ),
]


def show_otherwise(graph: "Graph", *, title: str, mermaid: bool, dot: bool, html: Path | None, as_json: bool) -> bool:
    """Print or write the graph in the form that was asked for; False where it was none of these.

    Raises:
        UsageError: several forms at once. OutsideError: the page cannot be written.
    """
    asked = {"--mermaid": mermaid, "--dot": dot, "--html": html is not None, "--json": as_json}
    forms = [name for name, is_asked in asked.items() if is_asked]
    if len(forms) > 1:
        raise UsageError(f"{' and '.join(forms)} cannot be had at once", hint=f"only {forms[0]}")
    if html is not None:
        _write_page(graph, title, html)
    elif mermaid or dot:
        from lin.cli.raw import pour
        from lin.lineage.texts import to_dot, to_mermaid

        pour([(to_mermaid(graph) if mermaid else to_dot(graph)).encode("utf-8", "backslashreplace")])
    return bool(forms) and not as_json


def _write_page(graph: "Graph", title: str, path: Path) -> None:
    from lin.lineage.graph_page import graph_page
    from lin.store.whole import write_whole

    page = graph_page(graph, title=title).encode()
    try:
        write_whole(path, page)
    except OSError as error:
        raise OutsideError(f"{path} cannot be written: {error.strerror}") from error
    emit(path, lambda _: [f"{path}: {size(len(page))}, {count(len(graph.nodes), 'thing')}"], as_json=False)


def view_graph(graph: "Graph") -> "list[RenderableType]":
    """The graph as a tree from what was asked for; what stands in it already is not shown again."""
    for problem in graph.notes:
        note(f"warning: {problem}")
    grown = _Grower(graph).grow()
    more = f"… {count(graph.left_out, 'more thing')} right behind these" if graph.left_out else ""
    return [grown, *([line(more, "dim")] if more else [])]


class _Grower:
    """Grows a tree: each thing's own branches once."""

    def __init__(self, graph: "Graph") -> None:
        self._nodes = {node.id: node for node in graph.nodes}
        self._root = self._nodes[graph.root]
        self._ways: dict[str, list[tuple[Edge, str]]] = defaultdict(list)
        for edge in graph.edges:
            start, end = (edge.target, edge.source) if graph.direction == "up" else (edge.source, edge.target)
            self._ways[start].append((edge, end))
        self._seen: set[str] = set()

    def grow(self) -> "Tree":
        """The whole tree."""
        from rich.tree import Tree

        tree = Tree(line(_label(self._root)))
        self._branch(tree, self._root.id, 0)
        return tree

    def _branch(self, tree: "Tree", at: str, depth: int) -> None:
        self._seen.add(at)
        listed: dict[str, int] = defaultdict(int)
        for edge, end in self._ways[at]:
            node = self._nodes[end]
            listed[node.kind] += 1
            if listed[node.kind] > MOST_LISTED:
                continue
            known = "  (see above)" if end in self._seen and self._ways[end] else ""
            deep = "  … and so on" if depth == DEEPEST and self._ways[end] and not known else ""
            below = tree.add(line(f"{_label(node, edge.how)}{known}{deep}", "bold" if node.live else ""))
            if not known and not deep:
                self._branch(below, end, depth + 1)
        for kind, number in listed.items():
            if number > MOST_LISTED:
                what = count(number - MOST_LISTED, f"more {kind}")
                tree.add(line(f"… and {what}: --json has all", "dim"))


_SEVERAL = ("runs:", "files:")
"""How the ids of nodes begin whose names say what they are."""

_OBVIOUS = frozenset({"read", "wrote", "registered", "ran", "ran in", "predicted", "target", "feature"})
"""Ways between things that their kinds tell, or of no interest in a tree."""


def _label(node: "Node", how: str = "") -> str:
    way = f" ({how})" if how and how not in _OBVIOUS - {"target", "feature"} else ""
    detail = f"  {node.detail}" if node.detail else ""
    kind = "" if node.id.startswith(_SEVERAL) else f"{node.kind} "
    return f"{kind}{node.name}{way}{detail}"
