"""What an attribution says in words: the cause in one sentence, and what is to be known beside it. Pure."""

from collections.abc import Sequence

from lin.proof.attribution.answer import Attribution, Cause, Side
from lin.proof.attribution.search import Findings

FEW = 3
AXIS_NAMES = {
    "data": "the data",
    "source": "the source",
    "environment": "the environment",
    "params": "the parameters",
    "seed": "the seed",
    "host": "the host",
}
CAUTION = "Shapley values are a fair allocation between these two, not a law"


def tell_cause(found: Attribution, findings: Findings) -> str:
    """The answer in one sentence."""
    match findings.why:
        case "no effect":
            return _tell_nothing(found)
        case "did not run":
            return f"inconclusive: {_tell_not_run(found)}"
        case "not repeated":
            return f"inconclusive: {_tell_incomplete(found, findings)}"
        case "noise":
            moved = f"{found.on} moves by up to {show(found.noise)}, and between the two by {show(found.effect)}"
            return f"inconclusive: run again unchanged, {moved}"
    before, after = findings.anchors.base, findings.anchors.target
    return f"{found.on} {show(before)} -> {show(after)}: {_tell_causes(found)}"


def tell_notes(found: Attribution, findings: Findings, problems: Sequence[str]) -> list[str]:
    """What is to be known beside the sentence."""
    notes = [_tell_block(block) for block in found.blocks]
    unresolved = [cell for cell in found.cells if cell.value is None]
    if unresolved:
        notes.append(f"{len(unresolved)} of {len(found.cells)} cells could not run, as {unresolved[0].error}")
    if findings.several:
        notes.append("several sets of these would each explain it")
    if found.estimated:
        notes.append("not every set of axes was run: shares are estimated from orders in which the axes change")
    notes += _tell_seeds(found)
    if found.noise:
        notes.append(f"noise: run again unchanged, it moves by up to {show(found.noise)}")
    notes += problems
    if len(found.effects) > 1:
        notes.append(CAUTION)
    return notes


def tell_parts(cause: Cause) -> str:
    """What did it inside an axis, by name: the first few."""
    more = f" and {len(cause.parts) - FEW} more" if len(cause.parts) > FEW else ""
    return ", ".join(cause.parts[:FEW]) + more


def show(number: float | None) -> str:
    """A number with six digits."""
    return "nothing" if number is None else f"{number:.6g}"


def percent(share: float | None) -> str:
    """A share of the effect, in percent."""
    return "" if share is None else f"{round(100 * share)} %"


def _tell_nothing(found: Attribution) -> str:
    values = {value for side in (found.a, found.b) for value in (side.recorded, *side.replayed)}
    if len(values) == 1:
        return f"{found.on} is {show(values.pop())} in both: nothing to explain"
    return f"{found.on} does not differ by more than the noise, {show(found.noise)}: nothing to explain"


def _tell_not_run(found: Attribution) -> str:
    broken = next((cell for cell in found.cells if cell.value is None), None)
    which = {"A": found.a.label, "B": found.b.label}.get(broken.what if broken else "", "one of the two")
    return f"{which}, run again, gives no {found.on}: {broken.error if broken else 'it did not run'}"


def _tell_incomplete(found: Attribution, findings: Findings) -> str:
    anchors = findings.anchors
    sides: list[tuple[Side, float]] = [(found.a, anchors.base), (found.b, anchors.target)]
    off = [(side, now) for side, now in sides if side.recorded is not None and abs(side.recorded - now) > found.noise]
    if not off:
        return "the record of one of the two is incomplete: run again, it has other metrics"
    side, now = max(off, key=lambda each: abs((each[0].recorded or 0.0) - each[1]))
    return (
        f"the record of {side.label} is incomplete: {found.on} was {show(side.recorded)}, "
        f"and is {show(now)} when it is run again"
    )


def _tell_causes(found: Attribution) -> str:
    if len(found.causes) == 1:
        return _tell_one(found, found.causes[0])
    told = [_tell_among(cause, share=found.relation == "sum") for cause in found.causes]
    match found.relation:
        case "sum":
            how = "causes that add up" if found.verdict == "cause" else "joint causes that add up"
            return f"{len(told)} {how}: {_join(told)}"
        case "only together":
            return f"a joint cause, only together: {_join(told)}"
        case "either":
            return f"a joint cause, each alone would do: {_join(told)}"
    return f"a joint cause: {_join(told)}"


def _tell_one(found: Attribution, cause: Cause) -> str:
    parts = f": {tell_parts(cause)}" if cause.parts else ""
    if cause.axis == "seed":
        return f"chance{parts or ': the seed'}"
    joint = (
        "a joint cause"
        if found.verdict == "joint cause"
        else "the causes are"
        if len(cause.parts) > 1
        else "the cause is"
    )
    return f"{joint} in {AXIS_NAMES[cause.axis]}{parts}"


def _tell_among(cause: Cause, *, share: bool) -> str:
    """One of several causes: `the data 60 % (housing@1: WRITE by ann, updated medv (173 cells))`."""
    part = f" {percent(cause.share)}" if share else ""
    return AXIS_NAMES[cause.axis] + part + (f" ({tell_parts(cause)})" if cause.parts else "")


def _tell_block(block: Sequence[str]) -> str:
    return f"{_join(block)} only run together, so they are not told apart"


def _tell_seeds(found: Attribution) -> list[str]:
    seeds = found.seeds
    if seeds is None:
        return []
    told = [f"with {len(seeds.seeds)} other seeds on both sides, {found.on} spreads by {show(seeds.spread)}"]
    if seeds.others is not None and abs(seeds.others) <= seeds.spread and len(found.axes) > 1:
        told.append(f"all but the seed moves it by {show(seeds.others)}, within what seeds do by chance")
    return told


def _join(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
