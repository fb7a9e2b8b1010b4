"""The likely cause: never more than the records say, and commands that undo just what differs."""

import shlex
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lin.numbers import Real
from lin.proof.why.axes import Axes, SourceGap
from lin.proof.why.causes import Called, Findings, find_cause, undo_axis
from lin.proof.why.effects import MetricEffect
from lin.proof.why.environment_axis import Change
from lin.proof.why.recorded import Between
from lin.recipes import AXES
from lin.records import encode
from lin.runs.estimators import parse_param
from lin.runs.hunks import FileChange

A = Called("boston@1", "boston@1", experiment="housing")
B = Called("boston@2", "boston@2", experiment="housing")
OTHERS = AXES[2:]


def changed(name: str, old: Any, new: Any, **more: Any) -> Change:
    return Change(name=name, old=old, new=new, **more)


def axes_of(**differing: list[Change]) -> Axes:
    empty: dict[str, list[Change]] = {
        name: [] for name in ("environment", "params", "seed", "logged", "host", "machine")
    }
    return Axes(source=None, unknown={}, **(empty | differing))


def findings(axes: Axes, **more: Any) -> Findings:
    return Findings(**({"a": A, "b": B, "data": [], "axes": axes, "differs": ["metrics"]} | more))


def commands(found: Findings) -> list[str]:
    return [each.command for each in find_cause(found).remedies]


# --- the kinds --------------------------------------------------------------------------------------------------------


def test_what_agrees_needs_no_explanation_even_if_something_differs() -> None:
    cause = find_cause(findings(axes_of(params=[changed("alpha", 0.1, 1.0)]), differs=[]))
    assert (cause.kind, cause.blamed, cause.remedies) == ("nothing to explain", None, [])
    assert cause.sentence == "params differ, and they agree all the same: nothing to explain"


def test_nothing_to_compare_is_not_said_to_agree() -> None:
    cause = find_cause(findings(axes_of(), differs=[], results=False))
    assert (cause.kind, cause.remedies) == ("nothing to compare", [])


def test_one_axis_alone_is_the_cause_as_far_as_the_program_repeats_itself() -> None:
    found = axes_of(environment=[changed("scikit-learn", "1.9.1", "1.7.2")])
    cause = find_cause(findings(found))
    assert (cause.kind, cause.axes, cause.blamed) == ("one axis", ["environment"], "environment")
    assert cause.sentence == (
        "only the environment differs (scikit-learn 1.9.1 -> 1.7.2), so it is the cause, if the program repeats itself"
    )
    assert find_cause(findings(found, repeats=True)).sentence.endswith(
        "it is the cause, and a re-run was found the same"
    )


def test_a_seed_is_chance_and_no_cause() -> None:
    cause = find_cause(findings(axes_of(seed=[changed("seed", 1, 2)])))
    assert cause.sentence == "only the seed differs (seed 1 -> 2): this is chance"
    assert [each.command for each in cause.remedies] == ["lin rerun boston@2 -P seed=1"]


def test_of_several_axes_none_is_named() -> None:
    cause = find_cause(findings(axes_of(params=[changed("alpha", 0.1, 1.0)], host=[changed("TZ", "UTC", "CET")])))
    assert (cause.kind, cause.blamed) == ("several axes", None)
    assert cause.sentence == "params and host differ; the records do not tell which of them did it"
    assert [each.command for each in cause.remedies] == ["lin why boston@1 boston@2 --attribute", "lin rerun boston@1"]


def test_nothing_that_differs_means_that_the_program_does_not_repeat_itself() -> None:
    cause = find_cause(findings(axes_of(logged=[changed("rate", 0.5, 0.25)])))
    assert (cause.kind, cause.axes) == ("unexplained", [])
    assert "does not repeat itself" in cause.sentence
    assert cause.sentence.endswith("and logged rate 0.5 -> 0.25")
    assert [each.command for each in cause.remedies] == ["lin rerun boston@1 --repeat 3"]


def test_what_was_not_recorded_is_not_said_to_be_the_same() -> None:
    lacking = Axes(
        source=None, environment=[], params=[], seed=[], logged=[], host=[], machine=[],
        unknown={"environment": "recorded for neither"},
    )  # fmt: skip
    cause = find_cause(findings(lacking))
    assert (
        cause.sentence
        == "nothing that was recorded differs, but not all was recorded (environment: recorded for neither)"
    )


def test_predictions_in_the_data_are_named_first() -> None:
    found = findings(axes_of(params=[changed("alpha", 0.1, 1.0)], host=[changed("TZ", "UTC", "CET")]), fed="B was fed")
    cause = find_cause(found)
    assert (cause.kind, cause.blamed) == ("feedback", None)
    assert cause.sentence.startswith("B was fed. Params and host differ")


# --- runs in between --------------------------------------------------------------------------------------------------


def between(values: dict[frozenset[str], float]) -> list[Between]:
    return [
        Between(
            run=f"{at:032x}", name="fit", taken=[axis for axis in AXES if axis in taken], metrics={"rmse": Real(value)}
        )
        for at, (taken, value) in enumerate(values.items())
    ]


def lead(old: float, new: float) -> MetricEffect:
    return MetricEffect(name="rmse", old=Real(old), new=Real(new), delta=Real(new - old), better=None)


def all_differ(axes: Sequence[str]) -> Axes:
    return axes_of(**{axis: [changed(axis, 1, 2)] for axis in axes})


def test_recorded_runs_tell_two_axes_apart() -> None:
    cells = between({frozenset({"params"}): 4.05, frozenset({"environment"}): 5.02})
    cause = find_cause(findings(all_differ(["environment", "params"]), lead=lead(5.0, 4.0), between=cells))
    assert (cause.kind, cause.blamed) == ("runs between", "params")
    assert cause.sentence == (
        "environment and params differ, and it is the params, as recorded runs show: with the params of boston@2 alone "
        "rmse is 4.05 (run 00000000), with its environment alone 5.02 (run 00000001)"
    )
    assert [each.command for each in cause.remedies] == ["lin rerun boston@2 -P params=1"]


@settings(max_examples=50, deadline=None)
@given(
    axes=st.lists(st.sampled_from(OTHERS), min_size=2, max_size=4, unique=True),
    weights=st.lists(st.floats(-1, 1), min_size=4, max_size=4),
    together=st.floats(-1, 1),
    data=st.data(),
)
def test_no_axis_is_blamed_that_does_not_do_it_alone(
    axes: list[str], weights: list[float], together: float, data: st.DataObject
) -> None:
    def outcome(taken: frozenset[str]) -> float:
        own = sum(weight for axis, weight in zip(axes, weights, strict=False) if axis in taken)
        return 10 + own + (together if len(taken) == len(axes) else 0)

    whole = frozenset(axes)
    every = [frozenset(part) for n in range(1, len(axes)) for part in [axes[:n], axes[n:], *([axis] for axis in axes)]]
    cells = data.draw(st.lists(st.sampled_from(every), unique=True))
    effect = outcome(whole) - 10
    found = findings(
        all_differ([axis for axis in AXES if axis in whole]),
        lead=lead(10.0, outcome(whole)) if effect else None,
        between=between({cell: outcome(cell) for cell in cells}),
    )
    blamed = find_cause(found).blamed
    if blamed is not None:
        only = frozenset({blamed})
        assert only in cells
        assert whole - only in cells
        assert 0.9 - 1e-6 <= (outcome(only) - 10) / effect <= 1.1 + 1e-6
        assert abs((outcome(whole - only) - 10) / effect) <= 0.1 + 1e-6


# --- what to type -----------------------------------------------------------------------------------------------------


def test_packages_are_put_back_where_they_are_few() -> None:
    packages = [changed("numpy", "2.3.1", "2.4.6"), changed("pip", "25", "26", likely=False)]
    assert commands(findings(axes_of(environment=packages))) == ["lin rerun boston@2 --with numpy==2.3.1"]
    for unlike in (
        [changed(f"p{n}", "1", "2") for n in range(4)],
        [changed("numpy", "2.3.1", None, only="a")],
        [changed("python", "3.11.7", "3.12.1")],
        [changed("numpy", "2.3.1", "2.3.1", note="other files under the same version")],
        [changed("pip", "25", "26", likely=False)],
    ):
        assert commands(findings(axes_of(environment=unlike))) == ["lin rerun boston@1"]


def test_threads_are_set_for_the_experiment_since_a_rerun_sets_its_own() -> None:
    host = [changed("threads of openblas", "2", "1"), changed("TZ", "UTC; rm x", "CET"), changed("cpu", "one", "two")]
    assert commands(findings(axes_of(host=host))) == ["OPENBLAS_NUM_THREADS=2 TZ='UTC; rm x' lin run housing"]
    assert commands(findings(axes_of(host=host), b=Called("b", "b"))) == ["lin rerun boston@1"]
    assert commands(findings(axes_of(host=host[2:]))) == ["lin rerun boston@1"]


def test_files_are_checked_out_where_git_has_them() -> None:
    files = [FileChange(path="a b.py", kind="changed"), FileChange(path="new.py", kind="added")]
    source = SourceGap(files=files, git=[], commit="c" * 40, note=None, idle=False)
    axes = Axes(source=source, environment=[], params=[], seed=[], logged=[], host=[], machine=[], unknown={})
    assert commands(findings(axes)) == ["git checkout cccccccccccc -- 'a b.py'", "lin rerun boston@1"]


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3), max_leaves=4)


@settings(max_examples=50, deadline=None)
@given(name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), old=VALUES)
def test_a_parameter_that_is_put_back_is_the_old_one_to_the_last_bit(name: str, old: Any) -> None:
    changes = axes_of(params=[changed(name, old, "another")])
    for remedy in undo_axis("params", A, B, [], changes):
        words = shlex.split(remedy.command)
        assert words[:4] == ["lin", "rerun", "boston@2", "-P"]
        found, values = parse_param(words[4])
        assert found == name
        assert encode(values) == encode([old])


def test_what_cannot_be_given_is_not_offered() -> None:
    for change in (
        changed("estimator", "a.B", "c.D"),
        changed("alpha", None, 1.0, only="b"),
        changed("command", ["a"], ["b"]),
    ):
        assert commands(findings(axes_of(params=[change]))) == ["lin rerun boston@1"]
    assert commands(findings(axes_of(params=[changed("solver", "a,b", "c")]))) == ["lin rerun boston@1"]
    told = findings(axes_of(params=[changed("flag", True, False)]))
    assert commands(told) == ["lin rerun boston@2 -P flag=true"]
