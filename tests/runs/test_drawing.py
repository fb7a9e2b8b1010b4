"""How pictures become bytes: the same ones each time, whatever the user's settings; labels cut to their room."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.runs.drawing import Sheet, draw_png, draw_svg, fitted, shortened, width_of


def draw(figure: Any) -> None:
    sheet = Sheet(figure, 4.0, 2.0)
    sheet.axes(0.5, 0.25, 3.0, 1.5).plot([1, 2], [3, 4])
    sheet.text(0.1, 0.2, "$x_1$ <b>&amp;</b>")
    sheet.bar(0.1, 1.9, 3.0, 0.05, "#2b6ca3")


def test_the_same_drawing_gives_the_same_bytes_whatever_the_settings() -> None:
    import matplotlib as mpl

    plain = draw_png(draw, (4, 2)), draw_svg(draw, (4, 2))
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 20, "svg.hashsalt": "other", "text.usetex": True}):
        assert (draw_png(draw, (4, 2)), draw_svg(draw, (4, 2))) == plain
        assert mpl.rcParams["svg.hashsalt"] == "other"


def test_an_svg_is_one_element_whose_text_is_text() -> None:
    svg = draw_svg(draw, (4, 2))
    assert svg.startswith("<svg")
    assert svg.rstrip().endswith("</svg>")
    assert "$x_1$ &lt;b&gt;&amp;amp;&lt;/b&gt;" in svg
    assert "<metadata" not in svg


def test_places_on_a_part_of_a_sheet_are_inches_from_its_top() -> None:
    from matplotlib.figure import Figure

    part = Sheet(Figure(figsize=(10, 8)), 10.0, 8.0).part(2.0, 3.0).part(1.0, 2.0)
    box = part.axes(1.0, 0.5, 5.0, 1.0).get_position()
    assert (box.x0, box.width, box.height) == pytest.approx((0.1, 0.5, 0.125))
    assert box.y1 == pytest.approx(1 - 3.5 / 8)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60), st.floats(0.3, 3.0), st.booleans())
def test_a_label_is_as_much_of_a_text_as_fits(text: str, inches: float, bold: bool) -> None:
    label = fitted(text, inches, 8.0, bold=bold)
    assert label.isprintable()
    if label != shortened(text, 200):
        assert label.endswith("…")
        assert width_of(label, 8.0, bold=bold) <= inches
        assert shortened(text, 200).startswith(label[:-1])


def test_a_short_label_stays_whole() -> None:
    assert fitted("crim", 1.0, 9.0) == "crim"
    assert re.fullmatch("W+…", fitted("W" * 5000, 1.0, 9.0))
    assert shortened("a\nb\x1b", 14) == "a�b�"
