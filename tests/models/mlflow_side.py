"""Runs in an environment with MLflow and without lin: loads the folders that it is given, and writes some of its own.

Reads one JSON document on stdin and answers with one as the last line of stdout.
"""

import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mlflow.pyfunc  # noqa: E402
import mlflow.sklearn  # noqa: E402
import pandas as pd  # noqa: E402
import yaml  # noqa: E402
from mlflow.models import infer_signature  # noqa: E402
from sklearn.ensemble import RandomForestClassifier  # noqa: E402
from sklearn.linear_model import Ridge  # noqa: E402


def load(folder):
    """What MLflow makes of a folder: what it predicts for the example, and how it refuses a row with a column less."""
    model = mlflow.pyfunc.load_model(folder)
    rows = model.input_example
    try:
        model.predict(rows.drop(columns=rows.columns[0]))
        missing = None
    except mlflow.exceptions.MlflowException as error:
        missing = str(error)
    return {
        "predicted": model.predict(rows).tolist(),
        "again": mlflow.sklearn.load_model(folder).predict(rows).tolist(),
        "missing": missing,
        "inputs": model.metadata.signature.inputs.to_dict(),
        "run": model.metadata.run_id,
        "uuid": model.metadata.model_uuid,
        "metadata": model.metadata.metadata,
        "requirements": Path(mlflow.pyfunc.get_model_dependencies(folder)).read_text(),
    }


def save(place):
    """Folders as MLflow writes them, with what each predicts for its example."""
    rows = pd.DataFrame({"rm": [6.0, 5.5, 7.1, 4.0], "lstat": [1.0, 2.5, 3.0, 4.0], "floors": [1, 2, 3, 4]})
    ridge = Ridge().fit(rows, [1.0, 2.0, 4.0, 3.0])
    forest = RandomForestClassifier(3, random_state=0).fit(rows, ["a", "b", "a", "b"])
    trusted = ["sklearn.tree._tree.Tree"]
    said = {}
    for name, model, kind, types in (
        ("ridge", ridge, "skops", None),
        ("forest", forest, "skops", trusted),
        ("cloud", ridge, "cloudpickle", None),
    ):
        mlflow.sklearn.save_model(
            model,
            f"{place}/{name}",
            signature=infer_signature(rows, model.predict(rows)),
            input_example=rows.head(3),
            serialization_format=kind,
            skops_trusted_types=types,
            pip_requirements=["scikit-learn"],
            metadata={"note": 'a long text: with "quotes", two\nlines, and more than fits in one line of YAML' * 2},
        )
        said[name] = model.predict(rows.head(3)).tolist()
    return said


asked = json.load(sys.stdin)
answer = {
    "loaded": {name: load(folder) for name, folder in asked["load"].items()},
    "saved": save(asked["save"]),
    "read": [yaml.safe_load(text) for text in asked["yaml"]],
    "written": [yaml.safe_dump(value, default_flow_style=False) for value in asked["values"]],
}
sys.stdout.write(f"{json.dumps(answer)}\n")
