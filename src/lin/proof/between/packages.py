"""What differs in the environments of two recipes, as far as it can be had: the interpreter and packages.

BLAS kernels, CPU features and the system are recorded too, but no recipe can bring them: they are no part of it.
"""

from collections.abc import Iterator

import msgspec

from lin.project import Project
from lin.proof.between.level import Split, changed, split_into
from lin.proof.recipe import decode_environment
from lin.recipes import Recipe
from lin.records import Environment, Package

PYTHON = "python"
"""What the interpreter is called among packages."""

_TOOLS = frozenset({"lin-lineage", "pip", "setuptools", "wheel", "uv"})
"""Packages that programs hardly compute with: no parts while anything else differs, and only their version counts."""

_Packages = dict[str, Package]


def differing_packages(project: Project, low: Recipe, high: Recipe) -> list[str]:
    """The names of the packages that differ, `python` first; tools only where nothing else does.

    Raises:
        StoreError: an environment is missing or damaged.
    """
    if (low.environment, low.packages) == (high.environment, high.packages):
        return []
    before, after = (_installed(project, recipe) for recipe in (low, high))
    names = [name for name in sorted(before.keys() | after.keys()) if _differ(before.get(name), after.get(name))]
    names.sort(key=lambda name: name != PYTHON)
    return [name for name in names if name not in _TOOLS] or names


def take_environment(low: Recipe, high: Recipe) -> Recipe:
    """`low` in the environment of `high`."""
    return msgspec.structs.replace(low, environment=high.environment, packages=high.packages)


def split_environment(project: Project, low: Recipe, high: Recipe) -> Iterator[Split]:
    """The one level of a difference in environments: a part for each package and the interpreter.

    Packages that no version tells apart (editable ones, other files under the same version) are one part together.
    """
    if low.environment is None or high.environment is None:
        return
    before, after = (_installed(project, recipe) for recipe in (low, high))
    names = differing_packages(project, low, high)
    alone = [name for name in names if _is_told_by_version(before.get(name), after.get(name))]
    together = [name for name in names if name not in alone]
    labels = {name: _label(name, before.get(name), after.get(name)) for name in names}
    parts = [(labels[name], [name]) for name in alone]
    if together:
        parts.append((", ".join(labels[name] for name in together), together))
    recorded = {recipe.environment: _recorded(project, recipe) for recipe in (low, high)}

    def build(chosen: list[list[str]]) -> Recipe:
        taken = {name for group in chosen for name in group}
        base = high if taken & {*together} else low
        wanted = {name: _version((after if name in taken else before).get(name)) for name in alone}
        own = recorded[base.environment]
        packages = {name: version for name, version in base.packages.items() if name not in wanted}
        packages |= {name: version for name, version in wanted.items() if version != _version(own.get(name))}
        return msgspec.structs.replace(low, environment=base.environment, packages=packages)

    if parts:
        yield split_into(low, high, parts, build)


def _recorded(project: Project, recipe: Recipe) -> _Packages:
    """What the environment has by itself. The build of the interpreter stands where packages have their files."""
    if recipe.environment is None:
        return {}
    environment = decode_environment(project, recipe.environment)
    return {package.name: package for package in environment.packages} | {PYTHON: _interpreter(environment)}


def _interpreter(environment: Environment) -> Package:
    # an ABI names the system and the machine too: `cpython-311-x86_64-linux-gnu`
    build = "-".join(environment.abi.split("-")[:2])
    return Package(PYTHON, environment.python, record=f"{environment.implementation} {build}")


def _installed(project: Project, recipe: Recipe) -> _Packages:
    """What the recipe runs with."""
    installed = _recorded(project, recipe)
    for name, version in recipe.packages.items():
        if version is None:
            installed.pop(name, None)
        elif _version(installed.get(name)) != version:
            installed[name] = Package(name, version)
    return installed


def _version(package: Package | None) -> str | None:
    return None if package is None else package.version


def _differ(old: Package | None, new: Package | None) -> bool:
    if old is None or new is None or old.version != new.version:
        return True
    if old.name in _TOOLS:
        return False
    other_files = None not in (old.record, new.record) and old.record != new.record
    return other_files or (old.editable, old.source) != (new.editable, new.source)


def _is_told_by_version(old: Package | None, new: Package | None) -> bool:
    if any(package is not None and package.editable for package in (old, new)) or _version(old) == _version(new):
        return False
    implementations = {str(p.record).partition(" ")[0] for p in (old, new) if p is not None and p.name == PYTHON}
    return len(implementations - {"None"}) < 2  # noqa: PLR2004 - CPython and PyPy have versions of their own


def _label(name: str, old: Package | None, new: Package | None) -> str:
    if _version(old) != _version(new):
        return changed(name, _version(old), _version(new))
    return f"{name} {_version(new)} (other files)"
