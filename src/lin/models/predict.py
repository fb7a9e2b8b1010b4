"""Scoring with a registered model: a row, a file, or a table version, and writing predictions back into a table.

A write-back is a recorded run with the model version as input and the new table version as output, so that every
predicted cell can be traced to the model that wrote it.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lin.data.load import load_source
from lin.data.read import filter_rows, matching_positions, read_pin, read_version
from lin.data.tables import Table
from lin.data.write import fill_column
from lin.errors import OutsideError, UsageError, nearest
from lin.models.fold import ModelVersion
from lin.models.golden import DECISIVE, version_here
from lin.models.registry import find_version, read_registry
from lin.numbers import to_json
from lin.project import Project
from lin.records import Environment, ModelRef, decode
from lin.runs.evaluate import FOREIGN
from lin.runs.persist import load_model
from lin.runs.query import RunInfo, read_run
from lin.runs.writes import pin_input, record_write

if TYPE_CHECKING:
    import pyarrow as pa


MOST_NAMED = 5
"""As many missing columns are named in a message."""


class Predictions(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions in the order of the rows; `keys` holds the table's key of each row, where there is one."""

    model: str
    table: str | None
    version: int | None
    rows: int
    predictions: list[Any]
    keys: dict[str, list[Any]]


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """A write-back: how many rows of a column were filled, and the version that this made (None: nothing to fill)."""

    model: str
    table: str
    column: str
    filled: int
    base: int
    version: int | None
    run: str | None


class Scorer:
    """A model version with its file loaded and the columns that it needs."""

    def __init__(self, project: Project, reference: str) -> None:
        """Load `reference`.

        Raises:
            NotFoundError: no such version. UsageError: its file needs types that lin does not trust.
            OutsideError: its file is damaged, or does not go with the installed libraries.
        """
        self.version: ModelVersion = find_version(read_registry(project.store), reference)
        run = read_run(project.store, self.version.run)
        try:
            self._model = load_model(project.store.blobs.read(self.version.sha256))
        except UsageError as error:
            raise _explain(project, self.version, run, error) from error
        recorded = run.features
        # a program that logged its own model recorded no features; the model may know them
        self.features = recorded or [str(name) for name in getattr(self._model, "feature_names_in_", ())]

    def score(self, rows: "pa.Table") -> Any:
        """The predictions for the rows, a NumPy array of one per row.

        Raises:
            UsageError: columns are missing. OutsideError: the model cannot score these values.
        """
        missing = [name for name in self.features if name not in rows.column_names]
        if missing:
            named = ", ".join(f"'{name}'" for name in missing[:MOST_NAMED]) + ", …" * (len(missing) > MOST_NAMED)
            raise UsageError(
                f"model {self.version.reference} needs columns that are missing: {named}",
                hint=nearest(missing[0], rows.column_names, instead=f"it needs: {', '.join(self.features)}"),
            )
        frame = rows.select(self.features).to_pandas()
        try:
            return self._model.predict(frame)
        except FOREIGN as error:
            empty = [name for name in self.features if frame[name].isna().any()]
            raise OutsideError(
                f"model {self.version.reference} cannot score these rows: {str(error).splitlines()[0]}",
                hint=f"columns with nulls: {', '.join(empty)}" if empty else None,
            ) from error


def predict_row(project: Project, reference: str, row: Mapping[str, Any]) -> Predictions:
    """Score one row given as a map from column to value; columns that the model does not need are ignored."""
    import pyarrow as pa

    scorer = Scorer(project, reference)
    if not isinstance(row, Mapping):
        raise UsageError("the row is not a JSON object", hint="--row '{\"COLUMN\": 1.5}'")
    try:
        rows = pa.Table.from_pylist([dict(row)])
    except pa.ArrowException as error:
        raise UsageError(f"the row cannot be read: {error}") from error
    return _predictions(scorer, rows, scorer.score(rows))


def predict_file(project: Project, reference: str, path: Path) -> Predictions:
    """Score the rows of a CSV, Parquet or JSON file."""
    import pyarrow as pa

    scorer = Scorer(project, reference)
    loaded = load_source(path)
    rows = loaded if isinstance(loaded, pa.Table) else loaded.read_all()
    return _predictions(scorer, rows, scorer.score(rows))


def predict_table(
    project: Project, reference: str, table: Table, *, version: int | None = None, where: str | None = None
) -> Predictions:
    """Score the rows of a table version, those that fulfil the SQL condition `where`, in canonical order."""
    scorer = Scorer(project, reference)
    snapshot, rows = read_version(table, version)
    kept = filter_rows(rows, where) if where else rows
    keys = {name: kept.column(name).to_pylist() for name in table.key}
    scores = scorer.score(kept) if kept.num_rows else []
    return _predictions(scorer, kept, scores, table=table.name, version=snapshot.version, keys=keys)


def fill_table(
    project: Project,
    reference: str,
    table: Table,
    column: str,
    *,
    where: str | None = None,
    reason: str | None = None,
) -> Fill:
    """Write the model's predictions into the nulls of `column`, as a new version of `table`.

    Rows are matched by their place in the version that was read; that version must still be the newest when the new
    one is committed. No other row or column changes, and no row moves.

    Raises:
        ConflictError: somebody wrote to the table meanwhile; nothing was changed.
    """
    import numpy as np
    import pyarrow as pa

    scorer = Scorer(project, reference)
    written = Table(table.name, table.root, key=table.key)  # as written: a declared order is for reading
    base = written.log.snapshot()
    pin, read = pin_input(project, table, base.version)
    rows = read_pin(written, pin)  # the very bytes that the run will name as its input
    wanted = matching_positions(rows, where) if where else np.ones(rows.num_rows, dtype=bool)
    if column in rows.column_names:
        wanted &= rows.column(column).is_null().to_numpy()
    positions = np.flatnonzero(wanted)
    result = Fill(
        model=scorer.version.reference,
        table=table.name,
        column=column,
        filled=len(positions),
        base=base.version,
        version=None,
        run=None,
    )
    if not len(positions):
        return result
    scores = pa.array(scorer.score(rows.take(pa.array(positions))))
    places = np.full(rows.num_rows, -1)
    places[positions] = np.arange(len(positions))
    values = scores.take(pa.array(places, mask=~wanted))
    model = ModelRef(model=scorer.version.model, version=scorer.version.version, sha256=scorer.version.sha256)
    run, version = record_write(
        project,
        table,
        lambda attribution: fill_column(written, base, column, values, attribution, now_ms=_now_ms()),
        kind="predict",
        name=f"{scorer.version.reference} into {table.name}.{column}",
        reason=reason or f"nulls of {column} filled with predictions of {scorer.version.reference}",
        inputs=[read, model],
        params={"column": column, "rows": len(positions)},
        model=scorer.version.reference,
    )
    return msgspec.structs.replace(result, version=version.version, run=run)


def _explain(project: Project, version: ModelVersion, run: RunInfo, error: UsageError) -> UsageError:
    """Why the model is not loaded: other libraries call their own things by other names."""
    others = [f"--with {name}=={made}" for name, made in _made_with(project, run).items() if made != version_here(name)]
    hint = "lin scores with what scikit-learn ships; load a model of your own classes in a program of yours"
    if others:
        hint = f"other libraries made it; in these it may load: lin predict {version.reference} … {' '.join(others)}"
    return UsageError(f"model {version.reference} is not loaded: {error.message}", hint=hint)


def _made_with(project: Project, run: RunInfo) -> dict[str, str]:
    if run.environment is None:
        return {}
    environment = decode(project.store.blobs.read(run.environment), Environment, where=f"environment of run {run.id}")
    return {package.name: package.version for package in environment.packages if package.name in DECISIVE}


def _predictions(
    scorer: Scorer,
    rows: "pa.Table",
    scores: Any,
    *,
    table: str | None = None,
    version: int | None = None,
    keys: dict[str, list[Any]] | None = None,
) -> Predictions:
    return Predictions(
        model=scorer.version.reference,
        table=table,
        version=version,
        rows=rows.num_rows,
        predictions=[to_json(v) if isinstance(v, float) else v for v in _plain(scores)],
        keys=keys or {},
    )


def _plain(scores: Any) -> list[Any]:
    return list(scores.tolist()) if hasattr(scores, "tolist") else list(scores)


def _now_ms() -> int:
    return int(time.time() * 1000)
