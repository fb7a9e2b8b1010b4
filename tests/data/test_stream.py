"""Rows that pass in batches: the same rows, and the same answers about them, as when they are read whole."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.pins import pin_version
from lin.data.read import BATCH, read_pin, read_version, sort_rows, stream_file, stream_pin
from lin.data.sql import matching_positions
from lin.data.stream import open_condition, open_source, sort_stream
from lin.data.tables import Table
from lin.errors import NotFoundError, OutsideError, UsageError
from lin.records import digest

Refused = type[UsageError] | type[OutsideError] | type[NotFoundError]


def rows_of(batches: Any, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches(list(batches), schema)


# --- a table's rows ---------------------------------------------------------------------------------------------------


def large(root: Path) -> Table:
    """Two files, one of more rows than a batch; a nested column, a partition, and deleted rows."""
    for at in range(2):
        count = BATCH + 1000 if at else 500
        rows = pa.table(
            {
                "id": pa.array(range(at * 1_000_000, at * 1_000_000 + count)),
                "x": np.random.default_rng(at).normal(size=count),
                "s": pa.array([{"a": n, "b": [str(n)]} if n % 3 else None for n in range(count)]),
                "a.b": pa.array(["t"] * count),
                "p": pa.array([at] * count, pa.int32()),
            }
        )
        write_deltalake(root, rows, mode="append", partition_by=["p"])
    return Table("large", root)


def test_a_stream_has_the_rows_of_the_whole(tmp_path: Path) -> None:
    table = large(tmp_path / "large")
    pin = pin_version(table, table.log.snapshot())
    whole = read_pin(table, pin)
    batches = list(stream_pin(table, pin))
    assert max(batch.num_rows for batch in batches) == BATCH
    assert rows_of(batches, whole.schema).equals(whole)
    for columns in (["x"], ["p", "id"], ["s"], ["a.b", "x"], ["p"]):
        some = whole.select(columns)
        assert rows_of(stream_pin(table, pin, columns=columns), some.schema).equals(some)


@pytest.mark.parametrize("gone", [[], [0, 7, BATCH - 1], range(4000)])
def test_deleted_rows_and_mapped_names_are_those_of_the_whole(foreign: Any, gone: Sequence[int]) -> None:
    made = foreign(features=["deletionVectors"], mapping="name")
    fields = [made.field("id", "long", 1), made.field("x", "double", 2)]
    rows = pa.table({"col-1": range(BATCH + 9), "col-2": np.arange(BATCH + 9) / 7})
    file = made.add("f.parquet", rows)
    made.commit(made.protocol(), made.metadata(*fields), made.delete(file, gone) if gone else file)
    snapshot, whole = read_version(made.table)
    pin = pin_version(made.table, snapshot)
    streams = (
        stream_file(made.table, snapshot.metadata, snapshot.files[0], version=0),
        stream_pin(made.table, pin),
    )
    for stream in streams:
        assert rows_of(stream, whole.schema).equals(whole)
    assert rows_of(stream_pin(made.table, pin, columns=["x"]), whole.select(["x"]).schema).equals(whole.select(["x"]))
    assert whole.num_rows == BATCH + 9 - len(gone)


def test_a_pinned_file_is_checked_before_a_row_of_it_is_seen(tmp_path: Path) -> None:
    table = large(tmp_path / "large")
    snapshot = table.log.snapshot()
    pin = pin_version(table, snapshot)
    path = table.root / pin.files[1].path
    stream = stream_pin(table, pin)
    first = [next(stream)]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(OutsideError, match="was altered: its sha256 is not as pinned"):
        first.extend(stream)
    assert len(first) == 1
    path.write_bytes(b"")
    with pytest.raises(OutsideError, match="it has 0 bytes"):
        list(stream_file(table, snapshot.metadata, snapshot.files[1], version=1))
    path.unlink()
    with pytest.raises(OutsideError, match="is missing"):
        list(stream_pin(table, pin))


# --- conditions -------------------------------------------------------------------------------------------------------

ROWS = pa.table(
    {
        "x": [1.0, None, float("nan"), -2.0, 1e300],
        "Name": ["a", "b'c", None, "", "ß"],
        "when": pa.array([0, 1, None, 3, 4], pa.timestamp("us", "UTC")),
    }
)


@pytest.mark.parametrize(
    "where",
    [
        "x > 0",
        "x is null or name = 'a'",
        "NOT (x > 0)",
        "\"Name\" LIKE '%c' -- a comment",
        "CASE WHEN x < 0 THEN true END",
        "(SELECT x) > 0",
        "x",
        "COLUMNS(['x', 'x']) > 0",
        "\"when\" >= TIMESTAMPTZ '1970-01-01 00:00:00.000003+00'",
    ],
)
def test_a_condition_is_true_of_the_same_rows_however_they_are_cut(where: str) -> None:
    whole = matching_positions(ROWS, where)
    with open_condition(where, ROWS.schema) as condition:
        for size in (1, 2, 5):
            masks = [condition.holds(batch) for batch in ROWS.combine_chunks().to_batches(size)]
            np.testing.assert_array_equal(np.concatenate(masks), whole)


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("", "it is empty"),
        ("x > 0; DROP TABLE rows", "not one expression"),
        ("xx > 0", "there is no column 'xx'"),
        ("x > max(x)", "WHERE clause cannot contain aggregates"),
        ("row_number() OVER () < 3", "WHERE clause cannot contain window functions"),
        ("x > (SELECT avg(x) FROM rows)", "Table with name rows does not exist"),
        ("rowid < 3", "'rowid'"),
        ("x IN (FROM read_csv('/etc/passwd'))", "disabled"),
        ("Name", "Could not convert"),
    ],
)
def test_what_is_no_condition_on_one_row_is_refused(where: str, why: str) -> None:
    with pytest.raises(UsageError, match="cannot be used") as caught, open_condition(where, ROWS.schema) as condition:
        condition.holds(ROWS.combine_chunks().to_batches()[0])
    assert why in caught.value.message


# --- order ------------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(st.none(), st.floats()), st.one_of(st.none(), st.text(max_size=3))), max_size=30),
    st.integers(1, 7),
)
def test_a_sorted_stream_is_the_sorted_whole(values: list[tuple[float | None, str | None]], size: int) -> None:
    schema = pa.schema([("x", pa.float64()), ("t", pa.string()), ("n", pa.int64())])
    rows = pa.table(
        [[x for x, _ in values], [t.replace("\x00", "") if t else t for _, t in values], range(len(values))],
        schema=schema,
    )
    for order in (["x"], ["t", "x"]):
        found = rows_of(sort_stream(iter(rows.to_batches(size)), schema, order), schema)
        assert found.column("n").equals(sort_rows(rows, order).column("n"))


# --- files ------------------------------------------------------------------------------------------------------------


def read(path: Path, *, as_text: bool = True) -> tuple[pa.Table, Any]:
    with open_source(path, as_text=as_text) as source:
        return rows_of(source.batches, source.schema), source


def test_fields_of_a_csv_file_are_handed_out_as_they_stand_there(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes('\ufeff"a",b\n007,"x\ny"\n,""\n1e3,"say ""no"""\n'.encode())
    rows, source = read(path)
    assert rows.to_pydict() == {"a": ["007", None, "1e3"], "b": ["x\ny", "", 'say "no"']}
    assert (source.text, source.rows, source.bytes) == (True, None, path.stat().st_size)
    assert source.sha256 == digest(path.read_bytes())


def test_a_large_csv_file_passes_in_batches(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "".join(f"{n},{n % 7}\n" for n in range(150_000)))
    with open_source(path, as_text=True) as source:
        batches = list(source.batches)
    assert max(batch.num_rows for batch in batches) <= BATCH
    assert rows_of(batches, source.schema).column("a").to_pylist() == [str(n) for n in range(150_000)]


@pytest.mark.parametrize("as_text", [False, True])
def test_a_json_file_tells_its_types_as_a_whole(tmp_path: Path, as_text: bool) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"a": 1, "b": "x"}, {"a": 2.5}]))
    rows, source = read(path, as_text=as_text)
    assert rows.to_pydict() == {"a": [1.0, 2.5], "b": ["x", None]}
    assert (source.text, source.rows) == (False, 2)


def test_a_parquet_file_passes_in_batches(tmp_path: Path) -> None:
    rows = pa.table({"a": range(BATCH + 5), "d": pa.array(["x"] * (BATCH + 5)).dictionary_encode()})
    pq.write_table(rows, tmp_path / "x.parquet")
    with open_source(tmp_path / "x.parquet", as_text=True) as source:
        batches = list(source.batches)
    assert [batch.num_rows for batch in batches] == [BATCH, 5]
    assert source.rows == BATCH + 5
    assert rows_of(batches, source.schema).column("a").equals(rows.column("a"))


@pytest.mark.parametrize(
    ("name", "content", "error", "why"),
    [
        ("x.txt", b"a\n1\n", UsageError, "cannot tell what is in x.txt"),
        ("x.csv", b"", UsageError, "x.csv is empty"),
        ("x.csv", b"a,a\n1,2\n", UsageError, "two columns 'a'"),
        ("x.csv", b"a,b\n1,2\n3\n", UsageError, "Expected 2 columns, got 1"),
        ("x.csv", b'a,b\n1,"2\n3,4\n', UsageError, "a quote is not closed"),
        ("x.csv", b"a\n\xff\n", UsageError, "x.csv cannot be read as CSV"),
        ("x.parquet", b"PAR1 and no more", UsageError, "x.parquet cannot be read as Parquet"),
        ("x.json", b"[1]", UsageError, "a row must be an object"),
        ("none.csv", None, NotFoundError, "there is no file"),
    ],
)
def test_what_is_no_file_of_rows_is_refused(
    tmp_path: Path, name: str, content: bytes | None, error: Refused, why: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=why):
        read(tmp_path / name)


def test_what_cannot_be_read_twice_is_refused(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(OutsideError, match="not a regular file"):
        read(tmp_path / "pipe.csv")
    with pytest.raises(OutsideError, match="cannot be read"):
        read(tmp_path)


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("a\n1\n")
    (tmp_path / "link.csv").symlink_to("real.csv")
    assert read(tmp_path / "link.csv")[0].to_pydict() == {"a": ["1"]}
