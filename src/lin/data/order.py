"""Whether rows that are equal stand in another order: training depends on it, and a comparison by content does not."""
# ruff: noqa: S608 - the queries are made of numbers of ours and of relations, which quote every foreign name

from itertools import accumulate
from typing import TYPE_CHECKING

from lin.data.log import AddFile
from lin.data.sides import Compared, Sides
from lin.data.sql import fetch_row

if TYPE_CHECKING:
    import duckdb

MOST_ORDERED_ROWS = 5_000_000
"""Beyond so many rows in files of one side alone, it is not looked whether they changed their order."""

_POSITION_NAMES = {"_file", "_position", "file_index", "file_row_number"}


def is_order_changed(connection: "duckdb.DuckDBPyConnection", sides: Sides, compared: Compared) -> bool | None:
    """Whether rows of two versions that have the same rows stand at other places.

    None where it takes more than the changed files to tell.
    """
    before, after = sides.snapshots
    if not sides.gone and not sides.come:
        same = [file.key for file in before.files] == [file.key for file in after.files]
        return False if same else None
    names = {name.casefold() for name in [*before.metadata.columns, *after.metadata.columns]}
    old, new = _offsets(before.files), _offsets(after.files)
    if old is None or new is None or names & _POSITION_NAMES or sides.taken_at_their_word:
        return None
    if any(file.vector for file in [*sides.gone, *sides.come]):
        return None  # the deleted rows have places too
    shifted = any(old[key] != new[key] for key in old.keys() & new.keys())
    if shifted or sum(file.rows or 0 for file in sides.gone) > MOST_ORDERED_ROWS:
        return None
    before_rows = sides.select(connection, 0, compared, sides.gone, places=old)
    after_rows = sides.select(connection, 1, compared, sides.come, places=new)
    moved = ["o.place IS NULL", "n.place IS NULL", *compared.differ("o.c", "n.c")]
    query = (
        f"SELECT EXISTS (SELECT 1 FROM ({before_rows}) AS o FULL OUTER JOIN ({after_rows}) AS n"
        f" ON o.place = n.place WHERE {' OR '.join(moved)})"
    )
    return fetch_row(connection, query) == (True,)


def _offsets(files: list[AddFile]) -> dict[tuple[str, str | None], int] | None:
    """The number of rows before each file; None where the log has no count for one."""
    counts = [file.rows for file in files]
    known = [count for count in counts if count is not None]
    if len(known) != len(counts):
        return None
    return dict(zip((file.key for file in files), accumulate(known, initial=0), strict=False))
