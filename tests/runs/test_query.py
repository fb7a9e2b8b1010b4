"""Asking about runs: filters, order, what is damaged, and whether a run that is not sealed still lives."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from lin.errors import NotFoundError, StoreError, UsageError
from lin.ids import short
from lin.project import Project
from lin.records import ModelRef, Start, TableRef, digest
from lin.runs.query import find_run, list_runs, read_run
from lin.runs.record import Recorder
from lin.sealed import decode_sealed, encode_sealed
from lin.store.local import LocalBackend
from lin.store.store import Store, open_store

Begin = Callable[..., Recorder]
PIN = digest(b"a pin")

FITS = {  # name: params, metrics
    "a": ({"alpha": 1.0}, {"rmse": 3.0}),
    "b": ({"alpha": 0.1}, {"rmse": math.nan}),
    "c": ({"alpha": 0.5}, {"rmse": 1.0, "r2": 0.5}),
    "d": ({"alpha": 0.5, "kind": "x"}, {}),
    "e": ({"alpha": 10.0}, {"rmse": -math.inf}),
}


def read(table: str, version: int) -> TableRef:
    return TableRef(table=table, location=f"../{table}", version=version, pin=PIN, rows=1)


@pytest.fixture
def fits(project: Project, begin: Begin) -> Project:
    """A project with the runs of `FITS`, the last being the newest."""
    project.store.blobs.put(b"a pin")
    for number, (name, (params, metrics)) in enumerate(FITS.items()):
        run = begin(kind="train", name=name, params=params, tags={"team": name * 2}, inputs=[read("housing", number)])
        for key, value in metrics.items():
            run.log_metric(key, value)
        run.seal("failed" if name == "d" else "finished")
    return project


def names(project: Project, **options: object) -> str:
    found = list_runs(project.store, **options)  # type: ignore[arg-type]
    assert found.damaged == []
    return "".join(run.name for run in found.runs)


# --- which runs, in which order ---------------------------------------------------------------------------------------


def test_the_newest_come_first(fits: Project) -> None:
    assert names(fits) == "edcba"
    assert names(fits, limit=2) == "ed"


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("metrics.rmse < 3.5", "eca"),
        ("metrics.rmse is null", "d"),
        ("params.alpha = 0.5 and status = 'finished'", "c"),
        ("params.alpha < 0.2 or tags.team like 'a%'", "ba"),
        ("inputs.housing >= 3", "ed"),
        ("kind = 'train' and not name in ('a', 'b')", "edc"),
        ("actor = 'bob'", ""),
    ],
)
def test_a_filter_sees_params_metrics_tags_inputs_and_the_run_itself(fits: Project, where: str, expected: str) -> None:
    assert names(fits, where=where) == expected


def test_numbers_sort_as_numbers_and_what_has_none_comes_last(fits: Project) -> None:
    assert names(fits, sort="metrics.rmse") == "eca" + "db"
    assert names(fits, sort="metrics.rmse", descending=True) == "ace" + "db"
    assert names(fits, sort="params.alpha") == "b" + "dc" + "a" + "e"
    assert names(fits, sort="metrics.rmse", limit=1) == "e"
    assert names(fits, sort="params.kind") == "d" + "ecba"
    assert names(fits, sort="started") == "abcde"


def test_equal_values_keep_the_newest_first_both_ways(fits: Project) -> None:
    assert names(fits, sort="params.alpha", descending=True) == "e" + "a" + "dc" + "b"


def test_a_wrong_filter_or_field_is_refused(fits: Project) -> None:
    for options in ({"where": "metrics.rmse <"}, {"where": "metrix.rmse < 1"}, {"sort": "metrix.rmse"}):
        with pytest.raises(UsageError):
            list_runs(fits.store, **options)  # type: ignore[arg-type]


def test_imports_and_the_like_are_listed_when_asked_for(project: Project, begin: Begin) -> None:
    for kind, name in (("import", "i"), ("train", "t"), ("predict", "p"), ("command", "c"), ("restore", "r")):
        begin(kind=kind, name=name).seal("finished")
    assert names(project) == "ct"
    assert names(project, kinds=None) == "rcpti"
    assert names(project, kinds=frozenset({"import", "predict"})) == "pi"
    assert names(project, kinds=None, where="kind = 'restore'") == "r"


def test_a_run_is_found_by_its_id_a_part_of_it_its_name_or_as_the_last(fits: Project, begin: Begin) -> None:
    begin(kind="import", name="newer").seal("finished")
    newest = list_runs(fits.store).runs[0]
    for reference in (newest.id, short(newest.id), newest.id[:-1], "last", "e"):
        assert find_run(fits.store, reference) == newest
    with pytest.raises(NotFoundError, match="there is no run 'zz'"):
        find_run(fits.store, "zz")


def test_what_a_run_read_and_made_is_told_apart(project: Project, begin: Begin) -> None:
    project.store.blobs.put(b"a pin")
    model = ModelRef(model="boston", version=1, sha256=PIN)
    run = begin(inputs=[read("housing", 0), model])
    run.log_artifact(b"x", "a.txt")
    run.seal("finished")
    info = read_run(project.store, run.id)
    assert (info.table_inputs, info.model_inputs) == ([read("housing", 0)], [model])
    found = info.artifact("a.txt")
    assert found is not None
    assert found.bytes == 1
    assert info.artifact("b.txt") is None


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [b"", b"{", b'{"format":"run/1"}', b"\xff" * 30, b'{"format":"run/9"}'])
def test_a_damaged_record_is_reported_and_hides_no_other(fits: Project, damage: bytes) -> None:
    broken = list_runs(fits.store).runs[2]
    (path,) = fits.store_root.glob(f"runs/*/{broken.id}/run.json")
    path.chmod(0o600)
    path.write_bytes(damage)
    found = list_runs(fits.store, sort="metrics.rmse")
    assert "".join(run.name for run in found.runs) == "ea" + "db"
    assert len(found.damaged) == 1
    assert broken.id in found.damaged[0]
    with pytest.raises(StoreError, match=broken.id):
        read_run(fits.store, broken.id)


def test_a_start_that_was_changed_after_the_seal_is_found(fits: Project) -> None:
    broken = list_runs(fits.store).runs[0]
    (path,) = fits.store_root.glob(f"runs/*/{broken.id}/start.json")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b'"actor":"ann"', b'"actor":"bob"'))
    with pytest.raises(StoreError, match=r"start\.json is damaged: it does not have the sha256"):
        read_run(fits.store, broken.id)
    start = decode_sealed(path.read_bytes().replace(b'"actor":"bob"', b'"actor":"ann"'), Start, where="a start")
    path.write_bytes(encode_sealed(msgspec.structs.replace(start, actor="bob")))
    with pytest.raises(StoreError, match=r"its start\.json is not the one"):
        read_run(fits.store, broken.id)
    found = list_runs(fits.store)
    assert (len(found.runs), len(found.damaged)) == (4, 1)


# --- runs that are not sealed -----------------------------------------------------------------------------------------

RUN = """
import sys, time
from pathlib import Path
from lin.project import open_project
from lin.runs.record import begin_run, capture
project = open_project(Path(sys.argv[1]))
run = begin_run(project, capture(project), kind="train", name="slow", params={"alpha": 1})
run.log_metric("step", 3.0)
print(run.id, flush=True)
time.sleep(60)
"""


@pytest.fixture
def slow(project: Project) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A run in a process of its own that has begun, logged, and goes on."""
    command = [sys.executable, "-c", RUN, str(project.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def test_a_run_is_running_while_its_process_lives_and_abandoned_when_that_was_killed(
    project: Project, slow: tuple[str, "subprocess.Popen[str]"]
) -> None:
    run_id, process = slow
    alive = read_run(project.store, run_id)
    assert (alive.status, alive.seconds, alive.error) == ("running", None, None)
    assert (alive.params, alive.metrics) == ({"alpha": 1}, {"step": 3.0})
    assert [run.id for run in list_runs(project.store, where="status = 'running'").runs] == [run_id]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    dead = read_run(project.store, run_id)
    assert (dead.status, dead.metrics) == ("abandoned", {"step": 3.0})
    assert [run.status for run in list_runs(project.store).runs] == ["abandoned"]


class SealedMeanwhile(LocalBackend):
    """A store in which the run is sealed by its own process just after it was seen unsealed."""

    def __init__(self, root: Path, seal: Callable[[], object]) -> None:
        super().__init__(root)
        self._seal = seal
        self._looks = 0

    def size(self, key: str) -> int | None:
        size = super().size(key)
        if key.endswith("/run.json"):
            self._looks += 1
            if self._looks == 1:
                self._seal()
        return size


def test_a_run_sealed_between_two_looks_is_not_called_abandoned(
    project: Project, slow: tuple[str, "subprocess.Popen[str]"]
) -> None:
    run_id, process = slow
    start, start_digest = project.store.runs.start_and_digest(run_id)
    process.kill()
    process.wait()
    recorder = Recorder(open_store(LocalBackend(project.store_root)), run_id, start, start_digest)
    store = Store(SealedMeanwhile(project.store_root, lambda: recorder.seal("finished")))
    assert read_run(store, run_id).status == "finished"
