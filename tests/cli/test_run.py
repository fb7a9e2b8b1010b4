import sys
from pathlib import Path

from inline_snapshot import snapshot


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


def test_failed_fits_come_last_and_make_the_exit_code(lin, built: Path):
    toml = (built / "lineage.toml").read_text()
    (built / "lineage.toml").write_text(toml.replace("alpha = [1.0, 0.1]", "alpha = [-1.0, 0.1]"))
    result = lin("run", "housing")
    assert result.text == snapshot("""\
run       fit                  rmse        r2  status
########  Ridge alpha=0.1   1.75411  0.856701  finished
########  Lasso alpha=0.5   1.92478   0.82746  finished
########  Ridge alpha=-1.0                     failed
on housing@1, 506 rows, those where medv is not null
next: lin register ######## NAME
""")
    progress, warning, *_ = result.err.splitlines()
    assert progress == "1/3 Ridge alpha=-1.0: failed"
    assert warning.startswith("warning: Ridge alpha=-1.0: The 'alpha' parameter of Ridge must be")
    assert result.code == 13
