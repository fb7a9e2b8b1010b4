"""What differs between two recipes, axis by axis, and recipes in between: with some axes of the other, or some parts.

A part is what can be taken over by itself: a package, a parameter, a file, a hunk, a commit, a column. What recipes
record but cannot bring about differs for no one here: CPU features, BLAS kernels, files that snapshots leave out.
"""

from collections.abc import Collection, Iterator
from functools import reduce

from lin.project import Project
from lin.proof.between.level import Split, split_into
from lin.proof.between.packages import differing_packages, split_environment, take_environment
from lin.proof.between.rows import differing_reads, split_data, take_data
from lin.proof.between.settings import differing_settings, split_settings, take_settings
from lin.proof.between.source import is_source_different, split_source, take_source
from lin.recipes import AXES, Recipe

__all__ = ["Split", "differing_axes", "split_difference", "take_axes"]


def differing_axes(project: Project, a: Recipe, b: Recipe) -> list[str]:
    """The axes in which the recipes differ.

    Data are tables by their pins, files and models, wherever they lie. The environment is the interpreter and packages.
    Seed is the fit's seed, parameters and words that are called so, and PYTHONHASHSEED; params are all else that was
    asked. Host are variables and threads. What no recipe can bring about is no axis: the system, CPU features, the BLAS
    kernel (but for OPENBLAS_CORETYPE), the threads of a library that only one of them had loaded, and files that
    a snapshot left out. Nor is what they are called.

    Raises:
        StoreError: an environment or a source snapshot is missing or damaged.
    """
    differ = {
        "data": bool(differing_reads(a, b)),
        "source": is_source_different(project, a, b),
        "environment": bool(differing_packages(project, a, b)),
    }
    settings = differing_settings(a, b)
    return [axis for axis in AXES if differ.get(axis) or axis in settings]


def take_axes(a: Recipe, b: Recipe, axes: Collection[str]) -> Recipe:
    """`a` with those axes of `b`: with none it is `a`, with all that differ it is `b` in all that matters.

    Raises:
        ValueError: there is no such axis.
    """
    if unknown := {*axes} - {*AXES}:
        raise ValueError(f"there is no axis {', '.join(sorted(unknown))}")
    return reduce(lambda recipe, axis: _take(recipe, b, axis), (axis for axis in AXES if axis in axes), a)


def split_difference(project: Project, low: Recipe, high: Recipe) -> Split | None:
    """The parts of the first level at which two recipes differ in more than one, else the one part that says it best.

    Recipes that differ in several axes are divided into these. Else, within the axis:
    data into what is read, then the commits between two versions, then inserted and deleted rows, columns, and order;
    source into files, then hunks, then blocks of lines; the environment into packages and the interpreter; settings
    into parameters, seeds, variables and libraries. None where nothing differs, or nothing can be told of it.

    Raises:
        OutsideError: a table version cannot be read any more. StoreError: the store has lost or damaged what it takes.
    """
    axes = differing_axes(project, low, high)
    whole = take_axes(low, high, axes)
    if len(axes) > 1:
        return split_into(low, whole, [(axis, axis) for axis in axes], lambda chosen: take_axes(low, high, chosen))
    level = None
    for level in _divide(project, low, whole, axes[0]) if axes else ():
        if len(level.parts) > 1:
            break
    return level


def _divide(project: Project, low: Recipe, high: Recipe, axis: str) -> Iterator[Split]:
    match axis:
        case "data":
            return split_data(project, low, high)
        case "source":
            return split_source(project, low, high)
        case "environment":
            return split_environment(project, low, high)
        case "params" | "seed" | "host":
            return split_settings(low, high, axis)
    raise ValueError(f"there is no axis {axis}")


def _take(recipe: Recipe, b: Recipe, axis: str) -> Recipe:
    match axis:
        case "data":
            return take_data(recipe, b)
        case "source":
            return take_source(recipe, b)
        case "environment":
            return take_environment(recipe, b)
        case "params" | "seed" | "host":
            return take_settings(recipe, b, axis)
    raise ValueError(f"there is no axis {axis}")
