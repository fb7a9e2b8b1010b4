"""How a verdict is told: what was compared, what differs and how far, and what lies around it."""

from typing import TYPE_CHECKING

from lin.cli.printing import count, line, show, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from lin.proof.rerun import Rerun
    from lin.proof.verdict.answer import Compared, Verification


def view(result: "Verification", *, changed: "Sequence[str]" = ()) -> "list[RenderableType]":
    """The verdict first, then what was compared, what differs, how far, and what lies around."""
    style = "bold green" if result.same else "bold red"
    head = f"{result.verdict}: run {result.second[-8:]} against {result.first[-8:]}"
    compared = tell_compared(result.compared)
    parts: list[RenderableType] = [line(head, style)]
    if result.verdict == "inconclusive":
        parts += result.context  # says why
    parts += [f"changed: {', '.join(changed)}"] if changed else []
    parts += [f"compared: {compared}"] if compared else []
    if result.differences:
        rows = [(d.what, d.name, _short(d.first), _short(d.second)) for d in result.differences]
        parts.append(table(("differs", "", result.first[-8:], result.second[-8:]), rows))
    parts += _distances(result)
    if result.verdict == "different":
        parts.append(f"what is recorded of them differs in: {', '.join(result.axes) or 'nothing'}")
    return parts if result.verdict == "inconclusive" else [*parts, *result.context]


def view_rerun(result: "Rerun") -> "list[RenderableType]":
    """In the common case one line, with the proof; else all of it."""
    if result.verdict != "identical" or result.changed:
        return view(result.verification, changed=result.changed)
    times = f"{len(result.reruns)} re-runs" if len(result.reruns) > 1 else f"re-run {result.rerun[-8:]}"
    proof = tell_compared(result.verification.compared)
    head = line(f"identical: {times} of {result.run[-8:]}, byte for byte: {proof}", "bold green")
    return [head, *result.verification.context]


def tell_compared(compared: "Compared") -> str:
    """What both have: `3 metrics, 4 artifacts, 442 golden predictions`."""
    nouns = {
        "params": "param", "metrics": "metric", "artifacts": "artifact", "files": "file", "tables": "table",
        "predictions": "prediction", "golden": "golden prediction",
    }  # fmt: skip
    numbers = ((getattr(compared, name), noun) for name, noun in nouns.items())
    return ", ".join(count(number, noun) for number, noun in numbers if number)


def _distances(result: "Verification") -> "list[RenderableType]":
    """How far numbers are apart, and how many labels are others."""
    told: list[RenderableType] = []
    if result.largest:
        allowed = "" if result.tolerance is None else f", with a tolerance of {show(result.tolerance)}"
        told.append(f"largest difference: {show(result.largest)}{allowed}")
    if result.largest_probability:
        told.append(f"largest difference of a probability: {show(result.largest_probability)}")
    if result.flips:
        told.append(f"labels that are others: {result.flips}")
    return told


def _short(value: object) -> str:
    if isinstance(value, str) and len(value) == 64:  # noqa: PLR2004  a digest
        return value[:12]
    return "-" if value is None else repr(value) if isinstance(value, float) else str(value)
