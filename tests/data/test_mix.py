"""Mixed rows: laws over random tables, and what each part alone does."""

import datetime as dt
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.mix import Changes, find_changes, mix_rows, read_mix
from lin.data.pins import pin_digest, pin_version
from lin.data.read import sort_rows
from lin.data.tables import Table
from lin.errors import NotReproducibleError, OutsideError
from lin.recipes import Mix, Part
from lin.records import TableRef, encode
from lin.store.blobs import Blobs
from lin.store.memory import MemoryBackend

ALL: list[Part] = list(get_args(Part))
FLOATS = st.sampled_from([0.0, -0.0, math.nan, math.inf, 1.5, None])
COLUMNS = {
    "x": (pa.float64(), FLOATS),
    "X": (pa.float32(), FLOATS),
    "s": (pa.string(), st.sampled_from(["", "a", "é", None])),
    "n": (pa.int64(), st.sampled_from([0, 1, None])),
    "l": (pa.list_(pa.int64()), st.sampled_from([[], [1], [1, None], None])),
}


def bits(rows: pa.Table) -> list[Any]:
    """The rows and the schema, so that equal means equal to the bit."""
    columns = []
    for column in rows.columns:
        values = column.to_pylist()
        columns.append([v.hex() if isinstance(v, float) else v for v in values])
    return [rows.schema, columns]


def same(one: pa.Table, other: pa.Table) -> None:
    one.validate(full=True)
    assert bits(one) == bits(other)


@st.composite
def tables(draw: Any, keys: Any) -> pa.Table:
    """Some columns in some order, and rows for these keys in some order."""
    names = draw(st.permutations(["id", *draw(st.lists(st.sampled_from([*COLUMNS]), unique=True))]))
    ids = draw(st.permutations(draw(keys)))
    made = {"id": (pa.float64(), [float(i) if i is not None else None for i in ids])}
    for name in names:
        if name != "id":
            kind, values = COLUMNS[name]
            made[name] = (kind, draw(st.lists(values, min_size=len(ids), max_size=len(ids))))
    return pa.table({name: pa.array(made[name][1], made[name][0]) for name in names})


IDS = st.lists(st.sampled_from([0, -1, 2, 3, math.nan, None]), unique_by=str)


@given(tables(IDS), tables(IDS))
@settings(max_examples=25, deadline=None)
def test_no_part_is_the_one_and_all_parts_are_the_other(base: pa.Table, other: pa.Table) -> None:
    same(mix_rows(base, other, ["id"], parts=[]), base)
    same(mix_rows(base, other, ["id"], parts=ALL), other)


@given(tables(IDS), tables(IDS))
@settings(max_examples=25, deadline=None)
def test_the_parts_that_are_found_lead_from_the_one_to_the_other(base: pa.Table, other: pa.Table) -> None:
    changes = find_changes(base, other, ["id"])
    assert changes is not None
    same(mix_rows(base, other, ["id"], **told(changes)), other)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_so_it_is_for_rows_without_a_key(data: st.DataObject) -> None:
    row = st.tuples(st.sampled_from([0.0, -0.0, math.nan, None]), st.sampled_from(["a", "b"]))
    base, other = (
        pa.table({"x": pa.array([x for x, _ in rows], pa.float64()), "s": pa.array([s for _, s in rows], pa.string())})
        for rows in (data.draw(st.lists(row, max_size=6)) for _ in range(2))
    )
    changes = find_changes(base, other)
    assert changes is not None
    assert changes.key == []
    same(mix_rows(base, other, [], parts=[]), base)
    same(mix_rows(base, other, [], **told(changes)), other)
    if changes.updated:
        assert (changes.inserted, changes.deleted, changes.order) == (0, 0, False)
    else:
        counted = [sorted(map(repr, zip(*bits(rows)[1], strict=True))) for rows in (base, other)]
        common = sum(min(counted[0].count(each), counted[1].count(each)) for each in {*counted[0]})
        assert base.num_rows - changes.deleted == common


@given(tables(IDS), tables(IDS), st.permutations(["id", *COLUMNS]))
@settings(max_examples=25, deadline=None)
def test_with_declared_orders_it_stands_in_one_of_them(base: pa.Table, other: pa.Table, columns: list[str]) -> None:
    orders = [[n for n in columns if n in rows.column_names and n != "l"][:2] for rows in (base, other)]
    base, other = (sort_rows(rows, order) for rows, order in zip((base, other), orders, strict=True))
    changes = find_changes(base, other, ["id"], orders=(orders[0], orders[1]))
    assert changes is not None
    same(mix_rows(base, other, ["id"], parts=[], orders=(orders[0], orders[1])), base)
    same(mix_rows(base, other, ["id"], **told(changes), orders=(orders[0], orders[1])), other)


def told(changes: Changes) -> dict[str, Any]:
    """The parts and columns of these changes, and no others."""
    columns = [*changes.updated, *changes.added, *changes.dropped, *changes.retyped]
    here: dict[Part, Any] = {
        "inserted": changes.inserted,
        "deleted": changes.deleted,
        "updated": columns,
        "order": changes.order,
        "column order": changes.column_order,
    }
    return {"parts": [part for part, there in here.items() if there], "columns": columns}


# --- each part alone ---

BASE = pa.table({"id": [1, 2, 3, 4], "x": [1.0, 2.0, None, 4.0], "y": ["a", "b", "c", "d"]})
OTHER = pa.table({"id": [4, 5, 3, 1, 6], "x": [4.5, 5.0, 3.0, 1.0, 6.0], "y": ["d", "e", "C", "a", "f"]})


@pytest.mark.parametrize(
    ("parts", "columns", "rows"),
    [
        (["inserted"], None, "1a1.0 2b2.0 3cNone 4d4.0 5e5.0 6f6.0"),
        (["deleted"], None, "1a1.0 3cNone 4d4.0"),
        (["updated"], None, "1a1.0 2b2.0 3C3.0 4d4.5"),
        (["updated"], ["x"], "1a1.0 2b2.0 3c3.0 4d4.5"),
        (["updated"], [], "1a1.0 2b2.0 3cNone 4d4.0"),
        (["order"], None, "4d4.0 3cNone 1a1.0 2b2.0"),
        (["order", "inserted"], None, "4d4.0 5e5.0 3cNone 1a1.0 2b2.0 6f6.0"),
        (["order", "deleted"], None, "4d4.0 3cNone 1a1.0"),
    ],
)
def test_a_part_changes_only_what_it_says(parts: list[Part], columns: list[str] | None, rows: str) -> None:
    mixed = mix_rows(BASE, OTHER, ["id"], parts=parts, columns=columns)
    assert [f"{row['id']}{row['y']}{row['x']}" for row in mixed.to_pylist()] == rows.split()
    assert mixed.schema == BASE.schema


def test_changes_are_counted() -> None:
    assert find_changes(BASE, OTHER, ["id"]) == Changes(
        key=["id"],
        inserted=2,
        deleted=1,
        updated={"x": 2, "y": 1},
        added=[],
        dropped=[],
        retyped=[],
        order=True,
        column_order=False,
    )
    unchanged = find_changes(BASE, BASE, ["id"])
    assert unchanged is not None
    assert told(unchanged) == {"parts": [], "columns": []}


def test_rows_that_only_came_last_need_no_order() -> None:
    longer = pa.concat_tables([BASE, OTHER.slice(4)])
    changes = find_changes(BASE, longer, ["id"])
    assert changes is not None
    assert (changes.inserted, changes.order) == (1, False)
    reversed_ = find_changes(BASE, BASE.take([3, 2, 1, 0]), ["id"])
    assert reversed_ is not None
    assert told(reversed_)["parts"] == ["order"]


def test_columns_come_go_and_change_their_type() -> None:
    other = pa.table({"z": [9, 8], "x": ["1", "5"], "id": pa.array([1, 5], pa.int32())})
    changes = find_changes(BASE, other, ["id"])
    assert changes is not None
    assert (changes.added, changes.dropped, changes.retyped) == (["z"], ["y"], ["id", "x"])
    assert changes.column_order

    def mixed(columns: Sequence[str], *parts: Part) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = mix_rows(
            BASE, other, ["id"], parts=["updated", *parts], columns=columns
        ).to_pydict()
        return found

    assert mixed(["z"]) == BASE.to_pydict() | {"z": [9, None, None, None]}
    assert list(mixed(["y"])) == ["id", "x"]
    assert mixed([], "inserted")["y"] == ["a", "b", "c", "d", None]
    assert list(mixed(["z"], "column order")) == ["z", "x", "y", "id"]
    assert mixed(["x"])["x"] == ["1", "2", None, "4"]
    assert mixed([], "inserted")["x"] == [1.0, 2.0, None, 4.0, 5.0]


def test_a_value_that_does_not_fit_is_refused() -> None:
    other = pa.table({"id": [5], "x": ["many"]})
    with pytest.raises(NotReproducibleError, match="'x' is string in one version and double in the other"):
        mix_rows(BASE.select(["id", "x"]), other, ["id"], parts=["inserted"])


def test_a_column_that_gets_nulls_may_have_nulls() -> None:
    schema = pa.schema([pa.field("id", pa.int64()), pa.field("x", pa.int64(), nullable=False)])
    base, other = pa.table({"id": [1], "x": [1]}, schema=schema), pa.table({"id": [2]})
    mixed = mix_rows(base, other, ["id"], parts=["inserted"])
    assert mixed["x"].to_pylist() == [1, None]
    assert mixed.schema.field("x").nullable
    assert not mix_rows(base, other, ["id"], parts=[]).schema.field("x").nullable


@pytest.mark.parametrize("key", [["id"], ["nothing"], ["id", "x"]])
def test_what_is_no_key_is_refused_and_rows_are_matched_as_a_whole(key: list[str]) -> None:
    twice = pa.table({"id": [1, 1], "x": [1.0, 1.0]})
    with pytest.raises(NotReproducibleError, match="it is no key of both versions"):
        mix_rows(twice, twice, key, parts=[])
    changes = find_changes(twice, twice.slice(1), key)
    assert changes is not None
    assert (changes.key, changes.deleted, changes.inserted) == ([], 1, 0)


def test_without_a_key_rows_may_have_changed_in_their_places() -> None:
    rows = pa.table({"x": [1, 1, 2, 3], "y": ["a", "a", "b", "c"]})
    filled = rows.set_column(1, "y", pa.array(["a", "A", "b", "C"]))
    changes = find_changes(rows, filled)
    assert changes is not None
    assert (changes.updated, changes.inserted, changes.order) == ({"y": 2}, 0, False)
    moved = find_changes(rows, filled.take([3, 1, 2, 0]))
    assert moved is not None
    assert (moved.updated, moved.inserted, moved.deleted) == ({}, 2, 2)


def test_without_a_key_columns_may_come_and_go() -> None:
    other = BASE.drop_columns(["x"]).append_column("z", pa.array([9, 8, 7, 6]))
    changes = find_changes(BASE, other)
    assert changes is not None
    assert told(changes) == {"parts": ["updated"], "columns": ["z", "x"]}
    longer = find_changes(BASE, pa.concat_tables([other.slice(1), other.slice(0, 1), other.slice(0, 1)]))
    assert longer is not None
    assert told(longer) == {"parts": ["inserted", "updated", "order"], "columns": ["z", "x"]}


def test_without_a_key_and_a_common_column_nothing_is_matched() -> None:
    assert find_changes(BASE.select(["x"]), BASE.select(["y"])) is None
    with pytest.raises(NotReproducibleError, match="without a key: they have no column in common"):
        mix_rows(BASE.select(["x"]), BASE.select(["y"]), [], parts=[])


@pytest.mark.parametrize(
    "values",
    [
        [Decimal("1.5"), None],
        [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None],
        [b"\0", b""],
        [dt.date(2026, 1, 1), None],
        [True, None],
        [{"a": 1}, None],
    ],
)
def test_keys_may_be_of_any_type(values: list[Any]) -> None:
    base = pa.table({"id": values, "x": [1, 2]})
    other = pa.table({"id": values[::-1], "x": [3, 1]})
    changes = find_changes(base, other, ["id"])
    assert changes is not None
    assert (changes.updated, changes.order) == ({"x": 1}, True)


# --- read from recorded versions ---


@pytest.fixture
def recorded(make_table: Callable[..., Table]) -> tuple[Table, Blobs, list[TableRef]]:
    table = make_table(BASE, OTHER.slice(4))
    blobs = Blobs(MemoryBackend())
    references = []
    for version in (0, 1):
        pin = pin_version(table, table.log.snapshot(version))
        blobs.put(encode(pin))
        references.append(TableRef(table.name, table.root.name, version, pin_digest(pin), 0))
    return table, blobs, references


def test_a_mix_is_read_from_pins(recorded: tuple[Table, Blobs, list[TableRef]]) -> None:
    table, blobs, (base, other) = recorded
    mix = Mix(base=base, other=other, key=["id"], parts=["inserted"])
    assert read_mix(table.root.parent, blobs, mix)["id"].to_pylist() == [1, 2, 3, 4, 6]
    by_y = TableRef(base.table, base.location, 0, base.pin, 0, order=["y", "id"])
    mix = Mix(base=by_y, other=other, key=["id"], parts=["inserted"])
    assert read_mix(table.root.parent, blobs, mix)["id"].to_pylist() == [1, 2, 3, 4, 6]


def test_an_altered_file_is_refused(recorded: tuple[Table, Blobs, list[TableRef]]) -> None:
    table, blobs, (base, other) = recorded
    path = table.root / table.log.snapshot(0).files[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    with pytest.raises(OutsideError, match="was altered"):
        read_mix(table.root.parent, blobs, Mix(base=base, other=other, key=["id"]))
