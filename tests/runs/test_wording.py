"""Texts for what differs: two values that differ never look the same, and nothing stands for what is not there."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.changes import TableDiff
from lin.numbers import Real
from lin.records import FileRef, ModelRef, TableRef
from lin.runs.differences import (
    ComparedRun,
    Difference,
    FeatureDifference,
    MetricDifference,
    RunComparison,
    SourceChange,
    TableChange,
    ThingDifference,
)
from lin.runs.hunks import FileChange
from lin.runs.wording import (
    LONGEST,
    NOTHING,
    comparison_lines,
    show_param,
    show_size,
    show_thing,
    tell_source,
    tell_table,
)

RUNS = ["a" * 32, "b" * 32]
NOTHING_DIFFERS = RunComparison(
    runs=[ComparedRun(id=run, label=run[-8:], name="fit", status="finished") for run in RUNS],
    **{name: [] for name in RunComparison.__struct_fields__ if name != "runs"},
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=2 * LONGEST))


def lines(**differences: object) -> list[tuple[str, ...]]:
    """Each line as a tuple of its words."""
    told = comparison_lines(msgspec.structs.replace(NOTHING_DIFFERS, **differences))
    return [(line.what, line.name, *(cell.text for cell in line.cells)) for line in told]


def values(first: object, second: object) -> dict[str, object]:
    return dict(zip(RUNS, (first, second), strict=True))


@settings(max_examples=100, deadline=None)
@given(SCALARS, SCALARS)
def test_params_that_differ_never_look_the_same(a: object, b: object):
    if msgspec.json.encode(a) != msgspec.json.encode(b):
        [(_, _, first, second)] = lines(params=[Difference(name="p", values=values(a, b))])
        assert first != second


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.0, "1.0"),
        (True, "True"),
        (None, "null"),
        ("x", "x"),
        ("1", '"1"'),
        ("null", '"null"'),
        ("", '""'),
        ("-", '"-"'),
    ],
)
def test_a_text_that_looks_like_another_value_is_quoted(value: object, shown: str):
    assert show_param(value) == shown


def test_long_texts_are_cut_to_where_they_part():
    same = "s" * 300
    [(*_, first, second)] = lines(tags=[Difference(name="t", values=values(f"{same}one{same}", f"{same}two{same}"))])
    assert ("one" in first, "two" in second) == (True, True)
    assert len(first) == len(second) == LONGEST + 2
    [(*_, alone, missing)] = lines(tags=[Difference(name="t", values={RUNS[0]: f"begin{same}"})])
    assert (alone[:5], alone[-1], missing) == ("begin", "…", NOTHING)


def test_each_kind_is_named_once_and_runs_where_they_are_called_otherwise():
    tags = [Difference(name=name, values=values("1", "2")) for name in "xy"]
    assert lines(tags=tags) == [("tag", "x", "1", "2"), ("", "y", "1", "2")]
    called = [msgspec.structs.replace(run, label=f"boston@{n}") for n, run in enumerate(NOTHING_DIFFERS.runs)]
    assert lines(runs=called) == [("run", "", "aaaaaaaa", "bbbbbbbb")]


def test_a_users_name_is_not_taken_for_one_of_ours():
    command = Difference(name="command", values=values("ab", "cd"))
    assert lines(tags=[command]) == [("tag", "command", "ab", "cd")]
    facts = [
        Difference(name="command", values=values(["a b", "c"], [])),
        Difference(name="peak_memory_bytes", values=values(None, 2_500_000)),
    ]
    assert lines(facts=facts) == [("run", "command", "'a b' c", NOTHING), ("", "peak memory", NOTHING, "2.5 MB")]


def test_a_metric_has_its_delta_and_side():
    def metric(deltas: dict[str, Real], better: dict[str, bool]) -> MetricDifference:
        numbers = {run: Real(value) for run, value in values(1.0, 2.5).items()}
        return MetricDifference(name="m", values=numbers, deltas=deltas, better=better)

    second = RUNS[1]
    metrics = [metric({}, {}), metric({second: Real(1.5)}, {}), metric({second: Real(-1.5)}, {second: False})]
    assert [line[-1] for line in lines(metrics=metrics)] == ["2.5", "2.5  +1.5", "2.5  -1.5 worse"]
    told = comparison_lines(msgspec.structs.replace(NOTHING_DIFFERS, metrics=metrics))
    assert [line.cells[1].better for line in told] == [None, None, False]


def test_features():
    changes = [FeatureDifference(run=RUNS[1], added=["a", "b"], removed=["c"], reordered=False)]
    assert lines(features=changes) == [("features", "", "", "+ a, b - c")]
    changes = [FeatureDifference(run=RUNS[1], added=[], removed=[], reordered=True)]
    assert lines(features=changes) == [("features", "", "", "in another order")]


def test_things():
    table = TableRef("t", "../t", 3, "0" * 64, 5, ["x", "y"])
    assert [show_thing(thing) for thing in (table, ModelRef("m", 2, "0" * 64), FileRef("f", "12345678" * 8, 1200))] == [
        "@3 by x, y",
        "@2",
        "12345678, 1.2 kB",
    ]
    thing = ThingDifference(kind="table", name="t", values={RUNS[0]: [table, msgspec.structs.replace(table, order=[])]})
    assert lines(inputs=[thing]) == [("input", "t", "@3 by x, y, @3", NOTHING)]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"updated": 173, "columns": {"medv": 173}}, "173 rows updated (medv)"),
        ({"inserted": 1, "deleted": 2000}, "1 row inserted, 2,000 rows deleted"),
        ({"identical": True}, "the same rows"),
        ({"added_columns": ["x"]}, "the same rows; added columns: x"),
        ({"updated": 1, "columns": dict.fromkeys("abcdefgh", 1)}, "1 row updated (a, b, c, d, e, f and 2 more)"),
    ],
)
def test_a_table_in_a_line(facts: dict, told: str):
    diff = TableDiff(table="t", old=0, new=1, key=None, **facts)
    change = TableChange(runs=RUNS[1:], table="t", old=0, new=1, diff=diff, note=None)
    assert tell_table(change) == f"t@0 -> t@1: {told}"
    assert tell_table(msgspec.structs.replace(change, diff=None)) == "t@0 -> t@1: other data"
    assert tell_table(msgspec.structs.replace(change, diff=None, note="gone")) == "t@0 -> t@1: gone"


def test_a_source_in_a_line():
    files = [FileChange(path=str(n), kind=kind) for n, kind in enumerate(("changed", "changed", "added", "unknown"))]
    change = SourceChange(runs=RUNS[1:], files=files, note=None)
    assert tell_source(change) == "2 files changed, 1 file added, 1 file not compared"


@pytest.mark.parametrize(("count", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (10**15, "1000.0 TB")])
def test_sizes(count: int, shown: str):
    assert show_size(count) == shown
