"""Recorded runs that stand between two others: each axis that differs is as in the one or as in the other.

A grid leaves such runs behind: the parameters of A on the data of B. They say what one axis did, and nothing has to be
run for it.
"""

from collections.abc import Collection, Iterable

import msgspec

from lin.numbers import Real
from lin.project import Project
from lin.records import Kind, TableRef, encode
from lin.runs.query import RunInfo, search_runs
from lin.runs.where import Field, In

_KINDS: frozenset[Kind] = frozenset({"train", "command", "cell"})

MOST = 4
"""So many of them are told."""


class Between(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded run that is as `a`, but on the axes of `taken`, on which it is as `b`."""

    run: str
    name: str
    taken: list[str]
    metrics: dict[str, Real]


def find_between(project: Project, a: RunInfo, b: RunInfo, axes: Collection[str]) -> list[Between]:
    """The runs of both sweeps that are between two runs which differ on `axes`; those that took fewest axes first.

    A run is as another on an axis only if all that was recorded of it there is the same; the same place is told once,
    by its newest run.
    """
    sweeps = {run.sweep for run in (a, b) if run.sweep is not None}
    if len(axes) < 2 or not sweeps:  # noqa: PLR2004  with one axis there is no between
        return []
    found: dict[tuple[str, ...], Between] = {}
    for run in _search(project, sweeps):
        taken = _place(run, a, b, axes)
        if taken is not None and run.status == "finished" and 0 < len(taken) < len(axes):
            found.setdefault(tuple(taken), Between(run=run.id, name=run.name, taken=taken, metrics=run.metrics))
    return sorted(found.values(), key=lambda each: len(each.taken))[:MOST]


def _search(project: Project, sweeps: Iterable[str]) -> list[RunInfo]:
    return search_runs(project.store, In(Field("attributes", "sweep"), tuple(sorted(sweeps))), kinds=_KINDS).runs


def _place(run: RunInfo, a: RunInfo, b: RunInfo, axes: Collection[str]) -> list[str] | None:
    """The axes on which `run` is as `b` and not as `a`; None where it is as neither on some axis."""
    told, first, second = (_record(each) for each in (run, a, b))
    taken: list[str] = []
    for group in _GROUPS:
        if told[group] == first[group]:
            continue
        if told[group] != second[group]:
            return None
        taken += [axis for axis in group if axis in axes]
    return taken


_GROUPS = (("data",), ("source",), ("environment", "host"), ("params",), ("seed",))
"""Axes that a record tells apart; an environment is one blob with what the host adds to it."""


def _record(run: RunInfo) -> dict[tuple[str, ...], object]:
    """What a run recorded on each group of axes."""
    fit = run.fit
    seed = fit.seed if fit else None
    asked = msgspec.structs.replace(fit, seed=0) if fit else (run.command, sorted(run.params.items()))
    return {
        ("data",): sorted(encode(_content(each)) for each in run.inputs),
        ("source",): run.source and run.source.tree,
        ("environment", "host"): (run.environment, run.host.cpu),
        ("params",): encode(asked),
        ("seed",): seed,
    }


def _content(thing: object) -> object:
    """What makes an input the same: a restored table has other numbers and the same pin."""
    return [thing.table, thing.pin, thing.order] if isinstance(thing, TableRef) else thing
