"""Parquet files of strangers: opened in one way, and whatever pyarrow raises on one that it cannot take.

A file names types that programs have registered, pandas' periods say, and these are made of texts that lie in it: so
what is raised is not of pyarrow's own kinds alone.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


def open_parquet(source: Any) -> "pq.ParquetFile":
    """Open a file or a buffer that holds Parquet. Raises one of `parquet_errors`, as does reading it."""
    import pyarrow.parquet as pq

    # old writers keep times as 96-bit numbers, which are microseconds in Delta
    file = pq.ParquetFile(source, coerce_int96_timestamp_unit="us")
    for kind in file.schema_arrow.types:
        _require_zone(kind)
    return file


def _require_zone(kind: "pa.DataType") -> None:
    """Ask for the zone of a time: one that is no text is told only then, and that should not be later."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        _ = kind.tz
    for at in range(kind.num_fields):
        _require_zone(kind.field(at).type)


def parquet_errors() -> tuple[type[Exception], ...]:
    """The kinds of errors to expect of a file that may have been damaged, or made to harm."""
    import pyarrow as pa

    # RuntimeError: of a text that is nested too deep; ArithmeticError: of a time beyond what Python has
    return pa.ArrowException, OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError
