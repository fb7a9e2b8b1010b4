"""How the data of two runs differ: tables with the commits that made the difference, files, and models used.

Equal pins are equal data, whatever their version numbers: a restored table does not differ from what it was.
"""

from datetime import datetime
from typing import Literal

import msgspec

from lin.data.history import VersionInfo, read_history
from lin.data.tables import Table
from lin.errors import LinError
from lin.project import Project
from lin.records import FileRef, Input, ModelRef, TableRef
from lin.runs.differences import RunComparison, TableChange, ThingDifference, ThingKind
from lin.runs.feedback import walk_back
from lin.runs.query import RunInfo


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that only one of the two versions comes from: that of `side`. What its log does not tell is None."""

    side: Literal["a", "b"]
    version: int
    operation: str | None
    user: str | None
    time: datetime | None
    run: str | None
    model: str | None
    reason: str | None
    rows: int | None
    restored: int | None


class DataChange(msgspec.Struct, frozen=True, kw_only=True):
    """A table, file or model that the two did not read alike: what each read of it, and of a table what lies between.

    `change` is None for what is no table, and where one of them read it in no version or in several. `steps` come
    newest first. `undone`: the table is by now what the first one read, as after a restore.
    """

    kind: ThingKind
    name: str
    old: list[Input]
    new: list[Input]
    change: TableChange | None = None
    steps: list[Step] = []
    undone: bool = False

    @property
    def table(self) -> TableRef | None:
        """The version of a table that the first one read, if it is one and no other."""
        return self.old[0] if len(self.old) == 1 and isinstance(self.old[0], TableRef) else None


def compare_data(project: Project, a: RunInfo, b: RunInfo, comparison: RunComparison) -> list[DataChange]:
    """What differs in what two runs read, of which `comparison` holds `b` against `a`."""
    changes = {change.table: change for change in comparison.tables}
    return [
        _describe(project, thing, a, b, changes.get(thing.name) if thing.kind == "table" else None)
        for thing in comparison.inputs
        if _contents(thing, a) != _contents(thing, b)
    ]


def _contents(thing: ThingDifference, run: RunInfo) -> list[tuple[object, ...]]:
    return [_content(each) for each in thing.values.get(run.id, [])]


def _content(thing: Input) -> tuple[object, ...]:
    match thing:
        case TableRef():
            return thing.pin, tuple(thing.order)
        case ModelRef() | FileRef():
            return (thing.sha256,)


def _describe(
    project: Project, thing: ThingDifference, a: RunInfo, b: RunInfo, change: TableChange | None
) -> DataChange:
    found = DataChange(
        kind=thing.kind, name=thing.name, old=thing.values.get(a.id, []), new=thing.values.get(b.id, []), change=change
    )
    old, new = found.old[:1], found.new[:1]
    if change is None or not old or not new or not isinstance(old[0], TableRef) or not isinstance(new[0], TableRef):
        return found
    if old[0].location != new[0].location or old[0].pin == new[0].pin:
        return found
    try:
        table = Table(thing.name, (project.store_root / old[0].location).resolve())
        history = read_history(table)
        undone = is_equal(table, history[-1].version, old[0].version)
    except LinError:
        return found  # its log is gone or damaged: the change says so
    return msgspec.structs.replace(found, steps=find_steps(history, old[0].version, new[0].version), undone=undone)


def find_steps(history: list[VersionInfo], old: int, new: int) -> list[Step]:
    """The commits that only one of two versions comes from, newest first."""
    before, after = ({entry.version: entry for entry in walk_back(history, version)} for version in (old, new))
    return sorted(
        [
            *(_step("a", before[version]) for version in before.keys() - after.keys()),
            *(_step("b", after[version]) for version in after.keys() - before.keys()),
        ],
        key=lambda step: -step.version,
    )


def _step(side: Literal["a", "b"], entry: VersionInfo) -> Step:
    shared = {name: getattr(entry, name) for name in Step.__struct_fields__ if name != "side"}
    return Step(side=side, **shared)


def is_equal(table: Table, first: int, second: int) -> bool:
    """Whether two versions of a table have the same files, as they have after a restore."""
    if first == second:
        return True
    snapshots = table.log.snapshots([first, second])
    files = ({file.key for file in snapshots[v].files} for v in (first, second))
    schemas = (snapshots[v].metadata.schema for v in (first, second))
    return next(files) == next(files) and next(schemas) == next(schemas)
