"""Mermaid and DOT: each text is read back by a strict parser of the language, whatever the names are."""

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lin.lineage.graph import Edge, Graph, Node
from lin.lineage.texts import to_dot, to_mermaid

HOSTILE = 'a"]\n-->|"x"| b{{c}}; <script>alert(1)</script> %% \\N \\" #quot; `m` end \x1b[31m\u2028'
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.just(HOSTILE)
kinds = st.sampled_from(["table", "column", "run", "model", "predictions", "file", "source", "environment"])


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    told = draw(st.lists(st.tuples(kinds, names, names, st.booleans()), min_size=1, max_size=6))
    nodes = [
        Node(id=f"{name}{at}", kind=kind, name=name, detail=detail, live=["production"] * live)
        for at, (kind, name, detail, live) in enumerate(told)
    ]
    ends = st.sampled_from([node.id for node in nodes])
    edges = draw(st.lists(st.builds(Edge, source=ends, target=ends, how=names), max_size=6))
    return Graph(root=nodes[0].id, direction="up", nodes=nodes, edges=edges)


def one(text: str) -> Graph:
    node = Node(id="x", kind="run", name=text, detail=text)
    return Graph(root="x", direction="up", nodes=[node], edges=[Edge(source="x", target="x", how=text)])


def shown(text: str) -> str:
    """As it is to be read: what cannot be printed as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def labels(graph: Graph) -> list[list[str]]:
    return [[f"{node.kind} {shown(node.name)}", *([shown(node.detail)] if node.detail else [])] for node in graph.nodes]


def ends(graph: Graph) -> list[tuple[int, int, str]]:
    places = {node.id: at for at, node in enumerate(graph.nodes)}
    return [(places[edge.source], places[edge.target], shown(edge.how)) for edge in graph.edges]


# --- DOT: https://graphviz.org/doc/info/lang.html ---------------------------------------------------------------------

_STRING = r'"((?:[^"\\\n]|\\["\\n])*)"'
_DOT_NODE = re.compile(rf"  n(\d+) \[label={_STRING}, shape=\w+(?:, style={_STRING})?\];")
_DOT_EDGE = re.compile(rf"  n(\d+) -> n(\d+) \[label={_STRING}\];")


def read_dot(label: str) -> list[str]:
    """The lines of a label: a backslash before `n` breaks it, before others it stands for these."""
    text = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], label)
    return text.split("\n")


@given(graphs())
@example(one(HOSTILE))
@settings(max_examples=50, deadline=None)
def test_dot_is_read_back(graph: Graph) -> None:
    first, _, _, *lines, last, end = to_dot(graph).split("\n")
    assert (first, last, end) == ("digraph lineage {", "}", "")
    nodes = [found for line in lines if (found := _DOT_NODE.fullmatch(line))]
    edges = [found for line in lines if (found := _DOT_EDGE.fullmatch(line))]
    assert len(nodes) + len(edges) == len(lines)
    assert [read_dot(found[2]) for found in nodes] == labels(graph)
    assert [(int(f[1]), int(f[2]), *read_dot(f[3])) for f in edges] == ends(graph)
    assert ["bold" in (found[3] or "") for found in nodes] == [bool(node.live) for node in graph.nodes]


# --- Mermaid: https://mermaid.js.org/syntax/flowchart.html ------------------------------------------------------------

_LABEL = r'"((?:\w|[ _.,:@/+=…-]|#\d+;|<br/>)*)"'
_SHAPES = (r"\[\(L\)\]", r"\[/L/\]", r"\(\[L\]\)", r"\{\{L\}\}", r"\[\[L\]\]", r"\[L\]")
_MERMAID_NODES = [re.compile(rf"  n(\d+){shape.replace('L', _LABEL)}") for shape in _SHAPES]
_MERMAID_EDGE = re.compile(rf"  n(\d+) -->\|{_LABEL}\| n(\d+)")


def read_mermaid(label: str) -> list[str]:
    return [re.sub(r"#(\d+);", lambda found: chr(int(found[1])), line) for line in label.split("<br/>")]


@given(graphs())
@example(one(HOSTILE))
@settings(max_examples=50, deadline=None)
def test_mermaid_is_read_back(graph: Graph) -> None:
    first, *lines, end = to_mermaid(graph).split("\n")
    assert (first, end) == ("flowchart LR", "")
    nodes = [found for line in lines for shape in _MERMAID_NODES if (found := shape.fullmatch(line))]
    edges = [found for line in lines if (found := _MERMAID_EDGE.fullmatch(line))]
    classes = [line for line in lines if re.fullmatch(r"  (classDef \w+ [\w:-]+|class n\d+(,n\d+)* (live|root))", line)]
    assert len(nodes) + len(edges) + len(classes) == len(lines)
    assert [read_mermaid(found[2]) for found in nodes] == labels(graph)
    assert [(int(f[1]), int(f[3]), *read_mermaid(f[2])) for f in edges] == ends(graph)
    live = [f"n{at}" for at, node in enumerate(graph.nodes) if node.live]
    assert (f"  class {','.join(live)} live" in classes) == bool(live)
