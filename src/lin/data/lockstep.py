"""Files that were rewritten with their rows in place, compared row by row: the price of reading them once.

Equal rows at the same place of two files cancel out, whatever stands elsewhere, so what is left is exact: no hash is
believed. Which files to lay side by side is a guess from their statistics, and a wrong one costs little.
"""
# ruff: noqa: S608 - the queries are made of numbers of ours and of relations, which quote every foreign name

import os
from typing import TYPE_CHECKING

from lin.data.bounds import Bound, read_bounds
from lin.data.columns import physical_name
from lin.data.log import AddFile
from lin.data.sides import Compared, Side, Sides
from lin.data.sql import connect_again, fetch_row, read_footer

if TYPE_CHECKING:
    import duckdb

_Match = tuple[AddFile, AddFile]

_SHARE_OF_MOVED = 20
"""Two files are alike in order if no more rows differ than one in so many, or than `_FEW_ROWS`."""

_FEW_ROWS = 10_000
_MOST_THREADS = 8


def compare_in_step(
    connection: "duckdb.DuckDBPyConnection", sides: Sides, compared: Compared
) -> tuple[list[AddFile], list[AddFile]]:
    """Compare the files that are alike in order, row by row.

    The rows of which a compared column differs go to the table `moved`, as `o0`, `o1`, … and `n0`, `n1`, ….
    Returns the other files of the old and of the new side, of which nothing is in it.
    """
    matches = _match_files(sides, compared)
    none = (_select(connection, sides, side, compared, []) for side in (0, 1))
    connection.execute(f"CREATE TABLE moved AS SELECT 0 AS match, * FROM {' CROSS JOIN '.join(none)}")
    if matches and not _have_keys_in_place(connection, sides, compared, matches[0]):
        matches = []  # if the first are not alike, it is not tried with the others
    alike = [_compare(connection, sides, compared, match, 0) for match in matches[:1]]
    if alike == [True] and len(matches) > 1:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS)) as pool:
            numbers = range(1, len(matches))
            alike += pool.map(lambda number: _compare(connection, sides, compared, matches[number], number), numbers)
    unlike = [number for number in range(len(alike)) if not alike[number]]
    connection.execute(f"DELETE FROM moved WHERE match IN ({', '.join(map(str, [-1, *unlike]))})")
    done = {file.key for match, found in zip(matches, alike, strict=False) if found for file in match}
    return [file for file in sides.gone if file.key not in done], [file for file in sides.come if file.key not in done]


def _have_keys_in_place(
    connection: "duckdb.DuckDBPyConnection", sides: Sides, compared: Compared, match: _Match
) -> bool:
    """Whether the two files may be alike in order, by their keys alone, which are soon read."""
    if not compared.keys:
        return True
    keys = Compared(pairs=compared.pairs[: compared.keys], keys=compared.keys)
    old, new = (_select(connection, sides, side, keys, [match[side]]) for side in (0, 1))
    limit = _limit(match[0].rows or 0)
    moved = f"SELECT 1 FROM {old} POSITIONAL JOIN {new} WHERE {' OR '.join(keys.differ('o', 'n'))} LIMIT {limit + 1}"
    return bool(fetch_row(connection, f"SELECT count(*) FROM ({moved})")[0] <= limit)


def _limit(rows: int) -> int:
    """As many rows may differ of two files that are alike in order."""
    return max(rows // _SHARE_OF_MOVED, _FEW_ROWS)


def _compare(
    connection: "duckdb.DuckDBPyConnection", sides: Sides, compared: Compared, match: _Match, number: int
) -> bool:
    """Whether the two files are alike in order; the rows that differ go to `moved` under this number."""
    rows_of_old, rows_of_new = (read_footer(sides.table.root, file)[1] for file in match)
    if rows_of_old != rows_of_new:
        return False  # the log's counts may be wrong, and the shorter side would get rows of nulls
    limit = _limit(rows_of_old)
    with connect_again(connection) as own:
        old, new = (_select(own, sides, side, compared, [match[side]]) for side in (0, 1))
        differ = " OR ".join(compared.differ("o", "n"))
        rows = f"SELECT {number}, * FROM {old} POSITIONAL JOIN {new} WHERE {differ} LIMIT {limit + 1}"
        ((moved,),) = own.execute(f"INSERT INTO moved {rows}").fetchall()
    return bool(moved <= limit)


def _select(
    connection: "duckdb.DuckDBPyConnection", sides: Sides, side: Side, compared: Compared, files: list[AddFile]
) -> str:
    prefix = "on"[side]
    names = ", ".join(f"{prefix}{n}" for n in range(len(compared.all)))
    return f"({sides.select(connection, side, compared, files)}) AS {prefix}({names})"


def _match_files(sides: Sides, compared: Compared) -> list[_Match]:
    """Files of as many rows that begin with the same key, then others of as many rows in their order."""
    gone, come = (
        [file for file in files if file.rows is not None and file.vector is None and not sides.is_narrowed(file)]
        for files in (sides.gone, sides.come)
    )
    begins = {(_least(sides, 1, file, compared), file.rows): file for file in come}
    matches = []
    for file in list(gone):
        begin = (_least(sides, 0, file, compared), file.rows)
        if begin[0] is not None and (other := begins.pop(begin, None)) is not None:
            matches.append((file, other))
            gone.remove(file)
            come.remove(other)
    return matches + [match for match in zip(gone, come, strict=False) if match[0].rows == match[1].rows]


def _least(sides: Sides, side: Side, file: AddFile, compared: Compared) -> Bound | None:
    metadata = sides.snapshots[side].metadata
    field = metadata.schema["fields"][compared.pairs[0].places[side]]
    return read_bounds(file, [physical_name(field, metadata.mapping)], field["type"]).least
