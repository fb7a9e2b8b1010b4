"""What differs between two recorded runs besides their data, axis by axis: source, environment, params, seed, host.

Read from the records alone. An axis counts as different if what differs may change a result; what cannot, as a file
that the trainer never reads, is told and does not count.
"""

import sys
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Literal

import msgspec

from lin.errors import LinError
from lin.project import Project
from lin.proof.recipe import SEED_PARAMS, decode_environment
from lin.proof.why.environment_axis import (
    HASH_SEED,
    NUMERIC,
    Change,
    compare_hosts,
    compare_packages,
    compare_values,
    packages_of,
)
from lin.recipes import AXES
from lin.records import Environment
from lin.runs.differences import Difference, RunComparison
from lin.runs.hunks import FileChange
from lin.runs.query import RunInfo
from lin.runs.source import read_tree

_SHARED = frozenset({"sklearn", *(name.replace("-", "_") for name in NUMERIC)})
_BUILTIN = frozenset(sys.stdlib_module_names)


class SourceGap(msgspec.Struct, frozen=True, kw_only=True):
    """How the source differs: file by file, and in git. `idle`: in nothing that the two runs used.

    `commit` is the one that holds the files of the first as they were, where both sides were clean in git.
    """

    files: list[FileChange]
    git: list[Change]
    commit: str | None
    note: str | None
    idle: bool


class Axes(msgspec.Struct, frozen=True, kw_only=True):
    """What differs on the axes that are no data; `unknown` says of an axis why it could not be compared.

    `logged` are params that a command logged while it ran: what they are is its own doing, so they are no axis. Nor are
    words of the host that change no result by themselves, `machine`: its name, cores, memory and system.
    """

    source: SourceGap | None
    environment: list[Change]
    params: list[Change]
    seed: list[Change]
    logged: list[Change]
    host: list[Change]
    machine: list[Change]
    unknown: dict[str, str]

    @property
    def differing(self) -> list[str]:
        """The axes that may have changed a result, in order."""
        counts = {"source": self.source is not None and not self.source.idle} | {
            axis: bool(getattr(self, axis)) for axis in ("environment", "params", "seed", "host")
        }
        return [axis for axis in AXES if counts.get(axis)]


def compare_axes(project: Project, a: RunInfo, b: RunInfo, comparison: RunComparison) -> Axes:
    """The axes of two runs, of which `comparison` holds `b` against `a`."""
    unknown: dict[str, str] = {}
    environments = _read_environments(project, a, b, unknown)
    logged = (a.params.keys() | b.params.keys()) - _asked(project, a) - _asked(project, b)
    params, seed = _split_params(a, b, comparison, logged)
    packages: list[Change] = []
    host: list[Change] = []
    if environments is not None:
        packages = compare_packages(*environments, favoured=packages_of([a, b]))
        host = compare_hosts(*environments)
        seed += compare_values(
            *({HASH_SEED: e.variables[HASH_SEED]} if HASH_SEED in e.variables else {} for e in environments)
        )
    cpu, machine = _split_machine(changes_of(comparison.host, a, b))
    return Axes(
        source=_compare_source(project, a, b, comparison, unknown),
        environment=packages,
        params=params,
        seed=seed,
        logged=[change for change in changes_of(comparison.params, a, b) if change.name in logged],
        host=[*host, *cpu],
        machine=machine,
        unknown=unknown,
    )


def changes_of(differences: Iterable[Difference], a: RunInfo, b: RunInfo) -> list[Change]:
    """The differences of a comparison of `b` with `a`, as changes."""
    return [
        Change(name=each.name, old=each.values.get(a.id), new=each.values.get(b.id), only=_only(each.values, a, b))
        for each in differences
    ]


def _only(values: Mapping[str, Any], a: RunInfo, b: RunInfo) -> Literal["a", "b"] | None:
    return "a" if b.id not in values else "b" if a.id not in values else None


# --- params and seed --------------------------------------------------------------------------------------------------


def _asked(project: Project, run: RunInfo) -> AbstractSet[str]:
    """The params that a run was started with.

    Nobody knows how a program was started that began its run itself: what it logs counts as asked for.
    """
    return project.store.runs.start(run.id).params.keys() if run.kind == "command" else run.params.keys()


def _split_params(
    a: RunInfo, b: RunInfo, comparison: RunComparison, logged: AbstractSet[str]
) -> tuple[list[Change], list[Change]]:
    """What was asked for, apart from what decides chance alone."""
    params: list[Change] = []
    seed: list[Change] = []
    for change in changes_of(comparison.params, a, b):
        if change.name not in logged and not _is_split_seed(change.name, a, b):
            (seed if change.name in SEED_PARAMS else params).append(change)
    for change in changes_of(comparison.facts, a, b):
        if change.name == "fit.seed":
            seed.append(msgspec.structs.replace(change, name="seed", note="of the split, and of the estimator"))
        elif change.name.startswith("fit."):
            params.append(msgspec.structs.replace(change, name=change.name.removeprefix("fit.")))
        elif change.name == "command":
            (seed if differ_in_seed(change.old, change.new) else params).append(change)
        elif change.name in {"kind", "folder"}:
            params.append(change)
    return params, seed


def _is_split_seed(name: str, a: RunInfo, b: RunInfo) -> bool:
    """Whether a param only repeats the seed of the split, which the trainer gives to the estimator too."""
    return name in SEED_PARAMS and all(
        run.fit is not None and name not in run.fit.params and run.params.get(name, run.fit.seed) == run.fit.seed
        for run in (a, b)
    )


def differ_in_seed(old: list[str] | None, new: list[str] | None) -> bool:
    """Whether two command lines differ in nothing but seeds: `--seed 1`, `--random-state=1`, `seed=1`."""
    if not old or not new or len(old) != len(new):
        return False
    differ = [at for at, (x, y) in enumerate(zip(old, new, strict=True)) if x != y]
    return bool(differ) and all(_is_seed(old, at) and _is_seed(new, at) for at in differ)


def _is_seed(command: list[str], at: int) -> bool:
    name, equals, _ = command[at].partition("=")
    if not equals:
        name = command[at - 1] if at and command[at - 1].startswith("-") else ""
    return name.lstrip("-").replace("-", "_") in SEED_PARAMS


# --- source -----------------------------------------------------------------------------------------------------------


def _compare_source(
    project: Project, a: RunInfo, b: RunInfo, comparison: RunComparison, unknown: dict[str, str]
) -> SourceGap | None:
    if a.source is None or b.source is None:
        unknown["source"] = "recorded for neither" if a.source is b.source else "recorded for only one of them"
        return None
    if not comparison.source:
        return None
    change = comparison.source[0]
    seen = a.source.git, b.source.git
    is_clean = all(git is not None and git.commit is not None and not git.dirty for git in seen)
    return SourceGap(
        files=change.files,
        git=changes_of(comparison.git, a, b),
        commit=seen[0].commit if seen[0] and is_clean else None,
        note=change.note,
        idle=_is_idle(project, a, b, change.files),
    )


def _is_idle(project: Project, a: RunInfo, b: RunInfo, files: list[FileChange]) -> bool:
    """Whether the trainer cannot have used any of these files.

    It imports modules and reads nothing else. So they do not count where the estimators come from installed packages,
    unless one of them could stand in for a module of these.
    """
    if a.fit is None or b.fit is None or not files or any(file.kind == "unknown" for file in files):
        return False
    modules = {path.partition(".")[0] for run in (a, b) for path in (run.fit.estimator if run.fit else ())}
    try:
        trees = [read_tree(project.store.blobs, run.source.tree) for run in (a, b) if run.source]
    except LinError:
        return False
    own = {_top(file.path) for tree in trees for file in tree.files}
    changed = {_top(path) for file in files for path in (file.path, file.old) if path}
    return not modules & own and not changed & (_BUILTIN | _SHARED | modules)


def _top(path: str) -> str:
    """The module that a file would be, or be part of."""
    return path.partition("/")[0].partition(".")[0]


# --- environment and host ---------------------------------------------------------------------------------------------


def _read_environments(
    project: Project, a: RunInfo, b: RunInfo, unknown: dict[str, str]
) -> tuple[Environment, Environment] | None:
    if a.environment is None or b.environment is None:
        unknown["environment"] = (
            "recorded for neither" if a.environment == b.environment else "recorded for only one of them"
        )
        return None
    if a.environment == b.environment:
        return None
    try:
        return decode_environment(project, a.environment), decode_environment(project, b.environment)
    except LinError as error:
        unknown["environment"] = f"it cannot be compared: {error.message}"
        return None


def _split_machine(changes: list[Change]) -> tuple[list[Change], list[Change]]:
    """The CPU, which chooses how is computed, and what else there is to say of the machine."""
    cpu = [change for change in changes if change.name == "cpu"]
    return cpu, [msgspec.structs.replace(change, likely=False) for change in changes if change.name != "cpu"]
