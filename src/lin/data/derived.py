"""A Delta table that is made from other records and can be made again: appended to, rewritten, never repaired.

Each commit carries a note that says what the table holds, so that opening it takes the newest commit alone. Somebody
else's commit has no note, and a damaged table is no table: in both cases the rows are written anew.
"""

import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from lin.data.files import open_log_file
from lin.errors import OutsideError
from lin.store.whole import fsync_path

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake.transaction import AddAction

NOTE = "lin.note"
_COMMIT = re.compile(r"\d{20}\.json", re.ASCII)
ROWS_PER_GROUP = 50_000
"""Small enough that two cores have some of a hundred thousand rows to read each."""


class _First(msgspec.Struct):
    """The first line of a commit."""

    commit_info: dict[str, Any] = msgspec.field(name="commitInfo", default_factory=dict)


def read_note(root: Path) -> tuple[int, str] | None:
    """The newest version of the derived table in `root` and its note; None where there is none to believe."""
    log = root / "_delta_log"
    if root.is_symlink() or log.is_symlink():
        return None
    try:
        name = max((entry.name for entry in log.iterdir() if _COMMIT.fullmatch(entry.name)), default="")
        first = _read_first_line(log, name) if name else b"{}"
        info = msgspec.json.decode(first, type=_First).commit_info
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    note = info.get(NOTE)
    return (int(name[:20]), note) if isinstance(note, str) else None


def _read_first_line(log: Path, name: str) -> bytes:
    with open_log_file(log, name) as file:
        return file.readline()


def append_rows(root: Path, version: int, rows: "pa.Table", note: Callable[[str], str]) -> bool:
    """Add `rows` as one file after `version`; False if somebody was first. `note` is given the file's name.

    Raises:
        OutsideError: it cannot be written.
    """
    return _commit(root, rows, note, lambda add, properties: _append(root, version, add, properties))


def rewrite_rows(root: Path, rows: "pa.Table", note: Callable[[str], str]) -> bool:
    """Make the table anew of these rows, whatever was in `root`; False if somebody else does so right now.

    Raises:
        OutsideError: it cannot be written.
    """
    fresh = root.with_name(f".tmp-{root.name}-{uuid4().hex}")
    try:
        _commit(fresh, rows, note, lambda add, properties: _create(fresh, rows.schema, add, properties))
        return _put_in_place(fresh, root)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _put_in_place(fresh: Path, root: Path) -> bool:
    """Give the new table the name of the old one, which goes. A reader of the old one finds its files gone."""
    old = root.with_name(f".tmp-{root.name}-{uuid4().hex}")
    try:
        if os.path.lexists(root):
            root.rename(old)
        fresh.rename(root)
    except OSError:
        return False  # another process did the same between the two renames
    finally:
        _discard(old)
    return True


def _discard(old: Path) -> None:
    """Remove what was a table, or whatever somebody put in the place of one: a link goes, and not what it leads to."""
    if old.is_dir() and not old.is_symlink():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink(missing_ok=True)


def _commit(
    root: Path, rows: "pa.Table", note: Callable[[str], str], commit: "Callable[[AddAction, dict[str, str]], None]"
) -> bool:
    from deltalake.exceptions import CommitFailedError, DeltaError

    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        add = _write(root, rows)
    except OSError as error:
        raise OutsideError(f"{root} cannot be written: {error.strerror or error}") from error
    try:
        commit(add, {NOTE: note(add.path)})
    except CommitFailedError:
        (root / add.path).unlink(missing_ok=True)
        return False
    except (DeltaError, OSError) as error:
        raise OutsideError(f"the table in {root} cannot be written: {error}") from error
    _make_private(root / "_delta_log")
    return True


def _make_private(log: Path) -> None:
    """Take from others what the umask gave them: delta-rs writes with that."""
    with suppress(OSError):  # somebody else puts the whole table into its place just now
        log.chmod(0o700)
        for file in log.iterdir():
            file.chmod(0o600)


def _write(root: Path, rows: "pa.Table") -> "AddAction":
    import pyarrow.parquet as pq
    from deltalake.transaction import AddAction

    name = f"part-{uuid4()}.snappy.parquet"
    pq.write_table(rows, root / name, row_group_size=ROWS_PER_GROUP, compression="snappy")
    (root / name).chmod(0o600)
    fsync_path(root / name)
    status = (root / name).stat()
    return AddAction(name, status.st_size, {}, int(status.st_mtime * 1000), True, f'{{"numRecords":{rows.num_rows}}}')


def _append(root: Path, version: int, add: "AddAction", metadata: dict[str, str]) -> None:
    from deltalake import DeltaTable
    from deltalake.transaction import CommitProperties

    from lin.data.commit import require_location

    table = DeltaTable(require_location(root), version=version)
    properties = CommitProperties(custom_metadata=metadata, max_commit_retries=0)
    table.create_write_transaction([add], "append", table.schema(), [], commit_properties=properties)


def _create(root: Path, schema: "pa.Schema", add: "AddAction", metadata: dict[str, str]) -> None:
    from deltalake import Schema
    from deltalake.transaction import CommitProperties, create_table_with_add_actions

    from lin.data.commit import require_location

    create_table_with_add_actions(
        require_location(root),
        Schema.from_arrow(schema),
        [add],
        mode="error",
        commit_properties=CommitProperties(custom_metadata=metadata),
    )
