"""Cells as JSON has them: floats as `lin.numbers` writes them, times in ISO 8601, decimals as text, bytes in hex."""

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lin.errors import OutsideError
from lin.numbers import to_json

if TYPE_CHECKING:
    import pyarrow as pa


def column_cells(column: "pa.ChunkedArray") -> list[Any]:
    """The cells of a column. Raises `OutsideError` for a value that Python does not hold, as a date in year 12000."""
    try:
        return [cell_to_json(value) for value in column.to_pylist()]
    except (ValueError, OverflowError) as error:
        raise OutsideError(f"a value cannot be shown: {error}") from error


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
