"""`MLmodel`, the file that tells what a model folder is: written for MLflow to load, and read with distrust.

Of a folder made elsewhere only scikit-learn models are taken, without code of their own. What the file says may be
trusted, its list of types, is not even read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from lin.errors import OutsideError
from lin.models.signature import Column, Signature
from lin.models.unpack import check_name, refused
from lin.models.yaml import read_yaml, write_yaml

MLMODEL = "MLmodel"
SKOPS_FILE = "model.skops"
PICKLE_FILE = "model.pkl"
EXAMPLE = "input_example.json"

Serialization = Literal["skops", "pickle", "cloudpickle"]

_LOADER = "mlflow.sklearn"
_FORMATS: dict[str, Serialization] = {"skops": "skops", "pickle": "pickle", "cloudpickle": "cloudpickle"}
_SHARED = ("integer", "long", "float", "double", "boolean", "string", "binary")
_FROM_MLFLOW = {name: name for name in _SHARED} | {"datetime": "timestamp_ntz"}
_TO_MLFLOW = {name: name for name in _SHARED} | {"byte": "integer", "short": "integer", "timestamp_ntz": "datetime"}
_TENSORS = {
    "double": "float64",
    "float": "float32",
    "long": "int64",
    "integer": "int32",
    "boolean": "bool",
    "string": "str",
}
_FROM_TENSORS = {tensor: name for name, tensor in _TENSORS.items()} | {"object": "string"}


@dataclass(frozen=True)
class MLModel:
    """What an `MLmodel` says: the model's file and how it was stored, its columns, and an example of its input."""

    model_path: str
    serialization: Serialization
    signature: Signature | None
    example: str | None
    made_by: str
    """`lin`, or `MLflow` with its version."""

    @property
    def unsafe(self) -> bool:
        """Whether its file runs code when it is loaded."""
        return self.serialization != "skops"


# --- writing ----------------------------------------------------------------------------------------------------------


def write_mlmodel(
    *,
    serialization: Serialization,
    signature: Signature,
    example: bool,
    trusted_types: list[str],
    versions: Mapping[str, str],
    created: datetime,
    uuid: str,
    run: str,
    size: int,
    metadata: Mapping[str, Any],
) -> bytes:
    """The text of an `MLmodel` with the flavors `python_function` and `sklearn`: the same facts give the same bytes.

    Args:
        serialization: how the model's file was made.
        signature: the columns that the model takes and gives.
        example: whether there is an example of its input.
        trusted_types: what MLflow is told to trust when it loads the file.
        versions: of `python` and `scikit-learn`.
        created: when the version was registered.
        uuid: of this model; 32 hex digits.
        run: the id of its run.
        size: of the model's file, in bytes.
        metadata: what else is told; MLflow shows it.
    """
    file = PICKLE_FILE if serialization != "skops" else SKOPS_FILE
    says: dict[str, Any] = {
        "flavors": {
            "python_function": {
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": _LOADER,
                "model_path": file,
                "predict_fn": "predict",
                "python_version": versions["python"],
            },
            "sklearn": {
                "code": None,
                "pickled_model": file,
                "serialization_format": serialization,
                "sklearn_version": versions["scikit-learn"],
                "skops_trusted_types": trusted_types,
            },
        },
        "metadata": metadata,
        "model_size_bytes": size,
        "model_uuid": uuid,
        "run_id": run,
        "utc_time_created": created.strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    if example:
        says["saved_input_example_info"] = {"artifact_path": EXAMPLE, "pandas_orient": "split", "type": "dataframe"}
    if signature.inputs:
        says["signature"] = _write_signature(signature)
    return write_yaml(says).encode()


def _write_signature(signature: Signature) -> dict[str, str | None]:
    inputs = [
        {"type": _TO_MLFLOW.get(column.type or "", "any"), "name": column.name, "required": column.required}
        for column in signature.inputs
    ]
    outputs = [
        {"type": "tensor", "tensor-spec": {"dtype": _TENSORS.get(column.type or "", "object"), "shape": [-1]}}
        for column in signature.outputs[:1]
    ]
    return {
        "inputs": msgspec.json.encode(inputs).decode(),
        "outputs": msgspec.json.encode(outputs).decode() if outputs else None,
        "params": None,
    }


# --- reading ----------------------------------------------------------------------------------------------------------


def read_mlmodel(data: bytes) -> MLModel:
    """What an `MLmodel` says.

    Raises:
        OutsideError: it cannot be read, is not of a scikit-learn model, or of one that brings code of its own.
    """
    says = read_yaml(data, MLMODEL)
    if not isinstance(says, dict):
        raise refused(f"{MLMODEL} does not describe a model")
    flavors = _map(says, "flavors")
    _check_function(_map(flavors, "python_function"))
    if not _map(flavors, "sklearn"):
        there = ", ".join(sorted(map(str, flavors))) or "none"
        raise OutsideError(
            f"the model folder has no flavor sklearn, but: {there}", hint="lin keeps scikit-learn models"
        )
    sklearn = _map(flavors, "sklearn")
    if sklearn.get("code") is not None:
        raise refused("it brings code of its own ('code'), which lin does not run")
    written, path = sklearn.get("serialization_format"), sklearn.get("pickled_model")
    if not isinstance(written, str) or written not in _FORMATS or not isinstance(path, str):
        raise refused(f"its model is stored as {written!r}; lin reads {', '.join(_FORMATS)}")
    used = _map(flavors, "python_function").get("model_path", path)
    if used != path:
        raise refused(f"it names two models, {path!r} and {used!r}")
    version = says.get("mlflow_version")
    return MLModel(
        model_path=check_name(path),
        serialization=_FORMATS[written],
        signature=_read_signature(_map(says, "signature")),
        example=_read_example(_map(says, "saved_input_example_info")),
        made_by=f"MLflow {version}" if isinstance(version, str) else "lin",
    )


def _check_function(flavor: dict[str, Any]) -> None:
    """Refuse what anything but scikit-learn's loader would load."""
    loader = flavor.get("loader_module", _LOADER)
    if loader != _LOADER:
        raise refused(f"its model is loaded by {loader!r}, which runs code that lin does not know")
    for key in ("code", "data"):
        if flavor.get(key) is not None:
            raise refused(f"it brings {key} of its own, which lin does not take")


def _map(says: dict[str, Any], key: str) -> dict[str, Any]:
    found = says.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise refused(f"'{key}' in {MLMODEL} is no map")
    return found


def _read_example(info: dict[str, Any]) -> str | None:
    """The file of the example, where it is a table as `columns` and `data`."""
    path = info.get("artifact_path")
    if not isinstance(path, str) or info.get("type") != "dataframe" or info.get("pandas_orient") != "split":
        return None
    return check_name(path)


class _Spec(msgspec.Struct):
    """A column or array of a signature, as MLflow writes it."""

    type: Any
    name: str | None = None
    required: bool = True
    tensor: dict[str, Any] = msgspec.field(name="tensor-spec", default_factory=dict)


def _read_signature(says: dict[str, Any]) -> Signature | None:
    """The columns; None where the signature names none. An array as output is a column `predicted`."""
    inputs = [
        Column(name=spec.name, type=_known(_FROM_MLFLOW, spec.type), required=spec.required)
        for spec in _read_specs(says, "inputs")
        if spec.name is not None
    ]
    names = [column.name for column in inputs]
    if len({*names}) != len(names):
        raise refused("its signature names a column twice")
    outputs = [
        Column(
            name=spec.name or "predicted",
            type=_known(_FROM_TENSORS if spec.type == "tensor" else _FROM_MLFLOW, spec.tensor.get("dtype", spec.type)),
            required=True,
        )
        for spec in _read_specs(says, "outputs")
    ]
    return Signature(inputs=inputs, outputs=outputs) if inputs else None


def _known(types: Mapping[str, str], name: object) -> str | None:
    return types.get(name) if isinstance(name, str) else None


def _read_specs(says: dict[str, Any], side: str) -> list[_Spec]:
    text = says.get(side)
    if text is None:
        return []
    try:
        return msgspec.json.decode(text, type=list[_Spec])
    except (msgspec.MsgspecError, TypeError, RecursionError, UnicodeError) as error:
        raise refused(f"the {side} of its signature cannot be read: {error}") from error
