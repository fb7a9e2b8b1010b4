"""The child process of a re-run: `python -m lin.proof.replay STORE RUN`, started in the folder with the run's source.

It fits what the record says, on the pin that the record names, as a new run whose parent is the old one, and answers
with the new run's id.
"""

import os
import sys
from pathlib import Path

from lin.config import Config, ProjectSetting
from lin.data.tables import Table
from lin.errors import LinError, OutsideError
from lin.project import Project, current_actor
from lin.records import Pin, decode
from lin.runs.query import read_run
from lin.runs.train import run_fits
from lin.store.local import LocalBackend
from lin.store.store import open_store


def replay(store_root: Path, run_id: str, source: Path) -> str:
    """Do the recorded fit again; returns the id of the new run.

    Raises:
        LinError: the record, the data or the fit.
    """
    store = open_store(LocalBackend(store_root))
    original = read_run(store, run_id)
    if original.fit is None:
        raise OutsideError(f"run {run_id} is not a fit")
    project = Project(
        root=source,
        config=Config(project=ProjectSetting(name=source.name)),
        store=store,
        store_root=store_root,
        actor=current_actor(),
    )
    read = original.table_inputs[0]
    table = Table(read.table, store_root / read.location, tuple(original.fit.exclude), tuple(read.order))
    pin = decode(store.blobs.read(read.pin), Pin, where=f"pin of {read.table}@{read.version}")
    runs = run_fits(
        project,
        table,
        pin,
        read,
        [original.fit],
        experiment=original.experiment,
        parent=original.id,
        source=original.source,
    )
    if runs[0].status != "finished":
        raise OutsideError(runs[0].error or f"it ended as {runs[0].status}")
    return runs[0].id


def main() -> int:
    """Answer on stdout, complain on stderr: the parent reads both."""
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)  # what an estimator prints is not the answer
        try:
            answer.write(replay(Path(sys.argv[1]), sys.argv[2], Path.cwd()))
        except LinError as error:
            sys.stdout.flush()
            sys.stderr.write(f"{error.message}\n")  # the last line of all
            return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
