"""A graph as text for other programs: Mermaid and DOT. Names are foreign: nothing in them can end a label.

Sources: https://mermaid.js.org/syntax/flowchart.html (entity codes), https://graphviz.org/doc/info/lang.html (quoted
strings).
"""

from collections.abc import Callable

from lin.lineage.graph import Graph, Node

_MERMAID_SHAPES = {
    "table": "[({})]",
    "column": "[/{}/]",
    "run": "([{}])",
    "model": "{{{{{}}}}}",
    "predictions": "[[{}]]",
    "file": "[{}]",
    "source": "[{}]",
    "environment": "[{}]",
}
_DOT_SHAPES = {
    "table": "cylinder",
    "column": "parallelogram",
    "run": "ellipse",
    "model": "hexagon",
    "predictions": "component",
    "file": "note",
    "source": "box",
    "environment": "box",
}
_PLAIN = frozenset(" _.,:@/+=…-")
"""Beside letters and digits, the characters that mean nothing in a quoted label of Mermaid."""


def to_mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart, from left to right; what is live is marked."""
    names = _number(graph)
    lines = ["flowchart LR"]
    lines += [f"  {names[node.id]}{_MERMAID_SHAPES[node.kind].format(_mermaid_label(node))}" for node in graph.nodes]
    lines += [f"  {names[e.source]} -->|{_quote(e.how, _as_entity)}| {names[e.target]}" for e in graph.edges]
    lines.append("  classDef live stroke-width:4px")
    lines.append("  classDef root stroke-dasharray:4")
    if live := [names[node.id] for node in graph.nodes if node.live]:
        lines.append(f"  class {','.join(live)} live")
    lines.append(f"  class {names[graph.root]} root")
    return "\n".join(lines) + "\n"


def to_dot(graph: Graph) -> str:
    """The graph in the language of Graphviz, from left to right; what is live is bold."""
    names = _number(graph)
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [fontname="sans-serif"];']
    lines += [f"  {names[node.id]} [{_dot_attributes(node, is_root=node.id == graph.root)}];" for node in graph.nodes]
    lines += [f"  {names[e.source]} -> {names[e.target]} [label={_quote(e.how, _as_escape)}];" for e in graph.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _number(graph: Graph) -> dict[str, str]:
    """Identifiers that cannot be anything else in either language."""
    return {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}


def _mermaid_label(node: Node) -> str:
    label = "<br/>".join("".join(map(_as_entity, text)) for text in _tell(node))
    return f'"{label}"'


def _dot_attributes(node: Node, *, is_root: bool) -> str:
    label = r"\n".join("".join(map(_as_escape, text)) for text in _tell(node))
    style = ",".join([*["bold"] * bool(node.live), *["dashed"] * is_root])
    return f'label="{label}", shape={_DOT_SHAPES[node.kind]}' + (f', style="{style}"' if style else "")


def _tell(node: Node) -> list[str]:
    """The lines of a node's label: what it is called, and more about it."""
    return [f"{node.kind} {node.name}", *([node.detail] if node.detail else [])]


def _quote(text: str, escape: Callable[[str], str]) -> str:
    return f'"{"".join(map(escape, text))}"'


def _as_entity(c: str) -> str:
    """A character in a label of Mermaid."""
    if c.isprintable():
        return c if c.isalnum() or c in _PLAIN else f"#{ord(c)};"
    return "".join(map(_as_entity, _escape(c)))


def _as_escape(c: str) -> str:
    """A character in a quoted string of DOT, where a backslash begins what Graphviz would replace."""
    if c.isprintable():
        return f"\\{c}" if c in '"\\' else c
    return "".join(map(_as_escape, _escape(c)))


def _escape(c: str) -> str:
    """What cannot be printed as one writes it in Python."""
    return c.encode("unicode_escape").decode()
