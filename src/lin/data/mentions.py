"""Every file that a table's log names, as the log spells it: data files added and removed, and change data.

`lin.data.log` tells what a version holds. This tells the rest, by which a file may be deleted or named again: when it
was removed, where it is named without being live, and the very words, for readers match files by these.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote

import msgspec

from lin.data.checkpoints import complete_checkpoints, read_checkpoint
from lin.data.log import DeltaLog
from lin.data.vectors import parse_vector
from lin.data.written import Action, ActionError, Add, Change, Remove, Vector
from lin.errors import OutsideError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Mention(msgspec.Struct, frozen=True, kw_only=True):
    """A file that an action names: `written` as the log spells it, `path` decoded, and its deletion vector.

    `version` is None where a checkpoint remembers it; `removed` is what a remove says of the time, in milliseconds
    since 1970 UTC.
    """

    version: int | None
    action: Literal["add", "remove", "change"]
    path: str
    written: str
    vector: Vector | None = None
    vector_id: str | None = None
    vector_path: str | None = None
    removed: int | None = None
    stats: str | None = None

    @property
    def key(self) -> tuple[str, str | None]:
        """The logical file, as `AddFile.key`."""
        return self.path, self.vector_id

    @property
    def files(self) -> list[str]:
        """What it lies in, in one spelling."""
        return [same_spelling(path) for path in (self.path, self.vector_path) if path is not None]


def read_mentions(log: DeltaLog) -> Iterator[Mention]:
    """What the commits of the log name, oldest first, and before them what the checkpoint does that they begin with.

    Raises:
        NotFoundError: not a Delta table. OutsideError: the log is damaged, or names what lies outside the table.
    """
    span = log.versions()
    if span[0] > 0:
        yield from _remembered(log, span[0] - 1)
    for version in span:
        yield from _mentions(log, version, log.actions(version), f"{version:020d}.json")


def same_spelling(path: str) -> str:
    """A relative path in the spelling by which files are told apart: `a//b` and `./a/b` are `a/b`."""
    return PurePosixPath(path).as_posix()


def _remembered(log: DeltaLog, since: int) -> Iterator[Mention]:
    """What the first sound checkpoint at or after a version names. Later ones, and commits, tell the rest."""
    found = complete_checkpoints(entry.name for entry in log.folder.iterdir())
    damage: ActionError | None = None
    for version in sorted(number for number in found if number >= since):
        for names in found[version]:
            try:
                actions = read_checkpoint(log.folder, names, removed=True)
            except ActionError as error:
                damage = damage or error
            else:
                yield from _mentions(log, None, actions, names[0])
                return
    raise _unreadable(log, f"no checkpoint from version {since} on", damage or ActionError("there is none"))


def _mentions(log: DeltaLog, version: int | None, actions: list[Action], where: str) -> Iterator[Mention]:
    try:
        for action in actions:
            if action.add:
                yield _mention(version, "add", action.add, stats=action.add.stats)
            if action.remove:
                yield _mention(version, "remove", action.remove, removed=action.remove.deletion_timestamp)
            if action.cdc:
                yield _mention(version, "change", action.cdc)
    except ValueError as error:
        raise _unreadable(log, where, error) from error


def _mention(
    version: int | None,
    action: Literal["add", "remove", "change"],
    file: Add | Remove | Change,
    *,
    removed: int | None = None,
    stats: str | None = None,
) -> Mention:
    words = None if isinstance(file, Change) else file.deletion_vector
    vector = words and parse_vector(
        words.storage_type,
        words.path_or_inline_dv,
        offset=words.offset,
        size=words.size_in_bytes,
        rows=words.cardinality,
    )
    return Mention(
        version=version,
        action=action,
        path=_inside(unquote(file.path, errors="strict")),
        written=file.path,
        vector=words,
        vector_id=vector.id if vector else None,
        vector_path=_inside(vector.path) if vector and vector.path is not None else None,
        removed=removed,
        stats=stats,
    )


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or _SCHEME.match(path) or ".." in parts or "\0" in path or not parts:
        raise ActionError(f"{path!r} lies outside the table's own folder")
    return path


def _unreadable(log: DeltaLog, where: str, error: ValueError) -> OutsideError:
    return OutsideError(
        f"table '{log.name}' is damaged: {where} in its log cannot be read: {error}",
        hint="restore that file from a backup of the table",
    )
