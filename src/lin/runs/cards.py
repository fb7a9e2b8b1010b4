"""Runs, and what differs between them, as HTML for a notebook: fragments that need nothing else.

No script, no network, no colour of a page that is not theirs, and nothing foreign unescaped. They are for looking:
long lists and values are cut, and say so.
"""

from collections.abc import Iterable, Sequence

from lin.data.changes import TableDiff
from lin.data.page import escape_text, render_body
from lin.ids import short
from lin.records import FileRef, Input, ModelRef, Output, TableRef
from lin.runs.differences import RunComparison
from lin.runs.hunks import FileChange
from lin.runs.query import RunInfo
from lin.runs.wording import Line, comparison_lines, show_number, show_param, show_size, tell_source, tell_table

MOST_LINES = 40
"""As many lines of a table are shown, and files of a source."""

MOST_DIFFERENCES = 200
"""As many lines of a comparison are shown."""

LONGEST = 120
"""A value is cut to so many characters; its tip has more."""

MOST_HUNK_LINES = 400
"""As many lines of a file's hunks are shown."""

_LONGEST_TIP = 2_000
_GOOD, _BAD, _WAITING = "#1f8a55", "#c0492f", "#b7791f"
_COLOURS = {"finished": _GOOD, "failed": _BAD, "interrupted": _BAD, "abandoned": _BAD, "running": _WAITING}
_STYLE = f"""<style>
.lin-card {{ font-size: 13px; line-height: 1.45; }}
.lin-card .lin-title {{ font-size: 15px; font-weight: 600; overflow-wrap: anywhere; }}
.lin-card .lin-grey {{ opacity: .65; font-weight: 400; }}
.lin-card .lin-good {{ color: {_GOOD}; }} .lin-card .lin-bad {{ color: {_BAD}; overflow-wrap: anywhere; }}
.lin-card .lin-parts {{ display: flex; flex-wrap: wrap; gap: 10px 32px; align-items: flex-start; margin-top: 8px; }}
.lin-card .lin-parts > div {{ max-width: 100%; overflow-x: auto; }}
.lin-card table {{ border-collapse: collapse; margin: 0; font-variant-numeric: tabular-nums; }}
.lin-card th, .lin-card td {{ text-align: left; vertical-align: top; padding: 2px 14px 2px 0; background: none;
  border: 0; border-bottom: 1px solid rgba(128, 128, 128, .25); max-width: 36em; overflow-wrap: break-word; }}
.lin-card pre {{ font-size: 12px; line-height: 1.35; margin: 4px 0; overflow-x: auto; white-space: pre; }}
.lin-card th {{ font-weight: 600; }} .lin-card td.lin-number {{ text-align: right; white-space: nowrap; }}
.lin-card .counts {{ display: flex; gap: 24px; }} .lin-card .counts b {{ display: block; font-size: 16px; }}
.lin-card .scroll {{ overflow-x: auto; }} .lin-card .grey {{ opacity: .65; }} .lin-card .number {{ text-align: right; }}
.lin-card h2 {{ font-size: 13px; margin: 8px 0 2px; }} .lin-card p {{ margin: 2px 0; }}
.lin-card del {{ color: {_BAD}; text-decoration: none; }} .lin-card ins {{ color: {_GOOD}; text-decoration: none; }}
</style>"""


def run_html(info: RunInfo) -> str:
    """The run as a fragment: its status, and tables of params, metrics, tags, inputs, outputs and artifacts."""
    told = f'<span class="lin-grey" title="{escape_text(info.id)}">run {escape_text(short(info.id))}</span>'
    return _card(
        [
            f'<div class="lin-title">{_cut(info.name)} {told}</div>',
            f"<div>{_status(info)}</div>",
            *([f'<div class="lin-bad">{_cut(info.error)}</div>'] if info.error else []),
            '<div class="lin-parts">',
            *_sheet("param", [(key, show_param(value)) for key, value in info.params.items()]),
            *_sheet("metric", [(key, show_number(value)) for key, value in info.metrics.items()], numbers=True),
            *_sheet("tag", [(key, value) for key, value in info.tags.items()]),
            *_sheet("input", [_thing(thing) for thing in info.inputs]),
            *_sheet("output", [_thing(thing) for thing in info.outputs]),
            *_sheet("artifact", [(kept.path, show_size(kept.bytes)) for kept in info.artifacts], numbers=True),
            "</div>",
        ]
    )


def comparison_html(comparison: RunComparison) -> str:
    """What differs between runs as a fragment: a column for each run, then sentences, and hunks that unfold."""
    first, *others = labels = [run.label for run in comparison.runs]
    title = f"{first} → {', '.join(others)}"
    lines = comparison_lines(comparison)
    head = "".join(f"<th>{_cut(label)}</th>" for label in labels)
    return _card(
        [
            f'<div class="lin-title">{_cut(title)}</div>',
            f'<div class="scroll"><table><tr><th></th><th></th>{head}</tr>',
            *(_comparison_line(line) for line in lines[:MOST_DIFFERENCES]),
            f"</table></div>{_rest(len(lines) - MOST_DIFFERENCES, 'difference')}",
            *(f"<div>{_cut(tell_table(change))}</div>" for change in comparison.tables),
            *_environments(comparison),
            *_sources(comparison),
            *([f'<div class="lin-grey">the same: {", ".join(comparison.same)}</div>'] if comparison.same else []),
        ]
    )


def diff_html(diff: TableDiff) -> str:
    """The difference of two versions of a table as a fragment, with the rows that it lists."""
    title = f"{diff.table}@{diff.old} → {diff.table}@{diff.new}"
    return _card([f'<div class="lin-title">{_cut(title)}</div>', render_body(diff, diff.rows)])


def _comparison_line(line: Line) -> str:
    classes = {None: "", True: ' class="lin-good"', False: ' class="lin-bad"'}
    cells = "".join(f"<td{classes[cell.better]}>{_cut(cell.text)}</td>" for cell in line.cells)
    return f'<tr><td class="lin-grey">{line.what}</td><td>{_cut(line.name)}</td>{cells}</tr>'


def _environments(comparison: RunComparison) -> Iterable[str]:
    for change in comparison.environment:
        yield _heading(comparison, "environment", change.runs, change.note or "")
        yield from (f"<div>{_cut(told)}</div>" for told in change.differences[:MOST_LINES])
        yield _rest(len(change.differences) - MOST_LINES, "difference")


def _sources(comparison: RunComparison) -> Iterable[str]:
    for change in comparison.source:
        yield _heading(comparison, "source", change.runs, tell_source(change))
        yield from map(_file, change.files[:MOST_LINES])
        yield _rest(len(change.files) - MOST_LINES, "file")


def _heading(comparison: RunComparison, what: str, runs: Sequence[str], told: str) -> str:
    sides = f"{comparison.runs[0].label} → {comparison.labels(runs)}"
    return f'<div style="margin-top: 8px"><b>{what}</b> {_cut(sides)} <span class="lin-grey">{_cut(told)}</span></div>'


def _file(change: FileChange) -> str:
    if change.hunks is None:
        return f'<div>{change.kind} {_cut(change.path)} <span class="lin-grey">{_cut(change.note or "")}</span></div>'
    counts = f'<span class="lin-good">+{change.plus}</span> <span class="lin-bad">−{change.minus}</span>'
    lines = change.hunks.split("\n")[:-1]
    lines = lines[next((at for at, line in enumerate(lines) if line.startswith("@@")), 0) :]  # the summary is the head
    shown = "\n".join(map(_hunk_line, lines[:MOST_HUNK_LINES]))
    rest = _rest(len(lines) - MOST_HUNK_LINES, "line")
    summary = f"<summary>{change.kind} {_cut(change.path)} {counts}</summary>"
    return f"<details>{summary}<pre>{shown}</pre>{rest}</details>"


def _hunk_line(line: str) -> str:
    colour = {"+": "lin-good", "-": "lin-bad", "@": "lin-grey"}.get(line[:1])
    return f'<span class="{colour}">{_cut(line)}</span>' if colour else _cut(line)


def _card(parts: Iterable[str]) -> str:
    # notebooks would typeset what stands between two dollars
    return "\n".join(['<div class="lin-card tex2jax_ignore mathjax_ignore">', _STYLE, *parts, "</div>\n"])


def _status(info: RunInfo) -> str:
    """The line below the title; the statuses are lin's own words."""
    code = f", exit code {info.exit_code}" if info.exit_code else ""
    seconds = f", {info.seconds:.2f} s" if info.seconds is not None else ""
    memory = f", {show_size(info.peak_memory_bytes)} of memory" if info.peak_memory_bytes is not None else ""
    of = f" of {info.experiment}" if info.experiment else ""
    by = f"{info.kind}{of}, {info.started:%Y-%m-%d %H:%M:%S} UTC by {info.actor}{seconds}{memory}{code}"
    colour = _COLOURS.get(info.status, "inherit")
    return f'<b style="color: {colour}">{_cut(info.status)}</b> <span class="lin-grey">{_cut(by)}</span>'


def _sheet(noun: str, lines: Sequence[tuple[str, str]], *, numbers: bool = False) -> Iterable[str]:
    """A table of names and values, none where there are no lines."""
    if not lines:
        return
    side = ' class="lin-number"' if numbers else ""
    yield f'<div><table><tr><th colspan="2">{noun}s</th></tr>'
    for name, value in lines[:MOST_LINES]:
        yield f"<tr><td>{_cut(name)}</td><td{side}>{_cut(value)}</td></tr>"
    yield f"</table>{_rest(len(lines) - MOST_LINES, noun)}</div>"


def _rest(left: int, noun: str) -> str:
    return f'<div class="lin-grey">… and {left:,} more {noun}{"s" * (left > 1)}</div>' if left > 0 else ""


def _thing(thing: Input | Output) -> tuple[str, str]:
    """What was read or written: its name with the version, and what else is known."""
    match thing:
        case TableRef():
            return f"{thing.table}@{thing.version}", f"{thing.rows:,} rows"
        case ModelRef():
            return f"{thing.model}@{thing.version}", "model"
        case FileRef():
            return thing.path, show_size(thing.bytes)


def _cut(text: str) -> str:
    """Escaped and not too long."""
    if len(text) <= LONGEST:
        return escape_text(text)
    return f'<span title="{escape_text(text[:_LONGEST_TIP])}">{escape_text(text[: LONGEST - 1])}…</span>'
