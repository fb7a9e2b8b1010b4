"""The page of a table version: the same pictures as SVG, and a table of the columns, in one HTML file.

The frame is that of `lin.runs.page`. What comes from the table is escaped.
"""

from lin.data.page import escape_text
from lin.data.profile import ColumnProfile, Look, TableProfile
from lin.numbers import to_json
from lin.runs.drawing import shortened
from lin.runs.page import frame_page, heading, themed
from lin.runs.profile_panels import share
from lin.runs.profile_plots import describe, draw_section, find_sections

_LONGEST = 40
_NUMBERS = ("mean", "std", "min", "5 %", "25 %", "50 %", "75 %", "95 %", "max")
_COLUMNS = ("column", "type", "missing", "NaN", "infinite", "distinct", *_NUMBERS)


def page_profile(look: Look) -> str:
    """The HTML document. The same rows give the same text."""
    profile = look.profile
    sections = [heading(each.title, each.remark) + themed(draw_section(each)) for each in find_sections(look)]
    table = heading("All columns", _what_numbers_are_of(profile)) + _table(profile)
    return frame_page(f"{profile.table}@{profile.version}", describe(profile), [*sections, table])


def _what_numbers_are_of(profile: TableProfile) -> str:
    return "" if profile.sampled == profile.rows else "quantiles and values are of the sample; ≈ is an estimate"


# --- the table --------------------------------------------------------------------------------------------------------


def _table(profile: TableProfile) -> str:
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    rows = "\n".join(_row(column) for column in profile.columns)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>\n'


def _row(column: ColumnProfile) -> str:
    name = escape_text(column.name)
    missing = f'<span class="missing">{share(column.missing)}</span>' if column.missing else "0 %"
    distinct = "" if column.distinct is None else f"{'' if column.distinct_exact else '≈ '}{column.distinct:,}"
    counts = [missing, *(f"{count:,}" if count else "" for count in (column.nans, column.infinities)), distinct]
    cells = [f'<td title="{name}"><bdi>{name}</bdi></td><td>{escape_text(column.type)}</td>']
    cells += [f"<td>{cell}</td>" for cell in counts]
    if column.kind == "number":
        quantiles = column.quantiles
        between = (quantiles.p5, quantiles.p25, quantiles.p50, quantiles.p75, quantiles.p95) if quantiles else ()
        numbers = (column.mean, column.std, column.min, *(between or [None] * 5), column.max)
        cells += [f"<td>{escape_text(_show(number))}</td>" for number in numbers]
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
        return f"{escape_text(_show(column.min))} to {escape_text(_show(column.max))}"
    parts = [f"<bdi>{escape_text(shortened(each.value, _LONGEST))}</bdi> {share(each.share)}" for each in column.top]
    return ", ".join(parts) + (f", {column.others:,} rows with others" if column.others else "")
