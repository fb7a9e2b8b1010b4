"""Which rows may differ, where nothing stands in its place: found by sums of hashes, in memory that does not grow.

Each row falls into a bucket by the hash of its key and adds a hash of the whole row to the bucket's sum; each side is
read once for that, and nothing is kept but the sums. Where they are equal on both sides, so are the rows. The rows of
the other buckets are suspects, and are read whole. Both hashes have a random salt, and that of the row is mixed once
more, or the sums of rows that only swapped their values could meet.
"""
# ruff: noqa: S608 - the queries are made of numbers of ours and of relations, which quote every foreign name

import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from lin.data.sides import Compared
from lin.data.sql import fetch_row

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import numpy.typing as npt

    _Sums = npt.NDArray[np.uint64]

_LEAST_BITS = 10
_MOST_BITS = 23
"""Up to 8 million buckets, in 64 MB."""

_BATCH = 100_000
_AHEAD = "16MB"
"""So much is read ahead while sums are added up: with the engine's one megabyte it waits for them."""

_PART = 10
"""Suspects are few if they lie in no more than one bucket in so many."""


class _Total(NamedTuple):
    """How many rows there are, and the sum of their hashes, of which nothing is lost."""

    rows: int
    hashes: int


def find_suspects_in_buckets(
    connection: "duckdb.DuckDBPyConnection", compared: Compared, *, rows: int | None = None
) -> bool:
    """Make the tables `so` and `sn` of the rows of `o` and `n` that may differ, if they are few.

    All other rows are equal, and as many on both sides. A row that differs is missed with a chance of one in 2^64.

    Args:
        connection: has `o` and `n`.
        compared: their columns; rows fall into buckets by their keys, or without one, by all that is compared.
        rows: how many there are on a side, more or less.

    Returns:
        Whether the tables were made. If not, too many rows differ, or a side could not be read.
    """
    import pyarrow as pa

    search = _Search(connection, compared, rows)
    try:
        differing = search.find_differing()
    except (pa.ArrowException, OSError):
        return False  # another query fails too, and with an error that tells more than one out of a stream
    return differing is not None and search.read_rows_of(differing)


class _Search:
    def __init__(self, connection: "duckdb.DuckDBPyConnection", compared: Compared, rows: int | None) -> None:
        wanted = _MOST_BITS if rows is None else (rows // 2).bit_length()
        self.bits = min(max(wanted, _LEAST_BITS), _MOST_BITS)
        self.connection = connection
        self.columns = ", ".join(f"c{n}" for n in range(len(compared.all)))
        self.hash = f"hash({_hash(compared.names('c'))})"
        key = _hash(compared.names("c", stop=compared.keys)) if compared.keys else self.hash
        self.bucket = f"CAST({key} >> {64 - self.bits} AS BIGINT)"
        self.totals: list[_Total] = []

    def find_differing(self) -> "npt.NDArray[np.int64] | None":
        """The numbers of the buckets that differ, if they are few."""
        import numpy as np

        self.connection.execute(f"SET streaming_buffer_size = '{_AHEAD}'")
        sums = np.zeros(1 << self.bits, dtype=np.uint64)
        self.totals = [self._sum_up(sums, "o", np.add), self._sum_up(sums, "n", np.subtract)]
        differing = np.flatnonzero(sums)
        return differing if len(differing) <= len(sums) // _PART else None

    def _sum_up(self, sums: "_Sums", side: str, operation: "np.ufunc") -> _Total:
        import numpy as np

        query = f"SELECT {self.bucket}, {self.hash} FROM {side}"
        rows = total = 0
        for batch in self.connection.sql(query).to_arrow_reader(_BATCH):
            columns: list[npt.NDArray[Any]] = [np.from_dlpack(column) for column in batch.columns]  # no pandas for it
            buckets, hashes = columns
            operation.at(sums, buckets, hashes)
            rows += len(hashes)
            total += (int((hashes >> 32).sum()) << 32) + int((hashes & 0xFFFFFFFF).sum())
        return _Total(rows, total)

    def read_rows_of(self, buckets: "npt.NDArray[np.int64]") -> bool:
        """Make the tables of the rows in these buckets. Returns whether what remains is as much on both sides."""
        import pyarrow as pa

        numbers = pa.Array.from_buffers(pa.int64(), len(buckets), [None, pa.py_buffer(buckets)])
        self.connection.register("given", pa.table([numbers], ["number"]))
        self.connection.execute("CREATE TEMP TABLE bucket AS SELECT * FROM given")
        self.connection.unregister("given")
        rests = []
        for side, (rows, hashes) in zip("on", self.totals, strict=True):
            suspects = f"SELECT {self.columns} FROM {side} SEMI JOIN bucket ON {self.bucket} = bucket.number"
            self.connection.execute(f"CREATE TEMP TABLE s{side} AS {suspects}")
            # a sum in a bucket forgets what a row adds that is there 2^64 times, and much of one there 2^40 times
            found = f"SELECT count(*), coalesce(sum(CAST({self.hash} AS HUGEINT)), 0) FROM s{side}"
            suspected = _Total(*fetch_row(self.connection, found))
            rests.append((rows - suspected.rows, hashes - suspected.hashes))
        self.connection.execute("DROP TABLE bucket")
        if rests[0] != rests[1]:
            self.connection.execute("DROP TABLE so")
            self.connection.execute("DROP TABLE sn")
        return rests[0] == rests[1]


def _hash(names: list[str]) -> str:
    return f"hash({', '.join([str(secrets.randbits(62)), *names])})"
