"""Rows between two versions of a table: one version's, with a chosen part of what changed from it to the other.

Rows belong together by key, or where they are equal. What is taken over is taken bit for bit: with no part the
rows are those of the one version exactly, with all parts those of the other, order and schema included.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lin.data.match import Matched, count_cells, match_rows, take
from lin.data.read import read_pin, sort_rows
from lin.data.tables import Table
from lin.errors import NotReproducibleError
from lin.recipes import Mix, Part
from lin.records import Pin, TableRef, decode
from lin.store.blobs import Blobs

if TYPE_CHECKING:
    import pyarrow as pa

    from lin.data.match import Places

_NOWHERE = -1


@dataclass(frozen=True)
class Changes:
    """What differs between two tables of rows: `updated` counts the changed cells of each column that both have.

    `key` is empty where rows were matched without one. `order`: with all else taken over, rows stand otherwise.
    """

    key: list[str]
    inserted: int
    deleted: int
    updated: dict[str, int]
    added: list[str]
    dropped: list[str]
    retyped: list[str]
    order: bool
    column_order: bool


def read_reference(store_root: Path, blobs: Blobs, reference: TableRef) -> "pa.Table":
    """The rows of a recorded table version, in its order.

    Raises:
        OutsideError: a data file is missing or altered. StoreError: the pin is.
    """
    pin = decode(blobs.read(reference.pin), Pin, where=f"the pin of {reference.table}@{reference.version}")
    table = Table(reference.table, store_root / reference.location, order=tuple(reference.order))
    return read_pin(table, pin)


def read_mix(store_root: Path, blobs: Blobs, mix: Mix) -> "pa.Table":
    """The rows of `mix`. Raises as `read_reference` and `mix_rows`."""
    base, other = (read_reference(store_root, blobs, reference) for reference in (mix.base, mix.other))
    orders = mix.base.order, mix.other.order
    return mix_rows(base, other, mix.key, parts=mix.parts, columns=mix.columns, orders=orders)


def mix_rows(
    base: "pa.Table",
    other: "pa.Table",
    key: Sequence[str],
    *,
    parts: Collection[Part],
    columns: Collection[str] | None = None,
    orders: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> "pa.Table":
    """The rows of `base`, with those of their changes to `other` that `parts` and `columns` choose.

    Inserted rows bring all their columns, and stand last. With "order" the rows stand as in `other`; one that only
    `base` has stays behind the row that it follows there. A cell that neither table has is null.

    Args:
        base: the rows to begin with.
        other: the rows that they became.
        key: the columns that tell which rows belong together, unique in both; empty: see `match_rows`.
        parts: the kinds of changes to take over.
        columns: for "updated", the columns; None means all.
        orders: the columns that rows of `base` and of `other` are to be sorted by, if there are any.

    Raises:
        NotReproducibleError: there are no such rows: the key is not unique, or without one no column is common, or a
            value does not fit the type that its column is to have.
    """
    import pyarrow as pa

    matched = match_rows(base, other, key)
    if matched is None:
        raise _cannotmatch_rows(key)
    taken = _choose(base, other, columns) if "updated" in parts else set()
    old, new = _interleave(matched, reorder="order" in parts)
    keep = ((new != _NOWHERE) | ("deleted" not in parts)) & ((old != _NOWHERE) | ("inserted" in parts))
    made = [
        _make_column(name, base, other, (old[keep], new[keep]), taken=name in taken)
        for name in _lay_out(base, other, taken, reorder="column order" in parts)
    ]
    rows = pa.Table.from_arrays([column for _, column in made], schema=pa.schema([field for field, _ in made]))
    order = orders["order" in parts]
    return sort_rows(rows, order) if set(order) <= set(rows.column_names) else rows


def find_changes(
    base: "pa.Table",
    other: "pa.Table",
    key: Sequence[str] = (),
    *,
    orders: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> Changes | None:
    """What leads from `base` to `other`, in the parts that `mix_rows` can take over one by one.

    Where `key` is none of both, rows are matched without one; None where that cannot be, as no column is common.
    Floats are compared by their bits, except within nested values.
    """
    matched = match_rows(base, other, key) if key else None
    by = list(key) if matched is not None else []
    matched = matched or match_rows(base, other, [])
    if matched is None:
        return None
    both = [name for name in base.column_names if name in other.column_names]
    retyped = [name for name in both if base.schema.field(name).type != other.schema.field(name).type]
    cells = count_cells(base, other, matched, [name for name in both if name not in retyped])
    return Changes(
        key=by,
        inserted=other.num_rows - len(matched.other),
        deleted=base.num_rows - len(matched.base),
        updated={name: count for name, count in cells.items() if count},
        added=[name for name in other.column_names if name not in both],
        dropped=[name for name in base.column_names if name not in both],
        retyped=retyped,
        order=_is_order_changed(matched, other, orders),
        column_order=_lay_out(base, other, _choose(base, other, None), reorder=False) != other.column_names,
    )


def _cannotmatch_rows(key: Sequence[str]) -> NotReproducibleError:
    if key:
        return NotReproducibleError(f"rows cannot be mixed by {', '.join(key)}: it is no key of both versions")
    return NotReproducibleError("rows of two versions cannot be mixed without a key: they have no column in common")


def _choose(base: "pa.Table", other: "pa.Table", columns: Collection[str] | None) -> set[str]:
    return {*base.column_names, *other.column_names} if columns is None else set(columns)


# --- where things stand -----------------------------------------------------------------------------------------------


def _interleave(matched: Matched, *, reorder: bool) -> "tuple[Places, Places]":
    """The places in `base` and in `other` of all rows of either, one after the other; `_NOWHERE` where it has none.

    In the order of `base`, what only `other` has last; or in that of `other`, what only `base` has behind the row that
    it follows there.
    """
    import numpy as np

    in_base, in_other = (np.arange(count) for count in matched.counts)
    to_other, to_base = (np.full(count, _NOWHERE) for count in matched.counts)
    to_other[matched.base], to_base[matched.other] = matched.other, matched.base
    only_base, only_other = in_base[to_other == _NOWHERE], in_other[to_base == _NOWHERE]
    if not reorder:
        return (
            np.concatenate([in_base, np.full(len(only_other), _NOWHERE)]),
            np.concatenate([to_other, only_other]),
        )
    followed = np.maximum.accumulate(np.where(to_other == _NOWHERE, _NOWHERE, in_base))[only_base]
    behind = np.where(followed == _NOWHERE, _NOWHERE, to_other[followed])
    sequence = np.argsort(np.concatenate([in_other, behind]), kind="stable")
    old = np.concatenate([to_base, only_base])
    new = np.concatenate([in_other, np.full(len(only_base), _NOWHERE)])
    return old[sequence], new[sequence]


def _lay_out(base: "pa.Table", other: "pa.Table", taken: Collection[str], *, reorder: bool) -> list[str]:
    """The columns: without those that are dropped, with those that are added."""
    import numpy as np

    before, after = base.column_names, other.column_names
    both = [name for name in before if name in after]
    places = [np.array([names.index(name) for name in both], dtype=np.int64) for names in (before, after)]
    pairs = _interleave(Matched(places[0], places[1], (len(before), len(after))), reorder=reorder)
    names = [before[old] if old != _NOWHERE else after[new] for old, new in zip(*pairs, strict=True)]
    gone = {name for name in before if name not in both and name in taken}
    come = {name for name in after if name not in both and name not in taken}
    return [name for name in names if name not in gone | come]


def _is_order_changed(matched: Matched, other: "pa.Table", orders: tuple[Sequence[str], Sequence[str]]) -> bool:
    """Whether the rows of `other` stand otherwise if all is taken over but their order."""
    import numpy as np
    import pyarrow as pa

    _, places = _interleave(matched, reorder=False)
    places = places[places != _NOWHERE]
    if orders[0] and set(orders[0]) <= set(other.column_names):
        rows = other.select(list(dict.fromkeys(orders[0]))).take(places)
        number = "".join(["place", *rows.column_names])  # no column has that name
        places = sort_rows(rows.append_column(number, pa.array(places)), orders[0])[number].to_numpy()
    return not np.array_equal(places, np.arange(other.num_rows))


# --- values -----------------------------------------------------------------------------------------------------------


def _make_column(
    name: str, base: "pa.Table", other: "pa.Table", places: "tuple[Places, Places]", *, taken: bool
) -> "tuple[pa.Field, pa.ChunkedArray]":
    """One column: the cells of one side, those of the other where it has none, else nulls."""
    import numpy as np
    import pyarrow as pa

    sides = [(rows, at) for rows, at in zip((base, other), places, strict=True) if name in rows.column_names]
    if taken:
        sides.reverse()
    field = sides[0][0].schema.field(name)
    first, at = sides[0][0][name], sides[0][1]
    missing = at == _NOWHERE
    if not missing.any():
        return field, take(first, at)
    if len(sides) == 1:
        return field.with_nullable(True), take(first, at)
    rows, instead = sides[1]
    pool = pa.chunked_array([*first.chunks, *_cast(rows[name], field).chunks], field.type)
    nullable = field.nullable or rows.schema.field(name).nullable
    return field.with_nullable(nullable), take(pool, np.where(missing, len(first) + instead, at))


def _cast(column: "pa.ChunkedArray", field: "pa.Field") -> "pa.ChunkedArray":
    import pyarrow as pa

    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise NotReproducibleError(
            f"rows cannot be mixed: column '{field.name}' is {column.type} in one version and {field.type} in the "
            f"other, and a value does not fit: {error}"
        ) from error
