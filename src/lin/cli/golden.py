"""How `lin verify boston@1` tells what a model version says of its golden rows today."""

from typing import TYPE_CHECKING

from lin.cli.printing import count, line, show, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.proof.verdict.golden import GoldenCheck, PackageChange
    from lin.runs.golden import GoldenDiff

MOST_PACKAGES = 20
"""So many packages are listed of those that are not likely to matter; `--json` has all."""


def view_golden(check: "GoldenCheck") -> "list[RenderableType]":
    """The answer first, then how far it moved, then what is not as it was."""
    parts: list[RenderableType] = [line(_answer(check), "bold green" if check.same else "bold red")]
    if check.why:
        parts.append(check.why)
    if check.golden and not check.golden.same:
        parts += _view_moved(check.golden)
    if not check.same and check.answer != "the model changed":
        parts.append(f"the model file is the registered one: sha256 {check.sha256[:12]}")
    parts += _view_around(check)
    return parts if check.same else [*parts, f"with its own libraries: lin rerun {check.model}"]


def _answer(check: "GoldenCheck") -> str:
    rows = count(check.rows, "golden row")
    found = check.golden
    match check.answer:
        case "same":
            return f"same: {check.model} predicts its {rows} as it did, bit for bit"
        case "within tolerance":
            return f"within tolerance: {check.model} predicts its {rows} as it did, within {check.tolerance}"
        case "cannot be scored here":
            return f"cannot be scored here: {check.model} does not work with these libraries"
        case "the model changed":
            return f"the model changed: the file of {check.model} in the store is not the registered one"
        case answer:
            changed = found.changed if found else 0
            return f"{answer}: {check.model} predicts {changed} of its {rows} otherwise"


def _view_moved(found: "GoldenDiff") -> "list[RenderableType]":
    told = []
    if found.largest is not None:
        of = " of a probability" if found.labels else ""
        told.append(f"largest difference{of}: {show(found.largest)}")
    if found.mean is not None:
        told.append(f"mean {found.mean:+.3g}")
    if found.tolerance is not None:
        told.append(f"{count(found.beyond, 'row')} beyond the tolerance")
    if found.flips:
        told.append(f"another label for {count(found.flips, 'row')}")
    names = list(found.examples[0].key) if found.examples else []
    rows = [(*each.key.values(), _exact(each.first), _exact(each.second), each.gap) for each in found.examples]
    last = "probability by" if found.labels else "difference"
    return [", ".join(told), "", table((*names, "then", "now", last), rows, right=(last,)), ""]


def _view_around(check: "GoldenCheck") -> "list[RenderableType]":
    likely = [each for each in check.packages if each.likely]
    others = [each for each in check.packages if not each.likely]
    shown = [*likely, *others[:MOST_PACKAGES]]
    parts: list[RenderableType] = []
    if shown:
        parts.append(table(("package", "then", "now"), [_row(each) for each in shown]))
    if len(others) > MOST_PACKAGES:
        parts.append(f"and {count(len(others) - MOST_PACKAGES, 'more package')}")
    return [*parts, *check.machine]


def _row(change: "PackageChange") -> tuple[object, ...]:
    return line(change.name, "bold" if change.likely else ""), change.then or "-", change.now or "-"


def _exact(value: object) -> str:
    return repr(float(value)) if isinstance(value, float) else "-" if value is None else str(value)
