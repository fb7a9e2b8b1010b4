"""What is recorded around two runs and differs, by axis: data, source, environment, params, seed, host.

Only records are read. What one of them lacks is said to differ, for nobody knows that it does not.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from lin.errors import LinError
from lin.project import Project
from lin.proof.recipe import SEED_PARAMS, decode_environment
from lin.recipes import AXES
from lin.records import Environment, FileRef, ModelRef, TableRef, encode
from lin.runs.environment import diff_environments
from lin.runs.query import RunInfo

_ONLY_ONE = "recorded for only one of them"
_HOST_VARIABLES = frozenset({"CUDA_VISIBLE_DEVICES", "MKL_CBWR", "OPENBLAS_CORETYPE"})
_SEED_VARIABLE = "PYTHONHASHSEED"
_OF_FIT = ("estimator", "target", "features", "exclude", "rows", "test_size", "seed", "metrics")


def tell_axes(project: Project, a: RunInfo, b: RunInfo) -> dict[str, list[str]]:
    """The axes on which two runs differ, in the order of `AXES`, with a line for each thing that does.

    A parameter that was logged makes its axis differ and has no line: its values are told among the results.
    """
    axes: dict[str, list[str]] = {axis: [] for axis in AXES}
    axes["data"] += _inputs(a, b)
    if _tree(a) != _tree(b):
        axes["source"].append("the project's files differ")
    for axis, lines in _environments(project, a, b).items():
        axes[axis] += lines
    for axis, line in _settings(a, b):
        axes[axis].append(line)
    first, second = (msgspec.structs.asdict(run.host) for run in (a, b))
    axes["host"] += (f"{name} {first[name]} -> {second[name]}" for name in differing(first, second))
    logged = {axis_of_param(name) for name in differing(a.params, b.params)}
    return {axis: lines for axis, lines in axes.items() if lines or axis in logged}


def axis_of_param(name: str) -> str:
    """`seed` for what decides chance alone, of a step of a pipeline too; else `params`."""
    return "seed" if name.rpartition("__")[2] in SEED_PARAMS else "params"


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """The names that only one side has, or whose values are not stored alike: 1, 1.0 and true are three."""
    names = sorted(a.keys() | b.keys())
    return [name for name in names if name not in a or name not in b or encode(a[name]) != encode(b[name])]


def _tree(run: RunInfo) -> str | None:
    return run.source.tree if run.source else None


# --- data -------------------------------------------------------------------------------------------------------------


def _inputs(a: RunInfo, b: RunInfo) -> Iterator[str]:
    yield from _each(
        {f"table {each.table}": each for each in a.table_inputs},
        {f"table {each.table}": each for each in b.table_inputs},
    )
    yield from _each(
        {f"file {each.path}": each for each in a.file_inputs}, {f"file {each.path}": each for each in b.file_inputs}
    )
    yield from _each(
        {f"model {each.model}": each for each in a.model_inputs},
        {f"model {each.model}": each for each in b.model_inputs},
    )


def _each(
    first: "Mapping[str, TableRef | FileRef | ModelRef]", second: "Mapping[str, TableRef | FileRef | ModelRef]"
) -> Iterator[str]:
    for name in sorted(first.keys() | second.keys()):
        x, y = first.get(name), second.get(name)
        told = f"{name} is read by only one of them" if x is None or y is None else _input(x, y)
        if told:
            yield told


def _input(x: TableRef | FileRef | ModelRef, y: TableRef | FileRef | ModelRef) -> str | None:
    match x, y:
        case TableRef(), TableRef() if x.pin != y.pin:
            return f"{x.table}@{x.version} -> {y.table}@{y.version}, other data"
        case TableRef(), TableRef() if x.order != y.order:
            orders = (", ".join(table.order) or "as written" for table in (x, y))
            return f"{x.table} is read in another order: {' -> '.join(orders)}"
        case FileRef(), FileRef() if x.sha256 != y.sha256:
            return f"file {x.path} has other content"
        case ModelRef(), ModelRef() if x.sha256 != y.sha256:
            return f"{x.model}@{x.version} -> {y.model}@{y.version}"
    return None


# --- what was asked ---------------------------------------------------------------------------------------------------


def _settings(a: RunInfo, b: RunInfo) -> Iterator[tuple[str, str]]:
    """What a fit was asked besides the parameters of its estimator, and what a command was, by axis."""
    first, second = _asked(a), _asked(b)
    for name in differing(first, second):
        told = f"{name} {_short(first.get(name))} -> {_short(second.get(name))}"
        yield "seed" if name == "seed" else "params", told


def _asked(run: RunInfo) -> dict[str, Any]:
    fit = {name: getattr(run.fit, name) for name in _OF_FIT} if run.fit else {}
    return fit | {"command": run.command, "folder": run.folder} if run.command else fit


def _short(value: object) -> str:
    shown = " ".join(map(str, value)) if isinstance(value, list) else value
    return "none" if shown is None or shown == "" else str(shown)


# --- environment ------------------------------------------------------------------------------------------------------


def _environments(project: Project, a: RunInfo, b: RunInfo) -> dict[str, list[str]]:
    """How the environments differ, by axis: threads, kernels and CPU are the host's, the hash seed is chance."""
    if a.environment == b.environment:
        return {}
    if a.environment is None or b.environment is None:
        return {"environment": [_ONLY_ONE]}
    try:
        x, y = (decode_environment(project, sha256) for sha256 in (a.environment, b.environment))
    except LinError as error:
        return {"environment": [f"it cannot be compared: {error.message}"]}
    return split_environments(x, y)


def split_environments(a: Environment, b: Environment) -> dict[str, list[str]]:
    """What `diff_environments` tells of two environments, by axis."""
    both = {blas.library for blas in a.blas} & {blas.library for blas in b.blas}
    return {
        "environment": diff_environments(_installed(a), _installed(b)),
        "seed": diff_environments(_only(a, {_SEED_VARIABLE}), _only(b, {_SEED_VARIABLE})),
        "host": diff_environments(_machine(a, both), _machine(b, both)),
    }


def _installed(environment: Environment) -> Environment:
    variables = {name for name in environment.variables if not _of_host(name) and name != _SEED_VARIABLE}
    return msgspec.structs.replace(
        _only(environment, variables),
        python=environment.python,
        implementation=environment.implementation,
        abi=environment.abi,
        packages=environment.packages,
        blas=[msgspec.structs.replace(blas, threads=0, kernel=None) for blas in environment.blas],
    )


def _machine(environment: Environment, libraries: Iterable[str]) -> Environment:
    kept = set(libraries)
    return msgspec.structs.replace(
        _only(environment, filter(_of_host, environment.variables)),
        system=environment.system,
        machine=environment.machine,
        blas=[msgspec.structs.replace(blas, version=None) for blas in environment.blas if blas.library in kept],
        cpu_features=environment.cpu_features,
    )


def _only(environment: Environment, variables: Iterable[str]) -> Environment:
    """An environment of these variables and nothing else."""
    chosen = {name: environment.variables[name] for name in variables if name in environment.variables}
    return Environment(python="", implementation="", abi="", system="", machine="", packages=[], variables=chosen)


def _of_host(variable: str) -> bool:
    return variable.endswith("_THREADS") or variable in _HOST_VARIABLES
