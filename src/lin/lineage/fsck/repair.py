"""Putting a store in order after a look at it: moves aside, and never deletes.

Strays, and blobs that are not what their name says, go to `quarantine/`, so that the same content can be kept again;
blobs whose content lies elsewhere are put back; the index is made anew. Records of runs and events stay where they are
whatever is wrong with them: without its `run.json` a run would look as if it had never ended. Each step may be the last
before a kill: the next look finds what is left to do. What the system refuses to read stays too: it may be whole.
"""

from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import msgspec

from lin.errors import OutsideError, StoreError, UsageError
from lin.lineage.fsck.findings import Finding, Fsck
from lin.project import Project
from lin.records import Record, encode
from lin.runs.catalog import rebuild_index
from lin.store.fsck import Ill
from lin.store.local import LocalBackend
from lin.store.strays import QUARANTINE, show_name

INDEX = "index"


class Quarantined(Record, frozen=True):
    """A file or folder that was moved aside, by the path that it had in the store, and why."""

    path: str
    ill: Ill
    what: str


class Quarantine(Record, frozen=True, tag_field="format", tag="quarantine/1"):
    """`quarantine/<time>/why.json`: what was about to be moved there. Written before anything is."""

    time: datetime
    actor: str
    files: list[Quarantined]


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or would be where `done` is false, by path in the store; `quarantine` is where the moved lie.

    `found` is what a look found: before, or after it was done. `left` of the findings have to be mended by hand.
    """

    done: bool
    moved: list[str]
    put_back: list[str]
    rebuilt: bool
    quarantine: str | None
    left: int
    found: Fsck


class Plan(NamedTuple):
    """What a repair does about findings, and how many of these it can do nothing about."""

    moves: list[Finding]
    put_back: list[Finding]
    rebuild: bool
    left: int


def plan_repair(found: Fsck) -> Plan:
    """What can be done about what a look found."""
    moves = [finding for finding in found.findings if _is_to_move(finding)]
    put_back = [finding for finding in found.findings if _is_to_put_back(finding)]
    rebuild = any(finding.file == INDEX for finding in found.findings)
    helped = {finding.file for finding in (*moves, *put_back) if finding in put_back or not finding.needed}
    left = [f for f in found.findings if f.file not in helped and f.file != INDEX]
    return Plan(moves, put_back, rebuild, len(left))


def tell_repair(plan: Plan, found: Fsck) -> Repair:
    """What would be done."""
    return Repair(
        done=False,
        moved=[finding.file for finding in plan.moves],
        put_back=[finding.file for finding in plan.put_back],
        rebuilt=plan.rebuild,
        quarantine=None,
        left=plan.left,
        found=found,
    )


def repair_store(project: Project, plan: Plan, *, now: datetime) -> str | None:
    """Do it; returns the folder of the store to which things were moved, None where nothing was.

    Raises:
        UsageError: the store is in no folder. StoreError: `quarantine` is none. OutsideError: the disk refuses.
    """
    backend = project.store.blobs.backend
    if not isinstance(backend, LocalBackend):
        raise UsageError("only a store in a folder can be repaired")
    if any(entry.name == QUARANTINE and entry.kind != "folder" for entry in backend.entries("")):
        raise StoreError("quarantine in the store is no folder", hint="move it out of the store")
    folder = _move_aside(project, backend, plan.moves, now) if plan.moves else None
    for finding in plan.put_back:
        # what lies there was hashed when it was found; if it is another by now it is kept under its own name
        with suppress(OutsideError):
            project.store.blobs.put_file(project.store_root / str(finding.content))
    if plan.rebuild:
        rebuild_index(project.store)
    return folder


def _is_to_move(finding: Finding) -> bool:
    if finding.ill == "stray":
        return True
    is_blob = finding.file.startswith("blobs/") and finding.ill in {"damaged", "altered"}
    return is_blob or (finding.file == INDEX and finding.ill == "damaged")


def _is_to_put_back(finding: Finding) -> bool:
    return finding.content is not None and finding.file.startswith("blobs/") and finding.ill != "unreadable"


def _move_aside(project: Project, backend: LocalBackend, moves: list[Finding], now: datetime) -> str:
    folder = f"{QUARANTINE}/{now:%Y%m%dT%H%M%S.%fZ}"
    why = [Quarantined(path=move.file, ill=move.ill, what=move.what) for move in moves]
    backend.put_if_absent(f"{folder}/why.json", encode(Quarantine(time=now, actor=project.actor, files=why)))
    for move in moves:
        above, _, shown = move.file.rpartition("/")
        name = next((entry.name for entry in backend.entries(above) if show_name(entry.name) == shown), None)
        if name is not None:
            backend.move(above, name, f"{folder}/{above}" if above else f"{folder}/root")
    return folder
