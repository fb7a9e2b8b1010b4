"""Profiles of real tables: what all rows say, what the sample says, and what goes with the target."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from lin.data.profile import Association, ColumnProfile, Look, TableProfile, profile_version
from lin.data.tables import Table
from lin.errors import NotFoundError, OutsideError, UsageError

NAN, INF = float("nan"), float("inf")


def column(look: Look, name: str) -> ColumnProfile:
    return next(column for column in look.profile.columns if column.name == name)


def association(look: Look, name: str) -> Association:
    return next(each for each in look.profile.associations if each.column == name)


@pytest.fixture
def mixed(make_table: Any) -> Table:
    """Two versions of a table with a column of each kind; the second has 8 rows in two files."""
    stamp = pa.timestamp("us", "UTC")
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    first = {
        "i": [1, 2, 3, 4],
        "x": [1.5, NAN, INF, None],
        "price": pa.array([Decimal("1.10"), Decimal("2.20"), None, Decimal("-3.30")], pa.decimal128(10, 2)),
        "day": [date(2026, 1, 1), date(2026, 1, 3), None, None],
        "time": pa.array([noon, noon, noon, None], stamp),
        "naive": pa.array([datetime(2026, 1, 2), None, None, None], pa.timestamp("us")),  # noqa: DTZ001
        "on": [True, False, None, True],
        "city": ["Rome", "Oslo", "Rome", None],
        "tags": [["a"], [], None, ["b"]],
        "raw": [b"a", None, b"b", b"c"],
        "none": pa.nulls(4, pa.float64()),
        "same": [7, 7, 7, 7],
    }
    table = pa.table(first)
    return make_table(table, table)


# --- all rows -------------------------------------------------------------------------------------------------


def test_the_facts_of_all_rows(mixed: Table) -> None:
    look = profile_version(mixed)
    assert (look.profile.table, look.profile.version, look.profile.rows) == ("housing", 1, 8)
    told = {c.name: (c.type, c.kind, c.nulls, c.nans, c.infinities, c.missing) for c in look.profile.columns}
    assert told == {
        "i": ("long", "number", 0, 0, 0, 0.0),
        "x": ("double", "number", 2, 2, 2, 0.5),
        "price": ("decimal(10,2)", "number", 2, 0, 0, 0.25),
        "day": ("date", "time", 4, 0, 0, 0.5),
        "time": ("timestamp", "time", 2, 0, 0, 0.25),
        "naive": ("timestamp_ntz", "time", 6, 0, 0, 0.75),
        "on": ("boolean", "category", 2, 0, 0, 0.25),
        "city": ("string", "category", 2, 0, 0, 0.25),
        "tags": ("array<string>", "other", 2, 0, 0, 0.25),
        "raw": ("binary", "other", 2, 0, 0, 0.25),
        "none": ("double", "number", 8, 0, 0, 1.0),
        "same": ("long", "number", 0, 0, 0, 0.0),
    }


def test_extremes_and_moments_leave_out_what_is_not_finite(mixed: Table) -> None:
    look = profile_version(mixed)
    told = {c.name: (c.distinct, c.min, c.max, c.mean, c.std) for c in look.profile.columns}
    deviation = float(f"{np.std([1, 2, 3, 4] * 2, ddof=1):.10g}")
    assert told["i"] == (4, 1, 4, 2.5, deviation)
    assert told["x"] == (3, 1.5, 1.5, 1.5, 0.0)
    assert told["price"][:4] == (3, "-3.30", "2.20", pytest.approx(0.0))
    assert told["day"] == (2, "2026-01-01", "2026-01-03", None, None)
    assert told["time"][1] == "2026-01-02T12:00:00+00:00"
    assert told["naive"][1] == "2026-01-02T00:00:00"
    assert told["city"] == (2, None, None, None, None)
    assert told["tags"] == told["raw"] == (None, None, None, None, None)
    assert told["none"] == (0, None, None, None, None)
    assert told["same"] == (1, 7, 7, 7.0, 0.0)
    assert all(c.distinct_exact == (c.distinct is not None) for c in look.profile.columns)


def test_distributions_by_kind(mixed: Table) -> None:
    look = profile_version(mixed)
    city, on, day = column(look, "city"), column(look, "on"), column(look, "day")
    assert [(each.value, each.rows) for each in city.top] == [("Rome", 4), ("Oslo", 2)]
    assert [(each.value, each.share) for each in on.top] == [
        ("true", pytest.approx(2 / 3)),
        ("false", pytest.approx(1 / 3)),
    ]
    assert day.histogram is not None
    assert day.histogram.edges[0] == datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert (day.quantiles, day.top) == (None, [])
    assert column(look, "i").quantiles is not None
    for name in ("tags", "raw", "none"):
        assert (column(look, name).histogram, column(look, name).top) == (None, [])


def test_a_nan_is_in_no_mean(make_table: Any) -> None:
    found = column(profile_version(make_table(pa.table({"x": [1.5, 2.5, None, NAN], "y": [NAN, NAN, 1.0, 1.0]}))), "x")
    assert (found.nulls, found.nans, found.min, found.max, found.mean) == (1, 1, 1.5, 2.5, 2.0)
    assert found.std == pytest.approx(0.5**0.5)


def test_sums_that_overflow_have_no_mean(make_table: Any) -> None:
    look = profile_version(make_table(pa.table({"x": [1.7e308, 1.7e308, -1.7e308], "y": [1e160, 1.0, 2.0]})))
    for name in ("x", "y"):
        assert (column(look, name).mean, column(look, name).std) == (None, None)
    assert column(look, "x").max == 1.7e308


def test_times_that_python_has_no_words_for(make_table: Any) -> None:
    far = pa.array([2**62, -(2**62), 0], pa.timestamp("us"))
    found = column(profile_version(make_table(pa.table({"t": far, "y": [1.0, 2.0, 3.0]})), target="y"), "t")
    assert (found.min, found.max) == ("144170-06-28 (BC) 09:59:32.612096", "148108-07-06T14:00:27.387904")
    assert found.histogram is not None


def test_an_empty_table(make_table: Any) -> None:
    empty = pa.table(
        {"x": pa.array([], pa.float64()), "s": pa.array([], pa.string()), "t": pa.array([], pa.list_(pa.int64()))}
    )
    profile = profile_version(make_table(empty), target="x").profile
    assert (profile.rows, profile.sampled) == (0, 0)
    assert [(c.missing, c.distinct, c.histogram, c.top) for c in profile.columns] == [
        (0.0, 0, None, []),
        (0.0, 0, None, []),
        (0.0, None, None, []),
    ]
    assert [(a.column, a.value, a.rows) for a in profile.associations] == [("s", None, 0)]


def test_only_the_columns_asked_for_and_the_target_in_the_tables_order(mixed: Table) -> None:
    profile = profile_version(mixed, columns=["same", "i"], target="x").profile
    assert [c.name for c in profile.columns] == ["i", "x", "same"]
    assert [a.column for a in profile.associations] == ["i", "same"]


# --- the target -----------------------------------------------------------------------------------------------


@pytest.fixture
def houses(make_table: Any) -> Table:
    """300 rows; a hundred have no value."""
    draw = np.random.default_rng(3)
    rooms, noise = draw.normal(6, 1, 300), draw.normal(size=300)
    city = np.array(["Rome", "Oslo", "Bern"])[draw.integers(0, 3, 300)]
    value = 5 * rooms + 8 * (city == "Rome") + draw.normal(size=300)
    value[::3] = NAN
    rooms[1] = INF
    return make_table(
        pa.table(
            {
                "id": np.arange(300),
                "rooms": rooms,
                "noise": noise,
                "city": city,
                "name": [f"house {number}" for number in range(300)],
                "garden": value > np.nanmedian(value),
                "built": pa.array(np.where(np.isnan(value), 0, value * 100).astype("int32"), pa.date32()),
                "kind": draw.integers(0, 4, 300),
                "value": pa.array(value, from_pandas=True),
            }
        ),
        name="houses",
    )


def test_rows_without_the_target_are_left_out_and_counted(houses: Table) -> None:
    look = profile_version(houses, target="value")
    assert look.profile.target is not None
    assert (look.profile.target.missing, look.profile.target.classes) == (100, None)
    assert {a.column: a.rows for a in look.profile.associations} == dict.fromkeys(
        ["noise", "city", "name", "garden", "built", "kind"], 200
    ) | {"rooms": 199}


def test_a_key_goes_with_nothing_unless_it_is_asked_for(houses: Table) -> None:
    assert houses.key == ("id",)
    assert "id" not in {a.column for a in profile_version(houses, target="value").profile.associations}
    asked = profile_version(houses, target="value", columns=["id", "rooms"]).profile.associations
    assert {a.column for a in asked} == {"id", "rooms"}


def test_each_kind_of_column_has_its_measure(houses: Table) -> None:
    look = profile_version(houses, target="value")
    numbers, codes = look.sample.numbers, look.sample.codes
    both = np.isfinite(numbers["rooms"]) & np.isfinite(numbers["value"])
    rooms = association(look, "rooms")
    assert rooms.measure == "pearson"
    assert rooms.value == pytest.approx(np.corrcoef(numbers["rooms"][both], numbers["value"][both])[0, 1])
    assert rooms.spearman is not None
    assert association(look, "garden").measure == association(look, "built").measure == "pearson"
    assert (association(look, "garden").value or 0.0) > 0.5
    assert (association(look, "city").measure, association(look, "city").spearman) == ("correlation ratio", None)
    assert association(look, "name").value is None  # as many names as rows
    assert codes["city"].names[codes["city"].codes[0]] in {"Rome", "Oslo", "Bern"}


def test_the_strongest_come_first_and_the_undefined_last(houses: Table) -> None:
    associations = profile_version(houses, target="value").profile.associations
    strengths = [-1.0 if a.value is None else abs(a.value) for a in associations]
    assert strengths == sorted(strengths, reverse=True)
    assert associations[0].column == "built"
    assert associations[-1].column == "name"


def test_texts_booleans_and_few_whole_numbers_are_classes(houses: Table) -> None:
    for target, classes in (("city", 3), ("garden", 2), ("kind", 4)):
        found = profile_version(houses, target=target).profile
        assert found.target is not None
        assert len(found.target.classes or []) == classes
        measures = {a.column: a.measure for a in found.associations}
        assert measures["rooms"] == measures["built"] == "correlation ratio"
        assert measures["name"] == "cramers v"
    for target in ("id", "rooms", "built"):
        quantity = profile_version(houses, target=target).profile.target
        assert quantity is not None
        assert quantity.classes is None


def test_whole_numbers_too_large_to_be_exact_are_no_classes(make_table: Any) -> None:
    table = make_table(pa.table({"k": [2**60, 2**60 + 1, 2**60 + 2], "y": [1.0, 2.0, 3.0]}))
    target = profile_version(table, target="k").profile.target
    assert target is not None
    assert target.classes is None


def test_a_target_that_is_missing_everywhere(mixed: Table) -> None:
    profile = profile_version(mixed, target="none").profile
    assert profile.target is not None
    assert profile.target.missing == 8
    assert {a.value for a in profile.associations} == {None}


def test_without_a_target_the_numbers_are_correlated_with_each_other(houses: Table) -> None:
    matrix = profile_version(houses).profile.matrix
    assert matrix is not None
    assert matrix.columns == ["rooms", "noise", "kind", "value"]
    values = np.array(matrix.values, dtype=float)
    assert np.allclose(values, values.T)
    assert np.allclose(np.diag(values), 1.0)


def test_many_numbers_are_not_correlated_with_each_other(make_table: Any) -> None:
    wide = make_table(pa.table({f"x{number}": [1.0, 2.0, 4.0] for number in range(31)}))
    assert profile_version(wide).profile.matrix is None
    assert profile_version(wide, columns=[f"x{n}" for n in range(30)]).profile.matrix is not None


# --- the sample -----------------------------------------------------------------------------------------------


@pytest.fixture
def large(make_table: Any) -> Table:
    """Ten files of 5,000 rows, in which `n` counts on; every 100th row is marked."""
    parts = [np.arange(at * 5000, (at + 1) * 5000) for at in range(10)]
    return make_table(*(pa.table({"n": part, "x": part % 100 / 7, "mark": part % 100 == 0}) for part in parts))


def test_a_sample_has_the_size_asked_for_and_is_spread_evenly(large: Table) -> None:
    look = profile_version(large, sample=2000)
    numbers = look.sample.numbers["n"]
    assert look.profile.sampled == look.sample.rows == len(numbers) == 2000
    assert len(np.unique(numbers)) == 2000
    assert (np.abs(np.histogram(numbers, bins=50, range=(0, 50_000))[0] - 40) <= 6).all()
    # no period of the data is hit more often than another
    assert np.abs(np.bincount(numbers.astype(int) % 100, minlength=100) - 20).max() <= 6
    assert abs(look.sample.numbers["mark"].sum() - 20) <= 6


def test_the_sample_is_the_same_each_time_and_in_canonical_order(large: Table) -> None:
    first, second = (profile_version(large, sample=777) for _ in range(2))
    assert msgspec.json.encode(first.profile) == msgspec.json.encode(second.profile)
    assert np.array_equal(first.sample.numbers["n"], second.sample.numbers["n"])
    assert (np.diff(first.sample.numbers["n"]) > 0).all()


def test_rows_stand_in_canonical_order_whatever_their_files_hold(make_table: Any) -> None:
    import pyarrow.parquet as pq

    whole = [pa.table({"n": [at, at + 1, at + 2], "more": ["a", "b", "c"]}) for at in (0, 3, 6)]
    table = make_table(*whole)
    # as a writer leaves files that has not heard of the new column yet: DuckDB reads them apart from the others
    for file, rows in zip(table.log.snapshot().files[::2], whole[::2], strict=True):
        path = table.root / file.path
        pq.write_table(rows.drop_columns(["more"]), path)
        for commit in (each for each in table.log.folder.glob("*.json") if file.path in each.read_text()):
            commit.write_text(commit.read_text().replace(f'"size":{file.bytes}', f'"size":{path.stat().st_size}'))
    for sample in (None, 6):
        numbers = profile_version(table, sample=sample).sample.numbers["n"]
        assert (np.diff(numbers) > 0).all()
        assert len(numbers) >= 3


def test_what_is_of_all_rows_does_not_depend_on_the_sample(large: Table) -> None:
    sampled, whole = profile_version(large, sample=100), profile_version(large)
    assert whole.profile.sampled == 50_000
    for name in ("n", "x", "mark"):
        few, every = column(sampled, name), column(whole, name)
        for fact in ("nulls", "missing", "min", "max", "mean", "std"):
            assert getattr(few, fact) == getattr(every, fact)
        assert (few.distinct_exact, every.distinct_exact) == (False, True)
    assert column(whole, "n").distinct == 50_000
    assert column(sampled, "n").distinct == pytest.approx(50_000, rel=0.1)


def test_very_many_columns_have_a_smaller_sample(make_table: Any) -> None:
    values = np.zeros(84_000, dtype=np.int8)
    wide = make_table(pa.table({f"c{number}": values for number in range(120)}))
    assert profile_version(wide).profile.sampled == 10_000_000 // 120
    assert profile_version(wide, columns=["c1"]).profile.sampled == 84_000


def test_rows_that_were_deleted_are_not_seen(make_table: Any) -> None:
    from deltalake import DeltaTable

    table = make_table(pa.table({"id": list(range(100)), "x": [1.0] * 50 + [2.0] * 50}))
    DeltaTable(table.root).delete("x = 1.0")
    assert profile_version(table, 0).profile.rows == 100
    look = profile_version(table, 1)
    assert (look.profile.rows, column(look, "x").min) == (50, 2.0)


def test_long_texts_are_told_apart(make_table: Any) -> None:
    long = ["x" * 500 + end for end in "abc"]
    found = column(profile_version(make_table(pa.table({"s": [long[0], *long]}))), "s")
    assert found.distinct == 3
    assert [each.rows for each in found.top] == [2, 1, 1]
    assert max(len(each.value) for each in found.top) == 90


@pytest.mark.parametrize("name", ["<script>", "$x$", "a b", "a;b", 'q"', "שלום", "x" * 500, "a\nb", "c0"])
def test_any_name_of_a_column(make_table: Any, name: str) -> None:
    table = make_table(pa.table({name: [1.0, 2.0, 4.0], "y": [1.0, 2.0, 3.0]}))
    look = profile_version(table, target=name, columns=["y"])
    assert [c.name for c in look.profile.columns] == [name, "y"]
    assert association(look, "y").rows == 3


# --- refusals -------------------------------------------------------------------------------------------------


def test_what_cannot_be_looked_at_is_told(mixed: Table) -> None:
    with pytest.raises(UsageError, match="no column 'cit'") as caught:
        profile_version(mixed, target="cit")
    assert caught.value.hint == "did you mean 'city'?"
    with pytest.raises(UsageError, match="no column 'zz'"):
        profile_version(mixed, columns=["zz"])
    for name in ("tags", "raw"):
        with pytest.raises(UsageError, match=f"'{name}' cannot be a target: it is of type"):
            profile_version(mixed, target=name)
    with pytest.raises(UsageError, match="a sample of 0 rows"):
        profile_version(mixed, sample=0)
    with pytest.raises(NotFoundError, match="no version 9"):
        profile_version(mixed, 9)


def test_a_lost_file_is_told(mixed: Table) -> None:
    (mixed.root / mixed.log.snapshot().files[0].path).unlink()
    with pytest.raises(OutsideError, match="is missing"):
        profile_version(mixed)


def test_a_profile_has_a_json_form(houses: Table, mixed: Table) -> None:
    for look in (profile_version(houses, target="city"), profile_version(mixed)):
        assert msgspec.json.decode(msgspec.json.encode(look.profile), type=TableProfile) == look.profile
