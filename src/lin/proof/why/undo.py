"""The commands that undo a difference on one axis, and the words for what differs on it.

A command is offered only where it undoes just that: what cannot be given on a command line has none.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lin.errors import UsageError
from lin.proof.recipe import THREAD_VARIABLES
from lin.proof.why.axes import Axes
from lin.proof.why.data_axis import DataChange
from lin.proof.why.environment_axis import HASH_SEED, Change
from lin.records import encode
from lin.runs.probe import VARIABLES
from lin.runs.wording import show_param

FEW = 3
"""So many changes are named one by one."""

_OF_FIT = frozenset({"estimator", "target", "features", "exclude", "rows", "test_size", "metrics"})
_NO_PARAMS = _OF_FIT | {"kind", "folder", "command", HASH_SEED}
"""What differs on the axes of params and seed, and cannot be given by `-P`."""


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """A command to type next, and what it does."""

    command: str
    does: str


@dataclass(frozen=True)
class Called:
    """A run as it is called in sentences, and as commands take it; `experiment` is that of `lin run`, if it has one."""

    label: str
    reference: str
    experiment: str | None = None
    takes_params: bool = True


# --- words -----------------------------------------------------------------------------------------------------------


def tell_axis(axis: str, data: Sequence[DataChange], axes: Axes) -> str:
    """What differs on one axis, in a few words."""
    if axis == "data":
        return some([_tell_data(change) for change in data])
    if axis == "source":
        return some([file.path for file in axes.source.files] if axes.source else []) or "the project's files"
    changes: list[Change] = getattr(axes, axis)
    return some([tell_change(change) for change in changes])


def _tell_data(change: DataChange) -> str:
    table = change.change
    return f"{change.name}@{table.old} -> {change.name}@{table.new}" if table else change.name


def tell_change(change: Change) -> str:
    """A change in a line: `numpy 2.3.1 -> 2.4.6`, `alpha 0.1 only in A`."""
    old, new = (_show(change.name, value) for value in (change.old, change.new))
    if change.only:
        return f"{change.name} {old if change.only == 'a' else new} only in {change.only.upper()}"
    if change.note and change.old == change.new:
        return f"{change.name} {old}: {change.note}"
    return f"{change.name} {old} -> {new}"


def _show(name: str, value: Any) -> str:
    """A value of any axis: numbers with every digit, a command line as it is typed."""
    if isinstance(value, list):
        return (shlex.join(value) if name == "command" else ", ".join(map(str, value))) or "-"
    return "-" if value is None else show_param(value)


def some(told: Sequence[str]) -> str:
    """The first few of them, and how many more there are."""
    more = f" and {len(told) - FEW} more" if len(told) > FEW else ""
    return ", ".join(told[:FEW]) + more


# --- commands --------------------------------------------------------------------------------------------------------


def undo_axis(axis: str, a: Called, b: Called, data: Sequence[DataChange], axes: Axes) -> list[Remedy]:
    """The commands that undo what differs from `a` to `b` on one axis; none where no command does just that."""
    match axis:
        case "data":
            return undo_data(b, data)
        case "source":
            return undo_source(a, axes)
        case "environment":
            return undo_environment(b, axes.environment)
        case "host":
            return undo_host(b, axes.host)
    return undo_params(b, axes.params if axis == "params" else axes.seed)


def undo_data(b: Called, data: Sequence[DataChange]) -> list[Remedy]:
    """Restore the tables, then do again what was done with them; nothing where a file or another place differs."""
    if not data or any(change.table is None or not change.steps for change in data):
        return []
    restores = [
        remedy(
            "lin", "restore", change.name, "--version", str(change.table.version), does="the old rows, as a new version"
        )
        for change in data
        if change.table is not None and not change.undone
    ]
    if b.experiment:
        return [*restores, remedy("lin", "run", b.experiment, does="the fits again, on the old rows")]
    return [*restores, remedy("lin", "rerun", b.reference, "--with-current-data", does=f"{b.label} on the old rows")]


def undo_environment(b: Called, changes: Sequence[Change]) -> list[Remedy]:
    """Run the second one with the old versions of the packages that are likely to matter, if these are few."""
    likely = [change for change in changes if change.likely]
    if not likely or len(likely) > FEW or any(c.only or c.old == c.new or c.name in _INTERPRETER for c in likely):
        return []
    words = [word for change in likely for word in ("--with", f"{change.name}=={change.old}")]
    return [remedy("lin", "rerun", b.reference, *words, does=f"{b.label} with the old {_plural('package', likely)}")]


_INTERPRETER = frozenset({"python", "implementation", "abi", "system", "machine", "openblas", "openmp", "mkl"})


def undo_params(b: Called, changes: Sequence[Change]) -> list[Remedy]:
    """Run the second one with the old values, where each of them can be given."""
    if not changes or not b.takes_params or not all(map(_can_be_given, changes)):
        return []
    words = [word for change in changes for word in ("-P", f"{change.name}={_as_typed(change.old)}")]
    return [remedy("lin", "rerun", b.reference, *words, does=f"{b.label} with the old {_plural('value', changes)}")]


def _can_be_given(change: Change) -> bool:
    """Whether the old value comes back whole from a command line."""
    from lin.runs.estimators import parse_param

    if change.only == "b" or change.name in _NO_PARAMS:
        return False
    try:
        name, values = parse_param(f"{change.name}={_as_typed(change.old)}")
    except UsageError:
        return False
    return (name, encode(values)) == (change.name, encode([change.old]))


def _as_typed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else show_param(value)


def undo_host(b: Called, changes: Sequence[Change]) -> list[Remedy]:
    """Run the experiment again with the old variables and threads; the CPU cannot be undone."""
    variables: dict[str, str] = {}
    for change in changes:
        library = change.name.removeprefix("threads of ")
        if library != change.name and str(change.old).isdecimal():
            variables[THREAD_VARIABLES.get(library, "OMP_NUM_THREADS")] = str(change.old)
        elif change.name in VARIABLES and isinstance(change.old, str):
            variables[change.name] = change.old
    if not variables or not b.experiment:
        return []
    words = [f"{name}={shlex.quote(value)}" for name, value in sorted(variables.items())]
    return [
        Remedy(command=" ".join([*words, shlex.join(["lin", "run", b.experiment])]), does="the fits again, with these")
    ]


def undo_source(a: Called, axes: Axes) -> list[Remedy]:
    """Check the files out as they were, where git knows the first side whole."""
    source = axes.source
    if source is None or source.commit is None or any(file.kind == "unknown" for file in source.files):
        return []
    files = [file.old or file.path for file in source.files if file.kind != "added"]
    if not files:
        return []
    return [
        remedy("git", "checkout", source.commit[:12], "--", *files, does="these files as they were"),
        remedy("lin", "rerun", a.reference, does=f"{a.label} again, as recorded"),
    ]


def remedy(*words: str, does: str) -> Remedy:
    """A command of these words, quoted as a shell wants them."""
    return Remedy(command=shlex.join(words), does=does)


def _plural(noun: str, things: Sequence[object]) -> str:
    return noun if len(things) == 1 else f"{noun}s"
