"""Crafted model files of trusted types: refused, and the interpreter stays alive. Each has a process of its own.

The files in `models/` crashed the process that loaded or asked them: their types are ours, their numbers are not.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.impute import KNNImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeRegressor

from lin.errors import OutsideError, UsageError
from lin.runs.archive import Archive, Node, canonical, nodes, read_archive, write_archive
from lin.runs.persist import dump_model, load_model, untrusted_types

FILES = sorted(Path(__file__).parent.joinpath("models").glob("*.skops"))
X = np.random.RandomState(0).rand(30, 3)
Y = X @ [1.0, 2.0, 3.0]
LABELS = (Y.mean() < Y).astype(int)
WORDS = np.array([["x", "y", "z", "z", "y"][i % 5] for i in range(30)], dtype=object).reshape(-1, 1)
TEXTS = [f"{word} of two" for (word,) in WORDS]

OPEN = """
import json, os, sys, warnings
import numpy as np
import skops.io, sklearn.ensemble, sklearn.feature_extraction.text, sklearn.impute, sklearn.neighbors, sklearn.svm
from lin.errors import LinError
from lin.runs.evaluate import FOREIGN
from lin.runs.persist import load_model

warnings.simplefilter("ignore")
rows = {"numbers": np.full((2, 3), 0.5), "words": np.array([["x"], ["z"]], dtype=object), "texts": ["x of two", "z"]}


def attempt(path):
    try:
        model = load_model(open(path, "rb").read())
    except LinError as error:
        return error.message
    for kind in rows.values():
        try:
            model.predict(kind)
        except FOREIGN:
            pass
    return "asked"


said = {}
for path in sys.argv[1:]:
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.write(theirs, attempt(path).encode())
        os._exit(0)
    os.close(theirs)
    status = os.waitpid(child, 0)[1]
    answer = os.read(ours, 1 << 16).decode() or "nothing"
    said[path] = answer if not status else f"ended by signal {os.WTERMSIG(status)}, said {answer}"
print(json.dumps(said))
"""


def open_each(*paths: Path) -> list[str]:
    """What comes of loading each file, and asking the model: the refusal, `asked`, or the signal that ended it."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    return [json.loads(done.stdout)[str(path)] for path in paths]


def test_no_file_that_crashed_once_gets_through():
    assert len(FILES) >= 6
    for path, said in zip(FILES, open_each(*FILES), strict=True):
        assert said.startswith("the model file is refused: "), path.name


def attribute(name: str, value: Any, step: int | None = None) -> Callable[[Any], None]:
    """Changes an attribute of a fitted model, or of a step of a pipeline."""

    def change(model: Any) -> None:
        setattr(model if step is None else model.steps[step][1], name, value)

    return change


def entry(value: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        vocabulary = model.steps[0][1].vocabulary_
        vocabulary[next(iter(vocabulary))] = value

    return change


def encoder(**options: Any) -> Any:
    return make_pipeline(OneHotEncoder(**options), Ridge()).fit(WORDS, Y)


def vectorizer(kind: Any) -> Any:
    return make_pipeline(kind, LogisticRegression()).fit(TEXTS, LABELS)


CRAFTED: list[tuple[str, Callable[[], Any], Callable[[Any], None]]] = [
    ("hasher 0", lambda: vectorizer(HashingVectorizer(n_features=16)), attribute("n_features", 0, 0)),
    ("hasher -1", lambda: vectorizer(HashingVectorizer(n_features=16)), attribute("n_features", -1, 0)),
    ("vocabulary", lambda: vectorizer(CountVectorizer()), entry(2**31 - 1)),
    ("vocabulary below", lambda: vectorizer(CountVectorizer()), entry(-(2**31))),
    (
        "dictionary",
        lambda: make_pipeline(DictVectorizer(), Ridge()).fit([{"a": 1}, {"b": 2}], [1.0, 2.0]),
        entry(10**6),
    ),
    ("fewer columns", encoder, attribute("_n_features_outs", [1], 0)),
    ("more columns", encoder, attribute("_n_features_outs", [3, 3], 0)),
    ("dropped outside", lambda: encoder(drop="first"), attribute("_drop_idx_after_grouping", np.array([-7]), 0)),
    (
        "grouped outside",
        lambda: encoder(max_categories=2),
        attribute("_default_to_infrequent_mappings", [np.array([0, 10**9, 1])], 0),
    ),
    (
        "rare outside",
        lambda: encoder(max_categories=2),
        attribute("_infrequent_indices", [np.array([-(10**9), 1])], 0),
    ),
    ("not grouped", lambda: encoder(max_categories=2), attribute("_default_to_infrequent_mappings", [None], 0)),
    ("sparse probability", lambda: SVC().fit(csr_matrix(X), LABELS), attribute("_effective_probability", True)),
    ("dense probability", lambda: SVR().fit(X, Y), attribute("_effective_probability", True)),
    ("sparse precomputed", lambda: SVC().fit(csr_matrix(X), LABELS), attribute("kernel", "precomputed")),
    (
        "imputer",
        lambda: make_pipeline(KNNImputer(), Ridge()).fit(X, Y),
        attribute("_mask_fit_X", np.zeros((0, 3), bool), 0),
    ),
]


def test_a_model_whose_numbers_lead_outside_is_refused(tmp_path: Path):
    paths = {}
    for name, make, change in CRAFTED:
        model = make()
        load_model(dump_model(model))
        change(model)
        paths[name] = tmp_path / f"{name}.skops"
        paths[name].write_bytes(write_archive(canonical(read_archive(dump_model(model)))))
    said = dict(zip(paths, open_each(*paths.values()), strict=True))
    assert {name: what for name, what in said.items() if not what.startswith("the model file is refused: ")} == {}


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_honest_models_of_these_kinds_load():
    sparse = csr_matrix(X)
    for model, rows in (
        (encoder(drop="if_binary"), WORDS),
        (encoder(drop="first", max_categories=2), WORDS),
        (encoder(min_frequency=100, handle_unknown="infrequent_if_exist"), WORDS),
        (encoder(min_frequency=7), WORDS),
        (make_pipeline(ColumnTransformer([("w", OneHotEncoder(drop=["x"]), [0])]), Ridge()).fit(WORDS, Y), WORDS),
        (vectorizer(CountVectorizer(vocabulary={"two": np.int64(0), "x": np.int64(1)})), TEXTS),
        (SVC(probability=True, random_state=0).fit(sparse, LABELS), sparse),
    ):
        np.testing.assert_array_equal(load_model(dump_model(model)).predict(rows), model.predict(rows))


# --- what skops makes before anything can be looked at ----------------------------------------------------------------


def tree_node(archive: Archive) -> Node:
    return next(node for node in nodes(archive.schema) if node["__loader__"] == "TreeNode")


def with_member(archive: Archive, name: str, array: np.ndarray) -> Archive:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return archive._replace(members={**archive.members, name: buffer.getvalue()})


def alone(archive: Archive) -> Archive:
    """The nodes of the tree as one record, no list of them."""
    name = tree_node(archive)["content"]["content"]["nodes"]["file"]
    return with_member(archive, name, np.load(io.BytesIO(archive.members[name]))[0].reshape(()))


def masked(archive: Archive) -> Archive:
    tree = tree_node(archive)["content"]["content"]
    tree["nodes"] = {
        "__class__": "MaskedArray",
        "__module__": "numpy.ma",
        "__loader__": "MaskedArrayNode",
        "__id__": 10**9,
        "content": {"data": tree["nodes"], "mask": tree["nodes"]},
    }
    return archive


def missing(archive: Archive) -> Archive:
    state = tree_node(archive)["content"]
    at = list(state["content"]).index("nodes")
    del state["content"]["nodes"], state["key_types"]["content"][at]
    return archive


def borrowed(archive: Archive) -> Archive:
    """The honest nodes under the number of another array: skops would take that one in their place."""
    archive = with_member(archive, "9.npy", np.zeros(()))
    tree = tree_node(archive)
    other = {**tree["content"]["content"]["nodes"], "file": "9.npy", "__id__": 10**9}
    tree["content"]["content"]["nodes"]["__id__"] = 10**9
    attributes = archive.schema["content"]
    first = {"a": other, **attributes["content"]}
    kinds = attributes["key_types"]["content"]
    attributes["key_types"]["content"] = [kinds[0], *kinds]
    attributes["content"] = first
    return archive


@pytest.mark.parametrize("craft", [alone, masked, missing, borrowed], ids=lambda craft: craft.__name__)
def test_a_tree_is_looked_at_before_it_is_made(tmp_path: Path, craft: Callable[[Archive], Archive]):
    honest = dump_model(DecisionTreeRegressor(random_state=0).fit(X, Y))
    path = tmp_path / "tree.skops"
    path.write_bytes(write_archive(craft(read_archive(honest))))
    (said,) = open_each(path)
    if craft is borrowed:  # the number counts for nothing: its own nodes are loaded
        assert said == "asked"
    else:
        assert said.startswith("the model file is refused: a tree in it ")


# --- newer libraries --------------------------------------------------------------------------------------------------


def with_schema(data: bytes, change: Callable[[Node], None]) -> bytes:
    archive = read_archive(data)
    change(archive.schema)
    return write_archive(archive)


def test_a_file_of_a_newer_skops_is_told_as_such():
    data = with_schema(
        dump_model(Ridge().fit(X, Y)), lambda schema: schema.update(protocol=99, _skops_version="99.0.0")
    )
    for open_it in (load_model, untrusted_types):
        with pytest.raises(OutsideError, match=r"written by skops 99\.0\.0, in protocol 99") as refused:
            open_it(data)
        assert refused.value.hint == "install a newer skops: pip install --upgrade skops"


def test_a_kind_of_node_that_is_not_known_is_told():
    def craft(schema: Node) -> None:
        schema["content"]["content"]["alpha"].update(__loader__="FutureNode")

    data = with_schema(dump_model(Ridge().fit(X, Y)), craft)
    for open_it in (load_model, untrusted_types):
        with pytest.raises(OutsideError, match="Can't find loader FutureNode"):
            open_it(data)


def test_a_file_of_a_newer_scikit_learn_that_does_not_load_names_it():
    def craft(schema: Node) -> None:
        attributes = schema["content"]["content"]
        attributes["_sklearn_version"]["content"] = '"99.1"'
        attributes["alpha"].update(__loader__="FutureNode")

    with pytest.raises(OutsideError, match=r"was made by scikit-learn 99\.1 and does not load in") as refused:
        load_model(with_schema(dump_model(Ridge().fit(X, Y)), craft))
    assert refused.value.hint == "install it: pip install scikit-learn==99.1"


def test_a_file_of_another_skops_of_the_same_protocol_that_does_not_load_names_it():
    def craft(schema: Node) -> None:
        schema.update(_skops_version="99.1")
        schema["content"]["content"]["alpha"].update(__loader__="FutureNode")

    with pytest.raises(OutsideError, match=r"written by skops 99\.1 and does not load in") as refused:
        load_model(with_schema(dump_model(Ridge().fit(X, Y)), craft))
    assert refused.value.hint == "install it: pip install skops==99.1"


def test_a_class_that_a_newer_scikit_learn_brought_names_it():
    def craft(schema: Node) -> None:
        schema.update(__class__="RidgeNext")
        schema["content"]["content"]["_sklearn_version"]["content"] = '"99.1"'

    with pytest.raises(UsageError, match=r"RidgeNext; scikit-learn 99\.1 made it, and here is ") as refused:
        load_model(with_schema(dump_model(Ridge().fit(X, Y)), craft))
    assert str(refused.value.hint).startswith("install it: pip install scikit-learn==99.1; ")
