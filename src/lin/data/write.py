"""New versions of a table, so that an acknowledged one stays: write, commit, sync, check, in this order.

A data file is whole and on disk before a commit names it, and is removed again if none does. Rows keep the
order they are given in: that is the canonical order of the new version.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote
from uuid import uuid4

import msgspec

from lin.data.log import AddFile, DeltaLog, Snapshot, require_readable
from lin.data.pins import missing_file, open_data_file
from lin.data.schema import arrow_schema, fits
from lin.data.sql import check_columns
from lin.data.tables import Table
from lin.errors import ConflictError, LinError, NotFoundError, OutsideError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from deltalake.transaction import AddAction, CommitProperties, PostCommitHookProperties

ROWS_PER_FILE = 1 << 20
LONGEST_STATISTIC = 32
"""Longer texts are left out of a file's minimum and maximum."""

_FIVE_DIGITS = 100_000
_KEEP_LOG = {"delta.enableExpiredLogCleanup": "false"}
"""Tables that lin makes keep their whole history: other writers would drop commits after 30 days."""

_REFUSED_SETTINGS = {
    "delta.appendOnly": "is append-only (delta.appendOnly)",
    "delta.enableChangeDataFeed": "has a change data feed",
    "delta.enableRowTracking": "tracks rows",
    "delta.enableInCommitTimestamps": "has in-commit timestamps",
}
_REFUSED_COLUMNS = {
    "delta.generationExpression": "is generated",
    "delta.identity.start": "is an identity column",
    "delta.invariants": "has an invariant",
}
_WRITER_FEATURES = {"appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns"} | {
    *(
        "identityColumns",
        "columnMapping",
        "deletionVectors",
        "timestampNtz",
        "v2Checkpoint",
        "vacuumProtocolCheck",
    )
}
"""The features that ask nothing of a writer where their setting is off, or that delta-rs honours."""
_NEWEST_WRITER = 7

Keys = set[tuple[str, str | None]]


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote a version, in which run, why, and with which model: `boston@2`. `lin` is lin's version."""

    run: str
    user: str
    reason: str
    model: str | None = None
    lin: str

    def commit_metadata(self) -> dict[str, str]:
        """What `commitInfo` gets: a key for each fact, and all in `userMetadata`, which any engine shows."""
        facts = {
            "run": self.run,
            "user": self.user,
            "reason": self.reason,
            "model": self.model,
            "version": self.lin,
        }
        keys = {f"lin.{name}": value for name, value in facts.items() if value is not None}
        return {**keys, "userMetadata": msgspec.json.encode(keys).decode()}


# --- the four writes ----------------------------------------------------------------------------------------


def create_table(root: Path, batches: "pa.RecordBatchReader", attribution: Attribution, *, now_ms: int) -> int:
    """Make a Delta table of the rows in the folder `root`; its version is 0, and it keeps its log for ever.

    Raises:
        ConflictError: there is a table already. UsageError: a column has a type that Delta lacks.
        OutsideError: the file system failed. After any of these, nothing that was written is left.
    """
    table = Table(root.name, root)
    require_location(root)
    schema = delta_schema(batches.schema)
    with _new_folder(root):
        if _has_versions(table.log):
            raise _exists(root)
        adds = write_files(root, _conform(batches, schema), modified=now_ms)
        with _discard_unless_committed(table.log, 0, adds):
            _commit_first(table.log, adds, schema, attribution)
    return _acknowledge(table, 0, {(add.path, None) for add in adds}, attribution)


def replace_rows(
    table: Table, base: Snapshot, batches: "pa.RecordBatchReader", attribution: Attribution, *, now_ms: int
) -> int:
    """Commit a version with these rows instead of those of `base`: the same columns, or more.

    Raises:
        ConflictError: `base` is not the newest version any more; nothing was changed.
        UsageError: a column is missing, or its values do not fit.
        OutsideError: the table asks of its writers what lin does not do, or the file system failed.
    """
    require_writable(table, base)
    if base.metadata.partition_columns:
        raise OutsideError(f"lin does not replace the rows of a partitioned table, and '{table.name}' is one")
    wanted = _extend(table, base, [f for f in batches.schema if f.name not in base.metadata.columns])
    missing = [name for name in base.metadata.columns if name not in batches.schema.names]
    if missing:
        raise UsageError(f"the new rows lack column '{missing[0]}' of table '{table.name}'")
    _require_head(table, base)
    adds = write_files(table.root, _conform(batches, arrow_schema(wanted)), modified=now_ms)
    return _commit_rows(table, base, adds, wanted, attribution)


def fill_column(
    table: Table,
    base: Snapshot,
    column: str,
    values: "pa.Array | pa.ChunkedArray",
    attribution: Attribution,
    *,
    now_ms: int,
) -> int:
    """Commit a version where the nulls of `column` are filled; all else, the order included, stays as it is.

    `column` is one of `base`, which keeps its type, or a new one, which gets the type of the values.
    The values are for the rows of `base` in the order of its files; a null leaves the row as it is.
    NaN in a column is a value, and stays.

    Raises:
        ConflictError: `base` is not the newest version any more; nothing was changed.
        UsageError: the values are not as many as the rows, do not fit the column exactly, or fill nothing.
        OutsideError: the table asks of its writers what lin does not do, or the file system failed.
    """
    require_writable(table, base)
    if column in base.metadata.partition_columns:
        raise OutsideError(f"'{column}' is a partition column of table '{table.name}', and lin does not fill these")
    filler = _Filler(table, column, values)
    new = [] if column in base.metadata.columns else [filler.field]
    wanted = _extend(table, base, new)
    stored = [field for field in arrow_schema(wanted) if field.name not in base.metadata.partition_columns]
    _require_head(table, base)
    with _writing(table.root, _schema(stored), now_ms) as parts:
        for partition, files in groupby(base.files, key=lambda file: file.partition):
            parts.write((filler.fill(b) for file in files for b in _read(table, base, file, parts.schema)), partition)
        filler.check_end()
    return _commit_rows(table, base, parts.adds, wanted, attribution)


def write_files(
    root: Path, batches: "pa.RecordBatchReader", *, modified: int, rows_per_file: int = ROWS_PER_FILE
) -> "list[AddAction]":
    """Write the rows as Parquet files in `root`, on disk when this returns. If it fails, none is left.

    Sorted by path, the files hold the rows in the order given. `modified` is in milliseconds since 1970 UTC.

    Raises:
        OutsideError: the file system failed, or Parquet has no such type.
    """
    with _writing(root, batches.schema, modified, rows_per_file) as parts:
        parts.write(batches, {})
    return parts.adds


# --- after the commit ---------------------------------------------------------------------------------------


def sync_commit(table_root: Path, version: int) -> None:
    """Put a commit of delta-rs, which fsyncs nothing, on disk: its data files, itself, and their folders.

    Raises:
        OutsideError: an fsync failed. That is final: what the disk holds is not known.
    """
    log = DeltaLog(table_root, table_root.name)
    data = [table_root / add.path for add in log.commit(version).adds]
    folders = {folder for path in data for folder in path.relative_to(table_root).parents}
    around = [table_root.absolute().parent] if version == 0 else []
    deepest_first = sorted((table_root / folder for folder in folders | {Path()}), reverse=True)
    try:
        for path in [*data, log.folder / f"{version:020d}.json", log.folder, *deepest_first, *around]:
            _fsync(path)
    except OSError as error:
        raise OutsideError(
            f"version {version} of the table in {table_root} was committed but may not be on disk: {error}",
            hint="look at the disk, then at what the table holds: do not take that version as written",
        ) from error


def check_commit(table: Table, version: int, expected_keys: Keys, attribution: Attribution) -> None:
    """Read the log again: the commit is ours, and the version has exactly the expected files.

    Raises:
        ConflictError: that version is somebody else's. OutsideError: it has other files.
    """
    if table.log.commit(version).info.get("lin.run") != attribution.run:
        raise _conflict(table.name, version)
    found = table.log.snapshot(version).keys
    if found != expected_keys:
        odd = sorted(str(path) for path, _ in found ^ expected_keys)
        raise OutsideError(
            f"version {version} of table '{table.name}' has other files than were written: {odd[0]!r}",
            hint=f"lin history {table.name}",
        )


def commit_properties(attribution: Attribution) -> "CommitProperties":
    """For delta-rs: who wrote this, and to fail rather than to try again on another version."""
    from deltalake.transaction import CommitProperties

    return CommitProperties(custom_metadata=attribution.commit_metadata(), max_commit_retries=0)


def commit_hooks() -> "PostCommitHookProperties":
    """For delta-rs: no clean-up, and no checkpoint, for it is not fsynced and a torn one hides commits."""
    from deltalake.transaction import PostCommitHookProperties

    return PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


# --- refusals before anything is written --------------------------------------------------------------------


def require_location(root: Path) -> str:
    """The URI of `root` for delta-rs, which takes some paths for others: `a%41` for `aA`.

    Raises:
        OutsideError: `root` is such a path.
    """
    path = root.absolute().as_posix()
    if unquote(path) != path or "\\" in path or not path.isprintable():
        raise OutsideError(
            f"delta-rs cannot write to a table at {path!r}",
            hint="move it to a path without backslashes, control characters, and '%' before two hex digits",
        )
    return root.absolute().as_uri()


def require_writable(table: Table, snapshot: Snapshot) -> None:
    """Refuse a table that asks of its writers what lin would not do.

    Raises:
        OutsideError: names the feature.
    """
    require_location(table.root)
    require_readable(table.log, snapshot)
    settings = snapshot.metadata.configuration
    reasons = [why for key, why in _REFUSED_SETTINGS.items() if settings.get(key, "").lower() == "true"]
    reasons += [f"has the check constraint '{k[18:]}'" for k in settings if k.startswith("delta.constraints.")]
    reasons += [
        f"has a column '{field['name']}' that {why}"
        for field in snapshot.metadata.schema["fields"]
        for key, why in _REFUSED_COLUMNS.items()
        if key in (field.get("metadata") or {})
    ]
    unknown = sorted(set(snapshot.protocol.writer_features) - _WRITER_FEATURES)
    reasons += [f"uses the feature '{feature}'" for feature in unknown]
    if snapshot.protocol.writer > _NEWEST_WRITER:
        reasons.append(f"is for writers of version {snapshot.protocol.writer}")
    if reasons:
        raise OutsideError(f"lin does not write to table '{table.name}': it {reasons[0]}")


def _require_head(table: Table, base: Snapshot) -> None:
    if table.log.head() != base.version:
        raise _conflict(table.name, base.version + 1)


def _conflict(name: str, version: int) -> ConflictError:
    return ConflictError(
        f"somebody wrote version {version} of '{name}' meanwhile; nothing was changed",
        hint="run the same again",
    )


def _exists(root: Path) -> ConflictError:
    return ConflictError(f"there is a Delta table in {root} already", hint="choose another folder, or adopt that table")


# --- types --------------------------------------------------------------------------------------------------


def delta_schema(schema: "pa.Schema") -> "pa.Schema":
    """The schema in the types that Delta has, every column nullable.

    Raises:
        UsageError: two columns have the same name but for case, one has none, or a type that Delta lacks.
    """
    import pyarrow as pa

    check_names(schema.names)
    return _schema([pa.field(field.name, delta_type(field.type, field.name)) for field in schema])


def check_names(names: list[str]) -> None:
    """Refuse names that a table cannot have. Raises `UsageError`."""
    seen: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        if not name:
            raise UsageError(f"column {number} has no name", hint="is it an index? pandas: to_csv(…, index=False)")
        other = seen.setdefault(name.casefold(), name)
        if other is not name or names.count(name) > 1:
            what = f"there are two columns '{name}'" if other == name else f"columns '{other}' and '{name}' are alike"
            raise UsageError(f"{what}; most engines take upper and lower case for the same", hint="rename one of them")


def delta_type(kind: "pa.DataType", column: str) -> "pa.DataType":  # noqa: PLR0911 - a table of cases
    """The type as Delta has it: dictionaries as their values, unsigned integers wider, times in microseconds.

    Raises:
        UsageError: names the column; Delta has no such type.
    """
    import pyarrow as pa

    is_ = pa.types
    if kind in (found := _delta_types()):
        return found[kind]
    if isinstance(kind, pa.BaseExtensionType):
        return delta_type(kind.storage_type, column)
    if is_.is_dictionary(kind):
        return delta_type(kind.value_type, column)
    if is_.is_fixed_size_binary(kind):
        return pa.binary()
    if is_.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if is_.is_decimal(kind) and 0 <= kind.scale <= kind.precision <= 38:  # noqa: PLR2004 - as Delta's protocol has it
        return pa.decimal128(kind.precision, kind.scale)
    if is_.is_struct(kind) and kind.num_fields:
        return pa.struct([pa.field(field.name, delta_type(field.type, column)) for field in kind])
    if is_.is_map(kind):
        return pa.map_(delta_type(kind.key_type, column), delta_type(kind.item_type, column))
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind):
        return pa.list_(pa.field("element", delta_type(kind.value_type, column)))
    raise UsageError(
        f"column '{column}' is of type {kind}, which Delta lacks",
        hint="convert it to text or to a number first",
    )


def _delta_types() -> "dict[pa.DataType, pa.DataType]":
    import pyarrow as pa

    same = [
        pa.bool_(),
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.float32(),
        pa.float64(),
        pa.string(),
    ]
    return {kind: kind for kind in [*same, pa.binary(), pa.date32()]} | {
        pa.null(): pa.string(),
        pa.uint8(): pa.int16(),
        pa.uint16(): pa.int32(),
        pa.uint32(): pa.int64(),
        pa.uint64(): pa.decimal128(20, 0),
        pa.float16(): pa.float32(),
        pa.large_string(): pa.string(),
        pa.string_view(): pa.string(),
        pa.large_binary(): pa.binary(),
        pa.binary_view(): pa.binary(),
        pa.date64(): pa.date32(),
    }


def cast_exactly(values: Any, kind: "pa.DataType", column: str, *, hint: str | None = None) -> Any:
    """The Arrow array in another type, every value the same: numbers may change their kind, texts stay texts.

    Raises:
        UsageError: a value would change.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found = values.type
    if found == kind:
        return values
    try:
        if fits(found, kind) or delta_type(found, column) == kind:
            return values.cast(kind)
        if _is_number(found) and _is_number(kind):
            cast = values.cast(kind)
            back = cast.cast(found)
            if pc.all(pc.or_(pc.equal(back, values), _is_nan(values))).as_py() in {True, None}:
                return cast
    except pa.ArrowException as error:
        raise _misfit(found, kind, column, hint) from error
    raise _misfit(found, kind, column, hint)


def _misfit(found: "pa.DataType", kind: "pa.DataType", column: str, hint: str | None) -> UsageError:
    return UsageError(f"values of type {found} do not fit column '{column}' of type {kind} without loss", hint=hint)


def _is_number(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_nan(values: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_nan(values) if pa.types.is_floating(values.type) else pa.scalar(False)


def _schema(fields: "list[pa.Field]") -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(fields)


def _conform(batches: "pa.RecordBatchReader", schema: "pa.Schema") -> "pa.RecordBatchReader":
    """The rows with exactly the columns of `schema`, checked as they pass."""
    import pyarrow as pa

    def columns(batch: "pa.RecordBatch") -> Iterator[Any]:
        for field in schema:
            values = cast_exactly(batch.column(field.name), field.type, field.name)
            if values.null_count and not field.nullable:
                raise UsageError(f"column '{field.name}' of the table takes no nulls, and there are some")
            yield values

    rows = (pa.RecordBatch.from_arrays(list(columns(batch)), schema=schema) for batch in batches)
    return pa.RecordBatchReader.from_batches(schema, rows)


def _extend(table: Table, base: Snapshot, new: "list[pa.Field]") -> dict[str, Any]:
    """Delta's schema of `base` with more columns; what it says of its own is kept."""
    from deltalake import Schema

    if not new:
        return base.metadata.schema
    check_names([*base.metadata.columns, *(field.name for field in new)])
    fields = msgspec.json.decode(Schema.from_arrow(delta_schema(_schema(new))).to_json())["fields"]
    if b"timestamp_ntz" in msgspec.json.encode(fields) and "timestampNtz" not in base.protocol.writer_features:
        raise OutsideError(
            f"table '{table.name}' has no times without a zone so far, and lin does not change its protocol",
            hint="give the new times a zone: UTC",
        )
    return {**base.metadata.schema, "fields": [*base.metadata.schema["fields"], *fields]}


# --- committing ---------------------------------------------------------------------------------------------


def _commit_first(log: DeltaLog, adds: "list[AddAction]", schema: "pa.Schema", attribution: Attribution) -> None:
    from deltalake import Schema
    from deltalake.exceptions import DeltaError
    from deltalake.transaction import create_table_with_add_actions

    try:
        create_table_with_add_actions(
            require_location(log.root),
            Schema.from_arrow(schema),
            adds,
            mode="error",
            configuration=_KEEP_LOG,
            commit_properties=commit_properties(attribution),
            post_commithook_properties=commit_hooks(),
        )
    except (DeltaError, OSError) as error:
        if _is_committed(log, 0, adds):
            return
        if _has_versions(log):
            raise _exists(log.root) from error
        raise OutsideError(f"a Delta table could not be made in {log.root}: {error}") from error


def _commit_rows(
    table: Table, base: Snapshot, adds: "list[AddAction]", schema: dict[str, Any], attribution: Attribution
) -> int:
    """Replace all files of `base` by `adds`, if it is still the newest version."""
    from deltalake import DeltaTable, Schema
    from deltalake.exceptions import DeltaError

    version = base.version + 1
    with _discard_unless_committed(table.log, version, adds):
        try:
            DeltaTable(require_location(table.root), version=base.version).create_write_transaction(
                list(adds),
                "overwrite",
                Schema.from_json(msgspec.json.encode(schema).decode()),
                base.metadata.partition_columns,
                commit_properties=commit_properties(attribution),
                post_commithook_properties=commit_hooks(),
            )
        except (DeltaError, OSError) as error:
            if not _is_committed(table.log, version, adds):
                raise commit_failure(table, base.version, error) from error
    return _acknowledge(table, version, {(add.path, None) for add in adds}, attribution)


def commit_failure(table: Table, base: int, error: Exception) -> LinError:
    """What a failed commit after version `base` means: somebody was first, or something outside failed."""
    if table.log.head() != base:
        return _conflict(table.name, base + 1)
    return OutsideError(f"version {base + 1} of table '{table.name}' could not be committed: {error}")


def _acknowledge(table: Table, version: int, keys: Keys, attribution: Attribution) -> int:
    sync_commit(table.root, version)
    check_commit(table, version, keys, attribution)
    return version


@contextmanager
def _discard_unless_committed(log: DeltaLog, version: int, adds: "list[AddAction]") -> Iterator[None]:
    """Remove the files at the end, unless the log names them: an error or interrupt may follow a commit."""
    try:
        yield
    finally:
        if not _is_committed(log, version, adds):
            for add in adds:
                (log.root / add.path).unlink(missing_ok=True)


def _is_committed(log: DeltaLog, version: int, adds: "list[AddAction]") -> bool:
    """Whether `version` is the commit of these files: their names are unique. A torn one may be it."""
    try:
        return {add.path for add in log.commit(version).adds} == {add.path for add in adds}
    except NotFoundError:
        return False
    except OutsideError:
        return True


def _has_versions(log: DeltaLog) -> bool:
    """Whether there is a table. A `_delta_log` without a commit is what a killed writer leaves: none."""
    try:
        return len(log.versions()) > 0
    except NotFoundError:
        return False


@contextmanager
def _new_folder(root: Path) -> Iterator[None]:
    """Make `root` and the folders above it that are missing, durably. On an error, the empty ones go."""
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    with ExitStack() as undo:
        undo.callback(_remove_empty, [root / "_delta_log", *missing])
        try:
            for folder in reversed(missing):
                folder.mkdir(exist_ok=True)
                _fsync(folder.absolute().parent)
        except OSError as error:
            raise OutsideError(f"the folder {root} cannot be made: {error}") from error
        yield
        undo.pop_all()


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- data files ---------------------------------------------------------------------------------------------


@contextmanager
def _writing(root: Path, schema: "pa.Schema", modified: int, rows_per_file: int = ROWS_PER_FILE) -> "Iterator[_Parts]":
    """Data files that are on disk at the end of the block, name and all, or gone if it fails."""
    with ExitStack() as undo:
        parts = _Parts(root, schema, modified, rows_per_file)
        undo.callback(parts.remove)
        yield parts
        try:
            _fsync(root)
        except OSError as error:
            raise OutsideError(f"the rows could not be written to {root}: {error}") from error
        undo.pop_all()


class _Parts:
    """The data files of one write, numbered in the order of their rows."""

    def __init__(self, root: Path, schema: "pa.Schema", modified: int, rows_per_file: int) -> None:
        self.root = root
        self.schema = schema
        self.modified = modified
        self.rows_per_file = rows_per_file
        self.adds: list[AddAction] = []
        self._paths: list[Path] = []
        self._write_id = uuid4()

    def remove(self) -> None:
        """Remove what was written, whole or not."""
        for path in self._paths:
            path.unlink(missing_ok=True)

    def write(self, batches: "Iterable[pa.RecordBatch]", partition: Mapping[str, str | None]) -> None:
        """Write the rows to files of their own, which belong to this partition."""
        import pyarrow as pa

        try:
            for chunk in _chunks(batches, self.rows_per_file):
                self._write_file(chunk, partition)
        except (pa.ArrowException, OSError) as error:
            raise OutsideError(f"the rows could not be written to {self.root}: {error}") from error

    def _write_file(self, batches: "Iterable[pa.RecordBatch]", partition: Mapping[str, str | None]) -> None:
        from deltalake.transaction import AddAction

        number = len(self.adds)
        name = f"part-{number:05d}-{self._write_id}-c000.snappy.parquet"
        path = self.root / name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o644), "wb") as stream:
            self._paths.append(path)
            stats = _write_parquet(stream, self.schema, batches)
            stream.flush()
            os.fsync(stream.fileno())
            size = stream.tell()
        # files are ordered by time and then by path, and as text 100000 comes before 99999
        modified = self.modified + number // _FIVE_DIGITS
        self.adds.append(AddAction(name, size, dict(partition), modified, True, stats))


def _chunks(batches: "Iterable[pa.RecordBatch]", rows: int) -> "Iterator[Iterator[pa.RecordBatch]]":
    """Cut the rows into streams of `rows` each; one must be read to its end before the next is taken."""
    waiting = (batch for batch in batches if batch.num_rows)
    rest = next(waiting, None)

    def chunk() -> "Iterator[pa.RecordBatch]":
        nonlocal rest
        room = rows
        while rest is not None and room:
            yield rest.slice(0, room)
            taken = min(room, rest.num_rows)
            room -= taken
            rest = rest.slice(taken) if taken < rest.num_rows else next(waiting, None)

    while rest is not None:
        yield chunk()


def _write_parquet(stream: BinaryIO, schema: "pa.Schema", batches: "Iterable[pa.RecordBatch]") -> str:
    """Write one file; returns its statistics as the log has them."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    floats = [field.name for field in schema if str(field.type) in {"float", "double"}]
    unbounded: set[str] = set()
    collected: list[Any] = []
    with pq.ParquetWriter(stream, schema, compression="snappy", metadata_collector=collected) as writer:
        for batch in batches:
            writer.write_batch(batch)
            finite = {name: pc.all(pc.is_finite(batch.column(name))).as_py() for name in floats}
            unbounded |= {name for name, all_finite in finite.items() if all_finite is False}
    return _statistics(collected[0], schema, unbounded)


def _statistics(metadata: "pq.FileMetaData", schema: "pa.Schema", unbounded: set[str]) -> str:
    """A file's statistics: nulls of flat columns, and bounds of integers, finite floats and short texts."""
    nulls: dict[str, int] = {}
    least: dict[str, Any] = {}
    greatest: dict[str, Any] = {}
    flat = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
    for field in schema:
        if field.name not in flat or field.type.num_fields or "." in field.name:
            continue  # a dot may stand for a part of another column
        groups = [metadata.row_group(i).column(flat[field.name]).statistics for i in range(metadata.num_row_groups)]
        if any(group is None or not group.has_null_count for group in groups):
            continue
        nulls[field.name] = sum(group.null_count for group in groups)
        bounded = [group for group in groups if group.has_min_max]
        holding = [group for group in groups if group.num_values]
        if holding and len(bounded) == len(holding) and _has_bounds(field, bounded) and field.name not in unbounded:
            least[field.name] = min(group.min for group in bounded)
            greatest[field.name] = max(group.max for group in bounded)
    stats = {"numRecords": metadata.num_rows, "minValues": least, "maxValues": greatest, "nullCount": nulls}
    return msgspec.json.encode(stats).decode()


def _has_bounds(field: "pa.Field", groups: "list[Any]") -> bool:
    import pyarrow as pa

    if pa.types.is_string(field.type):
        return all(len(text) <= LONGEST_STATISTIC for group in groups for text in (group.min, group.max))
    return bool(pa.types.is_integer(field.type) or pa.types.is_floating(field.type))


# --- filling ------------------------------------------------------------------------------------------------


class _Filler:
    """Hands out the values of a column in step with the rows that pass, and counts what it filled."""

    def __init__(self, table: Table, column: str, values: "pa.Array | pa.ChunkedArray") -> None:
        import pyarrow as pa

        kind = delta_type(values.type, column)
        self.table = table
        self.values = cast_exactly(pa.chunked_array(values) if isinstance(values, pa.Array) else values, kind, column)
        self.field = pa.field(column, kind)
        self.rows = 0
        self.filled = 0

    def fill(self, batch: "pa.RecordBatch") -> "pa.RecordBatch":
        """The rows, with the next values where the column is null."""
        import pyarrow as pa
        import pyarrow.compute as pc

        given = _one_array(self.values.slice(self.rows, batch.num_rows))
        self.rows += batch.num_rows
        if len(given) < batch.num_rows:
            raise self._wrong_length("fewer")
        index = batch.schema.get_field_index(self.field.name)
        current = batch.column(index)
        wanted = pc.and_(pc.is_null(current), pc.is_valid(given))
        used = pc.if_else(wanted, given, pa.scalar(None, given.type))
        self.filled += len(used) - used.null_count
        hint = f"write them to another column, such as '{self.field.name}_predicted'"
        filled = pc.coalesce(current, cast_exactly(used, current.type, self.field.name, hint=hint))
        return batch.set_column(index, batch.schema.field(index), filled)

    def check_end(self) -> None:
        """To be called after the last row. Raises `UsageError`."""
        if self.rows != len(self.values):
            raise self._wrong_length("more")
        if not self.filled:
            raise UsageError(
                f"there is nothing to fill: no value was given where column '{self.field.name}' "
                f"of table '{self.table.name}' is null"
            )

    def _wrong_length(self, which: str) -> UsageError:
        return UsageError(f"there are {which} values ({len(self.values)}) than table '{self.table.name}' has rows")


def _one_array(values: "pa.ChunkedArray") -> Any:
    import pyarrow as pa

    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)


def _read(table: Table, base: Snapshot, file: AddFile, schema: "pa.Schema") -> "Iterator[pa.RecordBatch]":
    """The rows of a data file in their order; a column that the file lacks is null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_data_file(table.root, file.path) as stream:
            parquet = pq.ParquetFile(stream, coerce_int96_timestamp_unit="us")
            check_columns(file.path, parquet.schema_arrow, schema)
            for batch in parquet.iter_batches():
                found = set(batch.schema.names)
                columns = [
                    batch.column(field.name).cast(field.type)
                    if field.name in found
                    else pa.nulls(batch.num_rows, field.type)
                    for field in schema
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)
    except FileNotFoundError:
        raise missing_file(table, file.path, base.version) from None
    except (pa.ArrowException, OSError) as error:
        raise OutsideError(f"data file {file.path!r} of table '{table.name}' cannot be read: {error}") from error
