"""An attribution on a terminal: the sentence first, then what each axis does, how the parts were found, what to do."""

from typing import TYPE_CHECKING

from lin.cli.printing import count, line, show, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType
    from rich.text import Text

    from lin.cli.printing import Grid
    from lin.proof.attribution.answer import Attribution, AxisEffect, Check, Side, Step

_BAR = 20
"""As long is the bar of the whole effect."""

_STYLES = {"cause": "bold green", "joint cause": "bold yellow", "inconclusive": "bold red"}
_FEW = 3


def view(found: "Attribution") -> "Iterator[RenderableType]":
    """The page."""
    yield line(found.sentence, _STYLES.get(found.verdict, "bold"))
    yield ""
    yield table(("", "", "recorded", "run again"), [_side("A", found.a), _side("B", found.b)])
    if found.effects:
        yield ""
        yield _effects(found)
    yield from _part("together", list(_interactions(found)))
    yield from _part("narrowed", [_step(step) for step in found.steps])
    yield from _part("confirmed", [_check(check) for check in found.checks])
    yield from _part("note", [line(text, "dim") for text in found.notes])
    yield from _part("cells", [line(_cells(found), "dim")] if found.cells else [])
    if found.undo:
        yield ""
        commands = [(line(each.command, "bold cyan"), line(each.does, "dim")) for each in found.undo]
        yield table(("", "", ""), [(line("" if at else "do next", "bold"), *row) for at, row in enumerate(commands)])


def _part(name: str, told: "Sequence[Text]") -> "Iterator[RenderableType]":
    """An empty line, the name, and what there is to tell beside it; nothing where there is nothing."""
    if told:
        names = [line(name, "bold"), *(line("") for _ in told[1:])]
        yield ""
        yield table(("", ""), list(zip(names, told, strict=True)))


def _side(letter: str, side: "Side") -> tuple[object, ...]:
    again = [show(value) for value in dict.fromkeys(side.replayed)]
    times = f", {len(side.replayed)} times" if len(again) == 1 < len(side.replayed) else ""
    return line(letter, "bold"), line(side.label, "bold"), _value(side.recorded, "not known"), ", ".join(again) + times


def _effects(found: "Attribution") -> "Grid":
    causes = {cause.axis for cause in found.causes}
    rows = [
        (
            line(" + ".join(effect.axes), "bold" if causes & set(effect.axes) else ""),
            _percent(effect.share),
            line(_bar(effect), "red" if (effect.share or 0) < 0 else "cyan"),
            _estimate(effect),
            _signed(effect.alone),
            _signed(effect.taken_out),
        )
        for effect in found.effects
    ]
    numbers = ("Shapley value", "alone on A", "taken out of B")
    return table(("axis", "share", "", *numbers), rows, right=("share", *numbers))


def _bar(effect: "AxisEffect") -> str:
    """The share as a bar, at most as long as that of the whole, and a trace of one if it is small."""
    share = min(abs(effect.share or 0.0), 1.0)
    return "█" * round(_BAR * share) or ("▏" if share else "")


def _estimate(effect: "AxisEffect") -> str:
    if effect.low is None or effect.high is None:
        return _signed(effect.shapley)
    return f"{_signed(effect.shapley)} ({_signed(effect.low)} to {_signed(effect.high)})"


def _interactions(found: "Attribution") -> "Iterator[Text]":
    """What pairs do together beyond what they do apart, where that is more than a trace."""
    for pair in found.interactions:
        if abs(pair.effect) > max(found.noise, abs(found.effect or 0.0) / 100):
            names = " and ".join([" + ".join(pair.first), " + ".join(pair.second)])
            yield line(f"{names}: {_signed(pair.effect)} beyond what they do apart")


def _step(step: "Step") -> "Text":
    noun = "commit" if step.ordered and step.axis == "data" else "part"
    more = f" and {len(step.found) - _FEW} more" if len(step.found) > _FEW else ""
    if step.ordered:
        seen = f"{_value(step.rest)} before, {_value(step.alone)} after"
    else:
        seen = f"{_value(step.alone)} with only this, {_value(step.rest)} with all but this"
    told = f"{step.axis}, of {count(len(step.among), noun)}: {', '.join(step.found[:_FEW])}{more}"
    return line(told).append_text(line(f"  {seen}", "dim" if step.confirmed else "yellow"))


def _check(check: "Check") -> "Text":
    moved = "could not run" if check.moved is None else f"{_percent(check.moved)} of the effect"
    return line(f"{check.what}: ").append_text(line(moved, "green" if check.holds else "yellow"))


def _cells(found: "Attribution") -> str:
    failed = sum(cell.value is None for cell in found.cells)
    return f"{len(found.cells)} run" + (f", of which {failed} gave no {found.on}" if failed else "")


def _value(value: float | None, missing: str = "could not run") -> str:
    return missing if value is None else show(value)


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.6g}" if value else "0"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{round(100 * share)} %"
