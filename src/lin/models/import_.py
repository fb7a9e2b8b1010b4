"""Registering a model from a folder, or a zip of one, that lin or MLflow wrote: after every check, as a recorded run.

Nothing is recorded before all checks are done. A skops file is loaded once, without code of its own; a pickle is kept
as it is, is not loaded, and stays marked. What a folder claims of its metrics is kept with it and is no metric of ours.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from lin.config import check_name as check_model_name
from lin.errors import LinError, OutsideError, StoreError, UsageError
from lin.models.changes import register_model
from lin.models.folders import LIN, FolderInfo, write_prediction
from lin.models.mlmodel import MLMODEL, MLModel, read_mlmodel
from lin.models.signature import SIGNATURE, Column, Signature, conform_rows
from lin.models.unpack import Unpacked, check_name, read_files, refused
from lin.project import Project
from lin.records import FileRef, decode, digest, encode
from lin.runs.golden import GOLDEN, read_golden, write_golden
from lin.runs.persist import MODEL, PICKLED_MODEL, is_pickle, load_model
from lin.runs.record import begin_run, capture
from lin.runs.score import predict_golden
from lin.runs.trust import NOBODY, Trust, importing_trusted

if TYPE_CHECKING:
    import pyarrow as pa

Answer = Literal["same", "within tolerance", "different", "nothing to compare with", "not scored"]
TOLERANCE = 1e-9
"""An example has fewer rows than what was predicted with it, and libraries may then add up in another order."""
LARGEST_EXAMPLE = 16 << 20


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """A model version that was made of a folder: `made_by` and `origin` are what the folder says of itself.

    `example` tells how its predictions for the folder's example stand to those in `lin.json`. `unsafe` tells that its
    file runs code when it is loaded; it was not.
    """

    version: str
    run: str
    sha256: str
    made_by: str
    origin: str | None
    features: list[str]
    example: Answer
    unsafe: bool


class _Checked(NamedTuple):
    """A folder that passed: its model's file, its columns, golden predictions of its example, and how these compare."""

    model: bytes
    signature: Signature
    golden: bytes | None
    example: Answer


def import_folder(
    project: Project,
    source: Path,
    name: str,
    *,
    pickle: bool = False,
    trust: Trust = NOBODY,
    description: str | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Imported:
    """Make the model in the folder or zip `source` the next version of `name`.

    Args:
        project: where to register it.
        source: what `lin export` or MLflow wrote.
        name: the model.
        pickle: take a pickle, too: it is kept unloaded, and marked unsafe.
        trust: types that the model file may have beyond those that lin trusts.
        description: of the version.
        report: is told what could not be checked.

    Raises:
        NotFoundError: no such folder. UsageError: it holds a pickle and `pickle` is false, or types that nobody trusts.
        OutsideError: it is refused, for a reason that is told, or its model does not load here.
    """
    check_model_name(name, "a model")
    found = read_files(source, MLMODEL)
    says = read_mlmodel(found.files[MLMODEL])
    info = _check_digests(found.files, says)
    model = found.files.get(says.model_path)
    if model is None:
        raise refused(f"it lacks the file {says.model_path!r}, which {MLMODEL} names")
    if says.unsafe:
        checked = _check_pickle(model, says, allowed=pickle, again=f"lin import {source} {name} --pickle")
    else:
        with importing_trusted(project.root, trust):
            checked = _check_model(model, says, info, found.files, trust, report)
    run = _record(project, source, name, found, says, checked)
    version = register_model(project, run, name, description=description, report=report)
    return Imported(
        version=version.reference,
        run=run,
        sha256=version.sha256,
        made_by=says.made_by,
        origin=info.reference if info else None,
        features=[column.name for column in checked.signature.inputs],
        example=checked.example,
        unsafe=says.unsafe,
    )


def _record(project: Project, source: Path, name: str, found: Unpacked, says: MLModel, checked: _Checked) -> str:
    """Record the import as a run with the model; returns its id."""
    recorder = begin_run(
        project,
        capture(project),
        kind="import",
        name=f"{source.name} as {name}",
        params={"source": source.name, "made by": says.made_by},
        inputs=[
            FileRef(path=os.path.relpath(path.absolute(), project.root), sha256=digest(data), bytes=len(data))
            for path, data in found.read.items()
        ],
    )
    recorder.log_artifact(checked.model, PICKLED_MODEL if says.unsafe else MODEL)
    recorder.log_artifact(encode(checked.signature), SIGNATURE)
    for file in {MLMODEL, LIN} & found.files.keys():
        recorder.log_artifact(found.files[file], f"model/{file}")
    if checked.golden is not None:
        recorder.log_artifact(checked.golden, GOLDEN)
    recorder.seal("finished", features=[column.name for column in checked.signature.inputs])
    return recorder.id


# --- the checks -------------------------------------------------------------------------------------------------------


def _check_digests(files: dict[str, bytes], says: MLModel) -> FolderInfo | None:
    """What `lin.json` says, if it is there: each file that it names is as it says, the model's among them."""
    if LIN not in files:
        return None
    try:
        info = decode(files[LIN], FolderInfo, where=LIN)
    except StoreError as error:
        raise refused(error.message) from error
    for name in {MLMODEL, says.model_path} - info.files.keys():
        raise refused(f"{LIN} does not tell what {name!r} is")
    for name, sha256 in info.files.items():
        if digest(files.get(check_name(name), b"")) != sha256:
            raise refused(f"{name!r} is not what {LIN} says: it is damaged, or was changed")
    return info


def _check_pickle(model: bytes, says: MLModel, *, allowed: bool, again: str) -> _Checked:
    if not is_pickle(model):
        raise refused(f"{says.model_path!r} is said to be a {says.serialization} file and is none")
    if not allowed:
        raise UsageError(
            f"the model folder holds a pickle ({says.model_path}), which runs code when it is loaded",
            hint=f"if you know who made it, this keeps it, unloaded and marked unsafe: {again}",
        )
    return _Checked(model, says.signature or Signature(inputs=[], outputs=[]), None, "not scored")


def _check_model(
    data: bytes,
    says: MLModel,
    info: FolderInfo | None,
    files: dict[str, bytes],
    trust: Trust,
    report: Callable[[str], None],
) -> _Checked:
    """Load a skops file, and let it score the example."""
    model = load_model(data, path=MODEL, trust=trust)
    if not hasattr(model, "predict"):
        raise refused(f"its model is a {type(model).__name__}, which does not predict")
    signature = _agree(says.signature, [str(name) for name in getattr(model, "feature_names_in_", ())])
    try:
        golden = _score_example(model, says, signature, files)
    except LinError as error:
        report(f"the example of the folder is not scored: {error.message}")
        return _Checked(data, signature, None, "not scored")
    answer = _compare(golden, info.predicted if info else [])
    if answer == "different":
        report("the model does not predict here what its folder says: other libraries, or another machine")
    return _Checked(data, signature, golden, answer)


def _agree(signature: Signature | None, features: list[str]) -> Signature:
    """The columns in the order of the model, where it knows them. Raises `OutsideError` if the two do not agree."""
    if signature is None:
        inputs = [Column(name=name, type=None, required=True) for name in features]
        return Signature(inputs=inputs, outputs=[])
    named = {column.name: column for column in signature.inputs}
    if features and named.keys() != {*features}:
        odd = ", ".join(repr(name) for name in sorted(named.keys() ^ {*features})[:5])
        raise refused(f"its signature and its model name different columns: {odd}")
    return msgspec.structs.replace(signature, inputs=[named[name] for name in features or named])


class _Table(msgspec.Struct):
    """An example as MLflow writes it."""

    columns: list[str]
    data: list[list[Any]]


def _score_example(model: Any, says: MLModel, signature: Signature, files: dict[str, bytes]) -> bytes:
    """What the model predicts for the example, as a golden file. Raises `LinError` where that cannot be done."""
    if says.example is None or says.example not in files or not signature.inputs:
        raise UsageError("there is none with named columns")
    rows = _read_example(files[says.example])
    conformed = conform_rows(signature, rows, "of the folder", text=True)
    import pyarrow as pa

    features = [column.name for column in signature.inputs]
    return write_golden(predict_golden(model, pa.Table.from_batches([conformed]), [], features))


def _read_example(data: bytes) -> "pa.RecordBatch":
    import pyarrow as pa

    if len(data) > LARGEST_EXAMPLE:
        raise UsageError(f"it has {len(data)} bytes; lin reads {LARGEST_EXAMPLE}")
    try:
        table = msgspec.json.decode(data, type=_Table)
        if {len(row) for row in table.data} - {len(table.columns)} or len({*table.columns}) != len(table.columns):
            raise UsageError("its rows are not as long as its columns, or two columns have one name")
        arrays = [pa.array([row[at] for row in table.data]) for at in range(len(table.columns))]
        return pa.RecordBatch.from_arrays(arrays, names=table.columns)
    except (msgspec.MsgspecError, RecursionError, UnicodeError, pa.ArrowException, OverflowError, TypeError) as error:
        raise OutsideError(f"it cannot be read: {error}") from error


def _compare(golden: bytes, predicted: list[Any]) -> Answer:
    """What is predicted here against what the folder says; both as `lin.json` holds them."""
    here = [write_prediction(value) for value in read_golden(golden).predicted]
    if not predicted:
        return "nothing to compare with"
    if here == predicted:
        return "same"
    if len(here) == len(predicted) and all(map(_is_close, here, predicted)):
        return "within tolerance"
    return "different"


def _is_close(here: Any, there: Any) -> bool:
    if not (isinstance(here, float) and isinstance(there, float | int)):
        return bool(here == there)
    return abs(here - there) <= TOLERANCE * (1 + max(abs(here), abs(there)))
