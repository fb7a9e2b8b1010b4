"""How a look at a store is shown: while it goes on, and what it found."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from lin.cli.printing import console_for, count, line, note, show, size
from lin.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.lineage.fsck.findings import Finding, Fsck
    from lin.lineage.fsck.reading import Progress
    from lin.lineage.fsck.repair import Repair

_SHOWN = 100
_DRAW_EVERY = 0.1
"""In seconds."""


@contextmanager
def follow(*, interrupted: str) -> "Iterator[Callable[[Progress], None]]":
    """A reporter of progress on stderr, on terminals only; `interrupted` is what to do when it was."""
    try:
        if not sys.stderr.isatty():
            yield lambda _: None
            return
        with console_for(stderr=True).status("") as status:
            drawn = 0.0

            def report(progress: "Progress") -> None:
                nonlocal drawn
                if time.monotonic() - drawn >= _DRAW_EVERY:
                    drawn = time.monotonic()
                    hashed = f", {size(progress.hashed)} hashed" if progress.hashed else ""
                    status.update(f"{progress.what}: {progress.done} of {progress.total}{hashed}")

            yield report
    except KeyboardInterrupt:
        note(f"interrupted{interrupted and f' (hint: {interrupted})'}")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def view_fsck(found: "Fsck") -> "list[RenderableType]":
    """The summary, and each finding with what depends on it and what to do."""
    return [_headline(found), *_counted(found), *_tell_signed(found), *_list(found.findings)]


def view_repair(repair: "Repair") -> "list[RenderableType]":
    """What was done or would be, and how the store is."""
    verbs = ("moved", "put back", "made the index anew") if repair.done else _WOULD
    parts = [
        *([f"{verbs[0]} {count(len(repair.moved), 'file')}{_where(repair)}"] if repair.moved else []),
        *([f"{verbs[1]} {count(len(repair.put_back), 'blob')}"] if repair.put_back else []),
        *([verbs[2]] if repair.rebuilt else []),
    ]
    lists = [f"  {verb} {path}" for verb, paths in _lists(repair, verbs) for path in paths[:_SHOWN]]
    todo = ["do it: lin fsck --repair --yes"] if parts and not repair.done else []
    return ["; ".join(parts) or "there is nothing that lin can repair", *lists, *todo, "", *view_fsck(repair.found)]


_WOULD = ("would move", "would put back", "would make the index anew")


def _where(repair: "Repair") -> str:
    return f" to {repair.quarantine}" if repair.quarantine else " into quarantine"


def _lists(repair: "Repair", verbs: Sequence[str]) -> "list[tuple[str, list[str]]]":
    return [(verbs[0], repair.moved), (verbs[1], repair.put_back)]


def _headline(found: "Fsck") -> "RenderableType":
    wrong = len(found.findings)
    looked = (
        f"{count(found.events, 'event')}, {count(found.runs, 'run')}, {count(found.blobs, 'blob')}, "
        f"{count(found.versions, 'pinned version')} and {count(found.tables, 'table')}"
    )
    result = "whole" if found.whole else f"{count(wrong, 'finding')}"
    return line(f"{result}: looked at {looked}; {_hashed(found)}", "" if found.whole else "bold red")


def _hashed(found: "Fsck") -> str:
    if not found.share:
        return "content was not read (lin fsck --read-data hashes it)"
    share = "all" if found.share >= 1 else f"{found.share:.6%}".rstrip("0%").rstrip(".") + "%"
    resumed = ", after what was hashed before" if found.resumed else ""
    return f"hashed {share} of the content, {size(found.hashed)}{resumed}"


def _counted(found: "Fsck") -> list[str]:
    parts = [
        *([f"{count(found.unneeded, 'blob')} that nothing needs"] if found.unneeded else []),
        *([f"{count(found.unfinished, 'unfinished write')}"] if found.unfinished else []),
    ]
    return [f"no fault: {' and '.join(parts)} (lin gc)"] if parts else []


def _tell_signed(found: "Fsck") -> "Iterator[RenderableType]":
    signed = found.signed
    if signed is None:
        return
    by = ", ".join(f"{name} ({number})" for name, number in signed.signers.items())
    trusted = f"; {signed.trusted} count unsigned" if signed.trusted else ""
    yield f"signed: {signed.events} of {count(found.events, 'event')}{f', by {by}' if by else ''}{trusted}"
    if signed.seal is None:
        yield "sealed: never, by any of the signers (lin seal)"
    else:
        later = f"{count(signed.seal.later_events, 'event')} and {count(signed.seal.later_runs, 'run')} came later"
        yield f"sealed: by event {signed.seal.event}, {signed.seal.signer}, {show(signed.seal.time)} UTC; {later}"


def _list(findings: "Sequence[Finding]") -> "Iterator[RenderableType]":
    for finding in findings[:_SHOWN]:
        yield ""
        yield line(f"{finding.file}: {finding.ill}", "bold")
        yield f"  {finding.what}"
        if finding.needed_by:
            more = finding.needed - len(finding.needed_by)
            yield f"  needed by {', '.join(finding.needed_by)}{f' and {more} more' if more else ''}"
        yield f"  {finding.mend}"
    if len(findings) > _SHOWN:
        yield ""
        yield f"… and {len(findings) - _SHOWN} more findings (--json lists all)"
