"""Soak: writers of which one is killed every two seconds, with `lin fsck`, `lin gc` and readers beside them.

    python bench/soak.py [--minutes 30] [--seed N] [--keep]

Nothing that was acknowledged may be lost or altered, no look may find anything, no process may fail, temporary files,
memory, open files and the size of the store must stay in their bounds. Prints figures with their limits; exit code 1
where one is missed, or where anything went wrong, which is printed when it happens.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lin.data.read import read_version
from lin.data.tables import open_table
from lin.errors import LinError
from lin.lineage.collect import collect
from lin.models.registry import read_registry
from lin.project import Project, open_project
from lin.records import encode
from lin.runs.deleted import read_deletions
from lin.runs.query import read_run

WRITERS, STEADY = 8, 2
KILL_EVERY = 2.0
SAMPLE_EVERY = 2.0
CLI = [sys.executable, "-m", "lin"]
TOML = """
[experiments.fit]
table = "housing"
target = "medv"
rows = "medv is not null"
features = ["rm"]
models = [{ estimator = "sklearn.linear_model.Ridge" }]
"""
READS = [
    ["runs", "--limit", "5"],
    ["runs", "--where", "metrics.loss < 0.5", "--sort", "metrics.loss", "--json"],
    ["status"],
    ["models"],
    ["show", "boston@1"],
    ["trace", "boston@1"],
    ["impact", "housing@0"],
    ["history", "shared"],
    ["show", "RUN"],
    ["trace", "RUN"],
]
"""What is asked in turn; RUN is one that was acknowledged."""
TOKEN = re.compile(r"token-\w+-\d+-")


@dataclass
class Soak:
    """All that goes on, and what went wrong."""

    place: Path
    seed: int
    seconds: float
    troubles: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    samples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.place / "boston"

    @property
    def stop(self) -> Path:
        return self.place / "stop"

    def trouble(self, what: str) -> None:
        print(f"! {what}", flush=True)
        self.troubles.append(what)

    def ask(self, *words: str, allowed: tuple[int, ...] = (0,)) -> str:
        """A command of `lin`; what it says is trouble unless it ends as it may."""
        ended = subprocess.run([*CLI, *words], cwd=self.root, capture_output=True, text=True, check=False)
        self.done[words[0]] += 1
        if ended.returncode not in allowed or "Traceback" in ended.stderr or "bug in lin" in ended.stderr:
            self.trouble(
                f"lin {' '.join(words)}: exit {ended.returncode}\n{ended.stdout[-3000:]}{ended.stderr[-3000:]}"
            )
        return ended.stdout


# --- who takes part ---------------------------------------------------------------------------------------------------


@dataclass
class Player:
    """A process that is started again when it was killed."""

    soak: Soak
    slot: str
    words: list[str]
    turn: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return f"{self.slot}_{self.turn}"

    @property
    def stderr(self) -> Path:
        return self.soak.place / f"err-{self.name}"

    def start(self) -> None:
        self.turn += 1
        words = [word.format(name=self.name, seed=self.soak.seed * 1000 + self.turn) for word in self.words]
        with self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                words, cwd=self.soak.root, stdout=stderr, stderr=stderr, start_new_session=True
            )

    def kill(self) -> None:
        """Kill it with all that it started."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.look(killed=True)

    def look(self, *, killed: bool = False) -> None:
        """Wait for its end, and say what was wrong with that."""
        assert self.process is not None
        try:
            code = self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.soak.trouble(f"{self.name} does not end")
            os.killpg(self.process.pid, signal.SIGKILL)
            code = self.process.wait()
        said = self.stderr.read_text(errors="replace")
        if (code and not killed) or "Traceback" in said or "bug in lin" in said:
            self.soak.trouble(f"{self.name}: exit {code}\n{said[-4000:]}")


def writer(soak: Soak, number: int) -> Player:
    script = str(Path(__file__).with_name("soak_writer.py"))
    acks, slot = soak.place / f"acks-{number}", f"w{number}"
    steady = ["steady"] if number < STEADY else []
    return Player(soak, slot, [sys.executable, script, "{name}", "{seed}", str(acks), str(soak.stop), *steady])


def ended_by_itself(player: Player) -> bool:
    return player.process is not None and player.process.poll() is not None


def look_over(soak: Soak) -> None:
    """`lin fsck` in a loop."""
    chance = random.Random(soak.seed)
    while not soak.stop.exists():
        soak.ask("fsck", "--json", *(["--read-data"] if chance.random() < 0.3 else []))


def take_away(soak: Soak) -> None:
    """`lin gc` in a loop. What it was to take may be brought back meanwhile."""
    while not soak.stop.exists():
        soak.ask("gc", "--yes", "--json", allowed=(0, 11))
        time.sleep(0.5)


def read(soak: Soak) -> None:
    """Questions in a loop."""
    turn = 0
    while not soak.stop.exists():
        words = READS[turn % len(READS)]
        turn += 1
        if "RUN" in words:
            run = living_run(soak)
            if run is None:
                continue
            soak.ask(words[0], run, allowed=(0, 10))
        else:
            soak.ask(*words)


def living_run(soak: Soak) -> str | None:
    """A run that was acknowledged; it may be taken away meanwhile."""
    acks = [ack for ack in read_acks(soak) if ack["what"] == "run"]
    return acks[-1 - len(acks) // 10]["id"] if acks else None


def kill(soak: Soak, players: list[Player]) -> None:
    """Kill one of them every two seconds, and start it again; look whether others ended by themselves."""
    chance = random.Random(soak.seed)
    until = time.monotonic() + soak.seconds
    while time.monotonic() < until:
        time.sleep(min(KILL_EVERY, max(0.0, until - time.monotonic())))
        for player in players:
            if ended_by_itself(player):
                player.look()
                player.start()
        victim = chance.choice(players[STEADY:])
        victim.kill()
        soak.done["kill"] += 1
        victim.start()


def sample(soak: Soak, steady: list[Player]) -> None:
    """What the steady writers hold and what the store weighs, every so often."""
    began = time.monotonic()
    while not soak.stop.exists():
        pids = [player.process.pid for player in steady if player.process]
        with contextlib.suppress(OSError):
            soak.samples.append(
                {
                    "time": time.monotonic() - began,
                    "memory": [resident(pid) for pid in pids],
                    "files": [len([*Path(f"/proc/{pid}/fd").iterdir()]) for pid in pids],
                    "temporary": len(temporary(soak.root)),
                    "bytes": weigh(soak.root / ".lin"),
                    "acks": len(read_acks(soak)),
                }
            )
        time.sleep(SAMPLE_EVERY)


def resident(pid: int) -> int:
    """In bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def weigh(folder: Path) -> int:
    """The bytes of all files in it."""
    return sum(
        os.lstat(Path(inside, name)).st_size
        for inside, _, names in os.walk(folder)
        for name in names
        if exists(inside, name)
    )


def exists(inside: str, name: str) -> bool:
    return os.path.lexists(f"{inside}/{name}")


def temporary(root: Path) -> list[Path]:
    """Files and folders in the store that are no part of it."""
    return [
        Path(inside, name)
        for inside, folders, names in os.walk(root / ".lin")
        for name in (*folders, *names)
        if name.startswith((".tmp-", "_commit_", ".."))
    ]


# --- what was acknowledged --------------------------------------------------------------------------------------------


def read_acks(soak: Soak) -> list[dict[str, Any]]:
    """Every whole line of every writer."""
    lines = [line for path in sorted(soak.place.glob("acks-*")) for line in path.read_bytes().split(b"\n")[:-1]]
    return [json.loads(line) for line in lines]


def check(soak: Soak) -> None:
    """Hold what is there against what was acknowledged."""
    project = open_project(soak.root)
    acks = read_acks(soak)
    said = Counter(token for event in project.store.events.read() for token in TOKEN.findall(encode(event).decode()))
    fates: dict[str, str] = {}
    for ack in acks:
        if ack["what"] in {"deleting", "deleted", "back", "gone"}:
            fates[ack["id"]] = ack["what"]
    for ack in acks:
        try:
            wrong = check_ack(project, ack, said, fates)
        except LinError as error:
            wrong = error.message
        if wrong:
            soak.trouble(f"acknowledged and not there: {wrong}: {ack}")


def check_ack(project: Project, ack: dict[str, Any], said: Counter[str], fates: dict[str, str]) -> str | None:
    match ack["what"]:
        case "run":
            return check_run(project, ack, fates.get(ack["id"], "back"))
        case "rows":
            return check_rows(project, ack)
        case "version":
            found = read_registry(project.store)[ack["model"]].versions[ack["version"] - 1]
            return None if (found.run, found.description) == (ack["run"], ack["token"]) else f"it is {found}"
        case "said" | "deleted" | "back":
            return None if said[ack["token"]] == 1 else f"said {said[ack['token']]} times"
    return None


def check_run(project: Project, ack: dict[str, Any], fate: str) -> str | None:
    deletion = read_deletions(project.store).get(ack["id"])
    if fate == "gone" or (deletion and deletion.collected):
        return None if deletion and deletion.collected and fate != "back" else "taken though it was not deleted"
    if fate != "deleting" and (deletion is not None) != (fate == "deleted"):
        return f"{fate}, but {deletion}"
    run = read_run(project.store, ack["id"])
    kept = {a.path: project.store.blobs.read(a.sha256).decode("utf-8", "replace") for a in run.artifacts}
    same = (
        run.status == "finished"
        and run.name == ack["name"]
        and run.params.items() >= ack["params"].items()
        and {key: float(value) for key, value in run.metrics.items()}.items() >= ack["metrics"].items()
        and kept.items() >= ack["artifacts"].items()
    )
    return None if same else f"it is {run}"


def check_rows(project: Project, ack: dict[str, Any]) -> str | None:
    table = open_table(project, ack["table"])
    _, rows = read_version(table, ack["version"])
    values = rows[ack["column"]].to_pylist()
    if ack["token"] not in json.dumps(table.log.commit(ack["version"]).info):
        return "somebody else's version"
    if "holds" in ack:
        return None if ack["holds"] in values else "the row is not there"
    if "full" in ack:
        return "a cell is empty" if None in values else None
    return None if values == ack["values"] else f"it has {values}"


# --- the whole --------------------------------------------------------------------------------------------------------


def make_project(soak: Soak) -> None:
    """A table, a model in version 1, and a table for all."""
    soak.root.mkdir()
    draw = random.Random(7)
    rows = [(number, 4 + 4 * draw.random()) for number in range(100)]
    lines = [f"{number},{rm!r},{5 * rm + draw.gauss(0, 1)!r}" for number, rm in rows]
    (soak.root / "housing.csv").write_text("\n".join(["ID,rm,medv", *lines]) + "\n")
    (soak.root / "all.csv").write_text("ID\n1\n")
    soak.ask("init", "--name", "boston")
    soak.ask("add", "housing", "housing.csv", "--key", "ID")
    soak.ask("add", "shared", "all.csv", "--key", "ID")
    with (soak.root / "lineage.toml").open("a") as file:
        file.write(TOML)
    soak.ask("run", "fit")
    soak.ask("register", "last", "boston")


@contextlib.contextmanager
def beside(*works: Any) -> Iterator[None]:
    """Threads that end with the soak."""
    threads = [threading.Thread(target=work, args=rest) for work, *rest in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()


def run(soak: Soak) -> None:
    make_project(soak)
    players = [writer(soak, number) for number in range(WRITERS)]
    gc = Player(soak, "gc", ["sh", "-c", f"while true; do {' '.join(CLI)} gc --yes; done"])
    for player in [*players, gc]:
        player.start()
    works = [(look_over, soak), (take_away, soak), (read, soak), (sample, soak, players[:STEADY])]
    try:
        with beside(*works):
            try:
                kill(soak, [*players, gc])
            finally:
                soak.stop.touch()
    finally:
        gc.kill()
        for player in players:
            player.look()


def finish(soak: Soak) -> None:
    """Look at all of it when nobody writes any more."""
    soak.ask("fsck", "--read-data")
    check(soak)
    soak.ask("gc", "--yes")
    collect(open_project(soak.root), now=datetime.now(UTC) + timedelta(days=3), take=True)
    soak.ask("fsck", "--read-data")
    soak.ask("index", "--rebuild")
    check(soak)


def report(soak: Soak) -> int:
    """Print the figures; returns the exit code."""
    quarter = max(1, len(soak.samples) // 4)
    warm, late = soak.samples[quarter : 2 * quarter], soak.samples[-quarter:]
    acks = Counter(ack["what"] for ack in read_acks(soak))
    print(f"acknowledged: {dict(acks)}; commands: {dict(soak.done)}")
    for s in soak.samples[:: max(1, len(soak.samples) // 10)]:
        print(
            f"  {s['time']:6.0f} s  {s['acks']:6} acks  memory {[m >> 20 for m in s['memory']]} MiB  "
            f"open files {s['files']}  temporary {s['temporary']}  store {s['bytes'] >> 10} KiB"
        )
    left = temporary(soak.root)
    figures = [
        ("troubles", len(soak.troubles), 0),
        ("temporary files at most, by kill", max(s["temporary"] for s in soak.samples) / max(1, soak.done["kill"]), 2),
        ("temporary files after the last gc", len(left), 0),
        ("growth of memory, MiB", growth(warm, late, "memory") / 2**20, 40),
        ("growth of open files", growth(warm, late, "files"), 4),
        ("bytes a write, late beside early", bytes_each(late) / bytes_each(warm), 1.5),
    ]
    missed = 0
    for name, seen, limit in figures:
        missed += seen > limit
        print(f"{name:40} {seen:10.2f}   limit {limit}{'   MISSED' if seen > limit else ''}")
    return 1 if missed else 0


def growth(warm: list[dict[str, Any]], late: list[dict[str, Any]], what: str) -> float:
    """By how much the one that grew most has more late than when it was warm: medians, for both come and go."""
    return max(
        statistics.median(s[what][n] for s in late) - statistics.median(s[what][n] for s in warm) for n in range(STEADY)
    )


def bytes_each(samples: list[dict[str, Any]]) -> float:
    """How many bytes the store grew by for each acknowledged thing."""
    first, last = samples[0], samples[-1]
    return max(1.0, (last["bytes"] - first["bytes"]) / max(1, last["acks"] - first["acks"]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 20))
    parser.add_argument("--keep", action="store_true", help="leave the project where it is")
    asked = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix=".soak-", dir=os.environ.get("BENCH_DIR")))
    os.environ["LIN_CACHE"] = str(place / "cache")
    print(f"seed {asked.seed}, {asked.minutes} minutes, in {place}", flush=True)
    soak = Soak(place, asked.seed, asked.minutes * 60)
    try:
        run(soak)
        finish(soak)
        return report(soak)
    finally:
        if not asked.keep and not soak.troubles:
            shutil.rmtree(place)


if __name__ == "__main__":
    sys.exit(main())
