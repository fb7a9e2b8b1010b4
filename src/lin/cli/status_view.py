"""How `lin status` shows what it found: what needs attention first, then tables, models in a stage, and runs."""

from datetime import datetime
from typing import TYPE_CHECKING

from lin.cli.printing import count, line, table
from lin.ids import short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from lin.lineage.status import DataStatus, Decision, ModelStatus, Status, TableStatus


def view_status(found: "Status") -> "Iterator[RenderableType]":
    """What needs attention, then tables, models in a stage, and runs."""
    yield line("needs attention" if found.attention else "nothing needs attention", "bold")
    yield from (_item(text, "red") for text in found.attention)
    yield ""
    yield from _tables(found)
    yield ""
    yield from _models(found)
    yield from _runs(found)
    for title, forced in (("forced within a day", True), ("refused within a day", False)):
        told = [each for each in found.decisions if each.forced is forced]
        yield from ("", line(title, "bold")) if told else ()
        yield from (_item(_tell_decision(each)) for each in told)


def _item(text: str, style: str = "") -> "RenderableType":
    """A text that may take several lines, set off from the margin."""
    from rich.padding import Padding

    return Padding(line(text, style), (0, 0, 0, 2))


def _tables(found: "Status") -> "Iterator[RenderableType]":
    if not found.tables:
        yield line("no tables yet: lin add NAME FILE.csv --key COLUMN")
        return
    rows = [(each.name, each.version, _minute(each.time), each.user, _tell_move(each)) for each in found.tables]
    yield table(("table", "head", "written (UTC)", "by", "how"), rows, right=("head",))


def _tell_move(head: "TableStatus") -> str:
    """What made the newest version."""
    if head.problem:
        return "cannot be read"
    how = head.operation or ""
    if head.model:
        how = f"written by {head.model}"
    elif head.restored is not None:
        how = f"restored to version {head.restored}"
    return ", ".join(filter(None, (how, head.run and f"run {short(head.run)}")))


def _models(found: "Status") -> "Iterator[RenderableType]":
    if found.models:
        columns = ("model", "stage", "since", "by", "re-run", "data", "also")
        yield table(columns, [_model(each) for each in found.models])
    else:
        yield line("no model version is in a stage: lin promote NAME@VERSION STAGE")
    if found.unstaged:
        yield line(f"in no stage: {', '.join(found.unstaged)}", "dim")


def _model(model: "ModelStatus") -> tuple[object, ...]:
    proof = model.proof.verdict if model.proof else "never"
    data = "; ".join(map(_tell_data, model.data)) or "no table"
    also = ", ".join(_remarks(model))
    return model.reference, model.stage, f"{model.since:%Y-%m-%d}", model.by, proof, data, also


def _tell_data(data: "DataStatus") -> str:
    """Whether the newest version is what the model was trained on."""
    name = f"{data.table}@{data.read}"
    if data.head is None or data.changed is None:
        return f"{name}: cannot be read"
    if data.head == data.read:
        return name
    return f"{name}, {'changed by' if data.changed else 'same as'} @{data.head}"


def _remarks(model: "ModelStatus") -> "Iterator[str]":
    if model.problem:
        yield "damaged"
    if model.forced:
        yield "forced"
    if model.feedback:
        roles = dict.fromkeys(each.role or "columns" for each in model.feedback if each.role != "not used")
        yield from (f"feedback in {role}s" if role == "feature" else f"feedback in {role}" for role in roles)
    if model.feedback_unknown:
        yield "feedback not known"
    if not model.golden:
        yield "no golden rows"
    if model.unsafe:
        yield "unsafe: a pickle"


def _runs(found: "Status") -> "Iterator[RenderableType]":
    if found.running:
        yield ""
        rows = [(short(each.id), each.name, _minute(each.started), each.actor, each.host) for each in found.running]
        yield table(("running", "", "since (UTC)", "by", "on"), rows)
    if found.failures:
        yield ""
        failed = [(short(each.id), each.name, _minute(each.started), each.actor, each.error) for each in found.failures]
        yield table(("failed", "", "started (UTC)", "by", "why"), failed)
    more = found.failed - len(found.failures)
    told = [f"{count(more, 'more run')} failed within a day"] if more else []
    told += [f"{count(found.abandoned, 'run')} abandoned: lin runs --where \"status = 'abandoned'\""] * bool(
        found.abandoned
    )
    yield from (line(text, "dim") for text in told)


def _tell_decision(each: "Decision") -> str:
    why = f": {each.why}" if each.why else ""
    return f"{each.action}, by {each.actor}, {_minute(each.time)} UTC{why}"


def _minute(time: datetime | None) -> str:
    """To the minute: on a narrow terminal there is better use for the room."""
    return f"{time:%Y-%m-%d %H:%M}" if time else ""
