"""Sweeps: several points at once, what a failure does to the others, interruptions, and what is resumed."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.errors import ConflictError, NotFoundError, OutsideError, UsageError
from lin.project import Project, create_project, open_project
from lin.records import Environment, decode, encode
from lin.runs.add import add_table
from lin.runs.experiment import run_experiment
from lin.runs.query import RunInfo
from lin.runs.record import Capture, begin_run, capture
from lin.runs.resume import ask_command, resume_sweep, tell_changes
from lin.runs.sweep import Progress, Sweep

EveryRun = Callable[..., list[RunInfo]]

DECLARED = """
[experiments.fits]
table = "housing"
target = "medv"
rows = "medv is not null"
split = { test_size = 0.2, seed = 7 }

[[experiments.fits.models]]
estimator = "sklearn.linear_model.Ridge"
params = { alpha = [1.0, -1.0] }

[[experiments.fits.models]]
estimator = "sklearn.ensemble.RandomForestRegressor"
params = { n_estimators = 5 }

[experiments.held-fits]
table = "housing"
target = "medv"
rows = "medv is not null"
models = [{ estimator = "held_models.Held", params = { alpha = [1, 2, 3, 4, 5] } }]

[experiments.deadly]
command = "sh deadly.sh {code}"
params = { code = [9, 0, 9, 1] }

[experiments.held-commands]
command = "PYTHON hold.py {alpha}"
params = { alpha = [1, 2, 3, 4, 5] }

[experiments.meet]
command = "PYTHON meet.py {name}"
params = { name = ["a", "b"] }

[experiments.exit]
command = "PYTHON -c 'raise SystemExit({code})'"
params = { code = [0, 3, 0] }

[experiments.echo]
command = "echo {word}"
params = { word = ["x", "y"] }
"""

HOLD = """
import os, pathlib, sys, time

def hold(alpha):
    place = pathlib.Path(os.environ["PLACE"])
    with (place / f"begun-{alpha}").open("a") as file:
        file.write("x")
    end = time.monotonic() + 60
    while not any((place / name).exists() for name in ("go", f"go-{alpha}")):
        assert time.monotonic() < end
        time.sleep(0.01)

if __name__ == "__main__":
    hold(sys.argv[1])
"""
"""A program that says in $PLACE that it has begun, and goes on when it may."""

MODELS = """
from hold import hold
from sklearn.linear_model import Ridge

class Held(Ridge):
    def fit(self, X, y):
        hold(self.alpha)
        return super().fit(X, y)
"""

MEET = """
import os, pathlib, sys, time

place = pathlib.Path(os.environ["PLACE"])
(place / sys.argv[1]).touch()
assert sys.stdin.read() == ""
end = time.monotonic() + 20
while len(list(place.iterdir())) < 2:
    assert time.monotonic() < end
    time.sleep(0.01)
print("met", sys.argv[1])
"""


@pytest.fixture
def declared(tmp_path: Path, write_housing: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Project:
    root, place = tmp_path / "declared", tmp_path / "place"
    root.mkdir()
    place.mkdir()
    monkeypatch.setenv("PLACE", str(place))
    project, _ = create_project(root, name="boston")
    add_table(project, "housing", write_housing(tmp_path / "housing.csv"), key=["ID"])
    (root / "hold.py").write_text(HOLD)
    (root / "held_models.py").write_text(MODELS)
    (root / "meet.py").write_text(MEET)
    (root / "deadly.sh").write_text("test $1 = 9 && kill -9 $PPID; exit $1")
    with (root / "lineage.toml").open("a") as file:
        file.write(DECLARED.replace("PYTHON", sys.executable))
    return open_project(root)


def ask(project: Project, name: str, *params: str, told: list[Progress] | None = None, **options: Any) -> list[RunInfo]:
    report = (lambda _: None) if told is None else told.append
    return run_experiment(project, name, params, report=report, **options)


def numbers(runs: list[RunInfo]) -> list[Any]:
    """All of the runs that must not depend on who did them."""
    return [
        (run.name, run.status, run.error, run.metrics, run.params, run.artifacts, run.environment, run.source)
        for run in runs
    ]


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.02)


# --- several at a time ------------------------------------------------------------------------------------------------


def test_fits_in_two_processes_are_those_of_one_bit_for_bit(declared: Project) -> None:
    told: list[Progress] = []
    one = ask(declared, "fits")
    two = ask(declared, "fits", jobs=2, told=told)
    assert numbers(two) == numbers(one)
    assert [run.status for run in two] == ["finished", "failed", "finished"]
    assert len({run.sweep for run in two}) == 1
    assert two[0].sweep != one[0].sweep
    processes = {declared.store.runs.start(run.id).process.pid for run in two}
    assert len(processes) <= 2
    assert os.getpid() not in processes

    ended = [progress for progress in told if progress.run]
    assert [progress.done for progress in ended] == [1, 2, 3]
    assert max(progress.running for progress in told) == 2
    assert (ended[-1].running, ended[-1].failed, ended[-1].total) == (0, 1, 3)
    notes = [progress.notes for progress in ended if progress.run == two[1]]
    assert notes == [[f"{two[1].error} (hint: change that parameter)"]]


def test_programs_run_at_once_and_their_output_is_kept(declared: Project, capfd: pytest.CaptureFixture[str]) -> None:
    runs = ask(declared, "meet", jobs=2)
    assert [(run.name, run.status) for run in runs] == [("meet name=a", "finished"), ("meet name=b", "finished")]
    assert [declared.store.runs.file(run.id, "output.log") for run in runs] == [b"met a\n", b"met b\n"]
    assert (runs[0].source, runs[0].environment) == (runs[1].source, runs[1].environment)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_program_that_fails_does_not_stop_the_others(declared: Project, jobs: int) -> None:
    assert [(run.status, run.exit_code) for run in ask(declared, "exit", jobs=jobs)] == [
        ("finished", 0),
        ("failed", 3),
        ("finished", 0),
    ]


def test_a_point_that_kills_its_process_costs_only_itself(declared: Project) -> None:
    told: list[Progress] = []
    runs = ask(declared, "deadly", jobs=2, told=told)
    assert [run.status for run in runs] == ["abandoned", "finished", "abandoned", "failed"]
    dead = [progress.notes for progress in told if progress.run in (runs[0], runs[2])]
    assert dead == [["its process ended with signal SIGKILL"]] * 2
    assert (told[-1].done, told[-1].failed, told[-1].running) == (4, 3, 0)

    (declared.root / "deadly.sh").write_text("exit 0")
    again = ask(declared, "deadly", jobs=2, resume=True, told=told)
    assert [run.status for run in again] == ["finished", "finished", "finished", "failed"]
    assert [again[1], again[3]] == [runs[1], runs[3]]
    assert {run.sweep for run in again} == {runs[0].sweep}
    assert ["warning: the source is not what it was for the points before: deadly.sh"] in [p.notes for p in told]


def test_workers_that_cannot_start_are_not_waited_for(
    declared: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONHOME", str(declared.root))
    with pytest.raises(OutsideError, match="a worker process of the sweep ended before it could begin"):
        ask(declared, "fits", jobs=2)
    assert "Fatal Python error" in capfd.readouterr().err


def test_a_program_that_is_not_there_is_refused_before_anything_runs(declared: Project, every_run: EveryRun) -> None:
    text = (declared.root / "lineage.toml").read_text()
    (declared.root / "lineage.toml").write_text(text.replace('"echo {word}"', '"{word} z"'))
    project = open_project(declared.root)
    before = every_run(project)
    with pytest.raises(NotFoundError, match="there is no program 'nonesuch'"):
        ask(project, "echo", "word=echo,nonesuch", jobs=2)
    assert every_run(project) == before


# --- interrupted ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def started(project: Project, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`lin` in a process group of its own, as a shell starts it."""
    with subprocess.Popen(
        [sys.executable, "-m", "lin", *words],
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def begun(place: Path) -> dict[str, int]:
    """How many times each point has begun."""
    return {path.name.removeprefix("begun-"): path.stat().st_size for path in place.glob("begun-*")}


@pytest.mark.parametrize("experiment", ["held-fits", "held-commands"])
def test_a_sweep_interrupted_and_killed_is_finished_without_doing_anything_twice(
    declared: Project, every_run: EveryRun, experiment: str
) -> None:
    place = Path(os.environ["PLACE"])
    command = ("run", experiment, "--jobs", "2")

    def points() -> Counter[tuple[Any, str]]:
        return Counter((run.params["alpha"], run.status) for run in every_run(declared, "train", "command"))

    (place / "go-1").touch()
    with started(declared, *command) as lin:
        wait_until(lambda: begun(place).keys() >= {"2", "3"})
        lin.send_signal(signal.SIGINT)
        _, err = lin.communicate(timeout=30)
        assert lin.returncode == 130, err
    assert b"interrupted (hint: the same command with --resume does what is left)" in err
    assert points() == {(1, "finished"): 1, (2, "interrupted"): 1, (3, "interrupted"): 1}

    (place / "go-2").touch()
    with started(declared, *command, "--resume") as lin:
        wait_until(lambda: begun(place).keys() >= {"4"} and begun(place)["3"] == 2)
        with pytest.raises(ConflictError, match="is still running"):
            ask(declared, experiment, resume=True)
        lin.kill()
    wait_until(lambda: "running" not in {status for _, status in points()})
    left = "abandoned" if experiment == "held-fits" else "interrupted"
    assert points()[4, left] == points()[2, "finished"] == 1

    (place / "go").touch()
    with started(declared, *command[:2], "--resume") as lin:
        out, err = lin.communicate(timeout=60)
        assert lin.returncode == 0, err
    assert b"2 of 5 points are done\n" in err
    assert {point: number for point, number in points().items() if point[1] == "finished"} == {
        (alpha, "finished"): 1 for alpha in range(1, 6)
    }
    assert begun(place) == {"1": 1, "2": 2, "3": 3, "4": 2, "5": 1}
    runs = every_run(declared, "train", "command")
    assert len({run.sweep for run in runs}) == 1
    assert all(run.id[-8:].encode() in out for run in runs if run.status == "finished")


def test_a_program_that_will_not_end_is_ended_by_a_second_interrupt(declared: Project, every_run: EveryRun) -> None:
    place = Path(os.environ["PLACE"])
    deaf = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    (declared.root / "hold.py").write_text(deaf + HOLD)
    with started(declared, "run", "held-commands", "--jobs", "2") as lin:
        wait_until(lambda: len(begun(place)) == 2)
        lin.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            lin.wait(timeout=0.5)
        lin.send_signal(signal.SIGINT)
        assert lin.wait(timeout=30) == 130
    assert [(run.status, run.exit_code) for run in every_run(declared, "command")] == [("interrupted", 143)] * 2


# --- resumed ----------------------------------------------------------------------------------------------------------


def test_a_complete_sweep_is_shown_and_nothing_is_done(declared: Project, every_run: EveryRun) -> None:
    runs = ask(declared, "exit")
    before = every_run(declared)
    told: list[Progress] = []
    assert ask(declared, "exit", resume=True, told=told) == runs
    assert every_run(declared) == before
    assert [(p.done, p.failed, p.notes) for p in told] == [
        (3, 1, [f"sweep {runs[0].sweep} is complete: there is nothing to resume"])
    ]


def test_points_that_the_grid_has_besides_are_done_in_the_same_sweep(declared: Project) -> None:
    few = ask(declared, "echo")
    more = ask(declared, "echo", "word=z,y,x,x", resume=True)
    assert [run.params["word"] for run in more] == ["z", "y", "x", "x"]
    assert [more[1], more[2]] == few[::-1]
    assert len({run.id for run in more}) == 4
    assert {run.sweep for run in more} == {few[0].sweep}


def test_the_newest_sweep_that_fits_is_resumed(declared: Project) -> None:
    first = ask(declared, "echo", "word=a,b")
    ask(declared, "echo", "word=c,d")
    ask(declared, "echo", "word=a")
    assert ask(declared, "echo", "word=a,b", resume=True) == first


def test_what_cannot_be_resumed_is_refused_and_says_why(declared: Project, every_run: EveryRun) -> None:
    with pytest.raises(NotFoundError, match="'echo' has no sweep to resume"):
        ask(declared, "echo", resume=True)
    ask(declared, "echo")
    ask(declared, "fits", "alpha=1,2")
    before = every_run(declared)
    with pytest.raises(UsageError, match="it has a point that this grid has not: echo word=x"):
        ask(declared, "echo", "word=y,z", resume=True)
    with pytest.raises(UsageError, match="reads housing@0, not @1"):
        ask(declared, "fits", "alpha=1,2,3", resume=True, version=1)
    changes = {"seed = 7": "seed = 8", "echo {word}": "echo -n {word}"}
    text = (declared.root / "lineage.toml").read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    (declared.root / "lineage.toml").write_text(text)
    project = open_project(declared.root)
    with pytest.raises(UsageError, match="its seed was 7, and now it is 8"):
        ask(project, "fits", "alpha=1,2", resume=True)
    with pytest.raises(UsageError, match=r'its command was \["echo","x"\], and now it is \["echo","-n","x"\]'):
        ask(project, "echo", resume=True)
    assert every_run(declared) == before


def test_the_version_that_was_pinned_is_read_again(declared: Project) -> None:
    from deltalake import write_deltalake

    from lin.data.read import read_version
    from lin.data.tables import open_table

    (Path(os.environ["PLACE"]) / "go").touch()
    few = ask(declared, "held-fits", "alpha=1,2")
    table = open_table(declared, "housing")
    write_deltalake(table.root, read_version(table)[1].slice(0, 30), mode="overwrite")
    more = ask(declared, "held-fits", "alpha=1,2,3", resume=True, told=(told := []))
    assert ["it reads housing@0 as before; the newest version is 1"] in [progress.notes for progress in told]
    assert more[:2] == few
    assert more[2].inputs == few[0].inputs


def test_what_changed_is_told_for_source_and_environment(project: Project, captured: Capture) -> None:
    run = begin_run(project, captured, kind="command", name="x", experiment="x", sweep="s", params={"a": 1})
    run.seal("failed")
    sweep = resume_sweep(project, "x", [ask_command([], {"a": 1}), ask_command([], {"a": 2})], lambda _: None)
    for number in range(7):
        (project.root / f"new{number}.py").touch()
    environment = decode(project.store.blobs.read(captured.environment), Environment, where="")
    other = dataclasses.replace(
        capture(project), environment=project.store.blobs.put(encode(environment_of(environment, python="3.0.1")))
    )
    told: list[Progress] = []
    tell_changes(project.store, sweep, captured, told.append)
    assert told == []
    tell_changes(project.store, sweep, other, told.append)
    source, platform = told[0].notes
    assert source.endswith(": new0.py, new1.py, new2.py, new3.py, new4.py and 2 more")
    assert platform.endswith(f": python {environment.python} -> 3.0.1")


def environment_of(environment: Environment, **changes: Any) -> Environment:
    import msgspec

    return msgspec.structs.replace(environment, **changes)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Capture]:
    project, _ = create_project(tmp_path_factory.mktemp("empty"), name="boston")
    return project, capture(project)


STATUSES = ["finished", "failed", "interrupted"]


@settings(max_examples=25, deadline=None)
@given(
    grid=st.lists(st.integers(0, 3), min_size=2, max_size=6),
    done=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(STATUSES)), min_size=1, max_size=8),
)
def test_each_point_is_done_once_whatever_was_done_before(
    empty: tuple[Project, Capture], grid: list[int], done: list[tuple[int, Any]]
) -> None:
    project, captured = empty
    experiment = os.urandom(8).hex()
    runs = []
    for place, status in done:
        params = {"a": grid[place % len(grid)]}
        run = begin_run(project, captured, kind="command", name="x", experiment=experiment, sweep="s", params=params)
        run.seal(status)
        runs.append((params["a"], status))
    sweep: Sweep = resume_sweep(project, experiment, [ask_command([], {"a": value}) for value in grid], lambda _: None)
    counted = Counter(value for value, status in runs if status != "interrupted")
    pending = Counter(grid[place] for place in sweep.pending)
    assert pending == Counter(grid) - counted
    assert Counter(run.params["a"] for run in sweep.runs) == Counter(grid) - pending
    assert {run.status for run in sweep.runs} <= {"finished", "failed"}
