"""A run from its start to its seal: what is folded, what is refused, and what other processes may do."""

import json
import math
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lin.errors import ConflictError, UsageError
from lin.numbers import Real
from lin.project import Project
from lin.records import MetricPoint, Sealed, TableRef, digest
from lin.runs.query import read_run
from lin.runs.record import Recorder, attach, fold_log
from lin.store.local import LocalBackend
from lin.store.runs import LOG, encode_line
from lin.store.store import Store

Begin = Callable[..., Recorder]


def folder_of(project: Project, run_id: str) -> Path:
    (folder,) = project.store_root.glob(f"runs/*/{run_id}")
    return folder


def read_sealed(project: Project, run_id: str) -> Sealed:
    sealed = project.store.runs.sealed(run_id)
    assert sealed is not None
    return sealed


def bits(value: float) -> bytes:
    return struct.pack(">d", value)


# --- what is folded ---------------------------------------------------------------------------------------------------


def test_sealing_folds_everything_that_was_logged(project: Project, begin: Begin, tmp_path: Path) -> None:
    pin = project.store.blobs.put(b"a pin")
    housing = TableRef(table="housing", location="../data/housing", version=0, pin=pin, rows=3)
    run = begin(params={"alpha": 1, "kept": "yes"}, tags={"team": "risk"}, inputs=[housing])
    run.log_param("alpha", 0.1)
    run.set_tag("team", "credit")
    run.set_tag("stage", "try")
    run.log_input(housing)  # twice the same is one input
    (tmp_path / "b.txt").write_bytes(b"from a file")
    run.log_artifact(b"old", "plots/a.png")
    run.log_artifact(tmp_path / "b.txt", "b.txt")
    run.log_artifact(b"new", "plots/a.png")
    run.log_output(housing)
    run.seal("failed", exit_code=3, error="boom", features=["rm"], predicted=[], peak_memory_bytes=4096)
    sealed = read_sealed(project, run.id)
    assert (sealed.status, sealed.exit_code, sealed.error) == ("failed", 3, "boom")
    assert sealed.params == {"alpha": 0.1, "kept": "yes"}
    assert sealed.tags == {"team": "credit", "stage": "try"}
    assert (sealed.inputs, sealed.outputs, sealed.features) == ([housing], [housing], ["rm"])
    assert sealed.peak_memory_bytes == 4096
    assert {a.path: project.store.blobs.read(a.sha256) for a in sealed.artifacts} == {
        "b.txt": b"from a file",
        "plots/a.png": b"new",
    }
    assert [a.bytes for a in sealed.artifacts] == [11, 3]


def test_a_metric_is_its_last_step_and_of_that_the_last_point(project: Project, begin: Begin) -> None:
    run = begin()
    for value, step in ((9.0, 2), (8.0, 5), (7.0, 5), (1.0, 0)):
        run.log_metric("loss", value, step=step)
    run.log_metric("late", 1.0, step=-3)
    run.log_metric("late", 2.0, step=-1)
    run.seal("finished")
    assert read_sealed(project, run.id).metrics == {"loss": 7.0, "late": 2.0}


@pytest.mark.parametrize("value", [math.nan, -math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1 + 0.2, np.float32(0.1)])
def test_metrics_keep_every_bit(project: Project, begin: Begin, value: float) -> None:
    run = begin()
    run.log_metric("m", value)
    run.seal("finished")
    assert bits(read_run(project.store, run.id).metrics["m"]) == bits(float(value))


def test_the_record_names_its_start_and_its_logs_by_content(project: Project, begin: Begin) -> None:
    run = begin()
    run.log_metric("m", 1)
    output = run.output()
    output.append(b"hello\n")
    output.close()
    run.seal("finished")
    sealed, folder = read_sealed(project, run.id), folder_of(project, run.id)
    assert sealed.start == digest((folder / "start.json").read_bytes())
    assert sealed.log is not None
    assert sealed.output is not None
    assert (sealed.log.sha256, sealed.log.bytes) == (digest(log := (folder / LOG).read_bytes()), len(log))
    assert (sealed.output.sha256, sealed.output.bytes) == (digest(b"hello\n"), 6)


def test_a_run_that_logged_nothing_has_no_logs(project: Project, begin: Begin) -> None:
    run = begin()
    run.seal("finished")
    sealed = read_sealed(project, run.id)
    assert (sealed.log, sealed.output, sealed.params, sealed.artifacts) == (None, None, {}, [])
    assert sorted(p.name for p in folder_of(project, run.id).iterdir()) == ["run.json", "start.json"]


def test_the_start_is_on_disk_before_anything_is_logged(project: Project, begin: Begin) -> None:
    run = begin(name="ridge by hand", command=["python", "x.py"], folder="sub", reason="why", params={"a": 1})
    start = json.loads((folder_of(project, run.id) / "start.json").read_bytes())
    assert start["format"] == "start/1"
    assert (start["name"], start["actor"], start["command"]) == ("ridge by hand", "ann", ["python", "x.py"])
    assert (start["folder"], start["reason"], start["params"]) == ("sub", "why", {"a": 1})
    assert start["process"]["pid"] == os.getpid()
    assert project.store.blobs.size(start["source"]["tree"])
    assert project.store.blobs.size(start["environment"])


# --- damage -----------------------------------------------------------------------------------------------------------


def test_a_torn_last_line_costs_only_itself(project: Project, begin: Begin) -> None:
    run = begin()
    run.log_metric("kept", 1.5)
    torn = encode_line(MetricPoint(key="lost", value=Real(2), time=0))[:-9]
    with (folder_of(project, run.id) / LOG).open("ab") as log:
        log.write(torn)
    assert read_run(project.store, run.id).metrics == {"kept": 1.5}
    run.seal("finished")
    assert read_sealed(project, run.id).metrics == {"kept": 1.5}


def test_a_rotten_line_in_the_middle_is_passed_over_and_counted(project: Project, begin: Begin) -> None:
    run = begin()
    for step in range(3):
        run.log_metric(f"m{step}", step)
    path = folder_of(project, run.id) / LOG
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"m1"', b'"x1"'))
    logged = fold_log(run.start, path.read_bytes())
    assert (logged.metrics, logged.damaged_lines) == ({"m0": 0.0, "m2": 2.0}, 1)


# --- other processes and threads --------------------------------------------------------------------------------------

ATTACH = """
import sys
from pathlib import Path
from lin.runs.record import attach
from lin.store.local import LocalBackend
from lin.store.store import open_store
run = attach(open_store(LocalBackend(Path(sys.argv[1]))), sys.argv[2])
for step in range(200):
    run.log_metric("theirs", step, step=step)
run.log_param("from", "child")
run.log_artifact(b"made there", "child.txt")
"""


def test_other_processes_log_to_the_open_run(project: Project, begin: Begin) -> None:
    run = begin()
    command = [sys.executable, "-c", ATTACH, str(project.store_root), run.id]
    children = [subprocess.Popen(command) for _ in range(2)]
    for step in range(200):
        run.log_metric("ours", step, step=step)
    assert [child.wait() for child in children] == [0, 0]
    run.seal("finished")
    sealed = read_sealed(project, run.id)
    assert sealed.metrics == {"ours": 199.0, "theirs": 199.0}
    assert sealed.params == {"from": "child"}
    assert [a.path for a in sealed.artifacts] == ["child.txt"]
    assert (folder_of(project, run.id) / LOG).read_bytes().count(b"\n") == 604
    assert fold_log(run.start, (folder_of(project, run.id) / LOG).read_bytes()).damaged_lines == 0


def test_nothing_is_logged_to_a_sealed_run(project: Project, begin: Begin) -> None:
    run = begin()
    run.log_metric("m", 1)
    run.seal("finished")
    before = (folder_of(project, run.id) / LOG).read_bytes()
    with pytest.raises(UsageError, match="has ended"):
        attach(project.store, run.id)
    with pytest.raises(UsageError, match="has ended"):
        run.log_metric("m", 2)
    with pytest.raises(ConflictError):
        run.seal("failed")
    assert (folder_of(project, run.id) / LOG).read_bytes() == before
    assert read_sealed(project, run.id).status == "finished"


def test_what_threads_log_is_recorded_or_refused_but_never_lost(project: Project, begin: Begin) -> None:
    run = begin()
    acknowledged: list[str] = []

    def work(name: str) -> None:
        for number in range(10_000):
            try:
                run.log_param(f"{name}{number}", number)
            except UsageError:
                return
            acknowledged.append(f"{name}{number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 500:
        pass
    run.seal("finished")
    for thread in threads:
        thread.join()
    assert len(acknowledged) < 40_000
    assert read_sealed(project, run.id).params.keys() == set(acknowledged)


class SlowStore(LocalBackend):
    """A store on a slow disk: a line that is appended takes its time."""

    def appender(self, key: str) -> Any:
        quick = super().appender(key)
        append = quick.append

        def slowly(data: bytes) -> None:
            time.sleep(0.3)
            append(data)

        quick.append = slowly  # type: ignore[method-assign]
        return quick


def test_sealing_waits_for_the_line_that_is_being_written(project: Project, begin: Begin) -> None:
    begun = begin()
    run = Recorder(Store(SlowStore(project.store_root)), begun.id, begun.start, begun._start_digest)
    thread = threading.Thread(target=run.log_param, args=("late", 1))
    thread.start()
    time.sleep(0.1)
    run.seal("finished")
    thread.join()
    assert read_sealed(project, run.id).params == {"late": 1}


# --- on disk ----------------------------------------------------------------------------------------------------------


def test_what_only_others_logged_is_on_disk_before_the_seal(project: Project) -> None:
    """Every fsync of the sealing process, in order: the log's comes before the record's."""
    code = f"""
import os
from pathlib import Path
from lin.project import open_project
from lin.runs.record import attach, begin_run, capture
project = open_project(Path({str(project.root)!r}))
recorder = begin_run(project, capture(project), kind="program", name="quiet")
attach(project.store, recorder.id).log_param("alpha", 1)
synced, real = [], os.fsync
def fsync(descriptor):
    synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{{descriptor}}")))
    real(descriptor)
os.fsync = fsync
recorder.seal("finished")
print(synced[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "log.jsonl\n"
