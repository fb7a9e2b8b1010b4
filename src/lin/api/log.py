"""Logging to the active run: each function says what it records and returns when that is written.

Points of metrics that come fast may wait a second, or until `flush`; see `lin.runs.logfile`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lin.api.session import current_log
from lin.errors import NotFoundError, UsageError
from lin.runs.log import check_artifact_path, plain_param, plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def log_param(key: str, value: Any) -> None:
    """Record a parameter of the active run; the last value of a key counts. Whatever JSON cannot hold becomes text."""
    current_log().log_param(key, value)


def log_params(params: Mapping[str, Any]) -> None:
    """Record several parameters; all of them, or where one cannot be recorded none."""
    current_log().log_params(params)


def log_metric(key: str, value: float, *, step: int = 0) -> None:
    """Record a point of a metric of the active run; the one with the highest step, then the last, is its value.

    Every bit of the value is kept. The first 20 points of a second are written when this returns; those that follow are
    written together, within a second: that much a kill of the process can lose, if it comes without a `flush`.
    """
    current_log().log_metric(key, value, step=step)


def log_metrics(metrics: Mapping[str, float], *, step: int = 0) -> None:
    """Record a point of several metrics, of the same time; all of them, or where one cannot be recorded none."""
    current_log().log_metrics(metrics, step=step)


def flush() -> None:
    """Write what waits: after this, a kill of the process loses nothing that was logged before."""
    current_log().flush()


def set_tag(key: str, value: str) -> None:
    """Give the active run a tag; the last value of a key counts."""
    current_log().set_tag(key, value)


def set_tags(tags: Mapping[str, str]) -> None:
    """Give the active run several tags; all of them, or where one cannot be recorded none."""
    current_log().set_tags(tags)


def log_artifact(path: str | Path, name: str | None = None) -> None:
    """Keep a file with the active run, under `name` (default: the file's).

    Raises:
        NotFoundError: no such file. OutsideError: it cannot be read.
    """
    path = Path(path)
    current_log().log_artifact(path, name or path.name)


def log_artifacts(folder: str | Path, name: str | None = None) -> None:
    """Keep every file below `folder` with the active run, each under its path in it, below `name` if that is given.

    Links to folders are not followed.

    Raises:
        NotFoundError: no such folder. UsageError: a file's name cannot be an artifact's; then none was kept.
    """
    folder = Path(folder)
    if not os.path.isdir(folder):  # noqa: PTH112 - it may be no path at all
        raise NotFoundError(f"there is no folder '{folder}'", hint="lin.log_artifact(…) keeps one file")
    found = (Path(inside, file) for inside, _, files in os.walk(folder) for file in files)
    prefix = f"{name}/" if name else ""
    named = {check_artifact_path(prefix + path.relative_to(folder).as_posix()): path for path in found}
    log = current_log()
    for artifact in sorted(named):
        if named[artifact].is_file():
            log.log_artifact(named[artifact], artifact)


def log_text(text: str, name: str) -> None:
    """Keep a text with the active run, as UTF-8."""
    current_log().log_artifact(plain_text(text).encode(), name)


def log_dict(values: Mapping[str, Any] | list[Any], name: str) -> None:
    """Keep a map or list with the active run, as JSON; what JSON cannot hold becomes text.

    Raises:
        UsageError: `name` does not end in `.json`.
    """
    if not name.endswith(".json"):
        raise UsageError(f"a dict is kept as JSON, and '{name}' does not end in .json", hint=f"'{name}.json'")
    text = msgspec.json.format(msgspec.json.encode(plain_param(values)), indent=2)
    current_log().log_artifact(text + b"\n", name)


def log_figure(figure: "Figure | Axes", name: str) -> None:
    """Keep a matplotlib figure with the active run, as PNG, SVG or PDF: the end of `name` says which.

    The same figure gives the same bytes: no date and no version is in them.

    Raises:
        UsageError: it is no figure of matplotlib, or the name has another ending.
    """
    from lin.runs.figures import render_figure

    current_log().log_artifact(render_figure(figure, name), name)


def log_model(model: Any, name: str = "model") -> None:
    """Keep a fitted scikit-learn model with the active run, as `NAME/model.skops`.

    `lin register` takes the one whose name is `model`. Log it before it predicts: some models count their queries.

    Raises:
        OutsideError: skops cannot store it, or what it would store could not be loaded again.
    """
    from lin.runs.persist import dump_model

    current_log().log_artifact(dump_model(model), f"{name}/model.skops")
