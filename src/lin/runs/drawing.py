"""How every picture looks, and how one becomes bytes: the colours, the style, PNG and SVG.

The same drawing gives the same bytes: no date, no version, no window system, no settings of the user's. Text
from data is drawn as it is, never as a formula.
"""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lin.errors import OutsideError

INK, GREY, LIGHT = "#22313f", "#8a949e", "#dfe4e8"
BLUE, ORANGE, GREEN, VIOLET, RED = "#2b6ca3", "#d9722e", "#3f9b6c", "#7a6fb0", "#a03d3d"
COLOURS = (BLUE, ORANGE, GREEN, "#b0508e", VIOLET, "#c9a227", "#4aa3b5", "#8c5a3c", "#6b7885", RED)
LARGEST = 1e100
"""Beyond this the axes overflow."""

_LONGEST_NAME = 14
_MOST_CHARACTERS = 200
_FONT = ["DejaVu Sans"]
_STYLE = {
    "font.family": _FONT,
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Sheet:
    """A part of a figure that is told places in inches, from its upper left corner."""

    figure: Any
    width: float
    height: float
    top: float = 0.0
    """Where it begins on the figure, which is `whole` inches high."""
    whole: float | None = None

    def part(self, top: float, height: float) -> "Sheet":
        """The strip of that height that begins at `top`."""
        return Sheet(self.figure, self.width, height, self.top + top, self.whole or self.height)

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        """Axes in that box."""
        whole = self.whole or self.height
        bottom = 1 - (self.top + top + height) / whole
        return self.figure.add_axes((left / self.width, bottom, width / self.width, height / whole))

    def text(self, left: float, top: float, text: str, **style: Any) -> None:
        """Text whose baseline begins there."""
        self.figure.text(left / self.width, 1 - (self.top + top) / (self.whole or self.height), text, **style)

    def bar(self, left: float, top: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle."""
        from matplotlib.patches import Rectangle

        whole = self.whole or self.height
        corner = (left / self.width, 1 - (self.top + top + height) / whole)
        size = (width / self.width, height / whole)
        patch = Rectangle(corner, *size, transform=self.figure.transFigure, color=colour, linewidth=0)
        self.figure.add_artist(patch)


def draw_png(draw: Callable[[Any], None], size: tuple[float, float] = (6.4, 4.8), *, dpi: int = 100) -> bytes:
    """The PNG of what `draw` puts on a figure of that size in inches."""
    sink = io.BytesIO()
    with _styled():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, dpi=dpi)
        canvas = FigureCanvasAgg(figure)
        draw(figure)
        canvas.print_png(sink, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return sink.getvalue()


def draw_svg(draw: Callable[[Any], None], size: tuple[float, float], *, dpi: int = 150) -> str:
    """The same as an `svg` element without background, to stand in a page; its text stays text.

    Parts that are drawn `rasterized` lie in it as PNG, `dpi` points to the inch.
    """
    sink = io.BytesIO()
    with _styled({"svg.fonttype": "none", "svg.hashsalt": "lin", "figure.facecolor": "none", "axes.facecolor": "none"}):
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, dpi=dpi)
        canvas = FigureCanvasSVG(figure)
        draw(figure)
        canvas.print_svg(sink, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))  # type: ignore[no-untyped-call]
    document = sink.getvalue().decode()
    return document[document.index("<svg") :]


def import_matplotlib() -> Any:
    """The module. On import it reads a `matplotlibrc` of the working folder: no picture goes by it, nor stops for it.

    Raises:
        OutsideError: that is no file, or not text.
    """
    complaints = logging.getLogger("matplotlib")
    level = complaints.level
    complaints.setLevel(logging.CRITICAL)  # they would quote the file, terminal escapes and all
    try:
        _require_plain(Path("matplotlibrc"))
        import matplotlib as mpl
    except (OSError, UnicodeDecodeError) as error:
        raise OutsideError(
            f"matplotlib cannot read its settings, a file 'matplotlibrc': {error}", hint="take it out of this folder"
        ) from error
    finally:
        complaints.setLevel(level)
    return mpl


def _require_plain(place: Path) -> None:
    """Raise `OSError` for what could be read without end: a pipe, a device."""
    if place.exists() and not (place.is_file() or place.is_dir()):
        raise OSError("it is no regular file")


@contextmanager
def _styled(more: dict[str, Any] | None = None) -> Iterator[None]:
    mpl = import_matplotlib()
    plain: dict[Any, Any] = {key: value for key, value in mpl.rcParamsDefault.items() if key != "backend"}
    with mpl.rc_context(plain | _STYLE | (more or {})), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name in a script that the font lacks
        yield


def shortened(label: Any, longest: int = _LONGEST_NAME) -> str:
    """The label in at most `longest` characters, each of them printable."""
    text = "".join(char if char.isprintable() else "�" for char in str(label))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def width_of(text: str, points: float, *, bold: bool = False) -> float:
    """How wide the text is at that size of the font, in inches."""
    import_matplotlib()
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    weight = "bold" if bold else "normal"
    font = FontProperties(family=_FONT, style="normal", variant="normal", weight=weight, stretch="normal", size=points)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in `_styled`
        return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def fitted(label: Any, inches: float, points: float, *, bold: bool = False) -> str:
    """As much of the label as fits into that width at that size of the font."""
    text = shortened(label, _MOST_CHARACTERS)
    if width_of(text, points, bold=bold) <= inches:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        fits = width_of(text[:middle] + "…", points, bold=bold) <= inches
        low, high = (middle, high) if fits else (low, middle - 1)
    return text[:low].rstrip() + "…"
