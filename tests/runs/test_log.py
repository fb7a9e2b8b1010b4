"""What may be logged: names that can be shown, values that JSON can hold, steps that are whole numbers."""

import enum
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lin.errors import NotFoundError, OutsideError, UsageError
from lin.project import Project
from lin.records import Sealed
from lin.runs.log import attach, plain_param
from lin.runs.query import read_run
from lin.runs.record import Recorder
from lin.store.runs import LOG, Point, read_lines

Begin = Callable[..., Recorder]


def read_sealed(project: Project, run_id: str) -> Sealed:
    sealed = project.store.runs.sealed(run_id)
    assert sealed is not None
    return sealed


@pytest.mark.parametrize(
    "path",
    [
        "", ".", "..", "/etc/passwd", "../x", "a/../x", "a/./b", "a//b", "a/", "a\\b", "C:\\x", "\\\\unc\\x",
        "a\0b", "a\nb", "\x1b[31m", "a\udcff",
    ],
)  # fmt: skip
def test_hostile_artifact_names_are_refused(project: Project, begin: Begin, path: str) -> None:
    run = begin()
    with pytest.raises(UsageError, match="cannot name an artifact"):
        run.log_artifact(b"x", path)
    run.seal("finished")
    assert read_sealed(project, run.id).artifacts == []


@pytest.mark.parametrize("path", ["a", "plots/errors.png", "a b/c;d", "%2e%2e/x", "..x", "größe.png", "-rf"])
def test_odd_but_harmless_artifact_names_are_kept(begin: Begin, path: str) -> None:
    assert begin().log_artifact(b"x", path).path == path


def test_what_is_no_file_is_no_artifact(begin: Begin, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no file"):
        begin().log_artifact(tmp_path / "missing", "x")
    with pytest.raises(OutsideError, match="cannot read"):
        begin().log_artifact(tmp_path, "x")


@pytest.mark.parametrize("key", ["", "a\nb", "\x1b]0;x", "k" * 251, "\udcff"])
def test_keys_that_cannot_be_shown_are_refused_everywhere(begin: Begin, key: str) -> None:
    run = begin()
    for log in (run.log_param, run.log_metric, run.set_tag):
        with pytest.raises(UsageError, match="cannot name a parameter, metric or tag"):
            log(key, 1)  # type: ignore[arg-type]
    for facts in ({"params": {key: 1}}, {"tags": {key: "x"}}):
        with pytest.raises(UsageError, match="cannot name a parameter, metric or tag"):
            begin(**facts)


def test_a_metric_must_be_a_number(begin: Begin) -> None:
    with pytest.raises(UsageError, match="metric 'm' is not a number: 'high'"):
        begin().log_metric("m", "high")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (True, True), (None, None), (7, 7), (0.1, 0.1), ("x", "x"),
        ((1, 2.5), [1, 2.5]), ({1: {"a": None}}, {"1": {"a": None}}),
        (math.nan, "nan"), (-math.inf, "-inf"), (2**63, "9223372036854775808"), (-(2**63), -(2**63)),
        (np.float64(0.25), 0.25), (np.int32(4), 4), (np.bool_(True), True), (np.array(2.0), 2.0),
        (Path("a/b"), "a/b"), (max, "<built-in function max>"),
    ],
)  # fmt: skip
def test_parameters_are_what_json_can_hold(project: Project, begin: Begin, value: Any, kept: Any) -> None:
    plain = plain_param(value)
    assert (plain, type(plain)) == (kept, type(kept))
    run = begin(params={"first": value})
    run.log_param("second", value)
    run.seal("finished")
    assert read_sealed(project, run.id).params == {"first": kept, "second": kept}


def test_bytes_that_are_no_text_are_spelled_out(project: Project, begin: Begin) -> None:
    bad = os.fsdecode(b"caf\xe9")
    run = begin(name=bad, command=["cat", bad], folder=bad, reason=bad, params={"p": [bad]}, tags={"t": bad})
    run.log_param("q", {bad: bad})
    run.set_tag("u", bad)
    run.seal("failed", error=bad)
    info = read_run(project.store, run.id)
    told = r"caf\udce9"
    assert (info.name, info.command, info.folder, info.reason, info.error) == (told, ["cat", told], told, told, told)
    assert info.params == {"p": [told], "q": {told: told}}
    assert info.tags == {"t": told, "u": told}


class Name(str, enum.Enum):  # noqa: UP042  the kind that is no StrEnum
    RMSE = "rmse"


def test_keys_and_steps_of_other_types_count_as_what_they_are(project: Project, begin: Begin) -> None:
    run = begin()
    for key in (np.str_("rmse"), Name.RMSE, "rmse"):
        run.log_metric(key, np.float32(0.1), step=np.int64(7))  # type: ignore[arg-type]
        run.log_param(key, Name.RMSE)
        run.set_tag(key, key)
    run.log_metric("on", True, step=True)
    lines = list(read_lines(project.store.runs.file(run.id, LOG) or b"", "it"))
    points = [(line.key, line.value, line.step) for line in lines if isinstance(line, Point)]
    assert points == [("rmse", float(np.float32(0.1)), 7)] * 3 + [("on", 1.0, 1)]
    run.seal("finished")
    assert read_sealed(project, run.id).tags == {"rmse": "rmse"}


@pytest.mark.parametrize(
    ("step", "told"), [(1.5, "whole number, not 1.5"), ("3", "not '3'"), (2**63, "beyond 64 bits")]
)
def test_a_step_is_a_whole_number(begin: Begin, step: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        begin().log_metric("m", 1.0, step=step)


def test_there_must_be_such_a_run(project: Project, begin: Begin) -> None:
    begin()
    with pytest.raises(NotFoundError, match="there is no run 01a20151219979b789a69055b16f56c7"):
        attach(project.store, "01a20151219979b789a69055b16f56c7")
    with pytest.raises(UsageError, match="is not a run's id"):
        attach(project.store, "../../etc")
