"""How many cells of a table version a commit wrote, and how many of them nobody wrote again before another version.

Rows are followed by the table's key, as in blame. Without one, cells are still there as long as no later commit took
rows away; after that nobody knows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lin.data.history import VersionInfo
from lin.data.tables import Table
from lin.errors import LinError
from lin.records import TableRef

if TYPE_CHECKING:
    from lin.data.timeline import Timeline


@dataclass(frozen=True)
class Writing:
    """A commit of predictions; `told` has the columns of which its run tells, and how many cells of each."""

    entry: VersionInfo
    model: str
    run: str | None
    by_run: bool
    told: Mapping[str, int]


def blame_writings(
    table: Table, read: TableRef, writings: Sequence[Writing], columns: Sequence[str]
) -> dict[int, dict[str, int]] | None:
    """Of each version the cells that it was the last to write, by column; None where nobody can tell.

    Where a cell may have been written before what is still readable, all that is older is not known.
    """
    if not table.key or not writings:
        return None
    from lin.data.blame import blame_version

    told = {column for writing in writings for column in writing.told}
    wanted = told if all(writing.told for writing in writings) and told <= {*columns} else columns
    try:
        writers = blame_version(table, read.version, columns=sorted(wanted), limit=0).writers
    except LinError:
        return None
    if any(not writer.exact and writer.version >= writings[-1].entry.version for writer in writers):
        return None
    return {writer.version: writer.columns for writer in writers if writer.exact}


@dataclass(frozen=True)
class Counts:
    """How many cells a commit wrote, and how many of them are still there in the version read."""

    table: Table
    read: TableRef
    timeline: "Timeline"
    columns: Sequence[str]
    blamed: Mapping[int, Mapping[str, int]] | None

    def of(self, writing: Writing, position: int) -> Iterator[tuple[str, int, int | None]]:
        """The columns that the commit wrote, the cells of each, and those still there."""
        version = writing.entry.version
        known = writing.told if {*writing.told} <= {*self.columns} else {}
        written = known or self._compare(version)
        if self.blamed is not None:
            left = self.blamed.get(version, {})
            for column in {**(written or {}), **left}:
                kept = left.get(column, 0) if not known or column in known else 0
                yield column, max((written or {}).get(column, 0), kept), kept
            return
        untouched = written is not None and self._is_untouched(position)
        for column, cells in (written or dict.fromkeys(self.columns, self.read.rows)).items():
            yield column, cells, None if not untouched and column in self.columns else cells * (column in self.columns)

    def _compare(self, version: int) -> dict[str, int] | None:
        """The cells of each column that a commit wrote, by its values; None if what it needs is gone."""
        from lin.data.diff import diff_versions

        try:
            if version == 0:
                rows = sum(file.rows or 0 for file in self.table.log.snapshot(0).files)
                return dict.fromkeys(self.columns, rows)
            if self.table.key:
                diff = diff_versions(self.table, version - 1, version, limit=0)
                rows = sum(file.rows or 0 for file in self.table.log.snapshot(version).files)
                counted = {name: diff.inserted + diff.columns.get(name, 0) for name in self.columns}
                counted |= dict.fromkeys(diff.added_columns, rows)
            else:
                counted = dict(self._compare_columns(version))
        except LinError:
            return None
        return {name: cells for name, cells in counted.items() if cells}

    def _compare_columns(self, version: int) -> Iterator[tuple[str, int]]:
        """Without a key: how many values of each column are there more often than before."""
        from lin.data.diff import diff_versions

        log = self.table.log
        old, new = (log.snapshot(number) for number in (version - 1, version))
        for name in new.metadata.columns:
            if name not in old.metadata.columns:
                yield name, sum(file.rows or 0 for file in new.files)
            else:
                yield name, diff_versions(self.table, version - 1, version, key=[], columns=[name], limit=0).inserted

    def _is_untouched(self, position: int) -> bool:
        """Whether no commit after that one took rows away, other than to write the same rows elsewhere."""
        later = self.timeline.steps[position + 1 :]
        return all(not step.removed or not self.table.log.commit(step.version).data_change for step in later)
