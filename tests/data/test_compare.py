"""The ways by which a comparison finds what differs all give the same answer."""

import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lin.data.commit import Attribution
from lin.data.diff import TableDiff, diff_versions
from lin.data.tables import Table
from lin.data.write import create_table, replace_rows
from lin.errors import UsageError

BY = Attribution(run="r", user="ada", reason="a test", lin="0.1.0")
Versions = Callable[..., Table]


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    """A table of lin's own with two versions, the second a whole replacement."""

    def make(old: pa.Table, new: pa.Table, key: Sequence[str] = ("id",)) -> Table:
        table = Table("t", tmp_path / "t", key=tuple(key))
        create_table(table.root, old.to_reader(), BY, now_ms=0)
        replace_rows(table, table.log.snapshot(), new.to_reader(), BY, now_ms=1)
        return table

    return make


def as_table(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    return pa.table({"id": pa.array(columns[0], pa.int64()), "x": pa.array(columns[1], pa.float64())})


def counts(diff: TableDiff) -> tuple[int, int, int]:
    return diff.inserted, diff.deleted, diff.updated


ROWS = [(n, n / 2) for n in range(1000)]
CHANGED = [(n, x + 1 if n % 100 == 0 else x) for n, x in ROWS]


@pytest.mark.parametrize("order", ["alike", "shifted", "shuffled"])
@pytest.mark.parametrize("key", [("id",), ()])
def test_the_order_of_rows_does_not_matter(versions: Versions, order: str, key: tuple[str, ...]) -> None:
    new = list(CHANGED)
    if order == "shuffled":
        random.Random(1).shuffle(new)
    if order == "shifted":
        new = [(5000, 1.0), *new]
    diff = diff_versions(versions(as_table(ROWS), as_table(new), key), 0, 1)
    more = 1 if order == "shifted" else 0
    assert counts(diff) == ((more, 0, 10) if key else (10 + more, 10, 0))
    assert not diff.ambiguous


def test_repeated_rows_do_not_hide_in_one_another(versions: Versions) -> None:
    """Each row of either side is on the other, and the counts and hashes of all together are the same."""
    old = [(1, 1.0)] * 2 + [(2, 2.0)] + [(n, 0.0) for n in range(10, 500)]
    new = [(n, 0.0) for n in reversed(range(10, 500))] + [(1, 1.0)] + [(2, 2.0)] * 2
    table = versions(as_table(old), as_table(new))
    for key in ([], ["id"]):
        diff = diff_versions(table, 0, 1, key=key)
        assert counts(diff) == (1, 1, 0)
        assert not diff.ambiguous


def test_a_key_of_nulls_is_matched(versions: Versions) -> None:
    old = [(None, 1.0), *ROWS]
    new = [*reversed(CHANGED), (None, 2.0)]
    diff = diff_versions(versions(as_table(old), as_table(new)), 0, 1)
    assert counts(diff) == (0, 0, 11)
    assert {row.key["id"] for row in diff.rows} == {None, *range(0, 1000, 100)}


def test_bits_tell_apart_what_is_equal(versions: Versions) -> None:
    old = pa.table({"id": [1, 2, 3, 4], "x": [0.0, math.nan, 1.5, None], "l": [[0.0], [1.0], None, [None]]})
    new = pa.table({"id": [1, 2, 3, 4], "x": [-0.0, math.nan, 1.5, None], "l": [[-0.0], [1.0], None, [None]]})
    table = versions(old, new)
    assert diff_versions(table, 0, 1).identical
    diff = diff_versions(table, 0, 1, bitwise=True)
    assert counts(diff) == (0, 0, 1)
    assert diff.columns == {"x": 1, "l": 1}
    assert (str(diff.rows[0].old), str(diff.rows[0].new)) == ("{'x': 0.0, 'l': [0.0]}", "{'x': -0.0, 'l': [-0.0]}")
    assert diff_versions(table, 1, 1, bitwise=True).identical
    assert diff_versions(table, 0, 1, bitwise=True, key=[]).inserted == 1


def test_a_condition_holds_for_either_side(versions: Versions) -> None:
    new = [(n, x + 100 if n < 10 else x) for n, x in ROWS[:-1]] + [(2000, 50.0)]
    table = versions(as_table(ROWS), as_table(new))
    assert counts(diff_versions(table, 0, 1)) == (1, 1, 10)
    assert counts(diff_versions(table, 0, 1, where="x > 101")) == (0, 1, 7)
    assert counts(diff_versions(table, 0, 1, where="x < 1")) == (0, 0, 2)
    assert counts(diff_versions(table, 0, 1, where="id >= 999 -- and no more")) == (1, 1, 0)
    nothing = diff_versions(table, 0, 1, where="x < 0")
    assert (counts(nothing), nothing.identical, nothing.where) == ((0, 0, 0), True, "x < 0")


def test_a_condition_may_be_on_a_column_that_is_not_compared(versions: Versions) -> None:
    old = pa.table({"id": [1, 2, 3], "x": [1, 2, 3], "town": ["Oak", "Elm", "Oak"]})
    new = pa.table({"id": [1, 2, 3], "x": [2, 3, 4], "town": ["Elm", "Elm", "Elm"]})
    diff = diff_versions(versions(old, new), 0, 1, columns=["x"], where="town = 'Oak'")
    assert [(row.key, row.new) for row in diff.rows] == [({"id": 1}, {"x": 2}), ({"id": 3}, {"x": 4})]
    assert list(diff.columns) == ["x"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("price > 1", "no column 'price'"),
        ("x >", "cannot be used"),
        ("x > 1) OR (1 = 1", "it is not one expression"),
        ("x > 1; DROP TABLE changed", "it is not one expression"),
        ("", "it is empty"),
        ("x IN (SELECT content FROM read_text('/etc/hostname'))", "cannot be used"),
    ],
)
def test_a_condition_that_is_none_is_refused(versions: Versions, where: str, message: str) -> None:
    table = versions(as_table(ROWS), as_table(CHANGED))
    with pytest.raises(UsageError, match=message):
        diff_versions(table, 0, 1, where=where)


def test_the_largest_movement_is_told_of_each_column(versions: Versions) -> None:
    old = pa.table({"id": [1, 2, 3, 4], "x": [1.0, None, 5.0, math.inf], "n": [1, 2, 3, 4], "s": ["a", "b", "c", "d"]})
    new = pa.table({"id": [1, 2, 3, 4], "x": [2.0, 900.0, -5.0, 1.0], "n": [1, 2, 4, 4], "s": ["z", "b", None, "d"]})
    diff = diff_versions(versions(old, new), 0, 1)
    assert list(diff.columns.items()) == [("x", 4), ("s", 2), ("n", 1)]
    assert {n: (c.filled, c.emptied) for n, c in diff.details.items()} == {"x": (1, 0), "s": (0, 1), "n": (0, 0)}
    largest = diff.details["x"].largest
    assert largest is not None
    assert (largest.key, largest.old, largest.new) == ({"id": 3}, 5.0, -5.0)
    assert diff.details["s"].largest is None
