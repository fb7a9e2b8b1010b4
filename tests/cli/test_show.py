from inline_snapshot import snapshot


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
    assert [line for line in text.splitlines() if not line.startswith("environment")] == snapshot(
        [
            "run ################################: Ridge",
            "status       finished, 0.00 s",
            "started      0000-00-00 00:00:00 UTC by ann on HOST",
            "read         housing@1, 506 rows, pin ############",
            "source       2 files (############)",
            "models       boston@2",
            "feedback     housing@1 holds predictions of boston@1",
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
            "artifact              size",
            "model/model.skops     0.0 kB",
            "prediction_error.png  00.0 kB",
            "predictions.parquet   0.0 kB",
            "residuals.png         00.0 kB",
        ]
    )


def test_a_model_version_is_shown_with_its_run(lin):
    text = lin("show", "boston@1").text
    assert text.split("\n\n")[0] == snapshot("""\
boston@1
stage        production
registered   0000-00-00 00:00:00 UTC by ann
description  the first
moved to     production, 0000-00-00 00:00:00 UTC by ann\
""")
    assert "Ridge alpha=1.0\n" in text
    assert "alpha         1.0\n" in text


def test_a_model_by_its_name_alone_is_the_list_of_its_versions(lin):
    assert lin("show", "boston").out == lin("models").out


def test_json_is_the_whole_record(lin):
    table = lin("show", "housing@0", "--sample", 1, "--json").json()
    assert table["sample"] == [{"ID": 1, "crim": -0.256, "rm": 0.511, "lstat": -0.226, "medv": None}]
    assert [(column["name"], column["nulls"]) for column in table["columns"]][-1] == ("medv", 173)
    card = lin("show", "boston@2", "--json").json()
    assert card["version"]["version"] == 2
    assert card["run"]["feedback"][0]["model"] == "boston@1"


def test_a_program(lin):
    lin("run", "--name", "a program", "--", "sh", "-c", "exit 3")
    assert [line for line in lin("show", "a program").text.splitlines()[:4] if "started" not in line] == snapshot(
        [
            "run ################################: a program",
            "status       failed, 0.00 s, exit code 3",
            "command      sh -c exit 3",
        ]
    )


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
        ("boston@1 --as-of now", 2, "'boston@1' is no table: --as-of tells a version of one"),
        ("last --as-of now", 2, "'last' is no table"),
    ):
        result = lin("show", *words.split())
        assert (result.code, result.out) == (code, "")
        assert says in result.err
