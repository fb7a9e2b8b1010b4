"""The folder that something is run again in: the recorded source, and for a program its files and tables.

The folder stands for the root of the file system, and everything lies in it where it lies really, so that relative
paths mean what they meant, also those that lead out of the project. Nothing leads from there to what is live, and what
is laid out was checked by content.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from lin.config import FILE_NAME, Config, read_config
from lin.data.commit import Attribution
from lin.data.files import open_regular
from lin.data.mix import read_mix
from lin.data.replica import replicate
from lin.data.tables import Table
from lin.data.write import replace_rows
from lin.errors import LinError, NotReproducibleError
from lin.project import Project, in_scratch
from lin.recipes import Mix, Recipe
from lin.records import FileRef, Pin, SourceTree, TableRef, decode
from lin.runs.query import read_run
from lin.runs.source import read_tree, restore_source
from lin.version import __version__

_SHOWN = 5


@dataclass(frozen=True)
class Scratch:
    """The project as it lies in the scratch folder, and the folder."""

    folder: Path
    project: Project

    def place(self, live: Path) -> Path:
        """Where in the folder that absolute path is."""
        return self.folder / os.path.normpath(live).lstrip("/")


@contextmanager
def lay_out(project: Project, recipe: Recipe, *, heads: Mapping[str, int] | None = None) -> Iterator[Scratch]:
    """Lay out what the recipe needs in a temporary folder, which is gone afterwards.

    A fit gets its source alone: it reads the pinned rows where they are. A command gets its files and tables, too.

    Args:
        project: the live one.
        recipe: what is to be run.
        heads: by location, the version that is the newest of a table, where that is none that the recipe reads.

    Raises:
        NotReproducibleError: names what is missing or is not what it was.
    """
    gone = missing_source(project, recipe) + (missing_files(project, recipe) if recipe.kind == "command" else [])
    if gone:
        raise cannot_run(recipe, gone)
    with tempfile.TemporaryDirectory(prefix="lin-rerun-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary).resolve()
        root = folder / str(project.root.resolve()).lstrip("/")
        tree = _tree(project, recipe)
        restore_source(tree, project.store.blobs, root)
        scratch = Scratch(folder, in_scratch(replace(project, root=root, config=_config(root, project)), folder))
        if recipe.kind == "command":
            _make_folder(recipe, scratch)
            _lay_out_tables(project, recipe, scratch, heads or {})
            _link_tables(scratch)
            _lay_out_files(project, recipe, tree, root)
        yield scratch


def find_heads(project: Project, recipe: Recipe, parent: str | None) -> dict[str, int]:
    """By location, the version after which `parent` wrote to a table, where that is none that it is known to have read.

    Only where the recipe reads of that table what `parent` read, and the live log still has that version.
    """
    if parent is None:
        return {}
    run = read_run(project.store, parent)
    heads: dict[str, int] = {}
    for location in dict.fromkeys(ref.location for ref in run.table_outputs):
        read = [ref for ref in run.table_inputs if ref.location == location]
        version = min(ref.version for ref in run.table_outputs if ref.location == location) - 1
        is_same = [table for table in recipe.tables if _location(table) == location] == read
        if is_same and version > max((ref.version for ref in read), default=-1):
            with suppress(LinError):
                heads[location] = _unread_table(project, location).log.snapshot(version).version
    return heads


def _location(table: TableRef | Mix) -> str:
    return table.base.location if isinstance(table, Mix) else table.location


def cannot_run(recipe: Recipe, reasons: Sequence[str], hint: str | None = None) -> NotReproducibleError:
    """The refusal to run a recipe, for these reasons."""
    more = len(reasons) - _SHOWN
    listed = "; ".join(reasons[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    return NotReproducibleError(f"{recipe.name} cannot be re-run: {listed}", hint=hint)


def _make_folder(recipe: Recipe, scratch: Scratch) -> None:
    """Where the command runs may have nothing in it that is source."""
    place = Path(os.path.normpath(scratch.project.root / recipe.folder))
    if not place.is_relative_to(scratch.folder):
        raise cannot_run(recipe, [f"its folder {recipe.folder!r} is none"])
    place.mkdir(parents=True, exist_ok=True)


def _tree(project: Project, recipe: Recipe) -> SourceTree:
    return read_tree(project.store.blobs, recipe.source) if recipe.source else SourceTree(files=[])


def _config(root: Path, project: Project) -> Config:
    """What the project declared then."""
    declared = root / FILE_NAME
    return read_config(declared) if declared.is_file() else Config(project=project.config.project)


# --- files ------------------------------------------------------------------------------------------------------------


def missing_source(project: Project, recipe: Recipe) -> list[str]:
    """The source files of a recipe that are gone from the store, a sentence each."""
    blobs = project.store.blobs
    if recipe.source is None:
        return []
    if blobs.size(recipe.source) is None:
        return [f"the list of its source files, {recipe.source[:12]}, is gone from the store"]
    files = _tree(project, recipe).files
    return [f"source file {file.path} is gone from the store" for file in files if blobs.size(file.sha256) is None]


def missing_files(project: Project, recipe: Recipe) -> list[str]:
    """The files that the recipe reads and that cannot be had as they were, a sentence each.

    A file that is in the source snapshot or was kept by content is had from the store; any other is there as long as
    the live one has the recorded content.
    """
    kept = {(file.path, file.sha256) for file in _tree(project, recipe).files} if recipe.files else set()
    problems = [f"input file {f.path!r} lies outside the project" for f in recipe.files if not _is_inside(f.path)]
    for file in recipe.files if not problems else []:
        if (file.path, file.sha256) not in kept and project.store.blobs.size(file.sha256) is None:
            problem = _live_problem(project, file)
            problems += [problem] if problem else []
    return problems


def _live_problem(project: Project, file: FileRef) -> str | None:
    try:
        with open_regular(project.root / file.path) as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return f"input file {file.path} is gone, and only its sha256 was recorded"
    except OSError as error:
        return f"input file {file.path} cannot be read: {error}"
    if sha256 != file.sha256:
        return f"input file {file.path} was edited since, and only its sha256 was recorded"
    return None


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and not path.startswith("/")


def _lay_out_files(project: Project, recipe: Recipe, tree: SourceTree, root: Path) -> None:
    there = {(file.path, file.sha256) for file in tree.files}
    for file in recipe.files:
        if (file.path, file.sha256) in there:
            continue
        place = root / file.path
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            _copy_file(project, file, place)
        except OSError as error:
            raise cannot_run(recipe, [f"input file {file.path} cannot be laid out: {error.strerror}"]) from error
        if _sha256(place) != file.sha256:
            raise cannot_run(recipe, [f"input file {file.path} was edited just now"])


def _copy_file(project: Project, file: FileRef, place: Path) -> None:
    if project.store.blobs.size(file.sha256) is not None:
        place.write_bytes(project.store.blobs.read(file.sha256))
        return
    with open_regular(project.root / file.path) as source, place.open("xb") as made:
        shutil.copyfileobj(source, made)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# --- tables -----------------------------------------------------------------------------------------------------------


def live_table(project: Project, ref: TableRef) -> Table:
    """The table that a record names, where it lies now."""
    root = Path(os.path.normpath(project.store_root.resolve() / ref.location))
    return Table(ref.table, root, order=tuple(ref.order))


def read_recorded_pin(project: Project, ref: TableRef) -> Pin:
    """The pin that a record names. Raises `StoreError` if it is missing or damaged."""
    return decode(project.store.blobs.read(ref.pin), Pin, where=f"pin of {ref.table}@{ref.version}")


def _lay_out_tables(project: Project, recipe: Recipe, scratch: Scratch, heads: Mapping[str, int]) -> None:
    read = [table.base if isinstance(table, Mix) else table for table in recipe.tables]
    tables = {ref.location: live_table(project, ref) for ref in read}
    unread = {place: _unread_table(project, place) for place in heads if place not in tables}
    tables |= {place: table for place, table in unread.items() if not scratch.place(table.root).exists()}
    try:
        for location, table in tables.items():
            pins = {ref.version: read_recorded_pin(project, ref) for ref in read if ref.location == location}
            replicate(table, scratch.place(table.root), pins, head=heads.get(location))
        for mix in recipe.tables:
            if isinstance(mix, Mix):
                _overwrite(project, scratch, mix)
    except LinError as error:
        raise cannot_run(recipe, [error.message], error.hint) from error


def _unread_table(project: Project, location: str) -> Table:
    root = Path(os.path.normpath(project.store_root.resolve() / location))
    return Table(root.name, root)


def _overwrite(project: Project, scratch: Scratch, mix: Mix) -> None:
    """Let the newest version of a table have the mixed rows."""
    table = replace(live_table(project, mix.base), root=scratch.place(live_table(project, mix.base).root))
    rows = read_mix(project.store_root, project.store.blobs, mix)
    reason = f"rows of version {mix.base.version} with changes of version {mix.other.version}"
    by = Attribution(run="", user=project.actor, reason=reason, lin=__version__)
    replace_rows(table, table.log.snapshot(), rows.to_reader(), by, now_ms=int(time.time() * 1000))


def _link_tables(scratch: Scratch) -> None:
    """A table that is declared by a path through a link is found by that path."""
    for setting in scratch.project.config.tables.values():
        declared = scratch.project.root / setting.path
        live = Path("/") / Path(os.path.normpath(declared)).relative_to(scratch.folder)
        real = scratch.place(live.resolve())
        if real.is_dir() and not os.path.lexists(declared):
            declared.parent.mkdir(parents=True, exist_ok=True)
            declared.symlink_to(real)
