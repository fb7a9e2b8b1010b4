"""`lin fsck`."""

import random
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from lin.cli.fsck_view import follow, view_fsck, view_repair
from lin.cli.options import Json, StorePath, open_project
from lin.cli.printing import emit
from lin.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from lin.lineage.fsck.findings import Fsck

_PAUSE = 0.3
"""In seconds: for what others are about to write."""


def fsck(
    *,
    read_data: Annotated[
        str, typer.Option("--read-data", metavar="[=SHARE]", help="Hash all content too, or a drawn share, as =5%.")
    ] = "0%",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted --read-data.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Show how the store would be put in order.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --repair: do it.")] = False,
    signers: Annotated[
        Path | None, typer.Option("--signers", metavar="FILE", help="Check signatures: ssh's allowed signers.")
    ] = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Look the whole store over: records, hashes, files, tables.

    Every record is read, and every file that one names is looked for. Nothing is changed. With --repair, what does not
    belong there and blobs that are not what they should be are moved into the store's folder quarantine, and blobs
    whose content lies elsewhere are put back; nothing is deleted. Exit code 1: something is wrong.

    With --signers, or where lineage.toml names them, each signature is checked, and what does not count is a finding.
    """
    from lin.lineage.fsck.check import check_store
    from lin.lineage.fsck.reading import parse_share
    from lin.lineage.fsck.repair import plan_repair, repair_store, tell_repair
    from lin.project import cache_folder, make_notary

    if yes and not repair:
        raise UsageError("--yes does nothing without --repair", hint="lin fsck --repair --yes")
    share = parse_share(read_data)
    if resume and share < 1:
        raise UsageError("--resume goes on with a reading of all content", hint="lin fsck --read-data --resume")
    project = open_project(store)
    cache, security = cache_folder("fsck"), project.config.security
    if signers is not None:
        security = replace(security, signers=str(signers.absolute()))
    notary = make_notary(project.root, security, project.store.info.id, remembers=False)

    def look(*, resume: bool) -> "Fsck":
        with follow(interrupted="lin fsck --read-data --resume" if share >= 1 else "") as report:
            return check_store(
                project,
                share=share,
                chance=random.random,
                pause=partial(time.sleep, _PAUSE),
                now=datetime.now(UTC),
                notary=notary,
                cache=cache,
                resume=resume,
                report=report,
            )

    found = look(resume=resume)
    if not repair:
        emit(found, view_fsck, as_json=as_json)
    else:
        told = tell_repair(plan := plan_repair(found), found)
        if yes:
            folder = repair_store(project, plan, now=datetime.now(UTC))
            found = look(resume=False)
            told = replace(told, done=True, quarantine=folder, left=len(found.findings), found=found)
        emit(told, view_repair, as_json=as_json)
    if not found.whole:
        raise typer.Exit(ExitCode.NO)
