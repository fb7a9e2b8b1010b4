"""Which commits wrote the cells of a column: by the values where rows have a key, else all that could have."""

from collections.abc import Iterator

from lin.data.blame import blame_version
from lin.errors import LinError, NotFoundError, nearest
from lin.lineage.things import TableThing
from lin.lineage.versions import Versions


def find_writers(versions: Versions, thing: TableThing) -> Iterator[tuple[int, str, bool]]:
    """The versions that wrote cells of a column: which, how many cells, and whether just that version is meant.

    Newest first. Where rows cannot be followed, the commits that changed rows while the column was there.
    """
    table, column = versions.table(thing), thing.column or ""
    if table.key:
        try:
            writers = blame_version(table, thing.version, columns=[column], limit=0).writers
        except LinError as error:  # files are gone, or a key is not unique
            versions.notes.append(f"who wrote which cells of '{column}' cannot be told: {error.message}")
        else:
            yield from ((each.version, _count(each.cells), each.exact) for each in writers)
            return
    at: TableThing | None = thing
    while at is not None:
        found = versions.find(at)
        if found is None:
            return
        if found.how in {"kept", "overwritten"}:
            yield at.version, "could have written", True
        before = versions.before(at)
        at = before if before and not (found.sets_schema and not _has_column(versions, before, column)) else None


def require_column(versions: Versions, thing: TableThing) -> None:
    """Raise `NotFoundError` if the version has no such column, and what the log raises if that cannot be told."""
    names = versions.table(thing).log.snapshot(thing.version).metadata.columns
    if thing.column not in names:
        hint = nearest(thing.column or "", names, instead=f"the columns are: {', '.join(names)}")
        raise NotFoundError(f"{thing.name}@{thing.version} has no column '{thing.column}'", hint=hint)


def _has_column(versions: Versions, thing: TableThing, column: str) -> bool:
    try:
        return column in versions.table(thing).log.snapshot(thing.version).metadata.columns
    except LinError:
        return False


def _count(cells: int) -> str:
    return f"wrote {cells} cell{'s' * (cells != 1)}"
