"""Scoring golden rows: which rows of a table a model is asked, and what it answers.

They are scored in one call, in their order, and a second scoring asks for just these: a library may add up in another
order when there are more rows, and answer with other bits.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from lin.errors import OutsideError
from lin.runs.evaluate import FOREIGN
from lin.runs.golden import Golden, arrange_rows, layout_of, open_golden, with_layout

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MOST = 1_000
"""The size of a sample."""

_MOST_TRIES = 200
"""So often a model is asked which rows it takes, before the rest is left out."""


_NUMBERS = "fiu"
"""The kinds of arrays that are predictions of an amount, where the model knows no classes."""


class _Scores(NamedTuple):
    """A prediction for each row, whether it is a label, and the probabilities by label."""

    predicted: "np.ndarray[Any, Any]"
    probabilities: "dict[str, np.ndarray[Any, Any]]"
    labels: bool


def sample_rows(table: "pa.Table", most: int = MOST) -> "pa.Table":
    """At most `most` rows, evenly spaced, the first among them; all where there are no more."""
    import pyarrow as pa

    if table.num_rows <= most:
        return table
    return table.take(pa.array([place * table.num_rows // most for place in range(most)]))


def predict_golden(model: Any, rows: "pa.Table", key: Iterable[str], features: Sequence[str]) -> "pa.Table":
    """The rows that the model can score, with `predicted` and, of a classifier, `probability of LABEL`.

    Where the model refuses any row, those with a null or NaN among the features are left out all together; where it
    still does, those that it refuses by themselves. A column of predictions whose name is taken, in whatever case,
    gets underscores behind it; the layout tells.

    Raises:
        UsageError: a feature is missing. OutsideError: it can score none of the rows, or answers with something else
            than one value a row.
    """
    kept, scores = _score_most(model, arrange_rows(rows, key, features))
    return _with_scores(kept, scores, left_out=rows.num_rows - kept.num_rows)


def score_again(model: Any, golden: Golden) -> Golden:
    """The same rows, scored by a model in one call.

    Raises:
        OutsideError: the model cannot score all of them.
    """
    rows = arrange_rows(golden.table, golden.layout.key, golden.layout.features)
    try:
        scores = _score(model, rows)
    except FOREIGN as error:
        raise _refused(model, rows, error) from error
    return open_golden(_with_scores(rows, scores, left_out=golden.layout.left_out))


def _score(model: Any, rows: "pa.Table") -> _Scores:
    import numpy as np

    frame = rows.select(layout_of(rows).features).to_pandas()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about rows: what there is to say of the model was said when it was fitted
        predicted = np.asarray(model.predict(frame))
        classes = [str(label) for label in getattr(model, "classes_", ())]
        probabilities = np.asarray(model.predict_proba(frame) if classes and hasattr(model, "predict_proba") else [])
    if predicted.shape != (rows.num_rows,):
        raise ValueError(f"it answers {rows.num_rows} rows in the shape {predicted.shape}")
    if probabilities.shape == (rows.num_rows, len(classes)):
        return _Scores(predicted, dict(zip(classes, probabilities.T, strict=True)), labels=True)
    return _Scores(predicted, {}, labels=bool(classes) or predicted.dtype.kind not in _NUMBERS)


def _score_most(model: Any, rows: "pa.Table") -> "tuple[pa.Table, _Scores]":
    """As many rows as the model takes, and their scores from one call."""
    import numpy as np
    import pyarrow as pa

    if not rows.num_rows:
        raise OutsideError("there is no row to predict")
    whole = np.flatnonzero(rows.select(layout_of(rows).features).to_pandas().notna().all(axis="columns"))
    asked = (lambda: np.arange(rows.num_rows), lambda: whole, lambda: np.sort(_find_taken(model, rows, whole)))
    for choose in asked:
        if len(places := choose()):
            kept = rows.take(pa.array(places))
            try:
                return kept, _score(model, kept)
            except FOREIGN as error:
                refusal = error
    raise _refused(model, rows, refusal) from refusal


def _find_taken(model: Any, rows: "pa.Table", refused: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Of the rows at these places, which the model refuses together, those that it takes in halves of halves."""
    import numpy as np

    taken = [np.array([], dtype=np.int64)]
    groups = list(_halve(refused))
    for _ in range(_MOST_TRIES):
        if not groups:
            break
        group = groups.pop(0)  # the largest are first: where the tries run out, the most rows are found
        if _takes(model, rows, group):
            taken.append(group)
        else:
            groups += _halve(group)
    return np.concatenate(taken)


def _halve(places: "np.ndarray[Any, Any]") -> "Iterator[np.ndarray[Any, Any]]":
    if len(places) > 1:
        yield from (places[: len(places) // 2], places[len(places) // 2 :])


def _takes(model: Any, rows: "pa.Table", places: "np.ndarray[Any, Any]") -> bool:
    import pyarrow as pa

    try:
        _score(model, rows.take(pa.array(places)))
    except FOREIGN:
        return False
    return True


def _with_scores(rows: "pa.Table", scores: _Scores, *, left_out: int) -> "pa.Table":
    """The rows with a column for the predictions, and one for the probabilities of each label."""
    table, predicted = _append(rows, "predicted", scores.predicted)
    probabilities: dict[str, str] = {}
    for label, values in scores.probabilities.items():
        table, probabilities[label] = _append(table, f"probability of {label}", values)
    layout = msgspec.structs.replace(
        layout_of(rows), predicted=predicted, probabilities=probabilities, labels=scores.labels, left_out=left_out
    )
    return with_layout(table, layout)


def _append(table: "pa.Table", name: str, values: "np.ndarray[Any, Any]") -> "tuple[pa.Table, str]":
    """The table with one column more, and its name: to DuckDB names that differ in case alone are one."""
    import pyarrow as pa

    taken = {each.lower() for each in table.column_names}
    while name.lower() in taken:
        name += "_"
    try:
        return table.append_column(name, pa.array(values)), name
    except (pa.ArrowException, TypeError) as error:
        raise OutsideError(f"the predictions are no column of a table: {_first_line(error)}") from error


def _refused(model: Any, rows: "pa.Table", error: BaseException) -> OutsideError:
    count = "the golden row" if rows.num_rows == 1 else f"the {rows.num_rows} golden rows"
    return OutsideError(f"{type(model).__name__} cannot score {count}: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
