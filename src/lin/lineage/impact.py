"""Lineage downwards: what was made from a thing, which of it is live now, and what was predicted with it.

Data is its content: runs that read the same pin under another version number read the same data, as after a restore.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lin.lineage.affected import Impact, report
from lin.lineage.descent import Descent
from lin.lineage.nodes import Describer
from lin.lineage.targets import find_target
from lin.lineage.walk import draw, walk
from lin.project import Project
from lin.runs.deleted import deleted_runs


def impact(project: Project, reference: str, *, depth: int | None = None, folder: Path | None = None) -> Impact:
    """What was made from `reference`, through models, predictions and later table versions.

    Args:
        project: where it is.
        reference: see `find_target`.
        depth: go so many steps at most; the lists, too, hold what lies so near.
        folder: what paths of files are relative to (default: the project's).

    Raises:
        NotFoundError: nothing is called that. UsageError: it may mean several things.
    """
    with _many_objects():
        return _impact(project, reference, depth=depth, folder=folder or project.root)


def _impact(project: Project, reference: str, *, depth: int | None, folder: Path) -> Impact:
    descent = Descent(project)
    root = find_target(project, reference, lambda: descent.links, descent.versions, folder=folder)
    descent.root = root
    walked = descent.finish(walk(root, descent.expand, depth=depth))
    describer = Describer(project, descent.registry, descent.versions, descent.shown | descent.rows)
    graph = draw(walked, "down", describer.describe, descent.notes)
    return report(descent, walked, graph, reference=reference, deleted=deleted_runs(project.store))


@contextmanager
def _many_objects() -> Iterator[None]:
    """No look for garbage meanwhile: many objects are made, of which none is."""
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_on:
            gc.enable()
