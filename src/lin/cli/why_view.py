"""`lin why` on a terminal: one page, read from the top: what came out otherwise, what differs, why, and what to do.

Each part is a name and lines beside it, as wide as the terminal; the changed lines of the source stand below them.
"""

from typing import TYPE_CHECKING

from lin.cli.differences import view_files
from lin.cli.printing import count, line, show, table
from lin.ids import short
from lin.proof.why.undo import tell_change

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType
    from rich.text import Text

    from lin.cli.printing import Grid
    from lin.proof.why.axes import SourceGap
    from lin.proof.why.data_axis import DataChange, Step
    from lin.proof.why.effects import Effects, PredictionEffect
    from lin.proof.why.environment_axis import Change
    from lin.proof.why.explain import Fed, Side, Why
    from lin.proof.why.recorded import Between
    from lin.runs.golden import Moved

MOST = 6
"""As many changes of an axis are shown, and commits of a table."""

MOST_LINES = 12
"""As many lines of hunks are shown."""

_COMMIT = 12

_NO_CAUSE = frozenset({"nothing to explain", "nothing to compare"})


def view(why: "Why", *, full: bool = False) -> "Iterator[RenderableType]":
    """The page; `full` with every change and every line of the source. First is what was trained on predictions."""
    most = None if full else MOST
    fed = [told for fed in why.feedback for told in _feedback(fed, why)]
    if fed:
        yield from list(_part("feedback", fed, style="bold yellow"))[1:]
        yield ""
    yield line(why.headline, "bold")
    yield ""
    yield table(("", "", "", "", "", ""), [_side("A", why.a), _side("B", why.b)])
    yield from _part("data", [told for change in why.data for told in _data(change, why, most)])
    source = why.axes.source
    if source is not None:
        yield from _part("source", _source(source, most))
        yield from view_files(source.files, None if full else MOST_LINES)
    for axis in ("environment", "params", "seed", "host", "logged", "machine"):
        yield from _part(axis, _changes(getattr(why.axes, axis), most))
    yield from _part("not known", [line(f"{axis}: {reason}") for axis, reason in why.axes.unknown.items()])
    yield from _part("not known", [line(problem) for problem in why.problems])
    yield from _part("the same", [line(", ".join(why.same), "dim")] if why.same else [])
    yield from _effects(why, most)
    yield from _part("so" if why.cause.kind in _NO_CAUSE else "likely cause", [line(why.cause.sentence, "bold")])
    if why.cause.remedies:
        yield ""
        commands = [(line(each.command, "bold cyan"), line(each.does, "dim")) for each in why.cause.remedies]
        yield table(("", "", ""), [(line("" if at else "do next", "bold"), *row) for at, row in enumerate(commands)])


def _part(name: str, told: "Sequence[Text]", *, style: str = "bold") -> "Iterator[RenderableType]":
    """An empty line, the name, and what there is to tell beside it; nothing where there is nothing."""
    if told:
        names = [line(name, style), *(line("") for _ in told[1:])]
        yield ""
        yield table(("", ""), list(zip(names, told, strict=True)))


def _side(letter: str, side: "Side") -> tuple[object, ...]:
    run = "" if side.label == short(side.run) else f"run {short(side.run)}"
    held = ", ".join(word for word in (side.stage, side.status) if word not in {None, "none", "finished"})
    who = f"{show(side.started)} by {side.actor}"
    return line(letter, "bold"), line(side.label, "bold"), run, side.name, who, held


# --- the axes ---------------------------------------------------------------------------------------------------------


def _feedback(fed: "Fed", why: "Why") -> "Iterator[Text]":
    written = fed.written
    itself = ("B" if fed.side == "a" else "A") + " itself" if fed.of_other else None
    older = None if itself else _older(fed, why)
    known = ", ".join(word for word in (itself, older, fed.stage) if word not in {None, "none"})
    whose = {"a": why.a.label, "b": why.b.label, "both": "both of them"}[fed.side]
    of = f"{written.cells:,} of {written.rows:,} rows of {written.table}.{written.column}"
    descends = "descend" if fed.side == "both" else "descends"
    model = f"{written.model} ({known})" if known else written.model
    filled = "written by a run that used" if written.by_run else "filled with predictions of"
    yield line(f"{of} were {filled} {model}, from which {whose} {descends}")
    if written.role == "not used":
        yield line(f"{whose} used {written.column} neither as its target nor as a feature", "dim")
    if written.kept is None:
        yield line("how many of them were still there then is not known", "dim")
    elif written.kept != written.cells:
        yield line(f"{written.kept:,} of these cells were still there in {written.table}@{written.read}")
    yield line(f"{written.table}@{written.written}{_who(written.user, written.time, written.run)}", "dim")


def _older(fed: "Fed", why: "Why") -> str | None:
    """That the model which predicted is the one that was trained on it, in an older version."""
    sides = {"a": [why.a], "b": [why.b], "both": [why.a, why.b]}[fed.side]
    name = fed.written.model.partition("@")[0]
    return "the same model" if any(side.model and side.model.partition("@")[0] == name for side in sides) else None


def _who(user: str | None, time: object, run: str | None) -> str:
    told = [f"by {user}" if user else "", f"{show(time)} UTC" if time else "", f"run {short(run)}" if run else ""]
    return "".join(f", {word}" for word in told if word)


def _data(change: "DataChange", why: "Why", most: int | None) -> "Iterator[Text]":
    from lin.runs.wording import show_thing, tell_table

    if change.change is None:
        old, new = (", ".join(map(show_thing, things)) or "not read" for things in (change.old, change.new))
        yield line(f"{change.kind} {change.name}: {old} -> {new}")
        return
    yield line(tell_table(change.change))
    if change.change.diff is not None:
        changed = change.change.diff.columns.items()
        filled = {name: detail.filled for name, detail in change.change.diff.details.items()}
        cells = [f"{name}: {count(found, 'cell')}{_tell_filled(filled[name], found)}" for name, found in changed]
        yield from _some([line(told) for told in cells], most)
    yield from _some([_step(step, change, why) for step in change.steps], most)
    if change.undone:
        yield line(f"by now {change.name} is again what {why.a.label} read", "dim")


def _tell_filled(filled: int, found: int) -> str:
    return f", {'all' if filled == found else f'{filled:,}'} of them null before" if filled else ""


def _step(step: "Step", change: "DataChange", why: "Why") -> "Text":
    told = f"{change.name}@{step.version} {step.operation or 'written'}"
    told += f" of version {step.restored}" if step.restored is not None else ""
    told += _who(step.user, step.time, step.run)
    told += f", predictions of {step.model}" if step.model else ""
    return line(told if step.side == "b" else f"not in {why.b.label}: {told}", "dim")


def _source(source: "SourceGap", most: int | None) -> "list[Text]":
    files = [
        f"{file.kind} {file.path}" + (f" (+{file.plus} -{file.minus})" if file.plus is not None else "")
        for file in source.files
    ]
    idle = [line("in nothing that the trainer uses: it does not count", "dim")] if source.idle else []
    git = [line(f"git {told}", "dim") for told in _git(source)]
    note = [line(source.note)] if source.note else []
    return [*_some([line(told) for told in files], most), *note, *idle, *git]


def _git(source: "SourceGap") -> "Iterator[str]":
    for change in source.git:
        shown = (("-" if value is None else str(value)[:_COMMIT]) for value in (change.old, change.new))
        yield f"{change.name} {' -> '.join(shown)}" if change.name == "commit" else tell_change(change)


def _changes(changes: "Sequence[Change]", most: int | None) -> "list[Text]":
    return _some([line(tell_change(each), "" if each.likely else "dim") for each in changes], most)


def _some(told: "list[Text]", most: int | None) -> "list[Text]":
    if most is None or len(told) <= most:
        return told
    return [*told[:most], line(f"… and {len(told) - most} more (--full)", "dim")]


# --- what came out otherwise ------------------------------------------------------------------------------------------


def _effects(why: "Why", most: int | None) -> "Iterator[RenderableType]":
    effects = why.effects
    if effects.metrics:
        yield ""
        yield _metrics(effects, why)
    yield from _part("predictions", [told for each in effects.predictions for told in _predictions(each)])
    yield from _part("status", _changes(effects.status, most))
    yield from _part("features", [line(told) for told in _features(effects)])
    names = [f"{each.name}{f' only in {each.only.upper()}' if each.only else ''}" for each in effects.artifacts]
    yield from _part(
        "files",
        [line(", ".join([*names[:most], *(["…"] if len(names) > (most or len(names)) else [])]))] if names else [],
    )
    yield from _part("written", _changes(effects.outputs, most))
    yield from _part("in between", [_between(each, why) for each in why.between])


def _between(each: "Between", why: "Why") -> "Text":
    """A recorded run that is A but for some axes."""
    metrics = [metric.name for metric in why.effects.metrics if metric.name in each.metrics]
    told = ", ".join(f"{name} {show(each.metrics[name])}" for name in metrics[:3])
    return line(f"A with the {' and '.join(each.taken)} of B: {told} (run {short(each.run)}, {each.name})")


def _metrics(effects: "Effects", why: "Why") -> "Grid":
    judged = {None: line(""), True: line("better", "green"), False: line("worse", "red")}
    rows = [
        (each.name, show(each.old), show(each.new), _signed(each.delta), judged[each.better])
        for each in effects.metrics
    ]
    return table(("metric", why.a.label, why.b.label, "", " "), rows, right=(why.a.label, why.b.label, ""))


def _signed(number: float | None) -> str:
    return "" if number is None else f"{'+' * (number > 0)}{show(number)}"


def _predictions(effect: "PredictionEffect") -> "Iterator[Text]":
    what = "golden" if effect.kind == "golden" else "test rows"
    diff = effect.diff
    if diff is None:
        yield line(f"{what}: not compared: {effect.note}", "dim")
        return
    told = [f"{what}: {diff.changed:,} of {count(diff.rows, 'row')} changed"]
    told += [f"by {_signed(diff.mean)} on average"] if diff.mean else []
    told += [f"{diff.flips:,} with another label"] if diff.flips else []
    alone = [f"{n:,} only in {side}" for n, side in ((diff.only_first, "A"), (diff.only_second, "B")) if n]
    yield line(", ".join([*told, *alone]))
    if diff.other_input:
        yield line(f"{diff.other_input:,} of these rows did not have the same values in both", "dim")
    yield from (
        line(f"most: {_moved(moved)}" if at == 0 else f"then: {_moved(moved)}", "dim")
        for at, moved in enumerate(diff.examples)
    )


def _moved(moved: "Moved") -> str:
    key = ", ".join(f"{name} {show(value)}" for name, value in moved.key.items())
    return f"{key}: {show(moved.first)} -> {show(moved.second)}"


def _features(effects: "Effects") -> "Iterator[str]":
    for change in effects.features:
        if change.reordered:
            yield "the same, in another order"
        yield from (
            f"{sign} {', '.join(names)}" for sign, names in (("+", change.added), ("-", change.removed)) if names
        )
