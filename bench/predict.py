"""Predictions written back into a table, beside the plainest program that does the same, in one run.

    python bench/predict.py [ROWS]         # 2,000,000 rows unless told; generated, 9 columns in 20 files
    python bench/predict.py --large        # 10,000,000 rows

The program reads all files with pyarrow, scores them in batches with scikit-learn's Ridge, writes a new version with
`write_deltalake(mode="overwrite")`, and puts its files on disk as `lin` does. It knows no pin, no run, no check. Both
times are those of whole processes, medians of three; both start from version 0.
"""

import compileall
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tables import COLUMNS, FILES, Report, commit, gibibytes, head_actions, lin, seconds, write_file

import lin as package

FEATURES = COLUMNS[1:]
REPEATS = 3
PLAIN = f"""
import os, pyarrow as pa, pyarrow.parquet as pq, pandas as pd, numpy as np
from deltalake import DeltaTable, write_deltalake
from sklearn.linear_model import Ridge
names = {FEATURES}
known = pd.DataFrame(np.random.default_rng(0).normal(size=(1000, 8)), columns=names)
model = Ridge().fit(known, known.sum(axis=1))
paths = DeltaTable("../plain", version=0).file_uris()
def scored():
    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(1 << 16):
            yield batch.append_column("y", pa.array(model.predict(batch.select(names).to_pandas())))
schema = pa.schema([("id", pa.int64()), *((name, pa.float64()) for name in [*names, "y"])])
rows = pa.RecordBatchReader.from_batches(schema, scored())
write_deltalake("../plain", rows, mode="overwrite", schema_mode="overwrite")
for path in DeltaTable("../plain").file_uris():
    with open(path.removeprefix("file://"), "rb") as file:
        os.fsync(file.fileno())
"""


def main() -> int:
    words = [word for word in sys.argv[1:] if word != "--large"]
    rows = int(words[0]) if words else 10_000_000 if "--large" in sys.argv else 2_000_000
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR", Path.cwd()), prefix=".bench-"))
    report = Report()
    try:
        (folder / "project").mkdir()
        os.chdir(folder / "project")
        compileall.compile_dir(Path(package.__file__).parent, quiet=1)  # as an installation does
        make_project(rows)
        write_back(report, rows)
        to_file(report, rows)
    finally:
        os.chdir("/")
        shutil.rmtree(folder)
    return report.show()


def write_back(report: Report, rows: int) -> None:
    plain = [sys.executable, "-c", PLAIN]
    ours = ["lin", "predict", "m@1", "--table", "big", "--into", "y", "--json"]
    times = []
    for _ in range(REPEATS):  # by turns, as other work on the machine comes and goes
        times.append((seconds(plain, repeats=1), seconds(ours, repeats=1)))
        lin("restore", "big", "--version", "0")
    one, other = (sorted(each)[REPEATS // 2] for each in zip(*times, strict=True))
    report.add(f"{rows:,} rows scored and written back: seconds", other)
    report.add("the same, beside pyarrow, scikit-learn and delta-rs in one program", other / one, 2)
    report.add("resident memory, GiB", gibibytes(ours))
    report.add("resident memory of that program, GiB", gibibytes(plain))


def to_file(report: Report, rows: int) -> None:
    ours = ["lin", "predict", "m@1", "--table", "big@0", "--output", "out.parquet", "--json"]
    report.add(f"{rows:,} rows scored into a Parquet file: seconds", seconds(ours, repeats=1))
    report.add("resident memory, GiB", gibibytes(ours))


def make_project(rows: int) -> None:
    lin("init", "--name", "bench")
    for place in ("data/big", "../plain"):  # that of the program is none of the project's
        make_table(Path(place), rows, FILES)
    make_table(Path("data/little"), 1000, 1, target=True)
    lin("add", "big", "data/big", "--key", "id")
    lin("add", "little", "data/little", "--key", "id")
    lin("train", "--table", "little", "--target", "y", "--model", "sklearn.linear_model.Ridge")
    lin("register", "last", "m")


def make_table(path: Path, rows: int, files: int, *, target: bool = False) -> None:
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(0)
    size = rows // files
    added = []
    for n in range(files):
        columns = {"id": np.arange(n * size, (n + 1) * size), **{x: random.normal(size=size) for x in FEATURES}}
        if target:
            columns["y"] = sum(columns[x] for x in FEATURES)
        added.append(write_file(path, f"f{n:02}.parquet", pa.table(columns)))
    commit(path, 0, [*head_actions([*COLUMNS, *(["y"] if target else [])]), *added])


if __name__ == "__main__":
    sys.exit(main())
