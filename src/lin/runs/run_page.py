"""The page of a picture of runs: axes as SVG, and over them marks and lines that tell in a tip which run they are.

Tips are `title` elements, which browsers show by themselves: there is no script.
"""

from collections.abc import Iterable, Sequence

from lin.data.page import escape_text
from lin.runs.drawing import Sheet, draw_svg
from lin.runs.page import frame_page, heading, themed
from lin.runs.run_panels import WIDTH, Box, Line, Mark, Panel, Picture, draw_panels, radius_of

POINTS = 72
"""To the inch."""
MOST_ROWS = 500
"""The table below a picture has at most so many."""

_STYLE = """svg { overflow: visible; width: 100%; margin-left: 0; }
.mark { fill-opacity: .8; stroke: var(--paper); stroke-width: .5; }
.mark:hover { stroke: var(--ink); stroke-width: 1.5; fill-opacity: 1; }
.line { fill: none; stroke-width: 1.3; stroke-linejoin: round; }
.line .near { stroke: transparent; stroke-width: 9; } .line:hover .drawn { stroke-width: 2.8; }
"""


def page_picture(picture: Picture, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The HTML document: the picture, and a table with these texts. The same values give the same text."""
    svg = draw_svg(
        lambda figure: draw_panels(Sheet(figure, WIDTH, picture.height), picture, filled=False), (WIDTH, picture.height)
    )
    placed = zip(picture.panels, picture.boxes, strict=True)
    marks = "\n".join(element for panel, box in placed for element in _elements(panel, box))
    axes, end, rest = svg.rpartition("</svg>")
    remark = f"the first {MOST_ROWS} of {len(rows):,}" if len(rows) > MOST_ROWS else ""
    drawn = f"{themed(axes)}<g>{marks}</g>\n{end}{rest}"
    sections = [drawn, heading("In numbers", remark) + _table(columns, rows[:MOST_ROWS])]
    return frame_page(picture.title, picture.facts, sections, style=_STYLE)


def _elements(panel: Panel, box: Box) -> Iterable[str]:
    yield from (_line(line, panel, box) for line in panel.lines)
    radius = radius_of(len(panel.marks))
    yield from (_mark(mark, panel, box, radius) for mark in panel.marks)


def _mark(mark: Mark, panel: Panel, box: Box, radius: float) -> str:
    x, y = _place(panel, box, mark.x, mark.y)
    return (
        f'<circle class="mark" cx="{x:.2f}" cy="{y:.2f}" r="{radius:.1f}"{_style("fill", mark.colour)}>'
        f"{_tip(mark.tip)}</circle>"
    )


def _line(line: Line, panel: Panel, box: Box) -> str:
    parts = [f'<g class="line"{_style("stroke", line.colour)}>{_tip(line.tip)}']
    dashes = f' stroke-dasharray="{" ".join(f"{each * 1.3:g}" for each in line.dashes)}"' if line.dashes else ""
    for xs, ys in line.pieces():
        places = [_place(panel, box, x, y) for x, y in zip(xs, ys, strict=True)]
        if len(places) == 1:
            ((x, y),) = places
            parts.append(f'<circle cx="{x:.2f}" cy="{y:.2f}" r="2"{_style("fill", line.colour)}/>')
            continue
        course = " ".join(f"{x:.2f},{y:.2f}" for x, y in places)
        parts.append(f'<polyline class="near" points="{course}"/><polyline class="drawn" points="{course}"{dashes}/>')
    return "".join([*parts, "</g>"])


def _style(what: str, colour: str) -> str:
    return themed(f' style="{what}: {colour};"')


def _tip(lines: Sequence[str]) -> str:
    return f"<title>{'&#10;'.join(escape_text(line) for line in lines)}</title>"


def _place(panel: Panel, box: Box, x: float, y: float) -> tuple[float, float]:
    """Where on the picture that is, in points from its upper left corner."""
    across = box.left + panel.x.share(x) * box.width
    down = box.top + (1 - panel.y.share(y)) * box.height
    return across * POINTS, down * POINTS


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    kinds = ["text" if name in {"run", "name", "metric"} else "number" for name in columns]
    head = "".join(f'<th class="{kind}">{escape_text(name)}</th>' for kind, name in zip(kinds, columns, strict=True))
    body = "\n".join(
        "<tr>"
        + "".join(f'<td class="{kind}">{escape_text(cell)}</td>' for kind, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n'
