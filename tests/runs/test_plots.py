"""The pictures: PNG of the right size, the same bytes each time, for data of any shape and any names."""

import io
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lin.runs.evaluate import Evaluation
from lin.runs.plots import MOST_POINTS, prediction_error_plot, residual_plot

Plot = Callable[["pd.Series[Any]", Evaluation], bytes]
RNG = np.random.RandomState(0)

plots = pytest.mark.parametrize("plot", [prediction_error_plot, residual_plot])


def regression(rows: int) -> tuple["pd.Series[Any]", Evaluation]:
    target = pd.Series(RNG.gamma(2.0, 3.0, rows), name="medv")
    return target, Evaluation(target.to_numpy() + RNG.randn(rows), metrics={"rmse": 1.0, "r2": 0.9})


def classification(
    classes: list[Any], rows: int = 300, *, probable: bool = True
) -> tuple["pd.Series[Any]", Evaluation]:
    target = pd.Series(RNG.choice(len(classes), rows), name="kind")
    probabilities = RNG.dirichlet(np.ones(len(classes)), rows)
    predictions = [classes[at] for at in probabilities.argmax(axis=1)]
    return pd.Series([classes[at] for at in target], name="kind"), Evaluation(
        np.array(predictions), probabilities if probable else None, classes, {"accuracy": 0.5}
    )


def colours(png: bytes) -> set[Any]:
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.size) == ("PNG", (640, 480))
        assert set(image.info) <= {"dpi"}
        return {colour for _, colour in image.convert("RGB").getcolors(1 << 24)}


@plots
@pytest.mark.parametrize("rows", [1, 2, 3000])
def test_regression(plot: Plot, rows: int) -> None:
    target, result = regression(rows)
    png = plot(target, result)
    assert len(colours(png)) > 20
    assert plot(target, result) == png


@plots
@pytest.mark.parametrize("probable", [True, False])
@pytest.mark.parametrize("count", [2, 11, 25])
def test_classification(plot: Plot, count: int, probable: bool) -> None:
    target, result = classification([f"class {at}" for at in range(count)], probable=probable)
    assert len(colours(plot(target, result))) > 20


@plots
def test_bytes_do_not_depend_on_the_users_settings(plot: Plot) -> None:
    import matplotlib as mpl

    target, result = regression(50)
    plain = plot(target, result)
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 20, "savefig.dpi": 30}):
        assert plot(target, result) == plain
        assert mpl.rcParams["axes.facecolor"] == "red"


@plots
def test_other_numbers_give_another_picture(plot: Plot) -> None:
    target, result = regression(50)
    changed = Evaluation(result.predictions * 1.1, metrics=result.metrics)
    assert plot(target, result) != plot(target, changed)


@plots
@pytest.mark.parametrize("values", [[np.nan, 1.0], [np.inf, np.nan], [1e308, -1e308], [5.0, 5.0]])
def test_numbers_that_are_hard_to_draw(plot: Plot, values: list[float]) -> None:
    target = pd.Series(values)
    colours(plot(target, Evaluation(np.array([1.0, 2.0]))))


@plots
@pytest.mark.parametrize("name", ["$\\frac{", "名前", "a\nb\x00\x1b[31m" + "x" * 500, ""])
def test_any_name_is_drawn_as_it_is(plot: Plot, name: str) -> None:
    target, result = classification([name, "other"], probable=False)
    colours(plot(target.rename(name), result))


@plots
def test_a_million_rows_are_sampled_and_the_picture_says_so(plot: Plot) -> None:
    target, result = regression(1_000_000)
    png = plot(target, result)
    assert png == plot(target, result)
    step = np.linspace(0, 999_999, MOST_POINTS).astype(int)
    sampled = Evaluation(result.predictions[step], metrics=result.metrics)
    assert png != plot(target.iloc[step], sampled)


@plots
def test_a_label_that_training_never_saw(plot: Plot) -> None:
    for probable in (True, False):
        target, result = classification(["a", "b"], probable=probable)
        target.iloc[:5] = "z"
        colours(plot(target, result))


def test_pyplot_is_left_alone() -> None:
    code = (
        "import sys, numpy, pandas\nfrom lin.runs.evaluate import Evaluation\nfrom lin.runs.plots import *\n"
        "t = pandas.Series([1., 2.]); r = Evaluation(numpy.array([1., 3.]))\n"
        "prediction_error_plot(t, r); residual_plot(t, r); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
