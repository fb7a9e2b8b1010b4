"""The two sides of a comparison: the files that only one version has, and their columns matched to each other.

A file that both versions have is never read. What an OPTIMIZE in between wrote stands for what it replaced, as its
commit says that no row changed, and so is not read either, unless that is to be checked.
"""
# ruff: noqa: S608 - the queries are made of numbers of ours and of relations, which quote every foreign name

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from lin.data.columns import physical_name
from lin.data.log import AddFile, Metadata, Snapshot
from lin.data.schema import DeltaType, duckdb_type, quote, refuse_deep
from lin.data.sql import read_footer, relation
from lin.data.tables import Table
from lin.data.vectors import read_deleted
from lin.errors import LinError, UsageError, nearest

if TYPE_CHECKING:
    import duckdb
    import numpy as np

Side = Literal[0, 1]
_FLOATS = ("float", "double")
_NUMBERS = (*_FLOATS, "byte", "short", "integer", "long")


class Pair(msgspec.Struct, frozen=True):
    """A column that both versions have: its name in each, its place and its type."""

    names: tuple[str, str]
    places: tuple[int, int]
    kinds: tuple[DeltaType, DeltaType]
    bitwise: bool = False

    @property
    def name(self) -> str:
        """What the newer version calls it."""
        return self.names[1]

    @property
    def types(self) -> tuple[str, str]:
        """The DuckDB types."""
        return duckdb_type(self.kinds[0]), duckdb_type(self.kinds[1])

    @property
    def retyped(self) -> bool:
        """Whether the versions have it in different types."""
        return self.types[0] != self.types[1]

    @property
    def wrapped(self) -> bool:
        """Whether the compared value is a struct that has the value itself as `value`."""
        return self.retyped or (self.bitwise and has_floats(self.kinds[1]))

    @property
    def numeric(self) -> bool:
        """Whether values have a distance."""
        kind = self.kinds[1]
        return str(kind) in _NUMBERS or str(kind).startswith("decimal")

    def expression(self, side: Side) -> str:
        """The column of one side, in a form in which the two sides' equal values are equal.

        An old value that the new type does not hold is kept beside it as text, so that it equals no new one.
        """
        value = f"p{self.places[side]}"
        if self.bitwise and not self.retyped and has_floats(self.kinds[1]):
            return (
                f"CASE WHEN {value} IS NOT NULL THEN {{'value': {value}, 'bits': {bits_sql(value, self.kinds[1])}}} END"
            )
        if not self.retyped:
            return value
        old, new = self.types
        if side == 1:
            return f"{{'value': {value}, 'lost': NULL::VARCHAR}}"
        cast = f"TRY_CAST({value} AS {new})"
        lost = f"TRY_CAST({cast} AS {old}) IS DISTINCT FROM {value}"
        text = f"CASE WHEN {lost} THEN CAST({value} AS VARCHAR) END"
        return f"{{'value': CASE WHEN {lost} THEN NULL ELSE {cast} END, 'lost': {text}}}"

    def bare(self, column: str) -> str:
        """The value itself, of a column with compared values, as SQL."""
        return f"{column}.value" if self.wrapped else column

    def output(self, column: str, *, as_text: bool) -> str:
        """The value for a file, as SQL: what the new type lost as text, and what CSV lacks as text too."""
        value = self.bare(column)
        if self.retyped and column.startswith("o"):
            return f"coalesce({column}.lost, CAST({value} AS VARCHAR))"
        if as_text and self.kinds[1] == "binary":
            return f"hex({value})"
        return f"CAST({value} AS VARCHAR)" if as_text and isinstance(self.kinds[1], dict) else value

    def null(self, column: str) -> str:
        """Whether the value is null, as SQL."""
        return f"({column}.value IS NULL AND {column}.lost IS NULL)" if self.retyped else f"{column} IS NULL"


class Compared(msgspec.Struct, frozen=True):
    """The columns to compare, those of the key first, and behind them those that are only carried along.

    In the queries they are numbered: `c0`, `c1`, … on a side, `o0` and `n0` where the sides are joined.
    """

    pairs: list[Pair]
    keys: int
    carried: list[Pair] = []

    @property
    def all(self) -> list[Pair]:
        """All columns that are read."""
        return [*self.pairs, *self.carried]

    def names(self, prefix: str, start: int = 0, stop: int | None = None) -> list[str]:
        """The numbered names of the compared columns from `start` on."""
        return [f"{prefix}{number}" for number in range(start, len(self.pairs) if stop is None else stop)]

    def differ(self, left: str, right: str, start: int = 0) -> list[str]:
        """A condition for each compared column, from number `start` on."""
        names = zip(self.names(left, start), self.names(right, start), strict=True)
        return [f"{one} IS DISTINCT FROM {other}" for one, other in names]

    def same_key(self, left: str, right: str) -> list[str]:
        """Conditions under which two rows have the same key."""
        return [f"{left}{n} IS NOT DISTINCT FROM {right}{n}" for n in range(self.keys)]


class Sides:
    """The versions, and the logical files that only one of them has: `gone` and `come`.

    `taken_at_their_word` are the commits in between that say they only rewrote rows, and were believed.
    """

    def __init__(self, table: Table, before: Snapshot, after: Snapshot, *, check_rewrites: bool = False) -> None:
        self.table = table
        self.snapshots = (before, after)
        self.taken_at_their_word: list[int] = []
        old = {file.key: file for file in before.files}
        new = {file.key: file for file in after.files}
        if not check_rewrites:
            self._undo_rewrites(old, new)
        self.gone = [file for key, file in old.items() if key not in new]
        self.come = [file for key, file in new.items() if key not in old]
        self._only = self._narrow_to_vectors()

    def select(
        self,
        connection: "duckdb.DuckDBPyConnection",
        side: Side,
        compared: Compared,
        files: list[AddFile],
        *,
        places: dict[tuple[str, str | None], int] | None = None,
    ) -> str:
        """The columns of some files of one side as `c0`, `c1`, …; their own names may be anything.

        With `places`, the number of rows before each of these files, the `place` of each row is there too.
        """
        metadata = self.snapshots[side].metadata
        columns = [f"{pair.expression(side)} AS c{n}" for n, pair in enumerate(compared.all)]
        names = [f"p{place}" for place in range(len(metadata.columns))]
        if places is not None:
            columns.append(f"(CAST({[places[file.key] for file in files]} AS BIGINT[]))[f + 1] + r AS place")
            names += ["f", "r"]
        only = {n: self._only[side][file.key] for n, file in enumerate(files) if file.key in self._only[side]}
        rows = relation(connection, self.table.root, files, metadata, positions=places is not None, only=only)
        return f"SELECT {', '.join(columns)} FROM ({rows}) AS t({', '.join(names)})"

    def is_narrowed(self, file: AddFile) -> bool:
        """Whether only some rows of the file are read, as the other side has the file too."""
        return any(file.key in only for only in self._only)

    def _undo_rewrites(
        self, old: "dict[tuple[str, str | None], AddFile]", new: "dict[tuple[str, str | None], AddFile]"
    ) -> None:
        """Put back in the later version what a commit that changed no row replaced, if that leads to shared files."""
        first, last = sorted(snapshot.version for snapshot in self.snapshots)
        earlier, later = (old, new) if self.snapshots[0].version == first else (new, old)
        try:
            for version in range(last, first, -1):
                self._undo_rewrite(version, earlier, later)
        except LinError:
            return  # commits that are gone from the log tell nothing; what they wrote is compared

    def _undo_rewrite(
        self,
        version: int,
        earlier: "dict[tuple[str, str | None], AddFile]",
        later: "dict[tuple[str, str | None], AddFile]",
    ) -> None:
        commit = self.table.log.commit(version)
        if not commit.adds or commit.metadata or commit.data_change:
            return
        written = {file.key for file in commit.adds}
        if written <= later.keys() and not earlier.keys().isdisjoint(commit.removes):
            replaced = self._files_before(version, commit.removes)
            if all(file.key in earlier or (self.table.root / file.path).is_file() for file in replaced):
                for key in written:
                    del later[key]
                later.update((file.key, file) for file in replaced)
                self.taken_at_their_word.append(version)

    def _files_before(self, version: int, keys: Sequence[tuple[str, str | None]]) -> list[AddFile]:
        known = {file.key: file for file in self.table.log.snapshot(version - 1).files}
        return [known[key] for key in keys if key in known]

    def _narrow_to_vectors(self) -> "tuple[dict[Any, np.ndarray[Any, Any]], dict[Any, np.ndarray[Any, Any]]]":
        """Of files that both sides have with different deletion vectors: the rows that only one side deletes."""
        import numpy as np

        only: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
        later = {file.path: file for file in self.come}
        for old in list(self.gone):
            new = later.get(old.path)
            if new is None:
                continue
            _, rows = read_footer(self.table.root, old)
            deleted = [
                read_deleted(self.table.root, file.vector, of=file.path, within=rows)
                if file.vector
                else np.array([], np.int64)
                for file in (old, new)
            ]
            only[0][old.key] = np.setdiff1d(deleted[1], deleted[0], assume_unique=True)
            only[1][new.key] = np.setdiff1d(deleted[0], deleted[1], assume_unique=True)
        self.gone = [file for file in self.gone if file.key not in only[0] or len(only[0][file.key])]
        self.come = [file for file in self.come if file.key not in only[1] or len(only[1][file.key])]
        return only


# --- columns ----------------------------------------------------------------------------------------------------------


def pair_columns(old: Metadata, new: Metadata, *, bitwise: bool = False) -> list[Pair]:
    """The columns that both versions have, matched by what the files call them, which a rename does not change.

    Raises:
        OutsideError: a column is nested deeper than lin reads.
    """
    refuse_deep(old.schema)
    refuse_deep(new.schema)
    before = {physical_name(field, old.mapping): (n, field) for n, field in enumerate(old.schema["fields"])}
    found = []
    for place, field in enumerate(new.schema["fields"]):
        if (match := before.get(physical_name(field, new.mapping))) is not None:
            at, other = match
            names = (other["name"], field["name"])
            found.append(Pair(names, (at, place), (other["type"], field["type"]), bitwise))
    return found


def choose_columns(
    pairs: list[Pair], key: Sequence[str], columns: Sequence[str] | None, *, carry: bool = False
) -> Compared:
    """The columns to compare: those of the key, then the others or the chosen ones.

    Raises:
        UsageError: nothing is left to compare.
    """
    by_name = {pair.name: pair for pair in pairs}
    rest = [pair for pair in pairs if pair.name not in key]
    chosen = [pair for pair in rest if columns is None or pair.name in columns]
    keys = [by_name[name] for name in dict.fromkeys(key)]
    if not keys and not chosen:
        raise UsageError("the versions have none of these columns in common: no rows can be compared")
    carried = [pair for pair in rest if pair not in chosen] if carry and keys else []
    return Compared([*keys, *chosen], len(keys), carried)


def require_columns(key: Sequence[str], columns: Sequence[str] | None, pairs: list[Pair], sides: Sides) -> None:
    """Refuse names that are no columns. Raises `UsageError` that names the nearest."""
    paired = {pair.name for pair in pairs}
    for side, snapshot in enumerate(sides.snapshots):
        known = snapshot.metadata.columns
        for name in key:
            if name not in paired and (
                side == 1 or name not in sides.snapshots[1].metadata.columns or name not in known
            ):
                raise _no_column(name, known, f"version {snapshot.version}", "key column")
    known = list(dict.fromkeys(name for side in (1, 0) for name in sides.snapshots[side].metadata.columns))
    for name in columns or ():
        if name not in known:
            raise _no_column(name, known, "either version", "column")


def _no_column(name: str, known: list[str], where: str, what: str) -> UsageError:
    instead = f"the columns are: {', '.join(known)}"
    return UsageError(f"there is no {what} '{name}' in {where}", hint=nearest(name, known, instead=instead))


# --- bits -------------------------------------------------------------------------------------------------------------


def has_floats(kind: DeltaType) -> bool:
    """Whether there are floats in values of the type."""
    match kind:
        case {"type": "struct", "fields": [*fields]}:
            return any(has_floats(field["type"]) for field in fields)
        case {"type": "array", "elementType": element}:
            return has_floats(element)
        case {"type": "map", "keyType": key, "valueType": value}:
            return has_floats(key) or has_floats(value)
    return kind in _FLOATS


def bits_sql(value: str, kind: DeltaType, depth: int = 0) -> str:
    """The value with each float as its bits, as SQL: a NaN equals only the same NaN, and 0.0 is not -0.0."""
    if not has_floats(kind):
        return value
    item = f"x{depth}"
    match kind:
        case {"type": "struct", "fields": [*fields]}:
            parts = (bits_sql(f"{value}.{quote(field['name'])}", field["type"], depth) for field in fields)
            return f"CASE WHEN {value} IS NOT NULL THEN row({', '.join(parts)}) END"
        case {"type": "array", "elementType": element}:
            return f"list_transform({value}, lambda {item}: {bits_sql(item, element, depth + 1)})"
        case {"type": "map", "keyType": key, "valueType": entry}:
            one = bits_sql(f"{item}.key", key, depth + 1)
            other = bits_sql(f"{item}.value", entry, depth + 1)
            return f"list_transform(map_entries({value}), lambda {item}: row({one}, {other}))"
    return f"CAST({value} AS BIT)"
