"""The Python API: one active run in a process, sealed once and by its owner, whatever happens to the process."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import lin
from lin.errors import LinError, NotFoundError, UsageError
from lin.project import Project
from lin.records import MetricPoint
from lin.runs.execute import run_command
from lin.runs.query import RunInfo, list_runs, read_run
from lin.store.runs import decode_lines

Only = Callable[[], RunInfo]
Runs = Callable[[], list[RunInfo]]
Script = Callable[..., str]


# --- in a block -------------------------------------------------------------------------------------------------------


def test_a_block_is_a_run(here: Project, only: Only) -> None:
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
    info = only()
    assert (info.id, info.kind, info.status, info.name) == (run.id, "program", "finished", "by hand")
    assert (info.experiment, info.actor, info.error) == ("housing", "ann", None)
    assert info.params == {"alpha": 0.1, "beta": 2, "gamma": None, "delta": [1]}
    assert info.metrics["rmse"] == 4.5
    assert math.isnan(info.metrics["r2"])
    assert info.tags == {"team": "risk", "stage": "try"}
    assert [a.path for a in info.artifacts] == ["plot.png", "plots/again.png"]
    assert {here.store.blobs.read(a.sha256) for a in info.artifacts} == {b"picture"}


def test_the_name_is_that_of_the_experiment_else_run(runs: Runs) -> None:
    for options in ({"experiment": "wine"}, {}):
        lin.start_run(**options).end()
    assert [run.name for run in runs()] == ["wine", "run"]


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
def test_how_a_block_is_left_decides(error: BaseException, status: str, told: str | None, only: Only) -> None:
    with pytest.raises(type(error)):
        leave_by(error)
    info = only()
    assert (info.status, info.error, info.metrics) == (status, told, {"m": 1.0})


def leave_by(error: BaseException) -> None:
    with lin.start_run():
        lin.log_metric("m", 1)
        raise error


def test_a_run_is_ended_once(only: Only) -> None:
    with lin.start_run() as run:
        run.end("failed", error="gave up")
        run.end()
    assert (only().status, only().error) == ("failed", "gave up")


def test_one_run_at_a_time_but_one_after_the_other(runs: Runs) -> None:
    with lin.start_run("first"):
        with pytest.raises(UsageError, match="a run is active already"):
            lin.start_run("second")
        lin.log_metric("m", 1)
    with lin.start_run("second"):
        lin.log_metric("m", 2)
    assert [(run.name, run.metrics["m"], run.status) for run in runs()] == [
        ("first", 1.0, "finished"),
        ("second", 2.0, "finished"),
    ]


def test_a_run_tells_what_it_has_so_far_and_shows_it(here: Project) -> None:
    run = lin.start_run("<b>odd</b>")
    for step in range(100):
        lin.log_metric("m", step, step=step)
    assert (run.info.status, run.info.metrics) == ("running", {"m": 99.0})
    assert "&lt;b&gt;odd" in run._repr_html_()
    lin.end_run("failed")
    lin.end_run()
    assert run.info == read_run(here.store, run.id)
    assert run.info.status == "failed"


def test_logging_needs_a_run(runs: Runs) -> None:
    for log in (
        lambda: lin.log_param("a", 1),
        lambda: lin.log_params({"a": 1}),
        lambda: lin.log_metric("a", 1),
        lambda: lin.log_metrics({"a": 1}),
        lambda: lin.log_metrics({"a": 1}),
        lambda: lin.log_artifact("lineage.toml"),
        lambda: lin.log_artifacts("."),
        lambda: lin.log_text("a", "a.txt"),
        lambda: lin.log_dict({}, "a.json"),
        lambda: lin.set_tag("a", "b"),
        lambda: lin.set_tags({"a": "b"}),
        lin.flush,
    ):
        with pytest.raises(UsageError, match="no run is active"):
            log()
    assert runs() == []


@pytest.mark.usefixtures("nowhere")
def test_there_must_be_a_project() -> None:
    for ask in (lin.start_run, lin.search_runs, lambda: lin.read_table("housing")):
        with pytest.raises(NotFoundError, match=r"there is no lineage\.toml"):
            ask()


def test_everything_offered_is_there() -> None:
    for name in lin.__all__:
        assert getattr(lin, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'start_runs'"):
        lin.start_runs  # noqa: B018


# --- threads and forks ------------------------------------------------------------------------------------------------


def test_threads_log_to_the_one_run(only: Only) -> None:
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
    info = only()
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
def test_a_forked_worker_logs_to_the_run_and_does_not_seal_it(leave: str, only: Only, script: Script) -> None:
    script(FORK.format(leave=leave))
    info = only()
    assert (info.status, info.metrics, info.params) == ("finished", {"child": 7.0, "parent": 8.0}, {"before": 1})


def test_a_fork_is_not_stopped_by_a_lock_that_another_thread_held(only: Only, script: Script) -> None:
    script(
        """
        import threading, time
        from lin.api import session
        run = lin.start_run("parent")
        held = threading.Event()
        def hold():
            with session._session.lock:
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
    assert (only().status, only().metrics) == ("finished", {"child": 7.0})


def test_workers_of_a_pool_log_to_the_run(only: Only, script: Script) -> None:
    script(
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
    assert only().metrics == {f"m{number}": float(number) for number in range(6)}


def test_a_worker_that_outlives_the_run_may_start_its_own(here: Project, runs: Runs, script: Script) -> None:
    script(
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
    parent, own = runs()
    assert [(run.name, run.status) for run in (parent, own)] == [("parent", "finished"), ("own", "finished")]
    assert parent.metrics == {}
    assert (
        here.store.runs.start(own.id).process.pid == own.metrics["own"] != here.store.runs.start(parent.id).process.pid
    )


WORK = """
    import lin
    def work(number):
        lin.log_param(f"p{number}", lin.active_run().id)
        for step in range(100):
            lin.log_metric(f"m{number}", step, step=step)
"""
WORKERS = """
    from multiprocessing import get_context
    from joblib import Parallel, delayed
    from work import work
    if __name__ == "__main__":
        for name in ("spawn", "forkserver"):
            with lin.start_run(name), get_context(name).Pool(1) as pool:
                pool.map(work, range(2))
        for name in ("joblib", "joblib again"):
            with lin.start_run(name):
                Parallel(n_jobs=2)(delayed(work)(number) for number in range(2))
        with lin.start_run("fork"):
            pool = get_context("fork").Pool(2)
            pool.map(work, range(2))
        with lin.start_run("fork again"):
            pool.map(work, range(2))
            pool.terminate()
"""


def test_workers_of_every_kind_log_to_the_run_that_is_open(here: Project, runs: Runs, script: Script) -> None:
    """Each pool is killed when its work is done; those of joblib and of the last two runs live on into the next run."""
    (here.root / "work.py").write_text(textwrap.dedent(WORK))
    script(WORKERS)
    found = runs()
    assert [run.name for run in found] == ["spawn", "forkserver", "joblib", "joblib again", "fork", "fork again"]
    for run in found:
        assert (run.status, run.metrics) == ("finished", {"m0": 99.0, "m1": 99.0}), run.name
        assert run.params == {"p0": run.id, "p1": run.id}
        assert (here.store.runs.file(run.id, "log.jsonl") or b"").count(b"\n") == 202


def test_programs_that_are_started_meanwhile_belong_to_the_run(
    here: Project, only: Only, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIN_STORE", str(here.store_root))
    with lin.start_run() as run:
        assert os.environ["LIN_RUN"] == run.id
        command = [sys.executable, "-c", "import lin; run = lin.start_run('child'); lin.log_param('child', run.id)"]
        subprocess.run(command, check=True)
        subprocess.run([sys.executable, "-m", "lin", "log", "metric", "shell=1"], check=True)
    assert (only().params, only().metrics) == ({"child": run.id}, {"shell": 1.0})
    assert "LIN_RUN" not in os.environ
    assert os.environ["LIN_STORE"] == str(here.store_root)


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
    end: str, code: int, status: str, error: str | None, only: Only, script: Script
) -> None:
    script(f"lin.start_run()\nlin.log_metric('m', 1)\n{end}\n", code=code)
    info = only()
    assert (info.status, info.error, info.metrics) == (status, error, {"m": 1.0})


def test_an_error_that_was_handled_does_not_fail_the_run(only: Only, script: Script) -> None:
    script("lin.start_run()\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    pass\n")
    assert only().status == "finished"


BURST = """
    import time
    def run_so_far():
        return lin.active_run().info.metrics
    run = lin.start_run()
    print(run.id)
    for step in range(5000):
        lin.log_metric("m", step / 7, step=step)
    {end}
"""


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("lin.flush(); os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("time.sleep(2); os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("lin.log_param('a', 1); os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("lin.log_metrics({'a': 1}); lin.active_run().info; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("pass", 0),
        ("raise RuntimeError", 1),
        ("child = os.fork(); child or sys.exit(); os.waitpid(child, 0); run.end()", 0),
        ("child = os.fork(); child or os._exit(run_so_far()['m'] == 4999 / 7); print(os.wait()[1] >> 8)", 0),
        ("run.end()", 0),
    ],
)
def test_no_point_of_a_burst_is_lost_or_there_twice(here: Project, script: Script, end: str, code: int) -> None:
    run_id, *of_child = script(BURST.format(end=end), code=code).split()
    assert of_child in ([], ["1"])
    lines, damaged = decode_lines(here.store.runs.file(run_id, "log.jsonl") or b"", "it")
    points = [(line.value, line.step) for line in lines if isinstance(line, MetricPoint) and line.key == "m"]
    assert points == [(step / 7, step) for step in range(5000)]
    assert damaged == 0


def test_a_kill_loses_no_point_that_came_slowly(only: Only, script: Script) -> None:
    script(
        "lin.start_run()\nfor step in range(20):\n    lin.log_metric('m', step, step=step)\nos.kill(os.getpid(), 9)\n",
        code=-9,
    )
    assert only().metrics == {"m": 19.0}


# --- inside `lin run` -------------------------------------------------------------------------------------------------


def run_script(project: Project, text: str) -> RunInfo:
    path = project.root / "script.py"
    path.write_text("import os, sys\nimport lin\n" + textwrap.dedent(text))
    run_id, _ = run_command(project, [sys.executable, str(path)], folder=project.root)
    info = read_run(project.store, run_id)
    assert "Traceback" not in (project.store.runs.file(run_id, "output.log") or b"").decode(), info
    assert [run.id for run in list_runs(project.store).runs] == [run_id]
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


def test_inside_lin_run_the_last_points_are_written_as_the_program_ends(here: Project) -> None:
    info = run_script(here, "for step in range(5000):\n    lin.log_metric('m', step, step=step)\nsys.exit(3)\n")
    assert (info.status, info.metrics) == ("failed", {"m": 4999.0})


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


def test_a_run_that_has_ended_takes_no_more(monkeypatch: pytest.MonkeyPatch, only: Only) -> None:
    with lin.start_run() as run:
        pass
    monkeypatch.setenv("LIN_RUN", run.id)
    for ask in (lin.start_run, lambda: lin.log_metric("late", 1)):
        with pytest.raises(LinError, match="has ended"):
            ask()
    assert only().metrics == {}
    assert os.environ["LIN_RUN"] == run.id
