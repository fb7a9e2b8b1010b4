"""Cells as JSON has them: floats as `lin.numbers` writes them, times in ISO 8601, decimals as text, bytes in hex."""

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lin.errors import OutsideError
from lin.numbers import to_json

if TYPE_CHECKING:
    import pyarrow as pa


def column_cells(column: "pa.ChunkedArray", name: str) -> list[Any]:
    """The cells of a column. Raises `OutsideError`, with the column's name, for values that Python does not hold."""
    import pyarrow as pa

    try:
        return [cell_to_json(value) for value in column.to_pylist()]
    except (ValueError, OverflowError) as error:
        if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
            return _far_times(column)
        raise OutsideError(f"column {name!r} has a value that cannot be shown: {error}") from error


def _far_times(column: "pa.ChunkedArray") -> list[str | None]:
    """Times in ISO 8601 where some have years that Python has not."""
    import numpy as np

    zone = "+00:00" if getattr(column.type, "tz", None) else ""
    pairs = zip(np.datetime_as_string(column.to_numpy()), column.is_valid().to_pylist(), strict=True)
    return [f"{text}{zone}" if known else None for text, known in pairs]


def cell_to_json(value: Any) -> Any:
    """One value; a map is a list of pairs, which keeps every key as it is."""
    shown: Any = value
    match value:
        case float():
            shown = to_json(value)
        case date():
            shown = value.isoformat()
        case Decimal():
            shown = str(value)
        case bytes():
            shown = value.hex()
        case dict():
            shown = {name: cell_to_json(part) for name, part in value.items()}
        case list() | tuple():
            shown = [cell_to_json(part) for part in value]
    return shown
