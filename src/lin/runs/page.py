"""The frame of every HTML page with pictures: one file that needs nothing beside it, in one style.

It needs nothing from outside: no script, no font, no image, and its policy forbids all of them. Its colours follow
the reader's light or dark scheme, and paper is light. Whoever fills it escapes what is foreign.
"""

import re
from collections.abc import Iterable

from lin.data.page import escape_text
from lin.runs.drawing import COLOURS, GREY, INK, LIGHT

_VARIABLES = {INK: "ink", GREY: "grey", LIGHT: "light"} | {
    colour: f"colour-{number}" for number, colour in enumerate(COLOURS)
}
_COLOUR = re.compile(r"(?<=[:] )#[0-9a-f]{6}(?=[;\"])")
_NAMES = re.compile(r' id="(?:figure|axes|patch|line2d|text|matplotlib\.axis|xtick|ytick|[A-Za-z]+Collection)_\d+"')
_DARK = {INK: "#dde5ec", GREY: "#93a1ad", LIGHT: "#36424d"} | dict(
    zip(
        COLOURS,
        ("#5b9bd5", "#ea8f52", "#5fbd8c", "#cf79b2", "#a39ad6", "#dcbb4d", "#6dc1d1", "#b5835f", "#96a3af", "#d06a6a"),
        strict=True,
    )
)
_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header><h1>{title}</h1>
{facts}
</header>
"""
_STYLE = """body { margin: 2rem auto; max-width: 72rem; padding: 0 1.25rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.9rem; margin: 0; overflow-wrap: anywhere; }
header p, .remark { color: var(--grey); margin: .2rem 0; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .8rem; padding-bottom: .3rem; border-bottom: 1px solid var(--light);
  display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; overflow-wrap: anywhere; }
h2 .remark { font-size: .8rem; font-weight: normal; }
svg { display: block; width: 106.8%; margin-left: -3.4%; height: auto; }
svg text { font-family: "DejaVu Sans", Verdana, system-ui, sans-serif !important; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .75rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .3rem .45rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--light); }
th { color: var(--grey); font-weight: 600; }
th:first-child, td:first-child, .text { text-align: left; }
td:first-child { font-weight: 600; max-width: 12rem; overflow: hidden; text-overflow: ellipsis; }
.values { white-space: normal; overflow-wrap: anywhere; text-align: left; }
.missing { color: var(--colour-9); }
@media print { body { margin: 0; max-width: none; padding: 0; font-size: 12px; } .scroll { overflow: visible; }
  table { font-size: 7.5px; } th, td { padding: .15rem .25rem; } tr, svg { break-inside: avoid; }
  h2 { break-after: avoid; } }
@media screen and (prefers-color-scheme: dark) { svg image { filter: brightness(1.5); } }
"""


def frame_page(title: str, facts: Iterable[str], sections: Iterable[str], *, style: str = "") -> str:
    """The HTML document with these texts at its top, which are escaped, and these sections, which are HTML."""
    lines = "\n".join(f"<p>{escape_text(fact)}</p>" for fact in facts)
    head = _HEAD.format(title=escape_text(title), style=_colours() + _STYLE + style, facts=lines)
    return "".join([head, *(f"<section>{section}</section>\n" for section in sections), "</body>\n</html>\n"])


def heading(title: str, remark: str = "") -> str:
    """The headline of a section, with a remark at its right."""
    aside = f'<span class="remark">{escape_text(remark)}</span>' if remark else ""
    return f"<h2><span>{escape_text(title)}</span>{aside}</h2>\n"


def themed(svg: str) -> str:
    """The picture with the page's colours instead of its own, and without ids that other pictures have too."""

    def variable(match: re.Match[str]) -> str:
        name = _VARIABLES.get(match[0])
        return f"var(--{name})" if name else match[0]

    return _COLOUR.sub(variable, _NAMES.sub("", svg))


def _colours() -> str:
    light = " ".join(f"--{name}: {colour};" for colour, name in _VARIABLES.items())
    dark = " ".join(f"--{name}: {_DARK[colour]};" for colour, name in _VARIABLES.items())
    return (
        f":root {{ color-scheme: light dark; --paper: #ffffff; {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ --paper: #161b20; {dark} }} }}\n"
    )
