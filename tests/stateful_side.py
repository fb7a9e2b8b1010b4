"""What `test_stateful` does to a store, and how it looks at one: in its own process, and as a script in ones that fail.

As a script it makes changes in forks, since to import all that is needed takes long. A failpoint kills such a fork in
the midst of its change, or fails it.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from lin.config import TableSetting
from lin.data.read import read_version
from lin.data.tables import open_table
from lin.data.write import create_table, replace_rows
from lin.errors import LinError
from lin.events import Comment
from lin.ids import new_id
from lin.lineage.collect import collect
from lin.lineage.delete import delete_runs, undelete_runs
from lin.lineage.rollback import To, roll_back
from lin.models.changes import promote, register_model
from lin.models.registry import read_registry
from lin.models.talk import approve, comment, describe, drop_alias, grant, set_alias, set_tag
from lin.project import Project, create_project, declare_table, open_project
from lin.records import Environment, Source, SourceTree, encode
from lin.runs.deleted import read_deletions
from lin.runs.host import capture_host, capture_process
from lin.runs.query import list_runs
from lin.runs.record import Capture, Recorder, begin_run
from lin.runs.restore import restore_table
from lin.runs.writes import record_write
from lin.store import failpoints

NAME = "boston"
TABLE = "homes"

Act = tuple[str, dict[str, Any]]


# --- what is done to the store ----------------------------------------------------------------------------------------


def act_on(project: Project, act: Act, now: datetime) -> Any:
    """Do it; returns the id of a run that was made."""
    name, facts = act
    return getattr(Acts(project, now), name)(**facts)


class Acts:
    """Changes of a store, by name."""

    def __init__(self, project: Project, now: datetime) -> None:
        self.project = project
        self.now = now

    def begin(self, facts: Mapping[str, Any]) -> Recorder:
        blobs = self.project.store.blobs
        source = Source(tree=blobs.put(encode(SourceTree(files=[]))))
        made_on = Environment(python="3.11", implementation="c", abi="c", system="L", machine="x", packages=[])
        environment = blobs.put(encode(made_on))
        captured = Capture(source, environment, capture_host(), capture_process())
        return begin_run(self.project, captured, kind="program", name=facts["name"], params={"first": 1})

    def log(self, run: Recorder, facts: Mapping[str, Any]) -> None:
        run.log_params(facts["params"])
        run.log_metrics(facts["metrics"])
        run.set_tags(facts["tags"])
        for path, text in facts["artifacts"].items():
            run.log_artifact(text.encode(), path)

    def record(self, **facts: Any) -> str:
        run = self.begin(facts)
        self.log(run, facts)
        run.seal(facts["status"])
        return run.id

    def register(self, run: str) -> None:
        register_model(self.project, run, NAME)

    def promote(self, version: int, stage: str) -> None:
        promote(self.project, f"{NAME}@{version}", stage)

    def alias(self, version: int | None, alias: str) -> None:
        if version is None:
            drop_alias(self.project, NAME, alias)
        else:
            set_alias(self.project, f"{NAME}@{version}", alias)

    def tag(self, version: int | None, key: str, value: str | None) -> None:
        set_tag(self.project, named(version), key, value)

    def describe(self, version: int | None, text: str | None) -> None:
        describe(self.project, named(version), text)

    def comment(self, version: int | None, text: str) -> None:
        comment(self.project, named(version), text)

    def comment_elsewhere(self, text: str) -> None:
        """As another machine would, whose clock is wrong."""
        said = Comment(model=NAME, text=text)
        self.project.store.events.append(lambda _: said, actor="eve", op_id=new_id(), now=self.now)

    def approve(self, version: int, withdraw: bool) -> None:
        approve(self.project, f"{NAME}@{version}", withdraw=withdraw)

    def grant(self, who: str, role: Any) -> None:
        grant(self.project, NAME, who, role)

    def roll_back(self, version: int, stage: str) -> None:
        roll_back(self.project, NAME, To(version, stage))

    def delete(self, run: str) -> None:
        delete_runs(self.project, [run], now=self.now)

    def undelete(self, run: str) -> None:
        undelete_runs(self.project, [run], now=self.now)

    def collect(self, days: int | None) -> None:
        collect(self.project, now=self.now, older_than=None if days is None else f"{days}d", take=True)

    def write(self, rows: list[int]) -> str:
        import pyarrow as pa

        table = open_table(self.project, TABLE)
        reader = pa.table({"id": pa.array(rows, pa.int64())}).to_reader()
        commit = partial(replace_rows, table, table.log.snapshot(), reader, now_ms=1)
        made, _ = record_write(self.project, table, commit, kind="import", name="rows", reason="new")
        return made

    def restore(self, version: int) -> str | None:
        return restore_table(self.project, open_table(self.project, TABLE), version).run


def named(version: int | None) -> str:
    return NAME if version is None else f"{NAME}@{version}"


def open_as(root: Path, actor: str) -> Project:
    return acting(open_project(root), actor)


def acting(project: Project, actor: str) -> Project:
    other = dataclasses.replace(project, actor=actor)
    vars(other)["email"] = None  # as if git had been asked
    return other


# --- looking ----------------------------------------------------------------------------------------------------------


def look(project: Project, known: list[list[int]]) -> dict[str, Any]:
    """All that a store tells of itself. Of the table's versions those before the last are looked at by number only."""
    deletions = read_deletions(project.store)
    events = project.store.events.read()
    assert [event.number for event in events] == [*range(1, len(events) + 1)]
    return {
        "runs": look_at_runs(project),
        "deleted": {run: deletion.time for run, deletion in deletions.items()},
        "collected": {run for run, deletion in deletions.items() if deletion.collected},
        "events": len(events),
        "model": look_at_model(project),
        "rows": look_at_rows(project, known),
    }


def look_at_runs(project: Project) -> dict[str, dict[str, Any]]:
    found = list_runs(project.store, kinds=None)
    assert found.damaged == []
    assert [run.id for run in found.runs] == sorted((run.id for run in found.runs), reverse=True)
    return {
        run.id: {
            "kind": run.kind,
            "name": run.name,
            "status": run.status,
            "params": run.params,
            "metrics": {key: float(value) for key, value in run.metrics.items()},
            "tags": run.tags,
            "artifacts": {a.path: project.store.blobs.read(a.sha256).decode() for a in run.artifacts},
        }
        for run in found.runs
    }


def look_at_model(project: Project) -> dict[str, Any]:
    model = read_registry(project.store).get(NAME)
    if model is None:
        return {}
    return {
        "aliases": model.aliases,
        "roles": model.roles,
        "refusals": len(model.refusals),
        "tags": model.tags,
        "description": model.description,
        "comments": [comment.text for comment in model.comments],
        "versions": [
            {
                "run": v.run,
                "stage": v.stage,
                "stages": [move.stage for move in v.history],
                "actor": v.actor,
                "approvals": [approval.actor for approval in v.approvals],
                "tags": v.tags,
                "description": v.description,
                "comments": [comment.text for comment in v.comments],
            }
            for v in model.versions
        ],
    }


def look_at_rows(project: Project, known: list[list[int]]) -> list[list[int]]:
    table = open_table(project, TABLE)
    head = table.log.head()
    return [*known[:head], read_version(table)[1]["id"].to_pylist()]


# --- changes that fail ------------------------------------------------------------------------------------------------


def serve() -> None:
    """Do what each line of stdin asks for, in a fork; answer with how that ended."""
    import deltalake  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 99
            try:
                code = fail(**json.loads(line))
            except BaseException:  # noqa: BLE001  a fork must never go back to the loop
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(code)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


def fail(*, root: str, who: str, now: str, act: Act, plan: str) -> int:
    """Do it as the plan says; returns 0 if it succeeded. A handle that failed sees what a fresh one does."""
    project = open_as(Path(root), who)
    failpoints.os.__init__(plan)  # type: ignore[misc]
    try:
        act_on(project, act, datetime.fromisoformat(now))
    except LinError:
        failpoints.os.__init__("")  # type: ignore[misc]
        assert look(project, []) == look(open_as(Path(root), who), [])
        return 1
    return 0


@cache
def template() -> Path:
    """A project with a table of one version, made once."""
    root = Path(tempfile.mkdtemp(prefix="stateful-")) / "template"
    root.mkdir()
    project, _ = create_project(root, name=NAME)
    import pyarrow as pa

    setting = TableSetting(path=f"data/{TABLE}", key=["id"])
    project = declare_table(project, TABLE, setting)
    table = open_table(project, TABLE)
    reader = pa.table({"id": pa.array([1, 2], pa.int64())}).to_reader()
    commit = partial(create_table, table.root, reader, now_ms=1)
    record_write(project, table, commit, kind="import", name="rows", reason="new")
    return root


class Server:
    """The process that makes changes which fail."""

    def __init__(self) -> None:
        environ = {**os.environ, failpoints.VARIABLE: ""}
        words = [sys.executable, __file__]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)

    def ask(self, **facts: Any) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(facts) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate("")


if __name__ == "__main__":
    serve()
