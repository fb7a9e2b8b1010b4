"""What a model folder holds: the files that MLflow reads, and `lin.json`, which says what lin knows of the model.

The files of a version are the same bytes whenever and wherever they are made. `lin.json` has the sha256 of each other
file and is not signed: it tells damage, and not who made the folder.
"""

import math
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from lin.errors import UsageError
from lin.models.fold import ModelVersion
from lin.models.mlmodel import EXAMPLE, MLMODEL, PICKLE_FILE, SKOPS_FILE, Serialization, write_mlmodel
from lin.models.signature import Column, Signature, read_signature
from lin.models.yaml import write_yaml
from lin.numbers import Real, to_json
from lin.project import Project
from lin.records import Environment, Param, Record, decode, digest, encode
from lin.runs.golden import Golden, read_golden
from lin.runs.persist import inspect_model, untrusted_types
from lin.runs.query import RunInfo
from lin.runs.trusted import TRUSTED

if TYPE_CHECKING:
    import pyarrow as pa

LIN = "lin.json"
MOST_EXAMPLES = 5
"""So many rows are an example."""

_DECISIVE = ("cloudpickle", "joblib", "numpy", "pandas", "scikit-learn", "scipy", "skops")
"""The packages that take part in what a scikit-learn model answers, or in loading it."""

_HOW_UNSAFE = "runs code when it is loaded: load it only if you know who made it"


class Trained(Record, frozen=True):
    """A table version that the model was trained on: its pin is the identity of the data."""

    table: str
    version: int
    pin: str
    rows: int


class FolderInfo(Record, frozen=True, tag_field="format", tag="folder/1"):
    """`lin.json`: the version that a folder is of, what it came from, and the sha256 of each other file in it.

    `predicted` is what the model said of the rows of the example when it was trained.
    """

    model: str
    version: int
    registered: datetime
    run: str
    sha256: str
    features: list[str]
    params: dict[str, Param]
    metrics: dict[str, Real]
    trained_on: list[Trained]
    source: str | None
    environment: str | None
    predicted: list[Any]
    files: dict[str, str]
    description: str | None = None

    @property
    def reference(self) -> str:
        """The version where it came from."""
        return f"{self.model}@{self.version}"


class Example(NamedTuple):
    """Rows that the model takes, as columns and rows of JSON, and what it said of them."""

    columns: list[str]
    data: list[list[Any]]
    predicted: list[Any]


class Content(NamedTuple):
    """The files of a folder, and what of the usual it lacks and why, lin's trust among it."""

    files: dict[str, bytes]
    lacks: list[str]


def make_content(project: Project, version: ModelVersion, run: RunInfo, model: bytes, *, pickled: bool) -> Content:
    """The files of a version's folder; `model` is its file, or a pickle that was made of it.

    Raises:
        UsageError: the run recorded no environment. StoreError: something that it needs is missing or damaged.
    """
    versions = _read_versions(project, run, model, pickled=pickled)
    types = [] if pickled else untrusted_types(model)
    golden = None if version.golden is None else read_golden(project.store.blobs.read(version.golden))
    example = None if golden is None else _choose_example(golden)
    signature = read_signature(project, version, run, features=golden.layout.features if golden else None)
    if golden is not None:
        signature = _widen(signature, golden.table)
    serialization: Serialization = "pickle" if pickled else "skops"
    files = {
        PICKLE_FILE if pickled else SKOPS_FILE: model,
        MLMODEL: write_mlmodel(
            serialization=serialization,
            signature=signature,
            example=example is not None,
            trusted_types=types,
            versions=versions,
            created=version.registered,
            uuid=digest(f"{project.store.info.id}/{version.reference}/{serialization}".encode())[:32],
            run=run.id,
            size=len(model),
            metadata={"lin": version.reference} | ({"unsafe": f"{PICKLE_FILE} {_HOW_UNSAFE}"} if pickled else {}),
        ),
        **_write_requirements(versions),
        "README.md": _write_readme(version, run, pickled=pickled).encode(),
    }
    if example is not None:
        files[EXAMPLE] = msgspec.json.encode({"columns": example.columns, "data": example.data}) + b"\n"
    files[LIN] = encode(_describe(version, run, signature, example, files))
    lacks = [] if example else [f"it has no {EXAMPLE}: the version keeps no golden predictions that JSON can hold"]
    lacks += [] if signature.inputs else ["its MLmodel has no signature: nothing tells the columns of the model"]
    if strange := [name for name in types if name not in TRUSTED]:
        lacks.append(f"its {MLMODEL} has MLflow trust what lin does not, so their code may run: {', '.join(strange)}")
    return Content(files, lacks)


def _describe(
    version: ModelVersion, run: RunInfo, signature: Signature, example: Example | None, files: dict[str, bytes]
) -> FolderInfo:
    return FolderInfo(
        model=version.model,
        version=version.version,
        registered=version.registered,
        run=run.id,
        sha256=version.sha256,
        features=[column.name for column in signature.inputs],
        params=run.params,
        metrics=run.metrics,
        trained_on=[Trained(read.table, read.version, read.pin, read.rows) for read in run.table_inputs],
        source=run.source.tree if run.source else None,
        environment=run.environment,
        predicted=example.predicted if example else [],
        files={name: digest(data) for name, data in sorted(files.items())},
        description=version.description,
    )


# --- what it takes ----------------------------------------------------------------------------------------------------


def _read_versions(project: Project, run: RunInfo, model: bytes, *, pickled: bool) -> dict[str, str]:
    """The interpreter as `python`, and the packages that decide, with the versions that the run recorded."""
    if run.environment is None:
        raise UsageError(f"run {run.id} did not record its environment, so nothing tells what its model needs")
    where = f"environment of run {run.id}"
    environment = decode(project.store.blobs.read(run.environment), Environment, where=where)
    paths = [*(run.fit.estimator if run.fit else []), *([] if pickled else inspect_model(model).types)]
    wanted = {*_DECISIVE, *(path.partition(".")[0] for path in paths)}
    packages = {each.name: each.version for each in environment.packages if each.name in wanted and not each.editable}
    if "scikit-learn" not in packages:
        raise UsageError(f"run {run.id} had no scikit-learn in its environment, so its model is none that MLflow loads")
    return {"python": environment.python, **packages}


def _write_requirements(versions: dict[str, str]) -> dict[str, bytes]:
    """The three files in which MLflow looks for what a model needs."""
    python = versions["python"]
    needs = ["mlflow", *(f"{name}=={version}" for name, version in sorted(versions.items()) if name != "python")]
    conda = {
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": needs}],
        "name": "mlflow-env",
    }
    virtualenv = {
        "python": python,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    }
    return {
        "requirements.txt": "".join(f"{need}\n" for need in needs).encode(),
        "conda.yaml": write_yaml(conda).encode(),
        "python_env.yaml": write_yaml(virtualenv).encode(),
    }


def _write_readme(version: ModelVersion, run: RunInfo, *, pickled: bool) -> str:
    trained = ", ".join(f"{read.table}@{read.version} ({read.rows} rows)" for read in run.table_inputs)
    lines = [
        f"# {version.reference}",
        "",
        *([f"**Unsafe**: `{PICKLE_FILE}` {_HOW_UNSAFE}.", ""] if pickled else []),
        f"Exported by lin. Run `{run.id}`" + (f", trained on {trained}." if trained else "."),
        "",
        "    mlflow.pyfunc.load_model(FOLDER)",
        f"    lin import FOLDER {version.model}" + (" --pickle" if pickled else ""),
        "",
        f"`{LIN}` has the sha256 of each file, the metrics, and the digests of the data, source and environment.",
    ]
    return "".join(f"{line}\n" for line in lines)


# --- the example ------------------------------------------------------------------------------------------------------


def _choose_example(golden: Golden) -> Example | None:
    """The first golden rows that JSON can hold; None where there is none."""
    if golden.layout.predicted is None:
        return None
    columns = golden.layout.features
    rows = golden.table.select(columns).to_pylist()
    chosen = [at for at, row in enumerate(rows) if all(map(_is_plain, row.values()))][:MOST_EXAMPLES]
    predicted = golden.table.column(golden.layout.predicted).to_pylist()
    if not chosen:
        return None
    return Example(
        columns=columns,
        data=[[_write_value(rows[at][name]) for name in columns] for at in chosen],
        predicted=[write_prediction(predicted[at]) for at in chosen],
    )


def write_prediction(value: Any) -> Any:
    """A prediction as `lin.json` holds it: with all its bits."""
    return to_json(value) if isinstance(value, float) else _write_value(value)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | date) or (isinstance(value, float) and math.isfinite(value))


def _write_value(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _widen(signature: Signature, rows: "pa.Table") -> Signature:
    """Whole numbers of which some are missing become floats where they are scored, and MLflow wants to be told."""

    def widen(column: Column) -> Column:
        holed = column.name in rows.column_names and rows.column(column.name).null_count
        is_whole = column.type in {"byte", "short", "integer", "long"}
        return msgspec.structs.replace(column, type="double") if holed and is_whole else column

    return Signature(inputs=[widen(column) for column in signature.inputs], outputs=signature.outputs)
