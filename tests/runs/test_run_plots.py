"""Pictures of runs: the same bytes each time, pages that need nothing else, and whatever names and values there are."""

import io
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lin.errors import OutsideError, UsageError
from lin.project import Project
from lin.runs.curve_panels import MOST_RUNS, gather_curves, picture_curves
from lin.runs.query import RunInfo, read_run
from lin.runs.record import Recorder
from lin.runs.run_panels import Ends, Line
from lin.runs.run_plots import draw_curves, draw_scatter
from lin.runs.where import Field, parse_field
from lin.store.runs import LOG

HOSTILE = "<script>alert(1)</script>$x^2$ \x1b[2J\u202e"
ALPHA, RMSE = parse_field("params.alpha"), parse_field("metrics.rmse")
Record = Callable[..., RunInfo]


@pytest.fixture
def record(project: Project, begin: Callable[..., Recorder]) -> Record:
    """A run with these params, and metrics with these points."""

    def record(name: str = "fit", params: dict[str, Any] | None = None, **metrics: list[float]) -> RunInfo:
        run = begin(name=name, params=params or {})
        for key, values in metrics.items():
            for step, value in enumerate(values):
                run.log_metric(key, value, step=step)
        run.seal("finished")
        return read_run(project.store, run.id)

    return record


@pytest.fixture
def runs(record: Record) -> list[RunInfo]:
    """Six runs with `alpha`, `model` and `rmse`, and three curves in two of them."""
    found = [record(f"fit {at}", {"alpha": 10.0**-at, "model": "ab"[at % 2]}, rmse=[5.0 - at / 3]) for at in range(4)]
    loss = [math.exp(-step / 10) for step in range(50)]
    found.append(record("first", {"alpha": 1, "model": "c"}, rmse=[3.0], loss=loss, val=loss[::-1]))
    found.append(record("second", {"alpha": 2}, rmse=[3.5], loss=[value * 2 for value in loss]))
    return found


class Elements(HTMLParser):
    """The names of all elements, and the texts of their titles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.titles: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.names and self.names[-1] == "title":
            self.titles.append(data)


def test_pictures_are_the_same_each_time(project: Project, runs: list[RunInfo], tmp_path: Path) -> None:
    for suffix in ("png", "html"):
        for draw in (
            lambda path: draw_scatter(runs, ALPHA, RMSE, parse_field("params.model"), output=path),
            lambda path: draw_curves(project.store, runs, output=path),
        ):
            first, again = tmp_path / f"first.{suffix}", tmp_path / f"again.{suffix}"
            told = draw(first)
            draw(again)
            assert first.read_bytes() == again.read_bytes()
            assert told.bytes == first.stat().st_size


def test_a_png_is_a_picture_as_high_as_what_is_on_it(project: Project, runs: list[RunInfo], tmp_path: Path) -> None:
    sizes = []
    for metrics in ([], ["loss"]):
        draw_curves(project.store, runs, metrics, output=tmp_path / "x.png")
        with Image.open(io.BytesIO((tmp_path / "x.png").read_bytes())) as image:
            assert set(image.info) <= {"dpi"}
            assert len(image.convert("RGB").getcolors(1 << 24) or []) > 20
            sizes.append(image.size)
    assert sizes[0][0] == sizes[1][0] == 1440
    assert sizes[0][1] > sizes[1][1]


def test_a_page_names_each_run_in_a_tip(runs: list[RunInfo], tmp_path: Path) -> None:
    path = tmp_path / "x.html"
    draw_scatter(runs, ALPHA, RMSE, parse_field("params.model"), output=path)
    found = Elements(path.read_text())
    assert found.names.count("circle") == len(runs)
    assert f"first ({runs[4].id[-8:]})\nparams.alpha = 1\nmetrics.rmse = 3\nparams.model = c" in found.titles
    assert len([title for title in found.titles if "params.alpha = " in title]) == len(runs)


def test_marks_of_a_page_lie_where_the_axes_say(runs: list[RunInfo], tmp_path: Path) -> None:
    path = tmp_path / "x.html"
    draw_scatter(runs[:4], ALPHA, RMSE, output=path)
    places = re.findall(r'<circle class="mark" cx="([\d.]+)" cy="([\d.]+)"', path.read_text())
    across = sorted(float(x) for x, _ in places)
    steps = [b - a for a, b in pairwise(across)]
    assert max(steps) - min(steps) < 0.1  # equal factors are equal steps on a logarithmic axis
    by_alpha = sorted(((float(x), float(y)) for x, y in places), reverse=True)
    assert [y for _, y in by_alpha] == sorted(y for _, y in by_alpha)  # rmse falls with alpha: y grows downwards


def test_a_page_of_curves_has_a_line_for_each_run_and_metric(
    project: Project, runs: list[RunInfo], tmp_path: Path
) -> None:
    path = tmp_path / "x.html"
    told = draw_curves(project.store, runs, output=path)
    found = Elements(path.read_text())
    assert ("class", "line") in found.attributes
    assert found.attributes.count(("class", "drawn")) == 3
    assert f"second ({runs[5].id[-8:]})\nloss, last {2 * math.exp(-4.9):.6g}" in found.titles
    assert told.fields == ["metrics.loss", "metrics.val"]
    assert told.runs == [run.id for run in runs[4:]]
    assert [each.name for each in told.left_out] == [f"fit {at}" for at in range(4)]
    assert told.notes[0] == "2 of 6 runs"


def test_metrics_that_are_named_share_their_axes(project: Project, runs: list[RunInfo]) -> None:
    curves = gather_curves(project.store, runs[4:], ["val", "loss"])
    picture = picture_curves(curves, together=True)
    assert [len(panel.lines) for panel in picture.panels] == [3]
    ids = [run.id[-8:] for run in runs[4:]]
    assert [label for label, *_ in picture.key.labels] == [
        f"first ({ids[0]}) val",
        f"first ({ids[0]}) loss",
        f"second ({ids[1]}) loss",
    ]
    assert len({look[1:] for look in picture.key.labels}) == 3
    alone = picture_curves(gather_curves(project.store, runs[4:5], ["loss", "val"]), together=True)
    assert [label for label, *_ in alone.key.labels] == ["loss", "val"]
    assert picture_curves(gather_curves(project.store, runs[4:5], ["loss"]), together=True).key.labels == ()


def test_what_is_not_finite_is_a_gap_and_said(project: Project, record: Record, tmp_path: Path) -> None:
    run = record("fit", loss=[1.0, 2.0, math.nan, 3.0, math.inf, 1e200, 4.0, 5.0, 6.0])
    picture = picture_curves(gather_curves(project.store, [run]), together=False)
    (line,) = picture.panels[0].lines
    assert [list(ys) for _, ys in line.pieces()] == [[1.0, 2.0], [3.0], [4.0, 5.0, 6.0]]
    assert "3 points are NaN, infinite or beyond 1e+100: a gap" in picture.facts
    assert picture.panels[0].y.high < 7
    for suffix in ("png", "html"):
        draw_curves(project.store, [run, record("none", loss=[math.nan] * 3)], output=tmp_path / f"x.{suffix}")


def test_points_without_steps_stand_in_their_order(project: Project, begin: Callable[..., Recorder]) -> None:
    run = begin()
    for value in (3.0, 1.0, 2.0):
        run.log_metric("loss", value)
    run.seal("finished")
    picture = picture_curves(gather_curves(project.store, [read_run(project.store, run.id)]), together=False)
    assert list(picture.panels[0].lines[0].xs) == [0, 1, 2]
    assert (picture.panels[0].x.label, picture.facts[-1]) == (
        "point",
        "no steps were logged: points stand in their order",
    )


def test_more_runs_than_can_be_told_apart_are_named(project: Project, record: Record, tmp_path: Path) -> None:
    many = [record(f"fit {at}", loss=[1.0, 2.0 + at]) for at in range(MOST_RUNS + 2)]
    told = draw_curves(project.store, many, output=tmp_path / "x.png")
    assert (len(told.runs), [each.name for each in told.left_out]) == (MOST_RUNS, ["fit 30", "fit 31"])
    picture = picture_curves(gather_curves(project.store, many), together=False)
    assert len({look[1:] for look in picture.key.labels}) == MOST_RUNS


def test_a_damaged_log_costs_its_own_run_alone(project: Project, runs: list[RunInfo], tmp_path: Path) -> None:
    from lin.store.runs import _with_checksum

    project.store.runs.appender(runs[4].id, LOG).append(_with_checksum(b'{"type":"unheard of"}\n'))
    told = draw_curves(project.store, runs[4:], output=tmp_path / "x.png")
    assert told.runs == [runs[5].id]
    assert "has a line that is whole, and that this lin does not know" in told.left_out[0].reason


def test_long_curves_make_small_pages(project: Project, record: Record, tmp_path: Path) -> None:
    run = record("long", loss=[math.sin(step * step) for step in range(20_000)])
    assert draw_curves(project.store, [run], output=tmp_path / "x.html").bytes < 250_000


@pytest.mark.parametrize("suffix", ["png", "html"])
def test_hostile_names_are_shown_and_do_nothing(project: Project, record: Record, tmp_path: Path, suffix: str) -> None:
    runs = [record(HOSTILE, {"alpha": HOSTILE, "m": at}, rmse=[1.0, 2.0]) for at in range(2)]
    path = tmp_path / f"x.{suffix}"
    for draw in (
        lambda: draw_scatter(runs, ALPHA, RMSE, ALPHA, output=path),
        lambda: draw_scatter(runs, Field("params", "m"), ALPHA, output=path),
        lambda: draw_curves(project.store, runs, output=path),
        lambda: draw_curves(project.store, runs[:1], output=path),
        lambda: draw_scatter([*runs, record(HOSTILE)], ALPHA, RMSE, output=path),
    ):
        draw()
        if suffix == "html":
            page = path.read_text()
            found = Elements(page)
            assert "script" not in found.names
            assert not {"\x1b", "\u202e"} & set(page)
            links = [value for name, value in found.attributes if name.endswith("href") or name == "src"]
            assert all((value or "").startswith("#") for value in links)


@pytest.mark.parametrize(
    "values", [[0.0, 0.0], [1e99, -1e99], [5e-324, 1e-300], [1e16, 1e16 + 2], [-1.0, -1000.0], [1e-5, 1e5], [7.0]]
)
def test_values_that_are_hard_to_draw(record: Record, tmp_path: Path, values: list[float]) -> None:
    runs = [record("fit", {"alpha": value}, rmse=[value]) for value in values]
    for suffix in ("png", "html"):
        draw_scatter(runs, ALPHA, RMSE, RMSE, output=tmp_path / f"x.{suffix}")
    draw_scatter(runs, parse_field("started"), RMSE, output=tmp_path / "x.png")


def test_many_categories_are_named_where_there_is_room(record: Record, tmp_path: Path) -> None:
    runs = [record("fit", {"alpha": f"a rather long category {at}"}, rmse=[1.0 + at]) for at in range(60)]
    for x, y in ((ALPHA, RMSE), (RMSE, ALPHA)):
        assert draw_scatter(runs, x, y, output=tmp_path / "x.png").bytes


def test_what_cannot_be_drawn_is_refused(project: Project, runs: list[RunInfo], tmp_path: Path) -> None:
    for draw, says in (
        (lambda: draw_scatter(runs, ALPHA, RMSE, output=tmp_path / "x.svg"), "neither a .png nor a .html"),
        (lambda: draw_scatter([], ALPHA, RMSE), "there are no such runs"),
        (lambda: draw_scatter(runs, ALPHA, parse_field("metrics.x")), "none of 6 runs has both params.alpha"),
        (lambda: draw_curves(project.store, []), "there are no such runs"),
        (lambda: draw_curves(project.store, runs[:4], ["rmse"]), "none of 4 runs has several points of rmse"),
    ):
        with pytest.raises(UsageError, match=says):
            draw()
    with pytest.raises(OutsideError, match="cannot be written: No such file"):
        draw_curves(project.store, runs, output=tmp_path / "no" / "x.png")


def test_ends_and_pieces() -> None:
    assert Ends("x", 0.01, 100.0, is_log=True).share(1.0) == pytest.approx(0.5)
    assert Ends("x", -1.0, 3.0).share(0.0) == 0.25
    assert Line([0, 1], [math.nan, math.inf], "#000000", (), ()).pieces() == []
