"""A model version that is loaded and answers rows: a prediction for each, and of a classifier its probabilities.

Whatever the rows come from, they are held against the model's signature first, and what a model answers is one value
a row, or refused.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lin.errors import OutsideError, UsageError
from lin.models.fold import ModelVersion
from lin.models.golden import DECISIVE, version_here
from lin.models.registry import find_version, read_registry
from lin.models.signature import Signature, conform_rows, read_signature, require_columns
from lin.project import Project
from lin.records import Environment, ModelRef, decode
from lin.runs.evaluate import FOREIGN
from lin.runs.persist import load_model
from lin.runs.query import RunInfo, read_run
from lin.runs.trust import NOBODY, Trust, importing_trusted

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PREDICTION = "prediction"
PROBABILITY = "probability_"
"""What the columns of answers are called; that of a probability ends in the label."""

NUMBERS_AT_ONCE = 1 << 24
"""So many probabilities at most are asked for in one call: a model of many labels does not fill the memory."""


class Scorer:
    """A model version with its file loaded, and its signature."""

    def __init__(
        self, project: Project, reference: str, *, trust: Trust = NOBODY, at_once: int = NUMBERS_AT_ONCE
    ) -> None:
        """Load `reference`, with the code of whatever `trust` names. It is asked for `at_once` numbers at most.

        Raises:
            NotFoundError: no such version. UsageError: its file needs what nobody trusts.
            OutsideError: its file is damaged, or does not go with the installed libraries.
        """
        self._at_once = at_once
        self.version: ModelVersion = find_version(read_registry(project.store), reference)
        run = read_run(project.store, self.version.run)
        data = project.store.blobs.read(self.version.sha256)
        try:
            with importing_trusted(project.root, trust):
                self._model = load_model(data, path=self.version.artifact, trust=trust)
        except UsageError as error:
            raise _explain(project, self.version, run, error) from error
        # a program that logged its own model recorded no features; the model may know them
        known = [str(name) for name in getattr(self._model, "feature_names_in_", ())]
        self.signature: Signature = read_signature(project, self.version, run, features=known)
        self.features = [column.name for column in self.signature.inputs]
        if not self.features:
            raise OutsideError(
                f"model {self.version.reference} does not tell which columns it takes",
                hint="fit it on a DataFrame, or score with it in a program of yours",
            )

    @property
    def reference(self) -> str:
        """The version as it is written: `boston@1`."""
        return self.version.reference

    @property
    def ref(self) -> ModelRef:
        """The version as runs record it."""
        return ModelRef(model=self.version.model, version=self.version.version, sha256=self.version.sha256)

    @cached_property
    def labels(self) -> list[str]:
        """The labels of a classifier that tells probabilities, in its order; none of another model."""
        known = getattr(self._model, "classes_", None)
        if not hasattr(self._model, "predict_proba") or getattr(known, "ndim", 0) != 1:
            return []
        return [str(label) for label in known] if known is not None else []

    @property
    def most_rows(self) -> int:
        """So many rows at most it is asked in one call: the same for the same model, for answers may depend on it."""
        return max(1, self._at_once // max(1, len(self.labels)))

    def check(
        self, names: Sequence[str], rows: "pa.RecordBatch | None", *, first: int | None = None, text: bool = False
    ) -> None:
        """Refuse rows with columns of these names before any is scored; `rows` are some of them, if there are any.

        Raises:
            UsageError: names all that does not fit the signature.
        """
        if rows is None:
            require_columns(self.signature, names, self.reference)
        else:
            conform_rows(self.signature, rows, self.reference, first=first, text=text)

    def score(self, rows: "pa.RecordBatch | pa.Table", *, first: int | None = None, text: bool = False) -> Any:
        """The predictions for the rows, a NumPy array of one per row; `first` and `text` as `conform_rows` has them.

        Raises:
            UsageError: the rows do not fit the signature. OutsideError: the model cannot score these values.
        """
        return self._predict(self._frame(rows, first=first, text=text))

    def answer(
        self, rows: "pa.RecordBatch | pa.Table", *, first: int | None = None, text: bool = False
    ) -> "pa.RecordBatch":
        """The columns `prediction` and, of a classifier, `probability_LABEL`, for each row. Raises as `score`."""
        import pyarrow as pa

        if rows.num_rows > self.most_rows:
            parts = [
                self.answer(rows.slice(at, self.most_rows), first=None if first is None else first + at, text=text)
                for at in range(0, rows.num_rows, self.most_rows)
            ]
            return pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
        frame = self._frame(rows, first=first, text=text)
        columns = {PREDICTION: _column(self._predict(frame), self.reference)}
        if self.labels:
            probabilities = self._ask("predict_proba", frame, (len(frame), len(self.labels)))
            for at, label in enumerate(self.labels):
                columns[PROBABILITY + label] = _column(probabilities[:, at], self.reference)
        return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))

    def _frame(self, rows: "pa.RecordBatch | pa.Table", *, first: int | None, text: bool) -> "pd.DataFrame":
        conformed = conform_rows(self.signature, _one_batch(rows), self.reference, first=first, text=text)
        frame: pd.DataFrame = conformed.to_pandas()
        return frame

    def _predict(self, frame: "pd.DataFrame") -> Any:
        return self._ask("predict", frame, (len(frame),))

    def _ask(self, method: str, frame: "pd.DataFrame", shape: tuple[int, ...]) -> Any:
        import numpy as np

        try:
            answers = np.asarray(getattr(self._model, method)(frame))
        except FOREIGN as error:
            empty = [name for name in self.features if frame[name].isna().any()]
            raise OutsideError(
                f"model {self.reference} cannot score these rows: {(str(error).splitlines() or [''])[0]}",
                hint=f"columns with nulls or NaN: {', '.join(empty)}" if empty else None,
            ) from error
        if answers.shape != shape:
            raise OutsideError(
                f"model {self.reference} answers {len(frame)} rows in the shape {answers.shape}, not {shape}"
            )
        return answers


def _one_batch(rows: "pa.RecordBatch | pa.Table") -> "pa.RecordBatch":
    import pyarrow as pa

    if isinstance(rows, pa.RecordBatch):
        return rows
    batches = rows.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=rows.schema)


def _column(values: Any, reference: str) -> "pa.Array":
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError) as error:
        raise OutsideError(f"the answers of model {reference} are no column of a table: {error}") from error


def _explain(project: Project, version: ModelVersion, run: RunInfo, error: UsageError) -> UsageError:
    """Why the model is not loaded: other libraries call their own things by other names."""
    others = [f"--with {name}=={made}" for name, made in _made_with(project, run).items() if made != version_here(name)]
    hint = error.hint
    if others:
        hint = f"other libraries made it; in these it may load: lin predict {version.reference} … {' '.join(others)}"
    return UsageError(f"model {version.reference} is not loaded: {error.message}", hint=hint)


def _made_with(project: Project, run: RunInfo) -> dict[str, str]:
    if run.environment is None:
        return {}
    environment = decode(project.store.blobs.read(run.environment), Environment, where=f"environment of run {run.id}")
    return {package.name: package.version for package in environment.packages if package.name in DECISIVE}
