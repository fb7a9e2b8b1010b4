"""A graph of lineage as SVG: a card for each thing, a line for each way. Names are foreign and escaped.

Colours, which follow the reader's light or dark scheme, are the page's. Kinds differ in shape, letter and colour. Each
card is a link to `#n` and the thing's number.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from html import escape

from lin.lineage.graph import Graph, Node, NodeKind
from lin.lineage.graph_layout import NODE_HEIGHT, NODE_WIDTH, Layout, Point

BADGES: dict[NodeKind, tuple[str, str]] = {
    "table": ("T", "M-12-9C-12-15 12-15 12-9V9C12 15-12 15-12 9Z"),
    "column": ("C", "M-7-12H15L7 12H-15Z"),
    "run": ("R", "M0-13A13 13 0 1 1 0 13 13 13 0 1 1 0-13Z"),
    "model": ("M", "M-8-13H8L15 0 8 13H-8L-15 0Z"),
    "predictions": ("P", "M0-16 16 0 0 16-16 0Z"),
    "file": ("F", "M-10-14H4L11-7V14H-10Z"),
    "source": ("S", "M-12-12H12V12H-12Z"),
    "environment": ("E", "M-6-13H6L13-6V6L6 13H-6L-13 6V-6Z"),
}
"""The letter of a kind, and the shape around it."""

_NAME_ROOM, _DETAIL_ROOM, _LIVE_ROOM = 164, 164, 150
_NAME_SIZE, _DETAIL_SIZE = 13, 11
_BOLD = 1.16
_ASIDE = 7
"""So much lower a line goes back, as there may be one there already that goes the other way."""
_NARROW, _WIDE = frozenset("iljIft.,:;|!'()[]/ -"), frozenset("MWmw@%")


def show(value: str) -> str:
    """The text with characters that hide or turn others shown as escapes, as everywhere on our pages."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)


def draw_picture(graph: Graph, layout: Layout, ends: Sequence[tuple[int, int]]) -> str:
    """The picture; `ends` are the numbers of each edge's source and target."""
    width, height = round(layout.width), round(layout.height)
    label = "The graph, from what was there before at the left to what came after at the right"
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    lines = [
        f'<svg id="picture" {size} role="group" aria-label="{label}">',
        '<g id="view">',
        '<g id="edges" aria-hidden="true">',
        *(
            _edge(
                edge.how,
                layout.routes[number],
                back=number in layout.backward,
                is_loop=ends[number][0] == ends[number][1],
            )
            for number, edge in enumerate(graph.edges)
        ),
        '</g><g id="nodes">',
        *(_card(n, node, layout.places[n], is_root=node.id == graph.root) for n, node in enumerate(graph.nodes)),
        "</g></g></svg>",
    ]
    return "\n".join(lines) + "\n"


def draw_badge(kind: NodeKind) -> str:
    """The sign of a kind, as a picture of its own beside a text."""
    return f'<svg class="sign" viewBox="-17 -17 34 34" aria-hidden="true"><use href="#badge-{kind}"/></svg>'


def draw_definitions() -> str:
    """What the picture and the badges refer to. It stands apart from the picture, which can be hidden."""
    return f'<svg class="unseen" aria-hidden="true"><defs>{"".join(_definitions())}</defs></svg>'


def _definitions() -> Iterable[str]:
    for kind, (letter, shape) in BADGES.items():
        yield f'<g id="badge-{kind}" class="{kind}"><path class="badge" d="{shape}"/><text y="5">{letter}</text></g>'
    for name in ("plain", "up", "down", "back"):
        yield (
            f'<marker id="arrow-{name}" class="arrow {name}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8"'
            ' markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 8 4 0 8Z"/></marker>'
        )


def _edge(how: str, route: Sequence[Point], *, back: bool, is_loop: bool) -> str:
    path = _loop(route) if is_loop else _path([(x, y + _ASIDE * back) for x, y in route])
    title = f"<title>{escape(show(how))}</title>" if how else ""
    return f'<path class="edge{" back" if back else ""}" d="{path}">{title}</path>'


def _path(route: Sequence[Point]) -> str:
    (x, y), *rest = [(round(x), round(y)) for x, y in route]
    parts = [f"M{x} {y}"]
    for number, (to_x, to_y) in enumerate(rest):
        if number % 2 or to_y == y:
            parts.append(f"H{to_x}")
        else:
            middle = (x + to_x) // 2
            parts.append(f"C{middle} {y} {middle} {to_y} {to_x} {to_y}")
        x, y = to_x, to_y
    return "".join(parts)


def _loop(route: Sequence[Point]) -> str:
    (right, y), (left, _) = [(round(x), round(y)) for x, y in route]
    top = y - NODE_HEIGHT // 2 - 14
    up = f"C{right + 40} {y} {right + 20} {top} {right - 20} {top}"
    down = f"C{left - 20} {top} {left - 40} {y} {left} {y}"
    return f"M{right} {y}{up}H{left + 20}{down}"


def _card(number: int, node: Node, place: Point, *, is_root: bool) -> str:
    x, y = (round(each) for each in place)
    live = show(", ".join(node.live))
    name = cut(show(node.name), _NAME_ROOM, _BOLD * _NAME_SIZE)
    detail = _cut_end(show(node.detail), _DETAIL_ROOM, _DETAIL_SIZE)
    classes = " ".join(["node", node.kind, *["live"] * bool(live), *["root"] * is_root])
    parts = [
        f'<a class="{classes}" href="#n{number}" transform="translate({x} {y})">',
        f"<title>{escape(tell(node, is_root=is_root))}</title>",
        f'<rect class="ring" x="-5" y="-5" width="{NODE_WIDTH + 10}" height="{NODE_HEIGHT + 10}" rx="12"/>',
        f'<rect class="card" width="{NODE_WIDTH}" height="{NODE_HEIGHT}" rx="8"/>',
        f'<use href="#badge-{node.kind}" x="24" y="24"/>',
        f'<text class="name" x="47" y="{20 if detail else 29}">{escape(name)}</text>',
        f'<text class="detail" x="47" y="37">{escape(detail)}</text>' if detail else "",
        _pill(live) if live else "",
        "</a>",
    ]
    return "".join(parts)


def _pill(live: str) -> str:
    text = "\u25cf " + _cut_end(live, _LIVE_ROOM, _DETAIL_SIZE)
    width = round(_measure(text, _BOLD * _DETAIL_SIZE)) + 16
    right = NODE_WIDTH - 8
    return (
        f'<g class="pill"><rect x="{right - width}" y="-14" width="{width}" height="17" rx="8.5"/>'
        f'<text x="{right - width / 2:g}" y="-1.5">{escape(text)}</text></g>'
    )


def tell(node: Node, *, is_root: bool = False) -> str:
    """All that a node says, in a line."""
    live = f", live as {', '.join(node.live)}" if node.live else ""
    detail = f": {node.detail}" if node.detail else ""
    return show(f"{node.kind} {node.name}{live}{detail}" + (" (asked about)" if is_root else ""))


def cut(text: str, room: float, size: float) -> str:
    """The text as it fits into so many pixels, without its middle: both ends of a name tell things apart."""
    if _measure(text, size) <= room:
        return text
    start = end = 0
    while _measure(f"{text[:start]}…{text[len(text) - end :]}", size) <= room:
        start, end = (start + 1, end) if start <= end else (start, end + 1)
    start, end = (start, end - 1) if start == end else (start - 1, end)
    return f"{text[:start]}…{text[len(text) - end :]}"


def _cut_end(text: str, room: float, size: float) -> str:
    if _measure(text, size) <= room:
        return text
    while text and _measure(f"{text}…", size) > room:
        text = text[: len(text) - 1]
    return f"{text}…"


def _measure(text: str, size: float) -> float:
    """About how wide a text will be: fonts differ."""
    return sum(map(_width, text)) * size


def _width(c: str) -> float:
    if c in _NARROW:
        return 0.38
    if unicodedata.east_asian_width(c) in "WF":
        return 1.05
    return 0.98 if c in _WIDE else 0.72 if c.isupper() else 0.61
