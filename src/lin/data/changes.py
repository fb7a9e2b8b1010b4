"""What differs, as values: changed rows and columns, each with the JSON form that `lin.data.cells` gives to cells."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from lin.data.cells import column_cells
from lin.data.sides import Compared, Pair

if TYPE_CHECKING:
    import pyarrow as pa


class RowChange(msgspec.Struct, frozen=True, kw_only=True):
    """A row that differs. `old` and `new` hold its compared cells, those of an update only what changed."""

    kind: Literal["inserted", "deleted", "updated"]
    key: dict[str, Any]
    old: dict[str, Any] | None
    new: dict[str, Any] | None


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """One cell that changed, and the key of its row."""

    key: dict[str, Any]
    old: Any
    new: Any


class ColumnChange(msgspec.Struct, frozen=True, kw_only=True):
    """How the cells of a column changed, in updated rows: `filled` were null before, `emptied` are null now.

    `largest` is the cell whose number moved furthest; None where no finite number became another.
    """

    filled: int
    emptied: int
    largest: Movement | None


class TableDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from version `old` to `new`.

    `key` is None where rows were compared as a multiset. `ambiguous`: changed rows share a key, and which of
    them were paired as updates is a choice. `columns` counts the changed cells of updated
    rows, the column with the most first, and `details` tells how they changed. `renamed_columns` says what an old
    name is now. `taken_at_their_word` are versions whose commits say that they only rewrote rows. `order_changed` is
    None where that was not looked at, and `identical` is said of rows and columns, not of their order. With a
    `where`, rows are those for which it is true in either version, and `identical` is said of these.
    """

    table: str
    old: int
    new: int
    key: list[str] | None
    where: str | None = None
    ambiguous: bool = False
    inserted: int = 0
    deleted: int = 0
    updated: int = 0
    columns: dict[str, int] = {}
    details: dict[str, ColumnChange] = {}
    added_columns: list[str] = []
    dropped_columns: list[str] = []
    renamed_columns: dict[str, str] = {}
    retyped_columns: list[str] = []
    rows: list[RowChange] = []
    taken_at_their_word: list[int] = []
    order_changed: bool | None = None
    identical: bool = False
    output: str | None = None

    def remarks(self) -> list[str]:
        """What is to be said besides the counts, a sentence each."""
        renamed = [f"{old} -> {new}" for old, new in self.renamed_columns.items()]
        schema = [
            ("added", self.added_columns),
            ("dropped", self.dropped_columns),
            ("renamed", renamed),
            ("retyped", self.retyped_columns),
        ]
        rewrites = ", ".join(map(str, self.taken_at_their_word))
        versions = "version" if len(self.taken_at_their_word) == 1 else "versions"
        said = "says that it only rewrote rows" if versions == "version" else "say that they only rewrote rows"
        return [
            *(f"{what} columns: {', '.join(names)}" for what, names in schema if names),
            *(["equal rows stand in another order"] if self.order_changed else []),
            *(
                ["the key is ambiguous: of rows that share one, which were paired is a choice"]
                if self.ambiguous
                else []
            ),
            *([f"{versions} {rewrites} {said}; --check-rewrites compares them"] if rewrites else []),
        ]


def read_cells(batches: "pa.RecordBatchReader", compared: Compared) -> Iterator[dict[str, Any]]:
    """Rows of a comparison, as JSON has them. Raises `OutsideError` for a value that cannot be shown."""
    import pyarrow as pa

    names = {f"{side}{n}": pair.name for n, pair in enumerate(compared.pairs) for side in "on"}
    for batch in batches:
        columns = [
            column_cells(pa.chunked_array([column]), names.get(name, name))
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        yield from (dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True))


def row_change(row: dict[str, Any], compared: Compared) -> RowChange:
    """A row of `Comparison.rows` as a value."""
    had, has = row["had"], row["has"]
    kind: Literal["inserted", "deleted", "updated"] = "updated" if had and has else "inserted" if has else "deleted"
    shown = [n for n in range(len(compared.pairs)) if kind != "updated" or row["differ"][n]]
    return RowChange(
        kind=kind,
        key=_cells(row, compared, "n" if has else "o", range(compared.keys)),
        old=_cells(row, compared, "o", shown) if had else None,
        new=_cells(row, compared, "n", shown) if has else None,
    )


def column_changes(
    counts: Sequence[tuple[int, int, int, int | None]], furthest: dict[int, dict[str, Any]], compared: Compared
) -> tuple[dict[str, int], dict[str, ColumnChange]]:
    """The cells and the details of the columns that changed, of `Comparison.count_cells` and its rows by number."""
    cells: dict[str, int] = {}
    details: dict[str, ColumnChange] = {}
    for n, (changed, filled, emptied, number) in sorted(enumerate(counts, compared.keys), key=lambda item: -item[1][0]):
        if changed:
            largest = None if number is None else _movement(furthest[number], compared, n)
            cells[compared.pairs[n].name] = changed
            details[compared.pairs[n].name] = ColumnChange(filled=filled, emptied=emptied, largest=largest)
    return cells, details


def _movement(row: dict[str, Any], compared: Compared, n: int) -> Movement | None:
    pair = compared.pairs[n]
    old, new = show_value(row[f"o{n}"], pair), show_value(row[f"n{n}"], pair)
    return None if old == new else Movement(key=_cells(row, compared, "n", range(compared.keys)), old=old, new=new)


def _cells(row: dict[str, Any], compared: Compared, prefix: str, numbers: Iterable[int]) -> dict[str, Any]:
    return {compared.pairs[n].name: show_value(row[f"{prefix}{n}"], compared.pairs[n]) for n in numbers}


def show_value(value: Any, pair: Pair) -> Any:
    """A compared value that JSON has, without what is beside it for comparing."""
    if pair.wrapped and value is not None:
        value = value["value"] if value.get("lost") is None else value["lost"]
    return value
