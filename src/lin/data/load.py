"""Tables from files: CSV, Parquet and JSON, in the types that Delta has; and folders that are tables.

Nothing is dropped or rounded on the way in: what cannot be kept as it is, is refused by name.
"""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lin.data.casts import cast_exactly, check_names, delta_schema
from lin.data.log import Snapshot, require_readable
from lin.data.parquet import open_parquet, parquet_errors
from lin.data.tables import Table
from lin.errors import NotFoundError, OutsideError, UsageError, nearest

if TYPE_CHECKING:
    import pyarrow as pa

_NO_NUMBER = ["", "NA", "N/A", "#N/A", "null", "NULL"]
"""What stands for a null in a CSV column of numbers or times; in one of texts, only an empty field does."""

_LARGEST_EXACT = 2.0**53
_ENDINGS = (".csv", ".parquet", ".json", ".jsonl", ".ndjson")


def load_source(path: Path, *, fill_short_rows: bool = False) -> "pa.Table":
    """The rows of a CSV, Parquet or JSON file, in Delta's types; columns with no value at all become text.

    CSV has a header and commas; a column's type is one that all its values have, and blank lines are skipped.
    JSON is one object a line, or one array of objects; what an object lacks is null.

    Raises:
        NotFoundError: no such file. UsageError: names what is wrong, with the line where there is one.
        OutsideError: the file cannot be read.
    """
    data = _read_bytes(path)
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        raise UsageError(
            f"lin cannot tell what is in {path.name}: its name ends in none of {', '.join(_ENDINGS)}",
            hint="convert it to one of these, or name the folder of a Delta table",
        )
    if not data.strip():
        raise UsageError(f"{path.name} is empty")
    with _naming(path.name):
        if ending == ".csv":
            return _as_delta(_read_csv(data, path.name, fill_short_rows))
        return _as_delta((_read_parquet if ending == ".parquet" else _read_json)(data, path.name))


def load_table(table: Table, source: Path, *, fill_short_rows: bool = False) -> "pa.Table":
    """The rows of a file that is to become `table`, checked against its key and order.

    Raises:
        NotFoundError: no such file.
        UsageError: it cannot be read, or a key or order column is missing, null, or not unique in it.
    """
    rows = load_source(source, fill_short_rows=fill_short_rows)
    with _naming(source.name):
        _require_columns(table, rows.column_names)
        if table.key:
            _require_unique(rows, list(table.key))
    return rows


def adopt(table: Table) -> Snapshot:
    """Check that the table's folder is a Delta table that lin can read; returns its newest version.

    Raises:
        NotFoundError: it is no Delta table. UsageError: it lacks a key or order column.
        OutsideError: it is damaged, or needs a feature that lin lacks.
    """
    snapshot = table.log.snapshot()
    require_readable(table.log, snapshot)
    _require_columns(table, snapshot.metadata.columns)
    lost = [file.path for file in snapshot.files if not (table.root / file.path).is_file()]
    if lost:
        raise OutsideError(f"table '{table.name}' is damaged: data file {lost[0]!r} is missing")
    return snapshot


def _require_columns(table: Table, columns: list[str]) -> None:
    for name, what in (*((name, "key") for name in table.key), *((name, "order") for name in table.order)):
        if name not in columns:
            known = f"the columns are: {', '.join(columns)}"
            raise UsageError(
                f"there is no column '{name}', which is to be the {what} of table '{table.name}'",
                hint=nearest(name, columns, instead=known),
            )


def _require_unique(rows: "pa.Table", key: list[str]) -> None:
    """Refuse rows that the key does not identify, naming the first."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in key:
        nulls = rows.column(name).is_null()
        if pc.any(nulls).as_py():
            row = pc.index(nulls, value=True).as_py() + 1
            raise UsageError(
                f"row {row} has no value in the key column '{name}'", hint="give it one, or choose another --key"
            )
    try:
        counts = rows.group_by(key, use_threads=False).aggregate([([], "count_all")])
    except pa.ArrowNotImplementedError as error:
        raise UsageError(f"{', '.join(key)} cannot be a key: {error}") from error
    repeated = counts.filter(pc.greater(counts.column("count_all"), 1)).slice(0, 1).to_pylist()
    if repeated:
        value = ", ".join(f"{name} = {repeated[0][name]!r}" for name in key)
        raise UsageError(
            f"the key is not unique: {repeated[0]['count_all']} rows have {value}",
            hint="choose more or other key columns, or none",
        )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Put the file's name in front of what is wrong with it."""
    try:
        yield
    except UsageError as error:
        if error.message.startswith(name):
            raise
        raise UsageError(f"{name}: {error.message}", hint=error.hint) from error


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"there is no file '{path}'", hint="check its path") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder, not a file", hint="name one file in it") from None
    except OSError as error:
        raise OutsideError(f"{path} cannot be read: {error}") from error


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{name}, line {line}: not valid UTF-8 text: {error.reason}", hint="convert the file to UTF-8"
        ) from error


def _as_delta(rows: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    schema = delta_schema(rows.schema)
    fields = [_narrow(rows, field) for field in schema]
    columns = [cast_exactly(rows.column(i), field.type, field.name) for i, field in enumerate(fields)]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _narrow(rows: "pa.Table", field: "pa.Field") -> "pa.Field":
    """The field as `long` where a column of unsigned numbers fits that."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = rows.column(field.name)
    if not pa.types.is_uint64(values.type):
        return field
    largest = pc.max(values).as_py()
    return field.with_type(pa.int64()) if largest is None or largest < 1 << 63 else field


# --- Parquet ------------------------------------------------------------------------------------------------


def _read_parquet(data: bytes, name: str) -> "pa.Table":
    import pyarrow as pa

    try:
        return open_parquet(pa.BufferReader(data)).read()
    except parquet_errors() as error:
        raise UsageError(f"{name} cannot be read as Parquet: {error}") from error


# --- JSON ---------------------------------------------------------------------------------------------------


def _read_json(data: bytes, name: str) -> "pa.Table":
    import pyarrow as pa

    text = _decode(data, name)
    objects = _array(text, name) if text.lstrip().startswith("[") else _lines(text, name)
    names = list(dict.fromkeys(key for item in objects for key in item))
    if not names:
        raise UsageError(f"{name} has no rows with values")
    return pa.table({column: _column([item.get(column) for item in objects], column) for column in names})


def _lines(text: str, name: str) -> list[dict[str, Any]]:
    # not splitlines(): a line separator of Unicode may stand inside a JSON text
    numbered = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    return [_object(_parse_json(line, name, number), f"{name}, line {number}") for number, line in numbered]


def _array(text: str, name: str) -> list[dict[str, Any]]:
    items = _parse_json(text, name, 1)
    return [_object(item, f"{name}, element {number}") for number, item in enumerate(items, 1)]


def _object(value: object, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise UsageError(f"{where}: a row must be an object, not {json.dumps(value)[:60]}")


def _parse_json(text: str, name: str, first_line: int) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise UsageError(
            f"{name}, line {line}: not valid JSON at column {error.colno}: {error.msg}",
            hint="write one object a line, or one array of objects",
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name}, line {first_line}: not JSON that lin reads: {error}") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _column(values: list[Any], name: str) -> "pa.Array":
    import pyarrow as pa

    try:
        return pa.array(values)
    except OverflowError as error:
        raise UsageError(f"column '{name}' has a whole number beyond 64 bits") from error
    except (pa.ArrowException, UnicodeEncodeError) as error:
        raise UsageError(f"the values of column '{name}' are not of one type: {error}") from error


# --- CSV ----------------------------------------------------------------------------------------------------


def _read_csv(data: bytes, name: str, fill_short_rows: bool) -> "pa.Table":
    import pyarrow as pa

    if not data.isascii():
        _decode(data, name)
    if data.count(b'"') % 2:
        _check_quotes(data, name)
    try:
        rows = _infer(data)
    except pa.ArrowInvalid as error:
        mended = _mend(data, name, fill_short_rows)
        if mended == data:
            raise UsageError(f"{name} cannot be read as CSV: {error}") from error
        return _read_csv(mended, name, fill_short_rows=False)
    check_names(rows.column_names)
    if not rows.num_rows:
        raise UsageError(f"{name} has a header and no rows, so nothing tells the types of its columns")
    return _exact_texts(data, rows)


def _infer(data: bytes, **options: Any) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    return arrow_csv.read_csv(
        pa.BufferReader(data),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(**{"null_values": _NO_NUMBER, **options}),
    )


def _exact_texts(data: bytes, rows: "pa.Table") -> "pa.Table":
    """Take from the file as text what is text, and what inference would have rounded or rewritten."""
    import pyarrow as pa

    kinds = {field.name: field.type for field in rows.schema}
    is_text = (pa.types.is_string, pa.types.is_time, pa.types.is_null)
    texts = [name for name, kind in kinds.items() if any(is_kind(kind) for is_kind in is_text)]
    large = [name for name, kind in kinds.items() if pa.types.is_float64(kind) and _is_large(rows.column(name))]
    if not texts and not large:
        return rows
    read = _infer(
        data,
        include_columns=[*texts, *large],
        column_types=dict.fromkeys([*texts, *large], pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    for name in [*texts, *large]:
        column = read.column(name)
        if name in texts or (column := _whole_numbers(column)) is not None:
            rows = rows.set_column(rows.column_names.index(name), name, column)
    return rows


def _is_large(column: "pa.ChunkedArray") -> bool:
    import pyarrow.compute as pc

    largest = pc.max(pc.abs(column)).as_py()
    return largest is not None and largest >= _LARGEST_EXACT


def _whole_numbers(texts: "pa.ChunkedArray") -> "pa.ChunkedArray | None":
    """Whole numbers beyond 64 bits, as decimals if they fit, else as texts; None if there are others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pc.if_else(pc.is_in(texts, pa.array(_NO_NUMBER)), pa.scalar(None, pa.string()), texts)
    if not pc.all(pc.match_substring_regex(known, r"^\s*[+-]?[0-9]+\s*$")).as_py():
        return None
    try:
        return known.cast(pa.decimal128(38, 0))
    except pa.ArrowInvalid:
        return known


def _check_quotes(data: bytes, name: str) -> None:
    """Refuse a quote that is never closed: it makes one text of the rest of the file."""
    try:
        for _ in csv.reader(_text(data), strict=True):
            pass
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise UsageError(f"{name} ends inside a quoted text: a quote is not closed, or the end is lost") from error


def _mend(data: bytes, name: str, fill_short_rows: bool) -> bytes:
    """The file with every row that is too short ended by commas.

    Raises:
        UsageError: a row is too long, or too short and not to be filled.
    """
    mended: list[str] = []
    expected: int | None = None
    try:
        for line, fields, raw in _records(data):
            expected = fields if expected is None and fields else expected
            missing = (expected or 0) - fields
            if fields and (missing < 0 or (missing and not fill_short_rows)):
                raise UsageError(
                    f"{name}, line {line}: the row has {fields} field{'s' * (fields != 1)}, and the header {expected}",
                    hint="mend the file" if missing < 0 else "mend the file, or fill with nulls: --fill-short-rows",
                )
            ending = raw[len(raw.rstrip("\r\n")) :]
            mended.append(raw.removesuffix(ending) + "," * missing + ending if fields and missing else raw)
    except csv.Error as error:
        raise UsageError(f"{name} cannot be read as CSV: {error}") from error
    return "".join(mended).encode()


def _records(data: bytes) -> Iterator[tuple[int, int, str]]:
    """Each record's first line in the file, its number of fields (0 for a blank line), and its own text."""
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in _text(data):
            taken.append(line)
            yield line

    reader = csv.reader(lines())
    first = 1
    for fields in reader:
        yield first, len(fields), "".join(taken)
        taken.clear()
        first = reader.line_num + 1


def _text(data: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
