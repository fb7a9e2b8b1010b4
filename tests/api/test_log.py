"""Files that the API makes of what it is given: folders, texts, maps, figures, models."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.linear_model import Ridge

import lin
from lin.errors import NotFoundError, UsageError
from lin.models.changes import register_model
from lin.models.predict import predict_row
from lin.project import Project
from lin.runs.query import RunInfo

Only = Callable[[], RunInfo]


@pytest.fixture
def kept(here: Project, only: Only) -> Callable[[], dict[str, bytes]]:
    """The artifacts of the one run, by name."""
    return lambda: {artifact.path: here.store.blobs.read(artifact.sha256) for artifact in only().artifacts}


def test_a_folder_is_kept_file_by_file(here: Project, tmp_path: Path, kept: Callable[[], dict[str, bytes]]) -> None:
    folder = tmp_path / "plots"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "deep" / "b.txt").write_text("b")
    (folder / "loop").symlink_to(folder)
    (folder / "gone").symlink_to(tmp_path / "missing")
    with lin.start_run():
        lin.log_artifacts(folder)
        lin.log_artifacts(str(folder), "all/plots")
        with pytest.raises(NotFoundError, match="there is no folder"):
            lin.log_artifacts(here.root / "lineage.toml")
        (folder / "new\nline").write_text("c")
        with pytest.raises(UsageError, match="cannot name an artifact"):
            lin.log_artifacts(folder, "none")
    assert kept() == {"a.txt": b"a", "deep/b.txt": b"b", "all/plots/a.txt": b"a", "all/plots/deep/b.txt": b"b"}


def test_texts_and_maps_are_kept_as_they_are(kept: Callable[[], dict[str, bytes]]) -> None:
    with lin.start_run():
        lin.log_text("größe\n", "note.md")
        lin.log_dict({"b": np.float64(0.5), "a": [None, float("nan"), Path("x/y")]}, "facts.json")
        with pytest.raises(UsageError, match=r"does not end in \.json"):
            lin.log_dict({}, "facts.yaml")
    assert kept()["note.md"].decode() == "größe\n"
    assert json.loads(kept()["facts.json"]) == {"b": 0.5, "a": [None, "nan", "x/y"]}


def test_several_params_or_tags_are_taken_together_or_not_at_all(only: Only) -> None:
    with lin.start_run():
        for log in (lin.log_params, lin.log_metrics, lin.set_tags):
            with pytest.raises(UsageError, match="cannot name"):
                log({"good": 1, "": 2})  # type: ignore[dict-item]
        with pytest.raises(UsageError, match="metric 'bad' is not a number: 'x'"):
            lin.log_metrics({"good": 1, "bad": "x"})  # type: ignore[dict-item]
        lin.set_tags({"team": "risk", "stage": "try"})
    assert (only().params, only().metrics, only().tags) == ({}, {}, {"team": "risk", "stage": "try"})


DRAW = """
import sys
from matplotlib.figure import Figure
from lin.runs.figures import render_figure
figure = Figure()
figure.subplots().plot([1, 3, 2], label="$x$")
for name in ("a.png", "a.svg", "a.pdf"):
    sys.stdout.buffer.write(render_figure(figure, name))
"""


def test_a_figure_has_the_same_bytes_in_every_process() -> None:
    first, second = (
        subprocess.run([sys.executable, "-c", DRAW], capture_output=True, check=True, env=os.environ | settings)
        for settings in ({"SOURCE_DATE_EPOCH": "1"}, {"PYTHONHASHSEED": "7"})
    )
    assert first.stdout == second.stdout
    assert b"Matplotlib v" not in first.stdout


def test_figures_and_axes_are_kept(kept: Callable[[], dict[str, bytes]]) -> None:
    figure = Figure()
    axes = figure.subplots()
    with lin.start_run():
        lin.log_figure(figure, "plots/one.png")
        lin.log_figure(axes, "two.SVG")
        with pytest.raises(UsageError, match="a DataFrame is no figure"):
            lin.log_figure(pd.DataFrame(), "x.png")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"'x.jpg' does not end in \.png, \.svg, \.pdf"):
            lin.log_figure(figure, "x.jpg")
    assert {name: content[:4] for name, content in kept().items()} == {"plots/one.png": b"\x89PNG", "two.SVG": b"<?xm"}


def test_a_model_can_be_registered_and_predicts(here: Project, kept: Callable[[], dict[str, bytes]]) -> None:
    rows = pd.DataFrame({"rm": [1.0, 2.0, 3.0]})
    model: Any = Ridge(alpha=0.0).fit(rows, [10.0, 20.0, 30.0])
    with lin.start_run() as run:
        lin.log_model(model)
        lin.log_model(model, "second")
    assert kept().keys() == {"model/model.skops", "second/model.skops"}
    version = register_model(here, run.id, "boston")
    assert predict_row(here, version.reference, {"rm": 4.0}).predictions == [pytest.approx(40.0)]


class Named(str):
    """A text that says something else of itself than it is."""

    __slots__ = ()

    def __format__(self, _: str) -> str:
        return "../../outside"

    def split(self, *_: object) -> list[str]:  # type: ignore[override]
        return ["fine"]

    def encode(self, *_: object) -> bytes:
        return b'"}\n{"'


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize("value", [10**5_000, ENDLESS, nested(900)], ids=["digits", "endless", "deep"])
def test_a_value_that_no_record_can_hold_is_refused(only: Only, value: Any) -> None:
    with lin.start_run():
        for log in (lin.log_param, lambda key, value: lin.log_params({key: [value]})):
            with pytest.raises(UsageError):
                log("a", value)
        for key in ("a", "b"):
            with pytest.raises(UsageError, match=r"^metric '.' is not a number"):
                lin.log_metric(key, value)
        with pytest.raises(UsageError, match=r"^a step is a whole number|^step .* is beyond 64 bits"):
            lin.log_metric("m", 1.0, step=value)
    assert only().params == {}


def test_a_text_that_pretends_is_taken_for_what_it_is(here: Project) -> None:
    for use in (
        lambda: lin.log_text("x", Named("../outside")),
        lambda: lin.write_table(Named("../outside"), {"a": [1]}),
        lambda: lin.log_param(Named("\n"), 1),
    ):
        with lin.start_run(), pytest.raises(UsageError):
            use()
    lin.write_table(Named("plain"), {"a": [1]}, reason=Named("why"))
    with lin.start_run(Named("run"), experiment=Named("some")):
        lin.log_text("x", Named("a/b.txt"))
    assert (here.root / "data/plain").is_dir()
    assert not (here.root.parent / "outside").exists()
    assert {(run.name, run.experiment) for run in lin.search_runs()} >= {("run", "some")}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("value", [5, 1.5, b"x", ["x"], {}, True])
def test_what_is_no_text_is_refused_and_leaves_every_record_readable(value: Any) -> None:
    for use in (
        lambda: lin.start_run(experiment=value or [value]),
        lambda: lin.write_table("made", {"a": [1]}, reason=value or [value]),
    ):
        with pytest.raises(TypeError):
            use()
    run = lin.start_run()
    with pytest.raises(UsageError, match=r"^a run does not end as"):
        run.end(value)
    with pytest.raises(TypeError):
        run.end(error=value)
    run.end("failed")
    assert [found.status for found in lin.search_runs() if found.name == "run"] == ["failed"]  # no record is a warning


class SpeechlessError(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise ZeroDivisionError


def test_an_error_without_a_text_fails_the_run(only: Only) -> None:
    with pytest.raises(SpeechlessError), lin.start_run():
        raise SpeechlessError
    assert (only().status, only().error) == ("failed", "SpeechlessError: <exception str() failed>")
