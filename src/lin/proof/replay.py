"""The child process that fits again: `python -P -m lin.proof.replay STORE RECIPE PARENT KIND`.

It is started in the project's folder as it lies in a scratch folder, reads the pinned rows where they are now, fits
what the recipe says as a new run, and answers with the run's id. A fit that fails is a run too.
"""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from lin.data.mix import read_mix
from lin.data.read import read_pin
from lin.data.tables import Table
from lin.errors import LinError, NotReproducibleError, OutsideError
from lin.project import SCRATCH_VARIABLE, Project, open_project
from lin.proof.scratch import read_recorded_pin
from lin.recipes import Mix, Recipe
from lin.records import Kind, Source, SourceTree, decode, encode
from lin.runs.environment import capture_environment
from lin.runs.fit import FitWork, Rows
from lin.runs.host import capture_host, capture_process
from lin.runs.query import read_run
from lin.runs.record import Capture

PATHS_VARIABLE = "LIN_MODULES"
"""Folders of the project that modules are imported from, last of all, separated as in PATH."""


@dataclass(frozen=True)
class Order:
    """What is asked of the child: a recipe by its digest, whose re-run it is, and what kind of run."""

    recipe: str
    parent: str | None
    kind: Kind


def replay(project: Project, order: Order) -> str:
    """Fit once more; returns the id of the new run.

    Raises:
        NotReproducibleError: the rows are not what they were. LinError: the record is damaged.
    """
    import sklearn.base  # noqa: F401  first, so that the captured environment holds the BLAS that the fit uses

    recipe = decode(project.store.blobs.read(order.recipe), Recipe, where=f"recipe {order.recipe[:12]}")
    if recipe.fit is None or len(recipe.tables) != 1:
        raise NotReproducibleError(f"{recipe.name} cannot be re-run: it is not a fit of one table")
    read = recipe.tables[0]
    base = read.base if isinstance(read, Mix) else read
    pin = read_recorded_pin(project, base)
    table = Table(base.table, project.store_root / base.location, tuple(recipe.fit.exclude), tuple(base.order))
    golden = project.store.blobs.read(recipe.golden) if recipe.golden else None
    try:
        rows = Rows(
            read_mix(project.store_root, project.store.blobs, read) if isinstance(read, Mix) else read_pin(table, pin),
            golden=golden,
        )
    except OutsideError as error:
        raise NotReproducibleError(f"{recipe.name} cannot be re-run: {error.message}", hint=error.hint) from error
    captured = Capture(
        source=source_of(project, recipe, order.parent),
        environment=project.store.blobs.put(encode(capture_environment(project.store.blobs, live_root(project)))),
        host=capture_host(),
        process=capture_process(),
    )
    work = FitWork(
        table,
        pin,
        base,
        captured,
        recipe.experiment,
        None,
        order.parent,
        kind=order.kind,
        recipe=order.recipe,
        mixed_in=read.other if isinstance(read, Mix) else None,
        draws=order.kind != "cell",
        golden_rows=golden,
    )
    return work.do(project, rows, recipe.fit).run


def live_root(project: Project) -> Path:
    """Where the project lies that this one in a scratch folder is of."""
    return project.root if project.scratch is None else "/" / project.root.relative_to(project.scratch)


def source_of(project: Project, recipe: Recipe, parent: str | None) -> Source:
    """The source of a recipe, as git saw it where that is the source of the run that is run again."""
    tree = recipe.source or project.store.blobs.put(encode(SourceTree(files=[])))
    original = read_run(project.store, parent).source if parent else None
    return original if original and original.tree == tree else Source(tree=tree)


def use_modules(path: list[str], root: Path, scratch: Path, more: Iterable[str]) -> list[str]:
    """A `sys.path` whose folders in the live project are those in the scratch folder, where that has them.

    Args:
        path: where modules are found.
        root: the project's folder in the scratch folder.
        scratch: the scratch folder.
        more: folders of modules that come last, if they are not there already.
    """
    live = "/" / root.relative_to(scratch)
    pairs = [(entry, f"{scratch}{entry}") for entry in path]
    moved = [new if Path(old).is_relative_to(live) and Path(new).is_dir() else old for old, new in pairs]
    return [*moved, *(folder for folder in more if folder and folder not in moved)]


def main() -> int:
    """Answer on stdout, complain on stderr: the parent reads both."""
    store, recipe, parent, kind = sys.argv[1:]
    more = os.environ.get(PATHS_VARIABLE, "").split(os.pathsep)
    sys.path[:] = use_modules(sys.path, Path.cwd(), Path(os.environ[SCRATCH_VARIABLE]), more)
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)  # what an estimator prints is not the answer
        try:
            project = open_project(Path.cwd(), store=store)
            answer.write(replay(project, Order(recipe, parent or None, cast("Kind", kind))))
        except LinError as error:
            sys.stdout.flush()
            sys.stderr.write(f"{error.message}\n")  # the last line of all
            return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
