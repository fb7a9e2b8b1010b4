import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import msgspec
import pytest
from inline_snapshot import snapshot

from lin.cli.fits import view_sweep
from lin.cli.printing import emit
from lin.numbers import Real
from lin.project import open_project
from lin.runs.query import list_runs


def test_an_experiment_is_ranked_by_its_first_metric(lin):
    result = lin("run", "housing", "-P", "alpha=0.1,5", "--table-version", 0)
    assert result.text == snapshot("""\
run       fit                 rmse           r2
########  Ridge alpha=0.1  1.96593     0.884604
########  Ridge alpha=5    1.97356     0.883706
########  Lasso alpha=0.1  1.98835     0.881956
########  Lasso alpha=5    5.81078  -0.00815331
on housing@0, 506 rows, those where medv is not null
next: lin register ######## NAME
""")
    assert result.err == snapshot("""\
1/4 Ridge alpha=0.1: rmse 1.96593 r2 0.884604
2/4 Ridge alpha=5: rmse 1.97356 r2 0.883706
3/4 Lasso alpha=0.1: rmse 1.98835 r2 0.881956
4/4 Lasso alpha=5: rmse 5.81078 r2 -0.00815331
""")
    assert result.code == 0


def test_json_is_the_list_of_its_runs(lin):
    result = lin("run", "-P", "alpha=2", "--json")
    ridge, lasso = result.json()
    assert (ridge["name"], lasso["name"]) == ("Ridge alpha=2", "Lasso alpha=2")
    assert ridge["metrics"].keys() == {"rmse", "r2"}
    assert ridge["sweep"] == lasso["sweep"]
    assert [json["id"] for json in lin("runs", "--limit", 2, "--json").json()] == [lasso["id"], ridge["id"]]


def test_a_program_keeps_its_output_and_its_exit_code(lin):
    program = "import sys; print('to out'); print('to err', file=sys.stderr); sys.exit(3)"
    result = lin("run", "--", sys.executable, "-c", program)
    assert (result.code, result.out) == (3, "to out\n")
    run = lin("runs", "--limit", 1, "--json").json()[0]
    assert result.err == f"to err\nrun {run['id'][-8:]}: failed, exit code 3\n"
    assert (run["status"], run["exit_code"]) == ("failed", 3)


def test_a_program_may_have_options_like_ours(lin):
    result = lin("run", "--json", "--", "echo", "--json", "--help")
    run = result.json()
    assert run["command"] == ["echo", "--json", "--help"]
    assert result.err == "--json --help\n"


def test_data_that_a_model_wrote_is_warned_of_once_for_a_sweep(lin):
    warnings = [text for text in lin("run", "housing").err.splitlines() if "warning" in text]
    told = (
        "173 of 506 values of the target medv in housing@1 were written by boston@1 (housing@1, by ann, run ########)"
    )
    assert [hide_ids(text) for text in warnings] == [f"warning: {told}"]
    runs = lin("runs", "--limit", 3, "--json").json()
    assert [run["predicted"][0]["rows"] for run in runs] == [173] * 3
    lin("restore", "housing", "--version", 0)
    assert "warning" not in lin("run", "housing").err
    assert lin("runs", "--limit", 1, "--json").json()[0]["predicted"] == []


def test_a_program_that_read_such_data_is_warned_of_too(lin, built: Path):
    program = f"from deltalake import DeltaTable; DeltaTable({str(built / 'data' / 'housing')!r}).to_pyarrow_table()"
    words = ["run", "--", sys.executable, "-c", program]
    told = (
        "173 of 506 values of the column medv in housing@1 were written by boston@1 (housing@1, by ann, run ########)"
    )
    assert f"warning: {told}\n" in hide_ids(lin(*words).err)
    (built / "read.py").write_text(program)
    with (built / "lineage.toml").open("a") as file:
        file.write(f"\n[experiments.reading]\ncommand = '{sys.executable} read.py {{n}}'\nparams = {{ n = [1, 2] }}\n")
    assert hide_ids(lin("run", "reading").err).count(told) == 1


def test_failed_fits_come_last_and_make_the_exit_code(lin, built: Path):
    toml = (built / "lineage.toml").read_text()
    (built / "lineage.toml").write_text(toml.replace("alpha = [1.0, 0.1]", "alpha = [-1.0, 0.1]"))
    result = lin("run", "housing")
    assert result.text.replace("a float in the range [0.0, inf) or an array-like", "…") == snapshot("""\
run       fit                 rmse        r2
########  Ridge alpha=0.1  1.75411  0.856701
########  Lasso alpha=0.5  1.92478   0.82746
run       fit               status  error
########  Ridge alpha=-1.0  failed  The 'alpha' parameter of Ridge must be …. Got -1.0 instead.
on housing@1, 506 rows, those where medv is not null
next: lin register ######## NAME
""")
    _, progress, warning, *_ = result.err.splitlines()
    assert progress == "1/3 Ridge alpha=-1.0: failed"
    assert warning.startswith("warning: Ridge alpha=-1.0: The 'alpha' parameter of Ridge must be")
    assert result.code == 13


def declare(built: Path, name: str, program: str, params: str) -> None:
    (built / f"{name}.py").write_text(program)
    with (built / "lineage.toml").open("a") as file:
        file.write(f'\n[experiments.{name}]\ncommand = "{sys.executable} {name}.py {{x}}"\nparams = {{ {params} }}\n')


def test_programs_at_once_are_shown_by_a_line_each(lin, built: Path):
    program = "import sys, lin; x = int(sys.argv[1]); print('noise'); lin.log_metric('rmse', x); sys.exit(x % 2)"
    declare(built, "program", program, "x = [4, 3, 2]")
    result = lin("run", "program", "--jobs", 2)
    assert result.text == snapshot("""\
run       fit          rmse
########  program x=2     2
########  program x=4     4
run       fit          status  error
########  program x=3  failed  exit code 1
""")
    lines = result.err.splitlines()
    assert [text.partition(" ")[0] for text in lines if text[0].isdigit()] == ["1/3", "2/3", "3/3"]
    assert sorted(text.partition(" ")[2] for text in lines) == [
        "program x=2: rmse 2",
        "program x=3: exit code 1",
        "program x=3: rmse 3",
        "program x=4: rmse 4",
    ]
    assert result.code == 13

    again = lin("run", "program", "--resume")
    assert (again.out, again.code) == (result.out, 13)
    sweep = lin("runs", "--limit", 1, "--json").json()[0]["sweep"]
    assert again.err == f"sweep {sweep} is complete: there is nothing to resume\n"


def test_what_is_for_experiments_is_not_for_programs_and_what_does_not_fit_is_not_resumed(lin):
    for words in (["housing"], ["--resume"], ["--jobs", 2], ["--table-version", 0], ["-P", "a=1"]):
        result = lin("run", *words, "--", "true")
        assert result.code == 2
        assert result.err.startswith("error: an experiment or a program, not both")
    result = lin("run", "-P", "alpha=7", "--resume")
    assert result.code == 2
    assert result.err.endswith(
        " cannot be resumed: it has a point that this grid has not: Ridge alpha=1.0 "
        "(hint: ask for what it was asked for, or begin a new one: lin run housing)\n"
    )


def test_what_a_program_opens_is_recorded_unless_told_otherwise(lin):
    program = (sys.executable, "-c", "open('housing.csv').read()")
    inputs = []
    for options in ((), ("--no-capture",)):
        assert lin("run", *options, "--", *program).code == 0
        inputs.append([read["path"] for read in lin("runs", "--limit", 1, "--json").json()[0]["inputs"]])
    assert inputs == [["housing.csv"], []]


def test_of_many_points_the_best_and_some_failures_are_shown(built: Path, capsys: pytest.CaptureFixture[str]):
    store = open_project(built).store
    runs = [run for run in list_runs(store).runs if run.sweep]
    many = [
        msgspec.structs.replace(
            runs[0],
            id=f"{number:032}",
            name=f"Ridge alpha={number}",
            status="failed" if number % 5 == 0 else "finished",
            error="too much" if number % 5 == 0 else None,
            metrics={} if number % 5 == 0 else {"rmse": Real(500 - number)},
        )
        for number in range(500)
    ]
    emit(many, view_sweep, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["run       fit              rmse", "00000499  Ridge alpha=499     1"]
    assert lines[20:23] == [
        "00000476  Ridge alpha=476    24",
        "run       fit             status  error",
        "00000000  Ridge alpha=0   failed  too much",
    ]
    assert lines[42:] == [
        f"20 best of 400, 20 failed of 100; all: lin runs --where \"sweep = '{runs[0].sweep}'\"",
        "on housing@0, 506 rows, those where medv is not null",
        "next: lin register 00000499 NAME",
    ]


def test_a_terminal_gets_a_table_that_lives(built: Path):
    declare(
        built, "slow", "import sys, time, lin; lin.log_metric('rmse', 2); time.sleep(int(sys.argv[1]))", "x = [0, 1]"
    )
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "lin", "run", "slow"]
    with subprocess.Popen(command, cwd=built, env=environment, stdout=subprocess.DEVNULL, stderr=theirs) as child:
        os.close(theirs)
        got = b""
        with contextlib.suppress(OSError):  # Linux says so when the last writer has closed the terminal
            while chunk := os.read(ours, 1 << 16):
                got += chunk
        os.close(ours)
    assert child.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", got.decode())
    assert re.search(r"done +failed +running +elapsed +best so far *\r\n +1/2 +0 +1 +0:0\d +slow x=0: rmse 2", text)


def hide_ids(text: str) -> str:
    return re.sub(r"\b[0-9a-f]{8}\b", "########", text)
