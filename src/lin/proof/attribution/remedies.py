"""The command that undoes what a controlled re-execution found: as narrow as the parts that did it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from lin.errors import LinError
from lin.ids import short
from lin.project import Project
from lin.proof.attribution.answer import Cause
from lin.proof.why.axes import Axes, compare_axes
from lin.proof.why.data_axis import compare_data
from lin.proof.why.undo import Called, Remedy, remedy, undo_axis
from lin.runs.compare import compare_runs
from lin.runs.query import RunInfo

if TYPE_CHECKING:
    from lin.proof.why.environment_axis import Change


def find_remedies(
    project: Project, a: RunInfo, b: RunInfo, labels: tuple[str, str], causes: Sequence[Cause]
) -> list[Remedy]:
    """What undoes the causes of a difference: of one, the command for just that, else A again as recorded."""
    if not causes:
        return []
    first, second = _call(a, labels[0]), _call(b, labels[1])
    again = remedy("lin", "rerun", first.reference, does=f"{first.label} again, as recorded")
    if len(causes) > 1:
        return [again]
    cause = causes[0]
    try:
        comparison = compare_runs(project, [a, b])
        axes = _narrow(compare_axes(project, a, b, comparison), cause)
        return undo_axis(cause.axis, first, second, compare_data(project, a, b, comparison), axes) or [again]
    except LinError:  # what differs can no longer be read
        return [again]


def _call(run: RunInfo, label: str) -> Called:
    has_params = run.fit is not None or run.experiment is not None
    reference = label if "@" in label else short(run.id)
    return Called(label=label, reference=reference, experiment=run.experiment, takes_params=has_params)


def _narrow(axes: Axes, cause: Cause) -> Axes:
    """The axes, and of that of the cause only the changes that its parts name; all of them where none is named."""
    if cause.axis not in {"environment", "params", "seed", "host"}:
        return axes
    changes: list[Change] = getattr(axes, cause.axis)
    named = [change for change in changes if any(_names(part, change.name) for part in cause.parts)]
    return msgspec.structs.replace(axes, **{cause.axis: named or changes})


def _names(part: str, name: str) -> bool:
    return part.split(" ", maxsplit=1)[0].removeprefix("params.") == name
