"""kill -9 at every system call by which a command changes the project: is all that was acknowledged there, and whole?

    python bench/kills.py [--all | --most K] [--by strace,failpoints,signals] [COMMAND...]

Each command runs in a fork of a process that has imported everything, on a copy of one project, first undisturbed, to
see which calls it makes there (`strace -y`), then once for each of them (or K, spread evenly), killed as it makes it.
Then: every file of the store is there as it was, but those that the command takes away; each of models, tables, runs,
files and settings is as before or as after the whole command, and as after it if that had told its result;
`lin fsck --read-data` finds nothing; the same command again does what is left; `lin gc` takes what the kill left.

By failpoints the calls are those of `lin.store.failpoints`, writes torn too, and no strace is needed. By signals a
process of its own gets SIGTERM, SIGINT or SIGHUP K times, at random moments.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kill_cases import CASES, build, copy, make_key, name_runs, prepare
from kill_checks import Known, check, learn
from kill_fork import Zygote, plan_points, run_killed, trace_points

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
WAYS = ("strace", "failpoints", "signals")


def main() -> int:
    options = parse()
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
    total, faults, began = 0, 0, time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="kills-", dir=os.environ.get("BENCH_DIR")) as temporary:
        place = Path(temporary).resolve()
        os.environ |= {"HOME": str(place), "XDG_CACHE_HOME": str(place)}
        make_key(place)
        template, zygote = build(place / "boston"), Zygote()
        CASES["undo"] = replace(CASES["undo"], words=name_runs(CASES["undo"].words, template))
        for name in options.commands or CASES:
            for by in options.by.split(","):
                tried, points, wrong = kill_command(zygote, name, template, place, by, options.most)
                print(f"{name}: killed at {tried} of {points} points by {by}: {len(wrong)} faults", flush=True)
                for text, number in Counter(wrong).items():
                    print(f"! {text}" + (f" ({number} times)" if number > 1 else ""), flush=True)
                total, faults = total + tried, faults + len(wrong)
        zygote.close()
    print(f"{total} kills in {time.perf_counter() - began:.0f} s: {faults} faults")
    return 1 if faults else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("commands", nargs="*", default=[], metavar="COMMAND", help=", ".join(CASES))
    parser.add_argument("--by", default="strace", help=f"some of {','.join(WAYS)} (default: strace)")
    parser.add_argument("--most", type=int, default=12, help="points of each command (default: 12)")
    parser.add_argument("--all", action="store_const", const=sys.maxsize, dest="most", help="every point")
    options = parser.parse_args()
    if unknown := {*options.by.split(",")} - {*WAYS} or {*options.commands} - {*CASES}:
        parser.error(f"there is no {', '.join(unknown)}")
    return options


def kill_command(
    zygote: Zygote, name: str, template: Path, place: Path, by: str, most: int
) -> tuple[int, int, list[str]]:
    """Kill one command at its points; returns at how many of how many, and what was wrong."""
    prepared = prepare(name, template, place / "prepared")
    known = learn(CASES[name], copy(prepared, place / "known"))
    folder = copy(prepared, place / "counted")
    log = place / "log" if by == "strace" else None
    began = time.monotonic()
    if by == "signals":
        code, errors = send(folder, known, None)[0], ""
    else:
        code, said = run_killed(zygote, folder, known.case, log=log)
        errors = (said / "err").read_text()
    if code != known.usual:
        return 0, 0, [f"{name}: exit code {code}: {errors}"]
    if by == "signals":
        wrong = [*signal_often(name, known, prepared, place, most, time.monotonic() - began)]
        tried = points = [""] * most
    else:
        points = trace_points(log, folder) if log else plan_points(json.loads((said / "seen").read_text()))
        tried = spread(points, most)
        wrong = [text for at in tried for text in kill_at(zygote, name, known, prepared, place, by, at)]
    for used in ("prepared", "known", "counted"):
        shutil.rmtree(place / used)
    return len(tried), len(points), wrong


def spread(points: list[str], most: int) -> list[str]:
    """`most` of them, evenly."""
    return points if len(points) <= most else [points[len(points) * n // most] for n in range(most)]


def kill_at(zygote: Zygote, name: str, known: Known, prepared: Path, place: Path, by: str, at: str) -> Iterator[str]:
    folder = copy(prepared, place / "killed")
    code, said = run_killed(zygote, folder, known.case, **{"inject" if by == "strace" else "plan": at})
    errors = (said / "err").read_text()
    found = [*check(folder, known, (said / "out").read_text(), code), *([errors] if "Traceback" in errors else [])]
    yield from (f"{name} at {at} ({code}): {what}" for what in found)
    shutil.rmtree(place / "killed")


def signal_often(name: str, known: Known, prepared: Path, place: Path, times: int, seconds: float) -> Iterator[str]:
    """Signals at random moments of the time that the command takes. Python answers for itself before lin has begun."""
    chance = random.Random(7)
    for n in range(times):
        folder = copy(prepared, place / "killed")
        sent = SIGNALS[n % len(SIGNALS)]
        code, out, errors = send(folder, known, (sent, chance.uniform(0, seconds)))
        is_python_s = "Traceback" in errors and (known.case.is_python or "/lin/cli/main.py" not in errors)
        found = (
            [] if is_python_s or (code in {known.usual, -sent, 128 + sent} and "Traceback" not in errors) else [errors]
        )
        found += check(folder, known, out, code)
        yield from (f"{name} at {sent.name} ({code}): {what}" for what in found)
        shutil.rmtree(place / "killed")


def send(folder: Path, known: Known, signal_after: tuple[int, float] | None) -> tuple[int, str, str]:
    """Run the command in a process of its own; returns its exit code and what it said."""
    case = known.case
    words = [sys.executable, *(["-c"] if case.is_python else ["-m", "lin"]), *case.words]
    pipe = subprocess.PIPE
    environment = {**os.environ, "LIN_ACTOR": case.actor}
    child = subprocess.Popen(words, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)
    if signal_after is not None:
        number, seconds = signal_after
        time.sleep(seconds)
        child.send_signal(number)
    out, errors = child.communicate()
    return child.returncode, out, errors


if __name__ == "__main__":
    sys.exit(main())
