import sys
from pathlib import Path

from inline_snapshot import snapshot


def test_draws_a_version_into_the_folder(lin, built: Path):
    result = lin("plot", "housing@0", "--target", "medv")
    assert result.text == snapshot("""\
housing@0.png: 000.0 kB, housing@0, 506 rows
strongest with medv: lstat -0.703 (pearson), rm 0.599 (pearson), crim -0.179 (pearson)
""")
    assert (result.code, result.err) == (0, "")
    assert (built / "housing@0.png").read_bytes().startswith(b"\x89PNG")


def test_draws_a_page(lin, built: Path):
    result = lin("plot", "housing", "--output", "look.html", "--columns", "rm, lstat")
    assert result.text == snapshot("""\
look.html: 00.0 kB, housing@1, 506 rows
""")
    page = (built / "look.html").read_text()
    assert ("<bdi>rm</bdi>" in page, "<bdi>crim</bdi>" in page) == (True, False)


def test_json_has_the_numbers(lin):
    drawn = lin("plot", "housing@0", "--target", "medv", "--sample", 100, "--json").json()
    profile = drawn["profile"]
    assert (drawn["path"], profile["rows"], profile["sampled"]) == ("housing@0.png", 506, 100)
    assert profile["target"] == {"column": "medv", "missing": 173, "classes": None}
    medv = profile["columns"][-1]
    assert (medv["name"], medv["nulls"], medv["distinct_exact"], medv["min"]) == ("medv", 173, False, 6.8)
    assert {a["column"]: a["measure"] for a in profile["associations"]} == dict.fromkeys(
        ["crim", "rm", "lstat"], "pearson"
    )


def test_draws_what_the_table_was_at_a_time(lin):
    written = lin("history", "housing", "--json").json()[0]["time"]
    result = lin("plot", "housing", "--as-of", written)
    assert result.out.startswith("housing@0.png: ")
    assert "is version 0 (written " in result.err


def test_mistakes(lin, built: Path):
    for words, code, says in (
        ("housing --target mdev", 2, "no column 'mdev' (hint: did you mean 'medv'?)"),
        ("housing --columns rm,x", 2, "no column 'x'"),
        ("housing --output a.pdf", 2, "'a.pdf' is neither a .png nor a .html (hint: --output housing.html)"),
        ("housing --sample 0", 2, "invalid value for '--sample'"),
        ("housing@0 --as-of now", 2, "'housing@0' is a version already (hint: housing --as-of TIME, or housing@0)"),
        ("housing@9", 10, "no version 9"),
        ("nothing", 10, "nothing"),
    ):
        result = lin("plot", *words.split())
        assert (result.code, result.out) == (code, "")
        assert says in result.err
    assert not list(built.glob("*.png"))


def test_draws_runs_as_points(lin, built: Path):
    result = lin("plot", "runs", "--x", "params.alpha", "--y", "metrics.rmse", "--color", "params.estimator")
    who = lin("runs", "--where", "params.alpha is null", "--json").json()[0]["id"][-8:]
    assert result.out.splitlines()[0].endswith("params.alpha, metrics.rmse, params.estimator, 3 of 4 runs")
    assert result.out.splitlines()[1:] == [f"not drawn, without params.alpha: Ridge ({who})"]
    assert (result.code, result.err) == (0, "")
    assert (built / "runs.png").read_bytes().startswith(b"\x89PNG")


def test_draws_runs_that_are_chosen_or_named(lin, built: Path):
    words = ("--x", "params.alpha", "--y", "metrics.rmse", "-o", "x.html", "--json")
    chosen = lin("plot", "runs", "--where", "metrics.rmse < 2", *words).json()
    assert (len(chosen["runs"]), len(chosen["left_out"])) == (2, 1)
    named = lin("plot", "boston@1", "Lasso alpha=0.5", *words).json()
    assert (named["kind"], len(named["runs"])) == ("scatter", 2)
    assert "Lasso alpha=0.5" in (built / "x.html").read_text()


def test_draws_curves(lin, built: Path):
    script = "for step in 1 2 3; do python -m lin log metric loss $step.5 --step $step; done"
    lin("run", "--name", "curve", "--", "sh", "-c", script.replace("python", sys.executable))
    drawn = lin("plot", "curve", "--json").json()
    assert (drawn["kind"], drawn["fields"]) == ("curves", ["metrics.loss"])
    assert drawn["path"] == f"{drawn['runs'][0][-8:]}.png"
    every = lin("plot", "runs", "--y", "metrics.loss", "-o", "x.html", "--json").json()
    assert (every["runs"], len(every["left_out"])) == (drawn["runs"], 4)
    assert "curve (" in (built / "x.html").read_text()


def test_options_that_do_not_belong_together_are_refused(lin):
    for words, says in (
        ("housing --x params.alpha", "--x belongs to the picture of runs, and this is one of a table"),
        ("last --target medv --sample 3", "--target and --sample belong to the picture of a table"),
        ("runs --as-of now --x params.alpha --y metrics.rmse", "--as-of belongs to the picture of a table"),
        ("last --where status='finished'", "--where chooses among all runs"),
        ("housing boston@1", "one table is drawn at a time"),
        ("boston", "names no version of model 'boston'"),
        ("runs --x params.alpha", "--x takes one --y"),
        ("runs --y metrics.rmse --color params.alpha", "--color colours points"),
        ("runs --y params.alpha", "'params.alpha' is no metric"),
        ("runs", "none of 4 runs has several points of any metric"),
        ("runs --x alpha --y metrics.rmse", "a run has no attribute 'alpha'"),
        ("last -o x.svg", "'x.svg' is neither a .png nor a .html"),
    ):
        result = lin("plot", *words.split())
        assert (result.code, result.out) == (2, "")
        assert says in result.err


def test_a_table_called_runs_is_told_from_the_runs(lin):
    lin("add", "runs", "housing.csv")
    assert "'runs' is a table too (hint: table:runs" in lin("plot", "runs").err
    assert lin("plot", "table:runs", "--json").json()["profile"]["table"] == "runs"
    assert lin("plot", "runs", "--x", "params.alpha", "--y", "metrics.rmse", "--json").json()["kind"] == "scatter"
