"""A loaded model: answers with probabilities, in the same bits however it is asked, or a clear refusal."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

from lin.data.read import read_version
from lin.data.tables import open_table
from lin.errors import OutsideError, UsageError
from lin.models.changes import register_model
from lin.models.scorer import Scorer
from lin.project import Project
from lin.runs.fit import MODEL
from lin.runs.persist import dump_model, load_model
from lin.runs.record import begin_run, capture
from lin.runs.trust import Trust


def register_by_hand(project: Project, content: bytes, name: str, path: str = MODEL) -> None:
    """A model that a program fitted itself: its run has no features recorded, and read no table."""
    run = begin_run(project, capture(project), kind="program", name="by hand")
    run.log_artifact(content, path)
    run.seal("finished")
    register_model(project, run.id, name)


def rows_of(project: Project) -> pa.Table:
    return read_version(open_table(project, "housing"))[1]


def test_a_classifier_tells_the_probability_of_each_label(trained: Project) -> None:
    scorer = Scorer(trained, "names@1")
    model = load_model(trained.store.blobs.read(scorer.version.sha256))
    rows = rows_of(trained)
    answers = scorer.answer(rows)
    frame = rows.select(["rm", "lstat"]).to_pandas()
    assert answers.schema.names == ["prediction", *(f"probability_{label}" for label in model.classes_)]
    assert answers.column("prediction").to_pylist() == model.predict(frame).tolist()
    found = np.column_stack([column.to_numpy() for column in answers.columns[1:]])
    np.testing.assert_array_equal(found, model.predict_proba(frame))


def test_a_regressor_and_a_classifier_without_probabilities_tell_none(trained: Project) -> None:
    from sklearn.svm import LinearSVC

    frame = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
    register_by_hand(trained, dump_model(LinearSVC().fit(frame, [0, 0, 1, 1])), "machine")
    rows = pa.RecordBatch.from_pydict({"x": [-5.0, 9.0]})
    assert Scorer(trained, "machine@1").answer(rows).to_pydict() == {"prediction": [0, 1]}
    assert Scorer(trained, "boston@1").answer(rows_of(trained)).schema.names == ["prediction"]


def test_a_model_of_many_labels_is_asked_for_few_rows_at_a_time(trained: Project) -> None:
    """Otherwise their probabilities would fill the memory; the answers are one batch all the same."""
    whole, few = Scorer(trained, "names@1"), Scorer(trained, "names@1", at_once=250)
    assert few.most_rows == 250 // len(few.labels) < 10 < whole.most_rows
    assert few.answer(rows_of(trained)).equals(whole.answer(rows_of(trained)))
    wrong = pa.RecordBatch.from_pydict({"rm": [1.0] * 20, "lstat": [*map(str, range(20))]})
    with pytest.raises(UsageError, match="row 101 has '0'"):
        few.answer(wrong, first=101)


def test_a_model_that_answers_several_values_a_row_is_refused(trained: Project) -> None:
    model = LinearRegression().fit(pd.DataFrame({"x": [0.0, 1.0]}), [[0.0, 1.0], [1.0, 2.0]])
    register_by_hand(trained, dump_model(model), "pairs")
    with pytest.raises(OutsideError, match=r"answers 1 rows in the shape \(1, 2\), not \(1,\)"):
        Scorer(trained, "pairs@1").score(pa.RecordBatch.from_pydict({"x": [0.5]}))


def test_a_model_that_tells_no_columns_is_refused(trained: Project) -> None:
    register_by_hand(trained, dump_model(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])), "blind")
    with pytest.raises(OutsideError, match="blind@1 does not tell which columns it takes"):
        Scorer(trained, "blind@1")


def test_a_pickle_is_loaded_by_who_trusts_its_very_bytes(trained: Project) -> None:
    import pickle

    content = pickle.dumps(LinearRegression().fit(pd.DataFrame({"x": [0.0, 1.0]}), [0.0, 2.0]))
    register_by_hand(trained, content, "pickled", "model/model.pkl")
    with pytest.raises(UsageError, match="pickled@1 is not loaded: the model is a pickle") as caught:
        Scorer(trained, "pickled@1")
    sha256 = (caught.value.hint or "").rpartition("sha256:")[2]
    scorer = Scorer(trained, "pickled@1", trust=Trust(files=frozenset({sha256})))
    assert scorer.score(pa.RecordBatch.from_pydict({"x": [3]})).tolist() == [pytest.approx(6.0)]


def test_the_reference_that_a_run_records(trained: Project) -> None:
    scorer = Scorer(trained, "boston@latest")
    found: Any = scorer.ref
    assert (scorer.reference, found.model, found.version, found.sha256) == (
        "boston@1",
        "boston",
        1,
        scorer.version.sha256,
    )
