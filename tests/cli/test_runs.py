from inline_snapshot import snapshot


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
            "host", 'peak_memory_bytes']
    )
    assert run["params"] == snapshot({"alpha": 0.1, "estimator": "sklearn.linear_model.Ridge", "random_state": 567248})
    assert run["metrics"].keys() == {"rmse", "r2"}
    assert len(run["id"]) == 32
