"""Estimators by import path: what is made, what is refused uncalled, and how values and grids are read."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import BaggingRegressor, RandomForestRegressor
from sklearn.linear_model import Lasso, Ridge
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeRegressor

from lin.errors import UsageError
from lin.runs.estimators import build_estimator, expand_grid, parse_param, with_seed

RIDGE = "sklearn.linear_model.Ridge"
SCALER = "sklearn.preprocessing.StandardScaler"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with a module of the user's."""
    (tmp_path / "my_estimators.py").write_text(
        "import os\n"
        "from sklearn.linear_model import Ridge\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "from sklearn.pipeline import make_pipeline\n"
        "class Mine(Ridge): pass\n"
        "def scaled(alpha=1.0): return make_pipeline(StandardScaler(), Ridge(alpha=alpha))\n"
        "def nothing(): return 3\n"
        "def marked(): os.mkdir('mark')\n"
    )
    (tmp_path / "my_broken.py").write_text("import not_there_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_path_and_its_parameters() -> None:
    model = build_estimator([RIDGE], {"alpha": 0.1, "fit_intercept": False})
    assert type(model) is Ridge
    assert (model.alpha, model.fit_intercept) == (0.1, False)


def test_a_parameter_of_a_part_is_set_on_it() -> None:
    model = build_estimator(["sklearn.compose.TransformedTargetRegressor"], {"check_inverse": False})
    assert model.check_inverse is False


def test_several_paths_make_a_pipeline() -> None:
    model = build_estimator([SCALER, RIDGE], {"standardscaler__with_mean": False, "ridge__alpha": 2.0})
    assert type(model) is Pipeline
    assert [name for name, _ in model.steps] == ["standardscaler", "ridge"]
    assert (model[0].with_mean, model[1].alpha) == (False, 2.0)


def test_a_bare_parameter_goes_to_the_last_step_if_it_alone_has_it() -> None:
    assert build_estimator([SCALER, RIDGE], {"alpha": 3.0})[1].alpha == 3.0
    with pytest.raises(UsageError, match="could be of standardscaler"):
        build_estimator([SCALER, RIDGE], {"with_mean": False})
    with pytest.raises(UsageError, match="could be of") as caught:
        build_estimator([SCALER, "sklearn.linear_model.Lasso"], {"copy": True, "copy_X": True, "with_std": False})
    assert "standardscaler__" in (caught.value.hint or "")


@pytest.mark.usefixtures("project")
def test_classes_and_factories_of_the_project() -> None:
    assert type(build_estimator(["my_estimators.Mine"], {"alpha": 2.0})).__name__ == "Mine"
    model = build_estimator(["my_estimators.scaled"], {"alpha": 2.0, "standardscaler__with_mean": False})
    assert (model[0].with_mean, model[1].alpha) == (False, 2.0)
    with pytest.raises(UsageError, match="makes a int, which has no method 'fit'"):
        build_estimator(["my_estimators.nothing"], {})
    with pytest.raises(UsageError, match="needs 'not_there_at_all', which is not installed"):
        build_estimator(["my_broken.Mine"], {})


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("sklearn.linear_model.Rige", "has no 'Rige'", "did you mean 'sklearn.linear_model.Ridge'?"),
        ("Ridge", "does not say which module", "did you mean 'sklearn.linear_model.Ridge'?"),
        ("RandomForestRegresor", "does not say which module", "'sklearn.ensemble.RandomForestRegressor'"),
        ("sklearn.linear.Ridge", "no module 'sklearn.linear'", "did you mean 'sklearn.linear_model.Ridge'?"),
        ("nothing_like_it.Ridge", "no module 'nothing_like_it'", "sklearn.linear_model.Ridge"),
        ("sklearn.linear_model", "is not an estimator|has no", "sklearn"),
        ("sklearn linear", "is not an import path", "sklearn.linear_model.Ridge"),
        ("..evil.Ridge", "is not an import path", "sklearn.linear_model.Ridge"),
        ("sklearn.preprocessing.StandardScaler", "does not predict", "in front of an estimator"),
        ("sklearn.impute.IterativeImputer", "experimental", None),
        ("sklearn.model_selection.GridSearchCV", "cannot be made with", None),
    ],
)
def test_a_wrong_path_names_the_nearest(path: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        build_estimator([path], {})
    assert hint is None or hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    "path",
    ["os.system", "os.mkdir", "subprocess.run", "subprocess.Popen", "builtins.eval", "shutil.rmtree", "sys.exit"],
)
def test_what_makes_no_estimator_is_never_called(path: str, project: Path) -> None:
    before = sorted(project.iterdir())
    with pytest.raises(UsageError, match="is not an estimator"):
        build_estimator([path], {"path": "mark", "command": "touch mark", "args": ["touch", "mark"]})
    assert sorted(project.iterdir()) == before


def test_an_unknown_parameter_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="has no parameter 'alhpa'") as caught:
        build_estimator([RIDGE], {"alhpa": 1.0})
    assert caught.value.hint == "did you mean 'alpha'?"
    with pytest.raises(UsageError, match="ridge__alhpa") as caught:
        build_estimator([SCALER, RIDGE], {"ridge__alhpa": 1.0})
    assert caught.value.hint == "did you mean 'ridge__alpha'?"


def test_a_step_before_the_last_must_transform() -> None:
    with pytest.raises(UsageError, match="cannot stand before another step"):
        build_estimator([RIDGE, RIDGE], {})
    with pytest.raises(UsageError, match="there is no estimator"):
        build_estimator([], {})


def test_every_random_state_that_is_open_gets_the_seed() -> None:
    forest = RandomForestRegressor()
    assert with_seed(forest, 7) == ["random_state"]
    assert forest.random_state == 7
    set_already = Lasso(random_state=3)
    assert with_seed(set_already, 7) == []
    nested = BaggingRegressor(DecisionTreeRegressor(random_state=1))
    assert with_seed(nested, 7) == ["random_state"]
    pipeline = build_estimator([SCALER, "sklearn.ensemble.RandomForestRegressor"], {})
    assert with_seed(pipeline, 7) == ["randomforestregressor__random_state"]
    assert pipeline[1].random_state == 7


def test_a_grid_is_a_product_with_the_first_key_slowest() -> None:
    assert expand_grid({"a": [1, 2], "b": "x", "c": [True, None]}) == [
        {"a": 1, "b": "x", "c": True},
        {"a": 1, "b": "x", "c": None},
        {"a": 2, "b": "x", "c": True},
        {"a": 2, "b": "x", "c": None},
    ]
    assert expand_grid({}) == [{}]
    assert expand_grid({"layers": [[10, 5]]}) == [{"layers": [10, 5]}]
    with pytest.raises(UsageError, match="'a' has an empty list"):
        expand_grid({"a": []})


@given(st.dictionaries(st.text(max_size=3), st.lists(st.integers(), min_size=1, max_size=3), max_size=4))
@settings(max_examples=30, deadline=None)
def test_a_grid_has_every_combination_once(axes: dict[str, list[int]]) -> None:
    points = expand_grid(axes)
    size = 1
    for values in axes.values():
        size *= len(values)
    assert len(points) == size
    assert all(list(point) == list(axes) for point in points)
    assert all(point[name] in axes[name] for point in points for name in axes)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("alpha=0.1,1", [0.1, 1]),
        ("alpha=-1,+2,1e-3,.5,5.", [-1, 2, 1e-3, 0.5, 5.0]),
        ("flag=true,False,null,None", [True, False, None, None]),
        ("solver=svd,lbfgs", ["svd", "lbfgs"]),
        ('solver="a,b",c', ["a,b", "c"]),
        ("solver='a,b','null'", ["a,b", "null"]),
        ("layers=[100,50],[10]", [[100, 50], [10]]),
        ('w={"a": [1, 2], "b,": "]"}', [{"a": [1, 2], "b,": "]"}]),
        ("x=don't,won't", ["don't", "won't"]),
        ('x=""', [""]),
        ("x=a=b", ["a=b"]),
        ("x=nan,inf", ["nan", "inf"]),
        ("x=007", [7]),
        (r'x="a\"b,c"', ['a"b,c']),
    ],
)
def test_values_of_a_parameter(text: str, values: list[object]) -> None:
    name, found = parse_param(text)
    assert name == text.partition("=")[0]
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    "text",
    ["alpha", "=1", "alpha=", "a=1,,2", "a=[1", 'a="x', "a=1e999", "a=" + "9" * 5000, "a=[" * 3, "a=" + "[" * 9999],
)
def test_a_value_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_param(text)


@given(st.text(max_size=40))
@settings(max_examples=50, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        _, values = parse_param(text)
    except UsageError:
        return
    assert values
