"""Suspects in buckets: every row that differs is among them, and what is not is equal on both sides."""

import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.buckets import find_suspects_in_buckets
from lin.data.sides import Compared, Pair
from lin.data.sql import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

Row = tuple[int | None, float | None]

PAIRS = [
    Pair(names=(name, name), places=(n, n), kinds=(kind, kind))
    for n, (name, kind) in enumerate([("k", "long"), ("x", "double")])
]
BY_KEY = Compared(pairs=PAIRS, keys=1)
AS_BAG = Compared(pairs=PAIRS, keys=0)


@pytest.fixture
def connection() -> "Iterator[duckdb.DuckDBPyConnection]":
    with connect() as opened:
        yield opened


def put(connection: "duckdb.DuckDBPyConnection", side: str, rows: list[Row]) -> None:
    columns = {"c0": pa.array([k for k, _ in rows], pa.int64()), "c1": pa.array([x for _, x in rows], pa.float64())}
    connection.register("given", pa.table(columns))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {side} AS SELECT * FROM given")
    connection.unregister("given")


def get(connection: "duckdb.DuckDBPyConnection", side: str) -> Counter[Row]:
    return Counter(connection.execute(f"SELECT c0, c1 FROM {side}").fetchall())


def are_made(connection: "duckdb.DuckDBPyConnection") -> bool:
    tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    return bool(tables & {"so", "sn", "bucket"})


SAME: list[Row] = [(n, n / 2) for n in range(5000)]
some = st.lists(
    st.tuples(st.none() | st.integers(0, 6000), st.none() | st.sampled_from([0.0, -0.0, 1.5, float("inf")])),
    max_size=20,
)


@settings(max_examples=40, deadline=None)
@given(old=some, new=some, compared=st.sampled_from([BY_KEY, AS_BAG]))
def test_all_that_differs_is_suspected_and_the_rest_is_equal(
    old: list[Row], new: list[Row], compared: Compared
) -> None:
    old, new = SAME + old, new + SAME[::-1]
    with connect() as connection:
        put(connection, "o", old)
        put(connection, "n", new)
        assert find_suspects_in_buckets(connection, compared, rows=5000)
        so, sn = get(connection, "so"), get(connection, "sn")
    before, after = Counter(old), Counter(new)
    assert so <= before
    assert sn <= after
    assert before - so == after - sn
    assert (so + sn).total() < 1000


def test_rows_of_one_key_share_a_bucket(connection: "duckdb.DuckDBPyConnection") -> None:
    put(connection, "o", [(1, float(n)) for n in range(100)])
    put(connection, "n", [(1, float(n + 1)) for n in range(100)])
    assert find_suspects_in_buckets(connection, BY_KEY, rows=100)
    assert get(connection, "so").total() == get(connection, "sn").total() == 100


@pytest.mark.parametrize("compared", [BY_KEY, AS_BAG])
def test_only_how_often_a_row_is_there_may_differ(connection: "duckdb.DuckDBPyConnection", compared: Compared) -> None:
    put(connection, "o", [*SAME, (1, 1.0), (1, 1.0), (2, 2.0)])
    put(connection, "n", [*SAME, (1, 1.0), (2, 2.0), (2, 2.0)])
    assert find_suspects_in_buckets(connection, compared, rows=5000)
    assert get(connection, "so")[1, 1.0] - get(connection, "sn")[1, 1.0] == 1
    assert get(connection, "sn")[2, 2.0] - get(connection, "so")[2, 2.0] == 1


def test_where_much_differs_nothing_is_made(connection: "duckdb.DuckDBPyConnection") -> None:
    put(connection, "o", SAME)
    put(connection, "n", [(n, 0.5 if n % 4 == 0 else x) for n, x in SAME])
    assert not find_suspects_in_buckets(connection, BY_KEY, rows=5000)
    assert not are_made(connection)


def test_rows_that_are_not_the_same_when_read_again_are_not_believed(connection: "duckdb.DuckDBPyConnection") -> None:
    put(connection, "n", SAME)
    connection.execute("CREATE SEQUENCE turn")
    connection.execute(
        "CREATE TEMP VIEW o AS SELECT c0, CASE WHEN c0 IN (7, 8) THEN nextval('turn') ELSE c1 END AS c1 FROM n"
    )
    assert not find_suspects_in_buckets(connection, BY_KEY, rows=5000)
    assert not are_made(connection)


def test_a_side_that_cannot_be_read_is_left_to_another_query(connection: "duckdb.DuckDBPyConnection") -> None:
    put(connection, "n", SAME)
    connection.execute(
        "CREATE TEMP VIEW o AS SELECT CASE WHEN range = 900000 THEN error('damaged') ELSE range END AS c0, 0.0 AS c1"
        " FROM range(1000000)"
    )
    assert not find_suspects_in_buckets(connection, BY_KEY)
    assert not are_made(connection)


def test_no_pandas_is_imported_which_would_take_as_long_as_to_read_a_million_rows() -> None:
    code = """
import sys
from lin.data.buckets import find_suspects_in_buckets
from lin.data.sides import Compared, Pair
from lin.data.sql import connect
pair = Pair(names=("k", "k"), places=(0, 0), kinds=("long", "long"))
with connect() as connection:
    for side, first in (("o", 0), ("n", 3)):
        connection.execute(f"CREATE TABLE {side} AS SELECT range AS c0 FROM range({first}, 5000)")
    assert find_suspects_in_buckets(connection, Compared(pairs=[pair], keys=1), rows=5000)
print("pyarrow" in sys.modules, "pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"
