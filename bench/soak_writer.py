"""A writer of `soak.py`: does what people and programs do to a project, again and again, until it is told to stop.

    python bench/soak_writer.py NAME SEED ACKS STOP     # in the folder of the project

What was acknowledged goes to the file ACKS, outside the store, only after the call has returned, and is on disk then.
What takes something away is announced there before it is begun: who is killed in between leaves either.
"""

import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lin
from lin.data.tables import open_table
from lin.errors import ConflictError, LinError
from lin.lineage.delete import delete_runs, undelete_runs
from lin.models.changes import promote, register_model
from lin.models.fill import fill_table
from lin.models.talk import comment, set_alias, set_tag
from lin.project import open_project
from lin.runs.fit import MODEL
from lin.runs.restore import restore_table

if TYPE_CHECKING:
    from collections.abc import Callable

SHARED = "shared"
MOST_FILES = 30
"""A table that everybody appends to is written anew when it has more."""
COMMON = ["one text", "another text", "a third one"]
"""What many runs keep: content that is collected and comes again."""
CLI = [sys.executable, "-m", "lin"]


class FailedError(Exception):
    """A command of `lin` ended otherwise than it should."""


class Writer:
    """One process that writes; `name` is its own among all, killed ones too."""

    def __init__(self, name: str, seed: int, acks: Path) -> None:
        self.name = name
        self.table = f"table_{name.partition('_')[0]}"
        self.chance = random.Random(seed)
        self.project = open_project(Path.cwd())
        self.acks = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.count = 0
        self.runs: list[str] = []
        self.deleted: list[str] = []
        self.models: list[str] = []
        self.actions: dict[Callable[[], None], int] = {
            self.record: 30,
            self.register: 10,
            self.move: 8,
            self.say: 15,
            self.delete: 12,
            self.undelete: 4,
            self.write: 8,
            self.append: 6,
            self.fill: 4,
            self.restore: 3,
            self.run_program: 2,
            self.train: 1,
        }

    def work(self) -> None:
        """Do something."""
        (action,) = self.chance.choices([*self.actions], [*self.actions.values()])
        action()

    def ack(self, what: str, **facts: Any) -> None:
        """Keep what was acknowledged, on disk."""
        line = json.dumps({"what": what, "writer": self.name, **facts}) + "\n"
        os.write(self.acks, line.encode())
        os.fsync(self.acks)

    def token(self) -> str:
        """A text that is said once."""
        self.count += 1
        return f"token-{self.name}-{self.count}-"

    # --- runs

    def record(self) -> None:
        """A run with all that can be logged; of some the model can be registered."""
        token, loss = self.token(), self.chance.random()
        artifacts = {"note.txt": self.chance.choice(COMMON), "own.txt": token}
        if self.chance.random() < 0.5:
            artifacts[MODEL] = f"the model of {token}"
        with lin.start_run(token, params={"alpha": loss}) as run:
            lin.log_params({"count": self.count, "who": self.name})
            for step in range(self.chance.choice([1, 5, 60])):
                lin.log_metric("loss", loss + step, step=step)
            for path, text in artifacts.items():
                lin.log_text(text, path)
            lin.set_tag("token", token)
        params = {"alpha": loss, "count": self.count, "who": self.name}
        self.ack("run", id=run.id, name=token, params=params, metrics={"loss": loss + step}, artifacts=artifacts)
        self.runs.append(run.id)
        if MODEL in artifacts:
            self.models.append(run.id)

    def run_program(self) -> None:
        """A program that logs from outside and inside of Python."""
        token = self.token()
        code = f"import lin; lin.log_metric('m', {self.count}); lin.log_text('one text', 'note.txt'); print('{token}')"
        words = ["run", "--json", "--", sys.executable, "-c", code]
        run = json.loads(self.ask(words))
        self.ack(
            "run",
            id=run["id"],
            name=run["name"],
            params={},
            metrics={"m": self.count},
            artifacts={"note.txt": COMMON[0]},
        )

    def train(self) -> None:
        """The built-in trainer."""
        (run,) = json.loads(self.ask(["run", "fit", "--json"]))
        facts = {name: run[name] for name in ("id", "name", "params", "metrics")}
        self.ack("run", **facts, artifacts={})

    def delete(self) -> None:
        """A run of its own."""
        if not self.runs:
            return
        run = self.runs.pop(self.chance.randrange(len(self.runs)))
        token = self.token()
        self.ack("deleting", id=run)
        if self.chance.random() < 0.2:
            self.ask(["delete", run, "--reason", token])
        else:
            delete_runs(self.project, [run], now=datetime.now(UTC), reason=token)
        self.ack("deleted", id=run, token=token)
        self.deleted.append(run)
        self.models = [model for model in self.models if model != run]

    def undelete(self) -> None:
        """A run that it deleted, unless `lin gc` was there first."""
        if not self.deleted:
            return
        run, token = self.deleted.pop(), self.token()
        self.ack("deleting", id=run)
        try:
            undelete_runs(self.project, [run], now=datetime.now(UTC), reason=token)
        except LinError as error:
            if "taken away by gc" not in error.message:
                raise
            self.ack("gone", id=run)
        else:
            self.ack("back", id=run, token=token)

    # --- models

    def register(self) -> None:
        """A run of its own."""
        if not self.models:
            return
        run, token, name = self.models.pop(), self.token(), self.chance.choice(["red", "blue"])
        self.runs.remove(run)
        if self.chance.random() < 0.2:
            version = json.loads(self.ask(["register", run, name, "--description", token, "--json"]))["version"]
        else:
            version = register_model(self.project, run, name, description=token).version
        self.ack("version", model=name, version=version, run=run, token=token)

    def move(self) -> None:
        """A version to a stage."""
        token, stage = self.token(), self.chance.choice(["staging", "production", "archived"])
        if self.chance.random() < 0.2:
            self.ask(["promote", "boston@1", stage, "--reason", token])
        else:
            promote(self.project, "boston@1", stage, reason=token)
        self.ack("said", token=token)

    def say(self) -> None:
        """Something about a model."""
        token = self.token()
        match self.chance.randrange(4):
            case 0:
                set_alias(self.project, "boston@1", f"a{token}".strip("-"), reason=token)
            case 1:
                set_tag(self.project, "boston@1", "token", token)
            case 2:
                comment(self.project, "boston", token)
            case _:
                self.ask(["comment", "boston@1", token])
        self.ack("said", token=token)

    # --- tables

    def write(self) -> None:
        """Its own table anew: the rows without a value can be filled."""
        token = self.token()
        rows = [self.chance.randrange(1000) for _ in range(20)]
        rm = [5 + row / 1000 for row in rows]
        columns = {
            "ID": list(range(20)),
            "rm": rm,
            "medv": [None if row % 2 else rm[at] for at, row in enumerate(rows)],
        }
        import pyarrow as pa

        arrow = pa.table({"ID": columns["ID"], "rm": columns["rm"], "medv": pa.array(columns["medv"], pa.float64())})
        version = lin.write_table(self.table, arrow, key="ID", reason=token)
        self.ack("rows", table=self.table, version=version, token=token, column="rm", values=rm)
        self.project = open_project(Path.cwd())

    def append(self) -> None:
        """A row to the table of all."""
        token = self.token()
        number = int.from_bytes(os.urandom(6), "big")
        full = open_table(self.project, SHARED).log.snapshot().files[MOST_FILES:]
        try:
            version = lin.write_table(SHARED, {"ID": [number]}, mode="overwrite" if full else "append", reason=token)
        except ConflictError:  # somebody else was first
            return
        self.ack("rows", table=SHARED, version=version, token=token, column="ID", holds=number)

    def fill(self) -> None:
        """Predictions into its own table."""
        if self.table not in self.project.config.tables:
            return
        token = self.token()
        if self.chance.random() < 0.2:
            filled = json.loads(
                self.ask(["predict", "boston@1", "--table", self.table, "--into", "medv", "--reason", token, "--json"])
            )
            version = filled["version"]
        else:
            version = fill_table(
                self.project, "boston@1", open_table(self.project, self.table), "medv", reason=token
            ).version
        if version is not None:
            self.ack("rows", table=self.table, version=version, token=token, column="medv", full=True)

    def restore(self) -> None:
        """Its own table as it was at first."""
        if self.table not in self.project.config.tables:
            return
        token = self.token()
        version = restore_table(self.project, open_table(self.project, self.table), 0, reason=token).version
        if version is not None:
            self.ack("rows", table=self.table, version=version, token=token, column="ID", values=list(range(20)))

    def ask(self, words: list[str]) -> str:
        """A command of `lin`; returns what it printed."""
        done = subprocess.run([*CLI, *words], capture_output=True, text=True, check=False)
        if done.returncode or "Traceback" in done.stderr:
            raise FailedError(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout


def main() -> None:
    name, seed, acks, stop, *steady = sys.argv[1:]
    os.environ["LIN_ACTOR"] = name
    writer = Writer(name, int(seed), Path(acks))
    if steady:  # what it imports later would look like growth
        for action in (writer.record, writer.register, writer.write, writer.append, writer.fill, writer.restore):
            action()
    while not Path(stop).exists():
        writer.work()


if __name__ == "__main__":
    main()
