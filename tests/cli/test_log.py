import os
import subprocess
import sys
from pathlib import Path

from lin.project import open_project
from lin.runs.record import begin_run, capture

PROGRAM = """
import subprocess, sys
for words in (["param", "alpha", "0.1"], ["param", "formula", "y=x", ], ["param", "a=1", "b=x=y"],
              ["metric", "rmse", "4.7", "--step", "3"], ["metric", "--step", "-1", "r2=-0.5", "rmse=1", "odd=nan"],
              ["metric", "low", "-2"], ["tag", "team", "risk"], ["artifact", "note.txt", "--name", "notes/one.txt"]):
    subprocess.run([sys.executable, "-m", "lin", "log", *words], check=True)
"""


def test_from_inside_a_program(lin, built: Path):
    (built / "note.txt").write_text("well done")
    assert lin("run", "--", sys.executable, "-c", PROGRAM).code == 0
    run = lin("runs", "--limit", 1, "--json").json()[0]
    assert run["params"] == {"alpha": "0.1", "formula": "y=x", "a": "1", "b": "x=y"}
    assert run["metrics"] == {"rmse": 4.7, "r2": -0.5, "low": -2.0, "odd": "NaN"}
    assert run["tags"] == {"team": "risk"}
    assert [(artifact["path"], artifact["bytes"]) for artifact in run["artifacts"]] == [("notes/one.txt", 9)]


def test_from_a_shell_script_and_a_makefile(lin, built: Path):
    command = f"{sys.executable} -m lin log"
    (built / "step.sh").write_text(f"{command} param by shell && cd / && {command} metric shell=1\n")
    (built / "Makefile").write_text(f"all:\n\t{command} tag by=make\n\tsh step.sh\n")
    assert lin("run", "--", "make").code == 0
    run = lin("runs", "--limit", 1, "--json").json()[0]
    assert (run["params"], run["metrics"], run["tags"]) == ({"by": "shell"}, {"shell": 1.0}, {"by": "make"})


def test_it_is_on_disk_when_the_command_returns(built: Path):
    """Every write and every fsync of the process, in order, by file: the log's last line is followed by its fsync."""
    project = open_project(built)
    run = begin_run(project, capture(project), kind="program", name="open")
    code = f"""
import os, sys
calls, fsync, write = [], os.fsync, os.write
def name(descriptor):
    return os.path.basename(os.readlink(f"/proc/self/fd/{{descriptor}}"))
os.fsync = lambda descriptor: (calls.append(("fsync", name(descriptor))), fsync(descriptor))[1]
os.write = lambda descriptor, data: (calls.append(("write", name(descriptor))), write(descriptor, data))[1]
from lin.cli.main import main
try:
    main(["log", "metric", "m", "1", "--run", {run.id!r}])
finally:
    print(calls)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=built, capture_output=True, text=True, check=True)
    own = f"[('write', 'log.jsonl'), ('fsync', 'log.jsonl'), ('fsync', '{run.id}')]\n"
    assert done.stdout == own
    run.seal("finished")


def test_what_is_no_pair_is_told(lin, monkeypatch):
    monkeypatch.setenv("LIN_RUN", "0" * 12 + "7" + "0" * 19)
    for words, told in (
        (["metric", "rmse"], "'rmse' is not NAME=VALUE"),
        (["metric", "rmse", "1", "2"], "'rmse' is not NAME=VALUE"),
        (["metric", "a=1", "b"], "'b' is not NAME=VALUE"),
        (["metric", "rmse=1", "--stepp", "3"], "there is no option '--stepp'"),
        (["param"], "missing argument"),
    ):
        result = lin("log", *words)
        assert (result.code, result.out) == (2, "")
        assert told in result.err


def test_outside_a_run_it_says_so(lin):
    result = lin("log", "metric", "rmse=1")
    assert (result.code, result.out) == (2, "")
    assert result.err == ("error: which run? This is not inside `lin run -- CMD` (hint: --run RUN, or set LIN_RUN)\n")


def test_a_run_that_has_ended_takes_nothing(lin):
    result = lin("log", "tag", "team", "risk", "--run", "last")
    run = lin("runs", "--limit", 1, "--json").json()[0]["id"]
    assert (result.code, result.out) == (2, "")
    assert result.err == f"error: run {run} has ended: nothing can be logged to it any more (hint: lin runs)\n"


def test_a_run_that_is_not_there(lin, built: Path, monkeypatch):
    missing = "0" * 12 + "7" + "0" * 19
    monkeypatch.setenv("LIN_RUN", missing)
    monkeypatch.setenv("LIN_STORE", os.fspath(built / ".lin"))
    result = lin("log", "tag", "team=risk")
    assert (result.code, result.err) == (10, f"error: there is no run {missing} in this store (hint: lin runs)\n")
