"""Deleting the data files that no version needs any more, and no pin: which these are, and nothing else.

delta-rs is not asked to delete: its full vacuum takes live deletion vectors, and follows links out of the table. The
list is made here from the whole log, and a file stays where there is any doubt: it is live, was removed too short a
time ago or nobody knows when, is pinned, or its name or place is not that of a data file.
"""

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import msgspec

from lin.data.log import AddFile, Commit, DeltaLog, Snapshot, require_readable
from lin.data.mentions import Mention, read_mentions, same_spelling
from lin.data.tables import Table
from lin.data.unlink import Barred, FoundFile, delete_files, list_files, look_at
from lin.errors import ConflictError, OutsideError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

RETENTION = "delta.deletedFileRetentionDuration"
CHANGES = "_change_data"

_DEFAULT = "interval 1 week"
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_FRACTIONS = {"millisecond": 1e-3, "microsecond": 1e-6, "nanosecond": 1e-9}
_DURATION = re.compile(r"(?:interval\s+)?((?:\d{1,12}\s*[a-z]+\s*)+)", re.IGNORECASE)
_PART = re.compile(r"(\d+)\s*([a-z]+)")
_DATA_FILE = re.compile(r".+\.parquet|deletion_vector_[0-9a-f-]{36}\.bin")
_NEWEST_WRITER = 7
_NAMES_NO_FILES = (
    {"appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns", "identityColumns"}
    | {"columnMapping", "deletionVectors", "timestampNtz", "v2Checkpoint", "vacuumProtocolCheck", "rowTracking"}
    | {"domainMetadata", "inCommitTimestamp", "clustering", "allowColumnDefaults", "checkpointProtection"}
    | {"typeWidening", "typeWidening-preview", "icebergCompatV1", "icebergCompatV2"}
)
"""Writer features under which a table has no other files than those that its log names as ever."""


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """A pinned version, and the files that it cannot do without: paths relative to the table's folder."""

    version: int
    pin: str
    paths: frozenset[str]


class DeadFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that may be deleted."""

    path: str
    bytes: int


class Spared(msgspec.Struct, frozen=True, kw_only=True):
    """What stays for the sake of a pinned version alone: how many files, and their bytes."""

    version: int
    pin: str
    files: int
    bytes: int


class VacuumPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a vacuum would delete, what it would spare, and which versions could not be read after it.

    `young` counts files that were removed too short a time ago, `untimed` those of which nobody knows when,
    `refused` those whose name or place is not that of a data file, `gone` those that are deleted already.
    """

    table: str
    head: int
    retention_ms: int
    dead: list[DeadFile]
    spared: list[Spared]
    young: int
    untimed: int
    refused: int
    gone: int
    lost_versions: list[int]

    @property
    def bytes(self) -> int:
        """What would be free."""
        return sum(file.bytes for file in self.dead)


def parse_duration(text: str) -> int:
    """A time span such as `7 days` or `interval 1 week 12 hours`, in milliseconds. Raises `UsageError`."""
    whole = _DURATION.fullmatch(text.strip())
    units = _SECONDS | _FRACTIONS
    parts = [(int(number), unit.removesuffix("s")) for number, unit in _PART.findall(whole[1].lower())] if whole else []
    if not parts or any(unit not in units for _, unit in parts):
        raise UsageError(
            f"'{text}' is no time span", hint=f"write it as '7 days'; units are {', '.join(f'{u}s' for u in _SECONDS)}"
        )
    return round(sum(number * units[unit] for number, unit in parts) * 1000)


def retention_of(snapshot: Snapshot, table: Table) -> int:
    """How long a table keeps removed files by its own properties, else a week; in milliseconds.

    Raises:
        OutsideError: the property says nothing that can be understood.
    """
    text = snapshot.metadata.configuration.get(RETENTION, _DEFAULT)
    try:
        return parse_duration(text)
    except UsageError as error:
        raise OutsideError(
            f"the property {RETENTION} of table '{table.name}' is no time span: '{text}'",
            hint=f"lin vacuum {table.name} --retain '7 days'",
        ) from error


def plan_vacuum(
    table: Table, needs: Sequence[Need], *, now_ms: int, retain_ms: int | None = None, orphans: bool = False
) -> VacuumPlan:
    """Find what may be deleted. Nothing is.

    Args:
        table: whose log and folder are read in full.
        needs: the pinned versions.
        now_ms: the time, in milliseconds since 1970 UTC.
        retain_ms: how long removed files are kept; by default as `retention_of`.
        orphans: take the files in too that the log does not name and that were not changed for that long.

    Raises:
        NotFoundError: not a Delta table. OutsideError: its log is damaged, or asks for what lin does not know.
    """
    head = table.log.snapshot()
    _require_understood(table.log, head)
    retain_ms = retention_of(head, table) if retain_ms is None else retain_ms
    log = _Log(table.log, cutoff=now_ms - retain_ms)
    found = look_at(
        table.root, log.removed.keys() | log.live | log.recent | {same_spelling(p) for n in needs for p in n.paths}
    )
    sorted_out = _SortedOut(log, found)
    if orphans:
        sorted_out.add_orphans(list_files(table.root, into=frozenset({CHANGES})))
    spared = sorted_out.spare(needs)
    return VacuumPlan(
        table=table.name,
        head=head.version,
        retention_ms=retain_ms,
        dead=[DeadFile(path=path, bytes=file.bytes) for path, file in sorted(sorted_out.dead.items())],
        spared=spared,
        young=sorted_out.young,
        untimed=sorted_out.untimed,
        refused=sorted_out.refused,
        gone=len(sorted_out.gone),
        lost_versions=_lost_versions(table.log, sorted_out.dead.keys(), sorted_out.gone),
    )


def delete_planned(table: Table, plan: VacuumPlan) -> int:
    """Delete what a plan lists, if nobody wrote to the table since; returns how many files there were.

    Whatever the order and wherever it stops, what is not in the plan stays readable.

    Raises:
        ConflictError: somebody wrote; nothing was deleted. OutsideError: a file cannot be deleted.
    """
    if table.log.head() != plan.head:
        raise ConflictError(
            f"somebody wrote to table '{table.name}' meanwhile; nothing was deleted", hint="run the same again"
        )
    return delete_files(table.root, (file.path for file in plan.dead))


# --- what the log says ------------------------------------------------------------------------------------------------


class _Log:
    """The files of a whole log: live ones, all that it names, and when others were removed.

    `live` are those of the newest version, `recent` those of every version that is younger than `cutoff`. The time of
    a removal is the latest of those known; None if one is not.
    """

    def __init__(self, log: DeltaLog, *, cutoff: int) -> None:
        self.cutoff = cutoff
        self.live: set[str] = set()
        self.recent: set[str] = set()
        self.named: set[str] = set()
        self.removed: dict[str, int | None] = {}
        self.changes: dict[int, set[str]] = {}
        times = self._read_versions(log)
        for mention in read_mentions(log):
            self._note(mention, times.get(mention.version) if mention.version is not None else None)

    def _read_versions(self, log: DeltaLog) -> dict[int, int | None]:
        times: dict[int, int | None] = {}
        live: Collection[AddFile] = []
        young = False
        for commit, files in log.replay():
            times[commit.version] = time = _milliseconds(commit)
            if young:
                self.recent |= _paths(commit.adds)
            elif time is not None and time > self.cutoff:
                young = True
                self.recent |= _paths(files or commit.adds)
            live = files or []
        self.live = _paths(live)
        return times

    def _note(self, mention: Mention, committed: int | None) -> None:
        self.named.update(mention.files)
        if mention.action == "add":
            return
        if mention.action == "change" and mention.version is not None:
            self.changes.setdefault(mention.version, set()).update(mention.files)
        when = max(mention.removed or 0, committed or 0) or None
        for path in mention.files:
            before = self.removed.get(path, 0)
            self.removed[path] = None if before is None or when is None else max(before, when)


class _SortedOut:
    """The files that were removed, each to where it belongs; `dead` is the rest.

    Files are told apart by their paths, and by what they are on disk: a file system may take two spellings for one.
    """

    def __init__(self, log: _Log, found: dict[str, FoundFile | Barred | None]) -> None:
        self._log = log
        self._found = found
        kept = log.live | log.recent
        self._kept = {file.identity for path in kept if isinstance(file := found.get(path), FoundFile)}
        self.dead: dict[str, FoundFile] = {}
        self.gone: set[str] = set()
        self.young = self.untimed = self.refused = 0
        for path, when in log.removed.items():
            if path not in log.live:
                self._sort(path, when)

    def _sort(self, path: str, when: int | None) -> None:
        file = self._found[path]
        if file is None:
            self.gone.add(path)
        elif path in self._log.recent:
            self.young += 1
        elif when is None:
            self.untimed += 1
        elif when > self._log.cutoff:
            self.young += 1
        elif isinstance(file, Barred) or not _is_data_file(path) or file.identity in self._kept:
            self.refused += 1
        else:
            self.dead[path] = file

    def add_orphans(self, files: "Iterator[tuple[str, FoundFile]]") -> None:
        """Take in what the log does not name."""
        for path, file in files:
            if path in self._log.named or not _is_data_file(path) or file.identity in self._kept:
                continue
            if file.modified > self._log.cutoff:
                self.young += 1
            else:
                self.dead[path] = file

    def spare(self, needs: Sequence[Need]) -> list[Spared]:
        """Take out what the pinned versions need, their change data too."""
        by_identity = {file.identity: path for path, file in self.dead.items()}
        spared, kept = [], set()
        for need in needs:
            paths = {same_spelling(path) for path in need.paths} | self._log.changes.get(need.version, set())
            on_disk = {file.identity for path in paths if isinstance(file := self._found.get(path), FoundFile)}
            mine = paths & self.dead.keys() | {by_identity[i] for i in on_disk & by_identity.keys()}
            kept |= mine
            if mine:
                size = sum(self.dead[path].bytes for path in mine)
                spared.append(Spared(version=need.version, pin=need.pin, files=len(mine), bytes=size))
        self.dead = {path: file for path, file in self.dead.items() if path not in kept}
        return spared


def _lost_versions(log: DeltaLog, dead: Collection[str], gone: set[str]) -> list[int]:
    """The versions that are whole now and name a dead file."""
    dying = gone.union(dead)
    held: dict[tuple[str, str | None], set[str]] = {}
    known = False
    lost = []
    for commit, files in log.replay():
        if files is None:
            continue
        for key in commit.removes:
            held.pop(key, None)
        added = commit.adds if known else files
        held |= {file.key: hit for file in added if (hit := _paths([file]) & dying)}
        known = True
        if held and not any(hit & gone for hit in held.values()):
            lost.append(commit.version)
    return lost


def _paths(files: Collection[AddFile]) -> set[str]:
    """What these logical files lie in."""
    paths = {same_spelling(file.path) for file in files}
    return paths.union(same_spelling(f.vector.path) for f in files if f.vector and f.vector.path is not None)


def _milliseconds(commit: Commit) -> int | None:
    return None if commit.time is None else int(commit.time.timestamp() * 1000)


def _is_data_file(path: str) -> bool:
    *folders, name = path.split("/")
    folders = folders[1:] if folders[:1] == [CHANGES] else folders
    return not any(part[0] in "_." for part in (*folders, name)) and _DATA_FILE.fullmatch(name) is not None


def _require_understood(log: DeltaLog, head: Snapshot) -> None:
    require_readable(log, head)
    protocol = head.protocol
    unknown = sorted(set(protocol.writer_features) - _NAMES_NO_FILES)
    if unknown or protocol.writer > _NEWEST_WRITER:
        what = f"the feature '{unknown[0]}'" if unknown else f"writer version {protocol.writer}"
        raise OutsideError(
            f"nothing of table '{log.name}' is deleted: it uses {what}, and lin does not know which files that needs"
        )
