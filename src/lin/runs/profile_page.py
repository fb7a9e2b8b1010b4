"""The page of a table version: the same pictures as SVG, and a table of the columns, in one HTML file.

It needs nothing from outside: no script, no font, no image, and its policy forbids all of them. What comes from
the table is escaped. Its colours follow the reader's light or dark scheme, and paper is light.
"""

import re
from html import escape

from lin.data.profile import ColumnProfile, Look, TableProfile
from lin.numbers import to_json
from lin.runs.drawing import COLOURS, GREY, INK, LIGHT, shortened
from lin.runs.profile_panels import share
from lin.runs.profile_plots import describe, draw_section, find_sections

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
_LONGEST = 40
_NUMBERS = ("mean", "std", "min", "5 %", "25 %", "50 %", "75 %", "95 %", "max")
_COLUMNS = ("column", "type", "missing", "NaN", "infinite", "distinct", *_NUMBERS)


def page_profile(look: Look) -> str:
    """The HTML document. The same rows give the same text."""
    profile = look.profile
    title = escape(f"{profile.table}@{profile.version}")
    facts = "\n".join(f"<p>{escape(line)}</p>" for line in describe(profile))
    parts = [_HEAD.format(title=title, style=_colours() + _STYLE, facts=facts)]
    parts += [
        f"<section>{_heading(section.title, section.remark)}{_themed(draw_section(section))}</section>\n"
        for section in find_sections(look)
    ]
    parts += [f"<section>{_heading('All columns', _what_numbers_are_of(profile))}", _table(profile)]
    return "".join([*parts, "</section>\n</body>\n</html>\n"])


def _heading(title: str, remark: str) -> str:
    aside = f'<span class="remark">{escape(remark)}</span>' if remark else ""
    return f"<h2><span>{escape(title)}</span>{aside}</h2>\n"


def _what_numbers_are_of(profile: TableProfile) -> str:
    return "" if profile.sampled == profile.rows else "quantiles and values are of the sample; ≈ is an estimate"


# --- colours ----------------------------------------------------------------------------------------------------------


def _themed(svg: str) -> str:
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


# --- the table --------------------------------------------------------------------------------------------------------


def _table(profile: TableProfile) -> str:
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    rows = "\n".join(_row(column) for column in profile.columns)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>\n'


def _row(column: ColumnProfile) -> str:
    name = escape(column.name)
    missing = f'<span class="missing">{share(column.missing)}</span>' if column.missing else "0 %"
    distinct = "" if column.distinct is None else f"{'' if column.distinct_exact else '≈ '}{column.distinct:,}"
    counts = [missing, *(f"{count:,}" if count else "" for count in (column.nans, column.infinities)), distinct]
    cells = [f'<td title="{name}"><bdi>{name}</bdi></td><td>{escape(column.type)}</td>']
    cells += [f"<td>{cell}</td>" for cell in counts]
    if column.kind == "number":
        quantiles = column.quantiles
        between = (quantiles.p5, quantiles.p25, quantiles.p50, quantiles.p75, quantiles.p95) if quantiles else ()
        numbers = (column.mean, column.std, column.min, *(between or [None] * 5), column.max)
        cells += [f"<td>{escape(_show(number))}</td>" for number in numbers]
    else:
        cells.append(f'<td class="values" colspan="{len(_NUMBERS)}">{_values(column)}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _show(value: float | str | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        shown = to_json(value)
        return f"{shown:.5g}" if isinstance(shown, float) else shown
    return str(value)


def _values(column: ColumnProfile) -> str:
    """The most frequent values with their shares, or the first and the last time."""
    if column.min is not None and column.max is not None:
        return f"{escape(_show(column.min))} to {escape(_show(column.max))}"
    parts = [f"<bdi>{escape(shortened(each.value, _LONGEST))}</bdi> {share(each.share)}" for each in column.top]
    return ", ".join(parts) + (f", {column.others:,} rows with others" if column.others else "")
