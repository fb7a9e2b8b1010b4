"""The lives of a table's files: at which commit each came and went, on the way back from one version.

The way leads from a version to the one before it, and from a RESTORE to the version whose files it brought back. Its
versions are numbered by position, oldest first. Position 0 is where knowledge ends: the state before version 0, or
the first one that the log still tells. What a RESTORE says of itself is compared, not believed.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from lin.data.history import VersionInfo, describe_commit
from lin.data.log import AddFile, Commit, DeltaLog, Metadata, Protocol, Snapshot
from lin.data.schema import DeltaType, arrow_type, duckdb_type, fits, refuse_deep
from lin.errors import NotFoundError, OutsideError

FileKey = tuple[str, str | None]


class Life(msgspec.Struct, frozen=True):
    """A file on the way: there from position `added` up to, and without, `removed`. None: it is still there."""

    file: AddFile
    added: int
    removed: int | None = None


class Step(msgspec.Struct, frozen=True):
    """A version on the way: the files that its commit removed, and the schema that it had."""

    version: int
    info: VersionInfo | None
    """What its commit says; None where knowledge ends."""
    metadata: Metadata | None
    """None before version 0."""
    protocol: Protocol | None
    removed: list[Life]


class Timeline(msgspec.Struct, frozen=True):
    """The way to one version, by position, and the files of that version."""

    steps: list[Step]
    live: list[Life]

    @property
    def head(self) -> int:
        """The position of that version."""
        return len(self.steps) - 1

    def snapshot(self, position: int, files: list[AddFile]) -> Snapshot:
        """The version at a position as if it had only these files. Raises `OutsideError` if it has no schema."""
        step = self.steps[position]
        if step.metadata is None or step.protocol is None:
            raise OutsideError(f"the table is damaged: its log has no schema or protocol up to version {step.version}")
        return Snapshot(version=step.version, metadata=step.metadata, protocol=step.protocol, files=files)


def read_timeline(log: DeltaLog, version: int, *, through_restore: bool = True) -> Timeline:
    """The way to `version`. It costs reading the log once.

    A RESTORE leads to the version that it names, if their files are the same; else to the newest earlier version with
    the same files and schema. If there is none such, it is a commit like any other; but if the log starts after
    version 0, the restored version may be older than that, and knowledge ends at the RESTORE.

    Args:
        log: the table's log.
        version: the version that the way ends with.
        through_restore: False takes every RESTORE for a commit like any other.

    Raises:
        NotFoundError: no such version. OutsideError: the log is damaged, or starts too late.
    """
    states = _read_states(log, version)
    way = [version]
    while way[-1] > states.first:
        before = states.parent(way[-1]) if through_restore else way[-1] - 1
        if before is None:
            break
        way.append(before)
    return _lay_out(states, way[::-1])


def _lay_out(states: "_States", way: list[int]) -> Timeline:
    start = states[way[0]]
    live = {key: Life(file, 0) for key, file in states.files(way[0]).items()}
    steps = [Step(way[0], None, start.metadata, start.protocol, [])]
    for position, version in enumerate(way[1:], 1):
        state = states[version]
        removed = []
        if way[position - 1] == version - 1:  # a RESTORE that leads elsewhere has the files of where it leads
            removed = [msgspec.structs.replace(live.pop(key), removed=position) for key in _sorted_keys(state.removed)]
            live.update((key, Life(file, position)) for key, file in state.added.items())
        steps.append(Step(version, state.info, state.metadata, state.protocol, removed))
    return Timeline(steps, list(live.values()))


def _sorted_keys(keys: set[FileKey]) -> list[FileKey]:
    """Logical files in one order, so that two readings of a log agree."""
    return sorted(keys, key=lambda key: (key[0], key[1] or ""))


# --- writers ----------------------------------------------------------------------------------------------------------


def exactly(position: int) -> int:
    """The number of a writer that is known: the commit at this position."""
    return 2 * position + 1


def at_or_before(position: int) -> int:
    """The number of a writer of which only that is known. It is less than that of the commit at this position."""
    return 2 * position


def position_of(writer: int) -> int:
    """The position that the writer's number is made of."""
    return writer // 2


def is_exact(writer: int) -> bool:
    """Whether the commit at its position is the writer."""
    return writer % 2 == 1


# --- columns ----------------------------------------------------------------------------------------------------------


class Column(msgspec.Struct, frozen=True):
    """A column of the blamed version. `born` is the writer of the cells that are older than the column."""

    field: dict[str, Any]
    born: int

    @property
    def type(self) -> str:
        """Its type in DuckDB."""
        return duckdb_type(self.field["type"])


def trace_column(timeline: Timeline, field: dict[str, Any]) -> Column:
    """Find where the column of the newest version began: added, or last given a type that holds not the same values.

    Raises:
        OutsideError: a column is nested deeper than lin reads.
    """
    newest = timeline.snapshot(timeline.head, []).metadata
    refuse_deep(newest.schema)
    seen: Metadata | None = newest
    for position in range(timeline.head, 0, -1):
        older = timeline.steps[position - 1].metadata
        if older is seen:
            continue
        seen = older
        found = counterpart(older, newest, field) if older else None
        if found is None:
            return Column(field, exactly(position))
        if not _is_comparable(found["type"], field["type"], mapped=newest.mapping != "none"):
            nested = isinstance(field["type"], dict)
            return Column(field, at_or_before(position) if nested else exactly(position))
    return Column(field, at_or_before(0))


def counterpart(older: Metadata, newest: Metadata, field: dict[str, Any]) -> dict[str, Any] | None:
    """The same column in an older schema: by the id of column mapping where both have one, else by name."""
    fields: list[dict[str, Any]] = older.schema["fields"]
    facts = field.get("metadata") or {}
    if newest.mapping == "none":
        return next((each for each in fields if each["name"] == field["name"]), None)
    if older.mapping == "none":  # when mapping begins, the physical names are the names
        physical = facts.get("delta.columnMapping.physicalName")
        return next((each for each in fields if each["name"] == physical), None)
    number = facts.get("delta.columnMapping.id")
    return next((each for each in fields if (each.get("metadata") or {}).get("delta.columnMapping.id") == number), None)


def _is_comparable(old: DeltaType, new: DeltaType, *, mapped: bool) -> bool:
    """Whether the old values, in the new type, are the same values."""
    if old == new:
        return True
    if mapped and isinstance(new, dict):
        return False  # parts may have been renamed
    try:
        return fits(arrow_type(old), arrow_type(new))
    except OutsideError:
        return False


# --- what the log says ------------------------------------------------------------------------------------------------


class _State(msgspec.Struct, frozen=True):
    """A version, and by which files it differs from the one before it."""

    info: VersionInfo | None
    metadata: Metadata | None
    protocol: Protocol | None
    added: dict[FileKey, AddFile]
    removed: set[FileKey]


class _States(msgspec.Struct, frozen=True):
    """The versions from `first` on; -1 is the state before version 0."""

    first: int
    all: list[_State]

    def __getitem__(self, version: int) -> _State:
        return self.all[version - self.first]

    def files(self, version: int) -> dict[FileKey, AddFile]:
        """The files of a version."""
        files: dict[FileKey, AddFile] = {}
        for state in self.all[: version - self.first + 1]:
            for key in state.removed:
                del files[key]
            files.update(state.added)
        return files

    def parent(self, version: int) -> int | None:
        """The version that this one was made from; None if that may be one that the log no longer tells."""
        info = self[version].info
        if info is None or info.operation != "RESTORE":
            return version - 1
        alike: int | None = None
        for earlier in self._same_files(version):
            if earlier == info.restored:
                return earlier
            if alike is None and self._same_schema(earlier, version):
                alike = earlier
        if alike is None and self.first >= 0 and (info.restored is None or info.restored < self.first):
            return None
        return version - 1 if alike is None else alike

    def _same_files(self, version: int) -> Iterator[int]:
        """The earlier versions that have the same files, newest first."""
        differing: set[FileKey] = set()
        for later in range(version, max(self.first, 0), -1):
            differing ^= self[later].added.keys() | self[later].removed
            if not differing:
                yield later - 1

    def _same_schema(self, one: int, other: int) -> bool:
        left, right = self[one].metadata, self[other].metadata
        return left is right or (left is not None and right is not None and left.schema == right.schema)


def _read_states(log: DeltaLog, version: int) -> _States:
    start = _first_known(log, version)
    if start is None:
        states = _States(-1, [_State(None, None, None, {}, set())])
    else:
        files = {file.key: file for file in start.files}
        states = _States(start.version, [_State(None, start.metadata, start.protocol, files, set())])
    live = set(states.all[0].added)
    for number in range(states.first + 1, version + 1):
        states.all.append(_apply(states.all[-1], live, log.commit(number)))
    return states


def _apply(before: _State, live: set[FileKey], commit: Commit) -> _State:
    """The next version; `live` holds the files of the one before and then its own."""
    named = {file.key: file for file in commit.adds}
    removed = (live & set(commit.removes)) - named.keys()
    added = {key: file for key, file in named.items() if key not in live}
    live.difference_update(removed)
    live.update(added)
    return _State(
        info=describe_commit(commit),
        metadata=commit.metadata or before.metadata,
        protocol=commit.protocol or before.protocol,
        added=added,
        removed=removed,
    )


def _first_known(log: DeltaLog, version: int) -> Snapshot | None:
    """The oldest state up to `version` that the log tells; None where its commits start with version 0."""
    span = log.versions()
    if version not in span or span[0] > 0:
        wanted = log.snapshot(version)  # or says why there is none
        try:
            return log.snapshot(span[0] - 1)
        except (NotFoundError, OutsideError):  # no checkpoint there, or none that lin reads
            known = (commit.version for commit, files in log.replay() if files is not None)
            oldest = next(known, version)
            return wanted if oldest >= version else log.snapshot(oldest)
    return None
