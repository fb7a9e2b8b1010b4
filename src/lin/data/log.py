"""The Delta log of one local table, read from `_delta_log` itself: commits, and the state at a version.

delta-rs is not asked: its history renumbers commits, and it skips an empty commit file without a word.
Nothing here trusts the log: a path that leaves the table's folder, an empty, torn or missing commit is
refused by name.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from lin.data.actions import (
    Action,
    ActionError,
    AddFile,
    Commit,
    Metadata,
    OutsidePathError,
    Protocol,
    make_commit,
    parse_actions,
    parse_schema,
)
from lin.data.checkpoints import CheckpointV2Error, complete_checkpoints, read_checkpoint, v2_checkpoints
from lin.errors import NotFoundError, OutsideError

__all__ = [
    "READABLE_FEATURES",
    "AddFile",
    "Commit",
    "DeltaLog",
    "Metadata",
    "Protocol",
    "Snapshot",
    "parse_schema",
    "require_readable",
]

READABLE_FEATURES = frozenset({"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"})
"""The reader features under which the rows are what the Parquet files say."""

_UNUSED_FEATURES = {"columnMapping", "deletionVectors"}
"""Features that are refused where a version uses them, and harmless where it does not."""

_NEWEST_READER = 3
_COMMIT = re.compile(r"(\d{20})\.json")


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The state at one version: `files` in canonical order, by modification time and then by path."""

    version: int
    metadata: Metadata
    protocol: Protocol
    files: list[AddFile]

    @property
    def keys(self) -> set[tuple[str, str | None]]:
        """The set of logical files."""
        return {file.key for file in self.files}


class DeltaLog:
    """The log of the table at `root`; `name` is what messages call it."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.name = name
        self.folder = root / "_delta_log"

    def exists(self) -> bool:
        """Whether there is a Delta table at `root`."""
        return self.folder.is_dir()

    def versions(self) -> range:
        """The versions whose commits are in the log.

        Raises:
            NotFoundError: not a Delta table. OutsideError: a commit in between or the newest one is missing.
        """
        names = self._names()
        numbers = sorted(int(match[1]) for match in map(_COMMIT.fullmatch, names) if match)
        if not numbers:
            raise NotFoundError(
                f"{self.root} is not a Delta table: it has no _delta_log with commits",
                hint=f"import a file as a table: lin add {self.name} FILE.csv",
            )
        newest = max([numbers[-1], *complete_checkpoints(names)])
        missing = set(range(numbers[0], newest + 1)).difference(numbers)
        if missing:
            raise OutsideError(
                f"table '{self.name}' is damaged: commit {min(missing):020d}.json is missing from its log",
                hint="restore that file from a backup of the table",
            )
        return range(numbers[0], newest + 1)

    def head(self) -> int:
        """The newest version. Raises as `versions`."""
        return self.versions()[-1]

    def commit(self, version: int) -> Commit:
        """Read one commit.

        Raises:
            NotFoundError: no such version. OutsideError: the commit is empty, torn or hostile.
        """
        path = self.folder / f"{version:020d}.json"
        try:
            actions = parse_actions(path.read_bytes())
        except FileNotFoundError:
            raise self._no_version(version) from None
        except (OSError, ActionError) as error:
            raise self._damaged(path, str(error)) from error
        if not actions:
            raise self._damaged(path, "it is empty")
        return self._make_commit(version, actions, path)

    def commits(self) -> Iterator[Commit]:
        """Every commit in the log, oldest first. Raises as `commit`."""
        return (self.commit(version) for version in self.versions())

    def snapshot(self, version: int | None = None) -> Snapshot:
        """The state at `version` (default: the newest), replayed from the last checkpoint at or before it.

        Raises:
            NotFoundError: no such version. OutsideError: the log is damaged, or starts too late.
        """
        span = self.versions()
        version = span[-1] if version is None else version
        checkpoints = complete_checkpoints(self._names())
        start = max((number for number in checkpoints if number <= version), default=-1)
        if version not in span and version not in checkpoints:
            raise self._no_version(version)
        if start + 1 < span[0]:
            self._refuse_v2(version)
            raise OutsideError(
                f"{self.name}@{version} can no longer be read: the table's log starts at version {span[0]}",
                hint=f"lin history {self.name}",
            )
        state = _Replay()
        if start >= 0:
            state.apply(self._checkpoint(start, checkpoints[start]))
        for number in range(start + 1, version + 1):
            state.apply(self.commit(number))
        return self._snapshot(version, state)

    def replay(self) -> Iterator[tuple[Commit, Collection[AddFile] | None]]:
        """Every commit, oldest first, with the files of the version it made, which hold until the next step.

        Where the log starts in the middle, versions before its first checkpoint have None. Raises as
        `snapshot`.
        """
        span = self.versions()
        checkpoints = complete_checkpoints(self._names())
        state = _Replay() if span[0] == 0 else None
        if state is None and span[0] - 1 in checkpoints:
            state = self._replay_from(span[0] - 1, checkpoints)
        for commit in self.commits():
            if state is not None:
                state.apply(commit)
            elif commit.version in checkpoints:
                state = self._replay_from(commit.version, checkpoints)
            yield commit, state.files.values() if state else None

    # --- reading what lies there ----------------------------------------------------------------------------

    def _names(self) -> list[str]:
        try:
            return [entry.name for entry in self.folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise OutsideError(f"the log of table '{self.name}' cannot be read: {error}") from error

    def _replay_from(self, version: int, checkpoints: dict[int, list[str]]) -> "_Replay":
        state = _Replay()
        state.apply(self._checkpoint(version, checkpoints[version]))
        return state

    def _checkpoint(self, version: int, names: list[str]) -> Commit:
        path = self.folder / names[0]
        try:
            actions = read_checkpoint(self.folder, names)
        except CheckpointV2Error as error:
            raise self._unsupported("version 2 checkpoints") from error
        except ActionError as error:
            raise self._damaged(path, str(error)) from error
        return self._make_commit(version, actions, path)

    def _make_commit(self, version: int, actions: list[Action], path: Path) -> Commit:
        try:
            return make_commit(version, actions)
        except OutsidePathError as error:
            raise OutsideError(
                f"table '{self.name}' names a data file outside its own folder: {error}",
                hint="lin reads only tables whose files lie in their folder",
            ) from error
        except ActionError as error:
            raise self._damaged(path, str(error)) from error

    def _snapshot(self, version: int, state: "_Replay") -> Snapshot:
        if state.metadata is None or state.protocol is None:
            raise self._damaged(self.folder / f"{version:020d}.json", "there is no schema or protocol up to it")
        return Snapshot(
            version=version,
            metadata=state.metadata,
            protocol=state.protocol,
            files=sorted(state.files.values(), key=lambda file: (file.modified, file.path)),
        )

    # --- refusals -------------------------------------------------------------------------------------------

    def _refuse_v2(self, version: int) -> None:
        if any(number <= version for number in v2_checkpoints(self._names())):
            raise self._unsupported("version 2 checkpoints")

    def _no_version(self, version: int) -> NotFoundError:
        span = self.versions()
        known = f"versions {span[0]} to {span[-1]}" if len(span) > 1 else f"only version {span[0]}"
        return NotFoundError(
            f"table '{self.name}' has no version {version}; it has {known}", hint=f"lin history {self.name}"
        )

    def _damaged(self, path: Path, why: str) -> OutsideError:
        return OutsideError(
            f"table '{self.name}' is damaged: {path.name} in its log cannot be read: {why}",
            hint="restore that file from a backup of the table",
        )

    def _unsupported(self, feature: str) -> OutsideError:
        return OutsideError(f"table '{self.name}' uses {feature}, which this lin does not read yet")


class _Replay:
    """Applies commits in order to an empty table."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str | None], AddFile] = {}
        self.metadata: Metadata | None = None
        self.protocol: Protocol | None = None

    def apply(self, commit: Commit) -> None:
        for key in commit.removes:
            self.files.pop(key, None)
        self.files.update((file.key, file) for file in commit.adds)
        self.metadata = commit.metadata or self.metadata
        self.protocol = commit.protocol or self.protocol


def require_readable(log: DeltaLog, snapshot: Snapshot) -> None:
    """Refuse what would be read wrongly: features that lin does not know, deletion vectors, column mapping.

    Raises:
        OutsideError: names the feature.
    """
    metadata, protocol = snapshot.metadata, snapshot.protocol
    mapping = metadata.configuration.get("delta.columnMapping.mode", "none")
    unknown = sorted(set(protocol.reader_features) - READABLE_FEATURES - _UNUSED_FEATURES)
    refused = (
        (protocol.reader > _NEWEST_READER, f"reader version {protocol.reader}"),
        (metadata.provider != "parquet", f"data files in the format '{metadata.provider}'"),
        (mapping != "none", f"column mapping (mode '{mapping}')"),
        (any(file.vector for file in snapshot.files), "deletion vectors"),
        (bool(unknown), f"the feature '{', '.join(unknown)}'"),
    )
    for refuse, feature in refused:
        if refuse:
            raise log._unsupported(feature)  # noqa: SLF001 - it says so in the words of its log
