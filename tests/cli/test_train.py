from inline_snapshot import snapshot


def test_fits_ad_hoc(lin):
    result = lin(
        *("train", "--table", "housing@0", "--target", "medv", "--rows", "medv is not null", "--seed", 567248),
        *("--model", "sklearn.linear_model.Ridge", "-P", "alpha=1,0.1", "--metrics", "rmse", "--features", "rm,lstat"),
        *("--jobs", 2),
    )
    assert result.text == snapshot("""\
run       fit                 rmse
########  Ridge alpha=0.1  2.16511
########  Ridge alpha=1    2.16681
on housing@0, 506 rows, those where medv is not null
next: lin register ######## NAME
""")
    assert sorted(text.partition(" ")[2] for text in result.err.splitlines()) == snapshot(
        ["Ridge alpha=0.1: rmse 2.16511", "Ridge alpha=1: rmse 2.16681"]
    )
    assert result.code == 0


def test_several_estimators_make_a_pipeline(lin):
    run = lin(
        *("train", "--table", "housing", "--target", "medv", "--json"),
        *("--model", "sklearn.preprocessing.StandardScaler", "--model", "sklearn.linear_model.Ridge"),
    ).json()[0]
    assert run["name"] == "StandardScaler + Ridge"
    assert run["features"] == ["crim", "rm", "lstat"]


def test_a_model_that_skops_cannot_store_is_kept_as_a_pickle(lin):
    words = ("train", "--table", "housing@0", "--target", "medv", "--rows", "medv is not null", "--metrics", "rmse")
    words += ("--model", "sklearn.cluster.Birch", "--model", "sklearn.linear_model.Ridge")
    failed = lin(*words)
    assert failed.code == 13
    assert failed.err.splitlines()[1].split(" (") == snapshot(
        [
            "warning: Birch + Ridge: skops cannot store this Pipeline: Objects of type Birch are not supported yet.",
            "hint: --pickle, or pickle = true of the experiment, keeps it as a file that runs code when it is loaded)",
        ]
    )
    result = lin(*words, "--pickle", "--json")
    (run,) = result.json()
    assert result.code == 0
    assert result.err.splitlines()[1:] == [
        f"warning: unsafe: kept as pickles, which run code when they are loaded: the models of {run['id'][-8:]}"
    ]
    assert {each["path"] for each in run["artifacts"]} >= {"model/model.pkl", "golden.parquet"}
    assert run["fit"]["pickle"]


def test_data_that_a_model_wrote_is_warned_of(lin):
    result = lin("train", "--table", "housing", "--target", "rm", "--model", "sklearn.linear_model.Ridge")
    assert "warning: 173 of 506 values of the feature medv in housing@1 were written by boston@1" in result.err
    assert lin("runs", "--limit", 1, "--json").json()[0]["predicted"][0]["role"] == "feature"


def test_a_re_run_knows_what_the_run_knew_of_its_data(lin):
    lin("rerun", "boston@2")
    rerun = lin("runs", "--limit", 1, "--json").json()[0]
    assert rerun["parent"] is not None
    assert [(each["written"], each["rows"]) for each in rerun["predicted"]] == [(1, 173)]
