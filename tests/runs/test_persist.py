"""Model files: canonical bytes across processes, exact predictions after loading, and refusals of crafted files."""

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, SplineTransformer
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from lin.errors import OutsideError, UsageError
from lin.runs.archive import canonical, read_archive, write_archive
from lin.runs.persist import PICKLED_MODEL, dump_model, inspect_model, load_model, pickle_model
from lin.runs.trust import Trust

RNG = np.random.RandomState(0)
X = RNG.rand(60, 3)
Y = X @ [1.0, 2.0, 3.0]
LABELS = np.where(Y.mean() < Y, "yes", "no")

ZOO = """
import hashlib, json, numpy as np, pandas as pd
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import *
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import *
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, SplineTransformer, StandardScaler
from sklearn.svm import SVC, SVR
from lin.runs.persist import dump_model, load_model

rng = np.random.RandomState(0)
X = pd.DataFrame(rng.rand(60, 3), columns=list("abc"))
mixed = X.assign(word=rng.choice(["x", "y", "z"], 60))
text = mixed.word + " of " + rng.choice(["one", "two"], 60)
y = X.a + 2 * X.b
label = pd.Series(np.where(y > y.mean(), "yes", "no"))
three = pd.Series(np.digitize(y, [1, 2]))
columns = ColumnTransformer([("n", StandardScaler(), list("abc")), ("w", OneHotEncoder(), ["word"])])
zoo = [
    (Ridge(), X, y), (LassoCV(cv=3), X, y), (ElasticNetCV(cv=3), X, y), (LogisticRegression(), X, label),
    (make_pipeline(columns, Ridge()), mixed, y), (make_pipeline(columns, LogisticRegression()), mixed, three),
    (make_pipeline(PolynomialFeatures(), SelectKBest(f_regression, k=3), Ridge()), X, y),
    (make_pipeline(SplineTransformer(), Ridge()), X, y),
    (make_pipeline(TfidfVectorizer(stop_words=["of"]), LogisticRegression()), text, label),
    (RandomForestRegressor(5, random_state=0), X, y),
    (RandomForestClassifier(5, random_state=np.random.RandomState(3)), X, label),
    (GradientBoostingRegressor(n_estimators=5, random_state=0), X, y),
    (GradientBoostingClassifier(n_estimators=5, random_state=0), X, three),
    (HistGradientBoostingRegressor(max_iter=5, random_state=0), X, y),
    (HistGradientBoostingClassifier(max_iter=5, categorical_features=["word"], random_state=0),
     mixed.assign(word=mixed.word.astype("category")), label),
    (AdaBoostClassifier(n_estimators=5, random_state=0), X, label),
    (BaggingRegressor(n_estimators=3, max_features=2, random_state=0), X, y),
    (SVC(probability=False, random_state=0), X, three), (SVR(), X, y),
    (KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"), X, label), (KNeighborsRegressor(), X, y),
    (MLPClassifier((8,), max_iter=20, random_state=0), X, label), (GaussianNB(), X, three),
    (GaussianProcessRegressor(RBF() + WhiteKernel(), random_state=0), X, y),
    (GaussianProcessClassifier(random_state=0), X, three),
    (VotingRegressor([("a", Ridge()), ("b", Lasso())]), X, y),
    (StackingClassifier([("a", GaussianNB()), ("b", LogisticRegression())]), X, label),
    (CalibratedClassifierCV(GaussianNB(), cv=3), X, label),
    (TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1), X, y),
    (SGDClassifier(random_state=0), X, three),
]
said = {}
for number, (model, rows, target) in enumerate(zoo):
    model.fit(rows, target)
    data = dump_model(model)
    again = load_model(data)
    np.testing.assert_array_equal(model.predict(rows), again.predict(rows))
    unused = load_model(data)  # a neighbour tree counts its queries
    said[f"{number} {type(model).__name__}"] = [hashlib.sha256(data).hexdigest(), dump_model(unused) == data]
print(json.dumps(said))
"""


def test_a_model_has_the_same_bytes_in_every_process() -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", ZOO],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        for seed in ("1", "2")
    ]
    first, second = (json.loads(process.communicate()[0]) for process in processes)
    assert len(first) == 30
    assert first == second
    assert [name for name, (_, same_after_loading) in first.items() if not same_after_loading] == []


def test_bytes_do_not_depend_on_when_and_how_often_a_model_is_dumped() -> None:
    model = RandomForestRegressor(3, random_state=0).fit(X, Y)
    assert dump_model(model) == dump_model(model)
    assert dump_model(pickle.loads(pickle.dumps(model))) == dump_model(model)


def test_objects_that_were_one_stay_one() -> None:
    shared = [1.0, 2.0]
    model = Ridge().fit(X, Y)
    model.first, model.second = shared, shared
    again = load_model(dump_model(model))
    assert again.first is again.second
    assert again.first == shared


def test_sets_and_texts_come_back() -> None:
    model = Ridge().fit(X, Y)
    model.words = {"b", "a", "ü\ud800"}
    model.frozen = frozenset(["y", "x"])
    model.numbers = [float("inf"), -0.0, 2**70, None, True]
    again = load_model(dump_model(model))
    assert again.words == model.words
    assert again.frozen == model.frozen
    assert repr(again.numbers) == repr(model.numbers)


# --- what cannot be stored --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (make_pipeline(FunctionTransformer(lambda x: x), Ridge()), "cannot be found again by that name"),
        (DecisionTreeClassifier(class_weight={True: 1.0, False: 2.0}), "keys of type builtins.bool"),
    ],
)
def test_what_would_not_load_again_is_not_stored(model: Any, said: str) -> None:
    with pytest.raises(OutsideError, match=said):
        dump_model(model.fit(X, Y.mean() < Y))


def test_an_estimator_that_skops_does_not_know_is_named() -> None:
    from sklearn.cluster import Birch

    with pytest.raises(OutsideError, match="skops cannot store this Birch") as refused:
        dump_model(Birch(threshold=0.1).fit(X))
    assert refused.value.hint is not None
    assert refused.value.hint.startswith("--pickle, or pickle = true")


def test_a_class_of_the_program_itself_is_not_stored() -> None:
    code = (
        "from sklearn.linear_model import Ridge\nfrom lin.runs.persist import dump_model\n"
        "class Mine(Ridge): pass\ndump_model(Mine().fit([[1.], [2.]], [1., 2.]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "which is defined in the program itself" in done.stderr


# --- trust ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A fitted estimator of a module in the project's folder."""
    (tmp_path / "my_model.py").write_text("from sklearn.linear_model import Ridge\nclass Mine(Ridge): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from my_model import Mine

    return Mine().fit(X, Y)


def test_a_type_of_the_users_needs_trust(mine: Any) -> None:
    data = dump_model(mine)
    with pytest.raises(UsageError, match=r"does not trust: my_model\.Mine"):
        load_model(data)
    again = load_model(data, trust=Trust(types=frozenset({"my_model.Mine"})))
    np.testing.assert_array_equal(again.predict(X), mine.predict(X))


def test_what_to_type_is_named_and_opens_the_file(mine: Any) -> None:
    data = dump_model(mine)
    with pytest.raises(UsageError) as refused:
        load_model(data)
    assert refused.value.hint is not None
    assert refused.value.hint.endswith(": --trust my_model.Mine")
    whole = Trust(files=frozenset({hashlib.sha256(data).hexdigest()}))
    np.testing.assert_array_equal(load_model(data, trust=whole).predict(X), mine.predict(X))
    other = dump_model(type(mine)(alpha=2.0).fit(X, Y))
    with pytest.raises(UsageError, match=r"does not trust: my_model\.Mine"):
        load_model(other, trust=whole)


def test_a_pickle_is_loaded_only_by_its_own_bytes(tmp_path: Path) -> None:
    data = pickle_model(Canary(tmp_path / "mark"))
    digest = hashlib.sha256(data).hexdigest()
    elsewhere = Trust(types=frozenset({"builtins.open", "os.mkdir"}), files=frozenset({"0" * 64}))
    for trust in (Trust(), elsewhere):
        with pytest.raises(UsageError, match="is a pickle") as refused:
            load_model(data, path=PICKLED_MODEL, trust=trust)
        assert refused.value.hint == f"if you know who made it: --trust sha256:{digest}"
        assert not (tmp_path / "mark").exists()
    trust = Trust(files=frozenset({digest}))
    load_model(data, path=PICKLED_MODEL, trust=trust)
    assert (tmp_path / "mark").exists()


def test_a_file_is_what_its_path_says_whoever_trusts_it(tmp_path: Path) -> None:
    pickled, kept = pickle_model(Canary(tmp_path / "mark")), dump_model(Ridge().fit(X, Y))
    trust = Trust(files=frozenset(hashlib.sha256(data).hexdigest() for data in (pickled, kept)))
    with pytest.raises(OutsideError, match="is a pickle"):
        load_model(pickled, trust=trust)
    with pytest.raises(OutsideError, match="called a pickle and is none"):
        load_model(kept, path=PICKLED_MODEL, trust=trust)
    assert not (tmp_path / "mark").exists()


def test_a_pickle_that_does_not_load_is_no_bug() -> None:
    data = pickle_model(Ridge())[:-20] + b"."
    with pytest.raises(OutsideError, match="the pickled model does not load here"):
        load_model(data, path=PICKLED_MODEL, trust=Trust(files=frozenset({hashlib.sha256(data).hexdigest()})))


def test_what_cannot_be_pickled_is_named() -> None:
    with pytest.raises(OutsideError, match="this FunctionTransformer cannot be pickled"):
        pickle_model(FunctionTransformer(lambda x: x))


def test_looking_into_a_file_imports_nothing() -> None:
    data = dump_model(Ridge().fit(X, Y))
    code = (
        "import sys\nfrom lin.runs.persist import inspect_model\n"
        "print(inspect_model(sys.stdin.buffer.read()).type, 'sklearn' in sys.modules, 'skops' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout.split() == [b"sklearn.linear_model._ridge.Ridge", b"False", b"False"]


def test_a_file_says_what_made_it() -> None:
    import sklearn
    import skops

    info = inspect_model(dump_model(RandomForestRegressor(2).fit(X, Y)))
    assert (info.skops, info.sklearn) == (skops.__version__, sklearn.__version__)
    assert "sklearn.tree._tree.Tree" in info.types


# --- crafted files ----------------------------------------------------------------------------------------------------


class Canary:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def recrafted(
    data: bytes, schema: Callable[[dict[str, Any]], None] | None = None, members: dict[str, bytes] | None = None
) -> bytes:
    """The archive with its schema changed in place, and members replaced or added."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    tree = json.loads(parts["schema.json"])
    if schema:
        schema(tree)
    return zipped({**parts, "schema.json": json.dumps(tree).encode(), **(members or {})})


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def attributes(tree: dict[str, Any]) -> dict[str, Any]:
    """The attributes of the root object."""
    content: dict[str, Any] = tree["content"]["content"]
    return content


def node(loader: str, path: str, **fields: Any) -> dict[str, Any]:
    module, _, name = path.rpartition(".")
    return {"__loader__": loader, "__module__": module, "__class__": name, "__id__": 10**9, **fields}


def text(value: Any) -> dict[str, Any]:
    return node("JsonNode", "builtins.str", content=json.dumps(value), is_json=True)


@pytest.fixture(scope="module")
def ridge() -> bytes:
    return dump_model(Ridge().fit(X, Y))


def test_a_pickle_is_refused_by_name(tmp_path: Path) -> None:
    for protocol in range(6):
        data = pickle.dumps(Canary(tmp_path / "mark"), protocol=protocol)
        with pytest.raises(OutsideError, match=r"is refused|is a pickle"):
            load_model(data)
    with pytest.raises(OutsideError, match="is a pickle"):
        load_model(pickle.dumps(Ridge()))
    assert not (tmp_path / "mark").exists()


def test_a_pickle_inside_an_array_is_refused(ridge: bytes, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Canary(tmp_path / "mark")], dtype=object), allow_pickle=True)
    whole = pickle.dumps(Canary(tmp_path / "mark"))
    for content in (buffer.getvalue(), whole, zipped({"a.npy": buffer.getvalue()})):
        with pytest.raises(OutsideError, match="an array in it"):
            load_model(recrafted(ridge, members={"0.npy": content}))
    assert not (tmp_path / "mark").exists()


def test_an_array_that_claims_to_be_larger_than_it_is_is_refused(ridge: bytes) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with pytest.raises(OutsideError, match="says it has shape"):
        load_model(recrafted(ridge, members={"0.npy": buffer.getvalue() + b"12345678"}))


@pytest.mark.parametrize(
    "crafted",
    [
        node("FunctionNode", "builtins.eval"),
        node("TypeNode", "builtins.eval"),
        node("TypeNode", "os.system"),
        node("ObjectNode", "subprocess.Popen", content=None),
        node(
            "ConstructorFromReduceNode", "os.system", content=node("TupleNode", "builtins.tuple", content=[text("x")])
        ),
        node(
            "OperatorFuncNode",
            "operator.methodcaller",
            attrs=node("TupleNode", "builtins.tuple", content=[text("system")]),
        ),
        node("MethodNode", "builtins.str", content={"func": "__class__", "obj": text("x")}),
    ],
)
def test_a_type_that_nobody_trusts_is_refused(ridge: bytes, crafted: dict[str, Any]) -> None:
    with pytest.raises((UsageError, OutsideError), match=r"does not trust|is refused"):
        load_model(recrafted(ridge, lambda tree: attributes(tree).update(alpha=crafted)))


@pytest.mark.parametrize("loader", ["ListNode", "SetNode", "TupleNode", "DictNode", "ConstructorFromReduceNode"])
def test_a_trusted_type_is_not_made_from_what_the_file_chooses(ridge: bytes, loader: str) -> None:
    empty = node("ListNode", "builtins.list", content=[])
    content: Any = {} if loader == "DictNode" else []
    crafted = node(loader, "sklearn.neighbors._kd_tree.KDTree", content=content, key_types=empty)
    with pytest.raises(OutsideError, match="KDTree as a"):
        load_model(recrafted(ridge, lambda tree: attributes(tree).update(alpha=crafted)))


def test_keys_of_a_dict_are_made_by_nothing_but_key_types(ridge: bytes) -> None:
    def craft(tree: dict[str, Any]) -> None:
        kinds = node("ListNode", "builtins.list", content=[node("TypeNode", "sklearn.linear_model._ridge.Ridge")])
        attributes(tree)["alpha"] = node("DictNode", "builtins.dict", content={"x": text(1)}, key_types=kinds)

    with pytest.raises(OutsideError, match="keys of type"):
        load_model(recrafted(ridge, craft))


@pytest.mark.parametrize("name", ["../evil.npy", "/tmp/evil.npy", "a/b.npy", "0.npy\n", "evil.py", "x" * 99 + ".npy"])
def test_a_member_with_another_name_is_refused(ridge: bytes, name: str) -> None:
    with pytest.raises(OutsideError, match="unexpected member"):
        load_model(recrafted(ridge, members={name: b"x"}))


def test_a_zip_bomb_is_refused() -> None:
    members = {"schema.json": b"{}", **{f"{i}.bin": bytes(10 << 20) for i in range(10)}}
    bomb = zipped(members, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1 << 20
    with pytest.raises(OutsideError, match="times its size"):
        load_model(bomb)


def test_a_deep_schema_is_refused(ridge: bytes) -> None:
    def craft(tree: dict[str, Any]) -> None:
        value = text(1)
        for _ in range(200):
            value = node("ListNode", "builtins.list", content=[value])
        attributes(tree)["alpha"] = value

    with pytest.raises(OutsideError, match="nested deeper"):
        load_model(recrafted(ridge, craft))
    with pytest.raises(OutsideError, match=r"schema\.json cannot be read"):
        load_model(zipped({"schema.json": b"[" * 100_000}))


def test_a_number_too_long_or_a_loop_is_refused(ridge: bytes) -> None:
    long = node("JsonNode", "builtins.str", content="9" * 10_000, is_json=True)
    with pytest.raises(OutsideError, match="is refused"):
        load_model(recrafted(ridge, lambda tree: attributes(tree).update(alpha=long)))
    inner = node("ListNode", "builtins.list", content=[], __id__=77)
    loop = node("ListNode", "builtins.list", content=[inner], __id__=77)
    with pytest.raises(OutsideError, match="is refused"):
        load_model(recrafted(ridge, lambda tree: attributes(tree).update(alpha=loop)))


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04", b"hello", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(OutsideError, match="is refused"):
        load_model(data)


def test_every_cut_of_a_file_is_refused(ridge: bytes) -> None:
    for end in range(0, len(ridge), 97):
        with pytest.raises(OutsideError):
            load_model(ridge[:end])


def test_flipped_bytes_are_refused_or_load_a_ridge(ridge: bytes) -> None:
    rng = np.random.RandomState(1)
    for at in rng.randint(0, len(ridge), 150):
        data = bytearray(ridge)
        data[at] ^= 1 << rng.randint(8)
        try:
            model = load_model(bytes(data))
        except (OutsideError, UsageError):
            continue
        assert type(model) is Ridge


# --- crafted state in trusted types -----------------------------------------------------------------------------------


def with_array(data: bytes, change: Callable[[np.ndarray], None], field: str) -> bytes:
    """The archive with one change in every structured array that has `field`."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    touched = 0
    for name, content in parts.items():
        if name.endswith(".npy"):
            array = np.load(io.BytesIO(content))
            if field in (array.dtype.names or ()):
                change(array)
                buffer = io.BytesIO()
                np.save(buffer, array)
                parts[name] = buffer.getvalue()
                touched += 1
    assert touched
    return zipped(parts)


def put(field: str, row: int, value: Any) -> Callable[[np.ndarray], None]:
    def change(array: np.ndarray) -> None:
        array[field][row] = value

    return change


@pytest.mark.parametrize(
    ("model", "field", "row", "value"),
    [
        (DecisionTreeRegressor(max_depth=3), "left_child", 0, 2**40),
        (DecisionTreeRegressor(max_depth=3), "left_child", 1, 0),
        (DecisionTreeRegressor(max_depth=3), "right_child", 1, 1),
        (DecisionTreeRegressor(max_depth=3), "right_child", 0, 2),
        (DecisionTreeRegressor(max_depth=3), "left_child", 0, -5),
        (DecisionTreeRegressor(max_depth=3), "left_child", 0, -1),
        (DecisionTreeRegressor(max_depth=3), "feature", 0, 3),
        (DecisionTreeRegressor(max_depth=3), "feature", 0, -2),
        (RandomForestRegressor(3, max_depth=3), "feature", 0, 10**6),
        (GradientBoostingClassifier(n_estimators=2), "right_child", 0, 999),
        (IsolationForest(n_estimators=2), "left_child", 0, 10**12),
        (HistGradientBoostingRegressor(max_iter=2), "left", 0, 2**31),
        (HistGradientBoostingRegressor(max_iter=2), "right", 0, 0),
        (HistGradientBoostingRegressor(max_iter=2), "feature_idx", 0, 3),
        (HistGradientBoostingRegressor(max_iter=2), "feature_idx", 0, -1),
        (HistGradientBoostingRegressor(max_iter=2), "is_categorical", 0, 1),
        (KNeighborsRegressor(algorithm="kd_tree", leaf_size=5), "idx_end", 0, 10**9),
        (KNeighborsRegressor(algorithm="ball_tree", leaf_size=5), "idx_start", -1, -4),
        (KNeighborsRegressor(algorithm="kd_tree", leaf_size=5), "is_leaf", -1, 0),
    ],
)
def test_a_tree_that_points_outside_is_refused(model: Any, field: str, row: int, value: int) -> None:
    target = LABELS if isinstance(model, GradientBoostingClassifier) else Y
    if "random_state" in model.get_params():
        model.set_params(random_state=0)
    data = dump_model(model.fit(X, target))
    load_model(data)
    with pytest.raises(OutsideError, match="is refused"):
        load_model(with_array(data, put(field, row, value), field))


def crafted_attribute(model: Any, name: str, value: Any) -> bytes:
    """A file of the fitted model with one attribute replaced: what a forger would write."""
    setattr(model, name, value)
    return write_archive(canonical(read_archive(dump_model(model))))


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        (RandomForestRegressor(2), "n_features_in_", 1),
        (DecisionTreeRegressor(), "n_features_in_", 2),
        (HistGradientBoostingRegressor(max_iter=2), "n_features_in_", 1),
        (GradientBoostingClassifier(n_estimators=2), "n_trees_per_iteration_", 3),
        (SVC(), "_dual_coef_", np.zeros((1, 2))),
        (SVC(), "_n_support", np.array([2, 1], dtype=np.int32)),
        (SVC(), "_intercept_", np.zeros(0)),
        (SVC(), "n_features_in_", 1),
        (KNeighborsClassifier(algorithm="brute"), "_y", np.full(60, 99)),
        (KNeighborsClassifier(algorithm="brute"), "_y", np.zeros(2, dtype=int)),
    ],
)
def test_a_model_whose_parts_disagree_is_refused(model: Any, name: str, value: Any) -> None:
    model.fit(X, LABELS if hasattr(model, "predict_proba") or isinstance(model, SVC) else Y)
    load_model(dump_model(model))
    with pytest.raises(OutsideError, match="is refused"):
        load_model(crafted_attribute(model, name, value))


def test_a_tree_deeper_than_it_says_is_refused() -> None:
    model = DecisionTreeRegressor(random_state=0).fit(X, Y)
    model.tree_.max_depth = 1
    with pytest.raises(OutsideError, match="deep and says 1"):
        load_model(dump_model(model))


def test_a_sparse_matrix_or_spline_that_points_outside_is_refused() -> None:
    from scipy.sparse import csr_matrix

    sparse = SVC(kernel="linear").fit(csr_matrix(X), LABELS)
    load_model(dump_model(sparse))
    sparse.support_vectors_.indices[0] = 10**6
    with pytest.raises(OutsideError, match="is refused"):
        load_model(dump_model(sparse))
    spline = make_pipeline(SplineTransformer(), Ridge()).fit(X, Y)
    spline[0].bsplines_[0].k = 50
    with pytest.raises(OutsideError, match="is refused"):
        load_model(dump_model(spline))


def test_an_address_that_a_vectorizer_keeps_does_not_get_in() -> None:
    texts = ["one of two", "two of three"]
    models = [make_pipeline(CountVectorizer(stop_words=["of"]), LogisticRegression()).fit(texts, [0, 1]) for _ in "ab"]
    assert models[0][0]._stop_words_id != models[1][0]._stop_words_id
    assert dump_model(models[0]) == dump_model(models[1])


def test_strings_in_columns_come_back() -> None:
    import pandas as pd

    frame = pd.DataFrame({"word": ["x", "y", "x", None], "n": [1.0, 2.0, 3.0, 4.0]})
    columns = ColumnTransformer([("w", OneHotEncoder(handle_unknown="ignore"), ["word"])], remainder="passthrough")
    model = make_pipeline(columns, Ridge()).fit(frame, [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(load_model(dump_model(model)).predict(frame), model.predict(frame))
