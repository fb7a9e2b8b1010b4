"""Lineage in a store of many runs, whole processes, in seconds.

    python bench/lineage.py [RUNS]         # 100,000 unless told

The table has 40 versions, each filled by a model's predictions, read by sweeps of 20 fits and by programs. Of each
sweep one run is registered, until there are 200 model versions. The runs are written as the store has them, without
fsync: it is the asking that is measured. The last version of the table lies at the end of all this.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
from deltalake import CommitProperties, write_deltalake

from lin.config import TableSetting
from lin.ids import day_of, new_id
from lin.models.changes import register_model
from lin.project import Project, create_project, declare_table
from lin.records import Artifact, FileRef, Fit, Input, Kind, ModelRef, Output, Param, Sealed, Start, TableRef, digest
from lin.runs.record import begin_run, capture
from lin.sealed import encode_sealed

DAYS = 30
VERSIONS = 40
SWEEP = 20
MODELS = 200
REPEATS = 7
LIMIT = 1.0


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR", Path.cwd()), prefix=".bench-"))
    try:
        os.chdir(folder)
        print(f"making {runs} runs …", flush=True)
        make_store(folder, runs)
        return measure()
    finally:
        os.chdir("/")
        shutil.rmtree(folder)


def measure() -> int:
    first = once(lin("trace", f"housing@{VERSIONS - 1}"))
    asked = [
        ["trace", "boston"],
        ["trace", f"housing@{VERSIONS - 1}"],
        ["trace", f"file:out/{VERSIONS - 1}.csv"],
        ["impact", f"housing@{VERSIONS - 2}"],
        ["impact", f"housing@{VERSIONS - 2}", "--json"],
        ["impact", f"housing@{VERSIONS - 2}:medv"],
        ["impact", f"boston@{MODELS - 1}"],
    ]
    figures: list[tuple[str, float, float | None]]
    figures = [(" ".join(["lin", *words]), seconds(lin(*words)), LIMIT) for words in asked]
    for words, limit in (
        (["impact", "housing@0"], LIMIT),
        (["impact", "source:last"], LIMIT),
        (["impact", "housing@0", "--json"], LIMIT),  # names each run
    ):
        figures.append((" ".join(["lin", *words, "(every run is affected)"]), seconds(lin(*words)), limit))
    figures.append(("the first question of all, which makes the index", first, None))
    missed = 0
    for what, figure, limit in figures:
        good = limit is None or figure <= limit
        missed += not good
        print(f"{'  ' if good else '! '}{figure:8.2f}  {'' if limit is None else f'limit {limit}':10}{what}")
    return 1 if missed else 0


def make_store(folder: Path, count: int) -> None:
    """The project with its table, runs and models."""
    project, _ = create_project(folder, name="bench")
    template = begin_run(project, capture(project), kind="program", name="template")
    template.seal("finished")
    table = folder / "data" / "housing"
    project = declare_table(project, "housing", TableSetting(path="data/housing", key=["ID"]))
    writer = Writer(project, template.start, count)
    each = count // VERSIONS
    write_deltalake(table, pa.table({"ID": [1, 2], "medv": [1.0, 2.0]}))
    for version in range(VERSIONS):
        best = [writer.fits(version) for _ in range(0, each - 2, SWEEP)]
        for run in best[: MODELS // VERSIONS]:
            register_model(project, run, "boston")
        writer.program(version)
        filled = writer.fill(version)
        if version + 1 < VERSIONS:
            write_deltalake(
                table,
                pa.table({"ID": [1, 2], "medv": [1.0, 2.0]}),
                mode="overwrite",
                commit_properties=_attributed(filled),
            )


def _attributed(run: str) -> CommitProperties:
    return CommitProperties(custom_metadata={"lin.run": run, "lin.model": "boston@1"})


class Writer:
    """Writes runs that are like one that was really recorded."""

    def __init__(self, project: Project, template: Start, count: int) -> None:
        self.root = project.store_root / "runs"
        self.template = template
        self.now = time.time_ns() - 1_000_000_000
        self.step = DAYS * 86_400_000_000_000 // count
        self.number = 0
        self.count = count
        self.model = project.store.blobs.put(b"a model")
        self.artifact = Artifact(path="model/model.skops", sha256=self.model, bytes=7)

    def fits(self, version: int) -> str:
        """A sweep of fits on a version; returns the last of its runs."""
        shared = new_id(self.now)
        fit = Fit(estimator=["sklearn.linear_model.Ridge"], target="medv")
        for number in range(SWEEP):
            run = self.write(
                "train",
                f"Ridge alpha={number}",
                [self.table(version)],
                sweep=shared,
                fit=fit,
                features=[f"x{n}" for n in range(13)],
                artifacts=[self.artifact],
            )
        return run

    def program(self, version: int) -> str:
        """A program that reads the version and writes a file."""
        path = f"out/{version}.csv"
        written = FileRef(path=path, sha256=digest(path.encode()), bytes=9)
        return self.write("program", "export", [self.table(version)], outputs=[written])

    def fill(self, version: int) -> str:
        """Predictions of the newest model version, written into the next version."""
        used = ModelRef(model="boston", version=(version + 1) * (MODELS // VERSIONS), sha256=self.model)
        made = [self.table(version + 1)] if version + 1 < VERSIONS else []
        name = f"boston@{used.version} into housing.medv"
        filled: dict[str, Param] = {"column": "medv", "rows": 2}
        return self.write("predict", name, [self.table(version), used], outputs=made, params=filled)

    def table(self, version: int) -> TableRef:
        pin = digest(f"pin {version}".encode())
        return TableRef(table="housing", location="../data/housing", version=version, pin=pin, rows=2)

    def write(
        self,
        kind: Kind,
        name: str,
        inputs: Sequence[Input],
        *,
        outputs: Sequence[Output] = (),
        sweep: str | None = None,
        fit: Fit | None = None,
        params: dict[str, Param] | None = None,
        features: Sequence[str] = (),
        artifacts: Sequence[Artifact] = (),
    ) -> str:
        """One sealed run; returns its id."""
        at = self.now - (self.count - self.number) * self.step
        self.number += 1
        began = datetime.fromtimestamp(at / 1e9, UTC)
        start = msgspec.structs.replace(
            self.template, id=new_id(at), kind=kind, name=name, started=began, sweep=sweep, fit=fit
        )
        data = encode_sealed(start)
        sealed = Sealed(
            id=start.id,
            start=digest(data),
            status="finished",
            ended=began + timedelta(seconds=1),
            seconds=1.0,
            params=params or {},
            features=[*features],
            artifacts=[*artifacts],
            inputs=[*inputs],
            outputs=[*outputs],
        )
        folder = self.root / day_of(start.id) / start.id
        folder.mkdir(parents=True)
        (folder / "start.json").write_bytes(data)
        (folder / "run.json").write_bytes(encode_sealed(sealed))
        return start.id


def lin(*words: str) -> list[str]:
    return [sys.executable, "-m", "lin", *words]


def once(words: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def seconds(words: Sequence[str]) -> float:
    return statistics.median(once(words) for _ in range(REPEATS))


if __name__ == "__main__":
    sys.exit(main())
