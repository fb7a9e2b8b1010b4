"""The pictures of a table version: its columns, what goes with the target, and how.

A picture is made of sections, each of which draws itself onto a `Sheet`: together they are one PNG, and alone
each stands in a page as SVG. What is left out, and what is of a sample only, is written beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lin.data.profile import Association, ColumnProfile, Look, TableProfile
from lin.runs.drawing import BLUE, GREEN, GREY, INK, LIGHT, ORANGE, VIOLET, Sheet, draw_png, draw_svg, fitted
from lin.runs.profile_pairs import MOST_GROUPS, MOST_POINTS, draw_against_target
from lin.runs.profile_panels import draw_column, draw_legend, draw_matrix

WIDTH = 11.0
"""Inches, of every section."""
MOST_COLUMNS = 30
MOST_SCATTERS = 6

_MISSING_PLACES = 6
"""Of the columns shown, so many are kept for those that miss most."""
_MARGIN = 0.35
_DPI = 144
_ACROSS, _CELL_HEIGHT = 5, 1.72
_SCATTERS_ACROSS, _SCATTER_HEIGHT = 3, 2.75
_BAR_HEIGHT = 0.24
_NUMBERED = 15
"""A matrix of more columns has no numbers in its cells."""

MEASURES = {"pearson": "Pearson's r", "correlation ratio": "correlation ratio η", "cramers v": "Cramér's V"}


@dataclass(frozen=True)
class Section:
    """A part of the picture: its heading, a remark on it, its height in inches, and how to draw it."""

    title: str
    remark: str
    height: float
    draw: Callable[[Sheet], None]


def picture_profile(look: Look) -> bytes:
    """All sections under one heading, as PNG. The same rows give the same bytes."""
    sections = find_sections(look)
    lines = describe(look.profile)
    heading = 0.7 + 0.19 * len(lines)
    height = heading + sum(section.height + 0.5 for section in sections)

    def draw(figure: Any) -> None:
        sheet = Sheet(figure, WIDTH, height)
        title = fitted(f"{look.profile.table}@{look.profile.version}", WIDTH - 2 * _MARGIN, 17, bold=True)
        sheet.text(_MARGIN, 0.46, title, fontsize=17, weight="bold")
        for line, text in enumerate(lines):
            sheet.text(_MARGIN, 0.72 + 0.19 * line, fitted(text, WIDTH - 2 * _MARGIN, 9.5), color=GREY)
        top = heading
        for section in sections:
            sheet.text(_MARGIN, top + 0.3, section.title, fontsize=12, weight="bold")
            sheet.text(WIDTH - _MARGIN, top + 0.3, section.remark, fontsize=8.5, color=GREY, ha="right")
            sheet.bar(_MARGIN, top + 0.38, WIDTH - 2 * _MARGIN, 0.01, LIGHT)
            section.draw(sheet.part(top + 0.5, section.height))
            top += section.height + 0.5

    return draw_png(draw, (WIDTH, height), dpi=_DPI)


def draw_section(section: Section) -> str:
    """One section alone, as an `svg` element."""
    size = (WIDTH, section.height)
    return draw_svg(lambda figure: section.draw(Sheet(figure, *size)), size)


def describe(profile: TableProfile) -> list[str]:
    """The version in a line or two: rows, columns, target, and what is of a sample only."""
    facts = [_count(profile.rows, "row"), _count(len(profile.columns), "column")]
    if target := profile.target:
        classes = "" if target.classes is None else f" ({_count(len(target.classes), 'class', 'classes')})"
        missing = f": {_count(target.missing, 'row')} without" if target.missing else ""
        facts.append(f"target {target.column}{classes}{missing}")
    lines = ["  ·  ".join(facts)]
    if profile.sampled < profile.rows:
        lines.append(
            f"Counts, missing shares and means are of all rows; distributions and associations of "
            f"{profile.sampled:,} rows, evenly spread."
        )
    return lines


def _count(number: int, one: str, more: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def find_sections(look: Look) -> list[Section]:
    """What there is to draw of this version, in order."""
    profile = look.profile
    sections = [_columns_section(look)]
    if profile.matrix:
        sections.append(_matrix_section(profile))
    defined = [each for each in profile.associations if each.value is not None]
    if defined:
        sections.append(_bars_section(profile, defined))
    drawable = {column.name for column in profile.columns if column.histogram or column.top}
    strongest = [each for each in defined if each.column in drawable][:MOST_SCATTERS]
    if strongest and profile.target and profile.target.column in drawable:
        sections.append(_scatter_section(look, strongest))
    return sections


# --- the columns ------------------------------------------------------------------------------------------------------


def choose_columns(profile: TableProfile) -> list[ColumnProfile]:
    """At most `MOST_COLUMNS` columns, in the table's order.

    The target, those that go with it most strongly, and those that miss most; the first ones fill what is left.
    """
    if len(profile.columns) <= MOST_COLUMNS:
        return profile.columns
    strongest = [each.column for each in profile.associations if each.value is not None]
    emptiest = sorted(profile.columns, key=lambda column: -column.missing)
    missing = [column.name for column in emptiest if column.missing > 0]
    wanted = [
        *([profile.target.column] if profile.target else []),
        *strongest[: MOST_COLUMNS - 1 - _MISSING_PLACES],
        *missing[:_MISSING_PLACES],
        *strongest,
        *missing,
        *(column.name for column in profile.columns),
    ]
    chosen = set(list(dict.fromkeys(wanted))[:MOST_COLUMNS])
    return [column for column in profile.columns if column.name in chosen]


def _columns_section(look: Look) -> Section:
    profile = look.profile
    shown = choose_columns(profile)
    left_out = len(profile.columns) - len(shown)
    which = "the strongest and those that miss most" if profile.target else "those that miss most, then the first"
    of = f"{len(shown)} of {len(profile.columns):,}"
    remark = f"{of}: {which}; {left_out:,} left out" if left_out else ""
    down = -(-len(shown) // _ACROSS)

    def draw(sheet: Sheet) -> None:
        width = (sheet.width - 2 * _MARGIN + 0.25) / _ACROSS
        for at, column in enumerate(shown):
            left, top = _MARGIN + at % _ACROSS * width, at // _ACROSS * _CELL_HEIGHT
            is_target = profile.target is not None and column.name == profile.target.column
            draw_column(sheet, (left, top, width - 0.25, _CELL_HEIGHT), column, profile, target=is_target)

    return Section("Columns", remark, down * _CELL_HEIGHT, draw)


# --- associations -----------------------------------------------------------------------------------------------------


def _bars_section(profile: TableProfile, defined: list[Association]) -> Section:
    shown = defined[:MOST_COLUMNS]
    used = list(dict.fromkeys(each.measure for each in shown))
    name = profile.target.column if profile.target else ""
    weaker, undefined = len(defined) - len(shown), len(profile.associations) - len(defined)
    rows = {each.rows for each in shown}
    notes = [f"of {rows.pop():,} rows"] if len(rows) == 1 else []
    side = 0.0 if notes else 1.0
    notes += [f"{weaker:,} weaker ones left out"] if weaker else []
    notes += [f"not defined for {undefined:,}"] if undefined else []

    def draw(sheet: Sheet) -> None:
        gutter = 2.6
        axes = sheet.axes(gutter, 0.05, sheet.width - gutter - side - _MARGIN, _BAR_HEIGHT * len(shown))
        low = -1.0 if any((each.value or 0.0) < 0 for each in shown) else 0.0
        axes.set(xlim=(low, 1.0), ylim=(len(shown) - 0.5, -0.5))
        _draw_bars(axes, shown)
        for at, each in enumerate(shown):
            label = fitted(each.column, gutter - _MARGIN - 0.1, 9)
            height = 0.05 + _BAR_HEIGHT * (at + 0.5) + 0.045
            sheet.text(gutter - 0.1, height, label, fontsize=9, ha="right")
            counted = f"{each.rows:,} rows" if side else ""
            sheet.text(sheet.width - _MARGIN, height, counted, fontsize=8, color=GREY, ha="right")
        draw_legend(sheet, gutter, 0.05 + _BAR_HEIGHT * len(shown) + 0.42, [(_colours(m), MEASURES[m]) for m in used])

    return Section(f"Associations with {fitted(name, 4.5, 12)}", "; ".join(notes), _BAR_HEIGHT * len(shown) + 0.6, draw)


def _draw_bars(axes: Any, shown: list[Association]) -> None:
    values = [each.value or 0.0 for each in shown]
    colours = [ORANGE if value < 0 else _colours(each.measure)[0] for each, value in zip(shown, values, strict=True)]
    axes.barh(range(len(shown)), values, height=0.66, color=colours)
    axes.axvline(0.0, color=GREY, linewidth=0.8)
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(axis="x", labelsize=8, length=0)
    axes.grid(axis="x", color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)
    for at, value in enumerate(values):
        inside = abs(value) > 0.85  # noqa: PLR2004  no room beside the bar
        side = (1 if value >= 0 else -1) * (-1 if inside else 1)
        axes.annotate(
            f"{value:z.3f}".replace("-", "−"),
            (value, at),
            xytext=(4 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center_baseline",
            fontsize=8,
            color="white" if inside else INK,
        )


def _colours(measure: str) -> tuple[str, ...]:
    return {"pearson": (BLUE, ORANGE), "correlation ratio": (GREEN,), "cramers v": (VIOLET,)}[measure]


def _scatter_section(look: Look, strongest: list[Association]) -> Section:
    down = -(-len(strongest) // _SCATTERS_ACROSS)
    grouped = [look.sample.codes[each.column] for each in strongest if each.column in look.sample.codes]
    grouped += [look.classes] if look.classes else []
    remarks = ["lines: medians"]
    if any(len(each.names) > MOST_GROUPS for each in grouped):
        remarks.append(f"the {MOST_GROUPS} most frequent values")
    if look.sample.rows > MOST_POINTS:
        remarks.append(f"at most {MOST_POINTS:,} rows each")

    def draw(sheet: Sheet) -> None:
        width = (sheet.width - 2 * _MARGIN) / _SCATTERS_ACROSS
        for at, each in enumerate(strongest):
            left, top = _MARGIN + at % _SCATTERS_ACROSS * width, at // _SCATTERS_ACROSS * _SCATTER_HEIGHT
            draw_against_target(sheet, (left, top, width - 0.2, _SCATTER_HEIGHT), each, look)

    title = "The strongest against the target" if len(strongest) > 1 else "Against the target"
    return Section(title, "; ".join(remarks), down * _SCATTER_HEIGHT, draw)


def _matrix_section(profile: TableProfile) -> Section:
    matrix = profile.matrix
    names = matrix.columns if matrix else []
    values = matrix.values if matrix else []
    cell = 0.55 if len(names) <= _NUMBERED else 0.29
    side, gutter, foot = cell * len(names), 2.2, 1.5

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(gutter, 0.05, side, side)
        draw_matrix(axes, values, numbered=len(names) <= _NUMBERED)
        for at, name in enumerate(names):
            middle = 0.05 + cell * (at + 0.5)
            sheet.text(
                gutter - 0.08, middle + 0.04, fitted(name, gutter - _MARGIN - 0.1, 8.5), fontsize=8.5, ha="right"
            )
            across = gutter + cell * (at + 0.5)
            label = fitted(name, foot - 0.15, 8.5)
            sheet.text(across, 0.05 + side + 0.08, label, fontsize=8.5, rotation=90, ha="center", va="top")

    return Section("Correlation of the numbers", "Pearson's r, of the rows that have both", side + foot, draw)
