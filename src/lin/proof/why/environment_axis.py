"""How two environments differ: interpreter and packages on the one side, threads, kernels and variables on the other.

An environment record holds both; the first can be made again anywhere, of the second the CPU cannot.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from lin.records import Blas, Environment, Package, encode
from lin.runs.query import RunInfo

HASH_SEED = "PYTHONHASHSEED"

NUMERIC = ("numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "joblib", "threadpoolctl")
"""Packages that compute, or choose how it is computed: they are told before the others."""

_DISTRIBUTIONS = {"sklearn": "scikit-learn"}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something with a name that is not the same on both sides; `only` one of them may have it.

    `likely`: it is known to be able to change a result. `note` says more where the values do not tell it all.
    """

    name: str
    old: Any
    new: Any
    only: Literal["a", "b"] | None = None
    likely: bool = True
    note: str | None = None


def compare_values(old: Mapping[str, Any], new: Mapping[str, Any], *, likely: bool = True) -> list[Change]:
    """The names under which two maps do not have the same, in the order of the first."""
    names = dict.fromkeys([*old, *new])
    return [
        Change(
            name=name,
            old=old.get(name),
            new=new.get(name),
            only=None if name in old and name in new else "a" if name in old else "b",
            likely=likely,
        )
        for name in names
        if name not in old or name not in new or encode(old[name]) != encode(new[name])
    ]


def packages_of(runs: Iterable[RunInfo]) -> set[str]:
    """The distributions that the estimators come from, as far as their names tell."""
    tops = {path.partition(".")[0] for run in runs if run.fit for path in run.fit.estimator}
    return {_DISTRIBUTIONS.get(top, top.replace("_", "-")) for top in tops}


def compare_packages(old: Environment, new: Environment, *, favoured: Iterable[str] = ()) -> list[Change]:
    """Interpreter, packages and the versions of numeric libraries: what is likely to change results comes first."""
    words = ("python", "implementation", "abi", "system", "machine")
    before, after = ({word: getattr(side, word) for word in words} for side in (old, new))
    first = [*dict.fromkeys([*favoured, *NUMERIC])]
    packages = sorted(_package_changes(old.packages, new.packages, set(first)), key=lambda c: _rank(first, c.name))
    versions = _of_libraries(old.blas, new.blas, "version")
    likely = [change for change in packages if change.likely]
    return [*compare_values(before, after), *likely, *versions, *(c for c in packages if not c.likely)]


def _rank(first: list[str], name: str) -> tuple[int, str]:
    return (first.index(name) if name in first else len(first)), name


def _package_changes(old: list[Package], new: list[Package], likely: set[str]) -> Iterator[Change]:
    before, after = ({package.name: package for package in side} for side in (old, new))
    for name in sorted(before.keys() | after.keys()):
        x, y = before.get(name), after.get(name)
        note = _tell_files(x, y) if x and y and x.version == y.version else None
        if note or x is None or y is None or x.version != y.version:
            yield Change(
                name=name,
                old=x and x.version,
                new=y and y.version,
                only=None if x and y else "a" if x else "b",
                likely=name in likely,
                note=note,
            )


def _tell_files(old: Package, new: Package) -> str | None:
    """How two distributions of the same version are not the same."""
    if old.editable != new.editable:
        return f"editable in {'A' if old.editable else 'B'} alone"
    if old.record and new.record and old.record != new.record:
        return "other files under the same version"
    return "editable, other source" if old.source != new.source else None


def compare_hosts(old: Environment, new: Environment) -> list[Change]:
    """Threads and kernels of numeric libraries, variables, CPU features; what only one of them tells is passed over."""
    variables = ({k: v for k, v in side.variables.items() if k != HASH_SEED} for side in (old, new))
    features = (dict.fromkeys(side.cpu_features, True) for side in (old, new))
    return [
        *_of_libraries(old.blas, new.blas, "threads"),
        *_of_libraries(old.blas, new.blas, "kernel"),
        *compare_values(*variables),
        *(
            msgspec.structs.replace(change, name=f"CPU feature {change.name}")
            for change in (compare_values(*features) if old.cpu_features and new.cpu_features else ())
        ),
    ]


def _of_libraries(old: list[Blas], new: list[Blas], what: str) -> list[Change]:
    """Only libraries that both had loaded: which ones are loaded depends on when that was looked at."""
    before, after = (_by_library(side, what) for side in (old, new))
    shared = before.keys() & after.keys()
    changes = compare_values(*({name: side[name] for name in side if name in shared} for side in (before, after)))
    prefix = "" if what == "version" else f"{what} of "
    return [msgspec.structs.replace(change, name=prefix + change.name) for change in changes]


def _by_library(libraries: list[Blas], what: str) -> dict[str, str]:
    told: dict[str, set[str]] = {}
    for blas in libraries:
        told.setdefault(blas.library, set()).add(str(getattr(blas, what) or "unknown"))
    return {name: ", ".join(sorted(values)) for name, values in sorted(told.items())}
