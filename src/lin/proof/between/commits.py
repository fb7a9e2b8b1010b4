"""What lies between two versions of one table, as its log tells: the commits that changed something, one step each.

A step that leads back to where the table was before, as a restore does, takes all in between with it. What can no
longer be read is passed over: its commit is joined with the next one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import msgspec

from lin.data.history import describe_commit
from lin.data.log import AddFile, Snapshot
from lin.data.tables import Table
from lin.errors import LinError, NotReproducibleError
from lin.project import Project
from lin.records import DataFile, Pin, TableRef, digest, encode
from lin.runs.pinned import read_recorded_pin
from lin.runs.writes import pin_input


@dataclass(frozen=True)
class Step:
    """A version on the way. `find` pins it, which reads its files, so it is not done before it is asked for."""

    find: Callable[[], TableRef]

    @cached_property
    def reference(self) -> TableRef:
        """The version that the step leads to. Raises `NotReproducibleError` if it cannot be read after all."""
        return self.find()


def split_commits(project: Project, low: TableRef, high: TableRef) -> list[tuple[str, Step]]:
    """The steps from one version to another, forth or back, and what each is called: `housing@3: WRITE by ann`.

    None at all where the log does not tell: they are of two tables, or it no longer has both as they were read.

    Raises:
        StoreError: a pin is missing or damaged.
    """
    if low.location != high.location or low.version == high.version:
        return []
    table = Table(low.table, project.store_root / low.location, order=tuple(low.order))
    back = low.version > high.version
    versions = range(low.version, high.version - 1, -1) if back else range(low.version, high.version + 1)
    try:
        snapshots = table.log.snapshots(versions)
        told = {version: _describe(table, version) for version in sorted(versions)[1:]}
    except LinError:
        return []  # the log was cleaned up, or the table is gone
    if not all(_is_pinned(snapshots[each.version], read_recorded_pin(project.store, each)) for each in (low, high)):
        return []
    steps = [
        (f"{'without ' if back else ''}{_label(table, commits, told)}", _step(project, table, version, low))
        for version, commits in _walk(table, [snapshots[version] for version in versions], back=back)
    ]
    if steps and low.order != high.order:
        order = f"in the order of {', '.join(high.order)}" if high.order else "as written"
        steps.append((f"{table.name} read {order}", Step(lambda: high)))
    return steps


def _walk(table: Table, snapshots: list[Snapshot], *, back: bool) -> list[tuple[int, list[int]]]:
    """The versions that lead from the first to the last, each with the commits that led there, or were undone."""
    first, *rest = snapshots
    path: list[tuple[str, int, list[int]]] = [(_content(first), first.version, [])]
    passed: list[int] = []
    for snapshot in rest:
        passed.append(snapshot.version + 1 if back else snapshot.version)
        if snapshot is not rest[-1] and not _is_there(table, snapshot):
            continue
        content = _content(snapshot)
        known = next((number for number, (seen, *_) in enumerate(path) if seen == content), None)
        if known is None:
            path.append((content, snapshot.version, passed))
        else:
            del path[known + 1 :]
        passed = []
    return [(version, commits) for _, version, commits in path[1:]]


def _step(project: Project, table: Table, version: int, low: TableRef) -> Step:
    def find() -> TableRef:
        try:
            _, reference = pin_input(project, table, version)
        except LinError as error:
            raise NotReproducibleError(f"{table.name}@{version} cannot be read: {error.message}") from error
        return msgspec.structs.replace(reference, location=low.location)

    return Step(find)


# --- what the log tells -----------------------------------------------------------------------------------------------


def _describe(table: Table, version: int) -> str:
    commit = describe_commit(table.log.commit(version))
    by = f" by {commit.user}" if commit.user else ""
    model = f" with {commit.model}" if commit.model else ""
    return f"{commit.operation or 'a commit'}{by}{model}"


def _label(table: Table, commits: list[int], told: dict[int, str]) -> str:
    first, last = min(commits), max(commits)
    numbers = f"{first}" if first == last else f"{first}-{last}"
    return f"{table.name}@{numbers}: {', '.join(dict.fromkeys(told[commit] for commit in sorted(commits)))}"


def _content(snapshot: Snapshot) -> str:
    """What a pin of the version would depend on, without reading a file: equal ones are equal data."""
    metadata = snapshot.metadata
    files = [[*_name_file(file), file.partition] for file in snapshot.files]
    return digest(encode([metadata.schema, metadata.partition_columns, metadata.mapping, files]))


def _is_pinned(snapshot: Snapshot, pin: Pin) -> bool:
    """Whether the log names the pinned files; their bytes are checked when they are read."""
    return [_name_file(file) for file in snapshot.files] == [_name_file(file) for file in pin.files]


def _name_file(file: AddFile | DataFile) -> tuple[object, ...]:
    vector = file.vector
    return file.path, file.bytes, vector and (vector.path, vector.inline, vector.offset, vector.bytes)


def _is_there(table: Table, snapshot: Snapshot) -> bool:
    return all((table.root / file.path).is_file() for file in snapshot.files)
