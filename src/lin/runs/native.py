"""What a loaded model must satisfy before it is used: compiled code indexes these arrays without asking.

A type that is trusted can still be filled with a crafted state. Trees (also boosted and neighbour trees), support
vector machines, sparse matrices and what makes them, and splines are checked here, wherever in the model they are.
What else scikit-learn computes goes through numpy, which checks its bounds. This prevents crashes; that no code runs
is `persist`'s promise.
"""
# ruff: noqa: PLR2004, SLF001  what compiled code reads are private attributes and formats of fixed sizes

from collections.abc import Callable, Iterator
from functools import partial
from numbers import Integral
from typing import Any

from lin.runs.archive import damaged


def check_native(model: Any) -> None:
    """Check every part of a loaded model whose arrays compiled code trusts.

    Raises:
        OutsideError: an index points outside, or shapes do not agree.
    """
    checks = _checks()
    for part in _parts(model):
        for kind, check in checks:
            if isinstance(part, kind):
                check(part)


def _checks() -> list[tuple[Any, Callable[[Any], None]]]:
    import numpy as np
    from scipy.interpolate import BSpline
    from scipy.sparse import sparray, spmatrix
    from sklearn.ensemble import IsolationForest
    from sklearn.ensemble._forest import BaseForest
    from sklearn.ensemble._gb import BaseGradientBoosting
    from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
    from sklearn.feature_extraction import DictVectorizer, FeatureHasher
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
    from sklearn.impute import KNNImputer
    from sklearn.neighbors import BallTree, KDTree, KNeighborsClassifier, RadiusNeighborsClassifier
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.svm._base import BaseLibSVM
    from sklearn.tree import BaseDecisionTree
    from sklearn.tree._tree import Tree

    return [
        (Tree, _check_tree),
        (BaseDecisionTree, _check_tree_owner),
        (BaseForest, _check_forest),
        (IsolationForest, _check_isolation_forest),
        (BaseGradientBoosting, _check_gradient_boosting),
        (BaseHistGradientBoosting, _check_hist_gradient_boosting),
        ((KDTree, BallTree), _check_neighbour_tree),
        ((KNeighborsClassifier, RadiusNeighborsClassifier), _check_neighbour_labels),
        (BaseLibSVM, _check_svm),
        (OneHotEncoder, _check_encoder),
        ((CountVectorizer, DictVectorizer), _check_vocabulary),
        ((HashingVectorizer, FeatureHasher), _check_hasher),
        (KNNImputer, _check_neighbour_imputer),
        (BSpline, _check_spline),
        ((sparray, spmatrix), _check_sparse),
        (np.random.RandomState, _check_random_state),
        (np.random.Generator, _check_generator),
    ]


def _parts(model: Any) -> Iterator[Any]:
    """Every object that a model reaches through attributes, containers and object arrays, each once."""
    waiting, seen = [model], {}
    while waiting:
        part = waiting.pop()
        if id(part) in seen or part is None or isinstance(part, (str, bytes, int, float, type)):
            continue
        seen[id(part)] = part  # held, so that its id stays its own
        yield part
        waiting += _held_by(part)


def _held_by(part: Any) -> list[Any]:
    import numpy as np

    if isinstance(part, np.ndarray):
        return part.ravel().tolist() if part.dtype.hasobject else []
    if isinstance(part, partial):
        return [part.func, *part.args, *part.keywords.values()]
    held = list(getattr(part, "__dict__", {}).values())
    if isinstance(part, dict):
        return [*held, *part, *part.values()]
    return [*held, *part] if isinstance(part, (list, tuple, set, frozenset)) else held


def _require(holds: Any, why: str) -> None:
    if not holds:
        raise damaged(why)


# --- trees ------------------------------------------------------------------------------------------------------------


def _check_tree(tree: Any) -> None:
    """The nodes of a `sklearn.tree._tree.Tree`: a leaf has no children and a depth that `max_depth` covers."""
    _require(tree.node_count == tree.capacity >= 1, "a tree in it counts other nodes than it has")
    left, right = tree.children_left, tree.children_right
    leaf = left == -1
    _require((right[leaf] == -1).all(), "a tree in it has a leaf with a child")
    _check_features(tree.feature[~leaf], tree.n_features)
    depth = _check_children(left, right, leaf)
    _require(depth <= tree.max_depth, f"a tree in it is {depth} deep and says {tree.max_depth}")
    _require(tree.value.shape == (len(left), tree.n_outputs, tree.max_n_classes), "a tree in it lacks values")


def _check_children(left: Any, right: Any, leaf: Any) -> int:
    """Each child comes after its parent, inside the tree, and has one parent. Returns the depth."""
    import numpy as np

    inner = np.flatnonzero(~leaf)
    parent = np.zeros(len(leaf), dtype=np.int64)
    for children in (left[inner].astype(np.int64), right[inner].astype(np.int64)):
        outside = (children <= inner) | (children >= len(leaf))
        if outside.any():
            at = int(np.argmax(outside))
            raise damaged(
                f"node {inner[at]} of a tree in it points to node {children[at]}; the tree has {len(leaf)} nodes"
            )
        parent[children] = inner
    children = np.concatenate([left[inner], right[inner]])
    _require(np.unique(children).size == children.size, "a tree in it has a node with two parents")
    depth = (np.arange(len(leaf)) > 0).astype(np.int64)
    while parent.any():  # pointer doubling: as often as the depth has binary digits
        depth += depth[parent]
        parent = parent[parent]
    return int(depth.max())


def _check_features(used: Any, n_features: int) -> None:
    outside = used[(used < 0) | (used >= n_features)]
    _require(not outside.size, f"a tree in it asks for feature {outside[:1]} of {n_features}")


def _check_tree_owner(model: Any) -> None:
    if "tree_" in vars(model):
        _require(model.tree_.n_features == model.n_features_in_, "a tree in it reads other features than its model")


def _check_forest(model: Any) -> None:
    if "estimators_" in vars(model):
        _check_widths(model.estimators_, model.n_features_in_)


def _check_isolation_forest(model: Any) -> None:
    if "estimators_" in vars(model):
        _check_widths(model.estimators_, model._max_features)
        _require(
            model._max_features <= model.n_features_in_
            and all(len(features) == model._max_features for features in model.estimators_features_),
            "its trees read other features than the forest",
        )


def _check_gradient_boosting(model: Any) -> None:
    if "estimators_" not in vars(model):
        return
    trees = model.estimators_
    _check_widths(trees.ravel(), model.n_features_in_)
    columns = len(model.classes_) if getattr(model._loss, "is_multiclass", False) else 1
    _require(trees.ndim == 2 and trees.shape[1] == model.n_trees_per_iteration_ == columns, "it has trees too many")
    known = getattr(model.init_, "classes_", None)
    _require(columns == 1 or known is None or len(known) == columns, "its first estimate has other classes")


def _check_widths(trees: Any, n_features: int) -> None:
    """These ensembles check the width of their input themselves and hand it on to the trees unchecked."""
    _require(
        all(tree.n_features_in_ == tree.tree_.n_features == n_features for tree in trees),
        "its trees read other features than the model",
    )


def _check_hist_gradient_boosting(model: Any) -> None:
    import numpy as np

    if "_predictors" not in vars(model):
        return
    categorical = np.asarray(model._bin_mapper.is_categorical_, dtype=bool)
    _require(len(categorical) == model.n_features_in_, "its bins are of other features than the model")
    for predictor in (predictor for row in model._predictors for predictor in row):
        nodes, bits = predictor.nodes, predictor.raw_left_cat_bitsets
        _require(nodes.ndim == 1 and len(nodes) >= 1, "a tree in it has no nodes")
        leaf = nodes["is_leaf"] != 0
        _check_children(nodes["left"], nodes["right"], leaf)
        inner = nodes[~leaf]
        _check_features(inner["feature_idx"], len(categorical))
        split = inner[inner["is_categorical"] != 0]
        _require(bits.ndim == 2 and bits.shape[1] == 8, "a tree in it lacks its categories")
        _require((split["bitset_idx"] < len(bits)).all(), "a tree in it lacks its categories")
        _require(predictor.binned_left_cat_bitsets.shape == bits.shape, "a tree in it lacks its categories")
        _require(categorical[split["feature_idx"]].all(), "a tree in it splits a number by category")


# --- neighbours -------------------------------------------------------------------------------------------------------


def _check_neighbour_tree(tree: Any) -> None:
    """A KDTree or BallTree: a complete binary tree over `index`, which permutes the rows of `data`."""
    import numpy as np

    data, index, nodes, bounds, _, n_levels, n_nodes, *_, metric, weights = tree.__getstate__()
    rows, columns = data.shape
    _require(0 < n_levels < 64 and n_nodes == len(nodes) == 2**n_levels - 1, "a neighbour tree in it lacks nodes")
    centres = 1 if type(tree).__name__.startswith("Ball") else 2
    _require(bounds.shape == (centres, n_nodes, columns), "a neighbour tree in it lacks bounds")
    _require(np.array_equal(np.sort(index), np.arange(rows)), "a neighbour tree in it points outside its rows")
    start, end = nodes["idx_start"], nodes["idx_end"]
    _require(((start >= 0) & (start <= end) & (end <= rows)).all(), "a neighbour tree in it points outside its rows")
    _require((nodes["is_leaf"][n_nodes // 2 :] != 0).all(), "a neighbour tree in it has no leaves")
    _require(weights is None or weights.shape == (rows,), "a neighbour tree in it lacks weights")
    _check_metric(metric, columns)


def _check_metric(metric: Any, columns: int) -> None:
    name = type(metric).__name__
    _, scale, matrix = metric.__getstate__()
    metric.__setstate__(metric.__getstate__())  # makes the buffers that go with its arrays
    sizes = {"SEuclideanDistance64": [columns], "MinkowskiDistance64": [0, columns]}
    _require(name not in sizes or len(scale) in sizes[name], "a distance in it is of other columns")
    square = name != "MahalanobisDistance64" or matrix.shape == (columns, columns)
    _require(square, "a distance in it is of other columns")


def _check_neighbour_labels(model: Any) -> None:
    import numpy as np

    if "_y" not in vars(model):
        return
    classes = model.classes_ if model.outputs_2d_ else [model.classes_]
    labels = np.asarray(model._y).reshape(len(model._y), -1)
    _require(labels.shape == (model._fit_X.shape[0], len(classes)), "it has other labels than rows")
    for column, known in zip(labels.T, classes, strict=True):
        _require(((column >= 0) & (column < len(known))).all(), "it has a label outside its classes")


def _check_neighbour_imputer(model: Any) -> None:
    if "_fit_X" in vars(model):
        _require(model._mask_fit_X.shape == model._fit_X.shape, "it fills from rows that it does not have")


# --- what makes sparse matrices --------------------------------------------------------------------------------------


def _check_encoder(model: Any) -> None:
    """Each category of a one-hot encoder becomes a column of its own: one of those that it says it makes."""
    if "categories_" not in vars(model):
        return
    dropped = model._drop_idx_after_grouping
    widths = model._compute_n_features_outs()
    _require(list(model._n_features_outs) == widths, "an encoder in it makes other columns than it has categories")
    for at, categories in enumerate(model.categories_):
        leaves_out = None if dropped is None else dropped[at]
        known = widths[at] + (leaves_out is not None)
        _require(leaves_out is None or 0 <= leaves_out < known, "an encoder in it points outside its columns")
        _require(_stays_inside(model, at, len(categories), known), "an encoder in it points outside its columns")


def _stays_inside(model: Any, at: int, count: int, known: int) -> bool:
    """Whether the `count` categories of column `at`, the rare ones put together, all go to `known` columns."""
    rare = model._infrequent_indices[at] if model._infrequent_enabled else None
    to = model._default_to_infrequent_mappings[at] if model._infrequent_enabled else None
    if rare is None or to is None:
        return rare is to and known == count
    return bool(len(to) == count and ((to >= 0) & (to < known)).all() and ((rare >= 0) & (rare < count)).all())


def _check_vocabulary(model: Any) -> None:
    known = vars(model).get("vocabulary_", {})
    inside = all(isinstance(at, Integral) and 0 <= int(at) < len(known) for at in known.values())
    _require(inside, "a vocabulary in it points outside its columns")


def _check_hasher(model: Any) -> None:
    _require(isinstance(model.n_features, Integral) and int(model.n_features) > 0, "a hasher in it makes no columns")


# --- the rest ---------------------------------------------------------------------------------------------------------


def _check_svm(model: Any) -> None:
    if "support_vectors_" not in vars(model):
        return
    classes = len(model._n_support)
    pairs = classes * (classes - 1) // 2
    vectors = len(model.support_)
    coefficients = model._dual_coef_.data if model._sparse else model._dual_coef_
    _require(classes > 1 and (model._n_support >= 0).all(), "its support vectors are of other classes")
    _require(int(model._n_support.sum()) == vectors or model._impl not in {"c_svc", "nu_svc"}, "it lacks vectors")
    _require(coefficients.size == (classes - 1) * vectors, "it lacks coefficients")
    _require(model._intercept_.size == pairs, "it lacks intercepts")
    told = {model._probA.size, model._probB.size}
    _require(told == {pairs} or (told == {0} and not model._effective_probability), "it lacks probabilities")
    if model.kernel == "precomputed" or callable(model.kernel):
        _require(not model._sparse, "it is sparse and is of kernels that were computed before")
        rows = model.shape_fit_[0]
        _require(((model.support_ >= 0) & (model.support_ < rows)).all(), "its support points outside its rows")
    else:
        shape = (vectors, model.n_features_in_)
        _require(model.support_vectors_.shape == shape, "its support vectors are of other features")


def _check_sparse(matrix: Any) -> None:
    _require(matrix.format in {"csr", "csc"}, f"a sparse matrix in it is in format {matrix.format}")
    matrix.check_format(full_check=True)


def _check_spline(spline: Any) -> None:
    type(spline)(spline.t, spline.c, spline.k, spline.extrapolate, spline.axis)


def _check_random_state(state: Any) -> None:
    """MT19937 has 624 words and a position among them."""
    position = state.get_state(legacy=False)["state"].get("pos", -1)
    _require(0 <= position <= 624, "its random state points outside itself")


def _check_generator(generator: Any) -> None:
    """PCG64 is plain integers; the other bit generators keep a position in a buffer."""
    name = generator.bit_generator.state["bit_generator"]
    _require(name == "PCG64", f"a random generator in it is a {name}")
