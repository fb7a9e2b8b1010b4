"""The Python API: one active run in a process, sealed once and by its owner, whatever happens to the process."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import lin
from lin import api
from lin.errors import LinError, NotFoundError, OutsideError, UsageError
from lin.project import Project, open_project
from lin.runs.add import add_table
from lin.runs.execute import run_command
from lin.runs.query import RunInfo, list_runs, read_run


@pytest.fixture
def here(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project with a table, in whose folder this process works; the API knows nothing of earlier tests."""
    source = tmp_path / "housing.csv"
    source.write_text("ID,rm\n1,6.5\n2,7.25\n")
    add_table(project, "housing", source, key=["ID"])
    monkeypatch.chdir(project.root)
    forget()
    yield open_project(project.root)
    forget()


def forget() -> None:
    if api._session.active is not None:
        api._session.active.end()
    api._session.project = api._session.captured = api._session.active = None


def runs(project: Project) -> list[RunInfo]:
    """The runs of programs and commands, oldest first."""
    found = list_runs(project.store)
    assert found.damaged == []
    return found.runs[::-1]


def only(project: Project) -> RunInfo:
    (run,) = runs(project)
    return run


def script(project: Project, text: str, *, code: int = 0) -> str:
    """Run a script in the project's folder, and return what it printed; `code` is how it must end."""
    path = project.root / "script.py"
    path.write_text("import os, sys\nimport lin\n" + textwrap.dedent(text))
    done = subprocess.run([sys.executable, path], cwd=project.root, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


# --- in a block -------------------------------------------------------------------------------------------------------


def test_a_block_is_a_run(here: Project) -> None:
    (here.root / "plot.png").write_bytes(b"picture")
    with lin.start_run("by hand", experiment="housing", params={"alpha": 0.1}, tags={"team": "risk"}) as run:
        assert lin.active_run() is run
        assert read_run(here.store, run.id).status == "running"
        lin.log_param("beta", 2)
        lin.log_params({"gamma": None, "delta": [1]})
        lin.log_metric("rmse", 4.5, step=3)
        lin.log_metric("rmse", 9.5, step=2)
        lin.log_metrics({"r2": math.nan, "mae": 1}, step=1)
        lin.log_artifact("plot.png")
        lin.log_artifact(Path("plot.png"), "plots/again.png")
        lin.set_tag("stage", "try")
    assert lin.active_run() is None
    info = only(here)
    assert (info.id, info.kind, info.status, info.name) == (run.id, "program", "finished", "by hand")
    assert (info.experiment, info.actor, info.error) == ("housing", "ann", None)
    assert info.params == {"alpha": 0.1, "beta": 2, "gamma": None, "delta": [1]}
    assert info.metrics["rmse"] == 4.5
    assert math.isnan(info.metrics["r2"])
    assert info.tags == {"team": "risk", "stage": "try"}
    assert [a.path for a in info.artifacts] == ["plot.png", "plots/again.png"]
    assert {here.store.blobs.read(a.sha256) for a in info.artifacts} == {b"picture"}


def test_the_name_is_that_of_the_experiment_else_run(here: Project) -> None:
    for options in ({"experiment": "wine"}, {}):
        lin.start_run(**options).end()
    assert [run.name for run in runs(here)] == ["wine", "run"]


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ValueError("boom"), "failed", "ValueError: boom"),
        (KeyboardInterrupt(), "interrupted", "interrupted from the keyboard"),
        (SystemExit(3), "failed", "SystemExit: 3"),
        (SystemExit(0), "finished", None),
        (SystemExit(None), "finished", None),
    ],
)
def test_how_a_block_is_left_decides(here: Project, error: BaseException, status: str, told: str | None) -> None:
    with pytest.raises(type(error)):
        leave_by(error)
    info = only(here)
    assert (info.status, info.error, info.metrics) == (status, told, {"m": 1.0})


def leave_by(error: BaseException) -> None:
    with lin.start_run():
        lin.log_metric("m", 1)
        raise error


def test_a_run_is_ended_once(here: Project) -> None:
    with lin.start_run() as run:
        run.end("failed", error="gave up")
        run.end()
    assert (only(here).status, only(here).error) == ("failed", "gave up")


def test_one_run_at_a_time_but_one_after_the_other(here: Project) -> None:
    with lin.start_run("first"):
        with pytest.raises(UsageError, match="a run is active already"):
            lin.start_run("second")
        lin.log_metric("m", 1)
    with lin.start_run("second"):
        lin.log_metric("m", 2)
    assert [(run.name, run.metrics["m"], run.status) for run in runs(here)] == [
        ("first", 1.0, "finished"),
        ("second", 2.0, "finished"),
    ]


def test_logging_needs_a_run(here: Project) -> None:
    for log in (
        lambda: lin.log_param("a", 1),
        lambda: lin.log_params({"a": 1}),
        lambda: lin.log_metric("a", 1),
        lambda: lin.log_metrics({"a": 1}),
        lambda: lin.log_artifact("lineage.toml"),
        lambda: lin.set_tag("a", "b"),
    ):
        with pytest.raises(UsageError, match="no run is active"):
            log()
    assert runs(here) == []


def test_there_must_be_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    monkeypatch.chdir(tmp_path)
    for ask in (lin.start_run, lambda: lin.read_table("housing")):
        with pytest.raises(NotFoundError, match=r"there is no lineage\.toml"):
            ask()


def test_everything_offered_is_there() -> None:
    for name in lin.__all__:
        assert getattr(lin, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'start_runs'"):
        lin.start_runs  # noqa: B018


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_table_that_is_read_is_an_input_of_the_run(here: Project) -> None:
    with lin.start_run():
        rows = lin.read_table("housing")
        assert lin.read_table("housing", version=0).equals(rows)
    assert rows.to_pydict() == {"ID": [1, 2], "rm": [6.5, 7.25]}
    (read,) = only(here).table_inputs
    assert (read.table, read.version, read.rows) == ("housing", 0, 2)
    assert here.store.blobs.size(read.pin)
    assert (here.store_root / read.location).resolve() == (here.root / "data" / "housing").resolve()


def test_a_table_can_be_read_without_a_run(here: Project) -> None:
    assert lin.read_table("housing").num_rows == 2
    assert runs(here) == []
    with pytest.raises(NotFoundError, match="no table 'hausing'"):
        lin.read_table("hausing")
    with pytest.raises(NotFoundError, match="no version 7"):
        lin.read_table("housing", version=7)


def test_a_table_that_cannot_be_read_is_no_input(here: Project) -> None:
    for path in (here.root / "data" / "housing").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[::-1])
    with lin.start_run():
        with pytest.raises(OutsideError):
            lin.read_table("housing")
        lin.log_metric("m", 1)
    assert only(here).inputs == []


# --- threads and forks ------------------------------------------------------------------------------------------------


def test_threads_log_to_the_one_run(here: Project) -> None:
    def work(name: str) -> None:
        for step in range(200):
            lin.log_metric(name, step, step=step)
            lin.log_param(f"{name}{step}", step)

    with lin.start_run():
        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    info = only(here)
    assert info.metrics == dict.fromkeys("abcd", 199.0)
    assert len(info.params) == 800


FORK = """
    run = lin.start_run("parent")
    lin.log_param("before", 1)
    child = os.fork()
    if child == 0:
        lin.log_metric("child", 7)
        assert lin.active_run().id == run.id
        {leave}
    assert os.waitpid(child, 0)[1] == 0
    lin.log_metric("parent", 8)
    run.end()
"""


@pytest.mark.parametrize("leave", ["sys.exit(0)", "run.end(); os._exit(0)", "lin.active_run().end(); os._exit(0)"])
def test_a_forked_worker_logs_to_the_run_and_does_not_seal_it(here: Project, leave: str) -> None:
    script(here, FORK.format(leave=leave))
    info = only(here)
    assert (info.status, info.metrics, info.params) == ("finished", {"child": 7.0, "parent": 8.0}, {"before": 1})


def test_a_fork_is_not_stopped_by_a_lock_that_another_thread_held(here: Project) -> None:
    script(
        here,
        """
        import threading, time
        from lin import api
        run = lin.start_run("parent")
        held = threading.Event()
        def hold():
            with api._session.lock:
                held.set()
                time.sleep(1)
        threading.Thread(target=hold).start()
        held.wait()
        child = os.fork()
        if child == 0:
            import signal
            signal.alarm(10)
            lin.log_metric("child", 7)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """,
    )
    assert (only(here).status, only(here).metrics) == ("finished", {"child": 7.0})


def test_workers_of_a_pool_log_to_the_run(here: Project) -> None:
    script(
        here,
        """
        from multiprocessing import get_context
        def work(number):
            lin.log_metric(f"m{number}", number)
        with lin.start_run():
            with get_context("fork").Pool(2) as pool:
                pool.map(work, range(6))
                pool.close()
                pool.join()
        """,
    )
    assert only(here).metrics == {f"m{number}": float(number) for number in range(6)}


def test_a_worker_that_outlives_the_run_may_start_its_own(here: Project) -> None:
    script(
        here,
        """
        with lin.start_run("parent"):
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                os.read(reader, 1)
                try:
                    lin.log_metric("late", 1)
                except lin.errors.UsageError as error:
                    assert "no run is active" in error.message
                    with lin.start_run("own"):
                        lin.log_metric("own", os.getpid())
                    os._exit(0)
                os._exit(1)
        os.write(writer, b"x")
        assert os.waitpid(child, 0)[1] == 0
        """,
    )
    parent, own = runs(here)
    assert [(run.name, run.status) for run in (parent, own)] == [("parent", "finished"), ("own", "finished")]
    assert parent.metrics == {}
    assert (
        here.store.runs.start(own.id).process.pid == own.metrics["own"] != here.store.runs.start(parent.id).process.pid
    )


# --- the end of the process -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "code", "status", "error"),
    [
        ("pass", 0, "finished", None),
        ("sys.exit(0)", 0, "finished", None),
        ("raise RuntimeError('boom')", 1, "failed", "RuntimeError: boom"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "interrupted", "interrupted from the keyboard"),
        ("1 / 0", 1, "failed", "ZeroDivisionError: division by zero"),
        ("os.kill(os.getpid(), 9)", -signal.SIGKILL, "abandoned", None),
    ],
)
def test_a_run_left_open_is_sealed_as_the_process_ends(
    here: Project, end: str, code: int, status: str, error: str | None
) -> None:
    script(here, f"lin.start_run()\nlin.log_metric('m', 1)\n{end}\n", code=code)
    info = only(here)
    assert (info.status, info.error, info.metrics) == (status, error, {"m": 1.0})


def test_an_error_that_was_handled_does_not_fail_the_run(here: Project) -> None:
    script(here, "lin.start_run()\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    pass\n")
    assert only(here).status == "finished"


# --- inside `lin run` -------------------------------------------------------------------------------------------------


def run_script(project: Project, text: str) -> RunInfo:
    path = project.root / "script.py"
    path.write_text("import os, sys\nimport lin\n" + textwrap.dedent(text))
    run_id, _ = run_command(project, [sys.executable, str(path)], folder=project.root)
    info = read_run(project.store, run_id)
    assert "Traceback" not in (project.store.runs.file(run_id, "output.log") or b"").decode(), info
    assert [run.id for run in runs(project)] == [run_id]
    return info


def test_inside_lin_run_the_program_is_the_run_and_does_not_seal_it(here: Project) -> None:
    info = run_script(
        here,
        """
        with lin.start_run("ignored", params={"alpha": 1}, tags={"team": "risk"}) as run:
            assert run.id == os.environ["LIN_RUN"]
            lin.log_metric("inside", 1)
        lin.log_metric("after", 2)
        rows = lin.read_table("housing")
        with lin.start_run() as again:
            assert again.id == run.id
            lin.log_metric("again", 3)
        sys.exit(4)
        """,
    )
    assert (info.kind, info.name, info.status, info.exit_code) == ("command", Path(sys.executable).name, "failed", 4)
    assert info.metrics == {"inside": 1.0, "after": 2.0, "again": 3.0}
    assert (info.params, info.tags) == ({"alpha": 1}, {"team": "risk"})
    assert [(read.table, read.version) for read in info.table_inputs] == [("housing", 0)]


def test_inside_lin_run_a_run_is_always_active_and_can_still_be_started(here: Project) -> None:
    info = run_script(
        here,
        """
        lin.log_param("first", 1)
        assert lin.active_run().id == os.environ["LIN_RUN"]
        with lin.start_run():
            lin.log_param("second", 2)
            try:
                lin.start_run()
            except lin.errors.UsageError:
                lin.log_param("third", 3)
        """,
    )
    assert (info.status, info.params) == ("finished", {"first": 1, "second": 2, "third": 3})


def test_inside_lin_run_the_working_folder_does_not_matter(here: Project, tmp_path: Path) -> None:
    info = run_script(here, f"os.chdir({str(tmp_path)!r})\nlin.log_metric('m', 1)\n")
    assert info.metrics == {"m": 1.0}


def test_a_run_that_has_ended_takes_no_more(here: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with lin.start_run() as run:
        pass
    monkeypatch.setenv("LIN_RUN", run.id)
    for ask in (lin.start_run, lambda: lin.log_metric("late", 1)):
        with pytest.raises(LinError, match="has ended"):
            ask()
    assert only(here).metrics == {}
    assert os.environ["LIN_RUN"] == run.id
