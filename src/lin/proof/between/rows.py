"""What differs in the data of two recipes: tables, files and models; of one table the commits; of one commit its parts.

Equal pins are equal data, whatever the version's number and wherever the table lies.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from lin.data.mix import Changes, find_changes, read_reference
from lin.project import Project
from lin.proof.between.commits import split_commits
from lin.proof.between.level import Split, split_into
from lin.recipes import Mix, Part, Recipe
from lin.records import FileRef, ModelRef, TableRef, encode

Read = TableRef | Mix | FileRef | ModelRef
Name = tuple[str, str]
_FIELDS = (("table", "tables"), ("file", "files"), ("model", "models"))
_ROWS: tuple[Part, ...] = ("inserted", "deleted", "order", "column order")

Atom = tuple[Part, str | None]
"""A change of a table that is taken over or not: a part, and the column of one that was updated."""


def differing_reads(low: Recipe, high: Recipe) -> list[Name]:
    """What is not read with the same content in both: `table`, `file` or `model`, and the name."""
    before, after = _reads(low), _reads(high)
    names = [*before, *(name for name in after if name not in before)]
    return [name for name in names if _content(before.get(name, [])) != _content(after.get(name, []))]


def take_data(low: Recipe, high: Recipe) -> Recipe:
    """`low` with the tables, files and models of `high`."""
    return msgspec.structs.replace(low, tables=high.tables, files=high.files, models=high.models)


def split_data(project: Project, low: Recipe, high: Recipe) -> Iterator[Split]:
    """The levels of a difference in data, from what is read to kinds of changes.

    Raises:
        OutsideError: a version that one of them reads cannot be read any more. StoreError: its pin cannot.
    """
    names = differing_reads(low, high)
    before, after = _reads(low), _reads(high)
    parts = [(_label(name, before.get(name, []), after.get(name, [])), name) for name in names]
    yield split_into(low, high, parts, lambda chosen: _take(low, high, chosen))
    if len(names) == 1 and names[0][0] == "table":
        match before.get(names[0]), after.get(names[0]):
            case [TableRef() | Mix() as old], [TableRef() | Mix() as new]:
                yield from _split_table(project, _Slot(low, high, old), new)


@dataclass(frozen=True)
class _Slot:
    """The place of a table in a recipe."""

    low: Recipe
    high: Recipe
    old: TableRef | Mix

    def put(self, new: TableRef | Mix) -> Recipe:
        tables = [new if table is self.old else table for table in self.low.tables]
        return msgspec.structs.replace(self.low, tables=tables)


def _split_table(project: Project, slot: _Slot, new: TableRef | Mix) -> Iterator[Split]:
    ends = _ends(slot.old, new)
    if ends is None:
        return
    steps = split_commits(project, *ends)
    if steps and (slot.old, new) == ends:
        yield split_into(slot.low, slot.high, steps, lambda chosen: slot.put(chosen[-1].reference), ordered=True)
        if len(steps) > 1:
            return
    within = steps[0][0] if len(steps) == 1 else _compare(*ends)
    yield from _split_changes(project, slot, new, ends, within)


# --- parts of a table's changes ---------------------------------------------------------------------------------------


def _ends(old: TableRef | Mix, new: TableRef | Mix) -> tuple[TableRef, TableRef] | None:
    """The versions that both are made of, in the order of a mix, if they are the same."""
    if isinstance(old, TableRef) and isinstance(new, TableRef):
        return old, new
    mixes = [table for table in (old, new) if isinstance(table, Mix)]
    base, other = mixes[0].base, mixes[0].other
    known = {_identity(base), _identity(other)}
    plain = all(_identity(table) in known for table in (old, new) if isinstance(table, TableRef))
    alike = all((mix.base, mix.other, mix.key) == (base, other, mixes[0].key) for mix in mixes)
    return (base, other) if plain and alike else None


def _split_changes(
    project: Project, slot: _Slot, new: TableRef | Mix, ends: tuple[TableRef, TableRef], within: str
) -> Iterator[Split]:
    base, other = ends
    setting = project.config.tables.get(base.table)
    blobs = project.store.blobs
    rows, others = (read_reference(project.store_root, blobs, reference) for reference in (base, other))
    mix = next((table for table in (slot.old, new) if isinstance(table, Mix)), None)
    key = mix.key if mix is not None else setting.key if setting is not None else []
    changes = find_changes(rows, others, key, orders=(base.order, other.order))
    if changes is None:
        return
    labels = _atoms(changes)
    had, has = (_taken(table, base, [*labels]) for table in (slot.old, new))
    differing = [atom for atom in labels if (atom in had) != (atom in has)]

    def build(chosen: list[Atom]) -> Recipe:
        taken = had ^ {*chosen}
        return slot.put(_mix(base, other, changes.key, [atom for atom in labels if atom in taken], len(labels)))

    if differing:
        parts = [(f"{within}, {'' if atom in has else 'without '}{labels[atom]}", atom) for atom in differing]
        yield split_into(slot.low, slot.high, parts, build)


def _atoms(changes: Changes) -> dict[Atom, str]:
    """The changes that can be taken over one by one, and what each is called."""
    found: dict[Atom, str] = {}
    if changes.inserted:
        found["inserted", None] = f"inserted rows ({changes.inserted:,})"
    if changes.deleted:
        found["deleted", None] = f"deleted rows ({changes.deleted:,})"
    for column, cells in sorted(changes.updated.items(), key=lambda item: -item[1]):
        found["updated", column] = f"updated {column} ({cells:,} {'cell' if cells == 1 else 'cells'})"
    for what, columns in (("added", changes.added), ("dropped", changes.dropped), ("retyped", changes.retyped)):
        found |= {("updated", column): f"{what} column {column}" for column in columns}
    if changes.order:
        found["order", None] = "order of rows"
    if changes.column_order:
        found["column order", None] = "order of columns"
    return found


def _taken(table: TableRef | Mix, base: TableRef, atoms: list[Atom]) -> set[Atom]:
    """The atoms that a table has taken over."""
    if isinstance(table, TableRef):
        return set() if _identity(table) == _identity(base) else {*atoms}
    columns = table.columns
    return {
        (part, column)
        for part, column in atoms
        if part in table.parts and (column is None or columns is None or column in columns)
    }


def _mix(base: TableRef, other: TableRef, key: list[str], atoms: list[Atom], count: int) -> TableRef | Mix:
    if len(atoms) in (0, count):
        return other if atoms else base
    columns = sorted(column for _, column in atoms if column is not None)
    parts: list[Part] = [part for part in _ROWS if (part, None) in atoms]
    if columns:
        parts.insert(0, "updated")
    return Mix(base=base, other=other, key=key, parts=parts, columns=columns or None)


# --- what is read -----------------------------------------------------------------------------------------------------


def _reads(recipe: Recipe) -> dict[Name, list[Read]]:
    found: dict[Name, list[Read]] = {}
    for _, field in _FIELDS:
        for read in getattr(recipe, field):
            found.setdefault(_name(read), []).append(read)
    return found


def _name(read: Read) -> Name:
    match read:
        case TableRef(table=name) | Mix(base=TableRef(table=name)):
            return "table", name
        case FileRef(path=name):
            return "file", name
        case ModelRef(model=name):
            return "model", name


def _content(reads: list[Read]) -> list[bytes]:
    return [_identity(read) for read in reads]


def _identity(read: Read) -> bytes:
    """What a read is, wherever it lies."""
    match read:
        case TableRef(pin=pin, order=order):
            return encode([pin, order])
        case Mix(base=base, other=other):
            return encode([_identity(base).decode(), _identity(other).decode(), read.key, read.parts, read.columns])
        case FileRef(sha256=sha256) | ModelRef(sha256=sha256):
            return sha256.encode()


def _take(low: Recipe, high: Recipe, names: list[Name]) -> Recipe:
    """`low` with what is read under these names in `high`, each in the place of the old one, new ones last."""
    reads = _reads(low)
    reads |= {name: _reads(high).get(name, []) for name in names}
    fields = {field: [read for name in reads if name[0] == kind for read in reads[name]] for kind, field in _FIELDS}
    return msgspec.structs.replace(low, **fields)


def _label(name: Name, old: list[Read], new: list[Read]) -> str:
    kind, what = name
    if not old or not new:
        return f"{', '.join(map(_show, old or new))} {'removed' if old else 'added'}"
    if kind == "file" or len(old) != len(new):
        return f"{what} changed"
    return ", ".join(map(_compare, old, new))


def _compare(old: Read, new: Read) -> str:
    before, after = _show(old), _show(new)
    if before != after:
        return f"{before} -> {after}"
    same_files = isinstance(old, TableRef) and isinstance(new, TableRef) and old.pin == new.pin
    return f"{after}, {'in another order' if same_files else 'of other content'}"


def _show(read: Read) -> str:
    match read:
        case TableRef():
            return f"{read.table}@{read.version}"
        case ModelRef():
            return f"{read.model}@{read.version}"
        case Mix():
            return f"a mix of {_show(read.base)} and {_show(read.other)}"
        case FileRef():
            return read.path
