"""Golden predictions of a model that a program logged itself: made when it is registered, by the model file.

They are made only where the libraries that decide the numbers are those of the run: what is kept then is what the run's
own environment would have said. Whatever is in the way is named, and there are none.
"""

from importlib import metadata

from lin.data.read import read_pin
from lin.data.tables import Table
from lin.errors import OutsideError, UsageError
from lin.project import Project
from lin.records import Environment, Pin, TableRef, decode
from lin.runs.golden import write_golden
from lin.runs.persist import MODEL, PICKLED_MODEL, inspect_model, load_model
from lin.runs.query import RunInfo
from lin.runs.score import predict_golden, sample_rows

DECISIVE = ("scikit-learn", "numpy", "scipy")
"""The packages whose versions decide what a model file answers."""


def make_golden(project: Project, run: RunInfo) -> bytes:
    """What the model of a run predicts for a sample of the first table that the run read, as a golden file.

    Raises:
        UsageError: the run read no table, the model does not tell its features, or its file needs types that nobody
            trusts. OutsideError: other libraries, a table that is gone, a file that is no model.
    """
    artifact = run.artifact(MODEL)
    if artifact is None and run.artifact(PICKLED_MODEL):
        raise UsageError("its model is a pickle, which runs code when it is loaded")
    if artifact is None or not run.table_inputs:
        raise UsageError("the run read no table" if artifact else f"the run has no {MODEL}")
    data = project.store.blobs.read(artifact.sha256)
    inspect_model(data)  # what is no model file at all is refused before scikit-learn is imported
    _require_libraries(project, run)
    model = load_model(data)
    features = run.features or [str(name) for name in getattr(model, "feature_names_in_", ())]
    if not features:
        raise UsageError("the model does not tell which columns it was trained on")
    table = _table(project, run.table_inputs[0])
    pin = decode(project.store.blobs.read(run.table_inputs[0].pin), Pin, where=f"the pin of table '{table.name}'")
    return write_golden(predict_golden(model, sample_rows(read_pin(table, pin)), table.key, features))


def _require_libraries(project: Project, run: RunInfo) -> None:
    """Refuse to score with other libraries than the run had."""
    if run.environment is None:
        raise OutsideError("the run did not record its environment")
    recorded = decode(project.store.blobs.read(run.environment), Environment, where="the environment of the run")
    versions = {package.name: package.version for package in recorded.packages}
    for name in DECISIVE:
        here = version_here(name)
        if versions.get(name) != here:
            raise OutsideError(f"the run had {name} {versions.get(name, 'not at all')}, and here is {here or 'none'}")


def version_here(name: str) -> str | None:
    """The version of a package that this process would import."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _table(project: Project, read: TableRef) -> Table:
    """The table as the run read it, with its key where it is declared."""
    setting = project.config.tables.get(read.table)
    key = tuple(setting.key) if setting else ()
    return Table(read.table, project.store_root / read.location, key, tuple(read.order))
