"""The pictures of a table: PNG and page, the same bytes each time, for tables of any shape and any names."""

import io
import re
from collections.abc import Callable
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from lin.data.profile import Look, profile_version
from lin.data.tables import Table
from lin.runs.drawing import GREEN, ORANGE
from lin.runs.profile_page import page_profile
from lin.runs.profile_panels import share, short_number
from lin.runs.profile_plots import MOST_COLUMNS, choose_columns, describe, find_sections, picture_profile

HOSTILE = "<script>alert(1)</script>"
LookAt = Callable[..., Look]


@pytest.fixture
def look_at(tmp_path: Path) -> LookAt:
    """Profiles a new table with these columns."""

    def look(columns: Any, **options: Any) -> Look:
        from deltalake import write_deltalake

        root = tmp_path / f"table {len(list(tmp_path.iterdir()))}"
        write_deltalake(root, pa.table(columns))
        return profile_version(Table("housing", root), **options)

    return look


def rows_of(count: int) -> dict[str, Any]:
    draw = np.random.default_rng(1)
    rooms, city = draw.normal(size=count), draw.integers(0, 12, count)
    value = np.where(draw.uniform(size=count) < 0.3, np.nan, 3 * rooms + city)
    return {
        "rooms": rooms,
        "minus": -rooms + draw.normal(size=count),
        "whole": draw.integers(0, 9, count),
        "city": [f"city number {number}" for number in city],
        "day": pa.array((20_000 + draw.integers(0, 900, count)).astype("int32"), pa.date32()),
        "on": draw.uniform(size=count) < 0.4,
        "text": [f"text {number}" for number in range(count)],
        "tags": [["a"]] * count,
        "none": pa.nulls(count, pa.float64()),
        "value": pa.array(value, from_pandas=True),
    }


def size_of(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        assert set(image.info) <= {"dpi"}
        assert len(image.convert("RGB").getcolors(1 << 24) or []) > 20
        return image.size


@pytest.mark.parametrize("target", ["value", "city"])
def test_pictures_are_the_same_each_time(look_at: LookAt, target: str) -> None:
    first, again = (look_at(rows_of(120), target=target) for _ in range(2))
    assert picture_profile(again) == picture_profile(first)
    assert page_profile(again) == page_profile(first)


@pytest.mark.parametrize("target", ["whole", "on", "day", None])
def test_pictures_of_every_kind_of_target(look_at: LookAt, target: str | None) -> None:
    assert size_of(picture_profile(look_at(rows_of(100), target=target)))[0] == 1584


def test_other_rows_give_another_picture(look_at: LookAt) -> None:
    one, other = (look_at({"x": [1.0, 2.0, 4.0, last]}) for last in (5.0, 6.0))
    assert picture_profile(one) != picture_profile(other)


def test_what_there_is_to_draw(look_at: LookAt) -> None:
    columns = rows_of(100)
    sections = [section.title for section in find_sections(look_at(columns, target="value"))]
    assert sections == ["Columns", "Associations with value", "The strongest against the target"]
    assert [section.title for section in find_sections(look_at(columns))] == ["Columns", "Correlation of the numbers"]
    assert [section.title for section in find_sections(look_at({"t": [["a"]]}))] == ["Columns"]
    assert [section.title for section in find_sections(look_at(columns, target="none"))] == ["Columns"]


def test_the_first_lines_say_what_the_numbers_are_of(look_at: LookAt) -> None:
    columns = rows_of(100)
    missing = sum(value is None for value in columns["value"].to_pylist())
    assert describe(look_at(columns, target="value").profile) == [
        f"100 rows  ·  10 columns  ·  target value: {missing} rows without"
    ]
    assert describe(look_at(columns, target="on").profile) == ["100 rows  ·  10 columns  ·  target on (2 classes)"]
    sampled = describe(look_at(columns, sample=40).profile)
    assert sampled[1].endswith("distributions and associations of 40 rows, evenly spread.")


def test_of_many_columns_the_strongest_and_the_emptiest_are_shown(look_at: LookAt) -> None:
    draw = np.random.default_rng(2)
    columns: dict[str, Any] = {f"x{at}": draw.normal(size=80) for at in range(60)}
    columns["x59"] = pa.array([None] * 60 + [1.0, 2.0] * 10)
    columns["target"] = np.array(columns["x40"]) * 3 + draw.normal(size=80)
    look = look_at(columns, target="target")
    shown = [column.name for column in choose_columns(look.profile)]
    assert len(shown) == MOST_COLUMNS
    assert {"x40", "x59", "target"} <= set(shown)
    assert shown == sorted(shown, key=list(columns).index)
    first, bars, _ = find_sections(look)
    assert first.remark == "30 of 61: the strongest and those that miss most; 31 left out"
    assert "30 weaker ones left out" in bars.remark
    plain = look_at(columns)
    assert [column.name for column in choose_columns(plain.profile)] == [*(f"x{at}" for at in range(29)), "x59"]
    assert size_of(picture_profile(look))[1] > 3000


@pytest.mark.parametrize(
    "columns",
    [
        {"x": pa.array([], pa.float64()), "y": pa.array([], pa.string())},
        {"x": [1.0], "y": ["a"], "d": [date(2020, 1, 1)]},
        {"x": pa.nulls(5, pa.float64()), "y": [1, 2, 3, 4, 5]},
        {"x": [1e308, -1e308, 5.0], "y": [float("nan")] * 3, "z": [float("inf"), 1.0, 2.0]},
        {"x": [1e16, 1e16 + 2, 1e16 + 4], "y": [1e-310, 2e-310, 0.0], "k": [2**63 - 1, -(2**63), 0]},
        {"x": pa.array([-(2**62), 2**62, 0], pa.timestamp("us")), "d": [date(1, 1, 1), date(9999, 12, 31), None]},
        {"x": [7, 7, 7], "y": ["a", "a", "a"], "z": [1.0, 2.0, 3.0]},
    ],
)
def test_values_that_are_hard_to_draw(look_at: LookAt, columns: dict[str, Any]) -> None:
    first, *_, last = columns
    for target in (None, first, last):
        assert page_profile(look_at(columns, target=target))


@pytest.mark.parametrize(
    "name", [HOSTILE, "$\\frac{a}{b", "שלום عليكم", "名前", "a\n\x1b[31mb", "x" * 500, "--><!--", "{title}"]
)
def test_any_name_and_any_value_is_drawn_as_it_is(look_at: LookAt, name: str) -> None:
    columns = {name: [1.0, 2.0, 4.0, 5.0], "s": [name, name, "b", "b"], "y": [1.0, 2.0, 3.0, 4.5]}
    size_of(picture_profile(look_at(columns, target="y")))
    assert_harmless(page_profile(look_at(columns, target="s")))


# --- the page -------------------------------------------------------------------------------------------------


class _Reader(HTMLParser):
    """Collects the elements of a page, what they refer to, and the texts of its cells."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.depth: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.depth.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.references += [value or "" for name, value in attrs if name in {"href", "src", "xlink:href", "srcset"}]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def assert_harmless(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.tags.isdisjoint({"script", "iframe", "object", "embed", "link", "form", "base"})
    assert all(reference.startswith(("#", "data:image/png;base64,")) for reference in reader.references)
    assert re.findall(r"url\((?!#)", page) == []
    return reader


def test_the_page_needs_nothing_from_outside_and_runs_nothing(look_at: LookAt) -> None:
    columns = rows_of(60) | {HOSTILE: [HOSTILE, "&amp;", "b"] * 20}
    page = page_profile(look_at(columns, target="value"))
    reader = assert_harmless(page)
    assert "default-src 'none'" in page
    assert HOSTILE not in page
    assert reader.texts.count(HOSTILE) >= 3  # in the pictures, and in the table
    assert "svg" in reader.tags


def test_the_pictures_of_a_page_take_its_colours(look_at: LookAt) -> None:
    page = page_profile(look_at(rows_of(60), target="value"))
    pictures = page[page.index("<svg") :]
    assert ORANGE not in pictures
    assert GREEN not in pictures
    assert "var(--colour-1)" in pictures
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_parts_of_pictures_are_not_mixed_up(look_at: LookAt) -> None:
    page = page_profile(look_at(rows_of(60), target="value"))
    named = re.findall(r' id="([^"]+)"', page)
    assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', page)) <= set(named)
    assert not [name for name in named if re.fullmatch(r"(figure|axes|patch|text)_\d+", name)]


def test_the_table_of_a_page_has_every_column_and_its_numbers(look_at: LookAt) -> None:
    columns = {"x": [1.5, 2.5, None, float("nan")], "s": ["a", "a", "b", None], "d": [date(2026, 1, 2)] * 4}
    page = page_profile(look_at(columns))
    body = page[page.index("<tbody>") :]
    rows = [re.sub(r"<[^>]+>", "|", row) for row in re.findall(r"<tr>(.*?)</tr>", body)]
    cells = [[cell for cell in row.split("|") if cell] for row in rows]
    assert cells[0][:5] == ["x", "double", "50.0 %", "1", "3"]
    assert cells[0][5:7] == ["2", "0.70711"]
    assert cells[1] == ["s", "string", "25.0 %", "2", "a", " 66.7 %, ", "b", " 33.3 %"]
    assert cells[2] == ["d", "date", "0 %", "1", "2026-01-02 to 2026-01-02"]


# --- words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "shown"),
    [(0, "0 %"), (1, "100 %"), (1e-9, "< 0.1 %"), (1 - 1e-9, "> 99.9 %"), (0.342, "34.2 %"), (0.5, "50.0 %")],
)
def test_a_share_is_never_rounded_to_nothing_or_all(part: float, shown: str) -> None:
    assert share(part) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (-0.25, "−0.25"), (1500, "1500"), (15_000, "15k"), (2e6, "2M"), (3.5e9, "3.5G"), (1e15, "1e+15")],
)
def test_numbers_on_axes_are_short(value: float, shown: str) -> None:
    assert short_number(value) == shown
