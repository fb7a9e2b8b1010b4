"""The graph of lineage as one HTML page to look at: drag, zoom, search, click.

It needs nothing from outside, and its policy allows only its own style and script, by their hashes. What is foreign is
escaped or, for the script, inert JSON. Without JavaScript there is the whole picture and a table. The same graph makes
the same page.
"""

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files

from lin.lineage.graph import Graph, Node
from lin.lineage.graph_layout import NODE_HEIGHT, NODE_WIDTH, Layout, lay_out
from lin.lineage.graph_picture import BADGES, draw_badge, draw_definitions, draw_picture, show

MOST_LINKS = 12
"""A cell of the table has at most so many; the way back stands at the other things."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{style_hash}'; \
script-src 'sha256-{script_hash}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{definitions}
<header>
<h1>{title}</h1>
{facts}
</header>
<div id="bar" data-alive hidden>
<label class="unseen" for="search">Search</label>
<input id="search" type="search" placeholder="Search ( / )" autocomplete="off" spellcheck="false" \
title="Name, kind, detail or stage. Enter: the next, Shift+Enter: the one before, Esc: clear">
<output id="found" for="search" aria-live="polite"></output>
<span class="group">
<button id="farther" type="button" title="Farther away ( - )" aria-label="Farther away">−</button>
<button id="closer" type="button" title="Closer ( + )" aria-label="Closer">+</button>
<button id="fit" type="button" title="The whole graph ( 0 )">Fit</button>
<button id="as-table" type="button" aria-pressed="false">Table</button>
</span>
</div>
<ul id="legend" aria-label="Kinds of things">
{legend}
</ul>
<main>
<div id="stage">
{picture}</div>
<section id="things" aria-label="All things">
<div class="scroll"><table>
<thead><tr><th scope="col">kind</th><th scope="col">name</th><th scope="col">detail</th><th scope="col">live as</th>\
<th scope="col">made from</th><th scope="col">made from it</th></tr></thead>
<tbody id="rows">
{rows}
</tbody></table></div>
</section>
<aside id="panel" aria-label="The chosen thing" hidden></aside>
</main>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def graph_page(graph: Graph, *, title: str) -> str:
    """The HTML document. It is laid out here, so that it opens at once and looks the same everywhere."""
    numbers = {node.id: number for number, node in enumerate(graph.nodes)}
    ends = [(numbers[edge.source], numbers[edge.target]) for edge in graph.edges]
    layout = lay_out(len(graph.nodes), ends)
    style, script = _read("graph_page.css"), _read("graph_page.js")
    return _PAGE.format(
        title=escape(show(title)),
        style=style,
        style_hash=_digest(style),
        script=script,
        script_hash=_digest(script),
        facts="\n".join(_facts(graph)),
        definitions=draw_definitions(),
        legend="\n".join(_legend(graph, layout)),
        picture=draw_picture(graph, layout, ends),
        rows="\n".join(_rows(graph, ends)),
        data=_encode(graph, layout, ends),
    )


def _read(name: str) -> str:
    return files("lin.lineage").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


def _facts(graph: Graph) -> Iterable[str]:
    things, ways = len(graph.nodes), len(graph.edges)
    more = f"; {graph.left_out:,} more right behind these are not shown" if graph.left_out else ""
    yield f"<p>{things:,} thing{'s' * (things != 1)}, {ways:,} way{'s' * (ways != 1)} between them{more}</p>"
    yield from (f'<p class="note">{escape(show(note))}</p>' for note in graph.notes)


def _legend(graph: Graph, layout: Layout) -> Iterable[str]:
    counts = Counter(node.kind for node in graph.nodes)
    for kind in BADGES:
        if counts[kind]:
            yield (
                f'<li><button type="button" data-kind="{kind}" aria-pressed="true" disabled title="Show or hide">'
                f'{draw_badge(kind)}{kind} <span class="count">{counts[kind]:,}</span></button></li>'
            )
    if any(node.live for node in graph.nodes):
        yield '<li><span class="badge-live">●</span>live</li>'
    yield '<li><svg class="key root" viewBox="0 0 32 16" aria-hidden="true"><rect class="ring" x="2" y="2" width="28" \
height="12" rx="4"/></svg>asked about</li>'
    if layout.backward:
        yield '<li><svg class="key" viewBox="0 0 32 16" aria-hidden="true"><path class="edge back" d="M2 8H30"/></svg>\
back into what it came from</li>'


def _rows(graph: Graph, ends: Sequence[tuple[int, int]]) -> Iterable[str]:
    into: list[list[int]] = [[] for _ in graph.nodes]
    out_of: list[list[int]] = [[] for _ in graph.nodes]
    for source, target in ends:
        into[target].append(source)
        out_of[source].append(target)
    for number, node in enumerate(graph.nodes):
        name = f'<a href="#n{number}"><bdi>{escape(show(node.name))}</bdi></a>'
        asked = " (asked about)" if node.id == graph.root else ""
        live = " ".join(f'<span class="badge-live">● {escape(show(each))}</span>' for each in node.live)
        yield (
            f'<tr id="n{number}"><td class="kind">{node.kind}</td><td>{name}{asked}</td>'
            f'<td><bdi>{escape(show(node.detail))}</bdi></td><td class="stages">{live}</td>'
            f"<td>{_links(graph.nodes, into[number])}</td><td>{_links(graph.nodes, out_of[number])}</td></tr>"
        )


def _links(nodes: Sequence[Node], numbers: Sequence[int]) -> str:
    different = list(dict.fromkeys(numbers))
    links = [f'<a href="#n{each}"><bdi>{escape(show(nodes[each].name))}</bdi></a>' for each in different[:MOST_LINKS]]
    more = len(different) - MOST_LINKS
    return ", ".join([*links, *([f"and {more:,} more"] if more > 0 else [])])


def _encode(graph: Graph, layout: Layout, ends: Sequence[tuple[int, int]]) -> str:
    """The graph as JSON in which nothing ends an element or begins one."""
    nodes = [
        {
            "kind": node.kind,
            "name": show(node.name),
            "detail": show(node.detail),
            "live": [show(each) for each in node.live],
            "x": round(x),
            "y": round(y),
        }
        for node, (x, y) in zip(graph.nodes, layout.places, strict=True)
    ]
    edges = [[*pair, show(edge.how)] for pair, edge in zip(ends, graph.edges, strict=True)]
    root = next(number for number, node in enumerate(graph.nodes) if node.id == graph.root)
    data = {"root": root, "size": [NODE_WIDTH, NODE_HEIGHT], "nodes": nodes, "edges": edges}
    text = json.dumps(data, separators=(",", ":"))  # in ASCII, so U+2028 and its like are escapes
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
