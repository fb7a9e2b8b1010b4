import csv
import io
from pathlib import Path

from inline_snapshot import snapshot

from lin.cli.runs import SHOWN
from lin.project import open_project
from lin.runs.record import begin_run, capture


def test_lists_the_newest_first(lin):
    result = lin("runs")
    assert result.text == snapshot("""\
run       started (UTC)        experiment  name             read          rmse      mae        r2
########  0000-00-00 00:00:00  train       Ridge            housing@1  1.63747  1.09081   0.89615
########  0000-00-00 00:00:00  housing     Lasso alpha=0.5  housing@0  2.24842           0.849057
########  0000-00-00 00:00:00  housing     Ridge alpha=0.1  housing@0  1.96593           0.884604
########  0000-00-00 00:00:00  housing     Ridge alpha=1.0  housing@0  1.96698           0.884479
""")
    assert (result.code, result.err) == (0, "")


def test_all_shows_what_failed_and_what_wrote(lin):
    lin("run", "--", "false")
    assert lin("runs", "--all").text == snapshot("""\
run       started (UTC)        experiment  name                        status    read          rmse      mae        r2
########  0000-00-00 00:00:00  command     false                       failed
########  0000-00-00 00:00:00  train       Ridge                       finished  housing@1  1.63747  1.09081   0.89615
########  0000-00-00 00:00:00  predict     boston@1 into housing.medv  finished  housing@0
########  0000-00-00 00:00:00  housing     Lasso alpha=0.5             finished  housing@0  2.24842           0.849057
########  0000-00-00 00:00:00  housing     Ridge alpha=0.1             finished  housing@0  1.96593           0.884604
########  0000-00-00 00:00:00  housing     Ridge alpha=1.0             finished  housing@0  1.96698           0.884479
########  0000-00-00 00:00:00  import      housing.csv into housing    finished
""")


def test_filters_sorts_and_cuts(lin):
    words = ("--where", "inputs.housing = 0 and metrics.rmse < 2.2", "--sort", "metrics.rmse", "--desc", "--limit", 1)
    assert [run["name"] for run in lin("runs", *words, "--json").json()] == ["Ridge alpha=1.0"]
    assert lin("runs", "--where", "metrics.rmse < 0").out == "no runs\n"


def test_json_is_a_list_of_whole_records(lin):
    run = lin("runs", "--where", "name = 'Ridge alpha=0.1'", "--json").json()[0]
    assert list(run) == snapshot(
        [
            "id",
            "name",
            "kind",
            "status",
            "experiment",
            "sweep",
            "parent",
            "started",
            "seconds",
            "actor",
            "params",
            "metrics",
            "tags",
            "inputs",
            "outputs",
            "predicted",
            "artifacts",
            "features",
            "fit",
            "command",
            "folder",
            "reason",
            "exit_code",
            "error",
            "source",
            "environment",
            "recipe",
            "host",
            "peak_memory_bytes",
        ]
    )
    assert run["params"] == snapshot({"alpha": 0.1, "estimator": "sklearn.linear_model.Ridge", "random_state": 567248})
    assert run["metrics"].keys() == {"rmse", "r2"}
    assert len(run["id"]) == 32


# --- the fields that are asked for ------------------------------------------------------------------------------------


def test_columns_are_the_fields_that_were_asked_for(lin):
    words = ("--columns", 'name,metrics.rmse,params.alpha,inputs.housing,metrics."no such"', "--sort", "metrics.rmse")
    assert lin("runs", *words).text == snapshot("""\
name             metrics.rmse  params.alpha  inputs.housing  metrics."no such"
Ridge                 1.63747                             1
Ridge alpha=0.1       1.96593           0.1               0
Ridge alpha=1.0       1.96698             1               0
Lasso alpha=0.5       2.24842           0.5               0
""")
    assert lin("runs", *words, "--limit", 1, "--json").json() == snapshot(
        [
            {
                "name": "Ridge",
                "metrics.rmse": 1.6374743796137432,
                "params.alpha": None,
                "inputs.housing": 1,
                'metrics."no such"': None,
            }
        ]
    )


def test_csv_has_a_head_and_every_digit(lin):
    text = lin("runs", "--columns", "name,metrics.rmse,params.alpha", "--sort", "name", "--csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["name"] for row in rows] == ["Lasso alpha=0.5", "Ridge", "Ridge alpha=0.1", "Ridge alpha=1.0"]
    runs = {run["name"]: run for run in lin("runs", "--json").json()}
    assert [float(row["metrics.rmse"]) for row in rows] == [runs[row["name"]]["metrics"]["rmse"] for row in rows]
    assert [row["params.alpha"] for row in rows] == ["0.5", "", "0.1", "1.0"]


def test_csv_without_columns_has_all_that_runs_are_compared_by(lin):
    head = lin("runs", "--csv").out.splitlines()[0].split(",")
    assert {"id", "name", "started", "inputs.housing", "params.alpha", "metrics.rmse"} <= set(head)


def test_a_wrong_column_is_pointed_at(lin):
    result = lin("runs", "--columns", "name,metrix.rmse")
    assert result.code == 2
    assert "metrix" in result.err


# --- the index --------------------------------------------------------------------------------------------------------


def test_the_index_can_be_looked_at_and_made_anew(lin):
    assert lin("index").out.endswith(".lin/index: 0 runs, 6 runs to come; nothing written yet\n")
    state = lin("index", "--rebuild", "--json").json()
    assert (state["lacking"], state["files"], state["version"]) == (0, 1, 0)
    assert state["runs"] == len(lin("runs", "--all", "--json").json())
    assert lin("runs", "--where", "metrics.rmse < 1.97", "--limit", 1, "--sort", "metrics.rmse").code == 0


def test_a_long_list_is_cut_and_says_so(lin):
    project = open_project(Path.cwd())
    captured = capture(project)
    for number in range(SHOWN):
        begin_run(project, captured, kind="program", name=f"fit {number}").seal("finished")
    result = lin("runs")
    assert len(result.text.splitlines()) == 1 + SHOWN
    assert result.err == f"these are {SHOWN} of more runs: --limit 0 lists all\n"
    assert len(lin("runs", "--limit", 0).text.splitlines()) == 1 + SHOWN + 4
    assert len(lin("runs", "--json").json()) == SHOWN + 4
