"""The picture of an attribution: a bar for each axis, and marks for what it does alone and what its absence does.

The same attribution gives the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lin.data.page import escape_text
from lin.errors import OutsideError, UsageError
from lin.proof.attribution.answer import Attribution, AxisEffect
from lin.runs.drawing import BLUE, GREY, INK, LIGHT, ORANGE, Sheet, draw_png, draw_svg, fitted
from lin.runs.page import frame_page, heading, themed
from lin.store.whole import write_whole

_WIDTH, _MARGIN, _ROW = 9.6, 0.25, 0.42
_NAMES, _VALUES = 2.1, 1.9
_HEAD, _FOOT = 0.8, 0.85
_ABOVE = 0.1
_DOTS = 150
_SMALL = 8.5
_TEXTS = frozenset({"axis", "cell", "run", "why not"})
_KEY = "bar: Shapley value, the fair share      ◆ alone on A      ○ taken out of B"


def check_picture(path: Path | None) -> None:
    """Refuse a file that is neither a picture nor a page. Raises `UsageError`."""
    if path is not None and path.suffix not in {".png", ".html"}:
        raise UsageError(f"'{path}' is neither a .png nor a .html", hint="--output why.html")


def draw_attribution(found: Attribution, path: Path) -> int:
    """Draw into a `.png` or `.html` file, which is replaced; returns how many bytes that took.

    Raises:
        UsageError: the file's name ends in something else, or there is nothing to draw.
        OutsideError: the file cannot be written.
    """
    check_picture(path)
    if not found.effects:
        raise UsageError(f"there is nothing to draw: {found.sentence}")
    data = _page(found).encode() if path.suffix == ".html" else _png(found)
    try:
        return write_whole(path, data)
    except OSError as error:
        raise OutsideError(f"'{path}' cannot be written: {error.strerror}") from error


def _png(found: Attribution) -> bytes:
    size = (_WIDTH, _HEAD + _height(found))

    def draw(figure: Any) -> None:
        sheet = Sheet(figure, *size)
        room = _WIDTH - 2 * _MARGIN
        sheet.text(_MARGIN, 0.38, fitted(_title(found), room, 13, bold=True), fontsize=13, weight="bold")
        sheet.text(_MARGIN, 0.64, fitted(found.sentence, room, _SMALL), fontsize=_SMALL, color=GREY)
        _draw(sheet.part(_HEAD, size[1] - _HEAD), found)

    return draw_png(draw, size, dpi=_DOTS)


def _page(found: Attribution) -> str:
    size = (_WIDTH, _height(found))
    svg = themed(draw_svg(lambda figure: _draw(Sheet(figure, *size), found), size))
    columns = ["axis", "Shapley value", "share", "alone on A", "taken out of B"]
    rows = [
        [" + ".join(effect.axes), *map(_number, (effect.shapley, effect.share, effect.alone, effect.taken_out))]
        for effect in found.effects
    ]
    cells = [
        [cell.what, "-" if cell.value is None else repr(float(cell.value)), (cell.run or "")[-8:], cell.error or ""]
        for cell in found.cells
    ]
    sections = [
        svg,
        heading("In numbers") + _table(columns, rows),
        heading("Every cell", f"{len(cells)}") + _table(["cell", "value", "run", "why not"], cells),
    ]
    return frame_page(_title(found), [found.sentence, *found.notes], sections)


def _title(found: Attribution) -> str:
    return f"{found.on}: why {found.b.label} is not {found.a.label}"


def _height(found: Attribution) -> float:
    return _ROW * len(found.effects) + _FOOT


def _draw(sheet: Sheet, found: Attribution) -> None:
    """The bars, largest effects as they come, over one line of zero."""
    effects = found.effects
    height = _ROW * len(effects)
    axes = sheet.axes(_NAMES, _ABOVE, _WIDTH - _NAMES - _VALUES, height)
    causes = {cause.axis for cause in found.causes}
    places = range(len(effects))
    guilty = [bool(causes & set(effect.axes)) for effect in effects]
    colours = [ORANGE if each else BLUE for each in guilty]
    axes.barh(places, [effect.shapley or 0.0 for effect in effects], height=0.56, color=colours, zorder=2)
    for at, effect in enumerate(effects):
        _mark(axes, at, effect)
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    axes.set(ylim=(len(effects) - 0.5, -0.5), xlim=_ends(effects))
    axes.set_yticks(list(places), [fitted(" + ".join(e.axes), _NAMES - 0.35, 9.5) for e in effects], fontsize=9.5)
    for label, bold in zip(axes.get_yticklabels(), guilty, strict=True):
        label.set_fontweight("bold" if bold else "normal")
    axes.set_xlabel(fitted(f"effect on {found.on}", 4, 9.5), fontsize=9.5)
    axes.tick_params(labelsize=_SMALL, length=3)
    axes.tick_params(axis="y", length=0, labelsize=9.5)
    axes.grid(axis="x", color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    for at, effect in enumerate(effects):
        share = "not told apart" if effect.share is None else f"{round(100 * effect.share)} %"
        sheet.text(_WIDTH - _VALUES + 0.15, _ABOVE + _ROW * (at + 0.5) + 0.05, share, fontsize=9.5, color=INK)
    sheet.text(_NAMES, height + _FOOT - 0.12, _KEY, fontsize=_SMALL, color=GREY)


def _mark(axes: Any, at: int, effect: AxisEffect) -> None:
    """The two one-at-a-time effects, and the interval of an estimate."""
    style = {"linestyle": "none", "clip_on": False, "zorder": 4, "markeredgecolor": INK, "markeredgewidth": 1.0}
    if effect.alone is not None:
        axes.plot([effect.alone], [at], marker="D", markersize=5, color=INK, **style)
    if effect.taken_out is not None:
        axes.plot([effect.taken_out], [at], marker="o", markersize=8.5, markerfacecolor="none", **style)
    if effect.low is not None and effect.high is not None:
        axes.plot([effect.low, effect.high], [at, at], color=INK, linewidth=1.2, zorder=3)


def _ends(effects: Sequence[AxisEffect]) -> tuple[float, float]:
    values = [0.0]
    for effect in effects:
        values += [
            v for v in (effect.shapley, effect.low, effect.high, effect.alone, effect.taken_out) if v is not None
        ]
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    kinds = ["text" if name in _TEXTS else "number" for name in columns]
    head = _row("th", kinds, columns)
    body = "\n".join(_row("td", kinds, row) for row in rows)
    return f'<div class="scroll"><table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody></table></div>\n'


def _row(tag: str, kinds: Sequence[str], texts: Sequence[str]) -> str:
    cells = (f'<{tag} class="{kind}">{escape_text(text)}</{tag}>' for kind, text in zip(kinds, texts, strict=True))
    return f"<tr>{''.join(cells)}</tr>"
