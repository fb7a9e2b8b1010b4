"""Which table versions the runs of a store pinned, which runs stand on each, and whether it can still be read.

Every run counts: finished, failed, running or abandoned, and a deleted one until `lin gc` took it, since it may come
back. A table is asked where the run found it, for that is where a re-run looks, whether or not `lineage.toml` still
declares it.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from lin.data.files import is_kept_back, open_data_file
from lin.data.pins import check_pin
from lin.data.tables import Table
from lin.errors import LinError, OutsideError
from lin.ids import short
from lin.project import Project
from lin.recipes import Mix, Recipe
from lin.records import DataFile, Pin, TableRef, decode, encode
from lin.runs.deleted import collected_runs
from lin.runs.query import RunInfo, read_each
from lin.store.store import Store

_TOLD = 5
"""As many problems of a version are told; the rest is a number."""

Wrong = Literal["missing", "altered", "unreadable"]
_VECTOR_FRAME = 8
"""The size before a deletion vector's bitmap and the checksum after it, in bytes."""


class PinnedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version as one pin holds it. `location` is relative to the store; `runs` are whole ids, oldest first."""

    table: str
    location: str
    version: int
    pin: str
    rows: int
    runs: list[str]

    @property
    def reference(self) -> str:
        """As it is written: `housing@3`."""
        return f"{self.table}@{self.version}"


class Pinned(msgspec.Struct, frozen=True, kw_only=True):
    """All pinned versions by table and version, and what is wrong with records that could not be read."""

    versions: list[PinnedVersion]
    damaged: list[str]


class PinCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A pinned version, and why it can no longer be read: empty where it can. `models` are those of its runs."""

    table: str
    location: str
    version: int
    pin: str
    files: int | None
    bytes: int | None
    problems: list[str]
    runs: list[str]
    models: list[str]


class TablesCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Every pinned version. `quick`: files were looked for and measured, and not read."""

    quick: bool
    versions: list[PinCheck]
    damaged: list[str]

    @property
    def lost(self) -> list[PinCheck]:
        """Those that can no longer be read."""
        return [version for version in self.versions if version.problems]


def find_pinned(store: Store) -> Pinned:
    """The distinct pins of all runs that were not collected, inputs and outputs; of a re-run those that it asked for.

    What a re-run writes, and what a program of it reads of rows that are mixed, lies in a scratch folder and is gone.
    """
    gone = collected_runs(store)
    damaged: list[str] = []
    runs = list(read_each(store, (run for run in store.runs.ids() if run not in gone), damaged))
    known: dict[tuple[str, int, str, str], PinnedVersion] = {}
    for run in reversed(runs):
        for ref in _list_tables(store, run, damaged):
            fresh = PinnedVersion(
                table=ref.table, location=ref.location, version=ref.version, pin=ref.pin, rows=ref.rows, runs=[]
            )
            pinned = known.setdefault((ref.table, ref.version, ref.location, ref.pin), fresh)
            if run.id not in pinned.runs:
                pinned.runs.append(run.id)
    return Pinned(versions=[known[key] for key in sorted(known)], damaged=damaged)


def _list_tables(store: Store, run: RunInfo, damaged: list[str]) -> list[TableRef]:
    if run.recipe is None:
        return [*run.table_inputs, *run.table_outputs]
    try:
        recipe = decode(store.blobs.read(run.recipe), Recipe, where=f"the recipe of run {short(run.id)}")
    except LinError as error:
        damaged.append(error.message)
        return run.table_inputs
    sides = [[table.base, table.other] if isinstance(table, Mix) else [table] for table in recipe.tables]
    return [ref for refs in sides for ref in refs]


def pinned_of(project: Project, table: Table) -> Pinned:
    """The pinned versions of one table, by its name or by its folder under any name; each pin of a version once."""
    found = find_pinned(project.store)
    same = {place: _same_folder(project, place, table.root) for place in {v.location for v in found.versions}}
    merged: dict[tuple[int, str], PinnedVersion] = {}
    for version in found.versions:
        if version.table == table.name or same[version.location]:
            first = merged.setdefault((version.version, version.pin), version)
            runs = sorted({*first.runs, *version.runs})
            merged[version.version, version.pin] = msgspec.structs.replace(first, table=table.name, runs=runs)
    return Pinned(versions=list(merged.values()), damaged=found.damaged)


def read_recorded_pin(store: Store, ref: PinnedVersion | TableRef) -> Pin:
    """The pin itself. Raises `NotFoundError` or `StoreError` where the store has lost or damaged it."""
    return decode(store.blobs.read(ref.pin), Pin, where=f"pin of {ref.table}@{ref.version}")


def check_tables(project: Project, *, models: Mapping[str, Sequence[str]], quick: bool = False) -> TablesCheck:
    """Tell of every pinned version whether each file of it is there and is what it was.

    Args:
        project: whose store is asked.
        models: the model versions of each run, by the run's id.
        quick: look only for files and sizes, and read none.
    """
    found = find_pinned(project.store)
    check = _Check(project, quick=quick)
    return TablesCheck(
        quick=quick,
        versions=[check.version(pinned, models_of(pinned.runs, models)) for pinned in found.versions],
        damaged=found.damaged,
    )


def models_of(runs: Sequence[str], models: Mapping[str, Sequence[str]]) -> list[str]:
    """The model versions of these runs, each once."""
    return list(dict.fromkeys(model for run in runs for model in models.get(run, ())))


class _Check:
    """Checks pins; a file that several of them share is read once."""

    def __init__(self, project: Project, *, quick: bool) -> None:
        self._project = project
        self._quick = quick
        self._known: dict[tuple[str, bytes], str | None] = {}

    def version(self, pinned: PinnedVersion, models: list[str]) -> PinCheck:
        files, problems = self._files(pinned)
        more = len(problems) - _TOLD
        return PinCheck(
            table=pinned.table,
            location=pinned.location,
            version=pinned.version,
            pin=pinned.pin,
            files=None if files is None else len(files),
            bytes=None if files is None else sum(file.bytes for file in files),
            problems=[*problems[:_TOLD], f"and {more} more"] if more > 0 else problems,
            runs=pinned.runs,
            models=models,
        )

    def _files(self, pinned: PinnedVersion) -> tuple[list[DataFile] | None, list[str]]:
        try:
            pin = read_recorded_pin(self._project.store, pinned)
        except LinError as error:
            return None, [f"its pin cannot be read: {error.message}"]
        table = Table(pinned.table, self._project.store_root / pinned.location)
        if (wrong := look_at_folder(table.root)) is not None:
            return pin.files, [f"the table's folder {os.path.normpath(table.root)} {wrong[0]}"]
        return pin.files, [problem for file in pin.files if (problem := self._file(table, pinned, pin, file))]

    def _file(self, table: Table, pinned: PinnedVersion, pin: Pin, file: DataFile) -> str | None:
        key = pinned.location, encode(file)
        if key not in self._known:
            if self._quick:
                self._known[key] = (measure_file(table.root, file) or (None, None))[1]
            else:
                self._known[key] = "; ".join(check_pin(table, msgspec.structs.replace(pin, files=[file]))) or None
        return self._known[key]


def look_at_folder(root: Path) -> tuple[str, Wrong] | None:
    """What is wrong with a table's folder, and in a word what it is. Its place is foreign: it may be no path at all."""
    try:
        os.stat(root)  # noqa: PTH116 - a foreign text, as the system takes it
    except OSError as error:
        if is_kept_back(error):
            return f"cannot be looked at: {error.strerror}", "unreadable"
    except ValueError:
        pass
    return None if os.path.isdir(root) else ("is gone", "missing")  # noqa: PTH112 - as above


def measure_file(root: Path, file: DataFile) -> tuple[str, str, Wrong] | None:
    """What is wrong with a pinned file as far as its size tells, or with that of its deletion vector.

    The path of what is wrong, a text, and in a word what it is.
    """
    sizes: list[tuple[str, str, int, int | None]] = [(file.path, "data file", file.bytes, file.bytes)]
    vector = file.vector
    if vector is not None and vector.path is not None:
        end = (vector.offset or 1) + vector.bytes + _VECTOR_FRAME
        sizes.append((vector.path, "deletion vector", end, None))
    for path, what, least, most in sizes:
        try:
            with open_data_file(root, path) as stream:
                size = os.fstat(stream.fileno()).st_size
        except FileNotFoundError:
            return path, f"{what} {path!r} is missing", "missing"
        except OutsideError as error:
            return path, error.message, "unreadable" if is_kept_back(error) else "altered"
        if size < least or (most is not None and size > most):
            return path, f"{what} {path!r} was altered: it has {size} bytes instead of {least}", "altered"
    return None


def _same_folder(project: Project, location: str, root: Path) -> bool:
    try:
        return (project.store_root / location).samefile(root)
    except OSError:
        return False
