import math
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from lin.cli.run_view import BLOCKS, sparkline
from lin.events import Delete, Gate, Placed, Refuse, Register, Rollback, Stage
from lin.ids import new_id
from lin.models.talk import comment
from lin.project import open_project
from lin.runs.record import begin_run, capture


def test_a_table_version(lin):
    result = lin("show", "housing@0", "--sample", 2)
    assert result.text == snapshot("""\
housing@0: 506 rows, 00.0 kB in 1 file
CREATE TABLE, 0000-00-00 00:00:00 UTC, run ########

column  type    nulls     min    max
ID      long        0       1    506
crim    double      0  -2.714  2.552
rm      double      0  -3.445  2.631
lstat   double      0  -2.728  3.025
medv    double    173     6.8   35.2

ID    crim      rm   lstat  medv
 1  -0.256   0.511  -0.226  null
 2   -0.93  -0.213   1.112  null
""")
    assert (result.code, result.err) == (0, "")


def test_a_run(lin):
    text = lin("show", "last").text
    assert [line for line in text.splitlines() if not line.startswith(("environment", "host"))] == snapshot(
        [
            "run ################################: Ridge",
            "status       finished, 0.00 s",
            "started      0000-00-00 00:00:00 UTC by ann on HOST",
            "source       2 files (############)",
            "read         housing@1, 506 rows, pin ############",
            "models       boston@2",
            "feedback     173 of 506 values of the target medv in housing@1 were written by boston@1 (housing@1)",
            "feedback     boston@1 is this model itself, an older version",
            "",
            "param         value",
            "estimator     sklearn.linear_model.Ridge",
            "random_state  1",
            "",
            "metric  value",
            "mae     1.09080… ",
            "r2      0.89615… ",
            "rmse    1.63747… ",
            "",
            "artifact              kind      size",
            "golden.parquet        table  00.0 kB",
            "model/model.skops     model   0.0 kB",
            "prediction_error.png  image  00.0 kB",
            "predictions.parquet   table   0.0 kB",
            "residuals.png         image  00.0 kB",
        ]
    )


def test_a_model_version_is_shown_with_its_run(lin):
    text = lin("show", "boston@1").text
    assert text.split("\n\n")[0] == snapshot("""\
boston@1
stage        production
registered   0000-00-00 00:00:00 UTC by ann
description  the first
file         model/model.skops, sha256 ############
golden       506 rows kept (############)
moved to     production, 0000-00-00 00:00:00 UTC by ann\
""")
    assert "Ridge alpha=1.0\n" in text
    assert "alpha         1.0\n" in text


def test_a_model_by_its_name_alone_is_all_that_was_said_and_the_list_of_its_versions(lin):
    assert lin("show", "boston").out == "boston: 2 versions\n\n" + lin("models").out
    for words in (
        ["comment", "boston", "--description", "prices of houses\nin Boston"],
        ["alias", "boston@1", "champion"],
        ["tag", "boston", "team=risk"],
        ["comment", "boston", "fine"],
        ["grant", "boston", "bob", "owner"],
        ["tag", "boston", "team=fraud"],
    ):
        lin(*words)
    result = lin("show", "boston")
    told, versions = result.out.split("\n\n")
    assert versions == lin("models").out
    assert blotted(told) == snapshot("""\
boston: 2 versions
description  prices of houses
             in Boston
aliases      champion is boston@1
tags         team=risk
owner        bob
comment      0000-00-00 00:00:00 UTC by ann: fine
refused      0000-00-00 00:00:00 UTC by ann: ann may not tag boston with team: that takes the role promoter for model\
 'boston', and ann is reader\
""")


def test_a_version_tells_what_became_of_it(lin, built: Path, monkeypatch):
    gates = [Gate(gate="metrics.rmse < 6", passed=True, evidence="it is 4.9")]
    gates += [Gate(gate="no feedback", passed=False, evidence="173 rows")]
    events = open_project(built).store.events
    for change in (
        Refuse(
            model="boston", version=2, action="move boston@2 to production", why="not passed: no feedback", gates=gates
        ),
        Stage(
            model="boston", version=2, stage="production", archived=[1], reason="it is due", gates=gates, forced=True
        ),
        Rollback(model="boston", stages=[Placed(version=2, stage="none")], reason="too early"),
    ):
        events.append(lambda _, change=change: change, actor="ann", op_id=new_id(), now=datetime.now(UTC))
    lin("alias", "boston@2", "champion")
    lin("tag", "boston@2", "team=risk")
    lin("comment", "boston@2", "fine")
    monkeypatch.setenv("LIN_ACTOR", "bob")
    lin("approve", "boston@2", "-m", "looked at it")
    assert lin("show", "boston@2").text.split("\n\n")[0] == snapshot("""\
boston@2
stage       none
registered  0000-00-00 00:00:00 UTC by ann
aliases     champion
tags        team=risk
file        model/model.skops, sha256 ############
golden      506 rows kept (############)
FORCED to   production, 0000-00-00 00:00:00 UTC by ann: it is due
            passed: metrics.rmse < 6; it is 4.9
            failed: no feedback; 173 rows
back in     none, 0000-00-00 00:00:00 UTC by ann: too early
approved    0000-00-00 00:00:00 UTC by bob: looked at it
comment     0000-00-00 00:00:00 UTC by ann: fine
refused     to move boston@2 to production, 0000-00-00 00:00:00 UTC by ann: not passed: no feedback
            failed: no feedback; 173 rows\
""")


def test_of_many_comments_the_newest_are_told(lin, built: Path):
    project = open_project(built)
    for number in range(23):
        comment(project, "boston@1", f"comment {number}")
    text = lin("show", "boston@1").out
    assert [number for number in range(23) if f": comment {number}\n" in text] == list(range(3, 23))
    assert "             and 3 older; --json has all\n" in text
    assert len(lin("show", "boston@1", "--json").json()["version"]["comments"]) == 23


def test_a_model_as_of_a_moment(lin, built: Path):
    events = open_project(built).store.events.read()
    lin("alias", "boston@2", "production-to-be")
    lin("comment", "boston@1", "said later")
    before, first, _ = (event.time.isoformat() for event in events)
    result = lin("show", "boston@1", "--as-of", before)
    assert "stage        none\n" in result.out
    assert "said later" not in result.out
    assert result.err.endswith(" UTC: 1 of 5 events\n")
    assert lin("show", "boston", "--as-of", before).out.startswith("boston: 1 version\n")
    assert lin("show", "boston@production", "--as-of", first, "--json").json()["version"]["version"] == 1
    for reference, says in (
        ("boston@production", "no version of model 'boston' is in production (hint: lin show boston)"),
        ("boston@2", "model 'boston' has no version 2; it has 1 (hint: lin show boston)"),
        ("boston@production-to-be", "'production-to-be' is neither a version, nor a stage, nor an alias"),
    ):
        result = lin("show", reference, "--as-of", before)
        assert (result.code, result.out) == (10, "")
        assert result.err.startswith("error: at 20")
        assert says in result.err


def test_an_unsafe_version_says_so(lin, built: Path):
    run = open_project(built).store.events.read()[0].change.run
    pickled = Register(model="old", version=1, run=run, artifact="model/model.pkl", sha256="0" * 64)
    events = open_project(built).store.events
    events.append(lambda _: pickled, actor="eve", op_id=new_id(), now=datetime.now(UTC))
    assert "unsafe      its file runs code when it is loaded\n" in lin("show", "old@1").out


def test_json_is_the_whole_record(lin):
    table = lin("show", "housing@0", "--sample", 1, "--json").json()
    assert table["sample"] == [{"ID": 1, "crim": -0.256, "rm": 0.511, "lstat": -0.226, "medv": None}]
    assert [(column["name"], column["nulls"]) for column in table["columns"]][-1] == ("medv", 173)
    card = lin("show", "boston@2", "--json").json()
    assert card["version"]["version"] == 2
    assert card["run"]["feedback"][0]["model"] == "boston@1"


def test_a_program(lin):
    lin("run", "--name", "a program", "--", "sh", "-c", "exit 3")
    lines = lin("show", "a program").text.splitlines()
    assert lines[0] == "run ################################: a program"
    assert lines[1].startswith("status       failed, 0.00 s, exit code 3")
    assert "command      sh -c 'exit 3'" in lines


def blotted(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "0000-00-00 00:00:00", text)


def record_curves(folder: Path) -> str:
    """A run whose metrics have one point, three of which one is no number, and none that is one."""
    project = open_project(folder)
    run = begin_run(project, capture(project), kind="program", name="curves")
    run.log_metric("one", 1.5)
    for step, value in enumerate((1.0, math.nan, 8.0)):
        run.log_metric("three", value, step=step)
        run.log_metric("none", -math.inf, step=step)
    run.seal("finished")
    return run.id


def test_metrics_with_several_points_have_a_course(lin, built: Path):
    record_curves(built)
    assert lin("show", "curves").text.split("\n\n")[1] == snapshot("""\
metric  value  course  points  gaps  min  max
none    -inf   ↓↓↓          3     3
one     1.5
three   8.0    ▁×█          3     1    1    8
""")
    curves = lin("show", "curves", "--json").json()["curves"]
    assert curves["three"] == {
        "points": 3,
        "not_finite": 1,
        "first_step": 0,
        "last_step": 2,
        "first": 1.0,
        "last": 8.0,
        "least": 1.0,
        "greatest": 8.0,
        "course": [1.0, "NaN", 8.0],
    }
    assert (curves["none"]["least"], curves["none"]["last"]) == (None, "-Infinity")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(), min_size=1, max_size=60), st.integers(1, 50))
def test_a_sparkline_has_a_sign_for_each_part(values: list[float], width: int):
    line = sparkline(values, width)
    assert len(line) == min(len(values), width)
    assert set(line) <= {*BLOCKS, "×", "↑", "↓"}
    if width >= len(values):
        finite = [value for value in values if math.isfinite(value)]
        spread = bool(finite) and max(finite) / 2 > min(finite) / 2
        assert (BLOCKS[0] in line and BLOCKS[-1] in line) == spread
        assert [sign in "×↑↓" for sign in line] == [not math.isfinite(value) for value in values]


def test_sparklines():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 40) == BLOCKS
    assert sparkline([5.0, 5.0], 40) == "▄▄"
    assert sparkline([0.0, 2.0, 4.0, 4.0], 2) == "▁█"
    assert sparkline([1.7e308, -1.7e308], 40) == "█▁"


def test_a_deleted_run_is_shown_and_says_so(lin, built: Path):
    run = record_curves(built)
    project = open_project(built)
    now = datetime.now(UTC)
    project.store.events.append(lambda _: Delete(run=run, reason="bad"), actor="ann", op_id=new_id(), now=now)
    assert "deleted      on 0000-00-00 00:00:00 UTC by ann: bad" in lin("show", run).text
    assert lin("show", run, "--json").json()["deletion"]["reason"] == "bad"


def test_a_run_is_shown_although_its_blobs_and_its_log_are_damaged(lin, built: Path):
    run = record_curves(built)
    shutil.rmtree(built / ".lin" / "blobs")
    (log,) = (built / ".lin" / "runs").glob(f"*/{run}/log.jsonl")
    from lin.store.runs import _with_checksum

    log.write_bytes(_with_checksum(b'{"type":"unheard of"}\n'))
    result = lin("show", "curves")
    assert result.code == 0
    text = result.out
    assert "source       cannot be read: blobs/" in text
    assert "environment  cannot be read: blobs/" in text
    assert "curves       not known: the log is damaged" in text
    assert lin("show", "curves", "--json").json()["curves"] is None


def test_a_run_is_shown_without_the_libraries_of_data(built: Path):
    run = record_curves(built)
    code = "import sys\nfrom lin.cli.main import main\ntry:\n main(sys.argv[1:])\nfinally:\n print(*sys.modules)"
    words = [sys.executable, "-c", code, "show", run[-8:]]
    modules = set(subprocess.run(words, cwd=built, capture_output=True, check=True, text=True).stdout.split())
    assert not modules & {
        "duckdb",
        "pyarrow",
        "deltalake",
        "pandas",
        "numpy",
        "matplotlib",
        "lin.data.summary",
    }


def test_a_table_at_a_time(lin):
    imported, filled = (entry["time"] for entry in lin("history", "housing", "--json").json())
    assert lin("show", "housing", "--as-of", imported, "--json").json()["version"] == 0
    result = lin("show", "housing", "--as-of", filled, "--sample", 0)
    assert result.out.startswith("housing@1: 506 rows")
    shown = filled[:19].replace("T", " ")
    assert result.err.endswith(f" UTC is version 1 (written {shown} UTC)\n")
    assert lin("show", "housing", "--as-of", "now", "--json").json()["version"] == 1


def test_a_time_that_cannot_be_shown(lin):
    for words, code, says in (
        ("housing --as-of 1999-01-01", 10, "has no version as old as 1999-01-01 23:59:59 UTC: its log tells the times"),
        ("housing --as-of tomorrow", 2, "'tomorrow' is not a time (hint: write it as 2026-11-22, "),
        ("housing --as-of 9999-01-01", 2, "'9999-01-01' is in the future"),
        ("housing@1 --as-of now", 2, "'housing@1' is a version already"),
        ("boston --as-of 1999-01-01", 10, "at 1999-01-01 23:59:59 UTC, there is no model 'boston'; registered: none"),
        ("boston@1 --as-of 1999-01-01", 10, "at 1999-01-01 23:59:59 UTC, there is no model 'boston'"),
        ("nowhere@1 --as-of 1999-01-01", 10, "there is no table or model 'nowhere'"),
        ("model:nowhere --as-of 1999-01-01", 10, "there is no model 'nowhere'; registered: boston"),
        ("last --as-of now", 2, "'last' is a run, which is always the same"),
    ):
        result = lin("show", *words.split())
        assert (result.code, result.out) == (code, "")
        assert says in result.err
