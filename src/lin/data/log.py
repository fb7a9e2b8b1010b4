"""The Delta log of one local table, read from `_delta_log` itself: commits, and the state at a version.

delta-rs is not asked: its history renumbers commits, and it skips an empty commit file without a word.
Nothing here trusts the log: a path that leaves the table's folder, an empty, torn or missing commit is
refused by name. The commits are the truth. A checkpoint only shortens the way, so a damaged one is passed over
where the commits suffice, and compacted logs, which repeat what the commits say, are left alone.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from posixpath import normpath

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
from lin.data.checkpoints import complete_checkpoints, read_checkpoint
from lin.data.features import READABLE_FEATURES, missing_feature
from lin.data.files import open_log_file
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

_COMMIT = re.compile(r"(\d{20})\.json", re.ASCII)


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


class _Listing(msgspec.Struct, frozen=True):
    """What is in the log's folder: the versions that have commits, and the complete checkpoints."""

    span: range
    checkpoints: dict[int, list[list[str]]]


class DeltaLog:
    """The log of the table at `root`; `name` is what messages call it."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.name = name
        self.folder = root / "_delta_log"

    def versions(self) -> range:
        """The versions whose commits are in the log.

        Raises:
            NotFoundError: not a Delta table. OutsideError: a commit in between or the newest one is missing.
        """
        return self._list().span

    def head(self) -> int:
        """The newest version. Raises as `versions`."""
        return self.versions()[-1]

    def actions(self, version: int) -> list[Action]:
        """The actions of one commit as they are written, paths still encoded. Raises as `commit`."""
        path = self._commit_path(version)
        try:
            with open_log_file(self.folder, path.name) as stream:
                actions = parse_actions(stream.read())
        except FileNotFoundError:
            raise self._no_version(version) from None
        except (OSError, ActionError) as error:
            raise self._damaged(path, str(error)) from error
        if not actions:
            raise self._damaged(path, "it is empty")
        return actions

    def commit(self, version: int) -> Commit:
        """Read one commit.

        Raises:
            NotFoundError: no such version. OutsideError: the commit is empty, torn, no regular file, or hostile.
        """
        actions = self.actions(version)
        try:
            return make_commit(version, actions)
        except OutsidePathError as error:
            raise self._outside(error) from error
        except ActionError as error:
            raise self._damaged(self._commit_path(version), str(error)) from error

    def digest(self, version: int) -> str | None:
        """The sha256 of a commit's bytes; None if it is not there, as after the log was cleaned up.

        Raises:
            OutsideError: it cannot be read.
        """
        path = self._commit_path(version)
        try:
            with open_log_file(self.folder, path.name) as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._damaged(path, str(error)) from error

    def commits(self) -> Iterator[Commit]:
        """Every commit in the log, oldest first. Raises as `commit`."""
        return (self.commit(version) for version in self.versions())

    def snapshot(self, version: int | None = None) -> Snapshot:
        """The state at `version` (default: the newest), replayed from the last sound checkpoint up to it.

        Raises:
            NotFoundError: no such version. OutsideError: the log is damaged, or starts too late.
        """
        listing = self._list()
        wanted = listing.span[-1] if version is None else version
        return self._snapshots(listing, [wanted])[wanted]

    def snapshots(self, versions: Iterable[int]) -> dict[int, Snapshot]:
        """The states at several versions; what of the log they share is read once. Raises as `snapshot`."""
        return self._snapshots(self._list(), versions)

    def replay(self) -> Iterator[tuple[Commit, Collection[AddFile] | None]]:
        """Every commit, oldest first, with the files of the version it made, which hold until the next step.

        Where the log starts in the middle, versions before its first checkpoint have None. Raises as
        `snapshot`.
        """
        listing = self._list()
        first = listing.span[0]
        state = _Replay(-1) if first == 0 else None
        if state is None and first - 1 in listing.checkpoints:
            state = self._from_checkpoint(listing, first - 1)
        for number in listing.span:
            commit = self.commit(number)
            if state is not None:
                state.apply(commit)
            elif number in listing.checkpoints:
                state = self._from_checkpoint(listing, number)
            yield commit, state.files.values() if state else None

    # --- the state at a version -----------------------------------------------------------------------------

    def _snapshots(self, listing: _Listing, versions: Iterable[int]) -> dict[int, Snapshot]:
        found: dict[int, Snapshot] = {}
        state: _Replay | None = None
        for version in sorted(set(versions)):
            if version not in listing.span and version not in listing.checkpoints:
                raise self._no_version(version)
            if state is None or any(state.version < number <= version for number in listing.checkpoints):
                state = self._start(listing, version)
            for number in range(state.version + 1, version + 1):
                state.apply(self.commit(number))
            found[version] = self._snapshot(state)
        return found

    def _start(self, listing: _Listing, version: int) -> "_Replay":
        """The newest state at or before `version` from which the commits lead on to it."""
        damage: OutsideError | None = None
        for number in sorted(listing.checkpoints, reverse=True):
            if number == version or listing.span[0] - 1 <= number < version:
                try:
                    return self._from_checkpoint(listing, number)
                except _DamagedError as error:
                    damage = damage or error
        if listing.span[0] == 0:
            return _Replay(-1)
        raise damage or OutsideError(
            f"{self.name}@{version} can no longer be read: the table's log starts at version {listing.span[0]}",
            hint=f"lin history {self.name}",
        )

    def _from_checkpoint(self, listing: _Listing, version: int) -> "_Replay":
        """The state that the first sound checkpoint of `version` holds."""
        damages = []
        for names in listing.checkpoints[version]:
            try:
                return self._read_checkpoint(version, names)
            except _DamagedError as error:
                damages.append(error)
        raise damages[0]

    def _read_checkpoint(self, version: int, names: list[str]) -> "_Replay":
        path = self.folder / names[0]
        state = _Replay(version)
        try:
            state.apply(make_commit(version, read_checkpoint(self.folder, names)))
        except OutsidePathError as error:
            raise self._outside(error) from error
        except ActionError as error:
            # of the many files of a checkpoint, the reason begins with the one that it is about
            raise self._damaged(path, str(error).removeprefix(f"{path.name}: ")) from error
        if state.metadata is None or state.protocol is None:
            raise self._damaged(path, "there is no schema or protocol in it")
        return state

    def _snapshot(self, state: "_Replay") -> Snapshot:
        if state.metadata is None or state.protocol is None:
            raise self._damaged(self._commit_path(state.version), "there is no schema or protocol up to it")
        paths = Counter(normpath(path) for path, _ in state.files)
        if len(paths) < len(state.files):
            twice = paths.most_common(1)[0][0]
            raise self._damaged(self._commit_path(state.version), f"data file {twice!r} is in that version twice")
        return Snapshot(
            version=state.version,
            metadata=state.metadata,
            protocol=state.protocol,
            files=sorted(state.files.values(), key=lambda file: (file.modified, file.path)),
        )

    # --- what lies there ------------------------------------------------------------------------------------

    def _list(self) -> _Listing:
        names = self._names()
        numbers = sorted(int(match[1]) for match in map(_COMMIT.fullmatch, names) if match)
        if not numbers:
            raise NotFoundError(
                f"{self.root} is not a Delta table: it has no _delta_log with commits",
                hint=f"import a file as a table: lin add {self.name} FILE.csv",
            )
        checkpoints = complete_checkpoints(names)
        newest = max([numbers[-1], *checkpoints])
        gap = next((one + 1 for one, other in pairwise([*numbers, newest + 1]) if one + 1 < other), None)
        if gap is not None:
            raise OutsideError(
                f"table '{self.name}' is damaged: commit {gap:020d}.json is missing from its log",
                hint="restore that file from a backup of the table",
            )
        return _Listing(range(numbers[0], newest + 1), checkpoints)

    def _names(self) -> list[str]:
        try:
            return [entry.name for entry in self.folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise OutsideError(f"the log of table '{self.name}' cannot be read: {error}") from error

    def _commit_path(self, version: int) -> Path:
        return self.folder / f"{version:020d}.json"

    # --- refusals -------------------------------------------------------------------------------------------

    def unsupported(self, feature: str) -> OutsideError:
        """The error for a table that needs `feature`."""
        return OutsideError(f"table '{self.name}' uses {feature}, which this lin does not read yet")

    def _no_version(self, version: int) -> NotFoundError:
        span = self.versions()
        known = f"versions {span[0]} to {span[-1]}" if len(span) > 1 else f"only version {span[0]}"
        return NotFoundError(
            f"table '{self.name}' has no version {version}; it has {known}", hint=f"lin history {self.name}"
        )

    def _outside(self, error: OutsidePathError) -> OutsideError:
        return OutsideError(
            f"table '{self.name}' names a data file outside its own folder: {error}",
            hint="lin reads only tables whose files lie in their folder",
        )

    def _damaged(self, path: Path, why: str) -> "_DamagedError":
        return _DamagedError(
            f"table '{self.name}' is damaged: {path.name} in its log cannot be read: {why}",
            hint="restore that file from a backup of the table",
        )


class _DamagedError(OutsideError):
    """A file of the log is not what it should be; another may do in its place."""


class _Replay:
    """The state at `version`, -1 being the empty one before the first; commits are applied to it in order."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.files: dict[tuple[str, str | None], AddFile] = {}
        self.metadata: Metadata | None = None
        self.protocol: Protocol | None = None

    def apply(self, commit: Commit) -> None:
        for key in commit.removes:
            self.files.pop(key, None)
        self.files.update((file.key, file) for file in commit.adds)
        self.metadata = commit.metadata or self.metadata
        self.protocol = commit.protocol or self.protocol
        self.version = commit.version


def require_readable(log: DeltaLog, snapshot: Snapshot) -> None:
    """Refuse what would be read wrongly: what the version needs, and lin does not know.

    Raises:
        OutsideError: names the feature.
    """
    feature = missing_feature(snapshot.metadata, snapshot.protocol, snapshot.files)
    if feature is not None:
        raise log.unsupported(feature)
