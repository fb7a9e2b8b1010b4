"""Where the columns of a table lie in its data files: by name, by physical name, or by field id.

Column mapping lets a file call a column, or a part of a nested one, by another name than the table does. Each file is
matched against the table's schema from its own footer, so that nothing is ever null because it was looked for under
the wrong name, and a file that spells a type in a way that does not hold the same values is refused.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lin.data.log import Metadata
from lin.data.schema import DeltaType, arrow_type, duckdb_type, fits, quote, type_name
from lin.errors import OutsideError

if TYPE_CHECKING:
    import pyarrow as pa

_FIELD_ID = b"PARQUET:field_id"


class Place(NamedTuple):
    """Where a column, or a part of one, lies in a file: its name there, None if the file lacks it, and its parts."""

    name: str | None
    parts: "tuple[Place, ...]" = ()


def physical_name(field: dict[str, Any], mapping: str) -> str:
    """What a field of the table is called in files, in statistics and in partition values."""
    name = _told(field, "delta.columnMapping.physicalName") if mapping != "none" else field["name"]
    if not isinstance(name, str):
        raise OutsideError(f"column {field['name']!r} has no physical name, in a table with column mapping")
    return name


def _told(field: dict[str, Any], key: str) -> Any:
    metadata = field.get("metadata")
    return metadata.get(key) if isinstance(metadata, dict) else None


def stored_fields(metadata: Metadata) -> list[dict[str, Any]]:
    """The fields of the table that lie in its data files: all but those whose values the log has."""
    return [field for field in metadata.schema["fields"] if field["name"] not in metadata.partition_columns]


def locate_columns(path: str, found: "pa.Schema", metadata: Metadata) -> list[Place]:
    """Where the columns of `stored_fields` lie in the data file at `path`, whose Arrow schema is `found`.

    Raises:
        OutsideError: names the file and the column that is ambiguous, missing though it is never null, or of a type
            that does not fit.
    """
    try:
        refuse_ambiguous(found.names, f"data file {path!r}")
        return _locate_all(path, list(found), stored_fields(metadata), metadata.mapping)
    except UnicodeDecodeError as error:  # of a name or a zone, when it is asked for
        raise OutsideError(f"data file {path!r} cannot be read: {error}") from error


def refuse_ambiguous(names: Iterable[str], where: str) -> None:
    """Refuse names that differ only in case, which DuckDB takes for one without a word. Raises `OutsideError`."""
    seen: dict[str, str] = {}
    for name in names:
        folded = name.casefold()
        if folded in seen:
            raise OutsideError(f"{where} has columns {seen[folded]!r} and {name!r}, which lin cannot tell apart")
        seen[folded] = name


def _locate_all(path: str, among: "Sequence[pa.Field]", fields: Sequence[dict[str, Any]], mapping: str) -> list[Place]:
    known = _by_identity(path, among, mapping)
    wanted = [(_identity(field, mapping), field) for field in fields]
    if twice := [identity for identity, count in Counter(each for each, _ in wanted).items() if count > 1]:
        raise OutsideError(f"the table has several columns that data files know as {twice[0]!r}")
    if mapping == "id" and (lost := [field for identity, field in wanted if identity not in known]):
        _require_ids(path, among, lost)
    return [_locate(path, known.get(identity), field, mapping) for identity, field in wanted]


def _by_identity(path: str, among: "Iterable[pa.Field]", mapping: str) -> "dict[str, pa.Field]":
    """The fields of a file, or of a part of one, by what a table can know them by."""
    known: dict[str, pa.Field] = {}
    for field in among:
        identity = _field_id(field) if mapping == "id" else field.name.casefold()
        if identity in known:
            raise OutsideError(f"data file {path!r} has two columns with the id {identity}")
        if identity is not None:
            known[identity] = field
    return known


def _require_ids(path: str, among: "Sequence[pa.Field]", lost: Iterable[dict[str, Any]]) -> None:
    """Refuse a file that lacks a column only in that it gives it no id: it would be read as nulls."""
    unnumbered = {field.name for field in among if _field_id(field) is None}
    if unnumbered and len(unnumbered) == len(among):
        raise OutsideError(f"data file {path!r} has no field ids, by which its table's columns are mapped")
    if named := sorted(unnumbered.intersection(physical_name(field, "id") for field in lost)):
        raise OutsideError(f"data file {path!r} has no field id for column {named[0]!r}, by which its table maps it")


def _identity(field: dict[str, Any], mapping: str) -> str:
    if mapping != "id":
        return physical_name(field, mapping).casefold()
    number = _told(field, "delta.columnMapping.id")
    if not isinstance(number, int) or isinstance(number, bool):
        raise OutsideError(f"column {field['name']!r} has no id, in a table with column mapping by id")
    return str(number)


def _locate(path: str, found: "pa.Field | None", field: dict[str, Any], mapping: str) -> Place:
    if found is None:
        if field.get("nullable", True):
            return Place(None)
        raise OutsideError(f"data file {path!r} has no column {field['name']!r}, which is never null in its table")
    if mapping != "id" and found.name != (name := physical_name(field, mapping)):
        raise OutsideError(f"data file {path!r} has a column {found.name!r} where the table has {name!r}")
    return Place(found.name, _locate_parts(path, found, field["type"], mapping))


def _field_id(field: "pa.Field") -> str | None:
    number = (field.metadata or {}).get(_FIELD_ID)
    return None if number is None else number.decode()


def _locate_parts(path: str, found: "pa.Field", kind: DeltaType, mapping: str) -> tuple[Place, ...]:
    """The parts of a nested column, each checked; raises where the file's type is not one of the table's."""
    import pyarrow.types as kinds

    stored = found.type
    match kind:
        case {"type": "struct", "fields": [*fields]} if kinds.is_struct(stored):
            refuse_ambiguous((part.name for part in stored), f"column {found.name!r} of data file {path!r}")
            return tuple(_locate_all(path, list(stored), fields, mapping))
        case {"type": "array", "elementType": element} if _is_list(stored):
            return (Place("element", _locate_parts(path, _named(found, stored.value_type), element, mapping)),)
        case {"type": "map", "keyType": key, "valueType": value} if kinds.is_map(stored):
            keys = _locate_parts(path, _named(found, stored.key_type), key, mapping)
            values = _locate_parts(path, _named(found, stored.item_type), value, mapping)
            return Place("key", keys), Place("value", values)
    if not fits(stored, arrow_type(kind)):
        raise OutsideError(
            f"data file {path!r} has column {found.name!r} as {stored}, which is not the table's {type_name(kind)}"
        )
    return ()


def _named(field: "pa.Field", kind: "pa.DataType") -> "pa.Field":
    import pyarrow as pa

    return pa.field(field.name, kind)


def _is_list(kind: "pa.DataType") -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind))


# --- as SQL -----------------------------------------------------------------------------------------------------------


def column_sql(kind: DeltaType, place: Place) -> str:
    """The column of a file at `place` in the table's type and names, as SQL; its own name is not in it."""
    target = duckdb_type(kind)
    if place.name is None:
        return f"CAST(NULL AS {target})"
    value = quote(place.name)
    return f"CAST({value} AS {target})" if is_plain(kind, place) else f"CAST({_shape(value, kind, place)} AS {target})"


def is_plain(kind: DeltaType, place: Place) -> bool:
    """Whether the parts of a nested column are all there under the table's names."""
    match kind:
        case {"type": "struct", "fields": [*fields]} if place.parts:
            pairs = zip(fields, place.parts, strict=True)
            return all(field["name"] == part.name and is_plain(field["type"], part) for field, part in pairs)
        case {"type": "array", "elementType": element} if place.parts:
            return is_plain(element, place.parts[0])
        case {"type": "map", "keyType": key, "valueType": value} if place.parts:
            return is_plain(key, place.parts[0]) and is_plain(value, place.parts[1])
    return True


def _shape(value: str, kind: DeltaType, place: Place) -> str:
    """A nested value with its parts under the table's names."""
    if is_plain(kind, place):
        return value
    match kind:
        case {"type": "struct", "fields": [*fields]}:
            parts = ", ".join(
                f"{quote(field['name'])} := {_shape_part(value, field['type'], part)}"
                for field, part in zip(fields, place.parts, strict=True)
            )
            return f"CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({parts}) END"
        case {"type": "array", "elementType": element}:
            return f"list_transform({value}, lambda x: {_shape('x', element, place.parts[0])})"
        case {"type": "map", "keyType": key, "valueType": item}:
            one = _shape('x."key"', key, place.parts[0])
            other = _shape('x."value"', item, place.parts[1])
            entries = f"list_transform(map_entries({value}), lambda x: struct_pack(k := {one}, v := {other}))"
            return f"CASE WHEN {value} IS NULL THEN NULL ELSE map_from_entries({entries}) END"
    return value


def _shape_part(value: str, kind: DeltaType, part: Place) -> str:
    if part.name is None:
        return f"CAST(NULL AS {duckdb_type(kind)})"
    return _shape(f"{value}.{quote(part.name)}", kind, part)


# --- as Arrow ---------------------------------------------------------------------------------------------------------


def column_array(file: "pa.Table", field: "pa.Field", kind: DeltaType, place: Place) -> "pa.ChunkedArray":
    """The column of a file at `place`, in the table's type and names.

    Raises:
        pa.ArrowException: a value is not one of the table's type.
    """
    import pyarrow as pa

    if place.name is None:
        return pa.chunked_array([pa.nulls(file.num_rows, field.type)])
    column = file.column(place.name)
    if _is_castable(field.type, kind, place):
        return column.cast(field.type)
    return pa.chunked_array([_reshape(chunk, field.type, kind, place) for chunk in column.chunks], field.type)


def _reshape(array: "pa.Array", wanted: "pa.DataType", kind: DeltaType, place: Place) -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    if _is_castable(wanted, kind, place):
        return array.cast(wanted)
    match kind:
        case {"type": "struct", "fields": [*fields]}:
            children = [
                pa.nulls(len(array), part.type)
                if at.name is None
                else _reshape(array.field(at.name), part.type, field["type"], at)
                for part, field, at in zip(wanted, fields, place.parts, strict=True)
            ]
            return pa.StructArray.from_arrays(children, fields=list(wanted), mask=pc.is_null(array))
        case {"type": "array", "elementType": element}:
            values = _reshape(pc.list_flatten(array), wanted.value_type, element, place.parts[0])
            return pa.ListArray.from_arrays(_offsets(pc.list_value_length(array)), values, type=wanted)
        case {"type": "map", "keyType": key, "valueType": item}:
            entries = array.cast(pa.list_(_entry_type(array)))
            pairs = pc.list_flatten(entries)
            keys = _reshape(pairs.field(0), wanted.key_type, key, place.parts[0])
            items = _reshape(pairs.field(1), wanted.item_type, item, place.parts[1])
            return pa.MapArray.from_arrays(_offsets(pc.list_value_length(entries)), keys, items, type=wanted)
    return array.cast(wanted)


def _is_castable(wanted: "pa.DataType", kind: DeltaType, place: Place) -> bool:
    return not place.parts or (is_plain(kind, place) and not _has_required_parts(wanted))


def _has_required_parts(kind: "pa.DataType") -> bool:
    """Whether a struct in the type has a part that is never null: a cast refuses it where the struct itself is null."""
    import pyarrow.types as kinds

    if kinds.is_struct(kind):
        return any(not part.nullable or _has_required_parts(part.type) for part in kind)
    if kinds.is_map(kind):
        return _has_required_parts(kind.key_type) or _has_required_parts(kind.item_type)
    return bool(kinds.is_list(kind)) and _has_required_parts(kind.value_type)


def _entry_type(array: "pa.Array") -> "pa.DataType":
    import pyarrow as pa

    key = pa.field("key", array.type.key_type, nullable=False)
    return pa.struct([key, pa.field("value", array.type.item_type)])


def _offsets(lengths: "pa.Array") -> "pa.Array":
    """The offsets of lists of these lengths, with a null where the list is one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ends = pc.cumulative_sum_checked(pc.fill_null(lengths, 0).cast(pa.int32()))
    starts = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    nulls = pa.concat_arrays([pc.is_null(lengths), pa.array([False])])
    return pc.if_else(nulls, pa.scalar(None, pa.int32()), starts)
