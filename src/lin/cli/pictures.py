"""What `lin plot` draws: a table, runs as points, or metrics as curves. Which one is told by its argument and options.

Options that do not belong to what is drawn are refused, never passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lin.cli.options import choose_version
from lin.cli.printing import count, note, size
from lin.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.lineage.references import TableAt
    from lin.project import Project
    from lin.runs.look import Drawn
    from lin.runs.query import RunInfo
    from lin.runs.run_plots import DrawnRuns

RUNS = "runs"
"""`lin plot runs` means the runs themselves; a table of that name is `table:runs`."""

MOST_RUNS = 20_000
"""So many runs are drawn at once, the newest."""


@dataclass(frozen=True)
class TableOptions:
    """What is said of a table's picture."""

    target: str | None
    columns: Sequence[str]
    sample: int | None
    as_of: str | None


@dataclass(frozen=True)
class RunOptions:
    """What is said of a picture of runs: fields by name."""

    x: str | None
    y: Sequence[str]
    color: str | None
    where: str | None


def draw(
    project: "Project", references: Sequence[str], of_table: TableOptions, of_runs: RunOptions, output: Path | None
) -> "Drawn | DrawnRuns":
    """Draw what the references mean. Raises `UsageError` for options of another picture."""
    from lin.lineage.references import TableAt, find_run_behind, resolve

    if list(references) == [RUNS]:
        _refuse_other(project, of_runs)
        _refuse(of_table, "a table")
        return _draw_found(project, of_runs, output)
    targets = [resolve(project, reference) for reference in references]
    tables = [target for target in targets if isinstance(target, TableAt)]
    if tables and len(targets) == 1:
        _refuse(of_runs, "runs")
        return _draw_table(tables[0], of_table, output)
    if tables:
        raise UsageError("one table is drawn at a time, and not with runs", hint="lin plot TABLE, or lin plot RUN…")
    _refuse(of_table, "a table")
    if of_runs.where is not None:
        raise UsageError("--where chooses among all runs, and these are named already", hint="lin plot runs --where …")
    return _draw_runs(project, [find_run_behind(project, reference) for reference in references], of_runs, output)


def _draw_table(target: "TableAt", options: TableOptions, output: Path | None) -> "Drawn":
    from lin.runs.look import draw_version

    version = choose_version(target.table, target.version, options.as_of)
    return draw_version(
        target.table, version, output=output, target=options.target, columns=options.columns, sample=options.sample
    )


def _draw_found(project: "Project", options: RunOptions, output: Path | None) -> "DrawnRuns":
    from lin.runs.query import list_runs

    found = list_runs(project.store, where=options.where, limit=MOST_RUNS + 1)
    for problem in found.damaged:
        note(f"warning: {problem}")
    if len(found.runs) > MOST_RUNS:
        note(f"these are the newest {MOST_RUNS} of more runs: --where chooses")
    return _draw_runs(project, found.runs[:MOST_RUNS], options, output)


def _draw_runs(project: "Project", runs: "Sequence[RunInfo]", options: RunOptions, output: Path | None) -> "DrawnRuns":
    from lin.runs.run_plots import draw_curves, draw_scatter
    from lin.runs.where import parse_field

    x, ys = options.x and parse_field(options.x), [parse_field(name) for name in options.y]
    color = parse_field(options.color) if options.color else None
    if x:
        if len(ys) != 1:
            raise UsageError("--x takes one --y", hint="--y metrics.rmse")
        return draw_scatter(runs, x, ys[0], color, output=output)
    if color:
        raise UsageError("--color colours points, and without --x there are lines", hint="--x params.alpha")
    for field, name in zip(ys, options.y, strict=True):
        if field.kind != "metrics":
            raise UsageError(f"'{name}' is no metric: it has no curve over steps", hint=f"--x FIELD --y {name}")
    return draw_curves(project.store, runs, [field.key for field in ys], output=output)


def _refuse(options: TableOptions | RunOptions, what: str) -> None:
    """Refuse options that belong to another picture."""
    given = [f"--{name.replace('_', '-')}" for name, value in vars(options).items() if value not in (None, [])]
    if given:
        other = "runs" if what == "a table" else "a table"
        verb = "belong" if len(given) > 1 else "belongs"
        raise UsageError(f"{' and '.join(given)} {verb} to the picture of {what}, and this is one of {other}")


def _refuse_other(project: "Project", options: RunOptions) -> None:
    """Refuse the bare word where it may mean a table."""
    if RUNS in project.config.tables and not any(vars(options).values()):
        raise UsageError(f"'{RUNS}' is a table too", hint=f"table:{RUNS}, or say what of the runs: --x FIELD --y FIELD")


def view(drawn: "Drawn | DrawnRuns") -> "list[RenderableType]":
    """The picture in a line, and what there is to know of it."""
    from lin.runs.run_plots import DrawnRuns

    if isinstance(drawn, DrawnRuns):
        return [f"{drawn.path}: {size(drawn.bytes)}, {', '.join(drawn.fields)}, {drawn.notes[0]}", *drawn.notes[1:]]
    return _view_table(drawn)


def _view_table(drawn: "Drawn") -> "list[RenderableType]":
    profile = drawn.profile
    of = count(profile.rows, "row") if profile.sampled == profile.rows else f"{profile.sampled} of {profile.rows} rows"
    strongest = [each for each in profile.associations if each.value is not None][:3]
    parts: list[RenderableType] = [f"{drawn.path}: {size(drawn.bytes)}, {profile.table}@{profile.version}, {of}"]
    if profile.target:
        told = [f"{each.column} {each.value:.3f} ({each.measure})" for each in strongest]
        parts.append(f"strongest with {profile.target.column}: {', '.join(told) or 'none is defined'}")
    return parts
