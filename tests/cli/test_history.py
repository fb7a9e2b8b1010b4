from inline_snapshot import snapshot


def test_shows_who_wrote_each_version(lin):
    result = lin("history", "housing")
    assert result.text.replace("nulls of medv filled with predictions of", "predictions of") == snapshot("""\
version  time (UTC)           operation     rows  user  run       model     reason
      1  0000-00-00 00:00:00  WRITE          506  ann   ########  boston@1  predictions of boston@1
      0  0000-00-00 00:00:00  CREATE TABLE   506  ann   ########            imported from housing.csv
""")
    assert (result.code, result.err) == (0, "")


def test_json_has_the_run_and_the_model_of_each_version(lin):
    imported, filled = lin("history", "housing", "--json").json()
    assert list(imported) == snapshot(
        [
            "version",
            "time",
            "operation",
            "user",
            "run",
            "model",
            "reason",
            "rows",
            "files",
            "files_added",
            "files_removed",
            "restored",
        ]
    )
    runs = {run["name"]: run["id"] for run in lin("runs", "--all", "--json").json()}
    told = ("version", "operation", "run", "model", "rows", "user")
    assert [imported[key] for key in told] == [
        0,
        "CREATE TABLE",
        runs["housing.csv into housing"],
        None,
        506,
        "ann",
    ]
    assert [filled[key] for key in told] == [1, "WRITE", runs["boston@1 into housing.medv"], "boston@1", 506, "ann"]


def test_the_versions_that_there_were_at_a_time(lin):
    written = lin("history", "housing", "--json").json()[0]["time"]
    result = lin("history", "housing", "--as-of", written, "--json")
    assert [entry["version"] for entry in result.json()] == [0]
    assert "is version 0 (written " in result.err
