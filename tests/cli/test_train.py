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
