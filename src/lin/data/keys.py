"""Keys of rows as people write them: `454`, or `ID=454` for each column of the key.

A text is taken only if it is a value of the column's type, to the last digit: `1.6` is no integer.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from lin.data.schema import duckdb_type, type_name
from lin.errors import UsageError, nearest

if TYPE_CHECKING:
    import duckdb

_NUMBERS = ("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "DECIMAL")


def read_key(words: Sequence[str], columns: Sequence[str]) -> dict[str, str | None]:
    """The value that is written for each column of the key.

    A word is `COLUMN=VALUE`, or a value alone where the key has one column.

    Raises:
        UsageError: a column is not one of the key's, is missing, or is there twice.
    """
    example = " ".join(f"--key {name}=VALUE" for name in columns)
    if len(words) == len(columns) == 1 and not words[0].startswith(f"{columns[0]}="):
        return {columns[0]: words[0]}
    found: dict[str, str | None] = {}
    for word in words:
        name = next((name for name in columns if word.startswith(f"{name}=")), None)
        if name is None:
            raise UsageError(f"'{word}' names no column of the key: {', '.join(columns)}", hint=example)
        if name in found:
            raise UsageError(f"the key has two values for '{name}'", hint=example)
        found[name] = word.removeprefix(f"{name}=")
    return found


def parse_key(
    connection: "duckdb.DuckDBPyConnection", key: Mapping[str, object], fields: Sequence[Mapping[str, Any]]
) -> list[str | None]:
    """The values of the key's columns as DuckDB writes them, in the order of `fields`.

    None is null, and so is the word `null` for a column that does not hold texts.

    Raises:
        UsageError: a column is missing or unknown, or a value is not of its type.
    """
    names = [field["name"] for field in fields]
    for name in key:
        if name not in names:
            raise UsageError(f"'{name}' is no column of the key", hint=nearest(name, names, instead=", ".join(names)))
    for name in names:
        if name not in key:
            raise UsageError(f"the key has no value for '{name}'", hint=f"--key {name}=VALUE")
    return [_parse(connection, key[field["name"]], field) for field in fields]


def _parse(connection: "duckdb.DuckDBPyConnection", value: object, field: Mapping[str, Any]) -> str | None:
    kind = field["type"]
    if not isinstance(kind, str):
        raise UsageError(f"a row cannot be asked for by '{field['name']}', a column of type {type_name(kind)}")
    if value is None or (value == "null" and kind != "string"):
        return None
    text = value.hex() if isinstance(value, bytes) else str(value)
    found = _cast(connection, text, duckdb_type(kind))
    if found is None:
        raise UsageError(f"'{text}' is not a value of '{field['name']}', a column of type {kind}")
    return found


def _cast(connection: "duckdb.DuckDBPyConnection", text: str, kind: str) -> str | None:
    """The text as DuckDB writes that value, None if it is not one of the type."""
    import duckdb

    parsed = "from_hex(?1)" if kind == "BLOB" else f"TRY_CAST(?1 AS {kind})"
    # a cast drops what does not fit without a word: a time of day, a zone
    wider = {"DATE": "TIMESTAMP", "TIMESTAMP": "TIMESTAMPTZ"}.get(kind)
    whole = f"TRY_CAST(?1 AS {wider}) IS NOT DISTINCT FROM CAST({parsed} AS {wider})" if wider else "true"
    try:
        query = f"SELECT CASE WHEN {whole} THEN CAST({parsed} AS VARCHAR) END"
        ((found,),) = connection.execute(query, [text]).fetchall()
    except duckdb.Error:  # such as digits that are not hexadecimal
        return None
    if found is None or (kind.startswith(_NUMBERS) and not _is_same_number(text, found)):
        return None
    return str(found)


def _is_same_number(one: str, other: str) -> bool:
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return False
